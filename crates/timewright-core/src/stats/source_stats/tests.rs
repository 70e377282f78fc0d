use super::*;
use crate::stats::golden::{Golden, assert_close};
use proptest::prelude::*;

const PRECISION: Seconds = Seconds(1e-7);
const ERA_S: i64 = 190_000_000;

fn golden_sample(node: &Golden) -> Sample {
    Sample {
        time: node.time("time"),
        offset: Seconds(node.float("offset")),
        peer_delay: Seconds(node.float("peer_delay")),
        peer_dispersion: Seconds(node.float("peer_dispersion")),
        root_delay: Seconds(node.float("root_delay")),
        root_dispersion: Seconds(node.float("root_dispersion")),
    }
}

#[test]
fn golden_sources_are_reproduced() {
    for (c, case) in Golden::read("sourcestats").cases().iter().enumerate() {
        let config = StatsConfig::new(case.int("min_samples"), case.int("max_samples"), PRECISION)
            .with_path(Seconds(case.float("min_delay")), case.float("asymmetry"));
        let mut stats = SourceStats::new(config);
        for (i, op) in case.children("ops").iter().enumerate() {
            let at = format!("case {c} op {i}");
            match op.text("op").as_str() {
                "sample" => {
                    stats.accumulate(golden_sample(op));
                }
                "slew" => stats.slew(
                    op.time("when"),
                    FreqRatio(op.float("dfreq")),
                    Seconds(op.float("doffset")),
                ),
                "adddisp" => stats.add_dispersion(Seconds(op.float("value"))),
                "correct" => stats.correct_offset(Seconds(op.float("value"))),
                other => panic!("{other}"),
            }
            check_state(&stats, op, &at);
        }
    }
}

#[track_caller]
fn check_state(stats: &SourceStats, want: &Golden, at: &str) {
    let e = stats.estimate();
    let discrete = [
        ("n", stats.len()),
        ("runs_samples", stats.history().older_len()),
        ("regression_ok", usize::from(e.valid)),
        ("nruns", e.runs),
        ("best", stats.best),
    ];
    for (key, got) in discrete {
        assert_eq!(got, want.count(key), "{at}: {key}");
    }
    assert_eq!(
        stats.estimator.memory(),
        want.int::<i32>("asym_run"),
        "{at}"
    );
    assert_eq!(e.time, want.time("offset_time"), "{at}");
    let now = want.time("now");
    for (key, got) in [
        ("est_offset", e.offset.0),
        ("est_offset_sd", e.offset_sd.0),
        ("freq", e.freq.0),
        ("freq_sd", e.freq_sd.0),
        ("skew", e.skew.0),
        ("std_dev", e.std_dev.0),
        ("asym", e.asymmetry),
        ("min_rtt", stats.min_delay().0),
        ("pred", stats.predict_offset(now).0),
    ] {
        assert_close(got, want.float(key), 1e-15, &format!("{at}: {key}"));
    }
    let trk = want.child("trk");
    let tracking = stats.tracking().unwrap();
    assert_close(tracking.root_delay.0, trk.float("root_delay"), 0.0, at);
    assert_close(
        tracking.root_dispersion.0,
        trk.float("root_dispersion"),
        0.0,
        at,
    );
    let sel = want.child("sel");
    let data = stats.selection_data(now, Seconds(1.0)).unwrap();
    assert_eq!(data.ok, sel.flag("ok"), "{at}");
    if data.ok {
        for (key, got) in [
            ("lo", data.lo),
            ("hi", data.hi),
            ("root_distance", data.root_distance),
            ("std_dev", data.std_dev),
            ("first_ago", data.first_ago),
            ("last_ago", data.last_ago),
        ] {
            assert_close(got.0, sel.float(key), 1e-15, &format!("{at}: sel {key}"));
        }
    }
}

fn at(s: f64) -> Timestamp<Cooked> {
    Timestamp::from_parts(1_700_000_000, 0) + Seconds(s)
}

/// A sample of a clock that is `fast` seconds fast.
fn sample(s: f64, fast: f64) -> Sample {
    Sample {
        time: at(s),
        offset: Seconds(-fast),
        peer_delay: Seconds(1e-3),
        peer_dispersion: Seconds(1e-6),
        root_delay: Seconds(2e-3),
        root_dispersion: Seconds(1e-4),
    }
}

