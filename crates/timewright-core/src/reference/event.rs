//! Messages of the reference, with their exact texts (`daemon-and-files.md` 8.2).

use crate::event::{Event, Severity};
use std::fmt;
use timewright_time::Seconds;
use timewright_time::text::Fixed;

/// Something the reference has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum ReferenceEvent {
    /// The drift file was read.
    DriftRead {
        /// Absolute frequency.
        frequency_ppm: f64,
        /// Its uncertainty.
        skew_ppm: f64,
        /// Path of the file.
        path: String,
    },
    /// The drift file holds something else.
    DriftUnreadable {
        /// Path of the file.
        path: String,
    },
    /// The clock came with a frequency correction.
    InitialFrequency {
        /// That frequency.
        ppm: f64,
    },
    /// An offset exceeds `maxchange`.
    ChangeRefused {
        /// Positive: the clock was fast.
        offset: Seconds,
        /// The limit.
        max: Seconds,
        /// Whether the daemon ends because of it.
        exiting: bool,
    },
    /// An offset exceeds `logchange`.
    ClockWrong {
        /// Positive: the clock was fast.
        offset: Seconds,
    },
    /// The result of `-q` and `-Q`.
    ClockWrongOnce {
        /// Positive: the clock was fast.
        offset: Seconds,
        /// Whether it is being corrected.
        step: bool,
    },
    /// The result of `initstepslew`.
    InitialOffset {
        /// Positive: the clock was fast.
        offset: Seconds,
        /// Whether it is corrected by a step.
        step: bool,
    },
    /// A special mode found no source.
    NoSource {
        /// Whether the mode was `initstepslew`.
        initstepslew: bool,
    },
    /// A leap second is being slewed out.
    LeapSlewed,
    /// The clock was stepped for a leap second.
    LeapStepped,
    /// A leap second is left to the other sources' offsets.
    LeapIgnored,
    /// A sample was not taken because a leap second is near.
    SampleDropped,
    /// The leap second list is in use.
    LeapListUsed(String),
    /// The leap seconds of a time zone are in use.
    LeapZoneUsed(String),
    /// The list does not know the leap seconds of 2012.
    LeapListFailed(String),
    /// The time zone does not know the leap seconds of 2012.
    LeapZoneFailed(String),
    /// The list has expired.
    LeapListExpired(String),
    /// The list could not be read.
    LeapListMissing(String),
    /// The list is damaged.
    LeapListDamaged(String),
    /// The local reference was switched on or off by command.
    LocalReference {
        /// On.
        enabled: bool,
    },
    /// `maxupdateskew` was changed by command.
    NewMaxUpdateSkew {
        /// The new limit.
        ppm: f64,
    },
    /// `makestep` was changed by command.
    NewMakeStep {
        /// The new threshold.
        threshold: Seconds,
        /// The new number of updates.
        limit: i32,
    },
}

impl ReferenceEvent {
    /// How urgent.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::DriftRead { .. }
            | Self::InitialFrequency { .. }
            | Self::ClockWrongOnce { .. }
            | Self::InitialOffset { .. }
            | Self::SampleDropped
            | Self::LeapListUsed(_)
            | Self::LeapZoneUsed(_)
            | Self::LocalReference { .. }
            | Self::NewMaxUpdateSkew { .. }
            | Self::NewMakeStep { .. } => Severity::Info,
            Self::DriftUnreadable { .. }
            | Self::ChangeRefused { .. }
            | Self::ClockWrong { .. }
            | Self::NoSource { .. }
            | Self::LeapSlewed
            | Self::LeapStepped
            | Self::LeapIgnored
            | Self::LeapListFailed(_)
            | Self::LeapZoneFailed(_)
            | Self::LeapListExpired(_) => Severity::Warning,
            Self::LeapListMissing(_) | Self::LeapListDamaged(_) => Severity::Error,
        }
    }
}

impl fmt::Display for ReferenceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DriftRead {
                frequency_ppm,
                skew_ppm,
                path,
            } => write!(
                f,
                "Frequency {} +/- {} ppm read from {path}",
                Fixed(*frequency_ppm, 3),
                Fixed(*skew_ppm, 3)
            ),
            Self::DriftUnreadable { path } => {
                write!(
                    f,
                    "Could not read valid frequency and skew from driftfile {path}"
                )
            }
            Self::InitialFrequency { ppm } => {
                write!(f, "Initial frequency {} ppm", Fixed(*ppm, 3))
            }
            // The space at the end is the reference's.
            Self::ChangeRefused {
                offset,
                max,
                exiting,
            } => write!(
                f,
                "Adjustment of {} seconds exceeds the allowed maximum of {} seconds ({}) ",
                Fixed(-offset.0, 3),
                Fixed(max.0, 3),
                if *exiting { "exiting" } else { "ignored" }
            ),
            Self::ClockWrong { offset } => {
                write!(f, "System clock wrong by {} seconds", Fixed(-offset.0, 6))
            }
            Self::ClockWrongOnce { offset, step } => write!(
                f,
                "System clock wrong by {} seconds ({})",
                Fixed(-offset.0, 6),
                if *step { "step" } else { "ignored" }
            ),
            Self::InitialOffset { offset, step } => write!(
                f,
                "System's initial offset : {} seconds {} of true ({})",
                Fixed(offset.0.abs(), 6),
                if offset.0 >= 0.0 { "fast" } else { "slow" },
                if *step { "step" } else { "slew" }
            ),
            Self::NoSource { initstepslew } => write!(
                f,
                "No suitable source for {}",
                if *initstepslew {
                    "initstepslew"
                } else {
                    "synchronisation"
                }
            ),
            Self::LeapSlewed => f.write_str("Adjusting system clock for leap second"),
            Self::LeapStepped => f.write_str("System clock was stepped for leap second"),
            Self::LeapIgnored => f.write_str("Ignoring leap second"),
            Self::SampleDropped => f.write_str("Dropping sample around leap second"),
            Self::LeapListUsed(path) => write!(f, "Using leap second list {path}"),
            Self::LeapZoneUsed(zone) => {
                write!(f, "Using {zone} timezone to obtain leap second data")
            }
            Self::LeapListFailed(path) => {
                write!(f, "Leap second list {path} failed check, ignoring")
            }
            Self::LeapZoneFailed(zone) => {
                write!(f, "Timezone {zone} failed leap second check, ignoring")
            }
            Self::LeapListExpired(path) => write!(f, "Leap second list {path} needs update"),
            Self::LeapListMissing(path) => write!(f, "Failed to open leap seconds list {path}"),
            Self::LeapListDamaged(path) => write!(f, "Failed to parse leap seconds list {path}"),
            Self::LocalReference { enabled } => write!(
                f,
                "{} local reference mode",
                if *enabled { "Enabled" } else { "Disabled" }
            ),
            Self::NewMaxUpdateSkew { ppm } => write!(f, "New maxupdateskew {} ppm", Fixed(*ppm, 6)),
            Self::NewMakeStep { threshold, limit } => {
                write!(f, "New makestep {} {limit}", Fixed(threshold.0, 6))
            }
        }
    }
}

