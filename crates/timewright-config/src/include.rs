//! Which files `confdir` and `sourcedir` mean (`config.md` section 9).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::files::FileSource;
use crate::source::{SourceSpec, parse_sources_fragment};

/// Most directories one `confdir` or `sourcedir` line may name.
pub const DIRECTORIES_MAX: usize = 10;
/// End of the names `confdir` selects.
pub const CONF_SUFFIX: &str = ".conf";
/// End of the names `sourcedir` selects.
pub const SOURCES_SUFFIX: &str = ".sources";

/// The files in `directories` whose names end in `suffix`, in byte order of these names.
///
/// Names with a leading dot are left out. Of equal names only the file of the directory listed
/// first is taken. A directory that cannot be read counts as empty.
#[must_use]
pub fn select_fragments(
    directories: &[PathBuf],
    suffix: &str,
    files: &(impl FileSource + ?Sized),
) -> Vec<PathBuf> {
    let mut by_name: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        for name in files.list_directory(directory).unwrap_or_default() {
            if is_fragment(&name, suffix) {
                by_name
                    .entry(name.clone())
                    .or_insert_with(|| join(directory, &name));
            }
        }
    }
    by_name.into_values().collect()
}

/// The sources of all fragments that the `sourcedir` lines of a configuration select.
///
/// `source_dirs` is [`Config::source_dirs`](crate::Config::source_dirs). Files that cannot be read
/// are skipped.
#[must_use]
pub fn read_source_dirs(
    source_dirs: &[Vec<PathBuf>],
    files: &(impl FileSource + ?Sized),
) -> Vec<SourceSpec> {
    source_dirs
        .iter()
        .flat_map(|directories| select_fragments(directories, SOURCES_SUFFIX, files))
        .filter_map(|path| files.read_file(&path).ok())
        .flat_map(|content| parse_sources_fragment(&content))
        .collect()
}

fn is_fragment(name: &OsStr, suffix: &str) -> bool {
    let name = name.as_bytes();
    name.ends_with(suffix.as_bytes()) && !name.starts_with(b".")
}

/// Directory, slash, name: messages show the path in exactly this form.
fn join(directory: &Path, name: &OsStr) -> PathBuf {
    let bytes = [directory.as_os_str().as_bytes(), b"/", name.as_bytes()].concat();
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    fn select(directories: &[&str], files: &MemoryFiles) -> Vec<String> {
        let directories: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
        select_fragments(&directories, CONF_SUFFIX, files)
            .into_iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn fragments_are_ordered_by_base_name() {
        let files = [
            "/a/b.conf",
            "/a/.h.conf",
            "/a/.conf",
            "/b/a.conf",
            "/b/b.conf",
            "/b/c.con",
        ]
        .iter()
        .fold(MemoryFiles::new(), |files, name| files.with(name, ""));
        assert_eq!(select(&["/a", "/b"], &files), ["/b/a.conf", "/a/b.conf"]);
        assert_eq!(select(&["/b", "/a"], &files), ["/b/a.conf", "/b/b.conf"]);
        assert_eq!(select(&["/none", "/a/"], &files), ["/a//b.conf"]);
        assert!(select(&["/a/b.conf", "/*"], &files).is_empty());
    }

    #[test]
    fn byte_order_is_not_that_of_a_dictionary() {
        let files = ["/a/b.conf", "/a/B.conf", "/a/10.conf", "/a/9.conf"]
            .iter()
            .fold(MemoryFiles::new(), |files, name| files.with(name, ""));
        let want = ["/a/10.conf", "/a/9.conf", "/a/B.conf", "/a/b.conf"];
        assert_eq!(select(&["/a"], &files), want);
    }

    #[test]
    fn each_sourcedir_line_stands_alone() {
        let files = MemoryFiles::new()
            .with("/a/x.sources", "server a1\nserver a2\n")
            .with("/b/x.sources", "server b1\n")
            .with("/b/w.sources", "server b2");
        let names = |lines: &[&[&str]]| -> Vec<String> {
            let lines: Vec<Vec<PathBuf>> = lines
                .iter()
                .map(|dirs| dirs.iter().map(PathBuf::from).collect())
                .collect();
            read_source_dirs(&lines, &files)
                .into_iter()
                .map(|spec| spec.name)
                .collect()
        };
        assert_eq!(names(&[&["/a", "/b"]]), ["a1", "a2"]);
        assert_eq!(
            names(&[&["/a"], &["/b"], &["/a"]]),
            ["a1", "a2", "b1", "a1", "a2"]
        );
    }
}
