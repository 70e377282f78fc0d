//! Exchanges with the server: the recorded requests, authenticated ones, interleaved mode, and a
//! client that asks too often.

use super::packet::{mac, nts_fields, packet, probes};
use super::{Seed, file_name};
use crate::respond::{CLAIMS, DENIED, INTERLEAVED, LIMITED, LOCAL, NO_LOG, PTP, SMOOTHED, state};
use timewright_core::server::auth::Claim;
use timewright_time::NtpTimestamp;
use timewright_wire::{FIELD_NTS_PLACEHOLDER, Header, Mode};

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    for (name, flags) in [("interleaved", 0), ("interleaved smoothed", SMOOTHED)] {
        add(seed(name, flags, &interleaved()));
    }
    let mut add = |name: &str, state: u8, requests: &[Vec<u8>]| {
        let requests: Vec<_> = requests
            .iter()
            .map(|request| (0, request.clone()))
            .collect();
        add(seed(name, state, &requests));
    };
    let plain = state(0, Claim::Genuine);
    for (name, request, response) in probes() {
        add(&name, plain, std::slice::from_ref(&request));
        if response.is_some() && request.len() > 48 {
            add(&format!("{name} ptp"), PTP, std::slice::from_ref(&request));
        }
    }
    let client = packet(4, Mode::Client, &[], &[]);
    for (name, flags) in [
        ("smoothed", SMOOTHED),
        ("local", LOCAL),
        ("denied", DENIED),
        ("no log", NO_LOG),
        ("limited", LIMITED),
    ] {
        add(name, flags, &vec![client.clone(); 14]);
    }

    let md5 = packet(4, Mode::Client, &[], &mac(16));
    let nts = packet(4, Mode::Client, &nts_fields(), &[]);
    let peer = packet(4, Mode::Active, &[], &mac(20));
    let signed = packet(
        3,
        Mode::Client,
        &[],
        &[&[1, 2, 3, 4][..], &[0; 16]].concat(),
    );
    let extended = packet(
        3,
        Mode::Client,
        &[],
        &[&[1, 2, 3, 4, 9][..], &[0; 67]].concat(),
    );
    for claim in CLAIMS {
        let requests = [&md5, &nts, &peer, &signed, &extended].map(Vec::clone);
        add(&format!("auth {claim:?}"), state(0, claim), &requests);
        add(
            &format!("auth {claim:?} limited"),
            state(LIMITED, claim),
            &vec![md5.clone(); 14],
        );
    }
    let cookie = packet(4, Mode::Client, &nts_fields()[1..2], &[]);
    let placeholder = packet(
        4,
        Mode::Client,
        &[(FIELD_NTS_PLACEHOLDER, vec![0; 24])],
        &[],
    );
    add("auth too little room", 0, &[cookie, placeholder]);
    let mono = probes()
        .into_iter()
        .find(|(name, ..)| name == "v4 F323+F324");
    let (_, mono, _) = mono.expect("a recorded request");
    add("fields smoothed", SMOOTHED | PTP, &[mono.clone(), mono]);
}

/// Requests with the flags in their lengths.
fn seed(name: &str, state: u8, requests: &[(u16, Vec<u8>)]) -> Seed {
    let mut bytes = vec![state];
    for (flags, request) in requests {
        let length = u16::try_from(request.len()).expect("a datagram");
        bytes.extend((flags | length).to_be_bytes());
        bytes.extend(request);
    }
    Seed {
        target: "respond",
        name: file_name(name),
        bytes,
    }
}

/// A client that asks when the answer before was sent; one of its requests comes twice.
fn interleaved() -> Vec<(u16, Vec<u8>)> {
    let mut header = Header {
        version: 4,
        mode: Mode::Client,
        transmit: NtpTimestamp(0x1122_3344_5566_7788),
        ..Header::default()
    };
    let mut requests = vec![(0, header.to_bytes().to_vec())];
    for _ in 0..4 {
        header.receive = NtpTimestamp(header.transmit.0 + (1 << 20));
        header.transmit = NtpTimestamp(header.transmit.0 + (1 << 32));
        requests.push((INTERLEAVED, header.to_bytes().to_vec()));
    }
    requests.push((INTERLEAVED, header.to_bytes().to_vec()));
    requests
}
