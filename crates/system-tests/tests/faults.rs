//! What fails on real machines: disks, directories, descriptors, names, power. The daemon keeps
//! time and keeps serving, its state files are always whole, and each fault is one line in the log.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use system_tests::{
    Host, Lab, NtpReply, NtpRequest, Process, csv, hex, seconds, source_states, unhex, wait_for,
};

const DIRECTORY: &str = "/var/lib/chrony";
const SERVER: &str = "192.168.163.131";
const DRIFT: &str = "/var/lib/chrony/drift";
const DUMP: &str = "/var/lib/chrony/192.168.163.131.dat";
const LOGS: [&str; 3] = ["tracking", "measurements", "statistics"];

/// A daemon that follows a server every second, serves, and writes all it can.
const CONFIG: &str = "server 192.168.163.131 iburst minpoll 0 maxpoll 0\nallow\n\
    driftfile /var/lib/chrony/drift interval 1\ndumpdir /var/lib/chrony\n\
    logdir /var/lib/chrony/log\nlog tracking measurements statistics\nlogbanner 1\n";

struct Follower {
    _lab: Lab,
    server: Host,
    host: Host,
    _server: Process,
    daemon: Process,
}

impl Follower {
    fn start(prepare: &str, config: &str) -> Self {
        let lab = Lab::new();
        let (server, host) = lab.server_and_client();
        let upstream = server.chronyd("allow\nlocal stratum 5\n");
        host.must(&format!("mkdir -p {DIRECTORY}\n{prepare}"));
        let daemon = host.chronyd(config);
        let follower = Self {
            _lab: lab,
            server,
            host,
            _server: upstream,
            daemon,
        };
        wait_for("the server's selection", seconds(45), || {
            (source_states(&follower.host).first()?.0 == "^*").then_some(())
        });
        follower
    }

    /// The daemon's reference moves on and a request from another host is answered with it.
    #[track_caller]
    fn check_keeps_time_and_serves(&mut self) {
        self.check_serves();
        let reference = || csv(&self.host, "tracking").first()?.get(3).cloned();
        for _ in 0..2 {
            let before = reference();
            wait_for("an update of the clock", seconds(45), || {
                (reference()? != *before.as_ref()?).then_some(())
            });
        }
        assert!(!self.daemon.has_ended(), "{}", self.daemon.stderr());
    }

    #[track_caller]
    fn check_serves(&mut self) {
        let request = NtpRequest::client(4);
        let line = "probe udp 192.168.163.132:123 1000";
        let printed = self
            .server
            .shell_with_input(line, &(hex(&request.bytes()) + "\n"))
            .ok();
        let reply = unhex(printed.trim()).and_then(|bytes| NtpReply::parse(&bytes));
        let reply = reply.unwrap_or_else(|| panic!("no reply\n{}", self.daemon.stderr()));
        assert_eq!(
            (reply.mode, reply.stratum, reply.leap, reply.origin),
            (4, 6, 0, request.transmit)
        );
    }

    /// Waits until drift and dump files are there, and gives their contents.
    #[track_caller]
    fn saved(&self) -> [String; 2] {
        assert_eq!(self.dump(), success());
        wait_for("a drift file", seconds(30), || {
            fs::symlink_metadata(self.host.path(DRIFT))
                .is_ok_and(|data| data.is_file())
                .then_some(())
        });
        self.state()
    }

    #[track_caller]
    fn state(&self) -> [String; 2] {
        [DRIFT, DUMP].map(|path| self.host.read(path))
    }

    /// How often the log says `text`.
    fn count(&self, text: &str) -> usize {
        self.daemon
            .stderr()
            .lines()
            .filter(|line| line.contains(text))
            .count()
    }

    #[track_caller]
    fn check_told_once(&self, text: &str) {
        assert_eq!(self.count(text), 1, "{text}\n{}", self.daemon.stderr());
    }

    #[track_caller]
    fn wait_until_told(&mut self, text: &str) {
        let _ = self.daemon.wait_for_line(text, seconds(45));
    }

    /// `chronyc dump` and what it answered.
    fn dump(&self) -> (i32, String) {
        let output = self.host.shell(&format!("chronyc {COMMAND_PATIENCE} dump"));
        (output.status, output.stdout)
    }
}

/// A busy machine may take more than the usual second to write.
const COMMAND_PATIENCE: &str = "-m 'timeout 20000' 'retries 0'";

fn failure() -> (i32, String) {
    (1, "500 Failure\n".to_owned())
}

