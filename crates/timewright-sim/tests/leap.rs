//! Leap seconds (`scenarios.md` 113, 124): servers with a reference clock or a clock that follows
//! UTC, clients that know of the leap second from a list, a time zone, or the leap bits.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

mod common;

use common::{BOUNDS, CLOCK, clock, keeps_intervals, logs, selects};
use timewright_core::output::LogFile;
use timewright_sim::{Action, DeviceModel, Report, Scenario, seeds};
use timewright_time::Seconds;

/// 2008-12-31 12:00:00 UTC.
const START_S: i64 = 1_230_724_800;
/// 2009-01-01 00:00:00 UTC.
const LEAP_2009_S: i64 = 1_230_768_000;
/// The leap second at the end of that day, seconds after the start.
const LEAP_S: f64 = 43_200.0;
const LENGTH_S: f64 = 60_000.0;

/// A list with the leap second of 2009 and that of 2012, which every list is checked for. Times
/// are seconds since 1900.
fn list(before: i32, after: i32) -> Vec<u8> {
    format!(
        "#$\t3535228800\n#@\t4102444800\n3345062400\t{before}\n3439756800\t{after}\n\
         3535228800\t34\n3550089600\t35\n"
    )
    .into_bytes()
}

fn run(seed: u64, leap: i8, mode: &str) -> Report {
    let (before, after) = if leap > 0 { (33, 34) } else { (35, 34) };
    // A deleted second is left out just before midnight.
    let at_s = LEAP_S - if leap > 0 { 0.0 } else { 1.0 };
    let log = format!("leapsecmode {mode}\nlog tracking\n");
    Scenario::new()
        .start(START_S)
        .node("top", "local stratum 1\nallow\n")
        .node(
            "mid",
            &format!("server top minpoll 4 maxpoll 6\nallow\nleapseclist /sim/leap\n{log}"),
        )
        .node("c", &format!("server mid minpoll 4 maxpoll 6\n{log}"))
        .boot("mid", |b| b.leap_list = Some(list(before, after)))
        .clock("mid", clock(0.01, 10.0, 1e-9))
        .clock("c", clock(-0.02, -20.0, 1e-9))
        .at(at_s, move |_| Action::Leap(leap))
        .at(at_s, move |id| {
            Action::StepClock(id("top"), Seconds(-f64::from(leap)))
        })
        .run(seed, LENGTH_S)
        .unwrap()
}

#[test]
fn a_new_list_is_read_by_the_next_half_day() {
    for (new, sign) in [(list(33, 34), "+"), (list(33, 33), "N")] {
        let report = Scenario::new()
            .start(START_S - 3600)
            .node("top", "local stratum 1\nallow\n")
            .node(
                "mid",
                "server top minpoll 6 maxpoll 6\nleapseclist /sim/leap\nlog tracking\n",
            )
            .boot("mid", |b| b.leap_list = Some(list(33, 33)))
            .at(600.0, move |id| {
                Action::SetLeapList(id("mid"), Some(new.clone()))
            })
            .run(1, 2.0 * 3600.0)
            .unwrap();
        let records = report.node("mid").records.get(&LogFile::Tracking).unwrap();
        let leap = |line: &String| line.split_whitespace().nth(7).unwrap().to_owned();
        let (before, after): (Vec<&String>, Vec<&String>) = records
            .iter()
            .filter(|line| line.contains("10.0.0.1"))
            .partition(|line| line.split_whitespace().nth(1).unwrap() < "12:00:00");
        assert!(before.len() > 40 && before.iter().all(|line| leap(line) == "N"));
        let told: Vec<String> = after.into_iter().map(leap).collect();
        // The first update of the new half day brings it about.
        assert!(told.len() > 40, "{told:?}");
        assert!(told.iter().skip(1).all(|l| l == sign), "{told:?}");
    }
}

#[track_caller]
fn check(report: &Report, host: &str, over_s: f64, mode: &str) {
    for seen in report.observations(host) {
        let near = (LEAP_S - 2.0..LEAP_S + over_s).contains(&seen.at_s);
        if seen.at_s > 300.0 && !near {
            assert!(seen.offset_s.abs() < 2e-3, "{host}, {mode}: {seen:?}");
        }
    }
}

