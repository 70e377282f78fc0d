//! Settings of the reference, and what its updates are for.

use super::LocalReferenceConfig;
use timewright_config::{LeapMode, MakeStep, MaxChange};
use timewright_time::{FreqRatio, Seconds};

/// `driftfile`.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftConfig {
    /// Path, for messages only.
    pub path: String,
    /// Clock updates this far apart write it.
    pub interval: Seconds,
}

/// `mailonchange`.
#[derive(Clone, Debug, PartialEq)]
pub struct MailConfig {
    /// Whom to tell.
    pub user: String,
    /// Offsets larger than this are told.
    pub threshold: Seconds,
}

/// Settings of the reference.
#[derive(Clone, Debug)]
pub struct ReferenceConfig {
    /// `maxupdateskew`.
    pub max_update_skew: FreqRatio,
    /// `corrtimeratio`.
    pub correction_time_ratio: f64,
    /// `makestep`.
    pub make_step: MakeStep,
    /// `maxchange`.
    pub max_change: Option<MaxChange>,
    /// `logchange`.
    pub log_change: Seconds,
    /// `mailonchange`.
    pub mail: Option<MailConfig>,
    /// `driftfile`.
    pub drift: Option<DriftConfig>,
    /// `fallbackdrift`: exponents of the shortest and longest period.
    pub fallback_drift: (i32, i32),
    /// `leapsecmode`.
    pub leap_mode: LeapMode,
    /// `local`.
    pub local: Option<LocalReferenceConfig>,
}

impl Default for ReferenceConfig {
    fn default() -> Self {
        Self {
            max_update_skew: FreqRatio(1e-3),
            correction_time_ratio: 3.0,
            make_step: MakeStep {
                threshold: Seconds::ZERO,
                limit: 0,
            },
            max_change: None,
            log_change: Seconds(1.0),
            mail: None,
            drift: None,
            fallback_drift: (0, 0),
            leap_mode: LeapMode::System,
            local: None,
        }
    }
}

/// What updates are for (`discipline.md` 8.13).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    /// To discipline the clock.
    #[default]
    Normal,
    /// The first one corrects the clock at the start (`initstepslew`).
    InitStepSlew {
        /// Larger offsets are stepped.
        threshold: Seconds,
    },
    /// The first one steps the clock and ends the daemon (`-q`).
    UpdateOnce,
    /// The first one is printed and ends the daemon (`-Q`).
    PrintOnce,
    /// Nothing any more.
    Ignore,
}
