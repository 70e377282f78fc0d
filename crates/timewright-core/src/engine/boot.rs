//! What the engine is told once, besides the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use timewright_config::{DriverKind, SourceSpec};
use timewright_time::Seconds;

/// What the daemon was started for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To keep the clock.
    #[default]
    Daemon,
    /// To set the clock once and end (`-q`).
    SetOnce,
    /// To print the offset once and end (`-Q`).
    PrintOnce,
}

/// Options of the command line and contents of files, read before the engine starts.
#[derive(Clone, Debug)]
pub struct Boot {
    /// `-q`, `-Q` or neither.
    pub purpose: Purpose,
    /// Whether the clock may be touched; not with `-x` and `-Q`.
    pub control_clock: bool,
    /// Smallest step of the clock if known; the `clockprecision` directive wins, without either
    /// it is measured.
    pub clock_quantum: Option<Seconds>,
    /// First Unix second of the era of NTP time in use (`ntp-engine.md` 1.2).
    pub era_s: i64,
    /// Whether IPv4 is used (not with `-6`).
    pub ipv4: bool,
    /// Whether IPv6 is used (not with `-4`).
    pub ipv6: bool,
    /// Content of the drift file, if there is one.
    pub drift_file: Option<String>,
    /// Content of the `keyfile`; `None` if there is none or it is unreadable.
    pub keys: Option<Vec<u8>>,
    /// Content of the `leapseclist` file.
    pub leap_list: Option<Vec<u8>>,
    /// Content of the file of the `leapsectz` zone.
    pub leap_zone: Option<Vec<u8>>,
    /// Content of the `tempcomp` points file.
    pub tempcomp_points: Option<String>,
    /// Reference clock drivers that can be read. Lines of the configuration with others give no
    /// source.
    pub drivers: Vec<DriverKind>,
    /// Addresses of the host names in access rules and `initstepslew`, resolved while the
    /// configuration was read. Names without an address are missing.
    pub hosts: BTreeMap<String, IpAddr>,
    /// Sources found in the source directories.
    pub fragments: Vec<SourceSpec>,
    /// End after so many seconds (`-t`).
    pub run_time: Option<Seconds>,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            purpose: Purpose::default(),
            control_clock: true,
            clock_quantum: None,
            era_s: 0,
            ipv4: true,
            ipv6: true,
            drift_file: None,
            keys: None,
            leap_list: None,
            leap_zone: None,
            tempcomp_points: None,
            drivers: Vec::new(),
            hosts: BTreeMap::new(),
            fragments: Vec::new(),
            run_time: None,
        }
    }
}
