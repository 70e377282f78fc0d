//! Everything around the reports: arguments, lines, exit statuses, retries, Unix sockets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{Ended, ask, check_prints, run, with_daemon, with_raw_daemon};
use timewright_control::reply::{Activity, encode};
use timewright_control::request::{AddSource, Name, SourceFlags, SourceMask, SourceType, Subnet};
use timewright_control::server::{Admission, OpenCommands, Transport, admit};
use timewright_control::{Address, Reply, ReplyData, Request, Status};

#[track_caller]
fn check(ended: &Ended, out: &str, errors: &str, status: i32) {
    assert_eq!(
        (ended.out.as_str(), ended.errors.as_str(), ended.status),
        (out, errors, status)
    );
}

fn activity() -> Reply {
    ReplyData::Activity(Activity {
        online: 1,
        offline: 2,
        burst_online: 3,
        burst_offline: 4,
        unresolved: 5,
    })
    .into()
}

/// Does everything that is asked, and reports nothing but activity.
fn willing(request: &Request) -> Reply {
    match request {
        Request::Activity => activity(),
        _ => Reply::OK,
    }
}

#[test]
fn version_and_usage() {
    let version = run(&["sources", "--version"], "");
    check_prints(
        &version,
        "chronyc (timewright 0.1.0) version 4.8 (+READLINE +SECHASH +IPV6 -DEBUG)\n",
    );
    assert_eq!(run(&["-v"], ""), version);
    let usage = run(&["--help"], "");
    assert!(usage.out.starts_with("Usage: ") && usage.out.contains("  -n\t\tDon't resolve"));
    let misuse = run(&["-x"], "");
    assert_eq!((misuse.out, misuse.status), (usage.out, 1));
    assert!(
        misuse.errors.ends_with(": invalid option -- 'x'\n"),
        "{}",
        misuse.errors
    );
}

