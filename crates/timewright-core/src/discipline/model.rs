//! The local clock layer: the map from raw to cooked time, and all operations on the clock
//! (`discipline.md` 7).

use super::effect::{
    ChangeKind, ClockChange, Cx, DisciplineEvent, Effect, Effects, SmoothingCommand,
};
use super::frequency::{Frequency, FrequencyChange};
use super::jump::Jump;
use super::null::NullCorrection;
use super::precision;
use super::slew::{Slew, SlewPlan};
use crate::clock::Clock;
use crate::stats;
use timewright_time::{Cooked, FreqRatio, MonoTime, Raw, Seconds, Timestamp};

/// Settings of the local clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalClockConfig {
    /// `maxdrift`, ppm; limited to 0..=500000.
    pub max_drift_ppm: f64,
    /// `maxslewrate`, ppm.
    pub max_slew_rate_ppm: f64,
    /// `maxclockerror`: how far the frequency may wander between two corrections.
    pub max_clock_error: FreqRatio,
    /// `clockprecision`; zero or less: measure it.
    pub precision: Seconds,
    /// Whether the clock may be touched; not with `-x` and `-Q`.
    pub control: bool,
    /// First Unix second of the era of NTP time in use.
    pub era_s: i64,
}

impl Default for LocalClockConfig {
    fn default() -> Self {
        Self {
            max_drift_ppm: 500_000.0,
            max_slew_rate_ppm: 1e6 / 12.0,
            max_clock_error: FreqRatio(1e-6),
            precision: Seconds::ZERO,
            control: true,
            era_s: 0,
        }
    }
}

/// The map from raw to cooked time, as plain data: a line that holds until the next change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CookLine {
    /// Where the line starts.
    pub origin: Timestamp<Raw>,
    /// Slope of the correction, s/s.
    pub rate: f64,
    /// Offset not yet removed at the origin; positive: the clock is fast.
    pub outstanding: Seconds,
    /// Uncertainty of the correction near the origin.
    pub error: Seconds,
    /// How near.
    pub max_delay: Seconds,
}

impl CookLine {
    /// What has to be added to the raw time `raw`, and how uncertain that is.
    #[must_use]
    pub fn correction(&self, raw: Timestamp<Raw>) -> (Seconds, Seconds) {
        let elapsed = raw - self.origin;
        let error = if elapsed.0.abs() <= self.max_delay.0 {
            self.error
        } else {
            Seconds::ZERO
        };
        (elapsed * self.rate - self.outstanding, error)
    }

    /// The cooked time, and how uncertain the correction in it is.
    #[must_use]
    pub fn cook(&self, raw: Timestamp<Raw>) -> (Timestamp<Cooked>, Seconds) {
        let (correction, error) = self.correction(raw);
        (raw.cook(correction), error)
    }
}

/// Who carries out what the local clock layer wants.
#[derive(Clone, Debug, PartialEq)]
enum Driver {
    Slew(Slew),
    Null(NullCorrection),
}

/// The local clock: its absolute frequency, the slew in progress, and what may be done to it.
#[derive(Clone, Debug)]
pub struct LocalClock {
    frequency: Frequency,
    driver: Driver,
    deadline: Option<MonoTime>,
    precision: Seconds,
    max_clock_error: FreqRatio,
    era_s: i64,
    changes: u64,
}

/// The clock was not changed: the offset was out of range or the system refused. The reason was
/// logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clock was not changed")]
pub struct NotChanged;

impl LocalClock {
    /// Takes over a clock with the frequency it has. Nothing is set yet.
    pub fn new(config: &LocalClockConfig, clock: &mut dyn Clock) -> Self {
        let (driver, initial_ppm) = if config.control {
            let ppm = clock.frequency_ppm();
            (
                Driver::Slew(Slew::new(ppm, &clock.limits(), config.max_slew_rate_ppm)),
                ppm,
            )
        } else {
            (Driver::Null(NullCorrection::new(clock.now())), 0.0)
        };
        let precision = if config.precision.0 > 0.0 {
            precision::clamp(config.precision.0)
        } else {
            precision::measure(|| clock.now().ns())
        };
        Self {
            frequency: Frequency::new(initial_ppm, config.max_drift_ppm),
            driver,
            deadline: None,
            precision: Seconds(precision),
            max_clock_error: config.max_clock_error,
            era_s: config.era_s,
            changes: 0,
        }
    }

