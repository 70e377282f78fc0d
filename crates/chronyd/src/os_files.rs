//! The file system as the configuration parser sees it.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use timewright_config::{FileSource, ListError};
use timewright_sys::error_text;

/// Files of the operating system.
pub(crate) struct OsFiles;

/// More than any configuration; keeps a device or a pipe from filling the memory.
const SIZE_MAX: u64 = 16 << 20;

impl FileSource for OsFiles {
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        let file = std::fs::File::open(path).map_err(|error| error_text(&error))?;
        let mut content = Vec::new();
        match file.take(SIZE_MAX).read_to_end(&mut content) {
            // What was read before an error counts, as with stdio: a directory reads as empty.
            Ok(_) | Err(_) => Ok(content),
        }
    }

    fn list_directory(&self, path: &Path) -> Result<Vec<OsString>, ListError> {
        let reason = |error: &io::Error| match error.kind() {
            ErrorKind::NotADirectory => ListError::NotADirectory,
            _ => ListError::Failed,
        };
        std::fs::read_dir(path)
            .map_err(|error| reason(&error))?
            .map(|entry| Ok(entry.map_err(|error| reason(&error))?.file_name()))
            .collect()
    }

    fn exists(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;

    #[test]
    fn reads_lists_and_explains() {
        let scratch = Scratch::new();
        let path = scratch.path("a.conf");
        std::fs::write(&path, "port 0\n").unwrap();
        assert_eq!(OsFiles.read_file(&path).unwrap(), b"port 0\n");
        assert_eq!(OsFiles.read_file(scratch.dir()).unwrap(), b"");
        assert_eq!(
            OsFiles.read_file(Path::new("/no/such/file")).unwrap_err(),
            "No such file or directory"
        );
        assert_eq!(OsFiles.list_directory(scratch.dir()).unwrap(), ["a.conf"]);
        assert_eq!(OsFiles.list_directory(&path), Err(ListError::NotADirectory));
        assert_eq!(
            OsFiles.list_directory(Path::new("/no/such")),
            Err(ListError::Failed)
        );
        assert!(OsFiles.exists(&path) && !OsFiles.exists(&scratch.path("b")));
    }

    #[test]
    fn a_configuration_is_read_through_it() {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path("d")).unwrap();
        std::fs::write(scratch.path("d/x.conf"), "port 11\n").unwrap();
        let main = scratch.path("main.conf");
        std::fs::write(&main, format!("confdir {}\n", scratch.path("d").display())).unwrap();
        let parsed = timewright_config::parse_file(&main, &OsFiles, Default::default()).unwrap();
        assert_eq!(parsed.config.server.port, 11);
    }
}
