//! Ten million addresses ask the server: its memory stays what `clientloglimit` says, and the
//! clients that were there before are answered and listed all the time.
//!
//! Alone in its program, since it reads the memory of the process.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what is missing fails the test")]
#![allow(clippy::indexing_slicing, reason = "a failed index fails the test")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use timewright_core::discipline::CookLine;
use timewright_core::ids::SocketKey;
use timewright_core::keys::KeyRing;
use timewright_core::output::{Datagram, PacketStamp, StampSource};
use timewright_core::rng::Rng;
use timewright_core::server::access::{AccessRule, Permission, Subnet};
use timewright_core::server::auth::ServerKeys;
use timewright_core::server::client_log::ClientLogConfig;
use timewright_core::server::snapshot::{MonoScale, ReferenceState, SlewCount};
use timewright_core::server::{
    ServeContext, ServerConfig, ServerSnapshot, ServerTables, Shard, Verdict, respond,
};
use timewright_time::{MonoTime, Now, Seconds, Timestamp};

const STRANGERS: u32 = 10_000_000;
/// Requests of strangers in a second.
const RATE: i64 = 200_000;
/// Clients that ask every 8 s.
const KNOWN: u8 = 100;
const KNOWN_EVERY: u32 = 8 * 200_000 / 100;
/// `clientloglimit`, bytes.
const LIMIT: u64 = 524_288;
/// How much more the process may grow.
const SLACK: u64 = 1 << 20;
const START_NS: i64 = 1_800_000_000_000_000_000;

struct Splitmix(u64);

impl Splitmix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl Rng for Splitmix {
    fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
    }
}

struct Server {
    shard: Shard,
    snapshot: ServerSnapshot,
    tables: ServerTables,
    rng: Splitmix,
    now_ns: i64,
}

impl Server {
    fn new() -> Self {
        let mut rng = Splitmix(1);
        let config = ServerConfig {
            client_log: ClientLogConfig {
                limit_bytes: Some(LIMIT),
                ..ClientLogConfig::default()
            },
            era_s: 1_000_000_000,
        };
        let mut tables = ServerTables::default();
        for any in [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
            tables.access.apply(&AccessRule {
                permission: Permission::Allow,
                all: false,
                subnet: Subnet::new(any, 0).unwrap(),
            });
        }
        let snapshot = ServerSnapshot {
            clock: CookLine::default(),
            reference: ReferenceState::Unsynchronised {
                since: MonoTime::from_ns(0),
            },
            local: None,
            smoothing: None,
            precision_log2: -20,
            quantum: Seconds(1e-6),
            mono: MonoScale::new(&mut rng),
            slews: SlewCount::default(),
        };
        Self {
            shard: Shard::new(&config, &mut rng),
            snapshot,
            tables,
            rng,
            now_ns: START_NS,
        }
    }

    /// One request; whether it was answered.
    fn ask(&mut self, from: IpAddr) -> bool {
        self.now_ns += 1_000_000_000 / RATE;
        // Version 4, mode 3, and a transmit time that is all chance.
        let mut bytes = [0; 48];
        bytes[0] = 0x23;
        bytes[40..].copy_from_slice(&self.rng.next().to_be_bytes());
        let datagram = Datagram {
            socket: SocketKey(1),
            remote: SocketAddr::new(from, 40_000),
            local: None,
            interface: 0,
            bytes: &bytes,
            stamp: PacketStamp::new(Timestamp::from_ns(self.now_ns), StampSource::Kernel),
        };
        let now = Now {
            mono: MonoTime::from_ns(self.now_ns - START_NS),
            raw: Timestamp::from_ns(self.now_ns),
        };
        let now_ns = self.now_ns;
        let mut cx = ServeContext {
            snapshot: &self.snapshot,
            tables: &self.tables,
            auth: &mut ServerKeys {
                ring: &KeyRing::default(),
                signing: false,
            },
            now,
            clock: &mut || Timestamp::from_ns(now_ns + 1_000),
            rng: &mut self.rng,
        };
        let verdict = respond(&mut self.shard, &mut cx, &datagram, &mut [0; 48]);
        matches!(verdict, Verdict::Reply { len: 48, .. })
    }

    /// How many of the known clients are listed.
    fn listed(&mut self) -> usize {
        let now = Timestamp::from_ns(self.now_ns);
        let clients = self.shard.clients_mut();
        (0..clients.indices())
            .filter_map(|index| clients.report(index, 1, false, now))
            .filter(|report| (0..KNOWN).any(|i| report.address == known(i)))
            .count()
    }
}

fn known(i: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, i).into()
}

/// Every second stranger has an IPv6 address.
fn stranger(i: u32) -> IpAddr {
    if i & 1 == 0 {
        Ipv4Addr::from(0x0a00_0000 | i).into()
    } else {
        Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(i)).into()
    }
}

/// Memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

#[test]
fn ten_million_addresses_leave_memory_and_known_clients_alone() {
    let mut server = Server::new();
    for round in 0..4 {
        for i in 0..KNOWN {
            assert!(server.ask(known(i)));
        }
        server.now_ns += 8_000_000_000;
        assert_eq!(server.listed(), KNOWN.into(), "round {round}");
    }
    let before = resident();
    let mut next = 0;
    for i in 0..STRANGERS {
        assert!(server.ask(stranger(i)), "strangers are answered too");
        if i % KNOWN_EVERY == 0 {
            assert!(server.ask(known(next)), "after {i} strangers");
            next = (next + 1) % KNOWN;
        }
        if i % 1_000_000 == 999_999 {
            assert_eq!(server.listed(), KNOWN.into(), "after {i} strangers");
            let more = resident().saturating_sub(before);
            assert!(
                more <= LIMIT + SLACK,
                "{more} bytes more after {i} strangers"
            );
        }
    }
    println!("{} bytes more", resident().saturating_sub(before));
}
