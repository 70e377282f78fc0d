//! A source table with everything around it that the engine would provide: a clock, statistics
//! that remember what they were told, and a driver that records outputs.

use crate::ids::{SocketKey, SourceId, Ticket, Tickets};
use crate::keys::KeyRing;
use crate::output::FamilyFilter;
use crate::output::{Datagram, Output, OutputQueue, PacketStamp, StampSource, TxStamp};
use crate::rng::Rng;
use crate::source::env::{CookedClock, Env, OurReference, Params, SourceQueries, StatsAction};
use crate::source::{AddError, Added, NewSource, Origin, SourceKind, SourceTable};
use crate::source::{Association, Dispatch, SocketPolicy, Sockets, SourceConfig};
use crate::stats::estimator::score_by_samples;
use crate::stats::{DelayTestData, PollQuestion, Sample};
use crate::timers::{Timer, Timers};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use timewright_time::{Cooked, FreqRatio, MonoTime, Now, NtpTimestamp, Raw, Seconds, Timestamp};
use timewright_wire::{Header, Leap, Mode};

/// SplitMix64: small, seeded, and good enough for tests.
pub(super) struct TestRng(pub(super) u64);

impl TestRng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn chance(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Rng for TestRng {
    fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What the statistics were told of one source.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) active: bool,
    pub(super) reach: u8,
    pub(super) reach_shifts: u32,
    pub(super) samples: Vec<Sample>,
    pub(super) status: Option<(u8, Leap)>,
    pub(super) resets: u32,
    pub(super) refid: u32,
    pub(super) corrected: Vec<Seconds>,
}

#[derive(Default)]
pub(super) struct TestStats {
    pub(super) told: BTreeMap<SourceId, Told>,
    pub(super) selected: Option<SourceId>,
    pub(super) predicted: Seconds,
    pub(super) min_delay: Option<Seconds>,
    pub(super) delay_data: Option<DelayTestData>,
}

impl SourceQueries for TestStats {
    fn predict_offset(&self, _: SourceId, _: Timestamp<Cooked>) -> Seconds {
        self.predicted
    }
    fn frequency_range(&self, _: SourceId) -> (FreqRatio, FreqRatio) {
        (FreqRatio(-2e-3), FreqRatio(2e-3))
    }
    fn min_delay(&self, _: SourceId) -> Seconds {
        self.min_delay.unwrap_or(Seconds(f64::MAX))
    }
    fn delay_test_data(&self, _: SourceId, _: Timestamp<Cooked>) -> Option<DelayTestData> {
        self.delay_data
    }
    fn poll_score(&self, id: SourceId, question: &PollQuestion) -> f64 {
        let samples = self.told.get(&id).map_or(0, |t| t.samples.len().min(64));
        score_by_samples(question, samples)
    }
    fn jitter_asymmetry(&self, _: SourceId) -> f64 {
        0.0
    }
    fn is_selected(&self, id: SourceId) -> bool {
        self.selected == Some(id)
    }
    fn is_reachable(&self, id: SourceId) -> bool {
        self.told.get(&id).is_some_and(|t| t.reach != 0)
    }
}

impl TestStats {
    fn carry_out(&mut self, id: SourceId, action: StatsAction) {
        let told = self.told.entry(id).or_default();
        match action {
            StatsAction::Create { refid, .. } => told.refid = refid,
            StatsAction::Destroy => {
                self.told.remove(&id);
            }
            StatsAction::ChangeAddress { refid, .. } => {
                *told = Told {
                    active: told.active,
                    resets: told.resets + 1,
                    refid,
                    ..Told::default()
                };
            }
            StatsAction::SetActive(active) => told.active = active,
            StatsAction::Reachability(bit) => {
                told.reach = told.reach << 1 | u8::from(bit);
                told.reach_shifts += 1;
            }
            StatsAction::ResetReachability => {
                told.reach = 0;
                told.reach_shifts = 1;
            }
            StatsAction::SetRefid(refid) => told.refid = refid,
            StatsAction::Reset => {
                told.samples.clear();
                told.resets += 1;
            }
            StatsAction::Status { stratum, leap } => told.status = Some((stratum, leap)),
            StatsAction::CorrectOffset(by) => told.corrected.push(by),
            StatsAction::Log(_) => unreachable!("taken before"),
            StatsAction::Accumulate(sample) => told.samples.push(sample),
        }
    }
}

