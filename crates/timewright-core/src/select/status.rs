//! What selection thinks of a source: the state letters of reports (`discipline.md` 6.4).

use super::report::SourceState;

/// Outcome of the last selection for a source, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not rejected so far; only while a selection runs.
    Ok,
    /// Option `noselect`.
    NoSelect,
    /// Fewer than three samples, or no estimate.
    BadStats,
    /// It says itself that it is not synchronised.
    Unsynchronised,
    /// Its stratum is below `minstratum` or above `maxstratum`.
    BadStratum,
    /// Its root distance is too large.
    BadDistance,
    /// Its samples scatter too much.
    Jittery,
    /// Other sources are expected to have enough samples soon.
    WaitsStats,
    /// Unreachable, and older than what reachable sources offer.
    Stale,
    /// A server in orphan mode, and not the one to follow.
    Orphan,
    /// It agrees with the majority, but not with the trusted sources.
    Untrusted,
    /// It disagrees with the majority, or there is none.
    Falseticker,
    /// Other selectable sources are required.
    WaitsSources,
    /// There are preferred sources.
    NonPreferred,
    /// It would be selected, but has no new sample.
    WaitsUpdate,
    /// Too far from the selected source to be combined with it.
    Distant,
    /// Reserved.
    Outlier,
    /// Combined with the selected source.
    Combined,
    /// The selected source.
    Selected,
}

impl Status {
    /// The letter of the `selectdata` report and the selection log.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Ok => '?',
            Self::NoSelect => 'N',
            Self::BadStats => 'M',
            Self::Unsynchronised => 's',
            Self::BadStratum => 'r',
            Self::BadDistance => 'd',
            Self::Jittery => '~',
            Self::WaitsStats => 'w',
            Self::Stale => 'S',
            Self::Orphan => 'O',
            Self::Untrusted => 'T',
            Self::Falseticker => 'x',
            Self::WaitsSources => 'W',
            Self::NonPreferred => 'P',
            Self::WaitsUpdate => 'U',
            Self::Distant => 'D',
            Self::Outlier => 'L',
            Self::Combined => '+',
            Self::Selected => '*',
        }
    }

    /// The coarser state of the `sources` report.
    #[must_use]
    pub const fn source_state(self) -> SourceState {
        match self {
            Self::Falseticker => SourceState::Falseticker,
            Self::Jittery => SourceState::Jittery,
            Self::WaitsSources
            | Self::NonPreferred
            | Self::WaitsUpdate
            | Self::Distant
            | Self::Outlier => SourceState::Selectable,
            Self::Combined => SourceState::Combined,
            Self::Selected => SourceState::Selected,
            _ => SourceState::NonSelectable,
        }
    }

    /// Whether a source that is updated with this status may have to be replaced.
    pub(super) const fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Falseticker | Self::BadStratum | Self::BadDistance | Self::Jittery
        )
    }
}