fn success() -> (i32, String) {
    (0, "200 OK\n".to_owned())
}

/// What is wrong with a drift file: `"%20.6f %20.6f\n"` and nothing else.
fn drift_fault(text: &str) -> Option<&'static str> {
    let Some(line) = text.strip_suffix('\n') else {
        return Some("no newline");
    };
    let numbers: Vec<f64> = line
        .split_ascii_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    match numbers.as_slice() {
        [frequency, skew] if format!("{frequency:20.6} {skew:20.6}") == line => None,
        _ => Some("not two numbers"),
    }
}

/// What is wrong with a dump file: its head, and as many samples as it says, in order.
fn dump_fault(text: &str) -> Option<&'static str> {
    let lines: Vec<&str> = text.lines().collect();
    let [magic, name, state, counts, samples @ ..] = lines.as_slice() else {
        return Some("too few lines");
    };
    let words = |line: &str| line.split(' ').count();
    let count = counts
        .split(' ')
        .next()
        .and_then(|word| word.parse::<usize>().ok());
    let times: Vec<f64> = samples
        .iter()
        .filter(|line| words(line) == 7)
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    if *magic != "SRC0" || name.is_empty() || words(state) != 5 || words(counts) != 2 {
        Some("a wrong head")
    } else if !text.ends_with('\n') || count != Some(samples.len()) || times.len() != samples.len()
    {
        Some("other samples than it says")
    } else if !times.is_sorted_by(|earlier, later| earlier < later) {
        Some("samples out of order")
    } else {
        None
    }
}

#[track_caller]
fn check_state_files(host: &Host) {
    let drift = host.read(DRIFT);
    assert_eq!(drift_fault(&drift), None, "{drift:?}");
    let dump = host.read(DUMP);
    assert_eq!(dump_fault(&dump), None, "{dump:?}");
}

#[test]
fn a_full_disk() {
    let mut follower = Follower::start(
        &format!("mount -t tmpfs -o size=64k tmpfs {DIRECTORY}"),
        CONFIG,
    );
    follower.saved();
    let _ = follower
        .host
        .shell(&format!("cat /dev/zero > {DIRECTORY}/filler"));
    let full = " : No space left on device";
    let drift_line = format!("Could not write {DRIFT}.tmp{full}");
    follower.wait_until_told(&drift_line);
    let old = follower.state();
    for _ in 0..3 {
        assert_eq!(follower.dump(), failure());
    }
    for log in LOGS {
        follower.wait_until_told(&format!("Could not write {DIRECTORY}/log/{log}.log{full}"));
    }
    follower.check_keeps_time_and_serves();
    assert_eq!(follower.state(), old);
    check_state_files(&follower.host);
    follower.check_told_once(&drift_line);
    follower.check_told_once(&format!("Could not write {DUMP}.tmp{full}"));
    for log in LOGS {
        follower.check_told_once(&format!("{log}.log{full}"));
    }
    // Nothing else was complained of, and no half-written file stays.
    assert_eq!(follower.count("Could not"), 2 + LOGS.len());
    let left = follower.host.shell(&format!("ls {DIRECTORY}")).ok();
    assert!(!left.contains(".tmp"), "{left}");

    follower.host.must(&format!("rm {DIRECTORY}/filler"));
    assert_eq!(follower.dump(), success());
    let lengths = LOGS.map(|log| log_lines(&follower.host, log).len());
    wait_for("more lines in every log", seconds(45), || {
        LOGS.iter()
            .zip(lengths)
            .all(|(log, before)| log_lines(&follower.host, log).len() > before + 4)
            .then_some(())
    });
    for log in LOGS {
        let lines = log_lines(&follower.host, log);
        let torn = lines.iter().filter(|line| !is_whole(line)).count();
        // Where the disk was full, one line or one banner may be cut.
        assert!(torn <= 1, "{log}: {lines:#?}");
        assert!(lines.iter().rev().take(3).all(|line| is_whole(line)));
    }
    follower.daemon.stop();
    check_state_files(&follower.host);
    assert_ne!(follower.host.read(DUMP), old[1]);
}

fn log_lines(host: &Host, log: &str) -> Vec<String> {
    let text = host.read(&format!("{DIRECTORY}/log/{log}.log"));
    text.lines().map(str::to_owned).collect()
}

/// Banners are 116 characters at least, lines have their columns.
fn is_whole(line: &str) -> bool {
    let is_banner = line.starts_with("===") || line.starts_with("   Date");
    if is_banner {
        return line.len() >= 116;
    }
    line.starts_with("20") && line.split_ascii_whitespace().count() >= 13
}

