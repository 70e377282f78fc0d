//! One client or peer association: its variables, connectivity and timers (`ntp-engine.md` 3).

use crate::event::Event;
use crate::ids::{SocketKey, SourceId};
use crate::output::{Family, StampSource};
use crate::source::config::{POLL_MAX, POLL_MIN, clamp};
use crate::source::env::{Env, Params, StatsAction};
use crate::source::measure::{Exchange, Kind, LocalStamp};
use crate::source::poll::Poll;
use crate::source::report::NtpReport;
use crate::source::response::{Judged, Received};
use crate::source::transmit::{Sending, Undo};
use crate::source::{SourceAddress, SourceConfig};
use crate::stats::{FilterConfig, QuantileConfig, Quantiles, SampleFilter};
use crate::timers::{Class, Spread, Timer};
use std::net::SocketAddr;
use timewright_time::text::Fixed;
use timewright_time::{Cooked, Seconds, Timestamp, log2_to_seconds};

const INITIAL_DELAY: Seconds = Seconds(0.2);
/// Requests out of turn are spread over so long.
const URGENT_SPREAD: Seconds = Seconds(2.0);
const MIN_SEPARATION: Seconds = Seconds(0.002);
const MAX_SEPARATION: Seconds = Seconds(0.2);
const RANDOMNESS: f64 = 0.02;
/// Peers avoid sending at the same time: the one of lower stratum waits longer by this factor.
const PEER_ADJUSTMENT: f64 = 1.1;
/// Peers of equal stratum wait longer if the other's packet came this late in the interval.
const PEER_LATE: f64 = 0.6;
const BURST_INTERVAL: Seconds = Seconds(2.0);
const BURST_POLL_RATIO: f64 = 0.25;
const IBURST_GOOD: i32 = 4;
const IBURST_TOTAL: i32 = 8;
const PRESEND_WAIT: Seconds = Seconds(2.0);
/// Polls below a second are for sources nearer than this.
const MAX_SUBSECOND_DELAY: Seconds = Seconds(0.01);
/// Late transmit stamps differ from the daemon's by no more than this.
const MAX_TX_LATENESS: Seconds = Seconds(1.0);

/// Whether a source is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatingMode {
    /// Not polled.
    Offline,
    /// Polled.
    Online,
    /// In a burst, not polled afterwards.
    BurstWasOffline,
    /// In a burst, polled afterwards.
    BurstWasOnline,
}

impl OperatingMode {
    /// Whether the source is, or after the burst will be, polled.
    #[must_use]
    pub const fn is_online(self) -> bool {
        matches!(self, Self::Online | Self::BurstWasOnline)
    }
}

/// What [`Association::transmit_delay`] is asked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Transmission,
    Reception,
    Change,
}

/// Where an association stopped until the actions it queued are carried out.
#[derive(Debug)]
pub(crate) enum Step {
    /// Pass the sample of a response on.
    Judged(Box<Judged>),
    /// Finish a response.
    Sampled(Box<Judged>),
    /// Send a request.
    Transmit,
    /// Process a response that came while another one was saved.
    Packet(Box<Received>),
    /// Tell the filter of a missing sample, after a request without a response to the last one.
    Sent(Sending),
    /// Finish sending.
    SentSampled(Sending),
}

/// A change of an option at run time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tuning {
    /// `minpoll`; ignored out of range.
    MinPoll(i32),
    /// `maxpoll`; ignored out of range.
    MaxPoll(i32),
    /// `maxdelay`, seconds.
    MaxDelay(f64),
    /// `maxdelayratio`.
    MaxDelayRatio(f64),
    /// `maxdelaydevratio`.
    MaxDelayDevRatio(f64),
    /// `minstratum`.
    MinStratum(i32),
    /// `polltarget`.
    PollTarget(i32),
    /// `offset`, seconds.
    Offset(f64),
}

