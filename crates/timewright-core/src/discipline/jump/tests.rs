use super::*;
use proptest::prelude::*;

const NOON: i64 = 1_600_000_000 / 86_400 * 86_400 + 43_200;

fn now(mono: f64, raw: f64) -> Now {
    Now {
        mono: MonoTime::ZERO + Seconds(mono),
        raw: Timestamp::from_parts(NOON, 0) + Seconds(raw),
    }
}

fn wait(until: Option<f64>, boot: Option<f64>) -> Wait {
    Wait {
        until: until.map(|at| MonoTime::ZERO + Seconds(at)),
        boot: boot.map(|at| MonoTime::ZERO + Seconds(at)),
    }
}

/// A detector that has looked at 0 of all clocks.
fn detector(has_boot: bool) -> JumpDetector {
    let mut detector = JumpDetector::new(now(0.0, 0.0));
    let first = detector.check(now(0.0, 0.0), wait(None, has_boot.then_some(0.0)));
    assert_eq!(first, None);
    detector
}

/// What is found at these readings, with the step and the error.
#[track_caller]
fn check(at: Now, wait: Wait, want: Option<(Cause, f64, Option<f64>)>) {
    let found = detector(wait.boot.is_some()).check(at, wait);
    match (found, want) {
        (None, None) => {}
        (Some(jump), Some((cause, offset, error))) => {
            match (jump.cause, cause) {
                (Cause::Step, Cause::Step) => {}
                (Cause::Suspend(got), Cause::Suspend(want))
                | (Cause::Pause(got), Cause::Pause(want)) => {
                    assert!((got - want).0.abs() < 1e-6, "{jump:?}");
                }
                _ => panic!("{jump:?}, want {cause:?}"),
            }
            assert!((jump.offset.0 - offset).abs() < 1e-6, "{jump:?}");
            assert_eq!(jump.error.is_some(), error.is_some(), "{jump:?}");
            if let (Some(got), Some(want)) = (jump.error, error) {
                assert!((got.0 - want).abs() < 1e-6, "{jump:?}, want {want}");
            }
        }
        (found, want) => panic!("{found:?}, want {want:?}"),
    }
}

#[test]
fn steps_against_the_monotonic_clock() {
    // The reference implementation's threshold, in whole seconds (`discipline.md` 1.4).
    for (raw, want) in [
        (64.0, None),
        (74.5, None),
        (75.5, Some(-11.5)),
        (53.5, None),
        (52.5, Some(11.5)),
        (-1000.0, Some(1064.0)),
    ] {
        let want = want.map(|offset| (Cause::Step, offset, None));
        check(now(64.0, raw), wait(None, None), want);
    }
}

#[test]
fn small_steps_need_the_boot_time_clock() {
    for (raw, want) in [
        (64.009, None),
        (63.991, None),
        (64.011, Some((-0.011, Some(0.011)))),
        (63.0, Some((1.0, Some(1.0)))),
        (74.5, Some((-10.5, Some(10.5)))),
        (75.5, Some((-11.5, None))),
        (52.5, Some((11.5, None))),
    ] {
        let want = want.map(|(offset, error)| (Cause::Step, offset, error));
        check(now(64.0, raw), wait(None, Some(64.0)), want);
    }
}

#[test]
fn suspends_are_exact() {
    let slept = |s| Cause::Suspend(Seconds(s));
    for (boot, raw, want) in [
        (64.0005, 64.0005, None),
        (64.002, 64.002, Some((slept(0.002), 0.0, Some(2.000_001)))),
        (67.0, 67.0, Some((slept(3.0), 0.0, Some(2.0015)))),
        // Somebody set the clock in the meantime.
        (67.0, 67.5, Some((slept(3.0), -0.5, Some(2.5015)))),
        (74.9, 74.9, Some((slept(10.9), 0.0, Some(2.005_45)))),
        (75.1, 75.1, Some((slept(11.1), 0.0, None))),
        (3664.0, 3664.0, Some((slept(3600.0), 0.0, None))),
        (3664.0, 3604.0, Some((Cause::Step, 60.0, None))),
        // Boot time never falls behind; whatever that was is no suspend.
        (60.0, 64.0, None),
    ] {
        check(now(64.0, raw), wait(None, Some(boot)), want);
    }
    // What moved without running is the suspend and the step.
    let jump = detector(true)
        .check(now(64.0, 67.5), wait(None, Some(67.0)))
        .unwrap();
    assert!((jump.gained.0 - 3.5).abs() < 1e-9, "{jump:?}");
    // Without that clock it is a step, if long enough.
    check(now(64.0, 67.0), wait(None, None), None);
    check(
        now(64.0, 3664.0),
        wait(None, None),
        Some((Cause::Step, -3600.0, None)),
    );
}

