//! Options of sources: ranges, adjustments, fragments, order (`config.md` sections 3 and 9).

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]
// Values are compared with the numbers they were written as.
#![allow(clippy::float_cmp)]

use proptest::prelude::*;
use timewright_config::source::OPTIONS;
use timewright_config::{
    OptionError, SourceError, SourceKind, SourceOptions, parse_source, parse_sources_fragment,
};

fn parse(options: &str) -> Result<SourceOptions, SourceError> {
    let spec = parse_source(SourceKind::Server, format!("host {options}").as_bytes())?;
    Ok(spec.options)
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

proptest! {
    #[test]
    fn fragments_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_sources_fragment(&bytes);
    }
}