/// The quantile of the delay that replaces test C.
#[derive(Clone, Debug)]
pub(crate) struct DelayQuantile {
    pub(crate) estimator: Quantiles,
    k: u32,
    min_step: f64,
}

impl DelayQuantile {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0.05..=0.95 times 100"
    )]
    fn new(quantile: f64, precision: Seconds) -> Self {
        let k = (quantile * 100.0).round() as u32;
        let min_step = precision.0 / 2.0;
        let estimator = Quantiles::new(QuantileConfig {
            min_k: k,
            max_k: k,
            divisions: 100,
            repeat: 7,
            large_step_delay: 100,
            min_step,
        });
        Self {
            estimator,
            k,
            min_step,
        }
    }

    /// Whether a delay is not above the quantile.
    pub(crate) fn passes(&self, delay: Seconds) -> bool {
        let limit = self.estimator.quantile(self.k).unwrap_or(0.0);
        delay.0 <= limit + self.min_step / 2.0
    }
}

/// A client or peer association. Its variables have the names of `ntp-engine.md` 3.
#[derive(Debug)]
pub struct Association {
    pub(crate) id: SourceId,
    pub(crate) kind: Kind,
    pub(crate) address: SourceAddress,
    pub(crate) port: u16,
    pub(crate) config: SourceConfig,
    pub(crate) mode: OperatingMode,
    pub(crate) suspended: bool,
    pub(crate) poll: Poll,
    pub(crate) exchange: Exchange,
    pub(crate) presend_done: u32,
    pub(crate) burst_good: i32,
    pub(crate) burst_total: i32,
    pub(crate) filter: Option<SampleFilter>,
    pub(crate) filter_count: u32,
    pub(crate) quantile: Option<DelayQuantile>,
    pub(crate) socket: Option<SocketKey>,
    pub(crate) saved: Option<Box<Received>>,
    pub(crate) report: NtpReport,
    pub(crate) undo: Option<Undo>,
}

impl Association {
    /// A new association, offline and suspended; `config` must be
    /// [effective](SourceConfig::effective).
    pub(crate) fn new(
        id: SourceId,
        kind: Kind,
        address: SourceAddress,
        port: u16,
        config: SourceConfig,
        params: &Params,
    ) -> Self {
        let filter = (config.filter > 0).then(|| {
            let length = usize::try_from(config.filter).unwrap_or(usize::MAX);
            SampleFilter::new(FilterConfig::ntp(length), params.precision)
        });
        let quantile = (config.maxdelayquant > 0.0)
            .then(|| DelayQuantile::new(config.maxdelayquant, params.precision));
        Self {
            id,
            kind,
            address,
            port,
            mode: OperatingMode::Offline,
            suspended: true,
            poll: Poll::new(config.minpoll, config.maxpoll),
            config,
            exchange: Exchange::default(),
            presend_done: 0,
            burst_good: 0,
            burst_total: 0,
            filter,
            filter_count: 0,
            quantile,
            socket: None,
            saved: None,
            report: NtpReport::default(),
            undo: None,
        }
    }

    /// Opens what lasts and applies the configured connectivity, without a message.
    pub(crate) fn open(&mut self, env: &mut Env<'_>) {
        self.open_peer_socket(env);
        if !self.config.offline {
            self.go_online(env);
        }
    }

    /// Ends everything in flight; the association is about to be removed. Selection learns that it
    /// cannot be reached any more while it still counts as a source.
    pub(crate) fn close(&mut self, env: &mut Env<'_>) {
        if self.mode != OperatingMode::Offline {
            self.take_offline(env);
        }
        self.close_peer_socket(env);
    }