/// A source with `n` samples of a clock that gains 10 ppm, jitter 1 us.
fn source(n: usize) -> SourceStats {
    let mut stats = SourceStats::new(StatsConfig::new(6, 0, PRECISION));
    for i in 0..n {
        let jitter = if i % 2 == 0 { 1e-6 } else { -1e-6 };
        stats.accumulate(sample(16.0 * i as f64, 1e-3 + 16e-5 * i as f64 + jitter));
    }
    stats
}

#[test]
fn sample_limits_are_kept_in_range() {
    for (min, max, want) in [
        (6, 0, (6, 64)),
        (0, 100, (1, 64)),
        (10, 4, (4, 4)),
        (-1, -1, (1, 64)),
        (100, 0, (64, 64)),
    ] {
        let config = StatsConfig::new(min, max, PRECISION);
        assert_eq!(
            (config.min_samples, config.max_samples),
            want,
            "{min} {max}"
        );
    }
}

#[test]
fn an_out_of_order_sample_discards_the_history() {
    let mut stats = source(8);
    let done = stats.accumulate(sample(10.0, 5e-3));
    assert!(done.history_discarded && done.statistics.is_none());
    assert_eq!(stats.len(), 1);
    assert_close(stats.predict_offset(at(20.0)).0, 5e-3, 0.0, "newest offset");
    assert_eq!(stats.delay_test_data(at(20.0)), None);
}

#[test]
fn delay_tests_begin_with_the_sixth_sample() {
    assert_eq!(source(5).delay_test_data(at(100.0)), None);
    let stats = source(6);
    let data = stats.delay_test_data(at(100.0)).unwrap();
    assert_close(data.last_ago.0, 20.0, 1e-9, "age");
    assert_close(data.min_delay.0, 1e-3, 0.0, "min delay");
    assert!((data.predicted_offset.0 - 2e-3).abs() < 1e-5);
}

#[test]
fn the_frequency_range_is_limited_while_little_is_known() {
    assert_eq!(
        source(0).frequency_range(),
        (FreqRatio(-2e-3), FreqRatio(2e-3))
    );
    let mut noisy = source(0);
    for (s, fast) in [(0.0, 0.0), (1.0, 1e-3), (2.0, 0.0)] {
        noisy.accumulate(sample(s, fast));
    }
    assert!(noisy.estimate().valid);
    assert_eq!(noisy.frequency_range(), (FreqRatio(-2e-3), FreqRatio(2e-3)));
    let (lo, hi) = source(20).frequency_range();
    assert!(lo.0 < 10e-6 && hi.0 > 10e-6 && hi.0 - lo.0 < 1e-6);
}

#[test]
fn the_skew_gives_the_frequency_range_up_to_the_worst() {
    // Three samples off the line by d: skew 636.6 d / sqrt(3).
    for (d, want) in [(5e-6, 1.8377e-3), (8e-6, 2e-3)] {
        let mut stats = source(0);
        for (s, fast) in [(0.0, 0.0), (1.0, d), (2.0, 0.0)] {
            stats.accumulate(sample(s, fast));
        }
        let (lo, hi) = stats.frequency_range();
        assert!(
            (hi.0 - want).abs() < 1e-6 && (lo.0 + want).abs() < 1e-6,
            "{lo:?} {hi:?}"
        );
    }
}

#[test]
fn a_delay_below_the_minimum_is_mirrored() {
    let path = StatsConfig::new(6, 0, PRECISION).with_path(Seconds(1e-3), 1.0);
    let mut stats = SourceStats::new(path);
    for (s, delay, want) in [(0.0, 4e-4, 1.6e-3), (1.0, 1e-3, 1e-3), (2.0, 5e-3, 5e-3)] {
        stats.accumulate(Sample {
            peer_delay: Seconds(delay),
            ..sample(s, 0.0)
        });
        let stored = stats.history().newest().unwrap().peer_delay;
        assert!((stored - want).abs() < 1e-15, "{stored}");
    }
    assert_eq!(stats.min_delay(), Seconds(1e-3));
}

#[test]
fn reports_of_a_source_without_samples_show_assumptions() {
    let report = source(0).report(at(0.0));
    assert_eq!((report.samples, report.runs), (0, 0));
    assert_close(report.std_dev.0, 4.0, 0.0, "std dev");
    assert_close(report.skew.ppm(), 2000.0, 0.0, "skew");
    assert_eq!(report.offset_error, Seconds::ZERO);
    assert_eq!(source(0).last_sample(), None);
    assert_eq!(source(0).tracking(), None);
}

