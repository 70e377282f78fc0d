//! What a selection run brings about: messages, log records, and orders to the rest.

use super::options::SelectOptions;
use super::source::Source;
use super::status::Status;
use super::{SelectConfig, SelectContext};
use crate::event::{Event, Severity};
use crate::ids::SourceId;
use crate::stats::StatisticsRecord;
use std::fmt;
use timewright_time::text::{Exp, Fixed, Utc};
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};
use timewright_wire::Leap;

/// Updates in a row that find a source unusable before it is reported and replaced.
const BAD_THRESHOLD: u32 = 4;

/// One thing that happened or is to be done; carry them out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectAction {
    /// A message for the log.
    Log(SelectEvent),
    /// A line for `statistics.log`; only if the configuration wants them.
    LogStatistics(StatisticsRecord),
    /// A line for `selection.log`; only if the configuration wants them.
    LogSelection(SelectionRecord),
    /// An NTP source is of no use and may be replaced (`discipline.md` 6.9).
    BadSource(SourceId),
    /// Set the reference unsynchronised (`discipline.md` 8.7).
    Unsynchronised,
    /// Update the reference (`discipline.md` 8.3).
    UpdateReference(ReferenceUpdate),
    /// The majority of the sources says this of the next leap second (`discipline.md` 8.10).
    LeapMajority(Leap),
}

/// The arguments of an update of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceUpdate {
    /// The selected source.
    pub source: SourceId,
    /// Its stratum; ours is one more.
    pub stratum: u8,
    /// What the majority says of the next leap second.
    pub leap: Leap,
    /// Number of sources combined, at least 1.
    pub combined: usize,
    /// Reference id of the selected source.
    pub ref_id: u32,
    /// The time the offset is for.
    pub ref_time: Timestamp<Cooked>,
    /// Offset of the local clock; positive means fast.
    pub offset: Seconds,
    /// Standard deviation of the offset.
    pub offset_sd: Seconds,
    /// Frequency error of the local clock; positive means fast.
    pub freq: FreqRatio,
    /// Standard deviation of the frequency.
    pub freq_sd: FreqRatio,
    /// Error bound of the frequency.
    pub skew: FreqRatio,
    /// Root delay of the selected source.
    pub root_delay: Seconds,
    /// Root dispersion of the selected source, from its best sample (`discipline.md` 5.9).
    pub root_dispersion: Seconds,
    /// Bound of the error of the combined estimate at `ref_time`, from all samples
    /// ([`Limits`](crate::stats::Limits)); at least half of `root_delay`.
    pub root_distance: Seconds,
}

/// A message of selection; its `Display` is the exact text.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectEvent {
    /// The table is empty.
    NoSources,
    /// Every source was rejected by itself.
    NoneUsable {
        /// Sources none of whose last polls was answered.
        unreachable: usize,
    },
    /// Every source was rejected by comparison with the others.
    NoneSelectable,
    /// No selectable source has the option `require`.
    NoneRequired,
    /// Fewer selectable sources than `minsources`.
    TooFew,
    /// The sources disagree.
    NoMajority {
        /// Most sources that agree.
        agreeing: usize,
        /// Sources asked.
        total: usize,
        /// Whether these are the trusted ones only.
        trusted: bool,
    },
    /// A source was selected.
    Selected {
        /// Its name.
        source: String,
    },
    /// A source disagrees with the majority.
    Falseticker {
        /// Its name.
        source: String,
    },
    /// The stratum of a source is too small.
    StratumBelow {
        /// Its name.
        source: String,
        /// The limit.
        limit: u32,
    },
    /// The stratum of a source is too large.
    StratumAbove {
        /// Its name.
        source: String,
        /// The limit.
        limit: u32,
    },
    /// The root distance of a source is too large.
    Distance {
        /// Its name.
        source: String,
        /// The limit.
        limit: Seconds,
    },
    /// The samples of a source scatter too much.
    Jitter {
        /// Its name.
        source: String,
        /// The limit.
        limit: Seconds,
    },
    /// The order among orphans cannot be decided.
    UnknownLocalRefId,
    /// A sample was dropped.
    DroppedAroundLeap,
    /// A sample was not later than the one before.
    OutOfOrder {
        /// Its source.
        source: String,
    },
    /// A command changed options.
    OptionsModified {
        /// Of this source.
        source: String,
    },
    /// A command changed `reselectdist`.
    NewReselectDistance(Seconds),
    /// A command reset all sources.
    ResetAll,
    /// A dump file was loaded.
    DumpLoaded {
        /// For this source.
        source: String,
    },
    /// A dump file could not be used.
    DumpRefused {
        /// For this source.
        source: String,
    },
}

