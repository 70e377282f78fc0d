//! The simulated world: hosts, the network between them, what happens to them, one seed.

use crate::check::{self, Violation};
use crate::clock::{SimClock, to_ns};
use crate::daemon::Daemon;
use crate::link::Link;
use crate::network::{Event, Lookup, Network, Packet};
use crate::node::{Node, NodeSetup};
use crate::queue::SharedQueue;
use crate::random::SimRng;
use crate::seed::Reproduce;
use crate::spoil::Spoil;
use std::net::SocketAddr;
use timewright_config::SourceSpec;
use timewright_control::Request;
use timewright_core::ids::DeviceId;
use timewright_core::output::Exit;
use timewright_time::{MonoTime, Seconds};

/// True time at the start unless set otherwise: 2010-01-01 00:00:00 UTC.
pub const START_NS: i64 = 1_262_304_000 * 1_000_000_000;

/// A host, by its order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// Something an operator or the weather does, at a set time.
#[derive(Clone, Debug)]
pub enum Action {
    /// The clock of a host is moved forward by this much from outside (`date -s`).
    StepClock(NodeId, Seconds),
    /// The frequency of a host's oscillator changes by this much, ppm; positive makes it faster.
    StepFrequency(NodeId, f64),
    /// The list of leap seconds on a host's disk is replaced; `None`: it is gone.
    SetLeapList(NodeId, Option<Vec<u8>>),
    /// The files of a host's `sourcedir` are replaced; they are read on `reload sources` and when
    /// the daemon starts.
    SetSources(NodeId, Vec<SourceSpec>),
    /// The path from one host to another changes.
    SetLink(NodeId, NodeId, Link),
    /// The path from one host to another has another delay (a change of route), all else stays.
    SetDelay(NodeId, NodeId, Seconds),
    /// Responses on the path from one host to another are spoilt from now on, or no more.
    Spoil(NodeId, NodeId, Option<Spoil>),
    /// A name means something else from now on.
    SetName(String, Lookup),
    /// A host loses its routes, or has them back.
    SetRouted(NodeId, bool),
    /// `chronyc` on a host; the reply is kept in [`Node::replies`].
    Command(NodeId, Request),
    /// A datagram from anywhere reaches a host, whoever is said to have sent it.
    Inject {
        /// The alleged sender.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// A host's daemon is told to end.
    Shutdown(NodeId),
    /// A host's daemon ends without a chance to save anything.
    Kill(NodeId),
    /// A host's daemon is started (again), with what is on the host's disk.
    Start(NodeId),
    /// A host stands still for this long while all its clocks go on (a stopped virtual machine or
    /// process).
    Pause(NodeId, Seconds),
    /// A host sleeps for this long; its monotonic clock does not count that.
    Suspend(NodeId, Seconds),
    /// A host sleeps for this long, and its kernel adds this much more to the system clock.
    SuspendInexactly(NodeId, Seconds, Seconds),
    /// A host and all its clocks stand still for this long (a stopped virtual machine).
    Freeze(NodeId, Seconds),
    /// UTC has a leap second now: +1 was inserted, -1 left out.
    Leap(i8),
}

/// One observation of a host's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// True seconds since the start.
    pub at_s: f64,
    /// System clock minus UTC, seconds.
    pub offset_s: f64,
    /// Frequency error of the system clock, s/s.
    pub freq: f64,
    /// The root distance the daemon claims, seconds; `None` while unsynchronised.
    pub bound_s: Option<f64>,
    /// The daemon's estimate of UTC (the system clock with its remaining correction) minus UTC.
    pub estimate_s: f64,
    /// When the reference was updated last, on the host's monotonic clock.
    pub last_update: Option<MonoTime>,
}

struct Host {
    node: Node,
    daemon: Option<Box<Daemon>>,
    /// Wake-ups scheduled before this number are void.
    wake_generation: u64,
    /// When its daemon's wait ends, by its own monotonic clock.
    wait_end: MonoTime,
    /// True time until which it stands still.
    asleep_ns: i64,
    observed: bool,
    /// Its clock was set, which ends the wait in progress.
    clock_set: bool,
    observations: Vec<Observation>,
}

impl Host {
    fn disturbed(&mut self, by_s: f64) {
        if let Some(daemon) = &mut self.daemon {
            daemon.disturbed(by_s);
        }
    }
}

/// A world of hosts.
pub struct World {
    net: Network,
    hosts: Vec<Host>,
    _reproduce: Reproduce,
}

impl World {
    /// An empty world; all paths are `default_link` unless set otherwise. `start_ns` is true time
    /// in nanoseconds since 1970.
    #[must_use]
    pub fn new(seed: u64, start_ns: i64, default_link: Link) -> Self {
        Self {
            net: Network::new(seed, start_ns, default_link),
            hosts: Vec::new(),
            _reproduce: Reproduce(seed),
        }
    }

