//! The order of checks (`control-protocol.md` 5, 6 and 15.12).

use super::*;
use crate::request::{AddSource, Name, SourceType, encode};
use crate::{Address, ReplyData};
use proptest::prelude::*;
use std::cell::Cell;

const SEQUENCE: u32 = 0x1122_3344;

#[derive(Debug, PartialEq)]
enum Want {
    Silence,
    Status(u16),
    Accept,
}

#[track_caller]
fn check_on(transport: Transport, datagram: &[u8], want: Want) {
    let counted = Cell::new(0);
    let got = admit(datagram, transport, OpenCommands::default(), || {
        counted.set(counted.get() + 1);
        true
    });
    let got = match got {
        Admission::Silence => Want::Silence,
        Admission::Refuse(bytes) => {
            let mut want = vec![6, 2, 0, 0, datagram[4], datagram[5], 0, 1, 0, bytes[9]];
            want.extend([0; 6]);
            want.extend(&datagram[8..12]);
            want.extend([0; 8]);
            assert_eq!(bytes, want);
            assert_eq!(counted.get(), 1, "an answered request is counted");
            Want::Status(u16::from(bytes[9]))
        }
        Admission::Accept(..) => {
            assert_eq!(counted.get(), 1, "an accepted request is counted");
            Want::Accept
        }
    };
    assert_eq!(got, want);
}

#[track_caller]
fn check(datagram: &[u8], want: Want) {
    check_on(Transport::Unix, datagram, want);
}

fn tracking(len: usize) -> Vec<u8> {
    let mut datagram = encode(&Request::Tracking, VERSION, 0, SEQUENCE);
    datagram.resize(len, 0);
    datagram
}

#[test]
fn lengths() {
    for (len, want) in [
        (0, Want::Silence),
        (20, Want::Silence),
        (27, Want::Silence),
        (28, Want::Status(19)),
        (103, Want::Status(19)),
        (104, Want::Accept),
        (860, Want::Accept),
        (861, Want::Silence),
    ] {
        check(&tracking(len), want);
    }
}

#[test]
fn versions() {
    for (version, len, want) in [
        (4, 104, Want::Silence),
        (5, 28, Want::Status(18)),
        (5, 20, Want::Silence),
        (7, 104, Want::Status(18)),
        (255, 28, Want::Status(18)),
    ] {
        let mut datagram = tracking(len);
        datagram[0] = version;
        check(&datagram, want);
    }
}

#[test]
fn only_requests_are_looked_at() {
    for (at, value) in [(1, 2), (1, 0), (2, 1), (3, 1)] {
        let mut datagram = tracking(104);
        datagram[at] = value;
        let counted = Cell::new(false);
        let got = admit(&datagram, Transport::Unix, OpenCommands::NONE, || {
            counted.set(true);
            true
        });
        assert_eq!(got, Admission::Silence);
        assert!(!counted.get());
    }
    for at in [7, 15, 19] {
        let mut datagram = tracking(104);
        datagram[at] = 9;
        check(&datagram, Want::Accept);
    }
}

#[test]
fn commands_retired_or_not_assigned_are_invalid() {
    for code in [
        0, 10, 12, 27, 28, 32, 38, 39, 40, 55, 56, 58, 59, 60, 61, 75, 200, 65_535,
    ] {
        let mut datagram = tracking(104);
        datagram[4..6].copy_from_slice(&u16::to_be_bytes(code));
        check(&datagram, Want::Status(3));
    }
}

#[test]
fn udp_gets_open_reports_only() {
    for &command in Command::ALL {
        let mut datagram = vec![0; command.request_len()];
        datagram[..6].copy_from_slice(&[6, 1, 0, 0, 0, u8::try_from(command.code()).unwrap()]);
        let open = matches!(command.code(), 14 | 15 | 33 | 34 | 35 | 41 | 44 | 51 | 65);
        check_on(
            Transport::Udp,
            &datagram,
            if open { Want::Accept } else { Want::Status(2) },
        );
        // Length is judged before permission.
        datagram.truncate(28);
        if command.request_len() > 28 {
            check_on(Transport::Udp, &datagram, Want::Status(19));
        }
    }
}

#[test]
fn opencommands_replaces_the_list() {
    let mut open = OpenCommands::NONE;
    assert!(open.open("NTPData"));
    assert!(!open.open("accheck"));
    let opened: Vec<_> = Command::ALL.iter().filter(|c| open.contains(**c)).collect();
    assert_eq!(opened, [&Command::SourceCount, &Command::NtpData]);
}

#[test]
fn what_opens_is_a_report() {
    for (keyword, commands) in OPEN_KEYWORDS {
        for command in *commands {
            let access = command.access();
            assert!(
                matches!(access, Access::ReportOpen | Access::ReportOptional),
                "{keyword}"
            );
            let open = OpenCommands::default().contains(*command);
            assert_eq!(open, access == Access::ReportOpen, "{keyword}");
        }
    }
}

#[test]
fn payloads_without_meaning_are_refused() {
    let name = Name::new("127.0.0.1").unwrap();
    let add = Request::AddSource(Box::new(AddSource::new(SourceType::Server, name)));
    let add = encode(&add, VERSION, 0, SEQUENCE);
    check(&add, Want::Accept);
    let changed = |range: std::ops::Range<usize>, byte| {
        let mut datagram = add.clone();
        datagram[range].fill(byte);
        datagram
    };
    check(&changed(23..24, 9), Want::Status(3));
    check(&changed(24..280, b'a'), Want::Status(21));
    check(&changed(25..26, b' '), Want::Status(21));
    let mut manual = encode(
        &Request::Manual(crate::request::ManualMode::On),
        VERSION,
        0,
        SEQUENCE,
    );
    manual[23] = 3;
    check(&manual, Want::Status(3));
    // Over UDP permission is judged first.
    check_on(Transport::Udp, &manual, Want::Status(2));
}

#[test]
fn the_rate_limit_silences() {
    let got = admit(
        &tracking(104),
        Transport::Udp,
        OpenCommands::default(),
        || false,
    );
    assert_eq!(got, Admission::Silence);
}

#[test]
fn no_reply_is_longer_than_its_request() {
    let request = encode(
        &Request::AccessCheck(Address::Unspecified),
        VERSION,
        0,
        SEQUENCE,
    );
    let Admission::Accept(_, responder) =
        admit(&request, Transport::Unix, OpenCommands::NONE, || true)
    else {
        panic!("refused");
    };
    assert_eq!(
        responder.reply(&Reply::OK).map(|bytes| bytes.len()),
        Some(28)
    );
    let names = ReplyData::SourceName(crate::reply::SourceName::new("a"));
    assert_eq!(responder.reply(&names.into()), None);
}

proptest! {
    #[test]
    fn no_datagram_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..900), plausible: bool, code in 0u8..80) {
        if plausible && datagram.len() >= 28 {
            datagram[..6].copy_from_slice(&[6, 1, 0, 0, 0, code]);
        }
        for transport in [Transport::Unix, Transport::Udp] {
            if let Admission::Refuse(bytes) = admit(&datagram, transport, OpenCommands::default(), || true) {
                prop_assert!(bytes.len() <= datagram.len());
            }
        }
    }
}
