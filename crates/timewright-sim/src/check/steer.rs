//! What may be done to the clock: steps by policy only, slews and frequencies within limits, and
//! no jump of the estimate of UTC but the recorded corrections.

use super::{Before, Place};
use crate::clock::Done;
use crate::node::Node;
use timewright_config::{Config, LeapMode};
use timewright_control::Request;
use timewright_core::discipline::ChangeKind;
use timewright_core::engine::{Boot, ClockView, Engine, Purpose, Shift};
use timewright_time::{MonoTime, Now, Raw, Seconds, Timestamp};

/// Rounding of the clock's frequency, ppm.
const FREQUENCY_QUANTUM_PPM: f64 = 1.0 / 65_536.0;
/// Largest frequency the simulated clock takes, ppm.
pub(super) const FREQUENCY_MAX_PPM: f64 = 100_000.0;
/// Rounding of times, s: whole nanoseconds, a few of them at a step.
const ROUNDING_S: f64 = 8e-9;
/// The clock's scale may change by no more than this at a step unless it is recorded, s/s.
const RATE_TOLERANCE: f64 = 1e-9;
/// A slew may run past its end for the resolution of waiting, s.
const LATE_S: f64 = 0.1;
/// A leap second that the kernel puts into a slew, s.
const LEAP_S: f64 = 1.0;
/// ... and for the rounding of the frequency over the longest slew, s.
const OVERRUN_S: f64 = 1e-6;

/// A clock moved by others is noticed within so much, s.
const NOTICED_S: f64 = 5000.0;
/// A leap second is followed within so much, by a daemon that runs, s; and not before it but for the
/// resolution of waiting.
const LEAP_LATE_S: f64 = 5.0;
const LEAP_EARLY_S: f64 = 1e-3;

/// What is remembered about the clock.
pub(super) struct Steering {
    controls: bool,
    max_drift_ppm: f64,
    max_slew_rate_ppm: f64,
    tempcomp: bool,
    /// See [`super::corrects_quietly`].
    quiet: bool,
    leap: LeapMode,
    /// `makestep` in force: threshold, limit; and accepted updates since it came into force.
    threshold_s: f64,
    limit: i32,
    updates: u32,
    last_update: Option<MonoTime>,
    /// `maxchange`: largest offset, and for how many updates it does not apply.
    max_change: Option<(f64, u32)>,
    /// Midnight of the leap second that was followed last, Unix s, and when that was.
    leapt: Option<(i64, Timestamp<Raw>)>,
    /// Until when others may have moved the clock.
    moved_until: Option<MonoTime>,
    /// Smallest step of `initstepslew` or of a one-shot run, while it may still come.
    initial_s: Option<f64>,
    /// The operator asked for a step.
    asked: bool,
    /// The frequency found in the clock at the start, which nobody limits, ppm.
    found_ppm: Option<f64>,
    /// The daemon ends: nothing is slewed any more.
    ends: bool,
    last: Now,
    /// Time the host was away or its clock was moved from outside since the slew was planned, s.
    slack_s: f64,
    slack_since: Timestamp<Raw>,
}

/// Changes of the clock in one step.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Corrections told to everybody; positive: the clock was fast.
    pub(super) corrected_s: f64,
    /// ... of which by stepping.
    pub(super) stepped_s: f64,
    /// Factors of the frequency changes.
    pub(super) rate: f64,
    pub(super) changes: u32,
    pub(super) unknown: bool,
    /// Steps of the clock itself; positive: moved back.
    pub(super) steps: Vec<f64>,
}

impl Moved {
    pub(super) fn new(shifts: &[Shift], done: &[Done]) -> Self {
        let mut moved = Self {
            rate: 1.0,
            ..Self::default()
        };
        for shift in shifts {
            let change = &shift.change;
            moved.changes += 1;
            moved.rate *= 1.0 - change.dfreq;
            match change.kind {
                ChangeKind::Adjust => moved.corrected_s += change.doffset.0,
                ChangeKind::Step => {
                    moved.corrected_s += change.doffset.0;
                    moved.stepped_s += change.doffset.0;
                }
                ChangeKind::UnknownStep => moved.unknown = true,
            }
        }
        moved.steps = done
            .iter()
            .filter_map(|done| match done {
                Done::Step(offset) => Some(offset.0),
                Done::Frequency(_) => None,
            })
            .collect();
        moved
    }
}

impl Steering {
    pub(super) fn new(config: &Config, boot: &Boot, node: &Node) -> Self {
        let clock = &config.clock;
        let (threshold_s, limit) = clock
            .make_step
            .map_or((0.0, 0), |m| (m.threshold.0, m.limit));
        let initial_s = match boot.purpose {
            Purpose::Daemon => config.initstepslew.as_ref().map(|i| i.threshold.0),
            _ => Some(0.0),
        };
        Self {
            controls: boot.control_clock,
            max_drift_ppm: clock.max_drift_ppm,
            max_slew_rate_ppm: clock.max_slew_rate_ppm,
            tempcomp: clock.temp_comp.is_some(),
            quiet: super::corrects_quietly(config),
            leap: config.leap.mode,
            threshold_s,
            limit,
            updates: 0,
            last_update: None,
            max_change: clock.max_change.map(|m| (m.offset.0, m.start)),
            leapt: None,
            moved_until: None,
            initial_s,
            asked: false,
            ends: false,
            found_ppm: None,
            last: node.clock.read(),
            slack_s: 0.0,
            slack_since: Timestamp::ZERO,
        }
    }

