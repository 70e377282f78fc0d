//! From the timestamps of an exchange to a sample, and the tests a sample has to pass
//! (`ntp-engine.md` 5.3 and 5.4). Pure: numbers in, numbers out.

use crate::output::StampSource;
use crate::source::SourceConfig;
use crate::stats::{self, DelayTestData, Sample};
use timewright_time::{Cooked, FreqRatio, NtpTimestamp, Seconds, Timestamp, log2_to_seconds};
use timewright_wire::{Header, MonoRoot};

/// Largest root distance a packet may claim (test 7).
pub(crate) const MAX_ROOT_DISTANCE: Seconds = Seconds(16.0);
/// Longest time a server may take to answer (test A).
pub(crate) const MAX_RESPONSE_TIME: Seconds = Seconds(4.0);
/// Largest change of the distance between a server's monotonic and real time that is believed.
pub(crate) const MAX_MONO_DOFFSET: Seconds = Seconds(16.0);
/// In interleaved mode the previous exchange is preferred if it took less than this part of the
/// time since.
const INTERLEAVED_PREFERENCE: f64 = 0.1;
/// Assumed frequency error of clocks on the path.
const MAX_CORRECTION_FREQUENCY: f64 = 100e-6;

/// A local time of an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalStamp {
    /// When; zero if unknown.
    pub time: Timestamp<Cooked>,
    /// Uncertainty of the clock at that time.
    pub error: Seconds,
    /// Who made it.
    pub source: StampSource,
    /// Time the frame took to receive.
    pub rx_duration: Seconds,
    /// Correction by devices on the path, with `rx_duration`; 0 if unknown.
    pub net_correction: Seconds,
}

impl Default for LocalStamp {
    fn default() -> Self {
        Self {
            time: Timestamp::ZERO,
            error: Seconds::ZERO,
            source: StampSource::Daemon,
            rx_duration: Seconds::ZERO,
            net_correction: Seconds::ZERO,
        }
    }
}

impl LocalStamp {
    /// Follows a change of the clock; the unknown time stays unknown.
    pub(crate) fn adjust(&mut self, when: Timestamp<Cooked>, dfreq: f64, doffset: Seconds) {
        if !self.time.is_zero() {
            self.time = self.time.adjusted(when, dfreq, doffset.0).0;
        }
    }
}

/// What is remembered of the exchanges with the other side (names as in `ntp-engine.md` 3).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exchange {
    /// Poll of the last valid packet.
    pub(crate) remote_poll: i32,
    /// Its stratum; 16 if unsynchronised, 0 before the first.
    pub(crate) remote_stratum: u8,
    /// Its root delay.
    pub(crate) remote_root_delay: Seconds,
    /// Its root dispersion.
    pub(crate) remote_root_dispersion: Seconds,
    /// Requests since the last valid response.
    pub(crate) tx_count: u32,
    /// The latest request has been answered.
    pub(crate) valid_rx: bool,
    /// `remote_rx` and `remote_tx` are from a synchronised packet.
    pub(crate) valid_timestamps: bool,
    /// Receive and transmit field of the last valid response.
    pub(crate) remote_rx: NtpTimestamp,
    pub(crate) remote_tx: NtpTimestamp,
    /// When that came.
    pub(crate) local_rx: LocalStamp,
    /// When our latest request left.
    pub(crate) local_tx: LocalStamp,
    /// When the request before an interleaved (or bad) response left.
    pub(crate) prev_local_tx: LocalStamp,
    /// Receive and transmit field of our latest request.
    pub(crate) local_ntp_rx: NtpTimestamp,
    pub(crate) local_ntp_tx: NtpTimestamp,
    /// `local_poll` and `tx_count` at the last valid response.
    pub(crate) prev_local_poll: i32,
    pub(crate) prev_tx_count: u32,
    /// Peers: from packets that are no answer to ours, to find back to each other.
    pub(crate) init_remote_tx: NtpTimestamp,
    pub(crate) init_local_rx: LocalStamp,
    pub(crate) updated_init: bool,
    /// Monotonic receive time of the last valid response, its scale, and how far the remote clock
    /// was moved against that scale since the last sample.
    pub(crate) remote_mono_rx: NtpTimestamp,
    pub(crate) remote_mono_epoch: u32,
    pub(crate) mono_doffset: Seconds,
}

