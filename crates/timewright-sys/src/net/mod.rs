//! Datagram sockets: Internet and Unix, their options, control messages and time stamps.
//!
//! Sockets are non-blocking and closed on `exec`. The type flags of `socket(2)` are tried first
//! and set by `fcntl` where the system refuses them. Apart from opening, binding and connecting
//! nothing here is fatal for a caller: options may be unknown to the system below.

pub(crate) mod address;
mod control;
mod message;
mod options;
pub mod stamping;

pub use message::{BATCH, Batch, Destination, Outgoing, PAYLOAD_MAX, Peer, Received, Stamps};

use crate::cvt::{check, check_len};
use crate::poll::{self, Entry};
use address::RawAddress;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// An Internet address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What kind a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `SOCK_DGRAM`.
    Datagram,
    /// `SOCK_STREAM`.
    Stream,
}

/// A socket, closed when dropped.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open(domain: libc::c_int, kind: libc::c_int) -> io::Result<Socket> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket() takes numbers only.
    let first = check(unsafe { libc::socket(domain, kind | flags, 0) });
    let (fd, flagged) = match first {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // SAFETY: as above.
            (check(unsafe { libc::socket(domain, kind, 0) })?, false)
        }
        first => (first?, true),
    };
    // SAFETY: the descriptor was just made for us and is owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let socket = Socket { fd };
    if !flagged {
        socket.set_flags()?;
    }
    Ok(socket)
}

impl Socket {
    /// A UDP socket.
    ///
    /// # Errors
    /// The system lacks the family, or has no descriptor left.
    pub fn udp(family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        open(domain, libc::SOCK_DGRAM)
    }

    /// A Unix datagram socket.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn unix_datagram() -> io::Result<Self> {
        open(libc::AF_UNIX, libc::SOCK_DGRAM)
    }

    /// A Unix stream to the socket at a path, non-blocking.
    ///
    /// # Errors
    /// Nobody listens there, too many wait already, or not allowed.
    pub fn unix_stream(path: &[u8]) -> io::Result<UnixStream> {
        let socket = open(libc::AF_UNIX, libc::SOCK_STREAM)?;
        socket.connect_path(path)?;
        Ok(UnixStream::from(socket.fd))
    }

    fn set_flags(&self) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: fcntl with numbers only, on a descriptor we own.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        // SAFETY: as above.
        let status = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
        // SAFETY: as above.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, status | libc::O_NONBLOCK) })?;
        Ok(())
    }

    fn bind_raw(&self, address: &RawAddress) -> io::Result<()> {
        // SAFETY: the address is valid for its length.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), address.as_ptr(), address.len()) })?;
        Ok(())
    }

    fn connect_raw(&self, address: &RawAddress) -> io::Result<()> {
        // SAFETY: the address is valid for its length.
        check(unsafe { libc::connect(self.fd.as_raw_fd(), address.as_ptr(), address.len()) })?;
        Ok(())
    }

    /// Binds to a local address and port.
    ///
    /// # Errors
    /// In use, not ours, or not allowed.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.bind_raw(&RawAddress::from_inet(address))
    }

    /// Binds a Unix socket to a path, which must not exist.
    ///
    /// # Errors
    /// In use, too long (107 bytes at most), or not allowed.
    pub fn bind_path(&self, path: &[u8]) -> io::Result<()> {
        self.bind_raw(&RawAddress::from_path(path)?)
    }

    /// Fixes the other end.
    ///
    /// # Errors
    /// No route.
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.connect_raw(&RawAddress::from_inet(address))
    }

    /// Fixes the other end of a Unix socket.
    ///
    /// # Errors
    /// Nobody listens there, or not allowed.
    pub fn connect_path(&self, path: &[u8]) -> io::Result<()> {
        self.connect_raw(&RawAddress::from_path(path)?)
    }

    /// Sends to the connected end; returns the number of bytes taken.
    ///
    /// # Errors
    /// What the kernel says, for instance an earlier ICMP refusal.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_message(&Outgoing::new(bytes, Destination::Connected))
    }

    /// Receives one datagram of a connected socket into `buffer`, waiting at most `timeout_ms`;
    /// `None` is the timeout (or a signal). Bytes that do not fit are lost.
    ///
    /// # Errors
    /// A pending network error, for instance that nobody listens at the other end.
    pub fn receive_within(&self, buffer: &mut [u8], timeout_ms: u32) -> io::Result<Option<usize>> {
        let mut entries = [Entry::input(self.as_fd())];
        match poll::poll(&mut entries, Some(timeout_ms)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(error),
        }
        // SAFETY: pointer and length describe the writable buffer.
        let result = unsafe {
            libc::recv(
                self.fd.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
            )
        };
        match check_len(result) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The local address, if it is an Internet socket.
    ///
    /// # Errors
    /// Not a socket.
    pub fn local_address(&self) -> io::Result<Option<SocketAddr>> {
        let mut address = RawAddress::empty();
        let mut len = address.len();
        // SAFETY: the address has room for `len` bytes, and `len` is updated in place.
        check(unsafe {
            libc::getsockname(self.fd.as_raw_fd(), address.as_mut_ptr(), &raw mut len)
        })?;
        address.set_len(len);
        Ok(address.to_inet())
    }
}

/// The descriptors a service manager passed (`LISTEN_FDS`), numbers 3 and up.
///
/// Only the first call returns any: each descriptor gets one owner. Descriptors that are not open
/// or not sockets are left alone.
pub fn take_inherited(count: u32) -> Vec<Socket> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let first: RawFd = 3;
    let end = first.saturating_add_unsigned(count);
    (first..end)
        .filter(|&fd| is_open_socket(fd))
        .filter_map(|fd| {
            // SAFETY: by the LISTEN_FDS protocol these descriptors are ours to own, and the guard
            // above lets this happen once.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let socket = Socket { fd };
            match socket.set_flags() {
                Ok(()) => Some(socket),
                Err(_) => {
                    // Not ours after all: leave it open.
                    std::mem::forget(socket);
                    None
                }
            }
        })
        .collect()
}

fn is_open_socket(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes numbers only and does not change anything.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
        return false;
    }
    // SAFETY: the descriptor is open, as just seen, and borrowed for the next call only.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    options::kind(borrowed).is_ok()
}

#[cfg(test)]
mod tests;
