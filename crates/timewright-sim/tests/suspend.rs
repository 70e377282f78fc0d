//! Clocks that were out of the daemon's control for a moment: suspends, pauses, steps by others.
//!
//! What counts is honesty: from the moment the daemon can know of it, the bound it claims covers
//! the true error, until it is synchronised again and after.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{logs, servers_with};
use timewright_sim::{Action, Report, Scenario, seeds};
use timewright_time::Seconds;

/// When it happens: between two polls and long after the start.
const AT_S: f64 = 1003.3;
const LENGTH_S: f64 = 2200.0;

/// What happens, how long it takes, and the line it leaves in the log.
struct Case {
    make: fn(timewright_sim::NodeId, f64, f64) -> Action,
    length_s: f64,
    /// What it does to the system clock besides.
    error_s: f64,
    line: &'static str,
}

fn suspend(id: timewright_sim::NodeId, length_s: f64, error_s: f64) -> Action {
    Action::SuspendInexactly(id, Seconds(length_s), Seconds(error_s))
}

fn pause(id: timewright_sim::NodeId, length_s: f64, _: f64) -> Action {
    Action::Pause(id, Seconds(length_s))
}

fn step(id: timewright_sim::NodeId, _: f64, by_s: f64) -> Action {
    Action::StepClock(id, Seconds(by_s))
}

fn scenario(options: &str, case: &Case) -> Scenario {
    let &Case {
        make,
        length_s,
        error_s,
        ..
    } = case;
    servers_with(3, options, "")
        .sample_every(0.47)
        .at(AT_S, move |id| make(id("c"), length_s, error_s))
}

/// The observations from the end of what happened on.
fn after<'a>(
    report: &'a Report,
    case: &Case,
) -> impl Iterator<Item = &'a timewright_sim::Observation> {
    let from = AT_S + case.length_s;
    report
        .observations("c")
        .iter()
        .filter(move |o| o.at_s > from)
}

/// The bound covers the error always, and is small again soon.
#[track_caller]
fn is_honest(report: &Report, case: &Case, recovered_after_s: f64) {
    for seen in after(report, case) {
        assert!(
            seen.bound_s.is_none_or(|b| seen.estimate_s.abs() <= b),
            "{}: {seen:?}",
            case.line
        );
    }
    let from = AT_S + case.length_s + recovered_after_s;
    for seen in after(report, case).filter(|o| o.at_s > from) {
        let is_fine = seen.bound_s.is_some_and(|b| b < 0.05) && seen.estimate_s.abs() < 5e-3;
        assert!(is_fine, "{}: {seen:?}", case.line);
    }
}

/// All sources are asked within the spread of requests out of turn.
#[track_caller]
fn polls_at_once(report: &Report, case: &Case) {
    let from = AT_S + case.length_s;
    for server in ["s1", "s2", "s3"] {
        let first = report
            .packets("c", server)
            .map(|p| p.at_s)
            .find(|&t| t > from);
        let waited = first.unwrap() - from;
        assert!((0.2..3.0).contains(&waited), "{server}: after {waited} s");
    }
}

#[test]
fn the_bound_covers_what_may_have_been_missed() {
    let short = "Suspend of ";
    for case in [
        Case {
            make: suspend,
            length_s: 0.02,
            error_s: 0.0,
            line: short,
        },
        Case {
            make: suspend,
            length_s: 0.4,
            error_s: 0.6,
            line: short,
        },
        Case {
            make: suspend,
            length_s: 3.0,
            error_s: 0.0,
            line: short,
        },
        Case {
            make: suspend,
            length_s: 3.0,
            error_s: 0.97,
            line: short,
        },
        Case {
            make: suspend,
            length_s: 7.5,
            error_s: -0.97,
            line: short,
        },
        Case {
            make: suspend,
            length_s: 60.0,
            error_s: 0.5,
            line: short,
        },
        Case {
            make: suspend,
            length_s: 600.0,
            error_s: -3.0,
            line: short,
        },
        Case {
            make: pause,
            length_s: 400.0,
            error_s: 0.0,
            line: "Pause of ",
        },
        Case {
            make: step,
            length_s: 0.0,
            error_s: 0.012,
            line: "Forward time jump detected!",
        },
        Case {
            make: step,
            length_s: 0.0,
            error_s: -0.3,
            line: "Backward time jump detected!",
        },
        Case {
            make: step,
            length_s: 0.0,
            error_s: 5.0,
            line: "Forward time jump detected!",
        },
        Case {
            make: step,
            length_s: 0.0,
            error_s: 100.0,
            line: "Forward time jump detected!",
        },
        Case {
            make: step,
            length_s: 0.0,
            error_s: -100.0,
            line: "Backward time jump detected!",
        },
    ] {
        for seed in seeds(20) {
            let report = scenario("minpoll 6 maxpoll 6", &case)
                .run(seed, LENGTH_S)
                .unwrap();
            logs(&report, "c", case.line, 1..=1);
            logs(&report, "c", " detected", 1..=1);
            polls_at_once(&report, &case);
            is_honest(&report, &case, 700.0);
        }
    }
}

