//! Symmetric keys: the codes that they put on packets and find there (`auth-nts.md` 1.3, 1.4).
//!
//! Sources and server share one [`KeyRing`]; it is replaced as a whole when the key file is read.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::event::{Event, Severity};
use timewright_config::{KeyFile, KeySpec, KeyType, KeyWarning};
use timewright_crypto::{MacAlgorithm, MacKey};
use timewright_wire::{BuildError, Mac, PacketBuilder};

/// Longest code in packets of version 4, bytes (RFC 7822 section 7.5.1.4: longer ones could be
/// taken for extension fields).
const TAG_LEN_MAX_V4: usize = 20;
/// Shorter keys are warned about, bytes.
const KEY_LEN_GOOD: usize = 10;

/// A symmetric key by its number.
#[derive(Debug)]
pub struct Key {
    id: u32,
    kind: KeyType,
    mac: MacKey,
}

impl Key {
    fn new(spec: &KeySpec) -> Option<Self> {
        Some(Self {
            id: spec.id,
            kind: spec.kind,
            mac: MacKey::new(algorithm(spec.kind)?, spec.secret.bytes()).ok()?,
        })
    }

    /// Its number in the key file.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub const fn kind(&self) -> KeyType {
        self.kind
    }

    /// Its length, bits.
    #[must_use]
    pub const fn bits(&self) -> usize {
        self.mac.len() * 8
    }

    /// Whether it is too short to resist guessing.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.mac.len() < KEY_LEN_GOOD
    }

    /// The version of packets in which the whole code can be sent: 4, or 3 if it is too long.
    #[must_use]
    pub const fn packet_version(&self) -> u8 {
        if self.mac.algorithm().tag_len() > TAG_LEN_MAX_V4 {
            3
        } else {
            4
        }
    }

    /// Whether a MAC, with this key's number, belongs to the packet that it ends.
    #[must_use]
    pub fn verify(&self, packet: &[u8], version: u8, mac: &Mac<'_>) -> bool {
        let message = packet.get(..mac.start).unwrap_or_default();
        mac.key_id == self.id && self.mac.verify(message, mac.digest, longest(version))
    }

    /// Adds the MAC to a packet.
    ///
    /// # Errors
    /// If it does not fit; nothing was added.
    pub fn seal(&self, version: u8, packet: &mut PacketBuilder<'_>) -> Result<(), BuildError> {
        let tag = self.mac.tag(packet.bytes());
        let tag = tag.cut(longest(version));
        let mut mac = [0; 4 + timewright_crypto::TAG_LEN_MAX];
        let (id, digest) = mac.split_at_mut(4);
        id.copy_from_slice(&self.id.to_be_bytes());
        for (to, from) in digest.iter_mut().zip(tag) {
            *to = *from;
        }
        packet.append(mac.get(..4 + tag.len()).unwrap_or_default())
    }
}

const fn longest(version: u8) -> usize {
    if version == 4 {
        TAG_LEN_MAX_V4
    } else {
        timewright_crypto::TAG_LEN_MAX
    }
}

/// The algorithm of a type of keys; `None` if there is none here.
#[must_use]
pub const fn algorithm(kind: KeyType) -> Option<MacAlgorithm> {
    Some(match kind {
        KeyType::Md5 => MacAlgorithm::Md5,
        KeyType::Sha1 => MacAlgorithm::Sha1,
        KeyType::Sha256 => MacAlgorithm::Sha256,
        KeyType::Sha384 => MacAlgorithm::Sha384,
        KeyType::Sha512 => MacAlgorithm::Sha512,
        KeyType::Sha3_224 => MacAlgorithm::Sha3_224,
        KeyType::Sha3_256 => MacAlgorithm::Sha3_256,
        KeyType::Sha3_384 => MacAlgorithm::Sha3_384,
        KeyType::Sha3_512 => MacAlgorithm::Sha3_512,
        KeyType::Aes128 => MacAlgorithm::Aes128,
        KeyType::Aes256 => MacAlgorithm::Aes256,
        KeyType::Tiger | KeyType::Whirlpool => return None,
    })
}

/// All keys.
#[derive(Debug, Default)]
pub struct KeyRing {
    /// By number.
    keys: Vec<Key>,
}

impl KeyRing {
    /// The keys of a file, with what there is to say about it; of several keys with one number
    /// the first counts. Without `content` the file is unreadable, and there are no keys.
    #[must_use]
    pub fn load(path: &Path, content: Option<&[u8]>) -> (Self, Vec<KeyEvent>) {
        let Some(content) = content else {
            return (Self::default(), vec![KeyEvent::Unreadable(path.to_owned())]);
        };
        let file = KeyFile::parse(content, path, |kind| algorithm(kind).is_some());
        let loaded = KeyEvent::Loaded(file.keys.len());
        let events = (file.warnings.into_iter().map(KeyEvent::Warning))
            .chain([loaded])
            .chain(file.duplicates.into_iter().map(KeyEvent::Warning))
            .collect();
        let mut keys: Vec<Key> = file.keys.iter().filter_map(Key::new).collect();
        keys.sort_by_key(Key::id);
        keys.dedup_by_key(|key| key.id());
        (Self { keys }, events)
    }

    /// What there is to say about the key of a new source.
    #[must_use]
    pub fn complaint(&self, id: u32) -> Option<KeyEvent> {
        match self.get(id) {
            None => Some(KeyEvent::Missing(id)),
            Some(key) if key.is_short() => Some(KeyEvent::Short(id)),
            Some(_) => None,
        }
    }

    /// The key with a number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Key> {
        let at = self.keys.binary_search_by_key(&id, Key::id).ok()?;
        self.keys.get(at)
    }
}

/// What there is to say about keys; `Display` is the exact log text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// The key file cannot be read.
    Unreadable(PathBuf),
    /// Something is wrong with a line of it.
    Warning(KeyWarning),
    /// It holds so many keys.
    Loaded(usize),
    /// A source's key is not in it: the source is not polled.
    Missing(u32),
    /// A source's key is easy to guess.
    Short(u32),
}

impl fmt::Display for KeyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path) => write!(f, "Could not open keyfile {}", path.display()),
            Self::Warning(warning) => warning.fmt(f),
            Self::Loaded(count) => write!(f, "Loaded {count} symmetric keys"),
            Self::Missing(id) => write!(f, "Key {id} is missing"),
            Self::Short(id) => write!(f, "Key {id} is too short"),
        }
    }
}

impl From<KeyEvent> for Event {
    fn from(event: KeyEvent) -> Self {
        let severity = match event {
            KeyEvent::Loaded(_) => Severity::Info,
            _ => Severity::Warning,
        };
        Self::new(severity, event)
    }
}

#[cfg(test)]
mod tests;
