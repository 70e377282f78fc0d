//! `cargo xtask fuzz [TARGET]... [--seconds N] [--input FILE] [--missed]`: builds the fuzz targets,
//! measures what their seeds reach, and lets libFuzzer look for more.
//!
//! ```text
//! build with sanitizer coverage and source coverage
//!   ─> replay fuzz/corpus/TARGET ─> lines reached, at least 90 % of each parser
//!   ─> libFuzzer for N seconds, two targets at a time ─> executions, lines reached, crashes
//! ```
//!
//! Plain cargo does it: libFuzzer comes with the crate `libfuzzer-sys`, and the instrumentation is
//! a pass of the stable compiler. The one thing beyond a Rust toolchain is a C++ compiler, and
//! rustup's component `llvm-tools` to read the coverage.

mod coverage;
mod target;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};

use crate::shell::{self, cargo, command, root};
use crate::tools::{self, Tool};
use coverage::{Coverage, LlvmTools};
use target::{TARGETS, Target};

/// What libFuzzer runs on: counters of the edges, where they are, and the operands of
/// comparisons. The same as `cargo fuzz` sets, without a sanitizer of memory: all code is safe.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cinstrument-coverage --cfg fuzzing";

const COMPILER: &[Tool] = &[Tool {
    program: "c++",
    package: "g++",
}];

/// Targets that run at the same time.
const PARALLEL: usize = 2;
const SECONDS: u32 = 60;
/// An input that takes longer is a finding.
const TIMEOUT_S: u32 = 10;
/// So is one that takes more memory.
const MEMORY_MB: u32 = 1024;
/// Lines of each parser that the seeds must reach, percent.
const REACHED_MIN: f64 = 90.0;

/// Runs what `args` ask for: by default every target for a minute.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let plan = Plan::parse(args)?;
    tools::need(COMPILER)?;
    build(&plan.targets)?;
    if let Some(input) = &plan.input {
        return reproduce(&plan.targets, input);
    }
    let llvm = LlvmTools::find()?;
    let results = in_parallel(&plan.targets, |target| {
        let result = fuzz(target, plan.seconds, &llvm);
        match &result {
            Ok(report) => println!("{report}"),
            Err(error) => println!("{}: {error:#}\n", target.name),
        }
        (target.name, result)
    });
    if plan.missed {
        for (name, report) in &results {
            if let Ok(report) = report {
                print!(
                    "\n{name}: lines that the seeds do not reach\n{}",
                    report.seeds.missed()
                );
            }
        }
    }
    let failed: Vec<&str> = results
        .iter()
        .filter(|(_, result)| !result.as_ref().is_ok_and(Report::is_enough))
        .map(|(name, _)| *name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// All that the fuzz targets are for a change: formatting, lints and tests of their own workspace,
/// and a minute of every target.
pub(crate) fn check() -> Result<()> {
    for step in [
        &["fmt", "--check"][..],
        &["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"],
        &["test", "--quiet", "--lib"],
    ] {
        let mut cargo = cargo();
        cargo.args(step).current_dir(directory());
        shell::run(cargo.env("CARGO_TARGET_DIR", directory().join("target")))?;
    }
    run(&[])
}

/// What to do.
struct Plan {
    targets: Vec<&'static Target>,
    seconds: u32,
    input: Option<PathBuf>,
    missed: bool,
}

impl Plan {
    fn parse(args: &[String]) -> Result<Self> {
        let mut plan = Self {
            targets: Vec::new(),
            seconds: SECONDS,
            input: None,
            missed: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| anyhow!("{arg} needs a value"));
            match arg.as_str() {
                "--seconds" => {
                    plan.seconds = value()?.parse().context("--seconds needs a number")?
                }
                "--input" => plan.input = Some(std::path::absolute(value()?)?),
                "--missed" => plan.missed = true,
                name => plan.targets.push(Target::find(name)?),
            }
        }
        if plan.targets.is_empty() {
            plan.targets = TARGETS.iter().collect();
        }
        if plan.input.is_some() && plan.targets.len() != 1 {
            bail!("--input needs the one target it is for");
        }
        Ok(plan)
    }
}

fn directory() -> PathBuf {
    root().join("fuzz")
}

