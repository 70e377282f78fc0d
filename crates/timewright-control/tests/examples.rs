//! The worked examples of `control-protocol.md` 15, byte for byte: what we would send is what was
//! captured, and what was captured is read as what the text says it means.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod support;

use std::collections::BTreeMap;
use support::{SEQUENCE, bytes, reply_header, request_header};
use timewright_control::client::{Answer, Expected, receive};
use timewright_control::reply::{
    self, AuthData, AuthMode, ClientAccess, Clients, ManualTimestamp, NtpData, SelectData,
    SourceData, SourceMode, SourceState, SourceStats, TestFlags, Tracking,
};
use timewright_control::request::{
    self, AddSource, Burst, ClientsQuery, LocalReference, MakeStepRule, Name, SelectFlags,
    SelectOptions, SourceFlags, SourceMask, SourceOffset, SourceType, Subnet,
};
use timewright_control::server::{Admission, OpenCommands, Transport, admit};
use timewright_control::{Address, Command, Reply, ReplyData, Request, Status, Timespec};

fn ip(text: &str) -> Address {
    text.parse().unwrap()
}

fn time(sec: i64, nsec: u32) -> Timespec {
    Timespec { sec, nsec }
}

/// What the request of an example asks.
fn request(number: &str) -> Request {
    use Request as R;
    let options = |address, refid, mask, options| {
        R::ModifySelectOptions(SelectOptions {
            address,
            refid,
            mask,
            options,
        })
    };
    let pps = 0x5050_5330;
    match number {
        "15.1" => R::SourceCount,
        "15.2" => R::Tracking,
        "15.3" => R::SourceData(0),
        "15.7" => R::ServerStats,
        "15.8" => R::Online(SourceMask::one(ip("127.0.0.2"))),
        "15.10" => R::SelectData(2),
        "15.11" => R::NtpData(ip("127.0.0.2")),
        "15.13" => R::SetTime(time(0x6b01_fb40, 0)),
        "15.14selectopts" => {
            let set = SelectFlags::NOSELECT | SelectFlags::TRUST | SelectFlags::REQUIRE;
            options(ip("1.2.3.4"), 0, set | SelectFlags::PREFER, set)
        }
        "15.14selectopts-clock" => {
            let prefer = SelectFlags::PREFER;
            options(Address::Unspecified, pps, prefer, prefer)
        }
        "15.14offset" => R::ModifyOffset(SourceOffset {
            address: Address::Unspecified,
            refid: pps,
            offset: 0.25,
        }),
        "15.14local-options" => R::Local(LocalReference {
            on: true,
            stratum: 5,
            distance: 0.5,
            orphan: true,
            activate: TENTH,
            wait_synced: 10.0,
            wait_unsynced: 20.0,
        }),
        "15.14local" => R::Local(LocalReference {
            on: true,
            stratum: 10,
            distance: 1.0,
            orphan: false,
            activate: 0.0,
            wait_synced: 0.0,
            wait_unsynced: 0.0,
        }),
        "15.14makestep" => R::ModifyMakeStep(MakeStepRule {
            limit: 3,
            threshold: TENTH,
        }),
        "15.14burst" => R::Burst(Burst {
            sources: SourceMask::ALL,
            good: 4,
            total: 8,
        }),
        "15.14offline" => R::Offline(SourceMask {
            mask: ip("ffff:ffff:e000::"),
            address: ip("2001:db8::"),
        }),
        "15.14online" => R::Online(SourceMask::one(Address::Id(3))),
        "15.14allow" => R::Allow(Subnet {
            address: ip("10.1.0.0"),
            bits: 16,
        }),
        "15.14add" => R::AddSource(Box::new(AddSource {
            port: 124,
            minpoll: 2,
            maxpoll: 3,
            auth_key: 10,
            offset: 0.5,
            max_unreach: 5,
            flags: SourceFlags::ONLINE
                | SourceFlags::IBURST
                | SourceFlags::PREFER
                | SourceFlags::TRUST
                | SourceFlags::IPV4,
            ..AddSource::new(SourceType::Server, Name::new("127.0.0.1").unwrap())
        })),
        "15.15" => R::Clients(ClientsQuery {
            first_index: 0,
            max_clients: 8,
            min_hits: 0,
            reset: 0,
        }),
        other => panic!("no meaning of the request of {other}"),
    }
}

