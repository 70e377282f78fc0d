//! True time, what is due, and the paths between hosts.

use crate::agenda::Agenda;
use crate::check::Violations;
use crate::clock::{from_ns, to_ns};
use crate::device::Moment;
use crate::digest::Digest;
use crate::link::Link;
use crate::queue::{QueueState, SharedQueue};
use crate::random::SimRng;
use crate::spoil::Spoil;
use crate::world::{Action, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use timewright_core::engine::LookupAnswer;
use timewright_core::ids::{DeviceId, Ticket};
use timewright_core::output::{Family, FamilyFilter};

/// How long a name lookup takes, seconds.
const LOOKUP_S: f64 = 1e-3;

/// What a name resolves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// These addresses, in this order.
    Addresses(Vec<IpAddr>),
    /// No resolver answers now.
    TemporaryFailure,
    /// There is no such name.
    PermanentFailure,
}

/// A packet as a host sent it.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// True seconds since the start.
    pub at_s: f64,
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// Bytes of payload.
    pub len: usize,
    /// How many copies will arrive.
    pub copies: usize,
}

pub(crate) enum Event {
    Wake {
        node: NodeId,
        generation: u64,
    },
    Deliver {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
        /// It arrives as it was sent.
        intact: bool,
    },
    /// `run` counts the starts of the daemon: a new one does not get the answers of the old.
    Resolved {
        node: NodeId,
        run: u64,
        ticket: Ticket,
        answer: LookupAnswer,
    },
    /// A full second of a reference clock.
    Second {
        node: NodeId,
        run: u64,
        device: DeviceId,
    },
    Act(Action),
}

struct Path {
    link: Link,
    /// Packets so far.
    sent: u64,
    /// Index of the queue it shares with others.
    queue: Option<usize>,
    /// What happens to responses.
    spoil: Option<Spoil>,
}

impl Path {
    const fn new(link: Link) -> Self {
        Self {
            link,
            sent: 0,
            queue: None,
            spoil: None,
        }
    }
}

/// Streams of random numbers from here on are those of shared queues; hosts have two each.
const QUEUE_STREAMS: u64 = 1 << 32;

/// Paths, names, packets under way and everything else that is due.
pub(crate) struct Network {
    pub(crate) start_ns: i64,
    pub(crate) true_ns: i64,
    pub(crate) seed: u64,
    /// What leap seconds so far have added to UTC.
    pub(crate) leaps_ns: i64,
    due: Agenda<Event>,
    owners: BTreeMap<IpAddr, NodeId>,
    names: BTreeMap<String, Lookup>,
    /// Addresses of hosts that tell the true time whenever they tell any.
    truthful: BTreeSet<IpAddr>,
    paths: BTreeMap<(NodeId, NodeId), Path>,
    queues: Vec<QueueState>,
    default_link: Link,
    rng: SimRng,
    keep_packets: bool,
    /// Whether daemons started from now on are watched ([`crate::check`]).
    pub(crate) checked: bool,
    packets: Vec<Packet>,
    /// What did not hold.
    pub(crate) violations: Violations,
    /// Of everything observed.
    pub(crate) digest: Digest,
}

impl Network {
    pub(crate) fn new(seed: u64, start_ns: i64, default_link: Link) -> Self {
        Self {
            start_ns,
            true_ns: start_ns,
            seed,
            leaps_ns: 0,
            due: Agenda::default(),
            owners: BTreeMap::new(),
            names: BTreeMap::new(),
            truthful: BTreeSet::new(),
            paths: BTreeMap::new(),
            queues: Vec::new(),
            default_link,
            rng: SimRng::new(seed, 0),
            keep_packets: true,
            checked: true,
            packets: Vec::new(),
            violations: Violations::default(),
            digest: Digest::default(),
        }
    }

    /// The moment, for reference clocks.
    pub(crate) const fn moment(&self) -> Moment {
        Moment {
            true_ns: self.true_ns,
            leaps_ns: self.leaps_ns,
            start_ns: self.start_ns,
        }
    }

    /// True seconds since the start.
    pub(crate) fn elapsed_s(&self) -> f64 {
        from_ns(self.true_ns - self.start_ns)
    }

    /// What leap seconds so far have added to UTC, seconds.
    pub(crate) fn leaps_s(&self) -> f64 {
        from_ns(self.leaps_ns)
    }

    pub(crate) fn own(&mut self, address: IpAddr, node: NodeId) {
        self.owners.insert(address, node);
    }

    pub(crate) fn owner(&self, address: IpAddr) -> Option<NodeId> {
        self.owners.get(&address).copied()
    }

