use super::*;
use proptest::prelude::*;
use std::fmt::Write;

fn list_text(entries: &[(i64, i32)]) -> Vec<u8> {
    let mut text = String::from("#\tcomment\n#$\t3676924800\n#@\t3928521600\n\n   \n");
    for (when, offset) in entries {
        writeln!(text, "{when}\t{offset}\t# rest").unwrap();
    }
    text.into_bytes()
}

fn file(content: Option<Vec<u8>>) -> Option<LeapFile> {
    Some(LeapFile {
        name: "list".into(),
        content,
    })
}

fn zone(content: Option<Vec<u8>>) -> Option<LeapFile> {
    Some(LeapFile {
        name: "right/UTC".into(),
        content,
    })
}

fn texts(out: &mut Effects) -> Vec<String> {
    let texts = out.take().into_iter().map(|effect| match effect {
        crate::discipline::Effect::Log(event) => event.text,
        other => panic!("{other:?}"),
    });
    texts.collect()
}

/// `Etc/UTC` of the `right` tree of tzdata 2025b, which is in the public domain.
fn right_utc() -> Vec<u8> {
    include_bytes!("../../../tests/data/discipline/right-utc.tzif").to_vec()
}

/// A TZif file with nothing but a leap second table.
fn tzif(version: u8, leaps: &[(i64, i32)]) -> Vec<u8> {
    let block = |wide: bool, leaps: &[(i64, i32)]| {
        let mut bytes = b"TZif".to_vec();
        bytes.push(version);
        bytes.extend([0; 15]);
        for count in [0, 0, u32::try_from(leaps.len()).unwrap(), 0, 1, 4] {
            bytes.extend(count.to_be_bytes());
        }
        bytes.extend([0; 6]);
        bytes.extend(b"UTC\0");
        for &(time, correction) in leaps {
            if wide {
                bytes.extend(time.to_be_bytes());
            } else {
                bytes.extend(i32::try_from(time).unwrap().to_be_bytes());
            }
            bytes.extend(correction.to_be_bytes());
        }
        bytes
    };
    let mut bytes = block(false, leaps);
    if version >= b'2' {
        bytes.extend(block(true, leaps));
    }
    bytes
}

#[test]
fn golden_lookups() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/discipline/leapdb.json"
    );
    let data: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let entries: Vec<_> = data["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e[0].as_i64().unwrap(),
                i32::try_from(e[1].as_i64().unwrap()).unwrap(),
            )
        })
        .collect();
    let mut out = Effects::new();
    let mut db = LeapDatabase::new(file(Some(list_text(&entries))), None, &mut out);
    assert_eq!(data["check_ok"], 1);
    assert_eq!(texts(&mut out), ["Using leap second list list"]);
    for lookup in data["lookups"].as_array().unwrap() {
        let info = db.lookup(lookup["t"].as_i64().unwrap(), &mut out);
        assert_eq!(
            u64::from(info.leap.bits()),
            lookup["leap"].as_u64().unwrap(),
            "{lookup}"
        );
        assert_eq!(
            i64::from(info.tai_offset_s),
            lookup["tai"].as_i64().unwrap(),
            "{lookup}"
        );
    }
}

#[test]
fn the_zone_agrees_with_the_list() {
    // discipline.md 17, test "leapdb": entries that are also real.
    let entries = [
        (3_439_756_800, 34),
        (3_550_089_600, 35),
        (3_644_697_600, 36),
        (3_692_217_600, 37),
    ];
    let mut out = Effects::new();
    let mut list = LeapDatabase::new(file(Some(list_text(&entries))), None, &mut out);
    let mut zone = LeapDatabase::new(None, zone(Some(right_utc())), &mut out);
    assert_eq!(
        texts(&mut out),
        [
            "Using leap second list list",
            "Using right/UTC timezone to obtain leap second data"
        ]
    );
    for (when, tai) in entries {
        let midnight = when - NTP_UNIX_OFFSET_S;
        for t in [midnight - 1, midnight, midnight + 1, midnight + 40 * DAY_S] {
            let want = if t < midnight {
                // The list does not know what came before its first entry.
                LeapInfo {
                    leap: Leap::Insert,
                    tai_offset_s: tai - 1,
                }
            } else {
                LeapInfo {
                    leap: Leap::Normal,
                    tai_offset_s: tai,
                }
            };
            assert_eq!(zone.lookup(t, &mut out), want, "{t}");
            if when != entries[0].0 || t >= midnight {
                assert_eq!(list.lookup(t, &mut out), want, "{t}");
            }
        }
    }
}

