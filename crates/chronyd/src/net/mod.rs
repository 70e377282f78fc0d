//! The sockets of NTP: opened as `ntp-engine.md` 8.1 says, with kernel time stamps (9.1, 9.2).
//!
//! The engine names sockets by key; this table holds them. Receiving hands out batches, the
//! event loop turns them into inputs.

pub(crate) mod command;
mod inherited;
mod replies;
pub(crate) mod signing;
mod stamps;

pub(crate) use inherited::{Inherited, LACKS_V6_ONLY, announced};
pub(crate) use replies::Replies;
pub(crate) use stamps::{choose_receive, choose_transmit};

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use timewright_core::ids::SocketKey;
use timewright_core::output::SocketRole;
use timewright_sys::net::{Destination, Family, Outgoing, Socket, stamping};

/// What the configuration says about NTP sockets.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetConfig {
    /// `port`
    pub(crate) port: u16,
    /// `acquisitionport`
    pub(crate) acquisition_port: Option<u16>,
    /// `bindaddress`, by family.
    pub(crate) bind: PerFamily,
    /// `binddevice`
    pub(crate) device: Option<String>,
    /// `bindacqaddress`, by family.
    pub(crate) acquisition_bind: PerFamily,
    /// `bindacqdevice`
    pub(crate) acquisition_device: Option<String>,
    /// `dscp`
    pub(crate) dscp: u8,
    /// `-4`, `-6`
    pub(crate) family: Option<Family>,
}

/// An optional address for each family.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerFamily {
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
}

impl PerFamily {
    fn get(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }

    fn or_any(&self, family: Family) -> IpAddr {
        self.get(family).unwrap_or_else(|| any(family))
    }
}

/// The wildcard address of a family.
pub(crate) const fn any(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The family of an address.
pub(crate) const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// The same family in the words of the engine.
pub(crate) const fn system_family(family: timewright_core::output::Family) -> Family {
    match family {
        timewright_core::output::Family::V4 => Family::V4,
        timewright_core::output::Family::V6 => Family::V6,
    }
}

/// Which time stamps the kernel gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamping {
    /// `SO_TIMESTAMPING`: receive and transmit.
    Full,
    /// Receive only, of the older kind, or none.
    Simple,
}

/// An open NTP socket.
pub(crate) struct NtpSocket {
    pub(crate) socket: Socket,
    pub(crate) role: SocketRole,
    /// A socket passed by the service manager; kept for the next time it is wanted.
    pub(crate) inherited: bool,
}

/// Why a socket was not opened.
pub(crate) struct OpenError {
    /// The local address wanted.
    pub(crate) address: SocketAddr,
    pub(crate) error: io::Error,
}

/// All NTP sockets by the engine's keys.
pub(crate) struct SocketTable {
    config: NetConfig,
    sockets: BTreeMap<SocketKey, NtpSocket>,
    pub(crate) inherited: Inherited,
    stamping: Stamping,
    /// Kept open from the first packet that lacked a kernel stamp, so that the kernel does not
    /// stop stamping whenever the last other socket is closed.
    keeper: Option<Socket>,
}

impl SocketTable {
    pub(crate) const fn new(config: NetConfig, inherited: Inherited) -> Self {
        Self {
            config,
            sockets: BTreeMap::new(),
            inherited,
            stamping: Stamping::Full,
            keeper: None,
        }
    }