#[test]
fn the_report_extrapolates_to_now() {
    let report = source(10).report(at(244.0));
    assert_close(report.span.0, 144.0, 0.0, "span");
    assert!(
        (report.offset.0 - 3.44e-3).abs() < 1e-5,
        "{}",
        report.offset.0
    );
}

#[test]
fn the_statistics_line_has_the_columns_of_its_header() {
    let record = StatisticsRecord {
        source: "192.168.123.1".to_string(),
        statistics: Statistics {
            estimate: Estimate {
                valid: true,
                time: Timestamp::from_parts(1_262_304_010, 5),
                offset: Seconds(-3.227e-6),
                offset_sd: Seconds(1.5e-5),
                freq: FreqRatio(-2.5e-8),
                freq_sd: FreqRatio(1e-9),
                skew: FreqRatio(3.25e-7),
                drift: FreqRatio(1e-6),
                std_dev: Seconds(1.2e-4),
                samples: 22,
                runs: 12,
                asymmetry: -0.05,
            },
            stress: 0.12,
            samples: 25,
            dropped: 3,
        },
    };
    assert_eq!(
        record.to_string(),
        "2010-01-01 00:00:10 192.168.123.1    1.200e-04 -3.227e-06  1.500e-05 -2.500e-08  \
         3.250e-07 1.2e-01  25   3  12 -0.05"
    );
    assert_eq!(
        StatisticsRecord::HEADER,
        "   Date (UTC) Time     IP Address    Std dev'n Est offset  Offset sd  Diff freq   \
         Est skew  Stress  Ns  Bs  Nr  Asym"
    );
}

#[test]
fn a_dump_can_be_loaded_again() {
    let stats = source(12);
    let dump = stats.dump().unwrap();
    assert!(dump.starts_with("12 0\n1700000000.000000000 1.001000e-03 1.001000e-03 1.000000e-03 "));
    let mut loaded = SourceStats::new(*stats.config());
    let done = loaded.load(&mut dump.lines(), at(300.0), ERA_S).unwrap();
    assert_eq!(done.unwrap().samples, 12);
    assert_eq!(loaded.len(), 12);
    assert!((loaded.estimate().freq.0 - stats.estimate().freq.0).abs() < 1e-9);
    assert_eq!(source(0).dump(), None);
}

#[test]
fn implausible_dumps_are_refused() {
    let line = "1700000000.5 1e-3 1e-3 1e-3 1e-6 2e-3 1e-4";
    for (name, body) in [
        ("empty", String::new()),
        ("no samples", "0 0\n".to_string()),
        ("too many", format!("65 0\n{line}\n")),
        ("line missing", format!("2 0\n{line}\n")),
        ("not increasing", format!("2 0\n{line}\n{line}\n")),
        (
            "six numbers",
            "1 0\n1700000000.5 1e-3 1e-3 1e-3 1e-6 2e-3\n".to_string(),
        ),
        (
            "future",
            format!("1 0\n{}\n", line.replace("1700000000.5", "1700000200.5")),
        ),
        (
            "before the era",
            format!("1 0\n{}\n", line.replace("1700000000.5", "100.5")),
        ),
        (
            "large delay",
            format!("1 0\n{}\n", line.replace("2e-3", "1e6")),
        ),
        (
            "not a number",
            format!("1 0\n{}\n", line.replace("1e-6", "nan")),
        ),
        (
            "insane offset",
            format!("1 0\n{}\n", line.replacen("1e-3", "-9e9", 1)),
        ),
        ("words", "one 0\n".to_string()),
    ] {
        let mut stats = source(5);
        let result = stats.load(&mut body.lines(), at(100.0), ERA_S);
        assert_eq!(result, Err(BadDump), "{name}");
        assert!(stats.is_empty(), "{name}");
    }
    let known_path = StatsConfig::new(6, 0, PRECISION).with_path(Seconds::ZERO, 0.0);
    let mut stats = SourceStats::new(known_path);
    let body = format!("1 5000\n{line}\n");
    assert!(stats.load(&mut body.lines(), at(100.0), ERA_S).is_ok());
    assert_eq!(stats.estimator.memory(), 1000);
}