#[test]
fn clients_follow_the_leap_second() {
    for leap in [1, -1] {
        for (mode, over_s) in [("system", 2.0), ("step", 3.0), ("slew", 14.0)] {
            for seed in seeds(2) {
                let report = run(seed, leap, mode);
                for host in ["mid", "c"] {
                    check(&report, host, over_s, mode);
                    let node = report.node(host);
                    assert!(node.logged("falseticker").is_empty());
                    let said = node.logged("for leap second").len();
                    assert_eq!(said, usize::from(mode != "system"), "{mode}");
                }
                assert_eq!(report.node("mid").logged("Using leap second list").len(), 1);
            }
        }
    }
}

#[test]
fn the_kernel_learns_the_offset_of_tai() {
    let report = run(1, 1, "system");
    assert_eq!(report.node("mid").clock().tai_offset(), 34);
}

#[test]
fn ignored_leap_seconds_are_slewed_as_any_offset() {
    let report = run(1, 1, "ignore");
    check(&report, "c", 600.0, "ignore");
    assert_eq!(report.node("c").logged("Ignoring leap second").len(), 1);
}

/// 2008-12-30 00:00:00 UTC, two days before the leap second.
const DAYS_START_S: i64 = 1_230_595_200;
const DAYS_S: f64 = 4.0 * 86_400.0;
/// Midnight of the leap second, in the time after it.
const MIDNIGHT_S: f64 = 2.0 * 86_400.0;

/// A leap second as seen from the time after it: devices were ahead of that before an inserted
/// second, and behind before a deleted one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Second {
    Inserted,
    Deleted,
}

const SECONDS: [Second; 2] = [Second::Inserted, Second::Deleted];

impl Second {
    fn device(self) -> DeviceModel {
        DeviceModel {
            offset: match self {
                Self::Inserted => |s| if s < MIDNIGHT_S - 1.0 { 1.0 } else { 0.0 },
                Self::Deleted => |s| if s < MIDNIGHT_S { -1.0 } else { 0.0 },
            },
            noise_s: 1e-9,
            ..DeviceModel::default()
        }
    }

    /// The list with this leap second, then back to the true offsets of 2012.
    fn list(self) -> &'static str {
        match self {
            Self::Inserted => "3439756800 34",
            Self::Deleted => "3439756800 32\n3471292800 33\n3502828800 34",
        }
    }

    /// TAI - UTC after it.
    const fn tai_offset_s(self) -> i32 {
        match self {
            Self::Inserted => 34,
            Self::Deleted => 32,
        }
    }

    /// The time upstream counts from.
    const fn moment_s(self) -> f64 {
        match self {
            Self::Inserted => MIDNIGHT_S,
            Self::Deleted => MIDNIGHT_S + 2.0,
        }
    }
}

/// Four days of a server with an accurate reference clock that tells nothing of leap seconds, and
/// of a client that starts after two hours.
fn four_days(second: Second, server: &str, options: &str, client: &str) -> Scenario {
    let list = format!(
        "#$\t3676924800\n#@\t3928521600\n3345062400 33 # 1 Jan 2006\n{}\n3550089600 35\n",
        second.list()
    );
    Scenario::new()
        .start(DAYS_START_S)
        .node(
            "s1",
            &format!("local stratum 1\nallow\nrefclock SHM 0 dpoll 10 poll 10\n{server}\n"),
        )
        .device("s1", "SHM 0", second.device())
        .boot("s1", |b| b.leap_list = Some(list.into_bytes()))
        .node("c", &format!("deny\nserver s1 {options}\n{client}\n"))
        .clock("c", CLOCK)
        .starts_at("c", 7200.0)
        .observe_only(&["c"])
}

#[track_caller]
fn passes_113(scenario: &Scenario, seed: u64, sync: (f64, f64)) -> Report {
    let report = scenario.run(seed, DAYS_S).unwrap();
    selects(&report, "c");
    keeps_intervals(&report, "c", &["s1"]);
    BOUNDS.sync(sync.0, sync.1).check(&report, "c");
    report
}

