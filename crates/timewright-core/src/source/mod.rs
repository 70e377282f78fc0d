//! NTP sources: client and peer associations, their names and pools (`ntp-engine.md` 2 to 6).
//!
//! ```text
//! datagram, timer, name answer ─> SourceTable ─> Association ─> packets, timers (Env)
//!                                     │               └──> StatsAction ─> engine ─> Selector
//!                                     └ Names: pools, lookups, replacement
//! ```
//!
//! # Re-entrancy
//! What an association wants from the statistics (a reachability bit, a sample to accumulate) may
//! end in a change of the clock that has to reach every stored time before the association goes
//! on. Nothing here calls the statistics: each input queues [`StatsAction`]s and remembers where
//! it stopped. After *every* call that takes an [`Env`] the engine does
//!
//! ```text
//! loop {
//!     while let Some((id, action)) = actions.pop_front() { carry it out, fan clock changes out }
//!     if !table.resume(&mut env) { break }
//! }
//! ```
//!
//! An association is a set of variables with the names `ntp-engine.md` gives them; the rules that
//! change them are in [`association`] (connectivity, timers), `transmit`, `response`, [`measure`]
//! (packet to sample and tests A to D) and [`poll`].

pub mod association;
pub mod config;
pub mod env;
pub mod measure;
pub mod names;
pub mod poll;
pub mod record;
pub mod report;
pub mod request;
mod response;
pub mod sockets;
pub mod table;
#[cfg(test)]
mod tests;
mod transmit;

pub use association::{Association, OperatingMode};
pub use config::{AuthMethod, Connectivity, SourceConfig};
pub use env::{CookedClock, Env, MeasurementLog, OurReference, Params, SourceQueries, StatsAction};
pub use record::MeasurementRecord;
pub use report::{Activity, NtpReport};
pub use request::{AddError, Added, ConfId, Dispatch, NewSource, Origin, SourceKind, SourceMatch};
pub use sockets::{SocketPolicy, Sockets};
pub use table::SourceTable;

use std::fmt;
use std::net::IpAddr;

/// What identifies an NTP source: its address, or a number while its name is unresolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceAddress {
    /// A real address.
    Ip(IpAddr),
    /// Not resolved yet; counts from 1.
    Unresolved(u32),
}

impl SourceAddress {
    /// The address, if it is known.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Unresolved(_) => None,
        }
    }

    /// The reference id of the source; 0 while unresolved.
    #[must_use]
    pub fn refid(self) -> u32 {
        self.ip().map_or(0, timewright_wire::refid::of_address)
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Unresolved(id) => f.pad(&format!("ID#{id:010}")),
        }
    }
}
