//! Reference clocks attached to a host: what they show, and what a driver gets to read.

use crate::clock::{SimClock, from_ns, to_ns};
use crate::node::NodeSetup;
use crate::random::SimRng;
use std::collections::BTreeMap;
use timewright_config::{Config, Driver};
use timewright_core::hwclock::{Device, HwReading, READINGS_MAX};
use timewright_core::ids::DeviceId;
use timewright_core::refclock::DeviceReading;
use timewright_time::{Raw, Seconds, Timestamp};

const SECOND_NS: i64 = 1_000_000_000;

/// How a device counts seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeScale {
    /// As UTC: it follows leap seconds.
    #[default]
    Utc,
    /// Without leap seconds.
    Steady,
}

/// What a reference clock shows, and how well it can be read.
///
/// Its name in a scenario is driver and parameter as in the `refclock` directive: `SHM 0`,
/// `PPS /dev/pps0`. SHM segments are filled and PHCs read whenever the daemon asks; PPS, SOCK,
/// RTC and external time stamps of a PHC (`extpps`) come with every full second of the device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceModel {
    /// How it counts seconds.
    pub scale: TimeScale,
    /// How far it is ahead of that scale, seconds.
    pub bias_s: f64,
    /// How much further it is, seconds, by true seconds since the start.
    pub offset: fn(f64) -> f64,
    /// Standard deviation of the normal noise of what it shows, seconds.
    pub noise_s: f64,
    /// Leap status it tells.
    pub leap: i32,
    /// Share of readings or pulses that are lost.
    pub missing: f64,
    /// Time each half of a reading of a PHC takes at least, seconds.
    pub read_s: f64,
    /// Mean of an exponential addition to it, by the number of the poll.
    pub read_jitter_s: fn(u64) -> f64,
}

impl Default for DeviceModel {
    fn default() -> Self {
        Self {
            scale: TimeScale::Utc,
            bias_s: 0.0,
            offset: |_| 0.0,
            noise_s: 0.0,
            leap: 0,
            missing: 0.0,
            read_s: 1e-6,
            read_jitter_s: |_| 0.0,
        }
    }
}

/// A moment, as needed to know what a device shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) true_ns: i64,
    /// What leap seconds have added to UTC.
    pub(crate) leaps_ns: i64,
    pub(crate) start_ns: i64,
}

/// A device that one line of the configuration uses.
struct Attached {
    model: DeviceModel,
    driver: Driver,
    rng: SimRng,
    /// The last pulse, until it is read.
    pulse: Option<Timestamp<Raw>>,
    polls: u64,
}

/// The devices of a running daemon.
#[derive(Default)]
pub(crate) struct Devices {
    attached: BTreeMap<DeviceId, Attached>,
}

impl Devices {
    /// Opens what the configuration names and the host has. `streams` are numbers of unused
    /// streams of random numbers.
    pub(crate) fn open(config: &Config, setup: &NodeSetup, seed: u64, streams: u64) -> Self {
        let mut attached = BTreeMap::new();
        for (index, spec) in (0..).zip(&config.refclocks) {
            let name = format!("{} {}", spec.driver, spec.parameter.display());
            if let (Some(&model), Ok(driver)) = (setup.devices.get(&name), spec.driver()) {
                let device = Attached {
                    model,
                    driver,
                    rng: SimRng::new(seed, streams + u64::from(index)),
                    pulse: None,
                    polls: 0,
                };
                attached.insert(DeviceId(index), device);
            }
        }
        Self { attached }
    }

    /// The devices that have something to say every second.
    pub(crate) fn senders(&self) -> Vec<DeviceId> {
        let sends = |device: &Attached| {
            !matches!(
                device.driver,
                Driver::Shm { .. } | Driver::Phc { extpps: false, .. }
            )
        };
        let senders = self.attached.iter().filter(|(_, device)| sends(device));
        senders.map(|(id, _)| *id).collect()
    }

    /// True time of the next full second of a device.
    pub(crate) fn next_second(&mut self, id: DeviceId, now: Moment) -> Option<i64> {
        let device = self.attached.get_mut(&id)?;
        let shown_ns = device.time_ns(now, 0.0);
        // Noise must not make the same second come again.
        let next = (shown_ns + SECOND_NS / 2).div_euclid(SECOND_NS) + 1;
        let noise_ns = to_ns(device.noise());
        Some(now.true_ns + (next * SECOND_NS - shown_ns) + noise_ns)
    }

