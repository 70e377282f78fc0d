//! The coming leap second: who announced it, when it is, and what phase of it we are in
//! (`discipline.md` 8.10, 8.11).
//!
//! Only the schedule is here; the correction of the clock is made by [`super::Reference`].

use super::Leap;
use timewright_config::LeapMode;
use timewright_time::text::Utc;
use timewright_time::{Cooked, MonoTime, Now, Raw, Seconds, Timestamp};

const DAY_S: i64 = 86_400;
/// Samples so close to a leap second are not taken, s.
const CLOSE_S: i64 = 5;
/// Time after which a leap second is surely over.
const END_DELAY: Seconds = Seconds(2.0);

/// Where we are relative to the announced leap second.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Idle,
    /// It begins at a raw time; `due` is when to look.
    Waiting {
        begin: Timestamp<Raw>,
        due: MonoTime,
    },
    /// It is over at a raw time.
    Passing {
        end: Timestamp<Raw>,
        due: MonoTime,
    },
}

/// What the leap timer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeapDue {
    Begin,
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct LeapSchedule {
    pub(crate) mode: LeapMode,
    /// What we tell others.
    pub(crate) leap: Leap,
    /// +1: a second will be inserted, -1: deleted, 0: neither.
    pub(crate) second: i8,
    pub(crate) tai_offset_s: i32,
    /// Midnight of the last announced leap second, Unix s; stays after it and after a
    /// cancellation. 0: never one.
    when: i64,
    phase: Phase,
}

impl LeapSchedule {
    pub(crate) const fn new(mode: LeapMode) -> Self {
        Self {
            mode,
            leap: Leap::Unsynchronised,
            second: 0,
            tai_offset_s: 0,
            when: 0,
            phase: Phase::Idle,
        }
    }

    pub(crate) const fn in_progress(&self) -> bool {
        matches!(self.phase, Phase::Passing { .. })
    }

    pub(crate) const fn next_deadline(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Idle => None,
            Phase::Waiting { due, .. } | Phase::Passing { due, .. } => Some(due),
        }
    }

    /// Whether one of the whole seconds lies within 5 s of the leap second.
    pub(crate) fn is_close(
        &self,
        raw: Timestamp<Raw>,
        cooked: Timestamp<Cooked>,
        sample: Option<(Timestamp<Cooked>, Seconds)>,
    ) -> bool {
        if self.when == 0 {
            return false;
        }
        let close = |t: i64| (self.when - CLOSE_S..self.when + CLOSE_S).contains(&t);
        let close_f = |t: f64| t >= whole(self.when - CLOSE_S) && t < whole(self.when + CLOSE_S);
        close(raw.sec())
            || close(cooked.sec())
            || sample.is_some_and(|(time, offset)| {
                close(time.sec()) || close_f(whole(time.sec()) + offset.0)
            })
    }

    /// Arms the timer for the announced leap second, or disarms it if there is none.
    pub(crate) fn arm(&mut self, raw: Timestamp<Raw>, now: Now) {
        self.phase = Phase::Idle;
        if self.second == 0 {
            return;
        }
        self.when = (raw.sec().div_euclid(DAY_S) + 1) * DAY_S;
        let mut begin = Timestamp::from_parts(self.when, 0);
        if self.second < 0 {
            begin = begin - Seconds(1.0);
        }
        if self.mode == LeapMode::System {
            // Before the kernel acts, so that nothing is measured while it does.
            begin = begin - Seconds(0.5);
        }
        self.phase = Phase::Waiting {
            begin,
            due: at(now, begin, raw),
        };
    }

    /// What is due; a timer that came early, since the clock runs differently from the monotonic
    /// one, is set again.
    pub(crate) fn take_due(&mut self, raw: Timestamp<Raw>, now: Now) -> Option<LeapDue> {
        if self.next_deadline().is_none_or(|due| now.mono < due) {
            return None;
        }
        match &mut self.phase {
            Phase::Idle => None,
            Phase::Waiting { begin, due } if raw < *begin => {
                *due = at(now, *begin, raw);
                None
            }
            Phase::Passing { end, due } if raw < *end => {
                *due = at(now, *end, raw);
                None
            }
            Phase::Waiting { .. } => Some(LeapDue::Begin),
            Phase::Passing { .. } => {
                self.phase = Phase::Idle;
                Some(LeapDue::End)
            }
        }
    }

    /// The leap second begins; `raw` is the time after our correction.
    pub(crate) fn pass(&mut self, raw: Timestamp<Raw>, now: Now) {
        let end = raw + END_DELAY;
        self.phase = Phase::Passing {
            end,
            due: at(now, end, raw),
        };
    }

    /// The leap second is over: its consequences for what we announce.
    pub(crate) fn settle(&mut self) {
        if self.tai_offset_s != 0 {
            self.tai_offset_s += i32::from(self.second);
        }
        self.second = 0;
        if matches!(self.leap, Leap::Insert | Leap::Delete) {
            self.leap = Leap::Normal;
        }
    }

    /// Follows a step of the clock while the leap second passes.
    pub(crate) fn shift(&mut self, offset: Seconds) {
        if let Phase::Passing { end, .. } = &mut self.phase {
            *end = *end - offset;
        }
    }
}

