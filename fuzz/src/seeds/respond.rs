//! Exchanges with the server: the recorded requests, authenticated ones, interleaved mode, and a
//! client that asks too often.

use super::packet::{mac, nts_fields, packet, probes};
use super::{Seed, file_name};
use crate::respond::{CLAIMS, DENIED, LIMITED, LOCAL, NO_LOG, PTP, SMOOTHED, Server, state};
use timewright_core::server::auth::Claim;
use timewright_wire::{FIELD_NTS_PLACEHOLDER, Header, Mode};

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, state: u8, requests: &[Vec<u8>]| {
        let mut bytes = vec![state];
        for request in requests {
            let length = u16::try_from(request.len()).expect("a datagram");
            bytes.extend(length.to_be_bytes());
            bytes.extend(request);
        }
        add(Seed {
            target: "respond",
            name: file_name(name),
            bytes,
        });
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

    for (name, flags) in [("interleaved", 0), ("interleaved smoothed", SMOOTHED)] {
        add(name, flags, &interleaved(flags));
    }
}

/// A client that asks when the answer before was sent, and asks again with the same stamp.
fn interleaved(flags: u8) -> Vec<Vec<u8>> {
    let mut server = Server::new(flags);
    let mut requests = Vec::new();
    let mut header = Header {
        version: 4,
        mode: Mode::Client,
        transmit: timewright_time::NtpTimestamp(0x1122_3344_5566_7788),
        ..Header::default()
    };
    for _ in 0..5 {
        let request = header.to_bytes().to_vec();
        let answer = server.ask(&request).expect("a client is answered");
        requests.push(request);
        let answer = Header::read(&answer).expect("an answer has a header");
        header.originate = answer.receive;
        header.receive = timewright_time::NtpTimestamp(header.transmit.0 + (1 << 20));
        header.transmit = timewright_time::NtpTimestamp(header.transmit.0 + (1 << 32));
    }
    requests.push(requests[1].clone());
    requests
}
