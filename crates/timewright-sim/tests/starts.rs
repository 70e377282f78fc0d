//! Starting, ending, special modes and commands (`scenarios.md` 103, 126 to 132, 146), and what an
//! administrator of an isolated network does.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{BOUNDS, clock, keeps_intervals, logs, one_server, selects, servers, servers_with};
use timewright_control::request::{Burst, MakeStepRule, SourceMask};
use timewright_control::{Address, Command, ReplyData, Request, Status};
use timewright_core::engine::Purpose;
use timewright_core::output::{Exit, LogFile};
use timewright_sim::{Action, Link, Scenario, seeds};
use timewright_time::Seconds;

const LENGTH_S: f64 = 10_000.0;

#[test]
fn initial_slew_or_step() {
    let with = |offset_s| {
        Scenario::new()
            .node("s1", "local stratum 1\nallow\n")
            .node("c", "initstepslew 5 s1\n")
            .clock("c", clock(offset_s, 0.0, 0.0))
    };
    for seed in seeds(3) {
        for offset_s in [-2.0, -0.2, 0.2, 2.0] {
            let report = with(offset_s).run(seed, 100.0).unwrap();
            BOUNDS
                .sync(6.0, 35.0)
                .offset(1e-3, 1e-3)
                .check(&report, "c");
            let side = if offset_s > 0.0 { "fast" } else { "slow" };
            logs(
                &report,
                "c",
                &format!("seconds {side} of true (slew)"),
                1..=1,
            );
            let said = report.node("c").logged("System's initial offset")[0];
            assert!(said < 10.0, "{said}");
        }
        for offset_s in [-1e8, -100.0, 100.0, 1e8] {
            let report = with(offset_s).run(seed, 100.0).unwrap();
            BOUNDS.sync(4.0, 5.0).offset(1e-3, 1e-3).check(&report, "c");
            logs(&report, "c", "of true (step)", 1..=1);
        }
    }
}

#[test]
fn initial_step_needs_agreement_and_answers() {
    let split = Scenario::new()
        .node("s1", "local stratum 1\nallow\n")
        .node("s2", "local stratum 1\nallow\n")
        .clock("s1", clock(1.0, 0.0, 0.0))
        .node("c", "initstepslew 5 s1 s2\nserver s2\n")
        .clock("c", clock(3.0, 0.0, 0.0));
    let mute = Scenario::new()
        .node("s1", "local stratum 1\n")
        .node("c", "initstepslew 5 s1\n")
        .clock("c", clock(0.1, 0.0, 0.0));
    for seed in seeds(3) {
        let report = split.run(seed, 500.0).unwrap();
        keeps_intervals(&report, "c", &["s1", "s2"]);
        BOUNDS
            .sync(360.0, 450.0)
            .offset(1e-3, 1e-3)
            .check(&report, "c");
        logs(&report, "c", "No suitable source for initstepslew", 1..=1);
        let at = report.node("c").logged("No suitable source")[0];
        assert!((198.0..212.0).contains(&at), "{at}");
        let report = mute.run(seed, 100.0).unwrap();
        logs(&report, "c", "No suitable source for initstepslew", 1..=1);
        let at = report.node("c").logged("No suitable source")[0];
        assert!((9.0..20.0).contains(&at), "{at}");
    }
}

#[test]
fn set_once_and_end() {
    let once = |config: &str, purpose| {
        servers_with(1, "iburst", config).boot("c", move |b| {
            b.purpose = purpose;
            b.control_clock = purpose == Purpose::SetOnce;
        })
    };
    for seed in seeds(3) {
        let report = once("driftfile /sim/drift\n", Purpose::SetOnce)
            .run(seed, 100.0)
            .unwrap();
        let node = report.node("c");
        assert_eq!(node.exit, Some(Exit::Done));
        logs(&report, "c", "System clock wrong by -0.10", 1..=1);
        logs(&report, "c", "(step)", 1..=1);
        logs(&report, "c", "chronyd exiting", 1..=1);
        let ended = node.logged("chronyd exiting")[0];
        assert!((4.0..6.0).contains(&ended), "{ended}");
        assert!(node.drift_file.is_some());
        let left = report.observed("c", 10.0).offset_s;
        assert!(left.abs() < 2e-3, "{left}");

        let report = once("maxsamples 1\n", Purpose::SetOnce)
            .run(seed, 100.0)
            .unwrap();
        let ended = report.node("c").logged("chronyd exiting")[0];
        assert!(ended < 1.0, "{ended}");

        let report = once("", Purpose::PrintOnce).run(seed, 100.0).unwrap();
        assert_eq!(report.node("c").exit, Some(Exit::Done));
        logs(&report, "c", "(ignored)", 1..=1);
        let left = report.observed("c", 10.0).offset_s;
        assert!((left - 0.101).abs() < 1e-6, "{left}");

        let report = once("", Purpose::SetOnce)
            .link_all(Link::cut())
            .run(seed, 100.0)
            .unwrap();
        assert_eq!(report.node("c").exit, Some(Exit::Failed));
        logs(
            &report,
            "c",
            "No suitable source for synchronisation",
            1..=1,
        );
    }
}

