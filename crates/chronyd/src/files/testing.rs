//! A directory of its own for each test, removed afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("timewright-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a named pipe.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A file system of a few kilobytes; only root can make one.
pub(crate) struct SmallDisk(Scratch);

impl SmallDisk {
    /// `None`, said on standard error, where mounting is not allowed; the process tests, which
    /// need root anyway, have full disks as well.
    pub(crate) fn mounted(size: &str) -> Option<Self> {
        let scratch = Scratch::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(scratch.dir())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("not tested: cannot mount a file system here");
        }
        mounted.then_some(Self(scratch))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.dir()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.dir()).status();
    }
}