#[test]
fn a_full_disk_at_the_start() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    host.must(&format!(
        "mkdir -p {DIRECTORY}; mount -t tmpfs -o size=4k tmpfs {DIRECTORY}"
    ));
    let _ = host.shell(&format!("cat /dev/zero > {DIRECTORY}/filler"));
    let config = format!("local stratum 5\npidfile {DIRECTORY}/pid\ndriftfile {DRIFT}\n");
    let mut daemon = host.chronyd(&config);
    daemon.stop();
    let log = daemon.stderr();
    let faults: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once("Could not ").map(|(_, fault)| fault))
        .collect();
    let full = "No space left on device";
    assert_eq!(
        faults,
        [
            format!("write {DIRECTORY}/pid : {full}"),
            format!("write {DRIFT}.tmp : {full}")
        ]
    );
    assert_eq!(host.shell(&format!("ls {DIRECTORY}")).ok(), "filler\n");
}

#[test]
fn a_read_only_directory() {
    // A file system with a file open for writing cannot be made read-only.
    let (config, _) = CONFIG.split_once("logdir").expect("the logs come last");
    let mut follower = Follower::start(&format!("mount --bind {DIRECTORY} {DIRECTORY}"), config);
    follower.saved();
    let script = format!("mount -o remount,bind,ro {DIRECTORY}");
    follower.host.must(&script);
    let line = format!("Could not open {DRIFT}.tmp : Read-only file system");
    follower.wait_until_told(&line);
    let old = follower.state();
    for _ in 0..2 {
        assert_eq!(follower.dump(), failure());
        follower.check_keeps_time_and_serves();
    }
    follower.check_told_once(&line);
    follower.check_told_once(&format!(
        "Could not open {DUMP}.tmp : Read-only file system"
    ));
    assert_eq!(follower.state(), old);
    // The end is orderly although nothing can be saved.
    follower.daemon.stop();
    assert_eq!(follower.state(), old);
    follower.host.must(&script.replace("bind,ro", "bind,rw"));

    // The same as another user, who may not write there.
    follower.host.must("rm -rf /run/chrony");
    follower.daemon = follower.host.daemon("chronyd", "-u chrony", config);
    let line = format!("Could not open {DRIFT}.tmp : Permission denied");
    follower.wait_until_told(&line);
    follower.check_keeps_time_and_serves();
    assert_eq!(follower.dump(), failure());
    follower.check_told_once(&line);
    follower.daemon.stop();
    assert_eq!(follower.host.read(DRIFT), old[0]);
}

#[test]
fn links_planted_at_every_path() {
    let planted = [
        "/var/lib/chrony/drift.tmp",
        DRIFT,
        "/var/lib/chrony/192.168.163.131.dat.tmp",
        DUMP,
        "/run/chronyd.pid",
        "/run/chronyd.pid.tmp",
        "/run/chrony/chronyd.sock",
        "/var/lib/chrony/log/tracking.log",
        "/var/lib/chrony/log/measurements.log",
        "/var/lib/chrony/log/statistics.log",
    ];
    let mut script =
        String::from("mkdir -p /var/lib/chrony/log /victims; mkdir -m 750 /run/chrony\n");
    for (index, path) in planted.iter().enumerate() {
        // Every second one leads to nothing, which must not be made.
        if index % 2 == 0 {
            script += &format!("echo precious > /victims/{index}\n");
        }
        script += &format!("ln -s /victims/{index} {path}\n");
    }
    let config = format!("{CONFIG}pidfile /run/chronyd.pid\n");
    // The root directory belongs to the machine: victims live on a file system of their own.
    let script = script.replace("/victims", "/dev/shm/victims");
    let mut follower = Follower::start(&script, &config);
    follower.saved();
    follower.check_keeps_time_and_serves();
    for log in LOGS {
        follower.check_told_once(&format!(
            "Could not open /var/lib/chrony/log/{log}.log : Too many levels of symbolic links"
        ));
    }
    assert_eq!(follower.count("Could not"), LOGS.len());
    assert_eq!(
        follower.host.read("/run/chronyd.pid"),
        format!("{}\n", follower.daemon.id())
    );
    // Links planted while it runs.
    follower.host.must(&format!(
        "ln -sf /dev/shm/victims/new {DRIFT}.tmp; ln -sf /dev/shm/victims/new {DUMP}.tmp
         ln -sf /dev/shm/victims/new {DRIFT}; ln -sf /dev/shm/victims/new {DUMP}"
    ));
    assert_eq!(follower.dump(), success());
    follower.daemon.stop();
    check_state_files(&follower.host);
    let listed = follower
        .host
        .shell("cd /dev/shm/victims; for file in *; do echo $file $(cat $file); done")
        .ok();
    let want: String = (0..planted.len())
        .step_by(2)
        .map(|index| format!("{index} precious\n"))
        .collect();
    assert_eq!(listed, want);
}

