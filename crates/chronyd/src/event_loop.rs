//! The one loop around `poll`: kernel events become inputs of the engine, and after every input
//! its outputs are carried out before the next.

use crate::args::Options;
use crate::files::{dumps, pid};
use crate::logger::Logger;
use crate::net::command::origin;
use crate::net::signing::SigningService;
use crate::net::{Replies, choose_receive, choose_transmit, is_link_local};
use crate::runtime::{Feedback, Runtime, now};
use crate::trace;
use crate::wake_up::{Reading, WakeUpClocks, monotonic};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use timewright_config::Config;
use timewright_core::discipline::jump::Wait;
use timewright_core::engine::{Boot, Engine, LookupAnswer, Served};
use timewright_core::event::{Event, Severity};
use timewright_core::ids::{DeviceId, SocketKey};
use timewright_core::output::{Datagram, Exit, SocketRole, TxStamp};
use timewright_core::refclock::sock;
use timewright_sys::frame;
use timewright_sys::names::LookupError;
use timewright_sys::net::{BATCH, Batch, Destination, Outgoing, Peer};
use timewright_sys::poll::{Entry, poll};
use timewright_sys::signals::Termination;
use timewright_time::{Now, Seconds};

/// Deadlines served in one wake-up before sockets are looked at again.
const DEADLINES_PER_WAKE_UP: u32 = 64;

/// Full batches of packets taken from one socket in one wake-up before the others get their turn:
/// a third of a millisecond of serving.
const BATCHES_PER_WAKE_UP: u32 = 4;

/// Rounds of outputs and their feedback after one input. The engine asks for a bounded amount of
/// work; this keeps a mistake in it from stopping the daemon silently.
const FEEDBACK_ROUNDS: u32 = 10_000;

/// The running daemon.
pub(crate) struct Daemon {
    engine: Engine,
    runtime: Runtime,
    clocks: WakeUpClocks,
    termination: Option<Termination>,
    load_dumps: bool,
    /// Buffers for receiving, out while their content is worked on.
    batch: Option<Batch>,
    /// Memory for what is polled; empty between waits.
    entries: Vec<Entry<'static>>,
    /// What was watched in the last wait, by position, and what of it was ready.
    watched: Vec<Watched>,
    ready: Vec<Ready>,
    /// Replies of the server not sent yet; none between two inputs.
    replies: Replies,
}

/// What `poll` looks at.
#[derive(Clone, Copy, Debug)]
enum Watched {
    Signal,
    Clock,
    Resolver,
    Files,
    Signing,
    Command(usize),
    Device(DeviceId),
    Ntp(SocketKey),
}

/// What `poll` found.
#[derive(Clone, Copy, Debug)]
enum Ready {
    Resolver,
    Files,
    Signing,
    Command(usize),
    Device(DeviceId),
    Ntp {
        key: SocketKey,
        readable: bool,
        error: bool,
    },
}

impl Daemon {
    /// Starts the engine and carries out what it wants at once.
    ///
    /// # Errors
    /// The fatal message.
    pub(crate) fn new(
        mut runtime: Runtime,
        options: &Options,
        config: Config,
        keys: Option<Vec<u8>>,
        logger: &mut Logger,
    ) -> Result<Self, String> {
        let boot = Boot {
            keys,
            ..crate::boot::engine_values(&runtime, options, &config)
        };
        let points = crate::boot::check_points(&config);
        let engine = Engine::new(config, boot, now(), &mut runtime.context());
        let mut daemon = Self {
            engine,
            runtime,
            clocks: WakeUpClocks::new(),
            termination: None,
            load_dumps: options.load_dumps,
            batch: None,
            entries: Vec::new(),
            watched: Vec::new(),
            ready: Vec::new(),
            replies: Replies::new(),
        };
        // Sockets are opened and the first messages logged here; readiness waits for the loop.
        daemon.runtime.perform_all(logger);
        match daemon.runtime.fatal.take() {
            Some(text) => Err(text),
            None if daemon.runtime.sockets.lacks_permanent() => {
                Err("Could not open NTP sockets".to_owned())
            }
            None => points.map(|()| daemon),
        }
    }

    /// Installs what ends the daemon, and opens the Unix command socket.
    pub(crate) fn open_command_socket(&mut self, termination: Termination, logger: &mut Logger) {
        self.termination = Some(termination);
        if let Some(path) = self.runtime.paths.command_socket.clone()
            && self.runtime.command.open_unix(path.clone()).is_err()
        {
            let shown = path.display();
            logger.error(format_args!("Could not open command socket on {shown}"));
        } else if let Some(socket) = self.runtime.command.unix() {
            trace::opened_command(logger, socket, false);
        }
    }

