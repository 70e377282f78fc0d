//! From a history of samples to an estimate: the interface, and the regression behind it.
//!
//! Everything that depends on *how* samples become an estimate is behind [`Estimator`]: offset and
//! frequency with their uncertainties, the numbers reports show, how often to poll, what a dump
//! file keeps, and what a change of the clock does to all that. [`for_config`] is the one place
//! that chooses among implementations; associations, selection and reference know none of them.
//!
//! The regression (`discipline.md` 5.5, 5.6) weighs samples by their distance, corrects for an
//! asymmetric network path and fits a line to as many of the newest samples as one line
//! describes.

use super::history::{History, Stored};
use super::regression::{best, median, second_slope};
use super::source_stats::StatsConfig;
use super::tables::student_t;
use std::fmt;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Frequency error assumed while nothing is known.
pub const WORST_FREQ: FreqRatio = FreqRatio(2000e-6);

/// Standard deviation assumed while nothing is known.
pub const WORST_STD_DEV: Seconds = Seconds(4.0);

const MIN_SKEW: f64 = 1e-12;
const MAX_SKEW: f64 = 100.0;
const MIN_STD_DEV_S: f64 = 1e-9;

/// Largest asymmetry of the delay that can be: all of it in one direction.
const MAX_ASYMMETRY: f64 = 0.5;
/// An asymmetry has to be this large, this many times in a row and with the same sign, to be
/// corrected.
const MIN_ASYMMETRY: f64 = 0.45;
const MIN_ASYMMETRY_RUN: i32 = 10;
/// Longest run of large asymmetries that is counted.
pub(super) const MAX_ASYMMETRY_RUN: i32 = 1000;

/// Slope at the end of a parabola fitted by a line, in units of its standard deviation from the
/// line over the length of the line: the square root of 180.
const PARABOLA_END_SLOPE: f64 = 13.416;
/// Part of the standard deviation of the samples that may be a curve without showing in their
/// runs.
const UNNOTICED_CURVE: f64 = 0.75;

/// Standard deviation per distance between the median and the shortest sample.
const SD_TO_DISTANCE: f64 = 0.7;

/// What is known about the local clock from one source; positive means fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Whether offset and frequency are estimates at all, not just assumptions.
    pub valid: bool,
    /// The time the offset is for; zero without samples.
    pub time: Timestamp<Cooked>,
    /// Offset of the local clock from the source at `time`.
    pub offset: Seconds,
    /// Standard deviation of `offset`.
    pub offset_sd: Seconds,
    /// Frequency error of the local clock.
    pub freq: FreqRatio,
    /// Standard deviation of `freq`.
    pub freq_sd: FreqRatio,
    /// Error bound of `freq`, if the frequency was constant.
    pub skew: FreqRatio,
    /// How far the frequency may have been from `freq` on average between any of the samples and
    /// `time`, at least `skew`: by this a bound taken from a sample grows with its age.
    pub drift: FreqRatio,
    /// Standard deviation of the samples.
    pub std_dev: Seconds,
    /// How many of the newest samples the estimate rests on, or is worth: the number reports show,
    /// at most that of the history.
    pub samples: usize,
    /// Runs of residuals of equal sign.
    pub runs: usize,
    /// Estimated or configured asymmetry of the delay, -0.5..=0.5.
    pub asymmetry: f64,
}

impl Estimate {
    /// What is assumed without samples.
    pub const UNKNOWN: Self = Self {
        valid: false,
        time: Timestamp::ZERO,
        offset: Seconds::ZERO,
        offset_sd: WORST_STD_DEV,
        freq: FreqRatio::ZERO,
        freq_sd: WORST_FREQ,
        skew: WORST_FREQ,
        drift: WORST_FREQ,
        std_dev: WORST_STD_DEV,
        samples: 0,
        runs: 0,
        asymmetry: 0.0,
    };

    /// Offset expected at `at`.
    #[must_use]
    pub fn predict(&self, at: Timestamp<Cooked>) -> Seconds {
        self.offset + (at - self.time) * self.freq
    }

