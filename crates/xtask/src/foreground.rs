//! A daemon under test in the foreground, with a directory and a log of its own.

use std::fmt::Display;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{command, read, tail};

/// How long an orderly stop may take.
const STOPPING: Duration = Duration::from_secs(10);

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
        let config = format!("pidfile chronyd.pid\ncmdport 0\nbindcmdaddress /\n{config}");
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

    /// Ends the daemon as a service manager does and checks that it went in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.check()?;
        read(
            command("sh")
                .arg("-c")
                .arg(format!("kill -TERM {}", self.id())),
        )?;
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() > STOPPING => {
                    bail!(self.describe("the daemon did not stop after a TERM signal"))
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if !status.success() {
            bail!(self.describe(format!("the daemon stopped with {status}")));
        }
        Ok(())
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

/// UDP ports of the loopback address that nobody uses at the moment.
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    // All are open before the first is closed, so that they differ.
    let mut sockets = Vec::new();
    for _ in 0..COUNT {
        let socket = UdpSocket::bind(("127.0.0.1", 0));
        sockets.push(socket.context("could not open a UDP socket on 127.0.0.1")?);
    }
    let mut ports = [0; COUNT];
    for (port, socket) in ports.iter_mut().zip(&sockets) {
        *port = socket.local_addr()?.port();
    }
    Ok(ports)
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // Already gone if it ended early; then both calls fail, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
