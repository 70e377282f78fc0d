//! Random networks with random mishaps: nothing is expected of the clocks, everything of the
//! checks made at every step, and packets of strangers that must not move a clock.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{BOUNDS, clock, one_server, selects};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use timewright_core::rng::Rng as _;
use timewright_sim::adversary::draw_chaos;
use timewright_sim::{Action, Link, NodeId, Scenario, SimRng, seeds};

#[test]
fn anything_may_happen() {
    for seed in seeds(60) {
        let draft = draw_chaos(seed);
        // Everything is checked while it runs.
        let report = draft.scenario().run(seed, draft.length_s).unwrap();
        assert_eq!(report.world.packets().len() as u64, sent(&report), "{seed}");
    }
}

fn sent(report: &timewright_sim::Report) -> u64 {
    (0..)
        .map_while(|n| report.world.node(NodeId(n)))
        .map(|node| node.sent)
        .sum()
}

#[test]
fn forged_responses_do_not_move_the_clock() {
    let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 123);
    for seed in seeds(3) {
        let mut rng = SimRng::new(seed, 98);
        let mut scenario = one_server("acquisitionport 123\n").configure("c", "allow\n");
        let client = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 123);
        for _ in 0..5000 {
            // Good looks, but the origin time stamp cannot be guessed.
            let mut bytes = [0; 48];
            rng.fill(&mut bytes);
            bytes[..4].copy_from_slice(&[0x24, 1, 6, 0xe9]);
            bytes[4..12].fill(0);
            let at_s = rng.uniform() * 10_000.0;
            scenario = scenario.at(at_s, move |_| Action::Inject {
                from: server,
                to: client,
                bytes: bytes.to_vec(),
            });
        }
        let report = scenario.run(seed, 10_000.0).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
    }
}

#[test]
fn replayed_packets_do_not_move_the_clock() {
    let replaying = Link {
        duplicate: 0.9,
        reorder: 0.4,
        hold_s: 130.0,
        ..Link::default()
    };
    for seed in seeds(3) {
        for config in [
            "server s\n",
            "server s xleave\n",
            "peer s\n",
            "peer s xleave\n",
        ] {
            let scenario = Scenario::new()
                .node("s", "local stratum 1\nallow\n")
                .configure(
                    "s",
                    if config.starts_with("peer") {
                        "peer c\n"
                    } else {
                        ""
                    },
                )
                .node("c", config)
                .clock("c", clock(0.1, 100.0, 1e-9))
                .link_all(replaying);
            let report = scenario.run(seed, 20_000.0).unwrap();
            let seen = report.summary("c", 3000.0);
            assert!(seen.max_offset_s < 5e-3, "{config}: {seen:?}");
            // Not always: the estimate of few samples may lie outside the interval of the best.
            assert!(seen.covered > 0.99, "{config}: {seen:?}");
        }
    }
}
