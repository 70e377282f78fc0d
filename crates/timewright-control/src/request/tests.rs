//! Requests against the table of `control-protocol.md` 9. Layouts are in `tests/layouts.rs`, worked
//! examples in `tests/examples.rs`.

use super::*;
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

fn ip(text: &str) -> Address {
    text.parse().unwrap()
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
