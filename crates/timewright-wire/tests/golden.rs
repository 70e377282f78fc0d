//! Packets captured from a running chrony 4.8 server, and what must never happen with any bytes.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]

use proptest::prelude::*;
use std::collections::BTreeMap;
use timewright_time::NtpTimestamp;
use timewright_wire::{
    AuthMode, BuildError, FIELD_MONO_ROOT, FIELD_NET_CORRECTION, Header, Leap, Mode, MonoRoot,
    NetCorrection, Packet, PacketBuilder, PacketError, fuzz, refid,
};

struct Probe {
    request: Vec<u8>,
    response: Option<Vec<u8>>,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn probes() -> BTreeMap<String, Probe> {
    let json: serde_json::Value =
        serde_json::from_str(include_str!("data/ntp-probes.json")).unwrap();
    json["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            let probe = Probe {
                request: unhex(p["request"].as_str().unwrap()),
                response: p["response"].as_str().map(unhex),
            };
            (p["name"].as_str().unwrap().to_owned(), probe)
        })
        .collect()
}

#[test]
fn everything_the_reference_answers_parses() {
    let mut answered = 0;
    for (name, probe) in probes() {
        let Some(response) = probe.response else {
            continue;
        };
        answered += 1;
        let request = Packet::parse(&probe.request).unwrap();
        let reply = Packet::parse(&response).unwrap();
        assert!(reply.len() <= request.len(), "{name}");
        assert_eq!(reply.header.version, request.header.version, "{name}");
        let mode = if request.header.mode == Mode::Active {
            Mode::Passive
        } else {
            Mode::Server
        };
        assert_eq!(reply.header.mode, mode, "{name}");
        assert_eq!(reply.header.stratum, 1, "{name}");
        assert_eq!(reply.header.refid, refid::LOCAL, "{name}");
        assert_eq!(reply.header.originate, request.header.transmit, "{name}");
        assert_eq!(reply.header.receive.0 & 1, 1, "{name}");
        assert_eq!(reply.header.transmit.0 & 1, 0, "{name}");
    }
    assert!(answered > 15, "{answered}");
}

#[test]
fn malformed_packets_are_refused() {
    let probes = probes();
    for (name, want) in [
        ("v0 mode3 48 bytes", PacketError::Version { version: 0 }),
        ("v5 mode3 48 bytes", PacketError::Version { version: 5 }),
        ("v7 mode3 48 bytes", PacketError::Version { version: 7 }),
        ("v4 + 1 zero bytes", PacketError::Length { len: 49 }),
        ("v4 + 8 zero bytes", PacketError::Field { start: 48 }),
        ("v4 + 16 zero bytes", PacketError::Field { start: 48 }),
        ("v4 + 28 zero bytes", PacketError::Field { start: 48 }),
        ("v4 unknown EF 16", PacketError::Field { start: 48 }),
        ("v4 EF 28 + EF 16", PacketError::Field { start: 76 }),
        ("v4 EF 12 + EF 28", PacketError::Field { start: 48 }),
        ("v4 EF 28 length field 30", PacketError::Field { start: 48 }),
        ("v4 EF length field 0", PacketError::Field { start: 48 }),
        (
            "v4 EF length field 0xffff",
            PacketError::Field { start: 48 },
        ),
        ("v4 EF 1096 (too long)", PacketError::Length { len: 1144 }),
        ("47 bytes", PacketError::Length { len: 47 }),
        ("0 bytes", PacketError::Length { len: 0 }),
    ] {
        let error = Packet::parse(&probes[name].request).unwrap_err();
        assert_eq!(error, want, "{name}");
    }
}

#[test]
fn trailers_are_classified() {
    let probes = probes();
    let check = |name: &str, auth: AuthMode, mac: Option<(usize, u32, usize)>, fields: usize| {
        let packet = Packet::parse(&probes[name].request).unwrap_or_else(|e| panic!("{name}: {e}"));
        let got = packet.mac.map(|m| (m.start, m.key_id, m.len()));
        assert_eq!(packet.auth, auth, "{name}");
        assert_eq!(got, mac, "{name}");
        assert_eq!(packet.field_count(), fields, "{name}");
        assert_eq!(packet.fields().count(), fields, "{name}");
    };
    use AuthMode::{MsSntp, MsSntpExtended, None as Plain, Symmetric};
    check("v4 mode3 48 bytes", Plain, None, 0);
    check("v4 + 4 zero bytes", Symmetric, Some((48, 0, 4)), 0);
    check("v4 + 20 zero bytes", Symmetric, Some((48, 0, 20)), 0);
    check(
        "v4 unknown EF 24",
        Symmetric,
        Some((48, 0x1234_0018, 24)),
        0,
    );
    check("v3 + 4 zero bytes", Symmetric, Some((48, 0, 4)), 0);
    check("v3 + 20 zero bytes", Symmetric, Some((48, 0, 20)), 0);
    check("v3 + 72 zero bytes", Symmetric, Some((48, 0, 72)), 0);
    check("v4 unknown EF 28", Plain, None, 1);
    check("v4 EF 28 + EF 28", Plain, None, 2);
    check("v4 EF 16 + EF 28", Plain, None, 2);
    check("v4 max 1092 ext (EF 1092)", Plain, None, 1);
    let ms = "v3 MS-SNTP key 0x01020304 zero digest";
    check(ms, MsSntp, Some((48, 0x0102_0304, 20)), 0);
    let extended = "v3 MS-SNTP ext 72 zero digest";
    let key = Packet::parse(&probes[extended].request)
        .unwrap()
        .mac
        .unwrap()
        .key_id;
    check(extended, MsSntpExtended, Some((48, key, 72)), 0);
    assert!(
        Packet::parse(&probes["v4 crypto-NAK (4 zero bytes)"].request)
            .unwrap()
            .is_crypto_nak()
    );
}

