//! Access to files as the parser needs it, and an implementation in memory.
//!
//! The parser itself does no I/O: the daemon brings an implementation over the file system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::glob::{self, GlobError};

/// Why a directory could not be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The path, or a part of it, is something else than a directory.
    NotADirectory,
    /// Any other reason, such as a path that does not exist.
    Failed,
}

/// Files and directories.
pub trait FileSource {
    /// The content of a file. A directory reads as an empty file.
    ///
    /// # Errors
    ///
    /// The system's words for the reason, without the name of the file and without an error
    /// number: `No such file or directory`.
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The names in a directory in any order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`ListError`].
    fn list_directory(&self, path: &Path) -> Result<Vec<OsString>, ListError>;

    /// Whether there is anything at this path, be it a dangling link.
    fn exists(&self, path: &Path) -> bool;

    /// The files that match a pattern, in byte order.
    ///
    /// # Errors
    ///
    /// [`GlobError`] if a directory could not be read.
    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, GlobError> {
        glob::expand(pattern, self)
    }
}

/// Files in memory, for tests and for the simulator.
///
/// Directories exist as far as they are parents of files.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl MemoryFiles {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same files and one more.
    #[must_use]
    pub fn with(mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.insert(path, content);
        self
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        self.files
            .insert(path.as_ref().to_owned(), content.as_ref().to_owned());
    }

    /// Removes a file if it is there.
    pub fn remove(&mut self, path: impl AsRef<Path>) {
        self.files.remove(path.as_ref());
    }

    fn is_directory(&self, path: &Path) -> bool {
        path == Path::new(".")
            || self
                .files
                .keys()
                .any(|file| file != path && file.starts_with(path))
    }

    fn has_file_above(&self, path: &Path) -> bool {
        path.ancestors()
            .skip(1)
            .any(|parent| self.files.contains_key(parent))
    }
}

impl FileSource for MemoryFiles {
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        if let Some(content) = self.files.get(path) {
            return Ok(content.clone());
        }
        if self.is_directory(path) {
            return Ok(Vec::new());
        }
        let reason = if self.has_file_above(path) {
            "Not a directory"
        } else {
            "No such file or directory"
        };
        Err(reason.to_owned())
    }

    fn list_directory(&self, path: &Path) -> Result<Vec<OsString>, ListError> {
        if self.files.contains_key(path) || self.has_file_above(path) {
            return Err(ListError::NotADirectory);
        }
        if !self.is_directory(path) {
            return Err(ListError::Failed);
        }
        let relative = if path == Path::new(".") {
            Path::new("")
        } else {
            path
        };
        let mut names: Vec<OsString> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(relative).ok()?.components().next())
            .map(|name| name.as_os_str().to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        let is_file = self.files.contains_key(path);
        let must_be_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        (is_file && !must_be_directory) || self.is_directory(path)
    }
}
