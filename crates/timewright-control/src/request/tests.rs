//! Requests against the table and the dumps of `control-protocol.md` 9 and 15.

use super::*;
use crate::server::{Admission, OpenCommands, Transport, admit};
use proptest::prelude::*;

/// Code, length, padding (`control-protocol.md` 9).
const LENGTHS: &[(u16, usize, usize)] = &[
    (1, 60, 0),
    (2, 60, 0),
    (3, 68, 0),
    (4, 44, 0),
    (5, 44, 0),
    (6, 28, 4),
    (7, 44, 0),
    (8, 44, 0),
    (9, 28, 4),
    (11, 40, 8),
    (13, 28, 4),
    (14, 32, 12),
    (15, 76, 52),
    (16, 28, 8),
    (17, 44, 0),
    (18, 44, 0),
    (19, 44, 0),
    (20, 44, 0),
    (21, 44, 0),
    (22, 44, 0),
    (23, 44, 0),
    (24, 44, 0),
    (25, 40, 0),
    (26, 40, 0),
    (29, 40, 0),
    (30, 28, 8),
    (31, 28, 4),
    (33, 104, 84),
    (34, 84, 60),
    (35, 56, 36),
    (36, 28, 8),
    (37, 28, 8),
    (41, 416, 396),
    (42, 28, 4),
    (43, 28, 8),
    (44, 48, 28),
    (45, 44, 0),
    (46, 44, 0),
    (47, 44, 0),
    (48, 28, 8),
    (49, 28, 4),
    (50, 28, 0),
    (51, 52, 32),
    (52, 28, 4),
    (53, 28, 8),
    (54, 196, 176),
    (57, 172, 132),
    (62, 28, 8),
    (63, 28, 8),
    (64, 372, 0),
    (65, 284, 244),
    (66, 28, 8),
    (67, 52, 12),
    (68, 520, 484),
    (69, 76, 52),
    (70, 28, 8),
    (71, 28, 4),
    (72, 52, 0),
    (73, 48, 0),
    (74, 48, 0),
];

#[test]
fn lengths_and_padding_of_every_command() {
    let ours: Vec<_> = Command::ALL
        .iter()
        .map(|c| {
            (
                c.code(),
                c.request_len(),
                c.request_len() - REQUEST_HEADER - c.payload_len(),
            )
        })
        .collect();
    assert_eq!(ours, LENGTHS);
}

