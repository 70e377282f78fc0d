//! A whole engine between the network and a clock: answers to its requests, packets nobody asked
//! for, control messages and time passing, in any order.
//!
//! The input is a list of steps: a byte that says what happens ([`WAIT`] and so on), the length
//! of what follows in two bytes, and the bytes of a packet or message.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use timewright_config::{DriverKind, MemoryFiles, ParseOptions, parse_lines};
use timewright_core::clock::{Clock, ClockError, ClockLimits};
use timewright_core::engine::{Boot, Context, Engine, LookupAnswer, Outcome};
use timewright_core::hwclock::{Device, HwReading, READINGS_MAX};
use timewright_core::ids::{DeviceId, SocketKey};
use timewright_core::output::{
    ControlOrigin, Datagram, Output, OutputQueue, PacketStamp, StampSource, TxStamp,
};
use timewright_core::refclock::DeviceReading;
use timewright_time::{MonoTime, Now, NtpTimestamp, Raw, Seconds, Timestamp};
use timewright_wire::{HEADER_LEN, Header};

use crate::respond::Splitmix;

/// Time passes until something is due, as often as the first byte says.
pub(crate) const WAIT: u8 = 0;
/// An answer comes to a recent request.
pub(crate) const ANSWER: u8 = 1;
/// A packet comes to the server socket.
pub(crate) const PACKET: u8 = 2;
/// A message comes to the Unix command socket.
pub(crate) const CONTROL: u8 = 3;
/// A message comes to the command port.
pub(crate) const REMOTE_CONTROL: u8 = 4;
/// The kernel says when a recent request left.
pub(crate) const SENT: u8 = 5;
/// A reference clock says something: its number, the kind of reading, and what is read.
pub(crate) const DEVICE: u8 = 6;
/// How many kinds there are.
const KINDS: u8 = 7;
/// Of an answer: its originate time is kept as it is, so that it answers nothing.
pub(crate) const AS_IT_IS: u8 = 0x80;
/// Of an answer: its receive and transmit times are kept as they are.
pub(crate) const OWN_TIMES: u8 = 0x40;
/// Of an answer: to the request before the last one.
pub(crate) const OLDER: u8 = 0x20;
/// Of an answer: in interleaved mode.
pub(crate) const INTERLEAVED: u8 = 0x10;
/// Of an answer: stamped by the network card, with corrections by devices on the path.
pub(crate) const CORRECTED: u8 = 0x08;

/// What the engine is configured with: sources of all kinds, a server, every log.
const CONFIG: &str = "\
server 192.0.2.1 copy iburst minpoll 0 maxpoll 2 filter 3 maxdelayquant 0.5
server 192.0.2.2 xleave extfield F323 extfield F324 minpoll 0 presend 2 maxdelayratio 3 maxdelaydevratio 2
server 2001:db8::1 burst iburst minpoll -1 version 3 offset 0.001
peer 192.0.2.3 minpoll 0 maxpoll 1 xleave
pool pool.example.org iburst maxsources 2
broadcast 16 192.0.2.255
allow 192.0.2.0/24
cmdallow
opencommands authdata clients ntpdata selectdata serverstats tracking
ratelimit burst 4 kod 2
makestep 0.1 3
maxchange 100 20 -1
fallbackdrift 2 6
smoothtime 400 0.01
local stratum 10 orphan waitsynced 60
driftfile /var/lib/chrony/drift
dumpdir /var/lib/chrony
mailonchange root@example.org 0.5
logchange 0.1
manual
hwtimestamp *
refclock SHM 0 dpoll 8 poll 9 refid NMEA noselect
refclock SOCK /s poll 8 pps lock NMEA rate 10 width 0.02 noselect
refclock PHC /p:extpps dpoll 8 poll 8 local
refclock SHM 1 dpoll 8 poll 8 tai offset 0.5 maxdispersion 1 noselect
clockprecision 1e-7
log rawmeasurements statistics tracking selection";

/// More steps would only be slower.
const STEPS_MAX: usize = 64;
/// Deadlines that may be due at one moment; more are a loop.
const DUE_MAX: usize = 1000;
const START_NS: i64 = 1_800_000_000_000_000_000;
const NS: f64 = 1e9;

/// Takes the steps in `data`.
pub fn run(data: &[u8]) {
    let mut host = Host::new();
    let mut rest = data;
    for _ in 0..STEPS_MAX {
        let Some((&[kind, high, low], after)) = rest.split_first_chunk() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (bytes, after) = after.split_at(length);
        host.step(kind, bytes);
        rest = after;
    }
    host.input(|engine, now, cx| engine.shutdown(now, cx));
}

/// A request that was sent.
struct Request {
    socket: SocketKey,
    to: SocketAddr,
    packet: Vec<u8>,
}

