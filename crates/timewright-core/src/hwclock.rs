//! A device's own clock and the system clock: the map between them (`discipline.md` 14).
//!
//! PTP hardware clocks tick on their own, in a network card or as a reference clock. From readings
//! of such a clock between two readings of the system clock [`HwClock`] learns its offset and
//! frequency, so that a time stamp the hardware made becomes a time of ours.
//!
//! ```text
//! HwReading x n ─> process ─> HwEstimate ─> accumulate ─> cook(hardware time) -> cooked time
//! ```
//!
//! Neither clock is read or steered here.

use crate::discipline::ClockChange;
use crate::rng::Rng;
use crate::stats::regression::robust;
use crate::stats::{QuantileConfig, Quantiles};
use std::collections::VecDeque;
use timewright_time::{Cooked, Raw, Seconds, Timestamp};

/// Most readings of one poll.
pub const READINGS_MAX: usize = 25;

/// Fewest and most samples the map is made of.
const SAMPLES: (usize, usize) = (2, 64);

/// Precision of the slope of the regression.
const TOLERANCE: f64 = 1e-10;

/// Larger differences between the frequencies of the two clocks are mistakes.
const MAX_FREQUENCY_ERROR: f64 = 2.0 / 3.0;

/// Delays between these tenths of all delays are usual.
const DELAY_QUANTILES: QuantileConfig = QuantileConfig {
    min_k: 1,
    max_k: 2,
    divisions: 10,
    repeat: 7,
    large_step_delay: 1000,
    min_step: 1e-9,
};

/// Domain of the clock of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device;

/// A reading of the hardware clock between two of the system clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HwReading {
    /// System clock right before.
    pub before: Timestamp<Raw>,
    /// The hardware clock.
    pub hardware: Timestamp<Device>,
    /// System clock right after.
    pub after: Timestamp<Raw>,
}

/// How good a set of readings is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Slower than usual, and not better than what the map knows already: of no use.
    Useless,
    /// Slower than usual, but worth more than the map.
    Fair,
    /// The delay was as usual.
    Good,
}

/// What one set of readings says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HwEstimate {
    /// A time of the hardware clock.
    pub hardware: Timestamp<Device>,
    /// The system clock at that time.
    pub local: Timestamp<Raw>,
    /// Largest error of `local`.
    pub error: Seconds,
    /// Whether to use it.
    pub quality: Quality,
}

/// How a map is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HwClockConfig {
    /// Fewest samples kept when they do not fit a line, moved into 2..=64.
    pub min_samples: usize,
    /// Most samples kept, moved into `min_samples`..=64.
    pub max_samples: usize,
    /// Smallest distance between samples; closer than half of it they are not comparable.
    pub separation: Seconds,
    /// Smallest error of a reading.
    pub precision: Seconds,
    /// Precision of the system clock.
    pub system_precision: Seconds,
}

/// The map from the time of a hardware clock to ours.
#[derive(Clone, Debug)]
pub struct HwClock {
    config: HwClockConfig,
    delays: Quantiles,
    /// Local and hardware time of the samples relative to the newest, oldest first.
    samples: VecDeque<(f64, f64)>,
    hardware_ref: Timestamp<Device>,
    local_ref: Timestamp<Cooked>,
    last_error: Seconds,
    line: Option<Line>,
}

/// Hardware time over local time, from the newest sample on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    offset: f64,
    /// Hardware seconds per local second.
    frequency: f64,
}

impl HwClock {
    /// Without samples.
    #[must_use]
    pub fn new(config: HwClockConfig) -> Self {
        let min_samples = config.min_samples.clamp(SAMPLES.0, SAMPLES.1);
        Self {
            config: HwClockConfig {
                min_samples,
                max_samples: config.max_samples.clamp(min_samples, SAMPLES.1),
                ..config
            },
            delays: Quantiles::new(DELAY_QUANTILES),
            samples: VecDeque::new(),
            hardware_ref: Timestamp::ZERO,
            local_ref: Timestamp::ZERO,
            last_error: Seconds::ZERO,
            line: None,
        }
    }

    /// Whether it is time for new readings.
    #[must_use]
    pub fn wants_sample(&self, now: Timestamp<Cooked>) -> bool {
        self.samples.is_empty() || (now - self.local_ref).abs() >= self.config.separation
    }

