//! State files, log files and the pid file (`daemon-and-files.md` 3, 10 to 12).

mod append;
pub(crate) mod directories;
pub(crate) mod dumps;
mod faults;
pub(crate) mod pid;
mod read;
pub(crate) mod records;
mod replace;
pub(crate) mod secrets;
mod state;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use append::LineFile;
pub(crate) use read::read_regular;
pub(crate) use replace::Change;
pub(crate) use state::{Done, Job, StateFiles};

use timewright_sys::error_text;

/// A file operation that failed; `Display` is the line for the log.
#[derive(Debug)]
pub(crate) enum FileError {
    /// Opening or creating.
    Open(String, std::io::Error),
    /// Writing the content.
    Write(String, std::io::Error),
    /// Putting the second, complete, in place of the first.
    Replace(String, String, std::io::Error),
    /// Removing.
    Remove(String, std::io::Error),
    /// Not even tried: the disk has not answered to what was written before.
    Busy(String),
}

impl FileError {
    /// The error number, if a system call gave one.
    fn number(&self) -> Option<i32> {
        match self {
            Self::Open(_, error)
            | Self::Write(_, error)
            | Self::Replace(_, _, error)
            | Self::Remove(_, error) => error.raw_os_error(),
            Self::Busy(_) => None,
        }
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(path, error) => write!(f, "Could not open {path} : {}", error_text(error)),
            Self::Write(path, error) => {
                write!(f, "Could not write {path} : {}", error_text(error))
            }
            Self::Replace(path, new, error) => write!(
                f,
                "Could not replace {path} with {new} : {}",
                error_text(error)
            ),
            Self::Remove(path, error) => {
                write!(f, "Could not remove {path} : {}", error_text(error))
            }
            Self::Busy(path) => write!(f, "Could not write {path} : earlier writes have not ended"),
        }
    }
}
