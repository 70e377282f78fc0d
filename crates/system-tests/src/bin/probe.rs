//! The test harness's hand inside a host: sends bytes and says what came back, or stands between a
//! control client and a daemon.
//!
//! ```text
//! probe udp ADDRESS:PORT [MILLISECONDS]      hexadecimal lines in, hexadecimal replies out
//! probe unix PATH OWN-PATH [MILLISECONDS]    the same on a Unix datagram socket
//! probe replay PATH DAEMON-PATH              answers equal control requests with the first reply
//! probe hold ADDRESS:PORT                    keeps a UDP port from others
//! probe activate SOCKET SOCKET PROGRAM...    runs a program with two sockets of a service manager,
//!                                            each udp:ADDRESS:PORT or tcp:ADDRESS:PORT
//! probe slow ADDRESS:PORT SERVER:PORT MS     a server behind a path of so many milliseconds each way
//! probe rogue ADDRESS:PORT                   a time server whose every reply is bad in another way
//! probe dns ADDRESS:PORT ANSWER MS           a name server that answers so late, or `never`
//! probe shm UNIT [MILLISECONDS]              lines of samples in, to the memory of a reference clock
//! ```
//!
//! A line without a reply within the time is answered by `-`. A line `=N` repeats the next one N
//! times without waiting for replies.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use system_tests::{hex, unhex};
use timewright_sys::shm::Segment;

