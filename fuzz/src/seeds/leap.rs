//! Leap seconds as a list and as a time zone, whole and damaged.

use super::Seed;

/// `Etc/UTC` of the `right` tree of tzdata, which is in the public domain.
const ZONE: &[u8] =
    include_bytes!("../../../crates/timewright-core/tests/data/discipline/right-utc.tzif");

/// Leap seconds since 1900 and TAI - UTC from then on: the first, those of the daemon's check of
/// a list, and one that is taken back.
const LEAPS: [(i64, i32); 6] = [
    (2_272_060_800, 10),
    (2_287_785_600, 11),
    (3_439_756_800, 34),
    (3_550_089_600, 35),
    (3_692_217_600, 37),
    (3_786_825_600, 36),
];

/// A list the daemon accepts.
pub(crate) fn list() -> String {
    let mut text =
        String::from("#\tUpdated through IERS Bulletin C\n#$\t3676924800\n#@\t3928521600\n#\n\n");
    for (when, offset) in LEAPS {
        text += &format!("{when}\t{offset}\t# comment\n");
    }
    text
}

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, bytes: Vec<u8>| {
        add(Seed {
            target: "leap",
            name: name.into(),
            bytes,
        });
    };
    add("list", list().into_bytes());
    add("list-windows", list().replace('\n', "\r\n").into_bytes());
    for (name, from, to) in [
        ("expired", "#@\t3928521600", "#@\t1"),
        ("no-expiry", "#@\t3928521600\n", ""),
        ("no-update", "#$\t3676924800\n", ""),
        ("bad-update", "3676924800", "x"),
        ("bad-expiry", "3928521600", "99999999999999999999"),
        ("empty-expiry", "#@\t3928521600", "#@"),
        ("bad-time", "3550089600", "soon"),
        ("bad-offset", "\t35\t", "\tx\t"),
        ("no-offset", "3550089600\t35\t# comment", "3550089600"),
        ("equal-offset", "\t35\t", "\t34\t"),
        ("huge-time", "3786825600", "9223372036854775807"),
    ] {
        let text = list();
        assert!(text.contains(from), "{name}");
        add(&format!("list-{name}"), text.replace(from, to).into_bytes());
    }

    add("zone", ZONE.to_vec());
    add("zone-cut", ZONE[..ZONE.len() / 2].to_vec());
    add("zone-header-only", ZONE[..44].to_vec());
    // The leap seconds of the daemon's check of a zone, and one that is taken back.
    let leaps = [
        (1_230_768_000, 24),
        (1_341_100_824, 25),
        (1_577_836_824, 24),
    ];
    add("zone-version-1", zone(0, &leaps));
    add("zone-version-2", zone(b'2', &leaps));
    add(
        "zone-expiry",
        zone(b'4', &[(78_796_800, 1), (94_694_401, 1)]),
    );
    add("zone-no-leaps", zone(b'2', &[]));
    add(
        "zone-extremes",
        zone(b'2', &[(i64::MIN, i32::MIN), (i64::MAX, i32::MAX)]),
    );
}

/// A compiled zone with nothing but leap seconds (RFC 8536 section 3).
fn zone(version: u8, leaps: &[(i64, i32)]) -> Vec<u8> {
    let mut bytes = block(version, 4, leaps);
    if version != 0 {
        bytes.extend(block(version, 8, leaps));
    }
    bytes
}

fn block(version: u8, time_len: usize, leaps: &[(i64, i32)]) -> Vec<u8> {
    let mut bytes = b"TZif".to_vec();
    bytes.push(version);
    bytes.extend([0; 15]);
    let count = u32::try_from(leaps.len()).expect("a few");
    for count in [1, 1, count, 0, 1, 4] {
        bytes.extend(count.to_be_bytes());
    }
    bytes.extend(*b"\0\0\0\0\0\0UTC\0");
    for (time, correction) in leaps {
        bytes.extend(&time.to_be_bytes()[8 - time_len..]);
        bytes.extend(correction.to_be_bytes());
    }
    bytes.extend([0, 0]);
    bytes
}
