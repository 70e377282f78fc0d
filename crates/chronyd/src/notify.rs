//! Telling the service manager (`daemon-and-files.md` 7, `NOTIFY_SOCKET`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use timewright_sys::net::{Destination, Outgoing, Socket};

/// Ready to serve.
pub(crate) const READY: &str = "READY=1";
/// About to end.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Sends `message` to the socket that `NOTIFY_SOCKET` named, if it was set.
///
/// # Errors
/// The fatal message.
pub(crate) fn notify(socket: Option<&OsStr>, message: &str) -> Result<(), &'static str> {
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

    #[test]
    fn the_manager_gets_the_bare_message() {
        let scratch = Scratch::new();
        let path = scratch.path("notify");
        let manager = Socket::unix_datagram().unwrap();
        manager.bind_path(path.as_os_str().as_bytes()).unwrap();
        notify(Some(path.as_os_str()), READY).unwrap();
        let mut buffer = [0; 32];
        let length = manager.receive_within(&mut buffer, 5000).unwrap().unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
    }

    #[test]
    fn unset_is_fine_and_mistakes_are_fatal() {
        assert_eq!(notify(None, READY), Ok(()));
        for (socket, want) in [
            ("@abstract", "Unsupported notification socket"),
            ("", "Unsupported notification socket"),
            (
                "/no/such/socket",
                "Could not send notification to $NOTIFY_SOCKET",
            ),
        ] {
            assert_eq!(notify(Some(OsStr::new(socket)), STOPPING), Err(want));
        }
    }
}