    /// Runs to the end and returns the exit status.
    pub(crate) fn run(mut self: Box<Self>, mut logger: Logger) -> ExitCode {
        let logger = &mut logger;
        self.settle(now(), logger);
        while self.runtime.exit.is_none() && self.runtime.fatal.is_none() && !self.is_told_to_end()
        {
            self.wake_up(logger);
        }
        if let Some(text) = self.runtime.fatal.take() {
            logger.log(&Event::new(Severity::Fatal, text));
            return ExitCode::FAILURE;
        }
        self.shut_down(logger)
    }

    fn is_told_to_end(&self) -> bool {
        self.termination
            .as_ref()
            .is_some_and(|termination| termination.received().is_some())
    }

    /// One wait and everything it brings.
    fn wake_up(&mut self, logger: &mut Logger) {
        let signing = self.runtime.signing.as_ref();
        let signing = signing.and_then(SigningService::deadline);
        let until = [self.engine.next_deadline(), signing]
            .into_iter()
            .flatten()
            .min();
        let limit = until.map(|at| (at - monotonic()).max(Seconds::ZERO));
        if !self.wait(limit) {
            return;
        }
        let Reading { now, boot } = self.clocks.read();
        let cx = &mut self.runtime.context();
        self.engine.handle_wake_up(now, Wait { until, boot }, cx);
        self.settle(now, logger);
        let mut ready = std::mem::take(&mut self.ready);
        for event in ready.drain(..) {
            match event {
                Ready::Resolver => self.take_answer(now, logger),
                Ready::Files => self.take_written(now, logger),
                Ready::Signing => self.take_signed(now, logger),
                Ready::Command(index) => self.receive_commands(index, now, logger),
                Ready::Device(id) => self.receive_samples(id, now, logger),
                Ready::Ntp {
                    key,
                    readable,
                    error,
                } => {
                    if error {
                        self.receive_errors(key, now, logger);
                    }
                    if readable {
                        self.receive_packets(key, now, logger);
                    }
                }
            }
        }
        self.ready = ready;
        if signing.is_some_and(|at| at <= now.mono) {
            self.take_signed(now, logger);
        }
        for _ in 0..DEADLINES_PER_WAKE_UP {
            if self.engine.next_deadline().is_none_or(|at| at > now.mono) {
                break;
            }
            let cx = &mut self.runtime.context();
            self.engine.handle_deadline(now, cx);
            self.settle(now, logger);
        }
    }

    /// Waits for input, which is in `ready` then, or for `limit`, which is rounded up to a
    /// millisecond so that the loop never spins before a deadline. False after a signal or an
    /// error.
    fn wait(&mut self, limit: Option<Seconds>) -> bool {
        let runtime = &self.runtime;
        let watched = &mut self.watched;
        let mut entries = recycle(std::mem::take(&mut self.entries));
        watched.clear();
        if let Some(fd) = self.termination.as_ref().and_then(Termination::descriptor) {
            entries.push(Entry::input(fd));
            watched.push(Watched::Signal);
        }
        if let Some(fd) = runtime.resolver.descriptor() {
            entries.push(Entry::input(fd));
            watched.push(Watched::Resolver);
        }
        if let Some(fd) = runtime.files.descriptor() {
            entries.push(Entry::input(fd));
            watched.push(Watched::Files);
        }
        let signing = runtime.signing.as_ref();
        if let Some((fd, writes)) = signing.and_then(SigningService::descriptor) {
            entries.push(if writes {
                Entry::output(fd, true)
            } else {
                Entry::input(fd)
            });
            watched.push(Watched::Signing);
        }
        if let Some(fd) = self.clocks.descriptor() {
            entries.push(Entry::input(fd));
            watched.push(Watched::Clock);
        }
        for (index, socket) in runtime.command.iter().enumerate() {
            entries.push(Entry::input(socket.as_fd()));
            watched.push(Watched::Command(index));
        }
        for (id, device) in runtime.devices.sockets() {
            entries.push(Entry::input(device.as_fd()));
            watched.push(Watched::Device(id));
        }
        for (key, ntp) in runtime.sockets.iter() {
            entries.push(Entry::input_and_errors(ntp.socket.as_fd()));
            watched.push(Watched::Ntp(key));
        }
        let is_idle = runtime.sockets.is_empty()
            && runtime.command.is_empty()
            && runtime.devices.sockets().next().is_none()
            && runtime.resolver.descriptor().is_none()
            && runtime.files.descriptor().is_none();
        if limit.is_none() && is_idle {
            self.runtime.fatal = Some("Nothing to do".to_owned());
            return false;
        }
        let polled = poll(&mut entries, limit.map(to_milliseconds));
        if polled.is_ok() {
            let both = entries.iter().zip(watched.iter().copied());
            let found = both.filter(|(entry, _)| entry.is_ready());
            let ready = found.filter_map(|(entry, what)| match what {
                Watched::Signal => None,
                Watched::Clock => {
                    self.clocks.acknowledge();
                    None
                }
                Watched::Resolver => Some(Ready::Resolver),
                Watched::Files => Some(Ready::Files),
                Watched::Signing => Some(Ready::Signing),
                Watched::Command(index) => Some(Ready::Command(index)),
                Watched::Device(id) => Some(Ready::Device(id)),
                Watched::Ntp(key) => Some(Ready::Ntp {
                    key,
                    readable: entry.is_readable(),
                    error: entry.has_error(),
                }),
            });
            self.ready.extend(ready);
        }
        self.entries = recycle(entries);
        match polled {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => false,
            Err(error) => {
                let reason = timewright_sys::error_text(&error);
                self.runtime.fatal = Some(format!("poll() failed : {reason}"));
                false
            }
        }
    }

