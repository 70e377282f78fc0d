//! Rules of `discipline.md` 8 one by one.

use super::*;

/// Randomness that always gives the largest number.
struct Ones;

impl crate::rng::Rng for Ones {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.fill(0xff);
    }
}

fn good_update(rig: &Rig) -> ReferenceUpdate {
    ReferenceUpdate {
        stratum: 1,
        leap: Leap::Normal,
        combined: 1,
        ref_id: 0xC000_0201,
        address: Some(SERVER),
        ref_time: rig.local.cook(rig.bench.clock.raw).0,
        offset: Seconds::ZERO,
        offset_sd: Seconds(1e-5),
        frequency: FreqRatio(1e-6),
        frequency_sd: FreqRatio(1e-8),
        skew: FreqRatio(1e-7),
        root_delay: Seconds(0.01),
        root_dispersion: Seconds(0.001),
    }
}

fn apply(rig: &mut Rig, update: &ReferenceUpdate) -> Vec<Effect> {
    rig.reference
        .update(update, &mut rig.local, &mut rig.bench.cx());
    rig.bench.out.take()
}

/// 8.3 step 12, for privacy.
#[test]
fn the_reference_time_is_blurred_by_up_to_a_second() {
    let mut rig = Rig::started(ReferenceConfig::default());
    let update = good_update(&rig);
    apply(&mut rig, &update);
    assert_eq!(rig.reference.ref_time, update.ref_time);

    let mut cx = Cx {
        rng: &mut Ones,
        ..rig.bench.cx()
    };
    rig.reference.update(&update, &mut rig.local, &mut cx);
    let blurred = update.ref_time - rig.reference.ref_time;
    assert!((blurred.0 - 1.0).abs() < 1e-6, "{blurred:?}");
    // The root dispersion, which grows from there, does not shrink by it.
    let now = rig.local.cook(rig.bench.clock.raw).0;
    assert!(rig.reference.root_dispersion(now).0 > update.root_dispersion.0);
}

/// 8.3 step 2: the offset is taken to the moment of the update.
#[test]
fn an_old_estimate_is_extrapolated() {
    let mut rig = Rig::started(ReferenceConfig::default());
    let mut update = good_update(&rig);
    update.ref_time = update.ref_time - Seconds(500.0);
    update.offset = Seconds(2e-4);
    let effects = apply(&mut rig, &update);
    // 500 s at 1e-6 more.
    assert!((record(&effects).offset.0 - 7e-4).abs() < 1e-12);
}

/// 8.4: 4.8 compares the skew, not its square, and the limit itself is still allowed.
#[test]
fn a_skew_above_the_limit_leaves_the_frequency_alone() {
    for (skew_ppm, taken) in [(5.0, true), (5.001, false)] {
        let config = ReferenceConfig {
            max_update_skew: FreqRatio::from_ppm(5.0),
            ..Default::default()
        };
        let mut rig = Rig::started(config);
        let update = ReferenceUpdate {
            skew: FreqRatio::from_ppm(skew_ppm),
            ..good_update(&rig)
        };
        apply(&mut rig, &update);
        let ppm = rig.local.absolute_frequency_ppm();
        assert_eq!(ppm != 0.0, taken, "{skew_ppm}: {ppm}");
        let residual = rig.reference.residual_frequency;
        assert_eq!(residual.abs() > 9e-7, !taken, "{residual}");
        if !taken {
            // What we knew, that is nothing, and no surprise on top.
            assert!((rig.reference.skew - 1.0).abs() < 1e-12);
        }
    }
}

