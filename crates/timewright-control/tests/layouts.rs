//! Every payload in use against its layout on the wire: known values to bytes and back. The bytes
//! are those of `data/layouts.txt`, which was written from `control-protocol.md`, not from our
//! own tables.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod support;

use std::collections::BTreeSet;
use support::{SEQUENCE, bytes, reply_header, request_header};
use timewright_control::client::{Answer, Expected, receive};
use timewright_control::reply::{
    self, Activity, AuthData, AuthMode, ClientAccess, Clients, ManualSample, ManualSamples,
    ManualTimestamp, NtpData, RtcReport, SelectData, ServerStats, Smoothing, SmoothingFlags,
    SourceData, SourceMode, SourceName, SourceState, SourceStats, TestFlags, Tracking,
};
use timewright_control::request::{
    self, AddSource, Burst, ClientsQuery, LocalReference, MakeStepRule, ManualMode, Name,
    SelectFlags, SelectOptions, SmoothAction, SourceFlags, SourceMask, SourceOffset, SourceRatio,
    SourceType, SourceValue, Subnet,
};
use timewright_control::server::{Admission, OpenCommands, Transport, admit};
use timewright_control::{Address, Command, Reply, ReplyCode, ReplyData, Request, Timespec};

// Numbers of `control-protocol.md` 3.1 that the format does not carry exactly.
const TENTH: f64 = 0.100_000_001_490_116_12;
const MICRO: f64 = 9.999_999_974_752_427e-7;
const NANO: f64 = 9.999_999_717_180_685e-10;

fn ip(text: &str) -> Address {
    text.parse().unwrap()
}

const SPEC_TIME: Timespec = Timespec {
    sec: 1_795_291_661,
    nsec: 362_148_151,
};

fn value(address: Address, value: i32) -> SourceValue {
    SourceValue { address, value }
}

fn ratio(value: f64) -> SourceRatio {
    SourceRatio {
        address: ip("192.0.2.5"),
        value,
    }
}

fn subnet(bits: i32) -> Subnet {
    Subnet {
        address: ip("10.1.0.0"),
        bits,
    }
}

fn mask(mask: &str, address: &str) -> SourceMask {
    SourceMask {
        mask: ip(mask),
        address: ip(address),
    }
}

