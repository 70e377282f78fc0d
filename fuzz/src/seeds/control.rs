//! A valid request of every command, a valid reply of every kind, refusals, and the texts of the
//! client's arguments.

use super::{Seed, file_name};
use std::net::Ipv6Addr;
use timewright_control::reply::{
    Activity, AuthData, AuthMode, ClientAccess, Clients, ManualSample, ManualSamples,
    ManualTimestamp, NtpData, RtcReport, SelectData, ServerStats, Smoothing, SmoothingFlags,
    SourceData, SourceMode, SourceName, SourceState, SourceStats, TestFlags, Tracking,
};
use timewright_control::request::{
    AddSource, Burst, ClientsQuery, LocalReference, MakeStepRule, ManualMode, Name, SelectFlags,
    SelectOptions, SmoothAction, SourceFlags, SourceMask, SourceOffset, SourceRatio, SourceType,
    SourceValue, Subnet,
};
use timewright_control::{
    Address, Command, Reply, ReplyData, Request, Status, Timespec, VERSION, reply, request,
};

const SEQUENCE: u32 = 0x1122_3344;
const V4: Address = Address::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const V6: Address = Address::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
const TIME: Timespec = Timespec {
    sec: 1_795_291_661,
    nsec: 362_148_151,
};

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: String, bytes: Vec<u8>| {
        add(Seed {
            target: "control",
            name,
            bytes,
        });
    };
    for &command in Command::ALL {
        let request = a_request(command);
        let name = file_name(&format!("{:02} {command:?}", command.code()));
        add(
            format!("request-{name}"),
            request::encode(&request, VERSION, 0, SEQUENCE),
        );
    }
    for (name, request) in more_requests() {
        add(
            format!("request-{name}"),
            request::encode(&request, VERSION, 1, SEQUENCE),
        );
    }
    let tracking = request::encode(&Request::Tracking, VERSION, 0, SEQUENCE);
    for (name, at, value) in [
        ("version-5", 0, 5),
        ("version-4", 0, 4),
        ("type-2", 1, 2),
        ("reserved", 3, 1),
        ("retired", 5, 10),
        ("unknown", 5, 200),
    ] {
        let mut bytes = tracking.clone();
        bytes[at] = value;
        add(format!("request-bad-{name}"), bytes);
    }
    add("request-bad-short".into(), tracking[..40].to_vec());
    add(
        "request-bad-long".into(),
        [&tracking[..], &[0; 900]].concat(),
    );
    // The selector of `manual` and the name of `add` can be wrong.
    for (name, command, at, value) in [
        ("manual-mode", Command::Manual, 23, 7),
        ("source-type", Command::AddSource, 23, 9),
        ("name-blank", Command::AddSource, 25, b' '),
        ("name-endless", Command::AddSource, 24 + 255, b'x'),
    ] {
        let mut bytes = request::encode(&a_request(command), VERSION, 0, SEQUENCE);
        bytes[at] = value;
        add(format!("request-bad-{name}"), bytes);
    }

    for (command, data) in replies() {
        let name = file_name(&format!("{:02} {:?}", data.code().code(), data.code()));
        let bytes = reply::encode(&data.into(), command.code(), SEQUENCE);
        add(format!("reply-{name}"), bytes);
    }
    let failed =
        |status: Status| reply::encode(&Reply::status(status), Command::Tracking.code(), SEQUENCE);
    for code in 0..=22 {
        let status = Status::from_code(code);
        add(format!("reply-status-{code:02}"), failed(status));
    }
    let (command, data) = &replies()[3];
    let tracking = reply::encode(&data.clone().into(), command.code(), SEQUENCE);
    for length in [0, 19, 27, 28, 60, tracking.len() - 1] {
        add(
            format!("reply-cut-{length:03}"),
            tracking[..length].to_vec(),
        );
    }
    for (name, at) in [("type", 1), ("reserved", 2), ("command", 5)] {
        let mut bytes = tracking.clone();
        bytes[at] = 99;
        add(format!("reply-foreign-{name}"), bytes);
    }
    let refused = failed(Status::BadPacketVersion);
    for version in 3..6 {
        let mut bytes = refused.clone();
        bytes[0] = version;
        add(format!("reply-other-version-{version}"), bytes);
    }
    for (name, code) in [("retired", 14), ("unknown", 99)] {
        let mut bytes = failed(Status::Success);
        bytes[7] = code;
        add(format!("reply-{name}"), bytes.clone());
        bytes.resize(500, 0);
        add(format!("reply-{name}-long"), bytes);
    }

    for text in [
        "192.0.2.1",
        "2001:db8::1",
        "ID#0000000012",
        "ID#+1",
        "ID#",
        "ID#4294967296",
        "ID#-1x",
        "PPS0",
        "tracking",
        "no name",
    ] {
        add(
            format!(
                "text-{}",
                file_name(&text.replace('+', "plus").replace('-', "minus"))
            ),
            text.into(),
        );
    }
    add("text-long".into(), vec![b'x'; 256]);
}

