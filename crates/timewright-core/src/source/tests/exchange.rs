//! The unit test expectations of `ntp-engine.md` 10.1 (`ntp_core`), with seeded randomness:
//! whatever arrives, only a first valid response to the latest request counts.

use super::bench::{Bench, Sent, TestRng};
use crate::discipline::CookLine;
use crate::ids::SourceId;
use crate::keys::KeyRing;
use crate::output::{Datagram, PacketStamp, StampSource};
use crate::server::access::{AccessRule, Permission, Subnet};
use crate::server::auth::ServerKeys;
use crate::server::snapshot::{MonoScale, ReferenceState, ServerSnapshot, SlewCount};
use crate::server::{ServeContext, ServerConfig, ServerTables, Shard, Verdict, respond};
use crate::source::SourceConfig;
use crate::source::measure::Exchange;
use crate::timers::Timer;
use timewright_time::{FreqRatio, Now, NtpTimestamp, Seconds, Timestamp};
use timewright_wire::{Header, Leap, Mode};

const ROUNDS: u64 = 80;

/// What a response may change, as a bad one must not.
type Sync = (
    NtpTimestamp,
    NtpTimestamp,
    Timestamp<timewright_time::Cooked>,
);

fn sync(x: &Exchange) -> Sync {
    (x.remote_rx, x.remote_tx, x.local_rx.time)
}

fn init(x: &Exchange) -> (NtpTimestamp, Timestamp<timewright_time::Cooked>) {
    (x.init_remote_tx, x.init_local_rx.time)
}

struct Round {
    bench: Bench,
    rng: TestRng,
    id: SourceId,
    peer: bool,
    xleave: bool,
}

