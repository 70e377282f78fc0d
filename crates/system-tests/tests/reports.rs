//! An independent reader of the control protocol: requests written and replies taken apart with
//! lengths and offsets from `control-protocol.md` 9 to 12 alone, nothing of our own encoder. What
//! it finds in the replies of a running daemon must be what `chronyc -c` prints of the same.

#![forbid(unsafe_code)]
#![allow(clippy::indexing_slicing, reason = "a panic fails the test")]

use system_tests::{Host, Lab, hex, seconds, source_states, unhex, wait_for};

/// All that a report can contain: a server, sources that never answer, a name without address, a
/// reference clock, manual input, smoothing, a local reference, clients of both services.
const CONFIG: &str = "server 192.168.163.131 iburst xleave minpoll 0 maxpoll 0 prefer trust require\n\
                      server 192.168.163.199 offline noselect\n\
                      peer 192.168.163.198 offline minpoll 4\n\
                      server fd00:163::197 offline\n\
                      server nosuch.invalid offline\n\
                      refclock SOCK /run/chrony/clock.sock refid GPS1 noselect\n\
                      allow\nmanual\nsmoothtime 400 0.01\nlocal stratum 9\n\
                      opencommands activity authdata clients manual ntpdata rtcdata selectdata \
                      serverstats smoothing sourcename sources sourcestats tracking\n";

/// Code, length of the request, code and length of the reply.
#[derive(Clone, Copy, Debug)]
struct Report {
    request: u16,
    request_len: usize,
    reply: u16,
    reply_len: usize,
}

const fn report(request: u16, request_len: usize, reply: u16, reply_len: usize) -> Report {
    Report {
        request,
        request_len,
        reply,
        reply_len,
    }
}

const N_SOURCES: Report = report(14, 32, 2, 32);
const SOURCE_DATA: Report = report(15, 76, 3, 76);
const TRACKING: Report = report(33, 104, 5, 104);
const SOURCESTATS: Report = report(34, 84, 6, 84);
const RTC: Report = report(35, 56, 7, 56);
const MANUAL_LIST: Report = report(41, 416, 18, 416);
const ACTIVITY: Report = report(44, 48, 12, 48);
const SMOOTHING: Report = report(51, 52, 13, 52);
const SERVER_STATS: Report = report(54, 196, 25, 196);
const NTP_DATA: Report = report(57, 172, 26, 172);
const SOURCE_NAME: Report = report(65, 284, 19, 284);
const AUTH_DATA: Report = report(67, 52, 20, 52);
const CLIENTS: Report = report(68, 520, 21, 520);
const SELECT_DATA: Report = report(69, 76, 23, 76);
const SETTIME: Report = report(11, 40, 17, 40);

/// Where requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A socket that answers equal requests with equal replies, for comparisons.
    Replay,
    Unix,
    Udp,
}

/// The reader: builds requests, checks headers, hands out payloads.
struct Reader<'h> {
    host: &'h Host,
    way: Way,
}

const SEQUENCE: &str = "11223344";

impl<'h> Reader<'h> {
    /// Sends a request and returns the whole reply.
    fn exchange(&self, report: Report, payload: &[u8]) -> Vec<u8> {
        let header = format!("06010000{:04x}0000{SEQUENCE}{:016x}", report.request, 0);
        let mut request = unhex(&header).expect("hexadecimal");
        request.extend(payload);
        request.resize(report.request_len, 0);
        let command = match self.way {
            Way::Replay => "probe unix /run/chrony/replay.sock /run/chrony/reader.sock 5000",
            Way::Unix => "probe unix /run/chrony/chronyd.sock /run/chrony/reader.sock 5000",
            Way::Udp => "probe udp 127.0.0.1:323 5000",
        };
        let lines = format!("{}\n", hex(&request));
        let printed = self.host.shell_with_input(command, &lines).ok();
        let reply = unhex(printed.trim()).unwrap_or_else(|| panic!("{report:?}: {printed}"));
        assert!(
            reply.len() <= request.len(),
            "{report:?}: longer than the request"
        );
        reply
    }

