//! Which NTP sockets exist (`ntp-engine.md` 8.1): opened and closed here by key, by the driver in
//! fact.

use crate::ids::SocketKey;
use crate::output::{Family, Output, OutputQueue, SocketRole};
use std::net::SocketAddr;

/// Ports and families of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketPolicy {
    /// `port`; 0 means there are no server sockets.
    pub port: u16,
    /// `acquisitionport`, if set.
    pub acquisition_port: Option<u16>,
    /// Whether IPv4 is used.
    pub ipv4: bool,
    /// Whether IPv6 is used.
    pub ipv6: bool,
}

impl Default for SocketPolicy {
    fn default() -> Self {
        Self {
            port: 123,
            acquisition_port: None,
            ipv4: true,
            ipv6: true,
        }
    }
}

impl SocketPolicy {
    const fn uses(self, family: Family) -> bool {
        match family {
            Family::V4 => self.ipv4,
            Family::V6 => self.ipv6,
        }
    }

    /// Clients and server share their sockets.
    const fn shared_with_server(self) -> bool {
        matches!(self.acquisition_port, Some(port) if port == self.port && port != 0)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct ServerSocket {
    key: Option<SocketKey>,
    users: u32,
}

/// The NTP sockets of an engine.
#[derive(Debug)]
pub struct Sockets {
    policy: SocketPolicy,
    last_key: u32,
    server: [ServerSocket; 2],
    shared: [Option<SocketKey>; 2],
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Sockets {
    /// No socket is open yet.
    #[must_use]
    pub fn new(policy: SocketPolicy) -> Self {
        Self {
            policy,
            last_key: 0,
            server: Default::default(),
            shared: [None; 2],
        }
    }

    /// The ports and families in use.
    #[must_use]
    pub const fn policy(&self) -> SocketPolicy {
        self.policy
    }

    /// A key for a socket of any kind.
    pub fn issue_key(&mut self) -> SocketKey {
        self.last_key += 1;
        SocketKey(self.last_key)
    }

    /// Opens the sockets that exist from the start: those of `acquisitionport`.
    pub fn open_permanent(&mut self, out: &mut OutputQueue) {
        let Some(_) = self.policy.acquisition_port else {
            return;
        };
        for family in FAMILIES {
            if !self.policy.uses(family) {
                continue;
            }
            if self.policy.shared_with_server() {
                self.acquire_server(family, out);
            } else {
                let key = self.open(SocketRole::SharedClient(family), out);
                *self.shared_slot(family) = Some(key);
            }
        }
    }

    /// The socket for one exchange with `remote`: a new one, unless `acquisitionport` says
    /// otherwise. `None` if the family is not used or its socket could not be opened.
    pub fn acquire_client(
        &mut self,
        remote: SocketAddr,
        out: &mut OutputQueue,
    ) -> Option<SocketKey> {
        let family = Family::of(remote.ip());
        if !self.policy.uses(family) {
            None
        } else if self.policy.acquisition_port.is_none() {
            Some(self.open(SocketRole::Client(remote), out))
        } else if self.policy.shared_with_server() {
            self.server_slot(family).key
        } else {
            *self.shared_slot(family)
        }
    }

    /// Ends the use of a socket from [`Self::acquire_client`]; sockets of `acquisitionport` stay.
    pub fn release_client(&mut self, key: SocketKey, out: &mut OutputQueue) {
        if !self.is_server(key) && !self.shared.contains(&Some(key)) {
            out.push(Output::CloseSocket { key });
        }
    }

    /// The server socket of a family, opened for its first user. `None` if there is none because
    /// of `port 0` or the family, or because it could not be opened.
    pub fn acquire_server(&mut self, family: Family, out: &mut OutputQueue) -> Option<SocketKey> {
        if self.policy.port == 0 || !self.policy.uses(family) {
            return None;
        }
        self.server_slot(family).users += 1;
        if self.server_slot(family).key.is_none() && self.server_slot(family).users == 1 {
            let key = self.open(SocketRole::Server(family), out);
            self.server_slot(family).key = Some(key);
        }
        self.server_slot(family).key
    }

    /// Ends one use of the server socket; the last one closes it.
    pub fn release_server(&mut self, family: Family, out: &mut OutputQueue) {
        let slot = self.server_slot(family);
        let Some(users) = slot.users.checked_sub(1) else {
            return;
        };
        slot.users = users;
        if users == 0
            && let Some(key) = slot.key.take()
        {
            out.push(Output::CloseSocket { key });
        }
    }

    /// The server socket of a family, if it is open.
    #[must_use]
    pub fn server(&self, family: Family) -> Option<SocketKey> {
        self.server.get(index(family)).and_then(|slot| slot.key)
    }

    /// Whether this is a server socket.
    #[must_use]
    pub fn is_server(&self, key: SocketKey) -> bool {
        self.server.iter().any(|slot| slot.key == Some(key))
    }

    /// Whether any server socket is open.
    #[must_use]
    pub fn any_server(&self) -> bool {
        self.server.iter().any(|slot| slot.key.is_some())
    }

    /// The driver could not open this socket; returns what it was for if it was one of the
    /// lasting ones.
    pub fn on_open_failed(&mut self, key: SocketKey) -> Option<SocketRole> {
        for family in FAMILIES {
            if self.server(family) == Some(key) {
                self.server_slot(family).key = None;
                return Some(SocketRole::Server(family));
            }
            if *self.shared_slot(family) == Some(key) {
                *self.shared_slot(family) = None;
                return Some(SocketRole::SharedClient(family));
            }
        }
        None
    }

    fn open(&mut self, role: SocketRole, out: &mut OutputQueue) -> SocketKey {
        let key = self.issue_key();
        out.push(Output::OpenSocket { key, role });
        key
    }

    fn server_slot(&mut self, family: Family) -> &mut ServerSocket {
        let [v4, v6] = &mut self.server;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    fn shared_slot(&mut self, family: Family) -> &mut Option<SocketKey> {
        let [v4, v6] = &mut self.shared;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }
}

const fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(out: &mut OutputQueue) -> Vec<SocketRole> {
        std::iter::from_fn(|| out.pop())
            .filter_map(|o| match o {
                Output::OpenSocket { role, .. } => Some(role),
                _ => None,
            })
            .collect()
    }

    fn remote() -> SocketAddr {
        "192.0.2.1:123".parse().unwrap()
    }

    #[test]
    fn without_acquisitionport_every_exchange_has_its_own_socket() {
        let mut out = OutputQueue::new();
        let mut sockets = Sockets::new(SocketPolicy::default());
        sockets.open_permanent(&mut out);
        let a = sockets.acquire_client(remote(), &mut out).unwrap();
        let b = sockets.acquire_client(remote(), &mut out).unwrap();
        assert_ne!(a, b);
        assert_eq!(opened(&mut out), [SocketRole::Client(remote()); 2]);
        sockets.release_client(a, &mut out);
        assert!(matches!(out.pop(), Some(Output::CloseSocket { key }) if key == a));
    }

    #[test]
    fn acquisitionport_shares_one_socket_per_family() {
        for (port, acquisition, want) in [
            (123, 0, SocketRole::SharedClient(Family::V4)),
            (123, 1123, SocketRole::SharedClient(Family::V4)),
            (0, 0, SocketRole::SharedClient(Family::V4)),
            (123, 123, SocketRole::Server(Family::V4)),
        ] {
            let mut out = OutputQueue::new();
            let mut sockets = Sockets::new(SocketPolicy {
                port,
                acquisition_port: Some(acquisition),
                ipv6: false,
                ..SocketPolicy::default()
            });
            sockets.open_permanent(&mut out);
            assert_eq!(opened(&mut out), [want]);
            let a = sockets.acquire_client(remote(), &mut out).unwrap();
            assert_eq!(sockets.acquire_client(remote(), &mut out), Some(a));
            sockets.release_client(a, &mut out);
            assert!(out.is_empty());
            assert_eq!(sockets.is_server(a), port == acquisition && port != 0);
            let v6 = "[2001:db8::1]:123".parse().unwrap();
            assert_eq!(sockets.acquire_client(v6, &mut out), None);
        }
    }

    #[test]
    fn server_sockets_are_counted() {
        let mut out = OutputQueue::new();
        let mut sockets = Sockets::new(SocketPolicy::default());
        let a = sockets.acquire_server(Family::V6, &mut out);
        assert_eq!(sockets.acquire_server(Family::V6, &mut out), a);
        assert_eq!(opened(&mut out), [SocketRole::Server(Family::V6)]);
        sockets.release_server(Family::V6, &mut out);
        assert!(out.is_empty() && sockets.any_server());
        sockets.release_server(Family::V6, &mut out);
        assert!(matches!(out.pop(), Some(Output::CloseSocket { .. })));
        sockets.release_server(Family::V6, &mut out);
        assert!(out.is_empty() && !sockets.any_server());
    }

    #[test]
    fn port_0_has_no_server_socket() {
        let mut sockets = Sockets::new(SocketPolicy {
            port: 0,
            ..SocketPolicy::default()
        });
        assert_eq!(
            sockets.acquire_server(Family::V4, &mut OutputQueue::new()),
            None
        );
    }
}
