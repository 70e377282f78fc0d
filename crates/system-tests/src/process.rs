//! A program that was started on a host.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{seconds, try_wait_for};

/// A running or ended program with all it printed; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    line: String,
    stdin: Option<ChildStdin>,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// With `input` its standard input is that text, without it stays open for [`Self::type_in`].
    pub(crate) fn spawn(mut command: Command, line: &str, input: Option<&str>) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut readers = Vec::new();
        let stdout = collect(child.stdout.take().expect("a pipe"), &mut readers);
        let stderr = collect(child.stderr.take().expect("a pipe"), &mut readers);
        let mut stdin = child.stdin.take();
        if let Some((text, mut pipe)) = input.zip(stdin.take_if(|_| input.is_some())) {
            let text = text.as_bytes().to_vec();
            readers.push(std::thread::spawn(move || {
                // A program that does not read its input is not at fault.
                let _ = pipe.write_all(&text);
            }));
        }
        Self {
            child,
            line: line.to_owned(),
            stdin,
            stdout,
            stderr,
            readers,
            ended: None,
        }
    }

    /// Its process id, on the machine and on the host alike.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Standard error so far; with `-d` the daemon's log.
    #[must_use]
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Writes `text` to its standard input.
    #[track_caller]
    pub fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("a program started by `spawn`");
        stdin
            .write_all(text.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", self.line));
    }

    /// True once the program has ended.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our own child");
        }
        self.ended.is_some()
    }

    /// Waits for the end and returns the exit status, or minus the number of the signal.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> i32 {
        let ended = try_wait_for(patience, || self.has_ended().then_some(()));
        assert!(
            ended.is_some(),
            "{} still runs after {patience:?}\n{}",
            self.line,
            self.stderr()
        );
        // A daemon in the background holds no pipe of ours, so the readers end with the program.
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let status = self.ended.expect("waited for above");
        status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or_default())
    }

    /// Waits until standard error contains `text` and returns that line.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str, patience: Duration) -> String {
        let found = try_wait_for(patience, || {
            self.stderr()
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("{}: no line `{text}` in\n{}", self.line, self.stderr()))
    }

    /// Sends a signal by name (`TERM`).
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.id());
        let status = Command::new("sh")
            .args(["-c", &script])
            .status()
            .expect("a shell");
        assert!(status.success(), "{script}: {} has ended", self.line);
    }

    /// Asks a daemon to stop, as a service manager does, and checks that it did so in order.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait(seconds(10));
        assert!(
            status == 0,
            "{}: status {status} after TERM\n{}",
            self.line,
            self.stderr()
        );
    }

    /// A field of `/proc/PID/status`, without its name.
    #[track_caller]
    #[must_use]
    pub fn status_field(&self, name: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.line, self.stderr()));
        let field = status
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")));
        field
            .unwrap_or_else(|| panic!("no field {name} in\n{status}"))
            .trim()
            .to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // The test failed; what the programs said is half of the explanation.
            eprintln!(
                "--- {} (pid {})\n{}{}",
                self.line,
                self.id(),
                self.stdout(),
                self.stderr()
            );
        }
    }
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().expect("no panic while locked")).into_owned()
}

/// Reads a pipe to its end on a thread of its own.
fn collect(
    mut pipe: impl Read + Send + 'static,
    readers: &mut Vec<JoinHandle<()>>,
) -> Arc<Mutex<Vec<u8>>> {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&bytes);
    readers.push(std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = pipe.read(&mut buffer) {
            if length == 0 {
                break;
            }
            writer
                .lock()
                .expect("no panic while locked")
                .extend_from_slice(buffer.get(..length).unwrap_or_default());
        }
    }));
    bytes
}
