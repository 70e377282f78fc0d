//! `cargo xtask demo`: a server and a client on loopback, as any user, with the clock untouched.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{Binaries, Profile, binaries, command, read, tail, target_dir};

/// How long the client may take to select the server; with `iburst` it takes about six seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the programs, runs the two daemons until they agree, and shows the reports.
pub(crate) fn run() -> Result<()> {
    let programs = binaries(Profile::Debug)?;
    let directory = target_dir().join("demo");
    if directory.is_dir() {
        // The last run's drift file would make this one look better than it is.
        fs::remove_dir_all(&directory)
            .with_context(|| format!("could not remove {}", directory.display()))?;
    }
    let [server_port, client_port] = free_ports()?;
    let user = read(command("id").arg("-un"))?;
    let user = user.trim();

    println!(
        "A server with its own clock as reference (`local stratum 1`), udp port {server_port}."
    );
    let server = format!(
        "bindaddress 127.0.0.1\nport {server_port}\ncmdport 0\nallow 127.0.0.1\nlocal stratum 1\n"
    );
    let mut server = Daemon::start(&programs, &directory.join("server"), user, &server)?;
    println!("A client of it, asked by chronyc on udp port {client_port}.\n");
    let client = format!(
        "server 127.0.0.1 port {server_port} iburst minpoll 2 maxpoll 4\nport 0\ncmdport {client_port}\n"
    );
    let mut client = Daemon::start(&programs, &directory.join("client"), user, &client)?;

    let port = client_port.to_string();
    let ask = |words: &[&str]| {
        read(
            command(&programs.chronyc)
                .args(["-n", "-h", "127.0.0.1", "-p", &port])
                .args(words),
        )
    };
    let start = Instant::now();
    loop {
        server.check()?;
        client.check()?;
        if ask(&["-c", "sources"]).is_ok_and(|rows| rows.starts_with("^,*,")) {
            break;
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "the client selected no source within {} seconds\nserver's log:\n{}\nclient's log:\n{}",
                PATIENCE.as_secs(),
                server.log(),
                client.log()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "The client selected the server after {:.1} seconds.",
        start.elapsed().as_secs_f64()
    );
    for words in [
        ["sources", "-v"].as_slice(),
        &["sourcestats", "-v"],
        &["tracking"],
    ] {
        println!(
            "\n$ chronyc {}\n{}",
            words.join(" "),
            ask(words)?.trim_end_matches('\n')
        );
    }
    client.stop()?;
    server.stop()?;
    println!(
        "\nBoth daemons stopped. Their files are in {}",
        directory.display()
    );
    Ok(())
}

/// Two UDP ports of the loopback address that nobody uses at the moment.
fn free_ports() -> Result<[u16; 2]> {
    let open =
        || UdpSocket::bind(("127.0.0.1", 0)).context("could not open a UDP socket on 127.0.0.1");
    let (first, second) = (open()?, open()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// A daemon in the foreground with a directory of its own, killed when dropped.
struct Daemon {
    child: Child,
    directory: PathBuf,
}

impl Daemon {
    fn start(programs: &Binaries, directory: &Path, user: &str, config: &str) -> Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("could not create {}", directory.display()))?;
        // Names relative to the daemon's own directory; no Unix socket, whose path may be too long.
        let config = format!(
            "{config}pidfile chronyd.pid\ndriftfile drift\nbindcmdaddress /\nbindcmdaddress 127.0.0.1\n"
        );
        fs::write(directory.join("chrony.conf"), config)?;
        let log = fs::File::create(directory.join("log"))?;
        let child = command(&programs.chronyd)
            .args(["-d", "-x", "-U", "-u", user, "-f", "chrony.conf"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start {}", programs.chronyd.display()))?;
        Ok(Self {
            child,
            directory: directory.to_path_buf(),
        })
    }

    fn log(&self) -> String {
        tail(
            &fs::read_to_string(self.directory.join("log")).unwrap_or_default(),
            20,
        )
    }

    fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("chronyd ended early with {status}:\n{}", self.log()),
        }
    }

    /// Ends the daemon as a service manager does and checks that it went in order.
    fn stop(&mut self) -> Result<()> {
        self.check()?;
        read(
            command("sh")
                .arg("-c")
                .arg(format!("kill -TERM {}", self.child.id())),
        )?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > Duration::from_secs(10) {
                bail!(
                    "chronyd did not stop within ten seconds of a TERM signal:\n{}",
                    self.log()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("chronyd stopped with {status}:\n{}", self.log());
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone after an orderly stop; then both calls fail, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
