//! What a change of the clock means for the rest of the engine, as values.

use crate::clock::Clock;
use crate::event::{Event, Severity};
use crate::reference::{Mode, TrackingRecord};
use crate::rng::Rng;
use std::fmt;
use timewright_time::text::Fixed;
use timewright_time::{Cooked, Now, Raw, Seconds, Timestamp};

/// Why stored local times have to be moved (`discipline.md` 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The frequency changed, an offset is being slewed out, or both.
    Adjust,
    /// The clock was stepped by a known amount; also a leap second corrected by us.
    Step,
    /// The clock was stepped by something else or not watched for a while, or all sources are to
    /// be reset: what was measured before does not hold any more.
    UnknownStep,
}

/// A change of the clock's parameters: whoever stores local times moves them by
/// [`Timestamp::adjusted`]`(cooked, dfreq, doffset)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockChange {
    /// Counts the changes of one [`LocalClock`](super::LocalClock), from 1. A store that was told
    /// of a change already can recognise it.
    pub seq: u64,
    /// Raw time of the change.
    pub raw: Timestamp<Raw>,
    /// Cooked time of the change, before it took effect.
    pub cooked: Timestamp<Cooked>,
    /// Relative change of frequency, s/s; positive: the clock was found to be fast.
    pub dfreq: f64,
    /// Offset removed, now (a step) or by slewing; positive: the clock was fast.
    pub doffset: Seconds,
    /// What kind of change.
    pub kind: ChangeKind,
}

/// What the served-time smoothing has to be told besides the clock changes
/// (`discipline.md` 10.3, 10.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SmoothingCommand {
    /// The clock is being stepped: forget what was being smoothed.
    Reset {
        /// Cooked time before the step.
        now: Timestamp<Cooked>,
    },
    /// The clock is corrected for a leap second by us.
    Leap {
        /// Cooked time.
        now: Timestamp<Cooked>,
        /// +1 for an inserted, -1 for a deleted second.
        leap: i8,
    },
}

/// One consequence of an operation; the engine takes them in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To every store of local times. [`Reference`](crate::reference::Reference) knows the
    /// changes it caused itself; telling it again does nothing.
    Changed(ClockChange),
    /// The system clock was stepped just now; positive: it was moved back. Comes before the
    /// [`Effect::Changed`] it belongs to.
    Stepped(Seconds),
    /// So much uncertainty was added to the clock: add it to the dispersions of stored samples
    /// of sources and reference clock filters.
    Dispersed(Seconds),
    /// To the served-time smoothing; comes before the [`Effect::Changed`] it belongs to.
    Smoothing(SmoothingCommand),
    /// A message.
    Log(Event),
    /// A line for `tracking.log`.
    Tracking(TrackingRecord),
    /// New content of the drift file.
    WriteDriftFile(String),
    /// Tell somebody by mail (`mailonchange`).
    Mail(MailNotice),
    /// A special mode (`-q`, `-Q`, `initstepslew`) is over, or the daemon has to end because of
    /// `maxchange`. No updates are taken any more until the mode is set again.
    EndMode {
        /// The mode that ended; [`Mode::Normal`] if an offset exceeded `maxchange`.
        mode: Mode,
        /// Whether it reached its purpose.
        ok: bool,
    },
    /// The reference data may have changed: publish a new snapshot.
    ReferenceChanged,
}

/// The consequences of one input, in order.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Appends a message.
    pub fn log(&mut self, event: impl Into<Event>) {
        self.push(Effect::Log(event.into()));
    }

    /// Takes all, oldest first.
    pub fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.list)
    }

    /// The effects since the list had `len` entries.
    pub(crate) fn since(&self, len: usize) -> &[Effect] {
        self.list.get(len..).unwrap_or(&[])
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What an operation on the clock needs besides its arguments.
pub struct Cx<'a> {
    /// The time of the wake-up. Deadlines are counted from its `mono`; a step moves its `raw`
    /// along, so the caller takes it from here afterwards.
    pub now: Now,
    /// The adjustable clock.
    pub clock: &'a mut dyn Clock,
    /// Randomness.
    pub rng: &'a mut dyn Rng,
    /// Where consequences go.
    pub out: &'a mut Effects,
}

