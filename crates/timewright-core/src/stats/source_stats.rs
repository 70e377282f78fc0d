//! Everything the engine asks about the samples of one source (`discipline.md` 5).

use super::Sample;
use super::estimator::{Estimate, Estimator, PollQuestion, Update, WORST_FREQ, for_config};
use super::history::{History, MAX_SAMPLES, Stored};
use super::limits::{Limits, Line};
use super::regression::median;
use std::fmt;
use timewright_time::text::{Exp, Fixed, Utc};
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Samples needed before delays are compared with earlier ones.
const MIN_SAMPLES_FOR_DELAY_TESTS: usize = 6;

/// How the samples of a source are treated; constant for the source's lifetime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatsConfig {
    /// Fewest samples an estimate is made of while there are enough, 1..=`max_samples`
    /// (`minsamples`).
    pub min_samples: usize,
    /// Most samples kept, 1..=64 (`maxsamples`).
    pub max_samples: usize,
    /// Known minimum of the round-trip delay; zero if unknown (`mindelay`).
    pub min_delay: Seconds,
    /// Known asymmetry of the delay, -0.5..=0.5; zero for none, beyond for an unknown one that
    /// is estimated (`asymmetry`).
    pub asymmetry: f64,
    /// Precision of the system clock.
    pub precision: Seconds,
}

impl StatsConfig {
    /// For an NTP source; `min_samples` and `max_samples` as configured, where a maximum of zero
    /// or less means no limit (`discipline.md` 5.1).
    #[must_use]
    pub fn new(min_samples: i32, max_samples: i32, precision: Seconds) -> Self {
        let max_samples = match usize::try_from(max_samples) {
            Ok(0) | Err(_) => MAX_SAMPLES,
            Ok(max) => max.min(MAX_SAMPLES),
        };
        Self {
            min_samples: usize::try_from(min_samples)
                .unwrap_or(1)
                .clamp(1, max_samples),
            max_samples,
            min_delay: Seconds::ZERO,
            asymmetry: 1.0,
            precision,
        }
    }

    /// The same with a known minimum delay and asymmetry.
    #[must_use]
    pub const fn with_path(self, min_delay: Seconds, asymmetry: f64) -> Self {
        Self {
            min_delay,
            asymmetry,
            ..self
        }
    }
}

/// What an accumulated sample did.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulated {
    /// The sample was not later than the newest one: all earlier samples were forgotten.
    pub history_discarded: bool,
    /// Data of a line for the statistics log, if an estimate could be made.
    pub statistics: Option<Statistics>,
}

/// An update of the statistics of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// The new estimate.
    pub estimate: Estimate,
    /// Change of the frequency in units of its former error bound.
    pub stress: f64,
    /// Samples before the obsolete ones were dropped.
    pub samples: usize,
    /// Samples that were dropped.
    pub dropped: usize,
}

/// A line of `statistics.log` (`discipline.md` 5.12).
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsRecord {
    /// Address or reference id of the source.
    pub source: String,
    /// What happened.
    pub statistics: Statistics,
}

impl StatisticsRecord {
    /// The column titles.
    pub const HEADER: &'static str = "   Date (UTC) Time     IP Address    Std dev'n Est offset  \
         Offset sd  Diff freq   Est skew  Stress  Ns  Bs  Nr  Asym";
}

impl fmt::Display for StatisticsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Statistics {
            estimate: e,
            stress,
            samples,
            dropped,
        } = &self.statistics;
        write!(
            f,
            "{} {:<15} {:>10} {:>10} {:>10} {:>10} {:>10} {:>7} {samples:>3} {dropped:>3} {:>3} {:>5}",
            Utc::from_unix(e.time.sec()).log_stamp(),
            self.source,
            Exp(e.std_dev.0, 3),
            Exp(e.offset.0, 3),
            Exp(e.offset_sd.0, 3),
            Exp(e.freq.0, 3),
            Exp(e.skew.0, 3),
            Exp(*stress, 1),
            e.runs,
            Fixed(e.asymmetry, 2),
        )
    }
}

/// What selection judges a source by, for one instant (`discipline.md` 5.7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectionData {
    /// Whether the rest can be relied on.
    pub ok: bool,
    /// Standard deviation of the samples.
    pub std_dev: Seconds,
    /// Error bound of the offset.
    pub root_distance: Seconds,
    /// Smallest possible offset of the local clock; positive means fast.
    pub lo: Seconds,
    /// Largest possible offset.
    pub hi: Seconds,
    /// Age of the oldest sample.
    pub first_ago: Seconds,
    /// Age of the newest sample.
    pub last_ago: Seconds,
}