pub(crate) struct Host {
    engine: Engine,
    clock: FakeClock,
    rng: Splitmix,
    out: OutputQueue,
    requests: Vec<Request>,
    server: Option<SocketKey>,
    /// When the last answer was sent, for the next one in interleaved mode.
    answered: NtpTimestamp,
    /// Bytes of the last reply to a control message.
    pub(crate) reply: Option<Vec<u8>>,
    ended: bool,
}

impl Host {
    pub(crate) fn new() -> Self {
        let parsed = parse_lines(CONFIG.lines(), &MemoryFiles::new(), ParseOptions::default());
        let config = parsed.expect("the configuration is valid").config;
        let boot = Boot {
            era_s: 1_000_000_000,
            drift_file: Some("1.5 0.1".into()),
            drivers: DriverKind::ALL.to_vec(),
            ..Boot::default()
        };
        let mut clock = FakeClock::default();
        let mut rng = Splitmix(7);
        let mut out = OutputQueue::new();
        let now = clock.read();
        let mut cx = Context {
            clock: &mut clock,
            rng: &mut rng,
            out: &mut out,
        };
        let engine = Engine::new(config, boot, now, &mut cx);
        let mut host = Self {
            engine,
            clock,
            rng,
            out,
            requests: Vec::new(),
            server: None,
            answered: NtpTimestamp::default(),
            reply: None,
            ended: false,
        };
        host.drain();
        host
    }

    /// The frequency of the clock as the engine has set it, and the time it shows.
    #[cfg(test)]
    pub(crate) fn is_synchronised(&self) -> bool {
        self.engine.is_synchronised()
    }

    pub(crate) fn step(&mut self, kind: u8, bytes: &[u8]) {
        match kind % 8 % KINDS {
            ANSWER => self.answer(kind, bytes),
            PACKET => self.packet(bytes),
            CONTROL => {
                let origin = ControlOrigin::Unix {
                    path: b"/run/client".to_vec(),
                };
                self.input(|engine, now, cx| engine.handle_control(now, origin, bytes, cx));
            }
            REMOTE_CONTROL => {
                let origin = ControlOrigin::Udp {
                    remote: ([192, 0, 2, 8], 5000).into(),
                    local: None,
                };
                self.input(|engine, now, cx| engine.handle_control(now, origin, bytes, cx));
            }
            SENT => self.sent(),
            DEVICE => self.device(bytes),
            _ => {
                let times = bytes.first().map_or(1, |&byte| 1 + byte % 16);
                for _ in 0..times {
                    self.wait();
                }
            }
        }
        self.run_due();
    }

    /// Lets time pass until the next deadline, but no more than a day.
    fn wait(&mut self) {
        const DAY: f64 = 86_400.0;
        let now = self.clock.read().mono;
        let wait = self.engine.next_deadline().map_or(1.0, |at| (at - now).0);
        self.clock.advance(wait.clamp(1e-3, DAY));
        self.run_due();
    }

    fn run_due(&mut self) {
        for _ in 0..DUE_MAX {
            let now = self.clock.read().mono;
            if self.ended || self.engine.next_deadline().is_none_or(|at| at > now) {
                return;
            }
            self.input(|engine, now, cx| engine.handle_deadline(now, cx));
        }
        panic!("deadlines do not end");
    }