/// The request whose bytes the table has.
fn request(code: u16) -> Request {
    use Request as R;
    let peer = ip("192.0.2.5");
    match code {
        1 => R::Online(mask("255.255.255.0", "10.1.2.0")),
        2 => R::Offline(mask("ffff:ffff:ffff::", "2001:db8:1::")),
        3 => R::Burst(Burst {
            sources: mask("255.255.255.0", "10.1.2.0"),
            good: 4,
            total: 8,
        }),
        4 => R::ModifyMinPoll(value(ip("2001:db8::5"), -3)),
        5 => R::ModifyMaxPoll(value(Address::Id(7), 17)),
        6 => R::Dump,
        7 => R::ModifyMaxDelay(ratio(0.5)),
        8 => R::ModifyMaxDelayRatio(ratio(3.0)),
        9 => R::ModifyMaxUpdateSkew(2000.0),
        11 => R::SetTime(Timespec {
            sec: -2,
            nsec: 999_999_999,
        }),
        13 => R::Manual(ManualMode::Reset),
        14 => R::SourceCount,
        15 => R::SourceData(5),
        16 => R::Rekey,
        17 => R::Allow(subnet(16)),
        18 => R::AllowAll(Subnet {
            address: ip("2001:db8::"),
            bits: 32,
        }),
        19 => R::Deny(Subnet {
            address: Address::Unspecified,
            bits: 0,
        }),
        20 => R::DenyAll(subnet(15)),
        21 => R::CommandAllow(subnet(14)),
        22 => R::CommandAllowAll(subnet(13)),
        23 => R::CommandDeny(subnet(12)),
        24 => R::CommandDenyAll(subnet(-1)),
        25 => R::AccessCheck(peer),
        26 => R::CommandAccessCheck(ip("2001:db8::5")),
        29 => R::DeleteSource(Address::Id(7)),
        30 => R::WriteRtc,
        31 => R::ChangeFrequency(-TENTH),
        33 => R::Tracking,
        34 => R::SourceStats(6),
        35 => R::RtcReport,
        36 => R::TrimRtc,
        37 => R::CycleLogs,
        41 => R::ManualList,
        42 => R::ManualDelete(3),
        43 => R::MakeStep,
        44 => R::Activity,
        45 => R::ModifyMinStratum(value(peer, 2)),
        46 => R::ModifyPollTarget(value(peer, 9)),
        47 => R::ModifyMaxDelayDevRatio(ratio(1.0)),
        48 => R::Reselect,
        49 => R::ReselectDistance(MICRO),
        50 => R::ModifyMakeStep(MakeStepRule {
            limit: -1,
            threshold: 0.5,
        }),
        51 => R::Smoothing,
        52 => R::SmoothTime(SmoothAction::Activate),
        53 => R::Refresh,
        54 => R::ServerStats,
        57 => R::NtpData(peer),
        62 => R::Shutdown,
        63 => R::OnOffline,
        64 => R::AddSource(Box::new(added())),
        65 => R::SourceName(Address::Id(7)),
        66 => R::ResetSources,
        67 => R::AuthData(peer),
        68 => R::Clients(ClientsQuery {
            first_index: 16,
            max_clients: 7,
            min_hits: 3,
            reset: 1,
        }),
        69 => R::SelectData(7),
        70 => R::ReloadSources,
        71 => R::ChangeOffset(-1.0),
        72 => R::ModifySelectOptions(SelectOptions {
            address: peer,
            refid: 0x4750_5331,
            mask: SelectFlags::PREFER | SelectFlags::REQUIRE,
            options: SelectFlags::PREFER | SelectFlags::REQUIRE,
        }),
        73 => R::ModifyOffset(SourceOffset {
            address: peer,
            refid: 0x4750_5331,
            offset: NANO,
        }),
        74 => R::Local(LocalReference {
            on: true,
            stratum: 3,
            distance: 0.5,
            orphan: true,
            activate: 3.0,
            wait_synced: 1.0,
            wait_unsynced: 2000.0,
        }),
        other => panic!("request {other} is in the table and not here"),
    }
}

fn added() -> AddSource {
    let all = SourceFlags::ONLINE
        | SourceFlags::AUTO_OFFLINE
        | SourceFlags::IBURST
        | SourceFlags::PREFER
        | SourceFlags::NOSELECT
        | SourceFlags::TRUST
        | SourceFlags::REQUIRE
        | SourceFlags::BURST
        | SourceFlags::COPY
        | SourceFlags::EXTFIELD_MONO_ROOT
        | SourceFlags::EXTFIELD_NET_CORRECTION
        | SourceFlags::IPV4
        | SourceFlags::IPV6;
    AddSource {
        source_type: SourceType::Peer,
        name: Name::new("ntp.example.net").unwrap(),
        port: 124,
        minpoll: -3,
        maxpoll: 11,
        presend_minpoll: 9,
        min_stratum: 3,
        poll_target: 7,
        version: 4,
        max_sources: 5,
        min_samples: 6,
        max_samples: 12,
        auth_key: 13,
        nts_port: 4445,
        max_delay: 0.5,
        max_delay_ratio: 3.0,
        max_delay_dev_ratio: 2000.0,
        min_delay: MICRO,
        asymmetry: -TENTH,
        offset: -1.0,
        flags: all,
        filter_length: 14,
        cert_set: 15,
        max_delay_quant: TENTH,
        max_unreach: 16,
    }
}

