//! The fuzz targets, the parsers each is for, and where its files are.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use super::{directory, host};

/// A fuzz target.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Longest input tried, bytes: a bit more than the parser takes.
    pub(super) longest: u32,
    /// The source files that parse its input, below `crates/`.
    pub(super) parsers: &'static [&'static str],
}

/// All of them.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "packet",
        longest: 1200,
        parsers: &[
            "timewright-wire/src/packet.rs",
            "timewright-wire/src/fields.rs",
            "timewright-wire/src/header.rs",
            "timewright-wire/src/build.rs",
            "timewright-sys/src/frame.rs",
        ],
    },
    Target {
        name: "respond",
        longest: 4096,
        parsers: &["timewright-core/src/server/respond.rs"],
    },
    Target {
        name: "engine",
        longest: 6000,
        parsers: &[
            "timewright-core/src/source/response.rs",
            "timewright-core/src/source/measure.rs",
        ],
    },
    Target {
        name: "control",
        longest: 1000,
        parsers: &[
            "timewright-control/src/server.rs",
            "timewright-control/src/client.rs",
            "timewright-control/src/request.rs",
            "timewright-control/src/request/payload.rs",
            "timewright-control/src/reply.rs",
            "timewright-control/src/reply/payload.rs",
            "timewright-control/src/field.rs",
            "timewright-control/src/address.rs",
            "timewright-control/src/refid.rs",
            "timewright-control/src/status.rs",
            "timewright-control/src/timespec.rs",
        ],
    },
    Target {
        name: "config",
        longest: 2200,
        parsers: &[
            "timewright-config/src/access.rs",
            "timewright-config/src/check.rs",
            "timewright-config/src/directives/clock.rs",
            "timewright-config/src/directives/command.rs",
            "timewright-config/src/directives/logging.rs",
            "timewright-config/src/directives/miscellaneous.rs",
            "timewright-config/src/directives/mod.rs",
            "timewright-config/src/directives/obsolete.rs",
            "timewright-config/src/directives/rtc.rs",
            "timewright-config/src/directives/selection.rs",
            "timewright-config/src/directives/server.rs",
            "timewright-config/src/directives/sources.rs",
            "timewright-config/src/error.rs",
            "timewright-config/src/glob.rs",
            "timewright-config/src/hwtimestamp.rs",
            "timewright-config/src/include.rs",
            "timewright-config/src/lexical.rs",
            "timewright-config/src/local.rs",
            "timewright-config/src/parser.rs",
            "timewright-config/src/ratelimit.rs",
            "timewright-config/src/refclock.rs",
            "timewright-config/src/scan.rs",
            "timewright-config/src/source/mod.rs",
            "timewright-config/src/source/options.rs",
        ],
    },
    Target {
        name: "keys",
        longest: 2200,
        parsers: &["timewright-config/src/keys.rs"],
    },
    Target {
        name: "drift",
        longest: 4096,
        parsers: &[
            "timewright-core/src/reference/drift.rs",
            "timewright-core/src/discipline/scan.rs",
            "timewright-core/src/select/dump.rs",
        ],
    },
    Target {
        name: "samples",
        longest: 120,
        parsers: &[
            "timewright-core/src/refclock/native.rs",
            "timewright-core/src/refclock/shm.rs",
            "timewright-core/src/refclock/sock.rs",
        ],
    },
    Target {
        name: "leap",
        longest: 4096,
        parsers: &["timewright-core/src/reference/leapdb.rs"],
    },
];

impl Target {
    /// The target of this name.
    pub(super) fn find(name: &str) -> Result<&'static Self> {
        TARGETS
            .iter()
            .find(|target| target.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                anyhow!("no fuzz target `{name}`; there are {}", names.join(", "))
            })
    }

    pub(super) fn program(&self) -> Result<PathBuf> {
        let built = directory().join("target").join(host()?).join("release");
        Ok(built.join(self.name))
    }

    /// The committed seeds.
    pub(super) fn corpus(&self) -> PathBuf {
        directory().join("corpus").join(self.name)
    }

    /// What libFuzzer found worth keeping, in this run and earlier ones; not committed.
    pub(super) fn found(&self) -> PathBuf {
        directory().join("target/found").join(self.name)
    }

    /// Where inputs go that crash; not committed, but as a test of what was fixed.
    pub(super) fn artifacts(&self) -> PathBuf {
        directory().join("artifacts").join(self.name)
    }

    pub(super) fn coverage(&self) -> PathBuf {
        directory().join("target/coverage").join(self.name)
    }
}
