//! The socket that samples are sent to.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use timewright_sys::net::Socket;

/// A datagram socket with a name in the file system.
pub(crate) struct SampleSocket {
    pub(crate) socket: Socket,
    path: PathBuf,
}

impl SampleSocket {
    /// Creates the socket in place of whatever file has its path, be it a leftover or a link, which
    /// is not followed. Who may send to it is decided by the umask and the directory.
    ///
    /// # Errors
    /// The fatal message.
    pub(super) fn create(path: PathBuf) -> Result<Self, String> {
        let bound = Socket::unix_datagram().and_then(|socket| {
            // If it cannot be removed, binding fails.
            let _ = fs::remove_file(&path);
            socket.bind_path(path.as_os_str().as_bytes())?;
            Ok(socket)
        });
        match bound {
            Ok(socket) => Ok(Self { socket, path }),
            Err(_) => Err(format!("Could not open socket {}", path.display())),
        }
    }

    /// Closes it and removes its path, which is left where root made it and we are not root any
    /// more.
    pub(super) fn remove(self) {
        drop(self.socket);
        let _ = fs::remove_file(self.path);
    }
}

impl AsFd for SampleSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::path::Path;

    fn is_socket(path: &Path) -> bool {
        fs::symlink_metadata(path).unwrap().file_type().is_socket()
    }

    #[test]
    fn it_takes_the_place_of_files_and_links_but_not_of_directories() {
        let scratch = Scratch::new();
        let (victim, link) = (scratch.path("victim"), scratch.path("link"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        let socket = SampleSocket::create(link.clone()).unwrap();
        assert!(is_socket(&link));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        socket.remove();
        assert!(fs::symlink_metadata(&link).is_err());

        let leftover = SampleSocket::create(victim.clone()).unwrap();
        assert!(is_socket(&victim));
        drop(leftover);
        SampleSocket::create(victim).unwrap().remove();

        let directory = scratch.path("directory");
        fs::create_dir(&directory).unwrap();
        let text = SampleSocket::create(directory.clone()).err().unwrap();
        assert_eq!(
            text,
            format!("Could not open socket {}", directory.display())
        );
        assert!(directory.is_dir());
    }

    #[test]
    fn a_path_longer_than_an_address_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.path(&"x".repeat(120));
        let text = SampleSocket::create(path.clone()).err().unwrap();
        assert_eq!(text, format!("Could not open socket {}", path.display()));
    }
}
