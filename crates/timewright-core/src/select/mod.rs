//! Selection: which sources tell the true time, and what they say together.
//!
//! [`Selector`] keeps what selection knows of every source, with its [`SourceStats`], and decides
//! after every update which sources to believe (`discipline.md` 6). It reads no clock, writes no
//! log and steers nothing: what happened is appended to a list of [`SelectAction`]s, to be carried
//! out in order.
//!
//! ```text
//! accumulate(sample), update_status, update_reachability ─> select ─> Vec<SelectAction>
//!
//! select:  judge every source ─> interval::intersect ─> trust, prefer, require
//!          ─> score::update ─> combine::combine ─> ReferenceUpdate
//! ```
//!
//! Offsets are positive when the local clock is fast.

mod combine;
mod dump;
mod event;
mod interval;
mod options;
mod procedure;
mod report;
mod score;
mod source;
mod status;

pub use dump::dump_file_name;
pub use event::{ReferenceUpdate, SelectAction, SelectEvent, SelectionRecord};
pub use options::SelectOptions;
pub use report::{SelectReport, SourceReport, SourceState};
pub use source::{SourceKind, SourceName, SourceSetup};
pub use status::Status;
pub use timewright_wire::Leap;

use crate::ids::SourceId;
use crate::stats::{Sample, SourceStats, StatisticsRecord};
use event::Reporter;
use source::Source;
use timewright_config::AuthSelectMode;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Directives that govern selection (`discipline.md` 6.1), and the logs wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectConfig {
    /// Largest root distance of a selectable source (`maxdistance`).
    pub max_distance: Seconds,
    /// Largest standard deviation of the samples of a selectable source (`maxjitter`).
    pub max_jitter: Seconds,
    /// Distance added to NTP sources when scores are compared (`reselectdist`).
    pub reselect_distance: Seconds,
    /// Distance a stratum counts for (`stratumweight`).
    pub stratum_weight: Seconds,
    /// Sources this much farther than the selected one are not combined (`combinelimit`).
    pub combine_limit: f64,
    /// Smallest stratum of a selectable source (directive `minstratum`).
    pub min_stratum: u32,
    /// Largest stratum of a selectable source (`maxstratum`).
    pub max_stratum: u32,
    /// Fewest selectable sources to select one (`minsources`).
    pub min_sources: usize,
    /// How authentication changes the options of sources (`authselectmode`).
    pub auth_mode: AuthSelectMode,
    /// Largest frequency error of the clock between updates (`maxclockerror`).
    pub max_clock_error: FreqRatio,
    /// Whether records for `statistics.log` are wanted.
    pub log_statistics: bool,
    /// Whether records for `selection.log` are wanted.
    pub log_selection: bool,
}

impl Default for SelectConfig {
    fn default() -> Self {
        Self {
            max_distance: Seconds(3.0),
            max_jitter: Seconds(1.0),
            reselect_distance: Seconds(1e-4),
            stratum_weight: Seconds(1e-3),
            combine_limit: 3.0,
            min_stratum: 0,
            max_stratum: 15,
            min_sources: 1,
            auth_mode: AuthSelectMode::Mix,
            max_clock_error: FreqRatio::from_ppm(1.0),
            log_statistics: false,
            log_selection: false,
        }
    }
}

/// The state of the rest of the engine that selection depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectContext {
    /// Cooked time of the current wake-up.
    pub now: Timestamp<Cooked>,
    /// Whether the reference is in its normal mode, not in `initstepslew`, `-q` or `-Q`.
    pub normal_mode: bool,
    /// Stratum of the local reference if it is in orphan mode, else 16 (`discipline.md` 8.9).
    pub orphan_stratum: u8,
}