#[test]
fn run_time_is_limited() {
    for (link, exit) in [(Link::default(), Exit::Done), (Link::cut(), Exit::Failed)] {
        let report = servers_with(1, "iburst", "")
            .link_all(link)
            .boot("c", |b| b.run_time = Some(Seconds(50.0)))
            .run(1, 100.0)
            .unwrap();
        assert_eq!(report.node("c").exit, Some(exit));
        let at = report.node("c").logged("Timeout reached")[0];
        assert!((at - 50.0).abs() < 0.1, "{at}");
    }
}

#[test]
fn too_large_changes_end_the_daemon() {
    let scenario = one_server("maxchange 0.1 1 3\n")
        .clock("c", clock(2.0, 0.0, 0.0))
        .at(300.0, |id| Action::StepClock(id("c"), Seconds(1.0)));
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        logs(&report, "c", "(ignored)", 3..=3);
        logs(&report, "c", "(exiting)", 1..=1);
        assert_eq!(report.node("c").exit, Some(Exit::Failed));
    }
}

#[test]
fn large_changes_are_logged() {
    // With the clock that counts suspends the step would be noticed and told once.
    let scenario = one_server("maxsamples 6\nlogchange 0.1\n")
        .without_boot_time("c")
        .clock("c", clock(2.0, 0.0, 0.0))
        .at(300.0, |id| Action::StepClock(id("c"), Seconds(1.0)));
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        logs(&report, "c", "clock wrong by", 3..=8);
        BOUNDS.sync(590.0, 700.0).check(&report, "c");
    }
}

#[test]
fn without_control_the_clock_is_left_alone() {
    let scenario = servers(1, "driftfile /sim/drift\n").boot("c", |b| b.control_clock = false);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        let seen = report.observed("c", LENGTH_S);
        assert!((seen.offset_s - 1.1).abs() < 0.01, "{seen:?}");
        // The estimate follows the truth nevertheless.
        assert!(seen.estimate_s.abs() < 1e-3, "{seen:?}");
    }
}

#[test]
fn without_control_steps_are_made_in_the_model_only() {
    let perfect = |options: &str, config: &str| {
        servers_with(1, options, config)
            .clock("c", clock(0.0, 0.0, 0.0))
            .boot("c", |b| b.control_clock = false)
            .command_at(300.0, "c", Request::Tracking)
    };
    for seed in seeds(3) {
        for (scenario, correction_s, failures) in [
            (perfect("", ""), 0.0, 0..=0),
            // The server is said to be wrong by 5 s; nothing can be done about it.
            (perfect("offset 5.0005", "makestep 0.01 -1\n"), 5.0, 20..=60),
        ] {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            selects(&report, "c");
            keeps_intervals(&report, "c", &["s1"]);
            BOUNDS
                .sync(0.0, 1.0)
                .offset(1e-6, 1e-6)
                .freq(1e-9, 1e-9)
                .check(&report, "c");
            logs(&report, "c", "Could not step", failures);
            let Some(ReplyData::Tracking(seen)) = report
                .node("c")
                .reply(Command::Tracking)
                .map(|r| r.data.clone())
            else {
                panic!("a tracking report");
            };
            assert_eq!(seen.stratum, 2);
            let apart = seen.current_correction.abs() - correction_s;
            assert!(apart.abs() < 1e-3, "{seen:?}");
            assert!(seen.last_offset.abs() < 1e-3, "{seen:?}");
        }
    }
}

#[test]
fn a_wrong_drift_file_is_corrected_at_once() {
    for freq_ppm in [-5e4, -500.0, 500.0, 5e4] {
        for drift_ppm in [-1e4, -100.0, 100.0, 1e4] {
            let config = "driftfile /sim/drift\nmakestep 1 1\n";
            let scenario = servers_with(1, "minpoll 6 maxpoll 6", config)
                .clock("c", clock(100.0, freq_ppm, 0.0))
                .link_all(Link::exponential(1e-6, 1e-6))
                .drift_file("c", &format!("{drift_ppm:e} 100000\n"));
            for seed in seeds(3) {
                let report = scenario.run(seed, 180.0).unwrap();
                BOUNDS
                    .sync(120.0, 140.0)
                    .offset(1e-5, 1e-5)
                    .freq(1e-7, 1e-7)
                    .check(&report, "c");
            }
        }
    }
}

