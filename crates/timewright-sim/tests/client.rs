//! Options and commands of the client engine (`scenarios.md` 3: 108, 114, 118, 121, 122, 126, 127,
//! 144, 146), with the bounds given there.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{
    BOUNDS, CLOCK, clock, does_not_select, keeps_intervals, logs, one_server, selects, servers,
    servers_with,
};
use timewright_control::request::{Request, SourceMask};
use timewright_control::{Address, ReplyData};
use timewright_core::output::LogFile;
use timewright_sim::{Action, ClockModel, Families, Link, Pass, Report, Scenario, seeds};

const LENGTH_S: f64 = 10_000.0;
const SERVER: &str = "local stratum 1\nallow\n";
const LOG: &str = "log rawmeasurements\n";

/// Lines of `measurements.log` that contain all of these texts.
fn measured(report: &Report, host: &str, wanted: &[&str]) -> usize {
    let lines = report.node(host).record(LogFile::Measurements).iter();
    lines
        .filter(|l| wanted.iter().all(|w| l.contains(w)))
        .count()
}

/// Two peers; `p1` is cut off from the server and polls `p2` with the options `right`, as its right
/// neighbour, and `p2` polls `p1` with `left`.
fn peers(left: &str, right: &str) -> Scenario {
    Scenario::new()
        .node("s", SERVER)
        .node("p1", &format!("deny\nserver s\npeer p2 {right}\n{LOG}"))
        .node("p2", &format!("deny\nserver s\npeer p1 {left}\n{LOG}"))
        .clock("p1", CLOCK)
        .clock("p2", CLOCK)
        .link("p1", "s", Link::cut())
}

/// The shortest and the mean distance of a host's packets to another.
fn gaps(report: &Report, from: &str, to: &str) -> (f64, f64) {
    let sent: Vec<f64> = report.packets(from, to).map(|p| p.at_s).collect();
    let gaps: Vec<f64> = sent.windows(2).map(|w| w[1] - w[0]).collect();
    let count = f64::from(u32::try_from(gaps.len()).unwrap());
    (
        gaps.iter().copied().fold(f64::MAX, f64::min),
        gaps.iter().sum::<f64>() / count,
    )
}

#[test]
fn peers_take_turns_with_the_server() {
    for families in [Families::V4, Families::V6] {
        let both = |host: &str, peer: &str| {
            format!(
                "deny\nserver s minpoll 6 maxpoll 6\npeer {peer} minpoll 6 maxpoll 6\n# {host}\n"
            )
        };
        let mut scenario = Scenario::new()
            .families(families)
            .node("s", SERVER)
            .node("p1", &both("p1", "p2"))
            .node("p2", &both("p2", "p1"))
            .clock("p1", CLOCK)
            .clock("p2", CLOCK)
            .link("p2", "s", Link::cut());
        // One of them at a time reaches the server, for 1000 s each.
        for turn in 1..10u32 {
            let (on, off) = if turn % 2 == 0 {
                ("p1", "p2")
            } else {
                ("p2", "p1")
            };
            let at_s = f64::from(turn) * 1000.0;
            let to_server = |host: &'static str, link| {
                move |id: &dyn Fn(&str) -> timewright_sim::NodeId| {
                    Action::SetLink(id(host), id("s"), link)
                }
            };
            scenario = scenario
                .at(at_s, to_server(on, Link::default()))
                .at(at_s, to_server(off, Link::cut()));
        }
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            for host in ["p1", "p2"] {
                selects(&report, host);
                BOUNDS
                    .sync(120.0, 1000.0)
                    .freq(1e-3, 1e-5)
                    .check(&report, host);
            }
        }
    }
}

