//! Replies of the server on their way out, a few with one call.

use super::SocketTable;
use crate::logger::Logger;
use crate::trace;
use std::io;
use std::net::{IpAddr, SocketAddr};
use timewright_core::ids::SocketKey;
use timewright_core::output::Datagram;
use timewright_sys::net::{Destination, Outgoing};

/// The longest reply (`ntp-engine.md` 1.1).
const REPLY_MAX: usize = 1140;

/// Replies sent with one call. A reply carries its transmit time, and each one before it in the
/// call delays it by some 4 µs; with four the error of the time served stays below 10 µs, and
/// three of four calls are saved.
const REPLIES_MAX: usize = 4;

/// Where a reply goes.
#[derive(Clone, Copy, Debug)]
struct Envelope {
    len: usize,
    to: SocketAddr,
    from: Option<IpAddr>,
    interface: u32,
    stamp: bool,
}

/// Replies that wait to be sent from one socket.
pub(crate) struct Replies {
    buffers: Box<[[u8; REPLY_MAX]; REPLIES_MAX]>,
    envelopes: Vec<Envelope>,
    /// The system takes one datagram a call only, as a simulator in place of it may.
    single: bool,
}

impl Replies {
    pub(crate) fn new() -> Self {
        Self {
            buffers: Box::new([[0; REPLY_MAX]; REPLIES_MAX]),
            envelopes: Vec::with_capacity(REPLIES_MAX),
            single: false,
        }
    }

    /// Room for the next reply.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let next = self.envelopes.len();
        self.buffers
            .get_mut(next)
            .map_or(&mut [], <[u8; REPLY_MAX]>::as_mut_slice)
    }

    /// The reply to `request` is in the room, `len` bytes long; true if there is no more room.
    pub(crate) fn add(&mut self, request: &Datagram<'_>, len: usize, stamp: bool) -> bool {
        self.envelopes.push(Envelope {
            len,
            to: request.remote,
            from: request.local,
            interface: request.interface,
            stamp,
        });
        self.envelopes.len() >= REPLIES_MAX
    }

    /// Sends all, in order. One that cannot be sent is skipped.
    pub(crate) fn flush(&mut self, sockets: &SocketTable, key: SocketKey, logger: &mut Logger) {
        let mut outgoing = [Outgoing::new(&[], Destination::Connected); REPLIES_MAX];
        let replies = self.envelopes.iter().zip(self.buffers.iter());
        let Some(entry) = sockets.get(key) else {
            self.envelopes.clear();
            return;
        };
        for (place, (envelope, bytes)) in outgoing.iter_mut().zip(replies) {
            let bytes = bytes.get(..envelope.len).unwrap_or_default();
            let mut out = Outgoing::new(bytes, Destination::Inet(envelope.to));
            out.from = envelope.from;
            out.interface = envelope.interface;
            sockets.complete(entry, &mut out, envelope.stamp);
            *place = out;
        }
        let mut rest = outgoing.get(..self.envelopes.len()).unwrap_or_default();
        while let Some((first, others)) = rest.split_first() {
            let result = if self.single || others.is_empty() {
                entry.socket.send_message(first).map(|_| 1)
            } else {
                entry.socket.send_messages(rest)
            };
            let done = match result {
                Ok(sent) => sent.max(1),
                Err(error) if !self.single && is_unknown_here(&error) => {
                    self.single = true;
                    0
                }
                Err(error) => {
                    logger.debug(format_args!("Sending a reply failed: {error}"));
                    1
                }
            };
            rest = rest.get(done..).unwrap_or_default();
        }
        for envelope in self.envelopes.drain(..) {
            trace::sent(logger, &entry.socket, envelope.to, envelope.len);
        }
    }
}

/// Whether the call is not known, or not to whoever made the socket.
fn is_unknown_here(error: &io::Error) -> bool {
    const BAD_DESCRIPTOR: i32 = 9;
    const NOT_A_SOCKET: i32 = 88;
    error.kind() == io::ErrorKind::Unsupported
        || matches!(error.raw_os_error(), Some(BAD_DESCRIPTOR | NOT_A_SOCKET))
}
