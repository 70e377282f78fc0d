#![expect(clippy::float_cmp, reason = "values set exactly come back exactly")]

use super::super::testing::{Bench, kinds};
use super::*;
use crate::discipline::jump::Cause;
use ChangeKind::{Adjust, Step, UnknownStep};
use proptest::prelude::*;

fn quick() -> LocalClockConfig {
    LocalClockConfig {
        precision: Seconds(1e-7),
        ..LocalClockConfig::default()
    }
}

#[test]
fn one_second_is_slewed_at_the_largest_rate() {
    // discipline.md 17: 83333.333 ppm, slew frequency 0.0909090909, 11 s.
    let (mut bench, mut local) = Bench::start(0.0);
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    assert!((bench.clock.frequency_ppm - 83_333.333_333).abs() < 1e-3);
    let duration = local.next_deadline().unwrap() - bench.mono;
    assert!((duration.0 - 11.0).abs() < 1e-9, "{duration:?}");
    let (correction, _) = local.correction(bench.clock.raw);
    assert!((correction.0 + 1.0).abs() < 1e-12);

    bench.wait(11.0);
    local.handle_deadline(&mut bench.cx());
    let (correction, _) = local.correction(bench.clock.raw);
    assert!(correction.0.abs() < 1e-9, "{correction:?}");
    assert!(bench.clock.frequency_ppm.abs() < 1e-3);
}

#[test]
fn waiting_for_the_first_update_does_not_stretch_its_slew() {
    // discipline.md 9.1: the time since the start is not taken for a late timer.
    for wait in [0.0, 50.0, 99.0, 101.0, 1000.0] {
        let (mut bench, mut local) = Bench::start(0.0);
        bench.wait(wait);
        local
            .accumulate_offset(Seconds(0.01), 0.0, &mut bench.cx())
            .unwrap();
        let duration = local.next_deadline().unwrap() - bench.mono;
        assert!((duration.0 - 1.0).abs() < 1e-9, "{wait}: {duration:?}");
    }
}

#[test]
fn late_timers_stretch_later_slews() {
    // Five times the lateness, which is forgotten by a tenth with every plan.
    let (mut bench, mut local) = Bench::start(0.0);
    let mut slew = |bench: &mut Bench| {
        local
            .accumulate_offset(Seconds(0.01), 0.0, &mut bench.cx())
            .unwrap();
        let duration = local.next_deadline().unwrap() - bench.mono;
        bench.out.take();
        duration.0
    };
    assert!((slew(&mut bench) - 1.0).abs() < 1e-9);
    // 2 s later than planned, so 0.01 s were overshot by 0.02 s, and 0.01 s are to go the other
    // way: the register is -0.01.
    bench.wait(3.0);
    let second = slew(&mut bench);
    assert!((second - 10.0).abs() < 0.2, "{second}");
    let third = slew(&mut bench);
    assert!((third - 9.0).abs() < 0.2, "{third}");
}

#[test]
fn the_rate_is_an_area_and_the_slew_is_limited() {
    // Offset, rate, wanted duration: rate over offset, at least 1 s and at most 83333 ppm.
    for (offset, rate, want) in [
        (1e-3, 0.0096, 9.6),
        (1e-3, 0.0, 1.0),
        (1e-3, 1e-4, 1.0),
        (-1e-3, 0.0096, 9.6),
        (100.0, 1.0, 1100.0),
        (1e-6, 1.0, 1e4),
    ] {
        let (mut bench, mut local) = Bench::start(0.0);
        local
            .accumulate_offset(Seconds(offset), rate, &mut bench.cx())
            .unwrap();
        let duration = (local.next_deadline().unwrap() - bench.mono).0;
        assert!(
            (duration / want - 1.0).abs() < 2e-3,
            "{offset} {rate}: {duration}"
        );
    }
}

#[test]
fn a_frequency_change_in_a_slew_is_dispersed() {
    // The kernel takes up to 10 us to follow: 83333 ppm of slew for that long.
    let (mut bench, mut local) = Bench::start(0.0);
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    let dispersed = bench
        .out
        .take()
        .into_iter()
        .find_map(|effect| match effect {
            Effect::Dispersed(by) => Some(by.0),
            _ => None,
        });
    let want = (1.0 / 11.0) * 1e-5 * 1.1;
    assert!((dispersed.unwrap() - want).abs() < 1e-12, "{dispersed:?}");
    let near = bench.clock.raw + Seconds(5e-6);
    assert!((local.correction(near).1.0 - want).abs() < 1e-12);
    let later = bench.clock.raw + Seconds(2e-5);
    assert_eq!(local.correction(later).1, Seconds::ZERO);
}