/// The effect of an announced leap on the clock: only at the end of June and December (UTC).
pub(crate) fn leap_second(leap: Leap, unix_s: i64) -> i8 {
    let date = Utc::from_unix(unix_s);
    let allowed = matches!((date.month, date.day), (6, 30) | (12, 31));
    match leap {
        Leap::Insert if allowed => 1,
        Leap::Delete if allowed => -1,
        _ => 0,
    }
}

fn at(now: Now, when: Timestamp<Raw>, raw: Timestamp<Raw>) -> MonoTime {
    now.mono + (when - raw).max(Seconds::ZERO)
}

#[expect(clippy::cast_precision_loss, reason = "Unix seconds are exact")]
fn whole(s: i64) -> f64 {
    s as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: i64 = 1_230_768_000;

    fn time<D>(offset: f64) -> Timestamp<D> {
        Timestamp::from_parts(MIDNIGHT, 0) + Seconds(offset)
    }

    fn now(offset: f64) -> Now {
        Now {
            mono: MonoTime::from_ns(5_000_000_000_000) + Seconds(offset),
            raw: time(offset),
        }
    }

    #[test]
    fn only_on_two_days_of_the_year() {
        for (unix_s, leap, want) in [
            (MIDNIGHT - 1, Leap::Insert, 1),
            (MIDNIGHT - DAY_S, Leap::Delete, -1),
            (MIDNIGHT, Leap::Insert, 0),
            (1_341_014_400, Leap::Insert, 1),
            (1_341_014_400 - 1, Leap::Insert, 0),
            (MIDNIGHT - 1, Leap::Normal, 0),
            (MIDNIGHT - 1, Leap::Unsynchronised, 0),
        ] {
            assert_eq!(leap_second(leap, unix_s), want, "{unix_s} {leap:?}");
        }
    }

    #[test]
    fn when_the_timer_fires() {
        for (mode, second, want) in [
            (LeapMode::System, 1, -0.5),
            (LeapMode::System, -1, -1.5),
            (LeapMode::Slew, 1, 0.0),
            (LeapMode::Step, -1, -1.0),
            (LeapMode::Ignore, 1, 0.0),
        ] {
            let mut schedule = LeapSchedule::new(mode);
            schedule.second = second;
            schedule.arm(time(-1000.0), now(-1000.0));
            let due = schedule.next_deadline().unwrap();
            assert!((due - now(want).mono).0.abs() < 1e-6, "{mode:?}");
            assert_eq!(schedule.take_due(time(want - 0.1), now(want - 0.1)), None);
            assert_eq!(
                schedule.take_due(time(want), now(want)),
                Some(LeapDue::Begin)
            );
        }
    }

    #[test]
    fn an_early_timer_is_set_again() {
        let mut schedule = LeapSchedule::new(LeapMode::Slew);
        schedule.second = 1;
        schedule.arm(time(-1000.0), now(-1000.0));
        assert_eq!(schedule.take_due(time(-0.25), now(0.0)), None);
        let due = schedule.next_deadline().unwrap();
        assert!((due - now(0.25).mono).0.abs() < 1e-6);
    }

    #[test]
    fn the_window_is_closed_for_ten_seconds() {
        let mut schedule = LeapSchedule::new(LeapMode::System);
        assert!(!schedule.is_close(time(0.0), time(0.0), None));
        schedule.second = 1;
        schedule.arm(time(-1000.0), now(-1000.0));
        let far = -600.0;
        for (raw, cooked, sample, want) in [
            (-5.1, far, None, false),
            (-5.0, far, None, true),
            (4.9, far, None, true),
            (5.0, far, None, false),
            (far, -1.0, None, true),
            (far, far, Some((3.0, 0.0)), true),
            (far, far, Some((30.0, -26.0)), true),
            (far, far, Some((30.0, -25.0)), false),
        ] {
            let sample = sample.map(|(t, offset)| (time(t), Seconds(offset)));
            assert_eq!(
                schedule.is_close(time(raw), time(cooked), sample),
                want,
                "{raw} {cooked}"
            );
        }
    }

    #[test]
    fn tai_moves_with_the_leap_second() {
        for (tai, second, want) in [(34, 1, 35), (37, -1, 36), (0, 1, 0)] {
            let mut schedule = LeapSchedule::new(LeapMode::System);
            (schedule.tai_offset_s, schedule.second, schedule.leap) = (tai, second, Leap::Insert);
            schedule.settle();
            assert_eq!(
                (schedule.tai_offset_s, schedule.second, schedule.leap),
                (want, 0, Leap::Normal)
            );
        }
    }
}