/// The sources and the choice among them.
///
/// The order of sources is that of their creation; it decides ties. All calls with an id that is
/// not in the table do nothing.
#[derive(Debug)]
pub struct Selector {
    config: SelectConfig,
    sources: Vec<Source>,
    /// Index of the selected source.
    selected: Option<usize>,
    /// Index of the source that was updated last.
    last_updated: Option<usize>,
    /// The missing majority was reported since a source was selected last.
    reported_no_majority: bool,
    /// The next loss of the selection is to be reported.
    report_loss: bool,
    /// `report_loss` was forced once after the start, when enough polls had been made.
    forced_first_report: bool,
}

impl Selector {
    /// Without sources.
    #[must_use]
    pub const fn new(config: SelectConfig) -> Self {
        Self {
            config,
            sources: Vec::new(),
            selected: None,
            last_updated: None,
            reported_no_majority: false,
            report_loss: false,
            forced_first_report: false,
        }
    }

    /// The directives in force.
    #[must_use]
    pub const fn config(&self) -> &SelectConfig {
        &self.config
    }

    /// Adds a source at the end of the table. False, and nothing changed, if `id` is in use.
    pub fn add(&mut self, id: SourceId, setup: SourceSetup) -> bool {
        if self.index(id).is_some() {
            return false;
        }
        self.sources.push(Source::new(id, setup));
        self.update_effective_options();
        true
    }

    /// Removes a source and selects again.
    pub fn remove(&mut self, id: SourceId, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        let Some(removed) = self.index(id) else {
            return;
        };
        self.sources.remove(removed);
        for index in [&mut self.selected, &mut self.last_updated] {
            *index = match *index {
                Some(i) if i > removed => Some(i - 1),
                Some(i) if i < removed => Some(i),
                _ => None,
            };
        }
        self.update_effective_options();
        self.select(cx, None, out);
    }

    /// Forgets everything measured of a source, after its address changed or on request; selects
    /// again if it was the selected one.
    pub fn reset(&mut self, id: SourceId, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        if let Some(i) = self.index(id) {
            self.reset_index(i, cx, out);
        }
    }

    /// The `reset sources` command: forgets everything measured of all sources. The caller then
    /// announces a clock step of unknown size.
    pub fn reset_all(&mut self, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        for i in 0..self.sources.len() {
            self.reset_index(i, cx, out);
        }
        out.push(SelectAction::Log(SelectEvent::ResetAll));
    }

    /// Gives a source another reference id and other names, after its address changed.
    pub fn set_identity(&mut self, id: SourceId, ref_id: u32, name: SourceName) {
        if let Some(source) = self.source_mut(id) {
            source.ref_id = ref_id;
            source.name = name;
        }
    }

    /// Sets the reference id a source is reported with (option `copy`).
    pub fn set_ref_id(&mut self, id: SourceId, ref_id: u32) {
        if let Some(source) = self.source_mut(id) {
            source.ref_id = ref_id;
        }
    }

    /// Tells the reference id of our own address towards a source, needed in orphan mode; zero
    /// if unknown.
    pub fn set_local_ref_id(&mut self, id: SourceId, local_ref_id: u32) {
        if let Some(source) = self.source_mut(id) {
            source.local_ref_id = local_ref_id;
        }
    }

    /// Tells whether a source is being polled.
    pub fn set_active(&mut self, id: SourceId, active: bool) {
        if let Some(source) = self.source_mut(id) {
            source.active = active;
        }
    }

    /// Whether any source is in operation.
    #[must_use]
    pub fn has_active(&self) -> bool {
        self.sources.iter().any(|source| source.active)
    }

