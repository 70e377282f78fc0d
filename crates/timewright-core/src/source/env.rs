//! What an association may see and do during one step.

use crate::event::Event;
use crate::ids::{SourceId, Tickets};
use crate::keys::KeyRing;
use crate::output::OutputQueue;
use crate::rng::{self, Rng};
use crate::source::{Sockets, SourceAddress, SourceConfig};
use crate::stats::{DelayTestData, PollQuestion, Sample};
use crate::timers::Timers;
use std::collections::VecDeque;
use timewright_time::{Cooked, FreqRatio, Now, NtpTimestamp, Raw, Seconds, Timestamp};
use timewright_wire::{Leap, fuzz};

/// The clock as sources see it.
pub trait CookedClock {
    /// Cooked time of a raw time, and how uncertain the correction in it is.
    fn cook(&self, raw: Timestamp<Raw>) -> (Timestamp<Cooked>, Seconds);

    /// Reads the clock now, for the transmit time of a packet.
    fn read(&mut self) -> (Timestamp<Cooked>, Seconds);
}

/// Questions to statistics and selection. An unknown source has no samples, is not selected and
/// not reachable.
pub trait SourceQueries {
    /// Offset expected at a time, positive when the local clock is *fast*; 0 without samples, the
    /// newest one's with fewer than 3.
    fn predict_offset(&self, id: SourceId, at: Timestamp<Cooked>) -> Seconds;
    /// Lower and upper bound of the frequency, within 2000 ppm.
    fn frequency_range(&self, id: SourceId) -> (FreqRatio, FreqRatio);
    /// `mindelay`, or the smallest delay measured, infinite (or very large) without samples.
    fn min_delay(&self, id: SourceId) -> Seconds;
    /// For tests B and C; `None` with fewer than 6 samples.
    fn delay_test_data(&self, id: SourceId, at: Timestamp<Cooked>) -> Option<DelayTestData>;
    /// How the newest sample moves the score of the poll interval.
    fn poll_score(&self, id: SourceId, question: &PollQuestion) -> f64;
    /// Asymmetry of the jitter, -0.5..=0.5.
    fn jitter_asymmetry(&self, id: SourceId) -> f64;
    /// Whether this is the source the clock follows.
    fn is_selected(&self, id: SourceId) -> bool;
    /// Whether any of the last 8 requests was answered.
    fn is_reachable(&self, id: SourceId) -> bool;
}

/// What a source wants from statistics and selection. The engine carries these out in order; each
/// may end in a selection, a reference update and a change of the clock.
#[derive(Clone, Debug, PartialEq)]
pub enum StatsAction {
    /// A source was added; it is not active yet. Unresolved sources are created as well.
    Create {
        /// Its address.
        address: SourceAddress,
        /// Its reference id.
        refid: u32,
        /// The configured name, if it is not the text of the address.
        name: String,
        /// Options: `select`, samples, `mindelay`, `asymmetry`, `maxunreach`.
        config: Box<SourceConfig>,
    },
    /// The source is gone.
    Destroy,
    /// The source has another address: set it with its reference id, and reset statistics and
    /// selection of the source.
    ChangeAddress {
        /// The new address.
        address: SourceAddress,
        /// Its reference id.
        refid: u32,
    },
    /// Whether the source is polled.
    SetActive(bool),
    /// Shift a bit into the reachability register.
    Reachability(bool),
    /// Clear the register, then shift in a 0.
    ResetReachability,
    /// `copy`: the source has this reference id now.
    SetRefid(u32),
    /// Reset statistics and selection of the source.
    Reset,
    /// Stratum and leap of a synchronised response.
    Status {
        /// Stratum of the source, 1..=16 (0 for a copied stratum 1).
        stratum: u8,
        /// Its leap indicator.
        leap: Leap,
    },
    /// Add to all stored offsets (positive when the local clock is fast).
    CorrectOffset(Seconds),
    /// A message that comes after those of the actions before it.
    Log(Event),
    /// Accumulate a sample, then select with this source as the updated one.
    Accumulate(Sample),
}