/// What the clock is steered by (`discipline.md` 5.9).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracking {
    /// The time the offset is for.
    pub ref_time: Timestamp<Cooked>,
    /// Offset of the local clock; positive means fast.
    pub offset: Seconds,
    /// Standard deviation of the offset.
    pub offset_sd: Seconds,
    /// Frequency error of the local clock.
    pub freq: FreqRatio,
    /// Standard deviation of the frequency.
    pub freq_sd: FreqRatio,
    /// Error bound of the frequency.
    pub skew: FreqRatio,
    /// Round-trip time to the primary source.
    pub root_delay: Seconds,
    /// Error bound down from the primary source.
    pub root_dispersion: Seconds,
}

/// What the delay of a new measurement is compared with (`ntp-engine.md` 5.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelayTestData {
    /// Time since the estimate.
    pub last_ago: Seconds,
    /// Offset expected; positive means the local clock is fast.
    pub predicted_offset: Seconds,
    /// Smallest delay known.
    pub min_delay: Seconds,
    /// Error bound of the frequency.
    pub skew: FreqRatio,
    /// Standard deviation of the samples.
    pub std_dev: Seconds,
}

/// The newest sample, for the `sources` report; offsets positive when the local clock is fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastSample {
    /// When it was made.
    pub time: Timestamp<Cooked>,
    /// Offset as measured.
    pub original_offset: Seconds,
    /// Offset adjusted for changes of the clock since.
    pub offset: Seconds,
    /// Error bound: half the root delay plus the root dispersion.
    pub error: Seconds,
}

/// The `sourcestats` report of a source (`discipline.md` 5.11).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceStatsReport {
    /// Number of samples.
    pub samples: usize,
    /// Runs of residuals of equal sign.
    pub runs: usize,
    /// Time between the oldest and the newest sample, rounded to seconds.
    pub span: Seconds,
    /// Standard deviation of the samples.
    pub std_dev: Seconds,
    /// Residual frequency.
    pub freq: FreqRatio,
    /// Error bound of the frequency.
    pub skew: FreqRatio,
    /// Estimated offset now; positive means the local clock is fast.
    pub offset: Seconds,
    /// Error bound of the offset.
    pub offset_error: Seconds,
}

/// The samples of a source and what follows from them.
#[derive(Debug)]
pub struct SourceStats {
    config: StatsConfig,
    history: History,
    estimator: Box<dyn Estimator>,
    /// Index of the sample with the smallest root distance today; below the number of samples.
    best: usize,
}

impl SourceStats {
    /// Without samples.
    #[must_use]
    pub fn new(config: StatsConfig) -> Self {
        Self::with_estimator(config, for_config(&config))
    }

    /// Without samples, with this estimator.
    #[must_use]
    pub fn with_estimator(config: StatsConfig, estimator: Box<dyn Estimator>) -> Self {
        Self {
            config,
            history: History::new(),
            estimator,
            best: 0,
        }
    }

    /// Takes in a sample and updates the estimate (`discipline.md` 5.4, 5.5).
    ///
    /// A sample that is not later than the newest one makes all earlier ones worthless: the clock
    /// was changed behind our back.
    pub fn accumulate(&mut self, sample: Sample) -> Accumulated {
        if self.history.len() >= self.config.max_samples {
            self.history.drop_oldest(1);
        }
        let history_discarded = self
            .history
            .newest()
            .is_some_and(|last| sample.time <= last.time);
        if history_discarded {
            self.reset();
        }
        let mut stored = Stored::from(sample);
        let min_delay = self.config.min_delay.0;
        if stored.peer_delay < min_delay {
            // A delay that cannot be is as far from the truth as its mirror image.
            stored.peer_delay = 2.0 * min_delay - stored.peer_delay;
        }
        self.history.push(stored);
        let update = self.estimator.update(&self.history);
        Accumulated {
            history_discarded,
            statistics: self.follow(update),
        }
    }

    /// Forgets all samples.
    pub fn reset(&mut self) {
        self.history.clear();
        self.estimator.reset();
        self.best = 0;
    }

