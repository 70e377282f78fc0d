//! Streaming quantiles: estimates of a few quantiles of a stream without storing it.
//!
//! Used for `maxdelayquant` and for readings of hardware clocks (`discipline.md` 3). Every
//! quantile has several estimators; each moves up or down by an adaptive step with a probability
//! that balances at its quantile, and the median of the group is reported.

use super::regression::median;
use crate::rng::{self, Rng};

/// What is estimated, and how eagerly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileConfig {
    /// First quantile, in units of 1/`divisions`; at least 1.
    pub min_k: u32,
    /// Last quantile, in units of 1/`divisions`; at least `min_k`, below `divisions`.
    pub max_k: u32,
    /// Number of equal parts of the distribution; at least 2.
    pub divisions: u32,
    /// Estimators per quantile, 1..=64.
    pub repeat: u32,
    /// How many smallest steps an estimator waits before it takes large ones.
    pub large_step_delay: u32,
    /// The smallest step, positive, in the unit of the values.
    pub min_step: f64,
}

#[derive(Clone, Copy, Debug)]
struct Tracker {
    estimate: f64,
    step: f64,
    rising: bool,
}

/// A set of streaming quantile estimators.
#[derive(Clone, Debug)]
pub struct Quantiles {
    config: QuantileConfig,
    trackers: Vec<Tracker>,
    /// The first values, sorted, until there is one per quantile.
    initial: Vec<f64>,
}

impl Quantiles {
    /// Empty estimators. Parameters out of range are moved into it.
    #[must_use]
    pub fn new(config: QuantileConfig) -> Self {
        let divisions = config.divisions.max(2);
        let min_k = config.min_k.clamp(1, divisions - 1);
        let config = QuantileConfig {
            min_k,
            max_k: config.max_k.clamp(min_k, divisions - 1),
            divisions,
            repeat: config.repeat.clamp(1, 64),
            min_step: config.min_step.max(f64::MIN_POSITIVE),
            ..config
        };
        let mut quantiles = Self {
            config,
            trackers: Vec::new(),
            initial: Vec::new(),
        };
        quantiles.reset();
        quantiles
    }

    /// Forgets all values.
    pub fn reset(&mut self) {
        let tracker = Tracker {
            estimate: 0.0,
            step: self.config.min_step,
            rising: true,
        };
        self.initial.clear();
        self.trackers.clear();
        self.trackers
            .resize(self.quantile_count() * self.repeat(), tracker);
    }

    /// Takes in one value; a NaN is ignored.
    pub fn accumulate(&mut self, value: f64, rng: &mut dyn Rng) {
        if value.is_nan() {
            return;
        }
        if self.initial.len() < self.quantile_count() {
            self.initialise(value);
            return;
        }
        let Self {
            config, trackers, ..
        } = self;
        let repeat = config.repeat as usize;
        for (i, tracker) in trackers.iter_mut().enumerate() {
            let k = (i / repeat) as f64 + f64::from(config.min_k);
            let probability = k / f64::from(config.divisions);
            tracker.follow(value, probability, rng::uniform(rng), config);
        }
    }

    /// The estimate of quantile `k`/`divisions`, `None` if `k` is not tracked. Zero without
    /// values; before there is a value per quantile, missing ones show the largest value so far.
    #[must_use]
    pub fn quantile(&self, k: u32) -> Option<f64> {
        let at = k.checked_sub(self.config.min_k)? as usize;
        let group = self.trackers.chunks(self.repeat()).nth(at)?;
        let estimates: Vec<f64> = group.iter().map(|t| t.estimate).collect();
        median(&estimates)
    }

    /// The first values: each quantile takes one of them, in order of size.
    fn initialise(&mut self, value: f64) {
        let at = self.initial.partition_point(|&v| v <= value);
        self.initial.insert(at, value);
        let largest = self.initial.last().copied().unwrap_or(value);
        let repeat = self.repeat();
        for (i, group) in self.trackers.chunks_mut(repeat).enumerate() {
            let estimate = self.initial.get(i).copied().unwrap_or(largest);
            for tracker in group {
                tracker.estimate = estimate;
            }
        }
    }

    fn quantile_count(&self) -> usize {
        (self.config.max_k - self.config.min_k + 1) as usize
    }

    fn repeat(&self) -> usize {
        self.config.repeat as usize
    }
}

