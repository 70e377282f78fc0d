use super::*;
use crate::discipline::jump::Cause;
use crate::discipline::testing::{Bench, Zeros};
use crate::discipline::{Effects, LocalClockConfig};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use timewright_config::MaxChange;

mod golden;
mod rules;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

struct Rig {
    bench: Bench,
    local: LocalClock,
    reference: Reference,
}

impl Rig {
    fn new(config: ReferenceConfig) -> Self {
        Self::with(config, LeapDatabase::default(), true)
    }

    fn with(config: ReferenceConfig, db: LeapDatabase, control: bool) -> Self {
        let clock = LocalClockConfig {
            precision: Seconds(1e-7),
            control,
            ..LocalClockConfig::default()
        };
        let (mut bench, local) = Bench::with(0.0, clock);
        bench.out.take();
        let reference = Reference::new(config, db, &local, bench.now());
        Self {
            bench,
            local,
            reference,
        }
    }

    fn started(config: ReferenceConfig) -> Self {
        let mut rig = Self::new(config);
        rig.reference
            .start(None, &mut rig.local, &mut rig.bench.cx());
        rig.bench.out.take();
        rig
    }

    /// An update from a good source with the given offset, positive: we are fast.
    fn update(&mut self, offset: f64) -> Vec<Effect> {
        self.update_as(offset, Leap::Normal)
    }

    fn update_as(&mut self, offset: f64, leap: Leap) -> Vec<Effect> {
        let update = ReferenceUpdate {
            stratum: 1,
            leap,
            combined: 2,
            ref_id: 0xC000_0201,
            address: Some(SERVER),
            ref_time: self.local.cook(self.bench.clock.raw).0,
            offset: Seconds(offset),
            offset_sd: Seconds(1e-5),
            frequency: FreqRatio(1e-6),
            frequency_sd: FreqRatio(1e-8),
            skew: FreqRatio(1e-7),
            root_delay: Seconds(0.01),
            root_dispersion: Seconds(0.001),
        };
        self.reference
            .update(&update, &mut self.local, &mut self.bench.cx());
        self.bench.out.take()
    }

    fn deadline(&mut self) -> Vec<Effect> {
        self.local.handle_deadline(&mut self.bench.cx());
        self.reference
            .handle_deadline(&mut self.local, &mut self.bench.cx());
        self.bench.out.take()
    }

    /// What is served now.
    fn data(&mut self) -> ServedReference {
        let at = self.local.cook(self.bench.clock.raw).0;
        data(&mut self.reference, at, self.bench.mono)
    }

    fn report(&mut self) -> TrackingReport {
        let correction = self.local.correction(self.bench.clock.raw).0;
        let served = self.data();
        self.reference.report(&served, correction, &self.local)
    }
}

fn data(reference: &mut Reference, at: Timestamp<Cooked>, now: MonoTime) -> ServedReference {
    let (state, local) = reference.served(at, &mut Zeros);
    state.at(local.as_ref(), at, now)
}