/// 0.1 as the protocol can carry it.
const TENTH: f64 = 0.100_000_001_490_116_12;

/// What the reply of an example says, and to what.
fn answer(number: &str) -> (Command, Reply) {
    use ReplyData as D;
    let data = |command, data: ReplyData| (command, data.into());
    match number {
        "15.1" => data(Command::SourceCount, D::SourceCount(6)),
        "15.2" => data(Command::Tracking, D::Tracking(tracking())),
        "15.3" => data(
            Command::SourceData,
            D::SourceData(SourceData {
                address: ip("71.80.83.49"), // "GPS1"
                poll: 2,
                mode: SourceMode::RefClock,
                ..unsampled()
            }),
        ),
        "15.4" => data(Command::SourceData, D::SourceData(unsampled())),
        "15.5" => data(
            Command::SourceStats,
            D::SourceStats(SourceStats {
                refid: 0x7f00_0002,
                address: ip("127.0.0.2"),
                samples: 12,
                runs: 7,
                span: 11,
                std_dev: 2.20831268e-07,
                residual_frequency_ppm: 0.00119983207,
                skew_ppm: 0.0878797919,
                offset: 3.66421449e-10,
                offset_error: 3.31158435e-06,
            }),
        ),
        "15.6" => data(
            Command::SourceStats,
            D::SourceStats(SourceStats {
                refid: 0x4750_5331,
                address: Address::Unspecified,
                samples: 0,
                runs: 0,
                span: 0,
                std_dev: 4.0,
                residual_frequency_ppm: 0.0,
                skew_ppm: 2000.0,
                offset: 0.0,
                offset_error: 0.0,
            }),
        ),
        "15.7" => (Command::ServerStats, Status::Unauthorised.into()),
        "15.8" => (Command::Online, Reply::OK),
        "15.9" => data(
            Command::AuthData,
            D::AuthData(AuthData {
                mode: AuthMode::Nts,
                key_type: 15,
                key_id: 1,
                key_length: 256,
                ke_attempts: 0,
                last_ke_ago: 11,
                cookies: 8,
                cookie_length: 100,
                nak: 0,
            }),
        ),
        "15.10" => data(
            Command::SelectData,
            D::SelectData(SelectData {
                refid: 0x7f00_0002,
                address: ip("127.0.0.2"),
                state: b'*',
                authenticated: true,
                leap: 0,
                configured: SelectFlags::PREFER,
                effective: SelectFlags::PREFER | SelectFlags::TRUST | SelectFlags::REQUIRE,
                last_sample_ago: 0,
                score: 1.0,
                low_limit: -3.08129324e-06,
                high_limit: 3.27259681e-06,
            }),
        ),
        "15.11" => data(Command::NtpData, D::NtpData(Box::new(ntp_data()))),
        "15.13" => data(
            Command::SetTime,
            D::ManualTimestamp(ManualTimestamp {
                offset: 4.56087291e-05,
                frequency_change_ppm: 0.0,
                frequency_ppm: 0.000400428602,
            }),
        ),
        "15.13failed" => (Command::SetTime, Status::Failed.into()),
        "15.13off" => (Command::SetTime, Status::NotEnabled.into()),
        "15.15" => data(Command::Clients, D::Clients(clients())),
        other => panic!("no meaning of the reply of {other}"),
    }
}

fn unsampled() -> SourceData {
    SourceData {
        address: Address::Id(1),
        poll: 6,
        stratum: 0,
        state: SourceState::NonSelectable,
        mode: SourceMode::Client,
        flags: 0,
        reachability: 0,
        since_sample: u32::MAX,
        original_offset: 0.0,
        adjusted_offset: 0.0,
        error: 0.0,
    }
}