impl Tracker {
    /// Moves towards `value` with a probability that depends on the side it is on.
    fn follow(&mut self, value: f64, probability: f64, random: f64, config: &QuantileConfig) {
        let smallest = config.min_step;
        let up = value >= self.estimate;
        let skipped = if up { 1.0 - probability } else { probability };
        if random < skipped {
            return;
        }
        let persists = self.rising == up;
        self.step += if persists { smallest } else { -smallest };
        let stride = self.step.max(smallest);
        self.estimate += if up { stride } else { -stride };
        let past = if up {
            self.estimate - value
        } else {
            value - self.estimate
        };
        if past > 0.0 {
            // Overshot: stop just beyond the value.
            self.step -= past;
            self.estimate = value + if up { smallest } else { -smallest } / 4.0;
        }
        if !persists && self.step > smallest {
            self.step = smallest;
        }
        self.rising = up;
        self.step = self
            .step
            .max(-f64::from(config.large_step_delay) * smallest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{Golden, Recorded, assert_close};
    use proptest::prelude::{prop, prop_assert, proptest};

    #[test]
    fn golden_streams_end_in_the_golden_state() {
        let golden = Golden::read("quantiles");
        for case in golden.cases() {
            let config = QuantileConfig {
                min_k: case.int("min_k"),
                max_k: case.int("max_k"),
                divisions: case.int("q"),
                repeat: case.int("repeat"),
                large_step_delay: case.int("large_step_delay"),
                min_step: case.float("min_step"),
            };
            let ks = config.min_k..=config.max_k;
            let mut quantiles = Quantiles::new(config);
            let mut rng = Recorded::new(&case);
            let early = case.children("early");
            for (i, value) in case.floats("values").into_iter().enumerate() {
                quantiles.accumulate(value, &mut rng);
                if let Some(early) = early.get(i) {
                    for (k, want) in ks.clone().zip(early.as_floats()) {
                        assert_close(quantiles.quantile(k).unwrap(), want, 0.0, "early");
                    }
                }
            }
            assert!(rng.is_used_up(), "all draws used");
            for (k, want) in ks.zip(case.floats("quantiles")) {
                assert_close(quantiles.quantile(k).unwrap(), want, 0.0, "quantile");
            }
            let wanted = case.floats("est").into_iter().zip(case.floats("step"));
            let wanted = wanted.zip(case.floats("sign"));
            assert_eq!(quantiles.trackers.len(), case.floats("est").len());
            for (tracker, ((estimate, step), sign)) in quantiles.trackers.iter().zip(wanted) {
                assert_close(tracker.estimate, estimate, 0.0, "est");
                assert_close(tracker.step, step, 1e-18, "step");
                assert_eq!(tracker.rising, sign > 0.0);
            }
        }
    }

    /// A small generator for the property test (xorshift, Marsaglia 2003).
    struct Xorshift(u64);

    impl Rng for Xorshift {
        fn fill(&mut self, buf: &mut [u8]) {
            for byte in buf {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                *byte = self.0.to_le_bytes()[3];
            }
        }
    }

    #[test]
    fn a_constant_stream_is_found_to_less_than_half_a_step() {
        let mut quantiles = Quantiles::new(QuantileConfig {
            min_k: 1,
            max_k: 9,
            divisions: 10,
            repeat: 3,
            large_step_delay: 900,
            min_step: 1e-9,
        });
        let mut rng = Xorshift(0x9E37_79B9_7F4A_7C15);
        for _ in 0..3000 {
            quantiles.accumulate(1e-6, &mut rng);
        }
        for k in 1..=9 {
            assert!((quantiles.quantile(k).unwrap() - 1e-6).abs() < 0.4e-9);
        }
        assert_eq!(quantiles.quantile(0), None);
        assert_eq!(quantiles.quantile(10), None);
    }

    proptest! {
        #[test]
        fn estimates_stay_finite(
            values in prop::collection::vec(-1e6..1e6f64, 0..200), k in 0u32..30, repeat in 0u32..5,
            divisions in 0u32..20, seed in 1u64..u64::MAX
        ) {
            let config = QuantileConfig {
                min_k: k, max_k: k + 3, divisions, repeat, large_step_delay: 100, min_step: 1e-9,
            };
            let mut quantiles = Quantiles::new(config);
            let mut rng = Xorshift(seed);
            for value in values {
                quantiles.accumulate(value, &mut rng);
            }
            for k in 0..20 {
                prop_assert!(quantiles.quantile(k).is_none_or(f64::is_finite));
            }
        }
    }
}
