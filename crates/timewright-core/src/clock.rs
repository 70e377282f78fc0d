//! The adjustable system clock, as the engine sees it.

use timewright_time::{Raw, Seconds, Timestamp};

/// What a clock can do; constant for its lifetime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockLimits {
    /// Largest frequency correction, ppm (100000 on Linux at 100 Hz).
    pub max_frequency_ppm: f64,
    /// Upper bound of the delay with which a frequency change takes effect.
    pub driver_delay: Seconds,
    /// Whether the clock can be told of leap seconds (`leapsecmode system`).
    pub can_leap: bool,
    /// Whether the clock can be set at all; without it corrections exist only in our model (`-x`).
    pub can_set: bool,
}

/// A refused clock operation, with the operating system's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ClockError {
    /// Text of the system error.
    pub reason: String,
}

/// The adjustable system clock: the kernel's in production, a model in the simulator.
pub trait Clock {
    /// Reads the clock.
    fn now(&mut self) -> Timestamp<Raw>;

    /// The frequency correction in force, ppm; positive means the uncorrected clock is fast.
    fn frequency_ppm(&mut self) -> f64;

    /// Sets the frequency correction, ppm, and returns the one in force after the driver's
    /// rounding and limits.
    fn set_frequency_ppm(&mut self, wanted: f64) -> f64;

    /// Steps the clock; positive means the clock is fast and is moved back.
    ///
    /// # Errors
    /// The operating system's refusal; nothing was changed.
    fn step(&mut self, offset: Seconds) -> Result<(), ClockError>;

    /// Publishes whether the clock is synchronised, with its estimated and maximum error.
    fn set_sync_status(&mut self, synchronised: bool, est_error: Seconds, max_error: Seconds);

    /// Announces a leap second at the coming midnight UTC (+1 insert, -1 delete, 0 none) and the
    /// TAI-UTC offset (0: leave it). Only called when [`ClockLimits::can_leap`].
    fn set_leap(&mut self, leap: i8, tai_offset_s: i32);

    /// What the clock can do.
    fn limits(&self) -> ClockLimits;
}