impl Round {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new(seed);
        let mut rng = TestRng(seed ^ 0x5555);
        bench.params.hw_timestamping = true;
        let (peer, xleave) = (rng.chance(), rng.chance());
        let config = SourceConfig {
            xleave,
            version: Some(1 + rng.below(4) as u8),
            offline: false,
            ..SourceConfig::default()
        };
        let id = if peer {
            bench.peer(config)
        } else {
            bench.server(config)
        };
        Self {
            bench,
            rng,
            id,
            peer,
            xleave,
        }
    }

    fn x(&self) -> Exchange {
        self.bench.get(self.id).exchange
    }

    fn valid(&self) -> u32 {
        self.bench.get(self.id).report().total_valid
    }

    /// The transmit timer, without the others in between.
    fn request(&mut self) -> Sent {
        let before = self.bench.sent.len();
        let total = self.bench.get(self.id).report().total_tx;
        while self.bench.sent.len() == before {
            self.bench.next_timer();
        }
        assert_eq!(self.bench.get(self.id).report().total_tx, total + 1);
        assert!(!self.x().valid_rx);
        self.bench.sent[before].clone()
    }

    fn now(&mut self) -> NtpTimestamp {
        let random = self.rng.next() & 0xfff;
        NtpTimestamp(NtpTimestamp::from_timestamp(self.bench.clock.raw).0 ^ random)
    }

    fn response(&mut self, interleaved: bool) -> Header {
        let x = self.x();
        let receive = self.now();
        self.bench.pass(1e-4);
        let transmit = self.now();
        Header {
            leap: Leap::Normal,
            version: self.bench.get(self.id).config().request_version(None),
            mode: match (self.peer, self.rng.chance()) {
                (false, _) => Mode::Server,
                (true, true) => Mode::Active,
                (true, false) => Mode::Passive,
            },
            stratum: 1,
            poll: 6,
            precision: -20,
            refid: 1,
            originate: if interleaved {
                x.local_ntp_rx
            } else {
                x.local_ntp_tx
            },
            receive,
            transmit,
            ..Header::default()
        }
    }

    fn deliver(&mut self, request: &Sent, packet: &[u8]) {
        self.bench.pass(1e-5);
        let source = [StampSource::Daemon, StampSource::Kernel][self.rng.below(2) as usize];
        self.bench.deliver(request, packet, source);
    }

    fn wrong_timestamps(&mut self, request: &Sent) {
        let mut bad = self.response(false);
        loop {
            bad.originate = NtpTimestamp(if self.rng.chance() {
                self.rng.next()
            } else {
                0
            });
            let x = self.x();
            if bad.originate != x.local_ntp_tx && bad.originate != x.local_ntp_rx {
                break;
            }
        }
        let (before, valid) = (self.x(), self.valid());
        self.deliver(request, &bad.to_bytes());
        let after = self.x();
        assert_eq!((sync(&after), self.valid()), (sync(&before), valid));
        assert_eq!(init(&after) != init(&before), self.peer);
    }

    fn bad_mac(&mut self, request: &Sent) {
        let header = self.response(false);
        let mut packet = header.to_bytes().to_vec();
        let lengths: &[usize] = if header.version == 4 {
            &[4, 20, 24]
        } else {
            &[4, 16, 20, 68]
        };
        let len = lengths[self.rng.below(lengths.len() as u64) as usize];
        packet.extend((0..len).map(|_| if len == 4 { 0 } else { self.rng.next() as u8 }));
        let (before, valid) = (format!("{:?}", self.x()), self.valid());
        self.deliver(request, &packet);
        assert_eq!((format!("{:?}", self.x()), self.valid()), (before, valid));
    }

    /// Ends the wait for a hardware stamp, one way or the other.
    fn finish_saved(&mut self, request: &Sent) {
        match self.rng.below(3) {
            0 => {
                self.bench
                    .deliver_tx_stamp(request, 1e-6, StampSource::Hardware);
            }
            1 => while self.bench.next_timer() != Timer::SavedResponse(self.id) {},
            _ => {
                // The transmit timer of the next request.
                self.bench.timers.cancel(Timer::SavedResponse(self.id));
                self.bench.timers.cancel(Timer::Receive(self.id));
                let sent = self.bench.sent.len();
                assert_eq!(self.bench.next_timer(), Timer::Transmit(self.id));
                assert_eq!(
                    self.bench.sent.len(),
                    sent,
                    "the response re-arms the timer"
                );
            }
        }
    }

    fn exchange(&mut self) {
        let request = self.request();
        let mut had_hardware = false;
        match self.rng.below(3) {
            0 => {
                self.bench
                    .deliver_tx_stamp(&request, 1e-6, StampSource::Kernel);
            }
            1 => {
                self.bench
                    .deliver_tx_stamp(&request, 1e-6, StampSource::Hardware);
                had_hardware = true;
            }
            _ => {}
        }
        let interleaved = self.rng.chance();
        if self.rng.chance() {
            self.wrong_timestamps(&request);
        }
        if self.rng.chance() {
            self.bad_mac(&request);
        }
        self.correct(&request, interleaved, had_hardware);
    }

    fn correct(&mut self, request: &Sent, interleaved: bool, had_hardware: bool) {
        let response = self.response(interleaved);
        let allowed = !interleaved || (self.xleave && !self.x().local_ntp_rx.is_zero());
        let (before, valid) = (self.x(), self.valid());
        let total_good = self.bench.get(self.id).report().total_good;
        self.deliver(request, &response.to_bytes());
        let waits = self.bench.get(self.id).saved.is_some();
        assert_eq!(waits, allowed && !had_hardware && total_good > 0,);
        if waits {
            assert_eq!(self.valid(), valid);
            self.finish_saved(request);
        }
        let after = self.x();
        assert_eq!(self.valid(), valid + u32::from(allowed));
        assert_eq!(after.local_rx.time != before.local_rx.time, allowed);
        if allowed {
            assert_eq!(init(&after), (NtpTimestamp::ZERO, Timestamp::ZERO));
            assert_eq!(
                (after.remote_rx, after.remote_tx),
                (response.receive, response.transmit)
            );
        }

        // The same again.
        let before = self.x();
        self.deliver(request, &response.to_bytes());
        if allowed {
            assert_eq!(format!("{:?}", self.x()), format!("{before:?}"));
        }

        // An older one.
        let second = 1u64 << 32;
        let mut older = response;
        older.receive.0 -= second;
        older.transmit.0 -= second;
        let (before, valid) = (self.x(), self.valid());
        self.deliver(request, &older.to_bytes());
        let after = self.x();
        if allowed {
            assert_eq!((sync(&after), self.valid()), (sync(&before), valid));
            let recorded = init(&after).0 == older.transmit;
            assert_eq!(recorded, self.peer);
        }

        // A newer one: only peers keep listening.
        let mut newer = response;
        newer.receive.0 += second;
        newer.transmit.0 += second;
        let (before, valid) = (self.x(), self.valid());
        self.deliver(request, &newer.to_bytes());
        let after = self.x();
        if self.peer {
            assert_eq!(self.valid(), valid);
            if allowed {
                assert_ne!(sync(&after), sync(&before));
            } else {
                assert_ne!(init(&after), init(&before));
            }
        } else if allowed {
            assert_eq!(format!("{after:?}"), format!("{before:?}"));
        }
    }
}

