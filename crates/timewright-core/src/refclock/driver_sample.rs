//! What a device says, and what becomes of it: full samples, hardware clocks (`discipline.md`
//! 13.3, 13.7), and the one place where samples are stored.

use super::{Refclock, RefclockAction, RefclockRecord, Refclocks, Surroundings};
use crate::hwclock::{Device, HwEstimate, HwReading, Quality};
use crate::stats::{Sample, is_sane};
use timewright_time::{Cooked, Raw, Seconds, Timestamp};
use timewright_wire::Leap;

/// What a driver learnt from its device.
#[derive(Clone, Debug, PartialEq)]
pub enum DeviceReading {
    /// A complete time.
    Sample {
        /// The system clock when the device showed `reference`.
        system: Timestamp<Raw>,
        /// The time the device told.
        reference: Timestamp<Device>,
        /// Leap status: 0 normal, 1 insert, 2 delete; anything else makes the sample unusable.
        leap: i32,
    },
    /// A pulse.
    Pulse {
        /// The system clock at the pulse.
        time: Timestamp<Raw>,
        /// How far behind a full second the system clock says the pulse was; whole seconds do
        /// not matter.
        second: Seconds,
    },
    /// Readings of a hardware clock, at most [`READINGS_MAX`](crate::hwclock::READINGS_MAX).
    Hardware(Vec<HwReading>),
    /// A pulse that was timed by the hardware clock.
    Edge(Timestamp<Device>),
}

impl DeviceReading {
    /// A pulse that marks a full second.
    #[must_use]
    pub fn pulse(time: Timestamp<Raw>) -> Self {
        Self::Pulse {
            time,
            second: subsecond(time),
        }
    }
}

/// A sample that passed all checks of its kind.
pub(super) struct Candidate {
    pub(super) time: Timestamp<Cooked>,
    pub(super) offset: Seconds,
    /// Offset as the device told it, for the log.
    pub(super) raw_offset: Seconds,
    pub(super) dispersion: Seconds,
    pub(super) pulse: bool,
    pub(super) quality: Quality,
}

/// A time of the system clock for which a device told its own.
#[derive(Clone, Copy)]
struct Pair {
    system: Timestamp<Raw>,
    reference: Timestamp<Device>,
    quality: Quality,
}

impl Pair {
    /// Device minus system clock.
    fn offset(&self) -> Seconds {
        Timestamp::<Raw>::from_ns(self.reference.ns()) - self.system
    }
}

impl Refclocks {
    /// Takes in a reading of the clock at `index`.
    pub(super) fn take(
        &mut self,
        index: usize,
        reading: &DeviceReading,
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        match reading {
            DeviceReading::Sample {
                system,
                reference,
                leap,
            } => {
                let pair = Pair {
                    system: *system,
                    reference: *reference,
                    quality: Quality::Good,
                };
                self.full_sample(index, pair, *leap, around, out);
            }
            DeviceReading::Pulse { time, second } => {
                self.pulse(index, *time, *second, Quality::Good, around, out);
            }
            DeviceReading::Hardware(readings) => {
                self.hardware_sample(index, readings, around, out);
            }
            DeviceReading::Edge(time) => self.edge(index, *time, around, out),
        }
    }

    fn full_sample(
        &mut self,
        index: usize,
        pair: Pair,
        leap: i32,
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        let Some(clock) = self.clocks.get_mut(index) else {
            return;
        };
        if clock.setup.pps {
            let behind = f64::from(pair.system.subsec_ns()) - f64::from(pair.reference.subsec_ns());
            let second = Seconds(1e-9 * behind);
            self.pulse(index, pair.system, second, pair.quality, around, out);
            return;
        }
        let raw_offset = pair.offset();
        let (correction, error) = around.correction(pair.system);
        let time = pair.system.cook(correction);
        if !is_sane(pair.system, raw_offset, around.era_s()) || !clock.is_recent(time, around.now())
        {
            return;
        }
        clock.leap = match leap {
            0 => Leap::Normal,
            1 => Leap::Insert,
            2 => Leap::Delete,
            _ => return,
        };
        let mut offset = exact_offset(&pair, correction, clock.setup.offset);
        if clock.setup.tai {
            let Some(tai) = tai_offset(pair.system, offset, around) else {
                return;
            };
            offset -= tai;
        }
        let candidate = Candidate {
            time,
            offset,
            raw_offset,
            dispersion: error + clock.setup.precision,
            pulse: false,
            quality: pair.quality,
        };
        clock.store(&candidate, out);
    }

