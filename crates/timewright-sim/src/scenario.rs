//! Scenarios: hosts with a configuration text each, and what their clocks did.

use crate::clock::ClockModel;
use crate::link::Link;
use crate::world::{Action, NodeId, Observation, World};
use std::fmt::Write as _;
use timewright_config::{MemoryFiles, ParseFailure, ParseOptions};
use timewright_core::engine::{Boot, Engine};
use timewright_time::Seconds;

/// The clock quantum of every simulated host, seconds: 2^-23, as upstream's simulator has it.
const CLOCK_QUANTUM_S: f64 = 1.0 / 8_388_608.0;

struct Host {
    name: String,
    config: String,
    model: ClockModel,
    drift_file: Option<String>,
    server_port: u16,
}

/// A world to be built and run, possibly many times with different seeds.
#[derive(Default)]
pub struct Scenario {
    hosts: Vec<Host>,
    default_link: Link,
    links: Vec<(String, String, Link)>,
    names: Vec<(String, Vec<String>)>,
    actions: Vec<(f64, PendingAction)>,
    sample_s: Option<f64>,
}

type PendingAction = Box<dyn Fn(&dyn Fn(&str) -> NodeId) -> Action>;

impl Scenario {
    /// Nothing yet; every path is [`Link::default`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host with its `chrony.conf`. Hosts find each other by name; the n-th has the
    /// address 10.0.0.n.
    #[must_use]
    pub fn node(mut self, name: &str, config: &str) -> Self {
        self.hosts.push(Host {
            name: name.to_owned(),
            config: config.to_owned(),
            model: ClockModel::default(),
            drift_file: None,
            server_port: 123,
        });
        self
    }

    /// Sets a host's clock.
    #[must_use]
    pub fn clock(mut self, name: &str, model: ClockModel) -> Self {
        self.host_mut(name).model = model;
        self
    }

    /// Gives a host a drift file to start from.
    #[must_use]
    pub fn drift_file(mut self, name: &str, content: &str) -> Self {
        self.host_mut(name).drift_file = Some(content.to_owned());
        self
    }

    /// Sets every path that is not set otherwise.
    #[must_use]
    pub fn link_all(mut self, link: Link) -> Self {
        self.default_link = link;
        self
    }

    /// Sets one direction of the path between two hosts.
    #[must_use]
    pub fn link(mut self, from: &str, to: &str, link: Link) -> Self {
        self.links.push((from.to_owned(), to.to_owned(), link));
        self
    }

    /// Makes `name` resolve to all of `hosts`, as a pool does.
    #[must_use]
    pub fn name(mut self, name: &str, hosts: &[&str]) -> Self {
        self.names.push((
            name.to_owned(),
            hosts.iter().map(|&h| h.to_owned()).collect(),
        ));
        self
    }

    /// Schedules an action; `make` is given a lookup from names to hosts.
    #[must_use]
    pub fn at(
        mut self,
        at_s: f64,
        make: impl Fn(&dyn Fn(&str) -> NodeId) -> Action + 'static,
    ) -> Self {
        self.actions.push((at_s, Box::new(make)));
        self
    }

    /// Observes the clocks this often (default: every second).
    #[must_use]
    pub fn sample_every(mut self, seconds: f64) -> Self {
        self.sample_s = Some(seconds);
        self
    }

    /// Runs for `length_s` simulated seconds.
    ///
    /// # Errors
    /// The first error in a host's configuration.
    pub fn run(&self, seed: u64, length_s: f64) -> Result<Report, Box<ParseFailure>> {
        let mut world = World::new(seed, self.default_link);
        for host in &self.hosts {
            let files = MemoryFiles::new().with("/sim/chrony.conf", host.config.as_bytes());
            let parsed =
                timewright_config::parse_file("/sim/chrony.conf", &files, ParseOptions::default())?;
            let boot = Boot {
                clock_quantum: Some(Seconds(CLOCK_QUANTUM_S)),
                drift_file: host.drift_file.clone(),
                ..Boot::default()
            };
            world.add_node(&host.name, host.model, host.server_port, |now, cx| {
                Engine::new(parsed.config, boot, now, cx)
            });
        }
        let find = |name: &str| NodeId(self.index(name));
        for (from, to, link) in &self.links {
            world.set_link(find(from), find(to), *link);
        }
        for (name, hosts) in &self.names {
            let ids: Vec<NodeId> = hosts.iter().map(|h| find(h)).collect();
            world.add_name(name, &ids);
        }
        for (at_s, make) in &self.actions {
            world.at(*at_s, make(&find));
        }
        world.run(length_s, self.sample_s.unwrap_or(1.0));
        Ok(Report {
            world,
            names: self.hosts.iter().map(|h| h.name.clone()).collect(),
        })
    }

