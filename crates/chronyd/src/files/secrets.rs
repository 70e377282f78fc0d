//! Files with secrets: who else may read them (`auth-nts.md` 1.1).

use super::read_regular;
use crate::logger::Logger;
use std::ffi::CString;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use timewright_sys::{error_text, process};

/// Permissions that are complained about: all but those of owner and group, and to execute.
const UNUSUAL: u32 = !0o771;
/// More of a key file is not read, bytes.
const KEYS_MAX: u64 = 16 << 20;
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

/// The content of a file with secrets; `None` if it is unreadable. Too generous permissions are
/// warned about.
pub(crate) fn read(path: &Path, logger: &mut Logger) -> Option<Vec<u8>> {
    let content = match read_regular(path, KEYS_MAX) {
        Ok(content) => content,
        // It can be opened, and has no lines.
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Some(Vec::new()),
        Err(_) => return None,
    };
    if let Some(complaint) = fs::metadata(path).ok().as_ref().and_then(complaint) {
        logger.warning(format_args!("{complaint} {}", path.display()));
    }
    Some(content)
}

fn complaint(metadata: &Metadata) -> Option<&'static str> {
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() || mode & UNUSUAL == 0 {
        return None;
    }
    Some(if mode & OTHERS_READ != 0 {
        "World-readable permissions on"
    } else if mode & OTHERS_WRITE != 0 {
        "World-writable permissions on"
    } else {
        "Wrong permissions on"
    })
}

/// Warns if the user that the daemon runs as cannot read the file, or could change it.
pub(crate) fn check_access(path: &Path, logger: &mut Logger) {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else {
        return;
    };
    match process::may_read(&name) {
        Err(error) if error.kind() != ErrorKind::NotFound => logger.warning(format_args!(
            "Missing read access to {} : {}",
            path.display(),
            error_text(&error)
        )),
        _ => {}
    }
    if process::may_write(&name) {
        logger.warning(format_args!("Having write access to {}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;

    #[test]
    fn permissions_of_others_are_complained_about() {
        let scratch = Scratch::new();
        let path = scratch.path("keys");
        fs::write(&path, "1 abc\n").unwrap();
        for (mode, want) in [
            (0o600, None),
            (0o640, None),
            (0o770, None),
            (0o771, None),
            (0o644, Some("World-readable permissions on")),
            (0o646, Some("World-readable permissions on")),
            (0o642, Some("World-writable permissions on")),
            (0o4640, Some("Wrong permissions on")),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(complaint(&fs::metadata(&path).unwrap()), want, "{mode:o}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_none_and_a_directory_is_empty() {
        let scratch = Scratch::new();
        let mut logger = Logger::early();
        assert_eq!(read(&scratch.path("none"), &mut logger), None);
        assert_eq!(read(scratch.dir(), &mut logger), Some(Vec::new()));
    }

    #[test]
    fn only_files_are_judged() {
        let scratch = Scratch::new();
        let directory = fs::metadata(scratch.dir()).unwrap();
        assert_eq!(complaint(&directory), None);
    }
}