    /// Adds a host. Its name resolves to its addresses.
    pub fn add_node(&mut self, setup: NodeSetup) -> NodeId {
        let id = NodeId(self.hosts.len());
        for &address in &setup.addresses {
            self.net.own(address, id);
        }
        self.net
            .set_name(&setup.name, Lookup::Addresses(setup.addresses.clone()));
        self.net.set_truthful(&setup.addresses, setup.is_truthful());
        let stream = 2 * id.0 as u64 + 1;
        let seed = self.net.seed;
        let clock = SimClock::new(setup.clock, self.net.true_ns, SimRng::new(seed, stream));
        if setup.start_s.is_finite() {
            self.at(setup.start_s, Action::Start(id));
        }
        self.hosts.push(Host {
            node: Node::new(setup, clock, SimRng::new(seed, stream + 1)),
            daemon: None,
            wake_generation: 0,
            wait_end: MonoTime::from_ns(0),
            asleep_ns: i64::MIN,
            observed: true,
            clock_set: false,
            observations: Vec::new(),
        });
        id
    }

    /// Makes a name mean something.
    pub fn set_name(&mut self, name: &str, lookup: Lookup) {
        self.net.set_name(name, lookup);
    }

    /// Sets one direction of a path.
    pub fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.net.set_link(from, to, link);
    }

    /// Sends these directions of paths through one queue besides their own delays.
    pub fn share_queue(&mut self, queue: SharedQueue, paths: &[(NodeId, NodeId)]) {
        self.net.share(queue, paths);
    }

    /// Keeps no record of packets: [`Self::packets`] stays empty. For long runs of many hosts.
    pub fn forget_packets(&mut self) {
        self.net.forget_packets();
    }

    /// Lets daemons that start from now on go unwatched: nothing is checked at every step. Gains a
    /// third of the speed, changes no result.
    pub fn leave_unchecked(&mut self) {
        self.net.checked = false;
    }

    /// Observes these hosts only. For long runs of many hosts.
    pub fn observe_only(&mut self, nodes: &[NodeId]) {
        for (index, host) in self.hosts.iter_mut().enumerate() {
            host.observed = nodes.contains(&NodeId(index));
        }
    }

    /// Schedules an action `at_s` seconds after the start.
    pub fn at(&mut self, at_s: f64, action: Action) {
        let at_ns = self.net.start_ns + to_ns(at_s);
        self.net.schedule(at_ns, Event::Act(action));
    }

    /// A host.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.hosts.get(id.0).map(|host| &host.node)
    }

    /// Whether a host's daemon runs.
    #[must_use]
    pub fn is_running(&self, id: NodeId) -> bool {
        self.hosts.get(id.0).is_some_and(|h| h.daemon.is_some())
    }

    /// All observations of a host's clock so far.
    #[must_use]
    pub fn observations(&self, id: NodeId) -> &[Observation] {
        self.hosts
            .get(id.0)
            .map_or(&[], |host| host.observations.as_slice())
    }

    /// All packets sent so far, in order.
    #[must_use]
    pub fn packets(&self) -> &[Packet] {
        self.net.packets()
    }

    /// Who has an address.
    #[must_use]
    pub fn owner(&self, address: std::net::IpAddr) -> Option<NodeId> {
        self.net.owner(address)
    }

    /// Collects what does not hold instead of ending at the first of it.
    pub const fn collect_violations(&mut self) {
        self.net.violations.collected = true;
    }

    /// What did not hold so far, if that is collected.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.net.violations.list()
    }

    /// A number for everything observed so far: packets, messages, records and clocks. Equal
    /// seeds give equal ones.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.net.digest.value()
    }

    /// Runs until `until_s` seconds after the start and observes every clock each `sample_s`.
    pub fn run(&mut self, until_s: f64, sample_s: f64) {
        let end = self.net.start_ns + to_ns(until_s);
        let step = to_ns(sample_s).max(1);
        let mut sample = self.net.true_ns + step;
        loop {
            let next = self.net.next_ns().unwrap_or(i64::MAX);
            if sample.min(next) > end {
                break;
            }
            if sample <= next {
                self.net.true_ns = sample;
                self.observe();
                sample += step;
            } else if let Some(event) = self.net.next_event() {
                self.handle(event);
            }
        }
        self.net.true_ns = end;
    }

    /// Ends all daemons that still run, in order.
    pub fn shut_down(&mut self) {
        for index in 0..self.hosts.len() {
            self.act(Action::Shutdown(NodeId(index)));
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake { node, generation } => {
                let Some(host) = self.hosts.get_mut(node.0) else {
                    return;
                };
                if host.wake_generation != generation {
                    return;
                }
                if host.asleep_ns > self.net.true_ns {
                    let at = host.asleep_ns;
                    self.net.schedule(at, Event::Wake { node, generation });
                } else if std::mem::take(&mut host.clock_set) {
                    self.with(node, |_, _, _| {});
                } else if let Some(at) = self.waits_until(node) {
                    self.net.schedule(at, Event::Wake { node, generation });
                } else {
                    self.with(node, |_, _, _| {});
                }
            }
            Event::Deliver {
                from,
                to,
                bytes,
                intact,
            } => self.deliver(from, to, &bytes, intact),
            Event::Resolved {
                node: id,
                run,
                ticket,
                answer,
            } => self.with(id, |daemon, node, net| {
                if node.runs == run {
                    daemon.resolved(node, net, ticket, answer);
                }
            }),
            Event::Second { node, run, device } => self.second(node, run, device),
            Event::Act(action) => self.act(action),
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], intact: bool) {
        if let Some(id) = self.net.owner(to.ip()) {
            self.with(id, |daemon, node, net| {
                daemon.deliver(node, net, from, to, bytes, intact);
            });
        }
    }

    /// A full second of a reference clock. A host that stands still misses it.
    fn second(&mut self, id: NodeId, run: u64, device: DeviceId) {
        let Some(host) = self.hosts.get_mut(id.0) else {
            return;
        };
        let Some(daemon) = host.daemon.as_mut().filter(|_| host.node.runs == run) else {
            return;
        };
        daemon.await_second(device, run, &mut self.net);
        if host.asleep_ns > self.net.true_ns {
            return;
        }
        host.node.clock.advance(self.net.true_ns);
        if let Some(reading) = daemon.second(device, &host.node, &self.net) {
            self.with(id, |daemon, node, net| {
                daemon.device_event(node, net, device, &reading);
            });
        }
    }

    /// When a wait really ends that was thought to be over: its clock was slower meanwhile than
    /// expected, or stood still.
    fn waits_until(&mut self, id: NodeId) -> Option<i64> {
        let host = self.hosts.get_mut(id.0)?;
        let clock = &mut host.node.clock;
        clock.advance(self.net.true_ns);
        let rest = host.wait_end - clock.read().mono;
        (rest.0 > 0.0).then(|| clock.true_after(rest))
    }

    /// Brings a host's clock to the present, gives its daemon an input, runs what is due and
    /// schedules the next wake-up. Hosts that sleep miss it.
    fn with(&mut self, id: NodeId, input: impl FnOnce(&mut Daemon, &mut Node, &mut Network)) {
        let Some(host) = self.hosts.get_mut(id.0) else {
            return;
        };
        if host.asleep_ns > self.net.true_ns {
            return;
        }
        host.node.clock.advance(self.net.true_ns);
        if let Some(daemon) = &mut host.daemon {
            daemon.wake_up(&mut host.node, &mut self.net);
            input(daemon, &mut host.node, &mut self.net);
        }
        self.go_on(id);
    }

    /// Lets a daemon do what is due; ends it, or schedules its next wake-up.
    fn go_on(&mut self, id: NodeId) {
        let net = &mut self.net;
        let Some(Host {
            node,
            daemon: slot,
            wake_generation,
            wait_end,
            ..
        }) = self.hosts.get_mut(id.0)
        else {
            return;
        };
        let Some(daemon) = slot else { return };
        *wake_generation += 1;
        let wait = daemon.run_deadlines(node, net);
        if let Some(exit) = daemon.exit {
            daemon.shut_down(node, net);
            node.exit = Some(exit);
            *slot = None;
        } else if let Some(wait) = wait {
            let generation = *wake_generation;
            *wait_end = node.clock.read().mono + wait;
            let at = node.clock.true_after(wait);
            net.schedule(
                at,
                Event::Wake {
                    node: id,
                    generation,
                },
            );
        }
    }

    /// A host whose clock somebody touches need not be right any more.
    fn doubt(&mut self, action: &Action) {
        if let Action::StepClock(id, _)
        | Action::StepFrequency(id, _)
        | Action::Command(id, _)
        | Action::Pause(id, _)
        | Action::Suspend(id, _)
        | Action::SuspendInexactly(id, ..)
        | Action::Freeze(id, _) = action
            && let Some(host) = self.hosts.get(id.0)
        {
            self.net.set_truthful(&host.node.setup.addresses, false);
        }
    }

    fn act(&mut self, action: Action) {
        self.doubt(&action);
        match action {
            Action::StepClock(id, by) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.node.clock.advance(self.net.true_ns);
                    host.node.clock.disturb(by);
                    host.disturbed(by.0);
                }
                // The kernel wakes up who waits for that.
                self.with(id, |_, _, _| {});
            }
            Action::StepFrequency(id, by_ppm) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.node.clock.advance(self.net.true_ns);
                    host.node.clock.step_frequency(by_ppm);
                    host.disturbed(0.0);
                }
            }
            Action::SetDelay(from, to, delay) => self.net.set_delay(from, to, delay.0),
            Action::SetLink(from, to, link) => self.set_link(from, to, link),
            Action::Spoil(from, to, spoil) => self.net.set_spoil(from, to, spoil),
            Action::SetLeapList(id, list) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.node.setup.boot.leap_list = list;
                }
            }
            Action::SetSources(id, sources) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.node.setup.boot.fragments = sources;
                }
            }
            Action::SetName(name, lookup) => self.set_name(&name, lookup),
            Action::SetRouted(id, routed) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.node.routed = routed;
                }
            }
            Action::Command(id, request) => self.with(id, |daemon, node, net| {
                daemon.command(node, net, &request);
            }),
            Action::Inject { from, to, bytes } => {
                if let Some(id) = self.net.owner(to.ip()) {
                    self.with(id, |daemon, node, net| {
                        daemon.deliver_forged(node, net, from, to, &bytes);
                    });
                }
            }
            Action::Shutdown(id) => self.with(id, |daemon, _, _| {
                daemon.exit.get_or_insert(Exit::Done);
            }),
            Action::Kill(id) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.daemon = None;
                }
            }
            Action::Start(id) => self.start(id),
            Action::Pause(id, time) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    host.asleep_ns = self.net.true_ns + to_ns(time.0);
                    host.disturbed(time.0);
                }
            }
            Action::Suspend(id, time) => self.suspend(id, time, Seconds::ZERO),
            Action::SuspendInexactly(id, time, error) => self.suspend(id, time, error),
            Action::Freeze(id, time) => {
                if let Some(host) = self.hosts.get_mut(id.0) {
                    let end = self.net.true_ns + to_ns(time.0);
                    host.node.clock.advance(self.net.true_ns);
                    host.node.clock.stand_still(end);
                    host.asleep_ns = end;
                    host.disturbed(time.0);
                }
            }
            Action::Leap(leap) => self.net.leaps_ns -= i64::from(leap) * to_ns(1.0),
        }
    }

    /// The end of a suspend sets the clock, of which the kernel tells who waits for that.
    fn suspend(&mut self, id: NodeId, time: Seconds, error: Seconds) {
        let Some(host) = self.hosts.get_mut(id.0) else {
            return;
        };
        host.disturbed(time.0 + error.0.abs());
        let end = self.net.true_ns + to_ns(time.0);
        host.node.clock.advance(self.net.true_ns);
        host.node.clock.suspend(end, error);
        host.asleep_ns = end;
        host.clock_set = true;
        host.wake_generation += 1;
        let generation = host.wake_generation;
        self.net.schedule(
            end,
            Event::Wake {
                node: id,
                generation,
            },
        );
    }

    fn start(&mut self, id: NodeId) {
        let Some(host) = self.hosts.get_mut(id.0) else {
            return;
        };
        if host.daemon.is_none() && host.asleep_ns <= self.net.true_ns {
            host.node.clock.advance(self.net.true_ns);
            host.daemon = Some(Daemon::start(id, &mut host.node, &mut self.net));
            self.go_on(id);
        }
    }

    fn observe(&mut self) {
        let at_s = self.net.elapsed_s();
        let leaps_s = self.net.leaps_s();
        for host in &mut self.hosts {
            if !host.observed || host.asleep_ns > self.net.true_ns {
                continue;
            }
            let clock = host.node.clock.look(self.net.true_ns);
            let offset_s = clock.offset() - leaps_s;
            let (freq, now) = (clock.frequency_error(), clock.read());
            let mut seen = Observation {
                at_s,
                offset_s,
                freq,
                bound_s: None,
                estimate_s: offset_s,
                last_update: None,
            };
            if let Some(daemon) = &host.daemon {
                let estimate = daemon.estimate(now);
                seen.bound_s = estimate.bound.map(|b| b.0);
                seen.last_update = daemon.last_update();
                seen.estimate_s += estimate.correction.0;
                check::estimate(
                    estimate.correction.0,
                    seen.bound_s,
                    &host.node,
                    &mut self.net,
                );
            }
            let numbers = [seen.offset_s, seen.freq, seen.bound_s.unwrap_or(-1.0)];
            for number in numbers {
                self.net.digest.float(number);
            }
            host.observations.push(seen);
        }
    }
}
