//! Parsing: what a datagram holds and how it is authenticated (`ntp-engine.md` 1.5).

use crate::fields::{
    self, FIELD_MONO_ROOT, FIELD_NET_CORRECTION, FIELD_NET_CORRECTION_10A, FIELD_NTS_AUTHENTICATOR,
    FIELD_NTS_COOKIE, FIELD_NTS_PLACEHOLDER, FIELD_NTS_UNIQUE_ID, Fields, MonoRoot, NetCorrection,
};
use crate::{HEADER_LEN, Header, MAX_PACKET_LEN, MAX_V4_MAC_LEN, MIN_MAC_LEN};
use thiserror::Error;

/// Why bytes are not an NTP packet.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PacketError {
    /// Shorter than a header, longer than any packet, or not a multiple of 4.
    #[error("{len} bytes cannot be an NTP packet")]
    Length {
        /// Length of the datagram.
        len: usize,
    },
    /// A version other than 1 to 4.
    #[error("NTP version {version}")]
    Version {
        /// The version sent.
        version: u8,
    },
    /// What follows the header is neither a MAC nor a well-formed extension field.
    #[error("bad extension field at byte {start}")]
    Field {
        /// Where the field would start.
        start: usize,
    },
}

/// How a packet claims to be authenticated; nothing is verified here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// Not at all.
    #[default]
    None,
    /// By a MAC with a symmetric key; a crypto-NAK is one with key 0 and no digest.
    Symmetric,
    /// A version 3 request to be signed by a domain controller (MS-SNTP).
    MsSntp,
    /// The same in its extended form.
    MsSntpExtended,
    /// By NTS fields.
    Nts,
}

/// The trailer that starts with a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac<'a> {
    /// Where it starts: everything before is what the digest covers.
    pub start: usize,
    /// The key id.
    pub key_id: u32,
    /// What follows the key id; empty in a crypto-NAK.
    pub digest: &'a [u8],
}

impl Mac<'_> {
    /// Length with the key id.
    #[must_use]
    pub const fn len(&self) -> usize {
        4 + self.digest.len()
    }

    /// Whether there is no digest, as in a crypto-NAK.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.digest.is_empty()
    }
}

/// A packet of version 1 to 4 whose lengths are sound.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    fields_end: usize,
    field_count: usize,
    /// The header.
    pub header: Header,
    /// How the packet claims to be authenticated.
    pub auth: AuthMode,
    /// The MAC, in all modes but [`AuthMode::None`] and [`AuthMode::Nts`].
    pub mac: Option<Mac<'a>>,
    /// The mono/root field, if there is a well-formed one.
    pub mono_root: Option<MonoRoot>,
    /// The network correction field, if there is a well-formed one.
    pub net_correction: Option<NetCorrection>,
    /// The same by its registered type.
    pub net_correction_10a: Option<NetCorrection>,
}

impl<'a> Packet<'a> {
    /// Parses a datagram.
    ///
    /// # Errors
    /// If it is no NTP packet of version 1 to 4, or what follows the header is malformed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let len = bytes.len();
        if len > MAX_PACKET_LEN || !len.is_multiple_of(4) {
            return Err(PacketError::Length { len });
        }
        let header = Header::read(bytes).ok_or(PacketError::Length { len })?;
        if !(1..=4).contains(&header.version) {
            return Err(PacketError::Version {
                version: header.version,
            });
        }
        let mut packet = Self {
            bytes,
            fields_end: HEADER_LEN,
            field_count: 0,
            header,
            auth: AuthMode::None,
            mac: None,
            mono_root: None,
            net_correction: None,
            net_correction_10a: None,
        };
        if header.version < 4 {
            packet.take_old_trailer();
        } else {
            packet.take_fields_and_mac()?;
        }
        Ok(packet)
    }

    /// The whole datagram.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its length, 48..=1140.
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether this is the answer "I cannot authenticate you" (RFC 5905 section 7.3).
    #[must_use]
    pub fn is_crypto_nak(&self) -> bool {
        self.mac
            .is_some_and(|mac| mac.key_id == 0 && mac.is_empty())
    }

    /// The extension fields.
    #[must_use]
    pub const fn fields(&self) -> Fields<'a> {
        Fields::new(self.bytes, HEADER_LEN, self.fields_end)
    }

    /// How many extension fields there are.
    #[must_use]
    pub const fn field_count(&self) -> usize {
        self.field_count
    }

    fn mac_at(&self, start: usize) -> Option<Mac<'a>> {
        let (key_id, digest) = self.bytes.get(start..)?.split_first_chunk()?;
        Some(Mac {
            start,
            key_id: u32::from_be_bytes(*key_id),
            digest,
        })
    }

    /// Versions 1 to 3: everything after the header is a MAC.
    fn take_old_trailer(&mut self) {
        let Some(mac) = self.mac_at(HEADER_LEN) else {
            return;
        };
        let zero_from = |at: usize| mac.digest.iter().skip(at).all(|&b| b == 0);
        self.auth = match (self.header.version, mac.len()) {
            (3, 20) if mac.key_id != 0 && zero_from(0) => AuthMode::MsSntp,
            (3, 72) if mac.key_id != 0 && zero_from(4) => AuthMode::MsSntpExtended,
            _ => AuthMode::Symmetric,
        };
        self.mac = Some(mac);
    }

    /// Version 4: extension fields, then perhaps a MAC.
    fn take_fields_and_mac(&mut self) -> Result<(), PacketError> {
        let len = self.bytes.len();
        if self.bytes.get(HEADER_LEN..) == Some(&[0; 4]) {
            self.auth = AuthMode::Symmetric;
            self.mac = self.mac_at(HEADER_LEN);
            return Ok(());
        }
        let mut at = HEADER_LEN;
        while at < len {
            if (MIN_MAC_LEN..=MAX_V4_MAC_LEN).contains(&(len - at)) {
                self.auth = AuthMode::Symmetric;
                self.mac = self.mac_at(at);
                break;
            }
            let bad = PacketError::Field { start: at };
            if len - at <= MAX_V4_MAC_LEN {
                return Err(bad);
            }
            let field = fields::read_field(self.bytes, at).ok_or(bad)?;
            match field.kind {
                FIELD_NTS_UNIQUE_ID
                | FIELD_NTS_COOKIE
                | FIELD_NTS_PLACEHOLDER
                | FIELD_NTS_AUTHENTICATOR => self.auth = AuthMode::Nts,
                FIELD_MONO_ROOT => self.mono_root = MonoRoot::read(field.body).or(self.mono_root),
                FIELD_NET_CORRECTION => {
                    self.net_correction = NetCorrection::read(field.body).or(self.net_correction);
                }
                FIELD_NET_CORRECTION_10A => {
                    let read = NetCorrection::read_10a(field.body);
                    self.net_correction_10a = read.or(self.net_correction_10a);
                }
                _ => {}
            }
            self.field_count += 1;
            at += 4 + field.body.len();
            self.fields_end = at;
        }
        Ok(())
    }
}
