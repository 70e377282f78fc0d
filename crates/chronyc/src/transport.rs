//! Sockets to the daemon: UDP, and Unix with a path of our own to be answered at
//! (`control-protocol.md` 1).

use crate::host::Host;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use timewright_sys::directory::Directory;
use timewright_sys::net::{Family, Socket};
use timewright_sys::process;

/// Where a daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Path of its Unix socket.
    Unix(PathBuf),
    /// Its UDP port.
    Udp(SocketAddr),
}

/// A socket connected to a daemon.
pub(crate) trait Link {
    /// Sends one datagram.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;
    /// Receives one datagram; `None` after `timeout_ms`, or when a signal arrives.
    fn receive(&mut self, buffer: &mut [u8], timeout_ms: u32) -> io::Result<Option<usize>>;
}

impl Link for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        Self::send(self, datagram).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout_ms: u32) -> io::Result<Option<usize>> {
        self.receive_within(buffer, timeout_ms)
    }
}

/// A UDP socket. It is connected, so that a refusal is seen as an error.
pub(crate) fn open_udp(address: SocketAddr) -> io::Result<Box<dyn Link>> {
    let family = if address.is_ipv4() {
        Family::V4
    } else {
        Family::V6
    };
    let socket = Socket::udp(family)?;
    socket.connect(address)?;
    Ok(Box::new(socket))
}

/// Mode of the directories around the client's socket: the daemon must get through, and nobody
/// but us may make or replace anything in them.
const DIRECTORY_MODE: u32 = 0o711;

/// Mode of the client's socket: the daemon, under whatever user, sends to it.
const SOCKET_MODE: u32 = 0o666;

/// Letters of the random directory name.
const RANDOM_LETTERS: usize = 16;

/// A Unix socket bound where the daemon can answer, removed when dropped.
struct UnixLink {
    socket: Socket,
    _place: Place,
}

impl Link for UnixLink {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout_ms: u32) -> io::Result<Option<usize>> {
        self.socket.receive_within(buffer, timeout_ms)
    }
}

/// What was made in the file system, outermost first; removed in reverse order.
#[derive(Default)]
struct Place {
    directories: Vec<PathBuf>,
    socket: Option<PathBuf>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Nothing useful can be done about a failure.
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// A Unix socket to a daemon, which may run as another user than we do.
///
/// Our socket is at `DIRECTORY/chronyc.PID/RANDOM/sock`, with `DIRECTORY` that of the daemon's
/// socket. The outer directory is ours and checked through its descriptor; the random name keeps
/// a daemon that was broken into from preparing anything under the inner one.
pub(crate) fn open_unix(server: &Path, host: &dyn Host) -> io::Result<Box<dyn Link>> {
    let target = server.as_os_str().as_encoded_bytes();
    Socket::unix_datagram()?.connect_path(target)?; // nobody there: make nothing

    let parent = server.parent().unwrap_or(Path::new("/"));
    let outer = parent.join(format!("chronyc.{}", std::process::id()));
    let inner_name = PathBuf::from(random_name(host)?);
    let inner = outer.join(&inner_name);
    let path = inner.join("sock");

    let mut place = Place::default();
    match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&outer) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let directory = Directory::open(&outer)?;
    let (owner, mode) = directory.owner_and_mode()?;
    if owner != process::effective_user() || mode & !DIRECTORY_MODE != 0 {
        return Err(io::Error::other(
            "unexpected mode or owner of the socket's directory",
        ));
    }
    place.directories.push(outer);
    directory.make(&inner_name, DIRECTORY_MODE)?;
    place.directories.push(inner.clone());

    let socket = Socket::unix_datagram()?;
    socket.bind_path(path.as_os_str().as_encoded_bytes())?;
    place.socket = Some(path.clone());
    socket.connect_path(target)?;

    // The umask may have taken bits away.
    fs::set_permissions(&path, PermissionsExt::from_mode(SOCKET_MODE))?;
    fs::set_permissions(&inner, PermissionsExt::from_mode(DIRECTORY_MODE))?;
    directory.set_mode(DIRECTORY_MODE)?;
    Ok(Box::new(UnixLink {
        socket,
        _place: place,
    }))
}

fn random_name(host: &dyn Host) -> io::Result<String> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0; RANDOM_LETTERS];
    host.fill_random(&mut bytes)?;
    let letter = |byte: u8| {
        LETTERS
            .get(usize::from(byte) % LETTERS.len())
            .copied()
            .unwrap_or(b'0')
    };
    Ok(bytes.into_iter().map(letter).map(char::from).collect())
}
