//! Dump files of sources.

use super::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ERA_S: i64 = 190_000_000;

fn synchronised() -> Bench {
    let mut bench = Bench::with(SelectConfig::default(), &[NTP]);
    bench.rounds(8, &[1e-3]);
    bench
}

fn load(bench: &mut Bench, text: &str) -> bool {
    let Bench { selector, cx, out } = bench;
    selector.load_dump(SourceId(0), text, cx.now, ERA_S, out)
}

#[test]
fn names_of_dump_files() {
    for (address, want) in [
        (
            Some(IpAddr::V4(Ipv4Addr::new(192, 168, 123, 1))),
            "192.168.123.1.dat",
        ),
        (Some(IpAddr::V6(Ipv6Addr::LOCALHOST)), "::1.dat"),
        (None, "refid:50505330.dat"),
    ] {
        assert_eq!(dump_file_name(address, 0x5050_5330), want);
    }
}

#[test]
fn a_loaded_source_is_selected_at_once() {
    let saved = synchronised();
    let dump = saved.selector.dump(SourceId(0)).unwrap();
    assert!(
        dump.starts_with("SRC0\nntp0.test\n0 377 8 1 0\n8 0\n"),
        "{dump}"
    );

    let mut bench = Bench::with(SelectConfig::default(), &[NTP]);
    bench.cx.now = saved.cx.now + Seconds(10.0);
    assert!(load(&mut bench, &dump));
    let Bench { selector, cx, out } = &mut bench;
    selector.loaded_dumps(cx, out);
    assert!(matches!(out.last(), Some(SelectAction::UpdateReference(_))));
    assert_eq!(bench.letters(), "*");
    assert_eq!(
        bench.messages(),
        [
            "Loaded dump file for 10.0.0.1",
            "Selected source 10.0.0.1 (ntp0.test)"
        ]
    );
}

#[test]
fn a_source_without_samples_leaves_no_file() {
    let bench = Bench::with(SelectConfig::default(), &[NTP]);
    assert_eq!(bench.selector.dump(SourceId(0)), None);
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let saved = synchronised();
    let dump = saved.selector.dump(SourceId(0)).unwrap();
    for (name, text) in [
        ("empty", String::new()),
        ("other format", dump.replace("SRC0", "SRC1")),
        ("other name", dump.replace("ntp0.test", "ntp1.test")),
        ("two names", dump.replace("ntp0.test", "ntp0.test x")),
        ("stratum", dump.replace("377 8 1 0", "377 8 16 0")),
        ("leap", dump.replace("377 8 1 0", "377 8 1 3")),
        ("reach", dump.replace("377 8 1 0", "389 8 1 0")),
        ("numbers", dump.replace("377 8 1 0", "377 8 1")),
        ("samples", dump.replace("\n8 0\n", "\n9 0\n")),
    ] {
        let mut bench = Bench::with(SelectConfig::default(), &[NTP]);
        bench.cx.now = saved.cx.now;
        assert!(!load(&mut bench, &text), "{name}");
        assert_eq!(
            bench.messages(),
            ["Could not load dump file for 10.0.0.1"],
            "{name}"
        );
        assert!(
            bench.selector.stats(SourceId(0)).unwrap().is_empty(),
            "{name}"
        );
    }
    let auth = Probe {
        authenticated: true,
        ..NTP
    };
    let mut bench = Bench::with(SelectConfig::default(), &[auth]);
    bench.cx.now = saved.cx.now;
    assert!(!load(&mut bench, &dump), "not authenticated");
    assert!(load(&mut bench, &dump.replace("0 377", "1 377")));
}