#[test]
fn out_of_descriptors() {
    let mut follower = Follower::start("", CONFIG);
    follower.saved();
    let pid = follower.daemon.id();
    let limit = |limit: u32| {
        follower
            .host
            .must(&format!("prlimit --pid {pid} --nofile={limit}:1024"));
    };
    // The lowest free descriptor at a time when no socket of a request is open.
    let free = || {
        (0..)
            .find(|fd: &u32| fs::symlink_metadata(format!("/proc/{pid}/fd/{fd}")).is_err())
            .unwrap_or_default()
    };
    let lowest = (0..50).map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        free()
    });
    limit(lowest.min().unwrap_or_default());
    let line = format!("Could not open socket for {SERVER}:123 : Too many open files");
    follower.wait_until_told(&line);
    let old = follower.state();
    for _ in 0..2 {
        assert_eq!(follower.dump(), failure());
    }
    let dump_line = format!("Could not open {DIRECTORY} : Too many open files");
    follower.check_told_once(&dump_line);
    // Even fewer than it has, which the kernel does not let it wait for at once.
    follower
        .host
        .must(&format!("prlimit --pid {pid} --nofile=4:1024"));
    for _ in 0..10 {
        follower.check_serves();
        assert_eq!(source_states(&follower.host)[0].0, "^*");
    }
    assert!(!follower.daemon.has_ended(), "{}", follower.daemon.stderr());
    assert_eq!(follower.state(), old);
    follower.check_told_once(&line);
    assert!(
        follower.count("Could not") <= 3,
        "{}",
        follower.daemon.stderr()
    );
    follower
        .host
        .must(&format!("prlimit --pid {pid} --nofile=1024:1024"));
    follower.check_keeps_time_and_serves();
    assert_eq!(follower.dump(), success());
    follower.daemon.stop();
    check_state_files(&follower.host);
}

#[test]
fn a_removed_log_directory() {
    let mut follower = Follower::start("", CONFIG);
    let logs = format!("{DIRECTORY}/log");
    follower.host.must(&format!("rm -r {logs}"));
    for log in LOGS {
        follower.wait_until_told(&format!(
            "Could not open {logs}/{log}.log : No such file or directory"
        ));
    }
    follower.check_keeps_time_and_serves();
    assert_eq!(follower.count("Could not"), LOGS.len());
    let cycle = || follower.host.shell("chronyc cyclelogs");
    let output = cycle();
    assert_eq!((output.status, output.stdout), failure());
    assert_eq!(follower.count("Could not"), 2 * LOGS.len());
    follower.host.must(&format!("mkdir {logs}"));
    let output = cycle();
    assert_eq!((output.status, output.stdout), success());
    wait_for("lines in every log", seconds(45), || {
        LOGS.iter()
            .all(|log| log_lines(&follower.host, log).len() > 3)
            .then_some(())
    });
    for log in LOGS {
        assert!(
            log_lines(&follower.host, log)
                .iter()
                .all(|line| is_whole(line))
        );
    }
    assert_eq!(follower.count("Could not"), 2 * LOGS.len());
    follower.daemon.stop();
}