    /// When [`LocalClock::handle_deadline`] is next due.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<MonoTime> {
        self.deadline
    }

    /// Ends a slew whose time has come. Harmless when nothing is due.
    pub fn handle_deadline(&mut self, cx: &mut Cx<'_>) {
        if self.deadline.is_none_or(|due| cx.now.mono < due) {
            return;
        }
        self.deadline = None;
        self.plan(cx, |slew, raw, set| slew.update(raw, set));
    }

    /// Smallest step of the clock, 1 ns to 1 s.
    #[must_use]
    pub const fn precision(&self) -> Seconds {
        self.precision
    }

    /// [`LocalClock::precision`] as a power of two.
    #[must_use]
    pub fn precision_log2(&self) -> i8 {
        precision::log2(self.precision.0)
    }

    /// `maxclockerror`.
    #[must_use]
    pub const fn max_clock_error(&self) -> FreqRatio {
        self.max_clock_error
    }

    /// First Unix second of the era of NTP time in use.
    #[must_use]
    pub const fn era_s(&self) -> i64 {
        self.era_s
    }

    /// The map from raw to cooked time, until the next operation on the clock.
    #[must_use]
    pub fn cook_line(&self) -> CookLine {
        match &self.driver {
            Driver::Slew(slew) => CookLine {
                origin: slew.start(),
                rate: slew.frequency(),
                outstanding: slew.outstanding(),
                error: slew.error(),
                max_delay: slew.max_delay(),
            },
            Driver::Null(null) => CookLine {
                origin: null.last(),
                rate: -1e-6 * null.frequency_ppm(),
                outstanding: Seconds(null.register()),
                error: Seconds::ZERO,
                max_delay: Seconds::ZERO,
            },
        }
    }

    /// What has to be added to the raw time `raw`, and how uncertain that is.
    #[must_use]
    pub fn correction(&self, raw: Timestamp<Raw>) -> (Seconds, Seconds) {
        self.cook_line().correction(raw)
    }

    /// The cooked time of `raw`, and how uncertain the correction in it is.
    #[must_use]
    pub fn cook(&self, raw: Timestamp<Raw>) -> (Timestamp<Cooked>, Seconds) {
        self.cook_line().cook(raw)
    }

    /// Absolute frequency in ppm, without temperature compensation; positive: the uncorrected
    /// clock is fast.
    #[must_use]
    pub fn absolute_frequency_ppm(&self) -> f64 {
        self.frequency.absolute_ppm()
    }

    /// Frequency set in the clock without the slew in progress, ppm: the absolute frequency with
    /// the temperature compensation, as the driver was told; 0 while the clock is not ours.
    #[must_use]
    pub fn base_frequency_ppm(&self) -> f64 {
        match &self.driver {
            Driver::Slew(slew) => slew.base_ppm(),
            Driver::Null(_) => 0.0,
        }
    }

    /// Whether the clock can be told of leap seconds.
    #[must_use]
    pub fn can_leap(&self, clock: &dyn Clock) -> bool {
        matches!(self.driver, Driver::Slew(_)) && clock.limits().can_leap
    }

    /// Whether `time + offset` is a time of the NTP era in use (`discipline.md` 1.2).
    #[must_use]
    pub fn is_sane<D: Copy>(&self, time: Timestamp<D>, offset: Seconds) -> bool {
        stats::is_sane(time, offset, self.era_s)
    }

    /// Sets the absolute frequency.
    pub fn set_absolute_frequency(&mut self, ppm: f64, cx: &mut Cx<'_>) {
        let change = self.with_frequency(cx, |frequency, set| frequency.set_absolute(ppm, set));
        let raw = cx.clock.now();
        self.change(
            raw,
            self.cook(raw).0,
            change.dfreq,
            Seconds::ZERO,
            ChangeKind::Adjust,
            cx,
        );
    }

    /// Changes the frequency relative to the corrected clock (command `dfreq`), s/s; positive:
    /// the clock was found to be fast.
    pub fn accumulate_frequency(&mut self, dfreq: f64, cx: &mut Cx<'_>) {
        let raw = cx.clock.now();
        let cooked = self.cook(raw).0;
        let change = self.with_frequency(cx, |frequency, set| frequency.accumulate(dfreq, set));
        self.change(
            raw,
            cooked,
            change.dfreq,
            Seconds::ZERO,
            ChangeKind::Adjust,
            cx,
        );
    }

    /// Starts slewing an offset out; positive: the clock is fast. For `rate` see
    /// [`Slew::accrue`].
    ///
    /// # Errors
    /// When the offset leads out of the era.
    pub fn accumulate_offset(
        &mut self,
        offset: Seconds,
        rate: f64,
        cx: &mut Cx<'_>,
    ) -> Result<(), NotChanged> {
        let raw = cx.clock.now();
        let cooked = self.cook(raw).0;
        self.check(cooked, offset, cx.out)?;
        self.accrue(offset, rate, cx);
        self.change(raw, cooked, 0.0, offset, ChangeKind::Adjust, cx);
        Ok(())
    }

    /// [`LocalClock::accumulate_frequency`] and [`LocalClock::accumulate_offset`] as one change.
    ///
    /// # Errors
    /// When the offset leads out of the era; the frequency is left alone too.
    pub fn accumulate_frequency_and_offset(
        &mut self,
        dfreq: f64,
        offset: Seconds,
        rate: f64,
        cx: &mut Cx<'_>,
    ) -> Result<(), NotChanged> {
        let raw = cx.clock.now();
        let cooked = self.cook(raw).0;
        let change = self.apply_both(cooked, dfreq, offset, rate, cx)?;
        self.change(raw, cooked, change.dfreq, offset, ChangeKind::Adjust, cx);
        Ok(())
    }

    /// The same without telling the stores of local times: for a local reference clock, whose
    /// samples follow the clock by themselves (`discipline.md` 8.8).
    ///
    /// # Errors
    /// When the offset leads out of the era.
    pub fn accumulate_quietly(
        &mut self,
        dfreq: f64,
        offset: Seconds,
        rate: f64,
        cx: &mut Cx<'_>,
    ) -> Result<(), NotChanged> {
        let cooked = self.cook(cx.clock.now()).0;
        self.apply_both(cooked, dfreq, offset, rate, cx)?;
        Ok(())
    }

    /// Steps the clock; positive: the clock is fast and moved back.
    ///
    /// # Errors
    /// When the offset leads out of the era or the system refuses.
    pub fn step(&mut self, offset: Seconds, cx: &mut Cx<'_>) -> Result<(), NotChanged> {
        let raw = cx.clock.now();
        let cooked = self.cook(raw).0;
        self.check(raw, offset, cx.out)?;
        let done = matches!(self.driver, Driver::Slew(_)) && cx.clock.step(offset).is_ok();
        if !done {
            cx.out.log(DisciplineEvent::StepFailed);
            return Err(NotChanged);
        }
        // Not with the announcement of a leap second, by which the clock itself is not moved.
        if let Driver::Slew(slew) = &mut self.driver {
            slew.shift(offset);
        }
        // The wake-up is history in the new time.
        cx.now.raw = cx.now.raw - offset;
        cx.out.push(Effect::Stepped(offset));
        cx.out
            .push(Effect::Smoothing(SmoothingCommand::Reset { now: cooked }));
        self.change(raw, cooked, 0.0, offset, ChangeKind::Step, cx);
        Ok(())
    }

    /// Announces that the clock is about to be corrected for a leap second by us
    /// (`discipline.md` 7.4): all stored times are moved as if the clock had been stepped.
    pub fn notify_leap(&mut self, leap: i8, cx: &mut Cx<'_>) {
        let raw = cx.clock.now();
        let cooked = self.cook(raw).0;
        cx.out.push(Effect::Smoothing(SmoothingCommand::Leap {
            now: cooked,
            leap,
        }));
        self.change(
            raw,
            cooked,
            0.0,
            Seconds(-f64::from(leap)),
            ChangeKind::Step,
            cx,
        );
    }

    /// Replaces the slew in progress by a step (command `makestep`).
    ///
    /// # Errors
    /// When the correction leads out of the era or the system refuses; the slew goes on then.
    pub fn make_step(&mut self, cx: &mut Cx<'_>) -> Result<(), NotChanged> {
        let raw = cx.clock.now();
        let correction = self.correction(raw).0;
        self.check(raw, -correction, cx.out)?;
        self.accumulate_offset(correction, 0.0, cx)?;
        if self.step(-correction, cx).is_err() {
            let _ = self.accumulate_offset(-correction, 0.0, cx);
            return Err(NotChanged);
        }
        cx.out.log(DisciplineEvent::Stepped { by: correction });
        Ok(())
    }

    /// Stops the slew in progress, leaving the clock where it is: before others steer the clock,
    /// and when it was stepped behind our back.
    pub fn cancel_correction(&mut self, cx: &mut Cx<'_>) {
        let correction = self.correction(cx.clock.now()).0;
        // A correction out of the era cannot be; the reason would have been logged.
        let _ = self.accumulate_offset(correction, 0.0, cx);
    }

    /// The clock was stepped by something else by about `offset` (positive: moved back); zero if
    /// all sources are only to forget the past (command `reset sources`).
    pub fn external_step(&mut self, offset: Seconds, cx: &mut Cx<'_>) {
        self.cancel_correction(cx);
        let raw = cx.clock.now();
        // Nothing is left to correct: both domains have the same numbers.
        let cooked = raw.cook(Seconds::ZERO);
        self.change(raw, cooked, 0.0, offset, ChangeKind::UnknownStep, cx);
        disperse(offset.abs(), cx.out);
    }

    /// The clock was out of control for a moment, but not so much that everything has to be
    /// learnt anew: the slew in progress goes on. Returns the number of the change.
    pub fn follow_jump(&mut self, jump: &Jump, cx: &mut Cx<'_>) -> u64 {
        self.skip(jump.gained);
        let raw = cx.clock.now();
        let cooked = self.cook(raw).0;
        self.change(raw, cooked, 0.0, jump.offset, ChangeKind::UnknownStep, cx);
        self.changes
    }

    /// The clock advanced by so much without running: the slew did not go on in that time.
    pub fn skip(&mut self, gained: Seconds) {
        match &mut self.driver {
            Driver::Slew(slew) => slew.shift(-gained),
            Driver::Null(null) => null.shift(gained),
        }
    }

    /// Sets the temperature compensation in ppm and returns the one that took effect. Sources
    /// are not told: to them it is part of the frequency.
    pub fn set_temperature_compensation(&mut self, ppm: f64, cx: &mut Cx<'_>) -> f64 {
        self.with_frequency(cx, |frequency, set| frequency.set_compensation(ppm, set))
    }

    /// The temperature compensation in force, ppm.
    #[must_use]
    pub fn temperature_compensation_ppm(&self) -> f64 {
        self.frequency.compensation_ppm()
    }

    /// Publishes the synchronisation status; the offset still to be slewed out is added to the
    /// errors.
    pub fn set_sync_status(
        &mut self,
        synchronised: bool,
        est_error: Seconds,
        max_error: Seconds,
        cx: &mut Cx<'_>,
    ) {
        if let Driver::Slew(slew) = &self.driver {
            let outstanding = slew.outstanding().abs();
            cx.clock.set_sync_status(
                synchronised,
                est_error.max(outstanding),
                max_error + outstanding,
            );
        }
    }

    /// Announces a leap second to the clock, if it can handle one.
    pub fn set_leap(&mut self, leap: i8, tai_offset_s: i32, cx: &mut Cx<'_>) {
        if self.can_leap(cx.clock) {
            cx.clock.set_leap(leap, tai_offset_s);
        }
    }

    /// Leaves the clock running at its best frequency with no slew.
    pub fn finalise(&mut self, cx: &mut Cx<'_>) {
        self.deadline = None;
        if let Driver::Slew(slew) = &self.driver {
            cx.clock.set_frequency_ppm(slew.final_frequency_ppm());
        }
    }

    fn apply_both(
        &mut self,
        cooked: Timestamp<Cooked>,
        dfreq: f64,
        offset: Seconds,
        rate: f64,
        cx: &mut Cx<'_>,
    ) -> Result<FrequencyChange, NotChanged> {
        self.check(cooked, offset, cx.out)?;
        let change = self.with_frequency(cx, |frequency, set| frequency.accumulate(dfreq, set));
        self.accrue(offset, rate, cx);
        Ok(change)
    }

    /// Runs one change of the frequency with the driver's "set frequency".
    fn with_frequency<R: FrequencyOutcome>(
        &mut self,
        cx: &mut Cx<'_>,
        change: impl FnOnce(&mut Frequency, &mut dyn FnMut(f64) -> f64) -> R,
    ) -> R {
        let mut frequency = self.frequency;
        let result = change(&mut frequency, &mut |ppm| {
            self.set_driver_frequency(ppm, cx)
        });
        self.frequency = frequency;
        if let Some(ppm) = result.limited() {
            cx.out.log(DisciplineEvent::FrequencyLimited { ppm });
        }
        result
    }

    /// The base frequency is accepted as wanted: what the driver rounds away becomes part of the
    /// slew and is removed by feedback.
    fn set_driver_frequency(&mut self, ppm: f64, cx: &mut Cx<'_>) -> f64 {
        if let Driver::Null(null) = &mut self.driver {
            return null.set_frequency(ppm, cx.clock.now());
        }
        self.plan(cx, |slew, raw, set| slew.set_base(ppm, raw, set));
        ppm
    }

    fn accrue(&mut self, offset: Seconds, rate: f64, cx: &mut Cx<'_>) {
        if let Driver::Null(null) = &mut self.driver {
            null.accrue(offset);
            return;
        }
        self.plan(cx, |slew, raw, set| slew.accrue(offset, rate, raw, set));
    }

    fn plan(
        &mut self,
        cx: &mut Cx<'_>,
        update: impl FnOnce(&mut Slew, Timestamp<Raw>, &mut dyn FnMut(f64) -> f64) -> SlewPlan,
    ) {
        let Driver::Slew(slew) = &mut self.driver else {
            return;
        };
        let raw = cx.clock.now();
        let plan = update(slew, raw, &mut |ppm| cx.clock.set_frequency_ppm(ppm));
        self.deadline = Some(cx.now.mono + since_wakeup(raw, cx) + plan.duration);
        disperse(plan.dispersion, cx.out);
    }

    fn check<D: Copy>(
        &self,
        time: Timestamp<D>,
        offset: Seconds,
        out: &mut Effects,
    ) -> Result<(), NotChanged> {
        if self.is_sane(time, -offset) {
            return Ok(());
        }
        out.log(DisciplineEvent::OffsetInvalid { offset });
        Err(NotChanged)
    }

    fn change(
        &mut self,
        raw: Timestamp<Raw>,
        cooked: Timestamp<Cooked>,
        dfreq: f64,
        doffset: Seconds,
        kind: ChangeKind,
        cx: &mut Cx<'_>,
    ) {
        self.changes += 1;
        let seq = self.changes;
        cx.out.push(Effect::Changed(ClockChange {
            seq,
            raw,
            cooked,
            dfreq,
            doffset,
            kind,
        }));
    }
}

/// Time spent in this wake-up so far. A step in between makes it useless; the error of taking
/// zero is a few microseconds.
fn since_wakeup(raw: Timestamp<Raw>, cx: &Cx<'_>) -> Seconds {
    let spent = raw - cx.now.raw;
    if (0.0..1.0).contains(&spent.0) {
        spent
    } else {
        Seconds::ZERO
    }
}

fn disperse(dispersion: Seconds, out: &mut Effects) {
    if dispersion.0 > 0.0 {
        out.push(Effect::Dispersed(dispersion));
    }
}

/// A result of a frequency operation that may say the frequency was limited.
trait FrequencyOutcome {
    fn limited(&self) -> Option<f64>;
}

impl FrequencyOutcome for FrequencyChange {
    fn limited(&self) -> Option<f64> {
        self.limited
    }
}

impl FrequencyOutcome for f64 {
    fn limited(&self) -> Option<f64> {
        None
    }
}

#[cfg(test)]
mod tests;
