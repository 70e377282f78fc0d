//! Hosts made of namespaces.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{Process, Programs, seconds, try_wait_for, wait_for};

/// Bit of the right to set the clock in a capability set (`capability.h`).
const CAP_SYS_TIME: u32 = 25;

/// Prepares the namespaces of a host and then keeps them until its input is closed, which also
/// happens when the test dies. `$1` is the host's name, the rest pairs of a name and a file.
const HOST_SCRIPT: &str = r#"
set -e
name=$1; shift
ip link set lo up
echo "$name" > /proc/sys/kernel/hostname
own=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$own"
mkdir "$own/bin" "$own/etc" "$own/dev" "$own/work"
while [ $# -gt 0 ]; do
    touch "$own/bin/$1"; mount --bind "$2" "$own/bin/$1"; shift 2
done
cp -a /etc/. "$own/etc"
for node in null zero full random urandom tty; do
    touch "$own/dev/$node"; mount --bind "/dev/$node" "$own/dev/$node"
done
mkdir "$own/dev/pts" "$own/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$own/dev/pts"
ln -s pts/ptmx "$own/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$own/dev/shm"
mount --rbind "$own/etc" /etc
mount --rbind "$own/dev" /dev
for state in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$state"; done
mount -t sysfs sysfs /sys
mount --move "$own" /mnt
rmdir "$own"
echo ready
exec cat
"#;

/// A switch that hosts are plugged into; its own network namespace, invisible to the machine.
#[derive(Debug)]
pub struct Lab {
    switch: Holder,
    programs: Programs,
    ports: std::cell::Cell<u32>,
}

impl Lab {
    /// A switch without hosts.
    ///
    /// # Panics
    ///
    /// When this process could set the clock, is not root, or a program is missing.
    #[must_use]
    pub fn new() -> Self {
        refuse_the_right_to_set_the_clock();
        let switch = Holder::start(
            "ip link add name switch type bridge && ip link set switch up && echo ready && exec cat",
            &["--net"],
            &[],
        );
        Self {
            switch,
            programs: Programs::from_environment(),
            ports: std::cell::Cell::new(0),
        }
    }

    /// A new host `name` with `address` (`192.168.163.131/24`, IPv6 likewise) on the switch.
    #[must_use]
    pub fn host(&self, name: &str, address: &str) -> Host {
        let mut arguments = vec![name.to_owned()];
        for (program, file) in &self.programs.on_path {
            arguments.push((*program).to_owned());
            arguments.push(file.display().to_string());
        }
        let holder = Holder::start(
            HOST_SCRIPT,
            &["--net", "--mount", "--uts", "--ipc"],
            &arguments,
        );
        let port = self.ports.get();
        self.ports.set(port + 1);
        self.switch.must(&format!(
            "ip link add name port{port} type veth peer name eth0 netns {}
             ip link set port{port} master switch up",
            holder.pid()
        ));
        let host = Host {
            holder,
            name: name.to_owned(),
        };
        host.must(&format!(
            "ip address add {address} dev eth0 && ip link set eth0 up"
        ));
        // Users a daemon may be told to become; Debian's reference wants the second one.
        host.append("/etc/passwd", "chrony:x:990:990::/var/lib/chrony:/usr/sbin/nologin\n_chrony:x:991:991::/var/lib/chrony:/usr/sbin/nologin\n");
        host.append("/etc/group", "chrony:x:990:\n_chrony:x:991:\n");
        // Where Debian's reference looks for what others have in /etc.
        host.must("rm -rf /etc/chrony && mkdir /etc/chrony && ln -s ../chrony.conf /etc/chrony/chrony.conf");
        host
    }

    /// The two hosts of the walkthrough, which know each other by name: server and client.
    #[must_use]
    pub fn server_and_client(&self) -> (Host, Host) {
        let server = self.host("host131", "192.168.163.131/24");
        let client = self.host("host132", "192.168.163.132/24");
        for host in [&server, &client] {
            host.append(
                "/etc/hosts",
                "\n192.168.163.131 host131\n192.168.163.132 host132\n",
            );
        }
        (server, client)
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

/// Fails unless the right to set the clock is gone for good, for us and all that we start.
fn refuse_the_right_to_set_the_clock() {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let field = |key: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .expect("a known field");
        u64::from_str_radix(line.trim(), 16).expect("capability sets are hexadecimal")
    };
    let reachable = field("CapBnd:") | field("CapPrm:") | field("CapInh:") | field("CapAmb:");
    assert!(
        reachable >> CAP_SYS_TIME & 1 == 0,
        "this process could set the machine's clock: run the process tests with `cargo xtask system`"
    );
}

/// A process that keeps namespaces alive.
#[derive(Debug)]
struct Holder {
    child: Child,
}

impl Holder {
    fn start(script: &str, namespaces: &[&str], arguments: &[String]) -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(namespaces)
            .args(["--", "sh", "-c", script, "host"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setpriv and unshare are installed");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a pipe can be read");
        if line != "ready\n" {
            let mut complaint = String::new();
            if let Some(mut stderr) = child.stderr.take() {
                let _ = stderr.read_to_string(&mut complaint);
            }
            panic!("could not make the namespaces (root is needed): {complaint}");
        }
        Self { child }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `sh -c script` inside the namespaces.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "nsenter",
            "--target",
            &self.pid().to_string(),
        ]);
        command.args([
            "--net", "--mount", "--uts", "--ipc", "--root", "--wd=/", "--", "sh", "-c", script,
        ]);
        command.env("PATH", "/mnt/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .env("LC_ALL", "C")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS");
        command
    }

    fn must(&self, script: &str) {
        let output = self
            .command(&format!("set -e\n{script}"))
            .output()
            .expect("nsenter is installed");
        assert!(
            output.status.success(),
            "{script}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Processes whose network namespace is ours.
    fn inhabitants(&self) -> Vec<u32> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let Some(ours) = namespace(&self.pid().to_string()) else {
            return Vec::new();
        };
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|pid| namespace(pid).as_ref() == Some(&ours))
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Daemons that left our process group are found by the namespace they live in.
        let pids: Vec<String> = self
            .inhabitants()
            .iter()
            .filter(|pid| **pid != self.pid())
            .map(u32::to_string)
            .collect();
        if !pids.is_empty() {
            let script = format!("kill -KILL {} 2>/dev/null", pids.join(" "));
            let _ = Command::new("sh").args(["-c", &script]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
}

impl Output {
    /// Standard output of a command that must have succeeded.
    #[track_caller]
    #[must_use]
    pub fn ok(self) -> String {
        assert!(
            self.status == 0,
            "status {}\n{}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

/// A machine of its own: network, mounts, name.
#[derive(Debug)]
pub struct Host {
    holder: Holder,
    name: String,
}

impl Host {
    /// The host's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command line to its end.
    #[must_use]
    pub fn shell(&self, line: &str) -> Output {
        self.shell_with_input(line, "")
    }

    /// Runs a command line that reads `input`.
    #[must_use]
    pub fn shell_with_input(&self, line: &str, input: &str) -> Output {
        let mut process = Process::spawn(self.holder.command(line), line, Some(input));
        let status = process.wait(seconds(60));
        Output {
            stdout: process.stdout(),
            stderr: process.stderr(),
            status,
        }
    }

    /// Runs a script that must succeed.
    #[track_caller]
    pub fn must(&self, script: &str) {
        let _ = self.shell(&format!("set -e\n{script}")).ok();
    }

    /// Starts a program in the foreground, which lives until it ends or is dropped.
    #[must_use]
    pub fn spawn(&self, line: &str) -> Process {
        // `exec`: the process is the program, so signals reach it.
        Process::spawn(self.holder.command(&format!("exec {line}")), line, None)
    }

    /// Like [`Self::spawn`] after shell commands such as `export` or `ulimit`.
    #[must_use]
    pub fn spawn_after(&self, prelude: &str, line: &str) -> Process {
        Process::spawn(
            self.holder.command(&format!("{prelude}\nexec {line}")),
            line,
            None,
        )
    }

    /// Starts `chronyd -d -x` with `config` as `/etc/chrony.conf` and waits until it answers
    /// chronyc.
    #[track_caller]
    #[must_use]
    pub fn chronyd(&self, config: &str) -> Process {
        self.daemon("chronyd", "", config)
    }

    /// Like [`Self::chronyd`] for the daemon named `program`, with further `options`.
    #[track_caller]
    #[must_use]
    pub fn daemon(&self, program: &str, options: &str, config: &str) -> Process {
        self.write("/etc/chrony.conf", config);
        let mut process = self.spawn(&format!(
            "{program} -d -x -u root {options} -f /etc/chrony.conf"
        ));
        let started = try_wait_for(seconds(20), || {
            let answers = || self.shell("chronyc -n -c tracking").status == 0;
            if process.has_ended() {
                return Some(false);
            }
            (self.path("/run/chrony/chronyd.sock").exists() && answers()).then_some(true)
        });
        assert!(
            started == Some(true),
            "{program} does not answer; its log:\n{}",
            process.stderr()
        );
        process
    }

    /// Whether `chronyd` was built with a feature, as its version line says (`SECHASH`).
    #[track_caller]
    #[must_use]
    pub fn chronyd_has(&self, feature: &str) -> bool {
        let line = self.shell("chronyd -v").ok();
        let has = |sign: char| line.contains(&format!("{sign}{feature}"));
        assert!(has('+') != has('-'), "{line}");
        has('+')
    }

    /// Where a file of the host is seen from the test.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let relative = path.trim_start_matches('/');
        Path::new(&format!("/proc/{}/root", self.holder.pid())).join(resolve(relative))
    }

    /// Writes a file of the host, with its directories.
    #[track_caller]
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.path(path);
        fs::create_dir_all(file.parent().expect("an absolute path")).expect("a writable host");
        fs::write(&file, content).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Appends to a file of the host.
    #[track_caller]
    pub fn append(&self, path: &str, content: &str) {
        let old = fs::read_to_string(self.path(path)).unwrap_or_default();
        self.write(path, old + content);
    }

    /// Reads a file of the host.
    #[track_caller]
    #[must_use]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Listens where the daemon's `syslog(3)` goes; gives the lines as they come.
    #[must_use]
    pub fn syslog(&self) -> Received {
        Received::on(&self.path("/dev/log"))
    }

    /// Listens on a Unix datagram socket at `path`, as a service manager does.
    #[must_use]
    pub fn datagrams(&self, path: &str) -> Received {
        Received::on(&self.path(path))
    }

    /// Waits until a daemon in the background, known by its pid file, has ended.
    #[track_caller]
    pub fn wait_until_gone(&self, pid: u32) {
        wait_for("the daemon's end", seconds(10), || {
            (!Path::new(&format!("/proc/{pid}/ns")).exists()
                || fs::read_link(format!("/proc/{pid}/ns/net")).is_err())
            .then_some(())
        });
    }
}

/// `/var/run` is an absolute link, which from outside would lead to the machine's own directory.
fn resolve(path: &str) -> String {
    match path.strip_prefix("var/run/") {
        Some(rest) => format!("run/{rest}"),
        None => path.to_owned(),
    }
}

/// Datagrams that came to a socket.
#[derive(Debug)]
pub struct Received {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Received {
    fn on(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a free path on the host");
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a non-zero time");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::downgrade(&lines);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            // Ends with the last reader.
            while let Some(lines) = writer.upgrade() {
                if let Ok(length) = socket.recv(&mut buffer) {
                    let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default())
                        .into_owned();
                    lines.lock().expect("no panic while locked").push(text);
                }
            }
        });
        Self { lines }
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.lines.lock().expect("no panic while locked").clone()
    }

    /// Waits for a datagram that contains `text` and returns it.
    #[track_caller]
    #[must_use]
    pub fn wait_for(&self, text: &str, patience: Duration) -> String {
        let found = try_wait_for(patience, || {
            self.all().into_iter().find(|line| line.contains(text))
        });
        found.unwrap_or_else(|| panic!("no `{text}` in {:#?}", self.all()))
    }
}