/// The isolated network of an administrator's notes: a server at stratum 5 without any source, and
/// clients whose clocks were set wrong by hand.
fn isolated(client: &str) -> Scenario {
    Scenario::new()
        .node("host131", "allow 10.0.0.0/16\nlocal stratum 5\n")
        .node("c", &format!("server host131 iburst\n{client}"))
        .clock("c", clock(0.0, 100.0, 1e-9))
}

#[test]
fn isolated_server_and_a_client_set_wrong_by_hand() {
    for seed in seeds(3) {
        for wrong_s in [-10.0, 10.0] {
            // Stepped while `makestep` allows it, that is before the third update.
            let stepped = isolated("makestep 1.0 3\n").clock("c", clock(wrong_s, 100.0, 1e-9));
            let report = stepped.run(seed, 2000.0).unwrap();
            logs(&report, "c", "Selected source 10.0.0.1 (host131)", 1..=1);
            logs(&report, "c", "System clock wrong by ", 1..=1);
            logs(&report, "c", "System clock was stepped by ", 1..=1);
            BOUNDS.sync(4.0, 10.0).check(&report, "c");

            // Without it, and later, slewed: 10 s at 83333 ppm take two minutes.
            let slewed = isolated("").clock("c", clock(wrong_s, 100.0, 1e-9));
            let report = slewed.run(seed, 2000.0).unwrap();
            logs(&report, "c", "System clock wrong by ", 1..=1);
            logs(&report, "c", "System clock was stepped by ", 0..=0);
            BOUNDS.sync(120.0, 160.0).check(&report, "c");

            let late = isolated("makestep 1.0 3\n").at(1000.0, move |id| {
                Action::StepClock(id("c"), Seconds(wrong_s))
            });
            let report = late.run(seed, 4000.0).unwrap();
            logs(&report, "c", "System clock was stepped by ", 0..=0);
            BOUNDS.sync(1100.0, 1700.0).check(&report, "c");
        }
    }
}

#[test]
fn reports_of_an_isolated_network() {
    let report = isolated("")
        .command_at(3.0, "host131", Request::SourceCount)
        .command_at(3.0, "host131", Request::Tracking)
        .command_at(20.0, "c", Request::SourceData(0))
        .command_at(20.0, "c", Request::Tracking)
        .command_at(20.0, "c", Request::Activity)
        .run(1, 100.0)
        .unwrap();
    let data = |host: &str, command| report.node(host).reply(command).unwrap().data.clone();
    assert_eq!(
        data("host131", Command::SourceCount),
        ReplyData::SourceCount(0)
    );
    let ReplyData::Tracking(own) = data("host131", Command::Tracking) else {
        panic!("a tracking report");
    };
    assert_eq!((own.refid, own.stratum, own.leap), (0x7f7f_0101, 5, 0));

    let ReplyData::SourceData(source) = data("c", Command::SourceData) else {
        panic!("a source");
    };
    use timewright_control::reply::{SourceMode, SourceState};
    assert_eq!(source.state, SourceState::Selected);
    assert_eq!(source.mode, SourceMode::Client);
    assert_eq!((source.stratum, source.poll), (5, 6));
    assert!(source.reachability >= 0o17, "{source:?}");
    assert!(source.error < 1e-2, "{source:?}");
    let ReplyData::Tracking(client) = data("c", Command::Tracking) else {
        panic!("a tracking report");
    };
    assert_eq!((client.refid, client.stratum), (0x0a00_0001, 6));
    assert_eq!(client.address, Address::V4([10, 0, 0, 1].into()));
}

#[test]
fn an_isolated_server_answers_only_whom_it_allows() {
    for config in [
        "local stratum 5\n",
        "allow 10.0.0.0/16\ndeny 10.0.0.2\nlocal stratum 5\n",
    ] {
        let report = Scenario::new()
            .node("host131", config)
            .node("c", "server host131 iburst\n")
            .run(1, 200.0)
            .unwrap();
        assert_eq!(report.packets("host131", "c").count(), 0, "{config}");
        assert!(report.packets("c", "host131").count() > 3);
    }
}