    /// Follows a change of the clock at `when` (`discipline.md` 5.8).
    pub fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        let (time, delta) = self.time.adjusted(when, dfreq.0, doffset.0);
        self.time = time;
        self.offset += delta;
        self.freq = FreqRatio((self.freq.0 - dfreq.0) / (1.0 - dfreq.0));
    }
}

/// What an update found, beyond the estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Update {
    /// How many of the oldest current samples no longer belong to the estimate.
    pub obsolete: usize,
    /// Change of the frequency in units of its former error bound.
    pub stress: f64,
}

/// What the poll adaptation asks after each sample (`ntp-engine.md` 3.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollQuestion {
    /// How far the sample was from what had been expected of it, at least 0.
    pub error: Seconds,
    /// How far it may have been: its dispersion and half its delay.
    pub distance: Seconds,
    /// How many samples are aimed at, at least 1 (`polltarget`).
    pub target: i32,
    /// The current interval, log2 seconds.
    pub poll: i32,
    /// The shortest and the longest interval allowed.
    pub limits: (i32, i32),
    /// How close the interval is to changing: it grows at 1 and shrinks below 0.
    pub score: f64,
}

/// Turns a history of samples into an estimate.
///
/// The samples themselves are kept in the [`History`]: times, offsets, round trips and error
/// bounds, moved along with every change of the clock and limited to `maxsamples`. The estimator
/// keeps what it makes of them. While there are no samples it is told of no changes.
pub trait Estimator: fmt::Debug {
    /// Takes in the newest sample, which was just added to the history. `None` if there can be no
    /// estimate yet.
    fn update(&mut self, history: &History) -> Option<Update>;

    /// Takes in a whole history from a dump file, with the number [`Estimator::memory`] had given
    /// for it; called after [`Estimator::reset`].
    fn load(&mut self, history: &History, memory: i32) -> Option<Update>;

    /// The number a dump file keeps besides the samples.
    fn memory(&self) -> i32;

    /// What is known now.
    fn estimate(&self) -> &Estimate;

    /// How a new sample, already taken in, moves the score of the poll interval; whole numbers in
    /// the score move the interval.
    fn poll_score(&self, question: &PollQuestion) -> f64;

    /// Follows a change of the clock at `when`, which the history has followed already.
    fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds);

    /// Adds `by` to the estimated offset, as was done to the samples.
    fn correct_offset(&mut self, by: Seconds);

    /// The clock became less certain by `by`. It was added to the dispersions of the samples,
    /// which is enough for estimators that weigh them anew with each update.
    fn add_dispersion(&mut self, by: Seconds) {
        let _ = by;
    }

    /// Back to knowing nothing.
    fn reset(&mut self);
}

/// The estimator for a source: here and nowhere else one is chosen.
#[must_use]
pub(super) fn for_config(config: &StatsConfig) -> Box<dyn Estimator> {
    Box::new(RegressionEstimator::new(*config))
}

/// The regression's rule for polls: down with an error larger than its uncertainty, else towards
/// the target number of samples.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "at most 64 samples")]
pub(crate) fn score_by_samples(question: &PollQuestion, samples: usize) -> f64 {
    let PollQuestion {
        error, distance, ..
    } = *question;
    if error.0 > distance.0 {
        return -(error / distance).log2();
    }
    let (samples, target) = (samples as f64, f64::from(question.target));
    let by = (samples / target - 1.0) / target;
    if samples < target { 2.0 * by } else { by }
}

/// How wrong the slope of a line may be, s/s, because its samples with this standard deviation
/// over this span, both in seconds, follow a curve that is not noticed.
///
/// The error bounds of a regression assume that the samples scatter around a line independently
/// of each other. The frequency of a real clock wanders, so they follow a curve. The runs of the
/// residuals tell a large curve, and then the line is made shorter, until what is left of the
/// curve hides in the noise; there it stays, however many samples there are.
fn hidden_drift(std_dev: f64, span: f64) -> f64 {
    if span > 0.0 {
        PARABOLA_END_SLOPE * UNNOTICED_CURVE * std_dev / span
    } else {
        0.0
    }
}

