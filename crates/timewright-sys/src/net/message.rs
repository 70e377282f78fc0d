//! Sending one datagram and receiving a batch, with their control messages.

use super::Socket;
use super::address::RawAddress;
use super::control::{self, Aligned, Builder, Parsed, RECEIVE_SPACE};
use crate::cvt::{check, check_len};
use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Datagrams received with one call.
pub const BATCH: usize = 16;

/// Longest payload that is received whole; NTP packets and control requests are shorter.
pub const PAYLOAD_MAX: usize = 2048;

/// Time stamps of a datagram by the kernel and the network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Software stamp, ns since 1970 of the system clock.
    pub kernel: Option<i64>,
    /// Hardware stamp, ns of the card's own clock.
    pub hardware: Option<i64>,
    /// The interface that made the hardware stamp; 0 if unknown.
    pub interface: u32,
    /// Length of the frame the stamp belongs to; 0 if unknown.
    pub frame_length: u32,
}

/// The other end of a received datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An Internet address.
    Inet(SocketAddr),
    /// The path of a Unix socket; empty if it has none.
    Unix(Vec<u8>),
    /// Not told (error queue messages), or an unusable address.
    Unknown,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    /// To what the socket is connected to.
    Connected,
    /// To an Internet address.
    Inet(SocketAddr),
    /// To the path of a Unix socket.
    Unix(&'a [u8]),
}

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// Where to.
    pub to: Destination<'a>,
    /// From which of our addresses; `None` lets the kernel choose.
    pub from: Option<IpAddr>,
    /// Through which interface, only with `from`; 0 lets the kernel choose.
    pub interface: u32,
    /// Time-stamping flags for this datagram alone ([`super::stamping`]).
    pub stamp_flags: Option<u32>,
}

impl<'a> Outgoing<'a> {
    /// A plain datagram.
    #[must_use]
    pub const fn new(bytes: &'a [u8], to: Destination<'a>) -> Self {
        Self {
            bytes,
            to,
            from: None,
            interface: 0,
            stamp_flags: None,
        }
    }
}

/// One datagram of a [`Batch`].
#[derive(Debug)]
pub struct Received<'a> {
    /// The payload; of error queue messages the frame as sent.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: Peer,
    /// Our address it was sent to.
    pub local: Option<IpAddr>,
    /// The interface it arrived on; 0 if unknown.
    pub interface: u32,
    /// When it arrived or left.
    pub stamps: Stamps,
    /// For error queue messages: true if this is a time stamp and not a network error.
    pub is_stamp: bool,
    /// Payload or control data were cut, or descriptors came along: not to be trusted.
    pub damaged: bool,
}

/// Buffers for receiving up to [`BATCH`] datagrams with one call; made once and used again.
pub struct Batch {
    slots: Vec<Slot>,
    filled: usize,
    offer: Offer,
}

/// How many buffers a call offers to packets. Where datagrams come one at a time it is one or two, as
/// preparing more and the kernel's look for more take time; it doubles when all were used.
#[derive(Clone, Copy)]
struct Offer(usize);

impl Offer {
    const fn learn(&mut self, filled: usize) {
        self.0 = if filled < self.0 { filled } else { 2 * self.0 };
        if self.0 < 1 {
            self.0 = 1;
        } else if self.0 > BATCH {
            self.0 = BATCH;
        }
    }
}

struct Slot {
    payload: Vec<u8>,
    control: Aligned<RECEIVE_SPACE>,
    address: RawAddress,
    payload_len: usize,
    parsed: Parsed,
    damaged: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        let slots = (0..BATCH)
            .map(|_| Slot {
                payload: vec![0; PAYLOAD_MAX],
                control: Aligned([0; RECEIVE_SPACE]),
                address: RawAddress::empty(),
                payload_len: 0,
                parsed: Parsed::default(),
                damaged: false,
            })
            .collect();
        Self {
            slots,
            filled: 0,
            offer: Offer(BATCH),
        }
    }

    /// Receives what is waiting, up to [`BATCH`] datagrams, without blocking; returns how many.
    /// More may be left even if it is fewer than that: fewer are asked for after a call that
    /// brought few.
    ///
    /// # Errors
    /// `WouldBlock` if nothing waits; a pending network error of the socket.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        let filled = self.receive_from(socket, 0, self.offer)?;
        self.offer.learn(filled);
        Ok(filled)
    }

    /// Receives from the socket's error queue (transmit time stamps, network errors).
    ///
    /// # Errors
    /// `WouldBlock` if nothing waits.
    pub fn receive_errors(&mut self, socket: &Socket) -> io::Result<usize> {
        self.receive_from(socket, libc::MSG_ERRQUEUE, Offer(BATCH))
    }

    fn receive_from(
        &mut self,
        socket: &Socket,
        flags: libc::c_int,
        offer: Offer,
    ) -> io::Result<usize> {
        self.filled = 0;
        let flags = flags | libc::MSG_DONTWAIT;
        self.filled = match (offer, self.slots.first_mut()) {
            (Offer(1), Some(slot)) => slot.receive(socket, flags).map(|()| 1),
            (Offer(count), _) => receive_many(socket, flags, &mut self.slots, count),
        }?;
        Ok(self.filled)
    }

    /// The datagrams of the last call.
    pub fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        self.slots.iter().take(self.filled).map(Slot::received)
    }

    /// One datagram of the last call.
    #[must_use]
    pub fn message(&self, index: usize) -> Option<Received<'_>> {
        let slot = self.slots.get(..self.filled)?.get(index)?;
        Some(slot.received())
    }
}

