//! Smoothing of served time (`smoothtime`, `discipline.md` 10): clients of ours see a correction
//! as a slow, bounded change of frequency.

use super::effect::{ChangeKind, ClockChange, DisciplineEvent, SmoothingCommand};
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Smoothing starts when the skew is below this many seconds of wander.
const UNLOCK_SKEW_WANDER_RATIO: f64 = 10_000.0;
const STAGES: usize = 3;

/// Settings of `smoothtime`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothConfig {
    /// Largest frequency offset of served time.
    pub max_frequency: FreqRatio,
    /// Largest rate of change of that frequency, s/s².
    pub max_wander: f64,
    /// Only leap seconds are smoothed.
    pub leap_only: bool,
}

impl SmoothConfig {
    /// From the directive's ppm and ppm/s; `None` (no smoothing) unless both are positive.
    #[must_use]
    pub fn from_ppm(frequency: f64, wander: f64, leap_only: bool) -> Option<Self> {
        (frequency > 0.0 && wander > 0.0).then_some(Self {
            max_frequency: FreqRatio::from_ppm(frequency),
            max_wander: wander * 1e-6,
            leap_only,
        })
    }
}

/// A piece of the plan with constant wander.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stage {
    /// Rate of change of the frequency, s/s².
    pub wander: f64,
    /// Length, s.
    pub length: f64,
}

/// The plan in force, as plain data: served offset at any time (`discipline.md` 10.1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SmoothPlan {
    /// Offset at `start`; to be added to served time.
    pub offset: Seconds,
    /// Frequency at `start`, s/s; positive: the offset shrinks.
    pub frequency: f64,
    /// When the plan was made; zero: never.
    pub start: Timestamp<Cooked>,
    /// What follows.
    pub stages: [Stage; STAGES],
}

/// Offset, frequency and wander of served time at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SmoothValue {
    /// To be added to served time.
    pub offset: Seconds,
    /// s/s; positive: the offset shrinks.
    pub frequency: f64,
    /// Rate of change of the frequency, s/s².
    pub wander: f64,
}

impl SmoothPlan {
    /// The value at `at`.
    #[must_use]
    pub fn value(&self, at: Timestamp<Cooked>) -> SmoothValue {
        let mut elapsed = (at - self.start).0;
        let mut offset = self.offset.0;
        let mut frequency = self.frequency;
        let mut wander = 0.0;
        for stage in &self.stages {
            if elapsed <= 0.0 {
                break;
            }
            let length = stage.length.min(elapsed);
            wander = stage.wander;
            offset -= length * (2.0 * frequency + wander * length) / 2.0;
            frequency += wander * length;
            elapsed -= length;
        }
        if elapsed > 0.0 {
            wander = 0.0;
            offset -= elapsed * frequency;
        }
        SmoothValue {
            offset: Seconds(offset),
            frequency,
            wander,
        }
    }

    /// The shortest plan to offset and frequency zero within the limits: speed up, run at the
    /// largest frequency, slow down (`discipline.md` 10.2).
    fn recompute(&mut self, config: &SmoothConfig) {
        let w = config.max_wander;
        let s1 = self.offset.0 / w;
        let s2 = self.frequency * self.frequency / (2.0 * w * w);

        let attempt = |dir: f64| {
            let mut error = 0.0;
            let mut s = dir * s1 + s2;
            if s < 0.0 {
                error += -s;
                s = 0.0;
            }
            let last = s.sqrt();
            let mut first = last - dir * self.frequency / w;
            if first < 0.0 {
                error += first * first;
                first = 0.0;
            }
            (error, dir, first, last)
        };
        let (down, up) = (attempt(-1.0), attempt(1.0));
        let (_, dir, mut first, mut last) = if down.0 < up.0 { down } else { up };

        let mut middle = 0.0;
        let excess = dir * self.frequency + first * w - config.max_frequency.0;
        if excess > 0.0 {
            let mut cut = excess / w;
            let frequency = if cut > first {
                cut = first;
                dir * self.frequency
            } else {
                config.max_frequency.0
            };
            middle = cut * (2.0 + excess / frequency);
            first -= cut;
            last -= cut;
        }
        self.stages = [
            Stage {
                wander: dir * w,
                length: first,
            },
            Stage {
                wander: 0.0,
                length: middle,
            },
            Stage {
                wander: -dir * w,
                length: last,
            },
        ];
    }
}