fn texts(effects: &[Effect]) -> Vec<&str> {
    let texts = effects.iter().filter_map(|effect| match effect {
        Effect::Log(event) => Some(event.text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn drift_files(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|e| matches!(e, Effect::WriteDriftFile(_)))
        .count()
}

fn record(effects: &[Effect]) -> TrackingRecord {
    let found = effects.iter().find_map(|e| match e {
        Effect::Tracking(record) => Some(*record),
        _ => None,
    });
    found.expect("a tracking record")
}

#[test]
fn the_start_writes_an_unsynchronised_line() {
    let mut rig = Rig::new(ReferenceConfig::default());
    rig.reference
        .start(None, &mut rig.local, &mut rig.bench.cx());
    let effects = rig.bench.out.take();
    assert_eq!(
        record(&effects).to_string(),
        "2010-01-01 00:00:00 0.0.0.0          0      0.000 1000000.000  0.000e+00 ?  0  \
         0.000e+00  0.000e+00  1.000e+00  1.000e+00  1.500e+00"
    );
    assert_eq!(rig.bench.clock.sync, Some((false, 0.0, 0.0)));
    assert_eq!(rig.data().stratum, 16);
}

#[test]
fn drift_file_at_start_and_end() {
    let drift = DriftConfig {
        path: "/drift".into(),
        interval: Seconds(3600.0),
    };
    let config = ReferenceConfig {
        drift: Some(drift),
        ..Default::default()
    };
    for (text, wanted, ppm) in [
        (
            Some("12.5 0.25\n"),
            "Frequency 12.500 +/- 0.250 ppm read from /drift",
            12.5,
        ),
        (
            Some("nothing"),
            "Could not read valid frequency and skew from driftfile /drift",
            0.0,
        ),
    ] {
        let mut rig = Rig::new(config.clone());
        rig.reference
            .start(text, &mut rig.local, &mut rig.bench.cx());
        let effects = rig.bench.out.take();
        assert_eq!(texts(&effects), [wanted]);
        assert!((rig.local.absolute_frequency_ppm() - ppm).abs() < 1e-9);
        rig.reference.finalise(&mut rig.local, &mut rig.bench.cx());
        let effects = rig.bench.out.take();
        let Some(Effect::WriteDriftFile(text)) = effects.last() else {
            panic!("{effects:?}")
        };
        assert!((Drift::parse(text).unwrap().frequency_ppm - ppm).abs() < 1e-9);
    }
}

#[test]
fn the_clocks_own_frequency_is_taken_over() {
    let (mut bench, mut local) = Bench::start(-7.25);
    let mut reference = Reference::new(
        ReferenceConfig::default(),
        LeapDatabase::default(),
        &local,
        bench.now(),
    );
    reference.start(None, &mut local, &mut bench.cx());
    assert_eq!(bench.messages(), ["Initial frequency -7.250 ppm"]);
}

#[test]
fn an_update_synchronises() {
    let mut rig = Rig::started(ReferenceConfig::default());
    let effects = rig.update(0.001);
    let data = rig.data();
    assert!(data.synchronised);
    assert_eq!(
        (data.stratum, data.leap, data.ref_id),
        (2, Leap::Normal, 0xC000_0201)
    );
    assert!(data.root_dispersion.0 >= 0.001);
    let line = record(&effects);
    assert_eq!((line.stratum, line.combined), (2, 2));
    assert_eq!(line.name, ReferenceName::Address(SERVER));
    let (synchronised, est, max) = rig.bench.clock.sync.unwrap();
    // The slew of 1 ms is part of both errors.
    assert!(synchronised && (est - 1e-3).abs() < 1e-9 && max > 1e-3 + 0.006);
    let report = rig.report();
    assert_eq!((report.stratum, report.address), (2, Some(SERVER)));
    assert!((report.current_correction.0 + 0.001).abs() < 1e-9);
}

#[test]
fn large_offsets_are_stepped_within_the_limit() {
    let make_step = MakeStep {
        threshold: Seconds(1.0),
        limit: 2,
    };
    let config = ReferenceConfig {
        make_step,
        ..Default::default()
    };
    let mut rig = Rig::started(config);
    let effects = rig.update(10.013_055);
    assert_eq!(
        texts(&effects),
        [
            "System clock wrong by -10.013055 seconds",
            "System clock was stepped by -10.013055 seconds"
        ]
    );
    assert_eq!(rig.bench.clock.steps.len(), 1);
    rig.bench.wait(64.0);
    rig.update(0.5);
    rig.bench.wait(64.0);
    // The limit counts updates, not steps.
    assert_eq!(
        texts(&rig.update(5.0)),
        ["System clock wrong by -5.000000 seconds"]
    );
    assert_eq!(rig.bench.clock.steps.len(), 1);
}

#[test]
fn a_step_that_fails_becomes_a_slew() {
    let make_step = MakeStep {
        threshold: Seconds(1.0),
        limit: -1,
    };
    let mut rig = Rig::started(ReferenceConfig {
        make_step,
        ..Default::default()
    });
    rig.bench.clock.refuses_steps = true;
    let effects = rig.update(10.0);
    assert!(texts(&effects).contains(&"Could not step system clock"));
    assert!((rig.local.correction(rig.bench.clock.raw).0.0 + 10.0).abs() < 1e-6);
}

#[test]
fn the_reference_time_moves_with_our_own_step() {
    let make_step = MakeStep {
        threshold: Seconds(1.0),
        limit: -1,
    };
    let mut rig = Rig::started(ReferenceConfig {
        make_step,
        ..Default::default()
    });
    let effects = rig.update(100.0);
    let before = rig.reference.ref_time;
    assert!((rig.local.cook(rig.bench.clock.raw).0 - before).0.abs() < 1e-6);
    // Telling the reference of its own changes again does nothing.
    for effect in effects {
        if let Effect::Changed(change) = effect {
            rig.reference
                .on_clock_change(&change, &mut rig.local, &mut rig.bench.cx());
        }
    }
    assert_eq!(rig.reference.ref_time, before);
}

#[test]
fn maxchange_ends_the_daemon_after_too_many() {
    let max_change = Some(MaxChange {
        offset: Seconds(1.0),
        start: 1,
        ignore: 1,
    });
    let mut rig = Rig::started(ReferenceConfig {
        max_change,
        ..Default::default()
    });
    assert!(
        texts(&rig.update(50.0)).len() == 1,
        "the first update is not checked"
    );
    let interval = rig.reference.last_update;
    let ignored = rig.update(3.0);
    assert_eq!(
        texts(&ignored),
        ["Adjustment of -3.000 seconds exceeds the allowed maximum of 1.000 seconds (ignored) "]
    );
    assert_eq!(ignored.len(), 1);
    assert_eq!(rig.reference.last_update, interval);
    let last = rig.update(3.0);
    assert!(texts(&last)[0].ends_with("(exiting) "));
    assert_eq!(
        last[1],
        Effect::EndMode {
            mode: Mode::Normal,
            ok: false
        }
    );
    assert_eq!(rig.reference.mode(), Mode::Ignore);
    assert!(rig.update(0.0).is_empty());
}

#[test]
fn large_changes_are_told_by_mail() {
    let mail = Some(MailConfig {
        user: "root".into(),
        threshold: Seconds(0.5),
    });
    let mut rig = Rig::started(ReferenceConfig {
        mail,
        ..Default::default()
    });
    let sent = |effects: &[Effect]| {
        effects
            .iter()
            .any(|e| matches!(e, Effect::Mail(m) if m.adjustment == Seconds(-0.75)))
    };
    assert!(sent(&rig.update(0.75)));
    assert!(!sent(&rig.update(0.25)));
}

#[test]
fn the_drift_file_is_written_by_the_hour() {
    let drift = Some(DriftConfig {
        path: "/drift".into(),
        interval: Seconds(3600.0),
    });
    let mut rig = Rig::started(ReferenceConfig {
        drift,
        ..Default::default()
    });
    let mut written = Vec::new();
    for _ in 0..8 {
        written.push(drift_files(&rig.update(0.0)));
        rig.bench.wait(1200.0);
    }
    assert_eq!(written, [0, 0, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn losing_the_sources() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.001);
    rig.reference
        .set_unsynchronised(&mut rig.local, &mut rig.bench.cx());
    let effects = rig.bench.out.take();
    let line = record(&effects);
    assert_eq!(
        (line.stratum, line.leap, line.combined),
        (0, Leap::Unsynchronised, 0)
    );
    assert_eq!(line.name.to_string(), "0.0.0.0");
    assert!((line.remaining_correction.0 + 0.001).abs() < 1e-9);
    assert_eq!((rig.data().stratum, rig.data().synchronised), (16, false));
    let report = rig.report();
    assert_eq!(
        (report.stratum, report.address, report.skew_ppm),
        (0, None, 0.0)
    );
}

#[test]
fn an_external_step_unsynchronises_and_forgets_the_interval() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.0);
    rig.local.external_step(Seconds(100.0), &mut rig.bench.cx());
    for effect in rig.bench.out.take() {
        if let Effect::Changed(change) = effect {
            rig.reference
                .on_clock_change(&change, &mut rig.local, &mut rig.bench.cx());
        }
    }
    assert!(!rig.reference.is_synchronised());
    rig.bench.wait(10.0);
    rig.update(0.0);
    assert_eq!(rig.reference.last_interval, Seconds::ZERO);
}

fn suspend(slept: f64, error: f64) -> Jump {
    Jump {
        cause: Cause::Suspend(Seconds(slept)),
        offset: Seconds::ZERO,
        gained: Seconds(slept),
        error: Some(Seconds(error)),
    }
}

#[test]
fn a_short_suspend_makes_the_bound_grow() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.01);
    let before = rig.data();
    // The clock went on for three seconds in which nothing ran.
    rig.bench.clock.raw += Seconds(3.0);
    let jump = suspend(3.0, 2.0015);
    let error = Seconds(2.0015);
    let Rig {
        bench,
        local,
        reference,
    } = &mut rig;
    reference.survive_jump(&jump, error, local, &mut bench.cx());
    let effects = rig.bench.out.take();
    let after = rig.data();
    assert!(after.synchronised);
    let grown = after.root_dispersion - before.root_dispersion;
    assert!((2.0015..2.002).contains(&grown.0), "{grown:?}");
    // The kernel is told, everybody else forgets, and being told of the change again changes
    // nothing.
    let (synchronised, _, max_error) = rig.bench.clock.sync.unwrap();
    assert!(synchronised && max_error > 2.0);
    let changes: Vec<ClockChange> = effects
        .iter()
        .filter_map(|e| match e {
            Effect::Changed(change) => Some(*change),
            _ => None,
        })
        .collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].kind, ChangeKind::UnknownStep);
    let Rig {
        bench,
        local,
        reference,
    } = &mut rig;
    reference.on_clock_change(&changes[0], local, &mut bench.cx());
    assert_eq!(rig.data(), after);
    // The next update is as good as any.
    rig.bench.wait(1.0);
    rig.update(0.0);
    let renewed = rig.data();
    assert!(renewed.root_dispersion.0 < 0.01, "{renewed:?}");
}

