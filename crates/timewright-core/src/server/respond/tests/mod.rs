//! Tests of whole requests and responses.

use super::*;
use crate::discipline::CookLine;
use crate::discipline::smooth::SmoothPlan;
use crate::ids::SocketKey;
use crate::keys::KeyRing;
use crate::output::Family;
use crate::server::access::{AccessRule, Permission, Subnet};
use crate::server::auth::ServerKeys;
use crate::server::snapshot::{
    LocalReference, MonoScale, ReferenceState, ServedSmoothing, SlewCount,
};
use crate::server::test_rng::TestRng;
use timewright_config::RateLimit;
use timewright_time::{FreqRatio, MonoTime, NtpShort};
use timewright_wire::{BuildError, HEADER_LEN};

mod auth;
mod fields;
mod interleaved;
mod probes;

const ERA_S: i64 = 1_000_000_000;
const START_NS: i64 = 1_800_000_000_000_000_000;
const PRECISION: i8 = -25;
/// Fuzzed bits and the rounding of a nanosecond.
const FUZZ_MAX: u64 = (1 << 7) + 5;

fn snapshot() -> ServerSnapshot {
    ServerSnapshot {
        clock: CookLine::default(),
        reference: ReferenceState::Synchronised {
            leap: Leap::Insert,
            stratum: 2,
            ref_id: 0xc000_0201,
            ref_time: Timestamp::from_ns(START_NS - 16_000_000_000),
            root_delay: Seconds(0.02),
            root_dispersion: Seconds(0.001),
            dispersion_rate: FreqRatio(1e-5),
        },
        local: None,
        smoothing: None,
        precision_log2: PRECISION,
        quantum: Seconds(3e-8),
        mono: MonoScale {
            offset: Seconds(0.25),
            epoch: 0x1234_5678,
        },
        slews: SlewCount::default(),
    }
}

/// A server with a clock that runs a microsecond with each reading.
struct Bench {
    shard: Shard,
    snapshot: ServerSnapshot,
    tables: ServerTables,
    rng: TestRng,
    now_ns: i64,
    remote: SocketAddr,
    stamp: PacketStamp,
}

impl Bench {
    fn new() -> Self {
        Self::with(ClientLogConfig::default())
    }

    fn with(client_log: ClientLogConfig) -> Self {
        let mut rng = TestRng::new(12);
        let mut tables = ServerTables::default();
        tables.access.apply(&AccessRule {
            permission: Permission::Allow,
            all: false,
            subnet: Subnet::ANY,
        });
        let config = ServerConfig {
            client_log,
            era_s: ERA_S,
        };
        Self {
            shard: Shard::new(&config, &mut rng),
            snapshot: snapshot(),
            tables,
            rng,
            now_ns: START_NS,
            remote: "192.0.2.9:4000".parse().unwrap(),
            stamp: PacketStamp::new(Timestamp::ZERO, StampSource::Kernel),
        }
    }

    fn limited(limit: RateLimit) -> Self {
        Self::with(ClientLogConfig {
            rate_limits: [Some(limit), None, None],
            ..ClientLogConfig::default()
        })
    }

    fn ask_with(
        &mut self,
        auth: &mut dyn Authenticator,
        request: &[u8],
    ) -> Result<(Vec<u8>, bool), DropReason> {
        if self.stamp.time.is_zero() {
            self.stamp.time = Timestamp::from_ns(self.now_ns - 5_000);
        }
        let datagram = Datagram {
            socket: SocketKey(1),
            remote: self.remote,
            local: None,
            interface: 0,
            bytes: request,
            stamp: self.stamp,
        };
        let mut now_ns = self.now_ns;
        let mut cx = ServeContext {
            snapshot: &self.snapshot,
            tables: &self.tables,
            auth,
            now: Now {
                mono: MonoTime::from_ns(now_ns - START_NS),
                raw: Timestamp::from_ns(now_ns),
            },
            clock: &mut || {
                now_ns += 1_000;
                Timestamp::from_ns(now_ns)
            },
            rng: &mut self.rng,
        };
        let mut reply = [0xaa; 2048];
        let verdict = respond(&mut self.shard, &mut cx, &datagram, &mut reply);
        self.stamp.time = Timestamp::ZERO;
        match verdict {
            Verdict::Drop(reason) => Err(reason),
            Verdict::Reply { len, stamp } => {
                assert!(len <= request.len());
                assert!(reply[len..request.len()].iter().all(|byte| *byte == 0xaa));
                Ok((reply[..len].to_vec(), stamp))
            }
            Verdict::Sign { .. } => panic!("unexpected {verdict:?}"),
        }
    }

    fn ask(&mut self, request: &[u8]) -> Result<(Vec<u8>, bool), DropReason> {
        self.ask_with(
            &mut ServerKeys {
                ring: &KeyRing::default(),
                signing: false,
            },
            request,
        )
    }

    fn header(&mut self, request: &Header) -> Header {
        let (bytes, _) = self.ask(&request.to_bytes()).expect("answered");
        Header::read(&bytes).unwrap()
    }

