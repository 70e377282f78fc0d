//! Authenticated requests, with an authenticator that believes what the test says.

use super::*;

/// Judges all requests alike and seals with a number of bytes.
pub(super) struct Fake {
    claim: Claim,
    seal: usize,
    seen: Vec<Option<Kiss>>,
}

impl Fake {
    pub(super) const fn new(claim: Claim, seal: usize) -> Self {
        Self {
            claim,
            seal,
            seen: Vec::new(),
        }
    }
}

impl Authenticator for Fake {
    fn check(&mut self, _request: &Packet<'_>) -> Claim {
        self.claim
    }

    fn seal(
        &mut self,
        _request: &Packet<'_>,
        kiss: Option<Kiss>,
        reply: &mut PacketBuilder<'_>,
    ) -> Result<(), BuildError> {
        self.seen.push(kiss);
        reply.append(&vec![7; self.seal])
    }
}

fn with_mac(version: u8, key_id: u32, digest: &[u8]) -> Vec<u8> {
    let header = Header {
        version,
        ..request()
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(key_id.to_be_bytes());
    bytes.extend(digest);
    bytes
}

#[test]
fn authenticated_requests_get_sealed_responses() {
    let request = with_mac(4, 1, &[1; 16]);
    for (claim, seal, want) in [
        (Claim::Genuine, 20, Ok(68)),
        (Claim::Genuine, 24, Err(DropReason::TooLong)),
        (Claim::Refused, 20, Err(DropReason::NotAuthentic)),
        (Claim::Nak, 20, Ok(68)),
    ] {
        let mut bench = Bench::new();
        let mut auth = Fake::new(claim, seal);
        let got = bench.ask_with(&mut auth, &request);
        assert_eq!(got.map(|(bytes, _)| bytes.len()), want, "{claim:?}");
        let statistics = bench.shard.statistics();
        let genuine = u64::from(claim == Claim::Genuine);
        assert_eq!(statistics.authenticated, genuine, "{claim:?}");
        let answered = u64::from(claim != Claim::Refused);
        assert_eq!(statistics.rx.kernel, answered);
        assert_eq!(statistics.hits[0], 1);
    }
    assert_eq!(
        Bench::new().ask(&request),
        Err(DropReason::NotAuthentic),
        "no keys"
    );
}

#[test]
fn a_nak_says_so_and_beats_a_kiss_to_silence() {
    let request = with_mac(4, 1, &[1; 16]);
    let mut bench = Bench::new();
    let mut auth = Fake::new(Claim::Nak, 20);
    let (bytes, _) = bench.ask_with(&mut auth, &request).unwrap();
    let got = Header::read(&bytes).unwrap();
    assert_eq!(
        (got.leap, got.stratum, got.refid),
        (Leap::Unsynchronised, 0, refid::KISS_NTSN)
    );
    assert_eq!(auth.seen, [Some(Kiss::NtsNak)]);

    let limit = RateLimit {
        interval: 12,
        burst: 1,
        leak: 4,
        kod: 1,
    };
    for (claim, kisses) in [(Claim::Nak, false), (Claim::Genuine, true)] {
        let mut bench = Bench::limited(limit);
        let mut auth = Fake::new(claim, 20);
        let mut kissed = false;
        for _ in 0..100 {
            if let Ok((bytes, _)) = bench.ask_with(&mut auth, &request) {
                kissed |= Header::read(&bytes).unwrap().refid == refid::KISS_RATE;
            }
        }
        assert_eq!(kissed, kisses);
        assert_eq!(auth.seen.contains(&Some(Kiss::Rate)), kisses);
    }
}

#[test]
fn ms_sntp_responses_go_to_the_signing_service() {
    let request = with_mac(3, 0x0102_0304, &[0; 16]);
    let mut bench = Bench::new();
    let mut auth = Fake::new(Claim::ToBeSigned, 20);
    let datagram = Datagram {
        socket: SocketKey(1),
        remote: bench.remote,
        local: None,
        interface: 0,
        bytes: &request,
        stamp: PacketStamp::new(Timestamp::from_ns(START_NS), StampSource::Daemon),
    };
    let mut cx = ServeContext {
        snapshot: &bench.snapshot,
        tables: &bench.tables,
        auth: &mut auth,
        now: Now::default(),
        clock: &mut || Timestamp::from_ns(START_NS),
        rng: &mut bench.rng,
    };
    let mut reply = [0; 100];
    let got = respond(&mut bench.shard, &mut cx, &datagram, &mut reply);
    let want = Verdict::Sign {
        len: HEADER_LEN,
        key_id: 0x0102_0304,
    };
    assert_eq!(got, want);
    assert_eq!(bench.shard.statistics().authenticated, 0);
    assert!(auth.seen.is_empty());

    let extended = with_mac(3, 0x0102_0304, &[0; 68]);
    let got = Bench::new().ask_with(&mut Fake::new(Claim::ToBeSigned, 0), &extended);
    assert_eq!(got, Err(DropReason::NotAuthentic));
}