#[test]
fn offline_and_online_by_command() {
    let scenario = servers(2, "")
        .command_at(1000.0, "c", Request::Offline(SourceMask::ALL))
        .command_at(1001.0, "c", Request::Activity)
        .command_at(4000.0, "c", Request::Online(SourceMask::ALL))
        .command_at(4001.0, "c", Request::Activity);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        let activity: Vec<(i32, i32)> = report
            .node("c")
            .replies
            .iter()
            .filter_map(|(_, reply)| match &reply.data {
                ReplyData::Activity(a) => Some((a.online, a.offline)),
                _ => None,
            })
            .collect();
        assert_eq!(activity, [(0, 2), (2, 0)]);
        let between = report
            .world
            .packets()
            .iter()
            .filter(|p| p.at_s > 1000.1 && p.at_s < 4000.0)
            .count();
        assert_eq!(between, 0);
        BOUNDS.offset(2e-2, 2e-2).check(&report, "c");
        assert!(report.packets("c", "s1").count() > 30);
    }
}

#[test]
fn a_burst_by_command() {
    let burst = Burst {
        sources: SourceMask::ALL,
        good: 4,
        total: 8,
    };
    let scenario = servers_with(1, "offline", "")
        .command_at(100.0, "c", Request::Burst(burst))
        .command_at(500.0, "c", Request::Activity);
    for seed in seeds(3) {
        let report = scenario.run(seed, 1000.0).unwrap();
        logs(&report, "c", "Selected source 10.0.0.1 (s1)", 1..=1);
        let sent: Vec<f64> = report.packets("c", "s1").map(|p| p.at_s).collect();
        assert_eq!(sent.len(), 4, "{sent:?}");
        assert!(sent[0] >= 100.0 && sent[3] < 110.0, "{sent:?}");
    }
}

#[test]
fn offline_and_online_with_the_routes() {
    let scenario = one_server("")
        .at(1000.0, |id| Action::SetRouted(id("c"), false))
        .command_at(1001.0, "c", Request::OnOffline)
        .at(2000.0, |id| Action::SetRouted(id("c"), true))
        .command_at(2001.0, "c", Request::OnOffline);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        logs(&report, "c", "Source 10.0.0.1 offline", 1..=1);
        logs(&report, "c", "Source 10.0.0.1 online", 1..=1);
        BOUNDS.check(&report, "c");
    }
}

#[test]
fn steps_by_command() {
    let scenario = one_server("")
        .clock("c", clock(5.0, 100.0, 1e-9))
        .command_at(150.0, "c", Request::MakeStep)
        .command_at(
            500.0,
            "c",
            Request::ModifyMakeStep(MakeStepRule {
                limit: 2,
                threshold: 0.5,
            }),
        )
        .at(501.0, |id| Action::StepClock(id("c"), Seconds(-2.0)));
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        let status: Vec<Status> = report
            .node("c")
            .replies
            .iter()
            .map(|(_, r)| r.status)
            .collect();
        assert_eq!(status, [Status::Success; 2]);
        let stepped = report.node("c").logged("System clock was stepped by");
        assert!((150.0..151.0).contains(&stepped[0]), "{stepped:?}");
        BOUNDS.sync(550.0, 1500.0).check(&report, "c");
        let left = report.observed("c", 152.0).offset_s;
        assert!(left.abs() < 1e-2, "{left}");
    }
}

#[test]
fn shutdown_writes_what_is_known() {
    let scenario = one_server("driftfile /sim/drift\ndumpdir /sim\n")
        .command_at(2000.0, "c", Request::Dump)
        .command_at(3000.0, "c", Request::Shutdown);
    for seed in seeds(3) {
        let report = scenario.run(seed, 4000.0).unwrap();
        let node = report.node("c");
        assert_eq!(node.exit, Some(Exit::Done));
        let dump = &node.dumps["10.0.0.1.dat"];
        assert!(dump.starts_with("SRC0\ns1\n"), "{dump}");
        assert!(node.drift_file.is_some());
        // Nothing steers the clock any more: it keeps the frequency found, without a slew.
        let left = report.observed("c", 4000.0);
        assert!(left.freq.abs() < 1e-6, "{left:?}");
        assert_eq!(
            report
                .packets("c", "s1")
                .filter(|p| p.at_s > 3000.0)
                .count(),
            0
        );
    }
}

#[test]
fn logs_have_a_line_for_every_update() {
    let logs = "log measurements statistics tracking selection\n";
    let report = servers_with(1, "maxpoll 6", logs).run(1, LENGTH_S).unwrap();
    let lines = |file| report.node("c").record(file).len();
    let measured = lines(LogFile::Measurements);
    assert!((150..=160).contains(&measured), "{measured}");
    // The first two samples give no estimate; the first tracking line is from the start.
    assert_eq!(lines(LogFile::Statistics), measured - 2);
    assert_eq!(lines(LogFile::Tracking), measured - 2 + 1);
    assert!(lines(LogFile::Selection) >= measured - 2);
}
