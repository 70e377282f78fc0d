//! Replacing a file by new content, whole or not at all (`daemon-and-files.md` 10).

use super::FileError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use timewright_sys::files::OPEN_NOFOLLOW;

/// Puts `content` in place of `path`: writes `path.tmp`, which must not exist (a leftover is
/// unlinked first, links are not followed), and renames it. Until the new file is complete and on
/// disk the old one stays; on any error it is still there and the temporary is gone.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = with_suffix(path);
    let shown = |path: &Path| path.display().to_string();
    let mut file = create(&temporary, mode)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written {
        drop(file);
        let _ = fs::remove_file(&temporary);
        return Err(FileError::Write(shown(&temporary), error));
    }
    drop(file);
    if let Err(error) = fs::rename(&temporary, path) {
        let _ = fs::remove_file(&temporary);
        return Err(FileError::Replace(shown(path), shown(&temporary), error));
    }
    sync_directory(path);
    Ok(())
}

/// Creates a file that did not exist, after unlinking what had its name.
pub(super) fn create(path: &Path, mode: u32) -> Result<File, FileError> {
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
        .mode(mode)
        .custom_flags(OPEN_NOFOLLOW)
        .open(path)
        .map_err(|error| FileError::Open(shown(), error))
}

fn is_directory(error: &io::Error) -> bool {
    error.kind() == ErrorKind::IsADirectory
}

fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Makes the rename last; the content is safe either way, so failure is no error.
fn sync_directory(path: &Path) {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Ok(directory) = File::open(parent) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn content(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn replaces_and_sets_the_mode() {
        let scratch = Scratch::new();
        let path = scratch.path("drift");
        replace(&path, b"one\n", 0o600).unwrap();
        replace(&path, b"two\n", 0o600).unwrap();
        assert_eq!(content(&path), "two\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(scratch.dir()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_and_links_at_the_temporary_name_are_harmless() {
        let scratch = Scratch::new();
        let (path, victim) = (scratch.path("drift"), scratch.path("victim"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, scratch.path("drift.tmp")).unwrap();
        replace(&path, b"new\n", 0o644).unwrap();
        assert_eq!(content(&victim), "precious");
        assert_eq!(content(&path), "new\n");
        fs::write(scratch.path("drift.tmp"), "half").unwrap();
        replace(&path, b"newer\n", 0o644).unwrap();
        assert_eq!(content(&path), "newer\n");
    }

    #[test]
    fn a_full_disk_keeps_the_old_content() {
        // A tiny file system of our own; only root can make one.
        let scratch = Scratch::new();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
            .arg(scratch.dir())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("not tested: cannot mount a file system here");
            return;
        }
        let path = scratch.path("drift");
        replace(&path, b"old\n", 0o644).unwrap();
        let result = replace(&path, &[b'x'; 64 * 1024], 0o644);
        let kept = content(&path);
        let files = fs::read_dir(scratch.dir()).unwrap().count();
        std::process::Command::new("umount")
            .arg(scratch.dir())
            .output()
            .unwrap();
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
        let error = replace(Path::new("/nonexistent/x"), b"new", 0o644).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not open /nonexistent/x.tmp : No such file or directory"
        );
        // Renaming fails: a directory is in the way.
        let path = scratch.path("dir");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("keep"), "old").unwrap();
        let error = replace(&path, b"new", 0o644).unwrap_err();
        assert!(
            error.to_string().starts_with("Could not replace "),
            "{error}"
        );
        assert_eq!(content(&path.join("keep")), "old");
        assert!(!scratch.path("dir.tmp").exists());
        // Unlinking fails: a directory has the temporary name.
        fs::create_dir(scratch.path("y.tmp")).unwrap();
        let error = replace(&scratch.path("y"), b"new", 0o644).unwrap_err();
        assert!(error.to_string().ends_with(" : Is a directory"), "{error}");
    }
}
