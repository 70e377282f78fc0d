//! What is expected of the clocks of a drawn simulation, beyond what always holds.

use super::draft::Draft;
use crate::check::Violation;
use crate::report::Report;
use crate::world::{NodeId, Observation};

/// Share of the time in which bounds have to cover the error, over all runs.
pub(super) const COVERED_MIN: f64 = 0.999;
/// In a single run the error may be above so many times the bound ...
const GROSS: f64 = 2.0;
/// ... for this share of its time: a path that becomes asymmetric while its source is out of reach
/// looks like a frequency error for as long as samples from before are kept. This notices bounds
/// that are wrong altogether; how often they may miss the error is [`COVERED_MIN`].
const GROSS_MAX: f64 = 0.2;
/// The longest poll interval of the drawn clients and a bit: after that every source was asked.
const ALL_ASKED_S: f64 = 1100.0;
/// A lie this large is one; smaller ones hide in the noise of the paths, s.
const LIE_MIN_S: f64 = 0.1;
/// Part of a lie that may get through while the statistics of the liar widen.
const CAPTURE: f64 = 0.25;
/// Seconds after the beginning of a lie in which it may not have been noticed.
const NOTICE_S: f64 = 0.0;

/// A clock that is this far off has its midnight at another time, s.
const FAR_OFF_S: f64 = 0.5;
/// After this a client over good paths has settled, s.
const SETTLED_S: f64 = 4000.0;
/// Then the RMS error of the estimate is at most this part of the mean jitter: jitter of one
/// direction is known by the delay it causes, and taken out, ...
const ONE_SIDED: f64 = 0.1;
/// ... jitter of both is averaged.
const TWO_SIDED: f64 = 0.25;

/// How often claimed bounds covered the true error, where they should.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Observations of a synchronised clock that count.
    pub seen: u64,
    /// ... of which the error was above the bound.
    pub missed: u64,
    /// ... and of which it was more than twice the bound.
    pub gross: u64,
    /// Largest ratio of error to bound.
    pub worst: f64,
}

impl Coverage {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        self.missed += other.missed;
        self.gross += other.gross;
        self.worst = self.worst.max(other.worst);
    }

    /// Whether bounds covered the error as often as they have to, over many runs.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.share() >= COVERED_MIN
    }

    /// Share of the observations that were covered; 1 without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of observations")]
    pub fn share(&self) -> f64 {
        if self.seen == 0 {
            1.0
        } else {
            1.0 - self.missed as f64 / self.seen as f64
        }
    }
}

/// Whether the bounds of the hosts with honest sources covered their errors, outside the spans
/// from a fault to the next valid sample.
pub(super) fn coverage(
    draft: &Draft,
    report: &Report,
    violations: &mut Vec<Violation>,
) -> Coverage {
    let mut all = Coverage::default();
    for &host in &draft.covered {
        let mut faults: Vec<f64> = draft
            .faults
            .iter()
            .filter(|(h, _)| *h == host)
            .map(|(_, at_s)| *at_s)
            .collect();
        faults.sort_by(f64::total_cmp);
        let unnoticed: Vec<f64> = draft
            .unnoticed
            .iter()
            .filter(|(h, _)| *h == host)
            .map(|(_, at_s)| *at_s)
            .collect();
        // A clock that is far off follows a leap second at its own midnight, when it was asked to.
        let own_midnight =
            |seen: &&Observation| draft.start_s.is_some() && seen.offset_s.abs() > FAR_OFF_S;
        let observations: Vec<Observation> = report
            .world
            .observations(NodeId(host))
            .iter()
            .filter(|seen| !own_midnight(seen))
            .copied()
            .collect();
        let (coverage, first) = host_coverage(&observations, &faults, &unnoticed);
        #[expect(clippy::cast_precision_loss, reason = "counts of observations")]
        let gross_share = coverage.gross as f64 / observations.len().max(1) as f64;
        if gross_share > GROSS_MAX
            && let Some(first) = first
        {
            violations.push(Violation {
                seed: draft.seed,
                at_s: first.at_s,
                host: draft.hosts.get(host).map_or_else(String::new, |h| h.name.clone()),
                rule: "bound",
                detail: format!(
                    "covered {:.4} of {} observations, at worst {:.2} times the bound, first {first:?}",
                    coverage.share(),
                    coverage.seen,
                    coverage.worst
                ),
            });
        }
        all.add(&coverage);
    }
    all
}