#[test]
fn clients_of_a_reference_clock_leap_with_it() {
    for second in SECONDS {
        for (mode, until_s) in [("system", 1.0), ("step", 1.0), ("slew", 13.0)] {
            for seed in seeds(3) {
                let client = format!("leapsecmode {mode}");
                let scenario = four_days(second, "leapseclist /sim/leap", "", &client);
                let sync = (MIDNIGHT_S + until_s - 2.0, MIDNIGHT_S + until_s);
                let report = passes_113(&scenario, seed, sync);
                let server = report.node("s1");
                assert_eq!(server.clock().tai_offset(), second.tai_offset_s());
            }
        }
    }
}

/// A trusted server wins against the client's own reference clock, which knows nothing of leap
/// seconds and so disagrees for a while.
#[test]
fn a_trusted_server_leads_through_the_leap_second() {
    for second in SECONDS {
        for seed in seeds(3) {
            let client = "refclock SHM 0 dpoll 10 poll 10 delay 1e-3";
            let scenario = four_days(second, "leapseclist /sim/leap", "trust", client).device(
                "c",
                "SHM 0",
                second.device(),
            );
            let leap_s = second.moment_s();
            passes_113(&scenario, seed, (leap_s - 2.0, leap_s));
        }
    }
}

/// A server that smears the leap second: its clients never hear of it.
#[test]
fn a_smeared_leap_second_takes_most_of_a_day() {
    for second in SECONDS {
        for mode in ["", "leaponly"] {
            for seed in seeds(3) {
                let server =
                    format!("leapseclist /sim/leap\nleapsecmode slew\nsmoothtime 400 0.001 {mode}");
                let scenario = four_days(second, &server, "", "leapsecmode system");
                let report = passes_113(&scenario, seed, (230_000.0, 240_000.0));
                logs(&report, "c", "leap second", 0..=0);
            }
        }
    }
}

/// The zone `right/UTC` of the tz database, with the leap seconds until 2017.
const RIGHT_UTC: &[u8] =
    include_bytes!("../../timewright-core/tests/data/discipline/right-utc.tzif");

#[test]
fn leap_seconds_of_a_time_zone() {
    let second = Second::Inserted;
    for seed in seeds(3) {
        let scenario = four_days(second, "leapsectz right/UTC", "", "leapsecmode system")
            .boot("s1", |b| b.leap_zone = Some(RIGHT_UTC.to_vec()));
        let leap_s = second.moment_s();
        let report = passes_113(&scenario, seed, (leap_s - 2.0, leap_s));
        logs(&report, "s1", "Using right/UTC timezone", 1..=1);
        assert_eq!(report.node("s1").clock().tai_offset(), 34);
    }
}

/// A clock that counts as TAI does needs the list to tell UTC, also while our clock ignores the
/// leap second; any correction beyond 1 ms would end the daemon.
#[test]
fn a_clock_that_keeps_tai() {
    type Case = (i64, f64, &'static str, fn(f64) -> f64);
    let cases: [Case; 2] = [
        (LEAP_2009_S - 600, 0.1, "leapsecmode ignore", |s| {
            if s < 600.0 { 33.0 } else { 34.0 }
        }),
        (LEAP_2009_S + 600, -1000.0, "makestep 1 1", |_| 34.0),
    ];
    for (start_s, offset_s, config, offset) in cases {
        for seed in seeds(3) {
            let report = Scenario::new()
                .start(start_s)
                .node(
                    "c",
                    &format!(
                        "refclock SHM 0 dpoll 0 poll 0 tai\nleapseclist /sim/leap\n\
                         maxchange 1e-3 10 0\n{config}\n"
                    ),
                )
                .boot("c", |b| b.leap_list = Some(list(33, 34)))
                .clock("c", clock(offset_s, 100.0, 1e-9))
                .device(
                    "c",
                    "SHM 0",
                    DeviceModel {
                        offset,
                        noise_s: 1e-6,
                        ..DeviceModel::default()
                    },
                )
                .run(seed, 1200.0)
                .unwrap();
            selects(&report, "c");
            BOUNDS.sync(2.0, 15.0).check(&report, "c");
            logs(&report, "c", "exceeds", 0..=0);
        }
    }
}
