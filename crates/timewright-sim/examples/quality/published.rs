//! The three tests that chrony's project publishes, rebuilt.

use crate::{Effort, Failure};
use timewright_sim::figures::Figures;
use timewright_sim::plot::{LineChart, Series};
use timewright_sim::{ClockModel, Link, Pass, Scenario};

/// Where the published figures are from.
pub(crate) const ORIGIN: &str = "https://chrony-project.org/comparison.html";

/// Mean and standard deviation, microseconds.
pub(crate) type Spread = (f64, f64);

/// A published test.
pub(crate) struct Test {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    /// Options of the source.
    options: &'static str,
    wander: f64,
    pass: Pass,
    length_s: f64,
    settle_s: f64,
    /// Jitter in seconds; published figures of chrony, ntp and openntpd.
    rows: [(f64, Spread, Spread, Option<Spread>); 4],
}

pub(crate) const TESTS: [Test; 3] = [
    Test {
        title: "Test 1: permanent connection, stable clock",
        about: "One server, default polling, wander 1 ppb.",
        options: "",
        wander: 1e-9,
        pass: Pass::Always,
        length_s: 400_000.0,
        settle_s: 40_000.0,
        rows: [
            (1e-5, (35.0, 8.0), (234.0, 46.0), Some((857.0, 226.0))),
            (1e-4, (109.0, 14.0), (256.0, 50.0), Some((888.0, 221.0))),
            (1e-3, (475.0, 93.0), (454.0, 94.0), Some((980.0, 262.0))),
            (
                1e-2,
                (1603.0, 447.0),
                (3665.0, 651.0),
                Some((2014.0, 387.0)),
            ),
        ],
    },
    Test {
        title: "Test 2: permanent connection, less stable clock",
        about: "One server, polled every 64 s, wander 10 ppb.",
        options: "minpoll 6 maxpoll 6",
        wander: 1e-8,
        pass: Pass::Always,
        length_s: 400_000.0,
        settle_s: 20_000.0,
        rows: [
            (1e-5, (14.0, 0.0), (165.0, 17.0), None),
            (1e-4, (56.0, 3.0), (167.0, 18.0), None),
            (1e-3, (229.0, 15.0), (217.0, 17.0), None),
            (1e-2, (750.0, 91.0), (1467.0, 100.0), None),
        ],
    },
    Test {
        title: "Test 3: intermittent connection",
        about: "As test 1, but the network is there for 30 minutes of every 24 hours only.",
        options: "",
        wander: 1e-9,
        pass: Pass::Window {
            period_s: 86_400.0,
            open_s: 1800.0,
        },
        length_s: 2_592_000.0,
        settle_s: 259_200.0,
        rows: [
            (
                1e-5,
                (7273.0, 1744.0),
                (608_803.0, 510_468.0),
                Some((170_583.0, 140_321.0)),
            ),
            (
                1e-4,
                (9528.0, 1895.0),
                (580_679.0, 481_379.0),
                Some((160_203.0, 112_421.0)),
            ),
            (
                1e-3,
                (10_706.0, 2521.0),
                (1_115_961.0, 733_914.0),
                Some((168_645.0, 126_309.0)),
            ),
            (
                1e-2,
                (26_105.0, 70_408.0),
                (897_703.0, 847_901.0),
                Some((285_437.0, 295_667.0)),
            ),
        ],
    },
];

/// One row of a test with our figures in front.
pub(crate) struct Row {
    pub(crate) jitter_s: f64,
    pub(crate) ours: Spread,
    pub(crate) chrony: Spread,
    pub(crate) ntp: Spread,
    pub(crate) openntpd: Option<Spread>,
}

/// The rows of every test.
pub(crate) type Outcome = Vec<Vec<Row>>;

pub(crate) fn run(effort: Effort) -> Result<Outcome, Failure> {
    TESTS
        .iter()
        .map(|test| {
            let rows = test.rows.iter();
            rows.map(|&(jitter_s, chrony, ntp, openntpd)| {
                Ok(Row {
                    jitter_s,
                    ours: simulate(test, jitter_s, effort)?,
                    chrony,
                    ntp,
                    openntpd,
                })
            })
            .collect()
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a number of runs")]
fn simulate(test: &Test, jitter_s: f64, effort: Effort) -> Result<Spread, Failure> {
    let clock = ClockModel {
        offset_s: 0.1,
        freq_ppm: 100.0,
        wander: test.wander,
        ..ClockModel::default()
    };
    let link = Link {
        pass: test.pass,
        ..Link::exponential(1e-4, jitter_s)
    };
    let (length_s, settle_s) = (test.length_s * effort.length, test.settle_s * effort.length);
    let scenario = Scenario::new()
        .node("s", "local stratum 1\nallow\n")
        .node("c", &format!("server s {}\n", test.options))
        .clock("c", clock)
        .link_all(link)
        .observe_only(&["c"])
        .sample_every(test.length_s / 40_000.0);
    let mut values = Vec::new();
    for seed in 1..=effort.runs {
        let figures = Figures::of(&scenario.run(seed, length_s)?, "c", settle_s);
        values.push(figures.rms_offset_s * 1e6);
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    Ok((mean, (squares / (count - 1.0)).sqrt()))
}

/// The file with the chart of a test, by its index.
pub(crate) fn picture(index: usize) -> String {
    format!("published-{}.svg", index + 1)
}

/// The charts with the names of their files.
pub(crate) fn charts(outcome: &Outcome) -> Vec<(String, LineChart)> {
    let chart = |(index, (test, rows)): (usize, (&Test, &Vec<Row>))| {
        let line = |name: &str, colour, dashed, y: fn(&Row) -> f64| Series {
            name: name.to_owned(),
            colour,
            dashed,
            points: rows
                .iter()
                .map(|row| (row.jitter_s, y(row) * 1e-6))
                .collect(),
        };
        let mut series = vec![
            line("timewright", "#1f4e9c", false, |row| row.ours.0),
            line("chrony 4.2", "#c0392b", true, |row| row.chrony.0),
            line("ntp 4.2.8p15", "#e08214", true, |row| row.ntp.0),
        ];
        if rows.iter().any(|row| row.openntpd.is_some()) {
            series.push(line("openntpd 6.2p3", "#7f7f7f", true, |row| {
                row.openntpd.map_or(f64::NAN, |spread| spread.0)
            }));
        }
        let chart = LineChart {
            title: test.title.to_owned(),
            x_name: "network jitter",
            y_name: "RMS offset",
            series,
        };
        (picture(index), chart)
    };
    TESTS.iter().zip(outcome).enumerate().map(chart).collect()
}
