//! Tests of the reference parameters that follow from a snapshot (`discipline.md` 8.6, 8.9).

use super::*;
use crate::server::test_rng::TestRng;

const START: Timestamp<Cooked> = Timestamp::from_ns(1_800_000_000_000_000_000);

fn synchronised() -> ReferenceState {
    ReferenceState::Synchronised {
        leap: Leap::Insert,
        stratum: 2,
        ref_id: 0xc000_0201,
        ref_time: START,
        root_delay: Seconds(0.02),
        root_dispersion: Seconds(0.001),
        dispersion_rate: FreqRatio(1e-5),
    }
}

fn local() -> LocalReference {
    LocalReference {
        stratum: 10,
        distance: Seconds(1.0),
        activate: Seconds(0.0),
        activated: false,
        wait_synced: Seconds(0.0),
        wait_unsynced: Seconds(0.0),
        ref_time: START - Seconds(1.5),
    }
}

fn snapshot(reference: ReferenceState, local: Option<LocalReference>) -> ServerSnapshot {
    ServerSnapshot {
        clock: CookLine::default(),
        reference,
        local,
        smoothing: None,
        precision_log2: -23,
        quantum: Seconds(1e-7),
        mono: MonoScale::default(),
        slews: SlewCount::default(),
    }
}

fn unsynchronised() -> ReferenceState {
    ReferenceState::Unsynchronised {
        since: MonoTime::ZERO,
    }
}

fn at(s: f64) -> (Timestamp<Cooked>, MonoTime) {
    (START + Seconds(s), MonoTime::ZERO + Seconds(s))
}

#[test]
fn root_dispersion_grows_from_the_last_update() {
    let snapshot = snapshot(synchronised(), None);
    for (s, want) in [(0.0, 0.001), (100.0, 0.002), (-100.0, 0.002)] {
        let (time, mono) = at(s);
        let got = snapshot.reference_at(time, mono);
        assert!((got.root_dispersion.0 - want).abs() < 1e-12, "{s}");
        assert!(got.synchronised);
        assert_eq!(
            (got.leap, got.stratum, got.ref_id, got.ref_time),
            (Leap::Insert, 2, 0xc000_0201, START)
        );
    }
}

#[test]
fn without_a_reference_time_the_dispersion_is_a_second() {
    let mut reference = synchronised();
    if let ReferenceState::Synchronised { ref_time, .. } = &mut reference {
        *ref_time = Timestamp::ZERO;
    }
    let (time, mono) = at(5.0);
    let got = snapshot(reference, None).reference_at(time, mono);
    assert_eq!(got.root_dispersion, Seconds(1.0));
}

#[test]
fn an_unsynchronised_clock_says_so() {
    let (time, mono) = at(5.0);
    let got = snapshot(unsynchronised(), None).reference_at(time, mono);
    let want = ServedReference {
        synchronised: false,
        leap: Leap::Unsynchronised,
        stratum: 16,
        ref_id: 0,
        ref_time: Timestamp::ZERO,
        root_delay: Seconds(1.0),
        root_dispersion: Seconds(1.0),
    };
    assert_eq!(got, want);
    let header = got.header();
    assert_eq!((header.stratum, header.root_delay.0), (0, 0x10000));
    assert!(header.reference.is_zero());
}

#[test]
fn the_local_reference_waits_its_turn() {
    let activate = |activate| LocalReference {
        activate: Seconds(activate),
        ..local()
    };
    let wait = |synced, unsynced| LocalReference {
        wait_synced: Seconds(synced),
        wait_unsynced: Seconds(unsynced),
        ..local()
    };
    let near = LocalReference {
        distance: Seconds(0.005),
        ..local()
    };
    let latched = LocalReference {
        activated: true,
        ..activate(1e-3)
    };
    // Root distance of the synchronised clock: 0.011 s + 1e-5 per second.
    for (name, reference, local, s, want) in [
        ("unsynchronised", unsynchronised(), local(), 5.0, 10),
        ("waitunsynced", unsynchronised(), wait(0.0, 6.0), 5.9, 16),
        ("waited", unsynchronised(), wait(0.0, 6.0), 6.0, 10),
        ("never near", unsynchronised(), activate(1e-3), 5.0, 16),
        ("was near", unsynchronised(), latched, 5.0, 10),
        ("close", synchronised(), local(), 5.0, 2),
        ("far", synchronised(), near, 5.0, 10),
        ("drifted off", synchronised(), local(), 98_901.0, 10),
        ("not yet", synchronised(), local(), 98_899.0, 2),
        (
            "waitsynced",
            synchronised(),
            LocalReference {
                distance: Seconds(0.005),
                ..wait(100.0, 0.0)
            },
            99.0,
            2,
        ),
        (
            "waitsynced over",
            synchronised(),
            LocalReference {
                distance: Seconds(0.005),
                ..wait(100.0, 0.0)
            },
            100.0,
            10,
        ),
        (
            "not activated",
            synchronised(),
            LocalReference {
                distance: Seconds(0.005),
                ..activate(1e-3)
            },
            5.0,
            2,
        ),
    ] {
        let (time, mono) = at(s);
        let got = snapshot(reference, Some(local)).reference_at(time, mono);
        assert_eq!(got.stratum, want, "{name}");
        assert_eq!(got.synchronised, want == 2, "{name}");
        if want == 10 {
            assert_eq!((got.leap, got.ref_id), (Leap::Normal, refid::LOCAL));
            assert_eq!(
                (got.root_delay, got.root_dispersion),
                (Seconds::ZERO, Seconds::ZERO)
            );
        }
    }
}

