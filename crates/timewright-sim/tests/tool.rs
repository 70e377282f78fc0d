//! The tool as users run it: example scenarios, table, files, exit statuses.
//!
//! The table of an example is compared with `tests/golden/office.txt`: texts exactly, numbers
//! within a factor, because every change of the engine makes another run of a seed. Write it anew
//! with `TIMEWRIGHT_BLESS=1 cargo test -p timewright-sim --test tool` and look at what moved.
#![allow(
    clippy::unwrap_used,
    reason = "a failure to run the tool fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/office.txt");
/// How far a number may be from the recorded one.
const FACTOR: f64 = 2.0;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn tool(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timewright-sim"));
    command
        .args(words)
        .current_dir(scenarios())
        .output()
        .unwrap()
}

/// Standard output of a successful run.
#[track_caller]
fn stdout(words: &[&str]) -> String {
    let output = tool(words);
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(words: &[&str], want: &str) {
    let output = tool(words);
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words:?}: {complaints}");
    assert!(complaints.contains(want), "{words:?}: {complaints}");
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

#[test]
fn every_example_runs() {
    let mut count = 0;
    for entry in std::fs::read_dir(scenarios()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "sim") {
            let text = stdout(&[path.to_str().unwrap()]);
            assert!(text.contains("RMS offset"), "{}: {text}", path.display());
            count += 1;
        }
    }
    assert!(count >= 4, "{count} examples");
}

/// The words of a table, and the number before each unit as a float.
fn words(text: &str) -> Vec<Result<f64, String>> {
    text.split_whitespace()
        .map(|word| word.parse::<f64>().map_err(|_| word.to_owned()))
        .collect()
}

/// Numbers in the base unit where a unit follows, so that 999 us and 1.00 ms are neighbours.
fn figures(text: &str) -> Vec<Result<f64, String>> {
    let mut out: Vec<Result<f64, String>> = Vec::new();
    for word in words(text) {
        let factor = match word.as_ref().map_err(String::as_str) {
            Err("ns" | "ppb") => 1e-9,
            Err("us" | "ppm") => 1e-6,
            Err("ms") => 1e-3,
            Err("s") => 1.0,
            _ => {
                out.push(word);
                continue;
            }
        };
        match out.last_mut() {
            Some(Ok(number)) => *number *= factor,
            _ => out.push(word),
        }
    }
    out
}

#[test]
fn the_table_of_an_example_is_as_recorded() {
    let now = stdout(&["office.sim", "--seeds", "5"]);
    if std::env::var_os("TIMEWRIGHT_BLESS").is_some() {
        std::fs::write(GOLDEN, &now).unwrap();
    }
    let recorded = std::fs::read_to_string(GOLDEN).unwrap();
    let (now_words, recorded_words) = (figures(&now), figures(&recorded));
    assert_eq!(now_words.len(), recorded_words.len(), "{now}");
    // Of these, a run may have any: a mean close to zero, a good start or a bad one.
    const LOOSE: [&str; 3] = ["mean offset", " after ", "mean poll"];
    let lines = now.lines().zip(recorded.lines());
    for (line, recorded) in lines.filter(|(line, _)| !LOOSE.iter().any(|l| line.contains(l))) {
        for (word, want) in figures(line).iter().zip(figures(recorded)) {
            let same = match (word, &want) {
                (Ok(number), Ok(want)) => {
                    (number - want).abs() < 1e-12
                        || (number / want < FACTOR && want / number < FACTOR)
                }
                (word, want) => word == want,
            };
            assert!(same, "{line}\n{recorded}\n\n{now}");
        }
    }
}

#[test]
fn equal_seeds_give_equal_files() {
    let scratch = Scratch::new("equal");
    let run = |number: &str, seed: &str| {
        let out = |kind: &str| scratch.path(&format!("{number}.{kind}"));
        let (svg, csv, series) = (out("svg"), out("csv"), out("series"));
        let text = stdout(&[
            "office.sim",
            "--seed",
            seed,
            "--seeds",
            "2",
            "--svg",
            &svg,
            "--csv",
            &csv,
            "--series",
            &series,
            "--log",
            "fileserver",
        ]);
        let files = ["svg", "csv", "series"].map(|kind| scratch.read(&format!("{number}.{kind}")));
        (text, files)
    };
    let first = run("first", "7");
    assert_eq!(first, run("second", "7"));
    let (other, _) = run("third", "8");
    assert_ne!(first.0, other);
    assert!(first.0.contains("Selected source"), "{}", first.0);

    let [svg, csv, series] = first.1;
    well_formed(&svg);
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 3, "{csv}");
    assert!(rows[0].starts_with("seed,host,rms_offset_s,") && rows[1].starts_with("7,fileserver,"));
    let columns = |row: &str| row.split(',').count();
    assert!(rows.iter().all(|row| columns(row) == columns(rows[0])));
    assert_eq!(series.lines().count(), 1 + 12 * 3600);
}

/// Enough of XML to know that a viewer can read it.
fn well_formed(svg: &str) {
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    let mut open: Vec<&str> = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("every tag ends");
        assert!(
            !text.contains('>') && tag.matches('"').count() % 2 == 0,
            "{part}"
        );
        for numbers in ["NaN", "inf"] {
            assert!(!tag.contains(numbers), "{tag}");
        }
        let name = tag.split_whitespace().next().unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(svg.matches("<path d=\"M").count() > 10);
}

#[test]
fn the_quality_page_has_its_plots_and_all_its_figures() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("quality.md")).unwrap();
    let pictures: Vec<&str> = page
        .split("](quality/")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .collect();
    assert_eq!(pictures.len(), 7, "{pictures:?}");
    for picture in pictures {
        let svg = std::fs::read_to_string(docs.join("quality").join(picture)).unwrap();
        well_formed(&svg);
    }
    // Four polls of 5 x 4 cells.
    let cells = page
        .lines()
        .filter(|line| line.starts_with("| 1e-"))
        .count();
    assert_eq!(cells, 80);
    assert!(!page.contains("NaN") && page.contains("cargo xtask quality"));
}

#[test]
fn mistakes_are_told_and_end_with_status_2() {
    let scratch = Scratch::new("mistakes");
    let broken = scratch.path("broken.sim");
    std::fs::write(&broken, "host a\nclock speed 3\n").unwrap();
    refused(&[], "no scenario file");
    refused(&["nowhere.sim"], "nowhere.sim: No such file");
    refused(&[&broken], "broken.sim:2: `speed` is unknown");
    refused(&["office.sim", "--seeds", "0"], "from 1 to");
    refused(&["office.sim", "--seed"], "needs a value");
    refused(&["office.sim", "--sede", "1"], "no option --sede");
    refused(&["office.sim", "laptop.sim"], "one scenario at a time");
    refused(&["office.sim", "--log", "nobody"], "no host nobody");
    assert!(stdout(&["--help"]).contains("Usage: timewright-sim"));
    let output = tool(&["office.sim", "--csv", "/nowhere/x.csv"]);
    assert_eq!(output.status.code(), Some(1));
}
