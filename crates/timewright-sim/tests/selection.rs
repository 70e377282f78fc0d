//! Choosing between sources, and what servers pass on (`scenarios.md` 117 to 150).
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{BOUNDS, CLOCK, clock, does_not_select, logs, one_server, selects, servers_with};
use timewright_control::request::{ManualMode, SourceMask};
use timewright_control::{Command, ReplyData, Request, Status, Timespec};
use timewright_core::output::LogFile;
use timewright_sim::{Action, ClockModel, Link, Scenario, seeds};
use timewright_time::Seconds;

const LENGTH_S: f64 = 10_000.0;

/// Three servers with options on each line, those in `liars` wrong by 1, 2, ... s.
fn three(options: [&str; 3], liars: &[usize], delay_s: f64) -> Scenario {
    let mut scenario = Scenario::new().link_all(Link::exponential(delay_s, 1e-4));
    let mut config = String::from("deny\n");
    for (i, options) in (1..).zip(options) {
        let name = format!("s{i}");
        scenario = scenario.node(&name, "local stratum 1\nallow\n");
        config += &format!("server {name} {options}\n");
    }
    for (wrong_s, liar) in (1u32..).zip(liars) {
        let name = format!("s{liar}");
        scenario = scenario.clock(&name, clock(f64::from(wrong_s), 0.0, 0.0));
    }
    scenario.node("c", &config).clock("c", CLOCK)
}

#[test]
fn selection_options() {
    for seed in seeds(3) {
        let run = |options, liars: &[usize], delay_s| {
            three(options, liars, delay_s).run(seed, LENGTH_S).unwrap()
        };
        // Against two liars a trusted source wins; a preferred one only with the majority.
        let report = run(["", "", "trust"], &[1, 2], 0.6);
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        let report = run(["", "", "prefer"], &[1, 2], 0.6);
        selects(&report, "c");
        BOUNDS.check_not(&report, "c");
        let report = run(["", "", "prefer"], &[1, 2], 1.1);
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        // A required source must be among the selectable.
        let report = run(["", "", "require"], &[1], 1e-4);
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        let report = run(["require", "", ""], &[1], 1e-4);
        does_not_select(&report, "c");
        BOUNDS.check_not(&report, "c");
    }
}

#[test]
fn limits_of_delay() {
    let drifting = ClockModel {
        // 1e-10 per second at the start.
        sine_ppm: 10.0,
        sine_period_s: 628_318.0,
        ..clock(0.1, 100.0, 0.0)
    };
    for option in ["maxdelay 3e-5", "maxdelayratio 2.0", "maxdelaydevratio 2.0"] {
        let scenario = servers_with(1, option, "")
            .clock("c", drifting)
            .link_all(Link::exponential(1e-5, 1e-5));
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            BOUNDS
                .sync(120.0, 2000.0)
                .offset(1e-3, 2e-4)
                .check(&report, "c");
        }
    }
    let never = servers_with(1, "maxdelay 2e-5", "").link_all(Link::exponential(1e-5, 1e-5));
    let report = never.run(1, LENGTH_S).unwrap();
    BOUNDS.check_not(&report, "c");

    let log = "log rawmeasurements\n";
    let quantile = servers_with(1, "minpoll 2 maxpoll 2 maxdelayquant 0.1", log)
        .link_all(Link::exponential(1e-5, 1e-5));
    for seed in seeds(3) {
        let report = quantile.run(seed, LENGTH_S).unwrap();
        let count = |tests: &str| {
            let lines = report.node("c").record(LogFile::Measurements).iter();
            lines.filter(|l| l.contains(tests)).count()
        };
        let (good, late) = (count(" 111 111 1111 "), count(" 111 111 1101 "));
        assert!((200..=500).contains(&good), "{good}");
        assert!((2000..=2300).contains(&late), "{late}");
    }
}

#[test]
fn known_delay_and_asymmetry() {
    let (up, down) = Link::exponential(1e-4, 1e-4).asymmetric(0.499);
    let with = |options: &str| {
        servers_with(1, options, "")
            .clock("c", clock(0.1, 100.0, 1e-12))
            .link("c", "s1", up)
            .link("s1", "c", down)
    };
    for seed in seeds(3) {
        let run = |options| with(options).run(seed, LENGTH_S).unwrap();
        let bounds = BOUNDS.offset(1e-3, 1e-6);
        let report = run("mindelay 2e-4 asymmetry 0.499");
        selects(&report, "c");
        bounds.check(&report, "c");
        bounds.check_not(&run("mindelay 1e-4 asymmetry 0.499"), "c");
        bounds.check_not(&run("mindelay 2e-4 asymmetry 0.0"), "c");
    }
}

