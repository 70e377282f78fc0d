//! One request, one reply: servers in turn, attempts with growing patience
//! (`control-protocol.md` 8).

use crate::host::Host;
use crate::transport::{Link, Server};
use timewright_control::client::{Answer, Expected, receive};
use timewright_control::{Reply, Request, Status, VERSION, VERSION_FALLBACK, request};

/// Longer than any reply, with room for a newer daemon to say more.
const BUFFER: usize = 2048;

const NS_PER_MS: i64 = 1_000_000;

/// Time until a request is sent again unless told otherwise, milliseconds.
pub(crate) const TIMEOUT_MS: u32 = 1000;
/// How often a request is sent again unless told otherwise.
pub(crate) const RETRIES: u16 = 2;

/// The daemon we talk to, and how patiently.
pub(crate) struct Connection<'h> {
    host: &'h dyn Host,
    servers: Vec<Server>,
    /// The server of `link`, or the next to try.
    current: usize,
    link: Option<Box<dyn Link>>,
    version: u8,
    /// How long the first attempt waits; each further one waits twice as long.
    pub(crate) timeout_ms: u32,
    /// Attempts after the first.
    pub(crate) retries: u16,
}

/// How an attempt ended.
enum Attempt {
    Reply(Reply),
    /// Try again, as the next attempt.
    Again,
    /// The daemon wants the older version: send anew, as the same attempt.
    Downgraded,
    /// Nothing to be had from this server.
    Hopeless,
}

impl<'h> Connection<'h> {
    pub(crate) const fn new(host: &'h dyn Host, servers: Vec<Server>) -> Self {
        Self {
            host,
            servers,
            current: 0,
            link: None,
            version: VERSION,
            timeout_ms: TIMEOUT_MS,
            retries: RETRIES,
        }
    }

    /// Opens a socket to the first server, from the current one on, that lets us.
    pub(crate) fn open(&mut self) -> bool {
        while self.link.is_none() {
            let Some(server) = self.servers.get(self.current) else {
                self.current = 0;
                return false;
            };
            match self.host.open(server) {
                Ok(link) => self.link = Some(link),
                Err(_) => self.current += 1,
            }
        }
        true
    }

    /// Sends a request and waits for the reply, from the next server if one does not answer.
    /// `None` if none does; the next request starts with the first server again.
    pub(crate) fn submit(&mut self, request: &Request) -> Option<Reply> {
        while self.open() {
            if let Some(reply) = self.submit_to_current(request) {
                return Some(reply);
            }
            self.link = None;
            self.current += 1;
        }
        None
    }

    fn submit_to_current(&mut self, request: &Request) -> Option<Reply> {
        let mut attempt = 0;
        while attempt <= self.retries {
            match self.attempt(request, attempt) {
                Attempt::Reply(reply) => return Some(reply),
                Attempt::Again => attempt += 1,
                Attempt::Downgraded => {}
                Attempt::Hopeless => break,
            }
        }
        None
    }

    fn attempt(&mut self, request: &Request, attempt: u16) -> Attempt {
        let Some(link) = &mut self.link else {
            return Attempt::Hopeless;
        };
        let mut sequence = [0; 4];
        if self.host.interrupted() || self.host.fill_random(&mut sequence).is_err() {
            return Attempt::Hopeless;
        }
        let expected = Expected {
            version: self.version,
            command: request.command(),
            sequence: u32::from_ne_bytes(sequence),
        };
        let datagram = request::encode(request, self.version, attempt, expected.sequence);
        if link.send(&datagram).is_err() {
            return Attempt::Hopeless;
        }

        let patience_ms = i64::from(self.timeout_ms) << attempt;
        let deadline = self
            .host
            .monotonic_ns()
            .saturating_add(patience_ms.saturating_mul(NS_PER_MS));
        let mut buffer = [0; BUFFER];
        loop {
            if self.host.interrupted() {
                return Attempt::Hopeless;
            }
            let left_ns = deadline.saturating_sub(self.host.monotonic_ns());
            if left_ns <= 0 {
                return Attempt::Again;
            }
            let left_ms = u32::try_from(left_ns / NS_PER_MS + 1).unwrap_or(u32::MAX);
            let len = match link.receive(&mut buffer, left_ms) {
                Ok(Some(len)) => len,
                Ok(None) => continue,
                Err(_) => return Attempt::Again,
            };
            match receive(buffer.get(..len).unwrap_or(&buffer), expected) {
                Answer::Foreign => {}
                Answer::Truncated => return Attempt::Again,
                Answer::OtherVersion(VERSION_FALLBACK) if self.version == VERSION => {
                    self.version = VERSION_FALLBACK;
                    return Attempt::Downgraded;
                }
                Answer::OtherVersion(_) => {
                    return Attempt::Reply(Status::BadPacketVersion.into());
                }
                Answer::Reply(reply) => return Attempt::Reply(reply),
            }
        }
    }
}