/// Messages of the local clock layer and its smaller functions
/// (`daemon-and-files.md` 8.2).
#[derive(Clone, Debug, PartialEq)]
pub enum DisciplineEvent {
    /// The wanted frequency was limited to `maxdrift`.
    FrequencyLimited {
        /// The wanted absolute frequency.
        ppm: f64,
    },
    /// An offset would move the clock out of the range of NTP time.
    OffsetInvalid {
        /// Positive: the clock was said to be fast.
        offset: Seconds,
    },
    /// The system refused to set the clock.
    StepFailed,
    /// The clock was stepped.
    Stepped {
        /// What was added to the clock.
        by: Seconds,
    },
    /// The clock went back without our doing.
    BackwardJump,
    /// The clock went ahead without our doing.
    ForwardJump,
    /// The machine slept.
    Suspended {
        /// How long, as the kernel knows it.
        length: Seconds,
    },
    /// The machine, or this process, stood still while the clocks went on.
    Paused {
        /// How late it woke up.
        length: Seconds,
    },
    /// A temperature gave an unlikely compensation, which was not applied.
    CompensationRefused {
        /// The compensation.
        ppm: f64,
    },
    /// The temperature sensor could not be read.
    TemperatureUnreadable {
        /// Path of the sensor.
        path: String,
    },
    /// A time given by hand leads to a correction.
    ManualSlew {
        /// Frequency change, if two or more times are known.
        frequency_ppm: Option<f64>,
        /// The offset to remove; positive: the clock was fast.
        offset: Seconds,
    },
    /// Smoothing of served time began.
    SmoothingActivated {
        /// Only for leap seconds.
        leap_only: bool,
    },
    /// Smoothing of served time was reset.
    SmoothingReset,
}

impl DisciplineEvent {
    /// How urgent.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::FrequencyLimited { .. }
            | Self::OffsetInvalid { .. }
            | Self::Stepped { .. }
            | Self::BackwardJump
            | Self::ForwardJump
            | Self::Suspended { .. }
            | Self::Paused { .. }
            | Self::CompensationRefused { .. }
            | Self::TemperatureUnreadable { .. } => Severity::Warning,
            Self::StepFailed => Severity::Error,
            Self::ManualSlew { .. } | Self::SmoothingActivated { .. } | Self::SmoothingReset => {
                Severity::Info
            }
        }
    }
}

impl fmt::Display for DisciplineEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrequencyLimited { ppm } => {
                write!(
                    f,
                    "Frequency {} ppm exceeds allowed maximum",
                    Fixed(*ppm, 1)
                )
            }
            Self::OffsetInvalid { offset } => {
                write!(
                    f,
                    "Adjustment of {} seconds is invalid",
                    Fixed(-offset.0, 1)
                )
            }
            Self::StepFailed => f.write_str("Could not step system clock"),
            Self::Stepped { by } => {
                write!(f, "System clock was stepped by {} seconds", Fixed(by.0, 6))
            }
            Self::BackwardJump => f.write_str("Backward time jump detected!"),
            Self::ForwardJump => f.write_str("Forward time jump detected!"),
            Self::Suspended { length } => {
                write!(f, "Suspend of {} seconds detected", Fixed(length.0, 3))
            }
            Self::Paused { length } => {
                write!(f, "Pause of {} seconds detected", Fixed(length.0, 3))
            }
            Self::CompensationRefused { ppm } => write!(
                f,
                "Temperature compensation of {} ppm exceeds sanity limit of 10.0",
                Fixed(*ppm, 3)
            ),
            Self::TemperatureUnreadable { path } => {
                write!(f, "Could not read temperature from {path}")
            }
            Self::ManualSlew {
                frequency_ppm: Some(ppm),
                offset,
            } => write!(
                f,
                "Making a frequency change of {} ppm and a slew of {}",
                Fixed(*ppm, 3),
                Fixed(offset.0, 6)
            ),
            Self::ManualSlew {
                frequency_ppm: None,
                offset,
            } => {
                write!(f, "Making a slew of {}", Fixed(offset.0, 6))
            }
            Self::SmoothingActivated { leap_only } => {
                let suffix = if *leap_only {
                    " (leap seconds only)"
                } else {
                    ""
                };
                write!(f, "Activated time smoothing{suffix}")
            }
            Self::SmoothingReset => f.write_str("Reset time smoothing"),
        }
    }
}

impl From<DisciplineEvent> for Event {
    fn from(event: DisciplineEvent) -> Self {
        Self::new(event.severity(), event)
    }
}

/// A mail about a large correction (`mailonchange`, `discipline.md` 8.14).
#[derive(Clone, Debug, PartialEq)]
pub struct MailNotice {
    /// Whom to tell.
    pub user: String,
    /// What will be added to the clock.
    pub adjustment: Seconds,
    /// The reporting threshold.
    pub threshold: Seconds,
    /// Raw time of the correction, for the local date in the text.
    pub raw: Timestamp<Raw>,
}