#[test]
fn lossy_peers() {
    let lossy = Link {
        loss: 0.33,
        ..Link::default()
    };
    for options in ["maxpoll 8", "maxpoll 8 xleave"] {
        let scenario = Scenario::new()
            .node("s", "local stratum 1\nallow\n")
            .node("p1", &format!("allow\npeer p2 {options}\n"))
            .node("p2", &format!("allow\npeer p1 {options}\nserver s\n"))
            .clock("p1", CLOCK)
            .clock("p2", CLOCK)
            .link_all(lossy);
        for seed in seeds(3) {
            let report = scenario.run(seed, 20_000.0).unwrap();
            for host in ["p1", "p2"] {
                BOUNDS.sync(100.0, 10_000.0).check(&report, host);
            }
        }
    }
}

#[test]
fn broadcasts_are_sent_and_not_believed() {
    let scenario = one_server("").configure("s1", "broadcast 64 10.0.0.2\n");
    let report = scenario
        .command_at(0.5, "c", Request::Offline(SourceMask::ALL))
        .run(1, LENGTH_S)
        .unwrap();
    let sent = report.packets("s1", "c").count();
    assert!((150..=160).contains(&sent), "{sent}");
    does_not_select(&report, "c");
}

#[test]
fn a_source_that_is_itself_is_found_out() {
    let log = "log measurements\n";
    let scenario = Scenario::new()
        .node(
            "s",
            &format!("local stratum 1\nallow\nserver s\nserver c\n{log}"),
        )
        .node("c", &format!("allow\nserver s\nserver c\n{log}"))
        .clock("c", CLOCK);
    let count = |lines: &[String], address: &str, tests: &str| {
        let wanted = |l: &&String| l.contains(address) && l.contains(tests);
        lines.iter().filter(wanted).count()
    };
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        let (server, client) = (
            report.node("s").record(LogFile::Measurements),
            report.node("c").record(LogFile::Measurements),
        );
        for own in ["10.0.0.1 ", "10.0.0.2 "] {
            assert_eq!(count(server, own, " 111 111 1111 "), 0);
        }
        assert!(count(server, "10.0.0.2 ", " 111 111 1110 ") >= 30);
        assert!(count(client, "10.0.0.1 ", " 111 111 1111 ") >= 30);
        assert_eq!(count(client, "10.0.0.2 ", " 111 111 1111 "), 0);
    }
}

#[test]
fn copied_reference() {
    let scenario = servers_with(1, "copy", "").command_at(5000.0, "c", Request::Tracking);
    for seed in seeds(2) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        let Some(ReplyData::Tracking(t)) = report
            .node("c")
            .reply(Command::Tracking)
            .map(|r| r.data.clone())
        else {
            panic!("a tracking report");
        };
        assert_eq!((t.refid, t.stratum), (0x7f7f_0101, 1));
    }
}

