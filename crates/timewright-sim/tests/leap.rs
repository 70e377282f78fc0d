//! Leap seconds (`scenarios.md` 113): one server's clock follows UTC through the leap second, a
//! client knows of it from a list, and a client of that client from the leap bits.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

mod common;

use common::clock;
use timewright_sim::{Action, Report, Scenario, seeds};
use timewright_time::Seconds;

/// 2008-12-31 12:00:00 UTC.
const START_S: i64 = 1_230_724_800;
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