#[test]
fn only_valid_responses_count() {
    for seed in 0..ROUNDS {
        let mut round = Round::new(seed);
        for _ in 0..50 {
            round.exchange();
            if !round.peer {
                assert_eq!(init(&round.x()), (NtpTimestamp::ZERO, Timestamp::ZERO));
            }
        }
        assert!(round.valid() > 10, "{seed}: {}", round.valid());
    }
}

/// Our own server, as the engine has it.
struct Server {
    shard: Shard,
    tables: ServerTables,
    snapshot: ServerSnapshot,
    rng: TestRng,
}

impl Server {
    fn new(seed: u64) -> Self {
        let mut rng = TestRng(seed);
        let mut tables = ServerTables::default();
        tables.access.apply(&AccessRule {
            permission: Permission::Allow,
            all: false,
            subnet: Subnet::ANY,
        });
        let snapshot = ServerSnapshot {
            clock: CookLine::default(),
            reference: ReferenceState::Synchronised {
                leap: Leap::Normal,
                stratum: 1,
                ref_id: 1,
                ref_time: Timestamp::ZERO,
                root_delay: Seconds::ZERO,
                root_dispersion: Seconds(1e-4),
                dispersion_rate: FreqRatio(1e-6),
            },
            local: None,
            smoothing: None,
            precision_log2: -25,
            quantum: Seconds(3e-8),
            mono: MonoScale::default(),
            slews: SlewCount::default(),
        };
        Self {
            shard: Shard::new(&ServerConfig::default(), &mut rng),
            tables,
            snapshot,
            rng,
        }
    }

