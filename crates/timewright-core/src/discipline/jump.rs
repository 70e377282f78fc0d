//! Notices that the clocks went on while nobody watched, or were moved by somebody else
//! (`discipline.md` 1.4).
//!
//! After every wait three clocks and the wait itself are compared:
//!
//! | what happened | system clock | monotonic | boot time | against the wait |
//! |---|---|---|---|---|
//! | step from outside | jumps | goes on | goes on | in time |
//! | suspend | goes on | stood still | goes on | in time |
//! | virtual machine paused, process stopped | goes on | goes on | goes on | late |
//!
//! Slewing moves all three alike and is none of these. A machine whose clocks all stood still
//! cannot notice it by itself; the next samples tell.
//!
//! What is found is a [`Jump`]: what to log, by how much the clock moved without running at the
//! frequency we gave it, and how wrong it may be now.
//!
//! # How wrong
//!
//! - A *step* is seen exactly, so what was known of the clock is wrong by just that.
//! - After a *suspend* the kernel adds to the system clock and to the boot-time clock what another
//!   clock counted meanwhile. At worst that is a battery-backed one of whole seconds, compared
//!   with the system clock at both ends with a tolerance of two seconds, whose frequency nobody
//!   corrects: [`RTC_RESOLUTION`] and [`RTC_DRIFT`].
//! - After a *pause* clocks that are right (a stopped process) and clocks that were put right by
//!   somebody else look the same.
//!
//! Beyond ten seconds of any of them, as for the reference implementation, nothing is claimed any
//! more until a source was heard.

use super::effect::{ChangeKind, ClockChange, DisciplineEvent};
use timewright_time::{MonoTime, Now, Raw, Seconds, Timestamp};

/// Beyond so many whole seconds nothing is known of the clock any more. Also how late a wake-up
/// has to be to be a pause: swapping or a stopped process may well take a few seconds, which is
/// no reason to throw samples away.
const THRESHOLD_S: i64 = 10;
/// Shorter steps are left to the samples: other tools that nudge the clock again and again must
/// not keep us from measuring it.
const STEP_MIN_NS: i64 = 10_000_000;
/// Monotonic and boot-time clock have the same source; they differ by suspends only, and by what
/// passes between reading them.
const SUSPEND_MIN_NS: i64 = 1_000_000;
/// Error of the time a suspend took: two readings of whole seconds, and the kernel takes up to two
/// seconds from one suspend to the next for such rounding.
const RTC_RESOLUTION: Seconds = Seconds(2.0);
/// Error per second: what the kernel allows a clock to be wrong (`MAXFREQ`).
const RTC_DRIFT: f64 = 500e-6;
/// Around midnight UTC the kernel may insert or leave out a second, and it takes up to so long
/// until that is known here.
const LEAP_WINDOW_NS: i64 = 5 * NS_PER_S;

const NS_PER_S: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * NS_PER_S;

/// What a wait was about and what followed it, besides the two clocks in [`Now`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// When it was to end at the latest, if there was a limit.
    pub until: Option<MonoTime>,
    /// The clock that counts suspends, read together with the others; its zero does not matter.
    /// `None` if the system has none: then a suspend is a step.
    pub boot: Option<MonoTime>,
}

/// Why the clock cannot be trusted as before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// Somebody stepped the system clock.
    Step,
    /// The machine slept for so long.
    Suspend(Seconds),
    /// The machine or we stood still for so long while all clocks went on.
    Pause(Seconds),
}

/// A clock that was not under our control for a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// What happened.
    pub cause: Cause,
    /// Step of the system clock; positive: it was moved back.
    pub offset: Seconds,
    /// How far the system clock advanced without running: the suspend and the step.
    pub gained: Seconds,
    /// How wrong the clock may have become; `None`: nobody knows.
    pub error: Option<Seconds>,
}

