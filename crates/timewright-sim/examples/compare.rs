//! Clock quality beside that of another daemon, or of another simulator.
//!
//! ```text
//! cargo run --release -p timewright-sim --example compare -- CSV [SEEDS [FILTER]]
//! ```
//!
//! CSV has a header and one line per run in another simulation of the same network, with at least
//! the columns `servers`, `poll` (`default` or a fixed log2), `base_delay_s`, `wander`,
//! `jitter_s`, `length_s`, `cut_s`, `rms_offset_s`, `rms_freq`, `packets_sent`, and `mean_bound_s`
//! if the claimed bound (half the root delay and the root dispersion) was recorded. Every cell of
//! its grid whose name contains FILTER is simulated here with SEEDS seeds (default 5) of its own.
//!
//! Printed for each cell are the geometric mean of the runs here and its ratio to that of CSV with
//! its standard error, from the scatter of the runs of both; then the geometric mean of the
//! ratios of all cells and the cells furthest off. RMS frequencies are made up by few large
//! slews: single runs of one cell scatter by a factor of 1.5.

use std::collections::BTreeMap;
use std::fmt;
use timewright_sim::{ClockModel, Link, Scenario};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    servers: String,
    poll: String,
    delay: String,
    wander: String,
    jitter: String,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            servers,
            poll,
            delay,
            wander,
            jitter,
        } = self;
        write!(f, "s{servers}/p{poll}/d{delay}/w{wander}/j{jitter}")
    }
}

/// What is compared, in the order of the values of a row.
const COLUMNS: [&str; 4] = ["rms_offset_s", "rms_freq", "packets_sent", "mean_bound_s"];
/// Cells shown of each column at the end.
const WORST: usize = 5;

/// One run.
struct Row {
    length_s: f64,
    cut_s: f64,
    values: [f64; COLUMNS.len()],
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("usage: compare CSV [SEEDS [FILTER]]")?;
    let seeds: u64 = arguments.next().map_or(Ok(5), |n| n.parse())?;
    let filter = arguments.next().unwrap_or_default();
    let mut ratios: Vec<(Cell, [Ratio; COLUMNS.len()])> = Vec::new();
    for (cell, theirs) in read(&std::fs::read_to_string(path)?)? {
        if cell.to_string().contains(&filter) {
            let ours = simulate(&cell, &theirs, seeds)?;
            print!("{:36}", cell.to_string());
            let ratio = std::array::from_fn(|column| {
                let (here, there) = (Logs::of(&ours, column), Logs::of(&theirs, column));
                let ratio = Ratio {
                    log: here.mean - there.mean,
                    error: here.error.hypot(there.error),
                };
                let name = COLUMNS.get(column).copied().unwrap_or_default();
                print!("  {name} {:.3e} {ratio}", here.mean.exp());
                ratio
            });
            println!();
            ratios.push((cell, ratio));
        }
    }
    for (column, name) in COLUMNS.iter().enumerate() {
        let of_column = ratios
            .iter()
            .filter_map(|(cell, r)| Some((*r.get(column)?, cell)));
        summarise(name, of_column.filter(|(r, _)| r.log.is_finite()).collect());
    }
    Ok(())
}

fn read(text: &str) -> Result<BTreeMap<Cell, Vec<Row>>, Failure> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().ok_or("no header")?.split(',').collect();
    let mut cells: BTreeMap<Cell, Vec<Row>> = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let text = |name: &str| -> Result<String, Failure> {
            let column = head.iter().position(|h| *h == name);
            let field = column.and_then(|c| fields.get(c));
            Ok((*field.ok_or_else(|| format!("no {name} in {line:?}"))?).to_owned())
        };
        let number = |name: &str| -> Result<f64, Failure> { Ok(text(name)?.parse()?) };
        let cell = Cell {
            servers: text("servers")?,
            poll: text("poll")?,
            delay: text("base_delay_s")?,
            wander: text("wander")?,
            jitter: text("jitter_s")?,
        };
        let has_bound = head.contains(&"mean_bound_s");
        cells.entry(cell).or_default().push(Row {
            length_s: number("length_s")?,
            cut_s: number("cut_s")?,
            values: [
                number("rms_offset_s")?,
                number("rms_freq")?,
                number("packets_sent")?,
                if has_bound {
                    number("mean_bound_s")?
                } else {
                    f64::NAN
                },
            ],
        });
    }
    Ok(cells)
}

