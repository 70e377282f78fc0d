//! Everything the daemon has besides the engine, and how each output of the engine becomes
//! system calls.

use crate::args::Options;
use crate::clocks::{KernelRng, SystemClock, realtime};
use crate::files::records::{RecordError, Records};
use crate::files::{Change, Done, Job, StateFiles, read_regular, secrets};
use crate::logger::Logger;
use crate::mail::Mailer;
use crate::net::command::CommandSockets;
use crate::net::signing::{Client, SigningService};
use crate::net::{LACKS_V6_ONLY, SocketTable};
use crate::notify::Manager;
use crate::refclock::Devices;
use crate::resolver::{Outages, Resolver, resolver};
use crate::trace;
use crate::wake_up::monotonic;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use timewright_config::SourceSpec;
use timewright_core::engine::{Context, LookupAnswer, Outcome};
use timewright_core::ids::{DeviceId, SocketKey, Ticket};
use timewright_core::output::{Exit, FileKind, FileWrite, Output, OutputQueue, SocketRole};
use timewright_sys::is_shortage;
use timewright_sys::names::Families;
use timewright_sys::net::{Destination, Family, Outgoing};
use timewright_time::{MonoTime, Now, Seconds};

/// More than a list of leap seconds will be.
const LEAP_LIST_MAX: u64 = 1 << 20;

/// More than a number with anything around it.
const SENSOR_MAX: u64 = 4096;

/// Paths of the run, checked at start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) command_socket: Option<PathBuf>,
    pub(crate) drift_file: Option<PathBuf>,
    pub(crate) dump_dir: Option<PathBuf>,
    pub(crate) source_dirs: Vec<Vec<PathBuf>>,
    /// `keyfile`.
    pub(crate) keys: Option<PathBuf>,
    /// `ntpsigndsocket`.
    pub(crate) signing: Option<PathBuf>,
    /// `leapseclist`.
    pub(crate) leap_list: Option<PathBuf>,
    /// Sensor of `tempcomp`.
    pub(crate) temperature: Option<PathBuf>,
}

/// What an output led to that the engine has to be told.
#[derive(Debug)]
pub(crate) enum Feedback {
    /// Sending failed.
    SendError(SocketKey),
    /// Opening failed.
    OpenError(SocketKey),
    /// A lookup could not even be begun.
    Unresolved(Ticket, LookupAnswer),
    /// Work with a ticket has ended.
    Completed(Ticket, Outcome),
    /// The source directories were read again.
    Sources(Vec<SourceSpec>),
    /// Readiness was announced.
    Ready,
    /// All sources have been started, so dump files may be loaded.
    SourcesStarted,
    /// The key file was read.
    Keys(Option<Vec<u8>>),
    /// The list of leap seconds was read.
    LeapList(Option<Vec<u8>>),
    /// The sensor was read.
    Temperature(Option<String>),
    /// A reference clock is to be read.
    Device(DeviceId),
}

/// A want of descriptors or memory for sockets, told once an hour while it lasts; with more
/// sources than descriptors it comes and goes, which is told once a minute.
#[derive(Debug, Default)]
struct Shortage {
    told: Option<MonoTime>,
}

impl Shortage {
    fn is_news(&mut self, now: MonoTime) -> bool {
        let is_known = self.told.is_some_and(|told| now - told < Seconds(3600.0));
        if !is_known {
            self.told = Some(now);
        }
        !is_known
    }

    fn is_over(&mut self, now: MonoTime) {
        self.told.take_if(|told| now - *told >= Seconds(60.0));
    }
}

/// The world outside the engine.
pub(crate) struct Runtime {
    pub(crate) clock: SystemClock,
    rng: KernelRng,
    out: OutputQueue,
    pub(crate) sockets: SocketTable,
    pub(crate) command: CommandSockets,
    pub(crate) devices: Devices,
    pub(crate) resolver: Resolver,
    pub(crate) signing: Option<SigningService>,
    pub(crate) outages: Outages,
    pub(crate) files: StateFiles,
    records: Records,
    mailer: Mailer,
    pub(crate) paths: Paths,
    pub(crate) manager: Manager,
    family: Option<Family>,
    shortage: Shortage,
    pub(crate) feedback: VecDeque<Feedback>,
    /// Set once the daemon is to end.
    pub(crate) exit: Option<Exit>,
    /// The fatal error that ends the daemon.
    pub(crate) fatal: Option<String>,
}

/// Reads both clocks.
pub(crate) fn now() -> Now {
    Now {
        mono: MonoTime::from_ns(timewright_sys::clock::monotonic().unwrap_or(0)),
        raw: realtime(),
    }
}

impl Runtime {
    pub(crate) fn new(
        clock: SystemClock,
        sockets: SocketTable,
        command: CommandSockets,
        records: Records,
        paths: Paths,
        manager: Manager,
        options: &Options,
    ) -> Self {
        Self {
            clock,
            rng: KernelRng,
            out: OutputQueue::new(),
            sockets,
            command,
            devices: Devices::default(),
            resolver: resolver(),
            signing: paths.signing.as_deref().map(SigningService::new),
            outages: Outages::default(),
            files: StateFiles::new(),
            records,
            mailer: Mailer::new(),
            paths,
            manager,
            family: options.family,
            shortage: Shortage::default(),
            feedback: VecDeque::new(),
            exit: None,
            fatal: None,
        }
    }

