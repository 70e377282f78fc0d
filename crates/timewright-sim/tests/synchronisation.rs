//! First light in simulation: clients follow servers, over time.

use timewright_sim::{ClockModel, Link, Scenario};

/// The clock of upstream's default simulation: 0.1 s and 100 ppm wrong, wandering slowly.
const DEFAULT_CLOCK: ClockModel = ClockModel {
    offset_s: 0.1,
    freq_ppm: 100.0,
    wander: 1e-9,
    ..ClockModel::PERFECT
};

fn one_server() -> Scenario {
    Scenario::new()
        .node("server", "local stratum 1\nallow\n")
        .node("client", "server server\nlog tracking\n")
        .clock("client", DEFAULT_CLOCK)
        .link_all(Link::exponential(1e-4, 1e-4))
}

#[test]
fn a_client_follows_its_server() {
    for seed in 1..=5 {
        let report = one_server().run(seed, 10_000.0).unwrap();
        // The limits are those of upstream's default simulation.
        let settled = report.settled_after("client", 1e-3, 5e-4);
        assert!(
            settled.is_some_and(|t| (120.0..=210.0).contains(&t)),
            "seed {seed}: {settled:?}"
        );
        let summary = report.summary("client", 210.0);
        assert!(summary.rms_offset_s < 3e-4, "seed {seed}: {summary:?}");
        assert!(summary.rms_freq < 1e-5, "seed {seed}: {summary:?}");
        assert!(summary.covered > 0.9, "seed {seed}: {summary:?}");
        assert!(
            report
                .log_text("client")
                .contains("Selected source 10.0.0.1 (server)")
        );
    }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let records = |seed| {
        let report = one_server().run(seed, 3000.0).unwrap();
        let node = report.node("client");
        (
            node.records.clone(),
            node.sent,
            format!("{:?}", report.observations("client")),
        )
    };
    assert_eq!(records(7), records(7));
    assert_ne!(records(7), records(8));
}

/// The notes' wrong clock: a client 10 s and 100 ppm off, with and without `makestep`.
#[test]
fn a_wrong_clock_is_stepped_or_slewed_and_both_are_logged() {
    let stepping = "makestep 1.0 3\n";
    for (extra, offset_s, longest_s) in [
        (stepping, 10.0, 30.0),
        (stepping, -10.0, 30.0),
        ("", 10.0, 300.0),
        ("", -10.0, 300.0),
    ] {
        for seed in 1..=3 {
            let report = Scenario::new()
                .node("host131", "local stratum 5\nallow\n")
                .node("client", &format!("server host131 iburst\n{extra}"))
                .clock(
                    "client",
                    ClockModel {
                        offset_s,
                        ..DEFAULT_CLOCK
                    },
                )
                .link_all(Link::exponential(1e-4, 1e-5))
                .run(seed, 2000.0)
                .unwrap();
            let case = format!("{extra:?} {offset_s} seed {seed}");
            let settled = report.settled_after("client", 1e-3, 5e-4);
            assert!(
                settled.is_some_and(|t| t < longest_s),
                "{case}: {settled:?}"
            );
            let log = report.log_text("client");
            assert!(log.contains("System clock wrong by "), "{case}: {log}");
            let stepped = log.contains("System clock was stepped by ");
            assert_eq!(stepped, !extra.is_empty(), "{case}: {log}");
        }
    }
}
