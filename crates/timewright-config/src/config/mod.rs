//! The configuration as typed values, grouped as the manual groups the directives.
//!
//! `Config::default()` is the configuration of an empty file. Values are the effective ones unless
//! a field says that it holds what was written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::refclock::RefclockSpec;
use crate::source::SourceSpec;

mod client;
mod clock;
mod command;
mod server;
mod system;

pub use client::*;
pub use clock::*;
pub use command::*;
pub use server::*;
pub use system::*;

/// Path of the pid file unless configured.
pub const DEFAULT_PID_FILE: &str = timewright_defaults::PID_FILE;
/// Path of the Unix command socket unless configured.
pub const DEFAULT_COMMAND_SOCKET: &str = timewright_defaults::COMMAND_SOCKET;
/// Real-time clock device unless configured.
pub const DEFAULT_RTC_DEVICE: &str = timewright_defaults::RTC_DEVICE;
/// `hwclockfile` unless configured; empty is none.
pub const DEFAULT_HWCLOCK_FILE: &str = match timewright_defaults::HWCLOCK_FILE {
    Some(path) => path,
    None => "",
};
/// User the daemon runs as unless configured.
pub const DEFAULT_USER: &str = timewright_defaults::USER;

/// Everything the configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `server`, `pool` and `peer` lines in their order.
    pub sources: Vec<SourceSpec>,
    /// `sourcedir` lines, each with its directories (1 to 10).
    pub source_dirs: Vec<Vec<PathBuf>>,
    /// `refclock` lines in their order, which numbers the default reference identifiers.
    pub refclocks: Vec<RefclockSpec>,
    /// The initial correction of `initstepslew`.
    pub initstepslew: Option<InitStepSlew>,
    /// The client side.
    pub client: Client,
    /// Selection of sources.
    pub selection: Selection,
    /// The system clock.
    pub clock: Clock,
    /// Leap seconds.
    pub leap: Leap,
    /// The NTP server.
    pub server: Server,
    /// Network Time Security, client and server.
    pub nts: Nts,
    /// Monitoring and control.
    pub command: Command,
    /// The real-time clock.
    pub rtc: Rtc,
    /// Log files and mail.
    pub logs: Logs,
    /// Hardware timestamping.
    pub hw_timestamps: HwTimestamps,
    /// The daemon as a process.
    pub process: Process,
}

/// One address per family; `None` is the family's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindAddresses {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl BindAddresses {
    /// Both families on the loopback interface.
    pub const LOOPBACK: Self = Self {
        v4: Some(Ipv4Addr::LOCALHOST),
        v6: Some(Ipv6Addr::LOCALHOST),
    };

    /// Replaces the address of one family.
    pub fn set(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.v4 = Some(address),
            IpAddr::V6(address) => self.v6 = Some(address),
        }
    }
}