impl From<ReferenceEvent> for Event {
    fn from(event: ReferenceEvent) -> Self {
        Self::new(event.severity(), event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReferenceEvent as E;
    use Severity::{Error, Info, Warning};

    #[test]
    fn texts_and_severities() {
        let s = Seconds;
        for (event, severity, text) in [
            (
                E::DriftRead {
                    frequency_ppm: 100.328_006,
                    skew_ppm: 0.04124,
                    path: "/d".into(),
                },
                Info,
                "Frequency 100.328 +/- 0.041 ppm read from /d",
            ),
            (
                E::DriftUnreadable { path: "/d".into() },
                Warning,
                "Could not read valid frequency and skew from driftfile /d",
            ),
            (
                E::InitialFrequency { ppm: -12.0 },
                Info,
                "Initial frequency -12.000 ppm",
            ),
            (
                E::ChangeRefused {
                    offset: s(2000.5),
                    max: s(1000.0),
                    exiting: true,
                },
                Warning,
                "Adjustment of -2000.500 seconds exceeds the allowed maximum of 1000.000 seconds (exiting) ",
            ),
            (
                E::ChangeRefused {
                    offset: s(-2.0),
                    max: s(1.0),
                    exiting: false,
                },
                Warning,
                "Adjustment of 2.000 seconds exceeds the allowed maximum of 1.000 seconds (ignored) ",
            ),
            (
                E::ClockWrong {
                    offset: s(10.013_055),
                },
                Warning,
                "System clock wrong by -10.013055 seconds",
            ),
            (
                E::ClockWrongOnce {
                    offset: s(1e-6),
                    step: false,
                },
                Info,
                "System clock wrong by -0.000001 seconds (ignored)",
            ),
            (
                E::ClockWrongOnce {
                    offset: s(-5.0),
                    step: true,
                },
                Info,
                "System clock wrong by 5.000000 seconds (step)",
            ),
            (
                E::InitialOffset {
                    offset: s(0.0),
                    step: true,
                },
                Info,
                "System's initial offset : 0.000000 seconds fast of true (step)",
            ),
            (
                E::InitialOffset {
                    offset: s(-1.5),
                    step: false,
                },
                Info,
                "System's initial offset : 1.500000 seconds slow of true (slew)",
            ),
            (
                E::NoSource { initstepslew: true },
                Warning,
                "No suitable source for initstepslew",
            ),
            (
                E::NoSource {
                    initstepslew: false,
                },
                Warning,
                "No suitable source for synchronisation",
            ),
            (
                E::LeapSlewed,
                Warning,
                "Adjusting system clock for leap second",
            ),
            (
                E::LeapStepped,
                Warning,
                "System clock was stepped for leap second",
            ),
            (E::LeapIgnored, Warning, "Ignoring leap second"),
            (E::SampleDropped, Info, "Dropping sample around leap second"),
            (
                E::LeapListUsed("/l".into()),
                Info,
                "Using leap second list /l",
            ),
            (
                E::LeapZoneUsed("right/UTC".into()),
                Info,
                "Using right/UTC timezone to obtain leap second data",
            ),
            (
                E::LeapListFailed("/l".into()),
                Warning,
                "Leap second list /l failed check, ignoring",
            ),
            (
                E::LeapZoneFailed("right/UTC".into()),
                Warning,
                "Timezone right/UTC failed leap second check, ignoring",
            ),
            (
                E::LeapListExpired("/l".into()),
                Warning,
                "Leap second list /l needs update",
            ),
            (
                E::LeapListMissing("/l".into()),
                Error,
                "Failed to open leap seconds list /l",
            ),
            (
                E::LeapListDamaged("/l".into()),
                Error,
                "Failed to parse leap seconds list /l",
            ),
            (
                E::LocalReference { enabled: true },
                Info,
                "Enabled local reference mode",
            ),
            (
                E::LocalReference { enabled: false },
                Info,
                "Disabled local reference mode",
            ),
            (
                E::NewMaxUpdateSkew { ppm: 5.5 },
                Info,
                "New maxupdateskew 5.500000 ppm",
            ),
            (
                E::NewMakeStep {
                    threshold: s(0.1),
                    limit: -1,
                },
                Info,
                "New makestep 0.100000 -1",
            ),
        ] {
            let event = Event::from(event);
            assert_eq!((event.severity, event.text.as_str()), (severity, text));
        }
    }
}