/// 8.5, 8.3 step 7, 8.14: equal is not above.
#[test]
fn limits_themselves_are_allowed() {
    let offset = 0.5;
    for (above, want) in [(0.0, 0), (1e-9, 1)] {
        let config = ReferenceConfig {
            make_step: MakeStep {
                threshold: Seconds(offset),
                limit: -1,
            },
            log_change: Seconds(offset),
            ..Default::default()
        };
        let mut rig = Rig::started(config);
        let effects = rig.update(offset + above);
        let wrong = texts(&effects).into_iter().filter(|t| t.contains("wrong"));
        assert_eq!(wrong.count(), want);
        assert_eq!(rig.bench.clock.steps.len(), want);

        let max_change = Some(MaxChange {
            offset: Seconds(offset),
            start: 0,
            ignore: -1,
        });
        let mut rig = Rig::started(ReferenceConfig {
            max_change,
            ..Default::default()
        });
        for _ in 0..3 {
            // A negative number of refusals never ends the daemon.
            let effects = rig.update(offset + above);
            let ignored = texts(&effects)
                .into_iter()
                .filter(|t| t.contains("(ignored)"));
            assert_eq!(ignored.count(), want);
            rig.bench.wait(10.0);
        }
        assert_eq!(rig.reference.mode(), Mode::Normal);
    }
}

/// 8.3 step 7: the threshold is for the error of the system clock, slew in progress included.
#[test]
fn a_step_takes_over_the_slew_in_progress() {
    let make_step = MakeStep {
        threshold: Seconds(1.0),
        limit: -1,
    };
    let mut rig = Rig::started(ReferenceConfig {
        make_step,
        ..Default::default()
    });
    rig.update(0.9);
    // The corrected clock is slow by what has hardly begun to be slewed: the system clock is right.
    rig.update(-0.9);
    assert!(rig.bench.clock.steps.is_empty());
    assert!(rig.local.correction(rig.bench.clock.raw).0.abs() < Seconds(1e-6));
    rig.update(0.9);
    // Fast by as much again: the step takes over the slew.
    rig.update(0.9);
    let [step] = rig.bench.clock.steps[..] else {
        panic!("{:?}", rig.bench.clock.steps);
    };
    assert!((step - 1.8).abs() < 1e-6, "{step}");
    assert!(rig.local.correction(rig.bench.clock.raw).0.abs() < Seconds(1e-6));
}

/// 8.7, 8.9: the wait for the local reference begins when synchronisation is lost, once.
#[test]
fn waitunsynced_counts_from_the_loss() {
    let config = ReferenceConfig {
        local: Some(LocalReferenceConfig {
            wait_unsynced: Seconds(100.0),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut rig = Rig::started(config);
    let lose = |rig: &mut Rig| {
        rig.reference
            .set_unsynchronised(&mut rig.local, &mut rig.bench.cx());
    };
    rig.bench.wait(99.0);
    assert_eq!(rig.data().stratum, 16);
    // Losing what we never had does not start the wait anew.
    lose(&mut rig);
    rig.bench.wait(1.0);
    assert_eq!(rig.data().stratum, 10);

    rig.update(0.0);
    rig.bench.wait(1000.0);
    lose(&mut rig);
    rig.bench.wait(60.0);
    lose(&mut rig);
    rig.bench.wait(39.0);
    assert_eq!(rig.data().stratum, 16);
    rig.bench.wait(1.0);
    assert_eq!(rig.data().stratum, 10);
}

/// 8.8: the slew of an adjustment takes as long as the larger of two rates asks for.
#[test]
fn adjustments_are_slewed_over_the_time_since_the_last() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.0);
    rig.bench.wait(64.0);
    // Its own rate: 3 / 2 * 1 ms * 64 s, so 96 s for 1 ms.
    let adjust = |rig: &mut Rig, offset: f64| {
        let done = rig.reference.adjust(
            Seconds(offset),
            FreqRatio::ZERO,
            &mut rig.local,
            &mut rig.bench.cx(),
        );
        assert!(done.is_ok());
        rig.bench.out.take();
        (rig.local.next_deadline().unwrap() - rig.bench.mono).0
    };
    let first = adjust(&mut rig, 1e-3);
    assert!((first - 96.0).abs() < 0.1, "{first}");

    // The share of the update: 3 / 2 * 10 us * 64 s over two adjustments.
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.0);
    rig.bench.wait(64.0);
    rig.update(0.0);
    rig.bench.wait(0.1);
    adjust(&mut rig, 1e-9);
    let second = adjust(&mut rig, 1e-5);
    assert!((second - 48.0).abs() < 0.1, "{second}");
    // The next update begins a new share.
    rig.bench.wait(63.9);
    rig.update(0.0);
    rig.bench.wait(0.1);
    let outstanding = 1e-6 - rig.local.correction(rig.bench.clock.raw).0.0;
    let third = adjust(&mut rig, 1e-6);
    let want = 1.5 * 1e-5 * 64.0 / outstanding.abs();
    assert!((third - want).abs() < 0.02 * want, "{third} {want}");
}

