//! What the server has to know about the clock and its reference, as plain data.
//!
//! The engine makes a [`ServerSnapshot`] whenever one of its parts changes; whoever answers
//! requests needs nothing else, so the answering can run anywhere (`design.md` 6 and 9). The
//! reference parameters at any time follow from it by [`ServerSnapshot::reference_at`]
//! (`discipline.md` 8.6, 8.9).

use crate::discipline::smooth::SmoothPlan;
use crate::discipline::{ChangeKind, ClockChange, CookLine};
use crate::rng::{self, Rng};
use timewright_time::{
    Cooked, FreqRatio, MonoTime, NtpShort, NtpTimestamp, Raw, Seconds, Timestamp,
};
use timewright_wire::{Header, Leap, refid};

/// Everything a reply tells about our clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerSnapshot {
    /// From raw to cooked time.
    pub clock: CookLine,
    /// What the clock is synchronised to.
    pub reference: ReferenceState,
    /// The local reference, if `local` is enabled.
    pub local: Option<LocalReference>,
    /// Smoothing of served time, if `smoothtime` is enabled.
    pub smoothing: Option<ServedSmoothing>,
    /// Precision of the clock, log2 of seconds, -30..=0.
    pub precision_log2: i8,
    /// Smallest step of the clock; smaller smoothing offsets are not applied.
    pub quantum: Seconds,
    /// The monotonic scale of the experimental field.
    pub mono: MonoScale,
    /// Slews and steps so far.
    pub slews: SlewCount,
}

/// Smoothing of served time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServedSmoothing {
    /// The plan in force; a default one while smoothing is locked.
    pub plan: SmoothPlan,
    /// Announced leap seconds are not passed on, as clients see them smoothed
    /// (`leapsecmode slew`).
    pub hides_leap: bool,
}

/// State of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReferenceState {
    /// The clock follows a source.
    Synchronised {
        /// Leap status to serve: [`Leap::Unsynchronised`] while a leap second is in progress.
        leap: Leap,
        /// Our stratum.
        stratum: u8,
        /// The source's reference id.
        ref_id: u32,
        /// Time of the last update; zero if unknown.
        ref_time: Timestamp<Cooked>,
        /// Delay to the primary source.
        root_delay: Seconds,
        /// Dispersion to the primary source at `ref_time`.
        root_dispersion: Seconds,
        /// How fast it grows: skew, residual frequency and `maxclockerror` together.
        dispersion_rate: FreqRatio,
    },
    /// It does not.
    Unsynchronised {
        /// Since when.
        since: MonoTime,
    },
}

/// The `local` directive with its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalReference {
    /// Stratum to serve, 1..=15.
    pub stratum: u8,
    /// Root distance of a synchronised clock above which the local reference is preferred.
    pub distance: Seconds,
    /// The root distance that once has to be reached; zero: none.
    pub activate: Seconds,
    /// Whether it was reached before; see [`ReferenceState::activates`].
    pub activated: bool,
    /// Time since the last update before a synchronised clock may fall back to it.
    pub wait_synced: Seconds,
    /// Time without synchronisation before it is used.
    pub wait_unsynced: Seconds,
    /// Reference time to serve now. It is renewed every 64 s with a random fraction, which is
    /// state of the reference; in a snapshot older than that it moves on by whole periods.
    pub ref_time: Timestamp<Cooked>,
}

/// Served ages of the local reference time, s.
const LOCAL_AGE_MIN_S: f64 = 1.0;
const LOCAL_AGE_MAX_S: f64 = 64.0;

/// Root delay and dispersion of an unsynchronised clock.
const ROOT_UNSYNCHRONISED: Seconds = Seconds(1.0);
/// Stratum of an unsynchronised clock; sent as zero.
pub const STRATUM_UNSYNCHRONISED: u8 = 16;

