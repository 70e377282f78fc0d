//! Replies against the dumps of `control-protocol.md` 15.

use super::*;
use crate::client::{Answer, Expected, receive};
use crate::request::SelectFlags;
use crate::{Address, Command, Timespec};
use proptest::prelude::*;

/// Bytes from hexadecimal digits; `00x12` is twelve times `00`.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for word in text.split([' ', '|', '\n']).filter(|word| !word.is_empty()) {
        if let Some((byte, count)) = word.split_once('x') {
            let byte = u8::from_str_radix(byte, 16).unwrap();
            out.extend(std::iter::repeat_n(byte, count.parse().unwrap()));
        } else {
            out.extend(
                (0..word.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()),
            );
        }
    }
    out
}

/// Reads the reply whose payload is given, and checks that it is written the same.
#[track_caller]
fn check(command: Command, status: Status, payload: &str) -> ReplyData {
    let mut want = bytes("06 02 00 00");
    want.extend(command.code().to_be_bytes());
    let code = if payload.is_empty() {
        ReplyCode::Null
    } else {
        command.reply()
    };
    want.extend(code.code().to_be_bytes());
    want.extend(status.code().to_be_bytes());
    want.extend(bytes("00x6 11223344 00x8"));
    want.extend(bytes(payload));
    want.resize(code.wire_len(), 0);

    let expected = Expected {
        version: VERSION,
        command,
        sequence: 0x1122_3344,
    };
    let Answer::Reply(reply) = receive(&want, expected) else {
        panic!("not a reply: {want:02x?}");
    };
    assert_eq!(reply.status, status);
    assert_eq!(
        encode(&reply, command.code(), 0x1122_3344),
        want,
        "{reply:?}"
    );
    reply.data
}

#[track_caller]
fn check_close(got: f64, want: f64) {
    assert!(
        (got - want).abs() <= want.abs() * 1e-8,
        "{got} is not {want}"
    );
}

#[test]
fn source_count() {
    assert_eq!(
        check(Command::SourceCount, Status::Success, "00000006"),
        ReplyData::SourceCount(6)
    );
}

#[test]
fn tracking() {
    let ReplyData::Tracking(report) = check(
        Command::Tracking,
        Status::Success,
        "7f000002 | 7f000002 00x12 0001 0000 | 0002 0000 | 00000000 6b01fa0d 1595f137
         df7fbc4e d2de03b1 da9ebacf | fa853f6f f09d43af fcc40ccb | e0cf5dcc dae12018 04818963",
    ) else {
        panic!("not tracking");
    };
    assert_eq!(report.refid, 0x7f00_0002);
    assert_eq!(report.address, "127.0.0.2".parse().unwrap());
    assert_eq!((report.stratum, report.leap), (2, 0));
    assert_eq!(
        report.reference_time,
        Timespec {
            sec: 1_795_291_661,
            nsec: 362_148_151
        }
    );
    for (got, want) in [
        (report.current_correction, -1.91128902e-06),
        (report.last_offset, 5.16917602e-08),
        (report.rms_offset, 5.9131429e-07),
        (report.frequency_ppm, 0.0325311981),
        (report.residual_frequency_ppm, 0.00119983207),
        (report.skew_ppm, 0.0957275257),
        (report.root_delay, 6.18000013e-06),
        (report.root_dispersion, 8.38657343e-07),
        (report.update_interval, 1.01200521),
    ] {
        check_close(got, want);
    }
}

#[test]
fn source_data() {
    let ReplyData::SourceData(clock) = check(
        Command::SourceData,
        Status::Success,
        "47505331 00x12 0001 0000 | 0002 0000 0001 0002 0000 0000 | ffffffff 00x12",
    ) else {
        panic!("not source data");
    };
    assert_eq!(clock.address, Address::V4(0x4750_5331.into()));
    assert_eq!(
        (clock.poll, clock.mode, clock.since_sample),
        (2, SourceMode::RefClock, u32::MAX)
    );
    let ReplyData::SourceData(unresolved) = check(
        Command::SourceData,
        Status::Success,
        "00000001 00x12 0003 0000 | 0006 0000 0001 0000 0000 0000 | ffffffff 00x12",
    ) else {
        panic!("not source data");
    };
    assert_eq!(unresolved.address, Address::Id(1));
    assert_eq!(
        (unresolved.poll, unresolved.state),
        (6, SourceState::NonSelectable)
    );
}

