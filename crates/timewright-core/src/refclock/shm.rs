//! The shared-memory segment in which other programs leave samples (`discipline.md` 13.7; drivers
//! 28 of ntpd's documentation).
//!
//! Only its bytes are looked at here; who attaches the segment hands over a copy, in the byte
//! order and layout of a 64-bit Linux:
//!
//! | offset | type | field | | offset | type | field |
//! |---|---|---|---|---|---|---|
//! | 0 | i32 | mode | | 36 | i32 | leap |
//! | 4 | i32 | count | | 40 | i32 | precision |
//! | 8 | i64 | device time, s | | 44 | i32 | number of samples |
//! | 16 | i32 | device time, us | | 48 | i32 | valid |
//! | 24 | i64 | system time, s | | 52 | i32 | device time, ns |
//! | 32 | i32 | system time, us | | 56 | i32 | system time, ns |
//!
//! Precision and number of samples are not used. A writer of mode 1 changes the count before and
//! after it writes, so that a copy made meanwhile can be told; one of mode 0 does not.

use super::DeviceReading;
use super::native::{i32_at, i64_at, instant};

/// Size of a segment, bytes.
pub const SIZE: usize = 96;

/// Where the count is, to be read again after the copy was made.
pub const COUNT: usize = 4;

/// Where the mark of a new sample is, to be set to 0 once the sample is taken.
pub const VALID: usize = 48;

const MODE: usize = 0;
const DEVICE: Moment = Moment {
    sec: 8,
    usec: 16,
    nsec: 52,
};
const SYSTEM: Moment = Moment {
    sec: 24,
    usec: 32,
    nsec: 56,
};
const LEAP: usize = 36;

/// The key of the segment of a unit, "NTP0" and up.
#[must_use]
pub const fn key(unit: i32) -> i32 {
    0x4e54_5030_i32.wrapping_add(unit)
}

/// Where the parts of a time are.
struct Moment {
    sec: usize,
    usec: usize,
    nsec: usize,
}

/// Parts of a time.
struct Parts {
    sec: i64,
    usec: i32,
    nsec: i32,
}

impl Moment {
    fn parts(&self, segment: &[u8; SIZE]) -> Parts {
        Parts {
            sec: i64_at(segment, self.sec),
            usec: i32_at(segment, self.usec),
            nsec: i32_at(segment, self.nsec),
        }
    }
}

impl Parts {
    /// Writers that do not know of nanoseconds leave others there than belong to the microseconds.
    const fn agree(&self) -> bool {
        self.nsec / 1000 == self.usec
    }

    fn nanoseconds(&self, precise: bool) -> i64 {
        if precise {
            i64::from(self.nsec)
        } else {
            1000 * i64::from(self.usec)
        }
    }
}

/// Whether the copy of a segment holds a sample that was not taken yet; `count` is the count that
/// was read after the copy.
#[must_use]
pub fn is_new(segment: &[u8; SIZE], count: i32) -> bool {
    let whole = match i32_at(segment, MODE) {
        0 => true,
        1 => i32_at(segment, COUNT) == count,
        _ => false,
    };
    whole && i32_at(segment, VALID) != 0
}

/// The sample of a segment; `None` if its times are none that a clock can show.
#[must_use]
pub fn reading(segment: &[u8; SIZE]) -> Option<DeviceReading> {
    let (device, system) = (DEVICE.parts(segment), SYSTEM.parts(segment));
    let precise = device.agree() && system.agree();
    Some(DeviceReading::Sample {
        system: instant(system.sec, system.nanoseconds(precise))?,
        reference: instant(device.sec, device.nanoseconds(precise))?,
        leap: i32_at(segment, LEAP),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use timewright_time::Timestamp;

    /// A segment with the given fields, the others 0.
    fn segment(fields: &[(usize, i64)]) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        for &(at, value) in fields {
            let field = value.to_ne_bytes();
            let field = if at == 8 || at == 24 {
                field.to_vec()
            } else {
                i32::try_from(value).unwrap().to_ne_bytes().to_vec()
            };
            bytes[at..at + field.len()].copy_from_slice(&field);
        }
        bytes
    }

    fn sample(system_ns: i64, reference_ns: i64, leap: i32) -> DeviceReading {
        DeviceReading::Sample {
            system: Timestamp::from_ns(system_ns),
            reference: Timestamp::from_ns(reference_ns),
            leap,
        }
    }

    #[test]
    fn keys_spell_the_name_and_unit() {
        assert_eq!(&key(0).to_be_bytes(), b"NTP0");
        assert_eq!(&key(3).to_be_bytes(), b"NTP3");
        assert_eq!(key(i32::MAX), i32::MIN + 0x4e54_502f);
    }

    #[test]
    fn only_whole_new_samples_are_taken() {
        for (mode, count, count_after, valid, want) in [
            (0, 7, 9, 1, true),
            (0, 7, 7, 0, false),
            (1, 7, 7, 1, true),
            (1, 7, 7, -1, true),
            (1, 7, 8, 1, false),
            (1, 7, 7, 0, false),
            (2, 7, 7, 1, false),
            (-1, 7, 7, 1, false),
        ] {
            let bytes = segment(&[(0, mode), (4, count), (48, valid)]);
            assert_eq!(
                is_new(&bytes, count_after),
                want,
                "mode {mode}, count {count} then {count_after}, valid {valid}"
            );
        }
    }

    #[test]
    fn nanoseconds_count_if_they_belong_to_both_microseconds() {
        let read = |device_ns, system_ns, leap| {
            let bytes = segment(&[
                (8, 1_800_000_001),
                (16, 250_000),
                (24, 1_800_000_000),
                (32, 500_000),
                (52, device_ns),
                (56, system_ns),
                (36, leap),
            ]);
            reading(&bytes).unwrap()
        };
        let (system, device) = (1_800_000_000_500_000_000, 1_800_000_001_250_000_000);
        assert_eq!(
            read(250_000_123, 500_000_999, 1),
            sample(system + 999, device + 123, 1)
        );
        // Not written, and of one time only.
        assert_eq!(read(0, 0, 0), sample(system, device, 0));
        assert_eq!(read(250_000_123, 0, 7), sample(system, device, 7));
        assert_eq!(read(0, 500_000_999, -2), sample(system, device, -2));
    }

    #[test]
    fn parts_beyond_a_second_are_carried() {
        let bytes = segment(&[(8, 10), (16, 1_500_000), (24, 10), (32, -1)]);
        assert_eq!(
            reading(&bytes),
            Some(sample(9_999_999_000, 11_500_000_000, 0))
        );
    }

    #[test]
    fn impossible_times_are_no_sample() {
        for (at, seconds) in [
            (8, i64::MAX),
            (8, i64::MIN),
            (24, 1 << 40),
            (24, -(1 << 40)),
        ] {
            assert_eq!(reading(&segment(&[(at, seconds)])), None, "{at} {seconds}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(bytes: [u8; SIZE], count: i32) {
            let _ = is_new(&bytes, count);
            let _ = reading(&bytes);
        }
    }
}
