//! One simulated host: its clock, addresses, disk and logs; what outlives the daemon on it.

use crate::clock::SimClock;
use crate::device::DeviceModel;
use crate::oscillator::ClockModel;
use crate::random::SimRng;
use std::collections::BTreeMap;
use std::net::IpAddr;
use timewright_config::Config;
use timewright_control::{Command, Reply};
use timewright_core::engine::Boot;
use timewright_core::event::Event;
use timewright_core::output::{Exit, Family, LogFile};

/// What a log line was and when it appeared.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// True seconds since the start of the simulation.
    pub at_s: f64,
    /// The message.
    pub event: Event,
}

/// Who stamps the packets of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamps {
    /// The kernel, both ways.
    #[default]
    Kernel,
    /// The daemon, when it wakes up and before it sends.
    Daemon,
}

/// A host to be: what runs on it and what it is made of.
#[derive(Clone, Debug)]
pub struct NodeSetup {
    /// Its name, which also resolves to its addresses.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its clock.
    pub clock: ClockModel,
    /// Who stamps its packets.
    pub stamps: Stamps,
    /// Whether it has a clock that counts suspends.
    pub has_boot_time: bool,
    /// The configuration of its daemon.
    pub config: Config,
    /// Command line of its daemon; the file contents in it come from the host's disk.
    pub boot: Boot,
    /// Whether dump files are loaded at the start (`-r`).
    pub load_dumps: bool,
    /// The drift file on its disk.
    pub drift_file: Option<String>,
    /// Its reference clocks, by driver and parameter.
    pub devices: BTreeMap<String, DeviceModel>,
    /// When its daemon starts, seconds after the start; infinity: not by itself.
    pub start_s: f64,
}

impl NodeSetup {
    /// Whether its clock is right by itself and nothing in its configuration moves it.
    pub(crate) fn is_truthful(&self) -> bool {
        let config = &self.config;
        self.clock == ClockModel::default()
            && config.sources.is_empty()
            && config.refclocks.is_empty()
            && config.initstepslew.is_none()
            && config.server.smooth_time.is_none()
            && config.clock.temp_comp.is_none()
            && self.drift_file.is_none()
    }
}

/// A host in the simulated world.
pub struct Node {
    pub(crate) clock: SimClock,
    pub(crate) rng: SimRng,
    pub(crate) setup: NodeSetup,
    /// How often a daemon was started.
    pub(crate) runs: u64,
    /// Whether packets find a way out.
    pub(crate) routed: bool,
    /// Messages so far, of all runs of the daemon.
    pub log: Vec<LogLine>,
    /// Lines of the `log` files so far.
    pub records: BTreeMap<LogFile, Vec<String>>,
    /// The content of the drift file.
    pub drift_file: Option<String>,
    /// The dump files by name.
    pub dumps: BTreeMap<String, String>,
    /// Answers to requests, oldest first.
    pub replies: Vec<(Command, Reply)>,
    /// How the last run of the daemon ended; `None` while one runs.
    pub exit: Option<Exit>,
    /// Packets sent.
    pub sent: u64,
    /// Packets received.
    pub received: u64,
}

impl Node {
    pub(crate) fn new(mut setup: NodeSetup, clock: SimClock, rng: SimRng) -> Self {
        Self {
            clock,
            rng,
            drift_file: setup.drift_file.take(),
            setup,
            runs: 0,
            routed: true,
            log: Vec::new(),
            records: BTreeMap::new(),
            dumps: BTreeMap::new(),
            replies: Vec::new(),
            exit: None,
            sent: 0,
            received: 0,
        }
    }

    /// Its address of a family.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.setup
            .addresses
            .iter()
            .copied()
            .find(|&a| Family::of(a) == family)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.setup.name
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The times of the log messages that contain a text.
    #[must_use]
    pub fn logged(&self, text: &str) -> Vec<f64> {
        self.log
            .iter()
            .filter(|line| line.event.text.contains(text))
            .map(|line| line.at_s)
            .collect()
    }

    /// The lines of a `log` file.
    #[must_use]
    pub fn record(&self, file: LogFile) -> &[String] {
        self.records.get(&file).map_or(&[], Vec::as_slice)
    }

    /// The last answer to a command, if there was one.
    #[must_use]
    pub fn reply(&self, command: Command) -> Option<&Reply> {
        let last = self.replies.iter().rev();
        last.into_iter()
            .find(|(c, _)| *c == command)
            .map(|(_, r)| r)
    }
}
