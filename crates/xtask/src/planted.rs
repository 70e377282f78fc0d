//! `cargo xtask planted [NAME]...`: is the adversary sharp? Every bug of the table is planted in a
//! copy of the tree, and has to be found.
//!
//! A bug is a text that occurs exactly once in a file, and what replaces it. When the code changes
//! and the text is gone, that is an error here: find the new place, or a new bug.

mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::adversary;
use crate::shell;
use table::{SOURCES, TABLE};

/// Runs within which a bug has to be found.
const RUNS: &str = "200";
/// How many the continuous integration plants, chosen by the commit.
const SAMPLE: usize = 2;

/// A bug.
struct Planted {
    name: &'static str,
    /// What is wrong with it.
    about: &'static str,
    file: &'static str,
    text: &'static str,
    replacement: &'static str,
}

/// Plants the bugs named, or all; `--list` names them, `--sample` takes a few by the commit.
pub(crate) fn run(wanted: &[&str]) -> Result<()> {
    if wanted == ["--list"] {
        for bug in TABLE {
            println!("{:22} {}", bug.name, bug.about);
        }
        return Ok(());
    }
    if wanted == ["--sample"] {
        return check();
    }
    if let Some(unknown) = wanted
        .iter()
        .find(|name| TABLE.iter().all(|bug| bug.name != **name))
    {
        bail!("no bug `{unknown}`; `cargo xtask planted --list` names them");
    }
    plant_all(
        TABLE
            .iter()
            .filter(|bug| wanted.is_empty() || wanted.contains(&bug.name)),
    )
}

/// The step of the continuous integration: every text still has its place, and a few bugs are
/// planted.
pub(crate) fn check() -> Result<()> {
    for bug in TABLE {
        changed(&shell::root(), bug)?;
    }
    let commit = shell::read(shell::command("git").args(["rev-parse", "HEAD"]))?;
    let digits = commit.get(..8).unwrap_or_default();
    let start = usize::from_str_radix(digits, 16).unwrap_or(0);
    println!("bugs planted for commit {digits}");
    // Two places a third of the table apart, so that all get their turn.
    plant_all((0..SAMPLE).filter_map(|n| TABLE.get((start + n * TABLE.len() / 3) % TABLE.len())))
}

/// The file with the bug in it.
fn changed(root: &Path, bug: &Planted) -> Result<String> {
    let path = root.join(SOURCES).join(bug.file);
    let source =
        std::fs::read_to_string(&path).with_context(|| format!("could not read {}", bug.file))?;
    let places = source.matches(bug.text).count();
    if places != 1 {
        bail!(
            "bug `{}`: its text is in {} {places} times, not once",
            bug.name,
            bug.file
        );
    }
    Ok(source.replacen(bug.text, bug.replacement, 1))
}

fn plant_all<'a>(bugs: impl Iterator<Item = &'a Planted>) -> Result<()> {
    let mut missed = Vec::new();
    for bug in bugs {
        let start = Instant::now();
        let found = plant(bug)?;
        let verdict = found.as_deref().unwrap_or("NOT FOUND");
        println!(
            "{:22} {:6.1} s  {verdict}",
            bug.name,
            start.elapsed().as_secs_f64()
        );
        if found.is_none() {
            missed.push(bug.name);
        }
    }
    if !missed.is_empty() {
        bail!("not found: {}", missed.join(", "));
    }
    Ok(())
}

/// Plants a bug and returns how it was found, if it was.
fn plant(bug: &Planted) -> Result<Option<String>> {
    let tree = copy()?;
    let content = changed(&tree, bug)?;
    std::fs::write(tree.join(SOURCES).join(bug.file), content)?;
    let target = shell::build_dir().join("planted-target");
    let program = adversary::build(&tree, &target)?;
    let arguments = ["--runs", RUNS, "--from", "1", "--violations", "1"];
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(None);
    }
    // What was printed tells the rule and the run; a panic goes to the other stream.
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let panicked = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = || printed.lines().chain(panicked.lines());
    let told = lines()
        .find(|line| {
            line.starts_with("seed ") || line.contains("panicked") || line.contains("covered too")
        })
        .unwrap_or("ended badly");
    let again = lines()
        .find(|line| line.starts_with("again:"))
        .unwrap_or_default();
    let short: String = told.chars().take(100).collect();
    Ok(Some(format!("{short} [{again}]")))
}

/// Copies what the program is built of. Files that are the same are left alone, so that only what
/// a bug changed, now and before, is built again.
fn copy() -> Result<PathBuf> {
    let tree = shell::build_dir().join("planted");
    let listed = shell::read(shell::command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "crates",
        "Cargo.toml",
        "Cargo.lock",
        "clippy.toml",
    ]))?;
    for file in listed.lines() {
        let (from, to) = (shell::root().join(file), tree.join(file));
        let Ok(content) = std::fs::read(&from) else {
            // Deleted, but not yet from the index.
            continue;
        };
        if std::fs::read(&to).is_ok_and(|there| there == content) {
            continue;
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&to, content)
            .with_context(|| format!("could not write {}", to.display()))?;
    }
    Ok(tree)
}