    /// The payload of a successful reply.
    #[track_caller]
    fn ask(&self, report: Report, payload: &[u8]) -> Payload {
        let reply = self.exchange(report, payload);
        let want = format!(
            "06020000{:04x}{:04x}0000{:012x}{SEQUENCE}{:016x}",
            report.request, report.reply, 0, 0
        );
        assert_eq!(hex(&reply[..28]), want, "{:?} {report:?}", self.way);
        assert_eq!(reply.len(), report.reply_len, "{:?} {report:?}", self.way);
        Payload(reply[28..].to_vec())
    }

    /// The status of a reply that has nothing else.
    #[track_caller]
    fn refusal(&self, report: Report, payload: &[u8]) -> u16 {
        let reply = self.exchange(report, payload);
        assert_eq!(reply.len(), 28, "{report:?}");
        assert_eq!(reply[6..8], [0, 1], "{report:?}");
        u16::from_be_bytes([reply[8], reply[9]])
    }
}

/// The payload of a reply; offsets are those of `control-protocol.md` 12.
struct Payload(Vec<u8>);

impl Payload {
    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.0[offset..offset + N].try_into().expect("N bytes")
    }

    fn u8(&self, offset: usize) -> u8 {
        self.0[offset]
    }

    fn i8(&self, offset: usize) -> i8 {
        i8::from_be_bytes(self.at(offset))
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_be_bytes(self.at(offset))
    }

    fn i16(&self, offset: usize) -> i16 {
        i16::from_be_bytes(self.at(offset))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.at(offset))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_be_bytes(self.at(offset))
    }

    /// Section 3.1: a 7-bit exponent and a 25-bit coefficient, both two's complement.
    fn f32(&self, offset: usize) -> f64 {
        let word = i64::from(self.u32(offset));
        let exponent = (word >> 25) - if word >> 31 == 1 { 128 } else { 0 };
        let coefficient = word & 0x1ff_ffff;
        let negative = coefficient >> 24 == 1;
        let coefficient = coefficient - if negative { 1 << 25 } else { 0 };
        let exponent = i32::try_from(exponent - 25).expect("seven bits");
        f64::from(i32::try_from(coefficient).expect("25 bits")) * 2f64.powi(exponent)
    }

    /// Section 3.2, as `SECONDS.NANOSECONDS`.
    fn time(&self, offset: usize) -> String {
        assert_eq!(self.u32(offset) >> 31, 0, "a time before 1970");
        format!("{}.{:09}", self.u64(offset), self.u32(offset + 8))
    }

    /// Section 3.4.
    fn address(&self, offset: usize) -> String {
        let bytes: [u8; 16] = self.at(offset);
        assert_eq!(self.u16(offset + 18), 0, "pad of an address");
        let family = self.u16(offset + 16);
        if family != 2 {
            assert_eq!(bytes[4..], [0; 12], "unused bytes of an address");
        }
        match family {
            0 => "[UNSPEC]".to_owned(),
            1 => format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]),
            2 => std::net::Ipv6Addr::from(bytes).to_string(),
            3 => format!("ID#{:010}", self.u32(offset)),
            other => panic!("family {other}"),
        }
    }

    /// The text of a reference ID.
    fn refid(&self, offset: usize) -> String {
        let bytes: [u8; 4] = self.at(offset);
        let graphic = bytes.iter().filter(|byte| byte.is_ascii_graphic());
        graphic.map(|byte| char::from(*byte)).collect()
    }

    /// The name of a source with an address, or else of a reference clock.
    fn name(&self, address: usize, refid: usize) -> String {
        match self.u16(address + 16) {
            0 => self.refid(refid),
            _ => self.address(address),
        }
    }

    fn letter(&self, offset: usize) -> char {
        char::from(self.u8(offset))
    }
}

fn leap(code: u16) -> &'static str {
    [
        "Normal",
        "Insert second",
        "Delete second",
        "Not synchronised",
    ][usize::from(code)]
}

