//! What a reference clock is made of, and what can be wrong with it.

use super::RefclockEvent;
use crate::hwclock::HwClockConfig;
use crate::ids::{DeviceId, SourceId};
use crate::stats::FilterConfig;
use timewright_config::{Driver, RefId, RefclockSpec, StartupError};
use timewright_time::{Seconds, log2_to_seconds};

/// Most samples the map of a hardware clock is made of.
const HARDWARE_SAMPLES: usize = 16;

/// A reference clock as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct RefclockSetup {
    /// The source its samples belong to.
    pub source: SourceId,
    /// The device it is read from.
    pub device: DeviceId,
    /// Its reference id as a number.
    pub ref_id: u32,
    /// Its reference id as text.
    pub name: String,
    /// Interval between filtered samples, log2 seconds.
    pub poll: i32,
    /// Interval between readings, log2 seconds, at most `poll`; `None`: the device sends by
    /// itself.
    pub driver_poll: Option<i32>,
    /// Pulses per second, at least 1.
    pub rate: u32,
    /// Pulses a sample of the locked clock may be old.
    pub max_lockage: u32,
    /// Width of pulses; not positive: unknown.
    pub width: Seconds,
    /// Added to all offsets.
    pub offset: Seconds,
    /// Delay of samples.
    pub delay: Seconds,
    /// Precision of samples, at least that of the system clock.
    pub precision: Seconds,
    /// Precision of the system clock.
    pub system_precision: Seconds,
    /// Stratum, 0..=15.
    pub stratum: u8,
    /// The device keeps TAI.
    pub tai: bool,
    /// Complete samples are taken as pulses.
    pub pps: bool,
    /// The clock only stabilises ours.
    pub local: bool,
    /// Index of the clock that tells the second of pulses.
    pub lock: Option<usize>,
    /// The configured name of that clock.
    pub lock_name: Option<String>,
    /// A hardware clock is only used to time external pulses.
    pub edges: bool,
    /// How samples are combined.
    pub filter: FilterConfig,
    /// The map of a hardware clock.
    pub hardware: Option<HwClockConfig>,
}

impl RefclockSetup {
    /// From a line of the configuration; `index` counts these lines. The lock is found later
    /// ([`RefclockSetup::resolve_locks`]).
    ///
    /// # Errors
    /// Unknown drivers and driver options.
    pub fn new(
        spec: &RefclockSpec,
        index: u32,
        source: SourceId,
        system_precision: Seconds,
    ) -> Result<Self, StartupError> {
        let options = &spec.options;
        let driver = spec.driver()?;
        let id = spec.reference_id(usize::try_from(index).unwrap_or(usize::MAX));
        let precision = options.effective_precision(system_precision);
        let length = usize::try_from(options.filter_length()).unwrap_or(1);
        let driver_poll = options.driver_poll();
        let hardware = matches!(driver, Driver::Phc { .. }).then(|| HwClockConfig {
            min_samples: 0,
            max_samples: HARDWARE_SAMPLES,
            separation: log2_to_seconds(driver_poll),
            precision,
            system_precision,
        });
        Ok(Self {
            source,
            device: DeviceId(index),
            ref_id: u32::from_be_bytes(id),
            name: text(id),
            poll: options.poll,
            driver_poll: (!matches!(driver, Driver::Sock { .. })).then_some(driver_poll),
            rate: options.rate.max(1),
            max_lockage: options.effective_maxlockage(),
            width: Seconds(options.width),
            offset: Seconds(options.offset),
            delay: Seconds(options.delay),
            precision,
            system_precision,
            stratum: options.stratum,
            tai: options.tai,
            pps: options.is_pps(),
            local: options.local,
            lock: None,
            lock_name: options.lock.map(text),
            edges: matches!(driver, Driver::Phc { extpps: true, .. }),
            filter: FilterConfig::refclock(length, Seconds(options.maxdispersion)),
            hardware,
        })
    }

    /// Finds the clocks that others are locked to, by their reference ids. A `local` clock is
    /// locked to itself.
    pub fn resolve_locks(setups: &mut [Self]) {
        let names: Vec<String> = setups.iter().map(|s| s.name.clone()).collect();
        for (index, setup) in setups.iter_mut().enumerate() {
            setup.lock = if setup.local {
                Some(index)
            } else {
                let lock = setup.lock_name.as_ref();
                lock.and_then(|lock| names.iter().position(|name| name == lock))
            };
        }
    }
}

/// What administrators have to be told about the clocks.
pub(super) fn check(setups: &[RefclockSetup]) -> Vec<RefclockEvent> {
    let mut events = Vec::new();
    for (index, setup) in setups.iter().enumerate() {
        let Some(refid) = setup.lock_name.clone().filter(|_| !setup.local) else {
            continue;
        };
        let other = setup.lock.and_then(|lock| setups.get(lock));
        let Some(other) = other.filter(|_| setup.lock != Some(index)) else {
            events.push(RefclockEvent::InvalidLock { refid });
            continue;
        };
        let covered = f64::from(setup.max_lockage) / f64::from(setup.rate);
        if let (Some(_), Some(driver_poll)) = (setup.driver_poll, other.driver_poll)
            && covered < log2_to_seconds(driver_poll).0
        {
            events.push(RefclockEvent::LockageTooSmall {
                clock: setup.name.clone(),
                lock: other.name.clone(),
            });
        }
    }
    events
}

fn text(id: RefId) -> String {
    crate::reference::ref_id_text(u32::from_be_bytes(id))
}
