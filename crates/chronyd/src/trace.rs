//! The debug log (`-d -d`, `-L -1`): what came in and what went out, one line each, with the
//! descriptor, so that a log can be laid beside a packet capture or `strace`.
//!
//! Nothing is formatted unless debug messages are wanted.

use crate::logger::Logger;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use timewright_core::engine::LookupAnswer;
use timewright_core::event::Severity;
use timewright_core::output::{ControlOrigin, PacketStamp, SocketRole};
use timewright_sys::net::Socket;

/// Runs `line` if its result would be written.
fn say(logger: &mut Logger, line: impl FnOnce() -> String) {
    if logger.wants(Severity::Debug) {
        logger.debug(line());
    }
}

fn number(socket: &Socket) -> i32 {
    socket.as_fd().as_raw_fd()
}

/// A datagram socket came into use.
pub(crate) fn opened(logger: &mut Logger, socket: &Socket, inherited: bool, role: SocketRole) {
    say(logger, || {
        let done = if inherited { "Reusing" } else { "Opened" };
        let fd = number(socket);
        match (role, local(socket)) {
            (SocketRole::Client(remote), _) => {
                format!("{done} {} socket fd={fd} remote={remote}", kind(remote))
            }
            (_, Some(local)) => format!("{done} {} socket fd={fd} local={local}", kind(local)),
            (_, None) => format!("{done} socket fd={fd}"),
        }
    });
}

/// A command socket came into use.
pub(crate) fn opened_command(logger: &mut Logger, socket: &Socket, inherited: bool) {
    say(logger, || {
        let done = if inherited { "Reusing" } else { "Opened" };
        let fd = number(socket);
        match local(socket) {
            Some(local) => format!("{done} {} socket fd={fd} local={local}", kind(local)),
            None => format!("{done} Unix command socket fd={fd}"),
        }
    });
}

/// A socket is about to be closed.
pub(crate) fn closing(logger: &mut Logger, socket: &Socket) {
    say(logger, || format!("Closed socket fd={}", number(socket)));
}

/// A packet came.
pub(crate) fn received(
    logger: &mut Logger,
    socket: &Socket,
    from: SocketAddr,
    len: usize,
    stamp: &PacketStamp,
) {
    say(logger, || {
        let (fd, source) = (number(socket), stamp.source.letter());
        format!("Received message from={from} fd={fd} len={len} tss={source}")
    });
}

/// The time came when a packet left.
pub(crate) fn left(logger: &mut Logger, to: SocketAddr, len: usize, stamp: &PacketStamp) {
    say(logger, || {
        let source = stamp.source.letter();
        format!("Received error message to={to} len={len} tss={source}")
    });
}

/// A packet was handed to the system.
pub(crate) fn sent(logger: &mut Logger, socket: &Socket, to: SocketAddr, len: usize) {
    say(logger, || {
        format!("Sent message to={to} fd={} len={len}", number(socket))
    });
}

/// A control request came.
pub(crate) fn request(logger: &mut Logger, from: &ControlOrigin, bytes: &[u8]) {
    say(logger, || {
        // Offsets in the header of a request (`control-protocol.md` 2).
        let command = match bytes.get(4..6) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]).to_string(),
            _ => "none".to_owned(),
        };
        let from = match from {
            ControlOrigin::Udp { remote, .. } => remote.to_string(),
            ControlOrigin::Unix { path } => String::from_utf8_lossy(path).into_owned(),
        };
        let len = bytes.len();
        format!("Received command {command} from={from} len={len}")
    });
}

/// A name is about to be looked up.
pub(crate) fn asking(logger: &mut Logger, name: &str) {
    say(logger, || format!("Resolving {name}"));
}

/// A lookup has ended.
pub(crate) fn answered(logger: &mut Logger, answer: &LookupAnswer) {
    say(logger, || match answer {
        LookupAnswer::Addresses(found) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            format!("Resolved to {}", found.join(" "))
        }
        LookupAnswer::TemporaryFailure => "Resolving failed, to be tried again".to_owned(),
        LookupAnswer::PermanentFailure => "Resolving failed".to_owned(),
    });
}

fn local(socket: &Socket) -> Option<SocketAddr> {
    socket.local_address().ok().flatten()
}

const fn kind(address: SocketAddr) -> &'static str {
    match address {
        SocketAddr::V4(_) => "UDPv4",
        SocketAddr::V6(_) => "UDPv6",
    }
}
