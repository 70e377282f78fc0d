//! What is refused, with which status, from datagrams: `control-protocol.md` 5, 6, 10, 13 and the
//! errors of 15.12 that need a daemon.

use crate::engine::testing::Bench;
use crate::output::ControlOrigin;
use timewright_control::{Access, Command};

const SOURCES: &str = "server 192.0.2.1 offline\nserver name.example offline\n";

/// Bytes of hexadecimal words; `00x12` is twelve times 00, a word in quotes is its letters.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        if let Some(quoted) = word.strip_prefix('"') {
            out.extend(quoted.trim_end_matches('"').bytes());
        } else if let Some((byte, count)) = word.split_once('x') {
            let byte = u8::from_str_radix(byte, 16).unwrap();
            out.extend(std::iter::repeat_n(byte, count.parse().unwrap()));
        } else {
            for at in (0..word.len()).step_by(2) {
                out.push(u8::from_str_radix(&word[at..at + 2], 16).unwrap());
            }
        }
    }
    out
}

/// A request of full length with this payload.
fn datagram(code: u16, payload: &str) -> Vec<u8> {
    let mut datagram = bytes("06 01 00 00");
    datagram.extend(code.to_be_bytes());
    datagram.extend(bytes("0000 11223344 00x8"));
    datagram.extend(bytes(payload));
    let len = Command::from_code(code).map_or(28, Command::request_len);
    assert!(datagram.len() <= len, "{code}: {payload}");
    datagram.resize(len, 0);
    datagram
}

fn unix() -> ControlOrigin {
    ControlOrigin::Unix {
        path: b"/client".to_vec(),
    }
}

fn udp(remote: &str) -> ControlOrigin {
    ControlOrigin::Udp {
        remote: std::net::SocketAddr::new(remote.parse().unwrap(), 40_000),
        local: None,
    }
}

/// The status of the reply; `None` without one. An error has nothing but a header.
#[track_caller]
fn status(bench: &mut Bench, origin: ControlOrigin, code: u16, payload: &str) -> Option<u8> {
    let request = datagram(code, payload);
    let reply = bench.command(origin, &request)?;
    assert!(reply.len() <= request.len());
    assert_eq!(reply[..6], [6, 2, 0, 0, request[4], request[5]]);
    assert_eq!(reply[16..20], request[8..12], "sequence");
    if reply[9] != 0 {
        assert_eq!((reply.len(), &reply[6..8]), (28, &[0, 1][..]), "{code}");
    }
    Some(reply[9])
}

const KNOWN: &str = "c0000201 00x12 0001 0000";
const UNKNOWN: &str = "c0000263 00x12 0001 0000";
const UNRESOLVED: &str = "00000001 00x12 0003 0000";
const NO_ID: &str = "00000063 00x12 0003 0000";
const NOBODY: &str = "00x20";

