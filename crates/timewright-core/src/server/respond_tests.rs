//! Tests of whole requests and responses.

use super::*;
use crate::discipline::CookLine;
use crate::discipline::smooth::SmoothPlan;
use crate::ids::SocketKey;
use crate::output::Family;
use crate::server::access::{AccessRule, Permission, Subnet};
use crate::server::auth::NoKeys;
use crate::server::rate_limit::RateLimit;
use crate::server::snapshot::{
    LocalReference, MonoScale, ReferenceState, ServedSmoothing, SlewCount,
};
use crate::server::test_rng::TestRng;
use timewright_time::{FreqRatio, MonoTime, NtpShort};
use timewright_wire::{BuildError, HEADER_LEN};

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
        self.ask_with(&mut NoKeys, request)
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
        let limit = limit.map(|interval_log2| RateLimit {
            interval_log2,
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
        interval_log2: 6,
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
        interval_log2: 12,
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

/// A client in interleaved mode: what it sent and got last.
struct Client {
    next: u64,
    last: Option<Header>,
}

impl Client {
    const fn new() -> Self {
        Self {
            next: 0x1111_0000,
            last: None,
        }
    }

    fn request(&mut self, mode: Mode) -> Header {
        self.next += 0x100;
        let last = self.last.unwrap_or_default();
        Header {
            mode,
            originate: last.receive,
            // A client that had an answer sends a random receive time as well.
            receive: NtpTimestamp(if self.last.is_some() {
                self.next + 7
            } else {
                0
            }),
            transmit: NtpTimestamp(self.next),
            ..request()
        }
    }

    /// Whether the response is interleaved.
    fn exchange(&mut self, bench: &mut Bench, mode: Mode) -> bool {
        let request = self.request(mode);
        let got = bench.header(&request);
        let interleaved = got.originate == request.receive && !request.receive.is_zero();
        assert!(interleaved || got.originate == request.transmit);
        self.last = Some(got);
        interleaved
    }
}

#[test]
fn the_third_and_later_responses_to_an_interleaved_client_are_interleaved() {
    for mode in [Mode::Client, Mode::Active] {
        let mut bench = Bench::new();
        let mut client = Client::new();
        let mut seen = Vec::new();
        for _ in 0..20 {
            bench.wait(64);
            seen.push(client.exchange(&mut bench, mode));
        }
        let want: Vec<_> = (0..20).map(|i| i >= 2).collect();
        assert_eq!(seen, want, "{mode:?}");
        let statistics = bench.shard.statistics();
        assert_eq!((statistics.interleaved, statistics.timestamps), (18, 19));
        // Random low bits may cost a whole second.
        assert!((18 * 64 - 1..=18 * 64).contains(&statistics.timestamp_span_s));
        assert_eq!(statistics.tx.daemon, 20);
    }
}

#[test]
fn an_interleaved_response_tells_when_the_one_before_was_sent() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for i in 0..6 {
        let sent_before = bench.now_ns;
        bench.wait(64);
        let interleaved = client.exchange(&mut bench, Mode::Client);
        let got = client.last.unwrap();
        assert_near(got.receive, ntp(bench.now_ns - 5_000));
        if i < 2 {
            assert_near(got.transmit, ntp(bench.now_ns + 1_000));
        } else {
            assert!(interleaved);
            // The basic response read the clock once for its field and once for the record.
            let readings = if i == 2 { 2 } else { 1 };
            assert_near(got.transmit, ntp(sent_before + readings * 1_000));
        }
    }
}

#[test]
fn late_stamps_make_interleaved_responses_precise() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for (i, source) in [StampSource::Kernel; 4]
        .into_iter()
        .chain([StampSource::Hardware; 4])
        .enumerate()
    {
        bench.wait(64);
        let (bytes, stamp) = bench.ask(&client.request(Mode::Client).to_bytes()).unwrap();
        let got = Header::read(&bytes).unwrap();
        assert_eq!(stamp, i > 0);
        if i > 1 {
            assert_near(got.transmit, ntp(bench.now_ns - 64_000_000_000 + 77_000));
        }
        client.last = Some(got);
        let late = PacketStamp::new(Timestamp::from_ns(bench.now_ns + 77_000), source);
        bench.shard.late_transmit(
            &bench.snapshot,
            &TxStamp {
                socket: SocketKey(1),
                remote: bench.remote,
                bytes: &bytes,
                stamp: late,
            },
        );
    }
    let tx = bench.shard.statistics().tx;
    assert_eq!((tx.daemon, tx.kernel, tx.hardware), (2, 3, 3));
}

#[test]
fn late_stamps_of_other_packets_are_ignored() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..2 {
        bench.wait(1);
        client.exchange(&mut bench, Mode::Client);
    }
    let got = client.last.unwrap();
    for mode in [Mode::Broadcast, Mode::Client, Mode::Active] {
        let bytes = Header { mode, ..got }.to_bytes();
        let stamp = TxStamp {
            socket: SocketKey(1),
            remote: bench.remote,
            bytes: &bytes,
            stamp: PacketStamp::new(
                Timestamp::from_ns(bench.now_ns + 77_000),
                StampSource::Kernel,
            ),
        };
        bench.shard.late_transmit(&bench.snapshot, &stamp);
        let short = TxStamp {
            bytes: &bytes[..40],
            ..stamp
        };
        bench.shard.late_transmit(&bench.snapshot, &short);
    }
    let saved = bench.shard.timestamps.find(got.receive).unwrap();
    assert_eq!(saved.source, StampSource::Daemon);
}