    /// Carries out outputs and feeds their consequences back until nothing is left.
    fn settle(&mut self, now: Now, logger: &mut Logger) {
        for _ in 0..FEEDBACK_ROUNDS {
            self.runtime.perform_all(logger);
            let Some(feedback) = self.runtime.feedback.pop_front() else {
                return;
            };
            self.feed_back(feedback, now, logger);
        }
        self.runtime.fatal = Some("Possible infinite loop in scheduling".to_owned());
    }

    fn feed_back(&mut self, feedback: Feedback, now: Now, logger: &mut Logger) {
        let Self {
            engine, runtime, ..
        } = self;
        match feedback {
            Feedback::SendError(key) => {
                engine.handle_send_error(now, key, &mut runtime.context());
            }
            Feedback::OpenError(key) => {
                engine.handle_open_error(now, key, &mut runtime.context());
            }
            Feedback::Unresolved(ticket, failure) => {
                engine.handle_resolved(now, ticket, failure, &mut runtime.context());
            }
            Feedback::Completed(ticket, outcome) => {
                engine.handle_completed(now, ticket, outcome, &mut runtime.context());
            }
            Feedback::Sources(sources) => {
                engine.apply_sources(now, sources, &mut runtime.context());
            }
            Feedback::Ready => {
                if let Err(text) = runtime.manager.ready() {
                    runtime.fatal = Some(text.to_owned());
                    return;
                }
                logger.ready();
                // An initial correction may have taken a while; what is there now counts.
                let sources = runtime.read_source_dirs();
                engine.apply_sources(now, sources, &mut runtime.context());
                engine.handle_ready(now, &mut runtime.context());
            }
            Feedback::SourcesStarted => {
                let mut found = BTreeMap::new();
                // Nobody shall be writing what is removed next.
                runtime.finish_writes(logger);
                if let Some(directory) = &runtime.paths.dump_dir {
                    if self.load_dumps {
                        found = dumps::read_all(directory);
                    }
                    dumps::remove_all(directory);
                }
                engine.handle_sources_started(now, &found, &mut runtime.context());
            }
            Feedback::Device(id) => {
                let reading = runtime.devices.read(id);
                engine.handle_device(now, id, reading.as_ref(), &mut runtime.context());
            }
            Feedback::Keys(content) => {
                engine.handle_keys(content.as_deref(), &mut runtime.context());
            }
            Feedback::LeapList(content) => engine.handle_leap_list(content),
            Feedback::Temperature(content) => {
                engine.handle_temperature(now, content.as_deref(), &mut runtime.context());
            }
        }
    }

    fn take_answer(&mut self, now: Now, logger: &mut Logger) {
        let Some(answer) = self.runtime.resolver.take() else {
            return;
        };
        if self.runtime.outages.is_news(&answer, now.mono) {
            let name = &answer.name;
            logger.warning(format_args!(
                "No address for {name} yet, asking again later"
            ));
        }
        let ticket = answer.ticket;
        let answer = match answer.result {
            Ok(addresses) => LookupAnswer::Addresses(addresses),
            Err(LookupError::Temporary) => LookupAnswer::TemporaryFailure,
            Err(LookupError::Permanent) => LookupAnswer::PermanentFailure,
        };
        trace::answered(logger, &answer);
        let cx = &mut self.runtime.context();
        self.engine.handle_resolved(now, ticket, answer, cx);
        self.settle(now, logger);
    }