#[test]
fn suspends_that_add_up_end_the_synchronisation() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.0);
    for i in 1..=8 {
        rig.bench.clock.raw += Seconds(1.0);
        let Rig {
            bench,
            local,
            reference,
        } = &mut rig;
        reference.survive_jump(&suspend(1.0, 2.0), Seconds(2.0), local, &mut bench.cx());
        assert_eq!(rig.data().synchronised, i < 8, "{i}");
    }
    let (synchronised, _, _) = rig.bench.clock.sync.unwrap();
    assert!(!synchronised);
}

#[test]
fn manual_input_stays_unsynchronised_with_full_gain() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update_as(0.5, Leap::Unsynchronised);
    assert!(!rig.reference.is_synchronised());
    assert_eq!(rig.reference.stratum, 2);
    assert!((rig.local.absolute_frequency_ppm() - 1.0).abs() < 1e-6);
    assert_eq!(rig.data().stratum, 16);
}

#[test]
fn special_modes() {
    let slew = Mode::InitStepSlew {
        threshold: Seconds(1.0),
    };
    for (mode, offset, text, steps, ok) in [
        (
            slew,
            Some(0.5),
            "System's initial offset : 0.500000 seconds fast of true (slew)",
            0,
            true,
        ),
        (
            slew,
            Some(-1.0),
            "System's initial offset : 1.000000 seconds slow of true (step)",
            1,
            true,
        ),
        (slew, None, "No suitable source for initstepslew", 0, false),
        (
            Mode::UpdateOnce,
            Some(0.25),
            "System clock wrong by -0.250000 seconds (step)",
            1,
            true,
        ),
        (
            Mode::UpdateOnce,
            None,
            "No suitable source for synchronisation",
            0,
            false,
        ),
        (
            Mode::PrintOnce,
            Some(0.25),
            "System clock wrong by -0.250000 seconds (ignored)",
            0,
            true,
        ),
        (
            Mode::PrintOnce,
            None,
            "No suitable source for synchronisation",
            0,
            false,
        ),
    ] {
        let mut rig = Rig::started(ReferenceConfig::default());
        rig.reference.set_mode(mode);
        assert_eq!(rig.reference.orphan_stratum(), 16);
        let effects = match offset {
            Some(offset) => rig.update(offset),
            None => {
                rig.reference
                    .set_unsynchronised(&mut rig.local, &mut rig.bench.cx());
                rig.bench.out.take()
            }
        };
        assert_eq!(texts(&effects)[0], text);
        assert_eq!(effects.last(), Some(&Effect::EndMode { mode, ok }));
        assert_eq!(rig.bench.clock.steps.len(), steps, "{text}");
        assert_eq!(rig.reference.mode(), Mode::Ignore);
        assert!(!rig.reference.is_synchronised());
        let correction = rig.local.correction(rig.bench.clock.raw).0.0;
        let slewed = if mode == slew && steps == 0 {
            offset.unwrap_or(0.0)
        } else {
            0.0
        };
        assert!((correction + slewed).abs() < 1e-9, "{text}");
    }
}

