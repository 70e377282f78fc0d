//! The selection procedure (`discipline.md` 6.5), step by step.
#![expect(
    clippy::indexing_slicing,
    reason = "indices come from enumerating the same table, which does not change here"
)]

use super::combine::{Combined, Part, combine};
use super::event::{ReferenceUpdate, Reporter, SelectAction, SelectEvent};
use super::interval::{Intersection, Interval, intersect};
use super::score::{self, DISTANT_PENALTY, SCORE_LIMIT, ScoreInput};
use super::source::{REACH_BITS, SourceKind};
use super::status::Status;
use super::{Leap, SelectConfig, SelectContext, Selector};
use crate::ids::SourceId;
use crate::stats::{Limits, Line, Tracking};
use timewright_time::{Cooked, Seconds, Timestamp};

/// What the first look at every source found (step 1).
#[derive(Debug, Default)]
struct Survey {
    /// A source with the option `require` exists.
    required: bool,
    /// Sources none of whose polls were answered.
    unreachable: usize,
    /// Sources without valid statistics, and their largest reachability register and size.
    without_stats: usize,
    without_stats_reach: u8,
    without_stats_reach_size: u8,
    /// The same of usable sources.
    usable_reach: u8,
    usable_reach_size: u8,
    /// Age of the oldest sample of reachable usable sources.
    oldest_reachable: Seconds,
}

/// The sources that may be selected (steps 6 to 8).
struct Selectable {
    /// Their indices, in order.
    list: Vec<usize>,
    /// Only those with the option `prefer` are left.
    preferred_only: bool,
}

impl Selector {
    /// Chooses among the sources. `updated` is the source with a new sample, if that is the
    /// reason.
    ///
    /// The reference is updated if the selected source had an update since it was last.
    pub fn select(
        &mut self,
        cx: &SelectContext,
        updated: Option<SourceId>,
        out: &mut Vec<SelectAction>,
    ) {
        let updated = updated.and_then(|id| self.index(id));
        if let Some(i) = updated {
            self.sources[i].updates += 1;
            self.last_updated = Some(i);
        }
        let last_updated = self.last_updated.map(|i| self.sources[i].id);
        let mut reporter = Reporter::new(self.config, *cx, last_updated, out);
        let reporter = &mut reporter;
        if self.sources.is_empty() {
            self.unselect_because(SelectEvent::NoSources, reporter);
            return;
        }

        let survey = self.survey(cx, reporter);
        let usable = self.exclude_stale_and_orphans(cx, &survey, reporter);
        if self.waits_for_statistics(usable, &survey) {
            self.mark_ok(Status::WaitsStats, reporter);
            self.unselect();
            return;
        }
        if !self.forced_first_report
            && survey
                .usable_reach_size
                .max(survey.without_stats_reach_size)
                == REACH_BITS
        {
            self.report_loss = true;
            self.forced_first_report = true;
        }
        if usable == 0 {
            let unreachable = survey.unreachable;
            self.unselect_because(SelectEvent::NoneUsable { unreachable }, reporter);
            return;
        }

        let intersection = self.intersection();
        if !intersection.is_majority() {
            self.give_up_without_majority(&intersection, reporter);
            return;
        }
        let Some(selectable) = self.selectable(&intersection, &survey, reporter) else {
            return;
        };
        let Some(selected) = self.choose(&selectable, updated) else {
            self.unselect();
            self.mark_ok(Status::WaitsUpdate, reporter);
            return;
        };
        reporter.mark(&mut self.sources[selected], Status::Selected);
        self.follow(selected, &selectable.list, reporter);
    }