impl Exchange {
    /// The state after a reset: everything forgotten but when the last request left, which limits
    /// how soon the next may.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            local_tx: self.local_tx,
            ..Self::default()
        };
    }

    /// Follows a change of the clock.
    pub(crate) fn adjust(&mut self, when: Timestamp<Cooked>, dfreq: f64, doffset: Seconds) {
        for stamp in [
            &mut self.local_rx,
            &mut self.local_tx,
            &mut self.prev_local_tx,
            &mut self.init_local_rx,
        ] {
            stamp.adjust(when, dfreq, doffset);
        }
    }
}

/// The tests of a response; true is passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in every NTP document")]
#[expect(clippy::struct_excessive_bools, reason = "ten independent tests")]
pub struct Tests {
    pub t1: bool,
    pub t2: bool,
    pub t3: bool,
    pub t5: bool,
    pub t6: bool,
    pub t7: bool,
    pub a: bool,
    pub b: bool,
    pub c: bool,
    pub d: bool,
}

impl Tests {
    /// In the order of logs and reports: 1 2 3 5 6 7 A B C D.
    #[must_use]
    pub const fn in_order(self) -> [bool; 10] {
        let Self {
            t1,
            t2,
            t3,
            t5,
            t6,
            t7,
            a,
            b,
            c,
            d,
        } = self;
        [t1, t2, t3, t5, t6, t7, a, b, c, d]
    }

    /// As the low ten bits of a number, test D lowest.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.in_order()
            .into_iter()
            .fold(0, |bits, passed| bits << 1 | u16::from(passed))
    }

    /// A response to the latest request, and authentic.
    pub(crate) const fn valid(self) -> bool {
        self.t1 && self.t2 && self.t3 && self.t5
    }

    /// Valid, of a synchronised source.
    pub(crate) const fn synchronised(self) -> bool {
        self.valid() && self.t6 && self.t7
    }

    /// Fit to be used.
    pub(crate) const fn good(self) -> bool {
        self.synchronised() && self.a && self.b && self.c && self.d
    }
}

/// What a measurement is made of.
pub(crate) struct Inputs<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) header: &'a Header,
    /// Root values of the packet, in the better resolution if it has one.
    pub(crate) root_delay: Seconds,
    pub(crate) root_dispersion: Seconds,
    /// The mono/root field, if it was asked for.
    pub(crate) mono: Option<MonoRoot>,
    /// The network correction of the request, 0 if there is none.
    pub(crate) net_correction: Seconds,
    /// When the response came.
    pub(crate) rx: LocalStamp,
    pub(crate) interleaved: bool,
    /// Precision of our clock.
    pub(crate) precision: Seconds,
    /// Half width of the range of the frequency.
    pub(crate) skew: FreqRatio,
    /// The `offset` option.
    pub(crate) offset: Seconds,
    pub(crate) era_s: i64,
}

/// A sample with what else the tests and reports need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    pub(crate) sample: Sample,
    pub(crate) response_time: Seconds,
    pub(crate) precision: Seconds,
    /// The local times used.
    pub(crate) tx: LocalStamp,
    pub(crate) rx: LocalStamp,
    /// `tx` is that of the latest request.
    pub(crate) latest_tx: bool,
    /// How far the remote clock was moved since the last response.
    pub(crate) mono_doffset: Seconds,
}

/// Of the columns of the table in `ntp-engine.md` 5.3.
struct Stamps {
    remote_receive: Timestamp<Cooked>,
    remote_transmit: Timestamp<Cooked>,
    /// When the server received the request it now answers.
    remote_request: Timestamp<Cooked>,
    tx: LocalStamp,
    rx: LocalStamp,
    latest_tx: bool,
    root_delay: Seconds,
    root_dispersion: Seconds,
}