fn simulate(cell: &Cell, theirs: &[Row], seeds: u64) -> Result<Vec<Row>, Failure> {
    let first = theirs.first().ok_or("a cell without rows")?;
    let (length_s, cut_s) = (first.length_s, first.cut_s);
    let options = match cell.poll.as_str() {
        "default" => String::new(),
        poll => format!("minpoll {poll} maxpoll {poll}"),
    };
    let mut scenario = Scenario::new();
    let mut config = String::new();
    for i in 1..=cell.servers.parse::<u32>()? {
        scenario = scenario.node(&format!("s{i}"), "local stratum 1\nallow\n");
        config += &format!("server s{i} {options}\n");
    }
    let clock = ClockModel {
        offset_s: 0.1,
        freq_ppm: 100.0,
        wander: cell.wander.parse()?,
        ..ClockModel::PERFECT
    };
    let link = Link::exponential(cell.delay.parse()?, cell.jitter.parse()?);
    let scenario = scenario
        .node("c", &config)
        .clock("c", clock)
        .link_all(link)
        .observe_only(&["c"])
        .forget_packets();
    // Other clocks and delays in every cell, so that what is left of chance averages out.
    let cell_seed = of_name(&cell.to_string());
    (1..=seeds)
        .map(|seed| {
            let report = scenario.run(cell_seed.wrapping_add(seed), length_s)?;
            let seen = report.summary("c", cut_s);
            let sent = f64::from(u32::try_from(report.node("c").sent)?);
            Ok(Row {
                length_s,
                cut_s,
                values: [seen.rms_offset_s, seen.rms_freq, sent, seen.mean_bound_s],
            })
        })
        .collect()
}

/// A number for a name (FNV-1a).
fn of_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Mean of logarithms and its standard error.
#[derive(Clone, Copy)]
struct Logs {
    mean: f64,
    error: f64,
}

impl Logs {
    fn of(rows: &[Row], column: usize) -> Self {
        let values = rows.iter().filter_map(|row| row.values.get(column));
        Self::new(values.map(|v| v.ln()).collect())
    }

    fn new(logs: Vec<f64>) -> Self {
        let count = u32::try_from(logs.len()).map_or(f64::NAN, f64::from);
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        Self {
            mean,
            error: (squares / (count - 1.0) / count).sqrt(),
        }
    }
}

/// Logarithm of a ratio and its standard error.
#[derive(Clone, Copy)]
struct Ratio {
    log: f64,
    error: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}+-{:.3}", self.log.exp(), self.error)
    }
}

fn summarise(name: &str, mut ratios: Vec<(Ratio, &Cell)>) {
    let all = Logs::new(ratios.iter().map(|(ratio, _)| ratio.log).collect());
    let beyond = |limit: f64| {
        ratios
            .iter()
            .filter(|(r, _)| r.log.abs() > limit * r.error)
            .count()
    };
    println!(
        "{name}: geometric mean {} of {} cells, {} beyond two standard errors, {} beyond three, worst:",
        Ratio {
            log: all.mean,
            error: all.error
        },
        ratios.len(),
        beyond(2.0),
        beyond(3.0),
    );
    ratios.sort_by(|a, b| b.0.log.abs().total_cmp(&a.0.log.abs()));
    for (ratio, cell) in ratios.iter().take(WORST) {
        println!("    {ratio}  {cell}");
    }
}
