//! Reference clocks that other programs feed: gpsd behind a serial port, writers to the socket and
//! the shared memory themselves, and Debian's daemon given the very same samples.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use system_tests::{
    Host, Lab, Process, ShmSample, SockSample, Tracking, csv, csv_by, seconds, source_states,
    system_time_us, try_wait_for, wait_for,
};

/// No network, so that reference clocks are all there is; a known precision, so that two daemons
/// are alike.
const QUIET: &str = "port 0\ncmdport 0\nclockprecision 1e-6\nlogdir /var/log/chrony\n";

fn patience() -> Duration {
    seconds(60)
}

/// Sends to a socket on the host; what the kernel says if there is none.
fn send(host: &Host, path: &str, bytes: &[u8]) -> std::io::Result<usize> {
    UnixDatagram::unbound()?.send_to(bytes, host.path(path))
}

/// Lines of `refclocks.log` without titles.
fn records(host: &Host) -> Vec<String> {
    let log = fs::read_to_string(host.path("/var/log/chrony/refclocks.log"));
    let is_record = |line: &&str| line.starts_with("20");
    let log = log.unwrap_or_default();
    log.lines().filter(is_record).map(str::to_owned).collect()
}

/// Lines of samples as they came; the others are what became of them.
fn is_raw(record: &str) -> bool {
    record.split_whitespace().nth(3) != Some("-")
}

/// The same without the number of the poll within its interval, which depends on when a daemon was
/// started.
fn without_poll_number(record: &str) -> String {
    let words: Vec<&str> = record.split_whitespace().collect();
    let mut kept = words.clone();
    if is_raw(record) {
        kept.remove(3);
    }
    kept.join(" ")
}

/// The state of each source, its reachability register and number of samples, as Debian's client
/// prints them, which is the same for both daemons.
fn sources(host: &Host) -> Vec<Vec<String>> {
    csv_by("debian-chronyc", host, "sources")
}

/// Two hosts, ours and Debian's, that are given the same. Their filters have to have the length 1:
/// Debian's release wants four samples for a longer one, later ones do not.
struct Twins {
    _lab: Lab,
    hosts: [Host; 2],
    _daemons: [Process; 2],
}

impl Twins {
    fn new(config: &str) -> Self {
        let lab = Lab::new();
        let hosts = [
            lab.host("ours", "192.168.163.131/24"),
            lab.host("debian", "192.168.163.132/24"),
        ];
        let daemons = [
            hosts[0].daemon("chronyd", "", config),
            hosts[1].daemon("debian-chronyd", "", config),
        ];
        Self {
            _lab: lab,
            hosts,
            _daemons: daemons,
        }
    }

    /// Waits until both have made so many samples of what they were given: each goes through the
    /// filter alone, whenever the daemons' polls are.
    #[track_caller]
    fn wait_for_samples(&self, count: usize) {
        for host in &self.hosts {
            let what = format!("{count} samples of {}", host.name());
            wait_for(&what, patience(), || {
                let records = records(host);
                let filtered = records.iter().filter(|record| !is_raw(record)).count();
                (filtered >= count).then_some(())
            });
        }
    }

    /// Both wrote the same, `raw` samples of which all passed the filter, and report the same.
    #[track_caller]
    fn check_alike(&self, raw: usize) {
        let [ours, theirs] = &self.hosts;
        let written = |host| -> Vec<String> {
            let records = records(host);
            records.iter().map(|r| without_poll_number(r)).collect()
        };
        assert_eq!(written(ours), written(theirs));
        let records = records(ours);
        assert_eq!(records.iter().filter(|r| is_raw(r)).count(), raw);
        assert_eq!(records.len(), 2 * raw);
        // Reachability and the age of the last sample depend on when the polls were.
        let report = |host| -> Vec<Vec<String>> {
            let rows = sources(host).into_iter();
            rows.map(|mut row| {
                row.drain(5..7);
                row
            })
            .collect()
        };
        let (our_report, their_report) = (report(ours), report(theirs));
        assert_eq!(our_report, their_report);
        assert_eq!(our_report.len(), 1);
        let statistics = |host| {
            let row = csv_by("debian-chronyc", host, "sourcestats").remove(0);
            (row[0].clone(), row[1].clone())
        };
        assert_eq!(statistics(ours), statistics(theirs));
        assert_eq!(statistics(ours).1, raw.to_string());
    }
}