proptest! {
    #[test]
    fn shifting_time_and_offset_shifts_the_estimate(
        jitter in prop::collection::vec(-1e-3..1e-3f64, 4..80), by in -10.0..10.0f64, later in 0.0..1e6f64
    ) {
        let mut a = SourceStats::new(StatsConfig::new(6, 0, PRECISION));
        let mut b = SourceStats::new(StatsConfig::new(6, 0, PRECISION));
        for (i, j) in jitter.iter().enumerate() {
            let t = 16.0 * i as f64;
            a.accumulate(sample(t, *j));
            b.accumulate(sample(t + later.floor(), j + by));
        }
        prop_assert_eq!(a.len(), b.len());
        let (a, b) = (a.estimate(), b.estimate());
        prop_assert!((a.freq.0 - b.freq.0).abs() < 1e-12);
        prop_assert!((a.offset.0 + by - b.offset.0).abs() < 1e-12);
        prop_assert!((a.skew.0 - b.skew.0).abs() < 1e-9 * a.skew.0.max(1e-6));
    }

    #[test]
    fn finite_samples_give_finite_answers(
        steps in prop::collection::vec(
            (-1.0..1e4f64, -1e6..1e6f64, 0.0..1e3f64, 0.0..1e3f64), 1..100),
        min in -1i32..70, max in -1i32..70, asymmetry in -1.0..1.0f64, min_delay in 0.0..1.0f64
    ) {
        let config = StatsConfig::new(min, max, PRECISION).with_path(Seconds(min_delay), asymmetry);
        let mut stats = SourceStats::new(config);
        let mut t = 0.0;
        for (step, offset, delay, dispersion) in steps {
            t += step;
            stats.accumulate(Sample {
                time: at(t),
                offset: Seconds(offset),
                peer_delay: Seconds(delay),
                peer_dispersion: Seconds(dispersion),
                root_delay: Seconds(delay),
                root_dispersion: Seconds(dispersion),
            });
            stats.slew(at(t), FreqRatio(1e-5), Seconds(offset * 0.1));
            let e = *stats.estimate();
            let numbers = [
                e.offset.0, e.offset_sd.0, e.freq.0, e.freq_sd.0, e.skew.0, e.std_dev.0,
                stats.report(at(t)).offset_error.0,
            ];
            prop_assert!(numbers.iter().all(|x| x.is_finite()), "{:?}", e);
            let data = stats.selection_data(at(t), Seconds(1.0)).unwrap();
            prop_assert!(data.lo.0 <= data.hi.0);
            prop_assert!(stats.len() <= config.max_samples && stats.best < stats.len());
            prop_assert!(stats.history().older_len() <= stats.len());
            prop_assert!(e.valid || stats.len() < 3);
        }
    }
}

/// Believes the newest sample alone, claims to have used the newest `worth`, and remembers how it
/// was called.
#[derive(Debug)]
struct Newest {
    worth: usize,
    estimate: Estimate,
    calls: std::rc::Rc<std::cell::RefCell<Vec<String>>>,
}

impl Newest {
    fn take(&mut self, history: &History, call: &str) -> Option<Update> {
        let stored = history.newest()?;
        self.calls
            .borrow_mut()
            .push(format!("{call} {}", history.len()));
        self.estimate = Estimate {
            valid: true,
            time: stored.time,
            offset: Seconds(stored.offset),
            offset_sd: Seconds(stored.peer_delay / 2.0),
            freq: FreqRatio(1e-6),
            skew: FreqRatio(2e-6),
            std_dev: Seconds(3e-6),
            samples: self.worth.min(history.len()),
            runs: 5,
            ..Estimate::UNKNOWN
        };
        Some(Update::default())
    }
}

impl Estimator for Newest {
    fn update(&mut self, history: &History) -> Option<Update> {
        self.take(history, "update")
    }
    fn load(&mut self, history: &History, memory: i32) -> Option<Update> {
        self.take(history, &format!("load {memory} of"))
    }
    fn memory(&self) -> i32 {
        -17
    }
    fn estimate(&self) -> &Estimate {
        &self.estimate
    }
    fn poll_score(&self, question: &PollQuestion) -> f64 {
        f64::from(question.limits.1 - question.poll) + question.score
    }
    fn slew(&mut self, when: Timestamp<Cooked>, dfreq: FreqRatio, doffset: Seconds) {
        self.calls.borrow_mut().push(format!("slew {}", doffset.0));
        self.estimate.slew(when, dfreq, doffset);
    }
    fn correct_offset(&mut self, by: Seconds) {
        self.calls.borrow_mut().push(format!("correct {}", by.0));
        self.estimate.offset += by;
    }
    fn add_dispersion(&mut self, by: Seconds) {
        self.calls.borrow_mut().push(format!("disperse {}", by.0));
    }
    fn reset(&mut self) {
        self.calls.borrow_mut().push("reset".to_owned());
        self.estimate = Estimate::UNKNOWN;
    }
}

