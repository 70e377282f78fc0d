//! What may be claimed: the bound grows while nothing is heard, is never below what the followed
//! source claims itself, and only sources that may be followed are.

use super::steer::FREQUENCY_MAX_PPM;
use super::{Before, Place, corrects_quietly, is_near_leap};
use timewright_core::discipline::ChangeKind;
use timewright_core::engine::{ClockView, Engine, Shift};
use timewright_core::select::{Leap, Status};
use timewright_time::{MonoTime, Now};

/// The monotonic clock may run this much faster than the estimate of UTC: a slew of 83333 ppm and a
/// frequency error.
const SLOWER: f64 = 0.85;
/// An update changes the frequency, which makes the samples it was made of less certain afterwards.
const UPDATED: f64 = 0.95;
/// ... by as much as a clock may be off while its frequency changes, twice and more, s.
const DISPERSED_S: f64 = 5e-6;
/// Rounding of times, s.
const ROUNDING_S: f64 = 1e-8;
/// Whole nanoseconds, a few of them at a step.
const TIME_TOLERANCE_NS: i64 = 8;

/// What is remembered of the bound.
#[derive(Default)]
pub(super) struct Bounding {
    /// After the last step: when, how large it was, and how fast it has to grow, s/s.
    last: Option<(MonoTime, f64, f64)>,
    last_update: Option<MonoTime>,
}

impl Bounding {
    pub(super) const fn disturbed(&mut self) {
        self.last = None;
    }

    /// Between two steps nothing is learnt.
    pub(super) fn grown(&mut self, now: Now, engine: &Engine, place: &mut Place<'_>) {
        let bound = engine.estimate(now).bound;
        let beyond = engine.clock_view().frequency_ppm.abs() > FREQUENCY_MAX_PPM;
        let known = self.last.filter(|_| !beyond && !is_near_leap(now.raw));
        if let (Some((then, least, rate)), Some(bound)) = (known, bound) {
            let elapsed = (now.mono - then).0;
            let least = least + SLOWER * rate * elapsed;
            place.check(
                bound.0 >= least - ROUNDING_S * rate - 1e-12 * least,
                "bound's growth",
                format_args!("{bound:?} after {elapsed} s, not {least}"),
            );
        }
    }

    pub(super) fn check(
        &mut self,
        before: &Before,
        shifts: &[Shift],
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let now = place.node.clock.read();
        let clock = engine.clock_view();
        let bound = engine.estimate(now).bound.map(|bound| bound.0);
        let rate = clock.skew + 1e-6 * place.node.setup.config.clock.max_clock_error_ppm;
        self.last = bound.map(|bound| (now.mono, bound, rate));
        if clock.last_update == self.last_update {
            // Two updates may be of one moment.
            if clock.last_update != Some(now.mono) {
                reference_time(&before.clock, &clock, shifts, place);
            }
            return;
        }
        self.last_update = clock.last_update;
        let Some(source) = engine.sources().find(|s| s.selected) else {
            return;
        };
        if clock.last_update.is_none() {
            return;
        }
        if let (Some(bound), Some(least)) = (bound, engine.least_distance(source.id)) {
            place.check(
                bound >= least.0 * UPDATED - DISPERSED_S,
                "bound",
                format_args!("{bound} s, but {least:?} of the source itself"),
            );
        }
        may_be_followed(engine, place);
    }
}

/// The time of the last update follows every change of the clock.
fn reference_time(old: &ClockView, new: &ClockView, shifts: &[Shift], place: &mut Place<'_>) {
    let unknown = shifts
        .iter()
        .any(|shift| shift.change.kind == ChangeKind::UnknownStep);
    let quiet = corrects_quietly(&place.node.setup.config);
    if unknown || quiet || old.ref_time.is_zero() || new.ref_time.is_zero() {
        return;
    }
    let mut want = old.ref_time;
    for shift in shifts {
        let change = &shift.change;
        want = want
            .adjusted(change.cooked, change.dfreq, change.doffset.0)
            .0;
    }
    place.check(
        (new.ref_time.ns() - want.ns()).abs() <= TIME_TOLERANCE_NS,
        "reference time",
        format_args!("{:?} became {:?}, not {want:?}", old.ref_time, new.ref_time),
    );
}

/// Selection options and limits hold for the source that was just followed.
fn may_be_followed(engine: &Engine, place: &mut Place<'_>) {
    let client = &place.node.setup.config.selection;
    let (max_distance, min_sources) = (client.max_distance.0, client.min_sources);
    let strata = client.min_stratum..=client.max_stratum;
    let reports = || engine.sources().filter_map(|s| engine.selection(s.id));
    let followed = engine.sources().find(|s| s.selected);
    let Some(report) = followed.and_then(|s| engine.selection(s.id)) else {
        return;
    };
    let distance = (report.hi - report.lo).0 / 2.0;
    place.check(
        !report.effective.noselect
            && report.leap != Leap::Unsynchronised
            && distance <= max_distance * (1.0 + 1e-9),
        "selection",
        format_args!("{report:?} is followed"),
    );
    let stratum = followed
        .and_then(|s| engine.identity(s.id))
        .map(|(stratum, _)| stratum);
    place.check(
        stratum.is_none_or(|stratum| strata.contains(&u32::from(stratum))),
        "selection",
        format_args!("stratum {stratum:?} is followed"),
    );
    // What follows is about all sources, of which reference clocks are not seen.
    if !place.node.setup.config.refclocks.is_empty() {
        return;
    }
    let selectable = |status: Status| {
        matches!(
            status,
            Status::Selected
                | Status::Combined
                | Status::Distant
                | Status::NonPreferred
                | Status::Outlier
                | Status::Ok
        )
    };
    let agreeing = reports().filter(|r| selectable(r.status)).count();
    place.check(
        u32::try_from(agreeing).is_ok_and(|n| n >= min_sources),
        "selection",
        format_args!("{agreeing} sources are enough, not {min_sources}"),
    );
    let required = reports().any(|r| r.effective.require);
    place.check(
        !required || reports().any(|r| r.effective.require && selectable(r.status)),
        "selection",
        format_args!("none of the required sources is selectable"),
    );
    let preferred = reports().any(|r| r.effective.prefer && selectable(r.status));
    place.check(
        !preferred || report.effective.prefer,
        "selection",
        format_args!("a source without preference is followed"),
    );
}