#[test]
fn experimental_fields_need_their_magic() {
    let probes = probes();
    for (name, mono, net) in [
        ("v4 F323 EF wrong magic", false, false),
        ("v4 F323 EF good magic", true, false),
        ("v4 F324 EF good magic", false, true),
        ("v4 F323+F324", true, true),
    ] {
        let packet = Packet::parse(&probes[name].request).unwrap();
        assert_eq!(packet.mono_root.is_some(), mono, "{name}");
        assert_eq!(packet.net_correction.is_some(), net, "{name}");
    }
    let reply = probes["v4 F323 EF good magic"].response.clone().unwrap();
    let mono = Packet::parse(&reply).unwrap().mono_root.unwrap();
    assert_ne!((mono.epoch, mono.receive), (0, NtpTimestamp::ZERO));
}

#[test]
fn an_nts_field_sets_the_mode_and_a_later_mac_overrides_it() {
    let header = Header {
        version: 4,
        mode: Mode::Client,
        ..Header::default()
    };
    let mut buffer = [0; 200];
    let mut builder = PacketBuilder::new(&mut buffer, &header).unwrap();
    builder
        .add_field(timewright_wire::FIELD_NTS_UNIQUE_ID, &[7; 32])
        .unwrap();
    let nts = builder.bytes().to_vec();
    builder.append(&[1; 20]).unwrap();
    let both = builder.finish();
    assert_eq!(Packet::parse(&nts).unwrap().auth, AuthMode::Nts);
    let packet = Packet::parse(both).unwrap();
    assert_eq!(packet.auth, AuthMode::Symmetric);
    assert_eq!(packet.mac.unwrap().start, 48 + 36);
    assert_eq!(packet.fields().next().unwrap().body, [7; 32]);
}

#[test]
fn fields_are_refused_where_they_cannot_be() {
    let header = Header {
        version: 3,
        ..Header::default()
    };
    let mut buffer = [0; 80];
    let mut old = PacketBuilder::new(&mut buffer, &header).unwrap();
    let body = MonoRoot::default().to_body();
    assert_eq!(
        old.add_field(FIELD_MONO_ROOT, &body),
        Err(BuildError::NoFields { version: 3 })
    );
    let header = Header {
        version: 4,
        ..header
    };
    let mut new = PacketBuilder::new(&mut buffer, &header).unwrap();
    assert_eq!(
        new.add_field(1, &[0; 8]),
        Err(BuildError::FieldLength { len: 12 })
    );
    assert_eq!(
        new.add_field(1, &[0; 15]),
        Err(BuildError::FieldLength { len: 19 })
    );
    assert_eq!(
        new.add_field(1, &[0; 70000]),
        Err(BuildError::FieldLength { len: 70004 })
    );
    new.add_field(FIELD_MONO_ROOT, &body).unwrap();
    let net = NetCorrection::default().to_body();
    assert_eq!(
        new.add_field(FIELD_NET_CORRECTION, &net),
        Err(BuildError::NoRoom { len: 28 })
    );
    assert_eq!(new.finish().len(), 76);
    assert!(PacketBuilder::new(&mut [0; 47], &header).is_err());
}

fn any_header() -> impl Strategy<Value = Header> {
    prop::collection::vec(any::<u8>(), 48).prop_map(|b| Header::read(&b).unwrap())
}

proptest! {
    #[test]
    fn parsing_never_panics_and_keeps_to_the_bytes(
        lead in any::<u8>(),
        tail in prop::collection::vec(any::<u8>(), 0..1200),
    ) {
        let mut bytes = vec![lead];
        bytes.extend(tail);
        if let Ok(packet) = Packet::parse(&bytes) {
            let covered: usize = packet.fields().map(|f| 4 + f.body.len()).sum();
            let mac = packet.mac.map_or(0, |m| m.len());
            prop_assert_eq!(48 + covered + mac, bytes.len());
        }
    }

    #[test]
    fn structured_packets_round_trip(
        header in any_header(),
        kinds in prop::collection::vec((any::<u16>(), 6usize..40), 0..4),
        mac in prop::option::of(4usize..6),
    ) {
        let header = Header { version: 4, ..header };
        let mut buffer = [0; 1140];
        let mut builder = PacketBuilder::new(&mut buffer, &header).unwrap();
        for &(kind, words) in &kinds {
            builder.add_field(kind, &vec![0x5a; words * 4]).unwrap();
        }
        if let Some(words) = mac {
            builder.append(&[9, 9, 9, 9]).unwrap();
            builder.append(&vec![1; words * 4]).unwrap();
        }
        let packet = Packet::parse(builder.finish()).unwrap();
        prop_assert_eq!(packet.header, header);
        let got: Vec<_> = packet.fields().map(|f| (f.kind, f.body.len() / 4)).collect();
        prop_assert_eq!(got, kinds);
        prop_assert_eq!(packet.mac.map(|m| m.digest.len() / 4), mac);
    }

    #[test]
    fn fuzz_leaves_the_bits_above_the_precision(random in any::<u64>(), precision in -32i8..=32) {
        let x = fuzz(random, precision);
        if precision < 32 {
            prop_assert_eq!(x >> u32::try_from(precision + 32).unwrap(), 0);
        } else {
            prop_assert_eq!(x, random);
        }
    }
}

#[test]
fn leap_and_mode_bits_round_trip() {
    for bits in 0..4 {
        assert_eq!(Leap::from_bits(bits).bits(), bits);
    }
    for bits in 0..8 {
        assert_eq!(Mode::from_bits(bits).bits(), bits);
    }
}