/// The reference parameters at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServedReference {
    /// Whether they are those of a source; not with the local reference.
    pub synchronised: bool,
    /// Leap status.
    pub leap: Leap,
    /// 1..=16.
    pub stratum: u8,
    /// Reference id.
    pub ref_id: u32,
    /// Reference time; zero if unsynchronised.
    pub ref_time: Timestamp<Cooked>,
    /// Delay to the primary source.
    pub root_delay: Seconds,
    /// Dispersion to the primary source.
    pub root_dispersion: Seconds,
}

impl ServedReference {
    /// The part of a header that describes the reference: leap status, stratum, root values,
    /// reference id and time. The rest is zero.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            leap: self.leap,
            stratum: if self.stratum >= STRATUM_UNSYNCHRONISED {
                0
            } else {
                self.stratum
            },
            root_delay: NtpShort::from_seconds(self.root_delay),
            root_dispersion: NtpShort::from_seconds(self.root_dispersion),
            refid: self.ref_id,
            reference: NtpTimestamp::from_timestamp(self.ref_time),
            ..Header::default()
        }
    }
}

impl ReferenceState {
    /// What holds at one moment, given on both scales: the source or, when that is lost or too
    /// far, the enabled local reference (`discipline.md` 8.9).
    #[must_use]
    pub fn at(
        &self,
        local: Option<&LocalReference>,
        at: Timestamp<Cooked>,
        mono: MonoTime,
    ) -> ServedReference {
        let local = local.filter(|local| self.lets_serve(local, at, mono));
        let dispersion = self.root_dispersion(at);
        match (*self, local) {
            (
                Self::Synchronised {
                    leap,
                    stratum,
                    ref_id,
                    ref_time,
                    root_delay,
                    ..
                },
                local,
            ) if local.is_none_or(|local| root_delay * 0.5 + dispersion <= local.distance) => {
                ServedReference {
                    synchronised: true,
                    leap,
                    stratum,
                    ref_id,
                    ref_time,
                    root_delay,
                    root_dispersion: dispersion,
                }
            }
            (_, Some(local)) => ServedReference {
                synchronised: false,
                leap: Leap::Normal,
                stratum: local.stratum,
                ref_id: refid::LOCAL,
                ref_time: local.ref_time_at(at),
                root_delay: Seconds::ZERO,
                root_dispersion: Seconds::ZERO,
            },
            (_, None) => ServedReference {
                synchronised: false,
                leap: Leap::Unsynchronised,
                stratum: STRATUM_UNSYNCHRONISED,
                ref_id: refid::UNSYNCHRONISED,
                ref_time: Timestamp::ZERO,
                root_delay: ROOT_UNSYNCHRONISED,
                root_dispersion: ROOT_UNSYNCHRONISED,
            },
        }
    }

    /// Whether a local reference is activated at `at`: then [`LocalReference::activated`] is to be
    /// set for good.
    #[must_use]
    pub fn activates(&self, activate: Seconds, at: Timestamp<Cooked>) -> bool {
        let unconditional = activate == Seconds::ZERO;
        let reached = match self {
            Self::Synchronised { root_delay, .. } => {
                *root_delay * 0.5 + self.root_dispersion(at) < activate
            }
            Self::Unsynchronised { .. } => false,
        };
        unconditional || reached
    }

    /// Whether a local reference is activated and was waited for.
    fn lets_serve(&self, local: &LocalReference, at: Timestamp<Cooked>, mono: MonoTime) -> bool {
        let waited = match *self {
            Self::Synchronised { ref_time, .. } => at - ref_time >= local.wait_synced,
            Self::Unsynchronised { since } => mono - since >= local.wait_unsynced,
        };
        waited && (local.activated || self.activates(local.activate, at))
    }

    /// Root dispersion at `at`; zero without synchronisation, 1 s if the reference time is unknown.
    fn root_dispersion(&self, at: Timestamp<Cooked>) -> Seconds {
        match *self {
            Self::Synchronised { ref_time, .. } if ref_time.is_zero() => ROOT_UNSYNCHRONISED,
            Self::Synchronised {
                ref_time,
                root_dispersion,
                dispersion_rate,
                ..
            } => root_dispersion + (at - ref_time).abs() * dispersion_rate,
            Self::Unsynchronised { .. } => Seconds::ZERO,
        }
    }
}

