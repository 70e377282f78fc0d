//! Everything the daemon has besides the engine, and how each output of the engine becomes
//! system calls.

use crate::args::Options;
use crate::clocks::{KernelRng, SystemClock, realtime};
use crate::files::records::{RecordError, Records};
use crate::files::{FileError, replace};
use crate::logger::Logger;
use crate::mail::Mailer;
use crate::net::SocketTable;
use crate::net::command::CommandSockets;
use crate::resolver::Resolver;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use timewright_config::SourceSpec;
use timewright_core::engine::{Context, LookupAnswer, Outcome};
use timewright_core::ids::{DeviceId, SocketKey, Ticket};
use timewright_core::output::{Exit, FileKind, Output, OutputQueue, SocketRole};
use timewright_sys::names::Families;
use timewright_sys::net::{Destination, Family, Outgoing};
use timewright_time::{MonoTime, Now};

/// Paths of the run, checked at start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) command_socket: Option<PathBuf>,
    pub(crate) drift_file: Option<PathBuf>,
    pub(crate) dump_dir: Option<PathBuf>,
    pub(crate) source_dirs: Vec<Vec<PathBuf>>,
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
    /// The list of leap seconds was read.
    LeapList(Option<Vec<u8>>),
    /// The sensor was read.
    Temperature(Option<String>),
    /// A reference clock was to be read.
    Device(DeviceId),
}

/// The world outside the engine.
pub(crate) struct Runtime {
    pub(crate) clock: SystemClock,
    rng: KernelRng,
    out: OutputQueue,
    pub(crate) sockets: SocketTable,
    pub(crate) command: CommandSockets,
    pub(crate) resolver: Resolver,
    records: Records,
    mailer: Mailer,
    pub(crate) paths: Paths,
    pub(crate) notify_socket: Option<OsString>,
    family: Option<Family>,
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
        options: &Options,
    ) -> Self {
        Self {
            clock,
            rng: KernelRng,
            out: OutputQueue::new(),
            sockets,
            command,
            resolver: Resolver::new(),
            records,
            mailer: Mailer::new(),
            paths,
            notify_socket: std::env::var_os("NOTIFY_SOCKET"),
            family: options.family,
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
        while let Some(output) = self.out.pop() {
            self.perform(output, logger);
        }
    }

    fn perform(&mut self, output: Output, logger: &mut Logger) {
        match output {
            Output::OpenSocket { key, role } => self.open_socket(key, role, logger),
            Output::CloseSocket { key } => self.sockets.close(key),
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
                }
            }
            Output::Resolve {
                ticket,
                name,
                families: _,
            } => self.resolve(ticket, name),
            Output::ProbeRoutes { ticket, addresses } => {
                let routes = self.probe(&addresses);
                let outcome = Outcome::Routes(routes);
                self.feedback
                    .push_back(Feedback::Completed(ticket, outcome));
            }
            Output::WriteFile {
                ticket,
                file,
                content,
            } => {
                let written = self.write_file(&file, content.as_deref());
                self.completed(ticket, written, logger);
            }
            Output::Log(event) => logger.log(&event),
            Output::LogRecord { file, line } => match self.records.append(file, &line) {
                Ok(()) => {}
                Err(RecordError::NoDirectory) => logger.warning("logdir not specified"),
                Err(RecordError::File(error)) => logger.error(error),
            },
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
                self.completed(Some(ticket), Ok(()), logger);
            }
            Output::Rekey { ticket } => {
                // Without keys there is nothing to read again.
                self.completed(Some(ticket), Ok(()), logger);
            }
            Output::CycleLogs => {
                self.records.cycle();
                logger.reopen();
            }
            // No driver is offered to the engine, so none is asked for; the answer is owed anyway.
            Output::ReadDevice { id } => self.feedback.push_back(Feedback::Device(id)),
            Output::ReadLeapList => {
                let content = self.read_leap_list();
                self.feedback.push_back(Feedback::LeapList(content));
            }
            Output::ReadTemperature => {
                let path = self.paths.temperature.as_ref();
                let content = path.and_then(|path| std::fs::read_to_string(path).ok());
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

    /// The content of `leapseclist`; `None` if there is none or it is unreadable.
    pub(crate) fn read_leap_list(&self) -> Option<Vec<u8>> {
        std::fs::read(self.paths.leap_list.as_ref()?).ok()
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
                    logger.debug(format_args!("No socket for {to}: {reason}"));
                }
            }
            self.feedback.push_back(Feedback::OpenError(key));
        }
        if self.sockets.inherited.take_v6_only_warning() {
            logger.warning("Reusable IPv6 socket missing IPV6_V6ONLY option");
        }
    }

    /// Asks for all addresses of the families that are in use at all. What one source wants of
    /// them is the engine's choice: a name with addresses only of the other family is no invalid
    /// host, it may have the wanted ones later.
    fn resolve(&mut self, ticket: Ticket, name: String) {
        let families = match self.family {
            None => Families::Any,
            Some(Family::V4) => Families::V4,
            Some(Family::V6) => Families::V6,
        };
        if self.resolver.ask((ticket, name, families)).is_err() {
            let failure = LookupAnswer::TemporaryFailure;
            self.feedback
                .push_back(Feedback::Unresolved(ticket, failure));
        }
    }

    fn probe(&self, addresses: &[SocketAddr]) -> Vec<bool> {
        let route = |&address| self.sockets.has_route(address);
        addresses.iter().map(route).collect()
    }

    fn write_file(&self, file: &FileKind, content: Option<&str>) -> Result<(), FileError> {
        let path = match file {
            FileKind::Drift => self.paths.drift_file.clone(),
            FileKind::Dump(name) => self.paths.dump_dir.as_ref().map(|dir| dir.join(name)),
        };
        match (path, content) {
            (None, _) => Ok(()),
            (Some(path), Some(content)) => replace(&path, content.as_bytes(), 0o644),
            (Some(path), None) => {
                // Removing what is not there is what was wanted.
                let _ = std::fs::remove_file(path);
                Ok(())
            }
        }
    }

    fn completed(
        &mut self,
        ticket: Option<Ticket>,
        result: Result<(), FileError>,
        logger: &mut Logger,
    ) {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(error) => {
                logger.error(error);
                Outcome::Failed
            }
        };
        if let Some(ticket) = ticket {
            self.feedback
                .push_back(Feedback::Completed(ticket, outcome));
        }
    }
}
