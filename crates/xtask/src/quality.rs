//! `cargo xtask quality`: writes the quality page anew, every figure of it.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::shell::{self, cargo, root, target_dir};

/// Runs all simulations and writes `docs/quality.md`; with `--quick` a page that says little, into
/// the target directory, to see that it can be made.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let words: Vec<OsString> = match arguments {
        [] => vec![root().join("docs").into()],
        ["--quick"] => vec!["--quick".into(), target_dir().join("quality").into()],
        _ => bail!("usage: cargo xtask quality [--quick]"),
    };
    let mut make = cargo();
    make.args(["run", "--quiet", "--release", "--package", "timewright-sim"]);
    make.args(["--example", "quality", "--"]);
    shell::run(make.args(words))
}
