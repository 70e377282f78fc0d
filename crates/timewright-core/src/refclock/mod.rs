//! Reference clocks: from what a device says to samples of a source (`discipline.md` 13).
//!
//! No device is touched here. Whoever reads it hands over a [`DeviceReading`], which [`shm`] and
//! [`sock`] make of what programs on this machine hand over; the samples of some
//! readings are gathered in a filter, and once per poll interval the filter's output goes to the
//! statistics of the source like a sample of any other.
//!
//! ```text
//! DeviceReading ─> driver_sample ─┬─────> filter ─> RefclockAction::Sample
//!                                 └─ pps ──^
//! ```
//!
//! [`Refclocks`] holds all clocks, since a pulse may need another clock to tell its second.
//! Offsets are positive when our clock is slow, as in every [`Sample`].

mod driver_sample;
mod event;
mod native;
mod pps;
mod setup;
pub mod shm;
pub mod sock;

pub use driver_sample::DeviceReading;
pub use event::{RefclockEvent, RefclockRecord};
pub use setup::RefclockSetup;

use crate::discipline::ChangeKind;
use crate::discipline::ClockChange;
use crate::hwclock::HwClock;
use crate::ids::{DeviceId, SourceId};
use crate::rng::Rng;
use crate::server::snapshot::ServedReference;
use crate::stats::{Sample, SampleFilter};
use timewright_time::{Cooked, FreqRatio, Raw, Seconds, Timestamp, log2_to_seconds};
use timewright_wire::Leap;

/// What reference clocks ask the rest of the engine.
pub trait Surroundings {
    /// Reads the clock.
    fn now(&mut self) -> Timestamp<Cooked>;

    /// What to add to a raw time to cook it, and how uncertain that is.
    fn correction(&self, raw: Timestamp<Raw>) -> (Seconds, Seconds);

    /// What we tell others about our clock.
    fn reference(&self, at: Timestamp<Cooked>) -> ServedReference;

    /// TAI - UTC at a Unix time, seconds; 0 if unknown.
    fn tai_offset_s(&mut self, unix_s: i64) -> i32;

    /// Absolute frequency of the clock, ppm.
    fn absolute_frequency_ppm(&self) -> f64;

    /// First Unix second of the NTP era in use.
    fn era_s(&self) -> i64;

    /// Randomness.
    fn rng(&mut self) -> &mut dyn Rng;
}

/// What has to be done about a reading or at the end of a poll, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum RefclockAction {
    /// A message.
    Log(RefclockEvent),
    /// A line for `refclocks.log`.
    Record(RefclockRecord),
    /// A poll interval is over; whether there were usable readings in it.
    Reachability(SourceId, bool),
    /// All that was measured of the source is worthless.
    Reset(SourceId),
    /// A sample for the source.
    Sample {
        /// Which.
        source: SourceId,
        /// Its stratum.
        stratum: u8,
        /// Its leap status.
        leap: Leap,
        /// The sample.
        sample: Sample,
    },
}

/// One reference clock.
#[derive(Clone, Debug)]
pub struct Refclock {
    setup: RefclockSetup,
    filter: SampleFilter,
    hardware: Option<HwClock>,
    /// The last external edge of a hardware clock, to tell duplicates.
    last_edge: Option<Timestamp<crate::hwclock::Device>>,
    leap: Leap,
    /// Readings or, of a passive device, samples in this poll interval.
    polled: u64,
    /// Usable readings in this poll interval.
    reached: u64,
    /// The last sample was a pulse.
    pulses: bool,
}

impl Refclock {
    fn new(setup: RefclockSetup) -> Self {
        Self {
            filter: SampleFilter::new(setup.filter, setup.system_precision),
            hardware: setup.hardware.map(HwClock::new),
            last_edge: None,
            leap: if setup.local {
                Leap::Unsynchronised
            } else {
                Leap::Normal
            },
            polled: 0,
            reached: 0,
            pulses: false,
            setup,
        }
    }

    /// What it was made of.
    #[must_use]
    pub const fn setup(&self) -> &RefclockSetup {
        &self.setup
    }

    /// Leap status of its last sample.
    #[must_use]
    pub const fn leap(&self) -> Leap {
        self.leap
    }

    /// The filter of its samples.
    pub(crate) const fn filter(&self) -> &SampleFilter {
        &self.filter
    }

    /// Local time up to which the map of its hardware clock is known.
    pub(crate) fn mapped_until(&self) -> Option<Timestamp<Cooked>> {
        self.hardware.as_ref()?.newest()
    }

    /// Samples that wait to be combined.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.filter.len()
    }

    /// The newest sample, also after it was combined with others.
    #[must_use]
    pub fn last_sample(&self) -> Option<&Sample> {
        self.filter.last()
    }

    /// Time between two readings of the device; between two outputs if it sends by itself.
    #[must_use]
    pub fn interval(&self) -> Seconds {
        log2_to_seconds(self.setup.driver_poll.unwrap_or(self.setup.poll))
    }

    /// Whether the driver reads it when asked, so that the end of a poll is the answer.
    #[must_use]
    pub const fn is_polled(&self) -> bool {
        self.setup.driver_poll.is_some()
    }

    /// Its pulses are numbered by our own reference.
    const fn has_unlocked_pulses(&self) -> bool {
        self.pulses && self.setup.lock.is_none()
    }

    /// How many readings make a poll interval.
    fn readings_per_poll(&self) -> u64 {
        let Some(driver_poll) = self.setup.driver_poll else {
            return 1;
        };
        let log2 = u32::try_from(self.setup.poll - driver_poll).unwrap_or(0);
        1u64.checked_shl(log2).unwrap_or(u64::MAX)
    }

    /// A sample of this time, neither of the future nor too old.
    fn is_recent(&self, time: Timestamp<Cooked>, now: Timestamp<Cooked>) -> bool {
        let age = (now - time).0;
        (0.0..=log2_to_seconds(self.setup.poll + 1).0).contains(&age)
    }
}

