//! Reference clocks (`scenarios.md` 106, 129, 134), in the process instead of through devices.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{BOUNDS, CLOCK, logs, selects, servers_with};
use timewright_config::DriverKind;
use timewright_control::reply::{SourceMode, SourceState};
use timewright_control::request::{SelectFlags, SelectOptions, SourceOffset};
use timewright_control::{Address, Command, ReplyData, Request, Status};
use timewright_core::engine::Purpose;
use timewright_core::output::{Exit, LogFile};
use timewright_sim::{Action, ClockModel, DeviceModel, Link, Pass, Report, Scenario, seeds};
use timewright_time::Seconds;

/// Jitter of the paths of the upstream scenarios, which is also the noise of their devices.
const NOISE_S: f64 = 1e-4;

/// A host `c` with the usual clock, no NTP sources and every line of `refclocks.log`.
fn host(config: &str) -> Scenario {
    Scenario::new()
        .node("c", &format!("{config}\nlog refclocks tracking\n"))
        .clock("c", CLOCK)
}

fn device(noise_s: f64) -> DeviceModel {
    DeviceModel {
        noise_s,
        ..DeviceModel::default()
    }
}

/// A PHC that is read in 2 µs, with some jitter.
fn hardware(noise_s: f64) -> DeviceModel {
    DeviceModel {
        read_jitter_s: |_| 1e-7,
        ..device(noise_s)
    }
}

/// Lines of `refclocks.log` of a clock: raw, filtered, by their leap letter.
fn lines(report: &Report, name: &str, leap: &str) -> (usize, usize) {
    let lines = report.node("c").record(LogFile::Refclocks);
    let words = lines
        .iter()
        .map(|l| l.split_whitespace().collect::<Vec<_>>());
    let words = words.filter(|w| w[2] == name && w[4] == leap);
    let (filtered, raw): (Vec<_>, Vec<_>) = words.partition(|w| w[3] == "-");
    (raw.len(), filtered.len())
}