#[test]
fn no_daemon() {
    let ended = run(&["-h", "/nonexistent/socket", "tracking"], "");
    check(&ended, "", "Could not open connection to daemon\n", 1);
    let ended = run(&["-4", "-h", "::1", "help"], "");
    check(&ended, "", "Could not open connection to daemon\n", 1);
    let ended = run(&["-u", "no-such-user", "help"], "");
    if ended.errors != "Could not get user/group ID of no-such-user\n" {
        // Only root becomes somebody else.
        assert_eq!(ended.status, 0);
    }
    // A refused datagram ends the wait at once.
    let free = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let start = Instant::now();
    check(
        &ask(&free.to_string(), &[], "activity"),
        "506 Cannot talk to daemon\n",
        "",
        1,
    );
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn status_lines() {
    let statuses = Arc::new(Mutex::new(Status::Success));
    let current = Arc::clone(&statuses);
    with_daemon(
        move |_| Reply::status(*current.lock().unwrap()),
        |port| {
            for (code, line, status) in [
                (0, "200 OK", 0),
                (1, "500 Failure", 1),
                (2, "501 Not authorised", 1),
                (3, "502 Invalid command", 1),
                (4, "503 No such source", 1),
                (5, "504 Duplicate or stale logon detected", 1),
                (6, "505 Facility not enabled in daemon", 1),
                (7, "507 Bad subnet", 1),
                (8, "208 Access allowed", 0),
                (9, "209 Access denied", 0),
                (10, "510 No command access from this host", 1),
                (11, "511 Source already present", 1),
                (12, "512 Too many sources present", 1),
                (13, "513 RTC driver not running", 1),
                (14, "514 Can't write RTC parameters", 1),
                (15, "519 Client logging is not active in the daemon", 1),
                (16, "516 Sample index out of range", 1),
                (17, "515 Invalid address family", 1),
                (18, "517 Protocol version mismatch", 1),
                (19, "518 Packet length mismatch", 1),
                (20, "520 Got unexpected error from daemon", 1),
                (21, "521 Invalid name", 1),
                (99, "520 Got unexpected error from daemon", 1),
            ] {
                *statuses.lock().unwrap() = Status::from_code(code);
                check(&ask(port, &[], "dump"), &format!("{line}\n"), "", status);
            }
            // Reports say nothing about success, but want their data.
            *statuses.lock().unwrap() = Status::Success;
            check(
                &ask(port, &[], "tracking"),
                "508 Bad reply from daemon\n",
                "",
                1,
            );
            check(
                &ask(port, &[], "settime now"),
                "200 OK\n508 Bad reply from daemon\n",
                "",
                1,
            );
            *statuses.lock().unwrap() = Status::Unauthorised;
            check(&ask(port, &[], "tracking"), "501 Not authorised\n", "", 1);
        },
    );
}

#[test]
fn a_refused_source_leaves_the_header() {
    let answer = |request: &Request| match request {
        Request::SourceCount => ReplyData::SourceCount(1).into(),
        _ => Status::Unauthorised.into(),
    };
    with_daemon(answer, |port| {
        let ended = ask(port, &[], "selectdata");
        assert!(ended.out.starts_with("S Name/IP Address "), "{}", ended.out);
        assert!(
            ended.out.ends_with("=\n501 Not authorised\n"),
            "{}",
            ended.out
        );
        assert_eq!(ended.status, 1);
    });
}

#[test]
fn a_refused_measurement_leaves_no_empty_line() {
    use timewright_control::reply::{SourceData, SourceMode, SourceState};
    let answer = |request: &Request| match request {
        Request::SourceCount => ReplyData::SourceCount(1).into(),
        Request::SourceData(_) => ReplyData::SourceData(SourceData {
            address: "192.0.2.1".parse().unwrap(),
            poll: 6,
            stratum: 1,
            state: SourceState::Selected,
            mode: SourceMode::Client,
            flags: 0,
            reachability: 1,
            since_sample: 0,
            original_offset: 0.0,
            adjusted_offset: 0.0,
            error: 0.0,
        })
        .into(),
        _ => Status::Unauthorised.into(),
    };
    with_daemon(answer, |port| {
        check(&ask(port, &[], "ntpdata"), "501 Not authorised\n", "", 1);
    });
}

#[test]
fn complaints() {
    with_daemon(willing, |port| {
        // `chronyc.md` 5: what is said of arguments that cannot be read, and no request is made.
        for line in include_str!("data/complaints.txt").lines() {
            let (command, complaint) = line.split_once('|').unwrap();
            let errors = if complaint.is_empty() {
                String::new()
            } else {
                format!("{complaint}\n")
            };
            let ended = ask(port, &[], command);
            assert_eq!(
                (ended.out.as_str(), ended.errors, ended.status),
                ("", errors, 1),
                "{command}"
            );
        }
    });
}

#[test]
fn requests_are_those_of_the_arguments() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let answer = move |request: &Request| {
        record.lock().unwrap().push(request.clone());
        Reply::OK
    };
    let ten_one = Subnet {
        address: "10.1.0.0".parse().unwrap(),
        bits: 16,
    };
    let everyone = Subnet {
        address: Address::Unspecified,
        bits: 0,
    };
    let network = SourceMask {
        mask: "255.255.0.0".parse().unwrap(),
        address: "10.1.0.0".parse().unwrap(),
    };
    let mut pool = AddSource::new(SourceType::Pool, Name::new("127.0.0.1").unwrap());
    pool.max_sources = 2;
    pool.flags = SourceFlags::IBURST;
    let wanted = [
        ("allow 10.1", Request::Allow(ten_one.clone())),
        ("allow all", Request::AllowAll(everyone.clone())),
        ("deny all 10.1", Request::DenyAll(ten_one.clone())),
        ("cmdallow 10.1", Request::CommandAllow(ten_one.clone())),
        (
            "cmdallow all 10.1/16",
            Request::CommandAllowAll(ten_one.clone()),
        ),
        ("cmddeny", Request::CommandDeny(everyone.clone())),
        ("cmddeny all", Request::CommandDenyAll(everyone)),
        ("deny 10.1.0.0/16", Request::Deny(ten_one)),
        (
            "online 255.255.0.0/10.1.0.0",
            Request::Online(network.clone()),
        ),
        ("offline 10.1.0.0/16", Request::Offline(network)),
        (
            "online ID#3",
            Request::Online(SourceMask::one(Address::Id(3))),
        ),
        (
            "accheck 127.0.0.1",
            Request::AccessCheck("127.0.0.1".parse().unwrap()),
        ),
        (
            "cmdaccheck 127.0.0.1",
            Request::CommandAccessCheck("127.0.0.1".parse().unwrap()),
        ),
        ("ADD pool 127.0.0.1", Request::Dump), // not a command: words are compared exactly
        (
            "add POOL 127.0.0.1 maxsources 2 OFFLINE iburst",
            Request::AddSource(Box::new(pool)),
        ),
        ("makestep", Request::MakeStep),
        ("reload sources", Request::ReloadSources),
        ("reset sources", Request::ResetSources),
        ("manual delete 3", Request::ManualDelete(3)),
        ("cyclelogs surplus words", Request::CycleLogs),
    ];
    with_daemon(answer, |port| {
        for (command, _) in &wanted {
            ask(port, &[], command);
        }
    });
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|(_, r)| r)
        .filter(|r| *r != Request::Dump)
        .collect();
    assert_eq!(*seen.lock().unwrap(), wanted);
}