#[test]
fn a_failing_step_of_update_once_is_no_failure() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.bench.clock.refuses_steps = true;
    rig.reference.set_mode(Mode::UpdateOnce);
    let effects = rig.update(0.25);
    assert_eq!(
        effects.last(),
        Some(&Effect::EndMode {
            mode: Mode::UpdateOnce,
            ok: true
        })
    );
}

#[test]
fn local_adjustments_are_quiet_and_share_the_slew() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update(0.0);
    rig.bench.wait(16.0);
    rig.reference
        .adjust(
            Seconds(0.001),
            FreqRatio::ZERO,
            &mut rig.local,
            &mut rig.bench.cx(),
        )
        .unwrap();
    let effects = rig.bench.out.take();
    assert!(
        !effects.iter().any(|e| matches!(e, Effect::Changed(_))),
        "{effects:?}"
    );
    assert!((rig.local.correction(rig.bench.clock.raw).0.0 + 0.001).abs() < 1e-7);
}

#[test]
fn commands_change_limits() {
    let mut rig = Rig::started(ReferenceConfig::default());
    let mut cx = rig.bench.cx();
    rig.reference.set_max_update_skew(5.0, &mut cx);
    let make_step = MakeStep {
        threshold: Seconds(0.1),
        limit: 3,
    };
    rig.reference.set_make_step(make_step, &mut cx);
    rig.reference
        .enable_local(LocalReferenceConfig::default(), &mut cx);
    assert_eq!(rig.data().stratum, 10);
    rig.reference.disable_local(&mut rig.bench.cx());
    assert_eq!(
        rig.bench.messages(),
        [
            "New maxupdateskew 5.000000 ppm",
            "New makestep 0.100000 3",
            "Enabled local reference mode",
            "Disabled local reference mode"
        ]
    );
    assert_eq!(rig.data().stratum, 16);
}

