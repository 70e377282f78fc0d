//! `timewright-sim`: what accuracy will this `chrony.conf` give on this network?
//!
//! Reads a scenario file, runs it with one or more seeds and prints a table of figures for every
//! client; plots and raw data on demand. All input and output of the simulator is here. Exit
//! status: 0, 1 if something that must hold did not or a file could not be written, 2 if the
//! command line or the scenario is wrong.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use timewright_sim::figures::Figures;
use timewright_sim::file::ScenarioFile;
use timewright_sim::plot::{HostSeries, over_time};
use timewright_sim::table::{self, Run};

const USAGE: &str = "\
Usage: timewright-sim FILE [OPTION]...

Simulates the hosts and the network that FILE describes and prints how well the clocks of the
clients were kept. Equal seeds give equal results.

  --seed N       the (first) seed; 1 unless given
  --seeds K      so many runs with successive seeds; figures are medians with their ranges
  --svg OUT      draw offset, bound and frequency error of the first run
  --csv OUT      write the figures of every run
  --series OUT   write every observation of the first run, as CSV
  --log HOST     print the messages of this host's daemon in the first run
  --help         print this
";

/// Runs with different seeds, at most.
const SEEDS_MAX: u64 = 10_000;

struct Options {
    file: String,
    seed: u64,
    seeds: u64,
    svg: Option<String>,
    csv: Option<String>,
    series: Option<String>,
    log: Option<String>,
}

/// Why it ends early.
enum Failure {
    /// The user has to change something.
    Usage(String),
    /// The simulation or the output failed.
    Run(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match options(&arguments).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => {
            eprintln!("timewright-sim: {why}");
            ExitCode::from(2)
        }
        Err(Failure::Run(why)) => {
            eprintln!("timewright-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        file: String::new(),
        seed: 1,
        seeds: 1,
        svg: None,
        csv: None,
        series: None,
        log: None,
    };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || {
            let missing = || Failure::Usage(format!("{word} needs a value"));
            rest.next().cloned().ok_or_else(missing)
        };
        match word.as_str() {
            "--seed" => options.seed = number(word, &value()?, 0, u64::MAX - SEEDS_MAX)?,
            "--seeds" => options.seeds = number(word, &value()?, 1, SEEDS_MAX)?,
            "--svg" => options.svg = Some(value()?),
            "--csv" => options.csv = Some(value()?),
            "--series" => options.series = Some(value()?),
            "--log" => options.log = Some(value()?),
            option if option.starts_with('-') => {
                return Err(Failure::Usage(format!("no option {option}\n\n{USAGE}")));
            }
            file if options.file.is_empty() => file.clone_into(&mut options.file),
            file => {
                let why = format!("one scenario at a time, not {file} too\n\n{USAGE}");
                return Err(Failure::Usage(why));
            }
        }
    }
    if options.file.is_empty() {
        return Err(Failure::Usage(format!("no scenario file\n\n{USAGE}")));
    }
    Ok(options)
}

fn number(option: &str, word: &str, min: u64, max: u64) -> Result<u64, Failure> {
    word.parse()
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| {
            let why = format!("{option} takes a whole number from {min} to {max}, not {word}");
            Failure::Usage(why)
        })
}

/// The file that [`ScenarioFile::parse`] asks for.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| error.to_string())
}

fn run(options: &Options) -> Result<(), Failure> {
    let path = &options.file;
    let text = read(Path::new(path)).map_err(|why| Failure::Usage(format!("{path}: {why}")))?;
    let scenario = ScenarioFile::parse(path, &text, &read)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    if let Some(host) = &options.log
        && !scenario.hosts().any(|name| name == host)
    {
        return Err(Failure::Usage(format!("{path} has no host {host}")));
    }
    for note in &scenario.notes {
        eprintln!("note: {note}");
    }
    let mut runs = Vec::new();
    let mut log = String::new();
    let mut violated = 0;
    for seed in options.seed..options.seed + options.seeds {
        let again = Again { path, seed };
        let report = scenario.run(seed);
        for violation in report.world.violations() {
            eprintln!("violation: {violation}");
        }
        if !report.world.violations().is_empty() {
            violated += 1;
            again.say();
        }
        if seed == options.seed {
            let hosts = || {
                let names = scenario.shown.iter();
                names.map(|host| (host.as_str(), report.observations(host)))
            };
            if let Some(out) = &options.svg {
                let drawn: Vec<HostSeries<'_>> = hosts()
                    .map(|(host, observations)| HostSeries { host, observations })
                    .collect();
                let title = scenario.heading(seed);
                let svg = over_time(&title, scenario.length_s, scenario.settle_s, &drawn);
                write(out, &svg)?;
            }
            if let Some(out) = &options.series {
                write(out, &table::series(hosts()))?;
            }
            if let Some(host) = &options.log {
                log = report.log_text(host);
            }
        }
        let figures = scenario.shown.iter();
        let figures = figures.map(|host| Figures::of(&report, host, scenario.settle_s));
        runs.push(Run {
            seed,
            figures: figures.collect(),
        });
    }
    if let Some(out) = &options.csv {
        write(out, &table::csv(&scenario, &runs))?;
    }
    let mut text = table::table(&scenario, &runs);
    if let Some(host) = &options.log {
        text.push_str(&format!(
            "\nMessages of {host}, seed {}:\n{log}",
            options.seed
        ));
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::Run(format!("standard output: {error}")))?;
    if violated > 0 {
        let what = "something that must always hold did not, please report it";
        return Err(Failure::Run(format!("{what} ({violated} runs)")));
    }
    Ok(())
}

/// Says how to run a seed again, also when the simulation panics.
struct Again<'a> {
    path: &'a str,
    seed: u64,
}

impl Again<'_> {
    fn say(&self) {
        eprintln!("again: timewright-sim {} --seed {}", self.path, self.seed);
    }
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.say();
        }
    }
}

fn write(path: &str, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::Run(format!("{path}: {error}")))
}