fn tracking(reader: &Reader<'_>) -> Vec<String> {
    let p = reader.ask(TRACKING, &[]);
    vec![format!(
        "{:08X},{},{},{},{:.9},{:.9},{:.9},{:.3},{:.3},{:.3},{:.9},{:.9},{:.1},{}",
        p.u32(0),
        p.name(4, 0),
        p.u16(24),
        p.time(28),
        p.f32(40),
        p.f32(44),
        p.f32(48),
        p.f32(52),
        p.f32(56),
        p.f32(60),
        p.f32(64),
        p.f32(68),
        p.f32(72),
        leap(p.u16(26)),
    )]
}

/// The index of each source, as a payload.
fn indices(reader: &Reader<'_>) -> impl Iterator<Item = [u8; 4]> + use<> {
    let count = reader.ask(N_SOURCES, &[]).u32(0);
    assert!((5..10).contains(&count), "{count} sources");
    (0..count).map(u32::to_be_bytes)
}

fn sources(reader: &Reader<'_>) -> Vec<String> {
    let row = |index: [u8; 4]| {
        let p = reader.ask(SOURCE_DATA, &index);
        assert_eq!(p.u16(28), 0, "flags");
        let clock = p.u16(26) == 2;
        format!(
            "{},{},{},{},{},{:o},{},{:.9},{:.9},{:.9}",
            ['^', '=', '#'][usize::from(p.u16(26))],
            ['*', '?', 'x', '~', '+', '-'][usize::from(p.u16(24))],
            if clock { p.refid(0) } else { p.address(0) },
            p.u16(22),
            p.i16(20),
            p.u16(30),
            p.u32(32),
            p.f32(40),
            p.f32(36),
            p.f32(44),
        )
    };
    indices(reader).map(row).collect()
}

fn sourcestats(reader: &Reader<'_>) -> Vec<String> {
    let row = |index: [u8; 4]| {
        let p = reader.ask(SOURCESTATS, &index);
        assert!(p.f32(52) >= 0.0, "an error bound");
        format!(
            "{},{},{},{},{:.3},{:.3},{:.9},{:.9}",
            p.name(4, 0),
            p.u32(24),
            p.u32(28),
            p.u32(32),
            p.f32(40),
            p.f32(44),
            p.f32(48),
            p.f32(36),
        )
    };
    indices(reader).map(row).collect()
}

/// Selection options, each a column, and the one that is never set.
fn options(bits: u16) -> String {
    assert!(bits < 16, "{bits:x}");
    let letters = ['N', 'P', 'T', 'R'].into_iter().enumerate();
    let columns = letters.map(|(bit, letter)| if bits >> bit & 1 == 1 { letter } else { '-' });
    columns
        .chain(['-'])
        .map(String::from)
        .collect::<Vec<_>>()
        .join(",")
}

fn selectdata(reader: &Reader<'_>) -> Vec<String> {
    let row = |index: [u8; 4]| {
        let p = reader.ask(SELECT_DATA, &index);
        assert_eq!(p.u8(27), 0, "pad");
        format!(
            "{},{},{},{},{},{},{:.1},{:.9},{:.9},{}",
            p.letter(24),
            p.name(4, 0),
            ['N', 'Y'][usize::from(p.u8(25))],
            options(p.u16(28)),
            options(p.u16(30)),
            p.u32(32),
            p.f32(36),
            p.f32(40),
            p.f32(44),
            leap(p.u8(26).into()),
        )
    };
    indices(reader).map(row).collect()
}

/// The addresses of NTP sources, as they are on the wire.
fn addresses(reader: &Reader<'_>) -> Vec<Vec<u8>> {
    indices(reader)
        .map(|index| reader.ask(SOURCE_DATA, &index))
        .filter(|p| p.u16(26) != 2)
        .map(|p| p.0[..20].to_vec())
        .collect()
}

fn authdata(reader: &Reader<'_>) -> Vec<String> {
    let row = |address: Vec<u8>| {
        let p = reader.ask(AUTH_DATA, &address);
        assert_eq!(p.u16(22), 0, "pad");
        format!(
            "{},{},{},{},{},{},{},{},{},{}",
            Payload(address).address(0),
            ["-", "SK", "NTS"][usize::from(p.u16(0))],
            p.u32(4),
            p.u16(2),
            p.u16(8),
            p.u32(12),
            p.u16(10),
            p.u16(20),
            p.u16(16),
            p.u16(18),
        )
    };
    addresses(reader).into_iter().map(row).collect()
}

