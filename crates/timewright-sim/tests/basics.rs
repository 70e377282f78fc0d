//! The basic scenarios of `scenarios.md` 2, each with several seeds.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

mod common;

use common::{
    BOUNDS, Bounds, CLOCK, COVERED, clock, does_not_select, keeps_intervals, logs, one_server,
    selects, servers,
};
use timewright_sim::{Action, Families, Link, Scenario, Stamps, seeds};
use timewright_time::Seconds;

const LENGTH_S: f64 = 10_000.0;

/// Runs with some seeds and checks all of S+I+Y for the client `c` of the servers `s1`...
#[track_caller]
fn check_all(scenario: &Scenario, count: usize, bounds: Bounds) {
    let names: Vec<String> = (1..=count).map(|i| format!("s{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for seed in seeds(5) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &names);
        bounds.check(&report, "c");
        // Honest servers: what is claimed has to hold.
        let seen = report.summary("c", bounds.sync_s.1);
        assert!(seen.covered > COVERED, "{seen:?}");
    }
}

#[test]
fn defaults() {
    check_all(&one_server(""), 1, BOUNDS);
}

#[test]
fn large_network() {
    let mut scenario = Scenario::new();
    let mut above = String::new();
    for stratum in 1..=3 {
        let mut sources = String::new();
        for i in 1..=4 {
            let name = format!("s{stratum}{i}");
            let config = if stratum == 1 {
                "allow\nlocal stratum 1\n".to_owned()
            } else {
                format!("allow\n{above}")
            };
            sources += &format!("server {name}\n");
            scenario = scenario.node(&name, &config);
            if stratum > 1 {
                scenario = scenario.clock(&name, clock(0.01 * f64::from(i), 20.0, 1e-9));
            }
        }
        above = sources;
    }
    let clients = ["c1", "c2", "c3", "c4", "c5"];
    for client in clients {
        scenario = scenario
            .node(client, &format!("deny\n{above}"))
            .clock(client, CLOCK)
            .starts_at(client, 2000.0);
    }
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        for client in clients {
            selects(&report, client);
            keeps_intervals(&report, client, &["s31", "s32", "s33", "s34"]);
            BOUNDS
                .sync(2100.0, 2300.0)
                .offset(1e-3, 5e-4)
                .check(&report, client);
        }
    }
}

#[test]
fn large_frequency_offset() {
    for freq_ppm in [-5e4, -5e3, 5e3, 5e4] {
        let offset_s = -130.0 * freq_ppm * 1e-6;
        let scenario = one_server("").clock("c", clock(offset_s, freq_ppm, 1e-9));
        check_all(&scenario, 1, BOUNDS.sync(120.0, 1000.0));
    }
}

#[test]
fn large_time_offset() {
    for offset_s in [-100.0, 100.0] {
        let scenario = one_server("").clock("c", clock(offset_s, 100.0, 1e-9));
        check_all(&scenario, 1, BOUNDS.sync(1300.0, 1400.0));
    }
}

#[test]
fn steps_from_outside() {
    for step_s in [-100.0, 100.0] {
        let scenario =
            one_server("").at(150.0, move |id| Action::StepClock(id("c"), Seconds(step_s)));
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            keeps_intervals(&report, "c", &["s1"]);
            // Found when it happens and not when the next poll is due, so earlier than upstream's
            // 1500 s.
            BOUNDS.sync(1400.0, 1550.0).check(&report, "c");
            logs(&report, "c", "time jump detected", 1..=1);
        }
    }
    for step_s in [-1e8, -1e5, 1e5, 1e8] {
        let scenario = one_server("makestep 1 -1\n").at(5000.0, move |id| {
            Action::StepClock(id("c"), Seconds(step_s))
        });
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            BOUNDS.sync(5120.0, 6200.0).check(&report, "c");
            logs(&report, "c", "System clock was stepped", 1..=1);
        }
    }
    // Again and again.
    for step_s in [-1e4, 1e4] {
        let mut scenario = one_server("makestep 1 -1\n");
        for k in 1..20 {
            scenario = scenario.at(500.0 * f64::from(k), move |id| {
                Action::StepClock(id("c"), Seconds(step_s))
            });
        }
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            keeps_intervals(&report, "c", &["s1"]);
            BOUNDS.offset(2e4, 8e3).check(&report, "c");
            logs(&report, "c", "System clock was stepped", 18..=19);
        }
    }
}

