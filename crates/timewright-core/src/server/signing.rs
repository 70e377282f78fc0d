//! Responses that a domain controller signs (MS-SNTP): what is said to the signing service and
//! when (`auth-nts.md` 3).
//!
//! The service answers one request at a time over a stream. This is the conversation without the
//! stream: the driver asks [`Signing::to_write`], says how much the stream took, and hands over
//! what it read.

use std::collections::VecDeque;
use timewright_time::{MonoTime, Seconds};
use timewright_wire::HEADER_LEN;

/// Most responses that wait.
const PENDING_MAX: usize = 15;
/// Packet ids go round.
const IDS: u16 = 16;
/// Bytes of a request: its own length, a header, the response.
const REQUEST_LEN: usize = 20 + HEADER_LEN;
/// The operation asked for.
const SIGN_TO_CLIENT: u32 = 0;
/// What the service did, if it signed.
const SIGNING_SUCCESS: u32 = 3;
/// Bytes of a reply before the signed packet.
const REPLY_HEADER_LEN: usize = 16;
/// Longest reply.
const REPLY_MAX: usize = 1156;
/// A service that does not answer for so long is given up.
const TIMEOUT: Seconds = Seconds(2.0);

/// What the service broke; the connection is to be closed and everything pending is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

#[derive(Debug)]
struct Pending<T> {
    request: [u8; REQUEST_LEN],
    id: u16,
    to: T,
}

/// The conversation. `T` is whom a response is for.
#[derive(Debug)]
pub struct Signing<T> {
    pending: VecDeque<Pending<T>>,
    next_id: u16,
    /// How much of the first request was written.
    written: usize,
    reply: Vec<u8>,
    deadline: Option<MonoTime>,
}

impl<T> Default for Signing<T> {
    fn default() -> Self {
        Self {
            pending: VecDeque::new(),
            next_id: 0,
            written: 0,
            reply: Vec::new(),
            deadline: None,
        }
    }
}

impl<T> Signing<T> {
    /// Whether nothing is pending.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Queues a response without extension fields; whether there was room for it. `key_id` is that
    /// of the request.
    pub fn push(&mut self, response: &[u8], key_id: u32, to: T, now: MonoTime) -> bool {
        let Ok(response) = <&[u8; HEADER_LEN]>::try_from(response) else {
            return false;
        };
        if self.pending.len() >= PENDING_MAX {
            return false;
        }
        let id = self.next_id;
        self.next_id = (id + 1) % IDS;
        let request = request(response, id, key_id);
        if self.pending.is_empty() {
            self.deadline = Some(now + TIMEOUT);
        }
        self.pending.push_back(Pending { request, id, to });
        true
    }

    /// What is to be written next; empty while the service is to answer, or nothing is pending.
    #[must_use]
    pub fn to_write(&self) -> &[u8] {
        self.pending
            .front()
            .and_then(|first| first.request.get(self.written..))
            .unwrap_or_default()
    }

    /// So many of the bytes of [`Self::to_write`] were written.
    pub fn wrote(&mut self, len: usize) {
        self.written = self.written.saturating_add(len).min(REQUEST_LEN);
    }

    /// Takes bytes of the service. Gives the next signed packet and whom it is for, if it is
    /// complete; to be called again with no bytes until there is none.
    ///
    /// # Errors
    /// If the service says what it was not asked, or no reply can be so long.
    pub fn read(&mut self, bytes: &[u8], now: MonoTime) -> Result<Option<(Vec<u8>, T)>, Broken> {
        self.reply.extend_from_slice(bytes);
        loop {
            if self.reply.is_empty() {
                return Ok(None);
            }
            if self.pending.is_empty() || !self.to_write().is_empty() {
                return Err(Broken);
            }
            let Some(len) = word(&self.reply, 0) else {
                return Ok(None);
            };
            let len = usize::try_from(len).unwrap_or(usize::MAX).saturating_add(4);
            if !(REPLY_HEADER_LEN..=REPLY_MAX).contains(&len) {
                return Err(Broken);
            }
            if self.reply.len() < len {
                return Ok(None);
            }
            if self.reply.len() > len {
                return Err(Broken);
            }
            let reply = std::mem::take(&mut self.reply);
            let Some(asked) = self.pending.pop_front() else {
                return Err(Broken);
            };
            self.written = 0;
            self.deadline = (!self.pending.is_empty()).then(|| now + TIMEOUT);
            let signed = word(&reply, 8) == Some(SIGNING_SUCCESS)
                && word(&reply, 12) == Some(u32::from(asked.id));
            if signed {
                let packet = reply.get(REPLY_HEADER_LEN..).unwrap_or_default().to_vec();
                return Ok(Some((packet, asked.to)));
            }
        }
    }

    /// When the service has had time enough to answer.
    #[must_use]
    pub const fn deadline(&self) -> Option<MonoTime> {
        self.deadline
    }

    /// Forgets everything pending: the connection is gone.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.reply.clear();
        self.written = 0;
        self.deadline = None;
    }
}

fn request(response: &[u8; HEADER_LEN], id: u16, key_id: u32) -> [u8; REQUEST_LEN] {
    const LEN: u32 = 64;
    const VERSION: u32 = 0;
    let mut request = [0; REQUEST_LEN];
    let head = LEN
        .to_be_bytes()
        .into_iter()
        .chain(VERSION.to_be_bytes())
        .chain(SIGN_TO_CLIENT.to_be_bytes())
        .chain(id.to_be_bytes())
        .chain([0; 2])
        .chain(key_id.to_be_bytes())
        .chain(*response);
    for (to, from) in request.iter_mut().zip(head) {
        *to = from;
    }
    request
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests;
