//! Control protocol version 6: what `chronyc` asks and `chronyd` answers, to and from bytes.
//!
//! One datagram is one request, one datagram is at most one reply (`control-protocol.md`).
//! This crate owns the layout of both, the table of commands with their permissions, and the
//! order in which a daemon checks a datagram. It opens no socket and knows no time.
//!
//! ```text
//! chronyc: Request --request::encode--> bytes ~~~> bytes --server::admit--> Request :chronyd
//! chronyc: Answer <--client::receive--- bytes <~~~ bytes <--Responder::reply-- Reply :chronyd
//! ```
//!
//! Layouts are written once: each payload is a `record!` whose fields are listed in wire order,
//! and its length, encoder and decoder follow from that list.
#![forbid(unsafe_code)]

pub mod address;
pub mod client;
pub mod float;
pub mod refid;
pub mod reply;
pub mod request;
pub mod server;

mod field;
mod status;
mod timespec;

pub use address::Address;
pub use field::DecodeError;
pub use reply::{Reply, ReplyCode, ReplyData};
pub use request::{Access, Command, Request};
pub use status::Status;
pub use timespec::Timespec;

/// The version of the protocol spoken here.
pub const VERSION: u8 = 6;

/// The version a client falls back to when an old daemon refuses [`VERSION`].
pub const VERSION_FALLBACK: u8 = 5;

/// The oldest version a daemon answers with an error; older ones get silence.
pub const VERSION_ANSWERED: u8 = 5;

/// The oldest version whose `Status::BadPacketVersion` reply a client believes.
pub const VERSION_BELIEVED: u8 = 4;

/// Bytes in front of the payload of a request.
pub const REQUEST_HEADER: usize = 20;

/// Bytes in front of the payload of a reply, and the length of a reply without payload.
pub const REPLY_HEADER: usize = 28;

/// The longest request a daemon reads; a longer one is dropped.
pub const REQUEST_MAX: usize = 860;

/// Default UDP port of the daemon.
pub const DEFAULT_PORT: u16 = 323;

/// Default path of the daemon's Unix socket.
pub const DEFAULT_SOCKET: &str = timewright_defaults::COMMAND_SOCKET;
