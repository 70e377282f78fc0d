//! NTP packets on the wire (RFC 5905, RFC 7822; `ntp-engine.md` section 1): bytes to types and
//! back, without state, clock or I/O.
//!
//! [`Packet::parse`] takes any bytes and never panics; what it returns borrows them.
//! [`PacketBuilder`] writes into a buffer of the caller's and never past it. Cryptography lives
//! elsewhere: this crate only says which bytes a MAC covers and where it is.
#![forbid(unsafe_code)]

mod build;
mod fields;
mod header;
mod packet;
pub mod refid;

pub use build::{BuildError, PacketBuilder};
pub use fields::{
    FIELD_MONO_ROOT, FIELD_NET_CORRECTION, FIELD_NET_CORRECTION_10A, FIELD_NTS_AUTHENTICATOR,
    FIELD_NTS_COOKIE, FIELD_NTS_PLACEHOLDER, FIELD_NTS_UNIQUE_ID, Field, Fields, MonoRoot,
    NetCorrection,
};
pub use header::{Header, Leap, Mode, fuzz};
pub use packet::{AuthMode, Mac, Packet, PacketError};

/// Length of the fixed header.
pub const HEADER_LEN: usize = 48;
/// Longest packet handled: header, 1024 bytes of extension fields, key id and a 64-byte digest.
pub const MAX_PACKET_LEN: usize = 1140;
/// Shortest MAC: key id and a 16-byte digest.
pub const MIN_MAC_LEN: usize = 20;
/// Longest MAC in a version 4 packet (RFC 7822 section 7.5); anything longer is an extension field.
pub const MAX_V4_MAC_LEN: usize = 24;
/// Longest MAC at all.
pub const MAX_MAC_LEN: usize = 68;
/// Shortest extension field accepted, including its 4-byte header.
pub const MIN_FIELD_LEN: usize = 16;