#[test]
fn a_deadline_not_yet_due_does_nothing() {
    let (mut bench, mut local) = Bench::start(0.0);
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    let before = (local.next_deadline(), local.cook_line());
    bench.wait(5.0);
    local.handle_deadline(&mut bench.cx());
    assert_eq!((local.next_deadline(), local.cook_line()), before);
}

#[test]
fn changes_tell_the_cooked_time_before_the_change() {
    let (mut bench, mut local) = Bench::start(0.0);
    local
        .accumulate_frequency_and_offset(1e-5, Seconds(0.5), 0.0, &mut bench.cx())
        .unwrap();
    let changes = bench.changes();
    assert_eq!(kinds(&changes), [Adjust]);
    let change = changes[0];
    assert_eq!(change.cooked.ns(), change.raw.ns());
    assert!((change.dfreq - 1e-5).abs() < 1e-15);
    assert_eq!(change.doffset, Seconds(0.5));
    // A clock that is fast has to be corrected by something negative.
    assert!((local.cook(bench.clock.raw).0.ns() - change.cooked.ns() + 500_000_000).abs() < 3);
}

#[test]
fn a_step_resets_smoothing_first() {
    let (mut bench, mut local) = Bench::start(0.0);
    let before = bench.clock.raw;
    local.step(Seconds(2.5), &mut bench.cx()).unwrap();
    assert_eq!((before - bench.clock.raw).0, 2.5);
    let effects = bench.out.take();
    assert_eq!(effects[0], Effect::Stepped(Seconds(2.5)));
    assert!(matches!(
        effects[1],
        Effect::Smoothing(SmoothingCommand::Reset { .. })
    ));
    assert!(matches!(
        effects[2],
        Effect::Changed(ClockChange { kind: Step, .. })
    ));
}

#[test]
fn a_refused_step_changes_nothing() {
    let (mut bench, mut local) = Bench::start(0.0);
    bench.clock.refuses_steps = true;
    assert_eq!(local.step(Seconds(2.5), &mut bench.cx()), Err(NotChanged));
    assert_eq!(bench.messages(), ["Could not step system clock"]);
}

#[test]
fn makestep_replaces_the_slew() {
    let (mut bench, mut local) = Bench::start(0.0);
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    bench.out.take();
    let raw = bench.clock.raw;
    local.make_step(&mut bench.cx()).unwrap();
    assert!(((raw - bench.clock.raw).0 - 1.0).abs() < 1e-9);
    assert!(local.correction(bench.clock.raw).0.0.abs() < 1e-9);
    assert_eq!(
        bench.messages(),
        ["System clock was stepped by -1.000000 seconds"]
    );

    bench.clock.refuses_steps = true;
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    assert_eq!(local.make_step(&mut bench.cx()), Err(NotChanged));
    assert!((local.correction(bench.clock.raw).0.0 + 1.0).abs() < 1e-9);
}

#[test]
fn offsets_out_of_the_era_are_refused() {
    let (mut bench, mut local) = Bench::start(0.0);
    for offset in [5e9, 1.3e9, f64::NAN, -5e9] {
        assert!(
            local
                .accumulate_offset(Seconds(offset), 0.0, &mut bench.cx())
                .is_err()
        );
        assert!(local.step(Seconds(offset), &mut bench.cx()).is_err());
    }
    assert_eq!(
        bench.messages()[0],
        "Adjustment of -5000000000.0 seconds is invalid"
    );
    assert_eq!(local.next_deadline(), None);
}

#[test]
fn frequencies_are_limited_to_maxdrift() {
    let (mut bench, mut local) = Bench::with(
        0.0,
        LocalClockConfig {
            max_drift_ppm: 500.0,
            ..quick()
        },
    );
    local.set_absolute_frequency(-900.0, &mut bench.cx());
    assert_eq!(local.absolute_frequency_ppm(), -500.0);
    assert_eq!(
        bench.messages(),
        ["Frequency -900.0 ppm exceeds allowed maximum"]
    );
    local.accumulate_frequency(0.1, &mut bench.cx());
    assert_eq!(local.absolute_frequency_ppm(), 500.0);
}

