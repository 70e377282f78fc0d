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
