//! Licences, origins and bans of everything that ends up in the programs.
//!
//! The policy is `deny.toml`, the file of `cargo deny`. Building that tool takes longer than the
//! rest of the tests, so the parts of the policy that hold offline are checked here from what
//! `cargo tree` knows; where `cargo deny` is installed it is run as well.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, read, root, run};
use crate::tools;

/// The systems we build for; crates for others are never part of a build.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// What `deny.toml` asks for.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    allowed: BTreeSet<String>,
    banned: BTreeSet<String>,
}

/// Checks every dependency that is compiled into a program, tests' own ones excluded.
pub(crate) fn check() -> Result<()> {
    let text =
        std::fs::read_to_string(root().join("deny.toml")).context("could not read deny.toml")?;
    let policy = parse(&text)?;
    let mut command = cargo();
    command.args([
        "tree",
        "--quiet",
        "--workspace",
        "--edges",
        "normal,build",
        "--all-features",
    ]);
    // The systems of `[graph] targets` in deny.toml.
    for target in TARGETS {
        command.args(["--target", target]);
    }
    command.args(["--prefix", "none", "--format", "{p}\t{l}"]);
    let listing = read(&mut command)?;
    let lines: BTreeSet<&str> = listing.lines().filter(|line| !line.is_empty()).collect();
    let mut complaints = Vec::new();
    let mut seen = 0_usize;
    for line in &lines {
        // A repeated package is marked behind its name; the first mention carries everything.
        let (package, licence) = line.split_once('\t').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        seen += 1;
        if policy.banned.contains(name) {
            complaints.push(format!("{name} is banned in deny.toml"));
        }
        if !satisfied(licence.trim_end_matches(" (*)"), &policy.allowed) {
            complaints.push(format!(
                "{package}: licence `{licence}` is not allowed by deny.toml"
            ));
        }
    }
    check_origins(&mut complaints)?;
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    println!("{seen} packages: licences, origins and bans as deny.toml asks");
    if tools::find("cargo-deny").is_some() {
        run(cargo().args(["deny", "check", "bans", "licenses", "sources"]))?;
    }
    Ok(())
}

/// Packages come from crates.io or from this repository.
fn check_origins(complaints: &mut Vec<String>) -> Result<()> {
    let lock =
        std::fs::read_to_string(root().join("Cargo.lock")).context("could not read Cargo.lock")?;
    for line in lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
    {
        if line.trim_matches('"') != "registry+https://github.com/rust-lang/crates.io-index" {
            complaints.push(format!("Cargo.lock: unknown origin {line}"));
        }
    }
    Ok(())
}

/// Reads the two lists we enforce; the rest of the file is for `cargo deny`.
fn parse(text: &str) -> Result<Policy> {
    let mut policy = Policy {
        allowed: BTreeSet::new(),
        banned: BTreeSet::new(),
    };
    let mut section = "";
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
    {
        if line.starts_with('[') {
            section = line;
        } else if section == "[licenses]" && line.starts_with("allow") {
            policy.allowed = quoted(line).map(str::to_owned).collect();
        } else if section == "[bans]" && line.contains("crate =") {
            policy.banned.extend(quoted(line).map(str::to_owned));
        }
    }
    if policy.allowed.is_empty() || policy.banned.is_empty() {
        bail!("deny.toml has no `allow` line in [licenses] or no `crate =` lines in [bans]");
    }
    Ok(policy)
}

fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// Whether an SPDX expression can be met with the `allowed` licences: `OR` needs one side, `AND`
/// both; brackets nest.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // Some old manifests write `MIT/Apache-2.0`.
    let text = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut position = 0;
    let verdict = any_of(&words, &mut position, allowed);
    verdict && position == words.len()
}

fn any_of(words: &[&str], position: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut verdict = all_of(words, position, allowed);
    while words.get(*position) == Some(&"OR") {
        *position += 1;
        verdict |= all_of(words, position, allowed);
    }
    verdict
}

fn all_of(words: &[&str], position: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut verdict = one(words, position, allowed);
    while words.get(*position) == Some(&"AND") {
        *position += 1;
        verdict &= one(words, position, allowed);
    }
    verdict
}

fn one(words: &[&str], position: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*position) else {
        return false;
    };
    *position += 1;
    if *word == "(" {
        let verdict = any_of(words, position, allowed);
        let closed = words.get(*position) == Some(&")");
        *position += 1;
        return verdict && closed;
    }
    let plain = allowed.contains(*word);
    if words.get(*position) == Some(&"WITH") {
        // An exception only ever allows more than the licence it is attached to.
        *position += 2;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged_by_the_allowed_list() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"]
            .map(str::to_owned)
            .into();
        for (expression, verdict) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0", false),
            ("", false),
            ("MIT/Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("MIT AND", false),
            ("(MIT", false),
        ] {
            assert_eq!(satisfied(expression, &allowed), verdict, "{expression}");
        }
    }

    #[test]
    fn the_policy_is_read_from_deny_toml() {
        let text = "[bans]\ndeny = [\n  { crate = \"tokio\" },\n]\n[licenses]\nallow = [\"MIT\", \"ISC\"]\n";
        let policy = parse(text).unwrap();
        assert_eq!(policy.allowed, ["ISC", "MIT"].map(str::to_owned).into());
        assert_eq!(policy.banned, ["tokio"].map(str::to_owned).into());
        assert!(parse("[bans]\n").is_err());
    }
}
