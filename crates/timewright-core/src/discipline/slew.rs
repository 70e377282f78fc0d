//! Slewing by frequency: an outstanding offset is worked off by running the clock a little too
//! fast or too slow for a while (`discipline.md` 9.1).
//!
//! Pure arithmetic over raw time; the caller reads the clock and sets the frequency.

use crate::clock::ClockLimits;
use timewright_time::{Raw, Seconds, Timestamp};

/// Offsets below this are not worth a slew, s.
const MIN_OFFSET: f64 = 1e-9;
/// Shortest and longest slew, s of raw time.
const MIN_DURATION: f64 = 1.0;
const MAX_DURATION: f64 = 1e4;
/// A timer later than this is no measure of scheduling delays, s.
const MAX_EXCESS: f64 = 100.0;
/// A slew lasts at least this many times the usual lateness of its end.
const EXCESS_RATIO: f64 = 5.0;
const EXCESS_DECAY: f64 = 0.9;

/// The slew in progress and the frequency under it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slew {
    /// The frequency wanted without the slew, ppm.
    base_ppm: f64,
    max_frequency_ppm: f64,
    /// Longest time a frequency change takes to become effective, s of the corrected clock.
    max_delay: f64,
    /// Largest slew frequency, s/s.
    max_correction: f64,
    /// Outstanding offset at `start`, s; positive: the clock is fast.
    register: f64,
    /// Frequency of the slew relative to the clock as it runs now, s/s.
    frequency: f64,
    start: Timestamp<Raw>,
    duration: f64,
    /// Decaying maximum of how late the ends of slews were, s.
    excess: f64,
    /// Correction rate of the last accumulated offset, s².
    rate: f64,
    /// Error of the correction while the last frequency change takes effect, s.
    error: f64,
}

/// What the last update decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlewPlan {
    /// Plan again after so much raw time.
    pub duration: Seconds,
    /// Uncertainty added by the frequency change; zero if negligible.
    pub dispersion: Seconds,
}

impl Slew {
    /// No slew over the driver's present frequency. Nothing is set until the first change.
    #[must_use]
    pub fn new(base_ppm: f64, limits: &ClockLimits, max_slew_rate_ppm: f64) -> Self {
        Self {
            base_ppm,
            max_frequency_ppm: limits.max_frequency_ppm,
            max_delay: limits.driver_delay.0 * (1.0 + limits.max_frequency_ppm / 1e6),
            max_correction: max_slew_rate_ppm * 1e-6,
            register: 0.0,
            frequency: 0.0,
            // Not the present: the first update would take the wait for it for a late timer and
            // stretch the first slew.
            start: Timestamp::ZERO,
            duration: 0.0,
            excess: 0.0,
            rate: 0.0,
            error: 0.0,
        }
    }

    /// Changes the frequency under the slew.
    pub fn set_base(
        &mut self,
        ppm: f64,
        now: Timestamp<Raw>,
        set: impl FnOnce(f64) -> f64,
    ) -> SlewPlan {
        self.base_ppm = ppm;
        self.update(now, set)
    }

    /// Adds an offset to be slewed out; positive: the clock is fast. `rate` (s²) is the area
    /// under the offset curve the slew should have; zero asks for the fastest slew.
    pub fn accrue(
        &mut self,
        offset: Seconds,
        rate: f64,
        now: Timestamp<Raw>,
        set: impl FnOnce(f64) -> f64,
    ) -> SlewPlan {
        self.register += offset.0;
        self.rate = rate;
        self.update(now, set)
    }

    /// Settles what was slewed so far and plans the rest.
    pub fn update(&mut self, now: Timestamp<Raw>, set: impl FnOnce(f64) -> f64) -> SlewPlan {
        let elapsed = (now - self.start).0;
        self.register -= self.frequency * elapsed;

        self.excess = (self.excess + MIN_OFFSET) * EXCESS_DECAY;
        let excess = elapsed - self.duration;
        if self.excess < excess && excess <= MAX_EXCESS {
            self.excess = excess;
        }

        let wanted = if self.register.abs() < MIN_OFFSET {
            MAX_DURATION
        } else {
            (self.rate / self.register.abs())
                .max(MIN_DURATION)
                .max(EXCESS_RATIO * self.excess)
        };
        let correction = (self.register / wanted)
            .min(self.max_correction)
            .max(-self.max_correction);
        let total = self.limit(self.base_ppm + correction * (1e6 - self.base_ppm));
        let total = set(total);

        let old = self.frequency;
        self.frequency = (total - self.base_ppm) / (1e6 - total);
        self.error = ((old - self.frequency) * self.max_delay).abs();

        self.duration = if self.register.abs() < MIN_OFFSET || self.register * self.frequency <= 0.0
        {
            MAX_DURATION
        } else {
            (self.register / self.frequency).clamp(MIN_DURATION, MAX_DURATION)
        };
        self.start = now;
        SlewPlan {
            duration: Seconds(self.duration),
            dispersion: Seconds(if self.error >= MIN_OFFSET {
                self.error
            } else {
                0.0
            }),
        }
    }

    /// The clock was stepped back by `offset`: the slew goes on in the new time.
    pub fn shift(&mut self, offset: Seconds) {
        self.start = self.start - offset;
    }

    /// The frequency to leave behind when nothing steers the clock any more, ppm.
    #[must_use]
    pub fn final_frequency_ppm(&self) -> f64 {
        self.limit(self.base_ppm)
    }

    /// The frequency under the slew, ppm.
    #[must_use]
    pub const fn base_ppm(&self) -> f64 {
        self.base_ppm
    }

    /// Raw time of the last plan.
    #[must_use]
    pub const fn start(&self) -> Timestamp<Raw> {
        self.start
    }

    /// Offset outstanding at the last plan; positive: the clock is fast.
    #[must_use]
    pub const fn outstanding(&self) -> Seconds {
        Seconds(self.register)
    }

    /// Frequency of the slew, s/s.
    #[must_use]
    pub const fn frequency(&self) -> f64 {
        self.frequency
    }

    /// Uncertainty of the correction within [`Slew::max_delay`] of the last plan.
    #[must_use]
    pub const fn error(&self) -> Seconds {
        Seconds(self.error)
    }

    /// Longest time a frequency change takes to become effective.
    #[must_use]
    pub const fn max_delay(&self) -> Seconds {
        Seconds(self.max_delay)
    }

    #[cfg(test)]
    pub(crate) const fn excess(&self) -> f64 {
        self.excess
    }

    fn limit(&self, ppm: f64) -> f64 {
        ppm.min(self.max_frequency_ppm).max(-self.max_frequency_ppm)
    }
}
