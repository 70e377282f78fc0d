//! What the standard library does not give about files, or gives through calls that an
//! interposing simulator does not see.

use crate::cvt::check;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Flag for opening that refuses a symbolic link as the last component.
pub const OPEN_NOFOLLOW: i32 = libc::O_NOFOLLOW;

/// Flag for opening that does not wait for the other end of a pipe.
pub const OPEN_NONBLOCK: i32 = libc::O_NONBLOCK;

/// Type, permissions and owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it is a regular file.
    pub is_regular: bool,
    /// Permission bits, 0 to 0o7777.
    pub permissions: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Status of a file; symbolic links are followed.
///
/// # Errors
/// Missing or not accessible.
pub fn status(path: &Path) -> io::Result<Status> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all-zero bytes are a valid stat.
    let mut raw: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the path is terminated and `raw` is writable.
    check(unsafe { libc::stat(path.as_ptr(), &raw mut raw) })?;
    let kind = raw.st_mode & libc::S_IFMT;
    Ok(Status {
        is_directory: kind == libc::S_IFDIR,
        is_regular: kind == libc::S_IFREG,
        permissions: raw.st_mode & 0o7777,
        uid: raw.st_uid,
        gid: raw.st_gid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_devices_are_told_apart() {
        let root = status(Path::new("/")).unwrap();
        assert!(root.is_directory && root.uid == 0);
        let null = status(Path::new("/dev/null")).unwrap();
        assert!(!null.is_directory && !null.is_regular);
        assert!(status(Path::new("/no/such/file")).is_err());
    }
}
