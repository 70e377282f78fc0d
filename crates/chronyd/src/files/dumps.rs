//! Dump files of sources: `ADDRESS.dat` and `refid:XXXXXXXX.dat` (`daemon-and-files.md` 11.2).

use super::read_regular;
use super::replace::SUFFIX;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Larger files are none of ours: 64 samples of at most 150 bytes.
const SIZE_MAX: u64 = 64 * 1024;

fn is_dump(name: &str) -> bool {
    name.strip_suffix(".dat")
        .is_some_and(|stem| stem.starts_with("refid:") || stem.parse::<IpAddr>().is_ok())
}

fn paths(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            wanted(&name).then(|| (name, entry.path()))
        })
        .collect()
}

/// The content of all dump files that can be read, by file name.
pub(crate) fn read_all(directory: &Path) -> BTreeMap<String, String> {
    let content = |path: &Path| {
        let bytes = read_regular(path, SIZE_MAX + 1).ok()?;
        let is_whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= SIZE_MAX);
        is_whole.then(|| String::from_utf8(bytes).ok())?
    };
    paths(directory, is_dump)
        .into_iter()
        .filter_map(|(name, path)| Some((name, content(&path)?)))
        .collect()
}

/// Removes all dump files, and what a killed daemon left of new ones; others in the directory
/// stay.
pub(crate) fn remove_all(directory: &Path) {
    let is_ours = |name: &str| is_dump(name.strip_suffix(SUFFIX).unwrap_or(name));
    for (_, path) in paths(directory, is_ours) {
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
        let leftover = "192.0.2.7.dat.tmp";
        let others = ["x.dat", "192.0.2.1", "x.dat.tmp", "192.0.2.1.tmp", ".dat"];
        for name in ours.iter().chain(&others).chain([&leftover]) {
            std::fs::write(scratch.path(name), *name).unwrap();
        }
        let found = read_all(scratch.dir());
        assert!(found.iter().all(|(name, content)| name == content));
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ours);
        remove_all(scratch.dir());
        assert!(read_all(scratch.dir()).is_empty());
        assert!(!scratch.path(leftover).exists());
        for name in others {
            assert!(scratch.path(name).exists(), "{name}");
        }
        assert!(read_all(Path::new("/no/such/directory")).is_empty());
    }

    #[test]
    fn what_cannot_be_a_dump_is_left_out() {
        let scratch = Scratch::new();
        let long = "x".repeat(usize::try_from(SIZE_MAX).unwrap() + 1);
        std::fs::write(scratch.path("192.0.2.1.dat"), &long).unwrap();
        std::fs::write(scratch.path("192.0.2.2.dat"), &long[1..]).unwrap();
        std::fs::write(scratch.path("192.0.2.3.dat"), b"\xff").unwrap();
        std::fs::create_dir(scratch.path("192.0.2.4.dat")).unwrap();
        scratch.fifo("192.0.2.5.dat");
        let found = read_all(scratch.dir());
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["192.0.2.2.dat"]);
    }
}
