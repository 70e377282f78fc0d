//! Running other programs, with errors that say which program, how it ended and what it printed.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The directory of the workspace manifest; xtask runs from anywhere inside the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// Files worth keeping between runs that no commit contains: unpacked peers, disk images.
pub(crate) fn build_dir() -> PathBuf {
    root().join("build")
}

/// Cargo's output directory, which a user may have moved.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// True when the effective user is root.
pub(crate) fn is_root() -> bool {
    status_field("Uid:", 1).is_some_and(|uid| uid == "0")
}

/// The `index`th word after `key` in this process's status file.
fn status_field(key: &str, index: usize) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(index + 1).map(str::to_owned)
}

/// A command that runs in the workspace's directory.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this xtask.
pub(crate) fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` with our own standard streams; an unsuccessful end is an error naming it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start {}", show(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", show(command));
    }
    Ok(())
}

/// Runs `command` and returns its standard output; on failure the error carries its last lines.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start {}", show(command)))?;
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        bail!(
            "{} ended with {}\n{}",
            show(command),
            output.status,
            tail(&String::from_utf8_lossy(&printed), 20)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last `lines` lines of `text`.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let start = all.len().saturating_sub(lines);
    all.get(start..).unwrap_or_default().join("\n")
}

/// A command as one would type it.
fn show(command: &Command) -> impl Display {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    format!("`{}`", words.join(" "))
}

/// The programs under test.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    /// The daemon.
    pub(crate) chronyd: PathBuf,
    /// The control client.
    pub(crate) chronyc: PathBuf,
}

/// Builds both programs, or takes those that `TIMEWRIGHT_CHRONYD` and `TIMEWRIGHT_CHRONYC` name.
pub(crate) fn binaries(profile: Profile) -> Result<Binaries> {
    if let (Some(chronyd), Some(chronyc)) = (
        std::env::var_os("TIMEWRIGHT_CHRONYD"),
        std::env::var_os("TIMEWRIGHT_CHRONYC"),
    ) {
        return Ok(Binaries {
            chronyd: chronyd.into(),
            chronyc: chronyc.into(),
        });
    }
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--package",
        "chronyd",
        "--package",
        "chronyc",
    ]);
    let directory = match profile {
        Profile::Debug => "debug",
        Profile::Release => {
            build.arg("--release");
            "release"
        }
    };
    run(&mut build)?;
    let directory = target_dir().join(directory);
    Ok(Binaries {
        chronyd: directory.join("chronyd"),
        chronyc: directory.join("chronyc"),
    })
}

/// How the programs are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// As shipped: what the process tests and the benchmark measure.
    Release,
}
