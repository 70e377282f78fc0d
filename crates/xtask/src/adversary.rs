//! `cargo xtask adversary`: random simulations that try to break what must hold.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{self, cargo};

/// Runs that the continuous integration makes, always the same ones: their result may not depend
/// on the day.
const RUNS: &str = "1000";

/// Runs the adversary with the arguments; it says what did not hold and how to see it again.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let program = build(&shell::root(), &shell::target_dir())?;
    let status = Command::new(program).args(arguments).status()?;
    if !status.success() {
        bail!("the adversary ended with {status}");
    }
    Ok(())
}

/// The step of the continuous integration.
pub(crate) fn check() -> Result<()> {
    run(&["--runs", RUNS, "--from", "1"])
}

/// Builds the program of the tree at `root`. The profile is quick to build again after a change,
/// and checks arithmetic.
pub(crate) fn build(root: &Path, target: &Path) -> Result<PathBuf> {
    let words = [
        "build",
        "--quiet",
        "--profile",
        "sim",
        "--package",
        "timewright-sim",
        "--bin",
        "adversary",
    ];
    let mut build = cargo();
    build.args(words).current_dir(root);
    build.env("CARGO_TARGET_DIR", target);
    shell::run(&mut build)?;
    Ok(target.join("sim").join("adversary"))
}