#[test]
fn peers_with_different_polls() {
    for (left, right, sync_s) in [
        ((3, 6), (3, 6), 400.0),
        ((3, 3), (6, 6), 450.0),
        ((6, 6), (3, 3), 450.0),
        ((3, 6), (6, 6), 450.0),
        ((6, 6), (3, 6), 450.0),
        ((-2, -2), (2, 2), 220.0),
        ((2, 2), (-2, -2), 220.0),
    ] {
        let polls = |(min, max): (i32, i32)| format!("minpoll {min} maxpoll {max}");
        let scenario = peers(&polls(left), &polls(right));
        for seed in seeds(3) {
            let report = scenario.run(seed, 10.0 * sync_s).unwrap();
            for host in ["p1", "p2"] {
                BOUNDS.sync(120.0, sync_s).check(&report, host);
            }
        }
    }
}

#[test]
fn both_peers_have_to_be_interleaved() {
    let poll = |poll: i32| format!("xleave minpoll {poll} maxpoll {poll}");
    for seed in seeds(3) {
        let report = peers(&poll(5), "minpoll 5 maxpoll 5")
            .run(seed, LENGTH_S)
            .unwrap();
        does_not_select(&report, "p1");
        BOUNDS.check_not(&report, "p1");
        for right in [4, 5, 6] {
            let report = peers(&poll(5), &poll(right)).run(seed, LENGTH_S).unwrap();
            for host in ["p1", "p2"] {
                BOUNDS.sync(120.0, 500.0).check(&report, host);
            }
            let good = |mode: &str| measured(&report, "p1", &[" 111 111 1111 ", mode]);
            let (basic, interleaved) = (good(" 1B "), good(" 1I "));
            // Against a slower peer every second response answers nothing new.
            let want = if right <= 5 {
                (0..=0, 200..=310)
            } else {
                (125..=135, 20..=30)
            };
            assert!(
                want.0.contains(&basic) && want.1.contains(&interleaved),
                "{right}: {basic} basic, {interleaved} interleaved"
            );
        }
    }
}

#[test]
fn a_slew_between_receive_and_transmit_stays_out_of_delays() {
    let options = "xleave minpoll 5 maxpoll 5 noselect";
    let exact = |s: Scenario| {
        s.link_all(Link::exponential(1.25e-6, 1e-9))
            .clock("p1", clock(0.1, 100.0, 1e-12))
            .clock("p2", clock(0.1, 100.0, 1e-12))
            .link("p1", "s", Link::exponential(1.25e-6, 1e-9))
            .command_at(7200.0, "p1", Request::ChangeOffset(-0.1))
    };
    for seed in seeds(3) {
        let report = exact(peers(options, options)).run(seed, LENGTH_S).unwrap();
        selects(&report, "p1");
        selects(&report, "p2");
        BOUNDS.check_not(&report, "p1");
        // Delays as p2 measures them of p1, whose clock is moved by 0.1 s meanwhile.
        let delays: Vec<f64> = report
            .node("p2")
            .record(LogFile::Measurements)
            .iter()
            .filter(|l| l.contains(" 10.0.0.2 ") && l.contains(" 111 111 "))
            .map(|l| l.split_whitespace().nth(12).unwrap().parse().unwrap())
            .collect();
        let short = delays
            .iter()
            .filter(|&&d| (2e-6..3e-6).contains(&d))
            .count();
        assert!((290..=310).contains(&short), "{short} of {}", delays.len());
        assert!(delays.iter().all(|&d| d < 1e-3), "{delays:?}");
    }
}

#[test]
fn warm_up_responses_are_not_used() {
    for (options, warm_up) in [("presend 5", 1), ("presend 5 xleave", 2)] {
        let scenario = servers_with(1, options, "log measurements\n");
        for seed in seeds(3) {
            let report = scenario.run(seed, 10.0).unwrap();
            keeps_intervals(&report, "c", &["s1"]);
            assert_eq!(measured(&report, "c", &[" 111 111 0111 "]), warm_up);
            assert_eq!(measured(&report, "c", &[" 111 111 1111 "]), 1);
        }
    }
}