    pub(super) fn command(&mut self, request: &Request) {
        match request {
            Request::ModifyMakeStep(rule) => {
                self.threshold_s = rule.threshold;
                self.limit = rule.limit;
                self.updates = 0;
            }
            Request::MakeStep => self.asked = true,
            // It lets everybody believe that.
            Request::ResetSources => self.moved_until = Some(self.last.mono + Seconds(NOTICED_S)),
            _ => {}
        }
    }

    /// The frequency of a drift file is taken over; its first word is in ppm.
    pub(super) fn started(&self, drift: Option<&str>, engine: &Engine, place: &mut Place<'_>) {
        let word = drift.and_then(|text| text.split_whitespace().next());
        let Some(ppm) = word.and_then(|word| word.parse::<f64>().ok()) else {
            return;
        };
        let taken = engine.clock_view().frequency_ppm;
        place.check(
            !self.controls || ppm.abs() > self.max_drift_ppm || (taken - ppm).abs() <= 1e-5,
            "drift file",
            format_args!("{ppm} ppm became {taken}"),
        );
    }

    pub(super) const fn ends(&mut self) {
        self.ends = true;
    }

    pub(super) fn disturbed(&mut self, by_s: f64) {
        self.slack_s += by_s.abs();
        self.moved_until = Some(self.last.mono + Seconds(NOTICED_S + by_s.abs()));
    }

    /// A slew ends when nothing is left to slew.
    pub(super) fn overrun(&mut self, clock: &ClockView, now: Now, place: &mut Place<'_>) {
        let back = self.last.mono > now.mono;
        place.check(
            !back,
            "monotonic",
            format_args!("{:?} to {now:?}", self.last),
        );
        self.last = now;
        let beyond = clock.frequency_ppm.abs() > FREQUENCY_MAX_PPM;
        if !self.controls || clock.planned.is_zero() || beyond {
            return;
        }
        let left = remaining(clock, now.raw);
        let past = left * clock.outstanding.0 < 0.0 || clock.outstanding.0 == 0.0;
        let allowed = OVERRUN_S + clock.slew_rate.abs() * (LATE_S + LEAP_S + self.slack_s);
        place.check(
            !past || left.abs() <= allowed,
            "slew end",
            format_args!("{left:e} s left of {:?}, {clock:?}", clock.outstanding),
        );
    }

    pub(super) fn check(
        &mut self,
        before: &Before,
        moved: &Moved,
        done: &[Done],
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let now = place.node.clock.read();
        let clock = engine.clock_view();
        place.check(
            now.mono == before.now.mono,
            "instant",
            format_args!("a step took time or moved the monotonic clock"),
        );
        self.raw_time(before, moved, now, place);
        self.estimate(before, moved, &clock, now, place);
        self.limits(done, &clock, place);
        if clock.last_update != self.last_update {
            self.last_update = clock.last_update;
            if clock.last_update.is_some() {
                self.updates += 1;
                self.change(moved, place);
            }
        }
        let watched = self.moved_until.is_none_or(|until| now.mono > until);
        place.check(
            !(moved.unknown && watched) || super::is_near_leap(now.raw),
            "false alarm",
            format_args!("nobody moved the clock"),
        );
        for &step in &moved.steps {
            self.policy(step, before, place);
        }
        if !moved.steps.is_empty() {
            let mut said = place.node.log.iter().skip(before.logged);
            let told = said.any(|line| line.event.text.contains("step"));
            place.check(told, "silent step", format_args!("{:?} s", moved.steps));
        }
        self.asked = false;
        self.last = now;
        if self.slack_since != clock.planned {
            self.slack_since = clock.planned;
            self.slack_s = 0.0;
        }
    }

    /// An update that corrects more than `maxchange` is refused.
    fn change(&mut self, moved: &Moved, place: &mut Place<'_>) {
        let Some((largest, free)) = &mut self.max_change else {
            return;
        };
        if *free > 0 {
            *free -= 1;
            return;
        }
        place.check(
            moved.corrected_s.abs() <= *largest * (1.0 + 1e-9) + ROUNDING_S,
            "maxchange",
            format_args!("{} s, {largest} allowed", moved.corrected_s),
        );
    }

    /// The system clock jumps at recorded steps only.
    fn raw_time(&self, before: &Before, moved: &Moved, now: Now, place: &mut Place<'_>) {
        let jump = (now.raw - before.now.raw).0;
        let steps: f64 = moved.steps.iter().sum();
        place.check(
            (jump + steps).abs() <= ROUNDING_S + steps.abs() * 1e-12,
            "raw time",
            format_args!("{jump} s at steps of {steps} s"),
        );
    }

