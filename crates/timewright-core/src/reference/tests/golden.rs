//! Updates recorded from the reference implementation, run event by event (`discipline.md` 17).

use super::super::update::{Moment, Plan};
use super::*;
use serde_json::Value;

fn f(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn stamp<D>(value: &Value) -> Timestamp<D> {
    Timestamp::from_parts(value[0].as_i64().unwrap(), value[1].as_i64().unwrap())
}

#[track_caller]
fn close(what: &str, got: f64, want: f64, event: &Value) {
    let tolerance = 1e-14f64.max(1e-9 * want.abs());
    assert!(
        (got - want).abs() <= tolerance,
        "{what}: got {got:e}, want {want:e} in {event}"
    );
}

fn golden_config(lines: &Value) -> ReferenceConfig {
    let mut config = ReferenceConfig::default();
    for line in lines.as_array().unwrap() {
        let words: Vec<&str> = line.as_str().unwrap().split(' ').collect();
        let n = |i: usize| words[i].parse::<f64>().unwrap();
        let int = |i: usize| words[i].parse::<i32>().unwrap();
        match words[0] {
            "corrtimeratio" => config.correction_time_ratio = n(1),
            "makestep" => {
                config.make_step = MakeStep {
                    threshold: Seconds(n(1)),
                    limit: int(2),
                };
            }
            "maxchange" => {
                config.max_change = Some(MaxChange {
                    offset: Seconds(n(1)),
                    start: words[2].parse().unwrap(),
                    ignore: int(3),
                });
            }
            "fallbackdrift" => config.fallback_drift = (int(1), int(2)),
            other => panic!("{other}"),
        }
    }
    config
}

/// The local clock layer of the recording: it accepts every frequency and calls no handlers.
#[derive(Default)]
struct FakeClock {
    frequency_ppm: f64,
    calls: Vec<(&'static str, Vec<f64>)>,
}

impl FakeClock {
    fn apply(&mut self, plan: &Plan) {
        self.frequency_ppm += plan.dfreq * (1e6 - self.frequency_ppm);
        self.calls
            .push(("freq_offset", vec![plan.dfreq, plan.slew.0, plan.rate]));
        if let Some(step) = plan.step {
            self.calls.push(("step", vec![step.0]));
        }
    }

    fn schedule(&mut self, reference: &mut Reference, mono: MonoTime) {
        let age = reference.age(mono);
        if let Some(ppm) = reference.fallback.as_mut().unwrap().schedule(mono, age) {
            self.frequency_ppm = ppm;
            self.calls.push(("set_abs_freq", vec![ppm]));
        }
    }

    fn check(&mut self, event: &Value) {
        let want = event["calls"].as_array().unwrap();
        assert_eq!(self.calls.len(), want.len(), "{event}");
        for ((name, values), want) in self.calls.drain(..).zip(want) {
            assert_eq!(want[0], name, "{event}");
            for (i, value) in values.iter().enumerate() {
                close(name, *value, want[i + 1].as_f64().unwrap(), event);
            }
        }
        close("abs_freq", self.frequency_ppm, f(event, "abs_freq"), event);
    }
}

#[test]
fn golden_updates() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/discipline/reference.json"
    );
    let data: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in data["cases"].as_array().unwrap() {
        let (bench, local) = Bench::start(0.0);
        let config = golden_config(&case["config"]);
        let mut reference = Reference::new(config, LeapDatabase::default(), &local, bench.now());
        let mut clock = FakeClock::default();
        let mut sync = (false, Seconds::ZERO, Seconds::ZERO);
        for event in case["events"].as_array().unwrap() {
            let mono = MonoTime::ZERO + Seconds(f(event, "mono"));
            let moment = Moment {
                mono,
                raw: stamp(&event["raw"]),
                correction: Seconds(f(event, "unc")),
            };
            let mut fallback_due = reference.fallback.as_ref().unwrap().next_deadline();
            if event["op"] == "unsync" {
                reference.fallback.as_mut().unwrap().cancel();
                fallback_due = None;
                clock.schedule(&mut reference, mono);
                reference.leap.leap = Leap::Unsynchronised;
                reference.lose(mono);
                sync = (false, Seconds::ZERO, Seconds::ZERO);
            } else {
                let update = ReferenceUpdate {
                    stratum: 2,
                    leap: Leap::from_bits(u8::try_from(event["leap"].as_u64().unwrap()).unwrap()),
                    combined: 1,
                    ref_id: 0x0A00_0001,
                    address: Some(SERVER),
                    ref_time: stamp(&event["ref_time"]),
                    offset: Seconds(f(event, "offset")),
                    offset_sd: Seconds(f(event, "offset_sd")),
                    frequency: FreqRatio(f(event, "freq")),
                    frequency_sd: FreqRatio(f(event, "freq_sd")),
                    skew: FreqRatio(f(event, "skew")),
                    root_delay: Seconds(f(event, "root_delay")),
                    root_dispersion: Seconds(f(event, "root_dispersion")),
                };
                if let Some(plan) = reference.plan(&update, moment, &mut Effects::new()) {
                    clock.apply(&plan);
                    reference.leap.leap = update.leap;
                    sync = reference.sync_status(moment.cooked());
                    reference.learn(clock.frequency_ppm, &plan);
                    if reference.synchronised {
                        fallback_due = None;
                        clock.schedule(&mut reference, mono);
                    }
                }
            }
            clock.check(event);
            check_state(&mut reference, moment, sync, fallback_due, event);
            // Only a refused update ends it; the recording went on.
            reference.set_mode(Mode::Normal);
        }
    }
}

