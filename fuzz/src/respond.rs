//! Requests to the server, one after the other: an answer is never longer than its request and is
//! itself a packet.
//!
//! The first byte of the input chooses the server's state (`SMOOTHED` and so on); then follow
//! requests, each behind its length in two bytes with the flag `INTERLEAVED`.

use std::net::SocketAddr;
use timewright_config::RateLimit;
use timewright_core::discipline::CookLine;
use timewright_core::discipline::smooth::{SmoothPlan, Stage};
use timewright_core::ids::SocketKey;
use timewright_core::output::{Datagram, PacketStamp, StampSource, TxStamp};
use timewright_core::rng::Rng;
use timewright_core::server::access::{AccessRule, Permission, Subnet};
use timewright_core::server::auth::{Authenticator, Claim, Kiss};
use timewright_core::server::client_log::{ClientLogConfig, Service};
use timewright_core::server::snapshot::{
    LocalReference, MonoScale, ReferenceState, ServedSmoothing, SlewCount,
};
use timewright_core::server::{
    ServeContext, ServerConfig, ServerSnapshot, ServerTables, Shard, Verdict, respond,
};
use timewright_time::{FreqRatio, MonoTime, Now, Seconds, Timestamp};
use timewright_wire::{
    AuthMode, BuildError, FIELD_NTS_UNIQUE_ID, Header, Leap, Mode, Packet, PacketBuilder,
};

/// Served time is smoothed.
pub(crate) const SMOOTHED: u8 = 1;
/// Requests are limited to few.
pub(crate) const LIMITED: u8 = 2;
/// There is no source but a local reference.
pub(crate) const LOCAL: u8 = 4;
/// NTP over PTP is in use.
pub(crate) const PTP: u8 = 8;
/// Claims of requests: two bits.
const CLAIM_SHIFT: u8 = 4;
/// Requests come from the port of NTP, and from an address that may not ask.
pub(crate) const DENIED: u8 = 0x40;
/// No records of clients are kept.
pub(crate) const NO_LOG: u8 = 0x80;

/// What the keys say of a request.
pub(crate) const CLAIMS: [Claim; 4] = [
    Claim::Genuine,
    Claim::ToBeSigned,
    Claim::Nak,
    Claim::Refused,
];

/// In a length: the request asks when the answer before was sent, so its originate time is the
/// receive time of that answer.
pub(crate) const INTERLEAVED: u16 = 0x8000;
/// Where that time is in a packet.
const ORIGINATE: std::ops::Range<usize> = 24..32;

/// The byte that chooses this state.
pub(crate) fn state(flags: u8, claim: Claim) -> u8 {
    let index = CLAIMS.iter().position(|known| *known == claim).unwrap_or(0);
    flags | u8::try_from(index).unwrap_or(0) << CLAIM_SHIFT
}

const START_NS: i64 = 1_800_000_000_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// More would only be slower.
const REQUESTS_MAX: usize = 16;

/// Answers the requests in `data`.
pub fn run(data: &[u8]) {
    let Some((&state, mut rest)) = data.split_first() else {
        return;
    };
    let mut server = Server::new(state);
    for _ in 0..REQUESTS_MAX {
        let Some((length, after)) = rest.split_first_chunk() else {
            break;
        };
        let length = u16::from_be_bytes(*length);
        let cut = usize::from(length & !INTERLEAVED).min(after.len());
        let (request, after) = after.split_at(cut);
        if length & INTERLEAVED == 0 {
            server.ask(request);
        } else {
            let mut request = request.to_vec();
            if let Some(originate) = request.get_mut(ORIGINATE) {
                originate.copy_from_slice(&server.received.to_be_bytes());
            }
            server.ask(&request);
        }
        rest = after;
    }
    let statistics = server.shard.statistics();
    assert!(statistics.hits.iter().sum::<u64>() <= REQUESTS_MAX as u64);
    let now = Timestamp::from_ns(server.now_ns);
    let clients = server.shard.clients_mut();
    for index in 0..clients.indices().min(64) {
        let _ = clients.report(index, 0, false, now);
    }
}

/// A server whose clock and chance are the same in every run.
struct Server {
    shard: Shard,
    snapshot: ServerSnapshot,
    tables: ServerTables,
    rng: Splitmix,
    keys: Keys,
    remote: SocketAddr,
    now_ns: i64,
    asked: u32,
    /// Receive time of the last answer.
    received: u64,
}

impl Server {
    fn new(state: u8) -> Self {
        let is = |flag: u8| state & flag != 0;
        let mut rng = Splitmix(u64::from(state));
        let limit = RateLimit {
            interval: 3,
            burst: 2,
            leak: 2,
            kod: 1,
        };
        let client_log = ClientLogConfig {
            limit_bytes: (!is(NO_LOG)).then_some(2000),
            rate_limits: [is(LIMITED).then_some(limit), None, None],
        };
        let config = ServerConfig {
            client_log,
            era_s: 1_000_000_000,
        };
        let mut tables = ServerTables {
            ptp: is(PTP),
            ..ServerTables::default()
        };
        tables.access.apply(&AccessRule {
            permission: Permission::Allow,
            all: false,
            subnet: Subnet::new([192, 0, 2, 0].into(), 24).expect("24 bits are a prefix"),
        });
        let remote = if is(DENIED) {
            ([198, 51, 100, 1], 123)
        } else {
            ([192, 0, 2, 9], 4000)
        };
        Self {
            shard: Shard::new(&config, &mut rng),
            snapshot: snapshot(is(SMOOTHED), is(LOCAL)),
            tables,
            rng,
            keys: Keys(CLAIMS[usize::from(state >> CLAIM_SHIFT & 3)]),
            remote: remote.into(),
            now_ns: START_NS,
            asked: 0,
            received: 0,
        }
    }