    fn wait(&mut self, s: i64) {
        self.now_ns += s * 1_000_000_000;
    }
}

fn request() -> Header {
    Header {
        version: 4,
        mode: Mode::Client,
        poll: 6,
        precision: 32,
        transmit: NtpTimestamp(0x0123_4567_89ab_cdef),
        ..Header::default()
    }
}

fn ntp(ns: i64) -> NtpTimestamp {
    NtpTimestamp::from_timestamp(Timestamp::<Cooked>::from_ns(ns))
}

#[track_caller]
fn assert_near(got: NtpTimestamp, want: NtpTimestamp) {
    let apart = got.0.wrapping_sub(want.0).cast_signed().unsigned_abs();
    assert!(apart <= FUZZ_MAX, "{:x} {:x}", got.0, want.0);
}

#[test]
fn a_basic_response_tells_time_and_reference() {
    let mut bench = Bench::new();
    let got = bench.header(&request());
    let want = Header {
        leap: Leap::Insert,
        version: 4,
        mode: Mode::Server,
        stratum: 2,
        poll: 6,
        precision: PRECISION,
        root_delay: NtpShort::from_seconds(Seconds(0.02)),
        root_dispersion: NtpShort::from_seconds(Seconds(0.00116)),
        refid: 0xc000_0201,
        reference: ntp(START_NS - 16_000_000_000),
        originate: request().transmit,
        receive: got.receive,
        transmit: got.transmit,
    };
    assert_eq!(got, want);
    assert_near(got.receive, ntp(START_NS - 5_000));
    assert_near(got.transmit, ntp(START_NS + 1_000));
    assert_eq!((got.receive.0 & 1, got.transmit.0 & 1), (1, 0));
}

#[test]
fn raw_times_are_cooked() {
    let mut bench = Bench::new();
    bench.snapshot.clock.outstanding = Seconds(-0.5);
    let got = bench.header(&request());
    assert_near(got.receive, ntp(START_NS + 500_000_000 - 5_000));
    assert_near(got.transmit, ntp(START_NS + 500_000_000 + 1_000));
}

#[test]
fn low_bits_are_random_up_to_the_precision() {
    let mut bench = Bench::new();
    let (mut rx, mut tx) = (0, 0);
    for _ in 0..200 {
        let got = bench.header(&request());
        rx |= got.receive.0 ^ ntp(START_NS - 5_000).0;
        tx |= got.transmit.0 ^ ntp(START_NS + 1_000).0;
    }
    assert_eq!((rx | 1, tx | 1), (0x7f, 0x7f));
}

#[test]
fn times_differ_from_the_originate_time() {
    let mut bench = Bench::new();
    bench.snapshot.precision_log2 = -30;
    for value in [ntp(START_NS - 5_000), ntp(START_NS + 1_000)] {
        for low in 0..4 {
            let mut request = request();
            request.transmit = NtpTimestamp(value.0 & !3 | low);
            for _ in 0..50 {
                let got = bench.header(&request);
                assert_ne!(got.receive, request.transmit);
                assert_ne!(got.transmit, request.transmit);
            }
        }
    }
    let stuck = distinct(NtpTimestamp(8), || NtpTimestamp(8));
    assert_eq!(stuck, NtpTimestamp(10));
}

#[test]
fn only_requests_are_answered() {
    for version in 0..8 {
        for mode in 0..8 {
            for port in [123, 4000] {
                let mut bench = Bench::new();
                bench.remote.set_port(port);
                let mut request = request();
                request.version = version;
                request.mode = Mode::from_bits(mode);
                let want = match (version, mode) {
                    (0 | 5.., _) => None,
                    (_, 1) => Some(Mode::Passive),
                    (_, 3) => Some(Mode::Server),
                    (1, 0) if port != 123 => Some(Mode::Server),
                    _ => None,
                };
                let got = bench.ask(&request.to_bytes());
                let got = got.ok().map(|(bytes, _)| Header::read(&bytes).unwrap());
                assert_eq!(
                    got.map(|header| header.mode),
                    want,
                    "{version} {mode} {port}"
                );
                assert_eq!(got.map(|header| header.version), want.map(|_| version));
                let hits = u64::from(want.is_some());
                assert_eq!(bench.shard.statistics().hits, [hits, 0, 0]);
            }
        }
    }
}

#[test]
fn denied_clients_leave_no_trace() {
    let mut bench = Bench::new();
    let table = &mut bench.tables.access;
    table.apply(&AccessRule {
        permission: Permission::Deny,
        all: false,
        subnet: Subnet::host(bench.remote.ip()),
    });
    assert!(table.any_allowed(Family::V4));
    let got = bench.ask(&request().to_bytes());
    assert_eq!(got, Err(DropReason::Denied));
    assert!(bench.shard.clients().is_empty());
    assert_eq!(bench.shard.statistics(), ServerStatistics::default());
}

