//! State files, log files and the pid file (`daemon-and-files.md` 3, 10 to 12).

pub(crate) mod directories;
pub(crate) mod dumps;
pub(crate) mod pid;
pub(crate) mod records;
mod replace;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use replace::replace;

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
        }
    }
}
