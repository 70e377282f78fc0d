//! The clock that is never touched (`-x`): corrections exist only in our model
//! (`discipline.md` 7.8).

use timewright_time::{Raw, Seconds, Timestamp};

/// Frequency and offset the clock would have got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NullCorrection {
    frequency_ppm: f64,
    /// Offset at `last`, s; positive: the clock is fast.
    register: f64,
    last: Timestamp<Raw>,
}

impl NullCorrection {
    pub(crate) const fn new(now: Timestamp<Raw>) -> Self {
        Self {
            frequency_ppm: 0.0,
            register: 0.0,
            last: now,
        }
    }

    /// The frequency takes effect from `now`; any value is accepted.
    pub(crate) fn set_frequency(&mut self, ppm: f64, now: Timestamp<Raw>) -> f64 {
        self.register += 1e-6 * self.frequency_ppm * (now - self.last).0;
        self.last = now;
        self.frequency_ppm = ppm;
        ppm
    }

    /// The clock advanced by so much without running.
    pub(crate) fn shift(&mut self, gained: Seconds) {
        self.last += gained;
    }

    pub(crate) fn accrue(&mut self, offset: Seconds) {
        self.register += offset.0;
    }

    pub(crate) const fn frequency_ppm(&self) -> f64 {
        self.frequency_ppm
    }

    pub(crate) const fn register(&self) -> f64 {
        self.register
    }

    pub(crate) const fn last(&self) -> Timestamp<Raw> {
        self.last
    }
}