#[test]
fn dead_and_late_name_servers() {
    let config = "server 192.168.163.131 iburst minpoll 0 maxpoll 0\nallow\n\
        server one.example minpoll 0 maxpoll 0\nserver two.example minpoll 0 maxpoll 0\n";
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    server.must("ip address add 192.168.163.141/24 dev eth0");
    let upstream = server.chronyd("allow\nlocal stratum 5\n");
    host.write("/etc/nsswitch.conf", "hosts: files dns\n");
    host.write(
        "/etc/resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:3 attempts:1\n",
    );
    let name_server = |words: &str| {
        let process = host.spawn(&format!("probe dns 127.0.0.1:53 {words}"));
        wait_for("the name server", seconds(10), || {
            process.stdout().contains("ready").then_some(process.id())
        });
        process
    };
    let dead = name_server("192.168.163.141 never");
    // The daemon answers while its first look-up waits in vain.
    let daemon = host.chronyd(config);
    assert!(!daemon.stderr().contains("No address for"));
    let mut follower = Follower {
        _lab: lab,
        server,
        host,
        _server: upstream,
        daemon,
    };
    wait_for(
        "the selection of the server without a name",
        seconds(45),
        || (source_states(&follower.host).first()?.0 == "^*").then_some(()),
    );
    follower.wait_until_told("No address for one.example yet, asking again later");
    follower.check_keeps_time_and_serves();
    assert_eq!(follower.count("No address for"), 1);
    drop(dead);

    let late = {
        let host = &follower.host;
        let process = host.spawn("probe dns 127.0.0.1:53 192.168.163.141 1500");
        wait_for("the late name server", seconds(10), || {
            process.stdout().contains("ready").then_some(())
        });
        process
    };
    assert_eq!(follower.host.shell("chronyc refresh").ok(), "200 OK\n");
    wait_for("a question", seconds(45), || {
        late.stdout().contains("asked").then_some(())
    });
    // Nobody waits for the answer.
    let began = Instant::now();
    let mut served = 0;
    while source_states(&follower.host)
        .iter()
        .all(|(_, name)| name != "192.168.163.141")
    {
        follower.check_serves();
        served += 1;
        assert!(began.elapsed() < seconds(60), "the answer was not taken");
    }
    assert!(served > 0);
    follower.check_keeps_time_and_serves();
    assert_eq!(follower.count("No address for"), 1);
    follower.daemon.stop();
}

/// Random numbers (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const KILLS: u32 = 1000;
/// Daemons that are killed side by side.
const LANES: u32 = 4;
/// Sources of each, with a dump file each.
const SOURCES: u32 = 4;

/// Numbers of control requests.
const DUMP_SOURCES: u8 = 6;
const COUNT_SOURCES: u8 = 14;
const SHUTDOWN: u8 = 62;

/// A control request without parameters.
fn request(command: u8) -> [u8; 28] {
    let mut bytes = [0; 28];
    // Protocol version 6, a request.
    bytes[..6].copy_from_slice(&[6, 1, 0, 0, 0, command]);
    bytes
}

/// A directory on a real disk, where files are not safe at once; hosts see it as it is.
struct Disk(PathBuf);

impl Disk {
    fn new() -> Self {
        let name = format!("faults-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a writable target directory");
        Self(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One daemon after the other in directories of its own.
struct Lane<'a> {
    host: &'a Host,
    state: PathBuf,
    number: u32,
    dice: Dice,
    /// Kills that left a file half written.
    interrupted: u32,
}

impl Lane<'_> {
    fn drift(&self) -> PathBuf {
        self.state.join("drift")
    }

    fn dump_name(source: u32) -> String {
        format!("192.0.2.{}.dat", source + 1)
    }

    fn command_line(&self) -> String {
        let number = self.number;
        let sources: String = (0..SOURCES)
            .map(|source| format!(" 'server 192.0.2.{} offline'", source + 1))
            .collect();
        format!(
            "chronyd -d -x -r -u root 'port 0' 'cmdport 0' 'pidfile /run/lane{number}/pid' \
             'bindcmdaddress /run/lane{number}/sock' 'driftfile {}' 'dumpdir {}'{sources}",
            self.drift().display(),
            self.state.display(),
        )
    }

    /// Puts back what is not there, as after a start, which removes the dump files.
    fn seed_state(&mut self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        for source in 0..SOURCES {
            let path = self.state.join(Self::dump_name(source));
            if path.exists() {
                continue;
            }
            let mut text = format!("SRC0\n192.0.2.{}\n0 377 8 1 0\n20 0\n", source + 1);
            for sample in 0..20 {
                let at = now - 1000 + 40 * sample;
                text += &format!(
                    "{at}.000000000 1.0{sample:02}000e-06 1.000000e-06 2.700420e-04 7.604433e-07 \
                     2.700420e-04 7.604433e-07\n"
                );
            }
            assert_eq!(dump_fault(&text), None);
            fs::write(path, text).expect("a writable directory");
        }
    }

    /// Everything there is parses; how many temporary files were left.
    #[track_caller]
    fn check_state(&self, what: &str) -> u32 {
        let mut temporary = 0;
        let drift = fs::read_to_string(self.drift()).expect("a drift file");
        assert_eq!(drift_fault(&drift), None, "{what}: {drift:?}");
        for entry in fs::read_dir(&self.state).expect("the lane's directory") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name in ASCII")
                .to_owned();
            if name.ends_with(".tmp") {
                temporary += 1;
            } else if name.ends_with(".dat") {
                let text = fs::read_to_string(&path).expect("a readable dump");
                assert_eq!(dump_fault(&text), None, "{what}: {name}: {text:?}");
            } else {
                assert_eq!(name, "drift", "{what}");
            }
        }
        // Each file has one name for its new content.
        assert!(temporary <= SOURCES + 1, "{what}: {temporary}");
        temporary
    }

