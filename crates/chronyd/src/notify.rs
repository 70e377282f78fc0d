//! Telling who started the daemon: a service manager (`daemon-and-files.md` 7, `NOTIFY_SOCKET`) or
//! a supervisor (option `-N`).

use crate::args::Options;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use timewright_sys::net::{Destination, Outgoing, Socket};
use timewright_sys::process::take_passed;

/// Who started the daemon and wants to hear of it.
#[derive(Debug)]
pub(crate) struct Manager {
    /// `NOTIFY_SOCKET`
    socket: Option<OsString>,
    supervisor: Supervisor,
}

/// Who is told of readiness by a descriptor (`-N`).
#[derive(Debug)]
pub(crate) enum Supervisor {
    /// Nobody, or it was told.
    None,
    /// The descriptor.
    Waits(File),
    /// The number given is not that of an open descriptor.
    Unknown,
}

impl Supervisor {
    /// Takes over the descriptor of `-N`. To be called before anything is opened.
    pub(crate) fn from_options(options: &Options) -> Self {
        match options.notify_fd {
            None => Self::None,
            Some(fd) => take_passed(fd).map_or(Self::Unknown, Self::Waits),
        }
    }
}

impl Manager {
    /// The manager that the environment names, and the supervisor of the command line.
    pub(crate) fn from_environment(supervisor: Supervisor) -> Self {
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET"),
            supervisor,
        }
    }

    /// The daemon is ready to serve.
    ///
    /// # Errors
    /// The fatal message.
    pub(crate) fn ready(&mut self) -> Result<(), &'static str> {
        send(self.socket.as_deref(), "READY=1")?;
        let told = match std::mem::replace(&mut self.supervisor, Supervisor::None) {
            Supervisor::None => true,
            // Dropping it closes it, which some wait for.
            Supervisor::Waits(mut pipe) => pipe.write_all(b"\n").is_ok(),
            Supervisor::Unknown => false,
        };
        if told {
            Ok(())
        } else {
            Err("Could not send notification requested by -N option")
        }
    }

    /// The daemon is about to end. Nobody can act on a failure to say so.
    pub(crate) fn stopping(&self) {
        let _ = send(self.socket.as_deref(), "STOPPING=1");
    }
}

/// Sends `message` to the socket that `NOTIFY_SOCKET` named, if it was set.
fn send(socket: Option<&OsStr>, message: &str) -> Result<(), &'static str> {
    let Some(path) = socket.map(OsStr::as_bytes) else {
        return Ok(());
    };
    if !path.starts_with(b"/") {
        return Err("Unsupported notification socket");
    }
    let out = Outgoing::new(message.as_bytes(), Destination::Unix(path));
    Socket::unix_datagram()
        .and_then(|socket| socket.send_message(&out))
        .map(drop)
        .map_err(|_| "Could not send notification to $NOTIFY_SOCKET")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;

    fn new(socket: Option<&OsStr>, supervisor: Supervisor) -> Manager {
        let socket = socket.map(OsStr::to_owned);
        Manager { socket, supervisor }
    }

    #[test]
    fn the_supervisor_gets_one_line_and_the_end_of_the_pipe() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(writer));
        let mut told = new(None, Supervisor::Waits(pipe));
        assert_eq!(told.ready(), Ok(()));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        assert_eq!(text, "\n");
        assert_eq!(told.ready(), Ok(()));
        let message = "Could not send notification requested by -N option";
        assert_eq!(new(None, Supervisor::Unknown).ready(), Err(message));
    }

    #[test]
    fn the_manager_gets_the_bare_message() {
        let scratch = Scratch::new();
        let path = scratch.path("notify");
        let manager = Socket::unix_datagram().unwrap();
        manager.bind_path(path.as_os_str().as_bytes()).unwrap();
        new(Some(path.as_os_str()), Supervisor::None)
            .ready()
            .unwrap();
        let mut buffer = [0; 32];
        let length = manager.receive_within(&mut buffer, 5000).unwrap().unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }

    #[test]
    fn unset_is_fine_and_mistakes_are_fatal() {
        assert_eq!(new(None, Supervisor::None).ready(), Ok(()));
        for (socket, want) in [
            ("@abstract", "Unsupported notification socket"),
            ("", "Unsupported notification socket"),
            (
                "/no/such/socket",
                "Could not send notification to $NOTIFY_SOCKET",
            ),
        ] {
            let mut asked = new(Some(OsStr::new(socket)), Supervisor::None);
            assert_eq!(asked.ready(), Err(want));
        }
    }
}
