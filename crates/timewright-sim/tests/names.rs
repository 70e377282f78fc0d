//! Names, pools and source directories over time, and what commands say of them (`scenarios.md`
//! 115, 147, 148, 149, 203).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{BOUNDS, CLOCK, clock, logs, selects};
use timewright_config::source::parse_sources_fragment;
use timewright_control::reply::Activity;
use timewright_control::{ReplyData, Request, Status};
use timewright_core::output::LogFile;
use timewright_sim::{Action, Link, Report, Scenario, seeds};

/// Servers `s1` to `s4`, the names `all`, `three` and `pair` of the first ones, and a client.
fn world(client: &str) -> Scenario {
    let mut scenario = Scenario::new();
    for name in ["s1", "s2", "s3", "s4"] {
        scenario = scenario.node(name, "local stratum 1\nallow\n");
    }
    scenario
        .node("c", client)
        .name("all", &["s1", "s2", "s3", "s4"])
        .name("three", &["s1", "s2", "s3"])
        .name("pair", &["s3", "s4"])
        .clock("c", CLOCK)
}

/// The counts of one `activity` report.
fn counts(activity: &Activity) -> [i32; 5] {
    [
        activity.online,
        activity.offline,
        activity.burst_online,
        activity.burst_offline,
        activity.unresolved,
    ]
}

fn activities(report: &Report) -> Vec<[i32; 5]> {
    let replies = report.node("c").replies.iter();
    replies
        .filter_map(|(_, reply)| match &reply.data {
            ReplyData::Activity(activity) => Some(counts(activity)),
            _ => None,
        })
        .collect()
}

/// Every ten seconds the directory is read again; every twenty something in it changed. What did
/// not change is left alone, without a word.
#[test]
fn source_directories_are_read_as_a_difference() {
    let changes = [
        "pool all\n",
        "pool all maxsources 3\n",
        "pool three\n",
        "pool three\nserver pair\n",
        "server pair\n",
        "server three\n",
        "server 10.0.0.2\n",
        "server 10.0.0.2 maxdelay 0.1\n",
        "",
    ];
    let mut scenario = world("").boot("c", |boot| {
        boot.fragments = parse_sources_fragment(b"pool all iburst\n");
    });
    for (at_s, text) in (0..).map(|i| 19.0 + 20.0 * f64::from(i)).zip(changes) {
        let sources = parse_sources_fragment(text.as_bytes());
        scenario = scenario.at(at_s, move |id| Action::SetSources(id("c"), sources.clone()));
    }
    scenario = scenario.command_at(2.0, "c", Request::Activity);
    for i in 1..=18 {
        let at_s = 10.0 * f64::from(i);
        scenario = scenario
            .command_at(at_s, "c", Request::ReloadSources)
            .command_at(at_s + 5.0, "c", Request::Activity);
    }
    for seed in seeds(3) {
        let report = scenario.run(seed, 191.0).unwrap();
        let text = report.log_text("c");
        // The original's figures; a name that gives only addresses in use stays unresolved.
        let want = [
            [0, 0, 4, 0, 0],
            [4, 0, 0, 0, 0],
            [4, 0, 0, 0, 0],
            [4, 0, 0, 0, 0],
            [3, 0, 0, 0, 0],
            [3, 0, 0, 0, 0],
        ];
        let seen = activities(&report);
        assert_eq!(seen[..want.len()], want, "{text}");
        // While its addresses are used by others a name keeps its place without one.
        assert_eq!(seen.last(), Some(&[0; 5]), "{text}");
        for (line, count) in [
            ("Added pool all", 3),
            ("Removed pool all", 3),
            ("Added pool three", 1),
            ("Removed pool three", 1),
            ("Added source ID#", 2),
            ("Added source 10.0.0.", 2),
        ] {
            logs(&report, "c", line, count..=count);
        }
        // Reloads without a change, at 10, 30, 50 s and so on, say nothing.
        let said = ["Added ", "Removed "].map(|word| report.node("c").logged(word));
        let quiet = said.concat().into_iter().filter(|at| {
            // 10 to 20 s, 30 to 40 s and so on.
            *at % 20.0 >= 10.0
        });
        assert_eq!(quiet.count(), 0, "{text}");
    }
}

/// A source that did not change keeps its samples over a reload.
#[test]
fn unchanged_sources_keep_their_samples() {
    let with = |second: &'static str| {
        let first = parse_sources_fragment(b"server s1 iburst\n");
        let later = parse_sources_fragment(format!("server s1 iburst\n{second}").as_bytes());
        world("")
            .boot("c", |boot| boot.fragments = first)
            .at(500.0, move |id| Action::SetSources(id("c"), later.clone()))
            .command_at(501.0, "c", Request::ReloadSources)
    };
    for seed in seeds(3) {
        for second in ["server s2 iburst\n", ""] {
            let report = with(second).run(seed, 1000.0).unwrap();
            logs(&report, "c", "Selected source 10.0.0.1", 1..=1);
            logs(&report, "c", "Removed source", 0..=0);
            // The poll was not begun anew.
            let sent: Vec<f64> = report.packets("c", "s1").map(|p| p.at_s).collect();
            let after = sent.iter().filter(|&&at| (501.0..560.0).contains(&at));
            assert!(after.count() <= 2, "{sent:?}");
        }
    }
}