#[test]
fn all_limits_of_delay_together() {
    let drifting = ClockModel {
        // 1e-10 per second at the start.
        sine_ppm: 10.0,
        sine_period_s: 628_318.0,
        ..clock(0.1, 100.0, 0.0)
    };
    let options = "maxpoll 6 maxdelay 3e-5 maxdelayratio 2.0 maxdelaydevratio 2.0";
    let scenario = servers_with(1, options, LOG)
        .clock("c", drifting)
        .link_all(Link::exponential(1e-5, 1e-5));
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS
            .sync(120.0, 2000.0)
            .offset(1e-3, 2e-4)
            .check(&report, "c");
        // Two exponential delays exceed their mean half the time.
        let failed_a = measured(&report, "c", &[" 111 111 0"]);
        assert!((60..=140).contains(&failed_a), "{failed_a}");
    }
}

#[test]
fn orphans_in_strata() {
    let scenario = orphans("local stratum 5 orphan waitunsynced 0")
        .node("c", "deny\nserver o3\n")
        .clock("c", CLOCK)
        .starts_at("c", 140.0)
        .command_at(700.0, "c", Request::Tracking);
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        BOUNDS
            .sync(140.0, 900.0)
            .offset(1e-3, 5e-4)
            .check(&report, "c");
        assert_eq!(tracking(&report), [(7, 0x0a00_0003)]);
    }
}

/// Stratum and reference id of all tracking reports of `c`.
fn tracking(report: &Report) -> Vec<(u16, u32)> {
    let replies = report.node("c").replies.iter();
    replies
        .filter_map(|(_, reply)| match &reply.data {
            ReplyData::Tracking(t) => Some((t.stratum, t.refid)),
            _ => None,
        })
        .collect()
}

const ALL_ORPHANS: &str =
    "server o1 minpoll 6 maxpoll 6\nserver o2 minpoll 6 maxpoll 6\nserver o3 minpoll 6 maxpoll 6\n";

/// Three orphans that poll each other and, in vain, themselves.
fn orphans(local: &str) -> Scenario {
    let mut scenario = Scenario::new();
    for name in ["o1", "o2", "o3"] {
        scenario = scenario.node(name, &format!("allow\n{local}\n{ALL_ORPHANS}"));
    }
    scenario
}

/// How often `c` measured an orphan at each stratum from `from_s` to `to_s`.
fn strata(report: &Report, orphan: &str, minute: impl Fn(u32) -> bool) -> [usize; 10] {
    let mut counts = [0; 10];
    for line in report.node("c").record(LogFile::Measurements) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at_minute: u32 = words[1][3..5].parse().unwrap();
        if words[2] == orphan && words[5] == "111" && minute(at_minute) {
            counts[words[4].parse::<usize>().unwrap()] += 1;
        }
    }
    counts
}

#[test]
fn the_orphan_with_the_lowest_reference_id_leads() {
    let scenario = orphans("local stratum 5 orphan")
        .node("c", &format!("deny\n{ALL_ORPHANS}log measurements\n"))
        .clock("c", CLOCK);
    for seed in seeds(3) {
        let report = scenario.run(seed, 1000.0).unwrap();
        BOUNDS.sync(120.0, 900.0).check(&report, "c");
        let seen = |orphan| strata(&report, orphan, |_| true);
        let leader = seen("10.0.0.1");
        assert!((10..=11).contains(&leader[5]), "{leader:?}");
        assert_eq!(leader[6..], [0; 4]);
        for orphan in ["10.0.0.2", "10.0.0.3"] {
            let follower = seen(orphan);
            assert!(
                (2..=4).contains(&follower[5]) && (7..=9).contains(&follower[6]),
                "{orphan} {follower:?}"
            );
            assert_eq!(follower[7..], [0; 3]);
        }
    }
}

