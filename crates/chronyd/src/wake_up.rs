//! Reading the clocks at a wake-up, and waking up when somebody set them.

use crate::clocks::realtime;
use std::os::fd::BorrowedFd;
use timewright_sys::clock;
use timewright_sys::clock_changes::ClockChanges;
use timewright_time::{MonoTime, Now};

/// Monotonic and boot-time clock are apart by as much as at the last wake-up, or were read at
/// different moments: a longer difference is looked at again.
const APART_MAX_NS: u64 = 50_000;
/// How often. A process that is interrupted each time gets the best of them.
const TRIES: u32 = 5;

/// The clocks of the system, as far as it has them.
///
/// The boot-time clock counts suspends. Some kernels and simulators have none, then suspends look
/// like steps.
#[derive(Debug)]
pub(crate) struct WakeUpClocks {
    has_boot: bool,
    /// Boot-time minus monotonic clock at the last wake-up, ns.
    apart_ns: i64,
    changes: Option<ClockChanges>,
}

/// Reads the monotonic clock alone; it cannot fail on a system that runs at all.
pub(crate) fn monotonic() -> MonoTime {
    MonoTime::from_ns(clock::monotonic().unwrap_or(0))
}

/// One reading of all clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) now: Now,
    pub(crate) boot: Option<MonoTime>,
}

impl WakeUpClocks {
    pub(crate) fn new() -> Self {
        let has_boot = clock::boottime().is_ok();
        let mut clocks = Self {
            has_boot,
            apart_ns: i64::MIN,
            // Only real systems have both, and without the one the other has little to tell.
            changes: has_boot.then(ClockChanges::watch).and_then(Result::ok),
        };
        clocks.read();
        clocks
    }

    /// What becomes readable when the clock is set or the machine wakes up from a suspend.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.changes.as_ref().map(AsFd::as_fd)
    }

    /// The descriptor was readable: that is known now, the clocks tell what it was.
    pub(crate) fn acknowledge(&self) {
        if let Some(changes) = &self.changes {
            changes.take();
        }
    }

    /// Reads all clocks as close together as possible.
    pub(crate) fn read(&mut self) -> Reading {
        let mut best = self.read_once();
        for _ in 1..TRIES {
            if !self.has_boot || best.1.abs_diff(self.apart_ns) <= APART_MAX_NS {
                break;
            }
            // Being interrupted in between makes the difference larger, nothing makes it smaller.
            let again = self.read_once();
            if again.1 < best.1 {
                best = again;
            }
        }
        self.apart_ns = best.1;
        best.0
    }

    /// A reading, and how far boot-time and monotonic clock are apart in it.
    fn read_once(&mut self) -> (Reading, i64) {
        let mono = monotonic().ns();
        let now = Now {
            mono: MonoTime::from_ns(mono),
            raw: realtime(),
        };
        let boot = if self.has_boot {
            clock::boottime().ok()
        } else {
            None
        };
        self.has_boot = boot.is_some();
        let apart = boot.map_or(0, |boot| boot.saturating_sub(mono));
        let boot = boot.map(MonoTime::from_ns);
        (Reading { now, boot }, apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_close_together() {
        let mut clocks = WakeUpClocks::new();
        assert!(clocks.has_boot && clocks.descriptor().is_some());
        for _ in 0..1000 {
            let before = clocks.apart_ns;
            let reading = clocks.read();
            let boot = reading.boot.unwrap();
            // Far less than what counts as a suspend, also on a machine that is busy.
            assert!(clocks.apart_ns.abs_diff(before) < 1_000_000);
            assert_eq!(boot.ns() - reading.now.mono.ns(), clocks.apart_ns);
        }
    }

    #[test]
    fn a_system_without_the_clock_is_read_without_it() {
        let mut clocks = WakeUpClocks::new();
        clocks.has_boot = false;
        assert!(clocks.read().boot.is_none());
    }
}