    fn kill_one(&mut self, turn: u32) {
        self.seed_state();
        let daemon = self.host.spawn(&self.command_line());
        let socket = self.host.path(&format!("/run/lane{}/sock", self.number));
        let own = self
            .host
            .path(&format!("/run/lane{}/own{turn}", self.number));
        let connected = || {
            let client = UnixDatagram::bind(&own).expect("a free name");
            client.set_read_timeout(Some(seconds(1))).expect("a time");
            wait_for("the socket", seconds(60), || client.connect(&socket).ok());
            // The first reply tells that the daemon has come far enough.
            client.send(&request(COUNT_SOURCES)).expect("a daemon");
            wait_for("a reply", seconds(60), || client.recv(&mut [0; 64]).ok());
            client
        };
        match self.dice.below(4) {
            // Anywhere in the start.
            0 => std::thread::sleep(Duration::from_micros(self.dice.below(40_000))),
            // While it is saving everything at its end.
            1 => {
                let client = connected();
                let _ = client.send(&request(SHUTDOWN));
                std::thread::sleep(Duration::from_micros(self.dice.below(3000)));
            }
            // While one `dump` follows the other; a disk takes milliseconds for each file.
            _ => {
                let client = connected();
                for _ in 0..4 {
                    let _ = client.send(&request(DUMP_SOURCES));
                }
                std::thread::sleep(Duration::from_micros(self.dice.below(40_000)));
            }
        }
        // Dropping a process kills it.
        let log = daemon.stderr();
        drop(daemon);
        let _ = fs::remove_file(own);
        assert!(!log.contains("Could not"), "{log}");
        if self.check_state(&format!("kill {turn} of lane {}", self.number)) > 0 {
            self.interrupted += 1;
        }
    }

    /// A start and an orderly end after all that.
    fn finish(&mut self) {
        self.seed_state();
        let mut daemon = self.host.spawn(&self.command_line());
        let socket = self.host.path(&format!("/run/lane{}/sock", self.number));
        wait_for("the socket", seconds(60), || {
            UnixDatagram::unbound().ok()?.connect(&socket).ok()
        });
        daemon.stop();
        let log = daemon.stderr();
        assert!(!log.contains("Could not"), "{log}");
        assert_eq!(
            log.matches("Loaded dump file").count(),
            SOURCES as usize,
            "{log}"
        );
        assert_eq!(self.check_state("the end"), 0);
    }
}

#[test]
fn killed_at_a_thousand_random_moments() {
    let seed = std::env::var("TIMEWRIGHT_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |since| since.subsec_nanos().into())
        });
    eprintln!("seed: TIMEWRIGHT_SEED={seed}");
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let disk = Disk::new();
    let turns = AtomicU32::new(0);
    let interrupted: u32 = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|number| {
                let (host, turns) = (&host, &turns);
                host.must(&format!("mkdir -m 750 /run/lane{number}"));
                let state = disk.0.join(format!("lane{number}"));
                fs::create_dir(&state).expect("a new directory");
                let drift = format!("{:20.6} {:20.6}\n", -12.345, 0.25);
                fs::write(state.join("drift"), drift).expect("a writable directory");
                scope.spawn(move || {
                    let mut lane = Lane {
                        host,
                        state,
                        number,
                        dice: Dice((seed ^ u64::from(number) << 32) | 1),
                        interrupted: 0,
                    };
                    loop {
                        let turn = turns.fetch_add(1, Ordering::Relaxed);
                        if turn >= KILLS {
                            break;
                        }
                        lane.kill_one(turn);
                    }
                    lane.finish();
                    lane.interrupted
                })
            })
            .collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().expect("the lane's own message"))
            .sum()
    });
    println!("{interrupted} of {KILLS} kills left a half-written file beside the whole one");
    // Otherwise the moments were not those of writing.
    assert!(interrupted >= KILLS / 100, "{interrupted}");
}