#[test]
fn the_socket_is_believed_as_by_debians_daemon() {
    let twins = Twins::new(&format!(
        "{QUIET}log refclocks\nrefclock SOCK /run/a.sock refid GPS poll 1 filter 1 offset 0.001 \
         delay 0.002 stratum 2 noselect\n"
    ));
    // What is sent, and whether it is believed.
    type Change = fn(&mut SockSample);
    let sent: [(Change, bool); 15] = [
        (|s| s.offset = 0.25, true),
        (|s| s.leap = 1, true),
        (|s| s.leap = 3, false),
        (|s| s.leap = -1, false),
        (|s| s.offset = 1e12, false),
        (|s| s.offset = f64::NAN, false),
        (|s| s.offset = f64::NEG_INFINITY, false),
        (|s| s.magic += 1, false),
        (|s| s.sec -= 100, false),
        (|s| s.sec += 100, false),
        (|s| s.sec = i64::MAX, false),
        // Our own clock, which is to number the pulse, is not synchronised.
        (|s| s.pulse = 1, false),
        (
            |s| {
                s.sec -= 1;
                s.usec += 1_000_000;
            },
            true,
        ),
        (|s| s.offset = -1e8, true),
        (|s| s.leap = 2, true),
    ];
    let mut believed = 0;
    for (change, good) in sent {
        let mut sample = SockSample::now(1e-3);
        change(&mut sample);
        for host in &twins.hosts {
            send(host, "/run/a.sock", &sample.bytes()).expect("the socket takes everything");
        }
        if good {
            believed += 1;
            twins.wait_for_samples(believed);
        }
    }
    // Debian's release believes longer ones as well, the release after does not.
    for length in [0, 1, 39] {
        let mut bytes = SockSample::now(1e-3).bytes();
        bytes.resize(length, 0);
        for host in &twins.hosts {
            send(host, "/run/a.sock", &bytes).expect("the socket takes everything");
        }
    }
    let last = SockSample::now(0.0).bytes();
    for host in &twins.hosts {
        send(host, "/run/a.sock", &last).expect("the daemon runs");
    }
    twins.wait_for_samples(believed + 1);
    twins.check_alike(believed + 1);
}

#[test]
fn shared_memory_is_believed_as_by_debians_daemon() {
    let twins = Twins::new(&format!(
        "{QUIET}log refclocks\nrefclock SHM 1:perm=0640 poll 1 dpoll -1 filter 1 precision 1e-3 \
         noselect\n"
    ));
    let mut writers: Vec<Process> = twins
        .hosts
        .iter()
        .map(|host| host.spawn("probe shm 1 5000"))
        .collect();
    // What is written, whether the daemon takes it, and whether it is believed.
    type Change = fn(&mut ShmSample);
    let written: [(Change, bool, bool); 10] = [
        (|_| {}, true, true),
        (|s| s.mode = 0, true, true),
        (|s| s.mode = 2, false, false),
        (|s| s.leap = 3, true, false),
        (|s| s.clock_sec = i64::MAX, true, false),
        (|s| s.receive_sec = i64::MIN, true, false),
        (|s| s.receive_sec += 100, true, false),
        (|s| s.receive_sec -= 100, true, false),
        // Microseconds only.
        (
            |s| {
                s.clock_nsec = 0;
                s.leap = 1;
            },
            true,
            true,
        ),
        (
            |s| {
                s.clock_sec -= 1;
                s.clock_usec += 1_000_000;
                s.clock_nsec += 1_000_000_000;
            },
            true,
            true,
        ),
    ];
    let (mut answers, mut believed) = (0, 0);
    for (change, taken, good) in written {
        let mut sample = ShmSample::now(2_000_123);
        change(&mut sample);
        for writer in &mut writers {
            writer.type_in(&sample.line());
        }
        answers += 1;
        for writer in &writers {
            let said = wait_for("the writer's word", patience(), || {
                writer.stdout().lines().nth(answers).map(str::to_owned)
            });
            assert_eq!(said, if taken { "taken" } else { "left" }, "{sample:?}");
        }
        if good {
            believed += 1;
            twins.wait_for_samples(believed);
        }
    }
    twins.check_alike(believed);
}