/// Weighted linear regression over an adaptive number of samples.
#[derive(Clone, Debug)]
pub struct RegressionEstimator {
    config: StatsConfig,
    estimate: Estimate,
    asymmetry_run: i32,
}

impl RegressionEstimator {
    /// An estimator that knows nothing.
    #[must_use]
    pub const fn new(config: StatsConfig) -> Self {
        Self {
            config,
            estimate: Estimate::UNKNOWN,
            asymmetry_run: 0,
        }
    }

    /// Variances of the current samples by how far they are: one for the nearest.
    fn weights(&self, samples: &[Stored]) -> Vec<f64> {
        let distances: Vec<f64> = samples
            .iter()
            .map(|s| 0.5 * s.peer_delay + s.peer_dispersion)
            .collect();
        let shortest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let middle = median(&distances).unwrap_or(shortest);
        let precision = self.config.precision.0;
        let sd = ((middle - shortest) / SD_TO_DISTANCE)
            .min(shortest)
            .max(precision);
        let near = shortest + precision;
        distances
            .iter()
            .map(|&distance| {
                let beyond = if distance > near {
                    (distance - near) / sd
                } else {
                    0.0
                };
                (1.0 + beyond) * (1.0 + beyond)
            })
            .collect()
    }

    /// Takes the part of the offsets out that an asymmetric path explains (`discipline.md` 5.6).
    fn correct_asymmetry(&mut self, history: &History, times: &[f64], offsets: &mut [f64]) {
        let fixed = self.config.asymmetry;
        if fixed == 0.0 {
            return;
        }
        let shortest = if self.config.min_delay.0 > 0.0 {
            self.config.min_delay.0
        } else {
            history.min_delay().unwrap_or_default().0
        };
        let excess: Vec<f64> = history
            .all()
            .iter()
            .map(|s| s.peer_delay - shortest)
            .collect();
        if fixed.abs() <= MAX_ASYMMETRY {
            self.estimate.asymmetry = fixed;
        } else if !self.estimate_asymmetry(times, &excess, offsets) {
            return;
        }
        for (offset, excess) in offsets.iter_mut().zip(&excess) {
            *offset -= self.estimate.asymmetry * excess;
        }
    }

    /// Whether an asymmetry has shown itself for long enough; updates it if so.
    fn estimate_asymmetry(&mut self, times: &[f64], excess: &[f64], offsets: &[f64]) -> bool {
        let run = &mut self.asymmetry_run;
        let asymmetry = match second_slope(times, excess, offsets) {
            Some(slope) if slope * f64::from(*run) >= 0.0 => slope,
            _ => {
                self.estimate.asymmetry = 0.0;
                *run = 0;
                return false;
            }
        };
        if asymmetry <= -MIN_ASYMMETRY && *run > -MAX_ASYMMETRY_RUN {
            *run -= 1;
        } else if asymmetry >= MIN_ASYMMETRY && *run < MAX_ASYMMETRY_RUN {
            *run += 1;
        }
        if run.abs() < MIN_ASYMMETRY_RUN {
            return false;
        }
        self.estimate.asymmetry = asymmetry.clamp(-MAX_ASYMMETRY, MAX_ASYMMETRY);
        true
    }
}