#[test]
fn only_odd_originate_times_of_version_4_are_looked_up() {
    let base = Header {
        originate: NtpTimestamp(0x55),
        receive: NtpTimestamp(0x66),
        ..request()
    };
    for (name, header, want) in [
        ("any odd originate", base, true),
        (
            "even",
            Header {
                originate: NtpTimestamp(0x54),
                ..base
            },
            false,
        ),
        ("version 3", Header { version: 3, ..base }, false),
        (
            "receive = transmit",
            Header {
                receive: base.transmit,
                ..base
            },
            false,
        ),
        (
            "no receive",
            Header {
                receive: NtpTimestamp::ZERO,
                ..base
            },
            true,
        ),
    ] {
        let mut bench = Bench::new();
        let (bytes, stamp) = bench.ask(&header.to_bytes()).unwrap();
        let got = Header::read(&bytes).unwrap();
        assert_eq!(stamp, want, "{name}");
        assert_eq!(
            bench.shard.statistics().timestamps,
            u64::from(want),
            "{name}"
        );
        assert_eq!(got.originate, header.transmit, "{name}");
    }
}

#[test]
fn a_transmit_time_is_given_away_once() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..2 {
        bench.wait(1);
        client.exchange(&mut bench, Mode::Client);
    }
    bench.wait(1);
    let request = client.request(Mode::Client);
    let first = bench.header(&request);
    assert_eq!(first.originate, request.receive);
    bench.wait(1);
    let second = bench.header(&request);
    assert_eq!(second.originate, request.transmit);
    // The receive time of the basic reply is saved again.
    client.last = Some(second);
    assert!(client.exchange(&mut bench, Mode::Client));
    assert_eq!(bench.shard.statistics().interleaved, 2);
}

#[test]
fn without_client_log_there_is_no_interleaved_mode() {
    let mut bench = Bench::with(ClientLogConfig {
        limit_bytes: None,
        ..ClientLogConfig::default()
    });
    let mut client = Client::new();
    for _ in 0..5 {
        bench.wait(1);
        assert!(!client.exchange(&mut bench, Mode::Client));
    }
    let statistics = bench.shard.statistics();
    assert_eq!((statistics.hits[0], statistics.timestamps), (5, 0));
}

#[test]
fn an_unknown_step_ends_interleaved_exchanges() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..3 {
        bench.wait(1);
        client.exchange(&mut bench, Mode::Client);
    }
    bench.snapshot.slews.unknown_steps += 1;
    assert!(!client.exchange(&mut bench, Mode::Client));
    bench.wait(1);
    assert!(client.exchange(&mut bench, Mode::Client));
}

#[test]
fn a_transmit_time_too_far_from_the_receive_time_is_not_told() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..2 {
        bench.wait(10);
        bench.stamp.time = Timestamp::from_ns(bench.now_ns - 3_000_000_000);
        client.exchange(&mut bench, Mode::Client);
    }
    bench.wait(10);
    assert!(!client.exchange(&mut bench, Mode::Client));
    bench.wait(10);
    assert!(client.exchange(&mut bench, Mode::Client));
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
fn smoothing_moves_all_times_of_server_responses() {
    let mut bench = Bench::new();
    bench.snapshot.smoothing = smoothing(0.5);
    let got = bench.header(&request());
    assert_eq!((got.refid, got.leap), (refid::SMOOTHED, Leap::Normal));
    let half = 500_000_000;
    assert_near(got.reference, ntp(START_NS - 16_000_000_000 + half));
    assert_near(got.receive, ntp(START_NS - 5_000 + half));
    assert_near(got.transmit, ntp(START_NS + 1_000 + half));

    let passive = Header {
        mode: Mode::Active,
        ..request()
    };
    let got = bench.header(&passive);
    assert_eq!((got.refid, got.leap), (0xc000_0201, Leap::Insert));
    assert_near(got.receive, ntp(START_NS - 5_000));
    assert_near(got.transmit, ntp(START_NS + 1_000));
}

#[test]
fn smoothing_below_the_clocks_quantum_hides_only_the_leap() {
    let mut bench = Bench::new();
    bench.snapshot.smoothing = smoothing(1e-9);
    let got = bench.header(&request());
    assert_eq!((got.refid, got.leap), (0xc000_0201, Leap::Normal));
    bench.snapshot.smoothing = smoothing(0.5).map(|smoothing| ServedSmoothing {
        hides_leap: false,
        ..smoothing
    });
    assert_eq!(bench.header(&request()).leap, Leap::Insert);
}

