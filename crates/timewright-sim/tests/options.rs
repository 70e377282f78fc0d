//! Options of sources and services (`scenarios.md` 3), each with several seeds.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{
    BOUNDS, CLOCK, clock, does_not_select, keeps_intervals, logs, one_server, selects, servers,
    servers_with,
};
use timewright_core::output::LogFile;
use timewright_sim::{Link, Packet, Report, Scenario, seeds};

const LENGTH_S: f64 = 10_000.0;

/// Every packet uses port 123 at both ends.
fn all_on_port_123(report: &Report) -> bool {
    let on_123 = |p: &Packet| p.from.port() == 123 && p.to.port() == 123;
    report.world.packets().iter().all(on_123)
}

#[test]
fn fixed_polls() {
    for poll in 1..=14u32 {
        let interval_s = f64::from(1u32 << poll);
        let config = "makestep 1e-2 1\n";
        let scenario = servers_with(1, &format!("minpoll {poll} maxpoll {poll}"), config)
            .clock("c", clock(0.1, 100.0, 0.0))
            .link_all(Link::exponential(1e-4, 1e-6));
        for seed in seeds(2) {
            let report = scenario.run(seed, 10.0 * interval_s).unwrap();
            selects(&report, "c");
            BOUNDS
                .sync(2.0 * interval_s, 2.1 * interval_s + 1.0)
                .offset(1e-5, 5e-6)
                .freq(1e-5, 5e-6)
                .check(&report, "c");
            let sent: Vec<f64> = report.packets("c", "s1").map(|p| p.at_s).collect();
            let gaps: Vec<f64> = sent.windows(2).map(|w| w[1] - w[0]).collect();
            assert!(gaps.iter().all(|&g| g >= 0.99 * interval_s), "{gaps:?}");
            assert!(gaps.iter().any(|&g| g <= 1.1 * interval_s), "{gaps:?}");
        }
    }
}

#[test]
fn polls_below_a_second_only_nearby() {
    for poll in [-7, -5, -3, -1] {
        let per_second = 2f64.powi(-poll);
        let options = format!("minpoll {poll} maxpoll {poll}");
        for seed in seeds(3) {
            let near = servers_with(1, &options, "").run(seed, 10.0).unwrap();
            selects(&near, "c");
            let sent = f64::from(u32::try_from(near.packets("c", "s1").count()).unwrap());
            let share = sent / (10.0 * per_second);
            assert!((0.9..=1.0).contains(&share), "poll {poll}: {share}");

            let far = servers_with(1, &options, "")
                .link_all(Link::exponential(2e-2, 1e-4))
                .run(seed, 10.0)
                .unwrap();
            let sent = far.packets("c", "s1").count();
            assert!((9..=10).contains(&sent), "poll {poll}: {sent}");
        }
    }
}

#[test]
fn initial_burst() {
    let scenario = servers_with(1, "iburst", "driftfile /sim/drift\nmakestep 1e-2 1\n")
        .drift_file("c", "100.0 1.0\n");
    for seed in seeds(5) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS.sync(4.0, 6.0).check(&report, "c");
        logs(
            &report,
            "c",
            "Frequency 100.000 +/- 1.000 ppm read from",
            1..=1,
        );
        logs(&report, "c", "System clock was stepped by", 1..=1);
    }
}

#[test]
fn drift_file_sets_the_frequency_at_once() {
    for ppm in [-5e4, -500.0, -5.0, 5.0, 500.0, 5e4] {
        // The drift file is about corrected time.
        let drift = ppm / (1.0 + ppm * 1e-6);
        let scenario = Scenario::new()
            .node("c", "driftfile /sim/drift\n")
            .clock("c", clock(0.0, ppm, 0.0))
            .drift_file("c", &format!("{:20.6} {:20.6}\n", drift, 1.0));
        let report = scenario.run(1, 10.0).unwrap();
        // The kernel rounds to 2^-16 ppm.
        let error = report.observed("c", 10.0).freq;
        assert!(error.abs() < 1e-9, "{ppm} ppm: {error:e}");
    }
}

#[test]
fn access_rules() {
    let served = [
        "deny all\nallow\n",
        "deny all\nallow all\n",
        "deny all\nallow 10.0.0\n",
        "deny all\nallow 10.0.0/24\n",
        "deny 192.168.7.0/24\n",
        "deny\nallow c\n",
    ];
    let refused = [
        "deny\n",
        "deny all\n",
        "deny 10.0.0.0/16\n",
        "deny 10.0.0\n",
        "deny 10.0.0.2\n",
        "deny all\nallow 10.0.1.0/24\n",
        "deny c\n",
    ];
    for (rules, answered) in served
        .map(|r| (r, true))
        .into_iter()
        .chain(refused.map(|r| (r, false)))
    {
        let scenario = one_server("").configure("s1", rules);
        for seed in seeds(2) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            let answers = report.packets("s1", "c").count();
            if answered {
                selects(&report, "c");
                BOUNDS.check(&report, "c");
                assert!(answers > 10, "{rules}");
            } else {
                does_not_select(&report, "c");
                BOUNDS.check_not(&report, "c");
                assert_eq!(answers, 0, "{rules}");
            }
            keeps_intervals(&report, "c", &["s1"]);
        }
    }
}