#[test]
fn activation_is_by_root_distance_while_synchronised() {
    for (activate, reference, want) in [
        (0.0, unsynchronised(), true),
        (1.0, unsynchronised(), false),
        (0.012, synchronised(), true),
        (0.010, synchronised(), false),
    ] {
        assert_eq!(
            reference.activates(Seconds(activate), START),
            want,
            "{activate}"
        );
    }
}

#[test]
fn the_local_reference_time_stays_between_one_and_64_seconds_old() {
    let local = local();
    for s in [-200.0, -1.0, 0.0, 62.4, 62.6, 500.0, 1e7] {
        let (time, _) = at(s);
        let age = (time - local.ref_time_at(time)).0;
        assert!((1.0..=64.0).contains(&age), "{s} {age}");
    }
    assert_eq!(local.ref_time_at(START + Seconds(62.0)), local.ref_time);
}

#[test]
fn smoothing_below_the_quantum_is_not_applied() {
    for (offset, quantum, want) in [
        (1e-3, 1e-6, Some(Seconds(1e-3))),
        (-1e-3, 1e-6, Some(Seconds(-1e-3))),
        (1e-7, 1e-6, None),
    ] {
        let mut snapshot = snapshot(synchronised(), None);
        snapshot.quantum = Seconds(quantum);
        assert_eq!(snapshot.smoothing_offset(START), None);
        snapshot.smoothing = Some(ServedSmoothing {
            plan: SmoothPlan {
                offset: Seconds(offset),
                start: START,
                ..SmoothPlan::default()
            },
            hides_leap: true,
        });
        assert_eq!(snapshot.smoothing_offset(START), want);
    }
}

fn change(kind: ChangeKind, doffset: f64) -> ClockChange {
    ClockChange {
        seq: 1,
        raw: Timestamp::ZERO,
        cooked: Timestamp::ZERO,
        dfreq: 0.0,
        doffset: Seconds(doffset),
        kind,
    }
}

#[test]
fn the_monotonic_scale_outlives_slews_only() {
    let mut rng = TestRng::new(11);
    let mut mono = MonoScale::new(&mut rng);
    let epoch = mono.epoch;
    for doffset in [0.5, -0.125] {
        mono.on_clock_change(&change(ChangeKind::Adjust, doffset), &mut rng);
    }
    assert_eq!(mono.epoch, epoch);
    assert_eq!(mono.offset, Seconds(0.375));
    for kind in [ChangeKind::Step, ChangeKind::UnknownStep] {
        let before = mono.epoch;
        mono.on_clock_change(&change(kind, 1.0), &mut rng);
        assert_ne!(mono.epoch, before);
        assert_eq!(mono.offset, Seconds::ZERO);
    }
}

#[test]
fn every_change_counts_and_unknown_steps_on_their_own() {
    let mut slews = SlewCount {
        epoch: u16::MAX,
        ..SlewCount::default()
    };
    slews.on_clock_change(&change(ChangeKind::Adjust, 0.5));
    assert_eq!((slews.epoch, slews.unknown_steps), (0, 0));
    assert_eq!(slews.last_offset, Seconds(0.5));
    slews.on_clock_change(&change(ChangeKind::UnknownStep, 9.0));
    assert_eq!((slews.epoch, slews.unknown_steps), (1, 1));
}