    /// Step 1: judges every source by itself.
    fn survey(&mut self, cx: &SelectContext, reporter: &mut Reporter<'_>) -> Survey {
        let mut survey = Survey::default();
        let config = self.config;
        for source in &mut self.sources {
            source.leap_vote = false;
            survey.required |= source.effective.require;
            if source.effective.noselect {
                reporter.mark(source, Status::NoSelect);
                continue;
            }
            survey.unreachable += usize::from(source.reach == 0);

            let data = source.stats.selection_data(cx.now, config.max_jitter);
            if let Some(data) = data {
                source.seen = data;
            }
            if !data.is_some_and(|data| data.ok) {
                survey.without_stats += 1;
                survey.without_stats_reach = survey.without_stats_reach.max(source.reach);
                survey.without_stats_reach_size =
                    survey.without_stats_reach_size.max(source.reach_size);
                reporter.mark(source, Status::BadStats);
                continue;
            }
            if source.leap == Leap::Unsynchronised {
                reporter.mark(source, Status::Unsynchronised);
                continue;
            }
            let stratum = u32::from(source.stratum);
            if !(config.min_stratum..=config.max_stratum).contains(&stratum) {
                reporter.mark(source, Status::BadStratum);
                continue;
            }
            let seen = &mut source.seen;
            let extrapolated = seen.last_ago * 2.0 - seen.first_ago;
            if extrapolated > Seconds::ZERO {
                // Older than it is long: the clock may have gone its own way since.
                let extra = extrapolated * config.max_clock_error;
                seen.root_distance += extra;
                seen.lo -= extra;
                seen.hi += extra;
            }
            if !(seen.root_distance <= config.max_distance && seen.lo <= seen.hi) {
                reporter.mark(source, Status::BadDistance);
                continue;
            }
            if seen.std_dev > config.max_jitter {
                reporter.mark(source, Status::Jittery);
                continue;
            }
            source.status = Status::Ok;
            survey.usable_reach = survey.usable_reach.max(source.reach);
            survey.usable_reach_size = survey.usable_reach_size.max(source.reach_size);
            if source.reach != 0 {
                survey.oldest_reachable = survey.oldest_reachable.max(source.seen.first_ago);
            }
        }
        survey
    }

    /// Step 2: rejects unreachable sources older than reachable ones, and servers in orphan mode
    /// unless there is nothing else and one precedes us. Returns how many sources are left.
    fn exclude_stale_and_orphans(
        &mut self,
        cx: &SelectContext,
        survey: &Survey,
        reporter: &mut Reporter<'_>,
    ) -> usize {
        let mut usable = 0;
        let mut first_orphan: Option<usize> = None;
        for i in 0..self.sources.len() {
            let source = &mut self.sources[i];
            if !source.is_ok() {
                continue;
            }
            if source.reach == 0
                && (source.seen.last_ago > survey.oldest_reachable
                    || source.unreachable_run > source.max_unreachable)
            {
                reporter.mark(source, Status::Stale);
                continue;
            }
            if source.kind == SourceKind::Ntp && source.stratum >= cx.orphan_stratum {
                reporter.mark(source, Status::Orphan);
                let candidate = source.stratum == cx.orphan_stratum && source.reach != 0;
                let ref_id = source.ref_id;
                if candidate && first_orphan.is_none_or(|f| ref_id < self.sources[f].ref_id) {
                    first_orphan = Some(i);
                }
                continue;
            }
            usable += 1;
        }
        if let (0, Some(orphan)) = (usable, first_orphan) {
            let orphan = &mut self.sources[orphan];
            if orphan.local_ref_id == 0 {
                reporter.action(SelectAction::Log(SelectEvent::UnknownLocalRefId));
            } else if orphan.ref_id < orphan.local_ref_id {
                orphan.status = Status::Ok;
                usable = 1;
            }
        }
        usable
    }

    /// Step 3: just after the start, whether sources that are one poll behind should have their
    /// samples before anything is selected.
    fn waits_for_statistics(&self, usable: usize, survey: &Survey) -> bool {
        survey.without_stats > 0
            && usable > 0
            && self.selected.is_none()
            && survey.usable_reach_size < REACH_BITS
            && survey.usable_reach >> 1 == survey.without_stats_reach
    }

    /// Step 4: where do most sources agree?
    fn intersection(&self) -> Intersection {
        let usable = (0..self.sources.len()).filter(|&i| self.sources[i].is_ok());
        let intervals: Vec<Interval> = usable.map(|i| self.interval(i)).collect();
        intersect(&intervals)
    }

