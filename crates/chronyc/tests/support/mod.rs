//! A daemon made of a closure, and runs of the real `chronyc` against it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use timewright_control::server::{Admission, OpenCommands, Transport, admit};
use timewright_control::{Reply, Request};

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) out: String,
    pub(crate) errors: String,
    pub(crate) status: i32,
}

/// The program under test. `CHRONYC` names another one, to hold it to the same texts.
fn program() -> String {
    std::env::var("CHRONYC").unwrap_or_else(|_| env!("CARGO_BIN_EXE_chronyc").to_owned())
}

/// Runs `chronyc` with arguments and text on its standard input.
pub(crate) fn run(arguments: &[&str], input: &str) -> Ended {
    let mut child = Command::new(program())
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ended early does not read; that is for the caller to find out.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ended {
        out: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code().unwrap_or(-1),
    }
}

/// Serves every request that a daemon would accept with what `answer` says, while `body` runs;
/// `body` gets the port.
pub(crate) fn with_daemon<T>(
    mut answer: impl FnMut(&Request) -> Reply + Send + 'static,
    body: impl FnOnce(&str) -> T,
) -> T {
    with_raw_daemon(
        move |datagram| match admit(datagram, Transport::Unix, OpenCommands::NONE, || true) {
            Admission::Silence => vec![],
            Admission::Refuse(bytes) => vec![bytes],
            Admission::Accept(request, responder) => {
                responder.reply(&answer(&request)).into_iter().collect()
            }
        },
        body,
    )
}

/// The same on the level of datagrams: any number of answers to each.
pub(crate) fn with_raw_daemon<T>(
    mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    body: impl FnOnce(&str) -> T,
) -> T {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let daemon = thread::spawn(move || {
        let mut buffer = [0; 2048];
        while !stopped.load(Ordering::Relaxed) {
            let Ok((len, peer)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            for reply in answer(&buffer[..len]) {
                let _ = socket.send_to(&reply, peer);
            }
        }
    });
    let result = body(&port);
    stop.store(true, Ordering::Relaxed);
    daemon.join().unwrap();
    result
}

/// Runs one command against a daemon on loopback.
pub(crate) fn ask(port: &str, options: &[&str], command: &str) -> Ended {
    let mut arguments = vec!["-h", "127.0.0.1", "-p", port];
    arguments.extend(options);
    arguments.push(command);
    run(&arguments, "")
}

/// A successful run that printed this.
#[track_caller]
pub(crate) fn check_prints(ended: &Ended, want: &str) {
    assert_eq!(
        ended.out, want,
        "\n--- got\n{}--- wanted\n{want}",
        ended.out
    );
    assert_eq!((ended.errors.as_str(), ended.status), ("", 0));
}
