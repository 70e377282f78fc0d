//! What a distribution decides when it builds the programs: paths, users, the NTP era.
//!
//! Every value is a constant that the build script takes from an environment variable of the build
//! or, where that is unset or empty, from the documented default (`daemon-and-files.md` 13,
//! `ntp-engine.md` 1.2). Both programs use these constants, so they agree. A value that cannot be
//! meant stops the build with the variable's name and the reason.
//!
//! ```text
//! TIMEWRIGHT_RUN_DIR=/run/chrony cargo build --release
//! ```
#![forbid(unsafe_code)]

#[cfg(test)]
#[path = "options.rs"]
mod options;

/// The configuration file of `chronyd` (`TIMEWRIGHT_CONFIG_FILE`).
pub const CONFIG_FILE: &str = env!("TIMEWRIGHT_BUILT_CONFIG_FILE");
/// The user `chronyd` runs as unless told otherwise (`TIMEWRIGHT_USER`).
pub const USER: &str = env!("TIMEWRIGHT_BUILT_USER");
/// The user `chronyc` becomes when started by root (`TIMEWRIGHT_CHRONYC_USER`).
pub const CHRONYC_USER: &str = env!("TIMEWRIGHT_BUILT_CHRONYC_USER");
/// The directory of what lives as long as the daemon (`TIMEWRIGHT_RUN_DIR`).
pub const RUN_DIR: &str = env!("TIMEWRIGHT_BUILT_RUN_DIR");
/// The directory of what outlives the daemon, as manuals and examples name it
/// (`TIMEWRIGHT_STATE_DIR`).
pub const STATE_DIR: &str = env!("TIMEWRIGHT_BUILT_STATE_DIR");
/// The pid file (`TIMEWRIGHT_PID_FILE`; otherwise in [`RUN_DIR`]).
pub const PID_FILE: &str = env!("TIMEWRIGHT_BUILT_PID_FILE");
/// The Unix command socket (`TIMEWRIGHT_COMMAND_SOCKET`; otherwise in [`RUN_DIR`]).
pub const COMMAND_SOCKET: &str = env!("TIMEWRIGHT_BUILT_COMMAND_SOCKET");
/// The real-time clock (`TIMEWRIGHT_RTC_DEVICE`).
pub const RTC_DEVICE: &str = env!("TIMEWRIGHT_BUILT_RTC_DEVICE");
/// The file that says whether the real-time clock keeps UTC, if there is one
/// (`TIMEWRIGHT_HWCLOCK_FILE`).
pub const HWCLOCK_FILE: Option<&str> = non_empty(env!("TIMEWRIGHT_BUILT_HWCLOCK_FILE"));
/// The program that takes mail on its standard input (`TIMEWRIGHT_SENDMAIL`).
pub const SENDMAIL: &str = env!("TIMEWRIGHT_BUILT_SENDMAIL");
/// First Unix second of the 2^32 seconds that NTP time is taken to mean (`TIMEWRIGHT_NTP_ERA`;
/// otherwise 18250 days before `SOURCE_DATE_EPOCH`, or before the first release without that).
pub const NTP_ERA_S: i64 = seconds(env!("TIMEWRIGHT_BUILT_NTP_ERA"));

/// The option's value, if it was set.
const fn non_empty(text: &str) -> Option<&str> {
    if text.is_empty() { None } else { Some(text) }
}

/// The number that the build script wrote.
const fn seconds(text: &str) -> i64 {
    match i64::from_str_radix(text, 10) {
        Ok(value) => value,
        Err(_) => panic!("the build script writes a number"),
    }
}
