//! The claimed root distance covers the true error, and is not much larger than it has to be:
//! compared with chrony 4.8 on the same networks.
//!
//! The table of chrony 4.8 has 240 networks. On those of `bounds-uncovered.txt` ours
//! does not cover the error for 99.9 % of the time: the frequency wanders by more than
//! `maxclockerror` between two polls, or so slowly that it hides in the noise of the samples. One
//! rule for all networks with the allowed mean size was not found that does; on some of them alone
//! a larger bound would. There it has to cover the error for no less of the time than that of
//! chrony 4.8, measured on the same networks.
//! [`a_part_of_the_networks`] runs some of them. All:
//!
//! ```text
//! cargo test --profile sim -p timewright-sim --test bounds -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a wrong configuration fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

mod common;

use common::{clock, servers_with};
use timewright_sim::Link;

const TABLE: &str = include_str!("data/bounds-chrony-4.8.txt");
const UNCOVERED: &str = include_str!("data/bounds-uncovered.txt");
/// How much larger than that of chrony 4.8 the mean may be. Three seeds of ours scatter by less
/// than 10 %.
const LARGER_MAX: f64 = 1.2;
/// Share of the time in which it has to cover the error, where that is possible.
const COVERED_MIN: f64 = 0.999;
const SEEDS: [u64; 3] = [1, 2, 3];

struct Cell {
    servers: usize,
    poll: &'static str,
    jitter_s: f64,
    delay_s: f64,
    wander: f64,
    length_s: f64,
    cut_s: f64,
    mean_s: f64,
    /// Share of the time in which the bound has to cover the error.
    covered_min: f64,
    line: &'static str,
}

/// Share of the time in which the bound of chrony 4.8 covers the error on a network where ours
/// cannot for [`COVERED_MIN`]; `name` is the network's first words in both tables.
fn covered_by_chrony(name: &str) -> Option<f64> {
    let mut rows = UNCOVERED.lines().filter(|line| !line.starts_with('#'));
    let row = rows.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(row.split(' ').next().unwrap().parse().unwrap())
}

fn cells() -> Vec<Cell> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let words: Vec<&'static str> = line.split(' ').collect();
        let number = |i: usize| -> f64 { words[i].parse().unwrap() };
        Cell {
            servers: words[0].parse().unwrap(),
            poll: words[1],
            jitter_s: number(2),
            delay_s: number(3),
            wander: number(4),
            length_s: number(5),
            cut_s: number(6),
            mean_s: number(7),
            covered_min: covered_by_chrony(&words[..5].join(" ")).unwrap_or(COVERED_MIN),
            line,
        }
    })
    .collect()
}

/// Mean bound over that of chrony 4.8, and the share of the time in which it covered the error;
/// medians.
fn run(cell: &Cell) -> (f64, f64) {
    let options = match cell.poll {
        "default" => String::new(),
        poll => format!("minpoll {poll} maxpoll {poll}"),
    };
    let mut means = Vec::new();
    let mut covered = Vec::new();
    for seed in SEEDS {
        let report = servers_with(cell.servers, &options, "")
            .clock("c", clock(0.1, 100.0, cell.wander))
            .link_all(Link::exponential(cell.delay_s, cell.jitter_s))
            .sample_every((cell.length_s / 40_000.0).max(0.1))
            .observe_only(&["c"])
            .forget_packets()
            .run(seed, cell.length_s)
            .unwrap();
        let seen = report.summary("c", cell.cut_s);
        means.push(seen.mean_bound_s / cell.mean_s);
        covered.push(seen.covered);
    }
    means.sort_by(f64::total_cmp);
    covered.sort_by(f64::total_cmp);
    (means[1], covered[1])
}

fn check<'a>(cells: impl Iterator<Item = &'a Cell>) {
    let mut wrong = Vec::new();
    let mut uncovered = 0;
    let mut log_sum = 0.0;
    let mut count = 0;
    for cell in cells {
        let (ratio, covered) = run(cell);
        println!("{} : {ratio:.3} covered {covered:.5}", cell.line);
        if ratio > LARGER_MAX || covered < cell.covered_min {
            wrong.push(format!("{}: {ratio:.3}, covered {covered:.5}", cell.line));
        }
        uncovered += i32::from(covered < COVERED_MIN);
        log_sum += ratio.ln();
        count += 1;
    }
    println!(
        "geometric mean {:.3}; {uncovered} of {count} below {COVERED_MIN}",
        (log_sum / f64::from(count)).exp()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_a_network_of_the_table() {
    let listed = UNCOVERED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    let found = cells()
        .iter()
        .filter(|c| c.covered_min < COVERED_MIN)
        .count();
    assert_eq!(found, listed);
}

/// Every thirteenth network: all jitters, wanders and polls are among them.
#[test]
fn a_part_of_the_networks() {
    check(cells().iter().step_by(13));
}

#[test]
#[ignore = "takes a minute or more; the other tests run a part"]
fn all_networks() {
    check(cells().iter());
}