#[test]
fn zones_of_every_version() {
    // 1972-07-01, 1973-01-01, and an invented deletion at the end of 1973.
    let leaps = [
        (78_796_800, 1),
        (94_694_401, 2),
        (126_230_400 - 1 + 2, 1),
        (200_000_000, 1),
    ];
    for version in [0, b'2', b'4'] {
        let parsed = ZoneLeaps::parse(&tzif(version, &leaps)).unwrap();
        assert_eq!(
            parsed.leaps,
            [(78_796_800, 1), (94_694_400, 2), (126_230_400, 1)]
        );
        let find = |t: i64| parsed.find(t, (t / DAY_S + 1) * DAY_S);
        for (t, leap, tai) in [
            (0, Leap::Normal, 10),
            (78_796_799, Leap::Insert, 10),
            (78_796_800, Leap::Normal, 11),
            (126_230_399, Leap::Delete, 12),
            (126_230_400, Leap::Normal, 11),
        ] {
            assert_eq!(
                find(t),
                LeapInfo {
                    leap,
                    tai_offset_s: tai
                },
                "{t}"
            );
        }
    }
}

#[test]
fn bad_sources_are_ignored() {
    let no_expiry = b"#$ 3676924800\n3550089600 35\n".to_vec();
    let word = b"#$ 3676924800\n#@ 3928521600\nx 35\n".to_vec();
    let missing = "Failed to open leap seconds list list";
    let damaged = "Failed to parse leap seconds list list";
    for (content, first) in [
        (None, missing),
        (Some(no_expiry), damaged),
        (Some(word), damaged),
        (
            Some(list_text(&[])),
            "Leap second list list failed check, ignoring",
        ),
    ] {
        let mut out = Effects::new();
        let db = LeapDatabase::new(file(content), zone(Some(b"TZif2".to_vec())), &mut out);
        assert!(db.is_empty());
        let texts = texts(&mut out);
        assert_eq!(texts[0], first);
        assert_eq!(
            texts[texts.len() - 2..],
            [
                "Leap second list list failed check, ignoring",
                "Timezone right/UTC failed leap second check, ignoring"
            ]
        );
    }
}

#[test]
fn an_expired_list_is_used_with_a_warning_per_half_day() {
    let entries = [(3_439_756_800, 34), (3_550_089_600, 35)];
    let mut out = Effects::new();
    let mut db = LeapDatabase::new(file(Some(list_text(&entries))), None, &mut out);
    out.take();
    let expiry = 3_928_521_600 - NTP_UNIX_OFFSET_S;
    for (t, warns) in [
        (expiry - DAY_S - 1, 0),
        (expiry - DAY_S, 1),
        (expiry - DAY_S + 5, 0),
        (expiry, 1),
    ] {
        assert_eq!(db.lookup(t, &mut out).tai_offset_s, 35);
        assert_eq!(
            texts(&mut out),
            vec!["Leap second list list needs update"; warns],
            "{t}"
        );
    }
}

#[test]
fn the_list_is_read_again_every_half_day() {
    let old = list_text(&[(3_439_756_800, 34), (3_550_089_600, 35)]);
    let new = list_text(&[
        (3_439_756_800, 34),
        (3_550_089_600, 35),
        (3_644_697_600, 36),
    ]);
    let mut out = Effects::new();
    let mut db = LeapDatabase::new(file(Some(old)), None, &mut out);
    let t = 1_435_622_400; // 2015-06-30
    assert!(!db.wants_reload(t));
    assert!(!db.wants_reload(t + 10));
    assert_eq!(db.lookup(t, &mut out).leap, Leap::Normal);
    assert!(db.wants_reload(t + CACHE_PERIOD_S));
    assert!(!db.wants_reload(t + CACHE_PERIOD_S));
    db.reload(Some(new));
    assert_eq!(db.lookup(t, &mut out).leap, Leap::Insert);
    db.reload(None);
    assert_eq!(db.lookup(t, &mut out), NOTHING);
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), t in any::<i64>()) {
        let mut tz = b"TZif2".to_vec();
        tz.extend(&bytes);
        let mut out = Effects::new();
        if let Some(leaps) = ZoneLeaps::parse(&tz) {
            leaps.find(t, t.saturating_add(1));
        }
        let _ = LeapDatabase::new(file(Some(bytes)), zone(Some(tz)), &mut out).lookup(t, &mut out);
    }

    #[test]
    fn damaged_zones_never_panic(at in 0usize..664, value in any::<u8>()) {
        let mut bytes = right_utc();
        bytes[at] = value;
        if let Some(leaps) = ZoneLeaps::parse(&bytes) {
            leaps.find(1_341_014_400, 1_341_100_800);
        }
    }
}