#[expect(clippy::too_many_lines, reason = "one arm per command")]
pub(super) fn a_request(command: Command) -> Request {
    let sources = SourceMask::one(V4);
    let value = SourceValue {
        address: V4,
        value: 6,
    };
    let ratio = SourceRatio {
        address: V6,
        value: 0.25,
    };
    let subnet = Subnet {
        address: V4,
        bits: 24,
    };
    match command {
        Command::Online => Request::Online(sources),
        Command::Offline => Request::Offline(SourceMask::ALL),
        Command::Burst => Request::Burst(Burst {
            sources,
            good: 4,
            total: 8,
        }),
        Command::ModifyMinPoll => Request::ModifyMinPoll(value),
        Command::ModifyMaxPoll => Request::ModifyMaxPoll(value),
        Command::Dump => Request::Dump,
        Command::ModifyMaxDelay => Request::ModifyMaxDelay(ratio),
        Command::ModifyMaxDelayRatio => Request::ModifyMaxDelayRatio(ratio),
        Command::ModifyMaxUpdateSkew => Request::ModifyMaxUpdateSkew(100.0),
        Command::SetTime => Request::SetTime(TIME),
        Command::Manual => Request::Manual(ManualMode::On),
        Command::SourceCount => Request::SourceCount,
        Command::SourceData => Request::SourceData(1),
        Command::Rekey => Request::Rekey,
        Command::Allow => Request::Allow(subnet),
        Command::AllowAll => Request::AllowAll(subnet),
        Command::Deny => Request::Deny(subnet),
        Command::DenyAll => Request::DenyAll(subnet),
        Command::CommandAllow => Request::CommandAllow(subnet),
        Command::CommandAllowAll => Request::CommandAllowAll(subnet),
        Command::CommandDeny => Request::CommandDeny(subnet),
        Command::CommandDenyAll => Request::CommandDenyAll(subnet),
        Command::AccessCheck => Request::AccessCheck(V4),
        Command::CommandAccessCheck => Request::CommandAccessCheck(V6),
        Command::DeleteSource => Request::DeleteSource(V4),
        Command::WriteRtc => Request::WriteRtc,
        Command::ChangeFrequency => Request::ChangeFrequency(-1.5),
        Command::Tracking => Request::Tracking,
        Command::SourceStats => Request::SourceStats(0),
        Command::RtcReport => Request::RtcReport,
        Command::TrimRtc => Request::TrimRtc,
        Command::CycleLogs => Request::CycleLogs,
        Command::ManualList => Request::ManualList,
        Command::ManualDelete => Request::ManualDelete(2),
        Command::MakeStep => Request::MakeStep,
        Command::Activity => Request::Activity,
        Command::ModifyMinStratum => Request::ModifyMinStratum(value),
        Command::ModifyPollTarget => Request::ModifyPollTarget(value),
        Command::ModifyMaxDelayDevRatio => Request::ModifyMaxDelayDevRatio(ratio),
        Command::Reselect => Request::Reselect,
        Command::ReselectDistance => Request::ReselectDistance(1e-4),
        Command::ModifyMakeStep => Request::ModifyMakeStep(MakeStepRule {
            limit: 3,
            threshold: 0.1,
        }),
        Command::Smoothing => Request::Smoothing,
        Command::SmoothTime => Request::SmoothTime(SmoothAction::Activate),
        Command::Refresh => Request::Refresh,
        Command::ServerStats => Request::ServerStats,
        Command::NtpData => Request::NtpData(V4),
        Command::Shutdown => Request::Shutdown,
        Command::OnOffline => Request::OnOffline,
        Command::AddSource => {
            let name = Name::new("ntp.example.org").expect("a host name");
            Request::AddSource(Box::new(AddSource::new(SourceType::Server, name)))
        }
        Command::SourceName => Request::SourceName(Address::Id(12)),
        Command::ResetSources => Request::ResetSources,
        Command::AuthData => Request::AuthData(V6),
        Command::Clients => Request::Clients(ClientsQuery {
            first_index: 0,
            max_clients: 8,
            min_hits: 1,
            reset: 0,
        }),
        Command::SelectData => Request::SelectData(3),
        Command::ReloadSources => Request::ReloadSources,
        Command::ChangeOffset => Request::ChangeOffset(1e-3),
        Command::ModifySelectOptions => Request::ModifySelectOptions(SelectOptions {
            address: Address::Unspecified,
            refid: 0x5050_5330,
            mask: SelectFlags::PREFER | SelectFlags::TRUST,
            options: SelectFlags::PREFER,
        }),
        Command::ModifyOffset => Request::ModifyOffset(SourceOffset {
            address: V4,
            refid: 0,
            offset: -1e-6,
        }),
        Command::Local => Request::Local(LocalReference {
            on: true,
            stratum: 10,
            distance: 1.0,
            orphan: true,
            activate: 0.0,
            wait_synced: 0.0,
            wait_unsynced: 300.0,
        }),
    }
}

