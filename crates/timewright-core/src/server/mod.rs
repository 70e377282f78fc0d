//! The server: one request in, at most one response out.
//!
//! [`access`] says who may ask, [`client_log`] and [`rate_limit`] how often, [`timestamps`] keeps
//! what interleaved clients come back for, [`snapshot`] is what there is to tell about our clock,
//! and [`respond`](mod@respond) puts it together. [`auth`] is where keys come in.

pub mod access;
pub mod auth;
pub mod client_log;
mod random;
pub mod rate_limit;
pub mod respond;
pub mod signing;
pub mod snapshot;
pub mod statistics;
#[cfg(test)]
pub(crate) mod test_rng;
pub mod timestamps;

pub use respond::{DropReason, ServeContext, ServerConfig, ServerTables, Shard, Verdict, respond};
pub use snapshot::ServerSnapshot;
