//! `cargo xtask sim FILE`: the simulator's tool, built for speed.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{self, cargo};

/// Runs `timewright-sim` with the arguments; its messages say what is wrong.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let words = ["build", "--quiet", "--profile", "sim", "--package"];
    shell::run(
        cargo()
            .args(words)
            .args(["timewright-sim", "--bin", "timewright-sim"]),
    )?;
    let program = shell::target_dir().join("sim").join("timewright-sim");
    // Here and not at the root: paths are relative to where the user is.
    let mut command = Command::new(&program);
    let status = command
        .args(arguments)
        .status()
        .with_context(|| format!("could not start {}", program.display()))?;
    if !status.success() {
        bail!("the simulation ended with {status}");
    }
    Ok(())
}