/// Bytes from hexadecimal digits; blanks and `|` are skipped, `00x12` is twelve times `00`, and
/// a word in quotes is its characters.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for word in text.split([' ', '|', '\n']).filter(|word| !word.is_empty()) {
        if let Some(quoted) = word.strip_prefix('"') {
            out.extend(quoted.trim_end_matches('"').bytes());
        } else if let Some((byte, count)) = word.split_once('x') {
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

/// Checks the payload and that everything around it is the header and zeros, and back.
#[track_caller]
fn check(request: Request, payload: &str) {
    let command = request.command();
    let mut want = bytes("06 01 00 00");
    want.extend(command.code().to_be_bytes());
    want.extend(bytes("0000 11223344 00x8"));
    want.extend(bytes(payload));
    want.resize(command.request_len(), 0);
    let got = encode(&request, VERSION, 0, 0x1122_3344);
    assert_eq!(got, want, "{request:?}");
    match admit(&want, Transport::Unix, OpenCommands::NONE, || true) {
        Admission::Accept(again, _) => assert_eq!(again, request),
        other => panic!("{other:?}"),
    }
    let unpadded = encode(&request, 5, 0, 0x1122_3344);
    assert_eq!(unpadded.len(), REQUEST_HEADER + command.payload_len());
    assert_eq!(unpadded[1..], want[1..unpadded.len()]);
}

/// 0.1 as the protocol can carry it.
const TENTH: f64 = 0.100_000_001_490_116_12;

fn ip(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn worked_examples() {
    check(Request::SourceCount, ""); // 15.1
    check(Request::Tracking, ""); // 15.2
    check(Request::SourceData(0), "00000000"); // 15.3
    check(Request::ServerStats, ""); // 15.7
    check(
        Request::Online(SourceMask::one(ip("127.0.0.2"))), // 15.8
        "ffffffff 00x12 0001 0000 | 7f000002 00x12 0001 0000",
    );
    check(Request::SelectData(2), "00000002"); // 15.10
    check(
        Request::SetTime(Timespec {
            sec: 0x6b01_fb40,
            nsec: 0,
        }), // 15.13
        "00000000 6b01fb40 00000000",
    );
}

#[test]
fn requests_as_the_reference_client_sends_them() {
    use Request::{AddSource as Add, Allow, Burst as Bursts, Clients, Local, ModifyMakeStep};
    let all = SelectFlags(0xf);
    let options = |address, refid, mask, options| {
        Request::ModifySelectOptions(SelectOptions {
            address,
            refid,
            mask,
            options,
        })
    };
    let trusted = SelectFlags::NOSELECT | SelectFlags::TRUST | SelectFlags::REQUIRE;
    check(
        options(ip("1.2.3.4"), 0, all, trusted),
        "01020304 00x12 0001 0000 | 00000000 | 0000000f | 00000070",
    );
    check(
        options(
            Address::Unspecified,
            0x5050_5330,
            SelectFlags::PREFER,
            SelectFlags::PREFER,
        ),
        "00x20 | 50505330 | 00000002 | 00000008",
    );
    check(
        Request::ModifyOffset(SourceOffset {
            address: Address::Unspecified,
            refid: 0x5050_5330,
            offset: 0.25,
        }),
        "00x20 | 50505330 | 00800000",
    );
    check(
        Local(LocalReference {
            on: true,
            stratum: 5,
            distance: 0.5,
            orphan: true,
            activate: TENTH,
            wait_synced: 10.0,
            wait_unsynced: 20.0,
        }),
        "00000001 00000005 02800000 00000001 fccccccd 0aa00000 0ca00000",
    );
    check(
        ModifyMakeStep(MakeStepRule {
            limit: 3,
            threshold: TENTH,
        }),
        "00000003 fccccccd",
    );
    check(
        Bursts(Burst {
            sources: SourceMask::ALL,
            good: 4,
            total: 8,
        }),
        "00x40 00000004 00000008",
    );
    check(
        Request::Offline(SourceMask {
            mask: ip("ffff:ffff:e000::"),
            address: ip("2001:db8::"),
        }),
        "ffffffff e0000000 00000000 00000000 0002 0000 | 20010db8 00x12 0002 0000",
    );
    check(
        Request::Online(SourceMask::one(Address::Id(3))),
        "00x20 | 00000003 00x12 0003 0000",
    );
    check(
        Allow(Subnet {
            address: ip("10.1.0.0"),
            bits: 16,
        }),
        "0a010000 00x12 0001 0000 | 00000010",
    );
    check(
        Clients(ClientsQuery {
            first_index: 0,
            max_clients: 8,
            min_hits: 0,
            reset: 0,
        }), // 15.15
        "00000000 00000008 00000000 00000000",
    );
    let name = Name::new("127.0.0.1").unwrap();
    check(
        Add(Box::new(AddSource {
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
            ..AddSource::new(SourceType::Server, name)
        })),
        "00000001 \"127.0.0.1\" 00x247
         0000007c 00000002 00000003 00000064 00000000 00000008 00000000 00000004
         ffffffff ffffffff 0000000a 0000116c 06c00000 00000000 0aa00000 00000000 04800000 02800000 0000202d
         00000000 00000000 00000000 00000005",
    );
}

#[test]
fn names_are_graphic_and_end() {
    assert_eq!(Name::new("a b"), Err(NameError::NotGraphic));
    assert_eq!(Name::new(&"a".repeat(256)), Err(NameError::TooLong));
    assert!(Name::new(&"a".repeat(255)).is_ok());
    assert!(Name::new("").is_ok());
}

#[test]
fn masks_select() {
    let net = SourceMask {
        mask: ip("255.0.0.0"),
        address: ip("10.0.0.0"),
    };
    assert!(net.selects(ip("10.9.9.9")));
    assert!(!net.selects(ip("11.9.9.9")));
    assert!(!net.selects(Address::Id(1)));
    assert!(SourceMask::ALL.selects(Address::Id(1)));
    assert!(SourceMask::one(Address::Id(1)).selects(Address::Id(1)));
    assert!(!SourceMask::one(Address::Id(1)).selects(Address::Id(2)));
}

proptest! {
    #[test]
    fn payload_bytes_never_panic_and_settle(code in 0u16..80, payload in proptest::collection::vec(any::<u8>(), 840)) {
        if let Some(command) = Command::from_code(code)
            && let Ok(request) = Request::take_payload(command, &mut Reader::new(&payload))
        {
            // What was read is what is written, apart from reserved bytes and bits lost by floats.
            let bytes = encode(&request, VERSION, 3, 9);
            prop_assert_eq!(bytes.len(), command.request_len());
            let again = Request::take_payload(command, &mut Reader::new(&bytes[REQUEST_HEADER..])).unwrap();
            let bytes_again = encode(&again, VERSION, 3, 9);
            let third = Request::take_payload(command, &mut Reader::new(&bytes_again[REQUEST_HEADER..])).unwrap();
            prop_assert_eq!(again, third);
        }
    }
}