#[test]
fn source_stats() {
    let ReplyData::SourceStats(stats) = check(
        Command::SourceStats,
        Status::Success,
        "7f000002 | 7f000002 00x12 0001 0000 | 0000000c 00000007 0000000b
         d6ed1da3 f09d43af fcb3fa52 c4c9713c dede3c96",
    ) else {
        panic!("not source statistics");
    };
    assert_eq!((stats.samples, stats.runs, stats.span), (12, 7, 11));
    check_close(stats.std_dev, 2.20831268e-07);
    check_close(stats.skew_ppm, 0.0878797919);
    check_close(stats.offset, 3.66421449e-10);
    check_close(stats.offset_error, 3.31158435e-06);
    let ReplyData::SourceStats(fresh) = check(
        Command::SourceStats,
        Status::Success,
        "47505331 | 00x20 | 00x12 | 08800000 00000000 18fa0000 00x8",
    ) else {
        panic!("not source statistics");
    };
    check_close(fresh.std_dev, 4.0);
    check_close(fresh.skew_ppm, 2000.0);
}

#[test]
fn errors_carry_nothing() {
    for status in [
        Status::Unauthorised,
        Status::BadPacketLength,
        Status::Failed,
        Status::NotEnabled,
    ] {
        assert_eq!(check(Command::ServerStats, status, ""), ReplyData::Null);
    }
    assert_eq!(check(Command::Online, Status::Success, ""), ReplyData::Null);
}

#[test]
fn auth_data() {
    let want = AuthData {
        mode: AuthMode::Nts,
        key_type: 15,
        key_id: 1,
        key_length: 256,
        ke_attempts: 0,
        last_ke_ago: 11,
        cookies: 8,
        cookie_length: 100,
        nak: 0,
    };
    let got = check(
        Command::AuthData,
        Status::Success,
        "0002 000f 00000001 0100 0000 0000000b 0008 0064 0000 0000",
    );
    assert_eq!(got, ReplyData::AuthData(want));
}

#[test]
fn select_data() {
    let ReplyData::SelectData(data) = check(
        Command::SelectData,
        Status::Success,
        "7f000002 | 7f000002 00x12 0001 0000 | 2a010000 0002000e 00000000 04800000 df3137c9 dedb9ec9",
    ) else {
        panic!("not selection data");
    };
    assert_eq!((data.state, data.authenticated, data.leap), (b'*', true, 0));
    assert_eq!(data.configured, SelectFlags::PREFER);
    assert_eq!(
        data.effective,
        SelectFlags::PREFER | SelectFlags::TRUST | SelectFlags::REQUIRE
    );
    check_close(data.score, 1.0);
    check_close(data.low_limit, -3.08129324e-06);
    check_close(data.high_limit, 3.27259681e-06);
}

#[test]
fn ntp_data() {
    let ReplyData::NtpData(data) = check(
        Command::NtpData,
        Status::Success,
        "7f000002 00x12 0001 0000 | 7f000001 00x12 0001 0000 | 2b73 | 00040401 00e7
         00x8 7f7f0101 | 00000000 6b01f9fc 04da9d8b
         d76228f3 e0cf5dcc d484bc4a e6f827ef 00000000 | 83ff 4b4b
         0000000d 0000000d 0000000d 0000000d 0000000d 0000000d 00x8 ffx16",
    ) else {
        panic!("not NTP data");
    };
    assert_eq!(
        (data.remote_port, data.version, data.mode, data.stratum),
        (11123, 4, 4, 1)
    );
    assert_eq!(
        (data.poll, data.precision, data.refid),
        (0, -25, crate::refid::LOCAL)
    );
    check_close(data.offset, -1.46999994e-07);
    check_close(data.response_time, 5.91649987e-05);
    assert!(
        data.flags
            .contains(TestFlags::TESTS | TestFlags::AUTHENTICATED)
    );
    assert!(!data.flags.contains(TestFlags::INTERLEAVED));
    assert_eq!(
        (data.tx_source, data.rx_source, data.total_good_rx),
        (b'K', b'K', 13)
    );
}

