//! Repository automation: `cargo xtask COMMAND`.
//!
//! Everything a developer or the continuous integration types is here, in Rust, instead of in a
//! drawer of shell files. Nothing in here sets the clock of the machine it runs on.

#![forbid(unsafe_code)]

mod adversary;
mod arrows;
mod bench;
mod demo;
mod foreground;
mod fuzz;
mod licences;
mod man;
mod peers;
mod planted;
mod quality;
mod shell;
mod sim;
mod suite;
mod system;
mod tools;
mod vm;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask COMMAND [ARGUMENTS]

  demo              run a server and a client on loopback; no root, no network, clock untouched
  test [STEP]...    run every check and test, or only the named steps (`test --list` names them)
  fuzz [TARGET]...  run the fuzz targets (`--seconds N`, `--input FILE` to see a crash again,
                    `--missed` to list the lines that the seeds do not reach)
  system [FILTER]   process tests in network namespaces (root), those whose name has FILTER
  sim FILE          what accuracy a chrony.conf gives on a network; see docs/simulator.md
                    (`--seed N`, `--seeds K`, `--svg OUT`, `--csv OUT`, `--help`)
  man               write the manual pages into target/man (`--check`: and lint them)
  quality           write docs/quality.md and its plots anew (`--quick`: only see that it works)
  adversary         random simulations that try to break what must hold (`--runs N --from SEED`);
                    `--seed N` repeats one and prints what was drawn
  planted [BUG]...  plant bugs in a copy of the engine, each of which the adversary has to find
                    (`--list`, `--sample`)
  bench server      processor time per reply, ours beside Debian's chronyd; two processors needed
  vm                the shipped systemd unit in a virtual machine that may set its clock (root)
  arrows            check the direction of the dependencies and where unsafe code may be
  licences          check licences, origins and bans of the dependencies against deny.toml
  peers             fetch and unpack the other implementations the tests talk to
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["demo"] => demo::run(),
        ["test", steps @ ..] => suite::run(steps),
        ["system", rest @ ..] => system::run(rest),
        ["quality", rest @ ..] => quality::run(rest),
        ["man", rest @ ..] => man::run(rest),
        ["sim", rest @ ..] => sim::run(rest),
        ["adversary", rest @ ..] => adversary::run(rest),
        ["planted", rest @ ..] => planted::run(rest),
        ["bench", "server", rest @ ..] => bench::server(rest),
        ["bench", "inside", rest @ ..] => bench::inside(rest),
        ["fuzz", ..] => fuzz::run(arguments.get(1..).unwrap_or_default()),
        ["vm"] => vm::run(),
        ["arrows"] => arrows::check(),
        ["licences"] => licences::check(),
        ["peers"] => peers::fetch().map(|peers| println!("{peers}")),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown command `{}`\n\n{USAGE}", words.join(" ")),
    }
}