#[test]
fn saved_transmit_times_are_smoothed_once() {
    let mut bench = Bench::new();
    bench.snapshot.smoothing = smoothing(0.5);
    let mut client = Client::new();
    for i in 0..4 {
        let before = bench.now_ns;
        bench.wait(64);
        let request = client.request(Mode::Client);
        let (bytes, _) = bench.ask(&request.to_bytes()).unwrap();
        let got = Header::read(&bytes).unwrap();
        client.last = Some(got);
        if i == 2 {
            assert_near(got.transmit, ntp(before + 2_000 + 500_000_000));
        } else if i == 3 {
            assert_near(got.transmit, ntp(before + 77_000 + 500_000_000));
        }
        if i == 2 {
            let stamp = PacketStamp::new(
                Timestamp::from_ns(bench.now_ns + 77_000),
                StampSource::Kernel,
            );
            let stamp = TxStamp {
                socket: SocketKey(1),
                remote: bench.remote,
                bytes: &bytes,
                stamp,
            };
            bench.shard.late_transmit(&bench.snapshot, &stamp);
        }
    }
}

fn with_fields(fields: &[(u16, &[u8])]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut builder = PacketBuilder::new(&mut buffer, &request()).unwrap();
    for (kind, body) in fields {
        builder.add_field(*kind, body).unwrap();
    }
    builder.finish().to_vec()
}

#[test]
fn mono_root_is_answered_with_fine_root_values_and_continuous_time() {
    let request = with_fields(&[(FIELD_MONO_ROOT, &MonoRoot::default().to_body())]);
    let mut bench = Bench::new();
    let (bytes, _) = bench.ask(&request).unwrap();
    assert_eq!(bytes.len(), 76);
    let packet = Packet::parse(&bytes).unwrap();
    let field = packet.mono_root.unwrap();
    assert_eq!(field.root_delay, NtpShort28::from_seconds(Seconds(0.02)));
    assert_eq!(
        field.root_dispersion,
        NtpShort28::from_seconds(Seconds(0.00116))
    );
    assert_eq!(field.epoch, 0x1234_5678);
    assert_near(field.receive, ntp(START_NS - 5_000 + 250_000_000));

    bench.snapshot.smoothing = smoothing(0.5);
    let (bytes, _) = bench.ask(&request).unwrap();
    let field = Packet::parse(&bytes).unwrap().mono_root.unwrap();
    assert_eq!(field.receive, NtpTimestamp::ZERO);
}

#[test]
fn net_corrections_are_told_with_ptp_only() {
    let empty = NetCorrection::default().to_body();
    let request = with_fields(&[
        (FIELD_NET_CORRECTION, &empty),
        (FIELD_MONO_ROOT, &MonoRoot::default().to_body()),
    ]);
    for (ptp, duration, correction, len, want) in [
        (false, 1e-6, 2e-6, 76, None),
        (true, 1e-6, 2e-6, 104, Some(2e-6)),
        (true, 1e-6, 1e-6, 104, Some(0.0)),
        (true, 0.0, 0.0, 104, Some(0.0)),
    ] {
        let mut bench = Bench::new();
        bench.tables.ptp = ptp;
        bench.stamp.rx_duration = Seconds(duration);
        bench.stamp.net_correction = Seconds(correction);
        let (bytes, _) = bench.ask(&request).unwrap();
        assert_eq!(bytes.len(), len);
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.mono_root.is_some());
        let got = packet.net_correction.map(|field| field.to_seconds().0);
        match (got, want) {
            (Some(got), Some(want)) => assert!((got - want).abs() < 1e-9, "{got}"),
            _ => assert_eq!(got, want),
        }
    }
}

#[test]
fn kisses_carry_the_fields_asked_for() {
    let limit = RateLimit {
        interval_log2: 12,
        burst: 1,
        leak: 4,
        kod: 1,
    };
    let mut bench = Bench::limited(limit);
    let request = with_fields(&[(FIELD_MONO_ROOT, &MonoRoot::default().to_body())]);
    let kiss = (0..100)
        .filter_map(|_| bench.ask(&request).ok())
        .find(|(bytes, _)| Header::read(bytes).unwrap().refid == refid::KISS_RATE);
    assert_eq!(kiss.unwrap().0.len(), 76);
}

/// Judges all requests alike and seals with a number of bytes.
struct Fake {
    claim: Claim,
    seal: usize,
    seen: Vec<Option<Kiss>>,
}

impl Fake {
    const fn new(claim: Claim, seal: usize) -> Self {
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
        interval_log2: 12,
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
            auth: &mut NoKeys,
            now: Now::default(),
            clock: &mut || Timestamp::from_ns(START_NS),
            rng: &mut bench.rng,
        };
        let got = respond(&mut bench.shard, &mut cx, &datagram, &mut vec![0; room]);
        assert_eq!(got, Verdict::Drop(DropReason::TooLong));
    }
}

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
    let text = include_str!("../../tests/data/ntp-probes.json");
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
                check_probe(&mut bench, &mut NoKeys, name, &request, &want);
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
        let _ = bench.ask_with(&mut Fake::new(Claim::Genuine, 20), &bytes);
    }
}
