use super::*;
use crate::discipline::ChangeKind;
use crate::stats::golden::{Golden, Recorded, assert_close};

const SYSTEM_PRECISION: Seconds = Seconds(1e-8);

fn readings(step: &Golden) -> Vec<HwReading> {
    let triplets = step.children("readings");
    let reading = |triplet: &Golden| HwReading {
        before: triplet.element(0).as_time(),
        hardware: triplet.element(1).as_time(),
        after: triplet.element(2).as_time(),
    };
    triplets.iter().map(reading).collect()
}

#[track_caller]
fn assert_near<D: Copy + std::fmt::Debug>(got: Timestamp<D>, want: Timestamp<D>, what: &str) {
    assert!(
        (got.ns() - want.ns()).abs() <= 3,
        "{what}: {got:?} {want:?}"
    );
}

#[test]
fn golden_clocks_are_reproduced() {
    for case in Golden::read("hwclock").cases() {
        let cook_frequency = case.float("cook_freq");
        let cook = |raw: Timestamp<Raw>| {
            raw.cook((raw - Timestamp::from_parts(1_000_000_000, 0)) * cook_frequency)
        };
        let mut clock = HwClock::new(HwClockConfig {
            min_samples: case.count("min"),
            max_samples: case.count("max"),
            separation: Seconds(case.float("separation")),
            precision: Seconds(case.float("precision")),
            system_precision: SYSTEM_PRECISION,
        });
        let mut rng = Recorded::new(&case);
        for step in case.children("steps") {
            let found = clock.process(&readings(&step), cook, &mut rng);
            assert_eq!(found.is_some(), step.flag("ok"));
            if let Some(found) = found {
                assert_near(found.hardware, step.child("hw").as_time(), "hw");
                assert_near(found.local, step.child("local").as_time(), "local");
                assert_close(found.error.0, step.float("err"), 1e-12, "err");
                assert_eq!(found.quality as u8, step.int::<u8>("quality"));
                if step.has("acc_err") {
                    // The recorded times themselves: rounding must not add up.
                    let (hardware, local) = (step.child("hw"), step.child("local"));
                    let error = Seconds(step.float("acc_err"));
                    clock.accumulate(
                        hardware.as_time(),
                        cook(local.as_time()),
                        error,
                        case.float("afreq"),
                    );
                    assert_eq!(clock.len(), step.count("n"));
                    assert_eq!(clock.is_valid(), step.flag("valid"));
                    if let Some(line) = clock.line {
                        assert_close(line.offset, step.float("offset"), 1e-9, "offset");
                        let frequency = step.float("frequency");
                        assert_close(line.frequency, frequency, 2.0 * TOLERANCE, "frequency");
                    }
                }
            }
            if step.has("slew") {
                let slew = step.child("slew");
                clock.on_clock_change(&ClockChange {
                    seq: 1,
                    raw: Timestamp::ZERO,
                    cooked: slew.time("when"),
                    dfreq: slew.float("dfreq"),
                    doffset: Seconds(slew.float("doffset")),
                    kind: ChangeKind::Adjust,
                });
            }
            let cooked = clock.cook(step.child("cook_in").as_time());
            assert_eq!(cooked.is_some(), step.flag("cook_ok"));
            if let Some((time, error)) = cooked {
                assert_near(time, step.time("cook_out"), "cooked");
                assert_close(error.0, step.float("cook_err"), 0.0, "error");
            }
        }
        assert!(rng.is_used_up(), "all draws used");
    }
}

fn reading(at_s: f64, hardware_s: f64, delay_s: f64) -> HwReading {
    let at = Timestamp::from_parts(1_000_000_000, 0) + Seconds(at_s);
    HwReading {
        before: at,
        hardware: Timestamp::from_parts(2_000_000_000, 0) + Seconds(hardware_s),
        after: at + Seconds(delay_s),
    }
}