#[test]
fn orphans_wait_for_their_sources() {
    // Each follows the one before; after 500 s the second one no longer hears of the first.
    let local = "allow\nlocal stratum 5 orphan distance 0.0 waitsynced 150 waitunsynced 0\n";
    let polls = "minpoll 6 maxpoll 6";
    let scenario = Scenario::new()
        .node("o1", local)
        .node("o2", &format!("server o1 {polls}\n{local}"))
        .node("o3", &format!("server o2 {polls}\n{local}"))
        .node("c", &format!("deny\n{ALL_ORPHANS}log measurements\n"))
        .clock("c", CLOCK)
        .at(500.0, |id| Action::SetLink(id("o1"), id("o2"), Link::cut()));
    for seed in seeds(3) {
        let report = scenario.run(seed, 1000.0).unwrap();
        BOUNDS.sync(120.0, 900.0).check(&report, "c");
        let at_5 = |orphan, late: bool| strata(&report, orphan, |m| (m >= 10) == late)[5];
        let counts = [
            at_5("10.0.0.1", true),
            at_5("10.0.0.2", false),
            at_5("10.0.0.2", true),
            at_5("10.0.0.3", false),
            at_5("10.0.0.3", true),
        ];
        let want = [6..=6, 2..=3, 6..=7, 7..=10, 0..=1];
        for (i, (count, want)) in counts.iter().zip(&want).enumerate() {
            assert!(want.contains(count), "{i}: {counts:?}");
        }
    }
}

#[test]
fn local_reference_by_distance() {
    const NONE: u32 = 0;
    const LOCAL: u32 = 0x7f7f_0101;
    const SERVER_ID: u32 = 0x0a00_0001;
    for (local, want) in [
        ("local", [LOCAL, SERVER_ID, LOCAL, SERVER_ID]),
        ("local distance 0.5", [LOCAL, SERVER_ID, LOCAL, SERVER_ID]),
        (
            "local distance 2.0",
            [LOCAL, SERVER_ID, SERVER_ID, SERVER_ID],
        ),
        (
            "local activate 1e-4",
            [NONE, SERVER_ID, SERVER_ID, SERVER_ID],
        ),
        ("local activate 1e-1", [NONE, SERVER_ID, LOCAL, SERVER_ID]),
        (
            "local activate 1e-1 distance 2.0",
            [NONE, SERVER_ID, SERVER_ID, SERVER_ID],
        ),
    ] {
        let config = format!("{local}\nmaxclockerror 1000\n");
        let mut scenario = servers_with(1, "minpoll 6 maxpoll 6 minsamples 64", &config)
            .link_all(Link::constant(1e-4))
            .clock("c", clock(0.1, 100.0, 0.0))
            .link(
                "s1",
                "c",
                Link {
                    pass: Pass::Window {
                        period_s: 2000.0,
                        open_s: 1000.0,
                    },
                    ..Link::constant(1e-4)
                },
            );
        for at_s in [1.0, 991.0, 1981.0, 2971.0] {
            scenario = scenario.command_at(at_s, "c", Request::Tracking);
        }
        for seed in seeds(3) {
            let report = scenario.run(seed, 4000.0).unwrap();
            let refids: Vec<u32> = tracking(&report).into_iter().map(|(_, id)| id).collect();
            assert_eq!(refids, want, "{local}: {refids:x?}");
        }
    }
}