/// 2008-12-31 23:50:00 UTC, ten minutes before a leap second.
const BEFORE_LEAP: i64 = 1_230_767_400;

fn leap_rig(mode: LeapMode, control: bool) -> Rig {
    let zone = LeapFile {
        name: "right/UTC".into(),
        content: Some(include_bytes!("../../tests/data/discipline/right-utc.tzif").to_vec()),
    };
    let db = LeapDatabase::new(None, Some(zone), &mut Effects::new());
    let config = ReferenceConfig {
        leap_mode: mode,
        ..Default::default()
    };
    let mut rig = Rig::with(config, db, control);
    rig.bench.clock.raw = Timestamp::from_parts(BEFORE_LEAP, 0);
    rig.reference
        .start(None, &mut rig.local, &mut rig.bench.cx());
    rig.bench.out.take();
    rig
}

#[test]
fn the_kernel_inserts_a_leap_second() {
    let mut rig = leap_rig(LeapMode::System, true);
    rig.update(0.0);
    assert_eq!(rig.reference.leap(), Leap::Insert);
    assert_eq!(rig.bench.clock.leaps, [(1, 33)]);
    let due = rig.reference.next_deadline().unwrap();
    assert!(((due - rig.bench.mono).0 - 599.5).abs() < 1e-6);

    rig.bench.wait(599.5);
    assert!(texts(&rig.deadline()).is_empty());
    assert_eq!(rig.data().leap, Leap::Unsynchronised);
    assert!(
        rig.reference
            .is_leap_close(None, &rig.local, rig.bench.now())
    );
    // The kernel repeats a second, so 2 s of raw time are 3 s.
    rig.bench.clock.raw += Seconds(-1.0);
    rig.bench.wait(2.0);
    rig.deadline();
    assert_eq!(rig.data().leap, Leap::Unsynchronised);
    rig.bench.wait(1.0);
    rig.deadline();
    assert_eq!(rig.data().leap, Leap::Normal);
    assert_eq!(rig.bench.clock.leaps, [(1, 33), (0, 34)]);
    rig.bench.wait(10.0);
    assert!(
        !rig.reference
            .is_leap_close(None, &rig.local, rig.bench.now())
    );
    assert_eq!(rig.reference.next_deadline(), None);
}