impl SelectEvent {
    /// How urgent it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Selected { .. }
            | Self::DroppedAroundLeap
            | Self::OptionsModified { .. }
            | Self::NewReselectDistance(_)
            | Self::ResetAll
            | Self::DumpLoaded { .. } => Severity::Info,
            Self::UnknownLocalRefId => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for SelectEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CANNOT: &str = "Can't synchronise:";
        match self {
            Self::NoSources => write!(f, "{CANNOT} no sources"),
            Self::NoneUsable { unreachable } => write!(
                f,
                "{CANNOT} no selectable sources ({unreachable} unreachable sources)"
            ),
            Self::NoneSelectable => write!(f, "{CANNOT} no selectable sources"),
            Self::NoneRequired => {
                write!(f, "{CANNOT} no required source in selectable sources")
            }
            Self::TooFew => write!(f, "{CANNOT} not enough selectable sources"),
            Self::NoMajority {
                agreeing,
                total,
                trusted,
            } => {
                let trusted = if *trusted { "trusted " } else { "" };
                if *agreeing < 2 {
                    write!(
                        f,
                        "{CANNOT} no majority (no agreement among {total} {trusted}sources)"
                    )
                } else {
                    write!(
                        f,
                        "{CANNOT} no majority (only {agreeing} of {total} {trusted}sources agree)"
                    )
                }
            }
            Self::Selected { source } => write!(f, "Selected source {source}"),
            Self::Falseticker { source } => write!(f, "Detected falseticker {source}"),
            Self::StratumBelow { source, limit } => {
                write!(f, "Stratum of {source} below minstratum of {limit}")
            }
            Self::StratumAbove { source, limit } => {
                write!(f, "Stratum of {source} above maxstratum of {limit}")
            }
            Self::Distance { source, limit } => write!(
                f,
                "Root distance of {source} exceeds maxdistance of {} seconds",
                Fixed(limit.0, 3)
            ),
            Self::Jitter { source, limit } => write!(
                f,
                "Jitter of {source} exceeds maxjitter of {} seconds",
                Fixed(limit.0, 3)
            ),
            Self::UnknownLocalRefId => f.write_str("Unknown local refid in orphan mode"),
            Self::DroppedAroundLeap => f.write_str("Dropping sample around leap second"),
            Self::OutOfOrder { source } => write!(
                f,
                "Out of order sample detected, discarding history for {source}"
            ),
            Self::OptionsModified { source } => {
                write!(f, "Source {source} selection options modified")
            }
            Self::NewReselectDistance(distance) => {
                write!(f, "New reselect distance {}", Fixed(distance.0, 6))
            }
            Self::ResetAll => f.write_str("Reset all sources"),
            Self::DumpLoaded { source } => write!(f, "Loaded dump file for {source}"),
            Self::DumpRefused { source } => write!(f, "Could not load dump file for {source}"),
        }
    }
}

impl From<SelectEvent> for Event {
    fn from(event: SelectEvent) -> Self {
        Self::new(event.severity(), event)
    }
}

/// A line of `selection.log` (`discipline.md` 6.11).
#[derive(Clone, Debug, PartialEq)]
pub struct SelectionRecord {
    /// When the selection was made.
    pub time: Timestamp<Cooked>,
    /// Address or reference id of the source.
    pub source: String,
    /// The outcome for it.
    pub status: Status,
    /// Its options in effect.
    pub options: SelectOptions,
    /// Its reachability register.
    pub reach: u8,
    /// Its score against the selected source.
    pub score: f64,
    /// Age of its newest sample.
    pub last_ago: Seconds,
    /// Lower limit of the offset.
    pub lo: Seconds,
    /// Upper limit of the offset.
    pub hi: Seconds,
}