impl ServerSnapshot {
    /// Cooked time of a raw one.
    #[must_use]
    pub fn cook(&self, raw: Timestamp<Raw>) -> Timestamp<Cooked> {
        self.clock.cook(raw).0
    }

    /// The reference parameters at one moment, given on both scales.
    #[must_use]
    pub fn reference_at(&self, at: Timestamp<Cooked>, mono: MonoTime) -> ServedReference {
        self.reference.at(self.local.as_ref(), at, mono)
    }

    /// The leap status to serve where smoothing applies (server and broadcast mode).
    #[must_use]
    pub fn smoothed_leap(&self, leap: Leap) -> Leap {
        match (leap, &self.smoothing) {
            (Leap::Insert | Leap::Delete, Some(smoothing)) if smoothing.hides_leap => Leap::Normal,
            _ => leap,
        }
    }

    /// Smoothing offset at `at`, if it is applied: enabled and more than the clock can resolve.
    #[must_use]
    pub fn smoothing_offset(&self, at: Timestamp<Cooked>) -> Option<Seconds> {
        let offset = self.smoothing?.plan.value(at).offset;
        (offset.abs() > self.quantum).then_some(offset)
    }
}

impl LocalReference {
    /// The reference time to serve at `at`: 1 to 64 s before it.
    fn ref_time_at(&self, at: Timestamp<Cooked>) -> Timestamp<Cooked> {
        let period = LOCAL_AGE_MAX_S - LOCAL_AGE_MIN_S;
        let age = (at - self.ref_time).0;
        if age > LOCAL_AGE_MAX_S {
            self.ref_time + Seconds(((age - LOCAL_AGE_MAX_S) / period).ceil() * period)
        } else if age < LOCAL_AGE_MIN_S {
            self.ref_time - Seconds(((LOCAL_AGE_MIN_S - age) / period).ceil() * period)
        } else {
            self.ref_time
        }
    }
}

/// A scale that our own corrections do not move: receive time plus `offset` is continuous
/// (`ntp-engine.md` 1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MonoScale {
    /// Sum of all offsets slewed out since the epoch began.
    pub offset: Seconds,
    /// Random name of the scale, new after every step.
    pub epoch: u32,
}

impl MonoScale {
    /// A new scale.
    #[must_use]
    pub fn new(rng: &mut dyn Rng) -> Self {
        Self {
            offset: Seconds::ZERO,
            epoch: rng::u32(rng),
        }
    }

    /// Takes a change of the clock into account.
    pub fn on_clock_change(&mut self, change: &ClockChange, rng: &mut dyn Rng) {
        match change.kind {
            ChangeKind::Adjust => self.offset += change.doffset,
            ChangeKind::Step | ChangeKind::UnknownStep => *self = Self::new(rng),
        }
    }
}

/// Counts what moved the clock, so that saved transmit times are corrected or forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SlewCount {
    /// Changes of the clock so far, modulo 2^16.
    pub epoch: u16,
    /// Offset of the last one; positive: our time was moved back.
    pub last_offset: Seconds,
    /// Steps of unknown size so far, modulo 2^32; saved times from before are useless.
    pub unknown_steps: u32,
}

impl SlewCount {
    /// Takes a change of the clock into account.
    pub fn on_clock_change(&mut self, change: &ClockChange) {
        self.epoch = self.epoch.wrapping_add(1);
        self.last_offset = change.doffset;
        if change.kind == ChangeKind::UnknownStep {
            self.unknown_steps = self.unknown_steps.wrapping_add(1);
        }
    }

    /// A transmit time as if the last change had not been, if exactly that one came after `epoch`.
    #[must_use]
    pub fn undone(&self, tx: Timestamp<Cooked>, epoch: u16) -> Timestamp<Cooked> {
        if epoch.wrapping_add(1) == self.epoch {
            tx + self.last_offset
        } else {
            tx
        }
    }
}

#[cfg(test)]
mod tests;