/// The triple of this machine; naming it keeps the instrumentation out of build scripts.
fn host() -> Result<String> {
    let version = shell::read(command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

fn build(targets: &[&Target]) -> Result<()> {
    println!("building the fuzz targets");
    let mut build = cargo();
    build.args(["build", "--quiet", "--release"]);
    build
        .arg("--manifest-path")
        .arg(directory().join("Cargo.toml"));
    build.arg("--target-dir").arg(directory().join("target"));
    build.args(["--target", &host()?]);
    for target in targets {
        build.args(["--bin", target.name]);
    }
    build.env("RUSTFLAGS", INSTRUMENTATION);
    build.env_remove("CARGO_ENCODED_RUSTFLAGS");
    shell::run(&mut build)
}

/// Runs one input and shows what the target says.
fn reproduce(targets: &[&Target], input: &Path) -> Result<()> {
    for target in targets {
        let mut replay = command(target.program()?);
        replay.env("LLVM_PROFILE_FILE", target.coverage().join("input.profraw"));
        shell::run(replay.env("RUST_BACKTRACE", "1").arg(input))?;
    }
    Ok(())
}

/// How a target fared.
struct Report {
    name: &'static str,
    seed_count: usize,
    executions: u64,
    per_second: u64,
    /// Lines of the parsers that the seeds reach, and those that the fuzzer has reached since.
    seeds: Coverage,
    reached: Coverage,
}

impl Report {
    fn is_enough(&self) -> bool {
        self.seeds
            .files()
            .all(|(_, lines)| lines.percent() >= REACHED_MIN)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}: {} seeds, {} executions, {} per second",
            self.name, self.seed_count, self.executions, self.per_second
        )?;
        writeln!(f, "  {:50} lines  by seeds    by now", "parser")?;
        for ((file, seeds), (_, reached)) in self.seeds.files().zip(self.reached.files()) {
            let verdict = if seeds.percent() < REACHED_MIN {
                "  TOO FEW"
            } else {
                ""
            };
            writeln!(
                f,
                "  {file:50} {:5} {:8.1} % {:7.1} %{verdict}",
                seeds.total(),
                seeds.percent(),
                reached.percent()
            )?;
        }
        Ok(())
    }
}

fn fuzz(target: &'static Target, seconds: u32, llvm: &LlvmTools) -> Result<Report> {
    for directory in [target.found(), target.artifacts(), target.coverage()] {
        fs::create_dir_all(&directory)
            .with_context(|| format!("could not make {}", directory.display()))?;
    }
    let seeds = inputs(&target.corpus())?;
    if seeds.is_empty() {
        bail!("no seeds in {}", target.corpus().display());
    }
    let by_seeds = replay(target, &seeds, llvm).context("with the seeds")?;
    let log = search(target, seconds)?;
    let found = inputs(&target.found())?;
    let by_all = replay(target, &[seeds.clone(), found].concat(), llvm)?;
    Ok(Report {
        name: target.name,
        seed_count: seeds.len(),
        executions: statistic(&log, "number_of_executed_units")?,
        per_second: statistic(&log, "average_exec_per_sec")?,
        seeds: by_seeds,
        reached: by_all,
    })
}

/// The files of a directory, in order.
fn inputs(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("could not read {}", directory.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

/// Runs inputs one by one and reads which lines they reached.
fn replay(target: &Target, inputs: &[PathBuf], llvm: &LlvmTools) -> Result<Coverage> {
    /// The system limits the length of a command line.
    const BATCH: usize = 1000;
    let program = target.program()?;
    let mut profiles = Vec::new();
    for (number, batch) in inputs.chunks(BATCH).enumerate() {
        let profile = target.coverage().join(format!("{number}.profraw"));
        let mut replay = command(&program);
        replay.arg(limit("timeout", TIMEOUT_S)).args(batch);
        replay.env("LLVM_PROFILE_FILE", &profile);
        shell::read(&mut replay)?;
        profiles.push(profile);
    }
    llvm.lines(&program, &profiles, target.parsers)
}

/// Lets libFuzzer run, and returns what it printed.
fn search(target: &Target, seconds: u32) -> Result<String> {
    let mut search = command(target.program()?);
    search.args([
        limit("max_total_time", seconds),
        limit("max_len", target.longest),
        limit("timeout", TIMEOUT_S),
        limit("rss_limit_mb", MEMORY_MB),
        limit("print_final_stats", 1),
        format!("-artifact_prefix={}/", target.artifacts().display()),
    ]);
    let dictionary = directory().join("dictionaries").join(target.name);
    if dictionary.is_file() {
        search.arg(format!("-dict={}", dictionary.display()));
    }
    // New inputs go to the first directory.
    search.arg(target.found()).arg(target.corpus());
    // libFuzzer ends without writing the profile; the replay does.
    search.env(
        "LLVM_PROFILE_FILE",
        target.coverage().join("unused.profraw"),
    );
    finish(&mut search, target.name)
}

fn limit(name: &str, value: u32) -> String {
    format!("-{name}={value}")
}

/// Runs libFuzzer to its end; if that is a crash the error says how to see it again.
fn finish(search: &mut Command, name: &str) -> Result<String> {
    let output = search
        .output()
        .with_context(|| format!("could not start {name}"))?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(log);
    }
    let input = log
        .lines()
        .find_map(|line| line.split_once("Test unit written to "));
    let again = match input {
        Some((_, path)) => format!("to see it again: cargo xtask fuzz {name} --input {path}"),
        None => String::new(),
    };
    bail!("{}\n{}\n{again}", output.status, story(&log))
}

/// Where a target panicked and what it said; without a panic the end of the log.
fn story(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    match lines.iter().position(|line| line.contains(" panicked at ")) {
        Some(at) => lines
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(20)
            .map(|line| format!("  {line}\n"))
            .collect(),
        None => shell::tail(log, 20),
    }
}

/// A number that libFuzzer prints at its end.
fn statistic(log: &str, name: &str) -> Result<u64> {
    let line = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim_start_matches(':').trim().parse().ok());
    number.with_context(|| format!("libFuzzer prints no {name}"))
}

