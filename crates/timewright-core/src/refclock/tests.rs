use super::*;
use crate::hwclock::HwReading;
use crate::stats::golden::{Golden, assert_close};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_oneof, proptest};
use timewright_config::{MemoryFiles, ParseOptions};

const SYSTEM_PRECISION: Seconds = Seconds(1e-8);

/// The rest of the engine, as a test wants it.
struct Around {
    now: Timestamp<Cooked>,
    correction: (Seconds, Seconds),
    reference: ServedReference,
    /// A Unix time, and TAI - UTC before and from then on.
    tai: (i64, i32, i32),
    rng: Zeros,
}

struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

impl Around {
    fn new() -> Self {
        Self {
            now: at(0.0),
            correction: (Seconds::ZERO, Seconds::ZERO),
            reference: reference(Leap::Unsynchronised, 16, 0, 1.0),
            tai: (0, 0, 0),
            rng: Zeros,
        }
    }
}

impl Surroundings for Around {
    fn now(&mut self) -> Timestamp<Cooked> {
        self.now
    }

    fn correction(&self, _: Timestamp<Raw>) -> (Seconds, Seconds) {
        self.correction
    }

    fn reference(&self, _: Timestamp<Cooked>) -> ServedReference {
        self.reference
    }

    fn tai_offset_s(&mut self, unix_s: i64) -> i32 {
        let (when, before, after) = self.tai;
        if unix_s < when { before } else { after }
    }

    fn absolute_frequency_ppm(&self) -> f64 {
        0.0
    }

    fn era_s(&self) -> i64 {
        0
    }

    fn rng(&mut self) -> &mut dyn Rng {
        &mut self.rng
    }
}

fn at<D>(s: f64) -> Timestamp<D> {
    Timestamp::from_parts(1_262_304_000, 0) + Seconds(s)
}

fn reference(leap: Leap, stratum: u8, ref_id: u32, root_dispersion: f64) -> ServedReference {
    ServedReference {
        synchronised: leap != Leap::Unsynchronised,
        leap,
        stratum,
        ref_id,
        ref_time: Timestamp::ZERO,
        root_delay: Seconds::ZERO,
        root_dispersion: Seconds(root_dispersion),
    }
}

/// The clocks of some `refclock` lines, with the warnings about them.
fn clocks_of(config: &str) -> (Refclocks, Vec<String>) {
    let files = MemoryFiles::new().with("/c", config.as_bytes());
    let parsed = timewright_config::parse_file("/c", &files, ParseOptions::default());
    let specs = parsed.unwrap().config.refclocks;
    let mut setups: Vec<_> = (0u32..)
        .zip(&specs)
        .map(|(i, spec)| RefclockSetup::new(spec, i, SourceId(i), SYSTEM_PRECISION).unwrap())
        .collect();
    RefclockSetup::resolve_locks(&mut setups);
    let (clocks, events) = Refclocks::new(setups);
    (clocks, events.iter().map(ToString::to_string).collect())
}

fn sample(system_s: f64, reference_s: f64) -> DeviceReading {
    DeviceReading::Sample {
        system: at(system_s),
        reference: at(reference_s),
        leap: 0,
    }
}

/// Takes a reading at its time and returns whether it was stored.
fn read(clocks: &mut Refclocks, device: u32, reading: &DeviceReading, around: &mut Around) -> bool {
    let mut out = Vec::new();
    clocks.read(DeviceId(device), reading, around, &mut out);
    out.iter().any(|a| matches!(a, RefclockAction::Record(_)))
}