#[test]
fn time_by_hand() {
    // As soon as two times are known the clock runs right.
    let mut scenario = Scenario::new()
        .node("c", "manual\n")
        .clock("c", clock(0.1, 100.0, 1e-9));
    for hour in [1u32, 2, 3, 4, 6, 8, 10] {
        let at_s = 3600.0 * f64::from(hour);
        let now = Timespec::from(timewright_sim_time(at_s));
        scenario = scenario.command_at(at_s, "c", Request::SetTime(now));
    }
    let hour = 3600.0;
    let scenario = scenario
        .command_at(5.0 * hour, "c", Request::ManualDelete(2))
        .command_at(7.0 * hour, "c", Request::ManualList)
        .command_at(9.0 * hour, "c", Request::Manual(ManualMode::Reset))
        .command_at(11.0 * hour, "c", Request::ManualList);
    for seed in seeds(3) {
        let report = scenario.run(seed, 12.0 * hour).unwrap();
        BOUNDS
            .sync(7204.0, 7206.0)
            .offset(4e-3, 2e-3)
            .freq(4e-3, 2e-5)
            .check(&report, "c");
        let (mut set, mut lists) = (Vec::new(), Vec::new());
        for (_, reply) in &report.node("c").replies {
            assert_eq!(reply.status, Status::Success);
            match &reply.data {
                ReplyData::ManualTimestamp(m) => set.push(m.clone()),
                ReplyData::ManualList(list) => lists.push(list.clone()),
                _ => {}
            }
        }
        // Offset, change, frequency: 0.1 s and an hour at 100 ppm; another hour; then nothing.
        let want = [
            (0.46, 0.0, 0.0),
            (0.36, 100.0, 100.0),
            (0.0, 0.0, 100.0),
            (0.0, 0.0, 100.0),
            (0.0, 0.0, 100.0),
            (0.0, 0.0, 100.0),
            (0.0, 0.0, 100.0),
        ];
        assert_eq!(set.len(), want.len());
        for (m, (offset, change_ppm, freq_ppm)) in set.iter().zip(want) {
            assert!((m.offset - offset).abs() < 0.01, "{m:?}");
            assert!((m.frequency_change_ppm - change_ppm).abs() < 1.0, "{m:?}");
            assert!((m.frequency_ppm - freq_ppm).abs() < 1.0, "{m:?}");
        }
        // After the reset there is one time only, which says nothing about the frequency.
        assert!(set[6].frequency_change_ppm.abs() < 1e-9, "{set:?}");
        let [four, one] = &lists[..] else {
            panic!("{lists:?}");
        };
        let original: Vec<f64> = four.0.iter().map(|s| s.original_offset).collect();
        for (got, want) in original.iter().zip([0.46, 0.36, 0.0, 0.0]) {
            assert!((got - want).abs() < 0.01, "{original:?}");
        }
        let slewed = four.0.iter().map(|s| s.slewed_offset.abs());
        assert!(slewed.fold(0.0, f64::max) < 0.005, "{four:?}");
        assert_eq!((four.0.len(), one.0.len()), (4, 1));
    }
}

/// True time so long after the start.
fn timewright_sim_time(at_s: f64) -> timewright_time::Timestamp<timewright_time::Raw> {
    timewright_time::Timestamp::from_ns(timewright_sim::START_NS) + Seconds(at_s)
}

#[test]
fn monotonic_time_hides_a_servers_slews() {
    // The top server's clock is shifted; clients that know its monotonic time see the shift at
    // once instead of taking it for drift.
    let chain = |options: &str| {
        let doffset = Request::ChangeOffset(-0.1);
        Scenario::new()
            .node("s1", "local stratum 1\nallow\n")
            .node("s2", &format!("allow\nserver s1 {options}\n"))
            .node("c", &format!("server s2 {options}\n"))
            .clock("s2", clock(0.0, 10.0, 1e-10))
            .clock("c", CLOCK)
            .command_at(2000.0, "s1", doffset)
    };
    for options in [
        "extfield F323 minpoll 6 maxpoll 6",
        "extfield F323 xleave minpoll 6 maxpoll 6",
    ] {
        for seed in seeds(3) {
            let report = chain(options).run(seed, LENGTH_S).unwrap();
            // True time is now that of the shifted server.
            let leader = report.observed("s1", LENGTH_S).offset_s;
            assert!((leader.abs() - 0.1).abs() < 1e-3, "{leader}");
            for o in report.observations("c").iter().filter(|o| o.at_s > 2400.0) {
                let apart = o.offset_s - leader;
                assert!(apart.abs() < 2e-3, "{options}: {apart} at {}", o.at_s);
            }
        }
    }
}

#[test]
fn served_time_is_smoothed() {
    let scenario = Scenario::new()
        .node("s1", "local stratum 1\nallow\n")
        .node("s2", "server s1\nallow\nsmoothtime 400 0.001\n")
        .node("c", "server s2\n")
        .clock("s2", clock(0.2, 50.0, 1e-9))
        .clock("c", CLOCK)
        .command_at(
            300.0,
            "s2",
            Request::SmoothTime(timewright_control::request::SmoothAction::Activate),
        );
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        BOUNDS.sync(120.0, 900.0).check(&report, "c");
    }
}

#[test]
fn a_smoothing_server_takes_its_time() {
    // Its corrections of up to 0.1 s are passed on at 400 ppm at most.
    let scenario = Scenario::new()
        .node("s1", "local stratum 1\nallow\nsmoothtime 400 0.001\n")
        .node("s2", "server s1 minpoll 8\nallow\nsmoothtime 400 0.001\n")
        .node("c", "server s2\n")
        .clock("c", CLOCK);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        does_not_select(&report, "c");
        BOUNDS.sync(600.0, 800.0).check(&report, "c");
    }
}

