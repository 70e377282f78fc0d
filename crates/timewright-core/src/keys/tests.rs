use super::*;
use crate::server::auth::{Authenticator, Claim, ServerKeys};
use timewright_wire::{AuthMode, Header, Mode, Packet};

/// One request and one response of each type of keys, by the reference implementation.
const VECTORS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../timewright-crypto/tests/data/symmetric.json"
));

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn ring(text: &str) -> KeyRing {
    KeyRing::load(Path::new("keys"), Some(text.as_bytes())).0
}

/// A packet and the MAC of a key, made as this crate makes them.
fn sealed(key: &Key, version: u8) -> Vec<u8> {
    let mut buffer = [0; 200];
    let header = Header {
        version,
        mode: Mode::Client,
        ..Header::default()
    };
    let mut packet = PacketBuilder::new(&mut buffer, &header).unwrap();
    key.seal(version, &mut packet).unwrap();
    packet.finish().to_vec()
}

fn claim(ring: &KeyRing, bytes: &[u8]) -> Claim {
    judge(ring, &Packet::parse(bytes).unwrap())
}

fn judge(ring: &KeyRing, packet: &Packet<'_>) -> Claim {
    let mut keys = ServerKeys {
        ring,
        signing: false,
    };
    keys.check(packet)
}

#[test]
fn packets_of_the_reference_are_genuine_and_made_alike() {
    let file: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let lines: Vec<String> = vectors
        .iter()
        .map(|v| {
            let text = |name: &str| v[name].as_str().unwrap().to_owned();
            format!("{} {} HEX:{}\n", v["key_id"], text("type"), text("key"))
        })
        .collect();
    let ring = ring(&lines.concat());
    let mut others = KeyRing::default();
    let mut defaults = 0;
    for vector in vectors {
        let id = u32::try_from(vector["key_id"].as_u64().unwrap()).unwrap();
        let key = ring.get(id).unwrap();
        for name in ["request", "response"] {
            let bytes = unhex(vector[name].as_str().unwrap());
            let packet = Packet::parse(&bytes).unwrap();
            let mac = packet.mac.unwrap();
            assert_eq!((packet.auth, mac.key_id), (AuthMode::Symmetric, id));
            assert_eq!(claim(&ring, &bytes), Claim::Genuine, "{vector}");
            assert_eq!(claim(&others, &bytes), Claim::Refused, "no such key");
            let mut buffer = [0; 200];
            let mut again = PacketBuilder::new(&mut buffer, &packet.header).unwrap();
            key.seal(packet.header.version, &mut again).unwrap();
            assert_eq!(again.finish(), bytes, "{vector}");
        }
        if vector["configured_version"] == "default" {
            let version = u64::from(key.packet_version());
            assert_eq!(version, vector["packet_version"].as_u64().unwrap());
            defaults += 1;
        }
    }
    assert_eq!(defaults, 12, "all types, one of them twice");
    // Another key under the number of the first.
    others = self::ring("4097 MD5 HEX:00112233445566778899\n");
    let bytes = unhex(vectors[0]["request"].as_str().unwrap());
    assert_eq!(claim(&others, &bytes), Claim::Refused);
}

/// `auth-nts.md` 1.3: only one length is right for a key and a version.
#[test]
fn codes_of_any_other_length_are_refused() {
    let ring = ring("1 SHA512 ASCII:abcdefghijkl\n2 MD5 ASCII:abcdefghijkl\n");
    for (id, version, right) in [(1, 4, 20), (1, 3, 64), (2, 4, 16), (2, 3, 16)] {
        let key = ring.get(id).unwrap();
        let packet = sealed(key, version);
        assert_eq!(packet.len(), 48 + 4 + right);
        assert_eq!(claim(&ring, &packet), Claim::Genuine);
        let message = &packet[..48];
        let whole = key.mac.tag(message);
        for len in (0..=64).filter(|len| *len != right) {
            let mut other = message.to_vec();
            other.extend(id.to_be_bytes());
            other.extend(whole.bytes().iter().chain([0; 64].iter()).take(len));
            let Ok(parsed) = Packet::parse(&other) else {
                continue;
            };
            assert_eq!(
                judge(&ring, &parsed),
                Claim::Refused,
                "{id} v{version} {len}"
            );
        }
    }
}

#[test]
fn every_bit_of_a_packet_counts() {
    let ring = ring("1 SHA256 ASCII:abcdefghijkl\n2 AES128 HEX:000102030405060708090a0b0c0d0e0f\n");
    for id in [1, 2] {
        let packet = sealed(ring.get(id).unwrap(), 4);
        for bit in 0..packet.len() * 8 {
            let mut bad = packet.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let judged = Packet::parse(&bad).map(|packet| judge(&ring, &packet));
            assert_ne!(judged, Ok(Claim::Genuine), "key {id} bit {bit}");
        }
    }
}

#[test]
fn what_was_read_is_told_in_the_order_of_the_file() {
    let text = "\
1 MD5 ASCII:abc
nonsense
1 SHA1 ASCII:abcdefghijkl
2 AES128 HEX:0011
3 TIGER HEX:00112233445566778899
7 ASCII:abcdefghij
";
    let (ring, events) = KeyRing::load(Path::new("/k"), Some(text.as_bytes()));
    let texts: Vec<String> = events.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "Could not parse key at line 2 in file /k",
            "Invalid length of AES128 key 2 (expected 128 bits)",
            "Unsupported hash function in key 3",
            "Loaded 3 symmetric keys",
            "Detected duplicate key 1",
        ]
    );
    let first = ring.get(1).unwrap();
    assert_eq!(
        (first.kind(), first.bits()),
        (KeyType::Md5, 24),
        "the first"
    );
    let complaint = |id| ring.complaint(id).map(|event| event.to_string());
    assert_eq!(complaint(1).as_deref(), Some("Key 1 is too short"));
    assert_eq!(complaint(2).as_deref(), Some("Key 2 is missing"));
    assert_eq!(complaint(7), None, "10 bytes are enough");
    let (none, events) = KeyRing::load(Path::new("/k"), None);
    assert_eq!(events, [KeyEvent::Unreadable("/k".into())]);
    assert_eq!(events[0].to_string(), "Could not open keyfile /k");
    assert!(none.get(1).is_none());
}
