//! `cargo xtask quality`: writes the quality page anew, every figure of it.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::shell::{self, cargo, root, target_dir};

/// Runs all simulations and writes `docs/quality.md`; with `--quick` a page that says little, into
/// the target directory, to see that it can be made.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        [] | ["--quick"] => make(arguments),
        _ => bail!("usage: cargo xtask quality [--quick]"),
    }
}

/// Makes the page; the only word there is `--quick`.
pub(crate) fn make(words: &[&str]) -> Result<()> {
    let quick = words.contains(&"--quick");
    let directory: PathBuf = if quick {
        target_dir().join("quality")
    } else {
        root().join("docs")
    };
    let mut make = cargo();
    make.args(["run", "--quiet", "--profile", "sim"]);
    make.args(["--package", "timewright-sim"]);
    make.args(["--example", "quality", "--"]);
    if quick {
        make.arg("--quick");
    }
    shell::run(make.arg(&directory))?;
    println!("{}", directory.join("quality.md").display());
    Ok(())
}