#[test]
fn golden_clocks_are_reproduced() {
    for case in Golden::read("refclock").cases() {
        let number = |key: &str| case.float(key);
        let lock = if case.flag("lock") { "lock A" } else { "" };
        let pps = if case.flag("pps") { "pps" } else { "" };
        let (mut clocks, warnings) = clocks_of(&format!(
            "refclock SHM 0 refid A offset {} precision 1e-6 delay 1e-9 poll 4\n\
             refclock SHM 1 refid B rate {} offset {} width {} precision {} maxlockage {} \
             poll {} {lock} {pps}\n",
            number("a_offset"),
            number("rate"),
            number("offset"),
            number("width"),
            number("precision"),
            number("maxlockage"),
            number("poll"),
        ));
        assert!(warnings.iter().all(|w| w.contains("maxlockage too small")));
        for event in case.children("events") {
            let mut around = Around {
                now: event.time("now"),
                correction: (
                    Seconds(event.float("corr")),
                    Seconds(event.float("corr_err")),
                ),
                ..Around::new()
            };
            if event.has("ref_leap") {
                around.reference = ServedReference {
                    root_delay: Seconds(event.float("ref_root_delay")),
                    ..reference(
                        Leap::from_bits(event.int("ref_leap")),
                        1,
                        0,
                        event.float("ref_root_dispersion"),
                    )
                };
            }
            let time = event.child("time").as_time();
            let full = |leap| DeviceReading::Sample {
                system: time,
                reference: event.child("ref").as_time(),
                leap,
            };
            let (device, reading) = match event.text("op").as_str() {
                "sample" => (0, full(event.int("leap"))),
                "sample_pps" => (1, full(0)),
                "pulse" => {
                    let second = Seconds(event.float("second"));
                    (1, DeviceReading::Pulse { time, second })
                }
                other => panic!("{other}"),
            };
            let accepted = read(&mut clocks, device, &reading, &mut around);
            assert_eq!(accepted, event.flag("acc"), "{event}");
            let clock = clocks.by_device(DeviceId(device)).unwrap();
            assert_eq!(
                clock.leap() as u8,
                event.int::<u8>("leap_status"),
                "{event}"
            );
            assert_eq!(clock.pending(), event.count("used"), "{event}");
            if accepted {
                let stored = clock.last_sample().unwrap();
                assert!((stored.time.ns() - event.time("st_time").ns()).abs() <= 3);
                assert_close(stored.offset.0, event.float("st_offset"), 1e-9, "offset");
                let dispersion = event.float("st_dispersion");
                assert_close(stored.peer_dispersion.0, dispersion, 0.0, "dispersion");
                assert_close(stored.root_dispersion.0, dispersion, 0.0, "dispersion");
            }
        }
    }
}

/// Stratum, leap and offset of a sample.
type Given = (u8, Leap, f64);

/// What the end of a poll gives: whether the clock was reached, and the sample.
fn end_poll(clocks: &mut Refclocks, device: u32, around: &Around) -> Option<(bool, Option<Given>)> {
    let mut out = Vec::new();
    clocks.end_poll(DeviceId(device), around, &mut out);
    let reached = out.iter().find_map(|action| match action {
        RefclockAction::Reachability(_, reached) => Some(*reached),
        _ => None,
    })?;
    let sample = out.iter().find_map(|action| match action {
        RefclockAction::Sample {
            stratum,
            leap,
            sample,
            ..
        } => Some((*stratum, *leap, sample.offset.0)),
        _ => None,
    });
    Some((reached, sample))
}

#[test]
fn samples_have_to_be_recent_and_possible() {
    for (now_s, reference_s, leap, want) in [
        (0.0, 0.5, 0, true),
        (32.0, 0.5, 2, true),
        (32.1, 0.5, 0, false),
        (-0.1, 0.5, 0, false),
        (0.0, 0.5, 3, false),
        (0.0, 0.5, -1, false),
        (0.0, 3e9, 0, true),
        (0.0, 5e9, 0, false),
        (0.0, -3e9, 0, false),
    ] {
        let (mut clocks, _) = clocks_of("refclock SHM 0\n");
        let mut around = Around {
            now: at(now_s),
            ..Around::new()
        };
        let reading = DeviceReading::Sample {
            system: at(0.0),
            reference: at(reference_s),
            leap,
        };
        let stored = read(&mut clocks, 0, &reading, &mut around);
        assert_eq!(stored, want, "{now_s} {reference_s} {leap}");
        assert!(
            !read(&mut clocks, 1, &reading, &mut around),
            "no such device"
        );
    }
}

