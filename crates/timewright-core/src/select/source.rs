//! What selection knows of one source (`discipline.md` 6.1).

use super::options::SelectOptions;
use super::status::Status;
use crate::ids::SourceId;
use crate::stats::{SelectionData, SourceStats, StatsConfig};
use timewright_time::Seconds;
use timewright_wire::Leap;

/// Polls the reachability register remembers.
pub(super) const REACH_BITS: u8 = 8;

/// Kinds of sources; they differ in names, orphan mode, scores and replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A server or peer.
    Ntp,
    /// A reference clock.
    Refclock,
}

/// How texts name a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName {
    /// Address, or reference id of a reference clock: the name in most messages and all logs.
    pub short: String,
    /// `short`, with the configured name behind it if that is another one.
    pub long: String,
    /// The name in the configuration; `None` for a reference clock.
    pub configured: Option<String>,
}

impl SourceName {
    /// Of an NTP source, by its address and the name in the configuration.
    #[must_use]
    pub fn ntp(address: &str, configured: &str) -> Self {
        Self {
            short: address.to_string(),
            long: if address == configured {
                address.to_string()
            } else {
                format!("{address} ({configured})")
            },
            configured: Some(configured.to_string()),
        }
    }

    /// Of a reference clock, by its reference id as text.
    #[must_use]
    pub fn refclock(ref_id: &str) -> Self {
        Self {
            short: ref_id.to_string(),
            long: ref_id.to_string(),
            configured: None,
        }
    }
}

/// What a source is created from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSetup {
    /// Its kind.
    pub kind: SourceKind,
    /// Its reference id: for IPv4 the address.
    pub ref_id: u32,
    /// Its names.
    pub name: SourceName,
    /// Whether it is authenticated.
    pub authenticated: bool,
    /// Options of the configuration.
    pub options: SelectOptions,
    /// Unanswered polls in a row after which an unreachable source is stale (`maxunreach`).
    pub max_unreachable: u32,
    /// How its samples are treated.
    pub stats: StatsConfig,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) kind: SourceKind,
    pub(super) ref_id: u32,
    pub(super) local_ref_id: u32,
    pub(super) name: SourceName,
    pub(super) authenticated: bool,
    pub(super) active: bool,
    pub(super) configured: SelectOptions,
    pub(super) effective: SelectOptions,
    pub(super) max_unreachable: u32,
    pub(super) stats: SourceStats,

    /// Outcomes of the last eight polls, the newest in bit 0.
    pub(super) reach: u8,
    /// How many of them were made, 0..=8.
    pub(super) reach_size: u8,
    /// Unanswered polls since the register became 0.
    pub(super) unreachable_run: u32,
    pub(super) stratum: u8,
    pub(super) leap: Leap,

    pub(super) status: Status,
    /// Statuses reported since the selected source changed last.
    pub(super) reported: Vec<Status>,
    /// What the last selection saw; a source without samples keeps what was seen before.
    pub(super) seen: SelectionData,
    pub(super) score: f64,
    /// Selections for which the source stays out of the combination.
    pub(super) distant: u32,
    /// Selections as updated source since the last update of the reference.
    pub(super) updates: u32,
    /// Updates in a row that found the source unusable.
    pub(super) bad: u32,
    pub(super) leap_vote: bool,
}

const NOTHING_SEEN: SelectionData = SelectionData {
    ok: false,
    std_dev: Seconds::ZERO,
    root_distance: Seconds::ZERO,
    lo: Seconds::ZERO,
    hi: Seconds::ZERO,
    first_ago: Seconds::ZERO,
    last_ago: Seconds::ZERO,
};

impl Source {
    pub(super) fn new(id: SourceId, setup: SourceSetup) -> Self {
        Self {
            id,
            kind: setup.kind,
            ref_id: setup.ref_id,
            local_ref_id: 0,
            name: setup.name,
            authenticated: setup.authenticated,
            active: false,
            configured: setup.options,
            effective: setup.options,
            max_unreachable: setup.max_unreachable,
            stats: SourceStats::new(setup.stats),
            reach: 0,
            reach_size: 0,
            unreachable_run: 0,
            stratum: 0,
            leap: Leap::Unsynchronised,
            status: Status::BadStats,
            reported: Vec::new(),
            seen: NOTHING_SEEN,
            score: 1.0,
            distant: 0,
            updates: 0,
            bad: 0,
            leap_vote: false,
        }
    }

    /// Back to how it was created, except for options and activity.
    pub(super) fn reset(&mut self) {
        self.reset_reach();
        self.stats.reset();
        self.updates = 0;
        self.distant = 0;
        self.bad = 0;
        self.status = Status::BadStats;
        self.score = 1.0;
        self.stratum = 0;
        self.leap = Leap::Unsynchronised;
        self.leap_vote = false;
        self.seen = NOTHING_SEEN;
    }

    pub(super) fn reset_reach(&mut self) {
        self.reach = 0;
        self.reach_size = 0;
        self.unreachable_run = 0;
    }

    pub(super) fn update_reach(&mut self, answered: bool) {
        self.reach = self.reach << 1 | u8::from(answered);
        self.reach_size = (self.reach_size + 1).min(REACH_BITS);
        self.unreachable_run = if self.reach == 0 {
            self.unreachable_run.saturating_add(1)
        } else {
            0
        };
    }

    /// An NTP source none of whose last eight polls was answered.
    pub(super) fn is_unreachable_ntp(&self) -> bool {
        self.kind == SourceKind::Ntp && self.reach == 0 && self.reach_size == REACH_BITS
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// `distance` plus what this kind of source has to be better by to be selected anew.
    pub(super) fn with_reselect_distance(&self, distance: Seconds, reselect: Seconds) -> Seconds {
        match self.kind {
            SourceKind::Ntp => distance + reselect,
            SourceKind::Refclock => distance,
        }
    }
}
