//! A settable clock and what a test needs around it.

use super::{ChangeKind, ClockChange, Cx, Effect, Effects, LocalClock, LocalClockConfig};
use crate::clock::{Clock, ClockError, ClockLimits};
use crate::rng::Rng;
use timewright_time::{MonoTime, Now, Raw, Seconds, Timestamp};

/// A clock that shows what the test says and remembers what it was told.
#[derive(Debug)]
pub(crate) struct TestClock {
    pub(crate) raw: Timestamp<Raw>,
    pub(crate) frequency_ppm: f64,
    pub(crate) max_frequency_ppm: f64,
    pub(crate) driver_delay: Seconds,
    /// Frequencies are rounded to multiples of this; 0: exact.
    pub(crate) quantum_ppm: f64,
    pub(crate) refuses_steps: bool,
    pub(crate) can_leap: bool,
    pub(crate) sync: Option<(bool, f64, f64)>,
    pub(crate) leaps: Vec<(i8, i32)>,
    pub(crate) steps: Vec<f64>,
}

impl Clock for TestClock {
    fn now(&mut self) -> Timestamp<Raw> {
        self.raw
    }

    fn frequency_ppm(&mut self) -> f64 {
        self.frequency_ppm
    }

    fn set_frequency_ppm(&mut self, wanted: f64) -> f64 {
        self.frequency_ppm = if self.quantum_ppm > 0.0 {
            (wanted / self.quantum_ppm).round() * self.quantum_ppm
        } else {
            wanted
        };
        self.frequency_ppm
    }

    fn step(&mut self, offset: Seconds) -> Result<(), ClockError> {
        if self.refuses_steps {
            return Err(ClockError {
                reason: "refused".into(),
            });
        }
        self.raw = self.raw - offset;
        self.steps.push(offset.0);
        Ok(())
    }

    fn set_sync_status(&mut self, synchronised: bool, est_error: Seconds, max_error: Seconds) {
        self.sync = Some((synchronised, est_error.0, max_error.0));
    }

    fn set_leap(&mut self, leap: i8, tai_offset_s: i32) {
        self.leaps.push((leap, tai_offset_s));
    }

    fn limits(&self) -> ClockLimits {
        ClockLimits {
            max_frequency_ppm: self.max_frequency_ppm,
            driver_delay: self.driver_delay,
            can_leap: self.can_leap,
            can_set: true,
        }
    }
}

/// Randomness that always gives the smallest number.
pub(crate) struct Zeros;

impl Rng for Zeros {
    fn fill(&mut self, buf: &mut [u8]) {
        buf.fill(0);
    }
}

/// A clock, time, and a list of effects.
pub(crate) struct Bench {
    pub(crate) clock: TestClock,
    pub(crate) mono: MonoTime,
    pub(crate) out: Effects,
    rng: Zeros,
}

impl Bench {
    /// A bench at 2010-01-01 with a clock that has the given frequency.
    pub(crate) fn bare(frequency_ppm: f64) -> Self {
        Self {
            clock: TestClock {
                raw: Timestamp::from_parts(1_262_304_000, 0),
                frequency_ppm,
                max_frequency_ppm: 100_000.0,
                driver_delay: Seconds(1e-5),
                quantum_ppm: 0.0,
                refuses_steps: false,
                can_leap: true,
                sync: None,
                leaps: Vec::new(),
                steps: Vec::new(),
            },
            mono: MonoTime::from_ns(1_000_000_000_000),
            out: Effects::new(),
            rng: Zeros,
        }
    }

    /// The same with its local clock layer.
    pub(crate) fn start(frequency_ppm: f64) -> (Self, LocalClock) {
        let config = LocalClockConfig {
            precision: Seconds(1e-7),
            ..LocalClockConfig::default()
        };
        Self::with(frequency_ppm, config)
    }

    pub(crate) fn with(frequency_ppm: f64, config: LocalClockConfig) -> (Self, LocalClock) {
        let mut bench = Self::bare(frequency_ppm);
        let local = LocalClock::new(&config, &mut bench.clock);
        (bench, local)
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: self.mono,
            raw: self.clock.raw,
        }
    }

    pub(crate) fn cx(&mut self) -> Cx<'_> {
        Cx {
            now: self.now(),
            clock: &mut self.clock,
            rng: &mut self.rng,
            out: &mut self.out,
        }
    }

    /// Lets time pass; the raw clock follows real time.
    pub(crate) fn wait(&mut self, span: f64) {
        self.clock.raw += Seconds(span);
        self.mono = self.mono + Seconds(span);
    }

    /// Texts of the messages so far; other effects are dropped.
    pub(crate) fn messages(&mut self) -> Vec<String> {
        let texts = self
            .out
            .take()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Log(event) => Some(event.text),
                _ => None,
            });
        texts.collect()
    }

    /// The clock changes so far; other effects are dropped.
    pub(crate) fn changes(&mut self) -> Vec<ClockChange> {
        let changes = self
            .out
            .take()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Changed(change) => Some(change),
                _ => None,
            });
        changes.collect()
    }
}

/// Kinds of some changes, to compare at a glance.
pub(crate) fn kinds(changes: &[ClockChange]) -> Vec<ChangeKind> {
    changes.iter().map(|c| c.kind).collect()
}