    fn answer(&mut self, bench: &Bench, request: &Sent) -> Vec<u8> {
        let raw = bench.clock.raw;
        let datagram = Datagram {
            socket: crate::ids::SocketKey(1),
            remote: "198.51.100.1:5000".parse().unwrap(),
            local: None,
            interface: 0,
            bytes: &request.packet,
            stamp: PacketStamp::new(raw, StampSource::Kernel),
        };
        let mut cx = ServeContext {
            snapshot: &self.snapshot,
            tables: &self.tables,
            auth: &mut ServerKeys {
                ring: &KeyRing::default(),
                signing: false,
            },
            now: Now {
                mono: bench.mono,
                raw,
            },
            clock: &mut || raw + Seconds(1e-5),
            rng: &mut self.rng,
        };
        let mut reply = [0; 1140];
        match respond(&mut self.shard, &mut cx, &datagram, &mut reply) {
            Verdict::Reply { len, .. } => reply[..len].to_vec(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn our_server_satisfies_our_client() {
    for seed in 0..100 {
        let mut rng = TestRng(seed);
        let mut bench = Bench::new(seed);
        let version = 1 + rng.below(4) as u8;
        let xleave = rng.chance();
        let (presend, burst) = (100, rng.chance());
        let mono_root = version == 4 && rng.chance();
        let id = bench.server(SourceConfig {
            xleave,
            presend,
            burst,
            mono_root,
            version: Some(version),
            ..SourceConfig::default()
        });
        let mut server = Server::new(seed);
        for i in 0..20 {
            let request = bench.next_request();
            bench.pass(1e-4);
            let reply = server.answer(&bench, &request);
            bench.pass(1e-4);
            let before = bench.get(id).report().clone();
            bench.deliver(&request, &reply, StampSource::Kernel);
            let report = bench.get(id).report();
            assert_eq!(report.total_valid, before.total_valid + 1, "{seed} {i}");
            let reused = xleave && version == 4 && i == 2;
            assert_eq!(
                report.total_good,
                before.total_good + u32::from(!reused),
                "{seed} {i}"
            );
            assert_eq!(
                report.interleaved,
                xleave && version == 4 && i >= 2,
                "{seed} {i}"
            );
        }
    }
}

/// One of two peers.
struct Peer {
    bench: Bench,
    id: SourceId,
    received: Vec<Vec<u8>>,
}

impl Peer {
    fn new(seed: u64, xleave: bool, stratum: u8) -> Self {
        let mut bench = Bench::new(seed);
        bench.reference.leap = Leap::Normal;
        bench.reference.stratum = stratum;
        bench.reference.root_dispersion = Seconds(1e-3);
        bench.reference.root_delay = Seconds(1e-3);
        let id = bench.peer(SourceConfig {
            xleave,
            ..SourceConfig::default()
        });
        Self {
            bench,
            id,
            received: Vec::new(),
        }
    }

    fn send(&mut self) -> Sent {
        let timer = Timer::Transmit(self.id);
        self.bench.timers.cancel(timer);
        self.bench.run(|table, env| table.handle_timer(timer, env));
        self.bench.sent.last().unwrap().clone()
    }

    /// Delivers a packet; whether it was valid, and good.
    fn receive(&mut self, packet: &[u8]) -> (bool, bool) {
        let before = self.bench.get(self.id).report().clone();
        let key = self.bench.get(self.id).socket.unwrap();
        let remote = self.bench.get(self.id).remote().unwrap();
        self.bench
            .deliver_from(key, remote, packet, StampSource::Kernel);
        let report = self.bench.get(self.id).report();
        (
            report.total_valid > before.total_valid,
            report.total_good > before.total_good,
        )
    }

    fn replay(&mut self, rng: &mut TestRng, context: &str) {
        for _ in 0..rng.below(10) {
            if self.received.is_empty() {
                return;
            }
            let old = self.received[rng.below(self.received.len() as u64) as usize].clone();
            assert_eq!(self.receive(&old), (false, false), "{context}");
        }
    }
}

#[test]
fn peers_follow_each_other_in_spite_of_replayed_packets() {
    for seed in 0..100 {
        let mut rng = TestRng(seed);
        let xleave = rng.chance();
        let mut peers = [
            Peer::new(seed, xleave, 2),
            Peer::new(seed + 1000, xleave, 3),
        ];
        let first_good = if xleave { 2 } else { 1 };
        for i in 0..40 {
            for from in 0..2 {
                let to = 1 - from;
                let context = format!("seed {seed} xleave {xleave} round {i} from {from}");
                for peer in &mut peers {
                    peer.bench.pass(31.0);
                }
                let sent = peers[from].send();
                for peer in &mut peers {
                    peer.bench.pass(1e-4);
                }
                peers[to].replay(&mut rng, &context);
                let (valid, good) = peers[to].receive(&sent.packet);
                if from == 1 || i >= first_good {
                    assert!(valid && good, "{context}: {valid} {good}");
                }
                peers[to].received.push(sent.packet);
                peers[to].replay(&mut rng, &context);
            }
        }
        if xleave {
            let report = peers[0].bench.get(peers[0].id).report();
            assert!(report.interleaved, "{seed}");
        }
    }
}
