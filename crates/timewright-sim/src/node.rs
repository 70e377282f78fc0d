//! One simulated host: an engine, its clock, its sockets, and the driver between them.

use crate::clock::SimClock;
use crate::random::SimRng;
use crate::world::Network;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use timewright_core::discipline::jump::Wait;
use timewright_core::engine::{Context, Engine, LookupAnswer, Outcome};
use timewright_core::event::Event;
use timewright_core::ids::SocketKey;
use timewright_core::output::{
    ControlOrigin, Datagram, Exit, Family, FamilyFilter, FileKind, Output, OutputQueue,
    PacketStamp, SocketRole, StampSource, TxStamp,
};
use timewright_time::{Now, Raw, Seconds, Timestamp};

/// What a log line was and when it appeared, in true seconds since the start.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Seconds since the start of the simulation.
    pub at_s: f64,
    /// The message.
    pub event: Event,
}

struct Socket {
    port: u16,
    family: Family,
    /// Only packets from here are accepted.
    peer: Option<SocketAddr>,
}

/// A host in the simulated world.
pub struct Node {
    pub(crate) engine: Engine,
    pub(crate) clock: SimClock,
    rng: SimRng,
    out: OutputQueue,
    addresses: Vec<IpAddr>,
    sockets: BTreeMap<SocketKey, Socket>,
    next_port: u16,
    server_port: u16,
    /// Wake-ups scheduled before this number are void.
    pub(crate) wake_generation: u64,
    /// Messages so far.
    pub log: Vec<LogLine>,
    /// Lines of the `log` files so far, by file name.
    pub records: BTreeMap<timewright_core::output::LogFile, Vec<String>>,
    /// The last content of the drift file.
    pub drift_file: Option<String>,
    /// Dump files, loaded when the sources start.
    pub dumps: BTreeMap<String, String>,
    /// Replies to control messages, oldest first.
    pub control_replies: Vec<Vec<u8>>,
    /// How the daemon ended, if it did.
    pub exit: Option<Exit>,
    /// Packets sent.
    pub sent: u64,
    /// Packets received.
    pub received: u64,
    start_true_ns: i64,
    /// The system clock before the wait in progress, and how long it may last.
    wait: Option<(Timestamp<Raw>, Option<Seconds>)>,
}

impl Node {
    pub(crate) fn new(
        engine: impl FnOnce(Now, &mut Context<'_>) -> Engine,
        mut clock: SimClock,
        mut rng: SimRng,
        addresses: Vec<IpAddr>,
        server_port: u16,
        start_true_ns: i64,
    ) -> Self {
        let mut out = OutputQueue::new();
        let now = clock.read();
        let engine = engine(
            now,
            &mut Context {
                clock: &mut clock,
                rng: &mut rng,
                out: &mut out,
            },
        );
        Self {
            engine,
            clock,
            rng,
            out,
            addresses,
            sockets: BTreeMap::new(),
            next_port: 32_768,
            server_port,
            wake_generation: 0,
            log: Vec::new(),
            records: BTreeMap::new(),
            drift_file: None,
            dumps: BTreeMap::new(),
            control_replies: Vec::new(),
            exit: None,
            sent: 0,
            received: 0,
            start_true_ns,
            wait: None,
        }
    }

    /// Tells the engine that its last wait is over, by time-out or by something coming in.
    pub(crate) fn wake_up(&mut self, net: &mut Network, timed_out: bool) {
        let Some((before, limit)) = self.wait.take() else {
            // The first time: carry out what the start asked for.
            self.drain(net);
            return;
        };
        let wait = match limit {
            Some(limit) if timed_out => Wait::TimedOut(limit),
            limit => Wait::Interrupted(limit),
        };
        self.step(net, |engine, now, cx| {
            engine.handle_wake_up(now, before, wait, cx)
        });
    }

    /// Calls the engine with its context and carries out what it asked for.
    pub(crate) fn step(
        &mut self,
        net: &mut Network,
        input: impl FnOnce(&mut Engine, Now, &mut Context<'_>),
    ) {
        if self.exit.is_some() {
            return;
        }
        let now = self.clock.read();
        let mut cx = Context {
            clock: &mut self.clock,
            rng: &mut self.rng,
            out: &mut self.out,
        };
        input(&mut self.engine, now, &mut cx);
        self.drain(net);
    }

    /// Runs all deadlines that are due, then returns the wait until the next.
    pub(crate) fn run_deadlines(&mut self, net: &mut Network) -> Option<Seconds> {
        let wait = self.do_what_is_due(net);
        self.wait = Some((self.clock.read().raw, wait));
        wait
    }

    fn do_what_is_due(&mut self, net: &mut Network) -> Option<Seconds> {
        while self.exit.is_none() {
            let mono = self.clock.read().mono;
            let deadline = self.engine.next_deadline()?;
            if deadline > mono {
                // The production loop waits whole milliseconds, rounded up.
                let wait_ms = ((deadline - mono).0 * 1e3).ceil().max(1.0);
                return Some(Seconds(wait_ms * 1e-3));
            }
            self.step(net, |engine, now, cx| engine.handle_deadline(now, cx));
        }
        None
    }

    pub(crate) fn deliver(
        &mut self,
        net: &mut Network,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let key = self.sockets.iter().find_map(|(&key, s)| {
            let fits = s.port == to.port() && s.family == Family::of(to.ip());
            (fits && s.peer.is_none_or(|peer| peer == from)).then_some(key)
        });
        let Some(socket) = key else { return };
        self.received += 1;
        let stamp = PacketStamp::new(self.clock.read().raw, StampSource::Kernel);
        let datagram = Datagram {
            socket,
            remote: from,
            local: Some(to.ip()),
            interface: 1,
            bytes,
            stamp,
        };
        self.step(net, |engine, now, cx| {
            engine.handle_datagram(now, &datagram, cx)
        });
    }

    fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|&a| Family::of(a) == family)
    }