    /// Where packets go, if the address is known.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        self.address.ip().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> SourceAddress {
        self.address
    }

    /// The UDP port of the source.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether this is a symmetric association.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        self.kind == Kind::Peer
    }

    /// Whether responses have to be authenticated.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.config.auth.is_some()
    }

    /// The options in force.
    #[must_use]
    pub const fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// Whether the source is polled.
    #[must_use]
    pub const fn operating_mode(&self) -> OperatingMode {
        self.mode
    }

    /// Whether the source waits to be started.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Data of the last response, and counters.
    #[must_use]
    pub const fn report(&self) -> &NtpReport {
        &self.report
    }

    /// The poll interval, log2 seconds, as reported; `reachable` as selection knows it.
    #[must_use]
    pub fn transmit_poll(&self, reachable: bool) -> i32 {
        let (local, remote) = (self.poll.current, self.exchange.remote_poll);
        if self.kind == Kind::Peer && reachable && local > remote {
            remote.max(self.poll.min)
        } else {
            local
        }
    }

    /// Lets the timers run; a source in operation gets its first one.
    pub(crate) fn start(&mut self, env: &mut Env<'_>) {
        self.suspended = false;
        if self.mode != OperatingMode::Offline {
            self.start_initial_timeout(env);
        }
    }

    // ---- connectivity (3.1)

    /// Goes online or offline, with a message if that changes anything.
    pub(crate) fn set_online(&mut self, online: bool, env: &mut Env<'_>) {
        let was = self.mode.is_online();
        if online {
            self.go_online(env);
        } else {
            self.go_offline(env);
        }
        if was != self.mode.is_online() {
            let state = if online { "online" } else { "offline" };
            let event = Event::info(format_args!("Source {} {state}", self.address));
            env.act(self.id, StatsAction::Log(event));
        }
    }

    fn go_online(&mut self, env: &mut Env<'_>) {
        match self.mode {
            OperatingMode::Offline => {
                self.mode = OperatingMode::Online;
                self.reset();
                self.start_initial_timeout(env);
                if self.config.iburst {
                    self.start_burst(IBURST_GOOD, IBURST_TOTAL, env);
                }
            }
            OperatingMode::BurstWasOffline => self.mode = OperatingMode::BurstWasOnline,
            OperatingMode::Online | OperatingMode::BurstWasOnline => {}
        }
    }

    fn go_offline(&mut self, env: &mut Env<'_>) {
        match self.mode {
            OperatingMode::Online => self.take_offline(env),
            OperatingMode::BurstWasOnline => self.mode = OperatingMode::BurstWasOffline,
            OperatingMode::Offline | OperatingMode::BurstWasOffline => {}
        }
    }

    pub(crate) fn take_offline(&mut self, env: &mut Env<'_>) {
        self.mode = OperatingMode::Offline;
        env.timers.cancel(Timer::Transmit(self.id));
        env.act(self.id, StatsAction::ResetReachability);
        env.act(self.id, StatsAction::SetActive(false));
        self.close_client_socket(env);
        self.reset();
    }

    /// Starts a burst that ends after `good` good responses or `total` requests. Peers have none.
    pub(crate) fn start_burst(&mut self, good: i32, total: i32, env: &mut Env<'_>) {
        if self.kind == Kind::Peer {
            return;
        }
        self.mode = match self.mode {
            OperatingMode::Offline => OperatingMode::BurstWasOffline,
            OperatingMode::Online => OperatingMode::BurstWasOnline,
            OperatingMode::BurstWasOffline | OperatingMode::BurstWasOnline => return,
        };
        self.burst_good = good;
        self.burst_total = total;
        self.start_initial_timeout(env);
    }

    /// A burst is over.
    pub(crate) fn end_burst(&mut self, env: &mut Env<'_>) {
        match self.mode {
            OperatingMode::BurstWasOnline => self.mode = OperatingMode::Online,
            OperatingMode::BurstWasOffline => self.take_offline(env),
            OperatingMode::Online | OperatingMode::Offline => {}
        }
    }

    /// Forgets the exchanges, but when the last request left.
    pub(crate) fn reset(&mut self) {
        self.exchange.reset();
        self.presend_done = 0;
        self.filter_count = 0;
        if let Some(filter) = &mut self.filter {
            filter.clear();
        }
        if let Some(quantile) = &mut self.quantile {
            quantile.estimator.reset();
        }
    }

    /// Back to the shortest poll interval; if that is a change the next request is due one of it
    /// after the last, which was sent `elapsed` ago.
    fn reset_poll(&mut self, elapsed: Seconds, env: &mut Env<'_>) {
        if self.poll.reset() && env.timers.is_armed(Timer::Transmit(self.id)) {
            let delay = self.transmit_delay(After::Change, elapsed, env);
            self.arm_transmit(delay, env);
        }
    }

    // ---- timers (3.2, 3.3)

    fn start_initial_timeout(&mut self, env: &mut Env<'_>) {
        if !env.timers.is_armed(Timer::Transmit(self.id)) {
            // Also without an address yet: a one-shot run waits for its name.
            env.act(self.id, StatsAction::SetActive(true));
        }
        if self.suspended {
            return;
        }
        let delay = if self.exchange.local_tx.time.is_zero() {
            Seconds::ZERO
        } else {
            self.transmit_delay(After::Change, self.elapsed(env), env)
        };
        self.arm_transmit(delay.max(INITIAL_DELAY), env);
    }

    /// Brings the next request forward, to `after` from now and a little: with `burst`, as
    /// at the start, in a burst if the source has `iburst`.
    ///
    /// Machines that were stopped together go on together, so each adds a random time.
    pub(crate) fn poll_soon(&mut self, after: Seconds, burst: bool, env: &mut Env<'_>) {
        let timer = Timer::Transmit(self.id);
        if self.suspended || self.mode == OperatingMode::Offline || !env.timers.is_armed(timer) {
            return;
        }
        let delay = after + INITIAL_DELAY + URGENT_SPREAD * crate::rng::uniform(env.rng);
        // What is due before a round that has to wait stays so. What is due at once, perhaps for
        // having been overdue, is spread too.
        let due = env.timers.deadline(timer).map(|at| at - env.now.mono);
        let is_sooner = |due: Seconds| due > Seconds::ZERO && due <= delay;
        if after > Seconds::ZERO && due.is_some_and(is_sooner) {
            return;
        }
        if burst && self.config.iburst && self.mode == OperatingMode::Online {
            self.start_burst(IBURST_GOOD, IBURST_TOTAL, env);
        }
        self.arm_transmit(delay, env);
    }

    /// Time from the last request to the wake-up; 0 if there was none.
    pub(crate) fn elapsed(&self, env: &Env<'_>) -> Seconds {
        let sent = self.exchange.local_tx.time;
        if sent.is_zero() {
            Seconds::ZERO
        } else {
            env.event_time - sent
        }
    }

    /// How long to wait for the next request, `elapsed` after the last one.
    pub(crate) fn transmit_delay(&self, after: After, elapsed: Seconds, env: &Env<'_>) -> Seconds {
        let interval = log2_to_seconds(self.transmit_poll(env.stats.is_reachable(self.id)));
        let whole = match self.mode {
            OperatingMode::BurstWasOnline | OperatingMode::BurstWasOffline => {
                BURST_INTERVAL.min(interval * BURST_POLL_RATIO)
            }
            OperatingMode::Online | OperatingMode::Offline => match self.kind {
                Kind::Client if self.presend_done > 0 => PRESEND_WAIT,
                Kind::Client => interval,
                Kind::Peer => self.peer_interval(interval, after, elapsed, env),
            },
        };
        let rest = if elapsed > Seconds::ZERO {
            whole - elapsed
        } else {
            whole
        };
        rest.max(Seconds::ZERO)
    }

    fn peer_interval(
        &self,
        interval: Seconds,
        after: After,
        elapsed: Seconds,
        env: &Env<'_>,
    ) -> Seconds {
        let above = i32::from(self.exchange.remote_stratum) - i32::from(env.reference.stratum);
        let longer = (above > 0 && elapsed * PEER_ADJUSTMENT < interval)
            || (after == After::Reception && above == 0 && elapsed / interval > PEER_LATE);
        if longer {
            interval * PEER_ADJUSTMENT
        } else {
            interval
        }
    }

    /// Arms the timer of the next request; waiting for a response ends.
    pub(crate) fn arm_transmit(&self, delay: Seconds, env: &mut Env<'_>) {
        env.timers.cancel(Timer::Receive(self.id));
        let poll = self.transmit_poll(env.stats.is_reachable(self.id));
        let separation = log2_to_seconds(poll - 3)
            .max(MIN_SEPARATION)
            .min(MAX_SEPARATION);
        let class = match self.kind {
            Kind::Client => Class::Client,
            Kind::Peer => Class::Peer,
        };
        let spread = Spread {
            separation,
            randomness: RANDOMNESS,
        };
        let timer = Timer::Transmit(self.id);
        env.timers
            .arm_spread(timer, class, env.now.mono, delay, spread, env.rng);
    }

    /// Whether the poll interval may be below a second.
    pub(crate) fn may_poll_below_second(&self, env: &Env<'_>) -> bool {
        let near = |delay: Seconds| delay <= MAX_SUBSECOND_DELAY;
        let last = self.filter.as_ref().and_then(SampleFilter::last);
        env.stats.is_reachable(self.id)
            && (near(env.stats.min_delay(self.id)) || last.is_some_and(|s| near(s.peer_delay)))
    }

    pub(crate) fn adjust_poll(&mut self, by: f64, env: &Env<'_>) {
        let subsecond = self.may_poll_below_second(env);
        self.poll.adjust(by, subsecond);
    }

    // ---- sockets

    /// Ends the exchange: no response can come any more.
    pub(crate) fn close_client_socket(&mut self, env: &mut Env<'_>) {
        if self.kind == Kind::Client
            && let Some(key) = self.socket.take()
        {
            env.sockets.release_client(key, env.out);
        }
        env.timers.cancel(Timer::Receive(self.id));
        env.timers.cancel(Timer::SavedResponse(self.id));
        self.saved = None;
    }

    fn open_peer_socket(&mut self, env: &mut Env<'_>) {
        if self.kind == Kind::Peer
            && let Some(ip) = self.address.ip()
        {
            self.socket = env.sockets.acquire_server(Family::of(ip), env.out);
        }
    }

    fn close_peer_socket(&mut self, env: &mut Env<'_>) {
        if self.kind == Kind::Peer
            && self.socket.take().is_some()
            && let Some(ip) = self.address.ip()
        {
            env.sockets.release_server(Family::of(ip), env.out);
        }
    }

    // ---- changes from outside

    /// Another address for the source: everything known of the old one is forgotten, but the
    /// next request goes out when it was due.
    pub(crate) fn change_address(&mut self, address: SourceAddress, port: u16, env: &mut Env<'_>) {
        self.close_client_socket(env);
        self.close_peer_socket(env);
        self.reset();
        self.address = address;
        self.port = port;
        self.undo = None;
        self.report = NtpReport::default();
        self.open_peer_socket(env);
        // The poll interval of an unreachable source is kept, so that many of them do not load a
        // network that is down.
        if env.stats.is_reachable(self.id) {
            self.reset_poll(self.elapsed(env), env);
        }
        env.act(
            self.id,
            StatsAction::ChangeAddress {
                address,
                refid: address.refid(),
            },
        );
    }

    /// Follows a known change of the clock.
    pub(crate) fn adjust(&mut self, when: Timestamp<Cooked>, dfreq: f64, doffset: Seconds) {
        self.exchange.adjust(when, dfreq, doffset);
        if let Some(saved) = &mut self.saved {
            saved.rx.adjust(when, dfreq, doffset);
        }
        if let Some(filter) = &mut self.filter {
            filter.slew(when, timewright_time::FreqRatio(dfreq), doffset);
        }
    }

    /// Forgets everything by command.
    pub(crate) fn start_over(&mut self, env: &mut Env<'_>) {
        self.reset();
        self.reset_poll(self.elapsed(env), env);
    }

    /// The clock was stepped by somebody else: nothing known of the source holds any more, nor how
    /// long ago the last request was.
    pub(crate) fn forget(&mut self, env: &mut Env<'_>) {
        self.reset();
        self.reset_poll(Seconds::ZERO, env);
    }

    /// A transmit time stamp came for the packet with this receive and transmit field; true if a
    /// saved response waited for it.
    pub(crate) fn on_tx_stamp(
        &mut self,
        fields: (timewright_time::NtpTimestamp, timewright_time::NtpTimestamp),
        stamp: LocalStamp,
    ) -> bool {
        match stamp.source {
            StampSource::Daemon => {}
            StampSource::Kernel => self.report.kernel_tx += 1,
            StampSource::Hardware => self.report.hardware_tx += 1,
        }
        let x = &mut self.exchange;
        let late = stamp.time - x.local_tx.time;
        let ours = fields == (x.local_ntp_rx, x.local_ntp_tx);
        if x.local_tx.time.is_zero() || !ours || late < Seconds::ZERO || late > MAX_TX_LATENESS {
            return false;
        }
        x.local_tx = LocalStamp {
            rx_duration: Seconds::ZERO,
            net_correction: Seconds::ZERO,
            ..stamp
        };
        stamp.source == StampSource::Hardware && self.saved.is_some()
    }

    /// Changes an option; out of range polls are ignored.
    pub(crate) fn tune(&mut self, tuning: Tuning, env: &mut Env<'_>) {
        let address = self.address;
        let mut log = |text: std::fmt::Arguments<'_>| {
            env.out
                .log(Event::info(format_args!("Source {address} new {text}")));
        };
        match tuning {
            Tuning::MinPoll(poll) => {
                if (POLL_MIN..=POLL_MAX).contains(&poll) {
                    self.poll.min = poll;
                    log(format_args!("minpoll {poll}"));
                    if self.poll.max < poll {
                        self.poll.max = poll;
                        log(format_args!("maxpoll {poll}"));
                    }
                }
            }
            Tuning::MaxPoll(poll) => {
                if (POLL_MIN..=POLL_MAX).contains(&poll) {
                    self.poll.max = poll;
                    log(format_args!("maxpoll {poll}"));
                    if self.poll.min > poll {
                        self.poll.min = poll;
                        log(format_args!("minpoll {poll}"));
                    }
                }
            }
            Tuning::MaxDelay(delay) => {
                self.config.maxdelay = clamp(delay, 1e3);
                log(format_args!("maxdelay {}", Fixed(self.config.maxdelay, 6)));
            }
            Tuning::MaxDelayRatio(ratio) => {
                self.config.maxdelayratio = clamp(ratio, 1e6);
                log(format_args!(
                    "maxdelayratio {}",
                    Fixed(self.config.maxdelayratio, 6)
                ));
            }
            Tuning::MaxDelayDevRatio(ratio) => {
                self.config.maxdelaydevratio = clamp(ratio, 1e6);
                log(format_args!(
                    "maxdelaydevratio {}",
                    Fixed(self.config.maxdelaydevratio, 6)
                ));
            }
            Tuning::MinStratum(stratum) => {
                self.config.minstratum = stratum;
                log(format_args!("minstratum {stratum}"));
            }
            Tuning::PollTarget(target) => {
                self.config.polltarget = target.max(1);
                log(format_args!("polltarget {target}"));
            }
            Tuning::Offset(offset) => {
                self.config.offset = Seconds(offset);
                log(format_args!("offset {}", Fixed(offset, 6)));
            }
        }
        self.config.minpoll = self.poll.min;
        self.config.maxpoll = self.poll.max;
    }
}
