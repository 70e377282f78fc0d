//! Socket options (`ntp-engine.md` 8.1 and 9.1).

use super::{Family, Kind, Socket};
use crate::cvt::{check, socklen};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

fn set(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, data: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe the readable data.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            data.as_ptr().cast(),
            socklen(data.len()),
        )
    })?;
    Ok(())
}

fn set_int(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set(fd, level, name, &value.to_ne_bytes())
}

fn get_int(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = socklen(size_of::<libc::c_int>());
    // SAFETY: `value` has room for `len` bytes; both outlive the call.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    })?;
    Ok(value)
}

/// Datagram or stream; an error also if the descriptor is no socket or of another kind.
pub(super) fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    match get_int(fd, libc::SOL_SOCKET, libc::SO_TYPE)? {
        libc::SOCK_DGRAM => Ok(Kind::Datagram),
        libc::SOCK_STREAM => Ok(Kind::Stream),
        _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
    }
}

impl Socket {
    fn on(&self, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
        set_int(self.as_fd(), level, name, 1)
    }

    /// Datagram or stream.
    ///
    /// # Errors
    /// Neither.
    pub fn kind(&self) -> io::Result<Kind> {
        kind(self.as_fd())
    }

    /// Whether a stream socket accepts connections.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn is_listening(&self) -> io::Result<bool> {
        Ok(get_int(self.as_fd(), libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0)
    }

    /// Takes the pending network error and thereby clears it.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let code = get_int(self.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
    }

    /// Allows binding to a port that is still in use by a closed socket.
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_reuse_address(&self) -> io::Result<()> {
        self.on(libc::SOL_SOCKET, libc::SO_REUSEADDR)
    }

    /// Allows several sockets of one owner on the same address and port.
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_reuse_port(&self) -> io::Result<()> {
        self.on(libc::SOL_SOCKET, libc::SO_REUSEPORT)
    }

    /// Allows sending to broadcast addresses.
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_broadcast(&self) -> io::Result<()> {
        self.on(libc::SOL_SOCKET, libc::SO_BROADCAST)
    }

    /// Allows binding to addresses the host does not have (yet).
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_free_bind(&self) -> io::Result<()> {
        // The IPv4 option also works on IPv6 sockets.
        self.on(libc::IPPROTO_IP, libc::IP_FREEBIND)
    }

    /// Keeps IPv4 off an IPv6 socket.
    ///
    /// # Errors
    /// Not an IPv6 socket, or already bound.
    pub fn set_v6_only(&self) -> io::Result<()> {
        self.on(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)
    }

    /// Whether [`Self::set_v6_only`] is in force.
    ///
    /// # Errors
    /// Not an IPv6 socket.
    pub fn is_v6_only(&self) -> io::Result<bool> {
        Ok(get_int(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)? != 0)
    }

    /// Asks for the destination address and interface of received datagrams.
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_packet_info(&self, family: Family) -> io::Result<()> {
        match family {
            Family::V4 => self.on(libc::IPPROTO_IP, libc::IP_PKTINFO),
            Family::V6 => self.on(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        }
    }

    /// Restricts the socket to a network interface.
    ///
    /// # Errors
    /// No such interface, or not allowed.
    pub fn bind_to_device(&self, name: &str) -> io::Result<()> {
        let mut data = name.as_bytes().to_vec();
        data.push(0);
        set(self.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &data)
    }

    /// Sets the differentiated services code point, 0 to 63, of sent datagrams.
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_dscp(&self, family: Family, dscp: u8) -> io::Result<()> {
        let value = libc::c_int::from(dscp & 63) << 2;
        match family {
            Family::V4 => set_int(self.as_fd(), libc::IPPROTO_IP, libc::IP_TOS, value),
            Family::V6 => set_int(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_TCLASS, value),
        }
    }

    /// Never splits IPv4 datagrams into fragments, whatever is claimed about the path: they leave
    /// with "don't fragment" set if they fit the interface and are refused otherwise.
    ///
    /// Fragments can be forged into what is received, and the identifications that they need cost
    /// a search in a large table for every datagram.
    ///
    /// # Errors
    /// Not an IPv4 socket.
    pub fn set_never_fragment(&self) -> io::Result<()> {
        set_int(
            self.as_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
        )
    }

    /// Makes messages in the error queue wake `poll` as exceptional events.
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_select_error_queue(&self) -> io::Result<()> {
        self.on(libc::SOL_SOCKET, libc::SO_SELECT_ERR_QUEUE)
    }

    /// Asks for time stamps; `flags` are those of [`super::stamping`].
    ///
    /// # Errors
    /// Unknown to the system.
    pub fn set_timestamping(&self, flags: u32) -> io::Result<()> {
        set(
            self.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            &flags.to_ne_bytes(),
        )
    }

    /// Asks for receive stamps of the older kind, in nanoseconds or else microseconds.
    ///
    /// # Errors
    /// Both unknown to the system.
    pub fn set_simple_timestamps(&self) -> io::Result<()> {
        self.on(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)
            .or_else(|_| self.on(libc::SOL_SOCKET, libc::SO_TIMESTAMP))
    }
}