    /// Takes in a sample (`discipline.md` 6.2). The caller calls [`Selector::select`] with this
    /// source as updated afterwards.
    ///
    /// `near_leap`: now, the sample time or the sample time plus offset are close to a leap
    /// second (`discipline.md` 8.11), so that the sample cannot be trusted and is dropped.
    pub fn accumulate(
        &mut self,
        id: SourceId,
        sample: Sample,
        near_leap: bool,
        out: &mut Vec<SelectAction>,
    ) {
        let log_statistics = self.config.log_statistics;
        let Some(source) = self.source_mut(id) else {
            return;
        };
        if near_leap {
            out.push(SelectAction::Log(SelectEvent::DroppedAroundLeap));
            return;
        }
        let done = source.stats.accumulate(sample);
        if done.history_discarded {
            let source = source.name.short.clone();
            out.push(SelectAction::Log(SelectEvent::OutOfOrder { source }));
        }
        if let Some(statistics) = done.statistics.filter(|_| log_statistics) {
            let source = source.name.short.clone();
            out.push(SelectAction::LogStatistics(StatisticsRecord {
                source,
                statistics,
            }));
        }
    }

    /// Takes in the stratum and leap status a source claims. Near a leap second (now only) the
    /// leap status is ignored.
    pub fn update_status(
        &mut self,
        id: SourceId,
        stratum: u8,
        leap: Leap,
        near_leap: bool,
        out: &mut Vec<SelectAction>,
    ) {
        let Some(source) = self.source_mut(id) else {
            return;
        };
        source.stratum = stratum;
        if near_leap {
            return;
        }
        source.leap = leap;
        if source.leap_vote {
            out.push(SelectAction::LeapMajority(self.leap_majority()));
        }
    }

    /// Takes in the outcome of a poll: whether the source answered. Selects again if none of the
    /// last eight polls was answered.
    pub fn update_reachability(
        &mut self,
        id: SourceId,
        answered: bool,
        cx: &SelectContext,
        out: &mut Vec<SelectAction>,
    ) {
        let Some(source) = self.source_mut(id) else {
            return;
        };
        source.update_reach(answered);
        let unreachable = source.reach == 0;
        let is_bad = source.is_unreachable_ntp();
        if !cx.normal_mode && self.is_hopeless() {
            out.push(SelectAction::Unsynchronised);
        }
        if is_bad {
            out.push(SelectAction::BadSource(id));
        }
        if unreachable {
            self.select(cx, None, out);
        }
    }

    /// Forgets the outcomes of all polls of a source.
    pub fn reset_reachability(
        &mut self,
        id: SourceId,
        cx: &SelectContext,
        out: &mut Vec<SelectAction>,
    ) {
        if let Some(source) = self.source_mut(id) {
            source.reset_reach();
        }
        self.update_reachability(id, false, cx, out);
    }

    /// The `reselect` command: forgets the choice and chooses again. That nothing may be selected
    /// then was asked for and is not reported as a loss.
    pub fn reselect(&mut self, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        self.selected = None;
        self.select(cx, None, out);
    }

    /// The `reselectdist` command.
    pub fn set_reselect_distance(&mut self, distance: Seconds, out: &mut Vec<SelectAction>) {
        if self.config.reselect_distance != distance {
            self.config.reselect_distance = distance;
            out.push(SelectAction::Log(SelectEvent::NewReselectDistance(
                distance,
            )));
        }
    }

    /// The `selectopts` command: replaces the options in `mask` by those in `options`. The
    /// effect shows with the next selection.
    pub fn modify_options(
        &mut self,
        id: SourceId,
        mask: SelectOptions,
        options: SelectOptions,
        out: &mut Vec<SelectAction>,
    ) {
        let Some(source) = self.source_mut(id) else {
            return;
        };
        if source.configured.and(mask) == options {
            return;
        }
        source.configured = source.configured.without(mask).or(options);
        let source = source.name.short.clone();
        out.push(SelectAction::Log(SelectEvent::OptionsModified { source }));
        self.update_effective_options();
    }

