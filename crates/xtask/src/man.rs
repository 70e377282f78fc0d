//! `cargo xtask man`: writes the manual pages into `target/man`; `--check` also lints them.
//!
//! The pages are not committed: the paths and the user in them are chosen when the programs are
//! built, and whoever builds the programs has what it takes to make the pages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shell::{command, read, target_dir};
use crate::tools;

/// Writes the pages and prints their paths; with `--check` mandoc must have nothing to say.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        [] => {
            for path in write()? {
                println!("{}", path.display());
            }
            Ok(())
        }
        ["--check"] => check(),
        _ => bail!("usage: cargo xtask man [--check]"),
    }
}

/// Writes the pages into folders by section, so that `man -M target/man` finds them.
fn write() -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for page in timewright_manual::pages()? {
        let folder = target_dir().join(format!("man/man{}", page.section));
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        let path = folder.join(page.file_name());
        fs::write(&path, page.text)
            .with_context(|| format!("could not write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Writes the pages and lets mandoc and groff read them; a word of theirs is a failure.
pub(crate) fn check() -> Result<()> {
    tools::need(tools::MANUAL)?;
    for path in write()? {
        let complaints = read(command("mandoc").args(["-T", "lint"]).arg(&path))
            .with_context(|| format!("mandoc finds fault with {}", path.display()))?;
        if !complaints.is_empty() {
            bail!("mandoc finds fault with {}:\n{complaints}", path.display());
        }
        let mut groff = command("groff");
        groff
            .args(["-ww", "-mandoc", "-T", "utf8", "-z"])
            .arg(&path);
        let output = groff
            .output()
            .with_context(|| format!("could not start groff on {}", path.display()))?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !complaints.is_empty() {
            bail!("groff finds fault with {}:\n{complaints}", path.display());
        }
        println!("{}: nothing to complain about", path.display());
    }
    Ok(())
}
