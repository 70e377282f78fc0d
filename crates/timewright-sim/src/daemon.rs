//! A running daemon: an engine, its sockets, and the driver between it and the world.
//!
//! The driver keeps the engine's contract as the real one does: one input, then every output is
//! carried out, then the next input. What an output brings back at once (a time stamp, a failure,
//! a finished write) waits in `feedback` for its turn. [`crate::check`] looks at every step.

use crate::check::{self, Asked, Watch};
use crate::device::Devices;
use crate::network::{Event, Network};
use crate::node::{LogLine, Node, Stamps};
use crate::world::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use timewright_config::Subnet;
use timewright_control::client::{Answer, Expected, receive};
use timewright_control::{Command, Request};
use timewright_core::discipline::jump::Wait;
use timewright_core::engine::{Boot, Context, Engine, LookupAnswer, Outcome, Served};
use timewright_core::ids::{DeviceId, SocketKey, Ticket};
use timewright_core::output::{
    ControlOrigin, Datagram, Exit, Family, FamilyFilter, FileKind, FileWrite, Output, OutputQueue,
    PacketStamp, SocketRole, StampSource, TxStamp,
};
use timewright_core::refclock::DeviceReading;
use timewright_time::{MonoTime, Now, Seconds};

/// Version of the control protocol used.
const CONTROL_VERSION: u8 = 6;
/// Size of the buffer for server responses.
const REPLY_MAX: usize = 1500;

/// Streams of random numbers from here on are those of reference clocks.
const DEVICE_STREAMS: u64 = 1 << 33;
/// So many for each host.
const DEVICES_MAX: u64 = 1 << 16;

#[derive(Clone, Copy)]
struct Socket {
    port: u16,
    family: Family,
    /// Only packets from here are accepted.
    peer: Option<SocketAddr>,
}

/// An input that an output brought about.
enum Feedback {
    SendError(SocketKey),
    OpenError(SocketKey),
    TxStamp {
        socket: SocketKey,
        remote: SocketAddr,
        bytes: Vec<u8>,
        stamp: PacketStamp,
    },
    Completed(Ticket, Outcome),
    Ready,
    SourcesStarted,
    Temperature,
    Keys,
    LeapList,
    Sources,
    Device(DeviceId),
}

pub(crate) struct Daemon {
    id: NodeId,
    engine: Engine,
    out: OutputQueue,
    sockets: BTreeMap<SocketKey, Socket>,
    /// The sockets by local port.
    ports: BTreeMap<(Family, u16), SocketKey>,
    server_port: u16,
    acquisition_port: u16,
    next_port: u16,
    devices: Devices,
    feedback: VecDeque<Feedback>,
    /// The request being answered: where it came in, from whom, what it was.
    request: Option<(SocketKey, SocketAddr, Vec<u8>)>,
    /// Until when the wait in progress may last.
    wait: Option<Option<MonoTime>>,
    control_sequence: u32,
    /// Sees to it that all rules hold; absent where speed matters more.
    watch: Option<Watch>,
    /// Outputs of the step in progress.
    outputs: usize,
    /// Set once it is to end.
    pub(crate) exit: Option<Exit>,
}

impl Daemon {
    /// Starts the daemon of a host.
    pub(crate) fn start(id: NodeId, node: &mut Node, net: &mut Network) -> Box<Self> {
        node.runs += 1;
        node.exit = None;
        let config = node.setup.config.clone();
        let mut boot = node.setup.boot.clone();
        if config.clock.drift_file.is_some() {
            boot.drift_file = node.drift_file.clone();
        }
        resolve_hosts(&config, &mut boot, net);
        let server_port = config.server.port;
        let acquisition_port = config.client.acquisition_port.unwrap_or(0);
        let streams = DEVICE_STREAMS + (id.0 as u64) * DEVICES_MAX;
        let devices = Devices::open(&config, &node.setup, net.seed, streams);
        let mut out = OutputQueue::new();
        let now = node.clock.read();
        let drift = boot.drift_file.clone();
        let watch = net.checked.then(|| Watch::new(&config, &boot, node));
        let mut cx = Context {
            clock: &mut node.clock,
            rng: &mut node.rng,
            out: &mut out,
        };
        let mut engine = Engine::new(config, boot, now, &mut cx);
        if let Some(watch) = &watch {
            engine.watch_shifts();
            watch.started(drift.as_deref(), node, &engine, net);
        }
        let mut daemon = Box::new(Self {
            id,
            engine,
            out,
            sockets: BTreeMap::new(),
            ports: BTreeMap::new(),
            server_port,
            acquisition_port,
            next_port: 32_768,
            devices,
            feedback: VecDeque::new(),
            request: None,
            wait: None,
            control_sequence: 0,
            watch,
            outputs: 0,
            exit: None,
        });
        for device in daemon.devices.senders() {
            daemon.await_second(device, node.runs, net);
        }
        daemon.perform(node, net);
        daemon.take_feedback(node, net);
        daemon
    }