impl SelectionRecord {
    /// The column titles.
    pub const HEADER: &'static str = "   Date (UTC) Time     IP Address   S EOpts Reach Score \
         Last sample  Low end   High end";

    pub(super) fn of(source: &Source, now: Timestamp<Cooked>) -> Self {
        Self {
            time: now,
            source: source.name.short.clone(),
            status: source.status,
            options: source.effective,
            reach: source.reach,
            score: source.score,
            last_ago: source.seen.last_ago,
            lo: source.seen.lo,
            hi: source.seen.hi,
        }
    }
}

impl fmt::Display for SelectionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:<15} {} -{} {:>4o} {:>5} {:>10} {:>10} {:>10}",
            Utc::from_unix(self.time.sec()).log_stamp(),
            self.source,
            self.status.letter(),
            self.options,
            self.reach,
            Fixed(self.score, 2),
            Exp(self.last_ago.0, 3),
            Exp(self.lo.0, 3),
            Exp(self.hi.0, 3),
        )
    }
}

/// Sets statuses and reports them as one selection run goes on.
pub(super) struct Reporter<'a> {
    config: SelectConfig,
    cx: SelectContext,
    /// Id of the source that was updated last: the only one whose bad updates are counted.
    last_updated: Option<SourceId>,
    out: &'a mut Vec<SelectAction>,
}

impl<'a> Reporter<'a> {
    pub(super) const fn new(
        config: SelectConfig,
        cx: SelectContext,
        last_updated: Option<SourceId>,
        out: &'a mut Vec<SelectAction>,
    ) -> Self {
        Self {
            config,
            cx,
            last_updated,
            out,
        }
    }

    pub(super) fn action(&mut self, action: SelectAction) {
        self.out.push(action);
    }

    /// A message; in special modes selection is silent.
    pub(super) fn message(&mut self, event: SelectEvent) {
        if self.cx.normal_mode {
            self.out.push(SelectAction::Log(event));
        }
    }

    /// Sets a status without a message.
    pub(super) fn mark_quietly(&mut self, source: &mut Source, status: Status) {
        source.status = status;
        if self.last_updated == Some(source.id) {
            source.bad = if status.is_bad() {
                source.bad.saturating_add(1)
            } else {
                0
            };
            if source.bad >= BAD_THRESHOLD && source.kind == super::SourceKind::Ntp {
                self.action(SelectAction::BadSource(source.id));
            }
        }
        if self.config.log_selection {
            let record = SelectionRecord::of(source, self.cx.now);
            self.action(SelectAction::LogSelection(record));
        }
    }

    /// Sets a status, with a message if it is one an administrator should know of and was not
    /// reported since the selected source changed last.
    pub(super) fn mark(&mut self, source: &mut Source, status: Status) {
        self.mark_quietly(source, status);
        if !self.cx.normal_mode || source.reported.contains(&status) {
            return;
        }
        let long_bad = source.bad >= BAD_THRESHOLD;
        let name = || source.name.long.clone();
        let SelectConfig {
            min_stratum,
            max_stratum,
            ..
        } = self.config;
        let event = match status {
            Status::BadStratum if long_bad && u32::from(source.stratum) < min_stratum => {
                SelectEvent::StratumBelow {
                    source: name(),
                    limit: min_stratum,
                }
            }
            Status::BadStratum if long_bad => SelectEvent::StratumAbove {
                source: name(),
                limit: max_stratum,
            },
            Status::BadDistance if long_bad => SelectEvent::Distance {
                source: name(),
                limit: self.config.max_distance,
            },
            Status::Jittery if long_bad => SelectEvent::Jitter {
                source: name(),
                limit: self.config.max_jitter,
            },
            Status::Falseticker => SelectEvent::Falseticker { source: name() },
            Status::Selected => SelectEvent::Selected { source: name() },
            _ => return,
        };
        source.reported.push(status);
        self.message(event);
    }
}
