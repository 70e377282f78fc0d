//! Options of sources: ranges, adjustments, fragments, order (`config.md` sections 3 and 9).

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]
// Values are compared with the numbers they were written as.
#![allow(clippy::float_cmp)]

use std::cmp::Ordering;

use proptest::prelude::*;
use timewright_config::source::{OPTIONS, PRESEND_OFF};
use timewright_config::{
    EffectiveOptions, OptionError, SampleLimits, SourceError, SourceKind, SourceOptions,
    SourceSpec, parse_source, parse_sources_fragment,
};
use timewright_time::Seconds;

fn parse(options: &str) -> Result<SourceOptions, SourceError> {
    let spec = parse_source(SourceKind::Server, format!("host {options}").as_bytes())?;
    Ok(spec.options)
}

fn effective(options: &str) -> EffectiveOptions {
    parse(options).unwrap().effective(SampleLimits::default())
}

/// Option, accepted values, refused values.
const RANGES: &[(&str, &[&str], &[&str])] = &[
    ("asymmetry", &["-1e9", "nan", "2"], &["x", ""]),
    ("certset", &["0", "-1", "4294967296"], &["x", ""]),
    (
        "extfield",
        &["F323", "f324", "0xF324", "00F323", "10A", "10a"],
        &["F325", "10B", "x", ""],
    ),
    ("filter", &["0", "2147483647"], &["-1", "x", ""]),
    (
        "key",
        &["1", "-1", "4294967295", "4294967297"],
        &["0", "4294967296", "x", ""],
    ),
    ("maxdelay", &["-1", "1e9"], &["x", ""]),
    ("maxdelaydevratio", &["-1", "1e9"], &["x", ""]),
    ("maxdelayquant", &["-1", "2"], &["x", ""]),
    ("maxdelayratio", &["-1", "1e9"], &["x", ""]),
    (
        "maxpoll",
        &["-32", "32"],
        &["-33", "33", "99999999999", "x", ""],
    ),
    ("maxsamples", &["0", "2147483647"], &["-1", "x", ""]),
    ("maxsources", &["1", "2147483647"], &["0", "-1", "x", ""]),
    ("maxunreach", &["0", "2147483647"], &["-1", "x", ""]),
    ("mindelay", &["-1", "1"], &["x", ""]),
    ("minpoll", &["-99", "99", "99999999999"], &["x", ""]),
    ("minsamples", &["0", "2147483647"], &["-1", "x", ""]),
    ("minstratum", &["0", "16"], &["-1", "17", "x", ""]),
    ("ntsport", &["0", "65535"], &["-1", "65536", "x", ""]),
    ("offset", &["-1e9", "1e-9"], &["x", ""]),
    ("polltarget", &["1", "2147483647"], &["0", "-1", "x", ""]),
    ("port", &["0", "65535"], &["-1", "65536", "x", ""]),
    ("presend", &["-32", "32"], &["-33", "33", "100", "x", ""]),
    ("version", &["1", "4"], &["0", "5", "x", ""]),
];

#[test]
fn values_have_ranges() {
    let bad_value = Err(SourceError::Option(OptionError::Value));
    for (name, accepted, refused) in RANGES {
        for value in *accepted {
            assert!(parse(&format!("{name} {value}")).is_ok(), "{name} {value}");
        }
        for value in *refused {
            assert_eq!(
                parse(&format!("{name} {value}")),
                bad_value,
                "{name} {value}"
            );
        }
    }
}

/// Each option, written in capitals, changes the field it is named after and nothing else.
#[test]
fn every_option_is_stored() {
    let mut tested: Vec<&str> = Vec::new();
    macro_rules! check {
        ($($text:literal => $($field:ident).+ = $value:expr;)*) => {$(
            let mut want = SourceOptions::default();
            want.$($field).+ = $value;
            assert_ne!(want, SourceOptions::default(), $text);
            assert_eq!(parse(&$text.to_uppercase()), Ok(want), $text);
            tested.push($text.split(' ').next().unwrap());
        )*};
    }
    check! {
        "asymmetry 0.25" => asymmetry = 0.25;
        "auto_offline" => auto_offline = true;
        "burst" => burst = true;
        "certset 7" => certset = 7;
        "copy" => copy = true;
        "extfield f323" => extfields.mono_root = true;
        "extfield f324" => extfields.net_correction = true;
        "extfield 10A" => extfields.net_correction_10a = true;
        "filter 5" => filter = 5;
        "iburst" => iburst = true;
        "ipv4" => family = Some(timewright_config::Family::V4);
        "ipv6" => family = Some(timewright_config::Family::V6);
        "key 7" => key = Some(7);
        "maxdelay 0.5" => maxdelay = 0.5;
        "maxdelaydevratio 5" => maxdelaydevratio = 5.0;
        "maxdelayquant 0.5" => maxdelayquant = 0.5;
        "maxdelayratio 2" => maxdelayratio = 2.0;
        "maxpoll 7" => maxpoll = 7;
        "maxsamples 9" => maxsamples = Some(9);
        "maxsources 2" => maxsources = 2;
        "maxunreach 3" => maxunreach = 3;
        "mindelay 1e-3" => mindelay = 1e-3;
        "minpoll 4" => minpoll = 4;
        "minsamples 3" => minsamples = Some(3);
        "minstratum 3" => minstratum = 3;
        "noselect" => select.noselect = true;
        "nts" => nts = true;
        "ntsport 5" => ntsport = 5;
        "offline" => offline = true;
        "offset -1" => offset = -1.0;
        "polltarget 9" => polltarget = 9;
        "port 124" => port = 124;
        "prefer" => select.prefer = true;
        "presend 9" => presend = 9;
        "require" => select.require = true;
        "trust" => select.trust = true;
        "version 3" => version = Some(3);
        "xleave" => xleave = true;
    }
    tested.dedup();
    let known: Vec<&str> = OPTIONS.iter().map(|row| row.name).collect();
    assert_eq!(tested, known);
}

