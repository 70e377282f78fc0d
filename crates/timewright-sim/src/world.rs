//! The simulated world: true time, hosts, the network between them, one seed.

use crate::clock::{ClockModel, SimClock, from_ns, to_ns};
use crate::link::Link;
use crate::node::{Node, admits};
use crate::random::SimRng;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use timewright_core::engine::{Context, Engine};
use timewright_core::output::FamilyFilter;
use timewright_time::{Now, Seconds};

/// True time at the start: 2010-01-01 00:00:00 UTC.
pub const START_NS: i64 = 1_262_304_000 * 1_000_000_000;

/// A host, by its order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Something an operator or the weather does, at a set time.
#[derive(Clone, Debug)]
pub enum Action {
    /// The clock of a host is moved forward by this much from outside.
    StepClock(NodeId, Seconds),
    /// The path from one host to another changes.
    SetLink(NodeId, NodeId, Link),
    /// A control message reaches a host with the rights of its Unix socket.
    Control(NodeId, Vec<u8>),
    /// A host's daemon is told to end.
    Shutdown(NodeId),
}

enum Event {
    Wake {
        node: NodeId,
        generation: u64,
    },
    Deliver {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Act(Action),
    Sample,
}

/// Paths, names, packets under way and everything else that is due.
pub struct Network {
    true_ns: i64,
    sequence: u64,
    due: BTreeMap<(i64, u64), Event>,
    owners: BTreeMap<IpAddr, NodeId>,
    names: BTreeMap<String, Vec<IpAddr>>,
    links: BTreeMap<(NodeId, NodeId), Link>,
    default_link: Link,
    rng: SimRng,
}

impl Network {
    pub(crate) const fn true_ns(&self) -> i64 {
        self.true_ns
    }

    pub(crate) fn knows(&self, address: IpAddr) -> bool {
        self.owners.contains_key(&address)
    }

    pub(crate) fn resolve(&self, name: &str, families: FamilyFilter) -> Option<Vec<IpAddr>> {
        let all = self.names.get(name)?;
        Some(
            all.iter()
                .copied()
                .filter(|&a| admits(families, a))
                .collect(),
        )
    }

    fn schedule(&mut self, at_ns: i64, event: Event) {
        self.sequence += 1;
        self.due
            .insert((at_ns.max(self.true_ns), self.sequence), event);
    }

    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, packet: &[u8]) {
        let (Some(&a), Some(&b)) = (self.owners.get(&from.ip()), self.owners.get(&to.ip())) else {
            return;
        };
        let link = *self.links.get(&(a, b)).unwrap_or(&self.default_link);
        for delay in link.deliveries(&mut self.rng) {
            let mut bytes = packet.to_vec();
            link.corrupt(&mut bytes, &mut self.rng);
            self.schedule(
                self.true_ns + to_ns(delay),
                Event::Deliver { from, to, bytes },
            );
        }
    }
}

/// One observation of a host's clock.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// True seconds since the start.
    pub at_s: f64,
    /// System clock minus true time, seconds.
    pub offset_s: f64,
    /// Frequency error of the system clock, s/s.
    pub freq: f64,
    /// The root distance the daemon claims, seconds; `None` while unsynchronised.
    pub bound_s: Option<f64>,
    /// Our estimate of UTC (the system clock with its remaining correction) minus true time.
    pub estimate_s: f64,
}

/// A world of hosts.
pub struct World {
    net: Network,
    nodes: Vec<Node>,
    observations: Vec<Vec<Observation>>,
    seed: u64,
}

impl World {
    /// An empty world; all paths are `default_link` unless set otherwise.
    #[must_use]
    pub fn new(seed: u64, default_link: Link) -> Self {
        let net = Network {
            true_ns: START_NS,
            sequence: 0,
            due: BTreeMap::new(),
            owners: BTreeMap::new(),
            names: BTreeMap::new(),
            links: BTreeMap::new(),
            default_link,
            rng: SimRng::new(seed, 0),
        };
        Self {
            net,
            nodes: Vec::new(),
            observations: Vec::new(),
            seed,
        }
    }