/// Other kinds of addresses, sources and selectors.
pub(super) fn more_requests() -> Vec<(&'static str, Request)> {
    let source = |kind, name: &str, flags| {
        let name = Name::new(name).expect("a host name");
        let source = AddSource::new(kind, name);
        Request::AddSource(Box::new(AddSource { flags, ..source }))
    };
    vec![
        ("online-v6", Request::Online(SourceMask::one(V6))),
        (
            "online-id",
            Request::Online(SourceMask::one(Address::Id(1))),
        ),
        ("manual-off", Request::Manual(ManualMode::Off)),
        ("manual-reset", Request::Manual(ManualMode::Reset)),
        ("smoothtime-reset", Request::SmoothTime(SmoothAction::Reset)),
        (
            "smoothtime-other",
            Request::SmoothTime(SmoothAction::Other(7)),
        ),
        (
            "add-peer",
            source(SourceType::Peer, "2001:db8::1", SourceFlags(0x7fff)),
        ),
        (
            "add-pool",
            source(SourceType::Pool, "", SourceFlags::NTS | SourceFlags::IBURST),
        ),
        (
            "settime-before-1970",
            Request::SetTime(Timespec { sec: -1, nsec: 0 }),
        ),
        ("frequency-huge", Request::ChangeFrequency(1e30)),
        ("frequency-tiny", Request::ChangeFrequency(-1e-30)),
        ("frequency-zero", Request::ChangeFrequency(0.0)),
    ]
}

