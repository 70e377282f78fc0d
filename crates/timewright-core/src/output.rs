//! What the engine wants done: values the driver turns into system calls.
//!
//! Every driver matches on [`Output`] without a wildcard, so a new kind cannot be forgotten, and
//! empties the queue after every input before it delivers the next.

use crate::discipline::MailNotice;
use crate::event::Event;
use crate::ids::{DeviceId, SocketKey, Ticket};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use timewright_time::{Raw, Seconds, Timestamp};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// What a socket is for; the driver derives binding and options (`ntp-engine.md` 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRole {
    /// The server socket of a family, bound to `port` and `bindaddress`; also used by peers and
    /// broadcasts, and by clients if `acquisitionport` equals `port`.
    Server(Family),
    /// A client socket connected to one source, with a random port, for one exchange.
    Client(SocketAddr),
    /// The one unconnected client socket of a family, bound to `acquisitionport`.
    SharedClient(Family),
}

/// Who stamped a packet, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StampSource {
    /// Read by the daemon at its wake-up.
    Daemon,
    /// The kernel's software time stamp.
    Kernel,
    /// The network card's.
    Hardware,
}

impl StampSource {
    /// The letter of `measurements.log` and `ntpdata`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Daemon => 'D',
            Self::Kernel => 'K',
            Self::Hardware => 'H',
        }
    }
}

/// When a packet was received or sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacketStamp {
    /// The time.
    pub time: Timestamp<Raw>,
    /// Who made it.
    pub source: StampSource,
    /// Time the frame took to receive, known for hardware stamps only.
    pub rx_duration: Seconds,
    /// Correction by network devices along the path plus `rx_duration`; zero if unknown.
    pub net_correction: Seconds,
}

impl PacketStamp {
    /// A stamp without corrections.
    #[must_use]
    pub const fn new(time: Timestamp<Raw>, source: StampSource) -> Self {
        Self {
            time,
            source,
            rx_duration: Seconds::ZERO,
            net_correction: Seconds::ZERO,
        }
    }
}

/// A received datagram, valid during one call.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The socket it arrived on.
    pub socket: SocketKey,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Our address it was sent to, if the system told.
    pub local: Option<IpAddr>,
    /// Index of the interface it arrived on; 0 if unknown.
    pub interface: u32,
    /// The payload.
    pub bytes: &'a [u8],
    /// When it arrived.
    pub stamp: PacketStamp,
}

/// A late transmit time stamp from the error queue: the looped-back payload and its destination.
#[derive(Clone, Copy, Debug)]
pub struct TxStamp<'a> {
    /// The socket it was sent from.
    pub socket: SocketKey,
    /// Where it was sent.
    pub remote: SocketAddr,
    /// The payload as sent.
    pub bytes: &'a [u8],
    /// When it left.
    pub stamp: PacketStamp,
}

/// A file the engine has content for; the driver knows the paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `driftfile`.
    Drift,
    /// A file in `dumpdir`, by name.
    Dump(String),
}

/// One file to be replaced or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWrite {
    /// Which file.
    pub file: FileKind,
    /// Its new content, whole or not at all; `None` removes it.
    pub content: Option<String>,
}

/// The append-only logs of the `log` directive (`daemon-and-files.md` 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogFile {
    /// `measurements.log`.
    Measurements,
    /// `statistics.log`.
    Statistics,
    /// `tracking.log`.
    Tracking,
    /// `selection.log`.
    Selection,
    /// `refclocks.log`.
    Refclocks,
    /// `rtc.log`.
    Rtc,
    /// `tempcomp.log`.
    Tempcomp,
}

/// Which answers a name lookup may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyFilter {
    /// Either family.
    Any,
    /// Only this one.
    Only(Family),
}

