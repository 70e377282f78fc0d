//! `cargo xtask demo`: a server and a client on loopback, as any user, with the clock untouched.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::foreground::{Foreground, free_ports};
use crate::shell::{Profile, binaries, command, read, target_dir};

/// How long the client may take to select the server; with `iburst` it takes about six seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the programs, runs the two daemons until they agree, and shows the reports.
pub(crate) fn run() -> Result<()> {
    let mut out = std::io::stdout().lock();
    let programs = binaries(Profile::Debug)?;
    let directory = target_dir().join("demo");
    if directory.is_dir() {
        // The last run's drift file would make this one look better than it is.
        fs::remove_dir_all(&directory)
            .with_context(|| format!("could not remove {}", directory.display()))?;
    }
    let [server_port, client_port] = free_ports()?;
    let start = |name: &str, config: &str| {
        Foreground::start(command(&programs.chronyd), &directory.join(name), config)
    };

    writeln!(
        out,
        "A server with its own clock as reference (`local stratum 1`), udp port {server_port}."
    )?;
    let mut server = start(
        "server",
        &format!("bindaddress 127.0.0.1\nport {server_port}\nallow 127.0.0.1\nlocal stratum 1\n"),
    )?;
    writeln!(
        out,
        "A client of it, asked by chronyc on udp port {client_port}.\n"
    )?;
    let mut client = start(
        "client",
        &format!(
            "server 127.0.0.1 port {server_port} iburst minpoll 2 maxpoll 4\nport 0\n\
             cmdport {client_port}\ndriftfile drift\n"
        ),
    )?;

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
                "the client selected no source within {} seconds\n{}{}",
                PATIENCE.as_secs(),
                server.describe("server"),
                client.describe("client")
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    writeln!(
        out,
        "The client selected the server after {:.1} seconds.",
        start.elapsed().as_secs_f64()
    )?;
    for words in [
        ["sources", "-v"].as_slice(),
        &["sourcestats", "-v"],
        &["tracking"],
    ] {
        writeln!(
            out,
            "\n$ chronyc {}\n{}",
            words.join(" "),
            ask(words)?.trim_end_matches('\n')
        )?;
    }
    client.stop()?;
    server.stop()?;
    writeln!(
        out,
        "\nBoth daemons stopped. Their files are in {}",
        directory.display()
    )?;
    Ok(())
}