#[test]
fn large_jitter() {
    let scenario = one_server("")
        .clock("c", clock(1.0, 100.0, 1e-9))
        .link_all(Link::exponential(1e-4, 0.1));
    for seed in seeds(5) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS.offset(0.5, 0.1).freq(0.2, 5e-3).check(&report, "c");
    }
}

#[test]
fn large_wander() {
    // No bound is kept here: the frequency changes faster than `maxclockerror` says.
    let scenario = one_server("").clock("c", clock(0.1, 100.0, 1e-7));
    for seed in seeds(5) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS
            .offset(5e-3, 1e-3)
            .freq(5e-3, 1e-4)
            .check(&report, "c");
    }
}

/// Five servers, of which the last `liars` are wrong by 1, 2, ... seconds.
fn falsetickers(liars: u32) -> Scenario {
    let mut scenario = servers(5, "").link_all(Link::exponential(1e-3, 1e-4));
    for k in 1..=liars {
        let name = format!("s{}", 6 - k);
        scenario = scenario.clock(&name, clock(f64::from(k), 0.0, 0.0));
    }
    scenario
}

#[test]
fn falsetickers_are_outvoted() {
    for liars in [1, 2] {
        for seed in seeds(5) {
            let report = falsetickers(liars).run(seed, LENGTH_S).unwrap();
            selects(&report, "c");
            keeps_intervals(&report, "c", &["s1", "s2", "s3", "s4", "s5"]);
            BOUNDS.check(&report, "c");
            // Said again after every change of the selected source.
            for server in 1..=5 {
                let lies = server > 5 - liars;
                let text = format!("Detected falseticker 10.0.0.{server} ");
                logs(&report, "c", &text, if lies { 1..=10 } else { 0..=0 });
            }
        }
    }
}

#[test]
fn a_majority_of_falsetickers_stops_the_clock() {
    for (liars, why) in [
        (
            3,
            "Can't synchronise: no majority (only 2 of 5 sources agree)",
        ),
        (
            4,
            "Can't synchronise: no majority (no agreement among 5 sources)",
        ),
    ] {
        for seed in seeds(5) {
            let report = falsetickers(liars).run(seed, LENGTH_S).unwrap();
            does_not_select(&report, "c");
            keeps_intervals(&report, "c", &["s1", "s2", "s3", "s4", "s5"]);
            BOUNDS.check_not(&report, "c");
            logs(&report, "c", why, 1..=1);
        }
    }
}

#[test]
fn a_far_truth_beats_two_near_lies() {
    // Packets towards two of three servers take a second longer: their intervals still reach the
    // truth.
    let late = Link::exponential(1.0 + 1e-3, 1e-4);
    let scenario = servers(3, "")
        .link_all(Link::exponential(1e-3, 1e-4))
        .link("c", "s2", late)
        .link("c", "s3", late);
    for seed in seeds(5) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
    }
}

#[test]
fn a_server_that_lost_its_own_becomes_too_distant() {
    let scenario = Scenario::new()
        .node("top", "local stratum 1\nallow\n")
        .node("s", "server top\nallow\nmaxclockerror 1000\n")
        .node("c", "deny\nserver s\n")
        .clock("c", CLOCK)
        .link_all(Link::exponential(1e-3, 1e-7))
        .at(600.0, |id| Action::SetLink(id("s"), id("top"), Link::cut()));
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        does_not_select(&report, "c");
        BOUNDS.check_not(&report, "c");
        let why = "Root distance of 10.0.0.2 (s) exceeds maxdistance of 3.";
        logs(&report, "c", why, 1..=1);
    }
}

#[test]
fn a_server_that_jumps_has_too_much_jitter() {
    let mut scenario = one_server("").link_all(Link::exponential(1e-3, 1e-4));
    // A square wave of 64 s on both sides, 10 s high.
    for k in 0..78 {
        let at_s = 64.0 * f64::from(k) + 1.0;
        let by = if k % 2 == 0 { 10.0 } else { -10.0 };
        scenario = scenario.at(at_s, move |id| Action::StepClock(id("s1"), Seconds(by)));
    }
    for seed in seeds(3) {
        let report = scenario.run(seed, 5000.0).unwrap();
        BOUNDS.check_not(&report, "c");
        logs(
            &report,
            "c",
            "Jitter of 10.0.0.1 (s1) exceeds maxjitter of 1.",
            1..=1,
        );
    }
}