impl Estimator for RegressionEstimator {
    fn update(&mut self, history: &History) -> Option<Update> {
        let newest = history.newest().copied();
        let newest_time = newest.map_or(Timestamp::ZERO, |s| s.time);
        let times: Vec<f64> = history
            .all()
            .iter()
            .map(|s| (s.time - newest_time).0)
            .collect();
        let mut offsets: Vec<f64> = history.all().iter().map(|s| s.offset).collect();
        let weights = self.weights(history.current());
        self.correct_asymmetry(history, &times, &mut offsets);

        let estimate = &mut self.estimate;
        let Some(fit) = best(&times, &offsets, &weights, self.config.min_samples) else {
            *estimate = Estimate {
                time: newest_time,
                offset: Seconds(newest.map_or(0.0, |s| s.offset)),
                freq: estimate.freq,
                samples: history.len(),
                asymmetry: estimate.asymmetry,
                ..Estimate::UNKNOWN
            };
            return None;
        };
        let slope_sd = fit.line.slope_sd;
        let skew = (slope_sd * student_t(fit.dof)).clamp(MIN_SKEW, MAX_SKEW);
        let std_dev = fit.line.variance.sqrt().max(MIN_STD_DEV_S);
        let first = history.current().get(fit.start);
        let span = first.map_or(0.0, |s| (newest_time - s.time).0);
        let stress = (estimate.freq.0 - fit.line.slope).abs() / estimate.skew.0;
        *estimate = Estimate {
            valid: true,
            time: newest_time,
            offset: Seconds(fit.line.intercept),
            offset_sd: Seconds(fit.line.intercept_sd),
            freq: FreqRatio(fit.line.slope),
            freq_sd: FreqRatio(slope_sd.clamp(MIN_SKEW, MAX_SKEW)),
            skew: FreqRatio(skew),
            drift: FreqRatio(skew.max(hidden_drift(std_dev, span))),
            std_dev: Seconds(std_dev),
            samples: history.len() - fit.start,
            runs: fit.runs,
            asymmetry: estimate.asymmetry,
        };
        Some(Update {
            obsolete: fit.start,
            stress,
        })
    }

    fn load(&mut self, history: &History, memory: i32) -> Option<Update> {
        self.asymmetry_run = memory.clamp(-MAX_ASYMMETRY_RUN, MAX_ASYMMETRY_RUN);
        self.update(history)
    }

    /// The run of large asymmetries of one sign.
    fn memory(&self) -> i32 {
        self.asymmetry_run
    }

    fn estimate(&self) -> &Estimate {
        &self.estimate
    }

    fn poll_score(&self, question: &PollQuestion) -> f64 {
        score_by_samples(question, self.estimate.samples)
    }

    fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        self.estimate.slew(when, dfreq, doffset);
    }

    fn correct_offset(&mut self, by: Seconds) {
        self.estimate.offset += by;
    }

    fn reset(&mut self) {
        self.estimate = Estimate::UNKNOWN;
        self.asymmetry_run = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_a_parabola_is_wrong_at_its_end_by_the_slope_assumed() {
        // x^2 over 0..=1 in fine steps; its slope at the end is 2, the line's is 1.
        let times: Vec<f64> = (0..=1000u32).map(|i| f64::from(i) / 1000.0).collect();
        let line = |x: f64| x - 1.0 / 6.0;
        let squares = times.iter().map(|&x| (x * x - line(x)).powi(2));
        let std_dev = (squares.sum::<f64>() / 1001.0).sqrt();
        let want = PARABOLA_END_SLOPE * std_dev;
        assert!((want - 1.0).abs() < 0.01, "{want}");
    }

    #[test]
    fn a_curve_may_hide_in_the_deviation_but_not_without_a_span() {
        let drift = hidden_drift(1e-3, 1000.0);
        assert!((drift - 0.75 * 13.416e-6).abs() < 1e-12, "{drift}");
        assert!(hidden_drift(1e-3, 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn samples_pull_towards_the_target() {
        for (error, distance, samples, want) in [
            (4.0, 1.0, 8, -2.0),
            (1.0, 1.0, 8, 0.0),
            (0.0, 1.0, 16, 0.125),
            (0.0, 1.0, 4, -0.125),
            (0.0, 1.0, 0, -0.25),
        ] {
            let question = PollQuestion {
                error: Seconds(error),
                distance: Seconds(distance),
                target: 8,
                poll: 6,
                limits: (6, 10),
                score: 0.0,
            };
            let got = score_by_samples(&question, samples);
            assert!((got - want).abs() < 1e-12, "{error} {samples}: {got}");
        }
    }
}
