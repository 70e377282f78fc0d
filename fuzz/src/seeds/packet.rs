//! NTP packets: what a running reference server was asked and answered, and the shapes of
//! trailers that none of these have.

use super::{Seed, file_name};
use serde_json::Value;
use timewright_wire::{
    FIELD_NET_CORRECTION, FIELD_NTS_AUTHENTICATOR, FIELD_NTS_COOKIE, FIELD_NTS_PLACEHOLDER,
    FIELD_NTS_UNIQUE_ID, Header, Mode, NetCorrection, PacketBuilder,
};

const PROBES: &str = include_str!("../../../crates/timewright-wire/tests/data/ntp-probes.json");

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, bytes: Vec<u8>| {
        add(Seed {
            target: "packet",
            name: file_name(name),
            bytes,
        });
    };
    for (name, request, response) in probes() {
        if let Some(response) = response {
            add(&format!("{name} answer"), response);
        }
        add(&name, request);
    }
    for (name, bytes) in shapes() {
        add(name, bytes);
    }
    for (name, bytes) in frames() {
        add(&format!("frame {name}"), bytes);
    }
    let mut plain = packet(4, Mode::Control, &[], &[]);
    for leap in 0..4 {
        plain[0] = plain[0] & 0x3f | leap << 6;
        add(&format!("v4 control leap {leap}"), plain.clone());
    }
}

/// Recorded requests with their names, and the answers they got.
pub(super) fn probes() -> Vec<(String, Vec<u8>, Option<Vec<u8>>)> {
    let json: Value = serde_json::from_str(PROBES).expect("the recorded packets are JSON");
    let probes = json["probes"].as_array().expect("an array of probes");
    let mut all: Vec<(String, Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    for probe in probes {
        let text = |key: &str| probe[key].as_str();
        let (Some(name), Some(request)) = (text("name"), text("request")) else {
            panic!("a probe without a name or request: {probe}");
        };
        // One name occurs twice, with the same request.
        if all.iter().all(|(known, ..)| known != name) {
            all.push((name.to_owned(), unhex(request), text("response").map(unhex)));
        }
    }
    all
}

fn unhex(digits: &str) -> Vec<u8> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of digits");
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    pairs
        .iter()
        .map(|&[high, low]| digit(high)?.checked_mul(16)?.checked_add(digit(low)?))
        .collect::<Option<_>>()
        .expect("hexadecimal digits")
}

/// A packet with these fields and, behind them, these bytes.
pub(super) fn packet(version: u8, mode: Mode, fields: &[(u16, Vec<u8>)], mac: &[u8]) -> Vec<u8> {
    let header = Header {
        version,
        mode,
        poll: 6,
        precision: -20,
        transmit: timewright_time::NtpTimestamp(0xeeac_7b33_61ce_8397),
        ..Header::default()
    };
    let mut buffer = [0; timewright_wire::MAX_PACKET_LEN];
    let mut builder = PacketBuilder::new(&mut buffer, &header).expect("a header fits");
    for (kind, body) in fields {
        builder.add_field(*kind, body).expect("the field fits");
    }
    builder.append(mac).expect("the MAC fits");
    builder.finish().to_vec()
}

/// A key id and a digest of this length.
pub(super) fn mac(digest: usize) -> Vec<u8> {
    let mut mac = vec![0, 0, 0x10, 1];
    mac.resize(4 + digest, 0xd1);
    mac
}

/// The fields of a request with Network Time Security (RFC 8915 section 5.7).
pub(super) fn nts_fields() -> Vec<(u16, Vec<u8>)> {
    vec![
        (FIELD_NTS_UNIQUE_ID, vec![0x1d; 32]),
        (FIELD_NTS_COOKIE, vec![0xc0; 96]),
        (FIELD_NTS_PLACEHOLDER, vec![0; 96]),
        (
            FIELD_NTS_AUTHENTICATOR,
            [&[0, 16, 0, 16][..], &[0xa5; 32]].concat(),
        ),
    ]
}

fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    let net = (
        FIELD_NET_CORRECTION,
        NetCorrection { correction: -1 }.to_body().to_vec(),
    );
    vec![
        ("v4 mac md5", packet(4, Mode::Client, &[], &mac(16))),
        ("v4 mac sha1", packet(4, Mode::Client, &[], &mac(20))),
        ("v3 mac sha256", packet(3, Mode::Client, &[], &mac(32))),
        ("v3 mac sha512", packet(3, Mode::Server, &[], &mac(64))),
        ("v2 mac md5", packet(2, Mode::Active, &[], &mac(16))),
        ("v1 mac md5", packet(1, Mode::Passive, &[], &mac(16))),
        (
            "v4 broadcast mac",
            packet(4, Mode::Broadcast, &[], &mac(20)),
        ),
        (
            "v4 field and mac",
            packet(4, Mode::Client, std::slice::from_ref(&net), &mac(16)),
        ),
        (
            "v4 nts request",
            packet(4, Mode::Client, &nts_fields(), &[]),
        ),
        (
            "v4 nts answer",
            packet(4, Mode::Server, &nts_fields()[..1], &[]),
        ),
        (
            "v4 nts and mac",
            packet(4, Mode::Client, &nts_fields()[..2], &mac(16)),
        ),
        (
            "v4 negative correction",
            packet(4, Mode::Server, &[net], &[]),
        ),
    ]
}

/// A request in Ethernet frames with everything that can be around it.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let request = packet(4, Mode::Client, &[], &[]);
    let udp = |length: u16| {
        let ports = [0x9c, 0x40, 0, 123];
        [&ports[..], &length.to_be_bytes(), &[0, 0], &request].concat()
    };
    let ipv4 = |header: u8, protocol: u8| {
        let options = vec![1; 4 * usize::from(header.saturating_sub(0x45))];
        let fixed = [
            header, 0, 0, 76, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
        ];
        [&fixed[..], &options].concat()
    };
    let ipv6 = |next: u8| {
        let mut fixed = vec![0x60, 0, 0, 0, 0, 56, next, 64];
        fixed.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(2));
        fixed
    };
    let hop_by_hop = [60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let options = [51, 0, 0, 0, 0, 0, 0, 0];
    let authentication = [44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let fragment = [17, 0, 0, 1, 0, 0, 0, 9];
    let later_fragment = [17, 0, 1, 1, 0, 0, 0, 9];
    let chain = |fragment: &[u8]| {
        [
            &ipv6(0)[..],
            &hop_by_hop,
            &options,
            &authentication,
            fragment,
        ]
        .concat()
    };
    let ethernet =
        |ether_type: &[u8], rest: Vec<u8>| [&[2; 12][..], ether_type, &rest, &udp(56)].concat();
    let short = [&[2; 12][..], &[8, 0], &ipv4(0x45, 17), &udp(7), &[0; 20]].concat();
    vec![
        ("ipv4", ethernet(&[8, 0], ipv4(0x45, 17))),
        ("ipv4 options", ethernet(&[8, 0], ipv4(0x48, 17))),
        (
            "ipv4 vlan",
            ethernet(&[0x81, 0, 0, 1, 0x81, 0, 0, 2, 8, 0], ipv4(0x45, 17)),
        ),
        ("ipv4 tcp", ethernet(&[8, 0], ipv4(0x45, 6))),
        ("ipv4 short header", ethernet(&[8, 0], ipv4(0x44, 17))),
        ("ipv4 short length", short),
        ("ipv6", ethernet(&[0x86, 0xdd], ipv6(17))),
        ("ipv6 chain", ethernet(&[0x86, 0xdd], chain(&fragment))),
        (
            "ipv6 later fragment",
            ethernet(&[0x86, 0xdd], chain(&later_fragment)),
        ),
        ("ipv6 as ipv4", ethernet(&[8, 0], ipv6(17))),
        (
            "ipv4 as ipv6",
            ethernet(&[0x86, 0xdd], [ipv4(0x45, 17), vec![0; 20]].concat()),
        ),
        ("arp", ethernet(&[8, 6], Vec::new())),
    ]
}