/// Everything the engine asks of a source comes from whatever estimator it has.
#[test]
fn another_estimator_needs_no_other_code() {
    let at = |s: f64| Timestamp::from_parts(1_700_000_000, 0) + Seconds(s);
    let calls = std::rc::Rc::default();
    let with = |worth| {
        let estimator = Newest {
            worth,
            estimate: Estimate::UNKNOWN,
            calls: std::rc::Rc::clone(&calls),
        };
        SourceStats::with_estimator(StatsConfig::new(0, 0, PRECISION), Box::new(estimator))
    };
    let mut stats = with(3);
    assert_eq!(stats.report(at(0.0)).samples, 0);
    stats.slew(at(0.0), FreqRatio(0.0), Seconds(1.0));
    for i in 0..5 {
        stats.accumulate(Sample {
            time: at(f64::from(i) * 16.0),
            offset: Seconds(-1e-3 * f64::from(i)),
            peer_delay: Seconds(2e-4),
            ..Sample::default()
        });
    }
    assert_eq!(stats.len(), 5, "nothing is obsolete");
    let report = stats.report(at(64.0));
    assert_eq!((report.samples, report.runs), (3, 5));
    assert_eq!(report.span, Seconds(32.0));
    assert_eq!(report.offset, Seconds(4e-3));
    let data = stats.selection_data(at(65.0), Seconds(1.0)).unwrap();
    assert!(data.ok);
    assert_eq!(
        (data.first_ago, data.last_ago),
        (Seconds(33.0), Seconds(1.0))
    );
    assert_eq!(data.std_dev, Seconds(3e-6));
    let tracking = stats.tracking().unwrap();
    assert_eq!(
        (tracking.offset, tracking.offset_sd, tracking.freq),
        (Seconds(4e-3), Seconds(1e-4), FreqRatio(1e-6))
    );
    let question = PollQuestion {
        error: Seconds(1.0),
        distance: Seconds(0.0),
        target: 8,
        poll: 6,
        limits: (4, 9),
        score: 0.25,
    };
    assert!((stats.poll_score(&question) - 3.25).abs() < 1e-12);
    stats.slew(at(70.0), FreqRatio(0.0), Seconds(0.5));
    stats.correct_offset(Seconds(0.25));
    stats.add_dispersion(Seconds(0.125));
    let dump = stats.dump().unwrap();
    assert!(dump.starts_with("5 -17\n"), "{dump}");

    let mut again = with(64);
    let mut lines = dump.lines();
    again.load(&mut lines, at(100.0), ERA_S).unwrap();
    assert_eq!(again.report(at(64.0)).samples, 5);
    again.reset();
    assert_eq!(again.report(at(64.0)).samples, 0);
    let calls = calls.take();
    assert_eq!(
        calls,
        [
            "update 1",
            "update 2",
            "update 3",
            "update 4",
            "update 5",
            "slew 0.5",
            "correct 0.25",
            "disperse 0.125",
            "reset",
            "load -17 of 5",
            "reset"
        ]
    );
}

#[test]
fn an_estimate_beside_its_samples_has_a_larger_bound() {
    let stats = source(8);
    let tracking = stats.tracking().unwrap();
    let beside = |by_s: f64| Line {
        time: tracking.ref_time,
        offset: tracking.offset + Seconds(by_s),
        freq: tracking.freq,
    };
    // The delays are all the same and the samples within 1 us of the line.
    let near = stats.best_bound(&beside(0.0)).0;
    assert!(near >= tracking.root_delay.0 * 0.5);
    for by_s in [-1e-3, 1e-3] {
        for bound in [
            stats.best_bound(&beside(by_s)),
            stats.limits(&beside(by_s)).bound(),
        ] {
            assert!((bound.0 - near - 1e-3).abs() < 1e-5, "{bound:?}, {near}");
        }
    }
    assert_eq!(source(0).best_bound(&beside(0.0)), Seconds::ZERO);
    assert!(!source(0).limits(&beside(0.0)).bound().is_finite());
}