/// Cooked time equals raw time; reading it costs a microsecond.
pub(super) struct TestClock {
    pub(super) raw: Timestamp<Raw>,
}

impl CookedClock for TestClock {
    fn cook(&self, raw: Timestamp<Raw>) -> (Timestamp<Cooked>, Seconds) {
        (raw.cook(Seconds::ZERO), Seconds::ZERO)
    }
    fn read(&mut self) -> (Timestamp<Cooked>, Seconds) {
        (self.raw.cook(Seconds::ZERO), Seconds::ZERO)
    }
}

/// A packet handed to the driver.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) key: SocketKey,
    pub(super) to: SocketAddr,
    pub(super) packet: Vec<u8>,
    pub(super) at: Timestamp<Raw>,
}

impl Sent {
    pub(super) fn header(&self) -> Header {
        Header::read(&self.packet).unwrap()
    }
}

pub(super) const LOCAL: &str = "198.51.100.1";

/// The table and its surroundings.
pub(super) struct Bench {
    pub(super) table: SourceTable,
    pub(super) stats: TestStats,
    pub(super) clock: TestClock,
    pub(super) params: Params,
    pub(super) reference: OurReference,
    pub(super) keys: KeyRing,
    pub(super) rng: TestRng,
    pub(super) timers: Timers,
    pub(super) sockets: Sockets,
    pub(super) out: OutputQueue,
    pub(super) mono: MonoTime,
    pub(super) sent: Vec<Sent>,
    pub(super) open: Vec<SocketKey>,
    pub(super) logs: Vec<String>,
    pub(super) records: Vec<String>,
    pub(super) lookups: VecDeque<(Ticket, String, FamilyFilter)>,
    pub(super) probes: VecDeque<(Ticket, Vec<SocketAddr>)>,
    /// Every send fails.
    pub(super) network_down: bool,
    tickets: Tickets,
    actions: VecDeque<(SourceId, StatsAction)>,
}

impl Bench {
    pub(super) fn new(seed: u64) -> Self {
        let mut bench = Self {
            table: SourceTable::new(),
            stats: TestStats::default(),
            clock: TestClock {
                raw: Timestamp::from_parts(1_700_000_000, 0),
            },
            params: Params {
                precision: Seconds(1e-6),
                precision_log2: -20,
                ..Params::default()
            },
            reference: OurReference::default(),
            keys: KeyRing::default(),
            rng: TestRng(seed),
            timers: Timers::new(),
            sockets: Sockets::new(SocketPolicy::default()),
            out: OutputQueue::new(),
            mono: MonoTime::ZERO + Seconds(1000.0),
            sent: Vec::new(),
            open: Vec::new(),
            logs: Vec::new(),
            records: Vec::new(),
            lookups: VecDeque::new(),
            probes: VecDeque::new(),
            network_down: false,
            tickets: Tickets::default(),
            actions: VecDeque::new(),
        };
        bench.run(SourceTable::start_all);
        bench
    }