/// `-4` and `-6` are for names; what takes no names takes any address.
#[test]
fn families_are_for_names() {
    with_daemon(willing, |port| {
        for (command, out, errors) in [
            ("selectopts ::1 +prefer", "200 OK\n", ""),
            ("offset ::1 0.1", "200 OK\n", ""),
            ("online ::1", "", "Could not get address for hostname\n"),
            ("accheck ::1", "", "Could not read address\n"),
        ] {
            let ended = ask(port, &["-4"], command);
            check(&ended, out, errors, i32::from(!errors.is_empty()));
        }
    });
}

const ACTIVITY: &str = "1,2,3,4,5\n";

#[test]
fn the_last_line_decides() {
    with_daemon(willing, |port| {
        let lines = |input: &str| run(&["-c", "-h", "127.0.0.1", "-p", port], input);
        check(&lines(""), "", "", 0);
        check(&lines("foo\n"), "", "Unrecognized command\n", 1);
        check(&lines("foo\n\n"), "", "Unrecognized command\n", 0);
        check(&lines("foo\n# comment"), "", "Unrecognized command\n", 0);
        check(
            &lines("activity\nfoo\n"),
            ACTIVITY,
            "Unrecognized command\n",
            1,
        );
        check(
            &lines("foo\nquit\nactivity\n"),
            "",
            "Unrecognized command\n",
            0,
        );
        check(&lines(" activity \t x \nexit now"), ACTIVITY, "", 0);
        // A line too long is cut, and what is left is a line of its own.
        let long = format!("{:2047}activity\n", "");
        check(&lines(&long), ACTIVITY, "", 0);
    });
}

#[test]
fn arguments_are_one_command_or_many() {
    with_daemon(willing, |port| {
        let many = |commands: &[&str]| {
            let mut arguments = vec!["-c", "-e", "-m", "-h", "127.0.0.1", "-p", port];
            arguments.extend(commands);
            run(&arguments, "")
        };
        let dotted = format!("{ACTIVITY}.\n");
        check(
            &many(&["activity", "", "#", "activity"]),
            &format!("{dotted}{dotted}"),
            "",
            0,
        );
        check(
            &many(&["activity", "foo", "activity"]),
            &format!("{dotted}.\n"),
            "Unrecognized command\n",
            1,
        );
        check(
            &many(&["activity", "quit", "foo"]),
            &format!("{dotted}.\n"),
            "",
            0,
        );
        check(&many(&["activity foo"]), &dotted, "", 0);
        check_prints(
            &run(&["-h", "127.0.0.1", "-p", port, "reset", "sources"], ""),
            "200 OK\n",
        );
        let long = "a".repeat(2047);
        check(&ask(port, &[], &long), "", "Command too long\n", 1);
        check(&ask(port, &[], &long[1..]), "", "Unrecognized command\n", 1);
    });
}

#[test]
fn lost_output_fails_reports_but_not_commands() {
    with_daemon(willing, |port| {
        for (command, status) in [("activity", 1), ("help", 1), ("dump", 0)] {
            let full = std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap();
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_chronyc"))
                .args(["-h", "127.0.0.1", "-p", port, command])
                .stdout(full)
                .output()
                .unwrap();
            assert_eq!(
                String::from_utf8_lossy(&output.stderr),
                "Could not write to stdout\n"
            );
            assert_eq!(output.status.code(), Some(status), "{command}");
        }
    });
}