    /// The estimate of UTC jumps, and its rate changes, only by what everybody was told.
    fn estimate(
        &mut self,
        before: &Before,
        moved: &Moved,
        clock: &ClockView,
        now: Now,
        place: &mut Place<'_>,
    ) {
        if self.quiet {
            return;
        }
        let then = -remaining(&before.clock, before.now.raw);
        let jump = (now.raw - before.now.raw).0 - remaining(clock, now.raw) - then;
        if !moved.unknown {
            let unrecorded = jump + moved.corrected_s;
            let tolerance = ROUNDING_S + 1e-12 * (then.abs() + moved.corrected_s.abs());
            let leap =
                (unrecorded.abs() - 1.0).abs() <= 1e-3 && self.leaps(before.now.raw, -unrecorded);
            place.check(
                unrecorded.abs() <= tolerance || leap,
                "estimate",
                format_args!("jumped by {jump:e} s at {moved:?}"),
            );
        } else {
            // A clock that was set back has its midnight again.
            self.leapt = None;
        }
        if self.controls && !self.ends && !self.tempcomp && !before.clock.planned.is_zero() {
            let rate = |ppm: f64, slew: f64| (1.0 - ppm * 1e-6) * (1.0 + slew);
            let old = rate(before.correction_ppm, before.clock.slew_rate);
            let new = rate(place.node.clock.correction_ppm(), clock.slew_rate);
            place.check(
                (new / old / moved.rate - 1.0).abs() <= RATE_TOLERANCE,
                "estimate's rate",
                format_args!("changed by {:e} at {moved:?}", new / old - 1.0),
            );
        }
    }

    fn limits(&mut self, done: &[Done], clock: &ClockView, place: &mut Place<'_>) {
        let frequency = clock.frequency_ppm;
        let found = *self.found_ppm.get_or_insert(frequency);
        let unchanged = frequency.to_bits() == found.to_bits();
        place.check(
            unchanged || (frequency.is_finite() && frequency.abs() <= self.max_drift_ppm + 1e-9),
            "maxdrift",
            format_args!("{frequency} ppm"),
        );
        for done in done {
            if let Done::Frequency(ppm) = done {
                place.check(
                    ppm.abs() <= FREQUENCY_MAX_PPM,
                    "frequency",
                    format_args!("{ppm} ppm"),
                );
            }
        }
        // Only the last one belongs to the plan in force.
        if let Some(Done::Frequency(ppm)) =
            done.iter().rev().find(|d| matches!(d, Done::Frequency(_)))
        {
            let slew = (ppm - clock.base_ppm) / (1e6 - clock.base_ppm) * 1e6;
            let beyond_driver = clock.base_ppm.abs() > FREQUENCY_MAX_PPM;
            place.check(
                slew.abs() <= self.max_slew_rate_ppm + 2.0 * FREQUENCY_QUANTUM_PPM || beyond_driver,
                "maxslewrate",
                format_args!("{slew} ppm over {}", clock.base_ppm),
            );
        }
    }

    /// Who may step: `makestep`, its command, a leap second, and the start.
    fn policy(&mut self, step: f64, before: &Before, place: &mut Place<'_>) {
        let updates = i64::from(self.updates);
        let by_update = step.abs() > self.threshold_s
            && (self.limit < 0 || updates <= i64::from(self.limit))
            && self.limit != 0;
        let at_start = self.initial_s.is_some_and(|least| step.abs() >= least);
        let leap = self.leap == LeapMode::Step || self.leap == LeapMode::System;
        let by_leap = leap && (step.abs() - 1.0).abs() < 1e-9 && self.leaps(before.now.raw, step);
        if at_start {
            self.initial_s = None;
        }
        place.check(
            by_update || self.asked || at_start || by_leap,
            "step policy",
            format_args!(
                "{step} s at update {updates}, makestep {} {}",
                self.threshold_s, self.limit
            ),
        );
    }

    /// Whether a leap second is due, and not yet followed; `back` is positive if the clock goes back
    /// for it. One is inserted after midnight UTC, or left out a second before.
    fn leaps(&mut self, raw: Timestamp<Raw>, back: f64) -> bool {
        const DAY_S: i64 = 86_400;
        let midnight = (raw.sec() + DAY_S / 2).div_euclid(DAY_S) * DAY_S;
        let due = Timestamp::from_parts(midnight, 0) - Seconds(if back > 0.0 { 0.0 } else { 1.0 });
        let late = (raw - due).0;
        let first = self
            .leapt
            .is_none_or(|(then, at)| then != midnight || at == raw);
        self.leapt = Some((midnight, raw));
        first && (-LEAP_EARLY_S..=LEAP_LATE_S).contains(&late)
    }
}

/// What is left to slew; positive: the clock is fast.
fn remaining(clock: &ClockView, raw: Timestamp<Raw>) -> f64 {
    clock.outstanding.0 - clock.slew_rate * (raw - clock.planned).0
}