fn tracking() -> Tracking {
    Tracking {
        refid: 0x7f00_0002,
        address: ip("127.0.0.2"),
        stratum: 2,
        leap: 0,
        reference_time: time(1_795_291_661, 362_148_151),
        current_correction: -1.91128902e-06,
        last_offset: 5.16917602e-08,
        rms_offset: 5.9131429e-07,
        frequency_ppm: 0.0325311981,
        residual_frequency_ppm: 0.00119983207,
        skew_ppm: 0.0957275257,
        root_delay: 6.18000013e-06,
        root_dispersion: 8.38657343e-07,
        update_interval: 1.01200521,
    }
}

fn ntp_data() -> NtpData {
    NtpData {
        remote_address: ip("127.0.0.2"),
        local_address: ip("127.0.0.1"),
        remote_port: 11123,
        leap: 0,
        version: 4,
        mode: 4,
        stratum: 1,
        poll: 0,
        precision: -25,
        root_delay: 0.0,
        root_dispersion: 0.0,
        refid: timewright_control::refid::LOCAL,
        reference_time: time(0x6b01_f9fc, 0x04da_9d8b),
        offset: -1.46999994e-07,
        peer_delay: 6.18000013e-06,
        peer_dispersion: 6.18097857e-08,
        response_time: 5.91649987e-05,
        jitter_asymmetry: 0.0,
        flags: TestFlags::TESTS | TestFlags::AUTHENTICATED,
        tx_source: b'K',
        rx_source: b'K',
        total_tx: 13,
        total_rx: 13,
        total_valid_rx: 13,
        total_good_rx: 13,
        total_kernel_tx: 13,
        total_kernel_rx: 13,
        total_hardware_tx: 0,
        total_hardware_rx: 0,
    }
}

fn clients() -> Clients {
    let client = ClientAccess {
        address: ip("127.0.0.1"),
        ntp_hits: 222,
        nke_hits: 2,
        cmd_hits: 0,
        ntp_drops: 0,
        nke_drops: 0,
        cmd_drops: 0,
        ntp_interval: -1,
        nke_interval: 6,
        cmd_interval: 127,
        ntp_timeout_interval: 127,
        last_ntp_ago: 0,
        last_nke_ago: 21,
        last_cmd_ago: u32::MAX,
    };
    Clients {
        table_size: 16,
        next_index: 16,
        clients: vec![client],
    }
}

/// An example: its number, its direction and its bytes.
fn rows() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut rows: Vec<(&str, &str, String)> = Vec::new();
    for line in include_str!("data/examples.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
        } else if line.starts_with(' ') {
            rows.last_mut().unwrap().2 += line;
        } else {
            let (number, rest) = line.split_once(' ').unwrap();
            let (direction, text) = rest.split_once(' ').unwrap();
            rows.push((number, direction, text.to_owned()));
        }
    }
    rows.into_iter()
        .map(|(number, direction, text)| (number, direction, bytes(&text)))
        .collect()
}

#[test]
fn worked_examples() {
    let mut counts = BTreeMap::new();
    for (number, direction, bytes) in rows() {
        *counts.entry(direction).or_insert(0) += 1;
        match direction {
            ">" | "p>" => check_request(number, &request(number), bytes),
            "<" | "p<" | "r<" => check_reply(number, direction, bytes),
            other => panic!("{number}: direction {other}"),
        }
    }
    let counts: Vec<_> = counts.into_iter().collect();
    let want = [("<", 7), (">", 7), ("p<", 7), ("p>", 13), ("r<", 1)];
    assert_eq!(counts, want, "rows of the table");
}

#[track_caller]
fn check_request(number: &str, request: &Request, bytes: Vec<u8>) {
    let command = request.command();
    let want = if bytes.starts_with(&[6, 1]) {
        bytes
    } else {
        let mut whole = request_header(command.code());
        whole.extend(bytes);
        whole.resize(command.request_len(), 0);
        whole
    };
    let got = request::encode(request, 6, 0, SEQUENCE);
    assert_eq!(got, want, "{number}");
    match admit(&want, Transport::Unix, OpenCommands::NONE, || true) {
        Admission::Accept(again, _) => assert_eq!(again, *request, "{number}"),
        other => panic!("{number}: {other:?}"),
    }
}