/// What the `smoothing` report shows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SmoothReport {
    /// Whether corrections are being smoothed.
    pub active: bool,
    /// Only leap seconds are.
    pub leap_only: bool,
    /// Offset of served time.
    pub offset: Seconds,
    /// Frequency of served time, ppm.
    pub frequency_ppm: f64,
    /// Rate of change of that frequency, ppm/s.
    pub wander_ppm: f64,
    /// Time since the plan was made; 0 if inactive.
    pub last_update_ago: Seconds,
    /// Time until nothing is left to smooth; 0 if inactive.
    pub remaining: Seconds,
}

/// Smoothing of served time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    config: SmoothConfig,
    /// Until the clock is stable, or `smoothtime activate`, corrections are served as they are.
    locked: bool,
    plan: SmoothPlan,
}

impl Smoothing {
    /// Waiting for a stable clock.
    #[must_use]
    pub fn new(config: SmoothConfig) -> Self {
        Self {
            config,
            locked: true,
            plan: SmoothPlan::default(),
        }
    }

    /// Follows a change of the clock; `skew` is that of the reference.
    pub fn on_clock_change(
        &mut self,
        change: &ClockChange,
        skew: FreqRatio,
    ) -> Option<DisciplineEvent> {
        let event = if change.kind == ChangeKind::Adjust {
            let (offset, dfreq) = if self.config.leap_only {
                (Seconds::ZERO, 0.0)
            } else {
                (change.doffset, change.dfreq)
            };
            self.update(change.cooked, offset, dfreq, skew)
        } else {
            None
        };
        if !self.plan.start.is_zero() {
            self.plan.start = self
                .plan
                .start
                .adjusted(change.cooked, change.dfreq, change.doffset.0)
                .0;
        }
        event
    }

    /// Follows a step or a leap second about to happen.
    pub fn on_command(
        &mut self,
        command: SmoothingCommand,
        skew: FreqRatio,
    ) -> Option<DisciplineEvent> {
        match command {
            SmoothingCommand::Reset { now } => Some(self.reset(now)),
            SmoothingCommand::Leap { now, leap } if self.config.leap_only => {
                self.update(now, Seconds(f64::from(leap)), 0.0, skew)
            }
            SmoothingCommand::Leap { .. } => None,
        }
    }

    /// Serves our best time at once (also command `smoothtime reset`).
    pub fn reset(&mut self, now: Timestamp<Cooked>) -> DisciplineEvent {
        self.plan = SmoothPlan {
            start: now,
            ..SmoothPlan::default()
        };
        DisciplineEvent::SmoothingReset
    }

    /// Starts smoothing whatever the skew (command `smoothtime activate`); nothing happens if it
    /// is active.
    pub fn activate(&mut self, now: Timestamp<Cooked>) -> Option<DisciplineEvent> {
        if !self.locked {
            return None;
        }
        self.locked = false;
        self.plan.start = now;
        Some(DisciplineEvent::SmoothingActivated {
            leap_only: self.config.leap_only,
        })
    }

    /// The plan in force, for the server.
    #[must_use]
    pub const fn plan(&self) -> SmoothPlan {
        self.plan
    }

    /// Offset to be added to time served at `at`.
    #[must_use]
    pub fn offset(&self, at: Timestamp<Cooked>) -> Seconds {
        self.plan.value(at).offset
    }

    /// Whether only leap seconds are smoothed.
    #[must_use]
    pub const fn leap_only(&self) -> bool {
        self.config.leap_only
    }

    /// For the `smoothing` report.
    #[must_use]
    pub fn report(&self, now: Timestamp<Cooked>) -> SmoothReport {
        let value = self.plan.value(now);
        let age = (now - self.plan.start).0;
        let total: f64 = self.plan.stages.iter().map(|s| s.length).sum();
        let (age, remaining) = if self.locked || age < 0.0 {
            (0.0, 0.0)
        } else {
            (age, (total - age).max(0.0))
        };
        SmoothReport {
            active: !self.locked,
            leap_only: self.config.leap_only,
            offset: value.offset,
            frequency_ppm: -1e6 * value.frequency,
            wander_ppm: -1e6 * value.wander,
            last_update_ago: Seconds(age),
            remaining: Seconds(remaining),
        }
    }