    /// One input, as the engine gives it.
    pub(super) fn run<R>(&mut self, input: impl FnOnce(&mut SourceTable, &mut Env<'_>) -> R) -> R {
        let result = self.call(input);
        self.settle();
        self.drain();
        result
    }

    fn call<R>(&mut self, input: impl FnOnce(&mut SourceTable, &mut Env<'_>) -> R) -> R {
        let raw = self.clock.raw;
        let mut env = Env {
            now: Now {
                mono: self.mono,
                raw,
            },
            event_time: raw.cook(Seconds::ZERO),
            params: &self.params,
            reference: &self.reference,
            keys: &self.keys,
            clock: &mut self.clock,
            rng: &mut self.rng,
            out: &mut self.out,
            timers: &mut self.timers,
            tickets: &mut self.tickets,
            sockets: &mut self.sockets,
            stats: &self.stats,
            actions: &mut self.actions,
        };
        input(&mut self.table, &mut env)
    }

    fn settle(&mut self) {
        loop {
            while let Some((id, action)) = self.actions.pop_front() {
                match action {
                    StatsAction::Log(event) => self.logs.push(event.text),
                    action => self.stats.carry_out(id, action),
                }
            }
            if !self.call(SourceTable::resume) {
                break;
            }
        }
    }

    /// The driver: carries out outputs and reports failures before anything else.
    fn drain(&mut self) {
        let mut failed = Vec::new();
        while let Some(output) = self.out.pop() {
            match output {
                Output::OpenSocket { key, .. } => self.open.push(key),
                Output::CloseSocket { key } => self.open.retain(|&k| k != key),
                Output::Send {
                    key, to, packet, ..
                } => {
                    assert!(self.open.contains(&key), "sent from a closed socket");
                    if self.network_down {
                        failed.push(key);
                    } else {
                        self.sent.push(Sent {
                            key,
                            to,
                            packet,
                            at: self.clock.raw,
                        });
                    }
                }
                Output::Resolve {
                    ticket,
                    name,
                    families,
                } => {
                    self.lookups.push_back((ticket, name, families));
                }
                Output::ProbeRoutes { ticket, addresses } => {
                    self.probes.push_back((ticket, addresses));
                }
                Output::Log(event) => self.logs.push(event.text),
                Output::LogRecord { line, .. } => self.records.push(line),
                other => panic!("unexpected {other:?}"),
            }
        }
        for key in failed {
            self.run(|table, env| table.on_send_failed(key, env));
        }
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        kind: SourceKind,
        config: SourceConfig,
    ) -> Result<Added, AddError> {
        let source = new_source(name, kind, config);
        self.run(|table, env| table.add(&source, Origin::Command, env))
    }

    /// A server given by address, started.
    pub(super) fn server(&mut self, config: SourceConfig) -> SourceId {
        self.add("192.0.2.1", SourceKind::Server, config).unwrap();
        *self.table.ids().last().unwrap()
    }

    /// A peer given by address, started.
    pub(super) fn peer(&mut self, config: SourceConfig) -> SourceId {
        self.add("192.0.2.1", SourceKind::Peer, config).unwrap();
        *self.table.ids().last().unwrap()
    }

    pub(super) fn get(&self, id: SourceId) -> &Association {
        self.table.get(id).unwrap()
    }

    pub(super) fn entry(&mut self, id: SourceId) -> &mut Association {
        &mut self.table.entries.get_mut(&id).unwrap().association
    }

    pub(super) fn told(&self, id: SourceId) -> &Told {
        &self.stats.told[&id]
    }

    /// Time passes, timers do not fire.
    pub(super) fn pass(&mut self, s: f64) {
        self.mono = self.mono + Seconds(s);
        self.clock.raw += Seconds(s);
    }

    /// Time passes until the next deadline, and what is due fires.
    pub(super) fn next_timer(&mut self) -> Timer {
        let at = self.timers.next().expect("a deadline");
        let wait = at - self.mono;
        if wait > Seconds::ZERO {
            self.pass(wait.0);
            self.mono = self.mono.max(at);
        }
        let timer = self.timers.pop_due(self.mono).expect("due");
        assert!(self.run(|table, env| table.handle_timer(timer, env)));
        timer
    }

    /// Time passes until the source sends its next request.
    pub(super) fn next_request(&mut self) -> Sent {
        let before = self.sent.len();
        for _ in 0..1000 {
            self.next_timer();
            if let Some(sent) = self.sent.get(before) {
                return sent.clone();
            }
        }
        panic!("no request");
    }

    /// The time until the next request, seconds.
    pub(super) fn until_request(&self, id: SourceId) -> Option<f64> {
        self.timers
            .deadline(Timer::Transmit(id))
            .map(|at| (at - self.mono).0)
    }

    /// A packet arrives on the socket a request left from.
    pub(super) fn deliver(
        &mut self,
        request: &Sent,
        packet: &[u8],
        source: StampSource,
    ) -> Dispatch {
        self.deliver_from(request.key, request.to, packet, source)
    }

    pub(super) fn deliver_from(
        &mut self,
        socket: SocketKey,
        remote: SocketAddr,
        packet: &[u8],
        source: StampSource,
    ) -> Dispatch {
        let stamp = PacketStamp::new(self.clock.raw, source);
        self.deliver_stamped(socket, remote, packet, stamp)
    }

    pub(super) fn deliver_stamped(
        &mut self,
        socket: SocketKey,
        remote: SocketAddr,
        packet: &[u8],
        stamp: PacketStamp,
    ) -> Dispatch {
        let datagram = Datagram {
            socket,
            remote,
            local: LOCAL.parse().ok(),
            interface: 1,
            bytes: packet,
            stamp,
        };
        self.run(|table, env| table.handle_datagram(&datagram, env))
    }

    pub(super) fn deliver_tx_stamp(
        &mut self,
        sent: &Sent,
        late_s: f64,
        source: StampSource,
    ) -> Dispatch {
        let stamp = TxStamp {
            socket: sent.key,
            remote: sent.to,
            bytes: &sent.packet,
            stamp: PacketStamp::new(sent.at + Seconds(late_s), source),
        };
        self.run(|table, env| table.handle_tx_stamp(&stamp, env))
    }

    /// The next request, and a good response to it.
    pub(super) fn exchange(&mut self) -> Sent {
        let request = self.next_request();
        let reply = self.reply(&request);
        self.pass(1e-3);
        self.deliver(&request, &reply.to_bytes(), StampSource::Kernel);
        request
    }

    /// A plain response of a stratum 1 server to a request, a millisecond away and 0.1 s ahead.
    pub(super) fn reply(&mut self, request: &Sent) -> Header {
        let asked = request.header();
        let at = |s: f64| {
            let t = request.at + Seconds(0.1 + s);
            NtpTimestamp(NtpTimestamp::from_timestamp(t).0)
        };
        Header {
            leap: Leap::Normal,
            version: asked.version,
            mode: if asked.mode == Mode::Active {
                Mode::Passive
            } else {
                Mode::Server
            },
            stratum: 1,
            poll: asked.poll,
            precision: -24,
            refid: u32::from_be_bytes(*b"GPS\0"),
            reference: at(-5.0),
            originate: asked.transmit,
            receive: at(0.4e-3),
            transmit: at(0.6e-3),
            ..Header::default()
        }
    }

    /// Answers the lookup in flight.
    pub(super) fn answer(&mut self, addresses: &[&str]) -> String {
        let (ticket, name, _) = self.lookups.pop_front().expect("a lookup");
        let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        let answer = crate::source::names::LookupAnswer::Addresses(addresses);
        self.run(|table, env| table.on_resolved(ticket, answer, env));
        name
    }

    /// Answers the probe in flight: all addresses are connectable.
    pub(super) fn allow_routes(&mut self) {
        let (ticket, addresses) = self.probes.pop_front().expect("a probe");
        self.run(|table, env| table.on_routes(ticket, &vec![true; addresses.len()], env));
    }
}

pub(super) fn new_source(name: &str, kind: SourceKind, config: SourceConfig) -> NewSource {
    NewSource {
        name: name.to_owned(),
        kind,
        port: 123,
        families: FamilyFilter::Any,
        config,
    }
}
