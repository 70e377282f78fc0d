//! Faults that are found at start-up, after the text was accepted (`config.md` section 2).
//!
//! These need no I/O. They are not made with `-p`.

use thiserror::Error;

use crate::access::{AccessRule, Subnet};
use crate::config::Config;
use crate::refclock::RefclockSpec;

/// A fatal fault of a configuration whose text is right. `Display` is the exact message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartupError {
    /// Certificates and keys do not pair.
    #[error("Uneven number of NTS certs and keys")]
    UnevenNtsCerts,
    /// Two ways to keep the real-time clock right.
    #[error("rtcfile directive cannot be used with rtcsync")]
    RtcFileWithRtcSync,
    /// A reference clock without a known driver.
    #[error("unknown refclock driver {0}")]
    UnknownDriver(String),
    /// A TAI reference without knowledge of leap seconds.
    #[error("refclock tai option requires leapseclist or leapsectz")]
    TaiWithoutLeap,
    /// An option the driver does not have.
    #[error("Invalid refclock driver option {0}")]
    DriverOption(String),
    /// The real-time clock as source and as target.
    #[error("RTC refclock cannot be used together with rtcsync or rtcfile")]
    RtcRefclock,
    /// A prefix longer than the address.
    #[error("Bad subnet in {0}")]
    BadSubnet(String),
    /// A priority the system does not have.
    #[error("Bad scheduler priority: {0}")]
    BadPriority(u8),
    /// Limits need client records.
    #[error("Rate limiting cannot be enabled with noclientlog")]
    RateLimitWithoutLog,
}

impl Config {
    /// Finds the first fault, in the order in which the daemon starts.
    ///
    /// # Errors
    ///
    /// [`StartupError`].
    pub fn check(&self) -> Result<(), StartupError> {
        self.check_nts()?;
        self.check_rtc()?;
        self.check_refclocks()?;
        check_access(&self.server.access)?;
        check_access(&self.command.access)?;
        self.check_priority(self.process.sched_priority)?;
        self.check_client_log()
    }

    /// Certificates and keys of the NTS server must pair.
    ///
    /// # Errors
    ///
    /// [`StartupError::UnevenNtsCerts`].
    pub const fn check_nts(&self) -> Result<(), StartupError> {
        if self.nts.server_certs.len() == self.nts.server_keys.len() {
            Ok(())
        } else {
            Err(StartupError::UnevenNtsCerts)
        }
    }

    /// `rtcfile` and `rtcsync` exclude each other.
    ///
    /// # Errors
    ///
    /// [`StartupError::RtcFileWithRtcSync`].
    pub const fn check_rtc(&self) -> Result<(), StartupError> {
        if self.rtc.file.is_some() && self.rtc.sync {
            return Err(StartupError::RtcFileWithRtcSync);
        }
        Ok(())
    }

    /// Reference clocks must have a driver, known options, and what those need.
    ///
    /// # Errors
    ///
    /// Those of [`RefclockSpec::driver`](crate::RefclockSpec::driver),
    /// [`StartupError::TaiWithoutLeap`] and [`StartupError::RtcRefclock`].
    pub fn check_refclocks(&self) -> Result<(), StartupError> {
        let mut lines = self.refclocks.iter();
        lines.try_for_each(|line| self.check_refclock(line))
    }

    /// The same of one line.
    ///
    /// # Errors
    ///
    /// Those of [`Config::check_refclocks`].
    pub fn check_refclock(&self, line: &RefclockSpec) -> Result<(), StartupError> {
        let name = line.known_driver()?;
        if line.options.tai && self.leap.list.is_none() && self.leap.timezone.is_none() {
            return Err(StartupError::TaiWithoutLeap);
        }
        line.driver()?;
        if name == "RTC" && (self.rtc.file.is_some() || self.rtc.sync) {
            return Err(StartupError::RtcRefclock);
        }
        Ok(())
    }

    /// A scheduling priority must be below 100; `priority` is the one that wins.
    ///
    /// # Errors
    ///
    /// [`StartupError::BadPriority`].
    pub const fn check_priority(&self, priority: u8) -> Result<(), StartupError> {
        if priority > 99 {
            Err(StartupError::BadPriority(priority))
        } else {
            Ok(())
        }
    }

    /// Rate limits need the client log.
    ///
    /// # Errors
    ///
    /// [`StartupError::RateLimitWithoutLog`].
    pub const fn check_client_log(&self) -> Result<(), StartupError> {
        let limited = self.server.rate_limit.is_some()
            || self.nts.rate_limit.is_some()
            || self.command.rate_limit.is_some();
        if limited && self.server.no_client_log {
            return Err(StartupError::RateLimitWithoutLog);
        }
        Ok(())
    }
}

