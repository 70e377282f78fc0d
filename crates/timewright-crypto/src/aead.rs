//! Authenticated encryption with associated data (`auth-nts.md` 4.2; RFC 5297, RFC 8452).

use std::fmt;

use aead::AeadInOut;
use aes_gcm_siv::Aes128GcmSiv;
use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use thiserror::Error;

/// Length of the tag that encryption adds, bytes, of both algorithms.
pub const TAG_LEN: usize = 16;

/// An algorithm, by its number in IANA's registry of AEAD algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aead {
    /// `AEAD_AES_SIV_CMAC_256`, RFC 5297.
    AesSivCmac256 = 15,
    /// `AEAD_AES_128_GCM_SIV`, RFC 8452.
    Aes128GcmSiv = 30,
}

impl Aead {
    /// The algorithm of a number, if it is one of these two.
    #[must_use]
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            15 => Some(Self::AesSivCmac256),
            30 => Some(Self::Aes128GcmSiv),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// Length of a key, bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesSivCmac256 => 32,
            Self::Aes128GcmSiv => 16,
        }
    }

    /// The algorithm with keys of a length, bytes.
    #[must_use]
    pub const fn from_key_len(len: usize) -> Option<Self> {
        match len {
            32 => Some(Self::AesSivCmac256),
            16 => Some(Self::Aes128GcmSiv),
            _ => None,
        }
    }

    /// Length of the nonces we make, bytes.
    #[must_use]
    pub const fn nonce_len(self) -> usize {
        match self {
            Self::AesSivCmac256 => 16,
            Self::Aes128GcmSiv => 12,
        }
    }

    /// Whether a nonce can be this long, bytes.
    #[must_use]
    pub const fn takes_nonce(self, len: usize) -> bool {
        match self {
            Self::AesSivCmac256 => len >= 1,
            Self::Aes128GcmSiv => len == 12,
        }
    }
}

/// Why nothing was sealed or opened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AeadError {
    /// The key's length is not the algorithm's.
    #[error("a key of {len} bytes does not fit the algorithm")]
    KeyLength {
        /// The length given, bytes.
        len: usize,
    },
    /// The nonce's length is not one the algorithm takes.
    #[error("a nonce of {len} bytes does not fit the algorithm")]
    NonceLength {
        /// The length given, bytes.
        len: usize,
    },
    /// The buffer is shorter than a tag.
    #[error("{len} bytes do not hold a tag")]
    Short {
        /// Its length, bytes.
        len: usize,
    },
    /// The text is longer than the algorithm takes, which no packet is.
    #[error("{len} bytes are too many")]
    Long {
        /// Its length, bytes.
        len: usize,
    },
    /// The text was not made with this key, nonce and associated data.
    #[error("not authentic")]
    Forged,
}

enum Cipher {
    Siv(Box<Aes128Siv>),
    GcmSiv(Box<Aes128GcmSiv>),
}

/// A key with its schedule. `Debug` does not show it; the memory is cleared when it is dropped.
pub struct AeadKey {
    cipher: Cipher,
}

impl AeadKey {
    /// A key of these bytes.
    ///
    /// # Errors
    /// [`AeadError::KeyLength`] if there are not as many as [`Aead::key_len`].
    pub fn new(algorithm: Aead, secret: &[u8]) -> Result<Self, AeadError> {
        let bad = |_| AeadError::KeyLength { len: secret.len() };
        let cipher = match algorithm {
            Aead::AesSivCmac256 => {
                Cipher::Siv(Box::new(Aes128Siv::new_from_slice(secret).map_err(bad)?))
            }
            Aead::Aes128GcmSiv => {
                Cipher::GcmSiv(Box::new(Aes128GcmSiv::new_from_slice(secret).map_err(bad)?))
            }
        };
        Ok(Self { cipher })
    }

    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> Aead {
        match self.cipher {
            Cipher::Siv(_) => Aead::AesSivCmac256,
            Cipher::GcmSiv(_) => Aead::Aes128GcmSiv,
        }
    }

    /// Encrypts in place: `buffer` holds the plaintext and [`TAG_LEN`] bytes of room after it, and
    /// then the output with the tag where the algorithm's document puts it.
    ///
    /// # Errors
    /// If the nonce's length does not fit, or there is no room for a tag; the buffer is as before.
    pub fn seal(
        &mut self,
        nonce: &[u8],
        associated: &[u8],
        buffer: &mut [u8],
    ) -> Result<(), AeadError> {
        self.check(nonce, buffer)?;
        let plain_len = buffer.len() - TAG_LEN;
        let too_long = AeadError::Long { len: plain_len };
        match &mut self.cipher {
            Cipher::Siv(siv) => {
                seal_siv(siv, &[associated, nonce], buffer)?;
            }
            Cipher::GcmSiv(gcm) => {
                let nonce = nonce_12(nonce)?;
                let (text, tag_room) = split(buffer, plain_len)?;
                let tag = gcm
                    .encrypt_inout_detached(&nonce.into(), associated, text.into())
                    .map_err(|_| too_long)?;
                tag_room.copy_from_slice(&tag);
            }
        }
        Ok(())
    }

