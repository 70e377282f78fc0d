//! The sample filter: several samples in, the best combination of the middle ones out.
//!
//! NTP sources with the `filter` option and every reference clock put their samples through one
//! (`discipline.md` 4). Offsets are as in [`Sample`]: positive when the local clock is slow.

use super::regression::weighted;
use super::tables::chi_square;
use super::{Sample, regression};
use std::collections::VecDeque;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Samples with a dispersion above the smallest times this are left out.
const DISPERSION_RATIO: f64 = 1.5;

/// Dispersions are looked at only with more samples than this, and only if as many remain.
const PREFILTER_SAMPLES: usize = 4;

/// Length of the moving average of the variance, in degrees of freedom.
const AVERAGE_LENGTH: usize = 50;

/// Smallest variance, s^2.
const MIN_VARIANCE: f64 = 1e-20;

/// What a filter keeps and combines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterConfig {
    /// Fewest samples an output is made of, 1..=256.
    pub min_samples: usize,
    /// Most samples kept, `min_samples`..=256.
    pub max_samples: usize,
    /// Larger standard deviations give no output; zero for no limit.
    pub max_dispersion: Seconds,
    /// Part of the samples that is combined, 0 (median only) to 1 (all).
    pub combine_ratio: f64,
}

impl FilterConfig {
    /// For an NTP source with the `filter` option.
    #[must_use]
    pub const fn ntp(length: usize) -> Self {
        Self {
            min_samples: 1,
            max_samples: length,
            max_dispersion: Seconds(16.0),
            combine_ratio: 0.0,
        }
    }

    /// For a reference clock with `filter length` and `maxdispersion`.
    #[must_use]
    pub const fn refclock(length: usize, max_dispersion: Seconds) -> Self {
        Self {
            min_samples: 1,
            max_samples: length,
            max_dispersion,
            combine_ratio: 0.6,
        }
    }
}

/// A median filter with a memory of the usual dispersion.
#[derive(Clone, Debug)]
pub struct SampleFilter {
    config: FilterConfig,
    samples: VecDeque<Sample>,
    /// The newest sample; survives an output, so it can be `Some` while `samples` is empty.
    last: Option<Sample>,
    average_variance: f64,
    /// Degrees of freedom in `average_variance`.
    average_dof: usize,
}

impl SampleFilter {
    /// An empty filter; `precision` of the system clock is the first guess of the dispersion.
    /// Numbers out of range are moved into it.
    #[must_use]
    pub fn new(config: FilterConfig, precision: Seconds) -> Self {
        let min_samples = config.min_samples.clamp(1, 256);
        Self {
            config: FilterConfig {
                min_samples,
                max_samples: config.max_samples.clamp(min_samples, 256),
                combine_ratio: config.combine_ratio.clamp(0.0, 1.0),
                ..config
            },
            samples: VecDeque::new(),
            last: None,
            average_variance: precision.0 * precision.0,
            average_dof: 0,
        }
    }

    /// Takes in a sample, in place of the oldest if the filter is full. False, and nothing
    /// changed, if it is not later than the newest one.
    pub fn accumulate(&mut self, sample: Sample) -> bool {
        if self
            .samples
            .back()
            .is_some_and(|last| sample.time <= last.time)
        {
            return false;
        }
        if self.samples.len() >= self.config.max_samples {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.last = Some(sample);
        true
    }

    /// The newest sample, also after an output emptied the filter.
    #[must_use]
    pub fn last(&self) -> Option<&Sample> {
        self.last.as_ref()
    }

    /// The samples that wait, oldest first.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    /// Number of samples that wait to be combined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether no sample waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Forgets all samples, the newest included.
    pub fn clear(&mut self) {
        self.samples.clear();
        self.last = None;
    }

    /// Combines the samples into one and empties the filter.
    ///
    /// `None` with too few samples, or if they scatter more than allowed; they then stay.
    pub fn take(&mut self) -> Option<Sample> {
        if self.samples.len() < self.config.min_samples {
            return None;
        }
        let combined = self.combine(&self.middle_samples())?;
        self.samples.clear();
        Some(combined)
    }

    /// Follows a change of the clock at `when` (`discipline.md` 1.2).
    pub fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        self.change_all(|sample| sample.slew(when, dfreq, doffset));
    }

