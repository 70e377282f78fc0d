//! A list of leap seconds, and a compiled time zone that has them.

use timewright_core::discipline::Effects;
use timewright_core::reference::{LeapDatabase, LeapFile};

/// Moments around the leap seconds of the seeds, and the first and last second a clock can show.
const MOMENTS: [i64; 11] = [
    i64::MIN / 1_000_000_000,
    -1,
    0,
    78_796_799,
    1_341_100_799,
    1_356_912_000,
    1_483_228_799,
    1_577_836_799,
    1_577_836_800,
    4_102_444_800,
    i64::MAX / 1_000_000_000,
];

/// Takes `data` for a list, for a zone, and for the new content of a list that is in use.
pub fn run(data: &[u8]) {
    let file = |content: &[u8]| {
        Some(LeapFile {
            name: "leap".into(),
            content: Some(content.to_vec()),
        })
    };
    let mut out = Effects::default();
    look_up(LeapDatabase::new(file(data), None, &mut out));
    look_up(LeapDatabase::new(None, file(data), &mut out));
    look_up(LeapDatabase::new(file(data), file(data), &mut out));

    let good = crate::seeds::leap::list();
    let mut list = LeapDatabase::new(file(good.as_bytes()), None, &mut out);
    assert!(!list.is_empty(), "the list passes the check");
    list.reload(Some(data.to_vec()));
    let mut list = look_up(list);
    list.reload(None);
    look_up(list);
    let _ = out.take();
}

fn look_up(mut leaps: LeapDatabase) -> LeapDatabase {
    let mut out = Effects::default();
    for t in MOMENTS {
        let info = leaps.lookup(t, &mut out);
        assert_eq!(leaps.lookup(t, &mut out), info);
        let _ = leaps.wants_reload(t);
    }
    let _ = out.take();
    leaps
}
