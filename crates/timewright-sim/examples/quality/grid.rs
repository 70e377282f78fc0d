//! The grid: one server, network jitter, wander of the clock and polling interval.

use crate::{Effort, Failure, Record};
use timewright_sim::figures::{Figures, median};
use timewright_sim::plot::{LineChart, Series};
use timewright_sim::{ClockModel, Link, Scenario};

/// A way to poll, and how long it is watched.
pub(crate) struct Mode {
    /// Its name in the file of the reference's figures.
    pub(crate) name: &'static str,
    /// On the page.
    pub(crate) title: &'static str,
    /// Options of the source.
    options: &'static str,
    length_s: f64,
    settle_s: f64,
}

pub(crate) const MODES: [Mode; 4] = [
    Mode {
        name: "default",
        title: "default poll (6 to 10)",
        options: "",
        length_s: 400_000.0,
        settle_s: 40_000.0,
    },
    Mode {
        name: "6",
        title: "poll 6 (64 s)",
        options: "minpoll 6 maxpoll 6",
        length_s: 400_000.0,
        settle_s: 20_000.0,
    },
    Mode {
        name: "4",
        title: "poll 4 (16 s)",
        options: "minpoll 4 maxpoll 4",
        length_s: 150_000.0,
        settle_s: 10_000.0,
    },
    Mode {
        name: "0",
        title: "poll 0 (1 s)",
        options: "minpoll 0 maxpoll 0",
        length_s: 20_000.0,
        settle_s: 2000.0,
    },
];

/// Wander with its colour in plots.
const WANDERS: [(&str, &str); 4] = [
    ("1e-10", "#1f77b4"),
    ("1e-9", "#2ca02c"),
    ("1e-8", "#e08214"),
    ("1e-7", "#c0392b"),
];
const JITTERS: [&str; 5] = ["1e-6", "1e-5", "1e-4", "1e-3", "1e-2"];
/// Delay of the empty path, seconds each way.
const DELAY_S: f64 = 1e-4;

/// What is compared: RMS offset, RMS frequency error, packets.
pub(crate) type Compared = [f64; 3];

/// Medians over the seeds of one cell.
pub(crate) struct Cell {
    pub(crate) mode: usize,
    pub(crate) wander: &'static str,
    pub(crate) jitter: &'static str,
    pub(crate) ours: Compared,
    pub(crate) theirs: Compared,
    pub(crate) to_1ms_s: f64,
    pub(crate) to_100us_s: f64,
    pub(crate) bound_s: f64,
}

impl Cell {
    /// Ours to theirs.
    pub(crate) fn ratios(&self) -> Compared {
        let [a, b, c] = self.ours;
        let [x, y, z] = self.theirs;
        [a / x, b / y, c / z]
    }
}

pub(crate) struct Grid {
    pub(crate) cells: Vec<Cell>,
}

/// Runs all cells; `reference` is the file of the reference's figures.
pub(crate) fn run(reference: &str, effort: Effort) -> Result<Grid, Failure> {
    let mut cells = Vec::new();
    // Every cell has seeds of its own: what is rare in one of them does not come in all.
    let mut seeds = 1..;
    for (index, mode) in MODES.iter().enumerate() {
        for (wander, _) in WANDERS {
            for jitter in JITTERS {
                let theirs = reference_cell(reference, mode, wander, jitter)?;
                let runs = seeds
                    .by_ref()
                    .take(effort.seeds)
                    .map(|seed| simulate(mode, wander, jitter, seed, effort.length))
                    .collect::<Result<Vec<Figures>, Failure>>()?;
                let of =
                    |get: fn(&Figures) -> f64| median(&runs.iter().map(get).collect::<Vec<f64>>());
                cells.push(Cell {
                    mode: index,
                    wander,
                    jitter,
                    ours: [of(|f| f.rms_offset_s), of(|f| f.rms_freq), of(|f| f.sent)],
                    theirs,
                    to_1ms_s: of(|f| f.to_1ms_s),
                    to_100us_s: of(|f| f.to_100us_s),
                    bound_s: of(|f| f.mean_bound_s),
                });
            }
        }
    }
    Ok(Grid { cells })
}

/// Medians of the reference over its seeds.
fn reference_cell(
    text: &str,
    mode: &Mode,
    wander: &str,
    jitter: &str,
) -> Result<Compared, Failure> {
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for record in Record::all(text) {
        let here = record.text("poll")? == mode.name
            && record.text("wander")? == wander
            && record.text("jitter_s")? == jitter;
        if here {
            let names = ["rms_offset_s", "rms_freq", "packets_sent"];
            for (column, name) in columns.iter_mut().zip(names) {
                column.push(record.number(name)?);
            }
        }
    }
    Ok(columns.map(|column| median(&column)))
}

fn simulate(
    mode: &Mode,
    wander: &str,
    jitter: &str,
    seed: u64,
    length: f64,
) -> Result<Figures, Failure> {
    let clock = ClockModel {
        offset_s: 0.1,
        freq_ppm: 100.0,
        wander: wander.parse()?,
        ..ClockModel::default()
    };
    let (length_s, settle_s) = (mode.length_s * length, mode.settle_s * length);
    let report = Scenario::new()
        .node("s", "local stratum 1\nallow\n")
        .node("c", &format!("server s {}\n", mode.options))
        .clock("c", clock)
        .link_all(Link::exponential(DELAY_S, jitter.parse()?))
        .observe_only(&["c"])
        .sample_until(settle_s, 1.0)
        .sample_every(f64::max(1.0, mode.length_s / 40_000.0))
        .run(seed, length_s)?;
    Ok(Figures::of(&report, "c", settle_s))
}

impl Grid {
    /// The cells of a mode.
    pub(crate) fn of(&self, mode: usize) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.mode == mode)
    }

    /// RMS offset over jitter, ours and theirs, one chart per mode with its file's name.
    pub(crate) fn charts(&self) -> Vec<(String, LineChart)> {
        let chart = |(index, mode): (usize, &Mode)| {
            let mut series = Vec::new();
            for (wander, colour) in WANDERS {
                for (who, dashed) in [("", false), (" (4.8)", true)] {
                    let cells = self.of(index).filter(|cell| cell.wander == wander);
                    let points = cells.map(|cell| {
                        let [y, ..] = if dashed { cell.theirs } else { cell.ours };
                        (cell.jitter.parse().unwrap_or(f64::NAN), y)
                    });
                    series.push(Series {
                        name: format!("wander {wander}{who}"),
                        colour,
                        dashed,
                        points: points.collect(),
                    });
                }
            }
            let chart = LineChart {
                title: format!("RMS offset, {}", mode.title),
                x_name: "network jitter",
                y_name: "RMS offset",
                series,
            };
            (picture(mode), chart)
        };
        MODES.iter().enumerate().map(chart).collect()
    }
}

/// The file with a mode's chart.
pub(crate) fn picture(mode: &Mode) -> String {
    format!("poll-{}.svg", mode.name)
}