#[test]
fn recovery_is_quick_with_iburst() {
    let case = Case {
        make: suspend,
        length_s: 3600.0,
        error_s: 0.9,
        line: "Suspend of 3600.900 seconds detected",
    };
    for seed in seeds(20) {
        let report = scenario("iburst minpoll 6 maxpoll 10", &case)
            .run(seed, AT_S + 3600.0 + 600.0)
            .unwrap();
        logs(&report, "c", case.line, 1..=1);
        polls_at_once(&report, &case);
        let synchronised = after(&report, &case).find(|o| o.bound_s.is_some()).unwrap();
        let took = synchronised.at_s - (AT_S + 3600.0);
        // The third response makes an estimate.
        assert!(took < 8.0, "{took}");
        is_honest(&report, &case, 60.0);
        // Four good responses end a burst, which is not repeated.
        let from = AT_S + 3600.0;
        let soon = report
            .packets("c", "s1")
            .filter(|p| p.at_s > from && p.at_s < from + 60.0);
        assert!(soon.count() <= 5);
    }
}

#[test]
fn a_machine_under_load_keeps_its_samples() {
    // Stopped or swapped out for a few seconds again and again: all clocks are right.
    let mut scenario = servers_with(3, "minpoll 4 maxpoll 4", "").sample_every(0.47);
    for i in 0..40 {
        let length_s = 0.25 * f64::from(i);
        scenario = scenario.at(500.3 + 37.0 * f64::from(i), move |id| {
            Action::Pause(id("c"), Seconds(length_s))
        });
    }
    for seed in seeds(20) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        logs(&report, "c", " detected", 0..=0);
        let seen = report.summary("c", 500.0);
        assert!(
            seen.covered > 0.9999 && seen.max_offset_s < 2e-3,
            "{seen:?}"
        );
        let lost = report
            .observations("c")
            .iter()
            .filter(|o| o.at_s > 500.0 && o.bound_s.is_none_or(|b| b > 0.01));
        assert_eq!(lost.count(), 0);
    }
}

#[test]
fn a_machine_that_sleeps_whenever_it_is_idle() {
    // Awake for two seconds of ten.
    let mut scenario = servers_with(1, "iburst minpoll 6 maxpoll 6", "").sample_every(0.47);
    for i in 0..100 {
        scenario = scenario.at(1002.1 + 10.0 * f64::from(i), |id| {
            Action::SuspendInexactly(id("c"), Seconds(8.0), Seconds(1e-3))
        });
    }
    for seed in seeds(20) {
        let report = scenario.run(seed, 2400.0).unwrap();
        logs(&report, "c", "Suspend of 8.001 seconds detected", 100..=100);
        let sent = report
            .packets("c", "s1")
            .filter(|p| (1002.0..2002.0).contains(&p.at_s));
        let sent = sent.count();
        // Rounds out of turn are 16 s apart, and one in 256 s is a burst.
        assert!((5..=90).contains(&sent), "{sent} packets");
        for seen in report.observations("c").iter().filter(|o| o.at_s > 1002.0) {
            let covered = seen.bound_s.is_none_or(|b| seen.estimate_s.abs() <= b);
            assert!(covered, "{seen:?}");
        }
        // A bound beyond all sense is none.
        let seen = report.observations("c").iter().filter(|o| o.at_s > 1500.0);
        assert!(seen.filter_map(|o| o.bound_s).all(|b| b < 16.0));
        let seen = report.summary("c", 2250.0);
        assert!(seen.max_offset_s < 5e-3, "{seen:?}");
    }
}