/// Where a control message came from, so that the reply finds its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlOrigin {
    /// A UDP command socket.
    Udp {
        /// The client.
        remote: SocketAddr,
        /// Our address it used.
        local: Option<IpAddr>,
    },
    /// The Unix command socket; the bytes name the client's socket path.
    Unix {
        /// Path of the client's socket.
        path: Vec<u8>,
    },
}

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// As asked, status 0.
    Done,
    /// Without having reached its purpose, status 1.
    Failed,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a socket; a failure is reported with `handle_send_error`.
    OpenSocket {
        /// The engine's name for it.
        key: SocketKey,
        /// What it is for.
        role: SocketRole,
    },
    /// Close a socket.
    CloseSocket {
        /// Which.
        key: SocketKey,
    },
    /// Send a datagram.
    Send {
        /// From which socket.
        key: SocketKey,
        /// Where to.
        to: SocketAddr,
        /// From which of our addresses; `None` lets the system choose.
        from: Option<IpAddr>,
        /// The interface to use; 0 lets the system choose.
        interface: u32,
        /// The payload.
        packet: Vec<u8>,
        /// Whether a transmit time stamp is wanted.
        stamp: bool,
    },
    /// Have a response signed by the MS-SNTP signing service, then send it.
    Sign {
        /// From which socket.
        key: SocketKey,
        /// Where to.
        to: SocketAddr,
        /// From which of our addresses.
        from: Option<IpAddr>,
        /// The interface to use; 0 lets the system choose.
        interface: u32,
        /// The response.
        packet: Vec<u8>,
        /// Key id of the request.
        key_id: u32,
    },
    /// Look a name up; the answer goes to `handle_resolved`.
    Resolve {
        /// Names this lookup.
        ticket: Ticket,
        /// The host name.
        name: String,
        /// Families that can be used; others in the answer are left aside.
        families: FamilyFilter,
    },
    /// Find out whether a UDP socket can be connected to each address; the answer goes to
    /// `handle_completed`.
    ProbeRoutes {
        /// Names this probe.
        ticket: Ticket,
        /// The addresses.
        addresses: Vec<SocketAddr>,
    },
    /// Replace files by new content. A failure of one does not keep the others from being tried;
    /// the work failed if any of them did.
    WriteFiles {
        /// Names this work, if its outcome is owed.
        ticket: Option<Ticket>,
        /// The files, in the order to write them.
        files: Vec<FileWrite>,
    },
    /// The clock was stepped by the engine between the outputs before and after this one; positive:
    /// it was moved back. Messages before it are of the time before.
    Stepped {
        /// By how much.
        offset: Seconds,
    },
    /// A message for the log.
    Log(Event),
    /// A line for one of the `log` files, without its newline.
    LogRecord {
        /// Which file.
        file: LogFile,
        /// The line.
        line: String,
    },
    /// A reply to a control message.
    ControlReply {
        /// Whom to answer.
        to: ControlOrigin,
        /// The reply.
        bytes: Vec<u8>,
    },
    /// The daemon is ready: tell the service manager and the waiting parent, then call
    /// `handle_ready`.
    Ready,
    /// All sources are about to be started: load dump files if asked, remove them, then call
    /// `handle_sources_started`.
    SourcesStarted,
    /// Read the source directories again; the sources found go to `apply_sources`, the outcome to
    /// `handle_completed`.
    ReloadSources {
        /// Names this reload.
        ticket: Ticket,
    },
    /// Read the key file again; the outcome goes to `handle_completed`.
    Rekey {
        /// Names this work.
        ticket: Ticket,
    },
    /// Close and reopen all log files; the outcome goes to `handle_completed`.
    CycleLogs {
        /// Names this work.
        ticket: Ticket,
    },
    /// Read a reference clock; the answer, of which there must be one even if there is nothing to
    /// read, goes to `handle_device`.
    ReadDevice {
        /// Which.
        id: DeviceId,
    },
    /// Read the list of leap seconds again; the answer goes to `handle_leap_list`.
    ReadLeapList,
    /// Read the temperature sensor; the answer goes to `handle_temperature`.
    ReadTemperature,
    /// Send mail (`mailonchange`).
    Mail {
        /// What to say; host name and local time are the driver's to add.
        notice: MailNotice,
    },
    /// End.
    Quit(Exit),
}

/// The outputs of one input, first in first out.
#[derive(Debug, Default)]
pub struct OutputQueue {
    queue: VecDeque<Output>,
}

impl OutputQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    /// Adds a log message.
    pub fn log(&mut self, event: Event) {
        self.push(Output::Log(event));
    }

    /// How far the clock was moved back since the oldest output was added.
    #[must_use]
    pub fn stepped(&self) -> Seconds {
        let steps = self.queue.iter().filter_map(|output| match output {
            Output::Stepped { offset } => Some(offset.0),
            _ => None,
        });
        Seconds(steps.sum())
    }

    /// Adds the log messages of typed events.
    pub fn extend_log<E: Into<Event>>(&mut self, events: impl IntoIterator<Item = E>) {
        for event in events {
            self.log(event.into());
        }
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_wait_add_up_until_they_are_taken() {
        let mut queue = OutputQueue::new();
        assert_eq!(queue.stepped(), Seconds::ZERO);
        queue.log(Event::info("before"));
        for offset in [Seconds(2.5), Seconds(-0.5)] {
            queue.push(Output::Stepped { offset });
            queue.log(Event::info("after"));
        }
        let left: Vec<Seconds> = std::iter::from_fn(|| {
            queue.pop()?;
            Some(queue.stepped())
        })
        .collect();
        assert_eq!(left, [2.0, -0.5, -0.5, 0.0, 0.0].map(Seconds));
    }
}