/// A command that is answered so, and the data whose bytes the table has.
fn data(code: u16) -> (Command, ReplyData) {
    use ReplyData as D;
    let (address, id) = (ip("192.0.2.6"), 0xC000_0205);
    match code {
        1 => (Command::Dump, D::Null),
        2 => (Command::SourceCount, D::SourceCount(0x102)),
        3 => (
            Command::SourceData,
            D::SourceData(SourceData {
                address: ip("2001:db8::5"),
                poll: -7,
                stratum: 3,
                state: SourceState::Combined,
                mode: SourceMode::Peer,
                flags: 0,
                reachability: 0o375,
                since_sample: 1337,
                original_offset: 0.5,
                adjusted_offset: -TENTH,
                error: 3.0,
            }),
        ),
        5 => (
            Command::Tracking,
            D::Tracking(Tracking {
                refid: id,
                address,
                stratum: 3,
                leap: 2,
                reference_time: Timespec {
                    sec: 0x1_0000_0002,
                    nsec: 3,
                },
                current_correction: 0.5,
                last_offset: -1.0,
                rms_offset: 3.0,
                frequency_ppm: -TENTH,
                residual_frequency_ppm: MICRO,
                skew_ppm: 2000.0,
                root_delay: 1.0,
                root_dispersion: TENTH,
                update_interval: NANO,
            }),
        ),
        6 => (
            Command::SourceStats,
            D::SourceStats(SourceStats {
                refid: id,
                address: Address::Id(7),
                samples: 17,
                runs: 18,
                span: 19,
                std_dev: 0.5,
                residual_frequency_ppm: -TENTH,
                skew_ppm: 3.0,
                offset: -1.0,
                offset_error: 2000.0,
            }),
        ),
        7 => (
            Command::RtcReport,
            D::RtcReport(RtcReport {
                reference_time: SPEC_TIME,
                samples: 15,
                runs: 8,
                span: 5400,
                fast_by: -1.0,
                gain_ppm: 3.0,
            }),
        ),
        12 => (
            Command::Activity,
            D::Activity(Activity {
                online: 1,
                offline: 2,
                burst_online: 3,
                burst_offline: 4,
                unresolved: 5,
            }),
        ),
        13 => (
            Command::Smoothing,
            D::Smoothing(Smoothing {
                flags: SmoothingFlags::ACTIVE | SmoothingFlags::LEAP_ONLY,
                offset: -TENTH,
                frequency_ppm: 0.5,
                wander_ppm: MICRO,
                last_update_ago: 3.0,
                remaining: 2000.0,
            }),
        ),
        17 => (
            Command::SetTime,
            D::ManualTimestamp(ManualTimestamp {
                offset: 0.5,
                frequency_change_ppm: -TENTH,
                frequency_ppm: 3.0,
            }),
        ),
        18 => (Command::ManualList, D::ManualList(manual_samples())),
        19 => (
            Command::SourceName,
            D::SourceName(SourceName::new("ntp.example.net")),
        ),
        20 => (
            Command::AuthData,
            D::AuthData(AuthData {
                mode: AuthMode::Symmetric,
                key_type: 13,
                key_id: 0x8000_0001,
                key_length: 128,
                ke_attempts: 3,
                last_ke_ago: 11,
                cookies: 8,
                cookie_length: 100,
                nak: 1,
            }),
        ),
        21 => (Command::Clients, D::Clients(clients())),
        23 => (
            Command::SelectData,
            D::SelectData(SelectData {
                refid: id,
                address,
                state: b'+',
                authenticated: true,
                leap: 2,
                configured: SelectFlags::NOSELECT | SelectFlags::REQUIRE,
                effective: SelectFlags::PREFER | SelectFlags::TRUST,
                last_sample_ago: 11,
                score: 3.0,
                low_limit: -TENTH,
                high_limit: 0.5,
            }),
        ),
        25 => (
            Command::ServerStats,
            D::ServerStats(Box::new(server_stats())),
        ),
        26 => (Command::NtpData, D::NtpData(Box::new(ntp_data()))),
        other => panic!("reply {other} is in the table and not here"),
    }
}

fn manual_samples() -> ManualSamples {
    ManualSamples(vec![
        ManualSample {
            when: SPEC_TIME,
            slewed_offset: 0.5,
            original_offset: -TENTH,
            residual: 3.0,
        },
        ManualSample {
            when: Timespec {
                sec: 0x6b01_fb40,
                nsec: 0,
            },
            slewed_offset: -1.0,
            original_offset: 1.0,
            residual: 2000.0,
        },
    ])
}

