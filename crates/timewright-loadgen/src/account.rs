//! Processor time of another process, as the scheduler counts it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// User and system time of all threads of a process since its start.
///
/// The scheduler's own count (`/proc/PID/task/TID/schedstat`) is exact to the nanosecond, where
/// the user and system times beside it are counted in clock ticks. Threads that have ended are
/// not in it.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let tasks = format!("/proc/{pid}/task");
    let entries = std::fs::read_dir(&tasks).with_context(|| format!("could not read {tasks}"))?;
    let mut total = Duration::ZERO;
    for entry in entries {
        total += on_processor(&entry?.path().join("schedstat"))?;
    }
    Ok(total)
}

fn on_processor(path: &Path) -> Result<Duration> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read {}", path.display()))?;
    parse(&text).with_context(|| format!("unexpected content of {}: {text}", path.display()))
}

/// The first of three numbers: time on the processor, time waiting for it, number of time slices.
fn parse(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace();
    let ns = words.next()?.parse().ok()?;
    (words.count() == 2).then(|| Duration::from_nanos(ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn only_three_numbers_are_an_account() {
        assert_eq!(parse("1500 2 3\n"), Some(Duration::from_nanos(1500)));
        for text in ["", "1 2", "x 2 3", "1 2 3 4"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn work_shows_in_the_account() {
        let before = cpu_time(std::process::id()).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::black_box(start);
        }
        assert!(cpu_time(std::process::id()).unwrap() > before);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(cpu_time(u32::MAX).is_err());
    }
}
