//! Symmetric keys: the file that `keyfile` names (`daemon-and-files.md`, "Key file").
//!
//! A line is `ID [TYPE] KEY`. Bad lines are warned about and skipped, never fatal.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::lexical::{chunks, normalise, words};
use crate::scan::Cursor;

/// Longest piece of a line that is read at once; the rest of a longer line is the next line.
const PIECE_MAX: usize = 2047;

/// The algorithm a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeyType {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Tiger,
    Whirlpool,
    Aes128,
    Aes256,
}

impl KeyType {
    /// All types with their names, which are case-sensitive.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("MD5", Self::Md5),
        ("SHA1", Self::Sha1),
        ("SHA256", Self::Sha256),
        ("SHA384", Self::Sha384),
        ("SHA512", Self::Sha512),
        ("SHA3-224", Self::Sha3_224),
        ("SHA3-256", Self::Sha3_256),
        ("SHA3-384", Self::Sha3_384),
        ("SHA3-512", Self::Sha3_512),
        ("TIGER", Self::Tiger),
        ("WHIRLPOOL", Self::Whirlpool),
        ("AES128", Self::Aes128),
        ("AES256", Self::Aes256),
    ];

    /// The type of a name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(_, kind)| *kind)
    }

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// Length a key must have, bytes; `None`: any.
    #[must_use]
    pub const fn key_length(self) -> Option<usize> {
        match self {
            Self::Aes128 => Some(16),
            Self::Aes256 => Some(32),
            _ => None,
        }
    }

    /// Whether the key is for a block cipher and not for a hash function.
    #[must_use]
    pub const fn is_cipher(self) -> bool {
        self.key_length().is_some()
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The bytes of a key. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret made of these bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// Its number; 0 can be loaded but not be used by a client.
    pub id: u32,
    /// What it is for.
    pub kind: KeyType,
    /// The key itself.
    pub secret: Secret,
}

/// The content of a key file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile {
    /// Keys in the order of the file, with duplicates.
    pub keys: Vec<KeySpec>,
    /// What was wrong with the lines that were skipped, in their order.
    pub warnings: Vec<KeyWarning>,
    /// Numbers that occur more than once, as often as they are repeated; to be reported after
    /// the number of keys.
    pub duplicates: Vec<KeyWarning>,
}

/// Something wrong in a key file; `Display` is the exact log text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum KeyWarning {
    Syntax { line: u32, file: PathBuf },
    Undecodable(u32),
    UnsupportedHash(u32),
    UnsupportedCipher(u32),
    Length { kind: KeyType, id: u32, bits: usize },
    UnknownType(u32),
    Duplicate(u32),
}

impl fmt::Display for KeyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, file } => {
                write!(
                    f,
                    "Could not parse key at line {line} in file {}",
                    file.display()
                )
            }
            Self::Undecodable(id) => write!(f, "Could not decode key {id}"),
            Self::UnsupportedHash(id) => write!(f, "Unsupported hash function in key {id}"),
            Self::UnsupportedCipher(id) => write!(f, "Unsupported cipher in key {id}"),
            Self::Length { kind, id, bits } => {
                write!(
                    f,
                    "Invalid length of {kind} key {id} (expected {bits} bits)"
                )
            }
            Self::UnknownType(id) => write!(f, "Invalid type in key {id}"),
            Self::Duplicate(id) => write!(f, "Detected duplicate key {id}"),
        }
    }
}

impl KeyFile {
    /// Parses the content of a key file.
    ///
    /// `file` is its name in warnings; `supports` says which algorithms can be used.
    #[must_use]
    pub fn parse(bytes: &[u8], file: &Path, supports: impl Fn(KeyType) -> bool) -> Self {
        let mut parsed = Self::default();
        for (line, piece) in (1..).zip(chunks(bytes, PIECE_MAX)) {
            let text = normalise(piece);
            if text.is_empty() {
                continue;
            }
            let key = split_line(&text)
                .ok_or_else(|| KeyWarning::Syntax {
                    line,
                    file: file.to_owned(),
                })
                .and_then(|line| decode_line(&line, &supports));
            match key {
                Ok(key) => parsed.keys.push(key),
                Err(warning) => parsed.warnings.push(warning),
            }
        }
        parsed.duplicates = duplicates(&parsed.keys);
        parsed
    }
}

struct Line<'a> {
    id: u32,
    kind: &'a [u8],
    key: &'a [u8],
}

fn split_line(text: &[u8]) -> Option<Line<'_>> {
    let words: Vec<&[u8]> = words(text).collect();
    let (id, kind, key) = match words.as_slice() {
        [id, key] => (id, &b"MD5"[..], key),
        [id, kind, key] => (id, *kind, key),
        _ => return None,
    };
    Some(Line {
        id: Cursor::new(id).uint()?,
        kind,
        key,
    })
}

fn decode_line(line: &Line<'_>, supports: impl Fn(KeyType) -> bool) -> Result<KeySpec, KeyWarning> {
    let id = line.id;
    let secret = decode_key(line.key).ok_or(KeyWarning::Undecodable(id))?;
    let kind = KeyType::from_name(line.kind).ok_or(KeyWarning::UnknownType(id))?;
    if !supports(kind) {
        return Err(if kind.is_cipher() {
            KeyWarning::UnsupportedCipher(id)
        } else {
            KeyWarning::UnsupportedHash(id)
        });
    }
    match kind.key_length() {
        Some(length) if secret.len() != length => Err(KeyWarning::Length {
            kind,
            id,
            bits: length * 8,
        }),
        _ => Ok(KeySpec {
            id,
            kind,
            secret: Secret(secret),
        }),
    }
}

/// The bytes of a key: `HEX:` and digits, `ASCII:` and text, or the text alone. Never empty.
fn decode_key(word: &[u8]) -> Option<Vec<u8>> {
    let bytes = if let Some(digits) = word.strip_prefix(b"HEX:") {
        decode_hex(digits)?
    } else {
        word.strip_prefix(b"ASCII:").unwrap_or(word).to_vec()
    };
    (!bytes.is_empty()).then_some(bytes)
}

fn decode_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| {
        (byte as char)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

fn duplicates(keys: &[KeySpec]) -> Vec<KeyWarning> {
    let mut ids: Vec<u32> = keys.iter().map(|key| key.id).collect();
    ids.sort_unstable();
    ids.iter()
        .zip(ids.iter().skip(1))
        .filter(|(id, next)| id == next)
        .map(|(&id, _)| KeyWarning::Duplicate(id))
        .collect()
}

#[cfg(test)]
mod tests;