impl Inputs<'_> {
    /// The measurement of a synchronised response.
    pub(crate) fn measure(&self) -> Measurement {
        let mono_doffset = self.mono_doffset();
        let stamps = self.stamps(mono_doffset);
        let remote_interval = stamps.remote_transmit - stamps.remote_receive;
        let remote_average = stamps.remote_receive + remote_interval / 2.0;
        let local_interval = stamps.rx.time - stamps.tx.time;
        let local_average = stamps.tx.time + local_interval / 2.0;

        let precision = self.precision + log2_to_seconds(i32::from(self.header.precision));
        let peer_delay = (local_interval - remote_interval).abs().max(precision);
        let error = precision.max(stamps.tx.error).max(stamps.rx.error);
        let peer_dispersion = error + local_interval.abs() * self.skew;
        let mut sample = Sample {
            time: local_average,
            offset: (remote_average - local_average) + self.offset,
            peer_delay,
            peer_dispersion,
            root_delay: stamps.root_delay + peer_delay,
            root_dispersion: stamps.root_dispersion + peer_dispersion,
        };
        correct_for_network(&mut sample, &stamps.rx, &stamps.tx, precision);
        Measurement {
            sample,
            response_time: (stamps.remote_transmit - stamps.remote_request).abs(),
            precision,
            tx: stamps.tx,
            rx: stamps.rx,
            latest_tx: stamps.latest_tx,
            mono_doffset,
        }
    }

    /// How much less the remote clock advanced since the last response than its monotonic scale.
    fn mono_doffset(&self) -> Seconds {
        let x = self.exchange;
        let Some(mono) = self.mono else {
            return Seconds::ZERO;
        };
        if mono.epoch != x.remote_mono_epoch || mono.receive.is_zero() || x.remote_mono_rx.is_zero()
        {
            return Seconds::ZERO;
        }
        let doffset =
            mono.receive.difference(x.remote_mono_rx) - self.header.receive.difference(x.remote_rx);
        if doffset.abs() <= MAX_MONO_DOFFSET {
            doffset
        } else {
            Seconds::ZERO
        }
    }

    fn stamps(&self, mono_doffset: Seconds) -> Stamps {
        let x = self.exchange;
        let instant = |t: NtpTimestamp| t.to_timestamp(self.era_s);
        let receive = instant(self.header.receive);
        let transmit = instant(self.header.transmit);
        let latest_tx = LocalStamp {
            net_correction: self.net_correction,
            ..x.local_tx
        };
        if !self.interleaved {
            return Stamps {
                remote_receive: receive,
                remote_transmit: transmit,
                remote_request: receive,
                tx: latest_tx,
                rx: self.rx,
                latest_tx: true,
                root_delay: self.root_delay,
                root_dispersion: self.root_dispersion,
            };
        }
        let since = x.local_tx.time - x.local_rx.time;
        let took = x.local_rx.time - x.prev_local_tx.time;
        if !x.prev_local_tx.time.is_zero() && since * INTERLEAVED_PREFERENCE > took {
            let remote_receive = instant(x.remote_rx) - mono_doffset;
            Stamps {
                remote_receive,
                remote_transmit: transmit - mono_doffset,
                remote_request: remote_receive,
                tx: x.prev_local_tx,
                rx: x.local_rx,
                latest_tx: false,
                root_delay: x.remote_root_delay,
                root_dispersion: x.remote_root_dispersion,
            }
        } else {
            Stamps {
                remote_receive: receive,
                remote_transmit: transmit - mono_doffset,
                remote_request: instant(x.remote_rx),
                tx: latest_tx,
                rx: x.local_rx,
                latest_tx: true,
                root_delay: self.root_delay.max(x.remote_root_delay),
                root_dispersion: self.root_dispersion.max(x.remote_root_dispersion),
            }
        }
    }
}

