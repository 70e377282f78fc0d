//! The daemon as a process: its command line, going into the background, pid file, notification,
//! privileges. Everything runs on loopback or not at all, with `-x`, and leaves nothing behind.
//!
//! `cmdport 0` and `port 0` keep fixed ports out of these tests.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics says where"
)]

use std::io::Read;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("timewright-process-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn daemon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chronyd"));
    command
        .stdin(Stdio::null())
        .env_remove("NOTIFY_SOCKET")
        .env_remove("LISTEN_FDS");
    command
}

/// A daemon that controls nothing and opens only its Unix socket.
fn harmless(scratch: &Scratch) -> Vec<String> {
    vec![
        "port 0".into(),
        "cmdport 0".into(),
        format!("bindcmdaddress {}", scratch.text("run/s")),
        format!("pidfile {}", scratch.text("pid")),
    ]
}

fn run(args: &[&str]) -> Output {
    daemon().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Ends the child when a test fails half way.
struct Guard(Child);

impl Guard {
    #[track_caller]
    fn ended(&mut self) -> i32 {
        let mut status = None;
        wait_for("the daemon to end", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn pid_in(path: &Path) -> u32 {
    let mut pid = None;
    wait_for("the pid file", || {
        let content = std::fs::read_to_string(path).unwrap_or_default();
        pid = content
            .strip_suffix('\n')
            .and_then(|text| text.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

#[test]
fn version_and_help_go_to_standard_output() {
    let output = run(&["--version", "-Z"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(text(&output.stdout).starts_with("chronyd (timewright "));
    let output = run(&["-h"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout).lines().count(), 26);
    let output = run(&["-t"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).ends_with(": option requires an argument -- 't'\n"));
    assert!(text(&output.stdout).starts_with("Usage: "));
}

#[test]
fn printing_the_configuration() {
    let output = run(&["-p", "  server   a  iburst ", "# comment", "port 0"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(text(&output.stdout), "server a iburst\nport 0\n");
    let output = run(&["-p", "port 0", "bogus"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "port 0\nbogus\n");
    let message = "Z Fatal error : Invalid directive bogus at line 2\n";
    assert!(text(&output.stderr).ends_with(message));
}

#[test]
fn in_the_foreground_with_signals() {
    for name in ["TERM", "INT", "QUIT", "HUP"] {
        let scratch = Scratch::new();
        let child = daemon()
            .args(["-U", "-d", "-x"])
            .args(harmless(&scratch))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = Guard(child);
        wait_for("the command socket", || scratch.path("run/s").exists());
        let pid = pid_in(&scratch.path("pid"));
        assert_eq!(pid, child.0.id());
        signal(name, pid);
        assert_eq!(child.ended(), 0, "{name}");
        assert!(!scratch.path("pid").exists() && !scratch.path("run/s").exists());
        let mut log = String::new();
        let mut stderr = child.0.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        let lines: Vec<&str> = log.lines().filter_map(|line| line.get(21..)).collect();
        assert!(lines[0].starts_with("chronyd version 4.8 starting (+CMDMON "));
        assert_eq!(lines.last(), Some(&"chronyd exiting"), "{log}");
        assert!(lines.contains(&"Disabled control of system clock"));
    }
}

#[test]
fn into_the_background_and_only_once() {
    let scratch = Scratch::new();
    let args = harmless(&scratch);
    let log = scratch.text("log");
    let start = || {
        daemon()
            .args(["-U", "-x", "-l", &log])
            .args(&args)
            .output()
            .unwrap()
    };
    let output = start();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // The foreground process returned because the daemon is ready, so all is in place.
    let pid = pid_in(&scratch.path("pid"));
    assert!(scratch.path("run/s").exists());
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd, Path::new("/"));

    let output = start();
    assert_eq!(output.status.code(), Some(1));
    let message = format!(
        "Another chronyd may already be running (pid={pid}), check {}\n",
        scratch.text("pid")
    );
    assert_eq!(text(&output.stderr), message);

    signal("TERM", pid);
    wait_for("the end", || !Path::new(&format!("/proc/{pid}")).exists());
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.ends_with(" chronyd exiting\n"), "{log}");
    assert!(log.contains(" Fatal error : Another chronyd may"));
    assert!(!scratch.path("pid").exists());
}

#[test]
fn fatal_errors_reach_whoever_started_it() {
    let scratch = Scratch::new();
    let log = scratch.text("log");
    let args = harmless(&scratch);
    let output = daemon()
        .args(["-U", "-x", "-l", &log, "-u", "no such user"])
        .args(&args)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = "Could not get user/group ID of no such user";
    assert_eq!(text(&output.stderr), format!("{message}\n"));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.ends_with(&format!("Z Fatal error : {message}\n")));
    let output = daemon()
        .args(["-U", "-x", "-d", "-l", "/no/such/log"])
        .args(&args)
        .output()
        .unwrap();
    let message = "Fatal error : Could not open /no/such/log : No such file or directory\n";
    assert!(text(&output.stderr).ends_with(message));
}

#[test]
fn the_service_manager_is_told() {
    let scratch = Scratch::new();
    let manager = UnixDatagram::bind(scratch.path("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let child = daemon()
        .args(["-U", "-d", "-x"])
        .args(harmless(&scratch))
        .env("NOTIFY_SOCKET", scratch.path("notify"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Guard(child);
    let mut buffer = [0; 64];
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(text(&buffer[..length]), "READY=1");
    signal("TERM", child.0.id());
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(text(&buffer[..length]), "STOPPING=1");
    assert_eq!(child.ended(), 0);
}

#[test]
fn a_passed_socket_is_used_for_commands() {
    let scratch = Scratch::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let passed = OwnedFd::from(socket);
    // The shell moves the socket from standard input to descriptor 3.
    let child = Command::new("sh")
        .args(["-c", "exec \"$@\" 3<&0 </dev/null", "sh"])
        .arg(env!("CARGO_BIN_EXE_chronyd"))
        .args(["-U", "-d", "-x", "-4"])
        .args(harmless(&scratch))
        .arg(format!("cmdport {port}"))
        .env("LISTEN_FDS", "1")
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::from(passed))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Guard(child);
    wait_for("the command socket", || scratch.path("run/s").exists());
    let pid = child.0.id();
    let link = std::fs::read_link(format!("/proc/{pid}/fd/3")).unwrap();
    assert!(link.display().to_string().starts_with("socket:"));
    // A tracking request over the passed socket is answered.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = [0; 104];
    request[..8].copy_from_slice(&[6, 1, 0, 0, 0, 33, 0, 0]);
    client.send_to(&request, ("127.0.0.1", port)).unwrap();
    let mut reply = [0; 512];
    let (length, from) = client.recv_from(&mut reply).unwrap();
    assert_eq!((length, from.port()), (104, port));
    assert_eq!(reply[..2], [6, 2]);
    signal("TERM", pid);
    assert_eq!(child.ended(), 0);
}

#[test]
fn root_is_given_up_but_for_the_clock() {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        // The decision what to keep is tested in `boot::identity`.
        eprintln!("not tested: only root has anything to give up");
        return;
    }
    let scratch = Scratch::new();
    let child = daemon()
        .args(["-d", "-x", "-u", "nobody"])
        .args(harmless(&scratch))
        .arg("port 123")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Guard(child);
    wait_for("the command socket", || scratch.path("run/s").exists());
    let pid = child.0.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    assert_ne!(field("Uid:"), "0\t0\t0\t0");
    assert_eq!(field("Groups:"), "");
    // With -x only CAP_NET_BIND_SERVICE (bit 10) is left.
    for set in ["CapEff:", "CapPrm:"] {
        assert_eq!(field(set), "0000000000000400", "{set}");
    }
    assert_eq!(field("CapInh:"), "0000000000000000");
    assert_eq!(field("NoNewPrivs:"), "1");
    signal("TERM", pid);
    assert_eq!(child.ended(), 0);
}

#[test]
fn nothing_to_do_is_an_error() {
    let output = run(&[
        "-U",
        "-d",
        "-x",
        "port 0",
        "cmdport 0",
        "bindcmdaddress /",
        "pidfile /",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).ends_with("Z Fatal error : Nothing to do\n"));
}

/// A server on loopback, on a port that was free a moment ago.
fn server(scratch: &Scratch) -> (Guard, u16) {
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let child = daemon()
        .args(["-U", "-d", "-x", "-4", "local stratum 3", "allow 127.0.0.1"])
        .args(harmless(scratch))
        .args([format!("port {port}"), "bindaddress 127.0.0.1".into()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the server", || scratch.path("run/s").exists());
    (Guard(child), port)
}

#[test]
fn a_client_measures_a_server_with_kernel_stamps() {
    let scratch = Scratch::new();
    let (_server, port) = server(&scratch);
    let output = run(&[
        "-Q",
        "-4",
        &format!("server 127.0.0.1 port {port} iburst maxsamples 1"),
        &format!("logdir {}", scratch.text("log")),
        &format!("driftfile {}", scratch.text("drift")),
        "log measurements",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let log = text(&output.stderr);
    let (_, rest) = log.split_once("System clock wrong by ").expect(log);
    let (offset, rest) = rest.split_once(" seconds (ignored)\n").expect(log);
    // Both read the same clock; a loaded machine may delay one direction.
    assert!(offset.parse::<f64>().unwrap().abs() < 0.5, "{log}");
    assert!(rest.ends_with(" chronyd exiting\n"), "{log}");
    let records = std::fs::read_to_string(scratch.path("log/measurements.log")).unwrap();
    let lines: Vec<&str> = records.lines().collect();
    assert_eq!(lines.len(), 4, "{records}");
    assert!(
        lines[3].contains(" 127.0.0.1       N  3 111 111 1111 "),
        "{records}"
    );
    assert!(lines[3].ends_with(" 7F7F0101 4B K K"), "{records}");
    let drift = std::fs::read_to_string(scratch.path("drift")).unwrap();
    assert_eq!(drift.len(), 42);
}

#[test]
fn without_an_answer_the_measurement_fails() {
    let scratch = Scratch::new();
    let (guard, port) = server(&scratch);
    drop(guard);
    let started = Instant::now();
    let output = run(&[
        "-Q",
        "-4",
        "-t",
        "1",
        &format!("server 127.0.0.1 port {port} iburst"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    assert!(
        log.contains(" Timeout reached\n") && log.ends_with(" chronyd exiting\n"),
        "{log}"
    );
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn files_that_are_no_files_are_said_to_be_unreadable() {
    let scratch = Scratch::new();
    let dir = scratch.text("");
    let output = run(&["-Q", &format!("driftfile {dir}")]);
    let log = text(&output.stderr);
    let message = format!(" Could not read valid frequency and skew from driftfile {dir}\n");
    assert!(log.contains(&message), "{log}");
    let output = run(&["-Q", &format!("tempcomp /dev/null 1 {dir}none")]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    let message = format!(" Fatal error : Could not open {dir}none : No such file or directory\n");
    assert!(log.ends_with(&message), "{log}");
}
