//! Harness of the process tests: hosts made of Linux namespaces, programs that run on them, and
//! what is needed to look at them from outside.
//!
//! A [`Lab`] is a switch, a [`Host`] a machine plugged into it: its own network, mounts (`/etc`,
//! `/run`, `/var/lib`, `/var/log`, `/dev` are private copies) and host name. Programs are started
//! with the command lines an administrator types. Everything disappears with the test.
//!
//! ```text
//! test ── Lab ── Host ── shell("chronyc sources -v")      a command and its output
//!                     └─ spawn("chronyd -d -x")           a Process: its lines, signals, end
//! ```
//!
//! The machine's clock is never set: the harness refuses to work while the right to set it is in
//! reach (`cargo xtask system` takes it away).

#![forbid(unsafe_code)]

mod lab;
mod packet;
mod process;
mod programs;
mod reports;
mod samples;

pub use lab::{Host, Lab, Output};
pub use packet::{NtpReply, NtpRequest, hex, unhex};
pub use process::Process;
pub use programs::Programs;
pub use reports::{Tracking, csv, csv_by, source_states};
pub use samples::{ShmSample, SockSample, system_time_us};

use std::time::{Duration, Instant};

/// How often a condition is looked at while waiting for it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until `look` gives something, at most `patience`.
///
/// # Panics
///
/// When time is up; the message says what was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    match try_wait_for(patience, &mut look) {
        Some(found) => found,
        None => panic!("{what}: not within {} seconds", patience.as_secs_f64()),
    }
}

/// Like [`wait_for`], with `None` when time is up.
pub fn try_wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if start.elapsed() >= patience {
            return None;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Seconds, for the many patiences of the tests.
#[must_use]
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
