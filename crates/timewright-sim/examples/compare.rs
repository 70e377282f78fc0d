//! Clock quality beside that of another daemon.
//!
//! ```text
//! cargo run --release -p timewright-sim --example compare -- CSV [SEEDS [FILTER]]
//! ```
//!
//! CSV has a header and one line per run of the other daemon in a simulation of the same network,
//! with at least the columns `servers`, `poll` (`default` or a fixed log2), `base_delay_s`,
//! `wander`, `jitter_s`, `length_s`, `cut_s`, `rms_offset_s`, `rms_freq` and `packets_sent`. Every
//! cell of its grid whose name contains FILTER is simulated here with SEEDS seeds; medians and
//! their ratios are printed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;
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

/// Length, cut, RMS offset, RMS frequency, packets.
type Row = [f64; 5];
type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .ok_or("usage: compare CSV [SEEDS [FILTER]]")?;
    let seeds: u64 = arguments.next().map_or(Ok(3), |n| n.parse())?;
    let filter = arguments.next().unwrap_or_default();
    for (cell, rows) in read(&std::fs::read_to_string(path)?)? {
        if cell.to_string().contains(&filter) {
            compare(&cell, &rows, seeds)?;
        }
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
        cells.entry(cell).or_default().push([
            number("length_s")?,
            number("cut_s")?,
            number("rms_offset_s")?,
            number("rms_freq")?,
            number("packets_sent")?,
        ]);
    }
    Ok(cells)
}

fn compare(cell: &Cell, theirs: &[Row], seeds: u64) -> Result<(), Failure> {
    let [length_s, cut_s, their_offset, their_freq, their_packets] = medians(theirs);
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
        ..ClockModel::default()
    };
    let link = Link::exponential(cell.delay.parse()?, cell.jitter.parse()?);
    let scenario = scenario.node("c", &config).clock("c", clock).link_all(link);

    let begin = Instant::now();
    let mut ours: Vec<Row> = Vec::new();
    for seed in 1..=seeds {
        let report = scenario.run(seed, length_s)?;
        let seen = report.summary("c", cut_s);
        let sent = u32::try_from(report.node("c").sent)?;
        ours.push([
            length_s,
            cut_s,
            seen.rms_offset_s,
            seen.rms_freq,
            f64::from(sent),
        ]);
    }
    let wall_s = begin.elapsed().as_secs_f64();
    let [_, _, offset, freq, packets] = medians(&ours);
    println!(
        "{:36} offset {offset:.3e} {:4.2}  frequency {freq:.3e} {:4.2}  packets {packets:6.0} {:4.2}  ({wall_s:.2} s)",
        cell.to_string(),
        offset / their_offset,
        freq / their_freq,
        packets / their_packets,
    );
    Ok(())
}

fn medians(rows: &[Row]) -> Row {
    std::array::from_fn(|column| {
        let mut values: Vec<f64> = rows.iter().filter_map(|r| r.get(column)).copied().collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    })
}