impl MailNotice {
    /// The message, headers included, as the mailer reads it.
    ///
    /// `date` and `clock` are the local renderings of [`MailNotice::raw`] by
    /// `%A, %d %B %Y` and `%H:%M:%S (%Z)`; `host` is this machine's name, if known.
    #[must_use]
    pub fn message(&self, host: Option<&str>, date: &str, clock: &str) -> String {
        let Self {
            user,
            adjustment,
            threshold,
            ..
        } = self;
        format!(
            "To: {user}\n\
             Subject: chronyd reports change to system clock on node [{}]\n\
             \n\
             On {date}\n  with the system clock reading {clock}\n\
             \n\
             chronyd started to apply an adjustment of {} seconds to it,\n  \
             which exceeded the reporting threshold of {} seconds\n\n",
            host.unwrap_or("<UNKNOWN>"),
            Fixed(adjustment.0, 3),
            Fixed(threshold.0, 3),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_severities() {
        for (event, severity, text) in [
            (
                DisciplineEvent::FrequencyLimited { ppm: 600_000.04 },
                Severity::Warning,
                "Frequency 600000.0 ppm exceeds allowed maximum",
            ),
            (
                DisciplineEvent::OffsetInvalid {
                    offset: Seconds(5e9),
                },
                Severity::Warning,
                "Adjustment of -5000000000.0 seconds is invalid",
            ),
            (
                DisciplineEvent::StepFailed,
                Severity::Error,
                "Could not step system clock",
            ),
            (
                DisciplineEvent::Stepped {
                    by: Seconds(-10.013_055),
                },
                Severity::Warning,
                "System clock was stepped by -10.013055 seconds",
            ),
            (
                DisciplineEvent::BackwardJump,
                Severity::Warning,
                "Backward time jump detected!",
            ),
            (
                DisciplineEvent::ForwardJump,
                Severity::Warning,
                "Forward time jump detected!",
            ),
            (
                DisciplineEvent::Suspended {
                    length: Seconds(3.25),
                },
                Severity::Warning,
                "Suspend of 3.250 seconds detected",
            ),
            (
                DisciplineEvent::Paused {
                    length: Seconds(15.0),
                },
                Severity::Warning,
                "Pause of 15.000 seconds detected",
            ),
            (
                DisciplineEvent::CompensationRefused { ppm: 10.5 },
                Severity::Warning,
                "Temperature compensation of 10.500 ppm exceeds sanity limit of 10.0",
            ),
            (
                DisciplineEvent::TemperatureUnreadable { path: "/t".into() },
                Severity::Warning,
                "Could not read temperature from /t",
            ),
            (
                DisciplineEvent::ManualSlew {
                    frequency_ppm: Some(1.5),
                    offset: Seconds(0.25),
                },
                Severity::Info,
                "Making a frequency change of 1.500 ppm and a slew of 0.250000",
            ),
            (
                DisciplineEvent::ManualSlew {
                    frequency_ppm: None,
                    offset: Seconds(0.0),
                },
                Severity::Info,
                "Making a slew of 0.000000",
            ),
            (
                DisciplineEvent::SmoothingActivated { leap_only: true },
                Severity::Info,
                "Activated time smoothing (leap seconds only)",
            ),
            (
                DisciplineEvent::SmoothingActivated { leap_only: false },
                Severity::Info,
                "Activated time smoothing",
            ),
            (
                DisciplineEvent::SmoothingReset,
                Severity::Info,
                "Reset time smoothing",
            ),
        ] {
            let event = Event::from(event);
            assert_eq!((event.severity, event.text.as_str()), (severity, text));
        }
    }

    #[test]
    fn mail_has_the_form_the_mailer_expects() {
        let notice = MailNotice {
            user: "root".into(),
            adjustment: Seconds(-1.5),
            threshold: Seconds(0.5),
            raw: Timestamp::ZERO,
        };
        assert_eq!(
            notice.message(None, "Friday, 01 January 2010", "00:00:10 (UTC)"),
            "To: root\nSubject: chronyd reports change to system clock on node [<UNKNOWN>]\n\n\
             On Friday, 01 January 2010\n  with the system clock reading 00:00:10 (UTC)\n\n\
             chronyd started to apply an adjustment of -1.500 seconds to it,\n  \
             which exceeded the reporting threshold of 0.500 seconds\n\n"
        );
    }
}