    fn ask(&mut self, request: &[u8]) {
        self.asked += 1;
        self.now_ns += SECOND_NS;
        if self.asked == 4 {
            self.snapshot.slews.unknown_steps += 1;
        }
        let datagram = Datagram {
            socket: SocketKey(1),
            remote: self.remote,
            local: None,
            interface: 0,
            bytes: request,
            stamp: PacketStamp {
                net_correction: Seconds(1e-6),
                ..PacketStamp::new(Timestamp::from_ns(self.now_ns - 5_000), StampSource::Kernel)
            },
        };
        let mut reply = vec![0; request.len() + 100];
        let now = Now {
            mono: MonoTime::from_ns(self.now_ns - START_NS),
            raw: Timestamp::from_ns(self.now_ns),
        };
        let mut late_ns = self.now_ns;
        let mut cx = ServeContext {
            snapshot: &self.snapshot,
            tables: &self.tables,
            auth: &mut self.keys,
            now,
            clock: &mut || {
                late_ns += 1_000;
                Timestamp::from_ns(late_ns)
            },
            rng: &mut self.rng,
        };
        match respond(&mut self.shard, &mut cx, &datagram, &mut reply) {
            Verdict::Drop(_) => {}
            Verdict::Reply { len, stamp } => {
                reply.truncate(len);
                check(request, &reply);
                if stamp {
                    self.late(&reply);
                }
                self.received = Header::read(&reply).map_or(0, |header| header.receive.0);
            }
            Verdict::Sign { len, key_id } => {
                check(request, &reply[..len]);
                let mac = Packet::parse(request).ok().and_then(|packet| packet.mac);
                assert_eq!(mac.map(|mac| mac.key_id), Some(key_id));
            }
        }
    }

    /// The kernel tells when the answer left.
    fn late(&mut self, reply: &[u8]) {
        let stamp = TxStamp {
            socket: SocketKey(1),
            remote: self.remote,
            bytes: reply,
            stamp: PacketStamp::new(Timestamp::from_ns(self.now_ns + 9_000), StampSource::Kernel),
        };
        // What comes back from the error queue need not be an answer.
        for bytes in [reply, &reply[..20], &[0x23; 48]] {
            let stamp = TxStamp { bytes, ..stamp };
            self.shard.late_transmit(&self.snapshot, &stamp);
        }
        assert!(self.shard.clients().interval_min_log2(Service::Ntp) >= -19);
    }
}

fn check(request: &[u8], reply: &[u8]) {
    assert!(reply.len() <= request.len());
    let request = Packet::parse(request)
        .expect("only packets are answered")
        .header;
    let reply = Packet::parse(reply).expect("an answer is a packet").header;
    assert_eq!(reply.version, request.version);
    assert!(matches!(reply.mode, Mode::Server | Mode::Passive));
    assert!(reply.originate == request.transmit || reply.originate == request.receive);
    assert_ne!(reply.receive, reply.originate);
    assert_ne!(reply.transmit, reply.originate);
    assert!(reply.poll >= request.poll);
}

fn snapshot(smoothed: bool, local: bool) -> ServerSnapshot {
    let start = Timestamp::from_ns(START_NS);
    let plan = SmoothPlan {
        offset: Seconds(0.5),
        frequency: 1e-6,
        start,
        stages: [Stage::default(); 3],
    };
    ServerSnapshot {
        clock: CookLine::default(),
        reference: if local {
            ReferenceState::Unsynchronised {
                since: MonoTime::from_ns(0),
            }
        } else {
            ReferenceState::Synchronised {
                leap: Leap::Insert,
                stratum: 2,
                ref_id: 0xc000_0201,
                ref_time: Timestamp::from_ns(START_NS - 16 * SECOND_NS),
                root_delay: Seconds(0.02),
                root_dispersion: Seconds(0.001),
                dispersion_rate: FreqRatio(1e-5),
            }
        },
        local: local.then_some(LocalReference {
            stratum: 8,
            distance: Seconds(1.0),
            activate: Seconds::ZERO,
            activated: false,
            wait_synced: Seconds::ZERO,
            wait_unsynced: Seconds(2.0),
            ref_time: Timestamp::from_ns(START_NS - 2 * SECOND_NS),
        }),
        smoothing: smoothed.then_some(ServedSmoothing {
            plan,
            hides_leap: true,
        }),
        precision_log2: -25,
        quantum: Seconds(3e-8),
        mono: MonoScale {
            offset: Seconds(0.25),
            epoch: 0x1234_5678,
        },
        slews: SlewCount::default(),
    }
}

/// Keys that say the same of every request.
struct Keys(Claim);

impl Authenticator for Keys {
    fn check(&mut self, request: &Packet<'_>) -> Claim {
        assert!(!matches!(
            request.auth,
            AuthMode::None | AuthMode::MsSntpExtended
        ));
        self.0
    }

    fn seal(
        &mut self,
        request: &Packet<'_>,
        _kiss: Option<Kiss>,
        reply: &mut PacketBuilder<'_>,
    ) -> Result<(), BuildError> {
        if let Some(mac) = request.mac {
            reply.append(&mac.key_id.to_be_bytes())?;
            return reply.append(mac.digest);
        }
        let id = request
            .fields()
            .find(|field| field.kind == FIELD_NTS_UNIQUE_ID);
        reply.add_field(FIELD_NTS_UNIQUE_ID, id.map_or(&[0; 32], |id| id.body))
    }
}

/// A seeded generator.
pub(crate) struct Splitmix(pub(crate) u64);

impl Rng for Splitmix {
    fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let bytes = (z ^ (z >> 27)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}