#[test]
fn offsets_are_exact_and_corrected() {
    let (mut clocks, _) = clocks_of("refclock SHM 0 offset 1.25 delay 0.5 precision 1e-3\n");
    let mut around = Around {
        now: at(0.5),
        correction: (Seconds(0.25), Seconds(1e-4)),
        ..Around::new()
    };
    assert!(read(
        &mut clocks,
        0,
        &sample(0.0, 100_000.000_000_001),
        &mut around
    ));
    let clock = clocks.by_device(DeviceId(0)).unwrap();
    let stored = clock.last_sample().unwrap();
    assert_eq!(stored.time, at(0.25));
    assert!((stored.offset.0 - 100_001.000_000_001).abs() < 1e-10);
    assert_eq!(stored.root_delay, Seconds(0.5));
    assert!((stored.root_dispersion.0 - 1.1e-3).abs() < 1e-12);
}

/// The offset TAI - UTC is that of the UTC of the sample, and has to be known.
#[test]
fn tai_is_turned_into_utc() {
    let leap = at::<Raw>(0.0).sec();
    for (system_s, tai, want) in [
        (-10.0, (leap, 33, 34), Some(-33.0)),
        (33.5, (leap, 33, 34), Some(-33.0)),
        (34.5, (leap, 33, 34), Some(-34.0)),
        (-10.0, (leap, 0, 34), None),
    ] {
        let (mut clocks, _) = clocks_of("refclock SHM 0 tai\nleapseclist /l\n");
        let mut around = Around {
            now: at(system_s),
            tai,
            ..Around::new()
        };
        // The device shows the same number as our clock.
        let stored = read(&mut clocks, 0, &sample(system_s, system_s), &mut around);
        assert_eq!(stored, want.is_some());
        let offset = clocks.clocks[0].last_sample().map(|s| s.offset.0);
        assert_eq!(offset, want, "{system_s} {tai:?}");
    }
}

#[test]
fn a_poll_is_made_of_readings() {
    for (config, polled, readings) in [
        ("refclock SHM 0 poll 2 dpoll 0", true, 4),
        ("refclock SHM 0 poll 0 dpoll 3", true, 1),
        ("refclock PPS /p poll 1 dpoll -2", true, 8),
        ("refclock SHM 0 poll 32 dpoll -32", true, u64::MAX),
        ("refclock SOCK /s poll 3 dpoll 1", false, 1),
    ] {
        let (clocks, _) = clocks_of(config);
        assert_eq!(clocks.clocks[0].is_polled(), polled);
        assert_eq!(clocks.clocks[0].readings_per_poll(), readings, "{config}");
    }
    let (mut clocks, _) = clocks_of("refclock SHM 0 poll 1 stratum 3\n");
    let mut around = Around::new();
    assert_eq!(end_poll(&mut clocks, 0, &around), None);
    assert_eq!(end_poll(&mut clocks, 0, &around), Some((false, None)));
    assert!(read(&mut clocks, 0, &sample(0.0, 0.25), &mut around));
    assert!(
        !read(&mut clocks, 0, &sample(0.0, 0.25), &mut around),
        "not later"
    );
    assert_eq!(end_poll(&mut clocks, 0, &around), None);
    let end = end_poll(&mut clocks, 0, &around);
    assert_eq!(end, Some((true, Some((3, Leap::Normal, 0.25)))));
    // A passive device is not asked; every interval ends a poll.
    let (mut clocks, _) = clocks_of("refclock SOCK /s poll 1\n");
    assert_eq!(end_poll(&mut clocks, 0, &around), Some((false, None)));
}

/// The number of a sample in the log: of the reading, or the sample if the device sends by itself.
#[test]
fn samples_are_numbered_within_a_poll() {
    for (config, numbers) in [
        ("refclock SHM 0", [0, 0, 1]),
        ("refclock SOCK /s", [0, 1, 2]),
    ] {
        let (mut clocks, _) = clocks_of(config);
        let mut seen = Vec::new();
        for (i, (at_s, end)) in [(0.0, false), (0.1, true), (0.2, false)]
            .into_iter()
            .enumerate()
        {
            let mut around = Around {
                now: at(1.0),
                ..Around::new()
            };
            let mut out = Vec::new();
            clocks.read(DeviceId(0), &sample(at_s, at_s), &mut around, &mut out);
            if end && clocks.clocks[0].is_polled() {
                clocks.end_poll(DeviceId(0), &around, &mut out);
            }
            let line = out.iter().find_map(|a| match a {
                RefclockAction::Record(record) => Some(record.to_string()),
                _ => None,
            });
            let line = line.unwrap();
            let number: Vec<&str> = line.split_whitespace().collect();
            seen.push(number[3].parse::<u64>().unwrap());
            assert_eq!(seen[i], numbers[i], "{config}: {line}");
        }
    }
}