    /// Whether the host of an address tells the true time whenever it tells any.
    pub(crate) fn is_truthful(&self, address: IpAddr) -> bool {
        self.truthful.contains(&address)
    }

    pub(crate) fn set_truthful(&mut self, addresses: &[IpAddr], truthful: bool) {
        for address in addresses {
            if truthful {
                self.truthful.insert(*address);
            } else {
                self.truthful.remove(address);
            }
        }
    }

    pub(crate) fn set_spoil(&mut self, from: NodeId, to: NodeId, spoil: Option<Spoil>) {
        self.path(from, to).spoil = spoil;
    }

    pub(crate) fn set_name(&mut self, name: &str, lookup: Lookup) {
        self.names.insert(name.to_owned(), lookup);
    }

    pub(crate) fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.path(from, to).link = link;
    }

    /// Changes the delay of a path and nothing else of it.
    pub(crate) fn set_delay(&mut self, from: NodeId, to: NodeId, delay_s: f64) {
        self.path(from, to).link.delay_s = delay_s;
    }

    /// Sends these paths through a queue of their own.
    pub(crate) fn share(&mut self, queue: SharedQueue, paths: &[(NodeId, NodeId)]) {
        let index = self.queues.len();
        let rng = SimRng::new(self.seed, QUEUE_STREAMS + index as u64);
        self.queues.push(QueueState::new(queue, self.true_ns, rng));
        for &(from, to) in paths {
            self.path(from, to).queue = Some(index);
        }
    }

    fn path(&mut self, from: NodeId, to: NodeId) -> &mut Path {
        let default = self.default_link;
        let path = self.paths.entry((from, to));
        path.or_insert_with(|| Path::new(default))
    }

    /// Stops keeping a record of every packet.
    pub(crate) fn forget_packets(&mut self) {
        self.keep_packets = false;
    }

    pub(crate) fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// What the resolver says to a name right now.
    pub(crate) fn look_up(&self, name: &str, families: FamilyFilter) -> LookupAnswer {
        match self.names.get(name) {
            Some(Lookup::Addresses(all)) => {
                let admitted = |a: &&IpAddr| match families {
                    FamilyFilter::Any => true,
                    FamilyFilter::Only(family) => Family::of(**a) == family,
                };
                LookupAnswer::Addresses(all.iter().filter(admitted).copied().collect())
            }
            Some(Lookup::TemporaryFailure) => LookupAnswer::TemporaryFailure,
            Some(Lookup::PermanentFailure) | None => LookupAnswer::PermanentFailure,
        }
    }

    /// Answers a lookup a little later, by what the name means now.
    pub(crate) fn resolve(
        &mut self,
        node: NodeId,
        run: u64,
        ticket: Ticket,
        name: &str,
        families: FamilyFilter,
    ) {
        let answer = self.look_up(name, families);
        self.schedule(
            self.true_ns + to_ns(LOOKUP_S),
            Event::Resolved {
                node,
                run,
                ticket,
                answer,
            },
        );
    }

    pub(crate) fn schedule(&mut self, at_ns: i64, event: Event) {
        self.due.insert(at_ns.max(self.true_ns), event);
    }

    /// When the next event is due.
    pub(crate) fn next_ns(&self) -> Option<i64> {
        self.due.next_ns()
    }

    /// Moves to the next event and takes it.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let (at_ns, event) = self.due.pop()?;
        self.true_ns = at_ns;
        Some(event)
    }

    /// Sends a packet; one to nobody is lost.
    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let at_s = self.elapsed_s();
        self.digest.number(self.true_ns);
        self.digest.bytes(payload);
        let mut copies = 0;
        if let (Some(&a), Some(&b)) = (self.owners.get(&from.ip()), self.owners.get(&to.ip())) {
            let path = self.path(a, b);
            let (link, count, queue, spoil) = (path.link, path.sent, path.queue, path.spoil);
            path.sent += 1;
            let queue = queue.and_then(|index| self.queues.get_mut(index));
            let wait_s = queue.map_or(0.0, |queue| queue.wait(self.true_ns));
            for delay in link.deliveries(at_s, count, &mut self.rng) {
                let mut bytes = payload.to_vec();
                link.damage(&mut bytes, &mut self.rng);
                let held = spoil.map_or(0.0, |spoil| spoil.apply(&mut bytes, &mut self.rng));
                let intact = bytes == payload;
                copies += 1;
                self.schedule(
                    self.true_ns.saturating_add(to_ns(delay + wait_s + held)),
                    Event::Deliver {
                        from,
                        to,
                        bytes,
                        intact,
                    },
                );
            }
        }
        if self.keep_packets {
            self.packets.push(Packet {
                at_s,
                from,
                to,
                len: payload.len(),
                copies,
            });
        }
    }
}