    /// A full second of a device: what the daemon is told unasked.
    pub(crate) fn second(
        &mut self,
        id: DeviceId,
        clock: &SimClock,
        now: Moment,
    ) -> Option<DeviceReading> {
        let device = self.attached.get_mut(&id)?;
        if device.rng.chance(device.model.missing) {
            return None;
        }
        let system = clock.read().raw;
        let shown_ns = device.time_ns(now, 0.0);
        let whole = (shown_ns + SECOND_NS / 2).div_euclid(SECOND_NS);
        match device.driver {
            Driver::Pps { .. } => {
                device.pulse = Some(system);
                None
            }
            Driver::Phc { .. } => Some(DeviceReading::Edge(Timestamp::from_ns(shown_ns))),
            Driver::Rtc { .. } | Driver::Sock { .. } | Driver::Shm { .. } => {
                Some(device.sample(system, Timestamp::from_parts(whole, 0)))
            }
        }
    }

    /// What a driver reads when asked.
    pub(crate) fn read(
        &mut self,
        id: DeviceId,
        clock: &SimClock,
        now: Moment,
    ) -> Option<DeviceReading> {
        let device = self.attached.get_mut(&id)?;
        device.polls += 1;
        match device.driver {
            Driver::Pps { .. } => device.pulse.take().map(DeviceReading::pulse),
            Driver::Sock { .. } | Driver::Rtc { .. } => None,
            Driver::Shm { .. } | Driver::Phc { .. } if device.rng.chance(device.model.missing) => {
                None
            }
            Driver::Shm { .. } => {
                let noise = device.noise();
                let shown = Timestamp::from_ns(device.time_ns(now, noise));
                Some(device.sample(clock.read().raw, shown))
            }
            Driver::Phc { .. } => Some(DeviceReading::Hardware(device.readings(clock, now))),
        }
    }
}

impl Attached {
    fn noise(&mut self) -> f64 {
        if self.model.noise_s > 0.0 {
            self.model.noise_s * self.rng.normal()
        } else {
            0.0
        }
    }

    /// What the device shows.
    fn time_ns(&self, now: Moment, noise_s: f64) -> i64 {
        let leaps_ns = match self.model.scale {
            TimeScale::Utc => now.leaps_ns,
            TimeScale::Steady => 0,
        };
        let offset_s = (self.model.offset)(from_ns(now.true_ns - now.start_ns));
        now.true_ns + leaps_ns + to_ns(self.model.bias_s + offset_s + noise_s)
    }

    const fn sample(&self, system: Timestamp<Raw>, reference: Timestamp<Device>) -> DeviceReading {
        DeviceReading::Sample {
            system,
            reference,
            leap: self.model.leap,
        }
    }