    /// Makes an answer of `bytes`, half a millisecond after the request came.
    fn answer(&mut self, kind: u8, bytes: &[u8]) {
        let back = if kind & OLDER == 0 { 1 } else { 2 };
        let at = self.requests.len().checked_sub(back);
        let Some(request) = at.and_then(|at| self.requests.get(at)) else {
            return;
        };
        let (socket, remote) = (request.socket, request.to);
        let asked = Header::read(&request.packet);
        self.clock.advance(1e-3);
        let now = self.clock.read();
        let mut packet = bytes.to_vec();
        if let (Some(mut header), Some(asked)) = (Header::read(bytes), asked) {
            if kind & AS_IT_IS == 0 {
                header.originate = if kind & INTERLEAVED == 0 {
                    asked.transmit
                } else {
                    asked.receive
                };
            }
            if kind & OWN_TIMES == 0 {
                // The low bits of the reference id make the clocks differ.
                let offset_ns = i64::from(header.refid & 0xffff) - 0x8000;
                let at =
                    |ns| NtpTimestamp::from_timestamp(Timestamp::<Raw>::from_ns(now.raw.ns() + ns));
                header.receive = at(offset_ns - 600_000);
                let transmit = at(offset_ns - 500_000);
                header.transmit = if kind & INTERLEAVED == 0 {
                    transmit
                } else {
                    self.answered
                };
                self.answered = transmit;
                header.reference = at(-10_000_000_000);
            }
            packet[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        }
        let stamp = if kind & CORRECTED == 0 {
            PacketStamp::new(now.raw, StampSource::Kernel)
        } else {
            PacketStamp {
                rx_duration: Seconds(1e-6),
                net_correction: Seconds(1e-4),
                ..PacketStamp::new(now.raw, StampSource::Hardware)
            }
        };
        self.deliver(socket, remote, &packet, stamp);
    }

    fn packet(&mut self, bytes: &[u8]) {
        // The first byte says who sends it: a source, a client, or a stranger.
        let Some((&who, bytes)) = bytes.split_first() else {
            return;
        };
        let remote: IpAddr = [192, 0, 2, who % 6].into();
        let port = if who < 128 { 123 } else { 4000 };
        if let Some(socket) = self.server {
            let stamp = PacketStamp::new(self.clock.read().raw, StampSource::Daemon);
            self.deliver(socket, SocketAddr::new(remote, port), bytes, stamp);
        }
    }

    fn deliver(&mut self, socket: SocketKey, remote: SocketAddr, bytes: &[u8], stamp: PacketStamp) {
        let datagram = Datagram {
            socket,
            remote,
            local: Some([192, 0, 2, 99].into()),
            interface: 1,
            bytes,
            stamp,
        };
        self.input(|engine, now, cx| engine.handle_datagram(now, &datagram, cx));
    }

    fn sent(&mut self) {
        let Some(request) = self.requests.last() else {
            return;
        };
        let (socket, remote, packet) = (request.socket, request.to, request.packet.clone());
        let stamp = TxStamp {
            socket,
            remote,
            bytes: &packet,
            stamp: PacketStamp::new(self.clock.read().raw, StampSource::Hardware),
        };
        self.input(|engine, now, cx| engine.handle_tx_stamp(now, &stamp, cx));
    }

    /// Whatever a device may say: times around now in nanoseconds, or anywhere.
    fn device(&mut self, bytes: &[u8]) {
        let Some((&[device, kind], rest)) = bytes.split_first_chunk() else {
            return;
        };
        let raw_ns = self.clock.read().raw.ns();
        let mut numbers = rest.chunks_exact(8).map(|chunk| {
            let mut number = [0; 8];
            number.copy_from_slice(chunk);
            i64::from_be_bytes(number)
        });
        // The upper half of kinds has times of its own.
        let mut time = || {
            let number = numbers.next().unwrap_or(0);
            if kind < 128 {
                raw_ns.wrapping_add(number % 1_000_000_000)
            } else {
                number
            }
        };
        let reading = match kind % 4 {
            0 => DeviceReading::Sample {
                system: Timestamp::from_ns(time()),
                reference: Timestamp::from_ns(time()),
                leap: i32::from(kind / 4 % 8) - 1,
            },
            1 => DeviceReading::Pulse {
                time: Timestamp::from_ns(time()),
                second: match time() {
                    bits if kind >= 128 => Seconds(f64::from_bits(bits.cast_unsigned())),
                    #[allow(clippy::cast_precision_loss, reason = "below 1e9")]
                    ns => Seconds((ns % 1_000_000_000) as f64 / NS),
                },
            },
            2 => {
                let count = (rest.len() / 24).min(READINGS_MAX);
                let reading = |_| HwReading {
                    before: Timestamp::from_ns(time()),
                    hardware: Timestamp::<Device>::from_ns(time()),
                    after: Timestamp::from_ns(time()),
                };
                DeviceReading::Hardware((0..count).map(reading).collect())
            }
            _ => DeviceReading::Edge(Timestamp::from_ns(time())),
        };
        let id = DeviceId(u32::from(device % 8));
        if device < 128 {
            self.input(|engine, now, cx| engine.handle_device(now, id, Some(&reading), cx));
        } else {
            self.input(|engine, now, cx| engine.handle_device_event(now, id, &reading, cx));
        }
    }

    fn input(&mut self, work: impl FnOnce(&mut Engine, Now, &mut Context<'_>)) {
        if self.ended {
            return;
        }
        let now = self.clock.read();
        let mut cx = Context {
            clock: &mut self.clock,
            rng: &mut self.rng,
            out: &mut self.out,
        };
        work(&mut self.engine, now, &mut cx);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.out.pop() {
            match output {
                Output::OpenSocket { key, role } => {
                    use timewright_core::output::{Family, SocketRole};
                    if role == SocketRole::Server(Family::V4) {
                        self.server = Some(key);
                    }
                }
                Output::CloseSocket { key } => {
                    if self.server == Some(key) {
                        self.server = None;
                    }
                }
                Output::Send {
                    key, to, packet, ..
                } => {
                    assert!((HEADER_LEN..=1140).contains(&packet.len()));
                    if to.port() == 123 {
                        self.remember(Request {
                            socket: key,
                            to,
                            packet,
                        });
                    }
                }
                Output::Resolve { ticket, .. } => {
                    let addresses = (10..14).map(|last| [192, 0, 2, last].into()).collect();
                    let answer = LookupAnswer::Addresses(addresses);
                    self.input(|engine, now, cx| engine.handle_resolved(now, ticket, answer, cx));
                }
                Output::ProbeRoutes { ticket, addresses } => {
                    let routes = addresses.iter().map(SocketAddr::is_ipv4).collect();
                    let outcome = Outcome::Routes(routes);
                    self.input(|engine, now, cx| {
                        engine.handle_completed(now, ticket, outcome, cx);
                    });
                }
                Output::WriteFiles { ticket, .. } => self.complete(ticket),
                Output::ReloadSources { ticket } => {
                    self.input(|engine, now, cx| engine.apply_sources(now, Vec::new(), cx));
                    self.complete(Some(ticket));
                }
                Output::Rekey { ticket } | Output::CycleLogs { ticket } => {
                    self.complete(Some(ticket));
                }
                Output::Log(event) => assert!(!event.text.is_empty()),
                Output::LogRecord { line, .. } => assert!(!line.contains('\n')),
                Output::ControlReply { bytes, .. } => self.reply = Some(bytes),
                Output::Ready => self.input(|engine, now, cx| engine.handle_ready(now, cx)),
                Output::SourcesStarted => {
                    let dumps = BTreeMap::new();
                    self.input(|engine, now, cx| engine.handle_sources_started(now, &dumps, cx));
                }
                Output::ReadDevice { id } => {
                    self.input(|engine, now, cx| engine.handle_device(now, id, None, cx));
                }
                Output::ReadLeapList => self.engine.handle_leap_list(None),
                Output::Sign { .. }
                | Output::ReadTemperature
                | Output::Mail { .. }
                | Output::Stepped { .. } => {}
                Output::Quit(_) => self.ended = true,
            }
        }
    }

    fn complete(&mut self, ticket: Option<timewright_core::ids::Ticket>) {
        if let Some(ticket) = ticket {
            self.input(|engine, now, cx| engine.handle_completed(now, ticket, Outcome::Done, cx));
        }
    }

    /// A reference clock was read, also one that would have sent by itself.
    pub(crate) fn read_device(&mut self, id: DeviceId, reading: Option<&DeviceReading>) {
        self.input(|engine, now, cx| engine.handle_device(now, id, reading, cx));
    }

    fn remember(&mut self, request: Request) {
        /// More is not asked for.
        const REMEMBERED: usize = 8;
        if self.requests.len() == REMEMBERED {
            self.requests.remove(0);
        }
        self.requests.push(request);
    }
}

/// A clock that goes as it is told, against a monotonic one that goes right.
#[derive(Default)]
struct FakeClock {
    mono_ns: i64,
    /// What the system clock shows beyond the monotonic one.
    ahead_s: f64,
    frequency_ppm: f64,
}

const MAX_FREQUENCY_PPM: f64 = 100_000.0;

impl FakeClock {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate"
    )]
    fn read(&self) -> Now {
        let ahead_ns = (self.ahead_s * NS) as i64;
        let raw_ns = START_NS
            .saturating_add(self.mono_ns)
            .saturating_add(ahead_ns);
        Now {
            mono: MonoTime::from_ns(self.mono_ns),
            raw: Timestamp::from_ns(raw_ns),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a day at most")]
    fn advance(&mut self, s: f64) {
        self.mono_ns += (s * NS) as i64 + 1;
        self.ahead_s -= s * self.frequency_ppm * 1e-6;
    }
}

impl Clock for FakeClock {
    fn now(&mut self) -> Timestamp<Raw> {
        self.advance(1e-7);
        self.read().raw
    }

    fn frequency_ppm(&mut self) -> f64 {
        self.frequency_ppm
    }

    fn set_frequency_ppm(&mut self, wanted: f64) -> f64 {
        assert!(wanted.is_finite(), "frequency {wanted}");
        self.frequency_ppm = wanted.clamp(-MAX_FREQUENCY_PPM, MAX_FREQUENCY_PPM);
        self.frequency_ppm
    }

    fn step(&mut self, offset: Seconds) -> Result<(), ClockError> {
        assert!(offset.0.is_finite(), "step {offset:?}");
        self.ahead_s -= offset.0;
        Ok(())
    }

    fn set_sync_status(&mut self, _synchronised: bool, est_error: Seconds, max_error: Seconds) {
        assert!(!est_error.0.is_nan() && !max_error.0.is_nan());
    }

    fn set_leap(&mut self, leap: i8, _tai_offset_s: i32) {
        assert!((-1..=1).contains(&leap));
    }

    fn limits(&self) -> ClockLimits {
        ClockLimits {
            max_frequency_ppm: MAX_FREQUENCY_PPM,
            driver_delay: Seconds::ZERO,
            can_leap: true,
            can_set: true,
        }
    }
}
