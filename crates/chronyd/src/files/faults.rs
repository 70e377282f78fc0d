//! What to say of files that cannot be written: one line when a fault appears, one an hour while
//! it lasts, so that a full disk does not fill the log as well.

use super::FileError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use timewright_time::{MonoTime, Seconds};

/// While a fault lasts it is told again after this long: the default interval of the drift file.
const REPEAT: Seconds = Seconds(3600.0);

/// Most files that are remembered; past this all may be told again.
const FILES_MAX: usize = 256;

/// Files whose last write failed.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    failing: BTreeMap<PathBuf, Fault>,
}

#[derive(Debug)]
struct Fault {
    /// The error number.
    reason: Option<i32>,
    told: MonoTime,
}

impl Faults {
    pub(crate) const fn new() -> Self {
        Self {
            failing: BTreeMap::new(),
        }
    }

    /// Notes a failure; whether it is to be told.
    pub(crate) fn failed(&mut self, path: &Path, error: &FileError, now: MonoTime) -> bool {
        let reason = error.number();
        let is_known = self
            .failing
            .get(path)
            .is_some_and(|known| known.reason == reason && now - known.told < REPEAT);
        if is_known {
            return false;
        }
        if self.failing.len() >= FILES_MAX {
            self.failing.clear();
        }
        let fault = Fault { reason, told: now };
        self.failing.insert(path.to_owned(), fault);
        true
    }

    /// Notes a success; the next failure is told.
    pub(crate) fn succeeded(&mut self, path: &Path) {
        self.failing.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn error(number: i32) -> FileError {
        FileError::Write("/f".to_owned(), io::Error::from_raw_os_error(number))
    }

    #[test]
    fn a_fault_is_told_once_an_hour_until_it_is_over() {
        let at = |s: i64| MonoTime::from_ns(s * 1_000_000_000);
        let (f, g) = (Path::new("/f"), Path::new("/g"));
        let mut faults = Faults::new();
        assert!(faults.failed(f, &error(28), at(0)));
        assert!(!faults.failed(f, &error(28), at(1)));
        assert!(!faults.failed(f, &error(28), at(3599)));
        assert!(faults.failed(f, &error(28), at(3600)));
        assert!(!faults.failed(f, &error(28), at(7199)));
        // Another reason and another file are other faults.
        assert!(faults.failed(f, &error(30), at(7200)));
        assert!(faults.failed(g, &error(30), at(7200)));
        faults.succeeded(f);
        assert!(faults.failed(f, &error(30), at(7201)));
        assert!(!faults.failed(g, &error(30), at(7201)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut faults = Faults::new();
        for n in 0..3 * FILES_MAX {
            let path = PathBuf::from(format!("/f{n}"));
            assert!(faults.failed(&path, &error(28), MonoTime::from_ns(0)));
            assert!(faults.failing.len() <= FILES_MAX);
        }
    }
}