#[test]
fn makestep_decides_between_step_and_slew() {
    let small = one_server("makestep 0 -1\ncorrtimeratio 1e10\n");
    for seed in seeds(3) {
        let report = small.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
    }
    for offset_s in [-1e8, -100.0, -1.0, -0.1, 0.1, 1.0, 100.0, 1e8] {
        let scenario = one_server("makestep 2 1\n")
            .clock("c", clock(offset_s, 100.0, 1e-9))
            .link_all(Link::exponential(1e-4, 1e-5));
        let steps = offset_s.abs() > 2.0;
        for seed in seeds(3) {
            let report = scenario.run(seed, 200.0).unwrap();
            let bounds = if steps {
                BOUNDS.sync(120.0, 140.0)
            } else {
                BOUNDS.sync(130.0, 150.0)
            };
            bounds.check(&report, "c");
            let times = usize::from(steps);
            logs(&report, "c", "System clock was stepped", times..=times);
        }
    }
}

#[test]
fn ports() {
    for seed in seeds(2) {
        // Random source ports unless told otherwise.
        let report = one_server("").run(seed, LENGTH_S).unwrap();
        BOUNDS.check(&report, "c");
        assert!(!all_on_port_123(&report));

        let report = one_server("acquisitionport 123\n")
            .run(seed, LENGTH_S)
            .unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        assert!(all_on_port_123(&report));

        for client in ["", "acquisitionport 123\n"] {
            let report = one_server(client)
                .configure("s1", "port 0\n")
                .run(seed, LENGTH_S)
                .unwrap();
            does_not_select(&report, "c");
            BOUNDS.check_not(&report, "c");
            keeps_intervals(&report, "c", &["s1"]);
            assert_eq!(report.packets("s1", "c").count(), 0);
        }

        for port in [0, 123, 124] {
            let client = format!("acquisitionport {port}\n");
            let report = servers_with(1, "port 124", &client)
                .configure("s1", "port 124\n")
                .run(seed, LENGTH_S)
                .unwrap();
            selects(&report, "c");
            BOUNDS.check(&report, "c");
            let mut sent = report.packets("c", "s1");
            let first = sent.next().unwrap();
            // One port for all requests, chosen by the system if it is 0.
            assert!(port == 0 || first.from.port() == port);
            assert!(sent.all(|p| p.from.port() == first.from.port() && p.to.port() == 124));
        }
    }
}

#[test]
fn a_client_that_is_a_source_of_its_server() {
    let scenario = one_server("allow\nacquisitionport 123\n")
        .configure("s1", "server c noselect\nacquisitionport 123\n");
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        assert!(all_on_port_123(&report));
    }
}

#[test]
fn a_preferred_source_wins() {
    let scenario = servers(2, "server s3 prefer\n").node("s3", "local stratum 1\nallow\n");
    for seed in seeds(5) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        logs(&report, "c", "Selected source 10.0.0.4 (s3)", 1..=1);
        // Sources are combined with preferred ones only.
        assert_eq!(report.node("c").logged("Selected source").len(), 1);
    }
}

#[test]
fn minimum_number_of_sources() {
    for seed in seeds(3) {
        let report = servers(1, "minsources 3\n").run(seed, LENGTH_S).unwrap();
        does_not_select(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS.check_not(&report, "c");
        let report = servers(3, "minsources 3\n").run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &["s1", "s2", "s3"]);
        BOUNDS.check(&report, "c");
    }
}

#[test]
fn strata_out_of_range_are_not_followed() {
    for (stratum, complaint) in [
        (2, Some("Stratum of 10.0.0.1 (s1) below minstratum of 3")),
        (3, None),
        (5, None),
        (6, Some("Stratum of 10.0.0.1 (s1) above maxstratum of 5")),
    ] {
        let scenario = one_server("minstratum 3\nmaxstratum 5\n")
            .configure("s1", &format!("local stratum {stratum}\n"));
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            keeps_intervals(&report, "c", &["s1"]);
            logs(
                &report,
                "c",
                "Stratum of",
                0..=usize::from(complaint.is_some()),
            );
            if let Some(complaint) = complaint {
                logs(&report, "c", complaint, 1..=1);
                does_not_select(&report, "c");
                BOUNDS.check_not(&report, "c");
            } else {
                selects(&report, "c");
                BOUNDS.check(&report, "c");
            }
        }
    }
}