#[track_caller]
fn check_reply(number: &str, direction: &str, bytes: Vec<u8>) {
    let (command, reply) = answer(number);
    let want = if direction == "<" {
        bytes
    } else {
        let code = command.reply();
        let mut whole = reply_header(command.code(), code.code(), 0);
        whole.extend(bytes);
        whole.resize(code.wire_len(), 0);
        whole
    };
    let got = reply::encode(&reply, command.code(), SEQUENCE);
    let expected = Expected {
        version: 6,
        command,
        sequence: SEQUENCE,
    };
    let read = |bytes: &[u8]| match receive(bytes, expected) {
        Answer::Reply(reply) => reply,
        other => panic!("{number}: {other:?}"),
    };
    // Decimals of the text have nine digits; the bytes carry no more.
    assert_eq!(read(&want), read(&got), "{number}");
    if direction != "r<" {
        assert_eq!(got, want, "{number}");
    }
}

/// 15.12, as far as no daemon is needed: the rest is with the engine that carries requests out.
#[test]
fn worked_errors() {
    let tracking = |version: u8, len: usize| {
        let mut datagram = request_header(33);
        datagram[0] = version;
        datagram.resize(len, 0);
        datagram
    };
    let command = |code: u16| {
        let mut datagram = request_header(code);
        datagram.resize(860, 0);
        datagram
    };
    let changed = |at: usize, byte: u8| {
        let mut datagram = tracking(6, 104);
        datagram[at] = byte;
        datagram
    };
    let add = |name: &[u8], source_type: u8| {
        let mut datagram = request_header(64);
        datagram.extend([0, 0, 0, source_type]);
        datagram.extend(name);
        datagram.resize(372, 0);
        datagram
    };
    for (what, datagram, want) in [
        ("28 bytes", tracking(6, 28), Some((33, 0x13))),
        ("27 bytes", tracking(6, 27), None),
        ("103 bytes", tracking(6, 103), Some((33, 0x13))),
        ("861 bytes", tracking(6, 861), None),
        ("version 5", tracking(5, 28), Some((33, 0x12))),
        ("version 7", tracking(7, 28), Some((33, 0x12))),
        ("version 4", tracking(4, 28), None),
        ("version 5, 20 bytes", tracking(5, 20), None),
        ("command 200", command(200), Some((200, 3))),
        ("command 0", command(0), Some((0, 3))),
        ("command 10", command(10), Some((10, 3))),
        ("add source type 9", add(b"127.0.0.1", 9), Some((64, 3))),
        ("name without end", add(&[b'a'; 256], 1), Some((64, 0x15))),
        ("name with blank", add(b"a b", 1), Some((64, 0x15))),
        ("packet type 2", changed(1, 2), None),
        ("reserved", changed(2, 1), None),
    ] {
        let got = admit(&datagram, Transport::Unix, OpenCommands::NONE, || true);
        let want = match want {
            None => Admission::Silence,
            Some((command, status)) => Admission::Refuse(reply_header(command, 1, status)),
        };
        assert_eq!(got, want, "{what}");
    }
    // 860 bytes, pads that are not zero and a ninth attempt: a normal reply with zero pads.
    for datagram in [
        tracking(6, 860),
        changed(7, 9),
        changed(12, 9),
        changed(19, 9),
    ] {
        let Admission::Accept(Request::Tracking, responder) =
            admit(&datagram, Transport::Udp, OpenCommands::default(), || true)
        else {
            panic!("not accepted");
        };
        let (command, reply) = answer("15.2");
        let plain = reply::encode(&reply, command.code(), SEQUENCE);
        assert_eq!(responder.reply(&reply), Some(plain));
    }
}