/// Offsets in control packets: the client's fresh number in a request and its copy in a reply.
const REQUEST_SEQUENCE: std::ops::Range<usize> = 8..12;
const REPLY_SEQUENCE: std::ops::Range<usize> = 16..20;
/// The number of the transmission, which differs between equal requests as well.
const REQUEST_ATTEMPT: std::ops::Range<usize> = 6..8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["udp", to, rest @ ..] => udp(to, rest),
        ["unix", to, own, rest @ ..] => unix(to, own, rest),
        ["replay", own, daemon] => replay(own, daemon),
        ["hold", address] => hold(address),
        ["activate", first, second, program @ ..] => Err(activate(first, second, program)),
        ["slow", address, server, milliseconds] => slow(address, server, milliseconds),
        ["rogue", address] => rogue(address),
        ["dns", address, answer, milliseconds] => dns(address, answer, milliseconds),
        ["shm", unit, rest @ ..] => shm(unit, rest),
        _ => Err(io::Error::other("usage: probe udp|unix|replay ...")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes `program`, with two bound sockets as descriptors 3 and 4 (`sd_listen_fds(3)`).
fn activate(first: &str, second: &str, program: &[&str]) -> io::Error {
    let sockets = bound(first).and_then(|first| Ok((first, bound(second)?)));
    let (first, second) = match sockets {
        Ok(sockets) => sockets,
        Err(error) => return error,
    };
    // Safe code can place descriptors at 0 and 1; a shell moves them.
    Command::new("sh")
        .args(["-c", "exec \"$@\" 3<&0 4<&1 </dev/null >/dev/null", "sh"])
        .args(program)
        .env("LISTEN_FDS", "2")
        .stdin(first)
        .stdout(second)
        .exec()
}

fn bound(socket: &str) -> io::Result<OwnedFd> {
    match socket.split_once(':') {
        Some(("udp", address)) => UdpSocket::bind(address).map(OwnedFd::from),
        Some(("tcp", address)) => TcpListener::bind(address).map(OwnedFd::from),
        _ => Err(io::Error::other("a socket is udp:ADDRESS:PORT or tcp:...")),
    }
}

fn patience(rest: &[&str]) -> Option<Duration> {
    let milliseconds = rest
        .first()
        .and_then(|word| word.parse().ok())
        .unwrap_or(500);
    Some(Duration::from_millis(milliseconds))
}

fn udp(to: &str, rest: &[&str]) -> io::Result<()> {
    let any = if to.starts_with('[') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_read_timeout(patience(rest))?;
    exchange(|bytes| socket.send(bytes), |buffer| socket.recv(buffer))
}

fn unix(to: &str, own: &str, rest: &[&str]) -> io::Result<()> {
    let socket = UnixDatagram::bind(own)?;
    socket.set_read_timeout(patience(rest))?;
    let outcome = exchange(
        |bytes| socket.send_to(bytes, to),
        |buffer| socket.recv(buffer),
    );
    std::fs::remove_file(own)?;
    outcome
}

fn exchange(
    send: impl Fn(&[u8]) -> io::Result<usize>,
    receive: impl Fn(&mut [u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut repeat = 0_u32;
    for line in io::stdin().lock().lines() {
        let line = line?;
        if let Some(count) = line.strip_prefix('=') {
            repeat = count.parse().map_err(io::Error::other)?;
            continue;
        }
        let bytes = unhex(&line).ok_or_else(|| io::Error::other("not hexadecimal"))?;
        if repeat > 0 {
            for _ in 0..repeat {
                // A refused or full socket is the daemon's business, not an end of the test.
                let _ = send(&bytes);
            }
            repeat = 0;
            continue;
        }
        let mut buffer = [0; 65536];
        let reply = send(&bytes).and_then(|_| receive(&mut buffer));
        match reply {
            Ok(length) => writeln!(stdout, "{}", hex(buffer.get(..length).unwrap_or_default()))?,
            Err(_) => writeln!(stdout, "-")?,
        }
    }
    Ok(())
}

/// Forwards control requests, and answers those already seen from memory, so that two clients read
/// the very same state of a daemon.
fn replay(own: &str, daemon: &str) -> io::Result<()> {
    let socket = UnixDatagram::bind(own)?;
    let upstream_path = format!("{own}.up");
    let upstream = UnixDatagram::bind(&upstream_path)?;
    upstream.connect(daemon)?;
    upstream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut known: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut buffer = [0; 65536];
    println!("ready");
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        let Some(client) = client.as_pathname() else {
            continue;
        };
        let request = buffer.get(..length).unwrap_or_default().to_vec();
        let mut key = request.clone();
        let mut sequence = [0; 4];
        let (Some(number), Some(_)) = (request.get(REQUEST_SEQUENCE), key.get(REQUEST_ATTEMPT))
        else {
            continue;
        };
        sequence.copy_from_slice(number);
        for range in [REQUEST_SEQUENCE, REQUEST_ATTEMPT] {
            if let Some(bytes) = key.get_mut(range) {
                bytes.fill(0);
            }
        }
        if !known.contains_key(&key) {
            upstream.send(&request)?;
            if let Ok(length) = upstream.recv(&mut buffer) {
                known.insert(
                    key.clone(),
                    buffer.get(..length).unwrap_or_default().to_vec(),
                );
            }
        }
        if let Some(reply) = known.get(&key) {
            let mut reply = reply.clone();
            if let Some(bytes) = reply.get_mut(REPLY_SEQUENCE) {
                bytes.copy_from_slice(&sequence);
            }
            // The client may have given up meanwhile.
            let _ = socket.send_to(&reply, client);
        }
    }
}

/// Words of shared memory, by their offsets (the SHM driver in ntpd's manual, on 64-bit Linux).
const SHM_COUNT: usize = 4;
const SHM_VALID: usize = 48;
const SHM_SIZE: usize = 96;

/// Writes samples (`ShmSample::line`) as a program that feeds a reference clock does, and says of
/// each whether it was `taken` or `left`.
fn shm(unit: &str, rest: &[&str]) -> io::Result<()> {
    let unit: i32 = unit.parse().map_err(io::Error::other)?;
    let patience = patience(rest).unwrap_or_default();
    let segment = Segment::open(0x4e54_5030 + unit, SHM_SIZE, 0o600).map_err(|(_, error)| error)?;
    let bump = || segment.set_number(SHM_COUNT, segment.number(SHM_COUNT).wrapping_add(1));
    println!("ready");
    for line in io::stdin().lock().lines() {
        let line = line?;
        let numbers: Vec<i64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let &[
            mode,
            sec,
            usec,
            own_sec,
            own_usec,
            leap,
            nsec,
            own_nsec,
            valid,
        ] = numbers.as_slice()
        else {
            return Err(io::Error::other("not nine numbers"));
        };
        segment.set_number(SHM_VALID, 0);
        bump();
        let small = [
            (0, mode),
            (16, usec),
            (32, own_usec),
            (36, leap),
            (52, nsec),
            (56, own_nsec),
        ];
        for (offset, value) in small {
            segment.set_number(offset, i32::try_from(value).map_err(io::Error::other)?);
        }
        for (offset, value) in [(8, sec), (24, own_sec)] {
            for (part, word) in value.to_ne_bytes().chunks_exact(4).enumerate() {
                let word = word.try_into().map_err(io::Error::other)?;
                segment.set_number(offset + 4 * part, i32::from_ne_bytes(word));
            }
        }
        bump();
        segment.set_number(SHM_VALID, i32::try_from(valid).map_err(io::Error::other)?);
        let taken =
            system_tests::try_wait_for(patience, || (segment.number(SHM_VALID) == 0).then_some(()));
        println!("{}", if taken.is_some() { "taken" } else { "left" });
    }
    Ok(())
}

fn hold(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    println!("ready");
    loop {
        socket.recv(&mut [0; 2048])?;
    }
}

/// Forwards one request after the other, later than it came.
fn slow(address: &str, server: &str, milliseconds: &str) -> io::Result<()> {
    let delay = Duration::from_millis(milliseconds.parse().map_err(io::Error::other)?);
    let socket = UdpSocket::bind(address)?;
    let upstream = UdpSocket::bind("0.0.0.0:0")?;
    upstream.connect(server)?;
    upstream.set_read_timeout(Some(Duration::from_millis(200)))?;
    println!("ready");
    let mut buffer = [0; 2048];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        std::thread::sleep(delay);
        upstream.send(buffer.get(..length).unwrap_or_default())?;
        // A request without an answer gets none.
        if let Ok(length) = upstream.recv(&mut buffer) {
            std::thread::sleep(delay);
            socket.send_to(buffer.get(..length).unwrap_or_default(), client)?;
        }
    }
}

/// Answers every question for IPv4 addresses (RFC 1035) with one, others with none.
fn dns(address: &str, answer: &str, milliseconds: &str) -> io::Result<()> {
    let answer: std::net::Ipv4Addr = answer.parse().map_err(io::Error::other)?;
    let delay = match milliseconds {
        "never" => None,
        number => Some(Duration::from_millis(
            number.parse().map_err(io::Error::other)?,
        )),
    };
    let socket = UdpSocket::bind(address)?;
    println!("ready");
    let mut buffer = [0; 2048];
    loop {
        let (length, client) = socket.recv_from(&mut buffer)?;
        println!("asked");
        let reply = dns_reply(buffer.get(..length).unwrap_or_default(), answer);
        let (Some(delay), Some(reply)) = (delay, reply) else {
            continue;
        };
        let socket = socket.try_clone()?;
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            let _ = socket.send_to(&reply, client);
        });
    }
}