/// Takes the known delays in devices on the path out of a sample. They are not authenticated, so
/// they may only explain delay that was measured.
fn correct_for_network(sample: &mut Sample, rx: &LocalStamp, tx: &LocalStamp, precision: Seconds) {
    if rx.net_correction <= rx.rx_duration || tx.net_correction <= Seconds::ZERO {
        return;
    }
    let rx_correction = rx.net_correction - rx.rx_duration;
    let tx_correction = tx.net_correction - rx.rx_duration;
    let low = (rx_correction + tx_correction) * (1.0 - MAX_CORRECTION_FREQUENCY);
    if low < Seconds::ZERO || low > sample.peer_delay {
        return;
    }
    sample.offset += (rx_correction - tx_correction) / 2.0;
    sample.peer_delay = (sample.peer_delay - low).max(precision);
}

/// Which side an association is, with what test A needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Peer,
}

/// Test A: the delay is within bounds and the timestamps make sense.
pub(crate) fn test_a(
    m: &Measurement,
    inputs: &Inputs<'_>,
    config: &SourceConfig,
    kind: Kind,
    presend_done: u32,
) -> bool {
    let delay_ok = (m.sample.peer_delay - m.sample.peer_dispersion).0 <= config.maxdelay
        && m.precision.0 <= config.maxdelay;
    let sane = stats::is_sane(m.sample.time, m.sample.offset, inputs.era_s);
    let order_ok = match kind {
        Kind::Client => {
            // The first interleaved response after a good basic one would use its timestamps
            // once more.
            let reused =
                inputs.interleaved && inputs.exchange.prev_local_tx.time.is_zero() && m.latest_tx;
            m.response_time <= MAX_RESPONSE_TIME && !reused
        }
        Kind::Peer => !inputs.interleaved || peer_order_ok(m, inputs),
    };
    delay_ok && presend_done == 0 && sane && order_ok
}

/// Whether an interleaved response of a peer belongs to the exchange it seems to.
fn peer_order_ok(m: &Measurement, inputs: &Inputs<'_>) -> bool {
    let x = inputs.exchange;
    let header = inputs.header;
    let period = log2_to_seconds(x.remote_poll.min(x.prev_local_poll));
    let remote_advance = header.transmit.difference(x.remote_tx) - m.mono_doffset;
    m.sample.peer_delay <= period * 0.5
        && header.receive.is_after(header.transmit)
        && !(x.remote_poll <= x.prev_local_poll && remote_advance > period * 1.5)
}

/// How much delays may have grown since the estimate of the statistics.
fn drift(data: &DelayTestData, max_clock_error: FreqRatio) -> Seconds {
    data.last_ago * (data.skew.0 + max_clock_error.0)
}

/// Test B: the delay is not too large a multiple of the smallest.
pub(crate) fn test_b(
    sample: &Sample,
    data: Option<&DelayTestData>,
    max_ratio: f64,
    max_clock_error: FreqRatio,
) -> bool {
    let Some(data) = data.filter(|_| max_ratio >= 1.0) else {
        return true;
    };
    sample.peer_delay <= data.min_delay * max_ratio + drift(data, max_clock_error)
}

/// Test C: the delay is not too far above the smallest for the jitter of the offset, unless the
/// offset is off by more than the delay can explain.
pub(crate) fn test_c(
    sample: &Sample,
    data: Option<&DelayTestData>,
    max_ratio: f64,
    max_clock_error: FreqRatio,
) -> bool {
    let Some(data) = data else {
        return true;
    };
    let allowed = data.std_dev * max_ratio + drift(data, max_clock_error);
    let increase = (sample.peer_delay - data.min_delay) / 2.0;
    // The prediction is positive when the clock is fast, the sample's offset when it is slow.
    let error = (sample.offset + data.predicted_offset).abs();
    increase <= allowed || error - increase > allowed
}