impl Jump {
    /// What to log.
    #[must_use]
    pub fn event(&self) -> DisciplineEvent {
        match self.cause {
            Cause::Step if self.offset.0 > 0.0 => DisciplineEvent::BackwardJump,
            Cause::Step => DisciplineEvent::ForwardJump,
            Cause::Suspend(length) => DisciplineEvent::Suspended { length },
            Cause::Pause(length) => DisciplineEvent::Paused { length },
        }
    }
}

/// Compares clocks from one wake-up to the next.
#[derive(Clone, Copy, Debug)]
pub struct JumpDetector {
    raw: Timestamp<Raw>,
    mono: MonoTime,
    boot: Option<MonoTime>,
}

impl JumpDetector {
    /// Starts comparing at `now`.
    #[must_use]
    pub const fn new(now: Now) -> Self {
        Self {
            raw: now.raw,
            mono: now.mono,
            boot: None,
        }
    }

    /// Called right after a wait.
    pub fn check(&mut self, now: Now, wait: Wait) -> Option<Jump> {
        let last = *self;
        *self = Self {
            raw: now.raw,
            mono: now.mono,
            boot: wait.boot,
        };
        let ran = elapsed(last.mono, now.mono).max(0);
        let slept = last.boot.zip(wait.boot).map(|(before, after)| {
            let passed = elapsed(before, after);
            passed.saturating_sub(ran).max(0)
        });
        let gained = now.raw.ns().saturating_sub(last.raw.ns());
        let gained = gained.saturating_sub(ran);
        // Positive: forward.
        let step = gained.saturating_sub(slept.unwrap_or(0));
        // Also what was spent since the last wake-up outside of the wait is lateness.
        let late = wait
            .until
            .map_or(0, |until| elapsed(until.max(last.mono), now.mono));

        let is_far = |ns: i64| (ns / NS_PER_S).abs() > THRESHOLD_S;
        let slept_for = slept.unwrap_or(0);
        let cause = if is_far(step) {
            Cause::Step
        } else if slept_for >= SUSPEND_MIN_NS {
            Cause::Suspend(seconds(slept_for))
        } else if late > 0 && is_far(late) {
            Cause::Pause(seconds(late))
        } else if slept.is_some()
            && step.saturating_abs() >= STEP_MIN_NS
            && !is_leap_second(last.raw, now.raw, step)
        {
            Cause::Step
        } else {
            return None;
        };
        let is_unknown = is_far(step) || is_far(slept_for) || late > 0 && is_far(late);
        Some(Jump {
            cause,
            offset: -seconds(step),
            gained: seconds(gained),
            error: (!is_unknown).then(|| {
                let by_suspend = if slept_for >= SUSPEND_MIN_NS {
                    RTC_RESOLUTION + seconds(slept_for) * RTC_DRIFT
                } else {
                    Seconds::ZERO
                };
                by_suspend + seconds(step).abs()
            }),
        })
    }

    /// Follows the steps that are known.
    pub fn on_clock_change(&mut self, change: &ClockChange) {
        if change.kind == ChangeKind::Step {
            self.raw = self.raw - change.doffset;
        }
    }
}

/// Whether a step may be the kernel's leap second, or our own note of it: one second, around
/// midnight.
fn is_leap_second(before: Timestamp<Raw>, after: Timestamp<Raw>, step: i64) -> bool {
    let day = |ns: i64| ns.div_euclid(DAY_NS);
    step.saturating_abs().abs_diff(NS_PER_S) < STEP_MIN_NS.unsigned_abs()
        && day(before.ns().saturating_sub(LEAP_WINDOW_NS))
            < day(after.ns().saturating_add(LEAP_WINDOW_NS))
}

fn elapsed(from: MonoTime, to: MonoTime) -> i64 {
    to.ns().saturating_sub(from.ns())
}

fn seconds(ns: i64) -> Seconds {
    MonoTime::from_ns(ns) - MonoTime::ZERO
}

#[cfg(test)]
mod tests;