    /// # Panics
    /// When the scenario names a host it does not have: a mistake in the scenario itself.
    fn index(&self, name: &str) -> usize {
        self.hosts
            .iter()
            .position(|h| h.name == name)
            .expect("the scenario has this host")
    }

    fn host_mut(&mut self, name: &str) -> &mut Host {
        let index = self.index(name);
        self.hosts.get_mut(index).expect("index was just found")
    }
}

/// The state of the world at the end of a run.
pub struct Report {
    /// The world.
    pub world: World,
    names: Vec<String>,
}

/// How well one clock was kept.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Root mean square of the system clock's offset from true time, seconds.
    pub rms_offset_s: f64,
    /// Largest magnitude of it, seconds.
    pub max_offset_s: f64,
    /// Root mean square of the system clock's frequency error, s/s.
    pub rms_freq: f64,
    /// Share of observations in which the claimed root distance covered the true error of the
    /// estimate; 1 when there was none.
    pub covered: f64,
    /// Mean of the claimed root distance, seconds.
    pub mean_bound_s: f64,
}

impl Report {
    /// A host by name.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn id(&self, name: &str) -> NodeId {
        NodeId(
            self.names
                .iter()
                .position(|n| n == name)
                .expect("the scenario has this host"),
        )
    }

    /// A host's state.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> &crate::node::Node {
        self.world.node(self.id(name)).expect("id was just found")
    }

    /// What a host's clock did.
    #[must_use]
    pub fn observations(&self, name: &str) -> &[Observation] {
        self.world.observations(self.id(name))
    }

    /// The quality of a host's clock from `from_s` on.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of observations")]
    pub fn summary(&self, name: &str, from_s: f64) -> Summary {
        let (mut n, mut offset2, mut freq2, mut max) = (0u64, 0.0, 0.0, 0f64);
        let (mut bounds, mut covered, mut bound_sum) = (0u64, 0u64, 0.0);
        for o in self.observations(name).iter().filter(|o| o.at_s >= from_s) {
            n += 1;
            offset2 += o.offset_s * o.offset_s;
            freq2 += o.freq * o.freq;
            max = max.max(o.offset_s.abs());
            if let Some(bound) = o.bound_s {
                bounds += 1;
                bound_sum += bound;
                covered += u64::from(o.estimate_s.abs() <= bound);
            }
        }
        let n = (n as f64).max(1.0);
        Summary {
            rms_offset_s: (offset2 / n).sqrt(),
            max_offset_s: max,
            rms_freq: (freq2 / n).sqrt(),
            covered: if bounds == 0 {
                1.0
            } else {
                covered as f64 / bounds as f64
            },
            mean_bound_s: bound_sum / (bounds as f64).max(1.0),
        }
    }

    /// The first time after which offset and frequency error stay within limits, seconds since
    /// the start; `None` if they do not at the end.
    #[must_use]
    pub fn settled_after(&self, name: &str, offset_s: f64, freq: f64) -> Option<f64> {
        let series = self.observations(name);
        let bad = series
            .iter()
            .rposition(|o| o.offset_s.abs() > offset_s || o.freq.abs() > freq);
        let first_good = bad.map_or(0, |i| i + 1);
        series.get(first_good).map(|o| o.at_s)
    }

    /// Log messages of a host, one a line, with the simulated second in front.
    #[must_use]
    pub fn log_text(&self, name: &str) -> String {
        let mut text = String::new();
        for line in &self.node(name).log {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:10.3} {}", line.at_s, line.event);
        }
        text
    }
}
