//! Directories held open, so that what is made in them cannot be redirected by swapping a name.

use crate::cvt::check;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An open directory.
///
/// The calls are C's own names, not those with 64 that the standard library prefers: a simulator
/// that stands in for the C library knows only the former.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
}

fn terminated(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

impl Directory {
    /// Opens a directory, but not through a symbolic link in the last component.
    ///
    /// # Errors
    /// Missing, a link, no directory, or not allowed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = terminated(path)?;
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the path is terminated, and without O_CREAT no mode is read.
        let fd = check(unsafe { libc::open(path.as_ptr(), flags) })?;
        // SAFETY: the descriptor was just made for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// Owner and permission bits.
    ///
    /// # Errors
    /// Input or output failed.
    pub fn owner_and_mode(&self) -> io::Result<(u32, u32)> {
        // SAFETY: all-zero bytes are a valid stat.
        let mut data: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the descriptor is open and `data` writable.
        check(unsafe { libc::fstat(self.fd.as_raw_fd(), &raw mut data) })?;
        Ok((data.st_uid, data.st_mode & 0o7777))
    }

    /// Sets the permission bits.
    ///
    /// # Errors
    /// Not the owner.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        // SAFETY: numbers only, on a descriptor we own.
        check(unsafe { libc::fchmod(self.fd.as_raw_fd(), mode) })?;
        Ok(())
    }

    /// Makes a directory inside.
    ///
    /// # Errors
    /// It exists, the name has a zero byte, or not allowed.
    pub fn make(&self, name: &Path, mode: u32) -> io::Result<()> {
        let name = terminated(name)?;
        // SAFETY: the descriptor is open and the name terminated.
        check(unsafe { libc::mkdirat(self.fd.as_raw_fd(), name.as_ptr(), mode) })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_directories_but_follows_no_link() {
        let base =
            std::env::temp_dir().join(format!("timewright-directory-{}", std::process::id()));
        std::fs::create_dir(&base).unwrap();
        let directory = Directory::open(&base).unwrap();
        directory.make(Path::new("inside"), 0o711).unwrap();
        directory.set_mode(0o711).unwrap();
        assert_eq!(
            directory.owner_and_mode().unwrap(),
            (crate::process::effective_user(), 0o711)
        );
        let link = base.join("link");
        std::os::unix::fs::symlink(base.join("inside"), &link).unwrap();
        assert!(Directory::open(&link).is_err());
        std::fs::remove_dir_all(&base).unwrap();
    }
}