#[test]
fn nobody_but_a_good_clock_is_believed() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let mut daemon = host.chronyd(&format!(
        "{QUIET}log refclocks\n\
         refclock SOCK /run/a.sock refid SOCK poll -1 filter 1\n\
         refclock SHM 0 refid SHM poll -1 dpoll -2 filter 1\n"
    ));
    let state = |name: &str| {
        let states = source_states(&host);
        let found = states.into_iter().find(|(_, other)| other == name);
        found.expect("a source of this name").0
    };
    assert_eq!((state("SOCK"), state("SHM")), ("#?".into(), "#?".into()));

    // Noise of every length, and much of it at once; a program that does not read would now be
    // woken up for ever.
    let mut noise = 1_u64;
    for length in (0..200).chain([2048, 2049, 20_000]) {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise.to_be_bytes()[3]
            })
            .collect();
        send(&host, "/run/a.sock", &bytes).expect("the socket takes everything");
    }
    for length in [41, 4096] {
        let mut bytes = SockSample::now(1e-3).bytes();
        bytes.resize(length, 0);
        send(&host, "/run/a.sock", &bytes).expect("the socket takes everything");
    }
    let mut sample = SockSample::now(1e-3);
    sample.usec = i64::MIN;
    send(&host, "/run/a.sock", &sample.bytes()).expect("the socket takes everything");
    let ticks = |daemon: &Process| -> u64 {
        let line = fs::read_to_string(format!("/proc/{}/stat", daemon.id())).expect("it runs");
        let fields: Vec<&str> = line
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
    };
    let before = ticks(&daemon);
    std::thread::sleep(seconds(1));
    let used = ticks(&daemon) - before;
    assert!(used < 30, "{used} of 100 ticks in a second");
    assert_eq!(records(&host), [""; 0]);

    // A good clock, also with bad ones in between, is selected, and named in every report.
    let feed = |offset: f64| {
        let mut bad = SockSample::now(f64::INFINITY);
        bad.leap = 77;
        for sample in [bad, SockSample::now(offset)] {
            send(&host, "/run/a.sock", &sample.bytes()).expect("the daemon runs");
        }
    };
    wait_for("the selection of the socket", patience(), || {
        feed(0.0);
        std::thread::sleep(Duration::from_millis(200));
        (state("SOCK") == "#*").then_some(())
    });
    let tracking = Tracking::of(&host).expect("an answer");
    assert_eq!(
        (tracking.reference_id.as_str(), tracking.name.as_str()),
        ("534F434B", "SOCK")
    );
    assert_eq!((tracking.stratum, tracking.leap.as_str()), (1, "Normal"));
    assert!(tracking.system_time.abs() < 1e-3, "{tracking:?}");
    let names = |command: &str, column: usize| -> Vec<String> {
        let rows = csv(&host, command).into_iter();
        rows.map(|row| row[column].clone()).collect()
    };
    assert_eq!(names("sources", 2), ["SOCK", "SHM"]);
    assert_eq!(names("sourcestats", 0), ["SOCK", "SHM"]);
    assert_eq!(names("selectdata", 1), ["SOCK", "SHM"]);
    // Commands about NTP sources leave reference clocks alone, those about sources do not.
    let _ = host.shell("chronyc offline");
    host.must("chronyc reload sources");
    assert_eq!(csv(&host, "activity"), [["0"; 5]]);
    host.must("chronyc selectopts SHM +noselect +prefer");
    let options = host.shell("chronyc selectdata").ok();
    assert!(options.contains("N NP---"), "{options}");
    assert_eq!(names("sources", 2), ["SOCK", "SHM"]);

    // Its writer stops: it is not believed for ever.
    wait_for("the end of trust", patience(), || {
        (state("SOCK") == "#?").then_some(())
    });
    wait_for("an empty register", patience(), || {
        (csv(&host, "sources")[0][5] == "0").then_some(())
    });

    // The segment of the other goes, and comes again as another that the daemon does not know.
    host.must("ipcrm -M 0x4e545030");
    let mut writer = host.spawn("probe shm 0 1000");
    writer.type_in(&ShmSample::now(0).line());
    wait_for("the writer's word", patience(), || {
        writer.stdout().contains("left").then_some(())
    });
    assert!(!daemon.has_ended());
    assert_eq!(csv(&host, "sources")[1][5], "0");
    daemon.stop();
    assert!(!host.path("/run/a.sock").exists());
}

