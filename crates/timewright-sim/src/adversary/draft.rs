//! A drawn simulation as data: to be run, and to be read.

use super::Kind;
use crate::device::DeviceModel;
use crate::link::Link;
use crate::node::Stamps;
use crate::oscillator::ClockModel;
use crate::scenario::{Families, Scenario};
use crate::world::{Action, NodeId};
use std::fmt;

/// A drawn host.
#[derive(Clone, Debug)]
pub struct HostDraft {
    /// Its name.
    pub name: String,
    /// Its `chrony.conf`.
    pub config: String,
    /// Its clock.
    pub clock: ClockModel,
    /// Who stamps its packets.
    pub stamps: Stamps,
    /// Whether it is started with `-r`.
    pub load_dumps: bool,
    /// Whether it is started with `-x`.
    pub leaves_clock_alone: bool,
    /// Content of its `leapseclist`.
    pub leap_list: Option<Vec<u8>>,
    /// Noise of the shared memory its reference clock writes to, s, if it has one.
    pub refclock_noise_s: Option<f64>,
}

impl HostDraft {
    pub(super) fn new(name: String, config: String) -> Self {
        Self {
            name,
            config,
            clock: ClockModel::default(),
            stamps: Stamps::Kernel,
            load_dumps: false,
            leaves_clock_alone: false,
            leap_list: None,
            refclock_noise_s: None,
        }
    }
}

/// A lie that must not get through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lie {
    /// When it begins, s.
    pub at_s: f64,
    /// How far the liars go at once, s.
    pub jump_s: f64,
    /// How fast they go, s/s.
    pub drag: f64,
}

impl Lie {
    /// How wrong the liars are.
    #[must_use]
    pub fn size_s(&self, at_s: f64) -> f64 {
        if at_s < self.at_s {
            0.0
        } else {
            (self.jump_s + self.drag * (at_s - self.at_s)).abs()
        }
    }
}

/// Paths that are expected to give a good estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steady {
    /// The client.
    pub client: usize,
    /// Mean jitter of a direction, s.
    pub jitter_s: f64,
    /// How it is divided, as the option `asymmetry` says it.
    pub asymmetry: f64,
    /// Whether the client was told of that.
    pub told: bool,
}

/// A drawn simulation.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its seed, also that of the run.
    pub seed: u64,
    /// What it is about.
    pub kind: Kind,
    /// Its length, simulated seconds.
    pub length_s: f64,
    /// Time between observations, s.
    pub sample_s: f64,
    /// Unix time at the start, if not the usual one.
    pub start_s: Option<i64>,
    /// Addresses.
    pub families: Families,
    /// The hosts.
    pub hosts: Vec<HostDraft>,
    /// The path between hosts where nothing else is said.
    pub default_link: Link,
    /// Other paths, in one direction each.
    pub links: Vec<(usize, usize, Link)>,
    /// What happens.
    pub actions: Vec<(f64, Action)>,
    /// Hosts whose claimed bound has to cover their error.
    pub covered: Vec<usize>,
    /// When something happened to a host that no bound can foresee.
    pub faults: Vec<(usize, f64)>,
    /// Faults among them that no daemon can notice but by asking: from each source a sample is
    /// needed, as the others still say what was true before.
    pub unnoticed: Vec<(usize, f64)>,
    /// A lie that must not get through.
    pub lie: Option<Lie>,
    /// What a good estimate can be expected of.
    pub steady: Option<Steady>,
}

impl Draft {
    pub(super) fn new(seed: u64, kind: Kind) -> Self {
        Self {
            seed,
            kind,
            length_s: 8000.0,
            sample_s: 4.0,
            start_s: None,
            families: Families::V4,
            hosts: Vec::new(),
            default_link: Link::default(),
            links: Vec::new(),
            actions: Vec::new(),
            covered: Vec::new(),
            faults: Vec::new(),
            unnoticed: Vec::new(),
            lie: None,
            steady: None,
        }
    }

    /// The same for the simulator.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        let mut scenario = Scenario::new()
            .families(self.families)
            .link_all(self.default_link)
            .sample_every(self.sample_s);
        if let Some(start_s) = self.start_s {
            scenario = scenario.start(start_s);
        }
        for host in &self.hosts {
            let name = &host.name;
            scenario = scenario
                .node(name, &host.config)
                .clock(name, host.clock)
                .stamps(name, host.stamps);
            if host.load_dumps {
                scenario = scenario.load_dumps(name);
            }
            if host.leaves_clock_alone {
                scenario = scenario.boot(name, |b| b.control_clock = false);
            }
            if let Some(list) = &host.leap_list {
                scenario = scenario.boot(name, |b| b.leap_list = Some(list.clone()));
            }
            if let Some(noise_s) = host.refclock_noise_s {
                let model = DeviceModel {
                    noise_s,
                    ..DeviceModel::default()
                };
                scenario = scenario.device(name, "SHM 0", model);
            }
        }
        let names: Vec<&str> = self.hosts.iter().map(|h| h.name.as_str()).collect();
        scenario = scenario.name("pool", &names);
        for &(from, to, link) in &self.links {
            if let (Some(from), Some(to)) = (names.get(from), names.get(to)) {
                scenario = scenario.link(from, to, link);
            }
        }
        for (at_s, action) in &self.actions {
            let action = action.clone();
            scenario = scenario.at(*at_s, move |_| action.clone());
        }
        scenario
    }

    pub(super) fn act(&mut self, at_s: f64, action: Action) {
        self.actions.push((at_s, action));
    }

    pub(super) fn fault(&mut self, at_s: f64, host: usize, action: Action) {
        self.faults.push((host, at_s));
        self.act(at_s, action);
    }

    pub(super) const fn id(host: usize) -> NodeId {
        NodeId(host)
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            kind,
            length_s,
            families,
            default_link,
            ..
        } = self;
        writeln!(f, "seed {seed}: {kind:?}, {length_s} s, {families:?}")?;
        if let Some(start_s) = self.start_s {
            writeln!(f, "starts at {start_s}")?;
        }
        writeln!(f, "paths: {default_link:?}")?;
        for (from, to, link) in &self.links {
            writeln!(f, "path from host {from} to {to}: {link:?}")?;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            writeln!(
                f,
                "host {index} {}: {:?}, {:?}",
                host.name, host.clock, host.stamps
            )?;
            if host.load_dumps {
                writeln!(f, "  -r")?;
            }
            if host.leaves_clock_alone {
                writeln!(f, "  -x")?;
            }
            if let Some(noise_s) = host.refclock_noise_s {
                writeln!(f, "  SHM 0 with noise of {noise_s:e} s")?;
            }
            for line in host.config.lines() {
                writeln!(f, "  | {line}")?;
            }
        }
        let mut actions: Vec<_> = self.actions.iter().collect();
        actions.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at_s, action) in actions {
            writeln!(f, "{at_s:10.3} {action:?}")?;
        }
        if let Some(lie) = &self.lie {
            writeln!(f, "{lie:?}")?;
        }
        if let Some(steady) = &self.steady {
            writeln!(f, "{steady:?}")?;
        }
        write!(f, "bounds to be kept by hosts {:?}", self.covered)
    }
}
