//! One request in, at most one response out (`ntp-engine.md` 4.1, 4.2 and 7).
//!
//! ```text
//! parse -> access -> mode -> client record, rate limit -> authenticate -> interleaved? -> counters
//!       -> header from the snapshot -> extension fields -> seal
//! ```
//!
//! [`respond`] allocates nothing (but for the growth of the bounded tables), reads the clock once
//! or twice at the very end, and never answers with more bytes than it was asked with. All state
//! is in the [`Shard`], so every thread that serves has its own.

use crate::output::{Datagram, PacketStamp, StampSource, TxStamp};
use crate::rng::Rng;
use crate::server::access::AccessTable;
use crate::server::auth::{Authenticator, Claim, Kiss};
use crate::server::client_log::{ClientLog, ClientLogConfig, Service};
use crate::server::random::RandomPool;
use crate::server::rate_limit::Limit;
use crate::server::snapshot::{ServedReference, ServerSnapshot};
use crate::server::statistics::{Counters, ServerStatistics};
use crate::server::timestamps::TimestampMap;
use std::net::SocketAddr;
use timewright_time::{Cooked, Now, NtpShort28, NtpTimestamp, Raw, Seconds, Timestamp};
use timewright_wire::{
    AuthMode, FIELD_MONO_ROOT, FIELD_NET_CORRECTION, FIELD_NET_CORRECTION_10A, Header, Leap, Mode,
    MonoRoot, NetCorrection, Packet, PacketBuilder, refid,
};

/// The port of NTP; version 1 packets without a mode that come from it are not answered, as they
/// could be answers themselves.
const NTP_PORT: u16 = 123;
/// The only version with interleaved mode and extension fields.
const VERSION_4: u8 = 4;
/// Attempts to draw a time stamp that differs from the ones it must not equal.
const REDRAWS: u32 = 4;

/// Settings of the server that do not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerConfig {
    /// Client records and rate limits.
    pub client_log: ClientLogConfig,
    /// First Unix second of the era of NTP time in use.
    pub era_s: i64,
}

/// What the server keeps between requests.
#[derive(Debug)]
pub struct Shard {
    clients: ClientLog,
    timestamps: TimestampMap,
    counters: Counters,
    random: RandomPool,
    /// [`crate::server::snapshot::SlewCount::unknown_steps`] as last seen.
    unknown_steps: u32,
}

/// What rarely changes, apart from keys.
#[derive(Clone, Debug, Default)]
pub struct ServerTables {
    /// Who may ask.
    pub access: AccessTable,
    /// Whether NTP over PTP is in use (`ptpport`); without it there are no network corrections.
    pub ptp: bool,
}

/// What answering needs besides the shard.
pub struct ServeContext<'a> {
    /// State of clock and reference.
    pub snapshot: &'a ServerSnapshot,
    /// Access rules.
    pub tables: &'a ServerTables,
    /// Keys.
    pub auth: &'a mut dyn Authenticator,
    /// Time of the wake-up.
    pub now: Now,
    /// Reads the system clock.
    pub clock: &'a mut dyn FnMut() -> Timestamp<Raw>,
    /// Randomness, drawn from in bulk.
    pub rng: &'a mut dyn Rng,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Drop(DropReason),
    /// Send the first `len` bytes of the buffer to where the request came from, from where it was
    /// sent to.
    Reply {
        /// Length of the response.
        len: usize,
        /// Whether a transmit time stamp is wanted; it goes to [`Shard::late_transmit`].
        stamp: bool,
    },
    /// Have the first `len` bytes of the buffer signed by the MS-SNTP signing service.
    Sign {
        /// Length of the response.
        len: usize,
        /// Key id of the request.
        key_id: u32,
    },
}

/// Why a request gets no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It is no NTP packet.
    Malformed,
    /// The client may not ask.
    Denied,
    /// It is no request.
    Mode,
    /// The client asks too often.
    RateLimited,
    /// Its authentication is wrong.
    NotAuthentic,
    /// The response would be longer than the request, or could not be built.
    TooLong,
}

