//! Directories held open, so that what is made in them cannot be redirected by swapping a name.

use crate::cvt::check;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    file: File,
}

impl Directory {
    /// Opens a directory, but not through a symbolic link in the last component.
    ///
    /// # Errors
    /// Missing, a link, no directory, or not allowed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_NOFOLLOW | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)?;
        Ok(Self { file })
    }

    /// Owner and permission bits.
    ///
    /// # Errors
    /// Input or output failed.
    pub fn owner_and_mode(&self) -> io::Result<(u32, u32)> {
        let data = self.file.metadata()?;
        Ok((data.uid(), data.mode() & 0o7777))
    }

    /// Sets the permission bits.
    ///
    /// # Errors
    /// Not the owner.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(PermissionsExt::from_mode(mode))
    }

    /// Makes a directory inside.
    ///
    /// # Errors
    /// It exists, the name has a zero byte, or not allowed.
    pub fn make(&self, name: &Path, mode: u32) -> io::Result<()> {
        let name = CString::new(name.as_os_str().as_bytes())?;
        // SAFETY: the descriptor is open and the name terminated.
        check(unsafe { libc::mkdirat(self.file.as_raw_fd(), name.as_ptr(), mode) })?;
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
