//! Answers compared with those of a running server of the reference implementation.

use super::auth::Fake;
use super::*;

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Odd and hostile requests to a server of the reference implementation, version 4.8, with keys
/// and NTS, and its answers (`auth-nts.md` 2). Without keys those that need some are refused;
/// with an authenticator that judges MACs as the reference did the answers are as long as its.
#[test]
fn probes_are_answered_as_the_reference_answered_them() {
    let text = include_str!("../../../../tests/data/ntp-probes.json");
    let data: serde_json::Value = serde_json::from_str(text).unwrap();
    let (mut plain, mut sealed, mut silent) = (0, 0, 0);
    for probe in data["probes"].as_array().unwrap() {
        let name = probe["name"].as_str().unwrap();
        let request = unhex(probe["request"].as_str().unwrap());
        let want = probe["response"].as_str().map(unhex);
        let packet = Packet::parse(&request);
        let auth = packet.map_or(AuthMode::None, |packet| packet.auth);
        if auth != AuthMode::None {
            let got = Bench::new().ask(&request);
            assert_eq!(got, Err(DropReason::NotAuthentic), "{name}");
        }
        let mut bench = Bench::new();
        match (auth, want) {
            (AuthMode::None, Some(want)) => {
                check_probe(
                    &mut bench,
                    &mut ServerKeys {
                        ring: &KeyRing::default(),
                        signing: false,
                    },
                    name,
                    &request,
                    &want,
                );
                plain += 1;
            }
            (AuthMode::Symmetric, Some(want)) => {
                let mac_len = packet.unwrap().mac.unwrap().len();
                let mut auth = Fake::new(Claim::Genuine, mac_len);
                check_probe(&mut bench, &mut auth, name, &request, &want);
                sealed += 1;
            }
            (AuthMode::None, None) => {
                assert!(bench.ask(&request).is_err(), "{name}");
                silent += 1;
            }
            _ => {}
        }
    }
    assert_eq!((plain, sealed, silent), (17, 10, 31));
}

/// Asks a server in the state the reference's answer shows.
fn check_probe(
    bench: &mut Bench,
    auth: &mut dyn Authenticator,
    name: &str,
    request: &[u8],
    want: &[u8],
) {
    let header = Header::read(want).unwrap();
    let raw = |time: NtpTimestamp| Timestamp::<Raw>::from_ns(time.to_timestamp::<Raw>(ERA_S).ns());
    bench.snapshot.reference = ReferenceState::Unsynchronised {
        since: MonoTime::from_ns(i64::MIN),
    };
    bench.snapshot.local = Some(LocalReference {
        stratum: 1,
        distance: Seconds(1.0),
        activate: Seconds::ZERO,
        activated: false,
        wait_synced: Seconds::ZERO,
        wait_unsynced: Seconds::ZERO,
        ref_time: header.reference.to_timestamp(ERA_S),
    });
    bench.stamp.time = raw(header.receive);
    bench.now_ns = raw(header.transmit).ns() - 1_000;
    let field = Packet::parse(want).unwrap().mono_root;
    if let Some(field) = field {
        bench.snapshot.mono = MonoScale {
            offset: Seconds::ZERO,
            epoch: field.epoch,
        };
    }
    let (got, stamp) = bench.ask_with(auth, request).expect(name);
    assert!(!stamp, "{name}");
    assert_eq!(got.len(), want.len(), "{name}");
    let answer = Header::read(&got).unwrap();
    assert_near(answer.reference, header.reference);
    assert_near(answer.receive, header.receive);
    assert_near(answer.transmit, header.transmit);
    let masked = |header: &Header| Header {
        reference: NtpTimestamp::ZERO,
        receive: NtpTimestamp::ZERO,
        transmit: NtpTimestamp::ZERO,
        ..*header
    };
    assert_eq!(masked(&answer), masked(&header), "{name}");
    assert_eq!(
        (answer.receive.0 & 1, answer.transmit.0 & 1),
        (header.receive.0 & 1, header.transmit.0 & 1),
        "{name}"
    );
    let got_field = Packet::parse(&got).unwrap().mono_root;
    assert_eq!(got_field.is_some(), field.is_some(), "{name}");
    if let (Some(got), Some(want)) = (got_field, field) {
        assert_near(got.receive, want.receive);
        assert_eq!(
            MonoRoot {
                receive: want.receive,
                ..got
            },
            want,
            "{name}"
        );
    }
}
