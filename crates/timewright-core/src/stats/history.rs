//! The samples a source is judged by, and some older ones.
//!
//! The *current* samples are the ones estimates are made of. Samples dropped from them stay for a
//! while as *older* ones: they still take part in the runs test, the asymmetry estimate and the
//! minimum delay (`discipline.md` 5.2 to 5.4, 5.8, 5.13).

use super::regression::RUNS_RATIO;
use super::{Sample, is_sane};
use std::fmt::Write;
use timewright_time::text::Exp;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Most current samples of a source.
pub const MAX_SAMPLES: usize = 64;

/// Delays and dispersions in a dump file must be smaller, seconds.
const MAX_DUMPED_SPAN_S: f64 = 1e6;

/// A sample as stored: offsets are positive when the local clock is **fast**, spans in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stored {
    /// When it was made, on today's scale of the clock.
    pub time: Timestamp<Cooked>,
    /// Offset, adjusted for all changes of the clock since.
    pub offset: f64,
    /// Offset as measured.
    pub original_offset: f64,
    /// Round-trip time to the source.
    pub peer_delay: f64,
    /// Error bound of the measurement.
    pub peer_dispersion: f64,
    /// Round-trip time to the primary source.
    pub root_delay: f64,
    /// Error bound down from the primary source.
    pub root_dispersion: f64,
}

impl Stored {
    /// Root distance when the sample was made: the bound of its error, s.
    #[must_use]
    pub fn distance(&self) -> f64 {
        0.5 * self.root_delay + self.root_dispersion
    }
}

impl From<Sample> for Stored {
    fn from(sample: Sample) -> Self {
        let offset = -sample.offset.0;
        Self {
            time: sample.time,
            offset,
            original_offset: offset,
            peer_delay: sample.peer_delay.0,
            peer_dispersion: sample.peer_dispersion.0,
            root_delay: sample.root_delay.0,
            root_dispersion: sample.root_dispersion.0,
        }
    }
}

/// Older and current samples in time order.
#[derive(Clone, Debug, Default)]
pub struct History {
    samples: Vec<Stored>,
    /// How many of `samples` are older ones.
    older: usize,
    /// Smallest peer delay of all `samples`; infinite without any.
    min_delay: f64,
}

impl History {
    /// No samples.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The current samples, oldest first.
    #[must_use]
    pub fn current(&self) -> &[Stored] {
        self.samples.get(self.older..).unwrap_or(&[])
    }

    /// Older and current samples, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Stored] {
        &self.samples
    }

    /// Number of current samples, at most [`MAX_SAMPLES`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len() - self.older
    }

    /// Whether there is no current sample (and so no older one either).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of older samples, at most as many as current ones.
    #[must_use]
    pub fn older_len(&self) -> usize {
        self.older
    }

    /// The newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<&Stored> {
        self.samples.last()
    }

    /// Smallest peer delay of older and current samples.
    #[must_use]
    pub fn min_delay(&self) -> Option<Seconds> {
        (!self.is_empty()).then_some(Seconds(self.min_delay))
    }

    /// Appends a sample; a full history makes its oldest current one an older one first.
    pub(super) fn push(&mut self, sample: Stored) {
        if self.len() >= MAX_SAMPLES {
            self.drop_oldest(1);
        }
        self.samples.push(sample);
        self.find_min_delay();
    }

    /// Makes the `count` oldest current samples older ones, as far as these are still wanted.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        let current = self.len().saturating_sub(count);
        let older = (self.older + count).min(current * (RUNS_RATIO - 1));
        self.samples
            .drain(..self.samples.len().saturating_sub(older + current));
        self.older = older;
        self.find_min_delay();
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Follows a change of the clock at `when` (`discipline.md` 1.2).
    pub(super) fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        for sample in &mut self.samples {
            let (time, delta) = sample.time.adjusted(when, dfreq.0, doffset.0);
            sample.time = time;
            sample.offset += delta.0;
        }
    }

    /// Adds `by` to the offset of every sample.
    pub(super) fn correct_offset(&mut self, by: Seconds) {
        for sample in &mut self.samples {
            sample.offset += by.0;
        }
    }

    /// Adds `by` to the dispersions of the current samples.
    pub(super) fn add_dispersion(&mut self, by: Seconds) {
        for sample in self.samples.iter_mut().skip(self.older) {
            sample.peer_dispersion += by.0;
            sample.root_dispersion += by.0;
        }
    }

    /// The current samples as lines of a dump file.
    pub(super) fn dump(&self, text: &mut String) {
        for s in self.current() {
            let (sec, nsec) = (s.time.sec(), s.time.subsec_ns());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{sec}.{nsec:09} {} {} {} {} {} {}",
                Exp(s.offset, 6),
                Exp(s.original_offset, 6),
                Exp(s.peer_delay, 6),
                Exp(s.peer_dispersion, 6),
                Exp(s.root_delay, 6),
                Exp(s.root_dispersion, 6),
            );
        }
    }

    /// Reads `count` lines of a dump file. `None` if one is missing, malformed, not later than
    /// the one before, in the future, or beyond what a sample can be.
    pub(super) fn load<'a>(
        count: usize,
        lines: &mut impl Iterator<Item = &'a str>,
        now: Timestamp<Cooked>,
        era_s: i64,
    ) -> Option<Self> {
        if !(1..=MAX_SAMPLES).contains(&count) {
            return None;
        }
        let mut history = Self::new();
        for _ in 0..count {
            let sample = parse_line(lines.next()?, now, era_s)?;
            if history
                .newest()
                .is_some_and(|last| sample.time <= last.time)
            {
                return None;
            }
            history.push(sample);
        }
        Some(history)
    }

    fn find_min_delay(&mut self) {
        let delays = self.samples.iter().map(|s| s.peer_delay);
        self.min_delay = delays.fold(f64::INFINITY, f64::min);
    }
}

/// A line of a dump file as a sample.
#[expect(
    clippy::cast_possible_truncation,
    reason = "times are limited to the NTP era first"
)]
fn parse_line(line: &str, now: Timestamp<Cooked>, era_s: i64) -> Option<Stored> {
    let mut numbers = line
        .split_ascii_whitespace()
        .map(|word| word.parse::<f64>());
    let mut number = || numbers.next()?.ok();
    let at = number()?;
    let stored = Stored {
        time: Timestamp::from_parts(at.trunc() as i64, ((at - at.trunc()) * 1e9) as i64),
        offset: number()?,
        original_offset: number()?,
        peer_delay: number()?,
        peer_dispersion: number()?,
        root_delay: number()?,
        root_dispersion: number()?,
    };
    let spans = [
        stored.peer_delay,
        stored.peer_dispersion,
        stored.root_delay,
        stored.root_dispersion,
    ];
    let plausible = is_sane(now, Seconds(at - now.to_f64()), era_s)
        && is_sane(stored.time, Seconds(-stored.offset), era_s)
        && stored.original_offset.is_finite()
        && stored.time <= now
        && spans.iter().all(|span| span.abs() < MAX_DUMPED_SPAN_S);
    plausible.then_some(stored)
}