/// Receives into the first `count` slots, [`BATCH`] at most; returns how many were filled.
fn receive_many(
    socket: &Socket,
    flags: libc::c_int,
    slots: &mut [Slot],
    count: usize,
) -> io::Result<usize> {
    // SAFETY: all-zero bytes are a valid iovec and a valid mmsghdr.
    let mut parts: [libc::iovec; BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    let mut offered: libc::c_uint = 0;
    let places = slots.iter_mut().zip(&mut parts).zip(&mut headers);
    for ((slot, part), header) in places.take(count) {
        slot.offer(part, &mut header.msg_hdr);
        offered += 1;
    }
    // SAFETY: each of the first `offered` headers points to buffers owned by `slots` and to
    // `parts`, all alive during the call, with their true lengths.
    let filled = check(unsafe {
        libc::recvmmsg(
            socket.fd.as_raw_fd(),
            headers.as_mut_ptr(),
            offered,
            flags,
            std::ptr::null_mut(),
        )
    })?;
    let filled = usize::try_from(filled).unwrap_or(0).min(count);
    for (slot, header) in slots.iter_mut().zip(&headers).take(filled) {
        slot.take(&header.msg_hdr, header.msg_len as usize);
    }
    Ok(filled)
}

impl Slot {
    fn receive(&mut self, socket: &Socket, flags: libc::c_int) -> io::Result<()> {
        // SAFETY: all-zero bytes are a valid iovec and a valid msghdr.
        let mut part: libc::iovec = unsafe { zeroed() };
        // SAFETY: as above.
        let mut header: libc::msghdr = unsafe { zeroed() };
        self.offer(&mut part, &mut header);
        // SAFETY: the header points to buffers owned by `self` and to `part`, all alive during the
        // call, with their true lengths.
        let len =
            check_len(unsafe { libc::recvmsg(socket.fd.as_raw_fd(), &raw mut header, flags) })?;
        self.take(&header, len);
        Ok(())
    }

    /// Puts pointers to the buffers into `part` and `header`, which were all zero.
    fn offer(&mut self, part: &mut libc::iovec, header: &mut libc::msghdr) {
        self.address.make_room();
        part.iov_base = self.payload.as_mut_ptr().cast();
        part.iov_len = self.payload.len();
        header.msg_name = self.address.as_mut_ptr().cast();
        header.msg_namelen = self.address.len();
        header.msg_iov = part;
        header.msg_iovlen = 1;
        header.msg_control = self.control.0.as_mut_ptr().cast();
        header.msg_controllen = self.control.0.len();
    }

    /// Learns from a filled `header` what is in the buffers.
    fn take(&mut self, header: &libc::msghdr, len: usize) {
        self.payload_len = len.min(self.payload.len());
        self.address.set_len(header.msg_namelen);
        let used = header.msg_controllen.min(self.control.0.len());
        self.parsed = control::parse(self.control.0.get(..used).unwrap_or_default());
        let cut = libc::MSG_TRUNC | libc::MSG_CTRUNC;
        self.damaged = header.msg_flags & cut != 0 || !self.parsed.descriptors.is_empty();
        for fd in self.parsed.descriptors.drain(..) {
            // SAFETY: the kernel has just installed this descriptor for us and nobody else knows it.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }

    fn received(&self) -> Received<'_> {
        let from = match self.address.to_inet() {
            Some(address) if self.address.len() > 0 => Peer::Inet(address),
            _ => match self.address.to_path() {
                Some(path) => Peer::Unix(path),
                None => Peer::Unknown,
            },
        };
        Received {
            bytes: self.payload.get(..self.payload_len).unwrap_or_default(),
            from,
            local: self.parsed.local,
            interface: self.parsed.interface,
            stamps: self.parsed.stamps,
            // SO_EE_ORIGIN_TIMESTAMPING. A simulator may leave the extended error out.
            is_stamp: matches!(self.parsed.error_origin, None | Some(4)),
            damaged: self.damaged,
        }
    }
}

/// Where a datagram goes and the control messages it takes along, as the kernel wants them. Filled
/// in place: it is a few hundred bytes, and there is one for every packet sent.
struct Envelope {
    /// [`RawAddress::NONE`] for a connected socket.
    address: RawAddress,
    control: Builder,
}

impl Envelope {
    const EMPTY: Self = Self {
        address: RawAddress::NONE,
        control: Builder::new(),
    };

    fn fill(&mut self, out: &Outgoing<'_>) -> io::Result<()> {
        match out.to {
            Destination::Connected => {}
            Destination::Inet(address) => self.address.set_inet(address),
            Destination::Unix(path) => self.address = RawAddress::from_path(path)?,
        }
        if let Some(from) = out.from {
            self.control.push_packet_info(from, out.interface);
        }
        if let Some(flags) = out.stamp_flags {
            self.control.push_timestamping(flags);
        }
        Ok(())
    }

    /// Puts pointers to this envelope and to `part` into `header`, which was all zero.
    fn address(&mut self, header: &mut libc::msghdr, part: &mut libc::iovec) {
        header.msg_iov = part;
        header.msg_iovlen = 1;
        if self.address.len() > 0 {
            // The kernel only reads through this pointer.
            header.msg_name = self.address.as_ptr().cast_mut().cast();
            header.msg_namelen = self.address.len();
        }
        let bytes = self.control.bytes_mut();
        if !bytes.is_empty() {
            header.msg_control = bytes.as_mut_ptr().cast();
            header.msg_controllen = bytes.len();
        }
    }
}

/// The payload as the kernel wants it; it only reads through the pointer.
const fn payload(out: &Outgoing<'_>) -> libc::iovec {
    libc::iovec {
        iov_base: out.bytes.as_ptr().cast_mut().cast(),
        iov_len: out.bytes.len(),
    }
}

impl Socket {
    /// Sends one datagram.
    ///
    /// # Errors
    /// What the kernel says; nothing was sent.
    pub fn send_message(&self, out: &Outgoing<'_>) -> io::Result<usize> {
        let mut envelope = Envelope::EMPTY;
        envelope.fill(out)?;
        let mut part = payload(out);
        // SAFETY: all-zero bytes are a valid msghdr.
        let mut header: libc::msghdr = unsafe { zeroed() };
        envelope.address(&mut header, &mut part);
        // SAFETY: the header points to the payload, address and control data, all alive here and
        // with their true lengths; sendmsg writes to none of them.
        check_len(unsafe {
            libc::sendmsg(self.fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL)
        })
    }

    /// Sends datagrams with one call, in order and the first [`BATCH`] at most; returns how many
    /// were sent, which is fewer than given if a later one fails.
    ///
    /// # Errors
    /// What the kernel says of the first; nothing was sent.
    pub fn send_messages(&self, out: &[Outgoing<'_>]) -> io::Result<usize> {
        // Clearing what a full batch needs takes as long as sending a tenth of a datagram.
        if out.len() <= 4 {
            self.send_at_most::<4>(out)
        } else {
            self.send_at_most::<BATCH>(out)
        }
    }

    /// Sends the first `N` datagrams.
    fn send_at_most<const N: usize>(&self, out: &[Outgoing<'_>]) -> io::Result<usize> {
        let mut envelopes = [const { Envelope::EMPTY }; N];
        // SAFETY: all-zero bytes are a valid iovec and a valid mmsghdr.
        let mut parts: [libc::iovec; N] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; N] = unsafe { zeroed() };
        let mut count: libc::c_uint = 0;
        let places = envelopes.iter_mut().zip(&mut parts).zip(&mut headers);
        for (out, ((envelope, part), header)) in out.iter().zip(places) {
            match envelope.fill(out) {
                Ok(()) => {}
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
            *part = payload(out);
            envelope.address(&mut header.msg_hdr, part);
            count += 1;
        }
        // SAFETY: the first `count` headers point to payloads, addresses and control data, all
        // alive here and with their true lengths; sendmmsg writes to the headers' lengths only.
        let sent = check(unsafe {
            libc::sendmmsg(
                self.fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_NOSIGNAL,
            )
        })?;
        Ok(usize::try_from(sent).unwrap_or(0))
    }
}