#[test]
fn every_failing_case_has_its_status() {
    let with = |address: &str, rest: &str| format!("{address} {rest}");
    let one = |address: &str| format!("ffffffff 00x12 0001 0000 {address}");
    let add = |kind: &str, name: &str, flags: &str| {
        let pad = 256 - bytes(name).len();
        format!(
            "{kind} {name} 00x{pad} 0000007b 00000006 0000000a 00000064 00x4 00000008 00x4 00000004 \
             ffffffff ffffffff 00x4 0000116c 06c00000 00x4 0aa00000 00x4 04800000 00x4 {flags}"
        )
    };
    let rows: Vec<(u16, String, u8)> = vec![
        // Sources by mask: nothing matches.
        (1, one(UNKNOWN), 4),
        (1, one(KNOWN), 0),
        (1, format!("{NOBODY} {UNRESOLVED}"), 0),
        (1, format!("{NOBODY} {NO_ID}"), 4),
        (2, one(UNKNOWN), 4),
        (2, with(NOBODY, NOBODY), 0),
        (3, with(&one(UNKNOWN), "00000004 00000008"), 4),
        (3, with(&one(KNOWN), "00000004 00000008"), 0),
        // Settings of one source: unknown ones fail, values out of range do not.
        (4, with(UNKNOWN, "00000006"), 4),
        (4, with(NOBODY, "00000006"), 4),
        (4, with(KNOWN, "00000063"), 0),
        (4, with(KNOWN, "80000000"), 0),
        (5, with(UNKNOWN, "00000006"), 4),
        (5, with(KNOWN, "fffffff8"), 0),
        (7, with(UNKNOWN, "02800000"), 4),
        (8, with(UNKNOWN, "02800000"), 4),
        (47, with(NO_ID, "02800000"), 4),
        (45, with(UNKNOWN, "00000001"), 4),
        (46, with(UNKNOWN, "00000001"), 4),
        (46, with(KNOWN, "00000000"), 0),
        (72, with(UNKNOWN, "00x4 0000000f 00000070"), 4),
        (72, with(NOBODY, "47505331 0000000f 00000070"), 4),
        (72, with(KNOWN, "00x4 0000000f 00000070"), 0),
        (73, with(UNKNOWN, "00x4 02800000"), 4),
        (73, with(NOBODY, "47505331 02800000"), 4),
        (29, UNKNOWN.into(), 4),
        (29, NOBODY.into(), 4),
        (29, NO_ID.into(), 4),
        // Reports by index and by address.
        (15, "00000063".into(), 4),
        (15, "ffffffff".into(), 4),
        (15, "00000002".into(), 4),
        (15, "00000001".into(), 0),
        (34, "00000002".into(), 4),
        (34, "80000000".into(), 4),
        (69, "00000002".into(), 4),
        (69, "ffffffff".into(), 4),
        (57, UNKNOWN.into(), 4),
        (57, NOBODY.into(), 4),
        (57, UNRESOLVED.into(), 0),
        (65, UNKNOWN.into(), 4),
        (65, NO_ID.into(), 4),
        (67, UNKNOWN.into(), 4),
        (67, KNOWN.into(), 0),
        // New sources.
        (64, add("00000009", "\"192.0.2.9\"", "00000000"), 3),
        (64, add("00000000", "\"192.0.2.9\"", "00000000"), 3),
        (64, add("00000001", "61x256", "00000000"), 21),
        (64, add("00000001", "\"a\" 20 \"b\"", "00000000"), 21),
        (64, add("00000001", "\"a\" ff", "00000000"), 21),
        (64, add("00000001", "\"192.0.2.1\"", "00000000"), 11),
        (64, add("00000001", "\"192.0.2.9\"", "00004000"), 17),
        (64, add("00000001", "\"2001:db8::9\"", "00002000"), 17),
        (64, add("00000001", "\"2001:db8::9\"", "00006000"), 17),
        (64, add("00000001", "\"192.0.2.9\"", "00006000"), 0),
        // Subnets.
        (17, with("00000001 00x12 0003 0000", "00000000"), 7),
        (17, with(KNOWN, "00000021"), 7),
        (18, with(KNOWN, "ffffffff"), 7),
        (19, with("20010db8 00x12 0002 0000", "00000081"), 7),
        (20, with(NOBODY, "00000001"), 7),
        (21, with(KNOWN, "00000021"), 7),
        (22, with(NOBODY, "00000020"), 7),
        (23, with("00000001 00x12 0003 0000", "00000020"), 7),
        (24, with(KNOWN, "80000000"), 7),
        (24, with(NOBODY, "00000000"), 0),
        // Access: the answer is the status. Loopback is not in the table of commands.
        (25, "0a000001 00x12 0001 0000".into(), 8),
        (25, KNOWN.into(), 9),
        (25, NOBODY.into(), 9),
        (25, UNRESOLVED.into(), 9),
        (26, "7f000001 00x12 0001 0000".into(), 9),
        (26, "0b000001 00x12 0001 0000".into(), 8),
        // The clock.
        (11, "00000000 5f5e1000 00000000".into(), 6),
        (13, "00000003".into(), 3),
        (13, "ffffffff".into(), 3),
        (42, "00000000".into(), 16),
        (42, "ffffffff".into(), 16),
        (51, String::new(), 6),
        (52, "00000000".into(), 6),
        (52, "00000007".into(), 6),
        (71, "7effffff".into(), 1),
        (30, String::new(), 13),
        (35, String::new(), 13),
        (36, String::new(), 13),
        (68, "00000000 00000008 00000000 00000000".into(), 0),
        (0, String::new(), 3),
        (75, String::new(), 3),
    ];
    for (code, payload, want) in rows {
        let mut bench = Bench::new(&format!("{SOURCES}allow 10/8\ncmdallow 11/8\n"));
        let got = status(&mut bench, unix(), code, &payload);
        assert_eq!(got, Some(want), "{code} {payload}");
    }
}

#[test]
fn facilities_that_are_on_judge_their_arguments() {
    let mut bench = Bench::new("manual\nsmoothtime 400 0.01\n");
    for (code, payload, want) in [
        (52, "00000007", 3),
        (52, "00000000", 0),
        (51, "", 0),
        (11, "ffffffff ffffffff 00000000", 1),
        (11, "00000000 5f5e1000 00000000", 0),
        // Less than a second later.
        (11, "00000000 5f5e1001 00000000", 1),
        (42, "00000001", 16),
        (42, "00000000", 0),
        (13, "00000000", 0),
        (11, "00000000 5f5e1002 00000000", 6),
    ] {
        let got = status(&mut bench, unix(), code, payload);
        assert_eq!(got, Some(want), "{code} {payload}");
    }
    let mut bench = Bench::new("noclientlog\n");
    let query = "00000000 00000008 00000000 00000000";
    assert_eq!(status(&mut bench, unix(), 68, query), Some(15));
}