#[test]
fn pulses_without_lock_need_a_synchronised_clock() {
    for (leap, dispersion, width, second, want) in [
        (Leap::Normal, 0.1, "", 0.25, Some(-0.25)),
        (Leap::Insert, 0.1, "", 0.75, Some(0.25)),
        (Leap::Normal, 0.5, "", 0.25, None),
        (Leap::Unsynchronised, 0.1, "", 0.25, None),
        (Leap::Normal, 0.1, "width 0.4", 0.1, Some(-0.1)),
        (Leap::Normal, 0.1, "width 0.4", 0.25, None),
        (Leap::Normal, 0.3, "width 0.4", 0.1, None),
    ] {
        let (mut clocks, _) = clocks_of(&format!("refclock PPS /p {width}\n"));
        let mut around = Around {
            reference: reference(leap, 2, 1, dispersion),
            ..Around::new()
        };
        let reading = DeviceReading::Pulse {
            time: at(0.0),
            second: Seconds(second),
        };
        assert_eq!(read(&mut clocks, 0, &reading, &mut around), want.is_some());
        let offset = clocks.clocks[0].last_sample().map(|s| s.offset.0);
        assert_eq!(offset, want, "{leap:?} {dispersion} {width}");
        if want.is_some() {
            assert_eq!(clocks.clocks[0].leap(), leap);
        }
    }
    // What was gathered is dropped when the reference is lost.
    let (mut clocks, _) = clocks_of("refclock PPS /p\n");
    let mut around = Around {
        reference: reference(Leap::Normal, 2, 1, 0.1),
        ..Around::new()
    };
    assert!(read(
        &mut clocks,
        0,
        &DeviceReading::pulse(at(0.0)),
        &mut around
    ));
    around.reference = reference(Leap::Unsynchronised, 16, 0, 1.0);
    assert!(!read(
        &mut clocks,
        0,
        &DeviceReading::pulse(at(0.0)),
        &mut around
    ));
    assert_eq!(clocks.clocks[0].last_sample(), None);
}

#[test]
fn the_stratum_of_pulses_is_that_of_what_numbers_them() {
    const OWN: u32 = u32::from_be_bytes(*b"PPS0");
    const OTHER: u32 = u32::from_be_bytes(*b"PPS1");
    let active = |stratum| ServedReference {
        synchronised: false,
        ..reference(Leap::Normal, stratum, 0x7f7f_0101, 0.0)
    };
    for (config, ours, want) in [
        (
            "refclock PPS /p stratum 5",
            reference(Leap::Normal, 3, OWN, 0.0),
            2,
        ),
        (
            "refclock PPS /p stratum 5",
            reference(Leap::Normal, 3, 77, 0.0),
            0,
        ),
        ("refclock PPS /p", active(10), 9),
        (
            "refclock PPS /p\nrefclock PPS /q",
            reference(Leap::Normal, 3, OTHER, 0.0),
            2,
        ),
        (
            "refclock PPS /p\nrefclock PPS /q lock PPS0",
            reference(Leap::Normal, 3, OTHER, 0.0),
            0,
        ),
        (
            "refclock SHM 0 stratum 5",
            reference(Leap::Normal, 3, OWN, 0.0),
            5,
        ),
        (
            "refclock SHM 0 stratum 5 pps",
            reference(Leap::Normal, 3, 77, 0.0),
            0,
        ),
    ] {
        let (mut clocks, _) = clocks_of(config);
        let mut around = Around {
            reference: reference(Leap::Normal, 2, 1, 0.1),
            ..Around::new()
        };
        for device in 0..2 {
            let reading = match config.contains("SHM") {
                true => sample(0.0, 0.0),
                false => DeviceReading::pulse(at(0.0)),
            };
            read(&mut clocks, device, &reading, &mut around);
        }
        assert_eq!(clocks.stratum(0, &ours), want, "{config}");
    }
}