#[test]
fn oversleeping_with_all_clocks() {
    for boot in [None, Some(75.0)] {
        let late = |s| Some((Cause::Pause(Seconds(s)), 0.0, None));
        check(now(75.0, 75.0), wait(Some(60.0), boot), late(15.0));
        check(now(75.0, 75.0), wait(Some(64.0), boot), late(11.0));
        check(now(75.0, 75.0), wait(Some(64.5), boot), None);
        check(now(75.0, 75.0), wait(Some(80.0), boot), None);
        check(now(75.0, 75.0), wait(None, boot), None);
        // What was overdue already counts from the last look.
        check(now(75.0, 75.0), wait(Some(-5.0), boot), late(75.0));
        check(now(9.0, 9.0), wait(Some(-5.0), boot.map(|_| 9.0)), None);
    }
    // A long pause in which somebody set the clock a little is no less a pause.
    check(
        now(75.0, 75.5),
        wait(Some(60.0), Some(75.0)),
        Some((Cause::Pause(Seconds(15.0)), -0.5, None)),
    );
    // So is one after a short suspend.
    check(
        now(75.0, 76.0),
        wait(Some(60.0), Some(76.0)),
        Some((Cause::Suspend(Seconds(1.0)), 0.0, None)),
    );
}

#[test]
fn leap_seconds_are_no_steps() {
    let midnight = 43_200.0;
    for (from, to, step, found) in [
        (midnight - 1.0, midnight + 1.0, -1.0, false),
        (midnight - 1.0, midnight + 1.0, 1.0, false),
        (midnight - 500.0, midnight + 500.0, -1.0, false),
        (midnight + 1.0, midnight + 3.0, 1.0, false),
        (midnight - 1.0, midnight + 1.0, -1.02, true),
        (midnight - 1.0, midnight + 1.0, -2.0, true),
        (midnight + 10.0, midnight + 20.0, -1.0, true),
        (midnight - 20.0, midnight - 10.0, 1.0, true),
    ] {
        let mut detector = detector(true);
        detector.check(now(from, from), wait(None, Some(from)));
        let jump = detector.check(now(to, to + step), wait(None, Some(to)));
        assert_eq!(jump.is_some(), found, "{from} {to} {step}");
    }
}

#[test]
fn our_own_steps_are_no_jumps() {
    for (step, kind, found) in [
        (3600.0, ChangeKind::Step, false),
        (-3600.0, ChangeKind::Step, false),
        (0.5, ChangeKind::Step, false),
        (3600.0, ChangeKind::Adjust, true),
    ] {
        let start = now(0.0, 0.0);
        let mut detector = detector(true);
        detector.on_clock_change(&ClockChange {
            seq: 1,
            raw: start.raw,
            cooked: start.raw.cook(Seconds::ZERO),
            dfreq: 0.0,
            doffset: Seconds(step),
            kind,
        });
        let jump = detector.check(now(16.0, 16.0 - step), wait(Some(16.0), Some(16.0)));
        assert_eq!(jump.is_some(), found, "{step} {kind:?}");
    }
}

#[test]
fn texts() {
    let text = |cause, offset| {
        let jump = Jump {
            cause,
            offset: Seconds(offset),
            gained: Seconds::ZERO,
            error: None,
        };
        jump.event().to_string()
    };
    for (cause, offset, want) in [
        (Cause::Step, 20.0, "Backward time jump detected!"),
        (Cause::Step, -20.0, "Forward time jump detected!"),
        (
            Cause::Suspend(Seconds(1.5)),
            0.0,
            "Suspend of 1.500 seconds detected",
        ),
        (
            Cause::Pause(Seconds(12.0)),
            0.0,
            "Pause of 12.000 seconds detected",
        ),
    ] {
        assert_eq!(text(cause, offset), want);
    }
}

proptest! {
    /// Slewing moves all clocks alike, and machines under load wake up seconds late.
    #[test]
    fn slews_and_late_wake_ups_are_no_jumps(
        asked in 0.0..10_000.0f64, late in 0.0..10.9f64, between in 0.0..0.0009f64, raw in 0.0..0.009f64
    ) {
        let at = asked + late;
        let jump = detector(true)
            .check(now(at, at + raw), wait(Some(asked), Some(at + between)));
        prop_assert_eq!(jump, None);
    }

    #[test]
    fn never_panics(
        raw in any::<[i64; 2]>(), mono in any::<[i64; 2]>(), boot in any::<[Option<i64>; 2]>(),
        until in any::<Option<i64>>()
    ) {
        let at = |i: usize| Now {
            mono: MonoTime::from_ns(mono[i]),
            raw: Timestamp::from_ns(raw[i]),
        };
        let wait = |i: usize| Wait {
            until: until.map(MonoTime::from_ns),
            boot: boot[i].map(MonoTime::from_ns),
        };
        let mut detector = JumpDetector::new(at(0));
        let _ = detector.check(at(0), wait(0));
        if let Some(jump) = detector.check(at(1), wait(1)) {
            prop_assert!(jump.error.is_none_or(|e| e.0 >= 0.0 && e.0 < 100.0));
        }
    }
}