    fn drain(&mut self, net: &mut Network) {
        while let Some(output) = self.out.pop() {
            match output {
                Output::OpenSocket { key, role } => self.open(key, role, net),
                Output::CloseSocket { key } => {
                    self.sockets.remove(&key);
                }
                Output::Send {
                    key,
                    to,
                    packet,
                    stamp,
                    ..
                } => {
                    self.send(net, key, to, packet, stamp);
                }
                Output::Resolve {
                    ticket,
                    name,
                    families,
                } => {
                    let found = match net.resolve(&name, families) {
                        Some(addresses) => LookupAnswer::Addresses(addresses),
                        None => LookupAnswer::TemporaryFailure,
                    };
                    self.step(net, |engine, now, cx| {
                        engine.handle_resolved(now, ticket, found, cx);
                    });
                }
                Output::ProbeRoutes { ticket, addresses } => {
                    let routes = addresses.iter().map(|a| net.knows(a.ip())).collect();
                    self.step(net, |engine, now, cx| {
                        engine.handle_completed(now, ticket, Outcome::Routes(routes), cx);
                    });
                }
                Output::WriteFile {
                    ticket,
                    file,
                    content,
                } => {
                    match (file, content) {
                        (FileKind::Drift, content) => self.drift_file = content,
                        (FileKind::Dump(name), Some(content)) => {
                            self.dumps.insert(name, content);
                        }
                        (FileKind::Dump(name), None) => {
                            self.dumps.remove(&name);
                        }
                    }
                    self.complete(net, ticket);
                }
                Output::Log(event) => {
                    let at_s = crate::clock::from_ns(net.true_ns() - self.start_true_ns);
                    self.log.push(LogLine { at_s, event });
                }
                Output::LogRecord { file, line } => {
                    self.records.entry(file).or_default().push(line);
                }
                Output::ControlReply { bytes, .. } => self.control_replies.push(bytes),
                Output::Ready => {
                    self.step(net, |engine, now, cx| engine.handle_ready(now, cx));
                }
                Output::ReloadSources { ticket } | Output::Rekey { ticket } => {
                    self.complete(net, Some(ticket));
                }
                Output::SourcesStarted => {
                    let dumps = std::mem::take(&mut self.dumps);
                    self.step(net, |engine, now, cx| {
                        engine.handle_sources_started(now, &dumps, cx);
                    });
                }
                // No log files, sensors or mail in this world.
                Output::CycleLogs | Output::ReadTemperature | Output::Mail { .. } => {}
                Output::Quit(exit) => self.exit = Some(exit),
            }
        }
    }

    fn complete(&mut self, net: &mut Network, ticket: Option<timewright_core::ids::Ticket>) {
        if let Some(ticket) = ticket {
            self.step(net, |engine, now, cx| {
                engine.handle_completed(now, ticket, Outcome::Done, cx);
            });
        }
    }

    fn open(&mut self, key: SocketKey, role: SocketRole, net: &mut Network) {
        let socket = match role {
            SocketRole::Server(family) => Socket {
                port: self.server_port,
                family,
                peer: None,
            },
            SocketRole::SharedClient(family) => Socket {
                port: self.ephemeral_port(),
                family,
                peer: None,
            },
            SocketRole::Client(peer) => Socket {
                port: self.ephemeral_port(),
                family: Family::of(peer.ip()),
                peer: Some(peer),
            },
        };
        if self.address(socket.family).is_some() {
            self.sockets.insert(key, socket);
        } else {
            self.step(net, |engine, now, cx| {
                engine.handle_send_error(now, key, cx)
            });
        }
    }

    /// Ports are handed out in turn: enough of them lie between two uses of one.
    fn ephemeral_port(&mut self) -> u16 {
        self.next_port = if self.next_port == u16::MAX {
            32_768
        } else {
            self.next_port + 1
        };
        self.next_port
    }

    fn send(
        &mut self,
        net: &mut Network,
        key: SocketKey,
        to: SocketAddr,
        packet: Vec<u8>,
        stamp: bool,
    ) {
        let from = self
            .sockets
            .get(&key)
            .and_then(|s| self.address(s.family).map(|ip| SocketAddr::new(ip, s.port)));
        let Some(from) = from.filter(|_| net.knows(to.ip())) else {
            self.step(net, |engine, now, cx| {
                engine.handle_send_error(now, key, cx)
            });
            return;
        };
        self.sent += 1;
        net.send(from, to, &packet);
        if stamp {
            let stamp = PacketStamp::new(self.clock.read().raw, StampSource::Kernel);
            let tx = TxStamp {
                socket: key,
                remote: to,
                bytes: &packet,
                stamp,
            };
            self.step(net, |engine, now, cx| engine.handle_tx_stamp(now, &tx, cx));
        }
    }

    /// Sends a control message with the rights of the Unix socket; the reply is appended to
    /// `control_replies`.
    pub(crate) fn control(&mut self, net: &mut Network, bytes: &[u8]) {
        let origin = ControlOrigin::Unix {
            path: b"/sim".to_vec(),
        };
        self.step(net, |engine, now, cx| {
            engine.handle_control(now, origin, bytes, cx)
        });
    }
}

/// Whether a filter lets an address through.
pub(crate) fn admits(filter: FamilyFilter, address: IpAddr) -> bool {
    match filter {
        FamilyFilter::Any => true,
        FamilyFilter::Only(family) => Family::of(address) == family,
    }
}
