//! Symmetric keys and the codes they make (`auth-nts.md` 1.3; RFC 5905 7.3, RFC 8573).

use std::fmt;

use aes::{Aes128, Aes256};
use cmac::{Cmac, KeyInit, Mac};
use digest::Digest;
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of the longest code, bytes.
pub const TAG_LEN_MAX: usize = 64;

/// How a code is made of a key and a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MacAlgorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Aes128,
    Aes256,
}

impl MacAlgorithm {
    /// Length of the code, bytes, 16..=64.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Md5 | Self::Aes128 | Self::Aes256 => 16,
            Self::Sha1 => 20,
            Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
        }
    }

    /// Length a key must have, bytes; `None`: any but 0.
    #[must_use]
    pub const fn key_len(self) -> Option<usize> {
        match self {
            Self::Aes128 => Some(16),
            Self::Aes256 => Some(32),
            _ => None,
        }
    }
}

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MacError {
    /// The algorithm wants another length.
    #[error("a key of {len} bytes does not fit the algorithm")]
    Length {
        /// The length given, bytes.
        len: usize,
    },
}

/// A code.
#[derive(Clone, Copy)]
pub struct Tag {
    bytes: [u8; TAG_LEN_MAX],
    len: usize,
}

impl Tag {
    fn of(bytes: &[u8]) -> Self {
        let mut tag = Self {
            bytes: [0; TAG_LEN_MAX],
            len: bytes.len().min(TAG_LEN_MAX),
        };
        for (to, from) in tag.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        tag
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The leading bytes, at most `longest`.
    #[must_use]
    pub fn cut(&self, longest: usize) -> &[u8] {
        self.bytes.get(..self.len.min(longest)).unwrap_or_default()
    }
}

enum State {
    /// Hashed before each message.
    Prefix(Zeroizing<Vec<u8>>),
    /// With the key schedule done.
    Cmac128(Box<Cmac<Aes128>>),
    Cmac256(Box<Cmac<Aes256>>),
}

/// A symmetric key. `Debug` does not show it; the memory is cleared when it is dropped.
pub struct MacKey {
    algorithm: MacAlgorithm,
    len: usize,
    state: State,
}

impl MacKey {
    /// A key of these bytes.
    ///
    /// # Errors
    /// If the length does not fit the algorithm, or is 0.
    pub fn new(algorithm: MacAlgorithm, secret: &[u8]) -> Result<Self, MacError> {
        let len = secret.len();
        let bad = |_| MacError::Length { len };
        let state = match algorithm {
            MacAlgorithm::Aes128 => {
                State::Cmac128(Box::new(Cmac::new_from_slice(secret).map_err(bad)?))
            }
            MacAlgorithm::Aes256 => {
                State::Cmac256(Box::new(Cmac::new_from_slice(secret).map_err(bad)?))
            }
            _ if len == 0 => return Err(MacError::Length { len }),
            _ => State::Prefix(Zeroizing::new(secret.to_vec())),
        };
        Ok(Self {
            algorithm,
            len,
            state,
        })
    }

    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// Its length, bytes.
    #[expect(clippy::len_without_is_empty, reason = "a key is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The code of a message.
    #[must_use]
    pub fn tag(&self, message: &[u8]) -> Tag {
        match &self.state {
            State::Prefix(key) => match self.algorithm {
                MacAlgorithm::Md5 => prefixed::<Md5>(key, message),
                MacAlgorithm::Sha1 => prefixed::<Sha1>(key, message),
                MacAlgorithm::Sha256 => prefixed::<Sha256>(key, message),
                MacAlgorithm::Sha384 => prefixed::<Sha384>(key, message),
                MacAlgorithm::Sha512 => prefixed::<Sha512>(key, message),
                MacAlgorithm::Sha3_224 => prefixed::<Sha3_224>(key, message),
                MacAlgorithm::Sha3_256 => prefixed::<Sha3_256>(key, message),
                MacAlgorithm::Sha3_384 => prefixed::<Sha3_384>(key, message),
                MacAlgorithm::Sha3_512 | MacAlgorithm::Aes128 | MacAlgorithm::Aes256 => {
                    prefixed::<Sha3_512>(key, message)
                }
            },
            State::Cmac128(cmac) => keyed(cmac.as_ref(), message),
            State::Cmac256(cmac) => keyed(cmac.as_ref(), message),
        }
    }

    /// Whether `digest` is the code of a message, cut to `longest` bytes if it is longer. Takes
    /// the same time wherever the bytes differ.
    #[must_use]
    pub fn verify(&self, message: &[u8], digest: &[u8], longest: usize) -> bool {
        digest.len() == self.algorithm.tag_len().min(longest)
            && bool::from(self.tag(message).cut(longest).ct_eq(digest))
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MacKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn prefixed<D: Digest>(key: &[u8], message: &[u8]) -> Tag {
    Tag::of(&D::new().chain_update(key).chain_update(message).finalize())
}

fn keyed<M: Mac + Clone>(mac: &M, message: &[u8]) -> Tag {
    let mut mac = mac.clone();
    mac.update(message);
    Tag::of(&mac.finalize().into_bytes())
}