fn host_coverage(
    observations: &[Observation],
    faults: &[f64],
    unnoticed: &[f64],
) -> (Coverage, Option<Observation>) {
    let mut coverage = Coverage::default();
    let mut first = None;
    let mut faults = faults.iter().copied().peekable();
    // The last update before a fault that still has to be followed by another.
    let mut excused: Option<Option<timewright_time::MonoTime>> = None;
    let mut last = None;
    for seen in observations {
        while faults.next_if(|&at_s| at_s <= seen.at_s).is_some() {
            excused = Some(last);
        }
        if let Some(before) = excused
            && seen.last_update.is_some()
            && seen.last_update != before
        {
            excused = None;
        }
        last = seen.last_update;
        let asking = unnoticed
            .iter()
            .any(|at_s| (0.0..ALL_ASKED_S).contains(&(seen.at_s - at_s)));
        let Some(bound) = seen.bound_s.filter(|_| excused.is_none() && !asking) else {
            continue;
        };
        coverage.seen += 1;
        let ratio = seen.estimate_s.abs() / bound.max(1e-9);
        coverage.worst = coverage.worst.max(ratio);
        if ratio > 1.0 {
            coverage.missed += 1;
        }
        if ratio > GROSS {
            coverage.gross += 1;
            first.get_or_insert(*seen);
        }
    }
    (coverage, first)
}

/// Whether a lie got through to a client although the honest sources were not fewer.
pub(super) fn capture(draft: &Draft, report: &Report, violations: &mut Vec<Violation>) {
    let Some(lie) = draft.lie else { return };
    let client = draft.hosts.len().saturating_sub(1);
    let observations = report.world.observations(NodeId(client));
    let captured = observations.iter().find(|seen| {
        let size = lie.size_s(seen.at_s);
        seen.at_s > lie.at_s + NOTICE_S
            && size >= LIE_MIN_S
            && seen
                .bound_s
                .is_some_and(|bound| bound < seen.estimate_s.abs())
            && seen.estimate_s.abs() > CAPTURE * size
    });
    if let Some(seen) = captured {
        violations.push(Violation {
            seed: draft.seed,
            at_s: seen.at_s,
            host: draft
                .hosts
                .get(client)
                .map_or_else(String::new, |h| h.name.clone()),
            rule: "capture",
            detail: format!("{seen:?} follows {lie:?}"),
        });
    }
}

/// Whether the estimate over good paths is as good as it can be.
pub(super) fn accuracy(draft: &Draft, report: &Report, violations: &mut Vec<Violation>) {
    let Some(steady) = draft.steady else { return };
    let observations = report.world.observations(NodeId(steady.client));
    let settled: Vec<f64> = observations
        .iter()
        .filter(|seen| seen.at_s > SETTLED_S && seen.last_update.is_some())
        .map(|seen| seen.estimate_s)
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a count of observations")]
    let mean_square = settled.iter().map(|e| e * e).sum::<f64>() / settled.len().max(1) as f64;
    let rms_s = mean_square.sqrt();
    let share = if steady.asymmetry.abs() > 0.0 {
        ONE_SIDED
    } else {
        TWO_SIDED
    };
    if settled.is_empty() || rms_s > share * steady.jitter_s {
        violations.push(Violation {
            seed: draft.seed,
            at_s: draft.length_s,
            host: draft
                .hosts
                .get(steady.client)
                .map_or_else(String::new, |h| h.name.clone()),
            rule: "accuracy",
            detail: format!(
                "{rms_s:e} s in {} observations, {:.3} of {steady:?}",
                settled.len(),
                rms_s / steady.jitter_s
            ),
        });
    }
}
