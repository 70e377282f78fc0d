//! Sockets passed by the service manager (`daemon-and-files.md` 7).

use std::net::SocketAddr;
use timewright_sys::net::{Kind, Socket};

/// Said of a socket that also takes IPv4 packets of its port.
pub(crate) const LACKS_V6_ONLY: &str = "Reusable IPv6 socket missing IPV6_V6ONLY option";

/// Sockets that are used in place of new ones where type, address and port agree.
pub(crate) struct Inherited {
    sockets: Vec<Socket>,
    /// A socket in use also takes IPv4 packets of its port.
    lacks_v6_only: bool,
}

/// How many descriptors `LISTEN_FDS` announces; anything but a number is none.
pub(crate) fn announced(value: Option<&str>) -> u32 {
    let count = value.and_then(|text| crate::args::scan_int(text.as_bytes()));
    u32::try_from(count.unwrap_or(0)).unwrap_or(0).min(256)
}

impl Inherited {
    /// None were passed.
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self {
            sockets: Vec::new(),
            lacks_v6_only: false,
        }
    }

    /// Takes over the announced descriptors; only the first call gets any.
    pub(crate) fn take_over(count: u32) -> Self {
        Self {
            sockets: timewright_sys::net::take_inherited(count),
            lacks_v6_only: false,
        }
    }

    /// A datagram socket bound to exactly this address and port.
    pub(super) fn take_datagram(&mut self, address: SocketAddr) -> Option<Socket> {
        if address.port() == 0 {
            return None;
        }
        let found = self.sockets.iter().position(|socket| {
            matches!(socket.kind(), Ok(Kind::Datagram))
                && matches!(socket.local_address(), Ok(Some(local))
                    if (local.ip(), local.port()) == (address.ip(), address.port()))
        })?;
        let socket = self.sockets.swap_remove(found);
        if address.is_ipv6() && matches!(socket.is_v6_only(), Ok(false)) {
            self.lacks_v6_only = true;
        }
        Some(socket)
    }

    /// Whether a socket came into use that should have been for IPv6 only; says so once.
    pub(crate) fn take_v6_only_warning(&mut self) -> bool {
        std::mem::take(&mut self.lacks_v6_only)
    }

    /// Keeps a socket for the next time; the service manager's are not closed.
    pub(super) fn give_back(&mut self, socket: Socket) {
        self.sockets.push(socket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timewright_sys::net::Family;

    #[test]
    fn numbers_are_scanned() {
        for (text, want) in [("2", 2), ("x", 0), ("-1", 0), ("", 0), ("100000", 256)] {
            assert_eq!(announced(Some(text)), want, "{text}");
        }
        assert_eq!(announced(None), 0);
    }

    #[test]
    fn only_an_exact_match_is_used() {
        let socket = Socket::udp(Family::V4).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let local = socket.local_address().unwrap().unwrap();
        let mut inherited = Inherited {
            sockets: vec![socket],
            ..Inherited::none()
        };
        let mut any = local;
        any.set_ip("0.0.0.0".parse().unwrap());
        assert!(inherited.take_datagram(any).is_none());
        let taken = inherited.take_datagram(local).unwrap();
        assert!(inherited.take_datagram(local).is_none());
        inherited.give_back(taken);
        assert!(inherited.take_datagram(local).is_some());
    }
}
