//! Notices that somebody else stepped the system clock (`discipline.md` 1.4).
//!
//! After every wait the advance of the system clock is compared with that of the monotonic
//! clock, and with the wait that was asked for: a virtual machine that was paused, or a stopped
//! process, moves both clocks alike but overslept. A suspended machine shows as a system clock
//! that ran ahead of the monotonic one, which does not count the suspension; telling it from a
//! step would need the boot-time clock and would be one more argument of
//! [`JumpDetector::check`].

use super::effect::{ChangeKind, ClockChange, DisciplineEvent};
use timewright_time::{MonoTime, Now, Raw, Seconds, Timestamp};

/// Differences up to this many whole seconds are taken for delays.
const THRESHOLD_S: i64 = 10;
const NS_PER_S: i64 = 1_000_000_000;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wait {
    /// It lasted as long as asked for.
    TimedOut(Seconds),
    /// Something came in; it could have lasted at most so long, if there was a limit.
    Interrupted(Option<Seconds>),
}

/// A step of the system clock that was not ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// Whether the clock went back.
    pub backward: bool,
    /// Estimated step; positive: the clock was moved back.
    pub offset: Seconds,
}

impl Jump {
    /// What to log.
    #[must_use]
    pub const fn event(&self) -> DisciplineEvent {
        if self.backward {
            DisciplineEvent::BackwardJump
        } else {
            DisciplineEvent::ForwardJump
        }
    }
}

/// Compares clocks from one wake-up to the next.
#[derive(Clone, Copy, Debug)]
pub struct JumpDetector {
    last_raw: Timestamp<Raw>,
    last_mono: MonoTime,
}

impl JumpDetector {
    /// Starts comparing at `now`.
    #[must_use]
    pub const fn new(now: Now) -> Self {
        Self {
            last_raw: now.raw,
            last_mono: now.mono,
        }
    }

    /// Called right after a wait; `before` is the system clock right before it.
    ///
    /// A jump is to be given to
    /// [`LocalClock::external_step`](super::LocalClock::external_step).
    pub fn check(&mut self, before: Timestamp<Raw>, now: Now, wait: Wait) -> Option<Jump> {
        let (last_raw, last_mono) = (self.last_raw, self.last_mono);
        *self = Self::new(now);

        let mono_elapsed = (now.mono.ns().saturating_sub(last_mono.ns())).max(0);
        let since_last = now.raw.ns().saturating_sub(last_raw.ns());
        // The clocks against each other, in whole seconds as differences go.
        let ahead = since_last.saturating_sub(mono_elapsed) / NS_PER_S;
        if ahead.abs() > THRESHOLD_S {
            let offset = (last_raw - now.raw) + (now.mono - last_mono);
            return Some(Jump {
                backward: ahead < 0,
                offset,
            });
        }
        // The system clock against the wait.
        let (elapsed, limit) = match wait {
            Wait::TimedOut(timeout) => (timeout, timeout),
            Wait::Interrupted(Some(limit)) => (Seconds::ZERO, limit),
            Wait::Interrupted(None) => return None,
        };
        let overslept = (now.raw - before) - limit;
        if overslept.0 >= whole(THRESHOLD_S + 1) {
            return Some(Jump {
                backward: false,
                offset: (last_raw - now.raw) + elapsed,
            });
        }
        None
    }

    /// Follows the steps that are known.
    pub fn on_clock_change(&mut self, change: &ClockChange) {
        if change.kind == ChangeKind::Step {
            self.last_raw = self.last_raw - change.doffset;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small whole seconds")]
fn whole(s: i64) -> f64 {
    s as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now(mono: f64, raw: f64) -> Now {
        Now {
            mono: MonoTime::ZERO + Seconds(mono),
            raw: Timestamp::from_parts(1_600_000_000, 0) + Seconds(raw),
        }
    }

    #[track_caller]
    fn check(mono: f64, raw: f64, wait: Wait, want: Option<(bool, f64)>) {
        let start = now(0.0, 0.0);
        let jump = JumpDetector::new(start).check(start.raw, now(mono, raw), wait);
        match (jump, want) {
            (None, None) => {}
            (Some(jump), Some((backward, offset))) => {
                assert_eq!(jump.backward, backward, "{jump:?}");
                assert!((jump.offset.0 - offset).abs() < 1e-6, "{jump:?}");
            }
            _ => panic!("{jump:?}, want {want:?}"),
        }
    }

    #[test]
    fn steps_against_the_monotonic_clock() {
        let wait = Wait::Interrupted(None);
        check(64.0, 64.0, wait, None);
        check(64.0, 74.5, wait, None);
        check(64.0, 75.5, wait, Some((false, -11.5)));
        check(64.0, 53.5, wait, None);
        check(64.0, 52.5, wait, Some((true, 11.5)));
        check(64.0, -1000.0, wait, Some((true, 1064.0)));
    }

    #[test]
    fn oversleeping_with_both_clocks() {
        check(64.0, 64.0, Wait::TimedOut(Seconds(60.0)), None);
        check(
            75.0,
            75.0,
            Wait::TimedOut(Seconds(60.0)),
            Some((false, -15.0)),
        );
        check(
            75.0,
            75.0,
            Wait::Interrupted(Some(Seconds(60.0))),
            Some((false, -75.0)),
        );
        check(75.0, 75.0, Wait::Interrupted(Some(Seconds(70.0))), None);
    }

    #[test]
    fn our_own_steps_are_no_jumps() {
        for (step, kind, found) in [
            (3600.0, ChangeKind::Step, false),
            (-3600.0, ChangeKind::Step, false),
            (3600.0, ChangeKind::Adjust, true),
        ] {
            let start = now(0.0, 0.0);
            let mut detector = JumpDetector::new(start);
            detector.on_clock_change(&ClockChange {
                seq: 1,
                raw: start.raw,
                cooked: start.raw.cook(Seconds::ZERO),
                dfreq: 0.0,
                doffset: Seconds(step),
                kind,
            });
            let after = now(16.0, 16.0 - step);
            let jump = detector.check(now(0.0, -step).raw, after, Wait::TimedOut(Seconds(16.0)));
            assert_eq!(jump.is_some(), found);
        }
    }

    #[test]
    fn texts() {
        let jump = |backward| Jump {
            backward,
            offset: Seconds::ZERO,
        };
        assert_eq!(
            jump(true).event().to_string(),
            "Backward time jump detected!"
        );
        assert_eq!(
            jump(false).event().to_string(),
            "Forward time jump detected!"
        );
    }

    proptest! {
        #[test]
        fn slews_and_late_wakeups_are_no_jumps(
            wait in 0.0..10_000.0f64, rate in -1e-3..1e-3f64, late in 0.0..0.9f64
        ) {
            let start = now(0.0, 0.0);
            let elapsed = wait + late;
            let end = now(elapsed, elapsed * (1.0 + rate * 1e-1));
            let jump = JumpDetector::new(start).check(start.raw, end, Wait::TimedOut(Seconds(wait)));
            prop_assert_eq!(jump, None);
        }

        #[test]
        fn never_panics(a in any::<i64>(), b in any::<i64>(), c in any::<i64>(), d in any::<i64>()) {
            let at = |m, r| Now { mono: MonoTime::from_ns(m), raw: Timestamp::from_ns(r) };
            let _ = JumpDetector::new(at(a, b)).check(
                Timestamp::from_ns(b), at(c, d), Wait::Interrupted(Some(Seconds(1.0))));
        }
    }
}