    /// Readings of a hardware clock, one after the other, the last of them now.
    fn readings(&mut self, clock: &SimClock, now: Moment) -> Vec<HwReading> {
        let jitter_s = (self.model.read_jitter_s)(self.polls - 1);
        let rate = 1.0 + clock.frequency_error();
        let raw = clock.read().raw;
        let noise_s = self.noise();
        let mut ago = 0.0;
        let mut readings = Vec::with_capacity(READINGS_MAX);
        for _ in 0..READINGS_MAX {
            let mut half = || self.model.read_s + jitter_s * self.rng.exponential();
            let (middle, end) = (half(), half());
            let (after, hardware) = (ago, ago + middle);
            ago = hardware + end;
            let then = Moment {
                true_ns: now.true_ns - to_ns(hardware),
                ..now
            };
            readings.push(HwReading {
                before: raw - Seconds(ago * rate),
                hardware: Timestamp::from_ns(self.time_ns(then, noise_s)),
                after: raw - Seconds(after * rate),
            });
        }
        readings.reverse();
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oscillator::ClockModel;
    use timewright_config::{MemoryFiles, ParseOptions};

    const START_NS: i64 = 1_262_304_000 * SECOND_NS;

    fn devices(line: &str, name: &str, model: DeviceModel) -> Devices {
        let files = MemoryFiles::new().with("/c", line.as_bytes());
        let parsed = timewright_config::parse_file("/c", &files, ParseOptions::default());
        let config = parsed.unwrap().config;
        let setup = NodeSetup {
            name: String::new(),
            addresses: Vec::new(),
            clock: ClockModel::default(),
            has_boot_time: true,
            stamps: crate::node::Stamps::Kernel,
            config: config.clone(),
            boot: timewright_core::engine::Boot::default(),
            load_dumps: false,
            drift_file: None,
            devices: BTreeMap::from([(name.to_owned(), model)]),
            start_s: 0.0,
        };
        Devices::open(&config, &setup, 1, 100)
    }

    fn moment(at_s: f64, leaps_s: f64) -> Moment {
        Moment {
            true_ns: START_NS + to_ns(at_s),
            leaps_ns: to_ns(leaps_s),
            start_ns: START_NS,
        }
    }

    fn clock(at_s: f64) -> SimClock {
        let mut clock = SimClock::new(ClockModel::default(), START_NS, SimRng::new(1, 1));
        clock.advance(START_NS + to_ns(at_s));
        clock
    }

    const ID: DeviceId = DeviceId(0);

    #[test]
    fn samples_show_the_offset_and_leap_seconds() {
        for (scale, want_s) in [(TimeScale::Utc, 9.5), (TimeScale::Steady, 10.5)] {
            let model = DeviceModel {
                scale,
                offset: |s| s * 0.05,
                leap: 1,
                ..DeviceModel::default()
            };
            let mut devices = devices("refclock SHM 0\n", "SHM 0", model);
            let reading = devices.read(ID, &clock(10.0), moment(10.0, -1.0));
            assert_eq!(
                reading,
                Some(DeviceReading::Sample {
                    system: Timestamp::from_ns(START_NS) + Seconds(10.0),
                    reference: Timestamp::from_ns(START_NS) + Seconds(want_s),
                    leap: 1,
                })
            );
            assert!(devices.senders().is_empty());
        }
        let lost = DeviceModel {
            missing: 1.0,
            ..DeviceModel::default()
        };
        let mut none = devices("refclock SHM 0\n", "SHM 0", lost);
        assert_eq!(none.read(ID, &clock(1.0), moment(1.0, 0.0)), None);
        let mut absent = devices("refclock SHM 1\n", "SHM 0", DeviceModel::default());
        assert_eq!(absent.read(ID, &clock(1.0), moment(1.0, 0.0)), None);
    }

    #[test]
    fn pulses_are_read_once() {
        let model = DeviceModel {
            offset: |_| 0.25,
            ..DeviceModel::default()
        };
        let mut devices = devices("refclock PPS /p\n", "PPS /p", model);
        assert_eq!(devices.senders(), [ID]);
        let next = devices.next_second(ID, moment(3.0, 0.0));
        assert_eq!(next, Some(START_NS + to_ns(3.75)));
        assert_eq!(devices.read(ID, &clock(3.0), moment(3.0, 0.0)), None);
        let at = clock(3.75);
        assert_eq!(devices.second(ID, &at, moment(3.75, 0.0)), None);
        let pulse = DeviceReading::pulse(at.read().raw);
        assert_eq!(devices.read(ID, &at, moment(4.0, 0.0)), Some(pulse));
        assert_eq!(devices.read(ID, &at, moment(4.0, 0.0)), None);
        // An inserted second.
        let next = devices.next_second(ID, moment(3.75, -1.0));
        assert_eq!(next, Some(START_NS + to_ns(4.75)));
    }

    #[test]
    fn hardware_clocks_are_read_in_a_row() {
        let model = DeviceModel {
            read_jitter_s: |poll| if poll == 0 { 0.0 } else { 1e-6 },
            ..DeviceModel::default()
        };
        let mut devices = devices("refclock PHC /p\n", "PHC /p", model);
        for poll in 0..2 {
            let Some(DeviceReading::Hardware(readings)) =
                devices.read(ID, &clock(1.0), moment(1.0, 0.0))
            else {
                panic!("no readings");
            };
            assert_eq!(readings.len(), READINGS_MAX);
            for pair in readings.windows(2) {
                assert!((pair[1].before - pair[0].after).0.abs() < 3e-9);
            }
            let shortest = readings.iter().map(|r| (r.after - r.before).0);
            let shortest = shortest.fold(f64::INFINITY, f64::min);
            assert_eq!(shortest > 2.01e-6, poll == 1, "{shortest}");
        }
    }
}