/// A payload with which the command is carried out and leaves the daemon as it is.
const HARMLESS: &str = "00x4";

/// `control-protocol.md` 6: what is answered depends on the socket, the sender and
/// `opencommands`; being on the same machine is no privilege.
#[test]
fn transports_and_lists_decide_what_is_answered() {
    for (directive, keywords) in [
        (
            "",
            "activity manual rtcdata smoothing sourcename sources sourcestats tracking",
        ),
        ("opencommands\n", ""),
        ("opencommands authdata clients\n", "authdata clients"),
        (
            "opencommands serverstats tracking ntpdata\n",
            "serverstats tracking ntpdata",
        ),
        ("opencommands selectdata manual\n", "selectdata manual"),
    ] {
        for command in Command::ALL {
            let open = keywords.split_whitespace().any(|keyword| {
                let codes: &[u16] = match keyword {
                    "activity" => &[44],
                    "authdata" => &[14, 67],
                    "clients" => &[68],
                    "manual" => &[41],
                    "ntpdata" => &[14, 57],
                    "rtcdata" => &[35],
                    "selectdata" => &[14, 69],
                    "serverstats" => &[54],
                    "smoothing" => &[51],
                    "sourcename" => &[65],
                    "sources" => &[14, 15],
                    "sourcestats" => &[14, 34],
                    "tracking" => &[33],
                    other => panic!("{other}"),
                };
                codes.contains(&command.code())
            });
            let mut bench = Bench::new(directive);
            for remote in ["127.0.0.1", "::1"] {
                let got = status(&mut bench, udp(remote), command.code(), HARMLESS);
                assert_eq!(got == Some(2), !open, "{directive} {command:?} {got:?}");
            }
            // Nobody else is even refused.
            for remote in ["127.0.0.2", "192.0.2.7", "::2"] {
                let got = status(&mut bench, udp(remote), command.code(), HARMLESS);
                assert_eq!(got, None, "{remote} {command:?}");
            }
        }
    }
    // On the Unix socket nothing is refused for want of permission.
    for command in Command::ALL {
        let mut bench = Bench::new("opencommands\n");
        let got = status(&mut bench, unix(), command.code(), HARMLESS);
        assert_ne!(got, Some(2), "{command:?}");
        assert!(command.access() != Access::ReportLocal || got == Some(9));
    }
}

#[test]
fn cmdallow_and_cmddeny_open_the_port_to_others() {
    let tracking = |bench: &mut Bench, remote: &str| status(bench, udp(remote), 33, "");
    let mut bench = Bench::new("cmdallow 192.0.2/24\ncmddeny 192.0.2.9\ncmddeny 127/8\n");
    for (remote, want) in [
        ("192.0.2.7", Some(0)),
        ("192.0.2.9", None),
        ("192.0.3.7", None),
        ("2001:db8::1", None),
        // These two are never shut out.
        ("127.0.0.1", Some(0)),
        ("::1", Some(0)),
        ("127.0.0.2", None),
    ] {
        assert_eq!(tracking(&mut bench, remote), want, "{remote}");
    }
    // The same by command, while it runs.
    let everyone = "00x20 00000000";
    assert_eq!(status(&mut bench, unix(), 22, everyone), Some(0));
    assert_eq!(tracking(&mut bench, "192.0.2.9"), Some(0));
    assert_eq!(tracking(&mut bench, "2001:db8::1"), Some(0));
    let nine = "c0000209 00x12 0001 0000 00000020";
    assert_eq!(status(&mut bench, unix(), 23, nine), Some(0));
    assert_eq!(tracking(&mut bench, "192.0.2.9"), None);
    assert_eq!(status(&mut bench, udp("192.0.2.8"), 24, everyone), Some(2));
    assert_eq!(status(&mut bench, unix(), 24, everyone), Some(0));
    assert_eq!(tracking(&mut bench, "192.0.2.8"), None);
}

/// `control-protocol.md` 7: `cmdratelimit` drops what is too much, but never on this machine.
#[test]
fn the_rate_limit_spares_this_machine() {
    let mut bench = Bench::new("cmdallow\ncmdratelimit interval 4 burst 3 leak 4\n");
    bench.chance = 0x5a;
    let mut answers = |origin: ControlOrigin| {
        (0..100)
            .filter(|_| status(&mut bench, origin.clone(), 33, "").is_some())
            .count()
    };
    assert_eq!(answers(unix()), 100);
    assert_eq!(answers(udp("127.0.0.1")), 100);
    let remote = answers(udp("192.0.2.7"));
    assert!((3..100).contains(&remote), "{remote} of 100");
    let mut unlimited = Bench::new("cmdallow\n");
    assert!((0..100).all(|_| status(&mut unlimited, udp("192.0.2.7"), 33, "") == Some(0)));
}
