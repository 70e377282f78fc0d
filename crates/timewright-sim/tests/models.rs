//! Models of clocks and paths, and that looking at a simulation does not change it.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

mod common;

use common::{CLOCK, clock, one_server, servers, servers_with};
use timewright_sim::{ClockModel, Link, Report, Scenario, SharedQueue};

/// All that a run leaves behind besides observations.
fn trace(report: &Report) -> String {
    let ends = ["s1", "c"].map(|name| (report.node(name).clock(), report.log_text(name)));
    format!("{ends:?} {:?}", report.world.packets())
}

#[test]
fn looking_changes_nothing() {
    let scenario = || {
        let wrong = ClockModel {
            ageing_ppm_per_day: 1.0,
            sine_ppm: 0.1,
            sine_period_s: 3000.0,
            ..CLOCK
        };
        one_server("").clock("c", wrong).clock("s1", CLOCK)
    };
    let run = |scenario: Scenario| trace(&scenario.run(5, 5000.0).unwrap());
    let plain = run(scenario());
    assert_eq!(run(scenario().sample_every(0.037)), plain);
    assert_eq!(run(scenario().sample_every(1000.0)), plain);
    assert_eq!(run(scenario().observe_only(&["s1"])), plain);
    assert_eq!(run(scenario().leave_unchecked()), plain);
}

#[test]
fn frequency_steps_are_followed() {
    let report = one_server("")
        .clock("c", clock(0.0, 0.0, 0.0))
        .frequency_step_at(4000.5, "c", 10.0)
        .frequency_step_at(4000.5, "c", -30.0)
        .run(1, 20_000.0)
        .unwrap();
    let freq = |at_s| report.observed("c", at_s).freq;
    assert!(freq(4000.0).abs() < 1e-6, "{}", freq(4000.0));
    assert!((freq(4001.0) + 20e-6).abs() < 1e-6, "{}", freq(4001.0));
    assert!(freq(20_000.0).abs() < 1e-6, "{}", freq(20_000.0));
}

#[test]
fn half_of_a_longer_way_is_seen_as_an_offset() {
    // Without that option such responses would be ignored.
    let report = servers_with(1, "maxpoll 6 maxdelaydevratio 1e6", "")
        .clock("c", clock(0.0, 0.0, 0.0))
        .link_all(Link::constant(1e-3))
        .delay_at(5000.0, "s1", "c", 11e-3)
        .run(1, 40_000.0)
        .unwrap();
    let offset = |at_s| report.observed("c", at_s).offset_s;
    assert!(offset(5000.0).abs() < 1e-5, "{}", offset(5000.0));
    // Responses take longer: they look older than they are, the clock gets slow.
    assert!(
        (offset(40_000.0) + 5e-3).abs() < 1e-4,
        "{}",
        offset(40_000.0)
    );
}

#[test]
fn a_skewed_path_is_seen_as_an_offset() {
    let (up, down) = Link::constant(10e-3).skewed(4e-3);
    let report = one_server("")
        .clock("c", clock(0.0, 0.0, 0.0))
        .link("c", "s1", up)
        .link("s1", "c", down)
        .run(1, 4000.0)
        .unwrap();
    let offset = report.observed("c", 4000.0).offset_s;
    assert!((offset - 2e-3).abs() < 1e-5, "{offset}");
}

#[test]
fn sources_behind_one_queue_err_together() {
    let rms = |queue: Option<&[(&str, &str)]>| {
        let mut scenario = servers(2, "").link_all(Link::exponential(1e-4, 1e-6));
        if let Some(paths) = queue {
            let uplink = SharedQueue {
                mean_s: 5e-3,
                memory_s: 3000.0,
            };
            scenario = scenario.shared_queue(uplink, paths);
        }
        let report = scenario.run(1, 20_000.0).unwrap();
        // Both agree all the time, right or wrong.
        assert_eq!(report.node("c").logged("no majority").len(), 0);
        report.summary("c", 2000.0).rms_offset_s
    };
    let (without, with) = (rms(None), rms(Some(&[("c", "s1"), ("c", "s2")])));
    assert!(with > 5e-5 && with > 20.0 * without, "{with} {without}");
}
