//! The daemon's side: which datagrams are answered, and with what
//! (`control-protocol.md` 5 and 6).

use crate::field::{Field, Reader};
use crate::request::{self, Access};
use crate::{
    Command, REPLY_HEADER, REQUEST_MAX, Reply, Request, Status, VERSION, VERSION_ANSWERED, reply,
};

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The Unix socket, which only the daemon's user and root can reach.
    Unix,
    /// The UDP port. Loopback is no privilege.
    Udp,
}

/// Keywords of the `opencommands` directive and what they open (`control-protocol.md` 6).
pub const OPEN_KEYWORDS: &[(&str, &[Command])] = &[
    ("activity", &[Command::Activity]),
    ("authdata", &[Command::SourceCount, Command::AuthData]),
    ("clients", &[Command::Clients]),
    ("manual", &[Command::ManualList]),
    ("ntpdata", &[Command::SourceCount, Command::NtpData]),
    ("rtcdata", &[Command::RtcReport]),
    ("selectdata", &[Command::SourceCount, Command::SelectData]),
    ("serverstats", &[Command::ServerStats]),
    ("smoothing", &[Command::Smoothing]),
    ("sourcename", &[Command::SourceName]),
    ("sources", &[Command::SourceCount, Command::SourceData]),
    ("sourcestats", &[Command::SourceCount, Command::SourceStats]),
    ("tracking", &[Command::Tracking]),
];

/// The keywords in force without the directive.
const OPEN_DEFAULT: &[&str] = &[
    "activity",
    "manual",
    "rtcdata",
    "smoothing",
    "sourcename",
    "sources",
    "sourcestats",
    "tracking",
];

/// The commands answered over UDP: those of `opencommands`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenCommands {
    /// One bit per command code.
    bits: u128,
}

impl OpenCommands {
    /// Nothing is answered over UDP but refusals.
    pub const NONE: Self = Self { bits: 0 };

    /// Opens the commands of a keyword, which is compared without regard to case; `false` if
    /// there is no such keyword.
    #[must_use]
    pub fn open(&mut self, keyword: &str) -> bool {
        let row = OPEN_KEYWORDS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(keyword));
        for command in row.map_or(&[][..], |(_, commands)| commands) {
            self.bits |= 1 << command.code();
        }
        row.is_some()
    }

    /// Whether a command is answered over UDP.
    #[must_use]
    pub fn contains(self, command: Command) -> bool {
        self.bits >> command.code() & 1 == 1
    }
}

impl Default for OpenCommands {
    fn default() -> Self {
        let mut open = Self::NONE;
        for keyword in OPEN_DEFAULT {
            let known = open.open(keyword);
            debug_assert!(known, "{keyword} is not in the table");
        }
        open
    }
}

/// What to do with a datagram.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// Say nothing.
    Silence,
    /// Send these bytes, an error.
    Refuse(Vec<u8>),
    /// Carry out the request and send what the responder makes of the reply.
    Accept(Request, Responder),
}

/// What a reply needs to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responder {
    command: u16,
    sequence: u32,
    request_len: usize,
}

impl Responder {
    /// The bytes to send; `None` if they were longer than the request, which is never answered.
    #[must_use]
    pub fn reply(self, reply: &Reply) -> Option<Vec<u8>> {
        let bytes = reply::encode(reply, self.command, self.sequence);
        (bytes.len() <= self.request_len).then_some(bytes)
    }

    fn refuse(self, status: Status) -> Admission {
        self.reply(&status.into())
            .map_or(Admission::Silence, Admission::Refuse)
    }
}

/// Checks a datagram whose sender may use the service, in the order of `control-protocol.md` 5.
///
/// `count` is called once if the datagram is a request at all: it counts the request and says
/// whether the rate limit lets it be answered.
pub fn admit(
    datagram: &[u8],
    transport: Transport,
    open: OpenCommands,
    count: impl FnOnce() -> bool,
) -> Admission {
    if datagram.len() < REPLY_HEADER || datagram.len() > REQUEST_MAX {
        return Admission::Silence;
    }
    let mut from = Reader::new(datagram);
    let Ok(header) = request::Header::take(&mut from) else {
        return Admission::Silence;
    };
    if header.packet_type != request::TYPE || header.reserved != [0; 2] {
        return Admission::Silence;
    }
    if !count() {
        return Admission::Silence;
    }

    let responder = Responder {
        command: header.command,
        sequence: header.sequence,
        request_len: datagram.len(),
    };
    if header.version != VERSION {
        return if header.version >= VERSION_ANSWERED {
            responder.refuse(Status::BadPacketVersion)
        } else {
            Admission::Silence
        };
    }
    let Some(command) = Command::from_code(header.command) else {
        return responder.refuse(Status::Invalid);
    };
    if datagram.len() < command.request_len() {
        return responder.refuse(Status::BadPacketLength);
    }
    if !permitted(command, transport, open) {
        return responder.refuse(Status::Unauthorised);
    }
    match Request::take_payload(command, &mut from) {
        Ok(request) => Admission::Accept(request, responder),
        Err(error) => responder.refuse(error.status()),
    }
}

fn permitted(command: Command, transport: Transport, open: OpenCommands) -> bool {
    match (transport, command.access()) {
        (Transport::Unix, _) => true,
        (Transport::Udp, Access::ReportOpen | Access::ReportOptional) => open.contains(command),
        (Transport::Udp, Access::Change | Access::ReportLocal) => false,
    }
}

#[cfg(test)]
mod tests;
