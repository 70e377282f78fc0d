//! A daemon under test in the foreground, with a directory and a log of its own.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell::{command, read, tail};

/// A running chronyd that leaves the clock alone, killed when dropped.
pub(crate) struct Foreground {
    child: Child,
    directory: PathBuf,
}

impl Foreground {
    /// Starts `chronyd`, a command without arguments that becomes the daemon, in `directory` with
    /// the configuration `config`.
    pub(crate) fn start(mut chronyd: Command, directory: &Path, config: &str) -> Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("could not create {}", directory.display()))?;
        // A name relative to the daemon's own directory; no Unix socket, whose path may be too long.
        let config = format!("{config}pidfile chronyd.pid\ncmdport 0\nbindcmdaddress /\n");
        fs::write(directory.join("chrony.conf"), config)?;
        // Left by a daemon that was killed; mostly there is none.
        let _ = fs::remove_file(directory.join("chronyd.pid"));
        let log = fs::File::create(directory.join("log"))?;
        let user = read(command("id").arg("-un"))?;
        let child = chronyd
            .args(["-d", "-x", "-U", "-u", user.trim(), "-f", "chrony.conf"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", chronyd.get_program().display()))?;
        Ok(Self {
            child,
            directory: directory.to_path_buf(),
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(self.describe(format!("the daemon ended with {status}"))),
        }
    }

    /// Adds where it runs and what it said last to a message.
    pub(crate) fn describe(&self, what: impl Display) -> String {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        format!(
            "{what} in {}, log:\n{}\n",
            self.directory.display(),
            tail(&log, 10)
        )
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // Already gone if it ended early; then both calls fail, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