fn clients() -> Clients {
    let first = ClientAccess {
        address: ip("127.0.0.1"),
        ntp_hits: 222,
        nke_hits: 2,
        cmd_hits: 3,
        ntp_drops: 4,
        nke_drops: 5,
        cmd_drops: 6,
        ntp_interval: -1,
        nke_interval: 6,
        cmd_interval: 7,
        ntp_timeout_interval: 127,
        last_ntp_ago: 8,
        last_nke_ago: 21,
        last_cmd_ago: u32::MAX,
    };
    let second = ClientAccess {
        address: ip("2001:db8::5"),
        ntp_hits: 9,
        nke_hits: 0,
        cmd_hits: 0,
        ntp_drops: 0,
        nke_drops: 0,
        cmd_drops: 0,
        ntp_interval: 127,
        nke_interval: 127,
        cmd_interval: 127,
        ntp_timeout_interval: 127,
        last_ntp_ago: 10,
        last_nke_ago: u32::MAX,
        last_cmd_ago: u32::MAX,
    };
    Clients {
        table_size: 32,
        next_index: 16,
        clients: vec![first, second],
    }
}

fn server_stats() -> ServerStats {
    let count = |n: u64| n << 32 | 1;
    ServerStats {
        ntp_hits: count(1),
        nke_hits: count(2),
        cmd_hits: count(3),
        ntp_drops: count(4),
        nke_drops: count(5),
        cmd_drops: count(6),
        log_drops: count(7),
        ntp_auth_hits: count(8),
        ntp_interleaved_hits: count(9),
        ntp_timestamps: count(10),
        ntp_span: count(11),
        daemon_rx: count(12),
        daemon_tx: count(13),
        kernel_rx: count(14),
        kernel_tx: count(15),
        hardware_rx: count(16),
        hardware_tx: count(17),
    }
}

fn ntp_data() -> NtpData {
    NtpData {
        remote_address: ip("192.0.2.5"),
        local_address: ip("2001:db8::5"),
        remote_port: 11123,
        leap: 1,
        version: 4,
        mode: 2,
        stratum: 3,
        poll: -6,
        precision: -25,
        root_delay: 0.5,
        root_dispersion: 3.0,
        refid: 0x4750_5331,
        reference_time: Timespec {
            sec: 0x6b01_f9fc,
            nsec: 0x04da_9d8b,
        },
        offset: -TENTH,
        peer_delay: 1.0,
        peer_dispersion: 2000.0,
        response_time: MICRO,
        jitter_asymmetry: -1.0,
        flags: TestFlags(0x03f7) | TestFlags::INTERLEAVED | TestFlags::AUTHENTICATED,
        tx_source: b'D',
        rx_source: b'H',
        total_tx: 33,
        total_rx: 34,
        total_valid_rx: 35,
        total_good_rx: 36,
        total_kernel_tx: 37,
        total_kernel_rx: 38,
        total_hardware_tx: 39,
        total_hardware_rx: 40,
    }
}

/// A block of the table: what it is, its numbers and its payload.
struct Layout {
    kind: &'static str,
    code: u16,
    len: usize,
    pad: Option<usize>,
    /// Fields by offset; the length of the payload is that of the last field's end or more.
    fields: Vec<(usize, Vec<u8>)>,
}

impl Layout {
    /// The payload, with zeros up to `len` bytes.
    #[track_caller]
    fn payload(&self, len: usize) -> Vec<u8> {
        let mut payload = vec![0; len];
        let mut end = 0;
        for (at, bytes) in &self.fields {
            assert!(*at >= end, "{} {}: P+{at} overlaps", self.kind, self.code);
            end = at + bytes.len();
            payload[*at..end].copy_from_slice(bytes);
        }
        payload
    }
}