impl Shard {
    /// A server that has not been asked yet.
    #[must_use]
    pub fn new(config: &ServerConfig, rng: &mut dyn Rng) -> Self {
        let clients = ClientLog::new(&config.client_log, rng);
        Self {
            timestamps: TimestampMap::new(clients.records_max(), config.era_s),
            clients,
            counters: Counters::default(),
            random: RandomPool::default(),
            unknown_steps: 0,
        }
    }

    /// The client records, for reports.
    #[must_use]
    pub const fn clients(&self) -> &ClientLog {
        &self.clients
    }

    /// The client records, for reports that reset and for the services not handled here.
    pub const fn clients_mut(&mut self) -> &mut ClientLog {
        &mut self.clients
    }

    /// All counters since start.
    #[must_use]
    pub fn statistics(&self) -> ServerStatistics {
        ServerStatistics::new(self.clients.totals(), &self.counters, &self.timestamps)
    }

    /// Forgets saved times if the clock was stepped by an unknown amount since the last call.
    fn follow(&mut self, snapshot: &ServerSnapshot) {
        let steps = snapshot.slews.unknown_steps;
        if steps != self.unknown_steps {
            self.unknown_steps = steps;
            self.timestamps.clear();
        }
    }

    /// Takes the time stamp of a response that was sent (`ntp-engine.md` 7.5).
    pub fn late_transmit(&mut self, snapshot: &ServerSnapshot, stamp: &TxStamp<'_>) {
        let Some(header) = Header::read(stamp.bytes) else {
            return;
        };
        if !matches!(header.mode, Mode::Server | Mode::Passive) {
            return;
        }
        self.follow(snapshot);
        let mut tx = snapshot.cook(stamp.stamp.time);
        if let (Mode::Server, Some(smoothing)) = (header.mode, &snapshot.smoothing) {
            tx += smoothing.plan.value(tx).offset;
        }
        self.timestamps
            .improve(header.receive, tx, stamp.stamp.source, snapshot.slews);
    }
}

/// Handles a packet that came to a server socket from somebody who is no source of ours.
///
/// The response, if any, is written to the start of `reply`.
pub fn respond(
    shard: &mut Shard,
    cx: &mut ServeContext<'_>,
    request: &Datagram<'_>,
    reply: &mut [u8],
) -> Verdict {
    match admit(shard, cx, request) {
        Ok(admitted) => answer(shard, cx, &admitted, reply),
        Err(reason) => Verdict::Drop(reason),
    }
}

/// A request that is to be answered.
struct Admitted<'a> {
    packet: Packet<'a>,
    /// Mode of the response.
    mode: Mode,
    claim: Claim,
    kiss: Option<Kiss>,
    stamp: PacketStamp,
    received: Timestamp<Cooked>,
}

fn admit<'a>(
    shard: &mut Shard,
    cx: &mut ServeContext<'_>,
    request: &Datagram<'a>,
) -> Result<Admitted<'a>, DropReason> {
    let packet = Packet::parse(request.bytes).map_err(|_| DropReason::Malformed)?;
    if !cx.tables.access.is_allowed(request.remote.ip()) {
        return Err(DropReason::Denied);
    }
    let mode = reply_mode(&packet.header, request.remote).ok_or(DropReason::Mode)?;
    shard.random.ensure(cx.rng);
    shard.follow(cx.snapshot);
    let received = cx.snapshot.cook(request.stamp.time);
    let record = shard
        .clients
        .access(Service::Ntp, request.remote.ip(), received);
    let limit = record.map_or(Limit::Pass, |record| {
        shard
            .clients
            .limit_with(Service::Ntp, record, &mut shard.random)
    });
    if limit == Limit::Drop {
        return Err(DropReason::RateLimited);
    }
    let claim = match packet.auth {
        AuthMode::None => Claim::Genuine,
        AuthMode::MsSntpExtended => Claim::Refused,
        AuthMode::Symmetric | AuthMode::MsSntp | AuthMode::Nts => cx.auth.check(&packet),
    };
    let kiss = match (limit, claim) {
        (_, Claim::Refused) => return Err(DropReason::NotAuthentic),
        // Two reasons not to serve: there is no answer that says both.
        (Limit::KissOfDeath, Claim::Nak) => return Err(DropReason::NotAuthentic),
        (Limit::KissOfDeath, _) => Some(Kiss::Rate),
        (_, Claim::Nak) => Some(Kiss::NtsNak),
        _ => None,
    };
    Ok(Admitted {
        packet,
        mode,
        claim,
        kiss,
        stamp: request.stamp,
        received,
    })
}