#[test]
fn keys() {
    with_daemon(willing, |port| {
        for (command, start, digits) in [
            ("keygen", "1 SHA1 HEX:", 40),
            ("keygen 10 MD5 64", "10 MD5 HEX:", 20),
            ("keygen 10x SHA3-512 5000", "10 SHA3-512 HEX:", 1024),
            ("keygen 7 AES128 999", "7 AES128 HEX:", 32),
            ("keygen 7 AES256", "7 AES256 HEX:", 64),
            ("keygen -1 MD5 -1", "4294967295 MD5 HEX:", 20),
            ("keygen 7 MD5 4096x", "7 MD5 HEX:", 1024),
            ("keygen 7 MD5 81", "7 MD5 HEX:", 22),
        ] {
            let ended = ask(port, &[], command);
            let key = ended
                .out
                .strip_prefix(start)
                .unwrap()
                .strip_suffix('\n')
                .unwrap();
            assert_eq!(key.len(), digits, "{command}");
            assert!(
                key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')),
                "{key}"
            );
            assert_ne!(ask(port, &[], command).out, ended.out);
        }
    });
}

/// Attempt and sequence number of a request.
fn attempt(datagram: &[u8]) -> (u16, u32) {
    (
        u16::from_be_bytes([datagram[6], datagram[7]]),
        u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]),
    )
}

#[test]
fn attempts_have_new_sequence_numbers_and_longer_waits() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let answer = move |datagram: &[u8]| {
        let (number, sequence) = attempt(datagram);
        let mut seen = record.lock().unwrap();
        seen.push((number, sequence, Instant::now()));
        match number {
            // Too late for the first attempt: its sequence number is not that of the second.
            1 => vec![encode(&activity(), 44, seen[0].1), vec![0; 5]],
            // The third attempt gets noise and then its reply.
            2 => vec![
                encode(&Reply::OK, 43, sequence),
                encode(&activity(), 44, sequence),
            ],
            _ => vec![],
        }
    };
    with_raw_daemon(answer, |port| {
        let ended = run(
            &[
                "-c",
                "-m",
                "-h",
                "127.0.0.1",
                "-p",
                port,
                "timeout 100",
                "activity",
            ],
            "",
        );
        check_prints(&ended, ACTIVITY);
    });
    let seen = seen.lock().unwrap();
    let numbers: Vec<_> = seen.iter().map(|s| s.0).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(seen[0].1 != seen[1].1 && seen[1].1 != seen[2].1);
    assert!(seen[1].2 - seen[0].2 >= Duration::from_millis(60));
    assert!(seen[2].2 - seen[1].2 >= Duration::from_millis(140));
}

#[test]
fn retries_end() {
    let count = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&count);
    let answer = move |_: &[u8]| {
        *counter.lock().unwrap() += 1;
        vec![]
    };
    with_raw_daemon(answer, |port| {
        let arguments = [
            "-m",
            "-h",
            "127.0.0.1,127.0.0.1",
            "-p",
            port,
            "timeout 100",
            "retries 1",
            "dump",
        ];
        check(&run(&arguments, ""), "506 Cannot talk to daemon\n", "", 1);
    });
    assert_eq!(*count.lock().unwrap(), 4); // two servers, two attempts each
}

#[test]
fn an_old_daemon_gets_its_own_version() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let answer = move |datagram: &[u8]| {
        let (number, sequence) = attempt(datagram);
        record
            .lock()
            .unwrap()
            .push((datagram[0], datagram.len(), number));
        let mut reply = if datagram[0] == 5 {
            encode(&activity(), 44, sequence)
        } else {
            encode(&Status::BadPacketVersion.into(), 44, sequence)
        };
        reply[0] = 5;
        vec![reply]
    };
    with_raw_daemon(answer, |port| {
        let arguments = [
            "-c",
            "-m",
            "-h",
            "127.0.0.1",
            "-p",
            port,
            "activity",
            "activity",
        ];
        check_prints(&run(&arguments, ""), &ACTIVITY.repeat(2));
    });
    // Version 5 has no padding.
    assert_eq!(*seen.lock().unwrap(), [(6, 48, 0), (5, 20, 0), (5, 20, 0)]);

    let answer = |datagram: &[u8]| {
        let mut reply = encode(&Status::BadPacketVersion.into(), 44, attempt(datagram).1);
        reply[0] = 7;
        vec![reply]
    };
    with_raw_daemon(answer, |port| {
        check(
            &ask(port, &[], "activity"),
            "517 Protocol version mismatch\n",
            "",
            1,
        );
    });
}

