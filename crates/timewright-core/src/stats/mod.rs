//! Statistics of one source: from samples to an estimate of the clock's offset and frequency.
//!
//! ```text
//! Sample ─> [filter] ─> SourceStats { History ─> Estimator } ─> Estimate, reports, selection data
//! ```
//!
//! [`SourceStats`] is what the rest of the engine uses. It keeps the samples ([`History`]) and
//! lets an [`Estimator`] turn them into an [`Estimate`]; the regression of `discipline.md` 5 is
//! the first one. No time is read and nothing is logged here.
//!
//! Signs: a [`Sample`] has offset = source minus local clock, **positive when the local clock is
//! slow**. Everything past [`SourceStats::accumulate`] is **positive when the local clock is
//! fast**; the sign is turned there and nowhere else.

pub mod estimator;
pub mod filter;
#[cfg(test)]
pub(crate) mod golden;
pub mod history;
pub mod limits;
pub mod quantile;
pub mod regression;
pub mod source_stats;
pub mod tables;

pub use estimator::{Estimate, Estimator, PollQuestion};
pub use filter::{FilterConfig, SampleFilter};
pub use history::History;
pub use limits::{Limits, Line};
pub use quantile::{QuantileConfig, Quantiles};
pub use source_stats::{
    Accumulated, DelayTestData, LastSample, SelectionData, SourceStats, SourceStatsReport,
    StatisticsRecord, StatsConfig, Tracking,
};

use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// One measurement of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Local time of the measurement.
    pub time: Timestamp<Cooked>,
    /// Source minus local clock: positive when the local clock is slow.
    pub offset: Seconds,
    /// Round-trip time to the source.
    pub peer_delay: Seconds,
    /// Error bound of the measurement itself.
    pub peer_dispersion: Seconds,
    /// Round-trip time to the primary source.
    pub root_delay: Seconds,
    /// Error bound down from the primary source.
    pub root_dispersion: Seconds,
}

impl Sample {
    /// Follows a change of the clock at `when` by `dfreq` and `doffset` (`discipline.md` 1.2).
    pub fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        let (time, delta) = self.time.adjusted(when, dfreq.0, doffset.0);
        self.time = time;
        self.offset -= delta;
    }
}

/// Whether `time` moved by `offset` is a time NTP can express: not before 1970 and within the
/// 2^32 s from `era_s`, the first Unix second of the NTP era window (`discipline.md` 1.2, *sane*).
#[must_use]
pub fn is_sane<D: Copy>(time: Timestamp<D>, offset: Seconds, era_s: i64) -> bool {
    const WINDOW_S: f64 = 4_294_967_296.0;
    // A NaN fails here.
    if !(offset.0 > -WINDOW_S && offset.0 < WINDOW_S) {
        return false;
    }
    let moved = time.to_f64() + offset.0;
    let era_s = era_s as f64;
    moved >= 0.0 && moved >= era_s && moved <= era_s + WINDOW_S
}

#[cfg(test)]
mod tests {
    use super::golden::{Golden, assert_close};
    use super::*;

    #[test]
    fn times_outside_of_the_era_are_not_sane() {
        const ERA_S: i64 = 190_000_000;
        let t = Timestamp::<Cooked>::from_parts(1_700_000_000, 0);
        for (offset, want) in [
            (0.0, true),
            (-1_510_000_001.0, false),
            (-1_509_999_999.0, true),
            (2_784_967_295.0, true),
            (2_784_967_297.0, false),
            (4_294_967_295.0, false),
            (4_294_967_296.0, false),
            (5e9, false),
            (f64::NAN, false),
        ] {
            assert_eq!(is_sane(t, Seconds(offset), ERA_S), want, "{offset}");
        }
        let before = Timestamp::<Cooked>::from_parts(ERA_S - 1, 0);
        assert!(!is_sane(before, Seconds::ZERO, ERA_S));
        assert!(is_sane(before, Seconds(1.0), ERA_S));
        // A whole era is too much even where the sum would do.
        assert!(!is_sane(before, Seconds(4_294_967_296.0), ERA_S));
        let early = Timestamp::<Cooked>::from_parts(10, 0);
        assert!(!is_sane(early, Seconds(-11.0), -100));
    }

    #[test]
    fn instants_follow_the_golden_arithmetic() {
        let golden = Golden::read("timestamps");
        for case in golden.children("add") {
            assert_eq!(
                case.time("t") + Seconds(case.float("x")),
                case.time("r"),
                "{case}"
            );
        }
        for case in golden.children("adjust") {
            let (moved, delta) = case.time("t").adjusted(
                case.time("when"),
                case.float("dfreq"),
                case.float("doffset"),
            );
            assert_close(delta.0, case.float("delta"), 0.0, "delta");
            assert_eq!(moved, case.time("r"), "{case}");
        }
        for case in golden.children("log2exp") {
            let (log2, want) = (case.element(0).as_int(), case.element(1).as_float());
            assert_close(timewright_time::log2_to_seconds(log2).0, want, 0.0, "log2");
        }
    }
}
