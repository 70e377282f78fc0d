//! NTP number formats (RFC 5905 section 6): 32.32 timestamps and the short formats.
//!
//! The era of a timestamp is resolved once, where it enters, against a pivot:
//! the first Unix second of the 2^32 s window to which NTP time maps.

use crate::instant::NS_PER_S;
use crate::{Seconds, Timestamp};

/// Seconds from 1900-01-01 to 1970-01-01.
pub const NTP_UNIX_OFFSET_S: i64 = 2_208_988_800;

/// Units of 2^-32 s in a nanosecond; the reference truncates `nsec * 4.294967296`.
const FRACTION_PER_NS: f64 = 4.294_967_296;

/// A 64-bit NTP timestamp, seconds and 2^-32 s fraction, without an era. Zero means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTimestamp(pub u64);

/// Unsigned 16.16 seconds: root delay and root dispersion on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpShort(pub u32);

/// Unsigned 4.28 seconds: the finer root values of the experimental extension field
/// (`ntp-engine.md` 1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpShort28(pub u32);

impl NtpTimestamp {
    /// The unknown time.
    pub const ZERO: Self = Self(0);

    /// Whether this is the unknown time.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// From an instant; the era is dropped, the unknown time stays unknown.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the era is dropped on purpose; the fraction is below 2^32"
    )]
    pub fn from_timestamp<D: Copy>(t: Timestamp<D>) -> Self {
        if t.is_zero() {
            return Self::ZERO;
        }
        let hi = (t.sec() + NTP_UNIX_OFFSET_S) as u32;
        let lo = (f64::from(t.subsec_ns()) * FRACTION_PER_NS) as u32;
        Self(u64::from(hi) << 32 | u64::from(lo))
    }

    /// To an instant in the window of 2^32 s that starts at Unix second `era_s`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "arithmetic modulo 2^32 is the definition"
    )]
    pub fn to_timestamp<D>(self, era_s: i64) -> Timestamp<D> {
        if self.is_zero() {
            return Timestamp::ZERO;
        }
        let hi = (self.0 >> 32) as u32;
        let since_era = hi.wrapping_sub((era_s + NTP_UNIX_OFFSET_S) as u32);
        let ns = (f64::from(self.0 as u32) / FRACTION_PER_NS) as i64;
        Timestamp::from_ns((era_s + i64::from(since_era)).saturating_mul(NS_PER_S) + ns)
    }

    /// `self - other`, right for spans up to 68 years across era boundaries.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "signed 32-bit difference is the definition"
    )]
    pub fn difference(self, other: Self) -> Seconds {
        let hi = ((self.0 >> 32) as u32).wrapping_sub((other.0 >> 32) as u32) as i32;
        let lo = f64::from(self.0 as u32) - f64::from(other.0 as u32);
        Seconds(f64::from(hi) + lo / 4_294_967_296.0)
    }

    /// Whether `self` is later than `other`, by the signed difference of the seconds and then
    /// the fraction.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "signed 32-bit difference is the definition"
    )]
    pub fn is_after(self, other: Self) -> bool {
        let hi = ((self.0 >> 32) as u32).wrapping_sub((other.0 >> 32) as u32) as i32;
        hi > 0 || (hi == 0 && self.0 as u32 > other.0 as u32)
    }
}

/// Unsigned fixed point from seconds: zero or less and NaN give 0, too large gives the maximum,
/// anything else rounds up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate; negative values were excluded"
)]
fn fixed_from_seconds(s: Seconds, scale: f64) -> u32 {
    if s.0 > 0.0 {
        (s.0 * scale).ceil() as u32
    } else {
        0
    }
}

impl NtpShort {
    const SCALE: f64 = 65_536.0;

    /// From seconds, rounded up and limited to 0..2^16 s.
    #[must_use]
    pub fn from_seconds(s: Seconds) -> Self {
        Self(fixed_from_seconds(s, Self::SCALE))
    }

    /// In seconds, 0..2^16.
    #[must_use]
    pub fn to_seconds(self) -> Seconds {
        Seconds(f64::from(self.0) / Self::SCALE)
    }
}

impl NtpShort28 {
    const SCALE: f64 = 268_435_456.0;

    /// From seconds, rounded up and limited to 0..16 s.
    #[must_use]
    pub fn from_seconds(s: Seconds) -> Self {
        Self(fixed_from_seconds(s, Self::SCALE))
    }

    /// In seconds; the largest value stands for "infinite" and becomes the 16.16 maximum.
    #[must_use]
    pub fn to_seconds(self) -> Seconds {
        if self.0 == u32::MAX {
            NtpShort(u32::MAX).to_seconds()
        } else {
            Seconds(f64::from(self.0) / Self::SCALE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cooked;
    use proptest::prelude::*;

    const ERA_S: i64 = 200_000_000;

    #[test]
    fn short_formats_round_up_and_saturate() {
        for (s, want) in [
            (0.0, 0),
            (-1.0, 0),
            (f64::NAN, 0),
            (1e-9, 1),
            (1.0, 65536),
            (1e9, u32::MAX),
        ] {
            assert_eq!(NtpShort::from_seconds(Seconds(s)).0, want, "{s}");
        }
        assert_eq!(
            NtpShort28(u32::MAX).to_seconds(),
            NtpShort(u32::MAX).to_seconds()
        );
    }

    #[test]
    fn era_is_resolved_against_the_pivot() {
        let first_of_era_1 = NtpTimestamp(1 << 32);
        let t: Timestamp<Cooked> = first_of_era_1.to_timestamp(ERA_S);
        assert_eq!(t.sec(), (1 << 32) + 1 - NTP_UNIX_OFFSET_S);
    }

    #[test]
    fn order_and_difference_work_across_eras() {
        let late = NtpTimestamp(u64::MAX);
        let early = NtpTimestamp(5);
        assert!(early.is_after(late) && !late.is_after(early));
        assert!(early.difference(late).0 > 0.0 && early.difference(late).0 < 1e-8);
    }

    proptest! {
        #[test]
        fn timestamps_round_trip_to_the_nanosecond(
            ns in ERA_S * NS_PER_S..(ERA_S + (1 << 32)) * NS_PER_S
        ) {
            let t = Timestamp::<Cooked>::from_ns(ns);
            let back: Timestamp<Cooked> = NtpTimestamp::from_timestamp(t).to_timestamp(ERA_S);
            prop_assert!((back.ns() - ns).abs() <= 1, "{} {}", back.ns(), ns);
        }
    }
}