/// The mode of the response to a request; `None` if it is no request.
fn reply_mode(header: &Header, remote: SocketAddr) -> Option<Mode> {
    match header.mode {
        Mode::Active => Some(Mode::Passive),
        Mode::Client => Some(Mode::Server),
        Mode::Undefined if header.version == 1 && remote.port() != NTP_PORT => Some(Mode::Server),
        _ => None,
    }
}

fn answer(
    shard: &mut Shard,
    cx: &mut ServeContext<'_>,
    admitted: &Admitted<'_>,
    reply: &mut [u8],
) -> Verdict {
    let Admitted {
        packet,
        claim,
        kiss,
        stamp,
        ..
    } = admitted;
    // Our receive times are odd and our transmit times even, so an odd originate time may be the
    // receive time of an earlier response, and this is how the client asks for its transmit time.
    let tracked = kiss.is_none()
        && shard.clients.is_active()
        && packet.header.version == VERSION_4
        && packet.header.originate.0 & 1 == 1
        && packet.header.receive != packet.header.transmit;
    let saved = if tracked {
        shard.timestamps.find(packet.header.originate)
    } else {
        None
    };
    if saved.is_some() {
        shard.timestamps.disable(packet.header.originate);
    }
    shard.counters.count(
        stamp.source,
        saved.map_or(StampSource::Daemon, |saved| saved.source),
        saved.is_some(),
        kiss.is_none()
            && *claim == Claim::Genuine
            && matches!(packet.auth, AuthMode::Symmetric | AuthMode::Nts),
    );

    let served = Served::new(cx, admitted);
    let previous = saved.and_then(|saved| saved.time);
    let header = reply_header(shard, cx, admitted, &served, previous);
    let Some(len) = build(shard, cx, admitted, &served, &header, reply) else {
        return Verdict::Drop(DropReason::TooLong);
    };
    if let (Claim::ToBeSigned, Some(mac)) = (claim, &packet.mac) {
        return Verdict::Sign {
            len,
            key_id: mac.key_id,
        };
    }
    if tracked {
        let sent = smoothed(cx.snapshot.cook((cx.clock)()), served.smoothing);
        shard
            .timestamps
            .save(header.receive, sent, StampSource::Daemon, cx.snapshot.slews);
    }
    Verdict::Reply {
        len,
        stamp: tracked,
    }
}

/// What is served with one response.
struct Served {
    reference: ServedReference,
    /// Offset of served time, if it is smoothed now.
    smoothing: Option<Seconds>,
}

impl Served {
    fn new(cx: &ServeContext<'_>, admitted: &Admitted<'_>) -> Self {
        let event = cx.snapshot.cook(cx.now.raw);
        let mut reference = cx.snapshot.reference_at(event, cx.now.mono);
        if admitted.mode != Mode::Server {
            return Self {
                reference,
                smoothing: None,
            };
        }
        reference.leap = cx.snapshot.smoothed_leap(reference.leap);
        let smoothing = cx.snapshot.smoothing_offset(event);
        if smoothing.is_some() && !admitted.received.is_zero() {
            reference.ref_id = refid::SMOOTHED;
            reference.ref_time = smoothed(reference.ref_time, smoothing);
        }
        Self {
            reference,
            smoothing,
        }
    }
}