    /// What a step of the engine may use.
    pub(crate) fn context(&mut self) -> Context<'_> {
        Context {
            clock: &mut self.clock,
            rng: &mut self.rng,
            out: &mut self.out,
        }
    }

    /// Carries out all queued outputs and what the clock had to say; what the engine has to be
    /// told of them is in `feedback` afterwards.
    pub(crate) fn perform_all(&mut self, logger: &mut Logger) {
        let notes = self.clock.take_notes();
        for event in &notes.events {
            logger.log(event);
        }
        if self.fatal.is_none() {
            self.fatal = notes.fatal;
        }
        // Messages of before a step bear the time of before.
        logger.set_behind(self.out.stepped());
        while let Some(output) = self.out.pop() {
            self.perform(output, logger);
        }
        logger.set_behind(Seconds::ZERO);
    }

    /// Carries out the first of the queued outputs.
    pub(crate) fn perform_first(&mut self, logger: &mut Logger) {
        if let Some(output) = self.out.pop() {
            self.perform(output, logger);
        }
    }

    fn perform(&mut self, output: Output, logger: &mut Logger) {
        match output {
            Output::OpenSocket { key, role } => self.open_socket(key, role, logger),
            Output::CloseSocket { key } => {
                if let Some(closed) = self.sockets.get(key) {
                    trace::closing(logger, &closed.socket);
                }
                self.sockets.close(key);
            }
            Output::Send {
                key,
                to,
                from,
                interface,
                packet,
                stamp,
            } => {
                let mut out = Outgoing::new(&packet, Destination::Inet(to));
                out.from = from;
                out.interface = interface;
                if let Err(error) = self.sockets.send(key, out, stamp) {
                    logger.debug(format_args!("Sending to {to} failed: {error}"));
                    self.feedback.push_back(Feedback::SendError(key));
                } else if let Some(entry) = self.sockets.get(key) {
                    trace::sent(logger, &entry.socket, to, packet.len());
                }
            }
            Output::Sign {
                key,
                to,
                from,
                interface,
                packet,
                key_id,
            } => {
                let client = Client {
                    key,
                    to,
                    from,
                    interface,
                };
                if let Some(service) = &mut self.signing {
                    service.push(&packet, key_id, client, now().mono, logger);
                }
            }
            Output::Resolve {
                ticket,
                name,
                families: _,
            } => {
                trace::asking(logger, &name);
                self.resolve(ticket, name, logger);
            }
            Output::ProbeRoutes { ticket, addresses } => {
                let routes = self.probe(&addresses);
                let outcome = Outcome::Routes(routes);
                self.feedback
                    .push_back(Feedback::Completed(ticket, outcome));
            }
            Output::WriteFiles { ticket, files } => self.write_files(ticket, files, logger),
            Output::Log(event) => logger.log(&event),
            Output::Stepped { .. } => logger.set_behind(self.out.stepped()),
            Output::LogRecord { file, line } => {
                if let Err(error) = self.records.append(file, &line, monotonic()) {
                    report(error, logger);
                }
            }
            Output::ControlReply { to, bytes } => {
                if let Err(error) = self.command.reply(&to, &bytes) {
                    logger.debug(format_args!("Sending a command reply failed: {error}"));
                }
            }
            Output::Ready => self.feedback.push_back(Feedback::Ready),
            Output::SourcesStarted => self.feedback.push_back(Feedback::SourcesStarted),
            Output::ReloadSources { ticket } => {
                let sources = self.read_source_dirs();
                self.feedback.push_back(Feedback::Sources(sources));
                self.completed(Some(ticket), true);
            }
            Output::Rekey { ticket } => {
                let keys = self.read_keys(logger);
                self.feedback.push_back(Feedback::Keys(keys));
                self.completed(Some(ticket), true);
            }
            Output::CycleLogs { ticket } => {
                let failed = self.records.cycle();
                let mut is_success = failed.is_empty();
                for error in failed {
                    report(error, logger);
                }
                if let Err(error) = logger.reopen() {
                    logger.error(error);
                    is_success = false;
                }
                self.completed(Some(ticket), is_success);
            }
            Output::ReadDevice { id } => self.feedback.push_back(Feedback::Device(id)),
            Output::ReadLeapList => {
                let content = self.read_leap_list();
                self.feedback.push_back(Feedback::LeapList(content));
            }
            Output::ReadTemperature => {
                let path = self.paths.temperature.as_ref();
                let content = path.and_then(|path| read_regular(path, SENSOR_MAX).ok());
                let content = content.and_then(|bytes| String::from_utf8(bytes).ok());
                self.feedback.push_back(Feedback::Temperature(content));
            }
            Output::Mail { notice } => {
                if let Err(text) = self.mailer.send(&notice) {
                    logger.error(text);
                }
            }
            Output::Quit(exit) => {
                self.exit.get_or_insert(exit);
            }
        }
    }

    /// The content of the `keyfile`; `None` if there is none or it is unreadable.
    pub(crate) fn read_keys(&self, logger: &mut Logger) -> Option<Vec<u8>> {
        secrets::read(self.paths.keys.as_ref()?, logger)
    }

    /// The content of `leapseclist`; `None` if there is none or it is unreadable.
    pub(crate) fn read_leap_list(&self) -> Option<Vec<u8>> {
        read_regular(self.paths.leap_list.as_ref()?, LEAP_LIST_MAX).ok()
    }

    /// The sources of the source directories.
    pub(crate) fn read_source_dirs(&self) -> Vec<SourceSpec> {
        timewright_config::read_source_dirs(&self.paths.source_dirs, &crate::os_files::OsFiles)
    }

    fn open_socket(&mut self, key: SocketKey, role: SocketRole, logger: &mut Logger) {
        if let Err(failed) = self.sockets.open(key, role) {
            let address = failed.address;
            match role {
                SocketRole::Server(_) | SocketRole::SharedClient(_) => {
                    logger.error(format_args!("Could not open NTP socket on {address}"));
                }
                SocketRole::Client(to) => {
                    let reason = timewright_sys::error_text(&failed.error);
                    if is_shortage(&failed.error) && self.shortage.is_news(monotonic()) {
                        logger.error(format_args!("Could not open socket for {to} : {reason}"));
                    } else {
                        logger.debug(format_args!("No socket for {to}: {reason}"));
                    }
                }
            }
            self.feedback.push_back(Feedback::OpenError(key));
        } else {
            self.shortage.is_over(monotonic());
            if let Some(entry) = self.sockets.get(key) {
                trace::opened(logger, &entry.socket, entry.inherited, role);
            }
        }
        if self.sockets.inherited.take_v6_only_warning() {
            logger.warning(LACKS_V6_ONLY);
        }
    }

    /// Asks for all addresses of the families that are in use at all. What one source wants of
    /// them is the engine's choice: a name with addresses only of the other family is no invalid
    /// host, it may have the wanted ones later.
    fn resolve(&mut self, ticket: Ticket, name: String, logger: &mut Logger) {
        let families = match self.family {
            None => Families::Any,
            Some(Family::V4) => Families::V4,
            Some(Family::V6) => Families::V6,
        };
        if let Err((_, name, _)) = self.resolver.ask((ticket, name, families)) {
            // The thread could not be started.
            if self.shortage.is_news(monotonic()) {
                logger.error(format_args!("Could not begin to look up {name}"));
            }
            let failure = LookupAnswer::TemporaryFailure;
            self.feedback
                .push_back(Feedback::Unresolved(ticket, failure));
        }
    }

    fn probe(&self, addresses: &[SocketAddr]) -> Vec<bool> {
        let route = |&address| self.sockets.has_route(address);
        addresses.iter().map(route).collect()
    }

    fn write_files(&mut self, ticket: Option<Ticket>, files: Vec<FileWrite>, logger: &mut Logger) {
        let change = |FileWrite { file, content }| {
            let path = match file {
                FileKind::Drift => self.paths.drift_file.clone(),
                FileKind::Dump(name) => self.paths.dump_dir.as_ref().map(|dir| dir.join(name)),
            };
            path.map(|path| Change { path, content })
        };
        let changes = files.into_iter().filter_map(change).collect();
        if let Some(done) = self.files.begin(Job { ticket, changes }) {
            self.end_write(&done, logger);
        }
    }

    /// Reports what came of writing state files.
    pub(crate) fn end_write(&mut self, done: &Done, logger: &mut Logger) {
        for line in self.files.news(done, monotonic()) {
            logger.error(line);
        }
        self.completed(done.ticket, done.is_success());
    }

    /// Waits until everything that was to be written is on disk, or has failed.
    pub(crate) fn finish_writes(&mut self, logger: &mut Logger) {
        while let Some(done) = self.files.take() {
            self.end_write(&done, logger);
        }
    }

    fn completed(&mut self, ticket: Option<Ticket>, is_success: bool) {
        let outcome = if is_success {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        if let Some(ticket) = ticket {
            self.feedback
                .push_back(Feedback::Completed(ticket, outcome));
        }
    }
}

fn report(error: RecordError, logger: &mut Logger) {
    match error {
        RecordError::NoDirectory => logger.warning("logdir not specified"),
        RecordError::File(error) => logger.error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_that_comes_and_goes_is_told_once_a_minute() {
        let at = |s: i64| MonoTime::from_ns(s * 1_000_000_000);
        let mut shortage = Shortage::default();
        let told = (0..180)
            .filter(|s| {
                shortage.is_over(at(*s));
                shortage.is_news(at(*s))
            })
            .count();
        assert_eq!(told, 3);
        assert!(!shortage.is_news(at(3719)));
        assert!(shortage.is_news(at(3720)));
    }
}
