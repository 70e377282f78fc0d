//! The architecture as a check: dependencies point downwards only, and unsafe code is in one crate.
//!
//! The table below is the picture in `ARCHITECTURE.md`. What a crate may depend on directly is
//! listed; what it must not reach, however indirectly, is forbidden. Test dependencies are free.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, read, root};

struct Rule {
    name: &'static str,
    /// Crates of this workspace that it may name in its dependencies.
    workspace: &'static [&'static str],
    /// Crates that it must not reach at all.
    never: &'static [&'static str],
}

/// Crates that would put a runtime, another system-call layer or C libraries under the programs.
const NEVER_ANYWHERE: &[&str] = &["tokio", "mio", "rustix", "nix", "openssl-sys", "async-std"];

/// The exception: `rustyline`, which edits lines at a terminal, reaches the terminal through
/// `nix`. That goes through libc symbols like our own calls, and only when a person types.
const EXCEPTION: (&str, &str) = ("chronyc", "nix");

/// What makes a crate able to reach the operating system or another crate's secrets.
const NO_SYSTEM: &[&str] = &["libc", "timewright-sys", "rustls", "socket2"];

const RULES: &[Rule] = &[
    Rule {
        name: "timewright-time",
        workspace: &[],
        never: NO_SYSTEM,
    },
    Rule {
        name: "timewright-defaults",
        workspace: &[],
        never: NO_SYSTEM,
    },
    Rule {
        name: "timewright-crypto",
        workspace: &[],
        never: &["timewright-sys", "rustls"],
    },
    Rule {
        name: "timewright-wire",
        workspace: &["timewright-time", "timewright-crypto"],
        never: &["libc", "timewright-sys", "rustls"],
    },
    Rule {
        name: "timewright-control",
        workspace: &["timewright-time", "timewright-defaults"],
        never: NO_SYSTEM,
    },
    Rule {
        name: "timewright-config",
        workspace: &[
            "timewright-time",
            "timewright-defaults",
            "timewright-control",
            "timewright-wire",
        ],
        never: NO_SYSTEM,
    },
    Rule {
        name: "timewright-core",
        workspace: &[
            "timewright-time",
            "timewright-wire",
            "timewright-crypto",
            "timewright-config",
            "timewright-control",
        ],
        never: NO_SYSTEM,
    },
    Rule {
        name: "timewright-nts",
        workspace: &["timewright-time", "timewright-wire", "timewright-crypto"],
        never: &["timewright-sys", "timewright-core"],
    },
    Rule {
        name: "timewright-sys",
        workspace: &["timewright-time"],
        never: &["timewright-core", "rustls"],
    },
    Rule {
        name: "timewright-sim",
        workspace: &[
            "timewright-time",
            "timewright-wire",
            "timewright-config",
            "timewright-control",
            "timewright-core",
        ],
        never: &["timewright-sys"],
    },
    Rule {
        name: "timewright-loadgen",
        workspace: &["timewright-sys", "timewright-wire", "timewright-time"],
        never: &["timewright-core"],
    },
    Rule {
        name: "chronyd",
        workspace: &[
            "timewright-time",
            "timewright-defaults",
            "timewright-wire",
            "timewright-crypto",
            "timewright-config",
            "timewright-control",
            "timewright-core",
            "timewright-nts",
            "timewright-sys",
        ],
        never: &["timewright-sim"],
    },
    Rule {
        name: "chronyc",
        workspace: &[
            "timewright-time",
            "timewright-defaults",
            "timewright-crypto",
            "timewright-config",
            "timewright-control",
            "timewright-sys",
        ],
        never: &["timewright-core", "timewright-sim", "timewright-nts"],
    },
    Rule {
        name: "system-tests",
        // Only to write to shared memory as other programs do.
        workspace: &["timewright-sys"],
        never: &["timewright-core"],
    },
    Rule {
        name: "timewright-manual",
        workspace: &[
            "timewright-config",
            "timewright-control",
            "timewright-defaults",
        ],
        never: NO_SYSTEM,
    },
    Rule {
        name: "xtask",
        workspace: &["timewright-manual"],
        never: &["timewright-sys"],
    },
];

/// The one crate that may contain `unsafe`.
const UNSAFE_CRATE: &str = "timewright-sys";

/// Runs both checks and prints what was looked at.
pub(crate) fn check() -> Result<()> {
    let mut complaints = Vec::new();
    let crates = crates()?;
    for directory in &crates {
        let name = directory
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match RULES.iter().find(|rule| rule.name == name) {
            Some(rule) => check_dependencies(rule, &mut complaints)?,
            None => complaints.push(format!(
                "crate {name} has no row in the table of xtask/arrows.rs"
            )),
        }
        if name != UNSAFE_CRATE {
            check_forbids_unsafe(directory, &mut complaints)?;
        }
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    println!(
        "{} crates: dependencies point downwards, unsafe only in {UNSAFE_CRATE}",
        crates.len()
    );
    Ok(())
}

fn crates() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("crates"))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    found.sort();
    Ok(found)
}

fn check_dependencies(rule: &Rule, complaints: &mut Vec<String>) -> Result<()> {
    let direct = tree(rule.name, &["--depth", "1"])?;
    for name in direct
        .iter()
        .filter(|name| is_ours(name) && *name != rule.name)
    {
        if !rule.workspace.contains(&name.as_str()) {
            complaints.push(format!("{} must not depend on {name}", rule.name));
        }
    }
    let all = tree(rule.name, &[])?;
    for name in rule.never.iter().chain(NEVER_ANYWHERE) {
        if all.contains(*name) && (rule.name, *name) != EXCEPTION {
            complaints.push(format!(
                "{} must not reach {name}, not even indirectly",
                rule.name
            ));
        }
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    RULES.iter().any(|rule| rule.name == name)
}

/// The names of the crates in the dependency tree of `package`, itself included.
fn tree(package: &str, more: &[&str]) -> Result<BTreeSet<String>> {
    let mut command = cargo();
    command.args([
        "tree",
        "--quiet",
        "--package",
        package,
        "--edges",
        "normal,build",
    ]);
    command
        .args(["--all-features", "--prefix", "none", "--format", "{p}"])
        .args(more);
    let listing = read(&mut command)?;
    Ok(listing
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}

/// The library and programs of a crate must begin by forbidding unsafe code, and its tests and
/// benchmarks must contain none.
fn check_forbids_unsafe(directory: &Path, complaints: &mut Vec<String>) -> Result<()> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
    };
    let complain = |path: &Path, what: &str| {
        format!(
            "{} {what}",
            path.strip_prefix(root()).unwrap_or(path).display()
        )
    };
    let mut programs = vec![directory.join("src/lib.rs"), directory.join("src/main.rs")];
    programs.extend(sources(&directory.join("src/bin")));
    for path in programs.iter().filter(|path| path.is_file()) {
        if !read(path)?
            .lines()
            .any(|line| line.trim() == "#![forbid(unsafe_code)]")
        {
            complaints.push(complain(path, "lacks #![forbid(unsafe_code)]"));
        }
    }
    for path in ["tests", "benches", "examples"]
        .iter()
        .flat_map(|name| sources(&directory.join(name)))
    {
        let text = read(&path)?;
        if ["unsafe {", "unsafe fn", "unsafe impl"]
            .iter()
            .any(|words| text.contains(words))
        {
            complaints.push(complain(&path, "contains unsafe code"));
        }
    }
    Ok(())
}

/// The Rust files right inside a folder, which may be missing.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file() && has_extension(path, "rs"))
        .collect()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