    fn take_written(&mut self, now: Now, logger: &mut Logger) {
        if let Some(done) = self.runtime.files.take() {
            self.runtime.end_write(&done, logger);
            self.settle(now, logger);
        }
    }

    /// Sends the responses that were signed, if the socket of the request is still open.
    fn take_signed(&mut self, now: Now, logger: &mut Logger) {
        let Some(service) = &mut self.runtime.signing else {
            return;
        };
        for (packet, client) in service.advance(now.mono, logger) {
            let mut out = Outgoing::new(&packet, Destination::Inet(client.to));
            out.from = client.from;
            out.interface = client.interface;
            if let Err(error) = self.runtime.sockets.send(client.key, out, false) {
                logger.debug(format_args!("Sending to {} failed: {error}", client.to));
            }
        }
    }

    fn receive_commands(&mut self, index: usize, now: Now, logger: &mut Logger) {
        let mut batch = self.batch.take().unwrap_or_default();
        if let Some(socket) = self.runtime.command.get(index)
            && batch.receive(socket).is_ok()
        {
            for message in batch.messages() {
                if let Some(origin) = origin(&message) {
                    trace::request(logger, &origin, message.bytes);
                    let cx = &mut self.runtime.context();
                    self.engine.handle_control(now, origin, message.bytes, cx);
                    self.settle(now, logger);
                }
            }
        }
        self.batch = Some(batch);
    }

    /// Receives the samples that were sent to a reference clock.
    fn receive_samples(&mut self, id: DeviceId, now: Now, logger: &mut Logger) {
        let mut batch = self.batch.take().unwrap_or_default();
        for _ in 0..BATCHES_PER_WAKE_UP {
            let received = match self.runtime.devices.socket(id) {
                Some(device) => batch.receive(&device.socket).unwrap_or(0),
                None => 0,
            };
            for message in batch.messages().take(received) {
                let reading = sock::reading(message.bytes).filter(|_| !message.damaged);
                let Some(reading) = reading else {
                    logger.debug("Unexpected message on a refclock socket");
                    continue;
                };
                let cx = &mut self.runtime.context();
                self.engine.handle_device_event(now, id, &reading, cx);
                self.settle(now, logger);
            }
            if received < BATCH {
                break;
            }
        }
        self.batch = Some(batch);
    }

    /// Reads the error queue: transmit time stamps, and network errors, which only have to be
    /// taken away.
    fn receive_errors(&mut self, key: SocketKey, now: Now, logger: &mut Logger) {
        let mut batch = self.batch.take().unwrap_or_default();
        for round in 0..BATCHES_PER_WAKE_UP {
            let Some(entry) = self.runtime.sockets.get(key) else {
                break;
            };
            let received = batch.receive_errors(&entry.socket).unwrap_or_else(|_| {
                if round == 0 {
                    // No message: then the error is pending in the socket itself.
                    let _ = entry.socket.take_error();
                }
                0
            });
            self.handle_tx_stamps(key, &batch, now, logger);
            if received < BATCH {
                break;
            }
        }
        self.batch = Some(batch);
    }

    fn handle_tx_stamps(&mut self, key: SocketKey, batch: &Batch, now: Now, logger: &mut Logger) {
        for message in batch.messages() {
            if !message.is_stamp || message.damaged {
                continue;
            }
            let stamp = choose_transmit(&message.stamps, now.raw);
            let (Some(stamp), Some(frame)) = (stamp, frame::udp(message.bytes)) else {
                logger.debug("Missing TX timestamp");
                continue;
            };
            let sent = TxStamp {
                socket: key,
                remote: with_scope(frame.destination, message.interface),
                bytes: frame.payload,
                stamp,
            };
            trace::left(logger, sent.remote, sent.bytes.len(), &sent.stamp);
            let cx = &mut self.runtime.context();
            self.engine.handle_tx_stamp(now, &sent, cx);
            self.settle(now, logger);
        }
    }

    /// Receives packets; as long as they come faster than they are handled, without going back to
    /// `poll` for every batch.
    fn receive_packets(&mut self, key: SocketKey, now: Now, logger: &mut Logger) {
        let mut batch = self.batch.take().unwrap_or_default();
        for _ in 0..BATCHES_PER_WAKE_UP {
            // The socket may have been closed by what its error queue held or by a packet.
            let Some(entry) = self.runtime.sockets.get(key) else {
                break;
            };
            let is_server = matches!(entry.role, SocketRole::Server(_));
            let received = batch.receive(&entry.socket).unwrap_or(0);
            self.handle_packets(key, is_server, &batch, now, logger);
            if received < BATCH {
                break;
            }
        }
        self.batch = Some(batch);
    }

