//! Where the programs under test and the other implementations are.

use std::path::PathBuf;

/// The programs the tests start, as `cargo xtask system` names them in the environment.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Name on the hosts' path and file of each.
    pub(crate) on_path: Vec<(&'static str, PathBuf)>,
}

impl Programs {
    /// Reads the environment.
    ///
    /// # Panics
    ///
    /// When a variable is missing or names no file: the tests cannot mean anything then.
    #[must_use]
    pub fn from_environment() -> Self {
        let peers = path("TIMEWRIGHT_PEERS");
        let on_path = vec![
            ("chronyd", path("TIMEWRIGHT_CHRONYD")),
            ("chronyc", path("TIMEWRIGHT_CHRONYC")),
            // The reference under names of its own, so that a test says which one it means.
            ("debian-chronyd", peers.join("chrony/usr/sbin/chronyd")),
            ("debian-chronyc", peers.join("chrony/usr/bin/chronyc")),
            ("ntpd", peers.join("ntpsec/usr/sbin/ntpd")),
            ("ntpq", peers.join("ntpsec/usr/bin/ntpq")),
            ("gpsd", peers.join("gpsd/usr/sbin/gpsd")),
            ("loadgen", path("TIMEWRIGHT_LOADGEN")),
            ("probe", probe()),
        ];
        for (name, file) in &on_path {
            assert!(
                file.is_file(),
                "{name}: no file {}; run `cargo xtask system`",
                file.display()
            );
        }
        Self { on_path }
    }
}

fn path(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(value) => PathBuf::from(value),
        None => panic!("{variable} is not set: run the process tests with `cargo xtask system`"),
    }
}

/// Our own helper program, built beside the tests.
fn probe() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // target/PROFILE/deps/TEST-HASH and target/PROFILE/probe.
    let directory = test
        .ancestors()
        .nth(2)
        .expect("tests live two levels below the profile's directory");
    directory.join("probe")
}
