//! `cargo xtask sim FILE`: the simulator's tool, built for speed.

use anyhow::{Result, bail};

use crate::shell::{self, cargo};

/// Runs `timewright-sim` with the arguments; its messages say what is wrong.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let program = build()?;
    let status = std::process::Command::new(program)
        .args(arguments)
        .status()?;
    if !status.success() {
        bail!("the simulation ended with {status}");
    }
    Ok(())
}

/// Builds the tool as shipped: a debug build takes ten times as long for every run.
pub(crate) fn build() -> Result<std::path::PathBuf> {
    let words = [
        "build",
        "--quiet",
        "--release",
        "--package",
        "timewright-sim",
        "--bins",
    ];
    shell::run(cargo().args(words))?;
    Ok(shell::target_dir().join("release").join("timewright-sim"))
}