#[test]
fn dumps_of_reference_clocks_are_kept_and_loaded() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let config = format!(
        "{QUIET}dumpdir /var/lib/chrony\nrefclock SOCK /run/a.sock refid GPS poll -1 noselect\n"
    );
    let mut daemon = host.chronyd(&config);
    let samples = || -> u32 {
        let row = csv(&host, "sourcestats").remove(0);
        row[1].parse().expect("a number")
    };
    wait_for("some samples", patience(), || {
        send(&host, "/run/a.sock", &SockSample::now(0.0).bytes()).expect("the daemon runs");
        std::thread::sleep(Duration::from_millis(200));
        (samples() >= 4).then_some(())
    });
    daemon.stop();
    let dump = host.read("/var/lib/chrony/refid:47505300.dat");
    let lines: Vec<&str> = dump.lines().collect();
    assert_eq!(lines[1], ".", "{dump}");
    let mut daemon = host.daemon("chronyd", "-r", &config);
    assert!(daemon.stderr().contains("Loaded dump file for GPS"));
    assert!(samples() >= 4);
    daemon.stop();
}

#[test]
fn what_cannot_be_opened_ends_the_daemon_with_its_name() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    host.must("mkdir /run/directory; ipcmk -M 10 > /dev/null");
    for (line, want) in [
        (
            "SOCK /run/directory",
            "Could not open socket /run/directory",
        ),
        ("SOCK /run/none/a", "Could not open socket /run/none/a"),
        ("SHM 0:mode=1", "Invalid refclock driver option mode=1"),
        ("GPS 0", "unknown refclock driver GPS"),
        (
            "SHM 0 tai",
            "refclock tai option requires leapseclist or leapsectz",
        ),
        ("PPS /dev/pps0", "refclock driver PPS is not compiled in"),
    ] {
        host.write("/etc/chrony.conf", format!("{QUIET}refclock {line}\n"));
        let ended = host.shell("chronyd -d -x -u root -f /etc/chrony.conf");
        assert_eq!(ended.status, 1, "{line}");
        let last = ended.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(
            last.ends_with(&format!("Fatal error : {want}")),
            "{line}: {last}"
        );
    }
}

#[test]
fn devices_are_opened_as_root_and_nothing_planted_is_followed() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    host.must("echo precious > /run/victim; ln -s /run/victim /run/link");
    let config = format!(
        "{QUIET}user chrony\nrefclock SOCK /run/link noselect\nrefclock SOCK /run/chrony/own noselect\n\
         refclock SHM 5:perm=0644 noselect\nrefclock SHM 6 noselect\n"
    );
    host.write("/etc/chrony.conf", &config);
    let mut daemon = host.spawn_after("umask 022", "chronyd -d -x -f /etc/chrony.conf");
    wait_for("an answer", seconds(20), || {
        let answers = || host.shell("chronyc -n tracking").status == 0;
        (host.path("/run/chrony/chronyd.sock").exists() && answers()).then_some(())
    });
    assert_eq!(daemon.status_field("Uid"), "990\t990\t990\t990");
    let meta = fs::symlink_metadata(host.path("/run/link")).expect("the socket");
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o755);
    assert_eq!(host.read("/run/victim"), "precious\n");
    let segments = host.shell("cat /proc/sysvipc/shm").ok();
    let mut found: Vec<(u32, String)> = segments
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some((words.first()?.parse().ok()?, (*words.get(2)?).to_owned()))
        })
        .collect();
    found.sort();
    let key = 0x4e54_5030;
    assert_eq!(found, [(key + 5, "644".into()), (key + 6, "600".into())]);
    assert_eq!(
        csv(&host, "sources")
            .iter()
            .map(|row| row[2].clone())
            .collect::<Vec<_>>(),
        ["SOC0", "SOC1", "SHM2", "SHM3"]
    );
    daemon.stop();
    // Only where the run user may.
    assert!(host.path("/run/link").exists());
    assert!(!host.path("/run/chrony/own").exists());
}