/// Pulses of a `local` clock number themselves, until there is a gap.
#[test]
fn a_local_clock_is_locked_to_itself() {
    let (mut clocks, _) = clocks_of("refclock PHC /p local\n");
    let hardware = |at_s: f64| {
        DeviceReading::Hardware(vec![HwReading {
            before: at(at_s),
            hardware: at(at_s * 1.001 + 0.4),
            after: at(at_s),
        }])
    };
    for i in 0..10u32 {
        let mut around = Around {
            now: at(f64::from(i)),
            ..Around::new()
        };
        assert!(read(&mut clocks, 0, &hardware(f64::from(i)), &mut around));
        let clock = clocks.by_device(DeviceId(0)).unwrap();
        let offset = clock.last_sample().unwrap().offset.0;
        assert!(
            (offset - 0.4 - f64::from(i) * 1e-3).abs() < 1e-8,
            "{offset}"
        );
        assert_eq!(clock.leap(), Leap::Unsynchronised);
    }
    let mut around = Around {
        now: at(12.0),
        ..Around::new()
    };
    let mut out = Vec::new();
    clocks.read(DeviceId(0), &hardware(12.0), &mut around, &mut out);
    let source = SourceId(0);
    let lost = RefclockAction::Log(RefclockEvent::LostLock);
    assert_eq!(out, [lost, RefclockAction::Reset(source)]);
    around.now = at(13.0);
    assert!(
        read(&mut clocks, 0, &hardware(13.0), &mut around),
        "begins anew"
    );
}

/// Pulses timed by the hardware clock are mapped, each once, when the map is known.
#[test]
fn external_edges_are_mapped() {
    let (mut clocks, _) = clocks_of("refclock PHC /p:extpps\n");
    let mut around = Around {
        reference: reference(Leap::Normal, 2, 1, 0.1),
        ..Around::new()
    };
    for i in 0..5u32 {
        let s = f64::from(i);
        around.now = at(s);
        let reading = HwReading {
            before: at(s),
            hardware: at(s + 0.25),
            after: at(s),
        };
        let edge = DeviceReading::Edge(at(s + 0.15));
        assert!(!read(
            &mut clocks,
            0,
            &DeviceReading::Hardware(vec![reading]),
            &mut around
        ));
        assert_eq!(read(&mut clocks, 0, &edge, &mut around), i >= 1, "{i}");
        assert!(!read(&mut clocks, 0, &edge, &mut around), "twice");
    }
    let offset = clocks.clocks[0].last_sample().unwrap().offset.0;
    assert!((offset - 0.1).abs() < 1e-8, "{offset}");
}

#[test]
fn locks_are_found_by_name() {
    for (config, lock, warning) in [
        (
            "refclock PPS /p lock NMEA\nrefclock SHM 0 refid NMEA",
            Some(1),
            None,
        ),
        ("refclock PPS /p lock SHM1\nrefclock SHM 0", Some(1), None),
        ("refclock PPS /p lock X", None, Some("Invalid lock refid X")),
        (
            "refclock PPS /p lock PPS0",
            Some(0),
            Some("Invalid lock refid PPS0"),
        ),
        ("refclock PPS /p lock X local", Some(0), None),
        (
            "refclock PPS /p lock NMEA maxlockage 3\nrefclock SHM 0 refid NMEA dpoll 2",
            Some(1),
            Some("PPS0 maxlockage too small for NMEA"),
        ),
        (
            "refclock PPS /p lock NMEA\nrefclock SOCK /s refid NMEA dpoll 2",
            Some(1),
            None,
        ),
    ] {
        let (clocks, warnings) = clocks_of(config);
        assert_eq!(clocks.clocks[0].setup().lock, lock, "{config}");
        let want: Vec<String> = warning.map(str::to_owned).into_iter().collect();
        assert_eq!(warnings, want, "{config}");
    }
}

