//! What the samples guarantee about an estimate.
//!
//! Half the root delay and the root dispersion of a sample bound its error. An estimate of the
//! clock, here a line of offset over time, therefore misses the truth at the time of a sample by
//! no less and no more than that distance around its own distance from the sample. What lies
//! between the sample and now adds as much as the frequency may be wrong. Every sample gives such
//! limits, old ones of short delay and new ones of long, and all of them hold at once:
//!
//! ```text
//! sample 1  |--------------------|
//! sample 2          |-----------------------|
//! sample 3      |------------|
//! all               |--------|        0 = estimate; the bound reaches to the farther end
//! ```
//!
//! The bound is better than that of any one sample, and it notices an estimate that has left what
//! its samples allow.

use super::history::Stored;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// An estimate of the clock as a line; positive means fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The time the offset is for.
    pub time: Timestamp<Cooked>,
    /// Offset of the local clock at `time`.
    pub offset: Seconds,
    /// Frequency error of the local clock.
    pub freq: FreqRatio,
}

/// Between which values the error of an estimate (estimate minus truth) lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    lo: Seconds,
    hi: Seconds,
}

impl Limits {
    /// Nothing is known.
    pub const NONE: Self = Self {
        lo: Seconds(f64::NEG_INFINITY),
        hi: Seconds(f64::INFINITY),
    };

    /// The limits of the error of `line` at its time that all `samples` hold to, if its frequency
    /// was wrong by at most `drift` on average since each of them.
    pub(super) fn of(samples: &[Stored], line: &Line, drift: FreqRatio) -> Self {
        samples
            .iter()
            .map(|sample| {
                let age = line.time - sample.time;
                let beside = line.offset - age * line.freq - Seconds(sample.offset);
                let reach = Seconds(sample.distance()) + age.abs() * drift;
                Self {
                    lo: beside - reach,
                    hi: beside + reach,
                }
            })
            .fold(Self::NONE, Self::and)
    }

    /// What both say. Limits that exclude each other give a lower one above the upper one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lo: self.lo.max(other.lo),
            hi: self.hi.min(other.hi),
        }
    }

    /// The same, trusted less.
    #[must_use]
    pub fn widened(self, by: Seconds) -> Self {
        Self {
            lo: self.lo - by,
            hi: self.hi + by,
        }
    }

    /// Bound of the magnitude of the error; infinite if nothing is known.
    ///
    /// Limits that exclude each other prove that a frequency was worse than assumed: what they
    /// miss each other by comes on top.
    #[must_use]
    pub fn bound(&self) -> Seconds {
        self.lo.abs().max(self.hi.abs()) + (self.lo - self.hi).max(Seconds::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_000_000;

    /// A line and samples given by age, offset (both s) and distance, s.
    fn limits(offset: f64, freq: f64, drift: f64, samples: &[(i64, f64, f64)]) -> Limits {
        let time = Timestamp::from_parts(NOW_S, 0);
        let stored: Vec<Stored> = samples
            .iter()
            .map(|&(age_s, offset, distance)| Stored {
                time: Timestamp::from_parts(NOW_S - age_s, 0),
                offset,
                original_offset: offset,
                peer_delay: distance,
                peer_dispersion: 0.0,
                root_delay: distance,
                root_dispersion: 0.5 * distance,
            })
            .collect();
        let line = Line {
            time,
            offset: Seconds(offset),
            freq: FreqRatio(freq),
        };
        Limits::of(&stored, &line, FreqRatio(drift))
    }

    #[track_caller]
    fn check_bound(limits: Limits, want: f64) {
        let got = limits.bound().0;
        assert!((got - want).abs() < 1e-12, "{limits:?}: {got}, not {want}");
    }

    #[test]
    fn one_sample_bounds_by_its_distance_its_age_and_how_far_it_is() {
        check_bound(limits(0.0, 0.0, 0.0, &[(0, 0.0, 1e-3)]), 1e-3);
        check_bound(limits(5e-4, 0.0, 0.0, &[(0, 0.0, 1e-3)]), 1.5e-3);
        check_bound(limits(-5e-4, 0.0, 0.0, &[(0, 0.0, 1e-3)]), 1.5e-3);
        check_bound(limits(0.0, 0.0, 1e-6, &[(100, 0.0, 1e-3)]), 1.1e-3);
        // The line passes through the old sample.
        check_bound(limits(1e-4, 1e-6, 0.0, &[(100, 0.0, 1e-3)]), 1e-3);
    }

    #[test]
    fn samples_hold_together() {
        // The truth is between 0.5 and 1 ms; a third sample that allows more changes nothing.
        let two = [(0, 0.0, 1e-3), (0, 1.5e-3, 1e-3)];
        check_bound(limits(5e-4, 0.0, 0.0, &two), 5e-4);
        check_bound(limits(7.5e-4, 0.0, 0.0, &two), 2.5e-4);
        check_bound(
            limits(7.5e-4, 0.0, 0.0, &[two[0], (9, 0.0, 1e-2), two[1]]),
            2.5e-4,
        );
    }

    #[test]
    fn samples_that_exclude_each_other_add_what_is_between_them() {
        // The truth is at most 1 ms, and at least 3 ms.
        let samples = [(0, 0.0, 1e-3), (50, 4e-3, 1e-3)];
        check_bound(limits(0.0, 0.0, 0.0, &samples), 3e-3 + 2e-3);
        check_bound(limits(2e-3, 0.0, 0.0, &samples), 1e-3 + 2e-3);
        // Not when the older may have drifted.
        check_bound(limits(0.0, 0.0, 1e-4, &samples), 1e-3);
    }

    #[test]
    fn other_sources_may_count_less() {
        let own = limits(0.0, 0.0, 0.0, &[(0, 0.0, 1e-3)]);
        let other = limits(0.0, 0.0, 0.0, &[(0, 1e-4, 2e-4)]);
        check_bound(own.and(other), 3e-4);
        check_bound(own.and(other.widened(Seconds(1e-4))), 4e-4);
        check_bound(own.and(other.widened(Seconds(1.0))), 1e-3);
        assert!(Limits::NONE.bound().0.is_infinite());
    }
}