    fn interval(&self, i: usize) -> Interval {
        let source = &self.sources[i];
        Interval {
            lo: source.seen.lo.0,
            hi: source.seen.hi.0,
            trusted: source.effective.trust,
        }
    }

    /// Step 5, when the sources disagree.
    fn give_up_without_majority(&mut self, found: &Intersection, reporter: &mut Reporter<'_>) {
        if !self.reported_no_majority {
            reporter.message(SelectEvent::NoMajority {
                agreeing: found.agreeing,
                total: found.total,
                trusted: found.trusted,
            });
            self.reported_no_majority = true;
            self.report_loss = false;
        }
        if self.selected.is_some() {
            reporter.action(SelectAction::Unsynchronised);
            self.unselect();
        }
        self.mark_ok(Status::Falseticker, reporter);
    }

    /// Steps 6 to 8: rejects falsetickers, sees to `require`, `minsources` and `prefer`, and
    /// gives the rest a vote on leap seconds. `None` if nothing may be selected.
    fn selectable(
        &mut self,
        intersection: &Intersection,
        survey: &Survey,
        reporter: &mut Reporter<'_>,
    ) -> Option<Selectable> {
        let mut list = Vec::new();
        let mut has_required = !survey.required;
        for i in 0..self.sources.len() {
            if !self.sources[i].is_ok() {
                continue;
            }
            let interval = self.interval(i);
            let source = &mut self.sources[i];
            if !intersection.admits(&interval) {
                reporter.mark(source, Status::Falseticker);
            } else if !intersection.is_trustworthy(&interval) {
                reporter.mark(source, Status::Untrusted);
            } else {
                has_required |= source.effective.require;
                list.push(i);
            }
        }
        let refused = if list.is_empty() {
            Some(SelectEvent::NoneSelectable)
        } else if !has_required {
            Some(SelectEvent::NoneRequired)
        } else if list.len() < self.config.min_sources {
            Some(SelectEvent::TooFew)
        } else {
            None
        };
        if let Some(why) = refused {
            self.unselect_because(why, reporter);
            self.mark_ok(Status::WaitsSources, reporter);
            return None;
        }

        for &i in &list {
            let source = &mut self.sources[i];
            source.leap_vote = !intersection.trusted || source.effective.trust;
        }
        let preferred_only = list.iter().any(|&i| self.sources[i].effective.prefer);
        if preferred_only {
            list.retain(|&i| {
                let source = &mut self.sources[i];
                if !source.effective.prefer {
                    reporter.mark(source, Status::NonPreferred);
                }
                source.effective.prefer
            });
        }
        Some(Selectable {
            list,
            preferred_only,
        })
    }

    /// Steps 9 and 10: updates the scores and returns the selected source, the old or a new one.
    /// `None` if a new one should be selected but has no new sample.
    fn choose(&mut self, selectable: &Selectable, updated: Option<usize>) -> Option<usize> {
        let strata = selectable.list.iter().map(|&i| self.sources[i].stratum);
        let input = ScoreInput {
            config: &self.config,
            min_stratum: strata.min()?,
            preferred_only: selectable.preferred_only,
            selected: self.selected,
            updated,
        };
        let (best, best_score) = score::update(&mut self.sources, &input)?;
        if let Some(selected) = self.selected
            && self.sources[selected].is_ok()
            && (best == selected || best_score <= SCORE_LIMIT)
        {
            return Some(selected);
        }
        if self.sources[best].updates == 0 {
            return None;
        }
        self.selected = Some(best);
        for source in &mut self.sources {
            source.score = 1.0;
            source.distant = 0;
            source.reported.clear();
        }
        self.reported_no_majority = false;
        self.report_loss = false;
        self.forced_first_report = true;
        Some(best)
    }

