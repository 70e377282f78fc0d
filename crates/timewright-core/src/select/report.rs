//! Reports of selection: `sources`, `selectdata` and, from the statistics, `sourcestats`.

use super::options::SelectOptions;
use super::status::Status;
use super::{Leap, Selector, SourceKind};
use crate::ids::SourceId;
use crate::stats::SourceStatsReport;
use timewright_time::{Cooked, Seconds, Timestamp};

/// State of a source in the `sources` report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// The clock follows it.
    Selected = 0,
    /// It cannot be selected.
    NonSelectable = 1,
    /// It disagrees with the majority.
    Falseticker = 2,
    /// Its samples scatter too much.
    Jittery = 3,
    /// It is combined with the selected source.
    Combined = 4,
    /// It could be selected but is not.
    Selectable = 5,
}

/// The part of the `sources` report that selection knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceReport {
    /// Kind of the source.
    pub kind: SourceKind,
    /// Its reference id.
    pub ref_id: u32,
    /// Its stratum; 0 without samples.
    pub stratum: u8,
    /// What selection thinks of it.
    pub state: SourceState,
    /// Its reachability register.
    pub reach: u8,
    /// Whole seconds since its newest sample, `None` without samples.
    pub last_sample_ago_s: Option<u32>,
    /// Offset of that sample as measured; positive when the local clock was fast.
    pub original_offset: Seconds,
    /// The same, adjusted for changes of the clock since.
    pub offset: Seconds,
    /// Its error bound.
    pub error: Seconds,
}

/// The `selectdata` report of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectReport {
    /// Its reference id.
    pub ref_id: u32,
    /// What selection thinks of it.
    pub status: Status,
    /// Whether it is authenticated.
    pub authenticated: bool,
    /// Leap status it claims.
    pub leap: Leap,
    /// Options of the configuration.
    pub configured: SelectOptions,
    /// Options in effect.
    pub effective: SelectOptions,
    /// Age of its newest sample at the last selection.
    pub last_ago: Seconds,
    /// Score against the selected source.
    pub score: f64,
    /// Lower limit of the offset at the last selection.
    pub lo: Seconds,
    /// Upper limit of the offset.
    pub hi: Seconds,
}

impl Selector {
    /// The `sources` report of a source at `now`.
    #[must_use]
    pub fn source_report(&self, id: SourceId, now: Timestamp<Cooked>) -> Option<SourceReport> {
        let source = self.source(id)?;
        let last = source.stats.last_sample();
        Some(SourceReport {
            kind: source.kind,
            ref_id: source.ref_id,
            stratum: last.map_or(0, |_| source.stratum),
            state: source.status.source_state(),
            reach: source.reach,
            last_sample_ago_s: last.map(|last| whole_seconds_since(last.time, now, source.kind)),
            original_offset: last.map_or(Seconds::ZERO, |last| last.original_offset),
            offset: last.map_or(Seconds::ZERO, |last| last.offset),
            error: last.map_or(Seconds::ZERO, |last| last.error),
        })
    }

    /// The `sourcestats` report of a source at `now`, with its reference id.
    #[must_use]
    pub fn stats_report(
        &self,
        id: SourceId,
        now: Timestamp<Cooked>,
    ) -> Option<(u32, SourceStatsReport)> {
        let source = self.source(id)?;
        Some((source.ref_id, source.stats.report(now)))
    }

    /// The `selectdata` report of a source.
    #[must_use]
    pub fn select_report(&self, id: SourceId) -> Option<SelectReport> {
        let source = self.source(id)?;
        Some(SelectReport {
            ref_id: source.ref_id,
            status: source.status,
            authenticated: source.authenticated,
            leap: source.leap,
            configured: source.configured,
            effective: source.effective,
            last_ago: source.seen.last_ago,
            score: source.score,
            lo: source.seen.lo,
            hi: source.seen.hi,
        })
    }
}

/// Age of a sample as reported; for NTP sources from the beginning of the sample's second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate: a sample from the future is of age 0"
)]
fn whole_seconds_since(sample: Timestamp<Cooked>, now: Timestamp<Cooked>, kind: SourceKind) -> u32 {
    let since = match kind {
        SourceKind::Ntp => Timestamp::from_parts(sample.sec(), 0),
        SourceKind::Refclock => sample,
    };
    (now - since).0 as u32
}