/// Calls `work` for every target, for some at a time.
fn in_parallel<T: Send>(
    targets: &[&'static Target],
    work: impl Fn(&'static Target) -> T + Sync,
) -> Vec<T> {
    let waiting: Mutex<VecDeque<&'static Target>> = Mutex::new(targets.iter().copied().collect());
    let done = Mutex::new(Vec::new());
    let next = || waiting.lock().ok()?.pop_front();
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let result = work(target);
                    if let Ok(mut done) = done.lock() {
                        done.push(result);
                    }
                }
            });
        }
    });
    done.into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn without_arguments_every_target_runs_for_a_minute() {
        let plan = Plan::parse(&[]).unwrap();
        assert_eq!((plan.targets.len(), plan.seconds), (TARGETS.len(), 60));
        let plan = Plan::parse(&words("keys leap --seconds 5 --missed")).unwrap();
        let names: Vec<&str> = plan.targets.iter().map(|target| target.name).collect();
        assert_eq!(
            (names, plan.seconds, plan.missed),
            (vec!["keys", "leap"], 5, true)
        );
        for bad in [
            "nothing",
            "--seconds",
            "--seconds x",
            "--input a",
            "keys leap --input a",
        ] {
            assert!(Plan::parse(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn targets_are_those_of_the_fuzz_crate_and_their_parsers_exist() {
        let mut programs = inputs(&directory().join("fuzz_targets")).unwrap();
        programs.sort();
        let programs: Vec<_> = programs
            .iter()
            .filter_map(|path| path.file_stem())
            .collect();
        let mut names: Vec<&OsStr> = TARGETS
            .iter()
            .map(|target| OsStr::new(target.name))
            .collect();
        names.sort_unstable();
        assert_eq!(programs, names);
        for target in TARGETS {
            assert!(
                !inputs(&target.corpus()).unwrap().is_empty(),
                "{}",
                target.name
            );
            for parser in target.parsers {
                assert!(root().join("crates").join(parser).is_file(), "{parser}");
            }
        }
    }

    #[test]
    fn statistics_are_read_from_the_log() {
        let log = "Done 100 runs\nstat::number_of_executed_units: 100\nstat::peak_rss_mb:   30\n";
        assert_eq!(statistic(log, "number_of_executed_units").unwrap(), 100);
        assert!(statistic(log, "average_exec_per_sec").is_err());
    }

    #[test]
    fn a_panic_is_shown_before_the_end_of_the_log() {
        let log = "INFO: x\nthread 'a' panicked at b.rs:1:2:\nwhy\nstack backtrace:\n";
        assert!(
            story(log)
                .trim_start()
                .starts_with("thread 'a' panicked at b.rs:1:2:\n  why\n")
        );
        assert_eq!(
            story("ALARM: working on the last Unit"),
            "ALARM: working on the last Unit"
        );
    }

    #[test]
    fn work_is_done_once_for_every_target() {
        let targets: Vec<&'static Target> = TARGETS.iter().collect();
        let mut names = in_parallel(&targets, |target| target.name);
        names.sort_unstable();
        let mut wanted: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
    }
}