/// 8.15: the bound before an update includes what the last one found wrong.
#[test]
fn the_error_bound_includes_the_last_error() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.5);
    rig.bench.wait(1.0);
    let found = |rig: &Rig| rig.local.correction(rig.bench.clock.raw).0;
    let bound = |rig: &Rig, error: Seconds| {
        let now = rig.local.cook(rig.bench.clock.raw).0;
        rig.reference.root_delay.0 / 2.0 + rig.reference.root_dispersion(now).0 + error.abs().0
    };
    let mut last = Seconds(0.5);
    for offset in [0.1, -0.2, 0.0] {
        let want = bound(&rig, last);
        last = Seconds(offset) - found(&rig);
        let line = record(&rig.update(offset));
        assert!((line.max_error.0 - want).abs() < 1e-9, "{line:?} {want}");
        rig.bench.wait(1.0);
    }
}

/// 8.2: only the kernel's part is taken over by steps where there is no kernel to do it.
#[test]
fn a_clock_that_cannot_leap_is_stepped_in_system_mode_only() {
    for (mode, want) in [
        (LeapMode::System, LeapMode::Step),
        (LeapMode::Slew, LeapMode::Slew),
        (LeapMode::Ignore, LeapMode::Ignore),
    ] {
        assert_eq!(leap_rig(mode, false).reference.leap_mode(), want);
        assert_eq!(leap_rig(mode, true).reference.leap_mode(), mode);
    }
}

/// 8.10: what changes within 5 s of a leap second does not touch the announcement.
#[test]
fn an_announcement_is_not_withdrawn_in_the_last_seconds() {
    for (wait, want) in [(590.0, 0), (596.0, 1)] {
        let mut rig = leap_rig(LeapMode::System, true);
        rig.update(0.0);
        rig.bench.wait(wait);
        rig.reference
            .set_unsynchronised(&mut rig.local, &mut rig.bench.cx());
        let kernel = rig.bench.clock.leaps.last().copied();
        assert_eq!(kernel.map(|(leap, _)| leap), Some(want), "{wait}");
        // To others nothing is announced any more.
        assert_eq!(rig.reference.leap(), Leap::Unsynchronised);
    }
}

/// 8.10: an announcement by the sources between two updates.
#[test]
fn the_sources_can_announce_and_withdraw_a_leap_second() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.bench.clock.raw = Timestamp::from_parts(BEFORE_LEAP, 0);
    rig.update(0.0);
    for (leap, want) in [(Leap::Insert, 1), (Leap::Delete, -1), (Leap::Normal, 0)] {
        rig.reference
            .announce_leap(leap, &mut rig.local, &mut rig.bench.cx());
        assert_eq!(rig.reference.leap(), leap);
        assert_eq!(rig.bench.clock.leaps.last(), Some(&(want, 0)));
        assert_eq!(rig.reference.next_deadline().is_some(), want != 0);
    }
}

/// 8.6: the kernel's errors grow with the time since the reference time.
#[test]
fn the_status_for_the_kernel_has_both_errors() {
    let mut rig = Rig::started(ReferenceConfig::default());
    let mut update = good_update(&rig);
    // What we claim is about the estimate, which is 1000 s old.
    update.ref_time = update.ref_time - Seconds(1000.0);
    update.frequency = FreqRatio::ZERO;
    apply(&mut rig, &update);
    let (synchronised, est, max) = rig.bench.clock.sync.unwrap();
    assert!(synchronised);
    assert!((est - (1e-5 + 1000.0 * 1e-8)).abs() < 1e-12, "{est}");
    let skew = rig.reference.skew;
    let want = 0.005 + 0.001 + 1000.0 * (skew + 1e-6);
    assert!((max - want).abs() < 1e-9 * want, "{max} {want}");
}