#[test]
fn stored_times_follow_the_clock() {
    let (mut clocks, _) = clocks_of("refclock SHM 0\n");
    let mut around = Around::new();
    assert!(read(&mut clocks, 0, &sample(0.0, 1.0), &mut around));
    let change = |kind| ClockChange {
        seq: 1,
        raw: at(0.0),
        cooked: at(0.0),
        dfreq: 0.0,
        doffset: Seconds(-1.0),
        kind,
    };
    clocks.on_clock_change(&change(ChangeKind::Step));
    let stored = *clocks.clocks[0].last_sample().unwrap();
    assert_eq!((stored.time, stored.offset), (at(1.0), Seconds(0.0)));
    clocks.add_dispersion(Seconds(0.5));
    let more = clocks.clocks[0].last_sample().unwrap().root_dispersion;
    assert!((more - stored.root_dispersion - Seconds(0.5)).abs().0 < 1e-12);
    clocks.on_clock_change(&change(ChangeKind::UnknownStep));
    assert_eq!(clocks.clocks[0].last_sample(), None);
}

/// Clocks of all kinds, locked to each other in every way.
const ALL_KINDS: &str = "\
refclock SHM 0 refid NMEA offset 0.5 maxdispersion 0.1
refclock PPS /p lock NMEA rate 10 width 0.02
refclock PPS /q lock PPS2
refclock SOCK /s pps poll -3 filter 1
refclock PHC /h:extpps lock NMEA
refclock PHC /i local poll 2
refclock SHM 1 tai
";

/// Nanoseconds: mostly near the time of the other tests, or anywhere.
fn instants() -> impl Strategy<Value = i64> {
    let near = 1_262_304_000_000_000_000i64;
    prop_oneof![
        (-2_000_000_000..2_000_000_000i64).prop_map(move |ns| near + ns),
        (0..20i64).prop_map(move |tenth| near + tenth * 100_000_000),
        any::<i64>(),
    ]
}

fn readings() -> impl Strategy<Value = DeviceReading> {
    let hardware = (instants(), instants(), instants()).prop_map(|(a, b, c)| HwReading {
        before: Timestamp::from_ns(a),
        hardware: Timestamp::from_ns(b),
        after: Timestamp::from_ns(c),
    });
    prop_oneof![
        (instants(), instants(), -1..5i32).prop_map(|(system, reference, leap)| {
            DeviceReading::Sample {
                system: Timestamp::from_ns(system),
                reference: Timestamp::from_ns(reference),
                leap,
            }
        }),
        (instants(), prop_oneof![-1.0..1.0f64, any::<f64>()]).prop_map(|(time, second)| {
            DeviceReading::Pulse {
                time: Timestamp::from_ns(time),
                second: Seconds(second),
            }
        }),
        prop::collection::vec(hardware, 0..6).prop_map(DeviceReading::Hardware),
        instants().prop_map(|time| DeviceReading::Edge(Timestamp::from_ns(time))),
    ]
}

proptest! {
    /// Whatever devices say: samples are finite, near the present, and later than the last.
    #[test]
    fn nonsense_is_harmless(
        steps in prop::collection::vec((0..8u32, readings(), instants(), any::<bool>()), 1..60)
    ) {
        let (mut clocks, _) = clocks_of(ALL_KINDS);
        for (device, reading, now, end) in steps {
            let mut around = Around {
                now: Timestamp::from_ns(now),
                correction: (Seconds(1e-3), Seconds(1e-6)),
                reference: reference(Leap::Normal, 2, 1, 1e-3),
                tai: (1_262_304_000, 33, 34),
                ..Around::new()
            };
            let mut out = Vec::new();
            clocks.read(DeviceId(device), &reading, &mut around, &mut out);
            if end {
                clocks.end_poll(DeviceId(device), &around, &mut out);
            }
            for action in out {
                if let RefclockAction::Sample { sample, stratum, .. } = action {
                    prop_assert!(sample.offset.is_finite() && sample.offset.0.abs() < 5e9);
                    prop_assert!(sample.peer_dispersion.0 >= 0.0 && sample.peer_dispersion.is_finite());
                    prop_assert!(stratum < 16);
                }
            }
            for clock in clocks.iter() {
                prop_assert!(clock.last_sample().is_none_or(|s| s.offset.is_finite()));
            }
        }
    }
}