/// A directory of our own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chronyc-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn unix_socket_of_our_own_is_reachable_and_removed() {
    let directory = Directory::new("unix");
    let path = directory.0.join("chronyd.sock");
    let daemon = UnixDatagram::bind(&path).unwrap();
    daemon
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let place = directory.0.clone();
    let server = std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        let (len, peer) = daemon.recv_from(&mut buffer).unwrap();
        let peer = peer.as_pathname().unwrap().to_owned();
        // DIRECTORY/chronyc.PID/RANDOM/sock
        let inner = peer.parent().unwrap();
        let outer = inner.parent().unwrap();
        assert_eq!(outer.parent(), Some(place.as_path()));
        assert!(
            outer
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("chronyc.")
        );
        assert_eq!(inner.file_name().unwrap().len(), 16);
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(
            (
                mode(outer) & 0o777,
                mode(inner) & 0o777,
                mode(&peer) & 0o777
            ),
            (0o711, 0o711, 0o666)
        );
        match admit(&buffer[..len], Transport::Unix, OpenCommands::NONE, || true) {
            Admission::Accept(Request::Dump, responder) => {
                daemon
                    .send_to(&responder.reply(&Reply::OK).unwrap(), &peer)
                    .unwrap();
            }
            other => panic!("{other:?}"),
        }
    });
    check_prints(
        &run(&["-h", path.to_str().unwrap(), "dump"], ""),
        "200 OK\n",
    );
    server.join().unwrap();
    let left: Vec<_> = std::fs::read_dir(&directory.0)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["chronyd.sock"]);
}

#[test]
fn a_signal_ends_the_wait_and_leaves_nothing_behind() {
    let directory = Directory::new("signal");
    let path = directory.0.join("chronyd.sock");
    let daemon = UnixDatagram::bind(&path).unwrap();
    daemon
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_chronyc"))
        .args(["-h", path.to_str().unwrap(), "tracking"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    daemon.recv(&mut [0; 1024]).unwrap(); // it waits now
    std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "506 Cannot talk to daemon\n"
    );
    assert_eq!(output.status.code(), Some(1));
    let left: Vec<_> = std::fs::read_dir(&directory.0)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["chronyd.sock"]);
}

#[test]
fn waiting_for_synchronisation() {
    use timewright_control::reply::Tracking;
    let mut tries = 0;
    let answer = move |_: &Request| {
        tries += 1;
        ReplyData::Tracking(Tracking {
            refid: if tries < 3 {
                timewright_control::refid::LOCAL
            } else {
                0x5050_5300
            },
            address: Address::Unspecified,
            stratum: 1,
            leap: 0,
            reference_time: timewright_control::Timespec::default(),
            current_correction: -0.25,
            last_offset: 0.0,
            rms_offset: 0.0,
            frequency_ppm: 0.0,
            residual_frequency_ppm: 0.0,
            skew_ppm: if tries < 4 { 2.0 } else { 0.5 },
            root_delay: 0.0,
            root_dispersion: 0.0,
            update_interval: 0.0,
        })
        .into()
    };
    with_daemon(answer, |port| {
        check_prints(
            &ask(port, &[], "waitsync 10 0.5 1 0.1"),
            "try: 1, refid: 7F7F0101, correction: 0.250000000, skew: 2.000\n\
             try: 2, refid: 7F7F0101, correction: 0.250000000, skew: 2.000\n\
             try: 3, refid: 50505300, correction: 0.250000000, skew: 2.000\n\
             try: 4, refid: 50505300, correction: 0.250000000, skew: 0.500\n",
        );
        check(
            &ask(port, &["-c"], "waitsync 1 0.2"),
            "1,50505300,0.250000000,0.500\n",
            "",
            1,
        );
    });
}