/// All reference clocks, in the order of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Refclocks {
    clocks: Vec<Refclock>,
}

impl Refclocks {
    /// Without samples. The events are what is wrong with the configuration.
    #[must_use]
    pub fn new(setups: Vec<RefclockSetup>) -> (Self, Vec<RefclockEvent>) {
        let events = setup::check(&setups);
        let clocks = setups.into_iter().map(Refclock::new).collect();
        (Self { clocks }, events)
    }

    /// Number of clocks.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.clocks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.clocks.is_empty()
    }

    /// The clocks.
    pub fn iter(&self) -> impl Iterator<Item = &Refclock> {
        self.clocks.iter()
    }

    /// The clock of a device.
    #[must_use]
    pub fn by_device(&self, device: DeviceId) -> Option<&Refclock> {
        self.clocks.iter().find(|c| c.setup.device == device)
    }

    /// The clock that is this source.
    #[must_use]
    pub fn by_source(&self, source: SourceId) -> Option<&Refclock> {
        self.clocks.iter().find(|c| c.setup.source == source)
    }

    /// Takes in a reading.
    pub fn read(
        &mut self,
        device: DeviceId,
        reading: &DeviceReading,
        around: &mut dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        if let Some(index) = self.index(device) {
            self.take(index, reading, around, out);
        }
    }

    /// The device was read, or the poll interval of a device that sends by itself is over. At the
    /// end of a poll interval the samples go to the source.
    pub fn end_poll(
        &mut self,
        device: DeviceId,
        around: &dyn Surroundings,
        out: &mut Vec<RefclockAction>,
    ) {
        let Some(index) = self.index(device) else {
            return;
        };
        let Some(clock) = self.clocks.get_mut(index) else {
            return;
        };
        if clock.is_polled() {
            clock.polled += 1;
            if clock.polled < clock.readings_per_poll() {
                return;
            }
        }
        clock.polled = 0;
        let reached = std::mem::take(&mut clock.reached) > 0;
        let (source, leap) = (clock.setup.source, clock.leap);
        out.push(RefclockAction::Reachability(source, reached));
        let Some(sample) = clock.filter.take() else {
            return;
        };
        let record = RefclockRecord::filtered(clock.setup.name.clone(), leap, &sample);
        let stratum = self.stratum(index, &around.reference(sample.time));
        out.push(RefclockAction::Sample {
            source,
            stratum,
            leap,
            sample,
        });
        out.push(RefclockAction::Record(record));
    }

    /// The stratum of a clock, given what we tell others about ours (`discipline.md` 13.5).
    ///
    /// Pulses that are numbered by our own clock are as far from the primary source as that.
    fn stratum(&self, index: usize, ours: &ServedReference) -> u8 {
        let Some(clock) = self.clocks.get(index) else {
            return 0;
        };
        if !clock.has_unlocked_pulses() {
            return clock.setup.stratum;
        }
        let mut numbered = self.clocks.iter().filter(|c| c.has_unlocked_pulses());
        let follows_pulses = numbered.any(|c| c.setup.ref_id == ours.ref_id);
        let local = !ours.synchronised && ours.leap != Leap::Unsynchronised;
        if follows_pulses || local {
            ours.stratum.saturating_sub(1)
        } else {
            0
        }
    }

    /// Follows a change of the clock. Hardware clocks come before filters.
    pub fn on_clock_change(&mut self, change: &ClockChange) {
        for clock in &mut self.clocks {
            if let Some(hardware) = &mut clock.hardware {
                hardware.on_clock_change(change);
            }
        }
        for clock in &mut self.clocks {
            match change.kind {
                ChangeKind::Adjust | ChangeKind::Step => {
                    clock
                        .filter
                        .slew(change.cooked, FreqRatio(change.dfreq), change.doffset);
                }
                ChangeKind::UnknownStep => clock.filter.clear(),
            }
        }
    }

    /// Our clock became less certain.
    pub fn add_dispersion(&mut self, by: Seconds) {
        for clock in &mut self.clocks {
            clock.filter.add_dispersion(by);
        }
    }

    /// Changes what is added to the offsets of the first clock with this reference id; returns its
    /// name.
    pub fn set_offset(&mut self, ref_id: u32, offset: Seconds) -> Option<&str> {
        let mut clocks = self.clocks.iter_mut();
        let clock = clocks.find(|c| c.setup.ref_id == ref_id)?;
        clock.setup.offset = offset;
        Some(&clock.setup.name)
    }

    /// The first clock with this reference id.
    #[must_use]
    pub fn by_ref_id(&self, ref_id: u32) -> Option<&Refclock> {
        self.clocks.iter().find(|c| c.setup.ref_id == ref_id)
    }

    /// The samples of one clock follow a change that nobody else is told of (`local`).
    pub(crate) fn filter_mut(&mut self, source: SourceId) -> Option<&mut SampleFilter> {
        let clock = self.clocks.iter_mut().find(|c| c.setup.source == source)?;
        Some(&mut clock.filter)
    }

    fn index(&self, device: DeviceId) -> Option<usize> {
        self.clocks.iter().position(|c| c.setup.device == device)
    }
}

#[cfg(test)]
mod tests;
