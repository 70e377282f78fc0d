//! Files that lines are appended to: logs.

use super::FileError;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use timewright_sys::files::{OPEN_NOFOLLOW, OPEN_NONBLOCK};

/// An open log.
#[derive(Debug)]
pub(crate) struct LineFile {
    file: File,
    /// The last line was cut short, as on a full disk.
    torn: bool,
}

impl LineFile {
    /// Opens or makes a file; symbolic links are not followed, and a pipe that nobody reads is an
    /// error instead of a wait.
    ///
    /// # Errors
    /// The line for the log.
    pub(crate) fn open(path: &Path, mode: u32) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(mode)
            .custom_flags(OPEN_NOFOLLOW | OPEN_NONBLOCK)
            .open(path)
            .map_err(|error| FileError::Open(path.display().to_string(), error))?;
        Ok(Self { file, torn: false })
    }

    /// Appends text that ends with a newline. What follows text that did not fit begins on a line
    /// of its own.
    ///
    /// # Errors
    /// The text is not there, or only its beginning.
    pub(crate) fn append(&mut self, text: &str) -> io::Result<()> {
        let ended;
        let mut rest = if self.torn {
            ended = format!("\n{text}");
            ended.as_bytes()
        } else {
            text.as_bytes()
        };
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the file was removed while it was open, so that nobody will find what is written.
    pub(crate) fn has_vanished(&self) -> bool {
        self.file.metadata().is_ok_and(|data| data.nlink() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, SmallDisk};
    use super::*;
    use std::fs;

    #[test]
    fn lines_after_a_full_disk_are_whole() {
        let Some(disk) = SmallDisk::mounted("16k") else {
            return;
        };
        let path = disk.path("log");
        let mut log = LineFile::open(&path, 0o644).unwrap();
        let line = format!("{}\n", "x".repeat(3000));
        let failed = (0..100).find_map(|_| log.append(&line).err()).unwrap();
        assert_eq!(failed.kind(), ErrorKind::StorageFull);
        assert!(log.append("lost\n").is_err());
        let kept = fs::metadata(&path).unwrap().len();
        // Room for more: as much as was there is removed from the front by making a hole.
        fs::write(&path, &fs::read(&path).unwrap()[..5000]).unwrap();
        log.append("whole\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(kept > 5000 && text.ends_with("x\nwhole\n"), "{kept}");
    }

    #[test]
    fn a_removed_file_is_noticed_and_a_renamed_one_is_not() {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        let log = LineFile::open(&path, 0o644).unwrap();
        fs::rename(&path, scratch.path("old")).unwrap();
        assert!(!log.has_vanished());
        fs::remove_file(scratch.path("old")).unwrap();
        assert!(log.has_vanished());
    }

    #[test]
    fn links_and_pipes_are_refused_without_waiting() {
        let scratch = Scratch::new();
        let link = scratch.path("link");
        std::os::unix::fs::symlink(scratch.path("victim"), &link).unwrap();
        assert!(LineFile::open(&link, 0o644).is_err());
        assert!(!scratch.path("victim").exists());
        let pipe = scratch.fifo("pipe");
        assert!(LineFile::open(&pipe, 0o644).is_err());
    }
}