#[test]
fn fallback_drift_bridges_an_outage() {
    // The frequency swings by 100 ppm in 1000 s: the mean of the last while is right, what was
    // measured last is not.
    let swinging = ClockModel {
        sine_ppm: 100.0,
        sine_period_s: 1000.0,
        ..clock(10.0, 0.0, 0.0)
    };
    let scenario = servers_with(
        1,
        "minpoll 4 maxpoll 4",
        "fallbackdrift 6 10\nlog tracking\n",
    )
    .clock("c", swinging)
    .link_all(Link::exponential(1e-4, 1e-6))
    .link_at(4250.0, "c", "s1", Link::cut())
    .sample_every(10.0);
    for seed in seeds(3) {
        let report = scenario.run(seed, 100_000.0).unwrap();
        BOUNDS
            .sync(120.0, 4500.0)
            .offset(1.0, 1.0)
            .freq(2e-4, 1e-4)
            .check(&report, "c");
        // Every change to a longer mean is a line without a source.
        let lines = report.node("c").record(LogFile::Tracking).iter();
        let lost = lines.filter(|line| line.contains(" 0.0.0.0 ")).count();
        assert!((4..=6).contains(&lost), "{lost}");
    }
}

#[test]
fn a_source_unreachable_for_long_gives_way() {
    let far = Link::exponential(0.5, 1e-4);
    let with = |options: &str| {
        let scenario = servers_with(
            2,
            &format!("minpoll 6 maxpoll 6 minsamples 64 {options}"),
            "",
        );
        scenario
            .link("c", "s2", far)
            .link("s2", "c", far)
            .at(2000.0, |id| Action::SetLink(id("c"), id("s1"), Link::cut()))
    };
    for seed in seeds(3) {
        // It keeps its place as long as its samples are newer than the oldest of the other.
        let report = with("").run(seed, 5500.0).unwrap();
        logs(&report, "c", "Selected source 10.0.0.1 (s1)", 1..=1);
        logs(&report, "c", "Selected source 10.0.0.2 (s2)", 0..=0);
        let report = with("maxunreach 10").run(seed, LENGTH_S).unwrap();
        let changed = report.node("c").logged("Selected source 10.0.0.2 (s2)");
        // Eight polls empty the register, ten more end the patience.
        assert!((2900.0..3300.0).contains(&changed[0]), "{changed:?}");
    }
}

#[test]
fn bad_members_of_a_pool_are_replaced() {
    let names = ["s1", "s2", "s3", "s4", "s5", "s6"];
    let mut scenario = Scenario::new().link_all(Link::exponential(1e-4, 1e-6));
    for name in names {
        scenario = scenario.node(name, "local stratum 1\nallow\n");
    }
    let scenario = scenario
        .node("c", "pool all maxsources 5 polltarget 1 iburst\n")
        .name("all", &names)
        .clock("s1", clock(1.0, 0.0, 0.0))
        .clock("s2", clock(2.0, 0.0, 0.0))
        .clock("c", CLOCK);
    for seed in seeds(5) {
        let report = scenario.run(seed, 5000.0).unwrap();
        selects(&report, "c");
        BOUNDS.sync(7.0, 210.0).check(&report, "c");
        logs(&report, "c", "Detected falseticker", 1..=10);
        let replaced = report.node("c").logged("replaced with");
        let replaced = replaced.iter().filter(|&&at| at > 1.0).count();
        assert!((1..=3).contains(&replaced), "{}", report.log_text("c"));
    }
}

#[test]
fn names_are_asked_for_again() {
    let scenario = Scenario::new()
        .node("s1", "local stratum 1\nallow\n")
        .node("s2", "local stratum 1\nallow\n")
        .name("pair", &["s1", "s2"])
        .node("c", "server pair minpoll 6 maxpoll 6\n")
        .clock("c", CLOCK)
        .at(1000.0, |id| Action::Kill(id("s1")));
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        // Unreachable sources are replaced by another address of their name.
        assert!(report.packets("c", "s2").count() > 50);
        logs(
            &report,
            "c",
            "Source 10.0.0.1 replaced with 10.0.0.2 (pair)",
            1..=1,
        );
        let seen = report.summary("c", 3000.0);
        assert!(seen.max_offset_s < 1e-3, "{seen:?}");
    }
}

#[test]
fn presends_wake_up_the_path() {
    let slow = Link::exponential(5.0, 1e-4);
    for link in [Link::exponential(1e-4, 1e-4), slow] {
        let scenario = servers_with(1, "presend 6 maxdelay 16", "maxdistance 10\n").link_all(link);
        for seed in seeds(2) {
            let report = scenario.run(seed, 9900.0).unwrap();
            selects(&report, "c");
            BOUNDS.sync(136.0, 260.0).check(&report, "c");
        }
    }
}
