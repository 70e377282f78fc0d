//! The message in which other programs send samples to a socket (`discipline.md` 13.7; described
//! with the SOCK driver in chrony's manual page of its configuration file).
//!
//! In the byte order and layout of a 64-bit Linux:
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | i64 | system time, s |
//! | 8 | i64 | system time, us |
//! | 16 | f64 | true minus system time, s |
//! | 24 | i32 | not 0: a pulse |
//! | 28 | i32 | leap |
//! | 32 | i32 | padding |
//! | 36 | i32 | [`MAGIC`] |

use super::DeviceReading;
use super::native::{f64_at, i32_at, i64_at, instant};
use timewright_time::{Raw, Seconds, Timestamp};

/// Size of a message, bytes.
pub const SIZE: usize = 40;

/// What ends a message, "SOCK".
pub const MAGIC: i32 = 0x534f_434b;

const SEC: usize = 0;
const USEC: usize = 8;
const OFFSET: usize = 16;
const PULSE: usize = 24;
const LEAP: usize = 28;
const MAGIC_AT: usize = 36;

/// What a message says; `None` if it is none, or its time or offset cannot be.
#[must_use]
pub fn reading(message: &[u8]) -> Option<DeviceReading> {
    let message: &[u8; SIZE] = message.try_into().ok()?;
    if i32_at(message, MAGIC_AT) != MAGIC {
        return None;
    }
    let nanoseconds = i64_at(message, USEC).checked_mul(1000)?;
    let system: Timestamp<Raw> = instant(i64_at(message, SEC), nanoseconds)?;
    let offset = Seconds(f64_at(message, OFFSET));
    if !offset.0.is_finite() {
        return None;
    }
    if i32_at(message, PULSE) != 0 {
        return Some(DeviceReading::Pulse {
            time: system,
            second: offset,
        });
    }
    Some(DeviceReading::Sample {
        system,
        reference: Timestamp::from_ns((system + offset).ns()),
        leap: i32_at(message, LEAP),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(sec: i64, usec: i64, offset: f64, [pulse, leap, pad, magic]: [i32; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(sec.to_ne_bytes());
        bytes.extend(usec.to_ne_bytes());
        bytes.extend(offset.to_ne_bytes());
        for field in [pulse, leap, pad, magic] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn samples_and_pulses() {
        let read = |fields| reading(&message(1_800_000_000, 250_000, -0.75, fields));
        let system = Timestamp::from_ns(1_800_000_000_250_000_000);
        let sample = |leap| {
            Some(DeviceReading::Sample {
                system,
                reference: Timestamp::from_ns(1_799_999_999_500_000_000),
                leap,
            })
        };
        assert_eq!(read([0, 0, 0, MAGIC]), sample(0));
        assert_eq!(read([0, 2, -1, MAGIC]), sample(2));
        let pulse = Some(DeviceReading::Pulse {
            time: system,
            second: Seconds(-0.75),
        });
        assert_eq!(read([1, 0, 0, MAGIC]), pulse);
        assert_eq!(read([-5, 1, 0, MAGIC]), pulse);
    }

    #[test]
    fn anything_else_is_no_message() {
        let good = message(1_800_000_000, 0, 0.1, [0, 0, 0, MAGIC]);
        assert!(reading(&good).is_some());
        for length in (0..SIZE).chain([SIZE + 1, 2048]) {
            let mut other = good.clone();
            other.resize(length, 0);
            assert_eq!(reading(&other), None, "{length}");
        }
        for magic in [0, MAGIC.swap_bytes(), MAGIC + 1] {
            let other = message(1_800_000_000, 0, 0.1, [0, 0, 0, magic]);
            assert_eq!(reading(&other), None, "{magic:x}");
        }
        for offset in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for pulse in [0, 1] {
                let other = message(1_800_000_000, 0, offset, [pulse, 0, 0, MAGIC]);
                assert_eq!(reading(&other), None, "{offset}");
            }
        }
        for (sec, usec) in [
            (i64::MAX, 0),
            (i64::MIN, 0),
            (0, i64::MAX),
            (0, i64::MIN),
            (9_300_000_000, 0),
        ] {
            let other = message(sec, usec, 0.1, [0, 0, 0, MAGIC]);
            assert_eq!(reading(&other), None, "{sec} {usec}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = reading(&bytes);
        }

        #[test]
        fn any_fields_are_handled(sec: i64, usec: i64, offset: f64, pulse: i32, leap: i32) {
            let _ = reading(&message(sec, usec, offset, [pulse, leap, 0, MAGIC]));
        }
    }
}
