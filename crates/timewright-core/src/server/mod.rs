//! The server: one request in, at most one response out.
//!
//! [`access`] says who may ask, [`client_log`] and [`rate_limit`] how often, [`timestamps`] keeps
//! what interleaved clients come back for.

pub mod access;
pub mod client_log;
mod random;
pub mod rate_limit;
#[cfg(test)]
pub(crate) mod test_rng;