#[test]
fn later_options_win() {
    let options = parse("minpoll 3 port 5 minpoll 4 extfield F323 extfield F324").unwrap();
    assert_eq!((options.minpoll, options.port), (4, 5));
    assert!(options.extfields.mono_root && options.extfields.net_correction);
}

#[test]
fn mistakes_are_told_apart() {
    let unknown = Err(SourceError::Option(OptionError::Unknown));
    for text in [
        "foo",
        "minpoll 1.5",
        "minpoll 6 foo bar",
        "# x",
        "iburst,",
        "maxpoll 6x",
    ] {
        assert_eq!(parse(text), unknown, "{text}");
    }
    let missing = parse_source(SourceKind::Pool, b"  ");
    assert_eq!(missing, Err(SourceError::MissingHost));
}

#[test]
fn polls_are_adjusted() {
    for (text, want) in [
        ("", (6, 10)),
        ("minpoll -7", (-7, 10)),
        ("minpoll -8", (6, 10)),
        ("minpoll 24", (24, 24)),
        ("minpoll 25", (24, 24)),
        ("minpoll 99999999999", (24, 24)),
        ("maxpoll -7", (6, 6)),
        ("maxpoll -8", (6, 10)),
        ("maxpoll 25", (6, 24)),
        ("minpoll 11", (11, 11)),
        ("minpoll -7 maxpoll -7", (-7, -7)),
    ] {
        let options = effective(text);
        assert_eq!((options.minpoll, options.maxpoll), want, "{text}");
    }
}

#[test]
fn samples_are_adjusted() {
    for (text, global, want) in [
        ("", (6, 0), (6, 64)),
        ("", (70, 0), (64, 64)),
        ("", (0, 100), (1, 64)),
        ("", (6, 4), (4, 4)),
        ("minsamples 10", (6, 4), (4, 4)),
        ("maxsamples 0", (6, 4), (6, 64)),
        ("maxsamples 1", (6, 0), (1, 1)),
        ("maxsamples 65 minsamples 0", (6, 4), (1, 64)),
    ] {
        let (min, max) = global;
        let options = parse(text).unwrap().effective(SampleLimits { min, max });
        assert_eq!(
            (options.minsamples, options.maxsamples),
            want,
            "{text} {global:?}"
        );
    }
}

#[test]
fn other_values_are_adjusted() {
    let seconds = |value| Some(Seconds(value));
    assert_eq!(effective("maxdelay -1").maxdelay, Seconds(0.0));
    assert_eq!(effective("maxdelay 1001").maxdelay, Seconds(1000.0));
    assert_eq!(effective("maxdelayratio -1").maxdelayratio, 0.0);
    assert_eq!(effective("maxdelayratio 1e7").maxdelayratio, 1e6);
    assert_eq!(effective("maxdelaydevratio 1e7").maxdelaydevratio, 1e6);
    for (text, want) in [
        ("0", None),
        ("-1", None),
        ("0.01", Some(0.05)),
        ("2", Some(0.95)),
        ("0.333", Some(0.33)),
    ] {
        assert_eq!(
            effective(&format!("maxdelayquant {text}")).maxdelayquant,
            want,
            "{text}"
        );
    }
    assert_eq!(effective("mindelay 0").mindelay, None);
    assert_eq!(effective("mindelay 1e-3").mindelay, seconds(1e-3));
    for (text, want) in [
        ("", None),
        ("asymmetry 0.51", None),
        ("asymmetry -0.5", Some(-0.5)),
        ("asymmetry nan", None),
    ] {
        assert_eq!(effective(text).asymmetry, want, "{text}");
    }
    assert_eq!(effective("filter 0").filter, None);
    assert_eq!(effective("filter 257").filter, Some(256));
    assert_eq!(effective("").presend, None);
    assert_eq!(effective("presend 9").presend, Some(9));
    assert_eq!(effective("minstratum 16").minstratum, 15);
    assert_eq!(effective("maxsources 17").maxsources, 16);
    assert_eq!(PRESEND_OFF, 100);
}