/// An address in the form of a reference ID, where that needs no hash.
fn address_id(p: &Payload, offset: usize) -> String {
    match p.u16(offset + 16) {
        1 => format!("{:08X}", p.u32(offset)),
        2 => "*".to_owned(),
        _ => "00000000".to_owned(),
    }
}

fn ntpdata(reader: &Reader<'_>) -> Vec<String> {
    let row = |address: Vec<u8>| {
        let p = reader.ask(NTP_DATA, &address);
        assert_eq!(p.0[128..144], [0xff; 16], "reserved");
        let bits = format!("{:010b}", p.u16(92) & 0x3ff);
        let flag = |bit: u16| if p.u16(92) & bit == 0 { "No" } else { "Yes" };
        let stamps = |offset: usize| match p.u8(offset) {
            b'D' => "Daemon",
            b'K' => "Kernel",
            b'H' => "Hardware",
            0 => "Invalid",
            other => panic!("time stamp source {other}"),
        };
        let mode = match p.u8(44) {
            0 => "Invalid",
            1 => "Symmetric active",
            2 => "Symmetric passive",
            4 => "Server",
            other => panic!("mode {other}"),
        };
        let log2 = |value: i8| 2f64.powi(value.into());
        let refid = if p.u8(45) <= 1 {
            p.refid(56)
        } else {
            String::new()
        };
        let columns = [
            p.address(0),
            address_id(&p, 0),
            p.u16(40).to_string(),
            p.address(20),
            address_id(&p, 20),
            leap(p.u8(42).into()).to_owned(),
            p.u8(43).to_string(),
            mode.to_owned(),
            p.u8(45).to_string(),
            p.i8(46).to_string(),
            format!("{:.0}", log2(p.i8(46))),
            p.i8(47).to_string(),
            format!("{:.9}", log2(p.i8(47))),
            format!("{:.6}", p.f32(48)),
            format!("{:.6}", p.f32(52)),
            format!("{:08X}", p.u32(56)),
            refid,
            p.time(60),
            format!("{:.9}", p.f32(72)),
            format!("{:.9}", p.f32(76)),
            format!("{:.9}", p.f32(80)),
            format!("{:.9}", p.f32(84)),
            format!("{:.2}", p.f32(88)),
            bits[..3].to_owned(),
            bits[3..6].to_owned(),
            bits[6..].to_owned(),
            flag(0x4000).to_owned(),
            flag(0x8000).to_owned(),
            stamps(94).to_owned(),
            stamps(95).to_owned(),
        ];
        let counts = (96..128).step_by(4).map(|offset| p.u32(offset).to_string());
        columns
            .into_iter()
            .chain(counts)
            .collect::<Vec<_>>()
            .join(",")
    };
    let resolved = |address: &Vec<u8>| address[17] != 3;
    addresses(reader)
        .into_iter()
        .filter(resolved)
        .map(row)
        .collect()
}

fn activity(reader: &Reader<'_>) -> Vec<String> {
    let p = reader.ask(ACTIVITY, &[]);
    let counts = (0..20).step_by(4).map(|offset| p.u32(offset).to_string());
    vec![counts.collect::<Vec<_>>().join(",")]
}

