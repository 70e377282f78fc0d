//! Replies at their limits. Layouts are in `tests/layouts.rs`, worked examples in
//! `tests/examples.rs`.

use super::*;
use crate::client::{Answer, Expected, receive};
use crate::{Command, Timespec};
use proptest::prelude::*;

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
