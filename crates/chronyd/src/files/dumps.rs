//! Dump files of sources: `ADDRESS.dat` and `refid:XXXXXXXX.dat` (`daemon-and-files.md` 11.2).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Larger files are none of ours: 64 samples of at most 150 bytes.
const SIZE_MAX: u64 = 64 * 1024;

fn is_dump(name: &str) -> bool {
    name.strip_suffix(".dat")
        .is_some_and(|stem| stem.starts_with("refid:") || stem.parse::<IpAddr>().is_ok())
}

fn paths(directory: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            is_dump(&name).then(|| (name, entry.path()))
        })
        .collect()
}

/// The content of all dump files that can be read, by file name.
pub(crate) fn read_all(directory: &Path) -> BTreeMap<String, String> {
    let small = |path: &Path| std::fs::metadata(path).is_ok_and(|data| data.len() <= SIZE_MAX);
    paths(directory)
        .into_iter()
        .filter(|(_, path)| small(path))
        .filter_map(|(name, path)| Some((name, std::fs::read_to_string(path).ok()?)))
        .collect()
}

/// Removes all dump files; others in the directory stay.
pub(crate) fn remove_all(directory: &Path) {
    for (_, path) in paths(directory) {
        // What cannot be removed is overwritten at exit.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;

    #[test]
    fn only_dump_files_are_read_and_removed() {
        let scratch = Scratch::new();
        let ours = ["192.0.2.1.dat", "2001:db8::1.dat", "refid:7f7f0101.dat"];
        let others = ["x.dat", "192.0.2.1", "192.0.2.1.dat.tmp", ".dat"];
        for name in ours.iter().chain(&others) {
            std::fs::write(scratch.path(name), *name).unwrap();
        }
        let found = read_all(scratch.dir());
        assert!(found.iter().all(|(name, content)| name == content));
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ours);
        remove_all(scratch.dir());
        assert!(read_all(scratch.dir()).is_empty());
        for name in others {
            assert!(scratch.path(name).exists(), "{name}");
        }
        assert!(read_all(Path::new("/no/such/directory")).is_empty());
    }
}
