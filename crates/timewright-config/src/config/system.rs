//! The real-time clock, logging, hardware timestamping and the process (`config.md` 4.6 to 4.8).

use std::path::PathBuf;

use timewright_time::Seconds;

use super::{DEFAULT_PID_FILE, DEFAULT_RTC_DEVICE, DEFAULT_USER};
use crate::hwtimestamp::HwTimestampSpec;

/// Directives about the real-time clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtc {
    /// `hwclockfile`: says on its third line whether the clock keeps UTC.
    pub hwclock_file: Option<PathBuf>,
    /// `rtcautotrim`: error from which the clock is trimmed, seconds; 0 is off.
    pub auto_trim: Seconds,
    /// `rtcdevice`.
    pub device: PathBuf,
    /// `rtcfile`: keeps what is known of the clock's drift.
    pub file: Option<PathBuf>,
    /// `rtconutc`: the clock keeps UTC.
    pub on_utc: bool,
    /// `rtcsync`: the kernel copies the time to the clock.
    pub sync: bool,
}

impl Default for Rtc {
    fn default() -> Self {
        Self {
            hwclock_file: timewright_defaults::HWCLOCK_FILE.map(PathBuf::from),
            auto_trim: Seconds::ZERO,
            device: PathBuf::from(DEFAULT_RTC_DEVICE),
            file: None,
            on_utc: false,
            sync: false,
        }
    }
}

/// The log files that `log` enables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTypes {
    /// `measurements`.
    pub measurements: bool,
    /// `rawmeasurements`: measurements with rejected packets; implies `measurements`.
    pub raw_measurements: bool,
    /// `statistics`.
    pub statistics: bool,
    /// `tracking`.
    pub tracking: bool,
    /// `rtc`.
    pub rtc: bool,
    /// `refclocks`.
    pub refclocks: bool,
    /// `tempcomp`.
    pub tempcomp: bool,
    /// `selection`.
    pub selection: bool,
}

impl LogTypes {
    /// The words of `log`.
    pub const NAMES: [&'static str; 8] = [
        "measurements",
        "rawmeasurements",
        "refclocks",
        "rtc",
        "selection",
        "statistics",
        "tempcomp",
        "tracking",
    ];

    /// Enables what one word names; `None` if it names nothing.
    pub(crate) fn enable(&mut self, word: &[u8]) -> Option<()> {
        match word {
            b"measurements" => self.measurements = true,
            b"rawmeasurements" => {
                self.measurements = true;
                self.raw_measurements = true;
            }
            b"refclocks" => self.refclocks = true,
            b"rtc" => self.rtc = true,
            b"selection" => self.selection = true,
            b"statistics" => self.statistics = true,
            b"tempcomp" => self.tempcomp = true,
            b"tracking" => self.tracking = true,
            _ => return None,
        }
        Some(())
    }
}

/// `mailonchange`: whom to tell of a large correction.
#[derive(Clone, Debug, PartialEq)]
pub struct MailOnChange {
    /// The address.
    pub address: String,
    /// Corrections beyond this are told.
    pub threshold: Seconds,
}

/// Directives about logging.
#[derive(Clone, Debug, PartialEq)]
pub struct Logs {
    /// `log`.
    pub types: LogTypes,
    /// `logbanner`: entries between banners; 0 is never.
    pub banner: u32,
    /// `logchange`: clock errors beyond this are logged.
    pub change: Seconds,
    /// `logdir`.
    pub dir: Option<PathBuf>,
    /// `mailonchange`.
    pub mail_on_change: Option<MailOnChange>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            types: LogTypes::default(),
            banner: 32,
            change: Seconds(1.0),
            dir: None,
            mail_on_change: None,
        }
    }
}

/// Directives about hardware timestamping.
#[derive(Clone, Debug, PartialEq)]
pub struct HwTimestamps {
    /// `hwtimestamp` lines; see [`HwTimestamps::for_interface`].
    pub interfaces: Vec<HwTimestampSpec>,
    /// `hwtstimeout`: how long a response waits for the transmit timestamp.
    pub timeout: Seconds,
}

impl Default for HwTimestamps {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            timeout: Seconds(0.001),
        }
    }
}

impl HwTimestamps {
    /// The line that applies to an interface: the first that names it, else the first `*` line.
    #[must_use]
    pub fn for_interface(&self, name: &str) -> Option<&HwTimestampSpec> {
        let named = self
            .interfaces
            .iter()
            .find(|spec| spec.interface.as_deref() == Some(name));
        named.or_else(|| self.interfaces.iter().find(|spec| spec.interface.is_none()))
    }
}

/// Directives about the daemon as a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `keyfile`.
    pub key_file: Option<PathBuf>,
    /// `lock_all`: lock the memory.
    pub lock_all: bool,
    /// `pidfile`; `None` is none.
    pub pid_file: Option<PathBuf>,
    /// `sched_priority`, 0..=100; 0 is off, 100 is refused at start-up.
    pub sched_priority: u8,
    /// `user`.
    pub user: String,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            key_file: None,
            lock_all: false,
            pid_file: Some(PathBuf::from(DEFAULT_PID_FILE)),
            sched_priority: 0,
            user: DEFAULT_USER.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_log_type_has_a_word() {
        for name in LogTypes::NAMES {
            let mut types = LogTypes::default();
            assert_eq!(types.enable(name.as_bytes()), Some(()));
            assert_ne!(types, LogTypes::default(), "{name}");
        }
        assert_eq!(LogTypes::default().enable(b"Tracking"), None);
    }
}
