//! The pid file (`daemon-and-files.md` 3).

use super::FileError;
use super::read_regular;
use super::replace::replace;
use crate::args::scan_int;
use std::fs;
use std::path::Path;

/// More than any number.
const SIZE_MAX: u64 = 64;

/// The running process that the file names, if there is one: another daemon, by all appearances.
pub(crate) fn running(path: &Path) -> Option<i32> {
    let content = read_regular(path, SIZE_MAX).ok()?;
    let pid = scan_int(&content)?;
    timewright_sys::process::exists(pid).then_some(pid)
}

/// Writes our process number to a new file.
///
/// # Errors
/// In the name of the file itself, whichever step it was. [`FileError::Write`] is a full disk.
pub(crate) fn write(path: &Path) -> Result<(), FileError> {
    let shown = path.display().to_string();
    replace(path, format!("{}\n", std::process::id()).as_bytes()).map_err(|error| match error {
        FileError::Open(_, error) | FileError::Remove(_, error) => FileError::Open(shown, error),
        FileError::Write(_, error) => FileError::Write(shown, error),
        other @ (FileError::Replace(..) | FileError::Busy(_)) => other,
    })
}

/// Removes the file at exit.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(|error| FileError::Remove(path.display().to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;

    #[test]
    fn a_live_process_is_seen_and_rubbish_is_ignored() {
        let scratch = Scratch::new();
        let path = scratch.path("pid");
        assert_eq!(running(&path), None);
        for (content, want) in [
            ("", None),
            ("x", None),
            ("2147483647\n", None),
            (" 1 x\n", Some(1)),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(running(&path), want, "{content:?}");
        }
        write(&path).unwrap();
        assert_eq!(running(&path), Some(std::process::id().cast_signed()));
        remove(&path).unwrap();
        let error = remove(&path).unwrap_err();
        assert!(error.to_string().ends_with(" : No such file or directory"));
    }

    #[test]
    fn errors_name_the_file_and_not_the_temporary_one() {
        let error = write(Path::new("/nonexistent/pid")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not open /nonexistent/pid : No such file or directory"
        );
    }
}