    /// Follows a change of the clock at `when` by `dfreq` and `doffset` (`discipline.md` 5.8).
    pub fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        if self.history.is_empty() {
            return;
        }
        self.history.slew(when, dfreq, doffset);
        self.estimator.slew(when, dfreq, doffset);
    }

    /// Adds `by` to all offsets; positive makes the local clock appear faster.
    pub fn correct_offset(&mut self, by: Seconds) {
        if self.history.is_empty() {
            return;
        }
        self.history.correct_offset(by);
        self.estimator.correct_offset(by);
    }

    /// Adds `by` to the dispersions of the samples: the local clock became less certain.
    pub fn add_dispersion(&mut self, by: Seconds) {
        self.history.add_dispersion(by);
        self.estimator.add_dispersion(by);
    }

    /// How the newest sample moves the score of the poll interval.
    #[must_use]
    pub fn poll_score(&self, question: &PollQuestion) -> f64 {
        self.estimator.poll_score(question)
    }

    /// Number of samples, 0..=64.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.history.is_empty()
    }

    /// How the samples are treated.
    #[must_use]
    pub const fn config(&self) -> &StatsConfig {
        &self.config
    }

    /// The samples themselves.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The current estimate.
    #[must_use]
    pub fn estimate(&self) -> &Estimate {
        self.estimator.estimate()
    }

    /// Offset expected at `at`, positive when the local clock is fast: the newest one with fewer
    /// than three samples, zero without any.
    #[must_use]
    pub fn predict_offset(&self, at: Timestamp<Cooked>) -> Seconds {
        if self.estimate().valid && self.len() >= 3 {
            return self.estimate().predict(at);
        }
        Seconds(self.history.newest().map_or(0.0, |s| s.offset))
    }

    /// Limits of the frequency error of the local clock.
    #[must_use]
    pub fn frequency_range(&self) -> (FreqRatio, FreqRatio) {
        let Estimate { freq, skew, .. } = *self.estimate();
        if skew.0 > WORST_FREQ.0 {
            return (FreqRatio(-WORST_FREQ.0), WORST_FREQ);
        }
        (FreqRatio(freq.0 - skew.0), FreqRatio(freq.0 + skew.0))
    }

    /// Smallest round-trip delay: the configured one, or the shortest of the samples, or
    /// `f64::MAX` without samples.
    #[must_use]
    pub fn min_delay(&self) -> Seconds {
        if self.config.min_delay.0 > 0.0 {
            return self.config.min_delay;
        }
        self.history.min_delay().unwrap_or(Seconds(f64::MAX))
    }

    /// Estimated asymmetry of the delay, -0.5..=0.5.
    #[must_use]
    pub fn jitter_asymmetry(&self) -> f64 {
        self.estimate().asymmetry
    }

    /// What the delay of a measurement made at `at` is compared with; `None` with fewer than six
    /// samples.
    #[must_use]
    pub fn delay_test_data(&self, at: Timestamp<Cooked>) -> Option<DelayTestData> {
        let estimate = self.estimate();
        (self.len() >= MIN_SAMPLES_FOR_DELAY_TESTS).then(|| DelayTestData {
            last_ago: at - estimate.time,
            predicted_offset: self.predict_offset(at),
            min_delay: self.min_delay(),
            skew: estimate.skew,
            std_dev: estimate.std_dev,
        })
    }

    /// What selection judges the source by at `now`; `None` without samples. Too few samples for
    /// a deviation, where no more are allowed, count as `max_jitter`.
    #[must_use]
    pub fn selection_data(
        &self,
        now: Timestamp<Cooked>,
        max_jitter: Seconds,
    ) -> Option<SelectionData> {
        let (oldest, newest) = (self.oldest_used()?, self.history.newest()?);
        let best = self.best_sample()?;
        let estimate = self.estimate();
        let elapsed = (now - best.time).abs();
        let offset = Seconds(best.offset) + elapsed * estimate.freq;
        let root_distance =
            Seconds(0.5 * best.root_delay + best.root_dispersion) + elapsed * estimate.skew;
        let few_allowed = self.len() < 3 && self.len() == self.config.max_samples;
        Some(SelectionData {
            ok: estimate.valid || few_allowed,
            std_dev: if !estimate.valid && few_allowed {
                max_jitter
            } else {
                estimate.std_dev
            },
            root_distance,
            lo: offset - root_distance,
            hi: offset + root_distance,
            first_ago: now - oldest.time,
            last_ago: now - newest.time,
        })
    }

    /// What the clock is steered by; `None` without samples.
    #[must_use]
    pub fn tracking(&self) -> Option<Tracking> {
        let best = self.best_sample()?;
        let e = self.estimate();
        Some(Tracking {
            ref_time: e.time,
            offset: e.offset,
            offset_sd: e.offset_sd,
            freq: e.freq,
            freq_sd: e.freq_sd,
            skew: e.skew,
            root_delay: Seconds(best.root_delay),
            root_dispersion: Seconds(best.root_dispersion)
                + (e.time - best.time) * e.skew
                + e.offset_sd,
        })
    }

    /// What the samples guarantee about the error of an estimate, which need not be this source's
    /// own. Nothing without samples.
    #[must_use]
    pub fn limits(&self, line: &Line) -> Limits {
        Limits::of(self.history.current(), line, self.estimate().drift)
    }

    /// Bound of the error of an estimate that the best sample alone gives, at least its root
    /// distance: grown with its age as in [`SourceStats::tracking`], and by how far the estimate
    /// passes it, where the delays of the samples do not explain that. Zero without samples.
    #[must_use]
    pub fn best_bound(&self, line: &Line) -> Seconds {
        let Some(best) = self.best_sample() else {
            return Seconds::ZERO;
        };
        let age = line.time - best.time;
        let beside = line.offset - age * line.freq - Seconds(best.offset);
        let distances: Vec<f64> = self
            .history
            .current()
            .iter()
            .map(Stored::distance)
            .collect();
        let shortest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let spread = median(&distances).unwrap_or(shortest) - shortest;
        Seconds(best.distance())
            + age.abs() * self.estimate().skew
            + (beside.abs() - Seconds(spread)).max(Seconds::ZERO)
    }

    /// The newest sample.
    #[must_use]
    pub fn last_sample(&self) -> Option<LastSample> {
        self.history.newest().map(|s| LastSample {
            time: s.time,
            original_offset: Seconds(s.original_offset),
            offset: Seconds(s.offset),
            error: Seconds(0.5 * s.root_delay + s.root_dispersion),
        })
    }

    /// The `sourcestats` report at `now`.
    #[must_use]
    pub fn report(&self, now: Timestamp<Cooked>) -> SourceStatsReport {
        let e = self.estimate();
        let mut report = SourceStatsReport {
            samples: e.samples,
            runs: e.runs,
            span: Seconds::ZERO,
            std_dev: e.std_dev,
            freq: e.freq,
            skew: e.skew,
            offset: Seconds::ZERO,
            offset_error: Seconds::ZERO,
        };
        if let (Some(oldest), Some(newest), Some(best)) = (
            self.oldest_used(),
            self.history.newest(),
            self.best_sample(),
        ) {
            report.span = Seconds((newest.time - oldest.time).0.round());
            report.offset = e.predict(now);
            report.offset_error = e.offset_sd
                + (now - best.time) * e.skew
                + Seconds(0.5 * best.root_delay + best.root_dispersion);
        }
        report
    }

    /// The body of a dump file (`discipline.md` 5.13); `None` without samples.
    #[must_use]
    pub fn dump(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut text = format!("{} {}\n", self.len(), self.estimator.memory());
        self.history.dump(&mut text);
        Some(text)
    }

    /// Takes the samples from the body of a dump file written before `now`, in place of those
    /// there are. `era_s` as in [`super::is_sane`].
    ///
    /// # Errors
    /// [`BadDump`] if a line is missing or not plausible; no samples are left then.
    pub fn load<'a>(
        &mut self,
        lines: &mut impl Iterator<Item = &'a str>,
        now: Timestamp<Cooked>,
        era_s: i64,
    ) -> Result<Option<Statistics>, BadDump> {
        self.reset();
        let (history, memory) = Self::parse(lines, now, era_s).ok_or(BadDump)?;
        self.history = history;
        let update = self.estimator.load(&self.history, memory);
        Ok(self.follow(update))
    }

    fn parse<'a>(
        lines: &mut impl Iterator<Item = &'a str>,
        now: Timestamp<Cooked>,
        era_s: i64,
    ) -> Option<(History, i32)> {
        let mut head = lines.next()?.split_ascii_whitespace();
        let count = head.next()?.parse().ok()?;
        let memory = head.next()?.parse().ok()?;
        Some((History::load(count, lines, now, era_s)?, memory))
    }

    fn best_sample(&self) -> Option<&Stored> {
        self.history.current().get(self.best)
    }

    /// The oldest of the samples the estimate rests on.
    fn oldest_used(&self) -> Option<&Stored> {
        let current = self.history.current();
        current.get(current.len().saturating_sub(self.estimate().samples.max(1)))
    }

    /// Follows an update of the estimate: drops what it no longer rests on, and finds the best
    /// sample.
    fn follow(&mut self, update: Option<Update>) -> Option<Statistics> {
        let samples = self.history.len();
        if let Some(update) = update {
            self.history.drop_oldest(update.obsolete);
        }
        self.best = self.find_best();
        update.map(|update| Statistics {
            estimate: *self.estimator.estimate(),
            stress: update.stress,
            samples,
            dropped: update.obsolete,
        })
    }

    /// Index of the sample of smallest root distance at the time of the newest; the oldest of
    /// equals.
    fn find_best(&self) -> usize {
        let Some(newest) = self.history.newest() else {
            return 0;
        };
        let skew = self.estimate().skew;
        let mut best = (0, f64::INFINITY);
        for (i, s) in self.history.current().iter().enumerate() {
            let age = newest.time - s.time;
            let distance = s.root_dispersion + (age * skew).0 + 0.5 * s.root_delay;
            if distance < best.1 {
                best = (i, distance);
            }
        }
        best.0
    }
}

/// The body of a dump file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the samples in the dump file cannot be used")]
pub struct BadDump;

#[cfg(test)]
mod tests;