fn serverstats(reader: &Reader<'_>) -> Vec<String> {
    let p = reader.ask(SERVER_STATS, &[]);
    assert_eq!(p.0[136..168], [0xff; 32], "reserved");
    // Hits and drops of NTP and commands, records, NTS-KE, and the rest as on the wire.
    let order = [0, 3, 2, 5, 6, 1, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let counts = order.map(|word| p.u64(8 * word).to_string());
    vec![counts.join(",")]
}

fn clients(reader: &Reader<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    let mut first = 0u32;
    loop {
        let query = [first, 8, 0, 0].map(u32::to_be_bytes).concat();
        let p = reader.ask(CLIENTS, &query);
        let (size, next, count) = (p.u32(0), p.u32(4), p.u32(8));
        assert!(
            count <= 8 && next > first && size >= 16,
            "{count} {next} {size}"
        );
        for slot in 0..8 {
            let at = 12 + 60 * slot;
            if slot >= usize::try_from(count).expect("at most 8") {
                assert_eq!(p.0[at..at + 60], [0; 60], "an unused slot");
                continue;
            }
            rows.push(format!(
                "{},{},{},{},{},{},{},{},{},{}",
                p.address(at),
                p.u32(at + 20),
                p.u32(at + 32),
                p.i8(at + 44),
                p.i8(at + 47),
                p.u32(at + 48),
                p.u32(at + 28),
                p.u32(at + 40),
                p.i8(at + 46),
                p.u32(at + 56),
            ));
        }
        if next >= size || count < 8 {
            return rows;
        }
        first = next;
    }
}

fn smoothing(reader: &Reader<'_>) -> Vec<String> {
    let p = reader.ask(SMOOTHING, &[]);
    assert!(p.u32(0) < 4, "flags");
    vec![format!(
        "{},{},{:.9},{:.6},{:.6},{:.1},{:.1}",
        if p.u32(0) & 1 == 1 { "Yes" } else { "No" },
        if p.u32(0) & 2 == 2 {
            "(leap second only)"
        } else {
            ""
        },
        p.f32(4),
        p.f32(8),
        p.f32(12),
        p.f32(16),
        p.f32(20),
    )]
}

fn manual_list(reader: &Reader<'_>) -> Vec<String> {
    let p = reader.ask(MANUAL_LIST, &[]);
    let count = usize::try_from(p.u32(0)).expect("a small number");
    let used = 4 + 24 * count;
    assert!(p.0[used..].iter().all(|byte| *byte == 0), "unused slots");
    let row = |index: usize| {
        let at = 4 + 24 * index;
        let seconds = p.u64(at);
        let date = format!("date -u -d @{seconds} '+%Y-%m-%d %H:%M:%S'");
        format!(
            "{index},{},{:.2},{:.2},{:.2}",
            reader.host.shell(&date).ok().trim(),
            p.f32(at + 12),
            p.f32(at + 16),
            p.f32(at + 20),
        )
    };
    (0..count).map(row).collect()
}

fn sourcename(reader: &Reader<'_>) -> Vec<String> {
    let name = |address: Vec<u8>| {
        let p = reader.ask(SOURCE_NAME, &address);
        let end = p.0.iter().position(|byte| *byte == 0).expect("an end");
        assert!(p.0[end..].iter().all(|byte| *byte == 0), "padding");
        String::from_utf8(p.0[..end].to_vec()).expect("ASCII")
    };
    addresses(reader).into_iter().map(name).collect()
}

type Decode = fn(&Reader<'_>) -> Vec<String>;

/// The command of chronyc and the reader of each report.
const REPORTS: &[(&str, Decode)] = &[
    ("tracking", tracking),
    ("sources -a", sources),
    ("sourcestats -a", sourcestats),
    ("selectdata -a", selectdata),
    ("authdata -a", authdata),
    ("ntpdata", ntpdata),
    ("activity", activity),
    ("serverstats", serverstats),
    ("clients", clients),
    ("smoothing", smoothing),
    ("manual list", manual_list),
];

/// A hash that only chronyc knows is not compared.
fn agrees(read: &str, printed: &str) -> bool {
    let (read, printed): (Vec<_>, Vec<_>) =
        (read.split(',').collect(), printed.split(',').collect());
    read.len() == printed.len() && read.iter().zip(&printed).all(|(r, p)| *r == "*" || r == p)
}

#[test]
fn an_independent_reader_reads_every_report() {
    let lab = Lab::new();
    let (server, host) = lab.server_and_client();
    let _server = server.chronyd("allow\nlocal stratum 5\nmanual\n");
    let _daemon = host.chronyd(CONFIG);
    wait_for("an interleaved exchange", seconds(45), || {
        let states = source_states(&host);
        let rows = host.shell("chronyc -n -c ntpdata 192.168.163.131").stdout;
        let interleaved = rows.split(',').nth(26) == Some("Yes");
        (states.iter().any(|(state, _)| state == "^*") && interleaved).then_some(())
    });
    // Clients of both services.
    let _ = server.shell("ntpdate -q 192.168.163.132");
    let _ = host.shell("chronyc -h 127.0.0.1 tracking");

    let mut replay = host.spawn("probe replay /run/chrony/replay.sock /run/chrony/chronyd.sock");
    wait_for("the replaying socket", seconds(5), || {
        replay.stdout().contains("ready").then_some(())
    });
    assert!(!replay.has_ended());
    let reader = |way| Reader { host: &host, way };

    // A manual sample of now, which leaves the clock alone; its reply is a report as well.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("a clock after 1970");
    let time = [
        &now.as_secs().to_be_bytes()[..],
        &now.subsec_nanos().to_be_bytes(),
    ]
    .concat();
    let p = reader(Way::Unix).ask(SETTIME, &time);
    assert!(p.f32(0).abs() < 5.0, "a clock off by {} s", p.f32(0));
    assert_eq!(p.u32(4), 0, "a change of frequency");
    assert_eq!(
        reader(Way::Unix).refusal(SETTIME, &time),
        1,
        "again at once"
    );
    assert_eq!(reader(Way::Udp).refusal(SETTIME, &time), 2);

    for (command, decode) in REPORTS {
        let read = decode(&reader(Way::Replay));
        let chronyc = format!("chronyc -h /run/chrony/replay.sock -n -c {command}");
        let printed = host.shell(&chronyc).ok();
        let printed: Vec<&str> = printed.lines().collect();
        assert!(
            read.len() == printed.len() && read.iter().zip(&printed).all(|(r, p)| agrees(r, p)),
            "{command}\nread: {read:#?}\nchronyc: {printed:#?}"
        );
        assert!(!read.is_empty(), "{command} says nothing");
        // The same shape over the other ways; values move on meanwhile.
        for way in [Way::Unix, Way::Udp] {
            assert_eq!(decode(&reader(way)).len(), read.len(), "{way:?} {command}");
        }
    }
    let clock = sources(&reader(Way::Replay));
    assert!(
        clock.iter().any(|row| row.starts_with("#,?,GPS1,")),
        "{clock:?}"
    );
    let names = sourcename(&reader(Way::Udp));
    assert!(names.contains(&"nosuch.invalid".to_owned()), "{names:?}");
    assert_eq!(names, sourcename(&reader(Way::Replay)));
    for way in [Way::Unix, Way::Udp] {
        assert_eq!(reader(way).refusal(RTC, &[]), 13, "no real-time clock");
        assert_eq!(reader(way).refusal(SOURCE_DATA, &[0, 0, 0, 99]), 4);
    }
}

#[test]
fn closed_reports_are_refused_over_udp() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let _daemon = host.chronyd("server 192.168.163.199 offline\nlocal stratum 5\n");
    let (udp, unix) = (
        Reader {
            host: &host,
            way: Way::Udp,
        },
        Reader {
            host: &host,
            way: Way::Unix,
        },
    );
    for report in [SERVER_STATS, NTP_DATA, AUTH_DATA, CLIENTS, SELECT_DATA] {
        assert_eq!(udp.refusal(report, &[]), 2, "{report:?}");
    }
    for report in [
        N_SOURCES,
        SOURCE_DATA,
        TRACKING,
        SOURCESTATS,
        MANUAL_LIST,
        ACTIVITY,
    ] {
        udp.ask(report, &[]);
        unix.ask(report, &[]);
    }
    for report in [SERVER_STATS, CLIENTS, SELECT_DATA] {
        unix.ask(report, &[]);
    }
    for reader in [&udp, &unix] {
        assert_eq!(reader.refusal(SMOOTHING, &[]), 6);
        assert_eq!(reader.refusal(RTC, &[]), 13);
    }
}