/// The header of the response; the transmit time is read last. `previous` is when the response
/// before was sent, if that is to be told instead.
fn reply_header(
    shard: &mut Shard,
    cx: &mut ServeContext<'_>,
    admitted: &Admitted<'_>,
    served: &Served,
    previous: Option<Timestamp<Cooked>>,
) -> Header {
    let request = &admitted.packet.header;
    let snapshot = cx.snapshot;
    let mut header = served.reference.header();
    header.version = request.version;
    header.mode = admitted.mode;
    header.poll = request
        .poll
        .max(shard.clients.interval_min_log2(Service::Ntp));
    header.precision = snapshot.precision_log2;
    if let Some(kiss) = admitted.kiss {
        header.leap = Leap::Unsynchronised;
        header.stratum = 0;
        header.refid = kiss.ref_id();
    }
    header.originate = if previous.is_some() {
        request.receive
    } else {
        request.transmit
    };
    let received = NtpTimestamp::from_timestamp(smoothed(admitted.received, served.smoothing));
    header.receive = distinct(header.originate, || {
        let bits = shard.random.fuzz(snapshot.precision_log2);
        NtpTimestamp((received.0 ^ bits) | 1)
    });
    header.transmit = distinct(header.originate, || {
        let sent =
            previous.unwrap_or_else(|| smoothed(snapshot.cook((cx.clock)()), served.smoothing));
        let bits = shard.random.fuzz(snapshot.precision_log2);
        NtpTimestamp((NtpTimestamp::from_timestamp(sent).0 ^ bits) & !1)
    });
    header
}

fn smoothed(time: Timestamp<Cooked>, offset: Option<Seconds>) -> Timestamp<Cooked> {
    match offset {
        Some(offset) if !time.is_zero() => time + offset,
        _ => time,
    }
}

/// Draws until the result differs from `other`. Precision is 2^-30 s or worse, so at least one
/// bit is random; should the generator be stuck the lowest free bit decides.
fn distinct(other: NtpTimestamp, mut draw: impl FnMut() -> NtpTimestamp) -> NtpTimestamp {
    let mut drawn = draw();
    for _ in 0..REDRAWS {
        if drawn != other {
            return drawn;
        }
        drawn = draw();
    }
    if drawn == other {
        NtpTimestamp(drawn.0 ^ 2)
    } else {
        drawn
    }
}

/// Writes the response; `None` if it does not fit or would be longer than the request.
fn build(
    shard: &mut Shard,
    cx: &mut ServeContext<'_>,
    admitted: &Admitted<'_>,
    served: &Served,
    header: &Header,
    reply: &mut [u8],
) -> Option<usize> {
    let packet = &admitted.packet;
    let mut builder = PacketBuilder::new(reply, header).ok()?;
    if packet.net_correction_10a.is_some() && cx.tables.ptp {
        let body = net_correction(&admitted.stamp).to_body_10a();
        builder.add_field(FIELD_NET_CORRECTION_10A, &body).ok()?;
    }
    if packet.mono_root.is_some() {
        let body = mono_root(shard, cx, admitted.received, served).to_body();
        builder.add_field(FIELD_MONO_ROOT, &body).ok()?;
    }
    if packet.net_correction.is_some() && cx.tables.ptp {
        let body = net_correction(&admitted.stamp).to_body();
        builder.add_field(FIELD_NET_CORRECTION, &body).ok()?;
    }
    if packet.auth != AuthMode::None && admitted.claim != Claim::ToBeSigned {
        cx.auth.seal(packet, admitted.kiss, &mut builder).ok()?;
    }
    let len = builder.finish().len();
    (len <= packet.len()).then_some(len)
}

/// The experimental field that tells the root values more finely and a receive time our own
/// corrections do not move.
fn mono_root(
    shard: &mut Shard,
    cx: &ServeContext<'_>,
    received: Timestamp<Cooked>,
    served: &Served,
) -> MonoRoot {
    let snapshot = cx.snapshot;
    let receive = match served.smoothing {
        Some(_) => NtpTimestamp::ZERO,
        None => {
            let bits = shard.random.fuzz(snapshot.precision_log2);
            let time = NtpTimestamp::from_timestamp(received + snapshot.mono.offset);
            NtpTimestamp(time.0 ^ bits)
        }
    };
    MonoRoot {
        root_delay: NtpShort28::from_seconds(served.reference.root_delay),
        root_dispersion: NtpShort28::from_seconds(served.reference.root_dispersion),
        receive,
        epoch: snapshot.mono.epoch,
    }
}

/// The correction network devices made to the request, if they made any.
fn net_correction(stamp: &PacketStamp) -> NetCorrection {
    if stamp.net_correction > stamp.rx_duration {
        NetCorrection::from_seconds(stamp.net_correction)
    } else {
        NetCorrection::default()
    }
}

#[cfg(test)]
mod tests;