/// Lines of `measurements.log` with these test results and mode letters.
fn measured(report: &Report, host: &str, tests: &str, mode: &str) -> usize {
    let wanted = format!(" {tests} ");
    let lines = report.node(host).record(LogFile::Measurements).iter();
    lines
        .filter(|l| l.contains(&wanted) && l.contains(&format!(" {mode} ")))
        .count()
}

#[test]
fn interleaved_mode() {
    let log = "log rawmeasurements\n";
    for seed in seeds(3) {
        // A server that remembers nobody cannot.
        let report = servers_with(1, "xleave", log)
            .configure("s1", "noclientlog\n")
            .run(seed, LENGTH_S)
            .unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        assert_eq!(measured(&report, "c", "111 111 1111", "4I"), 0);

        let report = servers_with(1, "xleave", log).run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS.sync(120.0, 270.0).check(&report, "c");
        assert_eq!(measured(&report, "c", "111 111 1111", "4B"), 2);
        let good = measured(&report, "c", "111 111 1111", "4I");
        assert!((30..=200).contains(&good), "{good}");
        assert_eq!(measured(&report, "c", "111 111 0111", "4I"), 1);
    }
}

#[test]
fn peers() {
    let peer = |options: &str, more: &str| {
        Scenario::new()
            .node("s", "local stratum 1\nallow\n")
            .node("p1", &format!("allow\npeer p2 {options}\n"))
            .node("p2", &format!("allow\npeer p1 {options}\n{more}"))
            .clock("p1", CLOCK)
            .clock("p2", clock(-0.05, -50.0, 1e-9))
    };
    for seed in seeds(3) {
        // Only one of them has a server.
        let report = peer("minpoll 6 maxpoll 6", "server s\n")
            .run(seed, LENGTH_S)
            .unwrap();
        selects(&report, "p1");
        for host in ["p1", "p2"] {
            BOUNDS
                .sync(120.0, 1000.0)
                .freq(1e-3, 1e-5)
                .check(&report, host);
        }
        // Requests and answers of peers use the server port.
        let mut between = report.packets("p1", "p2");
        assert!(between.all(|p| p.from.port() == 123 && p.to.port() == 123));
    }
    for (left, right, sync_s) in [
        ("minpoll 3 maxpoll 6", "minpoll 3 maxpoll 6", 400.0),
        ("minpoll 3 maxpoll 3", "minpoll 6 maxpoll 6", 450.0),
        ("minpoll 6 maxpoll 6", "minpoll 3 maxpoll 3", 450.0),
    ] {
        for seed in seeds(3) {
            let report = Scenario::new()
                .node("s", "local stratum 1\nallow\n")
                .node("p1", &format!("allow\npeer p2 {left}\n"))
                .node("p2", &format!("allow\npeer p1 {right}\nserver s\n"))
                .clock("p1", CLOCK)
                .clock("p2", CLOCK)
                .run(seed, LENGTH_S)
                .unwrap();
            BOUNDS.sync(50.0, sync_s).check(&report, "p1");
        }
    }
}

#[test]
fn interleaved_peers() {
    let log = "log rawmeasurements\n";
    let scenario = |left: &str, right: &str| {
        Scenario::new()
            .node("s", "local stratum 1\nallow\n")
            .node("p1", &format!("allow\npeer p2 {left}\n{log}"))
            .node("p2", &format!("allow\npeer p1 {right}\nserver s\n"))
            .clock("p1", CLOCK)
            .clock("p2", CLOCK)
    };
    // The one that follows asks as often as the other or more often.
    for poll in [4, 5] {
        let own = format!("xleave minpoll {poll} maxpoll {poll}");
        for seed in seeds(3) {
            let report = scenario(&own, "xleave minpoll 5 maxpoll 5")
                .run(seed, LENGTH_S)
                .unwrap();
            BOUNDS.sync(50.0, 500.0).check(&report, "p1");
            assert_eq!(measured(&report, "p1", "111 111 1111", "1B"), 0);
            let good = measured(&report, "p1", "111 111 1111", "1I");
            assert!((200..=310).contains(&good), "{good}");
        }
    }
}