    pub(crate) fn get(&self, key: SocketKey) -> Option<&NtpSocket> {
        self.sockets.get(&key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketKey, &NtpSocket)> {
        self.sockets.iter().map(|(&key, socket)| (key, socket))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Opens a socket under `key`, in place of one it named before.
    pub(crate) fn open(&mut self, key: SocketKey, role: SocketRole) -> Result<(), OpenError> {
        self.close(key);
        let address = self.local_address(role);
        let family = family_of(address.ip());
        if self.config.family.is_some_and(|only| only != family) {
            let error = io::Error::from(io::ErrorKind::Unsupported);
            return Err(OpenError { address, error });
        }
        let taken = match role {
            SocketRole::Server(_) => self.inherited.take_datagram(address),
            SocketRole::Client(_) | SocketRole::SharedClient(_) => None,
        };
        let inherited = taken.is_some();
        let socket = match taken {
            Some(socket) => Ok(socket),
            None => self.make(role, family, address),
        };
        let socket = socket.map_err(|error| OpenError { address, error })?;
        self.prepare(&socket, role, family);
        let entry = NtpSocket {
            socket,
            role,
            inherited,
        };
        self.sockets.insert(key, entry);
        Ok(())
    }

    /// Whether `acquisitionport` asks for sockets that last and none of them could be opened.
    pub(crate) fn lacks_permanent(&self) -> bool {
        let Some(port) = self.config.acquisition_port else {
            return false;
        };
        let shared = port != 0 && port == self.config.port;
        !self.sockets.values().any(|entry| match entry.role {
            SocketRole::SharedClient(_) => true,
            SocketRole::Server(_) => shared,
            SocketRole::Client(_) => false,
        })
    }

    pub(crate) fn close(&mut self, key: SocketKey) {
        if let Some(closed) = self.sockets.remove(&key)
            && closed.inherited
        {
            self.inherited.give_back(closed.socket);
        }
    }

    /// Sends from a socket of the table; clients send to what they are connected to.
    pub(crate) fn send(
        &self,
        key: SocketKey,
        mut out: Outgoing<'_>,
        stamp: bool,
    ) -> io::Result<()> {
        let Some(entry) = self.sockets.get(&key) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        self.complete(entry, &mut out, stamp);
        entry.socket.send_message(&out).map(drop)
    }

    /// Adds what the socket's role asks for.
    pub(crate) fn complete(&self, entry: &NtpSocket, out: &mut Outgoing<'_>, stamp: bool) {
        match entry.role {
            SocketRole::Client(_) => out.to = Destination::Connected,
            SocketRole::Server(_) | SocketRole::SharedClient(_) => {
                if stamp && self.stamping == Stamping::Full {
                    out.stamp_flags = Some(stamping::TRANSMIT);
                }
            }
        }
        if let Destination::Inet(to) = out.to
            && !is_link_local(to.ip())
        {
            out.interface = 0;
        }
    }

    /// To be told when a packet came without kernel stamp.
    pub(crate) fn missing_stamp(&mut self) {
        if self.keeper.is_none()
            && self.stamping == Stamping::Full
            && let Ok(socket) = Socket::udp(Family::V4)
            && socket.set_timestamping(stamping::RECEIVE).is_ok()
        {
            self.keeper = Some(socket);
        }
    }

    /// Whether a UDP socket can be connected to the address.
    pub(crate) fn has_route(&self, address: SocketAddr) -> bool {
        let family = family_of(address.ip());
        if self.config.family.is_some_and(|only| only != family) {
            return false;
        }
        // With the same device and address as the socket of a request.
        let role = SocketRole::Client(address);
        self.make(role, family, self.local_address(role)).is_ok()
    }

    fn local_address(&self, role: SocketRole) -> SocketAddr {
        let config = &self.config;
        match role {
            SocketRole::Server(family) => {
                SocketAddr::new(config.bind.or_any(system_family(family)), config.port)
            }
            SocketRole::Client(remote) => {
                let family = family_of(remote.ip());
                SocketAddr::new(config.acquisition_bind.or_any(family), 0)
            }
            SocketRole::SharedClient(family) => SocketAddr::new(
                config.acquisition_bind.or_any(system_family(family)),
                config.acquisition_port.unwrap_or(0),
            ),
        }
    }

    fn make(&self, role: SocketRole, family: Family, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::udp(family)?;
        let is_server = matches!(role, SocketRole::Server(_));
        // All but the options that decide who may talk to us are best effort.
        if is_server {
            let _ = socket.set_broadcast();
            if family == Family::V4 {
                // Packets are 1140 bytes at most, and many clients are served from one socket.
                let _ = socket.set_never_fragment();
            }
        }
        let device = if is_server {
            &self.config.device
        } else {
            &self.config.acquisition_device
        };
        bind(&socket, family, address, device.as_deref())?;
        if let SocketRole::Client(remote) = role {
            socket.connect(remote)?;
        }
        Ok(socket)
    }

    /// Options that change nothing for others.
    fn prepare(&mut self, socket: &Socket, role: SocketRole, family: Family) {
        let _ = socket.set_packet_info(family);
        if self.config.dscp > 0 {
            let _ = socket.set_dscp(family, self.config.dscp);
        }
        if self.stamping == Stamping::Full {
            let flags = match role {
                SocketRole::Client(_) => stamping::RECEIVE | stamping::TRANSMIT,
                SocketRole::Server(_) | SocketRole::SharedClient(_) => stamping::RECEIVE,
            };
            let _ = socket.set_select_error_queue();
            if socket.set_timestamping(flags).is_err() {
                self.stamping = Stamping::Simple;
            }
        }
        if self.stamping == Stamping::Simple {
            let _ = socket.set_simple_timestamps();
        }
    }
}

/// Binds a UDP socket, if a port or an address of ours is wanted, and the options that go with it.
fn bind(
    socket: &Socket,
    family: Family,
    address: SocketAddr,
    device: Option<&str>,
) -> io::Result<()> {
    if family == Family::V6 {
        socket.set_v6_only()?;
    }
    if let Some(device) = device {
        socket.bind_to_device(device)?;
    }
    if address.port() > 0 {
        let _ = socket.set_reuse_address();
        let _ = socket.set_reuse_port();
    }
    if address.port() > 0 || !address.ip().is_unspecified() {
        let _ = socket.set_free_bind();
        socket.bind(address)?;
    }
    Ok(())
}

/// Whether an address is good on one link only (169.254/16, fe80::/10).
pub(crate) const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use timewright_core::output::Family as CoreFamily;
    use timewright_sys::net::{Batch, Peer};
    use timewright_sys::poll::{Entry, poll};

    fn table(config: NetConfig) -> SocketTable {
        SocketTable::new(config, Inherited::none())
    }

    fn loopback() -> NetConfig {
        NetConfig {
            bind: PerFamily {
                v4: Some(Ipv4Addr::LOCALHOST),
                v6: None,
            },
            ..NetConfig::default()
        }
    }

    const SERVER: SocketRole = SocketRole::Server(CoreFamily::V4);

    #[test]
    fn a_request_and_its_reply_with_stamps() {
        let mut table = table(loopback());
        let (server, client) = (SocketKey(1), SocketKey(2));
        assert!(table.open(server, SERVER).is_ok());
        let to = table.get(server).unwrap().socket.local_address();
        let to = to.unwrap().unwrap();
        assert!(table.open(client, SocketRole::Client(to)).is_ok());
        let request = Outgoing::new(b"request", Destination::Inet(to));
        table.send(client, request, true).unwrap();

        let mut batch = Batch::new();
        let entry = table.get(server).unwrap();
        let mut ready = [Entry::input(entry.socket.as_fd())];
        assert_eq!(poll(&mut ready, Some(5000)).unwrap(), 1);
        batch.receive(&entry.socket).unwrap();
        let got = batch.message(0).unwrap();
        let Peer::Inet(from) = got.from else {
            panic!("{got:?}");
        };
        let mut reply = Outgoing::new(b"reply", Destination::Inet(from));
        reply.from = got.local;
        table.send(server, reply, true).unwrap();

        for key in [client, server] {
            let socket = &table.get(key).unwrap().socket;
            let mut ready = [Entry::input_and_errors(socket.as_fd())];
            poll(&mut ready, Some(5000)).unwrap();
            assert!(ready[0].has_error(), "{key:?}");
            assert_eq!(batch.receive_errors(socket).unwrap(), 1);
            assert!(batch.message(0).unwrap().stamps.kernel.is_some());
        }
        table.close(client);
        let again = Outgoing::new(b"x", Destination::Connected);
        assert!(table.send(client, again, false).is_err());
    }

    #[test]
    fn errors_name_the_address_wanted() {
        let mut table = table(NetConfig {
            device: Some("no-such-device".into()),
            port: 123,
            ..NetConfig::default()
        });
        let Err(failed) = table.open(SocketKey(1), SERVER) else {
            panic!("opened");
        };
        assert_eq!(failed.address.to_string(), "0.0.0.0:123");
        assert!(table.is_empty());
    }

    #[test]
    fn the_family_option_rules_sockets_out() {
        let mut table = table(NetConfig {
            family: Some(Family::V6),
            ..loopback()
        });
        assert!(table.open(SocketKey(1), SERVER).is_err());
        assert!(!table.has_route("127.0.0.1:123".parse().unwrap()));
    }

    #[test]
    fn routes_are_probed() {
        let table = table(loopback());
        assert!(table.has_route("127.0.0.1:123".parse().unwrap()));
        assert!(!table.has_route("255.255.255.255:123".parse().unwrap()));
        let elsewhere = SocketTable::new(
            NetConfig {
                acquisition_device: Some("no-such-device".into()),
                ..NetConfig::default()
            },
            Inherited::none(),
        );
        assert!(!elsewhere.has_route("127.0.0.1:123".parse().unwrap()));
    }
}