#[test]
fn an_external_step_cancels_the_slew_and_is_announced() {
    let (mut bench, mut local) = Bench::start(0.0);
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    bench.out.take();
    bench.clock.raw += Seconds(-100.0);
    local.external_step(Seconds(100.0), &mut bench.cx());
    assert!(local.correction(bench.clock.raw).0.0.abs() < 1e-6);
    let effects = bench.out.take();
    assert!(effects.contains(&Effect::Dispersed(Seconds(100.0))));
    let changes: Vec<_> = effects
        .iter()
        .filter_map(|e| {
            if let Effect::Changed(c) = e {
                Some(c.kind)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(changes, [Adjust, UnknownStep]);
}

#[test]
fn a_slew_goes_on_where_a_suspend_interrupted_it() {
    for control in [true, false] {
        let (mut bench, mut local) = Bench::with(0.0, LocalClockConfig { control, ..quick() });
        local
            .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
            .unwrap();
        bench.wait(3.0);
        let left = local.correction(bench.clock.raw).0;
        let due = local.next_deadline();
        bench.out.take();
        // The clock went on for a minute, of which it was set back five seconds.
        bench.clock.raw += Seconds(55.0);
        let jump = Jump {
            cause: Cause::Suspend(Seconds(60.0)),
            offset: Seconds(5.0),
            gained: Seconds(55.0),
            error: None,
        };
        let seq = local.follow_jump(&jump, &mut bench.cx());
        let now_left = local.correction(bench.clock.raw).0;
        assert!((now_left - left).0.abs() < 1e-9, "{now_left:?}, {left:?}");
        assert_eq!(local.next_deadline(), due);
        let changes = bench.changes();
        assert_eq!(kinds(&changes), [UnknownStep]);
        assert_eq!((changes[0].seq, changes[0].doffset), (seq, Seconds(5.0)));
    }
}

#[test]
fn a_leap_second_of_ours_is_announced_as_a_step() {
    let (mut bench, mut local) = Bench::start(0.0);
    local.notify_leap(1, &mut bench.cx());
    let effects = bench.out.take();
    assert!(matches!(
        effects[0],
        Effect::Smoothing(SmoothingCommand::Leap { leap: 1, .. })
    ));
    let Effect::Changed(change) = effects[1] else {
        panic!("{effects:?}")
    };
    assert_eq!((change.kind, change.doffset), (Step, Seconds(-1.0)));
}

#[test]
fn without_control_the_clock_is_never_touched() {
    let (mut bench, mut local) = Bench::with(
        7.0,
        LocalClockConfig {
            control: false,
            ..quick()
        },
    );
    assert_eq!(local.absolute_frequency_ppm(), 0.0);
    local
        .accumulate_frequency_and_offset(1e-5, Seconds(0.5), 1.0, &mut bench.cx())
        .unwrap();
    assert!(local.step(Seconds(1.0), &mut bench.cx()).is_err());
    local.set_sync_status(true, Seconds(0.1), Seconds(0.1), &mut bench.cx());
    local.set_leap(1, 37, &mut bench.cx());
    local.finalise(&mut bench.cx());
    assert_eq!(bench.clock.frequency_ppm, 7.0);
    assert!(bench.clock.sync.is_none() && bench.clock.leaps.is_empty());
    assert!(!local.can_leap(&bench.clock));
    assert_eq!(local.next_deadline(), None);
    // The model goes on: -0.5 s and 10 ppm.
    bench.wait(1000.0);
    let (correction, error) = local.correction(bench.clock.raw);
    assert!((correction.0 + 0.5 + 0.01).abs() < 1e-9, "{correction:?}");
    assert_eq!(error, Seconds::ZERO);
}

#[test]
fn finalise_leaves_the_base_frequency() {
    let (mut bench, mut local) = Bench::start(12.0);
    local
        .accumulate_offset(Seconds(1.0), 0.0, &mut bench.cx())
        .unwrap();
    local.finalise(&mut bench.cx());
    assert_eq!(bench.clock.frequency_ppm, 12.0);
    assert_eq!(local.next_deadline(), None);
}

proptest! {
    /// Whatever the operations, cooked time is continuous where nothing was known to change:
    /// a slew only removes what was accumulated.
    #[test]
    fn slewing_removes_exactly_what_was_accumulated(
        offsets in proptest::collection::vec((-0.5..0.5f64, 0.0..1e-2f64, 0.1..50.0f64), 1..8),
        base in -400.0..400.0f64,
    ) {
        let (mut bench, mut local) = Bench::start(base);
        for (offset, rate, wait) in offsets {
            let before = local.cook(bench.clock.raw).0;
            local.accumulate_offset(Seconds(offset), rate, &mut bench.cx()).unwrap();
            let after = local.cook(bench.clock.raw).0;
            prop_assert!(((after - before).0 + offset).abs() < 3e-9);
            prop_assert!(bench.clock.frequency_ppm.abs() <= 100_000.0);
            bench.wait(wait);
            let before = local.cook(bench.clock.raw).0;
            local.handle_deadline(&mut bench.cx());
            let after = local.cook(bench.clock.raw).0;
            prop_assert!((after - before).0.abs() < 3e-9);
        }
    }
}