    /// Ends it in order.
    pub(crate) fn shut_down(&mut self, node: &mut Node, net: &mut Network) {
        if let Some(watch) = &mut self.watch {
            watch.ends();
        }
        self.input(node, net, |engine, now, cx| engine.shutdown(now, cx));
    }

    /// Tells the engine that its last wait is over.
    pub(crate) fn wake_up(&mut self, node: &mut Node, net: &mut Network) {
        let Some(until) = self.wait.take() else {
            return;
        };
        let boot = node.setup.has_boot_time.then(|| node.clock.boot_time());
        self.input(node, net, |engine, now, cx| {
            engine.handle_wake_up(now, Wait { until, boot }, cx);
        });
    }

    /// Calls the engine, carries out what it asked for, and gives it what came back.
    pub(crate) fn input(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        input: impl FnOnce(&mut Engine, Now, &mut Context<'_>),
    ) {
        self.single_input(node, net, input);
        self.take_feedback(node, net);
    }

    fn single_input(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        input: impl FnOnce(&mut Engine, Now, &mut Context<'_>),
    ) {
        let before = self
            .watch
            .as_mut()
            .map(|watch| watch.before(node, &self.engine, &self.out, net));
        self.outputs = 0;
        let now = node.clock.read();
        let mut cx = Context {
            clock: &mut node.clock,
            rng: &mut node.rng,
            out: &mut self.out,
        };
        input(&mut self.engine, now, &mut cx);
        self.perform(node, net);
        let (Some(watch), Some(before)) = (&mut self.watch, before) else {
            node.clock.take_done();
            return;
        };
        let asked = Asked {
            outputs: self.outputs,
            sockets: self.sockets.len(),
        };
        watch.after(&before, node, &mut self.engine, &self.out, &asked, net);
    }

    fn take_feedback(&mut self, node: &mut Node, net: &mut Network) {
        let mut rounds = 0;
        while let Some(feedback) = self.feedback.pop_front() {
            rounds += 1;
            check::rounds("feedback", rounds, node, net);
            match feedback {
                Feedback::SendError(key) => {
                    self.single_input(node, net, |e, now, cx| e.handle_send_error(now, key, cx));
                }
                Feedback::OpenError(key) => {
                    self.single_input(node, net, |e, now, cx| e.handle_open_error(now, key, cx));
                }
                Feedback::TxStamp {
                    socket,
                    remote,
                    bytes,
                    stamp,
                } => {
                    let stamp = TxStamp {
                        socket,
                        remote,
                        bytes: &bytes,
                        stamp,
                    };
                    self.single_input(node, net, |e, now, cx| e.handle_tx_stamp(now, &stamp, cx));
                }
                Feedback::Completed(ticket, outcome) => {
                    self.single_input(node, net, |e, now, cx| {
                        e.handle_completed(now, ticket, outcome, cx);
                    });
                }
                Feedback::Ready => {
                    let sources = node.setup.boot.fragments.clone();
                    self.single_input(node, net, |e, now, cx| {
                        e.apply_sources(now, sources, cx);
                        e.handle_ready(now, cx);
                    });
                }
                Feedback::SourcesStarted => {
                    let found = std::mem::take(&mut node.dumps);
                    let dumps = if node.setup.load_dumps {
                        found
                    } else {
                        BTreeMap::new()
                    };
                    self.single_input(node, net, |e, now, cx| {
                        e.handle_sources_started(now, &dumps, cx);
                    });
                }
                Feedback::Device(id) => {
                    let reading = self.devices.read(id, &node.clock, net.moment());
                    self.single_input(node, net, |e, now, cx| {
                        e.handle_device(now, id, reading.as_ref(), cx);
                    });
                }
                Feedback::Keys => {
                    let keys = node.setup.boot.keys.clone();
                    self.single_input(node, net, |e, _, cx| e.handle_keys(keys.as_deref(), cx));
                }
                Feedback::LeapList => {
                    self.engine
                        .handle_leap_list(node.setup.boot.leap_list.clone());
                }
                Feedback::Sources => {
                    let sources = node.setup.boot.fragments.clone();
                    self.single_input(node, net, |e, now, cx| e.apply_sources(now, sources, cx));
                }
                Feedback::Temperature => {
                    self.single_input(node, net, |e, now, cx| e.handle_temperature(now, None, cx));
                }
            }
        }
    }

    /// Schedules the next full second of a reference clock.
    pub(crate) fn await_second(&mut self, device: DeviceId, run: u64, net: &mut Network) {
        if let Some(at) = self.devices.next_second(device, net.moment()) {
            let node = self.id;
            net.schedule(at, Event::Second { node, run, device });
        }
    }

    /// It is a full second of a reference clock now: what that says unasked.
    pub(crate) fn second(
        &mut self,
        device: DeviceId,
        node: &Node,
        net: &Network,
    ) -> Option<DeviceReading> {
        self.devices.second(device, &node.clock, net.moment())
    }

    pub(crate) fn device_event(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        device: DeviceId,
        reading: &DeviceReading,
    ) {
        self.input(node, net, |engine, now, cx| {
            engine.handle_device_event(now, device, reading, cx);
        });
    }

    /// Runs all deadlines that are due, then returns the wait until the next.
    pub(crate) fn run_deadlines(&mut self, node: &mut Node, net: &mut Network) -> Option<Seconds> {
        let wait = self.do_what_is_due(node, net);
        self.wait = Some(self.engine.next_deadline());
        wait
    }

    fn do_what_is_due(&mut self, node: &mut Node, net: &mut Network) -> Option<Seconds> {
        let mut rounds = 0;
        while self.exit.is_none() {
            let mono = node.clock.read().mono;
            let deadline = self.engine.next_deadline()?;
            if deadline > mono {
                // The production loop waits whole milliseconds, rounded up.
                let wait_ms = ((deadline - mono).0 * 1e3).ceil().max(1.0);
                return Some(Seconds(wait_ms * 1e-3));
            }
            rounds += 1;
            check::rounds("deadlines due at one moment", rounds, node, net);
            self.input(node, net, |engine, now, cx| engine.handle_deadline(now, cx));
        }
        None
    }

    /// The host stands still for so long, or its clock is moved from outside.
    pub(crate) fn disturbed(&mut self, by_s: f64) {
        if let Some(watch) = &mut self.watch {
            watch.disturbed(by_s);
        }
    }

    /// What the clock is thought to be.
    pub(crate) fn estimate(&self, now: Now) -> timewright_core::engine::Estimate {
        self.engine.estimate(now)
    }

    /// When the reference was updated last.
    pub(crate) fn last_update(&self) -> Option<timewright_time::MonoTime> {
        self.engine.clock_view().last_update
    }

    /// Gives a packet to the socket it is for, the way the production loop does: requests take the
    /// short way. It is `intact` if it comes as it was sent.
    pub(crate) fn deliver(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        intact: bool,
    ) {
        let Some(&socket) = self.ports.get(&(Family::of(to.ip()), to.port())) else {
            return;
        };
        let peer = self.sockets.get(&socket).and_then(|s| s.peer);
        if peer.is_some_and(|peer| peer != from) {
            return;
        }
        node.received += 1;
        let datagram = Datagram {
            socket,
            remote: from,
            local: Some(to.ip()),
            interface: 1,
            bytes,
            stamp: stamp(node),
        };
        let mut reply = [0; REPLY_MAX];
        let mut served = Served::NotARequest;
        self.single_input(node, net, |engine, now, cx| {
            served = engine.serve(now, &datagram, &mut reply, cx);
        });
        match served {
            Served::Reply { len, stamp } => {
                let packet = reply.get(..len).unwrap_or_default();
                if let Some(watch) = &mut self.watch {
                    watch.answered(packet, Some(bytes), node, &self.engine, net);
                }
                self.send(node, net, socket, from, packet, stamp);
            }
            Served::Silent => {}
            Served::NotARequest => {
                self.request = Some((socket, from, bytes.to_vec()));
                if let Some(watch) = &mut self.watch {
                    watch.hears(from, &self.engine);
                }
                self.single_input(node, net, |engine, now, cx| {
                    engine.handle_datagram(now, &datagram, cx);
                });
                if let Some(watch) = &mut self.watch {
                    watch.heard(bytes, intact, node, &self.engine, net);
                }
                self.request = None;
            }
        }
        self.take_feedback(node, net);
    }

    /// Gives it a packet that somebody made up, of which no sample may come.
    pub(crate) fn deliver_forged(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let samples = check::samples(&self.engine);
        self.deliver(node, net, from, to, bytes, false);
        check::forged(&samples, &self.engine, node, net);
    }

    pub(crate) fn resolved(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        ticket: Ticket,
        answer: LookupAnswer,
    ) {
        self.input(node, net, |engine, now, cx| {
            engine.handle_resolved(now, ticket, answer, cx);
        });
    }

    /// Sends a request with the rights of the Unix socket.
    pub(crate) fn command(&mut self, node: &mut Node, net: &mut Network, request: &Request) {
        self.control_sequence += 1;
        let bytes =
            timewright_control::request::encode(request, CONTROL_VERSION, 0, self.control_sequence);
        let origin = ControlOrigin::Unix {
            path: b"/sim".to_vec(),
        };
        if let Some(watch) = &mut self.watch {
            watch.command(request);
        }
        self.input(node, net, |engine, now, cx| {
            engine.handle_control(now, origin, &bytes, cx);
        });
    }

    /// Carries out all outputs.
    fn perform(&mut self, node: &mut Node, net: &mut Network) {
        while let Some(output) = self.out.pop() {
            self.outputs += 1;
            match output {
                Output::OpenSocket { key, role } => self.open(node, key, role),
                Output::CloseSocket { key } => self.close(key),
                Output::Send {
                    key,
                    to,
                    packet,
                    stamp,
                    ..
                } => {
                    let asked = self
                        .request
                        .as_ref()
                        .filter(|(socket, remote, _)| (*socket, *remote) == (key, to))
                        .map(|(_, _, bytes)| bytes.as_slice());
                    if let Some(watch) = &mut self.watch {
                        watch.answered(&packet, asked, node, &self.engine, net);
                    }
                    self.send(node, net, key, to, &packet, stamp);
                }
                // There is no domain controller.
                Output::Sign { .. } => {}
                Output::Resolve {
                    ticket,
                    name,
                    families,
                } => net.resolve(self.id, node.runs, ticket, &name, families),
                Output::ProbeRoutes { ticket, addresses } => {
                    let routes = addresses.iter().map(|a| reachable(node, a.ip())).collect();
                    self.feedback
                        .push_back(Feedback::Completed(ticket, Outcome::Routes(routes)));
                }
                Output::WriteFiles { ticket, files } => {
                    for FileWrite { file, content } in files {
                        match (file, content) {
                            (FileKind::Drift, content) => node.drift_file = content,
                            (FileKind::Dump(name), Some(content)) => {
                                node.dumps.insert(name, content);
                            }
                            (FileKind::Dump(name), None) => {
                                node.dumps.remove(&name);
                            }
                        }
                    }
                    self.complete(ticket);
                }
                Output::Log(event) => {
                    let at_s = net.elapsed_s();
                    net.digest.bytes(event.text.as_bytes());
                    node.log.push(LogLine { at_s, event });
                }
                Output::LogRecord { file, line } => {
                    net.digest.bytes(line.as_bytes());
                    node.records.entry(file).or_default().push(line);
                }
                Output::ControlReply { bytes, .. } => self.take_reply(node, &bytes),
                Output::Ready => self.feedback.push_back(Feedback::Ready),
                Output::SourcesStarted => self.feedback.push_back(Feedback::SourcesStarted),
                Output::ReloadSources { ticket } => {
                    self.feedback.push_back(Feedback::Sources);
                    self.complete(Some(ticket));
                }
                // There are no logs to reopen.
                Output::CycleLogs { ticket } => self.complete(Some(ticket)),
                Output::Rekey { ticket } => {
                    self.feedback.push_back(Feedback::Keys);
                    self.complete(Some(ticket));
                }
                Output::ReadDevice { id } => self.feedback.push_back(Feedback::Device(id)),
                Output::ReadLeapList => self.feedback.push_back(Feedback::LeapList),
                Output::ReadTemperature => self.feedback.push_back(Feedback::Temperature),
                // There is nobody to write to; and messages are kept with true time.
                Output::Mail { .. } | Output::Stepped { .. } => {}
                Output::Quit(exit) => {
                    self.exit.get_or_insert(exit);
                }
            }
        }
    }

    fn complete(&mut self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.feedback
                .push_back(Feedback::Completed(ticket, Outcome::Done));
        }
    }

    fn take_reply(&self, node: &mut Node, bytes: &[u8]) {
        let code = bytes.get(4..6).and_then(|code| code.try_into().ok());
        let command = code.and_then(|code| Command::from_code(u16::from_be_bytes(code)));
        let Some(command) = command else { return };
        let expected = Expected {
            version: CONTROL_VERSION,
            command,
            sequence: self.control_sequence,
        };
        if let Answer::Reply(reply) = receive(bytes, expected) {
            node.replies.push((command, reply));
        }
    }

    fn open(&mut self, node: &Node, key: SocketKey, role: SocketRole) {
        let (port, family, peer) = match role {
            SocketRole::Server(family) => (self.server_port, family, None),
            SocketRole::SharedClient(family) => (self.acquisition_port, family, None),
            SocketRole::Client(peer) => (0, Family::of(peer.ip()), Some(peer)),
        };
        let port = if port == 0 {
            self.ephemeral_port(family)
        } else {
            port
        };
        let free = !self.ports.contains_key(&(family, port));
        if free && node.address(family).is_some() {
            self.ports.insert((family, port), key);
            self.sockets.insert(key, Socket { port, family, peer });
        } else {
            self.feedback.push_back(Feedback::OpenError(key));
        }
    }

    fn close(&mut self, key: SocketKey) {
        if let Some(socket) = self.sockets.remove(&key) {
            self.ports.remove(&(socket.family, socket.port));
        }
    }

    /// Ports are handed out in turn: enough of them lie between two uses of one.
    fn ephemeral_port(&mut self, family: Family) -> u16 {
        loop {
            self.next_port = self.next_port.checked_add(1).unwrap_or(32_768);
            if !self.ports.contains_key(&(family, self.next_port)) {
                return self.next_port;
            }
        }
    }

    fn send(
        &mut self,
        node: &mut Node,
        net: &mut Network,
        key: SocketKey,
        to: SocketAddr,
        packet: &[u8],
        wants_stamp: bool,
    ) {
        let from = self.sockets.get(&key).and_then(|socket| {
            let address = node.address(socket.family)?;
            let fits = Family::of(to.ip()) == socket.family && reachable(node, to.ip());
            fits.then(|| SocketAddr::new(address, socket.port))
        });
        let Some(from) = from else {
            self.feedback.push_back(Feedback::SendError(key));
            return;
        };
        node.sent += 1;
        if let Some(watch) = &mut self.watch {
            watch.sent(to, packet, node, &self.engine, net);
        }
        net.send(from, to, packet);
        if wants_stamp && node.setup.stamps == Stamps::Kernel {
            self.feedback.push_back(Feedback::TxStamp {
                socket: key,
                remote: to,
                bytes: packet.to_vec(),
                stamp: stamp(node),
            });
        }
    }
}

/// Whether a packet to the address leaves the host.
fn reachable(node: &Node, to: IpAddr) -> bool {
    node.routed && node.address(Family::of(to)).is_some()
}

fn stamp(node: &Node) -> PacketStamp {
    let source = match node.setup.stamps {
        Stamps::Kernel => StampSource::Kernel,
        Stamps::Daemon => StampSource::Daemon,
    };
    PacketStamp::new(node.clock.read().raw, source)
}

/// The names in access rules and `initstepslew`, as the reader of the configuration resolves them.
fn resolve_hosts(config: &timewright_config::Config, boot: &mut Boot, net: &Network) {
    let rules = config.server.access.iter().chain(&config.command.access);
    let names = rules.filter_map(|rule| match &rule.subnet {
        Subnet::Name(name) => Some(name),
        Subnet::Any | Subnet::Prefix { .. } => None,
    });
    let hosts = config.initstepslew.iter().flat_map(|init| &init.hosts);
    for name in names.chain(hosts) {
        if let LookupAnswer::Addresses(found) = net.look_up(name, FamilyFilter::Any)
            && let Some(&first) = found.first()
        {
            boot.hosts.insert(name.clone(), first);
        }
    }
}