/// Prefixes must not be longer than their addresses.
///
/// # Errors
///
/// [`StartupError::BadSubnet`] of the first rule.
pub fn check_access(rules: &[AccessRule]) -> Result<(), StartupError> {
    match rules
        .iter()
        .map(|rule| &rule.subnet)
        .find(|subnet| !subnet.is_valid())
    {
        None => Ok(()),
        Some(Subnet::Prefix { address, bits }) => {
            Err(StartupError::BadSubnet(format!("{address}/{bits}")))
        }
        Some(subnet) => Err(StartupError::BadSubnet(subnet.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use crate::{MemoryFiles, ParseOptions, parse_lines};

    fn first_fault(lines: &[&str]) -> Option<String> {
        let parsed = parse_lines(lines, &MemoryFiles::new(), ParseOptions::default()).unwrap();
        parsed.config.check().err().map(|error| error.to_string())
    }

    #[test]
    fn faults_are_found_one_by_one() {
        for (lines, want) in [
            (
                &["ntsservercert a"][..],
                "Uneven number of NTS certs and keys",
            ),
            (
                &["rtcfile /x", "rtcsync"],
                "rtcfile directive cannot be used with rtcsync",
            ),
            (&["refclock FOO 0"], "unknown refclock driver FOO"),
            (&["refclock FOO 0 tai"], "unknown refclock driver FOO"),
            (
                &["refclock SHM 0 tai", "refclock FOO 0"],
                "refclock tai option requires leapseclist or leapsectz",
            ),
            (
                &["refclock SHM 0:x tai"],
                "refclock tai option requires leapseclist or leapsectz",
            ),
            (
                &["rtcsync", "refclock RTC /x:foo"],
                "Invalid refclock driver option foo",
            ),
            (
                &["rtcsync", "refclock RTC /x"],
                "RTC refclock cannot be used together with rtcsync or rtcfile",
            ),
            (
                &["rtcfile /y", "refclock RTC /x"],
                "RTC refclock cannot be used together with rtcsync or rtcfile",
            ),
            (&["allow 10/33"], "Bad subnet in 10.0.0.0/33"),
            (&["deny 0300::/200"], "Bad subnet in 300::/200"),
            (&["cmdallow ::/129"], "Bad subnet in ::/129"),
            (&["sched_priority 100"], "Bad scheduler priority: 100"),
            (
                &["noclientlog", "cmdratelimit"],
                "Rate limiting cannot be enabled with noclientlog",
            ),
            (
                &["noclientlog", "ratelimit"],
                "Rate limiting cannot be enabled with noclientlog",
            ),
            (
                &["noclientlog", "ntsratelimit"],
                "Rate limiting cannot be enabled with noclientlog",
            ),
        ] {
            assert_eq!(first_fault(lines).as_deref(), Some(want), "{lines:?}");
        }
        for lines in [
            &["noclientlog"][..],
            &["ratelimit"],
            &["sched_priority 99"],
            &["refclock SHM 0 tai", "leapsectz right/UTC"],
            &["refclock SHM 0 tai", "leapseclist /x"],
            &["refclock RTC /x"],
            &["ntsservercert a", "ntsserverkey b"],
        ] {
            assert_eq!(first_fault(lines), None, "{lines:?}");
        }
    }

    /// Each line alone is a fault; without the first ones the next one shows.
    #[test]
    fn faults_are_found_in_the_order_of_start_up() {
        let lines = [
            "ntsservercert a",
            "rtcfile /x",
            "refclock FOO 0",
            "allow 1.2.3.4/33",
            "cmdallow ::/129",
            "sched_priority 100",
            "noclientlog",
        ];
        let common = ["rtcsync", "ratelimit"];
        let faults: Vec<String> = (0..lines.len())
            .map(|skip| {
                let all: Vec<&str> = common.iter().chain(&lines[skip..]).copied().collect();
                first_fault(&all).unwrap()
            })
            .collect();
        assert_eq!(
            faults,
            [
                "Uneven number of NTS certs and keys",
                "rtcfile directive cannot be used with rtcsync",
                "unknown refclock driver FOO",
                "Bad subnet in 1.2.3.4/33",
                "Bad subnet in ::/129",
                "Bad scheduler priority: 100",
                "Rate limiting cannot be enabled with noclientlog",
            ]
        );
    }
}
