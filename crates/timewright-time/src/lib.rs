//! Instants, spans, rates and NTP number formats.
//!
//! Instants are integers in a named clock domain, spans are `f64` seconds, the
//! wire has its own types. `Timestamp<Raw> - Timestamp<Cooked>` does not compile:
//! crossing domains needs the clock model of `timewright-core`.
//!
//! This crate owns number formats and calendar text. It reads no clock.
#![forbid(unsafe_code)]

mod instant;
mod ntp;
mod span;
pub mod text;

pub use instant::{Cooked, MonoTime, Now, Raw, Timestamp};
pub use ntp::{NTP_UNIX_OFFSET_S, NtpShort, NtpShort28, NtpTimestamp};
pub use span::{FreqRatio, Seconds, log2_to_seconds};
