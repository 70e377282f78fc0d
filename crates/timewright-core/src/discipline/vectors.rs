//! Golden data recorded from the reference, run event by event (`discipline.md` 17).

use super::frequency::Frequency;
use super::linux::{LinuxFrequency, StepFields};
use super::slew::Slew;
use super::smooth::{SmoothConfig, Smoothing};
use super::{ChangeKind, ClockChange};
use crate::clock::ClockLimits;
use serde_json::Value;
use std::cell::Cell;
use timewright_time::{Cooked, FreqRatio, Raw, Seconds, Timestamp, log2_to_seconds};

fn load(name: &str) -> Value {
    let path = format!(
        "{}/tests/data/discipline/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

fn f(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn stamp<D>(value: &Value) -> Timestamp<D> {
    Timestamp::from_parts(value[0].as_i64().unwrap(), value[1].as_i64().unwrap())
}

#[track_caller]
fn close(what: &str, got: f64, want: f64, floor: f64, event: &Value) {
    let tolerance = floor.max(1e-9 * want.abs());
    assert!(
        (got - want).abs() <= tolerance,
        "{what}: got {got:e}, want {want:e} in {event}"
    );
}

#[test]
fn timestamps() {
    let data = load("timestamps");
    for case in data["add"].as_array().unwrap() {
        let sum = stamp::<Raw>(&case["t"]) + Seconds(f(case, "x"));
        assert_eq!(sum, stamp(&case["r"]), "{case}");
    }
    for case in data["adjust"].as_array().unwrap() {
        let t: Timestamp<Cooked> = stamp(&case["t"]);
        let (moved, delta) = t.adjusted(stamp(&case["when"]), f(case, "dfreq"), f(case, "doffset"));
        assert_eq!(moved, stamp(&case["r"]), "{case}");
        close("delta", delta.0, f(case, "delta"), 1e-15, case);
    }
    for case in data["log2exp"].as_array().unwrap() {
        let exponent = i32::try_from(case[0].as_i64().unwrap()).unwrap();
        close(
            "2^l",
            log2_to_seconds(exponent).0,
            case[1].as_f64().unwrap(),
            0.0,
            case,
        );
    }
}

#[test]
fn local_frequency() {
    let round = |ppm: f64| (ppm * 65536.0).round() / 65536.0;
    let mut frequency = Frequency::new(12.5, 500.0);
    for op in load("local_freq")["ops"].as_array().unwrap() {
        let change = match op["op"].as_str().unwrap() {
            "set_abs" => Some(frequency.set_absolute(f(op, "ppm"), round)),
            "delta" | "freq_offset" => Some(frequency.accumulate(f(op, "dfreq"), round)),
            "tempcomp" => {
                let took_effect = frequency.set_compensation(f(op, "comp"), round);
                close("returned", took_effect, f(op, "returned"), 1e-15, op);
                None
            }
            other => panic!("{other}"),
        };
        close("cur", frequency.current_ppm(), f(op, "cur"), 0.0, op);
        close(
            "comp",
            frequency.compensation_ppm(),
            f(op, "comp_ppm"),
            1e-15,
            op,
        );
        close("read", frequency.absolute_ppm(), f(op, "read"), 0.0, op);
        assert_eq!(
            u64::from(change.is_some()),
            op["calls"].as_u64().unwrap(),
            "{op}"
        );
        if let Some(change) = change {
            close("dfreq", change.dfreq, f(op, "h_dfreq"), 1e-18, op);
        }
    }
}

#[test]
fn slewing() {
    for case in load("slew")["cases"].as_array().unwrap() {
        let quantum = f(case, "quantum");
        let total = Cell::new(0.0);
        let set = |ppm: f64| {
            let rounded = if quantum > 0.0 {
                (ppm / quantum).round() * quantum
            } else {
                ppm
            };
            total.set(rounded);
            rounded
        };
        let limits = ClockLimits {
            max_frequency_ppm: f(case, "max_freq_ppm"),
            driver_delay: Seconds(f(case, "driver_delay")),
            can_leap: false,
            can_set: true,
        };
        let mut slew = Slew::new(
            f(case, "initial_freq"),
            &limits,
            f(case, "max_slew_rate_ppm"),
        );
        for op in case["ops"].as_array().unwrap() {
            let now: Timestamp<Raw> = Timestamp::ZERO + Seconds(f(op, "t"));
            let plan = match op["op"].as_str().unwrap() {
                "set_freq" => slew.set_base(f(op, "ppm"), now, set),
                "accrue" => slew.accrue(Seconds(f(op, "offset")), f(op, "rate"), now, set),
                "timer" => slew.update(now, set),
                other => panic!("{other}"),
            };
            // Offsets are known to a nanosecond, so durations to that over the slew frequency.
            let span = (1e-9 / slew.frequency().abs()).clamp(1e-9, 3e-3);
            close("total", total.get(), f(op, "total_freq"), 1e-6, op);
            close("frequency", slew.frequency(), f(op, "slew_freq"), 1e-12, op);
            close(
                "register",
                slew.outstanding().0,
                f(op, "register"),
                1e-9,
                op,
            );
            close("duration", plan.duration.0, f(op, "duration"), span, op);
            close(
                "timer",
                (now + plan.duration - Timestamp::ZERO).0,
                f(op, "timer_at"),
                span,
                op,
            );
            close("excess", slew.excess(), f(op, "excess"), 1e-8, op);
            close("error", slew.error().0, f(op, "slew_error"), 1e-12, op);
            close(
                "dispersion",
                plan.dispersion.0,
                f(op, "dispersion"),
                1e-12,
                op,
            );

            let line = super::CookLine {
                origin: slew.start(),
                rate: slew.frequency(),
                outstanding: slew.outstanding(),
                error: slew.error(),
                max_delay: slew.max_delay(),
            };
            let (correction, error) = line.correction(now + Seconds(f(op, "probe")));
            close("correction", correction.0, f(op, "corr"), 1e-9, op);
            close("correction error", error.0, f(op, "err"), 1e-12, op);
            let outstanding = slew.outstanding().abs();
            close(
                "est",
                Seconds(1e-5).max(outstanding).0,
                f(op, "sync_est"),
                1e-9,
                op,
            );
            close(
                "max",
                (Seconds(1e-3) + outstanding).0,
                f(op, "sync_max"),
                1e-9,
                op,
            );
        }
    }
}

#[test]
fn linux_frequency_words() {
    let data = load("linux_freq");
    let mut frequency = LinuxFrequency::new(100);
    for case in data["set_frequency"].as_array().unwrap() {
        let words = frequency.words(f(case, "ppm"));
        assert_eq!(
            i64::from(words.modes),
            case["modes"].as_i64().unwrap(),
            "{case}"
        );
        assert_eq!(words.freq, case["freq"].as_i64().unwrap(), "{case}");
        assert_eq!(words.tick, case["tick"].as_i64().unwrap(), "{case}");
        close(
            "returned",
            frequency.achieved_ppm(words.freq),
            f(case, "returned"),
            0.0,
            case,
        );
    }
    for case in data["step"].as_array().unwrap() {
        let fields = StepFields::new(Seconds(f(case, "offset")));
        assert_eq!(
            i64::from(StepFields::MODES),
            case["modes"].as_i64().unwrap()
        );
        assert_eq!(fields.seconds, case["tv_sec"].as_i64().unwrap(), "{case}");
        assert_eq!(
            fields.nanoseconds,
            case["tv_nsec"].as_i64().unwrap(),
            "{case}"
        );
    }
}

#[test]
fn smoothing() {
    for case in load("smooth")["cases"].as_array().unwrap() {
        let config = SmoothConfig {
            max_frequency: FreqRatio(f(case, "max_freq")),
            max_wander: f(case, "max_wander"),
            leap_only: false,
        };
        let mut smoothing = Smoothing::new(config);
        smoothing.activate(Timestamp::ZERO);
        for event in case["events"].as_array().unwrap() {
            let cooked: Timestamp<Cooked> = Timestamp::ZERO + Seconds(f(event, "t"));
            if event["op"] == "update" {
                let change = ClockChange {
                    seq: 1,
                    raw: Timestamp::ZERO,
                    cooked,
                    dfreq: f(event, "freq"),
                    doffset: Seconds(f(event, "offset")),
                    kind: ChangeKind::Adjust,
                };
                // The recording called the update alone, without moving its start afterwards.
                let start = smoothing.plan().start;
                smoothing.on_clock_change(&change, FreqRatio::ZERO);
                assert!(start <= cooked);
                smoothing.set_start(cooked);
            } else {
                let value = smoothing.plan().value(cooked);
                close("offset", value.offset.0, f(event, "offset"), 1e-12, event);
                close("frequency", value.frequency, f(event, "freq"), 1e-13, event);
                close("wander", value.wander, f(event, "wander"), 0.0, event);
            }
            for (i, stage) in smoothing.plan().stages.iter().enumerate() {
                let (wander, length) = (&event["stage_wander"][i], &event["stage_length"][i]);
                close(
                    "stage wander",
                    stage.wander,
                    wander.as_f64().unwrap(),
                    0.0,
                    event,
                );
                close(
                    "stage length",
                    stage.length,
                    length.as_f64().unwrap(),
                    1e-6,
                    event,
                );
            }
        }
    }
}