    /// Starts the plan at another time, for recordings that leave the clock alone.
    #[cfg(test)]
    pub(crate) fn set_start(&mut self, start: Timestamp<Cooked>) {
        self.plan.start = start;
    }

    /// Takes a correction of the clock into the plan.
    fn update(
        &mut self,
        now: Timestamp<Cooked>,
        offset: Seconds,
        dfreq: f64,
        skew: FreqRatio,
    ) -> Option<DisciplineEvent> {
        if self.locked {
            let stable = skew.0 / self.config.max_wander < UNLOCK_SKEW_WANDER_RATIO;
            return if self.config.leap_only || stable {
                self.activate(now)
            } else {
                None
            };
        }
        let value = self.plan.value(now);
        self.plan.offset = value.offset + offset;
        self.plan.frequency = (value.frequency - dfreq) / (1.0 - dfreq);
        self.plan.start = now;
        self.plan.recompute(&self.config);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: f64) -> Timestamp<Cooked> {
        Timestamp::ZERO + Seconds(s)
    }

    fn active(frequency_ppm: f64, wander_ppm: f64) -> Smoothing {
        let config = SmoothConfig::from_ppm(frequency_ppm, wander_ppm, false).unwrap();
        Smoothing {
            locked: false,
            ..Smoothing::new(config)
        }
    }

    fn change(t: f64, dfreq: f64, doffset: f64, kind: ChangeKind) -> ClockChange {
        let raw = Timestamp::ZERO + Seconds(t);
        ClockChange {
            seq: 1,
            raw,
            cooked: at(t),
            dfreq,
            doffset: Seconds(doffset),
            kind,
        }
    }

    #[test]
    fn needs_both_limits() {
        for (f, w, want) in [
            (400.0, 0.001, true),
            (0.0, 0.001, false),
            (400.0, -1.0, false),
        ] {
            assert_eq!(SmoothConfig::from_ppm(f, w, false).is_some(), want);
        }
    }

    #[test]
    fn hand_checkable_plans() {
        // discipline.md 17: F = 1e-4, W = 1e-6.
        let mut smoothing = active(100.0, 1.0);
        smoothing.update(at(0.0), Seconds(0.001), 0.0, FreqRatio::ZERO);
        let [a, b, c] = smoothing.plan.stages;
        assert!((a.length - 31.622_776_601_683_793).abs() < 1e-9 && a.wander > 0.0);
        assert!(b.length.abs() < 1e-12);
        assert!((c.length - 31.622_776_601_683_793).abs() < 1e-9 && c.wander < 0.0);

        let mut smoothing = active(100.0, 1.0);
        smoothing.update(at(0.0), Seconds(0.1), 0.0, FreqRatio::ZERO);
        for (stage, want) in smoothing.plan.stages.iter().zip([100.0, 900.0, 100.0]) {
            assert!((stage.length - want).abs() < 1e-6, "{stage:?}");
        }
    }

    #[test]
    fn locked_until_the_skew_is_small_and_the_first_value_is_not_taken() {
        let config = SmoothConfig::from_ppm(400.0, 0.001, false).unwrap();
        let mut smoothing = Smoothing::new(config);
        let big = change(10.0, 0.0, 0.5, ChangeKind::Adjust);
        assert_eq!(smoothing.on_clock_change(&big, FreqRatio(1e-5)), None);
        assert!(!smoothing.report(at(10.0)).active);
        assert_eq!(
            smoothing.on_clock_change(&big, FreqRatio(9e-6)),
            Some(DisciplineEvent::SmoothingActivated { leap_only: false })
        );
        assert_eq!(smoothing.offset(at(11.0)), Seconds::ZERO);
        smoothing.on_clock_change(&big, FreqRatio(9e-6));
        assert!((smoothing.offset(at(9.5)).0 - 0.5).abs() < 1e-12);
    }