#[test]
fn packets_delivered_several_times() {
    let link = Link {
        duplicate: 0.6,
        ..Link::default()
    };
    let scenario = servers_polled(6).link_all(link);
    for seed in seeds(3) {
        let report = scenario.run(seed, 50_000.0).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
    }
}

fn servers_polled(poll: i32) -> Scenario {
    common::servers_with(1, &format!("minpoll {poll} maxpoll {poll}"), "")
}

#[test]
fn asymmetric_jitter_is_corrected() {
    let (up, down) = Link::exponential(1e-4, 5e-4).asymmetric(0.47);
    let scenario = one_server("").link("c", "s1", up).link("s1", "c", down);
    for seed in seeds(3) {
        let report = scenario.run(seed, 100_000.0).unwrap();
        selects(&report, "c");
        BOUNDS.sync(120.0, 2000.0).check(&report, "c");
    }
}

#[test]
fn stamps_by_the_daemon() {
    let scenario = one_server("")
        .stamps("c", Stamps::Daemon)
        .stamps("s1", Stamps::Daemon);
    check_all(&scenario, 1, BOUNDS);
}

#[test]
fn addresses_of_ipv6() {
    for families in [Families::V6, Families::Both] {
        check_all(&one_server("").families(families), 1, BOUNDS);
    }
    let literal = Scenario::new()
        .node("s1", "local stratum 1\nallow fd00::/64\n")
        .node("c", "server fd00::1\n")
        .clock("c", CLOCK)
        .families(Families::V6);
    check_all(&literal, 1, BOUNDS);
}

#[test]
fn outages() {
    use timewright_sim::Pass;
    let by_time = Link {
        pass: Pass::Window {
            period_s: 10_000.0,
            open_s: 1200.0,
        },
        ..Link::default()
    };
    let scenario = one_server("").link_all(by_time);
    for seed in seeds(3) {
        let report = scenario.run(seed, 100_000.0).unwrap();
        BOUNDS
            .offset(1e-1, 2e-3)
            .freq(1e-2, 2e-5)
            .check(&report, "c");
        let lost = "Can't synchronise: no selectable sources (1 unreachable";
        logs(&report, "c", lost, 9..=10);
        logs(&report, "c", "Selected source", 9..=10);
    }

    let by_count = Link {
        pass: Pass::Every(20),
        ..Link::default()
    };
    let scenario = one_server("").link("c", "s1", by_count);
    for seed in seeds(3) {
        let report = scenario.run(seed, 100_000.0).unwrap();
        BOUNDS
            .sync(120.0, 22_000.0)
            .offset(1e-2, 5e-3)
            .freq(1e-4, 2e-5)
            .check(&report, "c");
        let lost = "Can't synchronise: no selectable sources (1 unreachable";
        logs(&report, "c", lost, 5..=15);
        logs(&report, "c", "Selected source", 5..=15);
    }
}

/// First second of the NTP era window, as chrony 4.8 was built for the recordings.
const ERA_S: i64 = 218_499_893;

#[test]
fn eras_of_ntp_time() {
    // 500 s before 2036-02-07 06:28:16 UTC.
    let scenario = one_server("").start(2_085_978_496 - 500);
    check_all(&scenario, 1, BOUNDS);
    // The first second of the window of 2^32 s, and its end.
    for start_s in [ERA_S, ERA_S + (1 << 32) - 10_001] {
        for offset_s in [-0.1, 0.1] {
            let scenario = in_era(start_s, offset_s);
            check_all(&scenario, 1, BOUNDS);
        }
    }
    // Outside of the window, or leaving it, no time can be told.
    for start_s in [ERA_S - 10_000, ERA_S + (1 << 32)] {
        for offset_s in [-0.1, 0.1] {
            for seed in seeds(3) {
                let report = in_era(start_s, offset_s).run(seed, LENGTH_S).unwrap();
                keeps_intervals(&report, "c", &["s1"]);
                BOUNDS.check_not(&report, "c");
            }
        }
    }
}

/// [`one_server`] that starts somewhere in or near the window of `eras_of_ntp_time`.
fn in_era(start_s: i64, offset_s: f64) -> Scenario {
    one_server("")
        .start(start_s)
        .boot("s1", |b| b.era_s = ERA_S)
        .boot("c", |b| b.era_s = ERA_S)
        .clock("c", clock(offset_s, 100.0, 1e-9))
}
