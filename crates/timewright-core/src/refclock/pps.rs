//! Pulses: they say when a second begins, but not which (`discipline.md` 13.4).
//!
//! The second comes from the last sample of another clock the pulses are locked to, or else from
//! our own clock, which then has to be within half a pulse of the truth.

use super::driver_sample::Candidate;
use super::{Refclock, RefclockAction, RefclockEvent, Refclocks, Surroundings};
use crate::hwclock::Quality;
use crate::stats::{Sample, is_sane};
use timewright_time::{Cooked, Raw, Seconds, Timestamp};
use timewright_wire::Leap;

/// A pulse in cooked time.
pub(super) struct Pulse {
    pub(super) time: Timestamp<Cooked>,
    /// How far behind a full second it was.
    pub(super) second: Seconds,
    /// Uncertainty of `time`.
    pub(super) dispersion: Seconds,
    /// Difference to the time the device or the kernel told, for the log.
    pub(super) raw_correction: Seconds,
    pub(super) quality: Quality,
}

/// What the second of a pulse is taken from.
struct Lock {
    sample: Sample,
    /// Uncertainty of the sample.
    dispersion: Seconds,
    leap: Leap,
}

/// Errors up to this part of the time between pulses leave no doubt about the second.
const LOCK_MARGIN: f64 = 0.4;

impl Refclocks {
    pub(super) fn pulse(
        &mut self,
        index: usize,
        time: Timestamp<Raw>,
        second: Seconds,
        quality: Quality,
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        let (correction, error) = around.correction(time);
        if !is_sane(time, Seconds::ZERO, around.era_s()) {
            return;
        }
        let pulse = Pulse {
            time: time.cook(correction),
            second: second + correction,
            dispersion: error,
            raw_correction: correction,
            quality,
        };
        self.cooked_pulse(index, &pulse, around, out);
    }

    pub(super) fn cooked_pulse(
        &mut self,
        index: usize,
        pulse: &Pulse,
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        let Some(clock) = self.clocks.get(index) else {
            return;
        };
        if !is_sane(pulse.time, pulse.second, around.era_s())
            || !clock.is_recent(pulse.time, around.now())
        {
            return;
        }
        let offset = nearest_pulse(clock.setup.offset - pulse.second, clock.setup.rate);
        let dispersion = pulse.dispersion + clock.setup.precision;
        let lock = match clock.setup.lock {
            Some(_) => match self.lock(index, pulse.time, offset) {
                Some(lock) => Some(lock),
                None => return,
            },
            None => None,
        };
        let Some(clock) = self.clocks.get_mut(index) else {
            return;
        };
        let placed = match lock {
            Some(lock) => clock.place_locked(&lock, pulse.time, offset, dispersion, out),
            None => clock.place_unlocked(pulse.time, offset, around),
        };
        let Some((offset, leap)) = placed else {
            return;
        };
        let candidate = Candidate {
            time: pulse.time,
            offset,
            raw_offset: offset + pulse.raw_correction - clock.setup.offset,
            dispersion,
            pulse: true,
            quality: pulse.quality,
        };
        let leap_before = std::mem::replace(&mut clock.leap, leap);
        if !clock.store(&candidate, out) {
            clock.leap = leap_before;
        }
    }

    /// The sample a pulse of the clock at `index` is locked to; a `local` clock begins with the
    /// pulse itself.
    fn lock(&self, index: usize, time: Timestamp<Cooked>, offset: Seconds) -> Option<Lock> {
        let clock = self.clocks.get(index)?;
        let other = self.clocks.get(clock.setup.lock?)?;
        let itself = clock.setup.local.then_some(Sample {
            time,
            offset,
            ..Sample::default()
        });
        let sample = other.filter.last().copied().or(itself)?;
        Some(Lock {
            sample,
            dispersion: sample.root_dispersion + other.filter.average_dispersion(),
            leap: other.leap,
        })
    }
}

impl Refclock {
    /// The offset of a pulse next to that of the sample it is locked to.
    fn place_locked(
        &mut self,
        lock: &Lock,
        time: Timestamp<Cooked>,
        offset: Seconds,
        dispersion: Seconds,
        out: &mut Vec<RefclockAction>,
    ) -> Option<(Seconds, Leap)> {
        let period = self.period();
        let apart = (time - lock.sample.time).abs();
        if apart.0 >= f64::from(self.setup.max_lockage) * period {
            if self.setup.local {
                out.push(RefclockAction::Log(RefclockEvent::LostLock));
                self.filter.clear();
                out.push(RefclockAction::Reset(self.setup.source));
            }
            return None;
        }
        let rate = f64::from(self.setup.rate);
        let shift = ((lock.sample.offset - offset).0 * rate).round() / rate;
        let offset = offset + Seconds(shift);
        let apart = lock.sample.offset - offset;
        let distance = apart.abs() + lock.dispersion + dispersion;
        if distance.0 > LOCK_MARGIN * period || !self.is_right_edge(apart, Seconds::ZERO) {
            return None;
        }
        Some((offset, lock.leap))
    }

    /// The offset of a pulse next to our own clock, if that is near enough to the truth.
    fn place_unlocked(
        &mut self,
        time: Timestamp<Cooked>,
        offset: Seconds,
        around: &dyn Surroundings,
    ) -> Option<(Seconds, Leap)> {
        let ours = around.reference(time);
        let distance = ours.root_delay.abs() / 2.0 + ours.root_dispersion;
        if ours.leap == Leap::Unsynchronised || distance.0 >= 0.5 * self.period() {
            self.filter.clear();
            return None;
        }
        self.is_right_edge(offset, distance)
            .then_some((offset, ours.leap))
    }

    /// Seconds between pulses.
    fn period(&self) -> f64 {
        1.0 / f64::from(self.setup.rate)
    }

    /// With a known width of the pulses: whether this was their first edge.
    fn is_right_edge(&self, apart: Seconds, distance: Seconds) -> bool {
        let width = self.setup.width.0;
        if width <= 0.0 {
            return true;
        }
        let limit = 0.5 * width.min(self.period() - width);
        apart.0.abs() <= limit && distance.0 <= limit
    }
}

/// The offset reduced to at most half the time between pulses in either direction.
fn nearest_pulse(offset: Seconds, rate: u32) -> Seconds {
    let rate = f64::from(rate);
    let mut offset = offset.0 - (offset.0 * rate).trunc() / rate;
    if offset < -0.5 / rate {
        offset += 1.0 / rate;
    } else if offset >= 0.5 / rate {
        offset -= 1.0 / rate;
    }
    Seconds(offset)
}
