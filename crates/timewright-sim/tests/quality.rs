//! Clock quality as a table: how well a client keeps time over jitter, wander and poll.
//!
//! A run is deterministic, but anything that draws one random number more makes another run of it,
//! and medians of three seeds scatter by 10 to 20 %. So a cell may move by the factors in
//! [`COLUMNS`], the geometric mean of a column by less. Regenerate the table with
//!
//! ```text
//! TIMEWRIGHT_BLESS=1 cargo test -p timewright-sim --test quality
//! ```
//!
//! and look at what moved; for more seeds and other daemons there is the example `compare`.
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]

mod common;

use common::{clock, servers_with};
use std::fmt::Write as _;
use timewright_sim::Link;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quality.txt");
const BLESS: &str = "TIMEWRIGHT_BLESS";
const SEEDS: [u64; 3] = [1, 2, 3];

/// One run: RMS offset, RMS frequency, seconds to 1 ms, packets.
type Row = [f64; 4];

struct Mode {
    name: &'static str,
    options: &'static str,
    length_s: f64,
    cut_s: f64,
}

const MODES: [Mode; 3] = [
    Mode {
        name: "default",
        options: "iburst",
        length_s: 40_000.0,
        cut_s: 4000.0,
    },
    Mode {
        name: "6",
        options: "iburst minpoll 6 maxpoll 6",
        length_s: 40_000.0,
        cut_s: 4000.0,
    },
    Mode {
        name: "0",
        options: "iburst minpoll 0 maxpoll 0",
        length_s: 2000.0,
        cut_s: 200.0,
    },
];

fn run(mode: &Mode, jitter_s: f64, wander: f64, seed: u64) -> Row {
    let report = servers_with(1, mode.options, "")
        .clock("c", clock(0.1, 100.0, wander))
        .link_all(Link::exponential(1e-4, jitter_s))
        .sample_every(mode.length_s / 20_000.0)
        .run(seed, mode.length_s)
        .unwrap();
    let seen = report.summary("c", mode.cut_s);
    let settled = report.settled_after("c", f64::max(1e-3, 20.0 * jitter_s), 1.0);
    let sent = u32::try_from(report.node("c").sent).unwrap();
    [
        seen.rms_offset_s,
        seen.rms_freq,
        settled.unwrap_or(f64::INFINITY),
        f64::from(sent),
    ]
}

fn median(rows: &[Row], column: usize) -> f64 {
    let mut values: Vec<f64> = rows.iter().filter_map(|r| r.get(column)).copied().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap()
}

fn table() -> String {
    let mut text = "\
# One perfect server, path of 100 us and exponential jitter each way; client 0.1 s and 100 ppm wrong
# with random-walk frequency, iburst, no steps. Medians over three seeds after a tenth of the run.
# Time to settle: when the offset has come to stay below 1 ms (or 20 times the jitter, if larger).
poll     jitter/s  wander   rms offset/s  rms frequency  settled/s  packets
"
    .to_owned();
    for mode in &MODES {
        for jitter_s in [1e-6, 1e-5, 1e-4, 1e-3] {
            for wander in [1e-9, 1e-8] {
                let rows: Vec<Row> = SEEDS
                    .iter()
                    .map(|&seed| run(mode, jitter_s, wander, seed))
                    .collect();
                writeln!(
                    text,
                    "{:8} {jitter_s:<9.0e} {wander:<8.0e} {:<13.2e} {:<14.2e} {:<10} {}",
                    mode.name,
                    median(&rows, 0),
                    median(&rows, 1),
                    median(&rows, 2),
                    median(&rows, 3),
                )
                .unwrap();
            }
        }
    }
    text
}

/// What is compared: the column's name and number, by which factor a cell may move, and by which
/// the geometric mean of all cells.
const COLUMNS: [(&str, usize, f64, f64); 4] = [
    ("rms offset", 3, 1.6, 1.1),
    // Rare large corrections make up most of it.
    ("rms frequency", 4, 3.0, 1.3),
    ("settled", 5, 2.0, 1.3),
    ("packets", 6, 1.5, 1.1),
];

fn cells(table: &str, column: usize) -> Vec<f64> {
    let rows = table.lines().filter(|l| !l.starts_with('#')).skip(1);
    rows.map(|row| {
        let field = row.split_whitespace().nth(column).unwrap();
        field.parse().unwrap()
    })
    .collect()
}

#[test]
fn table_is_as_recorded() {
    let now = table();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(TABLE, &now).unwrap();
    }
    let recorded = std::fs::read_to_string(TABLE).unwrap();
    assert_eq!(now.lines().count(), recorded.lines().count());
    for (name, column, cell_factor, mean_factor) in COLUMNS {
        let (now_values, recorded_values) = (cells(&now, column), cells(&recorded, column));
        let moved: Vec<f64> = now_values
            .iter()
            .zip(&recorded_values)
            .map(|(a, b)| (a / b).ln())
            .collect();
        let count = f64::from(u32::try_from(moved.len()).unwrap());
        let mean = moved.iter().sum::<f64>() / count;
        let most = moved.iter().fold(0f64, |most, m| most.max(m.abs()));
        assert!(
            mean.abs() <= mean_factor.ln() && most <= cell_factor.ln(),
            "{name} moved by {:.2} in the mean, {:.2} at most:\n{now}",
            mean.exp(),
            most.exp()
        );
    }
}