    /// The address of the `n`-th host (from 0): 10.0.0.1 and up.
    #[must_use]
    pub fn address(n: usize) -> IpAddr {
        let offset = u32::try_from(n + 1).unwrap_or(u32::MAX >> 8);
        IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + offset))
    }

    /// Adds a host whose daemon starts now.
    pub fn add_node(
        &mut self,
        name: &str,
        model: ClockModel,
        server_port: u16,
        engine: impl FnOnce(Now, &mut Context<'_>) -> Engine,
    ) -> NodeId {
        let id = NodeId(self.nodes.len());
        let address = Self::address(id.0);
        self.net.owners.insert(address, id);
        self.net.names.insert(name.to_owned(), vec![address]);
        let stream = 2 * id.0 as u64 + 1;
        let clock = SimClock::new(model, self.net.true_ns, SimRng::new(self.seed, stream));
        let rng = SimRng::new(self.seed, stream + 1);
        let node = Node::new(engine, clock, rng, vec![address], server_port, START_NS);
        self.nodes.push(node);
        self.observations.push(Vec::new());
        self.net.schedule(
            self.net.true_ns,
            Event::Wake {
                node: id,
                generation: 0,
            },
        );
        id
    }

    /// Makes a name resolve to several hosts.
    pub fn add_name(&mut self, name: &str, hosts: &[NodeId]) {
        self.net.names.insert(
            name.to_owned(),
            hosts.iter().map(|h| Self::address(h.0)).collect(),
        );
    }

    /// Sets one direction of a path.
    pub fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.net.links.insert((from, to), link);
    }

    /// Schedules an action `at_s` seconds after the start.
    pub fn at(&mut self, at_s: f64, action: Action) {
        self.net
            .schedule(START_NS + to_ns(at_s), Event::Act(action));
    }

    /// A host.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0)
    }

    /// All observations of a host's clock so far.
    #[must_use]
    pub fn observations(&self, id: NodeId) -> &[Observation] {
        self.observations.get(id.0).map_or(&[], Vec::as_slice)
    }

    /// Runs until `until_s` seconds after the start and observes every clock each `sample_s`.
    pub fn run(&mut self, until_s: f64, sample_s: f64) {
        let end = START_NS + to_ns(until_s);
        let step = to_ns(sample_s).max(1);
        self.net.schedule(self.net.true_ns + step, Event::Sample);
        while let Some((&(at, _), _)) = self.net.due.first_key_value() {
            if at > end {
                break;
            }
            let Some(((_, _), event)) = self.net.due.pop_first() else {
                break;
            };
            self.net.true_ns = at;
            match event {
                Event::Sample => {
                    self.observe();
                    if at + step <= end {
                        self.net.schedule(at + step, Event::Sample);
                    }
                }
                Event::Wake { node, generation } => {
                    if self
                        .nodes
                        .get(node.0)
                        .is_some_and(|n| n.wake_generation == generation)
                    {
                        self.with(node, true, |_, _| {});
                    }
                }
                Event::Deliver { from, to, bytes } => {
                    if let Some(&id) = self.net.owners.get(&to.ip()) {
                        self.with(id, false, |node, net| node.deliver(net, from, to, &bytes));
                    }
                }
                Event::Act(action) => self.act(action),
            }
        }
        self.net.true_ns = end;
    }

    /// Brings a host's clock to the present, gives it an input, runs what is due and schedules
    /// its next wake-up.
    fn with(&mut self, id: NodeId, timed_out: bool, input: impl FnOnce(&mut Node, &mut Network)) {
        let Some(node) = self.nodes.get_mut(id.0) else {
            return;
        };
        let net = &mut self.net;
        node.clock.advance(net.true_ns);
        node.wake_up(net, timed_out);
        input(node, net);
        node.wake_generation += 1;
        if let Some(wait) = node.run_deadlines(net) {
            let at = node.clock.true_after(wait);
            net.schedule(
                at,
                Event::Wake {
                    node: id,
                    generation: node.wake_generation,
                },
            );
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            // The daemon finds out at its next wake-up.
            Action::StepClock(id, by) => {
                if let Some(node) = self.nodes.get_mut(id.0) {
                    node.clock.advance(self.net.true_ns);
                    node.clock.disturb(by);
                }
            }
            Action::SetLink(from, to, link) => self.set_link(from, to, link),
            Action::Control(id, bytes) => {
                self.with(id, false, |node, net| node.control(net, &bytes))
            }
            Action::Shutdown(id) => {
                self.with(id, false, |node, net| {
                    node.step(net, |engine, now, cx| engine.shutdown(now, cx));
                });
            }
        }
    }

    fn observe(&mut self) {
        let at_s = from_ns(self.net.true_ns - START_NS);
        for (node, series) in self.nodes.iter_mut().zip(&mut self.observations) {
            node.clock.advance(self.net.true_ns);
            let estimate = node.engine.estimate(node.clock.read());
            let offset_s = node.clock.offset();
            series.push(Observation {
                at_s,
                offset_s,
                freq: node.clock.frequency_error(),
                bound_s: estimate.bound.map(|b| b.0),
                estimate_s: offset_s + estimate.correction.0,
            });
        }
    }
}
