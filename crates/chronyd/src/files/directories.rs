//! Directories made at start, and the check of the one that protects the command socket
//! (`daemon-and-files.md` 2, step 7).

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;
use timewright_sys::error_text;
use timewright_sys::files::status;
use timewright_sys::users::User;

/// Makes a directory with `mode` (subject to the umask) owned by `owner`, if it is missing;
/// missing parents get 0755 and stay root's. An existing one is left as it is.
///
/// # Errors
/// The line for the log.
pub(crate) fn make(path: &Path, mode: u32, owner: User) -> Result<(), String> {
    let mut missing: Vec<&Path> = Vec::new();
    for ancestor in path.ancestors() {
        if ancestor.as_os_str().is_empty() {
            break;
        }
        match status(ancestor) {
            Ok(found) if found.is_directory => break,
            Ok(_) => return Err(format!("{} is not directory", ancestor.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(ancestor),
            // Something on the way is a file: the next ancestor will tell which.
            Err(error) if error.kind() == ErrorKind::NotADirectory => missing.push(ancestor),
            Err(error) => {
                return Err(format!(
                    "Could not access {} : {}",
                    ancestor.display(),
                    error_text(&error)
                ));
            }
        }
    }
    for &directory in missing.iter().rev() {
        let last = directory == path;
        let made = DirBuilder::new()
            .mode(if last { mode } else { 0o755 })
            .create(directory);
        if let Err(error) = made {
            return Err(format!(
                "Could not create directory {} : {}",
                directory.display(),
                error_text(&error)
            ));
        }
        if last && let Err(error) = chown(directory, Some(owner.uid), Some(owner.gid)) {
            let text = error_text(&error);
            // Without the right owner the directory is no use.
            let _ = std::fs::remove_dir(directory);
            return Err(format!(
                "Could not change ownership of {} : {text}",
                directory.display()
            ));
        }
    }
    Ok(())
}

/// Whether the directory keeps everybody but the daemon's user and group out.
///
/// # Errors
/// The line for the log.
pub(crate) fn check_private(path: &Path, owner: User) -> Result<(), String> {
    let shown = path.display();
    let found = status(path)
        .map_err(|error| format!("Could not access {shown} : {}", error_text(&error)))?;
    if !found.is_directory {
        return Err(format!("{shown} is not directory"));
    }
    if found.permissions & 0o777 & !0o770 != 0 {
        return Err(format!("Wrong permissions on {shown}"));
    }
    if found.uid != owner.uid {
        return Err(format!("Wrong owner of {shown} (UID != {})", owner.uid));
    }
    if found.gid != owner.gid {
        return Err(format!("Wrong owner of {shown} (GID != {})", owner.gid));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn me() -> User {
        User {
            uid: timewright_sys::process::effective_user(),
            gid: timewright_sys::process::effective_group(),
        }
    }

    #[test]
    fn parents_are_made_and_existing_ones_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.path("a/b/c");
        make(&path, 0o700, me()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&scratch.path("a/b")) & 0o700, 0o700);
        assert_eq!(fs::metadata(&path).unwrap().uid(), me().uid);
        make(&path, 0o770, me()).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_file_on_the_way_is_named() {
        let scratch = Scratch::new();
        let file = scratch.path("file");
        fs::write(&file, "").unwrap();
        let want = format!("{} is not directory", file.display());
        for path in [file.clone(), file.join("sub"), file.join("sub/sub")] {
            assert_eq!(make(&path, 0o750, me()), Err(want.clone()));
        }
        assert_eq!(check_private(&file, me()), Err(want));
    }

    #[test]
    fn the_socket_directory_must_be_private_and_ours() {
        let scratch = Scratch::new();
        let path = scratch.path("run");
        let shown = path.display().to_string();
        let missing = check_private(&path, me()).unwrap_err();
        assert_eq!(
            missing,
            format!("Could not access {shown} : No such file or directory")
        );
        fs::create_dir(&path).unwrap();
        for (mode, good) in [(0o770, true), (0o750, true), (0o700, true), (0o755, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let want = if good {
                Ok(())
            } else {
                Err(format!("Wrong permissions on {shown}"))
            };
            assert_eq!(check_private(&path, me()), want, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let User { uid, gid } = me();
        let other = User { uid: uid + 1, gid };
        let want = format!("Wrong owner of {shown} (UID != {})", uid + 1);
        assert_eq!(check_private(&path, other), Err(want));
        let other = User { uid, gid: gid + 1 };
        let want = format!("Wrong owner of {shown} (GID != {})", gid + 1);
        assert_eq!(check_private(&path, other), Err(want));
    }
}