    /// Steps 11 and 12: updates the reference if the selected source has anything new.
    fn follow(&mut self, selected: usize, list: &[usize], reporter: &mut Reporter<'_>) {
        if self.sources[selected].updates == 0 {
            for &i in list {
                let source = &mut self.sources[i];
                if source.is_ok() {
                    let status = if source.distant > 0 {
                        Status::Distant
                    } else {
                        Status::Combined
                    };
                    reporter.mark(source, status);
                }
            }
            return;
        }
        for source in &mut self.sources {
            source.updates = 0;
        }
        let leap = self.leap_majority();
        let Some(tracking) = self.sources[selected].stats.tracking() else {
            return;
        };
        let combined = self.combine(selected, &tracking, list, reporter);
        let source = &self.sources[selected];
        reporter.action(SelectAction::UpdateReference(ReferenceUpdate {
            source: source.id,
            stratum: source.stratum,
            leap,
            combined: combined.count,
            ref_id: source.ref_id,
            ref_time: tracking.ref_time,
            offset: combined.offset,
            offset_sd: combined.offset_sd,
            freq: combined.freq,
            freq_sd: combined.freq_sd,
            skew: combined.skew,
            root_delay: tracking.root_delay,
            root_dispersion: tracking.root_dispersion,
            root_distance: self.bound(selected, list, tracking.ref_time, &combined),
        }));
    }

    /// Bound of the error of the combined estimate: what the samples of all sources combined allow
    /// together, but no less than the best sample of the selected one says. Sources that are not
    /// selected count with `reselectdist` added to their distance, as in their selection.
    fn bound(
        &self,
        selected: usize,
        list: &[usize],
        time: Timestamp<Cooked>,
        combined: &Combined,
    ) -> Seconds {
        let line = Line {
            time,
            offset: combined.offset,
            freq: combined.freq,
        };
        let stats = &self.sources[selected].stats;
        let others = list.iter().filter(|&&i| i != selected);
        let others = others.map(|&i| &self.sources[i]);
        let limits = others
            .filter(|source| source.distant == 0)
            .map(|source| {
                let limits = source.stats.limits(&line);
                limits.widened(self.config.reselect_distance)
            })
            .fold(stats.limits(&line), Limits::and);
        limits.bound().max(stats.best_bound(&line))
    }

    /// Combines the selectable sources that are not distant (`discipline.md` 6.6).
    fn combine(
        &mut self,
        selected: usize,
        own: &Tracking,
        list: &[usize],
        reporter: &mut Reporter<'_>,
    ) -> Combined {
        let SelectConfig {
            combine_limit,
            reselect_distance,
            max_clock_error,
            ..
        } = self.config;
        if list.len() == 1 {
            return Combined::alone(own);
        }
        let reference = &self.sources[selected];
        let max_distance = reference
            .with_reselect_distance(reference.seen.root_distance, reselect_distance)
            * combine_limit;
        let mut parts = Vec::with_capacity(list.len());
        for &i in list {
            let source = &mut self.sources[i];
            let Some(tracking) = source.stats.tracking() else {
                continue;
            };
            let max_difference = combine_limit * (own.skew.0 + tracking.skew.0 + max_clock_error.0);
            if i != selected
                && (source.seen.root_distance > max_distance
                    || (own.freq.0 - tracking.freq.0).abs() > max_difference)
            {
                // A source that has only begun may soon be as good as the others.
                source.distant = if source.reach_size == REACH_BITS {
                    DISTANT_PENALTY
                } else {
                    1
                };
            } else {
                source.distant = source.distant.saturating_sub(1);
            }
            if source.distant > 0 {
                reporter.mark(source, Status::Distant);
                continue;
            }
            if source.is_ok() {
                reporter.mark(source, Status::Combined);
            }
            parts.push(Part {
                tracking,
                root_distance: source.seen.root_distance,
            });
        }
        combine(own, &parts)
    }

    /// Gives all sources that are left the same status, without messages.
    fn mark_ok(&mut self, status: Status, reporter: &mut Reporter<'_>) {
        for source in &mut self.sources {
            if source.is_ok() {
                reporter.mark_quietly(source, status);
            }
        }
    }
}
