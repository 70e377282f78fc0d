//! Runs random simulations that try to break what must hold; see `cargo xtask adversary`.
//!
//! ```text
//! adversary --seed N                  one run: what was drawn, all messages, what did not hold
//! adversary --runs N [--from SEED]    many, until --violations M (default 20) were found
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;
use timewright_sim::adversary::{Coverage, Kind, Outcome, draw};
use timewright_sim::{NodeId, Violation};

/// One run in so many is repeated, to see that it gives the same bits.
const REPEATED: u64 = 8;
/// First words of the line that says how to run a seed again.
const AGAIN: &str = "again: cargo xtask adversary --seed";

struct Wanted {
    seed: Option<u64>,
    runs: u64,
    from: u64,
    violations: usize,
}

fn wanted() -> Option<Wanted> {
    let mut wanted = Wanted {
        seed: None,
        runs: 1000,
        from: 1,
        violations: 20,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number: u64 = words.next()?.parse().ok()?;
        match word.as_str() {
            "--seed" => wanted.seed = Some(number),
            "--runs" => wanted.runs = number,
            "--from" => wanted.from = number,
            "--violations" => wanted.violations = usize::try_from(number).ok()?,
            _ => return None,
        }
    }
    Some(wanted)
}

fn main() -> ExitCode {
    let Some(wanted) = wanted() else {
        eprintln!("usage: adversary --seed N | --runs N [--from SEED] [--violations M]");
        return ExitCode::from(2);
    };
    let found = match wanted.seed {
        Some(seed) => single(seed),
        None => many(&wanted),
    };
    if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs a seed so that an end by panic is reproducible too.
fn run(seed: u64) -> Outcome {
    let _again = Again(seed);
    draw(seed).run()
}

/// Says how to run a seed again when the thread panics.
struct Again(u64);

impl Drop for Again {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{AGAIN} {}", self.0);
        }
    }
}

fn single(seed: u64) -> bool {
    println!("{}\n", draw(seed));
    let outcome = run(seed);
    let names = (0..).map_while(|n| outcome.report.world.node(NodeId(n)));
    for node in names {
        println!("--- {}", node.name());
        for line in &node.log {
            println!("{:10.3} {}", line.at_s, line.event);
        }
    }
    println!("\n{:?}, digest {:016x}", outcome.coverage, outcome.digest);
    report(&outcome.violations);
    !outcome.violations.is_empty()
}

fn many(wanted: &Wanted) -> bool {
    let start = Instant::now();
    let mut coverage = Coverage::default();
    let mut bad = 0;
    let mut drawn = [0; 5];
    let mut done = 0;
    let mut simulated_s = 0.0;
    for seed in wanted.from..wanted.from.saturating_add(wanted.runs) {
        let draft = draw(seed);
        let kind = match draft.kind {
            Kind::Honest => 0,
            Kind::Disturbed => 1,
            Kind::Liars => 2,
            Kind::Steady => 3,
            Kind::Chaos => 4,
        };
        if let Some(count) = drawn.get_mut(kind) {
            *count += 1;
        }
        simulated_s += draft.length_s;
        let mut outcome = run(seed);
        done += 1;
        if seed % REPEATED == 0 {
            let again = run(seed).digest;
            if again != outcome.digest {
                outcome.violations.push(Violation {
                    seed,
                    at_s: draft.length_s,
                    host: String::new(),
                    rule: "same bits",
                    detail: format!("{again:016x} after {:016x}", outcome.digest),
                });
            }
        }
        coverage.add(&outcome.coverage);
        if !outcome.violations.is_empty() {
            bad += 1;
            report(&outcome.violations);
            println!("{AGAIN} {seed}   (run {done})");
            if bad >= wanted.violations {
                break;
            }
        }
    }
    let [honest, disturbed, liars, steady, chaos] = drawn;
    println!(
        "{done} runs from seed {} ({honest} honest, {disturbed} disturbed, {liars} with liars, \
         {steady} steady, {chaos} chaotic; {:.1} days simulated) in {:.1} s: {bad} with violations; bounds covered \
         {:.5} of {} observations",
        wanted.from,
        simulated_s / 86_400.0,
        start.elapsed().as_secs_f64(),
        coverage.share(),
        coverage.seen,
    );
    let enough = coverage.is_enough();
    if !enough {
        println!("bounds covered too little of the time");
    }
    bad > 0 || !enough
}

/// Prints the first violation of every rule.
fn report(violations: &[Violation]) {
    let mut rules = Vec::new();
    for violation in violations {
        if !rules.contains(&violation.rule) {
            rules.push(violation.rule);
            println!("{violation}");
        }
    }
}