fn dns_reply(query: &[u8], answer: std::net::Ipv4Addr) -> Option<Vec<u8>> {
    let (header, rest) = query.split_at_checked(12)?;
    // The name ends with an empty label; type and class follow.
    let name_end = rest.iter().position(|byte| *byte == 0)? + 1;
    let question = rest.get(..name_end + 4)?;
    let is_ipv4 = question.get(name_end..name_end + 2)? == [0, 1];
    let mut reply = header.get(..2)?.to_vec();
    // A response to a recursive query; one question, an answer or none.
    reply.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
    reply.extend(question);
    if is_ipv4 {
        // The name of the question, type A, class IN, good for a second, four bytes.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend(answer.octets());
    }
    Some(reply)
}

/// What is wrong with a reply.
#[derive(Debug, Clone, Copy)]
enum Flaw {
    Origin,
    Mode,
    Version,
    Short,
    Leap,
    Stratum,
    RootDelay,
    RootDispersion,
    NoTransmit,
    NoReceive,
    ReceiveAfterTransmit,
    Echo,
    Trailer,
    Kiss(&'static [u8; 4]),
}

const FLAWS: [Flaw; 16] = [
    Flaw::Origin,
    Flaw::Mode,
    Flaw::Version,
    Flaw::Short,
    Flaw::Leap,
    Flaw::Stratum,
    Flaw::RootDelay,
    Flaw::RootDispersion,
    Flaw::NoTransmit,
    Flaw::NoReceive,
    Flaw::ReceiveAfterTransmit,
    Flaw::Echo,
    Flaw::Trailer,
    Flaw::Kiss(b"DENY"),
    Flaw::Kiss(b"RSTR"),
    Flaw::Kiss(b"XXXX"),
];

/// Seconds between the eras of NTP and of Unix.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Answers requests with one flaw after the other and says how many rounds of all flaws it made.
fn rogue(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    println!("ready");
    let mut buffer = [0; 2048];
    for round in 1.. {
        for flaw in FLAWS {
            let (length, client) = socket.recv_from(&mut buffer)?;
            let request = buffer.get(..length).unwrap_or_default();
            if let Some(reply) = flawed(request, flaw) {
                socket.send_to(&reply, client)?;
            }
        }
        println!("round {round}");
    }
    Ok(())
}

/// A good reply to `request`, then spoilt.
fn flawed(request: &[u8], flaw: Flaw) -> Option<Vec<u8>> {
    let unix = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    let now = (unix.as_secs() + NTP_TO_UNIX) << 32 | u64::from(unix.subsec_nanos()) << 2;
    let second = 1_u64 << 32;
    let version = request.first()? >> 3 & 7;
    let transmit: [u8; 8] = request.get(40..48)?.try_into().ok()?;
    let mut origin = u64::from_be_bytes(transmit);
    let (mut leap, mut mode, mut stratum) = (0, 4, 1);
    let (mut root_delay, mut root_dispersion) = (0_u32, 0_u32);
    let (mut receive, mut send) = (now, now);
    let mut reference_id = *b"GPS\0";
    let mut answered_version = version;
    match flaw {
        Flaw::Origin => origin ^= 1,
        Flaw::Mode => mode = 5,
        Flaw::Version => answered_version = 7,
        Flaw::Leap => leap = 3,
        Flaw::Stratum => stratum = 16,
        Flaw::RootDelay => root_delay = 40 << 16,
        Flaw::RootDispersion => root_dispersion = 20 << 16,
        Flaw::NoTransmit => send = 0,
        Flaw::NoReceive => receive = 0,
        Flaw::ReceiveAfterTransmit => receive = now + 10 * second,
        Flaw::Kiss(code) => (leap, stratum, reference_id) = (3, 0, *code),
        Flaw::Short | Flaw::Echo | Flaw::Trailer => {}
    }
    if matches!(flaw, Flaw::Echo) {
        return Some(request.to_vec());
    }
    let mut reply = vec![
        leap << 6 | answered_version << 3 | mode,
        stratum,
        *request.get(2)?,
        0xe8,
    ];
    reply.extend_from_slice(&root_delay.to_be_bytes());
    reply.extend_from_slice(&root_dispersion.to_be_bytes());
    reply.extend_from_slice(&reference_id);
    for timestamp in [now - second, origin, receive, send] {
        reply.extend_from_slice(&timestamp.to_be_bytes());
    }
    match flaw {
        Flaw::Short => reply.truncate(47),
        Flaw::Trailer => reply.extend_from_slice(&[0xff; 21]),
        _ => {}
    }
    Some(reply)
}