    fn handle_packets(
        &mut self,
        key: SocketKey,
        is_server: bool,
        batch: &Batch,
        now: Now,
        logger: &mut Logger,
    ) {
        for message in batch.messages() {
            let Peer::Inet(remote) = message.from else {
                continue;
            };
            if message.damaged {
                continue;
            }
            if message.stamps.kernel.is_none() {
                self.runtime.sockets.missing_stamp();
            }
            let datagram = Datagram {
                socket: key,
                remote,
                local: message.local,
                interface: message.interface,
                bytes: message.bytes,
                stamp: choose_receive(&message.stamps, now.raw),
            };
            if let Some(entry) = self.runtime.sockets.get(key) {
                trace::received(
                    logger,
                    &entry.socket,
                    remote,
                    message.bytes.len(),
                    &datagram.stamp,
                );
            }
            if is_server && self.serve(&datagram, now, logger) {
                continue;
            }
            let cx = &mut self.runtime.context();
            self.engine.handle_datagram(now, &datagram, cx);
            self.settle(now, logger);
        }
        self.replies.flush(&self.runtime.sockets, key, logger);
    }

    /// The short way from request to response; false if it is for the engine's other parts.
    fn serve(&mut self, datagram: &Datagram<'_>, now: Now, logger: &mut Logger) -> bool {
        let cx = &mut self.runtime.context();
        match self.engine.serve(now, datagram, self.replies.room(), cx) {
            Served::NotARequest => false,
            Served::Silent => true,
            Served::Reply { len, stamp } => {
                if self.replies.add(datagram, len, stamp) {
                    self.replies
                        .flush(&self.runtime.sockets, datagram.socket, logger);
                }
                true
            }
        }
    }

    /// Ends in order (`daemon-and-files.md` 2.1).
    fn shut_down(mut self, logger: &mut Logger) -> ExitCode {
        let status = match self.runtime.exit {
            Some(Exit::Failed) => ExitCode::FAILURE,
            Some(Exit::Done) | None => ExitCode::SUCCESS,
        };
        let now = now();
        let cx = &mut self.runtime.context();
        self.engine.shutdown(now, cx);
        // The first output is the farewell in the log; then the manager hears of it, before files
        // are written to disks that may be slow.
        self.runtime.perform_first(logger);
        self.runtime.manager.stopping();
        self.runtime.perform_all(logger);
        self.runtime.finish_writes(logger);
        self.runtime.command.close_unix();
        self.runtime.devices.close();
        if let Some(path) = &self.runtime.paths.pid_file
            && let Err(error) = pid::remove(path)
        {
            logger.error(error);
        }
        status
    }
}

/// An empty list with the memory of another, which may have been about other descriptors.
fn recycle<'a>(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'a>> {
    entries.clear();
    // Nothing is there to be mapped; collecting in place keeps the memory.
    let nothing = entries.into_iter();
    nothing
        .map(|_| -> Entry<'a> { unreachable!("the list was cleared") })
        .collect()
}

/// A link-local address with the interface it is good on.
fn with_scope(address: SocketAddr, interface: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if is_link_local(address.ip()) => {
            v6.set_scope_id(interface);
            SocketAddr::V6(v6)
        }
        address => address,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is limited to the range first"
)]
fn to_milliseconds(limit: Seconds) -> u32 {
    (limit.0 * 1e3).ceil().clamp(0.0, f64::from(i32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        for (seconds, want) in [
            (0.0, 0),
            (1e-9, 1),
            (0.001, 1),
            (0.0011, 2),
            (-5.0, 0),
            (1e300, i32::MAX.cast_unsigned()),
        ] {
            assert_eq!(to_milliseconds(Seconds(seconds)), want, "{seconds}");
        }
    }

    #[test]
    fn only_link_local_addresses_get_a_scope() {
        for (text, want) in [
            ("[fe80::1]:123", "[fe80::1%3]:123"),
            ("[2001:db8::1]:123", "[2001:db8::1]:123"),
            ("192.0.2.1:123", "192.0.2.1:123"),
        ] {
            let got = with_scope(text.parse().unwrap(), 3);
            assert_eq!(got, want.parse().unwrap(), "{text}");
        }
    }
}