/// The program that gpsd loads first, built from the C source beside the tests.
fn serial_port() -> Vec<u8> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/serial-port.c");
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("serial-port-{}.so", std::process::id()));
    let built = Command::new("cc")
        .args(["-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cc {source}");
    let bytes = fs::read(&library).expect("it was built");
    let _ = fs::remove_file(library);
    bytes
}

/// A sentence of NMEA 0183 with its checksum.
fn sentence(body: &str) -> String {
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${body}*{sum:02X}\r\n")
}

/// What a receiver that stands still says about a second, `us` after 1970.
fn report(host: &Host, us: i64) -> String {
    let second = us / 1_000_000;
    let stamp = host
        .shell(&format!("date -u -d @{second} '+%H%M%S %d%m%y'"))
        .ok();
    let (time, date) = stamp.trim().split_once(' ').expect("two words");
    let place = "4807.038,N,01131.000,E";
    [
        sentence(&format!(
            "GPGGA,{time}.00,{place},1,08,0.9,545.4,M,46.9,M,,"
        )),
        sentence("GPGSA,A,3,04,05,09,12,24,25,29,31,,,,,1.8,0.9,1.5"),
        sentence(&format!("GPRMC,{time}.00,A,{place},000.0,000.0,{date},,,A")),
    ]
    .concat()
}

#[test]
fn gpsd_feeds_both_kinds_from_a_serial_port() {
    const PORT: &str = "/run/ttyS9";
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    host.write("/run/serial-port.so", serial_port());
    // The receiver's end of the line is the input of `script`.
    let mut receiver = host.spawn(&format!(
        "script -q -c 'stty raw -echo; ln -s $(tty) {PORT}; exec sleep 1000' /dev/null"
    ));
    wait_for("the line", patience(), || {
        host.path(PORT).is_symlink().then_some(())
    });
    let mut daemon = host.chronyd(&format!(
        "{QUIET}log refclocks\n\
         refclock SHM 0 refid NMEA poll 0 noselect\n\
         refclock SHM 1 refid PPS poll 0 trust\n\
         refclock SOCK /run/chrony.ttyS9.sock refid SOCK poll 0 trust\n"
    ));
    let mut gpsd = host.spawn_after(
        "export LD_PRELOAD=/run/serial-port.so",
        &format!("gpsd -n -N -D 5 -P /run/gpsd.pid {PORT}"),
    );
    let done = |states: &[(String, String)]| {
        let state = |wanted: &str| {
            let found = states.iter().find(|(_, name)| name == wanted);
            found.map(|(state, _)| state.as_str()).unwrap_or_default()
        };
        // One of them is selected, and the other agrees and may be combined with it.
        let agrees = |name| ["#+", "#-"].contains(&state(name));
        (state("PPS") == "#*" && agrees("SOCK")) || (state("SOCK") == "#*" && agrees("PPS"))
    };
    let selected = try_wait_for(seconds(120), || {
        // A receiver tells the time of a second some time after it began.
        let us = system_time_us();
        let rest = 1_000_000 - us.rem_euclid(1_000_000) + 150_000;
        std::thread::sleep(Duration::from_micros(rest.unsigned_abs()));
        receiver.type_in(&report(&host, us + rest));
        assert!(!gpsd.has_ended(), "{}", gpsd.stderr());
        done(&source_states(&host)).then_some(())
    });
    let records = records(&host);
    assert!(
        selected.is_some(),
        "{records:#?}\n{}",
        host.shell("chronyc -n sources").stdout
    );
    for name in ["NMEA", "PPS", "SOCK"] {
        let of = records
            .iter()
            .filter(|record| record.split_whitespace().nth(2) == Some(name));
        assert!(of.count() >= 4, "{name}: {records:#?}");
    }
    let tracking = Tracking::of(&host).expect("an answer");
    assert!(
        ["PPS", "SOCK"].contains(&tracking.name.as_str()),
        "{tracking:?}"
    );
    assert_eq!((tracking.stratum, tracking.leap.as_str()), (1, "Normal"));
    gpsd.signal("TERM");
    daemon.stop();
    assert!(!host.path("/run/chrony.ttyS9.sock").exists());
}
