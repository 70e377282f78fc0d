//! Replacing files by new content, whole or not at all (`daemon-and-files.md` 10).

use super::FileError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use timewright_sys::files::OPEN_NOFOLLOW;

/// Added to the name of a file while its new content is being written.
pub(super) const SUFFIX: &str = ".tmp";

/// Permissions of state files, subject to the umask.
const MODE: u32 = 0o644;

/// A file's new content; `None` removes it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) content: Option<String>,
}

/// Makes the changes and makes them last; what came of each, and of their directories. One that
/// fails does not keep the others from being tried.
pub(super) fn carry_out(changes: &[Change]) -> Vec<(PathBuf, Result<(), FileError>)> {
    let mut results = Vec::with_capacity(changes.len() + 1);
    for group in changes.chunk_by(|a, b| a.path.parent() == b.path.parent()) {
        let Some(first) = group.first() else {
            continue;
        };
        match Parent::open(&first.path) {
            Err(error) => results.push((first.path.clone(), Err(error))),
            Ok(parent) => {
                let each = |change: &Change| (change.path.clone(), apply(change));
                results.extend(group.iter().map(each));
                results.push((parent.path.clone(), parent.sync()));
            }
        }
    }
    results
}

/// Puts `content` in place of `path`, at once and to last.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let parent = Parent::open(path)?;
    put(path, content)?;
    parent.sync()
}

fn apply(change: &Change) -> Result<(), FileError> {
    match &change.content {
        Some(content) => put(&change.path, content.as_bytes()),
        None => remove(&change.path),
    }
}

/// Writes `path.tmp`, which must not exist (a leftover is unlinked first, links are not followed),
/// and renames it. Until the new file is complete and on disk the old one stays; on any error it
/// is still there and the temporary is gone.
fn put(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let temporary = with_suffix(path);
    let shown = |path: &Path| path.display().to_string();
    let mut file = create(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    drop(file);
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(FileError::Write(shown(&temporary), error));
    }
    if let Err(error) = fs::rename(&temporary, path) {
        let _ = fs::remove_file(&temporary);
        return Err(FileError::Replace(shown(path), shown(&temporary), error));
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        // Removing what is not there is what was wanted.
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FileError::Remove(path.display().to_string(), error))
        }
        _ => Ok(()),
    }
}

/// Creates a file that did not exist, after unlinking what had its name.
fn create(path: &Path) -> Result<File, FileError> {
    let shown = || path.display().to_string();
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied || is_directory(&error) => {
            return Err(FileError::Remove(shown(), error));
        }
        // Anything else that is wrong will show when creating.
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .custom_flags(OPEN_NOFOLLOW)
        .open(path)
        .map_err(|error| FileError::Open(shown(), error))
}

fn is_directory(error: &io::Error) -> bool {
    error.kind() == ErrorKind::IsADirectory
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The directory of a file, opened before anything in it is touched: without descriptors nothing
/// is done.
struct Parent {
    path: PathBuf,
    /// `None` if it is missing, which making the file will tell, or must not be read, which does
    /// not keep from writing in it.
    directory: Option<File>,
}

impl Parent {
    fn open(of: &Path) -> Result<Self, FileError> {
        let path = match of.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let directory = match File::open(path) {
            Ok(directory) => Some(directory),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => None,
                _ => return Err(FileError::Open(path.display().to_string(), error)),
            },
        };
        Ok(Self {
            path: path.to_owned(),
            directory,
        })
    }

    /// Makes new names last. The content is safe either way.
    fn sync(self) -> Result<(), FileError> {
        match self.directory.map(|directory| directory.sync_all()) {
            // Some file systems cannot, and need not.
            Some(Err(error)) if error.kind() != ErrorKind::InvalidInput => {
                Err(FileError::Write(self.path.display().to_string(), error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, SmallDisk};
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn content(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn replaces_and_sets_the_mode() {
        let scratch = Scratch::new();
        let path = scratch.path("drift");
        replace(&path, b"one\n").unwrap();
        replace(&path, b"two\n").unwrap();
        assert_eq!(content(&path), "two\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !MODE, 0);
        assert_eq!(fs::read_dir(scratch.dir()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_and_links_at_the_temporary_name_are_harmless() {
        let scratch = Scratch::new();
        let (path, victim) = (scratch.path("drift"), scratch.path("victim"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, scratch.path("drift.tmp")).unwrap();
        replace(&path, b"new\n").unwrap();
        assert_eq!(content(&victim), "precious");
        assert_eq!(content(&path), "new\n");
        fs::write(scratch.path("drift.tmp"), "half").unwrap();
        replace(&path, b"newer\n").unwrap();
        assert_eq!(content(&path), "newer\n");
    }

    #[test]
    fn a_full_disk_keeps_the_old_content() {
        let Some(scratch) = SmallDisk::mounted("16k") else {
            return;
        };
        let path = scratch.path("drift");
        replace(&path, b"old\n").unwrap();
        let result = replace(&path, &[b'x'; 64 * 1024]);
        let kept = content(&path);
        let files = fs::read_dir(scratch.dir()).unwrap().count();
        let Err(FileError::Write(name, error)) = result else {
            panic!("{result:?}");
        };
        assert!(name.ends_with("drift.tmp"));
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!((kept.as_str(), files), ("old\n", 1));
    }

    #[test]
    fn refusals_keep_the_old_content_and_are_worded_as_the_log_wants() {
        let scratch = Scratch::new();
        // Opening fails, for root as for anybody.
        let error = replace(Path::new("/nonexistent/x"), b"new").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not open /nonexistent/x.tmp : No such file or directory"
        );
        // Renaming fails: a directory is in the way.
        let path = scratch.path("dir");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("keep"), "old").unwrap();
        let error = replace(&path, b"new").unwrap_err();
        assert!(
            error.to_string().starts_with("Could not replace "),
            "{error}"
        );
        assert_eq!(content(&path.join("keep")), "old");
        assert!(!scratch.path("dir.tmp").exists());
        // Unlinking fails: a directory has the temporary name.
        fs::create_dir(scratch.path("y.tmp")).unwrap();
        let error = replace(&scratch.path("y"), b"new").unwrap_err();
        assert!(error.to_string().ends_with(" : Is a directory"), "{error}");
    }
}