/// Our own reference data at the time of the wake-up.
#[derive(Clone, Copy, Debug)]
pub struct OurReference {
    /// Leap indicator as served.
    pub leap: Leap,
    /// Stratum, 16 if not synchronised.
    pub stratum: u8,
    /// Reference id.
    pub refid: u32,
    /// Time of the last update.
    pub reference_time: Timestamp<Cooked>,
    /// Root delay.
    pub root_delay: Seconds,
    /// Root dispersion at the time of the wake-up.
    pub root_dispersion: Seconds,
    /// Whether the reference is in its normal mode (not `initstepslew`, `-q`, `-Q`).
    pub normal_mode: bool,
    /// Offset of our monotonic scale (`ntp-engine.md` 1.6).
    pub mono_offset: Seconds,
    /// Name of our monotonic scale.
    pub mono_epoch: u32,
}

impl Default for OurReference {
    fn default() -> Self {
        Self {
            leap: Leap::Unsynchronised,
            stratum: 16,
            refid: 0,
            reference_time: Timestamp::ZERO,
            root_delay: Seconds(1.0),
            root_dispersion: Seconds(1.0),
            normal_mode: true,
            mono_offset: Seconds::ZERO,
            mono_epoch: 0,
        }
    }
}

/// Which responses go to `measurements.log`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MeasurementLog {
    /// None.
    #[default]
    Off,
    /// Those of synchronised sources that passed tests 1 to 7 (`log measurements`).
    Synchronised,
    /// All (`log rawmeasurements`).
    All,
}

/// Facts that hold for the whole run.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Precision of our clock.
    pub precision: Seconds,
    /// The same, log2 seconds.
    pub precision_log2: i8,
    /// `maxclockerror` as a ratio.
    pub max_clock_error: FreqRatio,
    /// First Unix second of the NTP era window.
    pub era_s: i64,
    /// `ptpport`; 0 is off.
    pub ptp_port: u16,
    /// Whether any interface has hardware time stamping enabled.
    pub hw_timestamping: bool,
    /// `hwtstimeout`: how long to wait for a hardware transmit time stamp.
    pub hw_timeout: Seconds,
    /// What to log.
    pub measurement_log: MeasurementLog,
    /// `refresh`: how often names of working sources are resolved again; 0 never.
    pub refresh: Seconds,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            precision: Seconds(1e-9),
            precision_log2: -30,
            max_clock_error: FreqRatio::from_ppm(1.0),
            era_s: 0,
            ptp_port: 0,
            hw_timestamping: false,
            hw_timeout: Seconds(0.001),
            measurement_log: MeasurementLog::Off,
            refresh: Seconds(1_209_600.0),
        }
    }
}

/// Everything one step may use; made anew for each call, so the times in it are those after all
/// changes of the clock so far.
pub struct Env<'a> {
    /// The wake-up.
    pub now: Now,
    /// Cooked time of the wake-up ("event time").
    pub event_time: Timestamp<Cooked>,
    /// Facts.
    pub params: &'a Params,
    /// Our reference data.
    pub reference: &'a OurReference,
    /// Symmetric keys.
    pub keys: &'a KeyRing,
    /// The clock.
    pub clock: &'a mut dyn CookedClock,
    /// Randomness.
    pub rng: &'a mut dyn Rng,
    /// Packets, messages.
    pub out: &'a mut OutputQueue,
    /// Deadlines.
    pub timers: &'a mut Timers,
    /// Names for work that ends later.
    pub tickets: &'a mut Tickets,
    /// NTP sockets.
    pub sockets: &'a mut Sockets,
    /// Statistics and selection, to ask.
    pub stats: &'a dyn SourceQueries,
    /// Statistics and selection, to tell.
    pub actions: &'a mut VecDeque<(SourceId, StatsAction)>,
}

impl Env<'_> {
    /// Queues an action.
    pub fn act(&mut self, id: SourceId, action: StatsAction) {
        self.actions.push_back((id, action));
    }

    /// A timestamp for a packet, with the bits below `2^precision` seconds random; the unknown
    /// time stays all zero.
    pub(crate) fn fuzzed(&mut self, time: Timestamp<Cooked>, precision: i8) -> NtpTimestamp {
        if time.is_zero() {
            return NtpTimestamp::ZERO;
        }
        let exact = NtpTimestamp::from_timestamp(time);
        NtpTimestamp(exact.0 ^ fuzz(rng::u64(self.rng), precision))
    }
}
