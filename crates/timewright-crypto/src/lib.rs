//! Message authentication codes and authenticated encryption for NTP (`auth-nts.md` 1.3, 4.2).
//!
//! This crate knows algorithms and keys, no packets. The algorithms themselves are those of the
//! RustCrypto project; here they get one shape, compare in constant time and leave no keys behind
//! in memory that was given back.
#![forbid(unsafe_code)]

mod aead;
mod mac;

pub use aead::{Aead, AeadError, AeadKey, TAG_LEN};
pub use mac::{MacAlgorithm, MacError, MacKey, TAG_LEN_MAX, Tag};
