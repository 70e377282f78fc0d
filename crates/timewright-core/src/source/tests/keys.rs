//! Sources with a symmetric key (`auth-nts.md` 1.4).

use super::bench::{Bench, Sent};
use super::responses::tests_of;
use crate::ids::SourceId;
use crate::keys::KeyRing;
use crate::output::StampSource;
use crate::source::{AuthMethod, MeasurementLog, SourceConfig};
use std::path::Path;
use timewright_wire::{AuthMode, Packet, PacketBuilder};

const KEYS: &str = "1 SHA1 ASCII:abcdefghijkl\n2 SHA256 ASCII:abcdefghijklm\n3 MD5 ASCII:abc\n";

fn bench(config: SourceConfig, peer: bool) -> (Bench, SourceId) {
    let mut bench = Bench::new(1);
    bench.params.measurement_log = MeasurementLog::All;
    bench.keys = KeyRing::load(Path::new("keys"), Some(KEYS.as_bytes())).0;
    let id = if peer {
        bench.peer(config)
    } else {
        bench.server(config)
    };
    (bench, id)
}

fn with_key(id: u32) -> SourceConfig {
    SourceConfig {
        auth: AuthMethod::Key(id),
        ..SourceConfig::default()
    }
}

/// A response under a key; `None`: without a MAC.
fn respond(bench: &mut Bench, request: &Sent, key: Option<u32>) -> Vec<u8> {
    let mut header = bench.reply(request);
    header.version = Packet::parse(&request.packet).unwrap().header.version;
    bench.pass(1e-3);
    let mut buffer = [0; 200];
    let mut builder = PacketBuilder::new(&mut buffer, &header).unwrap();
    if let Some(key) = key {
        let key = bench.keys.get(key).unwrap();
        key.seal(header.version, &mut builder).unwrap();
    }
    builder.finish().to_vec()
}

#[test]
fn requests_carry_the_code_and_responses_with_it_are_believed() {
    for (key, version) in [(1, 4), (2, 3)] {
        for peer in [false, true] {
            let (mut bench, id) = bench(with_key(key), peer);
            let request = bench.next_request();
            let packet = Packet::parse(&request.packet).unwrap();
            assert_eq!(packet.auth, AuthMode::Symmetric);
            assert_eq!(packet.header.version, version, "that has room for the code");
            assert!(bench.keys.get(key).unwrap().verify(
                packet.bytes(),
                version,
                &packet.mac.unwrap()
            ));
            let response = respond(&mut bench, &request, Some(key));
            bench.deliver(&request, &response, StampSource::Kernel);
            let report = bench.get(id).report();
            assert_eq!((report.total_good, report.authenticated), (1, true));
        }
    }
}

#[test]
fn anything_else_is_rejected_and_changes_nothing() {
    let crypto_nak = |bytes: &mut Vec<u8>| {
        bytes.truncate(48);
        bytes.extend([0; 4]);
    };
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    let keep = |_: &mut Vec<u8>| {};
    type Change = fn(&mut Vec<u8>);
    for (name, key, change) in [
        ("no code", None, keep as Change),
        ("another key", Some(3), keep),
        ("a wrong code", Some(1), flip),
        ("crypto-NAK", Some(1), crypto_nak),
    ] {
        for peer in [false, true] {
            let (mut bench, id) = bench(with_key(1), peer);
            let request = bench.next_request();
            let mut response = respond(&mut bench, &request, key);
            change(&mut response);
            let before = format!("{:?}", bench.get(id).exchange);
            bench.deliver(&request, &response, StampSource::Kernel);
            assert_eq!(format!("{:?}", bench.get(id).exchange), before, "{name}");
            assert_eq!(bench.get(id).report().total_valid, 0, "{name}");
            assert!(bench.told(id).samples.is_empty(), "{name}");
            // The genuine one may still come.
            let response = respond(&mut bench, &request, Some(1));
            bench.deliver(&request, &response, StampSource::Kernel);
            assert_eq!(bench.get(id).report().total_valid, 1, "{name}");
        }
    }
}

#[test]
fn a_source_without_key_does_not_take_authenticated_responses() {
    let (mut bench, id) = bench(SourceConfig::default(), false);
    let request = bench.next_request();
    let response = respond(&mut bench, &request, Some(1));
    bench.deliver(&request, &response, StampSource::Kernel);
    assert_eq!(bench.get(id).report().total_valid, 0);
    assert_eq!(tests_of(&mut bench, |_| {}), "111 111 1111");
}

#[test]
fn a_missing_key_is_told_and_nothing_is_sent() {
    let (mut bench, id) = bench(with_key(9), false);
    assert_eq!(bench.logs[0], "Key 9 is missing");
    for _ in 0..5 {
        bench.next_timer();
    }
    assert!(bench.sent.is_empty());
    // It is there when the file is read again.
    bench.keys = KeyRing::load(Path::new("keys"), Some(b"9 SHA1 ASCII:abcdefghijkl")).0;
    bench.next_request();
    assert_eq!(bench.get(id).report().total_tx, 1);
}

#[test]
fn a_short_key_is_told() {
    let (bench, _) = bench(with_key(3), false);
    assert_eq!(bench.logs[0], "Key 3 is too short");
}

/// Options that need extension fields, or version 4 for other reasons, have short codes.
#[test]
fn version_4_is_kept_where_it_is_needed() {
    let field = SourceConfig {
        mono_root: true,
        ..with_key(2)
    };
    let xleave = SourceConfig {
        xleave: true,
        ..with_key(2)
    };
    let third = SourceConfig {
        version: Some(3),
        ..with_key(1)
    };
    for (config, version, code) in [(field, 4, 20), (xleave, 4, 20), (third, 3, 20)] {
        let (mut bench, _) = bench(config, false);
        let request = bench.next_request();
        let packet = Packet::parse(&request.packet).unwrap();
        assert_eq!(packet.header.version, version);
        assert_eq!(packet.mac.unwrap().digest.len(), code);
    }
}