    /// Follows a slew or a step of known size of the clock (`discipline.md` 1.3).
    pub fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        for source in &mut self.sources {
            source.stats.slew(when, dfreq, doffset);
        }
    }

    /// Follows a step of unknown size: all samples are worthless.
    pub fn unknown_step(&mut self, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        for source in &mut self.sources {
            source.stats.reset();
        }
        self.select(cx, None, out);
    }

    /// The clock became less certain by `by`.
    pub fn add_dispersion(&mut self, by: Seconds) {
        for source in &mut self.sources {
            source.stats.add_dispersion(by);
        }
    }

    /// The statistics of a source.
    #[must_use]
    pub fn stats(&self, id: SourceId) -> Option<&SourceStats> {
        self.source(id).map(|source| &source.stats)
    }

    /// The statistics of a source, to correct its offsets.
    pub fn stats_mut(&mut self, id: SourceId) -> Option<&mut SourceStats> {
        self.source_mut(id).map(|source| &mut source.stats)
    }

    /// The selected source.
    #[must_use]
    pub fn selected(&self) -> Option<SourceId> {
        let source = self.sources.get(self.selected?)?;
        Some(source.id)
    }

    /// Whether any of the last eight polls was answered.
    #[must_use]
    pub fn is_reachable(&self, id: SourceId) -> bool {
        self.source(id).is_some_and(|source| source.reach != 0)
    }

    /// All sources in the order of their creation.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> {
        self.sources.iter().map(|source| source.id)
    }

    /// Number of sources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there are no sources.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// What the sources that have a vote say of the next leap second (`discipline.md` 6.10).
    #[must_use]
    pub fn leap_majority(&self) -> Leap {
        let voters = self.sources.iter().filter(|source| source.leap_vote);
        let (mut votes, mut insert, mut delete) = (0, 0, 0);
        for source in voters {
            votes += 1;
            insert += usize::from(source.leap == Leap::Insert);
            delete += usize::from(source.leap == Leap::Delete);
        }
        if insert > votes / 2 {
            Leap::Insert
        } else if delete > votes / 2 {
            Leap::Delete
        } else {
            Leap::Normal
        }
    }

    fn reset_index(&mut self, i: usize, cx: &SelectContext, out: &mut Vec<SelectAction>) {
        if let Some(source) = self.sources.get_mut(i) {
            source.reset();
        }
        if self.selected == Some(i) {
            self.select(cx, None, out);
        }
    }

    fn index(&self, id: SourceId) -> Option<usize> {
        self.sources.iter().position(|source| source.id == id)
    }

    fn source(&self, id: SourceId) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }

    fn source_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.id == id)
    }

    /// Forgets the choice; its loss is to be reported when it is certain.
    fn unselect(&mut self) {
        if self.selected.take().is_some() {
            self.report_loss = true;
        }
    }

    /// Forgets the choice and reports the loss, once.
    fn unselect_because(&mut self, why: SelectEvent, reporter: &mut Reporter<'_>) {
        self.unselect();
        if self.report_loss {
            reporter.message(why);
            self.report_loss = false;
        }
    }

    /// Recomputes what authentication makes of the configured options (`discipline.md` 6.3).
    fn update_effective_options(&mut self) {
        let mode = self.config.auth_mode;
        let ntp = |authenticated: bool| {
            self.sources.iter().any(|source| {
                source.kind == SourceKind::Ntp
                    && !source.configured.noselect
                    && source.authenticated == authenticated
            })
        };
        let (some_auth, some_unauth) = (ntp(true), ntp(false));
        for source in &mut self.sources {
            let trusted_by_kind = source.kind == SourceKind::Refclock || source.authenticated;
            let added = options::added_options(mode, trusted_by_kind, some_auth, some_unauth);
            source.effective = if source.configured.noselect {
                source.configured
            } else {
                source.configured.or(added)
            };
        }
    }

    /// In a special mode: no active source can still come to three samples within the seven
    /// polls it is given (`discipline.md` 6.13).
    fn is_hopeless(&self) -> bool {
        !self.sources.iter().any(|source| {
            let polls_left = 7u8.saturating_sub(source.reach_size);
            source.active && polls_left > 0 && usize::from(polls_left) + source.stats.len() >= 3
        })
    }
}

#[cfg(test)]
mod tests;