#[test]
fn we_correct_a_leap_second() {
    for (mode, control, texts_wanted, correction, steps) in [
        (
            LeapMode::Slew,
            true,
            &["Adjusting system clock for leap second"][..],
            -1.0,
            0,
        ),
        (
            LeapMode::Step,
            true,
            &["System clock was stepped for leap second"][..],
            0.0,
            1,
        ),
        (
            LeapMode::System,
            false,
            &[
                "Could not step system clock",
                "System clock was stepped for leap second",
            ][..],
            0.0,
            0,
        ),
        (
            LeapMode::Ignore,
            true,
            &["Ignoring leap second"][..],
            0.0,
            0,
        ),
    ] {
        let mut rig = leap_rig(mode, control);
        rig.update(0.0);
        rig.bench.wait(600.0);
        rig.local.handle_deadline(&mut rig.bench.cx());
        rig.reference
            .handle_deadline(&mut rig.local, &mut rig.bench.cx());
        let effects = rig.bench.out.take();
        assert_eq!(texts(&effects), texts_wanted, "{mode:?}");
        let remaining = rig.local.correction(rig.bench.clock.raw).0.0;
        assert!(
            (remaining - correction).abs() < 0.01,
            "{mode:?} {remaining}"
        );
        assert_eq!(rig.bench.clock.steps.len(), steps, "{mode:?}");
        assert!(rig.bench.clock.leaps.is_empty());
        rig.bench.wait(2.1);
        rig.deadline();
        assert_eq!(rig.reference.leap(), Leap::Normal, "{mode:?}");
    }
}

#[test]
fn leaps_on_other_days_are_not_believed() {
    let mut rig = Rig::started(ReferenceConfig::default());
    rig.update_as(0.0, Leap::Insert);
    assert_eq!(rig.reference.leap(), Leap::Normal);
    assert_eq!(rig.reference.next_deadline(), None);
    // Between updates only a synchronised clock listens.
    rig.bench.clock.raw = Timestamp::from_parts(BEFORE_LEAP, 0);
    rig.reference
        .announce_leap(Leap::Delete, &mut rig.local, &mut rig.bench.cx());
    assert_eq!(rig.reference.leap(), Leap::Delete);
    rig.reference
        .set_unsynchronised(&mut rig.local, &mut rig.bench.cx());
    rig.reference
        .announce_leap(Leap::Insert, &mut rig.local, &mut rig.bench.cx());
    assert_eq!(rig.reference.leap(), Leap::Unsynchronised);
}

#[test]
fn a_step_sets_the_leap_timer_again() {
    let mut rig = leap_rig(LeapMode::Slew, true);
    rig.update(0.0);
    rig.local.step(Seconds(100.0), &mut rig.bench.cx()).unwrap();
    for effect in rig.bench.out.take() {
        if let Effect::Changed(change) = effect {
            rig.reference
                .on_clock_change(&change, &mut rig.local, &mut rig.bench.cx());
        }
    }
    let due = rig.reference.next_deadline().unwrap();
    assert!(((due - rig.bench.mono).0 - 700.0).abs() < 1e-6);
}

#[test]
fn fallback_drifts_unsynchronise() {
    let config = ReferenceConfig {
        fallback_drift: (6, 6),
        ..Default::default()
    };
    let mut rig = Rig::started(config);
    for _ in 0..6 {
        rig.update(0.0);
        rig.bench.wait(32.0);
    }
    let due = rig.reference.next_deadline().unwrap();
    rig.bench.wait((due - rig.bench.mono).0);
    let effects = rig.deadline();
    assert!(!rig.reference.is_synchronised());
    assert_eq!(record(&effects).stratum, 0);
    assert!(effects.iter().any(|e| matches!(e, Effect::Changed(_))));
}

proptest! {
    #[test]
    fn root_dispersion_of_the_data_is_that_of_the_reference(
        offset in -1.0..1.0f64, ahead in -1e5..1e5f64
    ) {
        let mut rig = Rig::started(ReferenceConfig::default());
        rig.update(offset);
        let at = rig.local.cook(rig.bench.clock.raw).0 + Seconds(ahead);
        let data = data(&mut rig.reference, at, rig.bench.mono);
        let want = rig.reference.root_dispersion(at).0;
        prop_assert!((data.root_dispersion.0 - want).abs() < 1e-9);
    }

    #[test]
    fn updates_never_leave_the_slew_limits(
        updates in proptest::collection::vec((-1e3..1e3f64, 0.1..5000.0f64), 1..20)
    ) {
        let mut rig = Rig::started(ReferenceConfig::default());
        for (offset, wait) in updates {
            rig.update(offset);
            prop_assert!(rig.bench.clock.frequency_ppm.abs() <= 100_000.0);
            prop_assert!(rig.reference.skew().0 > 0.0);
            rig.bench.wait(wait);
            rig.deadline();
        }
    }
}