#[track_caller]
fn tracking(report: &Report) -> timewright_control::reply::Tracking {
    match &report.node("c").reply(Command::Tracking).unwrap().data {
        ReplyData::Tracking(tracking) => tracking.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_is_followed() {
    let options = "stratum 3 delay 1e-3 refid GPS";
    let devices = [
        ("SHM 0", device(NOISE_S)),
        ("PHC /dev/ptp0", hardware(NOISE_S)),
        ("SOCK /run/gps.sock", device(NOISE_S)),
        ("RTC /dev/rtc", device(NOISE_S)),
    ];
    for (name, model) in devices {
        for seed in seeds(3) {
            let report = host(&format!("refclock {name} {options}"))
                .device("c", name, model)
                .command_at(70.0, "c", Request::Tracking)
                .run(seed, 1000.0)
                .unwrap();
            selects(&report, "c");
            BOUNDS.sync(45.0, 70.0).check(&report, "c");
            let seen = tracking(&report);
            assert_eq!(seen.refid.to_be_bytes(), *b"GPS\0", "{name}");
            assert_eq!(seen.address.ip(), None);
            assert_eq!(seen.stratum, 4);
            assert!((seen.root_delay - 1e-3).abs() < 1e-9);
            assert!((16.0..16.1).contains(&seen.update_interval), "{seen:?}");
            let (raw, filtered) = lines(&report, "GPS", "N");
            assert!((997..=1001).contains(&raw), "{name}: {raw}");
            assert!((61..=63).contains(&filtered), "{name}: {filtered}");
        }
    }
}

/// Two clocks: a bad one that knows the second, and pulses.
fn pulses(config: &str) -> Scenario {
    let late = DeviceModel {
        offset: |_| -0.35,
        noise_s: 0.05,
        ..DeviceModel::default()
    };
    host(config)
        .device("c", "SHM 0", late)
        .device("c", "PPS /dev/pps0", device(1e-6))
}

#[track_caller]
fn follows_pulses(report: &Report, name: &str, stratum: u16) {
    let seen = tracking(report);
    assert_eq!(seen.refid.to_be_bytes(), name.as_bytes());
    assert_eq!(seen.stratum, stratum);
    assert!((seen.root_delay - 1e-9).abs() < 1e-12);
}

#[derive(Clone, Debug)]
struct PulseCase {
    config: String,
    /// The clock with the pulses, and the stratum it gives us.
    name: &'static str,
    stratum: u16,
    sync: (f64, f64),
    /// When `tracking` is asked for.
    asked_s: f64,
    /// Numbers of lines in the log.
    raw: (usize, usize),
    filtered: (usize, usize),
    /// Whether the selection must not fail in between.
    selects: bool,
}

#[test]
fn pulses_find_their_second() {
    let unlocked = "refclock SHM 0 refid NMEA offset 0.35 delay 0.1";
    let first = PulseCase {
        config: "refclock SHM 0 refid NMEA noselect\nrefclock PPS /dev/pps0 lock NMEA\n".into(),
        name: "PPS1",
        stratum: 1,
        sync: (45.0, 70.0),
        asked_s: 70.0,
        raw: (610, 740),
        filtered: (60, 63),
        selects: true,
    };
    let free_running = PulseCase {
        config: "refclock SHM 0 noselect\nrefclock PPS /dev/pps0\nlocal\n".into(),
        stratum: 10,
        raw: (997, 1001),
        ..first.clone()
    };
    let after_another = PulseCase {
        config: format!("{unlocked}\nrefclock PPS /dev/pps0\nmaxupdateskew 10000\n"),
        sync: (80.0, 260.0),
        asked_s: 270.0,
        raw: (800, 960),
        filtered: (50, 63),
        ..first.clone()
    };
    let before_another = PulseCase {
        config: format!("refclock PPS /dev/pps0\n{unlocked}\nmaxupdateskew 10000\n"),
        name: "PPS0",
        sync: (80.0, 180.0),
        asked_s: 220.0,
        // Between the first pulses and the first sample of the other clock nothing is reachable.
        selects: false,
        ..after_another.clone()
    };
    for case in [first, free_running, after_another, before_another] {
        for seed in seeds(3) {
            let report = pulses(&case.config)
                .command_at(case.asked_s, "c", Request::Tracking)
                .run(seed, 1000.0)
                .unwrap();
            if case.selects {
                selects(&report, "c");
            }
            BOUNDS.sync(case.sync.0, case.sync.1).check(&report, "c");
            follows_pulses(&report, case.name, case.stratum);
            let (raw, filtered) = lines(&report, case.name, "N");
            assert!((case.raw.0..=case.raw.1).contains(&raw), "{raw}: {case:?}");
            let few = (case.filtered.0..=case.filtered.1).contains(&filtered);
            assert!(few, "{filtered}: {case:?}");
        }
    }
}

/// Of 500 readings of a quiet clock the last eight are disturbed: the map knows better.
#[test]
fn disturbed_readings_of_a_hardware_clock_are_left_out() {
    let model = DeviceModel {
        read_jitter_s: |poll| if poll % 500 < 492 { 0.0 } else { 1e-5 },
        ..device(1e-9)
    };
    for seed in seeds(3) {
        let report = host("refclock PHC /dev/ptp0:nocrossts poll 0")
            .device("c", "PHC /dev/ptp0", model)
            .command_at(500.0, "c", Request::SourceData(0))
            .run(seed, 1000.0)
            .unwrap();
        selects(&report, "c");
        BOUNDS.sync(5.0, 7.0).offset(1e-7, 1e-8).check(&report, "c");
        let reply = &report.node("c").reply(Command::SourceData).unwrap().data;
        let ReplyData::SourceData(source) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(source.mode, SourceMode::RefClock);
        assert_eq!(source.state, SourceState::Selected);
        assert_eq!(source.address.ip(), Some([b'P', b'H', b'C', b'0'].into()));
        assert_eq!((source.stratum, source.poll), (0, 0));
        assert_eq!((source.reachability, source.since_sample), (0o377, 8));
    }
}

/// A free-running clock that keeps ours steady while the server cannot be reached.
#[test]
fn a_local_clock_carries_over_an_outage() {
    let model = DeviceModel {
        offset: |s| -0.399 - 1e-3 * s,
        ..hardware(1e-6)
    };
    let path = Link {
        pass: Pass::Outage {
            from_s: 5000.0,
            until_s: f64::INFINITY,
        },
        ..Link::default()
    };
    for seed in seeds(3) {
        let options = "minpoll 4 maxpoll 4 filter 5 minsamples 64";
        let local = "refclock PHC /dev/ptp0 local poll 2\nlog refclocks tracking\n";
        let report = servers_with(1, options, local)
            .link_all(path)
            .clock(
                "c",
                ClockModel {
                    offset_s: 0.1,
                    wander: 1e-9,
                    sine_ppm: 100.0,
                    sine_period_s: 1000.0,
                    ..ClockModel::default()
                },
            )
            .device("c", "PHC /dev/ptp0", model)
            .run(seed, 10_000.0)
            .unwrap();
        BOUNDS
            .sync(5.0, 5000.0)
            .offset(1e-3, 5e-4)
            .freq(2e-5, 5e-6)
            .check(&report, "c");
        let (raw, filtered) = lines(&report, "PHC0", "?");
        assert!((9999..=10_001).contains(&raw), "{raw}");
        assert!((2499..=2501).contains(&filtered), "{filtered}");
        let tracking = report.node("c").record(LogFile::Tracking);
        assert!(tracking.len() > 50 && tracking.iter().all(|line| !line.contains("PHC0")));
    }
}

/// What a log of everything says of a clock that is only watched (`scenarios.md` 134).
#[test]
fn a_watched_clock_fills_the_logs() {
    for seed in seeds(3) {
        let types = "statistics selection refclocks tracking";
        let config = format!("refclock PHC /dev/ptp0 dpoll 4 poll 6 noselect\nlog {types}\n");
        let report = servers_with(1, "maxpoll 6", &config)
            .device("c", "PHC /dev/ptp0", hardware(NOISE_S))
            .run(seed, 10_000.0)
            .unwrap();
        selects(&report, "c");
        BOUNDS.check(&report, "c");
        let count = |file, texts: &[&str]| {
            let lines = report.node("c").record(file).iter();
            let found = lines.filter(|line| texts.iter().all(|text| line.contains(text)));
            found.count()
        };
        for (file, texts, want) in [
            (LogFile::Refclocks, &["PHC0"][..], 750..=800),
            (LogFile::Statistics, &["PHC0"], 150..=160),
            (LogFile::Selection, &["PHC0            N "], 300..=320),
            (LogFile::Tracking, &["PHC0"], 0..=0),
            (LogFile::Tracking, &["10.0.0.1"], 150..=160),
        ] {
            let found = count(file, texts);
            assert!(want.contains(&found), "{file:?} {texts:?}: {found}");
        }
    }
}

/// Changes by command, named by the reference id, and what reports say of a clock.
#[test]
fn commands_name_a_clock_by_its_reference_id() {
    let named = |refid: &[u8; 4]| (Address::Unspecified, u32::from_be_bytes(*refid));
    let offset = |refid, offset| {
        let (address, refid) = named(refid);
        Request::ModifyOffset(SourceOffset {
            address,
            refid,
            offset,
        })
    };
    let (address, refid) = named(b"SHM0");
    let options = Request::ModifySelectOptions(SelectOptions {
        address,
        refid,
        mask: SelectFlags::NOSELECT,
        options: SelectFlags::NOSELECT,
    });
    let scenario = servers_with(1, "noselect", "refclock SHM 0 prefer\n")
        .device("c", "SHM 0", device(1e-6))
        .command_at(1000.0, "c", offset(b"SHM0", 0.25))
        .command_at(1000.1, "c", offset(b"SHM1", 0.25))
        .command_at(2000.0, "c", Request::SelectData(0))
        .command_at(2001.0, "c", Request::SourceStats(0))
        .command_at(2001.0, "c", Request::SourceCount)
        .command_at(2002.0, "c", options)
        .command_at(2100.0, "c", Request::SourceData(0))
        .command_at(2100.0, "c", Request::Activity);
    let report = scenario.run(1, 2200.0).unwrap();
    let node = report.node("c");
    let statuses = node
        .replies
        .iter()
        .filter(|(c, _)| *c == Command::ModifyOffset);
    let statuses: Vec<Status> = statuses.map(|(_, reply)| reply.status).collect();
    assert_eq!(statuses, [Status::Success, Status::NoSuchSource]);
    logs(&report, "c", "Source SHM0 new offset 0.250000", 1..=1);
    // It was believed: our clock followed.
    assert!((report.observed("c", 2000.0).offset_s - 0.25).abs() < 1e-4);
    let data = |command| &node.reply(command).unwrap().data;
    match data(Command::SourceCount) {
        ReplyData::SourceCount(count) => assert_eq!(*count, 2),
        other => panic!("{other:?}"),
    }
    match data(Command::SelectData) {
        ReplyData::SelectData(data) => {
            assert_eq!(
                (data.refid, data.state, data.address.ip()),
                (refid, b'*', None)
            );
            assert_eq!(data.configured, SelectFlags::PREFER);
        }
        other => panic!("{other:?}"),
    }
    match data(Command::SourceStats) {
        ReplyData::SourceStats(stats) => {
            assert_eq!((stats.refid, stats.address.ip()), (refid, None));
            assert!(stats.samples > 5);
        }
        other => panic!("{other:?}"),
    }
    match data(Command::SourceData) {
        ReplyData::SourceData(source) => {
            assert_eq!(source.mode, SourceMode::RefClock);
            assert_eq!(source.state, SourceState::NonSelectable);
            assert_eq!((source.poll, source.reachability), (4, 0o377));
        }
        other => panic!("{other:?}"),
    }
    match data(Command::Activity) {
        ReplyData::Activity(activity) => assert_eq!(activity.online, 1),
        other => panic!("{other:?}"),
    }
}

/// Devices that say nothing, lose much, or are not there.
#[test]
fn silent_devices_do_no_harm() {
    for (missing, reached) in [(1.0, false), (0.5, true)] {
        let model = DeviceModel {
            missing,
            ..device(1e-6)
        };
        for (line, name) in [
            ("SHM 0", "SHM 0"),
            (
                "PPS /dev/pps0 lock SHM1\nrefclock SHM 1 noselect",
                "PPS /dev/pps0",
            ),
            ("PHC /dev/ptp0", "PHC /dev/ptp0"),
            ("SOCK /run/s", "SOCK /run/s"),
        ] {
            let report = host(&format!("refclock {line}"))
                .device("c", name, model)
                .device("c", "SHM 1", device(1e-3))
                .command_at(900.0, "c", Request::SourceData(0))
                .run(1, 1000.0)
                .unwrap();
            let ReplyData::SourceData(source) =
                &report.node("c").reply(Command::SourceData).unwrap().data
            else {
                panic!("no report");
            };
            let want = if reached { 0o377 } else { 0 };
            assert_eq!(source.reachability, want, "{line}");
            logs(
                &report,
                "c",
                "Selected source",
                usize::from(reached)..=usize::from(reached),
            );
        }
    }
}

/// Pulses timed by a hardware clock that keeps its own time.
#[test]
fn external_pulses_of_a_hardware_clock() {
    let model = DeviceModel {
        offset: |s| 5.0 + 2e-5 * s,
        ..hardware(1e-8)
    };
    // Pulses at full seconds of the device, so the device has to be right for them to be.
    let right = hardware(1e-8);
    for (model, right) in [(right, true), (model, false)] {
        let report =
            host("refclock SHM 0 refid NMEA noselect\nrefclock PHC /dev/ptp0:extpps lock NMEA\n")
                .device("c", "SHM 0", device(0.01))
                .device("c", "PHC /dev/ptp0", model)
                .run(1, 1000.0)
                .unwrap();
        selects(&report, "c");
        if right {
            BOUNDS.sync(30.0, 80.0).check(&report, "c");
        }
        logs(&report, "c", "Selected source PHC1", 1..=1);
    }
}

/// One measurement is enough to set the clock once.
#[test]
fn a_reference_clock_sets_the_clock_once() {
    let run = |device_is_there: bool| {
        let mut scenario =
            host("refclock SHM 0 poll 0").boot("c", |b| b.purpose = Purpose::SetOnce);
        if device_is_there {
            scenario = scenario.device("c", "SHM 0", device(1e-6));
        }
        scenario.run(1, 100.0).unwrap()
    };
    let report = run(true);
    assert_eq!(report.node("c").exit, Some(Exit::Done));
    assert!(report.observed("c", 99.0).offset_s.abs() < 0.02);
    assert_eq!(run(false).node("c").exit, Some(Exit::Failed));
}

/// A program that cannot read a device has no source of it.
#[test]
fn unknown_drivers_give_no_source() {
    let report = host("refclock SHM 0\nrefclock PPS /dev/pps0\n")
        .boot("c", |b| b.drivers = vec![DriverKind::Pps])
        .device("c", "SHM 0", device(1e-6))
        .command_at(10.0, "c", Request::SourceCount)
        .command_at(10.0, "c", Request::SourceStats(0))
        .run(1, 20.0)
        .unwrap();
    let data = |command| &report.node("c").reply(command).unwrap().data;
    match data(Command::SourceCount) {
        ReplyData::SourceCount(count) => assert_eq!(*count, 1),
        other => panic!("{other:?}"),
    }
    match data(Command::SourceStats) {
        // Names count all lines.
        ReplyData::SourceStats(stats) => assert_eq!(stats.refid.to_be_bytes(), *b"PPS1"),
        other => panic!("{other:?}"),
    }
}

/// A server that was 10 s wrong, and smooths its correction for others.
#[test]
fn corrections_are_smoothed_for_clients() {
    let device = DeviceModel {
        offset: |s| if s < 1000.0 { -10.0 } else { 0.0 },
        ..device(1e-4)
    };
    let scenario = |options: &str, client: &str| {
        servers_with(1, options, client)
            .configure(
                "s1",
                "refclock SHM 0 dpoll 4 poll 6\nsmoothtime 2000 1\nmaxjitter 10.0\n",
            )
            .device("s1", "SHM 0", device)
            .clock(
                "s1",
                ClockModel {
                    offset_s: -10.0,
                    ..ClockModel::PERFECT
                },
            )
            .clock(
                "c",
                ClockModel {
                    offset_s: -10.0,
                    ..CLOCK
                },
            )
    };
    let poll = "minpoll 6 maxpoll 6";
    for options in [poll, "minpoll 6 maxpoll 6 xleave maxdelay 1e-1"] {
        for seed in seeds(3) {
            let report = scenario(options, "corrtimeratio 100\n")
                .run(seed, 10_000.0)
                .unwrap();
            selects(&report, "c");
            BOUNDS.sync(8000.0, 9000.0).check(&report, "c");
        }
    }
    for seed in seeds(3) {
        let report = scenario(poll, "corrtimeratio 100\n")
            .run(seed, 10_000.0)
            .unwrap();
        BOUNDS
            .offset(11.0, 11.0)
            .freq(1e-2, 2e-3)
            .check(&report, "c");
    }
}

/// A reference clock that swings from 1000 s on: served time is smoothed until nothing of it is left.
#[test]
fn a_swinging_reference_is_smoothed_away() {
    fn triangle(s: f64) -> f64 {
        let phase = (s / 1000.0 + 0.25).fract();
        0.1 * (1.0 - 4.0 * (phase - 0.5).abs())
    }
    let device = DeviceModel {
        offset: |s| if s < 1000.0 { 0.0 } else { triangle(s) },
        ..device(1e-9)
    };
    for seed in seeds(3) {
        let report = servers_with(1, "minpoll 4 maxpoll 4", "")
            .configure(
                "s1",
                "refclock SHM 0 dpoll 4 poll 6 minsamples 4 maxsamples 4\nsmoothtime 1e4 1e-6\n",
            )
            .device("s1", "SHM 0", device)
            .link_all(Link::exponential(1e-4, 1e-6))
            .clock(
                "c",
                ClockModel {
                    wander: 0.0,
                    ..CLOCK
                },
            )
            .run(seed, 10_000.0)
            .unwrap();
        selects(&report, "c");
        BOUNDS
            .sync(30.0, 40.0)
            .offset(1e-5, 5e-6)
            .freq(1e-6, 1e-7)
            .check(&report, "c");
        // The server itself follows its reference.
        assert!(report.summary("s1", 2000.0).max_offset_s > 0.05);
    }
}

/// Dump files of reference clocks (`scenarios.md` 129).
#[test]
fn samples_survive_a_restart() {
    for seed in seeds(3) {
        let report = host("refclock SHM 0\ndumpdir /sim")
            .device("c", "SHM 0", device(1e-6))
            .clock(
                "c",
                ClockModel {
                    wander: 0.0,
                    ..CLOCK
                },
            )
            .load_dumps("c")
            .at(40.0, |id| Action::Shutdown(id("c")))
            .at(40.5, |id| Action::Start(id("c")))
            .run(seed, 300.0)
            .unwrap();
        selects(&report, "c");
        logs(&report, "c", "Loaded dump file for SHM0", 1..=1);
        BOUNDS.sync(56.0, 58.0).check(&report, "c");
        let dump = &report.node("c").dumps["refid:53484d30.dat"];
        assert!(dump.starts_with("SRC0\n.\n0 377 8 0 0\n"), "{dump}");
        assert!((6..=23).contains(&dump.lines().count()), "{dump}");
    }
}

/// Whoever steps the clock, what was measured before is moved along or forgotten.
#[test]
fn steps_do_not_confuse_a_clock() {
    for (by_s, config, sync) in [
        // Seen as a jump, forgotten, and slewed away.
        (20.0, "", (700.0, 900.0)),
        (20.0, "makestep 1 -1", (500.0, 650.0)),
        (-1e6, "makestep 1 -1", (500.0, 650.0)),
    ] {
        for (line, name) in [("SHM 0", "SHM 0"), ("PHC /dev/ptp0", "PHC /dev/ptp0")] {
            for seed in seeds(2) {
                let report = host(&format!("refclock {line}\n{config}"))
                    .device("c", name, hardware(1e-6))
                    .at(500.0, move |id| Action::StepClock(id("c"), Seconds(by_s)))
                    .run(seed, 2000.0)
                    .unwrap();
                logs(&report, "c", "time jump detected", 1..=1);
                BOUNDS.sync(sync.0, sync.1).check(&report, "c");
            }
        }
    }
}

/// Without the right to set the clock its error is only known (`scenarios.md` 106).
#[test]
fn a_clock_that_may_not_be_set_is_measured() {
    let report = host("refclock RTC /dev/rtc:utc stratum 3 delay 1e-3 refid GPS")
        .clock(
            "c",
            ClockModel {
                offset_s: 0.1,
                ..ClockModel::PERFECT
            },
        )
        .boot("c", |b| b.control_clock = false)
        .device("c", "RTC /dev/rtc", device(1e-6))
        .command_at(70.0, "c", Request::Tracking)
        .run(1, 1000.0)
        .unwrap();
    selects(&report, "c");
    let seen = tracking(&report);
    assert_eq!((seen.refid.to_be_bytes(), seen.stratum), (*b"GPS\0", 4));
    assert!((seen.current_correction + 0.1).abs() < 1e-5, "{seen:?}");
    let lines = report.node("c").record(LogFile::Tracking);
    assert!(
        lines.last().unwrap().contains(" GPS              4 "),
        "{lines:?}"
    );
    assert!((report.observed("c", 999.0).offset_s - 0.1).abs() < 1e-6);
}

/// A clock among servers: wrong, it is outvoted, unless it is trusted.
#[test]
fn a_clock_is_a_source_among_others() {
    let wrong = DeviceModel {
        offset: |_| 1.0,
        ..device(1e-6)
    };
    for (options, model, selected, offset_s) in [
        ("", wrong, "10.0.0.", 0.0),
        ("noselect", device(1e-6), "10.0.0.", 0.0),
        ("trust", wrong, "SHM0", 1.0),
        ("prefer", device(1e-6), "SHM0", 0.0),
    ] {
        for seed in seeds(2) {
            let refclock = format!("refclock SHM 0 {options}\nlog selection\n");
            let report = servers_with(3, "", &refclock)
                .device("c", "SHM 0", model)
                .run(seed, 5000.0)
                .unwrap();
            let chosen = report.node("c").log.iter().rev();
            let mut chosen = chosen.filter(|line| line.event.text.starts_with("Selected source"));
            let text = &chosen.next().unwrap().event.text;
            assert!(text.contains(selected), "{options}: {text}");
            let offset = report.observed("c", 4999.0).offset_s;
            assert!((offset - offset_s).abs() < 1e-3, "{options}: {offset}");
        }
    }
}
