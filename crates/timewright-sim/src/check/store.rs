//! Stored local times follow every change of the clock (`discipline.md` 1.3).

use super::Place;
use timewright_core::discipline::ChangeKind;
use timewright_core::engine::{Shift, Store, StoredTime};

/// Times are whole nanoseconds.
const TIME_TOLERANCE_NS: i64 = 2;
/// Offsets are sums of floats of up to some 1e9 s.
const OFFSET_TOLERANCE: f64 = 1e-12;

pub(super) fn check(shift: &Shift, place: &mut Place<'_>) {
    if shift.change.kind == ChangeKind::UnknownStep {
        forgotten(shift, place);
    } else {
        moved(shift, place);
    }
}

/// After a known change every time and every offset is what it would have been measured as.
fn moved(shift: &Shift, place: &mut Place<'_>) {
    let change = &shift.change;
    place.check(
        shift.before.len() == shift.after.len(),
        "stores",
        format_args!(
            "{} stored times became {} by a clock change",
            shift.before.len(),
            shift.after.len()
        ),
    );
    for (old, new) in shift.before.iter().zip(&shift.after) {
        if old.time.is_zero() {
            place.check(
                new.time.is_zero(),
                "stores",
                format_args!("{new:?} came to be"),
            );
            continue;
        }
        let delta = (change.cooked - old.time) * change.dfreq - change.doffset;
        let want = old.time + delta;
        let followed = (new.time.ns() - want.ns()).abs() <= TIME_TOLERANCE_NS
            && same_offset(old, new, delta.0);
        place.check(
            followed,
            "stores",
            format_args!("{change:?} made {old:?} {new:?}, not {want:?}"),
        );
    }
}

fn same_offset(old: &StoredTime, new: &StoredTime, delta: f64) -> bool {
    match (old.offset, new.offset) {
        (Some(old), Some(new)) => {
            let want = old.0 + delta;
            (new.0 - want).abs() <= OFFSET_TOLERANCE * (1.0 + want.abs() + old.0.abs())
        }
        (None, None) => true,
        _ => false,
    }
}

/// After a step of unknown size nothing is left but when the last request went out, which limits
/// how soon the next may, and the map of a hardware clock, which finds out by itself.
fn forgotten(shift: &Shift, place: &mut Place<'_>) {
    let kept = shift.after.iter().find(|stored| {
        !stored.time.is_zero()
            && !matches!(
                stored.store,
                Store::Event | Store::LastSent | Store::SavedResponse | Store::Hardware
            )
    });
    place.check(
        kept.is_none(),
        "stores",
        format_args!("{kept:?} outlived a step of unknown size"),
    );
}