fn check_state(
    reference: &mut Reference,
    moment: Moment,
    sync: (bool, Seconds, Seconds),
    fallback_before: Option<MonoTime>,
    event: &Value,
) {
    let int = |key: &str| {
        event[key]
            .as_i64()
            .unwrap_or_else(|| panic!("{key} in {event}"))
    };
    assert_eq!(
        i64::from(reference.synchronised),
        int("synchronised"),
        "{event}"
    );
    assert_eq!(i64::from(reference.stratum), int("stratum"), "{event}");
    close("skew", reference.skew, f(event, "our_skew"), event);
    close(
        "residual",
        reference.residual_frequency,
        f(event, "residual_freq"),
        event,
    );
    close(
        "interval",
        reference.last_interval.0,
        f(event, "interval"),
        event,
    );
    close(
        "last offset",
        reference.last_offset.0,
        f(event, "last_offset"),
        event,
    );
    close(
        "rms",
        reference.rms_offset().0,
        f(event, "rms_offset"),
        event,
    );
    assert_eq!(
        i64::from(reference.mean_square_moves),
        int("avg2_moving"),
        "{event}"
    );
    let at_raw = moment.raw.cook(Seconds::ZERO);
    close(
        "dispersion",
        reference.root_dispersion(at_raw).0,
        f(event, "root_dispersion_now"),
        event,
    );
    assert_eq!(
        u64::from(sync.0),
        event["sync"][0].as_u64().unwrap(),
        "{event}"
    );
    close(
        "est_error",
        sync.1.0,
        event["sync"][1].as_f64().unwrap(),
        event,
    );
    close(
        "max_error",
        sync.2.0,
        event["sync"][2].as_f64().unwrap(),
        event,
    );
    assert_eq!(
        i64::from(reference.config.make_step.limit),
        int("step_limit"),
        "{event}"
    );
    let max_change = reference.config.max_change.unwrap();
    assert_eq!(
        i64::from(max_change.start),
        int("maxchange_start"),
        "{event}"
    );
    assert_eq!(
        i64::from(max_change.ignore),
        int("maxchange_ignore"),
        "{event}"
    );

    let fallback = reference.fallback.as_ref().unwrap();
    assert_eq!(i64::from(fallback.next()), int("next_fb"), "{event}");
    let due = fallback
        .next_deadline()
        .filter(|_| fallback_before.is_none());
    let delay = due.map_or(-1.0, |due| (due - moment.mono).0);
    close("fallback delay", delay, f(event, "fb_delay"), event);
    for (i, (ppm, seen)) in fallback.averages().into_iter().enumerate() {
        close("fb_freq", ppm, event["fb_freq"][i].as_f64().unwrap(), event);
        close(
            "fb_secs",
            seen,
            event["fb_secs"][i].as_f64().unwrap(),
            event,
        );
    }

    let data = super::data(reference, at_raw + Seconds(100.0), moment.mono);
    let want = &event["params_100s_later"];
    assert_eq!(
        u64::from(data.synchronised),
        want["sync"].as_u64().unwrap(),
        "{event}"
    );
    assert_eq!(
        u64::from(data.leap.bits()),
        want["leap"].as_u64().unwrap(),
        "{event}"
    );
    assert_eq!(
        u64::from(data.stratum),
        want["stratum"].as_u64().unwrap(),
        "{event}"
    );
    assert_eq!(
        u64::from(data.ref_id),
        want["ref_id"].as_u64().unwrap(),
        "{event}"
    );
    close(
        "root delay",
        data.root_delay.0,
        f(want, "root_delay"),
        event,
    );
    close(
        "root dispersion",
        data.root_dispersion.0,
        f(want, "root_dispersion"),
        event,
    );
}
