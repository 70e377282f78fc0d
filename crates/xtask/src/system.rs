//! The process tests: both programs in network namespaces, as root, without the right to set the
//! clock.

use anyhow::{Result, bail};

use crate::shell::{self, Profile, binaries, command, is_root};
use crate::{bench, peers, tools};

/// How many process tests run side by side. They wait most of the time, so more than there are
/// processors; the tests that measure take the machine for themselves.
const THREADS: &str = "6";

/// Runs the process tests whose names contain the first of `arguments`; the rest goes to the test
/// programs.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if !is_root() {
        bail!("the process tests make network namespaces and need root: sudo cargo xtask system");
    }
    tools::need(tools::PROCESS_TESTS)?;
    let peers = peers::fetch()?;
    let programs = binaries(Profile::Release)?;
    let generator = bench::build("timewright-loadgen")?;
    // The clock of this machine stays as it is whatever the programs under test do: the right to
    // set it is taken away from everything started here, and the harness checks that it is gone.
    let mut tests = command("setpriv");
    tests.args(["--bounding-set=-sys_time", "--inh-caps=-sys_time"]);
    tests.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tests.args(["test", "--package", "system-tests", "--no-fail-fast"]);
    for name in test_programs()? {
        tests.args(["--test", &name]);
    }
    tests
        .args(["--", "--test-threads", THREADS])
        .args(arguments);
    tests.env("TIMEWRIGHT_CHRONYD", programs.chronyd);
    tests.env("TIMEWRIGHT_CHRONYC", programs.chronyc);
    tests.env("TIMEWRIGHT_LOADGEN", generator);
    tests.env("TIMEWRIGHT_PEERS", peers.directory);
    // A failed test shows what the programs printed; where in the harness it failed is noise.
    tests.env("RUST_BACKTRACE", "0");
    shell::run(&mut tests)
}

/// The test programs of the crate, each of which `cargo test` leaves out unless named.
fn test_programs() -> Result<Vec<String>> {
    let directory = shell::root().join("crates/system-tests/tests");
    let mut names: Vec<String> = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| {
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    Ok(names)
}
