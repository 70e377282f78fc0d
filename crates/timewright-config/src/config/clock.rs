//! The system clock and leap seconds (`config.md` 4.3).

use std::path::PathBuf;

use timewright_time::Seconds;

/// `makestep`: step instead of slewing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MakeStep {
    /// Step if the adjustment is larger.
    pub threshold: Seconds,
    /// During this many updates; negative is always, 0 never.
    pub limit: i32,
}

/// `maxchange`: offsets that are not believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxChange {
    /// Largest accepted offset.
    pub offset: Seconds,
    /// Updates before the check begins, not negative.
    pub start: u32,
    /// Larger offsets ignored before the daemon gives up; negative is all of them.
    pub ignore: i32,
}

/// `tempcomp`: compensation of the temperature of the oscillator.
#[derive(Clone, Debug, PartialEq)]
pub struct TempComp {
    /// File that holds the temperature.
    pub sensor: PathBuf,
    /// Time between readings, positive.
    pub interval: Seconds,
    /// What a temperature means.
    pub curve: TempCurve,
}

/// From a temperature to a compensation in parts per million.
#[derive(Clone, Debug, PartialEq)]
pub enum TempCurve {
    /// `k0 + (T - t0) * k1 + (T - t0)^2 * k2`.
    Quadratic {
        /// Temperature at which the compensation is `k0`.
        t0: f64,
        /// Constant term, ppm.
        k0: f64,
        /// Linear term.
        k1: f64,
        /// Quadratic term.
        k2: f64,
    },
    /// A file of points between which is interpolated.
    Points(PathBuf),
}

/// Directives about the system clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// `clockprecision`, 1 ns..=1 s; `None`: it is measured.
    pub precision: Option<Seconds>,
    /// `corrtimeratio`.
    pub corr_time_ratio: f64,
    /// `driftfile`.
    pub drift_file: Option<DriftFile>,
    /// `fallbackdrift`: shortest and longest interval, log2 seconds; `None` is off.
    pub fallback_drift: Option<(u32, u32)>,
    /// `makestep`; `None`: never.
    pub make_step: Option<MakeStep>,
    /// `maxchange`; `None` is off.
    pub max_change: Option<MaxChange>,
    /// `maxclockerror`, ppm.
    pub max_clock_error_ppm: f64,
    /// `maxdrift`, ppm, 0..=500000.
    pub max_drift_ppm: f64,
    /// `maxupdateskew`, ppm, not negative.
    pub max_update_skew_ppm: f64,
    /// `maxslewrate`, ppm.
    pub max_slew_rate_ppm: f64,
    /// `tempcomp`.
    pub temp_comp: Option<TempComp>,
}

/// Largest frequency offset that is ever corrected, ppm.
pub const MAX_DRIFT_PPM: f64 = 500_000.0;

impl Default for Clock {
    fn default() -> Self {
        Self {
            precision: None,
            corr_time_ratio: 3.0,
            drift_file: None,
            fallback_drift: None,
            make_step: None,
            max_change: None,
            max_clock_error_ppm: 1.0,
            max_drift_ppm: MAX_DRIFT_PPM,
            max_update_skew_ppm: 1000.0,
            max_slew_rate_ppm: 1e6 / 12.0,
            temp_comp: None,
        }
    }
}

/// `driftfile`: where the frequency of the clock is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftFile {
    /// The file.
    pub path: PathBuf,
    /// Seconds between writes, may be negative (each update).
    pub interval_s: i32,
}

impl DriftFile {
    /// Seconds between writes unless given.
    pub const INTERVAL_S: i32 = 3600;
}

/// `leapsecmode`: who corrects a leap second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeapMode {
    /// The kernel, or the daemon by a step where the kernel cannot.
    #[default]
    System,
    /// The daemon by slewing.
    Slew,
    /// The daemon by a step.
    Step,
    /// Nobody.
    Ignore,
}

/// Directives about leap seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leap {
    /// `leapsecmode`.
    pub mode: LeapMode,
    /// `leapsectz`: a time zone that has leap seconds.
    pub timezone: Option<String>,
    /// `leapseclist`: a list of leap seconds; wins over the time zone.
    pub list: Option<PathBuf>,
}