/// Sources of a directory that is read again before it was read at all are added once.
#[test]
fn a_reload_during_the_initial_step_adds_nothing_twice() {
    let fragments = parse_sources_fragment(b"server 10.0.0.1\n");
    let scenario = world("initstepslew 5 10.0.0.1\n")
        .boot("c", |boot| boot.fragments = fragments)
        .command_at(4.0, "c", Request::ReloadSources);
    for seed in seeds(5) {
        let report = scenario.run(seed, 10_000.0).unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        // Once by the initial step, at debug severity, and once for good.
        logs(&report, "c", "Added source 10.0.0.1", 2..=2);
        logs(&report, "c", "Could not add source", 0..=0);
        let replies = &report.node("c").replies;
        assert_eq!(replies[0].1.status, Status::Success);
    }
}

/// Measurements of one server.
fn measured(report: &Report, server: u32) -> usize {
    let wanted = format!(" 10.0.0.{server} ");
    let lines = report.node("c").record(LogFile::Measurements).iter();
    lines.filter(|line| line.contains(&wanted)).count()
}

/// Names of working sources that are asked for again keep the address they have, whoever asks.
#[test]
fn asking_again_changes_nothing_that_works() {
    let config = |options: &str, more: &str| {
        format!("server three maxpoll 6\npool pair maxpoll 6 {options}\nlog measurements\n{more}")
    };
    let by_command = world(&config("maxsources 1", "")).command_at(500.0, "c", Request::Refresh);
    let by_time = world(&config("maxsources 2", "refresh 128\n"));
    for seed in seeds(3) {
        for (scenario, length_s, pooled) in [(&by_command, 1000.0, 1), (&by_time, 1100.0, 2)] {
            let report = scenario.run(seed, length_s).unwrap();
            selects(&report, "c");
            BOUNDS.check(&report, "c");
            let polls = 14..=18;
            assert!(
                polls.contains(&measured(&report, 1)),
                "{}",
                report.log_text("c")
            );
            let others = measured(&report, 3) + measured(&report, 4);
            assert!((pooled * 14..=pooled * 18).contains(&others), "{others}");
            let text = report.log_text("c");
            // Once for each by command; about every 128 s in turn otherwise.
            let refreshed = report.node("c").logged("refreshing 10.0.0.").len();
            let fresh = report.node("c").logged(" still fresh").len();
            let want = if pooled == 1 { 2..=2 } else { 6..=8 };
            assert!(want.contains(&refreshed), "{text}");
            assert_eq!(refreshed, fresh, "{text}");
            logs(&report, "c", "Source 10.0.0", 0..=0);
        }
    }
}

/// Falsetickers and silent servers behind names are replaced, but not too often; one that is given
/// by address stays.
#[test]
fn replacements_are_rare_and_spare_addresses() {
    let false_by = |offset_s| clock(offset_s, 0.0, 0.0);
    let mut scenario = Scenario::new().link_all(Link::exponential(1e-4, 1e-6));
    for name in ["s1", "s2", "s3", "s4", "s5", "s6"] {
        scenario = scenario.node(name, "local stratum 1\nallow\n");
    }
    let scenario = scenario
        .configure("s3", "deny all\n")
        .name("mixed", &["s2", "s3", "s4", "s5", "s6"])
        .node(
            "c",
            "server 10.0.0.1 polltarget 1 iburst\nserver mixed polltarget 1 iburst\n\
             server mixed polltarget 1 iburst\nminsources 2\n",
        )
        .clock("s1", false_by(1.0))
        .clock("s2", false_by(2.0))
        .clock("c", CLOCK);
    let length_s = 100_000.0;
    let mut replaced = 0;
    for seed in seeds(2) {
        let report = scenario.run(seed, length_s).unwrap();
        let away = report.node("c").logged("replaced with");
        replaced += away.iter().filter(|&&at| at > 1.0).count();
        // On average one in half an hour is the most.
        assert!(away.len() <= 60, "{}", report.log_text("c"));
        logs(&report, "c", "Source 10.0.0.1 replaced", 0..=0);
    }
    assert!(replaced >= 2, "{replaced}");
}

/// The system clock may be where NTP time cannot reach; reports tell it all the same.
#[test]
fn reports_in_any_century() {
    // 1850, 1950, 2050, 2150, 2250; 5 s after the year began.
    for (start_s, year) in [
        (-3_786_825_595, 1850),
        (-631_151_995, 1950),
        (2_524_608_005, 2050),
        (5_680_281_605, 2150),
        (8_835_955_205, 2250),
    ] {
        let report = Scenario::new()
            .start(start_s)
            .node("c", "local stratum 1\n")
            .command_at(1.5, "c", Request::Tracking)
            .run(1, 2.0)
            .unwrap();
        let (_, reply) = &report.node("c").replies[0];
        let ReplyData::Tracking(tracking) = &reply.data else {
            panic!("{year}: {reply:?}");
        };
        let reference_s = tracking.reference_time.sec;
        assert!(
            (start_s - 4..=start_s + 2).contains(&reference_s),
            "{year}: {tracking:?}"
        );
    }
}
