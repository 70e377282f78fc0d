//! `cargo xtask test`: the one command that runs everything, cheapest first.
//!
//! A failed step does not stop the others; the table at the end tells all of them.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell::{self, cargo};
use crate::{adversary, arrows, fuzz, licences, man, planted, quality, system, vm};

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "formatting",
        run: fmt,
    },
    Step {
        name: "clippy",
        about: "lints, warnings are errors",
        run: clippy,
    },
    Step {
        name: "doc",
        about: "documentation, warnings are errors",
        run: doc,
    },
    Step {
        name: "arrows",
        about: "direction of dependencies, place of unsafe code",
        run: arrows::check,
    },
    Step {
        name: "licences",
        about: "licences, origins and bans of dependencies",
        run: licences::check,
    },
    Step {
        name: "man",
        about: "the manual pages can be made, mandoc and groff have no complaint",
        run: man::check,
    },
    Step {
        name: "unit",
        about: "unit, property and golden tests of every crate",
        run: unit,
    },
    Step {
        name: "simulator",
        about: "the simulator's scenarios; that the quality page can be made",
        run: simulator,
    },
    Step {
        name: "adversary",
        about: "a thousand random simulations that try to break what must hold",
        run: adversary::check,
    },
    Step {
        name: "planted",
        about: "planted bugs are found by it: all still have their place, two are tried",
        run: planted::check,
    },
    Step {
        name: "fuzz",
        about: "fuzz targets: lines their seeds reach, a minute each",
        run: fuzz::check,
    },
    Step {
        name: "system",
        about: "process tests in network namespaces",
        run: || system::run(&[]),
    },
    Step {
        name: "vm",
        about: "the shipped unit sets the clock of a virtual machine",
        run: vm::run,
    },
];

/// Runs the steps named in `wanted`, or all.
pub(crate) fn run(wanted: &[&str]) -> Result<()> {
    if wanted == ["--list"] {
        for step in STEPS {
            println!("{:10} {}", step.name, step.about);
        }
        return Ok(());
    }
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        bail!("no step `{unknown}`; `cargo xtask test --list` names them");
    }
    let mut table: Vec<(&str, Duration, Result<()>)> = Vec::new();
    for step in STEPS {
        if !wanted.is_empty() && !wanted.contains(&step.name) {
            continue;
        }
        println!("\n==> {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome = (step.run)();
        if let Err(error) = &outcome {
            println!("{}: {error:#}", step.name);
        }
        table.push((step.name, start.elapsed(), outcome));
    }
    println!();
    for (name, took, outcome) in &table {
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("{name:10} {:7.1} s  {verdict}", took.as_secs_f64());
    }
    let failed: Vec<&str> = table
        .iter()
        .filter(|(_, _, outcome)| outcome.is_err())
        .map(|(name, _, _)| *name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn fmt() -> Result<()> {
    run_cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Result<()> {
    run_cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ])
}

fn doc() -> Result<()> {
    let mut doc = cargo();
    doc.args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--all-features",
    ]);
    // These pages are for those who change the code, so private items are in, and may be linked.
    doc.arg("--document-private-items");
    doc.env(
        "RUSTDOCFLAGS",
        "-D warnings -A rustdoc::private_intra_doc_links",
    );
    shell::run(&mut doc)
}

fn unit() -> Result<()> {
    run_cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "timewright-sim",
        "--all-features",
        "--no-fail-fast",
    ])
}

fn simulator() -> Result<()> {
    let tests = run_cargo(&[
        "test",
        "--package",
        "timewright-sim",
        "--all-features",
        "--no-fail-fast",
    ]);
    let page = quality::make(&["--quick"]);
    tests.and(page)
}

fn run_cargo(arguments: &[&str]) -> Result<()> {
    shell::run(cargo().args(arguments))
}