    #[test]
    fn leap_only_ignores_ordinary_corrections() {
        let config = SmoothConfig::from_ppm(400.0, 0.001, true).unwrap();
        let mut smoothing = Smoothing::new(config);
        let adjust = change(10.0, 1e-5, 0.5, ChangeKind::Adjust);
        assert!(smoothing.on_clock_change(&adjust, FreqRatio(1.0)).is_some());
        smoothing.on_clock_change(&adjust, FreqRatio(1.0));
        assert_eq!(smoothing.offset(at(20.0)), Seconds::ZERO);
        let leap = SmoothingCommand::Leap {
            now: at(30.0),
            leap: 1,
        };
        smoothing.on_command(leap, FreqRatio(1.0));
        assert!((smoothing.offset(at(30.0)).0 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_report_counts_down() {
        let mut smoothing = active(100.0, 1.0);
        smoothing.update(at(10.0), Seconds(0.1), 0.0, FreqRatio::ZERO);
        // 100 s of growing, 900 s of largest, 100 s of shrinking frequency.
        for (t, frequency_ppm, wander_ppm, remaining) in [
            (60.0, -50.0, -1.0, 1050.0),
            (510.0, -100.0, 0.0, 600.0),
            (1060.0, -50.0, 1.0, 50.0),
            (2000.0, 0.0, 0.0, 0.0),
        ] {
            let report = smoothing.report(at(t));
            assert!(report.active && !report.leap_only);
            assert!((report.frequency_ppm - frequency_ppm).abs() < 1e-6, "{t}");
            assert!((report.wander_ppm - wander_ppm).abs() < 1e-9, "{t}");
            assert!((report.remaining.0 - remaining).abs() < 1e-6, "{t}");
            assert!((report.last_update_ago.0 - (t - 10.0)).abs() < 1e-9, "{t}");
        }
        // Before the plan was made (a step back) nothing is counted.
        let report = smoothing.report(at(5.0));
        assert_eq!(
            (report.last_update_ago, report.remaining),
            (Seconds::ZERO, Seconds::ZERO)
        );
    }

    #[test]
    fn a_leap_second_of_the_clock_itself_is_only_smoothed_alone() {
        let mut smoothing = active(400.0, 1.0);
        let leap = SmoothingCommand::Leap {
            now: at(30.0),
            leap: -1,
        };
        assert_eq!(smoothing.on_command(leap, FreqRatio::ZERO), None);
        assert_eq!(smoothing.offset(at(30.0)), Seconds::ZERO);
        // Only the clock change that slews it is.
        smoothing.on_clock_change(
            &change(30.0, 0.0, -1.0, ChangeKind::Adjust),
            FreqRatio::ZERO,
        );
        assert!((smoothing.plan.offset.0 + 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_step_resets() {
        let mut smoothing = active(100.0, 1.0);
        smoothing.update(at(0.0), Seconds(0.1), 0.0, FreqRatio::ZERO);
        let reset = SmoothingCommand::Reset { now: at(5.0) };
        assert_eq!(
            smoothing.on_command(reset, FreqRatio::ZERO),
            Some(DisciplineEvent::SmoothingReset)
        );
        assert_eq!(smoothing.offset(at(6.0)), Seconds::ZERO);
        smoothing.on_clock_change(&change(5.0, 0.0, 2.0, ChangeKind::Step), FreqRatio::ZERO);
        assert_eq!(smoothing.plan.start, at(3.0));
    }

    proptest! {
        // The check of upstream's unit test (discipline.md 17): everything decays to zero.
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn corrections_end_at_zero(offset in -0.5..0.5f64, freq in -5e-4..5e-4f64) {
            let mut smoothing = active(300.0, 0.01);
            smoothing.reset(at(0.0));
            smoothing.update(at(0.0), Seconds(offset), freq, FreqRatio::ZERO);
            for i in 0..10_000 {
                smoothing.update(at(f64::from(i) * 16.0), Seconds::ZERO, 0.0, FreqRatio::ZERO);
            }
            let value = smoothing.plan.value(at(160_000.0));
            prop_assert!(value.offset.0.abs() < 1e-12, "{value:?}");
            prop_assert!(value.frequency.abs() < 1e-12, "{value:?}");
            prop_assert!(value.wander.abs() < 1e-12, "{value:?}");
        }

        #[test]
        fn frequency_stays_within_its_limit(offset in -10.0..10.0f64, t in 0.0..1e5f64) {
            let mut smoothing = active(300.0, 0.01);
            smoothing.update(at(0.0), Seconds(offset), 0.0, FreqRatio::ZERO);
            let value = smoothing.plan.value(at(t));
            prop_assert!(value.frequency.abs() <= 300e-6 * (1.0 + 1e-9));
        }
    }
}