#[test]
fn a_fleet_does_not_come_back_at_once() {
    let mut scenario = Scenario::new()
        .node("s", "local stratum 1\nallow\n")
        .sample_every(100.0);
    let names: Vec<String> = (0..40).map(|i| format!("c{i}")).collect();
    for name in &names {
        scenario = scenario.node(name, "server s minpoll 6 maxpoll 6\n");
        let name = name.clone();
        scenario = scenario.at(600.0, move |id| Action::Suspend(id(&name), Seconds(30.0)));
    }
    let report = scenario.run(1, 700.0).unwrap();
    let mut first: Vec<f64> = Vec::new();
    for name in &names {
        let times = report.packets(name, "s").map(|p| p.at_s);
        first.extend(times.filter(|&t| t > 630.0).take(1));
    }
    assert_eq!(first.len(), 40);
    // Spread over two seconds: no tenth of a second has more than a fifth of them.
    for tenth in 0..30 {
        let from = 630.0 + 0.1 * f64::from(tenth);
        let here = first.iter().filter(|&&t| (from..from + 0.1).contains(&t));
        assert!(here.count() <= 8, "{first:?}");
    }
    assert!(first.iter().all(|t| *t < 632.5), "{first:?}");
}

#[test]
fn clocks_that_stood_still_are_found_by_the_next_sample() {
    // Nothing on the machine itself tells.
    for seed in seeds(20) {
        let report = servers_with(3, "minpoll 4 maxpoll 4", "")
            .at(AT_S, |id| Action::Freeze(id("c"), Seconds(30.0)))
            .run(seed, LENGTH_S)
            .unwrap();
        logs(&report, "c", " detected", 0..=0);
        let seen = report.summary("c", AT_S + 700.0);
        assert!(seen.max_offset_s < 5e-3 && seen.covered > 0.999, "{seen:?}");
    }
}

#[test]
fn without_the_clock_that_counts_suspends() {
    for (length_s, found) in [(5.0, 0), (300.0, 1)] {
        for seed in seeds(3) {
            let report = servers_with(1, "minpoll 6 maxpoll 6", "")
                .without_boot_time("c")
                .at(AT_S, move |id| Action::Suspend(id("c"), Seconds(length_s)))
                .run(seed, LENGTH_S)
                .unwrap();
            logs(&report, "c", "Forward time jump detected!", found..=found);
            logs(&report, "c", "Suspend of", 0..=0);
        }
    }
}

#[test]
fn an_exchange_interrupted_by_a_suspend_gives_no_sample() {
    // The machine sleeps while the response is on its way, 0.1 s each way.
    let slow = timewright_sim::Link {
        delay_s: 0.1,
        ..timewright_sim::Link::default()
    };
    for seed in seeds(20) {
        let probe = servers_with(1, "minpoll 6 maxpoll 6", "").link_all(slow);
        let report = probe.run(seed, 1100.0).unwrap();
        let mut sent = report.packets("c", "s1").map(|p| p.at_s);
        let sent = sent.find(|&t| t > 900.0).unwrap();
        let report = servers_with(1, "minpoll 6 maxpoll 6", "log measurements\n")
            .link_all(slow)
            .sample_every(0.47)
            .at(sent + 0.05, |id| {
                Action::SuspendInexactly(id("c"), Seconds(0.1), Seconds(0.9))
            })
            .run(seed, LENGTH_S)
            .unwrap();
        logs(&report, "c", "Suspend of 1.000 seconds detected", 1..=1);
        for seen in report
            .observations("c")
            .iter()
            .filter(|o| o.at_s > sent + 0.15)
        {
            let covered = seen.bound_s.is_none_or(|b| seen.estimate_s.abs() <= b);
            assert!(covered, "{seen:?}");
        }
    }
}