    /// Takes `by` off all offsets.
    pub fn correct_offset(&mut self, by: Seconds) {
        self.change_all(|sample| sample.offset -= by);
    }

    /// Adds to the dispersions of the samples that wait.
    pub fn add_dispersion(&mut self, by: Seconds) {
        for sample in &mut self.samples {
            sample.peer_dispersion += by;
            sample.root_dispersion += by;
        }
        if let Some(newest) = self.samples.back() {
            self.last = Some(*newest);
        }
    }

    /// Long-term standard deviation of the samples.
    #[must_use]
    pub fn average_dispersion(&self) -> Seconds {
        Seconds(self.average_variance.sqrt())
    }

    fn change_all(&mut self, mut change: impl FnMut(&mut Sample)) {
        self.samples.iter_mut().for_each(&mut change);
        match (self.samples.back(), &mut self.last) {
            (Some(newest), last) => *last = Some(*newest),
            (None, Some(last)) => change(last),
            (None, None) => {}
        }
    }

    /// The samples near the median offset among those of small dispersion, in time order.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a small count, never negative"
    )]
    fn middle_samples(&self) -> Vec<Sample> {
        let mut chosen: Vec<Sample> = self.samples.iter().copied().collect();
        if chosen.len() > PREFILTER_SAMPLES {
            let dispersions = chosen.iter().map(|s| s.peer_dispersion.0);
            let limit = DISPERSION_RATIO * dispersions.fold(f64::INFINITY, f64::min);
            let good = |s: &Sample| s.peer_dispersion.0 <= limit;
            if chosen.iter().filter(|s| good(s)).count() >= PREFILTER_SAMPLES {
                chosen.retain(good);
            }
        }
        chosen.sort_by(|a, b| a.offset.0.total_cmp(&b.offset.0));
        let count = chosen.len();
        let skipped = if count > 2 {
            let aside = (count as f64 * (1.0 - self.config.combine_ratio) / 2.0) as usize;
            aside.min((count - 1) / 2).max(1)
        } else {
            0
        };
        chosen.truncate(count - skipped);
        chosen.drain(..skipped);
        chosen.sort_by_key(|s| s.time);
        chosen
    }

    fn combine(&mut self, samples: &[Sample]) -> Option<Sample> {
        let newest = samples.last()?.time;
        let n = samples.len();
        let mean = |field: fn(&Sample) -> Seconds| {
            samples.iter().map(|s| field(s).0).sum::<f64>() / n as f64
        };
        let x: Vec<f64> = samples.iter().map(|s| (s.time - newest).0).collect();
        let mean_x = x.iter().sum::<f64>() / n as f64;
        let mean_y = mean(|s| s.offset);

        let (variance, mut dispersion, dof) = match self.scatter(samples, &x, mean_x, mean_y) {
            (variance, _, dof) if variance < MIN_VARIANCE => {
                (MIN_VARIANCE, MIN_VARIANCE.sqrt(), dof)
            }
            scatter => scatter,
        };
        let max_variance = self.config.max_dispersion.0 * self.config.max_dispersion.0;
        if max_variance > 0.0 && variance > max_variance {
            return None;
        }
        let usual = self.average(variance, dof);
        // Unless this batch is significantly worse than usual, the long-term figure is better.
        if variance * dof as f64 / chi_square(dof) < usual {
            dispersion = self.average_variance.sqrt() * dispersion / variance.sqrt();
        }
        Some(Sample {
            time: newest + Seconds(mean_x),
            offset: Seconds(mean_y),
            peer_delay: Seconds(mean(|s| s.peer_delay)),
            peer_dispersion: Seconds(dispersion.max(mean(|s| s.peer_dispersion))),
            root_delay: Seconds(mean(|s| s.root_delay)),
            root_dispersion: Seconds(dispersion.max(mean(|s| s.root_dispersion))),
        })
    }

    /// Variance of the offsets, dispersion of the combined one, degrees of freedom.
    fn scatter(
        &self,
        samples: &[Sample],
        x: &[f64],
        mean_x: f64,
        mean_y: f64,
    ) -> (f64, f64, usize) {
        let n = samples.len();
        if n > regression::MIN_POINTS {
            let x: Vec<f64> = x.iter().map(|x| x - mean_x).collect();
            let y: Vec<f64> = samples.iter().map(|s| s.offset.0).collect();
            let w: Vec<f64> = samples.iter().map(|s| s.peer_dispersion.0).collect();
            if let Some(fit) = weighted(&x, &y, &w) {
                return (fit.variance, fit.intercept_sd, n - 2);
            }
        }
        if n < 2 {
            return (self.average_variance, self.average_variance.sqrt(), 1);
        }
        let squares = samples.iter().map(|s| (s.offset.0 - mean_y).powi(2));
        let variance = squares.sum::<f64>() / (n - 1) as f64;
        (variance, variance.sqrt(), n - 1)
    }

    /// Takes `variance` into the moving average and returns the average to compare it with: the
    /// one before, or the first.
    fn average(&mut self, variance: f64, dof: usize) -> f64 {
        let previous = self.average_variance;
        let weight = dof as f64;
        if self.average_dof > AVERAGE_LENGTH {
            self.average_variance +=
                weight / (dof + AVERAGE_LENGTH) as f64 * (variance - self.average_variance);
            return previous;
        }
        let old_weight = self.average_dof as f64;
        self.average_variance =
            (self.average_variance * old_weight + variance * weight) / (old_weight + weight);
        let first = self.average_dof == 0;
        self.average_dof += dof;
        if first {
            self.average_variance
        } else {
            previous
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{Golden, assert_close};
    use proptest::prelude::*;

    const PRECISION: Seconds = Seconds(1e-6);

    fn golden_sample(node: &Golden) -> Sample {
        Sample {
            time: Timestamp::from_parts(node.int("t_sec"), node.int("t_nsec")),
            offset: Seconds(node.float("offset")),
            peer_delay: Seconds(node.float("peer_delay")),
            peer_dispersion: Seconds(node.float("peer_dispersion")),
            root_delay: Seconds(node.float("root_delay")),
            root_dispersion: Seconds(node.float("root_dispersion")),
        }
    }

    #[test]
    fn golden_filters_are_reproduced() {
        for case in Golden::read("samplefilt").cases() {
            let config = FilterConfig {
                min_samples: case.count("min"),
                max_samples: case.count("max"),
                max_dispersion: Seconds(case.float("max_dispersion")),
                combine_ratio: case.float("combine_ratio"),
            };
            let mut filter = SampleFilter::new(config, PRECISION);
            for round in case.children("rounds") {
                let accepted = round.children("in").into_iter().zip(round.floats("acc"));
                for (input, want) in accepted {
                    assert_eq!(filter.accumulate(golden_sample(&input)), want > 0.0);
                }
                if round.has("slew") {
                    let slew = round.child("slew");
                    filter.slew(
                        Timestamp::from_parts(slew.int("when_sec"), slew.int("when_nsec")),
                        FreqRatio(slew.float("dfreq")),
                        Seconds(slew.float("doffset")),
                    );
                }
                let got = filter.take();
                assert_eq!(got.is_some(), round.flag("ok"));
                if let Some(got) = got {
                    let want = golden_sample(&round.child("out"));
                    assert!((got.time.ns() - want.time.ns()).abs() <= 3);
                    for (name, got, want) in [
                        ("offset", got.offset, want.offset),
                        ("peer_delay", got.peer_delay, want.peer_delay),
                        ("peer_disp", got.peer_dispersion, want.peer_dispersion),
                        ("root_delay", got.root_delay, want.root_delay),
                        ("root_disp", got.root_dispersion, want.root_dispersion),
                    ] {
                        assert_close(got.0, want.0, 1e-15, name);
                    }
                }
                assert_eq!(filter.len(), round.count("used_after"));
                let average = filter.average_dispersion().0;
                assert_close(average, round.float("avg_dispersion"), 0.0, "average");
            }
        }
    }

    fn sample(at_s: f64, offset: f64) -> Sample {
        Sample {
            time: Timestamp::from_parts(1_000_000_000, 0) + Seconds(at_s),
            offset: Seconds(offset),
            peer_delay: Seconds(1e-3),
            peer_dispersion: Seconds(1e-6),
            root_delay: Seconds(2e-3),
            root_dispersion: Seconds(1e-4),
        }
    }

    #[test]
    fn the_newest_sample_survives_an_output_but_not_a_clear() {
        let mut filter = SampleFilter::new(FilterConfig::ntp(3), PRECISION);
        assert!(filter.accumulate(sample(0.0, 1e-3)));
        assert!(filter.take().is_some() && filter.is_empty());
        filter.correct_offset(Seconds(1e-4));
        assert_close(filter.last().unwrap().offset.0, 9e-4, 0.0, "corrected");
        filter.add_dispersion(Seconds(1.0));
        assert_close(
            filter.last().unwrap().peer_dispersion.0,
            1e-6,
            0.0,
            "not in use",
        );
        filter.clear();
        assert_eq!(filter.last(), None);
    }

    #[test]
    fn the_average_begins_to_forget_after_fifty_degrees_of_freedom() {
        let config = FilterConfig {
            min_samples: 3,
            max_samples: 3,
            max_dispersion: Seconds::ZERO,
            combine_ratio: 1.0,
        };
        let mut filter = SampleFilter::new(config, PRECISION);
        // With three samples one is taken: it says nothing of the variance, so the average stays.
        let mut at_s = 0.0;
        let mut batch = |filter: &mut SampleFilter, spread: f64| {
            for offset in [-spread, 0.0, spread] {
                at_s += 1.0;
                assert!(filter.accumulate(sample(at_s, offset)));
            }
            assert!(filter.take().is_some());
            filter.average_dispersion().0
        };
        let alone = batch(&mut filter, 1e-3);
        assert_close(alone, 1e-6, 0.0, "one sample");

        // Two of two are: a variance of 2 s^2 with one degree of freedom.
        let pair = FilterConfig {
            min_samples: 2,
            max_samples: 2,
            ..config
        };
        let mut filter = SampleFilter::new(pair, PRECISION);
        let mut at_s = 0.0;
        let mut batch = |filter: &mut SampleFilter, spread: f64| {
            for offset in [-spread, spread] {
                at_s += 1.0;
                assert!(filter.accumulate(sample(at_s, offset)));
            }
            assert!(filter.take().is_some());
            filter.average_dispersion().0.powi(2)
        };
        for _ in 0..51 {
            assert_close(batch(&mut filter, 1e-3), 2e-6, 1e-15, "constant");
        }
        let got = batch(&mut filter, 2e-3);
        assert_close(got, 2e-6 + 6e-6 / 51.0, 1e-15, "one of 51");
        let next = batch(&mut filter, 2e-3);
        assert_close(next, got + (8e-6 - got) / 51.0, 1e-15, "one of 51 again");
    }

    proptest! {
        #[test]
        fn outputs_lie_within_the_inputs(
            offsets in prop::collection::vec(-1.0..1.0f64, 1..100),
            max in 1usize..40, min in 1usize..10, ratio in 0.0..=1.0f64
        ) {
            let config = FilterConfig {
                min_samples: min, max_samples: max, max_dispersion: Seconds(2.0), combine_ratio: ratio,
            };
            let mut filter = SampleFilter::new(config, PRECISION);
            for (i, offset) in offsets.iter().enumerate() {
                let new = sample(i as f64, *offset);
                prop_assert!(filter.accumulate(new));
                prop_assert!(!filter.accumulate(new), "the same again");
                prop_assert_eq!(filter.len(), (i + 1).min(max.max(min)));
            }
            match filter.take() {
                None => prop_assert!(offsets.len() < min),
                Some(out) => {
                    prop_assert!(out.offset.0.abs() <= 1.0);
                    prop_assert!(out.peer_dispersion.0.is_finite() && out.peer_dispersion.0 >= 1e-6 * 0.999);
                    prop_assert!(filter.is_empty());
                }
            }
        }
    }
}