    /// Decrypts in place what [`Self::seal`] makes, and gives the plaintext.
    ///
    /// # Errors
    /// If a length does not fit or the text is not authentic.
    pub fn open<'b>(
        &mut self,
        nonce: &[u8],
        associated: &[u8],
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], AeadError> {
        self.check(nonce, buffer)?;
        let plain_len = buffer.len() - TAG_LEN;
        match &mut self.cipher {
            Cipher::Siv(siv) => open_siv(siv, &[associated, nonce], buffer),
            Cipher::GcmSiv(gcm) => {
                let nonce = nonce_12(nonce)?;
                let (text, tag) = split(buffer, plain_len)?;
                let tag = tag_of(tag)?;
                gcm.decrypt_inout_detached(
                    &nonce.into(),
                    associated,
                    (&mut *text).into(),
                    &tag.into(),
                )
                .map_err(|_| AeadError::Forged)?;
                Ok(text)
            }
        }
    }

    fn check(&self, nonce: &[u8], buffer: &[u8]) -> Result<(), AeadError> {
        if !self.algorithm().takes_nonce(nonce.len()) {
            return Err(AeadError::NonceLength { len: nonce.len() });
        }
        if buffer.len() < TAG_LEN {
            return Err(AeadError::Short { len: buffer.len() });
        }
        Ok(())
    }
}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AeadKey")
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// RFC 5297 section 2.6; the nonce is the last header.
fn seal_siv(siv: &mut Aes128Siv, headers: &[&[u8]], buffer: &mut [u8]) -> Result<(), AeadError> {
    let len = buffer.len().saturating_sub(TAG_LEN);
    buffer.copy_within(..len, TAG_LEN);
    let (tag_room, text) = split(buffer, TAG_LEN)?;
    let tag = siv
        .encrypt_inout_detached(headers, text.into())
        .map_err(|_| AeadError::Long { len })?;
    tag_room.copy_from_slice(&tag);
    Ok(())
}

/// RFC 5297 section 2.7.
fn open_siv<'b>(
    siv: &mut Aes128Siv,
    headers: &[&[u8]],
    buffer: &'b mut [u8],
) -> Result<&'b [u8], AeadError> {
    let (tag, text) = split(buffer, TAG_LEN)?;
    let tag = tag_of(tag)?;
    siv.decrypt_inout_detached(headers, (&mut *text).into(), &tag.into())
        .map_err(|_| AeadError::Forged)?;
    Ok(text)
}

fn tag_of(bytes: &[u8]) -> Result<[u8; TAG_LEN], AeadError> {
    let len = bytes.len();
    bytes.try_into().map_err(|_| AeadError::Short { len })
}

fn nonce_12(nonce: &[u8]) -> Result<[u8; 12], AeadError> {
    nonce
        .try_into()
        .map_err(|_| AeadError::NonceLength { len: nonce.len() })
}

fn split(buffer: &mut [u8], at: usize) -> Result<(&mut [u8], &mut [u8]), AeadError> {
    let len = buffer.len();
    buffer
        .split_at_mut_checked(at)
        .ok_or(AeadError::Short { len })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a malformed vector fails the test")]
    #![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

    use super::*;
    use serde_json::Value;

    fn hex(value: &Value) -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// RFC 5297 A.1 has no nonce and A.2 three headers, which no packet has.
    #[test]
    fn siv_is_that_of_rfc_5297() {
        let file: Value = serde_json::from_str(include_str!("../tests/data/aead.json")).unwrap();
        let vectors = file["aes_siv_cmac_256"].as_array().unwrap();
        assert_eq!(vectors.len(), 2);
        for vector in vectors {
            let headers = vector["headers"].as_array().unwrap().iter();
            let headers: Vec<Vec<u8>> = headers.map(hex).collect();
            let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
            let mut siv = Aes128Siv::new_from_slice(&hex(&vector["key"])).unwrap();
            let plain = hex(&vector["plaintext"]);
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + TAG_LEN, 0);
            seal_siv(&mut siv, &headers, &mut buffer).unwrap();
            assert_eq!(buffer, hex(&vector["output"]), "{}", vector["source"]);
            let opened = open_siv(&mut siv, &headers, &mut buffer);
            assert_eq!(opened, Ok(plain.as_slice()), "{}", vector["source"]);
        }
    }
}
