//! Calendar time on the wire (`control-protocol.md` 3.2).

use crate::field::{DecodeError, Field, Reader, Writer};
use timewright_time::Timestamp;

/// High word sent by machines with 32-bit time; it means zero.
const HIGH_UNKNOWN: u32 = 0x7fff_ffff;

const NSEC_MAX: u32 = 999_999_999;

/// Seconds since 1970-01-01 UTC and nanoseconds. Wider than [`Timestamp`], because a report
/// must show whatever the other side sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timespec {
    /// Whole seconds, any sign.
    pub sec: i64,
    /// Nanoseconds within the second, 0..=999999999.
    pub nsec: u32,
}

impl Timespec {
    /// The instant in clock domain `D`; saturates outside the years 1677 to 2262.
    #[must_use]
    pub fn to_timestamp<D>(self) -> Timestamp<D> {
        Timestamp::from_parts(self.sec, i64::from(self.nsec))
    }
}

impl<D: Copy> From<Timestamp<D>> for Timespec {
    fn from(time: Timestamp<D>) -> Self {
        Self {
            sec: time.sec(),
            nsec: time.subsec_ns(),
        }
    }
}

impl Field for Timespec {
    const SIZE: usize = 12;

    fn put(&self, to: &mut Writer) {
        to.bytes(&self.sec.to_be_bytes());
        self.nsec.put(to);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (high, low, nsec) = (u32::take(from)?, u32::take(from)?, u32::take(from)?);
        let high = if high == HIGH_UNKNOWN { 0 } else { high };
        let words = u64::from(high) << 32 | u64::from(low);
        Ok(Self {
            sec: i64::from_be_bytes(words.to_be_bytes()),
            nsec: nsec.min(NSEC_MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: [u8; 12], sec: i64, nsec: u32) {
        let got = Timespec::take(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(got, Timespec { sec, nsec });
    }

    #[test]
    fn high_word_carries_the_sign_and_the_32_bit_mark() {
        check(
            [0, 0, 0, 0, 0x6b, 1, 0xfa, 0x0d, 0x15, 0x95, 0xf1, 0x37],
            1_795_291_661,
            362_148_151,
        );
        check([0xff; 12], -1, NSEC_MAX);
        check([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 7, 0, 0, 0, 1], 7, 1);
    }
}
