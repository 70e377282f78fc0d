//! The local reference and orphan mode (`scenarios.md` 121).
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

mod common;

use common::{BOUNDS, CLOCK, clock, selects, servers_with};
use timewright_control::{ReplyData, Request};
use timewright_core::output::LogFile;
use timewright_sim::{Link, Pass, Report, Scenario, seeds};

/// Three hosts in orphan mode that all poll each other, of which each follows the one before, and
/// a client `c` of the last. Lines of sources get `options`.
fn orphans(local: &str, options: &str, client: &str) -> Scenario {
    let mut scenario = Scenario::new();
    let mut all = String::new();
    for i in 1..=3 {
        all += &format!("server o{i} {options}\n");
    }
    for i in 1..=3 {
        let config = format!("allow\nlocal stratum 5 orphan {local}\n{all}");
        scenario = scenario.node(&format!("o{i}"), &config);
    }
    scenario
        .node("c", &format!("deny\n{client}"))
        .clock("c", CLOCK)
}

#[test]
fn orphans_serve_strata_one_after_the_other() {
    let scenario = orphans("waitunsynced 0", "", "server o3\n")
        .starts_at("c", 140.0)
        .command_at(700.0, "c", Request::Tracking);
    for seed in seeds(3) {
        let report = scenario.run(seed, 10_000.0).unwrap();
        selects(&report, "c");
        BOUNDS
            .sync(120.0, 900.0)
            .offset(1e-3, 5e-4)
            .check(&report, "c");
        // The leader is at 5, who follows it at 6.
        let strata: Vec<u16> = tracking(&report, |t| t.1);
        assert_eq!(strata, [7]);
    }
}

/// What the client's tracking reports said: reference id and stratum.
fn tracking<T>(report: &Report, take: impl Fn((u32, u16)) -> T) -> Vec<T> {
    let replies = report.node("c").replies.iter();
    let seen = replies.filter_map(|(_, reply)| match &reply.data {
        ReplyData::Tracking(t) => Some((t.refid, t.stratum)),
        _ => None,
    });
    seen.map(take).collect()
}

/// Measurements of a server by the client: how many found it at a stratum, leap status normal.
fn measured(report: &Report, server: u32, stratum: u32, from_s: u32, to_s: u32) -> usize {
    let address = format!(" 10.0.0.{server} ");
    let status = format!(" N {stratum:>2} 111 ");
    let lines = report.node("c").record(LogFile::Measurements).iter();
    lines
        .filter(|line| {
            let minute: u32 = line.get(14..16).unwrap().parse().unwrap();
            let second: u32 = line.get(17..19).unwrap().parse().unwrap();
            let at_s = 60 * minute + second;
            (from_s..to_s).contains(&at_s) && line.contains(&address) && line.contains(&status)
        })
        .count()
}

const ALL_THREE: &str = "server o1 minpoll 6 maxpoll 6\nserver o2 minpoll 6 maxpoll 6\n\
                         server o3 minpoll 6 maxpoll 6\nlog measurements\n";

#[test]
fn the_orphan_with_the_smallest_id_leads() {
    let scenario = orphans("", "minpoll 6 maxpoll 6", ALL_THREE);
    for seed in seeds(3) {
        let report = scenario.run(seed, 1000.0).unwrap();
        BOUNDS.sync(120.0, 900.0).check(&report, "c");
        let count = |server, stratum| measured(&report, server, stratum, 0, 1000);
        let leader = count(1, 5);
        assert!((10..=11).contains(&leader), "{leader}");
        for follower in [2, 3] {
            // All three begin as leaders once they have waited for 300 s.
            let (first, then) = (count(follower, 5), count(follower, 6));
            assert!((2..=4).contains(&first), "{follower}: {first}");
            assert!((7..=9).contains(&then), "{follower}: {then}");
        }
        for stratum in 7..=9 {
            for server in 1..=3 {
                assert_eq!(count(server, stratum), 0, "{server} at {stratum}");
            }
        }
        assert_eq!(count(1, 6), 0);
    }
}

#[test]
fn orphans_lead_again_when_updates_stay_away() {
    // A chain, each following the one before while it is updated; any distance is too large, but
    // the local reference waits for 150 s without an update.
    let local = "allow\nlocal stratum 5 orphan distance 0.0 waitsynced 150 waitunsynced 0\n";
    let polled = "minpoll 6 maxpoll 6";
    // From 500 s on the second does not hear the first any more.
    let deaf = Link {
        pass: Pass::Outage {
            from_s: 500.0,
            until_s: 1e9,
        },
        ..Link::default()
    };
    let scenario = Scenario::new()
        .node("o1", local)
        .node("o2", &format!("{local}server o1 {polled}\n"))
        .node("o3", &format!("{local}server o2 {polled}\n"))
        .node("c", &format!("deny\n{ALL_THREE}"))
        .clock("c", CLOCK)
        .link("o1", "o2", deaf);
    for seed in seeds(3) {
        let report = scenario.run(seed, 1000.0).unwrap();
        BOUNDS.sync(120.0, 900.0).check(&report, "c");
        let early = |server| measured(&report, server, 5, 0, 600);
        let late = |server| measured(&report, server, 5, 600, 1000);
        for (what, got, want) in [
            ("1 late", late(1), 6..=6),
            ("2 early", early(2), 2..=3),
            ("2 late", late(2), 6..=7),
            ("3 early", early(3), 7..=10),
            ("3 late", late(3), 0..=1),
        ] {
            assert!(want.contains(&got), "seed {seed}: {what}: {got}");
        }
    }
}

#[test]
fn the_local_reference_stands_in_when_its_conditions_hold() {
    const NONE: u32 = 0;
    const LOCAL: u32 = 0x7f7f_0101;
    const SERVER: u32 = 0x0a00_0001;
    // The server answers every other 1000 s; looked at the end of each of four such spans. At a
    // drift of 1000 ppm the root distance grows by 1 s in 1000 s.
    for (local, want) in [
        ("", [LOCAL, SERVER, LOCAL, SERVER]),
        ("distance 0.5", [LOCAL, SERVER, LOCAL, SERVER]),
        ("distance 2.0", [LOCAL, SERVER, SERVER, SERVER]),
        ("activate 1e-4", [NONE, SERVER, SERVER, SERVER]),
        ("activate 1e-1", [NONE, SERVER, LOCAL, SERVER]),
        ("activate 1e-1 distance 2.0", [NONE, SERVER, SERVER, SERVER]),
    ] {
        let config = format!("local {local}\nmaxclockerror 1000\n");
        let mut scenario = servers_with(1, "minpoll 6 maxpoll 6 minsamples 64", &config)
            .clock("c", clock(0.1, 100.0, 0.0))
            .link("s1", "c", Link::cut())
            .link("c", "s1", Link::constant(1e-4));
        for (at_s, open) in [(1000.0, true), (2000.0, false), (3000.0, true)] {
            let link = if open {
                Link::constant(1e-4)
            } else {
                Link::cut()
            };
            scenario = scenario.link_at(at_s, "s1", "c", link);
        }
        for look_s in [991.0, 1981.0, 2971.0, 3961.0] {
            scenario = scenario.command_at(look_s, "c", Request::Tracking);
        }
        for seed in seeds(3) {
            let report = scenario.run(seed, 4000.0).unwrap();
            assert_eq!(tracking(&report, |t| t.0), want, "local {local}");
        }
    }
}