fn layouts() -> Vec<Layout> {
    let mut layouts: Vec<Layout> = Vec::new();
    for line in include_str!("data/layouts.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(field) = line.strip_prefix("P+") {
            let (at, text) = field.split_once(' ').unwrap();
            let layout = layouts.last_mut().unwrap();
            layout.fields.push((at.parse().unwrap(), bytes(text)));
            continue;
        }
        let words: Vec<&'static str> = line.split(' ').collect();
        layouts.push(Layout {
            kind: words[0],
            code: words[1].parse().unwrap(),
            len: words[2].parse().unwrap(),
            pad: words.get(3).map(|pad| pad.parse().unwrap()),
            fields: Vec::new(),
        });
    }
    layouts
}

#[test]
fn every_request_is_laid_out_as_specified() {
    let mut seen = BTreeSet::new();
    for layout in layouts().iter().filter(|layout| layout.kind == "request") {
        let code = layout.code;
        assert!(seen.insert(code), "{code} twice");
        let request = request(code);
        assert_eq!(request.command().code(), code);
        let mut want = request_header(code);
        want.extend(layout.payload(layout.len - want.len()));
        let padding = layout.len - request::encode(&request, 5, 0, SEQUENCE).len();
        assert_eq!(Some(padding), layout.pad, "padding of {code}");
        let got = request::encode(&request, 6, 0, SEQUENCE);
        assert_eq!(got, want, "{request:?}");
        // And back, also with bytes that nobody asked for.
        for extra in [0, 1, 860 - want.len()] {
            let mut sent = want.clone();
            sent.resize(want.len() + extra, 0xa5);
            match admit(&sent, Transport::Unix, OpenCommands::NONE, || true) {
                Admission::Accept(again, _) => assert_eq!(again, request),
                other => panic!("{code}: {other:?}"),
            }
        }
        if layout.len > 28 {
            let short = &want[..want.len() - 1];
            let Admission::Refuse(reply) =
                admit(short, Transport::Unix, OpenCommands::NONE, || true)
            else {
                panic!("{code} with a byte less is taken");
            };
            assert_eq!(reply, reply_header(code, 1, 19));
        }
    }
    let all: BTreeSet<_> = Command::ALL.iter().map(|command| command.code()).collect();
    assert_eq!(seen, all, "the table and the commands differ");
}

#[test]
fn every_reply_is_laid_out_as_specified() {
    let mut seen = BTreeSet::new();
    for layout in layouts().iter().filter(|layout| layout.kind == "reply") {
        let code = layout.code;
        assert!(seen.insert(code), "{code} twice");
        let (command, data) = data(code);
        assert_eq!(data.code(), command.reply(), "{command:?}");
        let mut want = reply_header(command.code(), code, 0);
        want.extend(layout.payload(layout.len - want.len()));
        let reply: Reply = data.into();
        let got = reply::encode(&reply, command.code(), SEQUENCE);
        assert_eq!(got, want, "{reply:?}");
        let expected = Expected {
            version: 6,
            command,
            sequence: SEQUENCE,
        };
        assert_eq!(receive(&want, expected), Answer::Reply(reply.clone()));
        // Unknown bytes at the end do no harm, a missing one does.
        let longer = [want.as_slice(), &[0xa5; 7]].concat();
        assert_eq!(receive(&longer, expected), Answer::Reply(reply));
        if code != 1 {
            let short = &want[..want.len() - 1];
            assert_eq!(receive(short, expected), Answer::Truncated, "{code}");
        }
    }
    let known = (0..100).filter(|code| !matches!(ReplyCode::from_code(*code), ReplyCode::Other(_)));
    assert_eq!(seen, known.collect(), "the table and the replies differ");
}

/// `control-protocol.md` 2.2: whatever the status, an error carries nothing.
#[test]
fn every_status_has_its_place_in_the_header() {
    use timewright_control::Status;
    for code in 0..=21 {
        let reply = Reply::status(Status::from_code(code));
        let sent = reply::encode(&reply, 33, SEQUENCE);
        assert_eq!(sent, reply_header(33, 1, code));
    }
}