#[expect(clippy::too_many_lines, reason = "one block per kind of reply")]
fn replies() -> Vec<(Command, ReplyData)> {
    let sample = ManualSample {
        when: TIME,
        slewed_offset: 0.5,
        original_offset: 1.0,
        residual: -0.25,
    };
    let client = ClientAccess {
        address: V6,
        ntp_hits: 1000,
        nke_hits: 2,
        cmd_hits: 3,
        ntp_drops: 4,
        nke_drops: 5,
        cmd_drops: 6,
        ntp_interval: 6,
        nke_interval: 127,
        cmd_interval: -2,
        ntp_timeout_interval: 127,
        last_ntp_ago: 7,
        last_nke_ago: u32::MAX,
        last_cmd_ago: 0,
    };
    vec![
        (Command::Reselect, ReplyData::Null),
        (Command::SourceCount, ReplyData::SourceCount(6)),
        (
            Command::SourceData,
            ReplyData::SourceData(SourceData {
                address: V4,
                poll: -2,
                stratum: 2,
                state: SourceState::Selected,
                mode: SourceMode::Client,
                flags: 0,
                reachability: 0o377,
                since_sample: 12,
                original_offset: 1e-3,
                adjusted_offset: -1e-6,
                error: 0.02,
            }),
        ),
        (
            Command::Tracking,
            ReplyData::Tracking(Tracking {
                refid: 0xc000_0201,
                address: V4,
                stratum: 3,
                leap: 0,
                reference_time: TIME,
                current_correction: -1.911_289_02e-6,
                last_offset: 5.169_176_02e-8,
                rms_offset: 5.9e-7,
                frequency_ppm: 0.032_531,
                residual_frequency_ppm: 0.0012,
                skew_ppm: 0.0957,
                root_delay: 6.18e-6,
                root_dispersion: 8.4e-7,
                update_interval: 64.5,
            }),
        ),
        (
            Command::SourceStats,
            ReplyData::SourceStats(SourceStats {
                refid: 0xc000_0201,
                address: V4,
                samples: 12,
                runs: 7,
                span: 700,
                std_dev: 2.2e-7,
                residual_frequency_ppm: -0.001,
                skew_ppm: 0.1,
                offset: 3e-6,
                offset_error: 1e-6,
            }),
        ),
        (
            Command::RtcReport,
            ReplyData::RtcReport(RtcReport {
                reference_time: TIME,
                samples: 10,
                runs: 5,
                span: 600,
                fast_by: -0.5,
                gain_ppm: 2.5,
            }),
        ),
        (
            Command::Activity,
            ReplyData::Activity(Activity {
                online: 4,
                offline: 1,
                burst_online: 0,
                burst_offline: 0,
                unresolved: 2,
            }),
        ),
        (
            Command::Smoothing,
            ReplyData::Smoothing(Smoothing {
                flags: SmoothingFlags::ACTIVE | SmoothingFlags::LEAP_ONLY,
                offset: 0.5,
                frequency_ppm: 100.0,
                wander_ppm: 0.001,
                last_update_ago: 10.0,
                remaining: 1000.0,
            }),
        ),
        (
            Command::SetTime,
            ReplyData::ManualTimestamp(ManualTimestamp {
                offset: 0.1,
                frequency_change_ppm: 1.0,
                frequency_ppm: -20.0,
            }),
        ),
        (
            Command::ManualList,
            ReplyData::ManualList(ManualSamples(vec![sample.clone(), sample])),
        ),
        (
            Command::SourceName,
            ReplyData::SourceName(SourceName::new("ntp.example.org")),
        ),
        (
            Command::AuthData,
            ReplyData::AuthData(AuthData {
                mode: AuthMode::Nts,
                key_type: 15,
                key_id: 1,
                key_length: 256,
                ke_attempts: 0,
                last_ke_ago: 60,
                cookies: 8,
                cookie_length: 100,
                nak: 0,
            }),
        ),
        (
            Command::Clients,
            ReplyData::Clients(Clients {
                table_size: 16,
                next_index: 8,
                clients: vec![client.clone(), client],
            }),
        ),
        (
            Command::SelectData,
            ReplyData::SelectData(SelectData {
                refid: 0xc000_0201,
                address: V4,
                state: b'*',
                authenticated: true,
                leap: 0,
                configured: SelectFlags::TRUST,
                effective: SelectFlags::TRUST | SelectFlags::REQUIRE,
                last_sample_ago: 5,
                score: 1.0,
                low_limit: -0.01,
                high_limit: 0.01,
            }),
        ),
        (
            Command::ServerStats,
            ReplyData::ServerStats(Box::new(ServerStats {
                ntp_hits: 1 << 40,
                nke_hits: 2,
                cmd_hits: 3,
                ntp_drops: 4,
                nke_drops: 5,
                cmd_drops: 6,
                log_drops: 7,
                ntp_auth_hits: 8,
                ntp_interleaved_hits: 9,
                ntp_timestamps: 10,
                ntp_span: 11,
                daemon_rx: 12,
                daemon_tx: 13,
                kernel_rx: 14,
                kernel_tx: 15,
                hardware_rx: 16,
                hardware_tx: 17,
            })),
        ),
        (
            Command::NtpData,
            ReplyData::NtpData(Box::new(NtpData {
                remote_address: V4,
                local_address: V6,
                remote_port: 123,
                leap: 0,
                version: 4,
                mode: 4,
                stratum: 1,
                poll: 6,
                precision: -25,
                root_delay: 1e-3,
                root_dispersion: 2e-3,
                refid: 0x4750_5300,
                reference_time: TIME,
                offset: 1e-6,
                peer_delay: 1e-4,
                peer_dispersion: 1e-7,
                response_time: 1e-5,
                jitter_asymmetry: 0.0,
                flags: TestFlags::TESTS | TestFlags::INTERLEAVED | TestFlags::AUTHENTICATED,
                tx_source: b'K',
                rx_source: b'H',
                total_tx: 10,
                total_rx: 9,
                total_valid_rx: 8,
                total_good_rx: 7,
                total_kernel_tx: 6,
                total_kernel_rx: 5,
                total_hardware_tx: 4,
                total_hardware_rx: 3,
            })),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_of_their_command_and_replies_of_every_kind() {
        for &command in Command::ALL {
            assert_eq!(a_request(command).command(), command);
            let reply = command.reply();
            assert!(
                replies().iter().any(|(_, data)| data.code() == reply),
                "{reply:?}"
            );
        }
        for (command, data) in replies() {
            assert_eq!(command.reply(), data.code());
        }
    }
}