#[test]
fn orphans_agree_on_one() {
    // Three servers without any source poll each other; the one with the smallest reference id
    // leads.
    let others = |own: u32| {
        let mut config = "allow\nlocal stratum 5 orphan waitunsynced 0\n".to_owned();
        for other in (1..=3).filter(|&i| i != own) {
            config += &format!("server o{other} minpoll 6 maxpoll 6\n");
        }
        config
    };
    let mut scenario = Scenario::new();
    for i in 1..=3u32 {
        let name = format!("o{i}");
        scenario = scenario
            .node(&name, &(others(i) + "log tracking\n"))
            .clock(&name, clock(0.02 * f64::from(i), 10.0 * f64::from(i), 1e-9));
    }
    let scenario = scenario
        .node("c", "deny\nserver o1\nserver o2\nserver o3\n")
        .starts_at("c", 1000.0)
        .clock("c", CLOCK);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        // All follow the same clock, whatever it says.
        let leader = report.observed("o1", LENGTH_S).offset_s;
        for host in ["o2", "o3", "c"] {
            let apart = report.observed(host, LENGTH_S).offset_s - leader;
            assert!(apart.abs() < 2e-3, "{host}: {apart} s from o1");
        }
        assert!(report.node("o1").logged("Selected source").is_empty());
        assert!(!report.node("o2").logged("Selected source").is_empty());
        assert!(!report.node("o3").logged("Selected source").is_empty());
    }
}

#[test]
fn rate_limit() {
    let with = |limit: &str| servers_with(1, "minpoll 3 maxpoll 3", "").configure("s1", limit);
    for seed in seeds(3) {
        let report = with("ratelimit interval 6 burst 2 leak 4\n")
            .run(seed, LENGTH_S)
            .unwrap();
        BOUNDS.sync(16.0, 210.0).check(&report, "c");
        let (asked, answered) = (
            report.packets("c", "s1").count(),
            report.packets("s1", "c").count(),
        );
        assert!((1200..=1300).contains(&asked), "{asked}");
        assert!((180..=220).contains(&answered), "{answered}");

        let report = with("ratelimit interval 6 burst 2 leak 4 kod 2\n")
            .run(seed, LENGTH_S)
            .unwrap();
        BOUNDS.sync(16.0, 210.0).check(&report, "c");
        let (asked, answered) = (
            report.packets("c", "s1").count(),
            report.packets("s1", "c").count(),
        );
        assert!((700..=850).contains(&asked), "{asked}");
        assert!((350..=450).contains(&answered), "{answered}");
        logs(&report, "c", "Received KoD RATE from 10.0.0.1", 100..=140);
    }
}

#[test]
fn bursts() {
    let fourth = Link {
        pass: timewright_sim::Pass::Every(4),
        ..Link::default()
    };
    let scenario = servers_with(1, "burst polltarget 1", "").link("c", "s1", fourth);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        BOUNDS.sync(700.0, 730.0).check(&report, "c");
        let sent: Vec<f64> = report.packets("c", "s1").map(|p| p.at_s).collect();
        let shortest = sent
            .windows(2)
            .map(|w| w[1] - w[0])
            .fold(f64::MAX, f64::min);
        assert!((1.8..=2.2).contains(&shortest), "{shortest}");
        let mean = LENGTH_S / f64::from(u32::try_from(sent.len()).unwrap());
        assert!(mean >= 150.0, "{mean}");
    }
}

#[test]
fn filtered_samples() {
    let scenario = servers_with(1, "minpoll 4 maxpoll 4 filter 15 maxdelay 3.5e-4", "");
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        BOUNDS.sync(710.0, 720.0).check(&report, "c");
    }
    let lossy = Link {
        loss: 0.3,
        ..Link::default()
    };
    let scenario = servers_with(1, "minpoll 4 maxpoll 4 filter 3", "").link_all(lossy);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        BOUNDS.sync(130.0, 720.0).check(&report, "c");
    }
}

#[test]
fn late_starting_client_of_a_client() {
    // Monotonic time is part of the protocol's extension; without it a slewing server drags its
    // clients along, within bounds.
    let scenario = Scenario::new()
        .node("top", "local stratum 1\nallow\n")
        .node("mid", "server top\nallow\n")
        .node("c", "deny\nserver mid\n")
        .clock("mid", clock(0.2, 30.0, 1e-9))
        .clock("c", CLOCK)
        .starts_at("c", 500.0);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.sync(600.0, 720.0).check(&report, "c");
    }
}

#[test]
fn pools() {
    let names = ["s1", "s2", "s3", "s4", "s5", "s6"];
    for (members, options, used) in [(3, "", 3), (6, "", 4), (6, "maxsources 2", 2)] {
        let scenario = {
            let mut s = Scenario::new();
            for name in names {
                s = s.node(name, "local stratum 1\nallow\n");
            }
            s.node("c", &format!("deny\npool everybody {options}\n"))
                .name("everybody", &names[..members])
                .clock("c", CLOCK)
        };
        for seed in seeds(3) {
            let report = scenario.run(seed, 500.0).unwrap();
            selects(&report, "c");
            let asked = names.map(|s| report.packets("c", s).count());
            assert_eq!(asked.iter().filter(|&&n| n > 0).count(), used, "{asked:?}");
            assert!(
                asked.iter().all(|&n| n == 0 || (5..=10).contains(&n)),
                "{asked:?}"
            );
        }
    }
}