    /// Whether times can be mapped.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.line.is_some()
    }

    /// Number of samples the map is made of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Local time of the newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp<Cooked>> {
        (!self.samples.is_empty()).then_some(self.local_ref)
    }

    /// Combines the readings of one poll (`discipline.md` 14.2). `cook` is the map from raw to
    /// cooked time.
    ///
    /// `None` without readings, or if the system clock went backwards between two of them.
    pub fn process(
        &mut self,
        readings: &[HwReading],
        cook: impl Fn(Timestamp<Raw>) -> Timestamp<Cooked>,
        rng: &mut dyn Rng,
    ) -> Option<HwEstimate> {
        let (first, last) = (readings.first()?, readings.last()?);
        let span = last.after - first.before;
        let ratio = if span.0 > 0.0 {
            (cook(last.after) - cook(first.before)) / span
        } else {
            1.0
        };
        let mut shortest: Option<(&HwReading, Seconds)> = None;
        let mut delays = Vec::with_capacity(readings.len());
        for reading in readings {
            let delay = (reading.after - reading.before) * ratio;
            if delay.0 < 0.0 {
                return None;
            }
            self.delays.accumulate(delay.0, rng);
            if shortest.is_none_or(|(_, least)| delay.0 < least.0) {
                shortest = Some((reading, delay));
            }
            delays.push(delay);
        }
        let usual = self.usual_delays();
        let good = readings.iter().zip(&delays);
        let good: Vec<_> = good.filter(|(_, d)| usual.contains(&d.0)).collect();
        if !good.is_empty() {
            return Some(self.average(first, &good));
        }
        let (reading, delay) = shortest?;
        let local = reading.before + delay / ratio / 2.0;
        let error = (delay / 2.0).max(self.config.precision);
        let better = self
            .cook(reading.hardware)
            .is_none_or(|(mapped, _)| cook(local) - mapped > error);
        Some(HwEstimate {
            hardware: reading.hardware,
            local,
            error,
            quality: if better {
                Quality::Fair
            } else {
                Quality::Useless
            },
        })
    }

    /// Takes in a sample: `error` is that of the estimate plus that of its conversion to cooked
    /// time (`discipline.md` 14.3).
    pub fn accumulate(
        &mut self,
        hardware: Timestamp<Device>,
        local: Timestamp<Cooked>,
        error: Seconds,
        absolute_frequency_ppm: f64,
    ) {
        // Intervals are kept in the time of the uncorrected clock, which is the steadier one.
        let local_frequency = 1.0 - absolute_frequency_ppm * 1e-6;
        if !self.samples.is_empty() {
            if self.samples.len() >= self.config.max_samples {
                self.samples.pop_front();
            }
            let dh = (hardware - self.hardware_ref).0;
            let dl = (local - self.local_ref).0 / local_frequency;
            if dh <= 0.0 || dl < self.config.separation.0 / 2.0 {
                self.samples.clear();
            }
            for (x, y) in &mut self.samples {
                *x -= dl;
                *y -= dh;
            }
        }
        self.samples.push_back((0.0, 0.0));
        self.hardware_ref = hardware;
        self.local_ref = local;
        self.last_error = error;
        self.fit(local_frequency);
    }

    /// The cooked time of a time of the hardware clock and its largest error; `None` while that is
    /// not known.
    #[must_use]
    pub fn cook(&self, hardware: Timestamp<Device>) -> Option<(Timestamp<Cooked>, Seconds)> {
        let line = self.line?;
        let since = Seconds((hardware - self.hardware_ref).0 / line.frequency - line.offset);
        Some((self.local_ref + since, self.last_error))
    }

    /// Follows a change of the system clock.
    pub fn on_clock_change(&mut self, change: &ClockChange) {
        if !self.samples.is_empty() {
            let moved = self
                .local_ref
                .adjusted(change.cooked, change.dfreq, change.doffset.0);
            self.local_ref = moved.0;
        }
        if let Some(line) = &mut self.line {
            line.frequency /= 1.0 - change.dfreq;
        }
    }

    fn usual_delays(&self) -> std::ops::RangeInclusive<f64> {
        let quantile = |k| self.delays.quantile(k).unwrap_or(0.0);
        let half_step = DELAY_QUANTILES.min_step / 2.0;
        let (low, high) = (quantile(1) - half_step, quantile(2) + half_step);
        let low = low.min(high);
        low..=high.max(low + self.config.system_precision.0)
    }

    fn average(&self, first: &HwReading, good: &[(&HwReading, &Seconds)]) -> HwEstimate {
        let (mut hardware, mut local, mut delay) = (0.0, 0.0, 0.0);
        for (reading, d) in good {
            hardware += (reading.hardware - first.hardware).0;
            local += (reading.before - first.before).0 + (reading.after - reading.before).0 / 2.0;
            delay += d.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let n = good.len() as f64;
        HwEstimate {
            hardware: first.hardware + Seconds(hardware / n),
            local: first.before + Seconds(local / n),
            error: Seconds(delay / n / 2.0).max(self.config.precision),
            quality: Quality::Good,
        }
    }

    fn fit(&mut self, local_frequency: f64) {
        let (x, y): (Vec<f64>, Vec<f64>) = self.samples.iter().copied().unzip();
        self.line = None;
        let Some(found) = robust(&x, &y, TOLERANCE) else {
            return;
        };
        let line = Line {
            offset: found.intercept,
            frequency: found.slope / local_frequency,
        };
        let spare = self.samples.len().saturating_sub(self.config.min_samples);
        self.samples.drain(..found.start.min(spare));
        if line.offset.abs() > self.last_error.0
            || (line.frequency - 1.0).abs() > MAX_FREQUENCY_ERROR
        {
            self.samples.clear();
            return;
        }
        self.line = Some(line);
    }
}

#[cfg(test)]
mod tests;