struct Zeros;
impl Rng for Zeros {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

fn clock(max_samples: usize) -> HwClock {
    HwClock::new(HwClockConfig {
        min_samples: 0,
        max_samples,
        separation: Seconds(1.0),
        precision: Seconds(1e-7),
        system_precision: SYSTEM_PRECISION,
    })
}

#[test]
fn bad_readings_give_nothing() {
    let mut clock = clock(4);
    let cook = |raw: Timestamp<Raw>| raw.cook(Seconds::ZERO);
    assert_eq!(clock.process(&[], cook, &mut Zeros), None);
    let backwards = [reading(0.0, 0.0, 1e-6), reading(1e-3, 1e-3, -1e-6)];
    assert_eq!(clock.process(&backwards, cook, &mut Zeros), None);
    assert_eq!(clock.cook(Timestamp::ZERO), None);
    let far = reading(1e300, -1e300, f64::NAN);
    let _ = clock.process(&[far, far], cook, &mut Zeros);
}

/// The map converts a steady clock exactly, and its frequency follows ours.
#[test]
fn a_steady_clock_is_mapped() {
    for (max_samples, samples) in [(2, 2), (5, 5), (1000, 64)] {
        let mut clock = clock(max_samples);
        let local = |s: f64| Timestamp::<Cooked>::from_parts(1_000_000_000, 0) + Seconds(s);
        let hardware = |s: f64| Timestamp::from_parts(7, 0) + Seconds(s * 1.01);
        for i in 0..100u32 {
            let s = f64::from(i);
            assert_eq!(clock.is_valid(), i >= 2);
            assert!(
                clock.wants_sample(local(s)) && (i == 0 || !clock.wants_sample(local(s - 0.9)))
            );
            clock.accumulate(hardware(s), local(s), Seconds(1e-6), 0.0);
        }
        // Rounding errors of a perfect line come in runs, for which old samples are dropped.
        assert!((2..=samples).contains(&clock.len()), "{}", clock.len());
        let (mapped, error) = clock.cook(hardware(99.5)).unwrap();
        assert!((mapped - local(99.5)).0.abs() < 1e-8);
        assert_eq!(error, Seconds(1e-6));
        // Slowed down by 1e-3 and moved back by 0.5 s at the newest sample.
        clock.on_clock_change(&ClockChange {
            seq: 1,
            raw: Timestamp::ZERO,
            cooked: local(99.0),
            dfreq: 1e-3,
            doffset: Seconds(0.5),
            kind: ChangeKind::Step,
        });
        let (mapped, _) = clock.cook(hardware(101.0)).unwrap();
        assert!((mapped - local(99.0 + 2.0 * (1.0 - 1e-3) - 0.5)).0.abs() < 1e-8);
    }
}

/// A clock that was set, or runs impossibly, is learnt anew.
#[test]
fn a_jump_discards_the_samples() {
    let local = |s: f64| Timestamp::<Cooked>::from_parts(1_000_000_000, 0) + Seconds(s);
    for (jump, kept) in [(0.0, true), (-10.0, false), (1e6, false)] {
        let mut clock = clock(8);
        for i in 0..6u32 {
            let s = f64::from(i);
            let hardware =
                Timestamp::from_parts(1_000, 0) + Seconds(s + if i == 5 { jump } else { 0.0 });
            clock.accumulate(hardware, local(s), Seconds(1e-6), 0.0);
        }
        assert_eq!(clock.is_valid(), kept, "{jump}");
    }
}

/// A small generator (xorshift, Marsaglia 2003).
struct Xorshift(u64);

impl Xorshift {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (high - low) * (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How well clocks with jitter are mapped, at the bounds of the reference implementation's own
/// test (`discipline.md` 17).
#[test]
fn jitter_averages_out() {
    let mut random = Xorshift(0x9E37_79B9_7F4A_7C15);
    for max_samples in [2, 4, 8, 16, 32, 64] {
        let (mut sum, mut count) = (0.0, 0.0);
        for _ in 0..20 {
            let frequency = random.between(0.9, 1.1);
            let jitter = random.between(10e-9, 1000e-9);
            let interval = random.between(0.1, 10.0);
            let mut clock = clock(max_samples);
            let (mut local_s, mut hardware_s) = (0.0, 0.0);
            let local = |s: f64| Timestamp::<Cooked>::from_parts(1_000_000_000, 0) + Seconds(s);
            let hardware = |s: f64| Timestamp::from_parts(2_000_000_000, 0) + Seconds(s);
            for _ in 0..100 {
                local_s += interval;
                hardware_s += interval * frequency;
                let noise = random.between(-jitter, jitter);
                let error = Seconds(2.0 * jitter);
                clock.accumulate(hardware(hardware_s + noise), local(local_s), error, 0.0);
                assert_eq!(clock.is_valid(), clock.len() >= 2);
                let Some((mapped, _)) = clock.cook(hardware(hardware_s)) else {
                    continue;
                };
                assert!(clock.line.unwrap().offset.abs() <= 2.0 * jitter);
                let missed = (mapped - local(local_s)).0.abs() / jitter;
                let limit = match clock.len() {
                    ..4 => f64::INFINITY,
                    4..8 => 4.0,
                    _ => 3.0,
                };
                assert!(missed < limit, "{missed} of {} samples", clock.len());
                if clock.len() >= max_samples / 2 {
                    (sum, count) = (sum + missed, count + 1.0);
                }
            }
        }
        let mean: f64 = sum / count;
        assert!(
            mean < 2.4 / (max_samples as f64).sqrt(),
            "{max_samples}: {mean}"
        );
    }
}