    fn hardware_sample(
        &mut self,
        index: usize,
        readings: &[HwReading],
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        let Some(clock) = self.clocks.get_mut(index) else {
            return;
        };
        let Some(found) = clock.map_hardware(readings, around) else {
            return;
        };
        if !clock.setup.edges {
            let pair = Pair {
                system: found.local,
                reference: found.hardware,
                quality: found.quality,
            };
            self.full_sample(index, pair, 0, around, out);
        }
    }

    fn edge(
        &mut self,
        index: usize,
        time: Timestamp<Device>,
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        let Some(clock) = self.clocks.get_mut(index) else {
            return;
        };
        if clock.last_edge.replace(time) == Some(time) {
            return;
        }
        let mapped = clock.hardware.as_ref().and_then(|h| h.cook(time));
        let Some((local, error)) = mapped else {
            return;
        };
        let pulse = super::pps::Pulse {
            time: local,
            second: subsecond(local),
            dispersion: error,
            raw_correction: Timestamp::<Cooked>::from_ns(time.ns()) - local,
            quality: Quality::Good,
        };
        self.cooked_pulse(index, &pulse, around, out);
    }
}

impl Refclock {
    /// Combines readings of the hardware clock and lets its map learn from them.
    fn map_hardware(
        &mut self,
        readings: &[HwReading],
        around: &mut dyn Surroundings,
    ) -> Option<HwEstimate> {
        let hardware = self.hardware.as_mut()?;
        // The correction is linear, so two points tell all of it.
        let (first, last) = (readings.first()?.before, readings.last()?.after);
        let ends = (around.correction(first).0, around.correction(last).0);
        let cook = |raw: Timestamp<Raw>| {
            let span = last - first;
            let part = if span.0 > 0.0 {
                (raw - first) / span
            } else {
                0.0
            };
            raw.cook(ends.0 + (ends.1 - ends.0) * part)
        };
        let found = hardware.process(readings, cook, around.rng())?;
        if found.quality > Quality::Useless {
            let (correction, error) = around.correction(found.local);
            hardware.accumulate(
                found.hardware,
                found.local.cook(correction),
                found.error + error,
                around.absolute_frequency_ppm(),
            );
        }
        Some(found)
    }

    /// Stores a sample in the filter and tells the log; false if it is not used.
    pub(super) fn store(&mut self, candidate: &Candidate, out: &mut Vec<RefclockAction>) -> bool {
        self.reached += 1;
        if candidate.quality == Quality::Useless {
            return false;
        }
        let sample = Sample {
            time: candidate.time,
            offset: candidate.offset,
            peer_delay: self.setup.delay,
            peer_dispersion: candidate.dispersion,
            root_delay: self.setup.delay,
            root_dispersion: candidate.dispersion,
        };
        if !self.filter.accumulate(sample) {
            return false;
        }
        self.pulses = candidate.pulse;
        out.push(RefclockAction::Record(RefclockRecord::raw(
            self.setup.name.clone(),
            self.polled,
            self.leap,
            candidate,
        )));
        if !self.is_polled() {
            self.polled += 1;
        }
        true
    }
}

/// Device minus cooked system clock plus the configured offset, without losing digits to whole
/// seconds.
#[expect(clippy::cast_precision_loss, reason = "Unix seconds are exact")]
fn exact_offset(pair: &Pair, correction: Seconds, configured: Seconds) -> Seconds {
    let whole = (pair.reference.sec() - pair.system.sec()) as f64 - correction.0.trunc()
        + configured.0.trunc();
    let behind = f64::from(pair.reference.subsec_ns()) - f64::from(pair.system.subsec_ns());
    Seconds(whole + (1e-9 * behind - correction.0.fract() + configured.0.fract()))
}

/// TAI - UTC at a time the device told in TAI. The first look-up only serves to find the UTC of
/// the second.
fn tai_offset(
    system: Timestamp<Raw>,
    offset: Seconds,
    around: &mut dyn Surroundings,
) -> Option<Seconds> {
    let guess = around.tai_offset_s((system + offset).sec());
    let utc = system + (offset - Seconds(f64::from(guess)));
    let tai = around.tai_offset_s(utc.sec());
    (tai != 0).then(|| Seconds(f64::from(tai)))
}

fn subsecond<D>(time: Timestamp<D>) -> Seconds {
    Seconds(1e-9 * f64::from(time.subsec_ns()))
}