#[test]
fn the_poll_is_at_least_the_limiters_interval() {
    for (limit, poll, want) in [
        (None, 6, 6),
        (None, -20, -19),
        (Some(3), 6, 6),
        (Some(3), 1, 3),
        (Some(12), 6, 12),
        (Some(30), 17, 17),
        (Some(30), 6, 12),
        (Some(-30), -30, -19),
    ] {
        let limit = limit.map(|interval| RateLimit {
            interval,
            ..RateLimit::NTP
        });
        let mut bench = limit.map_or_else(Bench::new, Bench::limited);
        let request = Header { poll, ..request() };
        assert_eq!(bench.header(&request).poll, want, "{limit:?} {poll}");
    }
}

#[test]
fn an_unsynchronised_server_answers_all_the_same() {
    let mut bench = Bench::new();
    bench.snapshot.reference = ReferenceState::Unsynchronised {
        since: MonoTime::ZERO,
    };
    let got = bench.header(&request());
    assert_eq!((got.leap, got.stratum), (Leap::Unsynchronised, 0));
    assert_eq!((got.refid, got.reference), (0, NtpTimestamp::ZERO));
    assert_eq!((got.root_delay.0, got.root_dispersion.0), (65536, 65536));
    assert_near(got.transmit, ntp(START_NS + 1_000));
}

#[test]
fn clients_over_the_limit_are_dropped_or_kissed() {
    let limit = RateLimit {
        interval: 6,
        burst: 2,
        leak: 4,
        kod: 1,
    };
    let mut bench = Bench::limited(limit);
    let (mut dropped, mut kissed, mut served) = (0, 0, 0);
    for _ in 0..500 {
        bench.wait(1);
        match bench.ask(&request().to_bytes()) {
            Err(reason) => {
                assert_eq!(reason, DropReason::RateLimited);
                dropped += 1;
            }
            Ok((bytes, stamp)) => {
                assert!(!stamp);
                let got = Header::read(&bytes).unwrap();
                if got.refid == refid::KISS_RATE {
                    kissed += 1;
                    assert_eq!((got.leap, got.stratum), (Leap::Unsynchronised, 0));
                    assert_eq!(got.originate, request().transmit);
                    assert!(got.root_delay.0 > 0 && !got.reference.is_zero());
                    assert_eq!((got.poll, got.mode), (6, Mode::Server));
                } else {
                    served += 1;
                    assert_eq!(got.stratum, 2);
                }
            }
        }
    }
    let statistics = bench.shard.statistics();
    assert!(
        dropped > 100 && kissed > 100 && served > 5,
        "{dropped} {kissed} {served}"
    );
    assert_eq!(statistics.hits[0], 500);
    assert_eq!(statistics.drops[0], dropped);
    assert_eq!(statistics.rx.kernel, kissed + served);
    assert_eq!(statistics.tx.daemon, kissed + served);
}

#[test]
fn a_kiss_saves_no_time_stamps() {
    let limit = RateLimit {
        interval: 12,
        burst: 1,
        leak: 4,
        kod: 1,
    };
    let mut bench = Bench::limited(limit);
    let request = Header {
        originate: NtpTimestamp(5),
        ..request()
    };
    let mut kissed = 0;
    for _ in 0..40 {
        if let Ok((bytes, stamp)) = bench.ask(&request.to_bytes()) {
            let kiss = Header::read(&bytes).unwrap().refid == refid::KISS_RATE;
            kissed += u64::from(kiss);
            assert_eq!(stamp, !kiss);
        }
    }
    let statistics = bench.shard.statistics();
    assert!(kissed > 5);
    assert_eq!(statistics.timestamps, statistics.rx.kernel - kissed);
}

fn smoothing(offset: f64) -> Option<ServedSmoothing> {
    Some(ServedSmoothing {
        plan: SmoothPlan {
            offset: Seconds(offset),
            start: Timestamp::from_ns(START_NS),
            ..SmoothPlan::default()
        },
        hides_leap: true,
    })
}

#[test]
fn a_short_buffer_is_no_reason_to_panic() {
    let mut bench = Bench::new();
    let bytes = request().to_bytes();
    for room in [0, 47] {
        let datagram = Datagram {
            socket: SocketKey(1),
            remote: bench.remote,
            local: None,
            interface: 0,
            bytes: &bytes,
            stamp: PacketStamp::new(Timestamp::from_ns(START_NS), StampSource::Daemon),
        };
        let mut cx = ServeContext {
            snapshot: &bench.snapshot,
            tables: &bench.tables,
            auth: &mut ServerKeys {
                ring: &KeyRing::default(),
                signing: false,
            },
            now: Now::default(),
            clock: &mut || Timestamp::from_ns(START_NS),
            rng: &mut bench.rng,
        };
        let got = respond(&mut bench.shard, &mut cx, &datagram, &mut vec![0; room]);
        assert_eq!(got, Verdict::Drop(DropReason::TooLong));
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_handled_and_never_amplified(
        start in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
        zeros in 0usize..1200,
        version in 1u8..5,
    ) {
        let mut bytes = start;
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0xc0 | version << 3 | 3;
        }
        bytes.resize(bytes.len() + zeros, 0);
        let mut bench = Bench::new();
        let _ = bench.ask_with(&mut auth::Fake::new(Claim::Genuine, 20), &bytes);
    }
}