#[test]
fn fragments_skip_what_is_wrong() {
    let names = |text: &[u8]| -> Vec<String> {
        parse_sources_fragment(text)
            .into_iter()
            .map(|spec| spec.name)
            .collect()
    };
    let text = b"foo bar\nserver\nserver a foo\nport 1\n# c\n\n  SERVER b iburst\r\ninclude /x\n\
                 pool c\npeer d offset 1x\npeer e offset 1 \nserver f";
    assert_eq!(names(text), ["b", "c", "e"], "the last line has no newline");
    assert_eq!(
        names(b"server a\nserver b\0\nserver c\n"),
        ["a"],
        "a NUL hides the newline"
    );
    let padded = |length: usize| {
        let mut text = b"server a".to_vec();
        text.resize(length, b' ');
        text.extend(b"\nserver b\n");
        text
    };
    assert_eq!(names(&padded(2047)), ["a", "b"]);
    assert!(
        names(&padded(2048)).is_empty(),
        "reading ends at a line that is too long"
    );
}

fn spec(kind: SourceKind, text: &str) -> SourceSpec {
    parse_source(kind, text.as_bytes()).unwrap()
}

#[test]
fn names_are_checked_when_a_source_is_added() {
    for (name, valid) in [
        ("ntp.example.org", true),
        ("!", true),
        ("é", false),
        ("a\x01", false),
    ] {
        assert_eq!(
            spec(SourceKind::Server, name).has_valid_name(),
            valid,
            "{name}"
        );
    }
    let not_text = parse_source(SourceKind::Server, b"a\xff").unwrap();
    assert!(!not_text.has_valid_name());
}

#[test]
fn sources_have_an_order() {
    use SourceKind::{Peer, Pool, Server};
    let sorted = [
        spec(Server, "a"),
        spec(Server, "a port 124"),
        spec(Server, "a ipv4"),
        spec(Pool, "a"),
        spec(Peer, "a"),
        spec(Server, "b"),
    ];
    for (i, one) in sorted.iter().enumerate() {
        for (j, other) in sorted.iter().enumerate() {
            assert_eq!(one.reload_order(other), i.cmp(&j), "{one:?} {other:?}");
        }
    }
    let nan = spec(Server, "a offset nan");
    assert_eq!(
        nan.reload_order(&nan),
        Ordering::Equal,
        "also where `==` does not hold"
    );
}

fn any_options() -> impl Strategy<Value = String> {
    let accepted: Vec<String> = RANGES
        .iter()
        .flat_map(|(name, accepted, _)| accepted.iter().map(move |value| format!("{name} {value}")))
        .chain(
            OPTIONS
                .iter()
                .filter(|row| row.value.is_empty())
                .map(|row| row.name.to_owned()),
        )
        .collect();
    proptest::collection::vec(proptest::sample::select(accepted), 0..6)
        .prop_map(|options| options.join(" "))
}

proptest! {
    #[test]
    fn any_change_is_seen_in_the_order(one in any_options(), other in any_options()) {
        let (one, other) = (
            spec(SourceKind::Server, &format!("a {one}")),
            spec(SourceKind::Server, &format!("a {other}")),
        );
        let order = one.reload_order(&other);
        prop_assert_eq!(other.reload_order(&one), order.reverse());
        // Debug text, because a NaN differs from itself.
        prop_assert_eq!(order == Ordering::Equal, format!("{one:?}") == format!("{other:?}"));
    }

    #[test]
    fn effective_values_are_in_range(text in any_options(), min in 0u32..100, max in 0u32..100) {
        let options = parse(&text).unwrap().effective(SampleLimits { min, max });
        prop_assert!((-7..=24).contains(&options.minpoll));
        prop_assert!((options.minpoll..=24).contains(&options.maxpoll));
        prop_assert!((1..=64).contains(&options.maxsamples));
        prop_assert!((1..=options.maxsamples).contains(&options.minsamples));
        prop_assert!(options.filter.is_none_or(|length| (1..=256).contains(&length)));
        prop_assert!((1..=16).contains(&options.maxsources));
        prop_assert!(options.minstratum <= 15);
    }

    #[test]
    fn fragments_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_sources_fragment(&bytes);
    }
}
