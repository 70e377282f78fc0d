//! The command sockets: UDP for monitoring, a Unix socket for everything
//! (`control-protocol.md` 1).

use super::{Inherited, PerFamily, bind, family_of};
use crate::logger::Logger;
use crate::trace;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use timewright_core::output::ControlOrigin;
use timewright_sys::net::{Destination, Family, Outgoing, Peer, Received, Socket};

/// The open command sockets.
#[derive(Default)]
pub(crate) struct CommandSockets {
    udp: Vec<(Family, Socket)>,
    unix: Option<(Socket, PathBuf)>,
}

/// What the configuration says about them.
pub(crate) struct CommandConfig {
    /// `cmdport`; 0 is none.
    pub(crate) port: u16,
    /// `bindcmdaddress`, with the loopback addresses as defaults.
    pub(crate) bind: PerFamily,
    /// `bindcmddevice`
    pub(crate) device: Option<String>,
    /// `-4`, `-6`
    pub(crate) family: Option<Family>,
}

impl CommandSockets {
    /// Opens the UDP sockets; returns the addresses that could not be opened.
    pub(crate) fn open_udp(
        &mut self,
        config: &CommandConfig,
        inherited: &mut Inherited,
        logger: &mut Logger,
    ) -> Vec<SocketAddr> {
        let mut failed = Vec::new();
        for family in [Family::V4, Family::V6] {
            if config.port == 0 || config.family.is_some_and(|only| only != family) {
                continue;
            }
            let address = SocketAddr::new(config.bind.or_any(family), config.port);
            let taken = inherited.take_datagram(address);
            let is_inherited = taken.is_some();
            let socket = match taken {
                Some(socket) => Ok(socket),
                None => open(family, address, config.device.as_deref()),
            };
            match socket {
                Ok(socket) => {
                    let _ = socket.set_packet_info(family);
                    trace::opened_command(logger, &socket, is_inherited);
                    self.udp.push((family, socket));
                }
                Err(_) => failed.push(address),
            }
        }
        failed
    }

    /// Creates the Unix socket, in place of whatever has its path.
    pub(crate) fn open_unix(&mut self, path: PathBuf) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let socket = Socket::unix_datagram()?;
        // A leftover of an earlier run; if it cannot be removed, binding fails.
        let _ = std::fs::remove_file(&path);
        socket.bind_path(path.as_os_str().as_bytes())?;
        self.unix = Some((socket, path));
        Ok(())
    }

    /// Closes the Unix socket and removes its path.
    pub(crate) fn close_unix(&mut self) {
        if let Some((socket, path)) = self.unix.take() {
            drop(socket);
            let _ = std::fs::remove_file(path);
        }
    }

    /// The Unix socket, if it is open.
    pub(crate) fn unix(&self) -> Option<&Socket> {
        self.unix.as_ref().map(|(socket, _)| socket)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Socket> {
        let udp = self.udp.iter().map(|(_, socket)| socket);
        udp.chain(self.unix.iter().map(|(socket, _)| socket))
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Socket> {
        self.iter().nth(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Sends a reply back to where the request came from. Errors are not reported: the client
    /// will ask again.
    pub(crate) fn reply(&self, to: &ControlOrigin, bytes: &[u8]) -> io::Result<()> {
        match to {
            ControlOrigin::Udp { remote, local } => {
                let family = family_of(remote.ip());
                let socket = self.udp.iter().find(|(of, _)| *of == family);
                let (_, socket) = socket.ok_or(io::ErrorKind::NotConnected)?;
                let mut out = Outgoing::new(bytes, Destination::Inet(*remote));
                out.from = *local;
                if let SocketAddr::V6(v6) = remote {
                    out.interface = v6.scope_id();
                }
                socket.send_message(&out).map(drop)
            }
            ControlOrigin::Unix { path } => {
                let (socket, _) = self.unix.as_ref().ok_or(io::ErrorKind::NotConnected)?;
                let out = Outgoing::new(bytes, Destination::Unix(path));
                socket.send_message(&out).map(drop)
            }
        }
    }
}

fn open(family: Family, address: SocketAddr, device: Option<&str>) -> io::Result<Socket> {
    let socket = Socket::udp(family)?;
    bind(&socket, family, address, device)?;
    Ok(socket)
}

/// Where a request came from; `None` if it cannot be answered or is not to be trusted.
pub(crate) fn origin(message: &Received<'_>) -> Option<ControlOrigin> {
    if message.damaged {
        return None;
    }
    match &message.from {
        Peer::Inet(remote) => Some(ControlOrigin::Udp {
            remote: *remote,
            local: message.local,
        }),
        Peer::Unix(path) if !path.is_empty() => Some(ControlOrigin::Unix { path: path.clone() }),
        Peer::Unix(_) | Peer::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;
    use std::net::Ipv4Addr;
    use std::os::unix::ffi::OsStrExt;
    use timewright_sys::net::Batch;

    #[test]
    fn unix_requests_are_answered_if_they_have_an_address() {
        let scratch = Scratch::new();
        let path = scratch.path("server");
        std::fs::write(&path, "leftover").unwrap();
        let mut sockets = CommandSockets::default();
        sockets.open_unix(path.clone()).unwrap();
        let client = Socket::unix_datagram().unwrap();
        client.connect_path(path.as_os_str().as_bytes()).unwrap();
        client.send(b"?").unwrap();
        let mut batch = Batch::new();
        batch.receive(sockets.get(0).unwrap()).unwrap();
        assert_eq!(origin(&batch.message(0).unwrap()), None);

        let client = Socket::unix_datagram().unwrap();
        client
            .bind_path(scratch.path("client").as_os_str().as_bytes())
            .unwrap();
        client.connect_path(path.as_os_str().as_bytes()).unwrap();
        client.send(b"?").unwrap();
        batch.receive(sockets.get(0).unwrap()).unwrap();
        let to = origin(&batch.message(0).unwrap()).unwrap();
        sockets.reply(&to, b"yes").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(client.receive_within(&mut buffer, 5000).unwrap(), Some(3));
        sockets.close_unix();
        assert!(!path.exists() && sockets.is_empty());
    }

    #[test]
    fn udp_requests_are_answered_from_the_address_they_used() {
        // A port that was free a moment ago; another process taking it would fail the test loudly.
        let probe = Socket::udp(Family::V4).unwrap();
        probe.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = probe.local_address().unwrap().unwrap().port();
        drop(probe);
        let config = CommandConfig {
            port,
            bind: PerFamily {
                v4: Some(Ipv4Addr::LOCALHOST),
                v6: None,
            },
            device: None,
            family: Some(Family::V4),
        };
        let mut sockets = CommandSockets::default();
        assert_eq!(
            sockets.open_udp(&config, &mut Inherited::none(), &mut Logger::early()),
            []
        );
        let client = Socket::udp(Family::V4).unwrap();
        client
            .connect(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))
            .unwrap();
        client.send(b"?").unwrap();
        let mut batch = Batch::new();
        batch.receive(sockets.get(0).unwrap()).unwrap();
        let to = origin(&batch.message(0).unwrap()).unwrap();
        sockets.reply(&to, b"yes").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(client.receive_within(&mut buffer, 5000).unwrap(), Some(3));
    }

    #[test]
    fn port_zero_opens_nothing() {
        let config = CommandConfig {
            port: 0,
            bind: PerFamily::default(),
            device: None,
            family: None,
        };
        let mut sockets = CommandSockets::default();
        assert_eq!(
            sockets.open_udp(&config, &mut Inherited::none(), &mut Logger::early()),
            []
        );
        assert!(sockets.is_empty());
    }
}