#[test]
fn manual_timestamp() {
    let ReplyData::ManualTimestamp(result) = check(
        Command::SetTime,
        Status::Success,
        "e6bf4c00 00000000 ecd1f09e",
    ) else {
        panic!("not a manual timestamp");
    };
    check_close(result.offset, 4.56087291e-05);
    check_close(result.frequency_ppm, 0.000400428602);
    // The dump has the same number as another word: a reader must take any.
    check_close(crate::float::decode(0xea2f_d300), result.offset);
}

#[test]
fn clients() {
    let ReplyData::Clients(part) = check(
        Command::Clients,
        Status::Success,
        "00000010 00000010 00000001 | 7f000001 00x12 0001 0000 | 000000de 00000002 00000000 | 00x12
         ff067f7f | 00000000 00000015 ffffffff",
    ) else {
        panic!("not clients");
    };
    assert_eq!(
        (part.table_size, part.next_index, part.clients.len()),
        (16, 16, 1)
    );
    let client = &part.clients[0];
    assert_eq!(
        (
            client.ntp_hits,
            client.nke_hits,
            client.ntp_interval,
            client.nke_interval
        ),
        (222, 2, -1, 6)
    );
    assert_eq!(
        (
            client.cmd_interval,
            client.last_nke_ago,
            client.last_cmd_ago
        ),
        (127, 21, u32::MAX)
    );
}

#[test]
fn reserved_words_of_the_counters_are_all_ones() {
    let zeros = "00x136 ffx32";
    assert!(matches!(
        check(Command::ServerStats, Status::Success, zeros),
        ReplyData::ServerStats(_)
    ));
}

#[test]
fn tables_hold_no_more_than_their_slots() {
    let sample = ManualSample {
        when: Timespec { sec: 1, nsec: 2 },
        slewed_offset: 0.5,
        original_offset: 0.5,
        residual: 0.0,
    };
    let reply = ReplyData::ManualList(ManualSamples(vec![sample; 20])).into();
    let sent = encode(&reply, 41, 1);
    assert_eq!(sent.len(), 416);
    assert_eq!(sent[28..32], [0, 0, 0, 16]);
    // A count beyond the slots is one a client must survive.
    let mut lie = sent;
    lie[28] = 0xff;
    let expected = Expected {
        version: VERSION,
        command: Command::ManualList,
        sequence: 1,
    };
    assert!(
        matches!(receive(&lie, expected), Answer::Reply(Reply { data: ReplyData::ManualList(list), .. }) if list.0.len() == 16)
    );
}

#[test]
fn names_that_fill_their_field_are_unusable() {
    assert_eq!(
        SourceName::new("ntp.example.net").usable(),
        Some("ntp.example.net")
    );
    assert_eq!(
        SourceName::new(&"a".repeat(255)).usable().map(str::len),
        Some(255)
    );
    assert_eq!(SourceName::new(&"a".repeat(256)).usable(), None);
    assert_eq!(SourceName::new(&"a".repeat(300)).usable(), None);
    assert_eq!(SourceName::new("a b").usable(), None);
}

proptest! {
    #[test]
    fn any_payload_reads_and_settles(code in 0u16..30, payload in proptest::collection::vec(any::<u8>(), 500)) {
        let code = ReplyCode::from_code(code);
        let data = ReplyData::take(code, &mut Reader::new(&payload)).unwrap();
        if code.wire_len() >= REPLY_HEADER && !matches!(code, ReplyCode::Other(_)) {
            let bytes = encode(&data.clone().into(), 14, 7);
            prop_assert_eq!(bytes.len(), code.wire_len());
            let again = ReplyData::take(code, &mut Reader::new(&bytes[REPLY_HEADER..])).unwrap();
            let twice = encode(&again.clone().into(), 14, 7);
            let third = ReplyData::take(code, &mut Reader::new(&twice[REPLY_HEADER..])).unwrap();
            prop_assert_eq!(again, third);
        }
    }

    #[test]
    fn no_datagram_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..600), plausible: bool) {
        let expected = Expected { version: VERSION, command: Command::Tracking, sequence: 7 };
        if plausible && datagram.len() >= 28 {
            datagram[..6].copy_from_slice(&[6, 2, 0, 0, 0, 33]);
            datagram[16..20].copy_from_slice(&[0, 0, 0, 7]);
        }
        let _ = receive(&datagram, expected);
    }
}