#[test]
fn bursts_wait_for_a_response_or_a_better_one() {
    let fourth = Link {
        pass: Pass::Every(4),
        ..Link::default()
    };
    let lossy = servers_with(1, "burst polltarget 1", "").link("c", "s1", fourth);
    for seed in seeds(3) {
        let report = lossy.run(seed, LENGTH_S).unwrap();
        does_not_select(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS.sync(700.0, 730.0).check(&report, "c");
        let (shortest, mean) = gaps(&report, "c", "s1");
        assert!(shortest <= 2.2 && mean >= 150.0, "{shortest} {mean}");
    }
    // From the seventh request on most are held up on the way.
    let busy = Link {
        reorder: 0.7,
        hold_s: 0.15,
        ..Link::default()
    };
    let slow = servers_with(1, "burst polltarget 1", LOG)
        .at(2000.0, move |id| Action::SetLink(id("c"), id("s1"), busy));
    for seed in seeds(3) {
        let report = slow.run(seed, LENGTH_S).unwrap();
        selects(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        let before = report
            .packets("c", "s1")
            .filter(|p| p.at_s < 2000.0)
            .count();
        assert_eq!(before, 6);
        let (shortest, mean) = gaps(&report, "c", "s1");
        assert!(shortest <= 2.2 && mean >= 150.0, "{shortest} {mean}");
        // Held up responses do not end a burst.
        assert!(measured(&report, "c", &[" 111 111 1101 "]) >= 3);
    }
}

#[test]
fn filtered_polls_keep_their_interval() {
    let scenario = servers_with(1, "minpoll 4 maxpoll 4 filter 15 maxdelay 3.5e-4", "");
    for seed in seeds(3) {
        let report = scenario.run(seed, LENGTH_S).unwrap();
        does_not_select(&report, "c");
        keeps_intervals(&report, "c", &["s1"]);
        BOUNDS.sync(710.0, 720.0).check(&report, "c");
        let (shortest, mean) = gaps(&report, "c", "s1");
        assert!(shortest <= 16.1 && mean >= 15.9, "{shortest} {mean}");
    }
    // The filter knows a delay even before the statistics do.
    for (delay_s, want) in [(1e-4, 590..=640), (2e-2, 9..=10)] {
        let scenario = servers_with(1, "minpoll -6 maxpoll -6 filter 1", "")
            .link_all(Link::exponential(delay_s, 1e-4));
        for seed in seeds(3) {
            let report = scenario.run(seed, 10.0).unwrap();
            let sent = report.packets("c", "s1").count();
            assert!(want.contains(&sent), "{delay_s}: {sent}");
        }
    }
}

#[test]
fn monotonic_time_along_a_chain_of_servers() {
    for options in ["extfield F323", "xleave extfield F323"] {
        let options = format!("minpoll 6 maxpoll 6 {options}");
        let mut scenario = Scenario::new().node("s1", SERVER);
        for i in 2..=4 {
            let config = format!("allow\nserver s{} {options}\n", i - 1);
            scenario = scenario.node(&format!("s{i}"), &config);
        }
        let scenario = scenario
            .node("c", &format!("deny\nserver s4 {options}\n"))
            .clock("s1", clock(0.1, 0.0, 0.0))
            .clock("c", CLOCK)
            .command_at(2000.0, "s1", Request::ChangeOffset(0.1));
        for seed in seeds(3) {
            let report = scenario.run(seed, LENGTH_S).unwrap();
            BOUNDS.sync(2000.0, 2300.0).check(&report, "c");
        }
    }
}

#[test]
fn monotonic_time_along_a_chain_of_peers() {
    for poll in [5, 6, 7] {
        for options in ["extfield F323", "xleave extfield F323"] {
            let right = format!("minpoll 6 maxpoll 6 minsamples 16 {options}");
            let left = format!("minpoll {poll} maxpoll {poll} minsamples 16 {options}");
            let scenario = Scenario::new()
                .node("s", SERVER)
                .node("p1", &format!("deny\nserver s {right}\npeer p2 {right}\n"))
                .node("p2", &format!("deny\npeer p1 {left}\npeer p3 {right}\n"))
                .node("p3", &format!("deny\npeer p2 {left}\npeer p4 {right}\n"))
                .node("p4", &format!("deny\npeer p3 {left}\n"))
                .clock("s", clock(0.1, 0.0, 0.0))
                .clock("p1", CLOCK)
                .clock("p2", CLOCK)
                .clock("p3", CLOCK)
                .clock("p4", CLOCK)
                .command_at(2000.0, "s", Request::ChangeOffset(0.1));
            for seed in seeds(3) {
                let report = scenario.run(seed, LENGTH_S).unwrap();
                for host in ["p1", "p2", "p3", "p4"] {
                    BOUNDS.sync(2000.0, 2400.0).check(&report, host);
                }
            }
        }
    }
}

#[test]
fn online_and_offline_again() {
    let one = |n: u8| SourceMask {
        mask: Address::V4([255; 4].into()),
        address: Address::V4([10, 0, 0, n].into()),
    };
    let mut scenario = Scenario::new()
        .node("s1", SERVER)
        .node("s2", SERVER)
        .node(
            "c",
            "deny\nserver s1 offline iburst\nserver s2 polltarget 64\n",
        )
        .clock("c", CLOCK)
        .link_all(Link::exponential(1e-4, 1e-6));
    for (at_s, request) in [
        (1800.0, Request::Activity),
        (3600.0, Request::Offline(SourceMask::ALL)),
        (5400.0, Request::Activity),
        (7200.0, Request::OnOffline),
        (9000.0, Request::Online(one(2))),
        (10_800.0, Request::Activity),
        (12_600.0, Request::Offline(SourceMask::ALL)),
        (14_400.0, Request::Activity),
    ] {
        scenario = scenario.command_at(at_s, "c", request);
    }
    for seed in seeds(3) {
        let report = scenario.run(seed, 18_000.0).unwrap();
        keeps_intervals(&report, "c", &["s1", "s2"]);
        BOUNDS
            .sync(120.0, 140.0)
            .offset(2e-2, 2e-2)
            .freq(1e-3, 1e-5)
            .check(&report, "c");
        let replies = report.node("c").replies.iter();
        let activity: Vec<(i32, i32)> = replies
            .filter_map(|(_, reply)| match &reply.data {
                ReplyData::Activity(a) => Some((a.online, a.offline)),
                _ => None,
            })
            .collect();
        assert_eq!(activity, [(1, 1), (0, 2), (2, 0), (0, 2)]);
        let sent = ["s1", "s2"].map(|s| report.packets("c", s).count());
        assert!((30..=90).contains(&sent[0]), "{sent:?}");
        assert!((130..=150).contains(&sent[1]), "{sent:?}");
    }
}

/// The messages of `c` from a time on, without their times.
fn messages(report: &Report, from_s: f64) -> Vec<String> {
    let log = report.node("c").log.iter();
    log.filter(|l| l.at_s >= from_s)
        .map(|l| l.event.text.clone())
        .collect()
}

const LOST: &str = "Can't synchronise: no selectable sources";

#[test]
fn commands_report_in_the_order_of_events() {
    // As the reference daemon does: what a source's change does to the selection comes before the
    // change itself is told.
    for seed in seeds(3) {
        let report = servers(2, "")
            .command_at(1000.0, "c", Request::Offline(SourceMask::ALL))
            .run(seed, 1010.0)
            .unwrap();
        let said = messages(&report, 1000.0);
        let selected = report.log_text("c");
        assert!(selected.contains("Selected source"), "{selected}");
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].ends_with("offline"));
        assert_eq!(said[1], format!("{LOST} (2 unreachable sources)"));
        assert!(said[2].ends_with("offline"));

        // A source that is removed is unreachable first.
        let server = Address::V4([10, 0, 0, 1].into());
        let report = one_server("")
            .command_at(1000.0, "c", Request::DeleteSource(server))
            .run(seed, 1010.0)
            .unwrap();
        assert_eq!(
            messages(&report, 1000.0)[..2],
            [
                "Removed source 10.0.0.1 (s1)".to_owned(),
                format!("{LOST} (1 unreachable sources)")
            ]
        );

        let report = one_server("")
            .command_at(1000.0, "c", Request::ResetSources)
            .run(seed, 1010.0)
            .unwrap();
        assert_eq!(
            messages(&report, 1000.0)[..2],
            [
                format!("{LOST} (1 unreachable sources)"),
                "Reset all sources".to_owned()
            ]
        );

        // A choice forgotten by command is not lost.
        let report = one_server("")
            .command_at(1000.0, "c", Request::Reselect)
            .command_at(1000.5, "c", Request::ResetSources)
            .run(seed, 1010.0)
            .unwrap();
        logs(&report, "c", LOST, 0..=0);
    }
}
