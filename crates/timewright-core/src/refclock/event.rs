//! What reference clocks have to say: messages and lines of `refclocks.log`.

use super::driver_sample::Candidate;
use crate::event::{Event, Severity};
use crate::reference::leap_letter;
use crate::stats::Sample;
use std::fmt;
use timewright_time::text::{Exp, Utc};
use timewright_time::{Cooked, Seconds, Timestamp};
use timewright_wire::Leap;

/// A message (`daemon-and-files.md` 8.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefclockEvent {
    /// Option `lock` names no other reference clock.
    InvalidLock {
        /// The name.
        refid: String,
    },
    /// Pulses cannot follow the other clock, which is read too seldom.
    LockageTooSmall {
        /// The clock with the pulses.
        clock: String,
        /// The clock it is locked to.
        lock: String,
    },
    /// Too much time passed between two pulses of a `local` clock.
    LostLock,
}

impl fmt::Display for RefclockEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLock { refid } => write!(f, "Invalid lock refid {refid}"),
            Self::LockageTooSmall { clock, lock } => {
                write!(f, "{clock} maxlockage too small for {lock}")
            }
            Self::LostLock => f.write_str("Local refclock lost lock"),
        }
    }
}

impl From<RefclockEvent> for Event {
    fn from(event: RefclockEvent) -> Self {
        Self::new(Severity::Warning, event)
    }
}

/// A line of `refclocks.log` (`discipline.md` 13.9). Offsets are positive when our clock is slow.
#[derive(Clone, Debug, PartialEq)]
pub struct RefclockRecord {
    name: String,
    time: Timestamp<Cooked>,
    leap: Leap,
    offset: Seconds,
    dispersion: Seconds,
    /// Only of raw samples.
    reading: Option<Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    /// Number within the poll interval.
    number: u64,
    pulse: bool,
    raw_offset: Seconds,
}

impl RefclockRecord {
    /// The column titles.
    pub const HEADER: &'static str =
        "   Date (UTC) Time         Refid  DP L P  Raw offset   Cooked offset      Disp.";

    /// A sample as it came from the device.
    pub(super) fn raw(name: String, number: u64, leap: Leap, sample: &Candidate) -> Self {
        Self {
            name,
            time: sample.time,
            leap,
            offset: sample.offset,
            dispersion: sample.dispersion,
            reading: Some(Reading {
                number,
                pulse: sample.pulse,
                raw_offset: sample.raw_offset,
            }),
        }
    }

    /// A sample as it goes to the source.
    pub(super) const fn filtered(name: String, leap: Leap, sample: &Sample) -> Self {
        Self {
            name,
            time: sample.time,
            leap,
            offset: sample.offset,
            dispersion: sample.peer_dispersion,
            reading: None,
        }
    }
}

impl fmt::Display for RefclockRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:06} {:<5} ",
            Utc::from_unix(self.time.sec()).log_stamp(),
            self.time.subsec_ns() / 1000,
            self.name
        )?;
        let leap = leap_letter(self.leap);
        match self.reading {
            Some(reading) => write!(
                f,
                "{:3} {leap} {} {:>13}",
                reading.number,
                u8::from(reading.pulse),
                Exp(reading.raw_offset.0, 6)
            )?,
            None => write!(f, "  - {leap} -       -      ")?,
        }
        let (offset, dispersion) = (Exp(self.offset.0, 6), Exp(self.dispersion.0, 3));
        write!(f, " {offset:>13} {dispersion:>10}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_columns_of_the_header() {
        let time = Timestamp::from_parts(1_262_304_010, 12_345_999);
        let line = |leap, reading| RefclockRecord {
            name: "PPS1".to_owned(),
            time,
            leap,
            offset: Seconds(-1.25e-6),
            dispersion: Seconds(1.5e-7),
            reading,
        };
        let reading = Reading {
            number: 7,
            pulse: true,
            raw_offset: Seconds(0.1),
        };
        for (line, want) in [
            (
                line(Leap::Normal, Some(reading)),
                "2010-01-01 00:00:10.012345 PPS1    7 N 1  1.000000e-01 -1.250000e-06  1.500e-07",
            ),
            (
                line(Leap::Unsynchronised, None),
                "2010-01-01 00:00:10.012345 PPS1    - ? -       -       -1.250000e-06  1.500e-07",
            ),
        ] {
            assert_eq!(line.to_string(), want);
            assert_eq!(RefclockRecord::HEADER.len(), want.len());
        }
    }
}
