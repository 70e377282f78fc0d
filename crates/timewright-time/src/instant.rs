//! Instants: integer nanoseconds in a named clock domain.

use crate::Seconds;
use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Sub};

pub(crate) const NS_PER_S: i64 = 1_000_000_000;

/// Domain of the system clock as read, or as the kernel stamped a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Raw;

/// Domain of the system clock corrected for the offset not yet slewed away:
/// our estimate of UTC. Samples, packets and reference times live here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cooked;

/// Nanoseconds since 1970-01-01 00:00:00 UTC (no leap seconds) in domain `D`; years 1677 to 2262.
///
/// Zero doubles as "unknown" where the reference does so (saved packet times).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp<D> {
    ns: i64,
    domain: PhantomData<D>,
}

/// Nanoseconds of a clock that is never stepped; timers and deadlines only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoTime {
    ns: i64,
}

/// The two clocks as read once, right after a wake-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers and intervals.
    pub mono: MonoTime,
    /// The system clock.
    pub raw: Timestamp<Raw>,
}

impl<D> Timestamp<D> {
    /// 1970-01-01, also "unknown".
    pub const ZERO: Self = Self {
        ns: 0,
        domain: PhantomData,
    };

    /// From nanoseconds since 1970.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self {
            ns,
            domain: PhantomData,
        }
    }

    /// From whole seconds since 1970 and nanoseconds; saturates at the ends of the range.
    #[must_use]
    pub const fn from_parts(sec: i64, nsec: i64) -> Self {
        Self::from_ns(sec.saturating_mul(NS_PER_S).saturating_add(nsec))
    }

    /// Nanoseconds since 1970.
    #[must_use]
    pub const fn ns(self) -> i64 {
        self.ns
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn sec(self) -> i64 {
        self.ns.div_euclid(NS_PER_S)
    }

    /// Nanoseconds within the second, 0..1e9.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "0..1e9 fits")]
    pub const fn subsec_ns(self) -> u32 {
        self.ns.rem_euclid(NS_PER_S) as u32
    }

    /// Whether this is the "unknown" value.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.ns == 0
    }

    /// Seconds since 1970 as a float (resolution about 0.24 µs today).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the caller asked for a float")]
    pub fn to_f64(self) -> f64 {
        self.ns.div_euclid(NS_PER_S) as f64 + 1e-9 * self.ns.rem_euclid(NS_PER_S) as f64
    }

    /// The instant after a change of the clock at `when` by frequency `dfreq` and offset
    /// `doffset`, and the amount added (`discipline.md` 1.2, *adjust*).
    #[must_use]
    pub fn adjusted(self, when: Self, dfreq: f64, doffset: f64) -> (Self, Seconds)
    where
        D: Copy,
    {
        let delta = Seconds((when - self).0 * dfreq - doffset);
        (self + delta, delta)
    }
}

impl Timestamp<Raw> {
    /// The cooked time for a known remaining correction (`cooked = raw + correction`).
    #[must_use]
    pub fn cook(self, correction: Seconds) -> Timestamp<Cooked> {
        Timestamp::<Cooked>::from_ns(self.ns) + correction
    }
}

impl Timestamp<Cooked> {
    /// The same number in the raw domain, for the few places where the two coincide:
    /// right after a step, and while nothing is left to slew.
    #[must_use]
    pub const fn assume_raw(self) -> Timestamp<Raw> {
        Timestamp::from_ns(self.ns)
    }
}

impl MonoTime {
    /// The arbitrary zero.
    pub const ZERO: Self = Self { ns: 0 };

    /// Far enough away never to be reached.
    pub const MAX: Self = Self { ns: i64::MAX };

    /// From nanoseconds.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self { ns }
    }

    /// Nanoseconds since the arbitrary zero.
    #[must_use]
    pub const fn ns(self) -> i64 {
        self.ns
    }

    /// The later of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Ord::max(self, other)
    }
}

/// Difference of two nanosecond counts in seconds: exact in integers, then rounded once.
#[expect(clippy::cast_precision_loss, reason = "one rounding is the contract")]
fn ns_difference(a: i64, b: i64) -> Seconds {
    let d = match a.checked_sub(b) {
        Some(d) => d as f64,
        None => (i128::from(a) - i128::from(b)) as f64,
    };
    Seconds(d / NS_PER_S as f64)
}

/// `ns + span`, the part below a second truncated as the reference does
/// (`discipline.md` 1.2, *add*); saturates, and ignores a NaN.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "float to integer casts saturate; whole seconds are exact"
)]
fn ns_add(ns: i64, span: Seconds) -> i64 {
    if span.0.is_nan() {
        return ns;
    }
    // Casts truncate towards zero, which is what is wanted.
    let whole = span.0 as i64;
    let sec = ns.div_euclid(NS_PER_S).saturating_add(whole);
    let nsec = (ns.rem_euclid(NS_PER_S) as f64 + 1e9 * (span.0 - whole as f64)) as i64;
    sec.saturating_mul(NS_PER_S).saturating_add(nsec)
}

impl<D> Sub for Timestamp<D> {
    type Output = Seconds;
    fn sub(self, other: Self) -> Seconds {
        ns_difference(self.ns, other.ns)
    }
}

impl<D> Add<Seconds> for Timestamp<D> {
    type Output = Self;
    fn add(self, span: Seconds) -> Self {
        Self::from_ns(ns_add(self.ns, span))
    }
}

impl<D> Sub<Seconds> for Timestamp<D> {
    type Output = Self;
    fn sub(self, span: Seconds) -> Self {
        self + -span
    }
}

impl<D: Copy> AddAssign<Seconds> for Timestamp<D> {
    fn add_assign(&mut self, span: Seconds) {
        *self = *self + span;
    }
}

impl Sub for MonoTime {
    type Output = Seconds;
    fn sub(self, other: Self) -> Seconds {
        ns_difference(self.ns, other.ns)
    }
}

impl Add<Seconds> for MonoTime {
    type Output = Self;
    fn add(self, span: Seconds) -> Self {
        Self {
            ns: ns_add(self.ns, span),
        }
    }
}

impl Sub<Seconds> for MonoTime {
    type Output = Self;
    fn sub(self, span: Seconds) -> Self {
        self + -span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_is_exact_to_the_nanosecond() {
        let a = Timestamp::<Raw>::from_parts(1_800_000_000, 7);
        let b = Timestamp::<Raw>::from_parts(1_799_999_999, 999_999_999);
        assert!(((a - b).0 - 8e-9).abs() < 1e-18);
    }

    #[test]
    fn add_truncates_below_a_nanosecond_and_borrows() {
        for (span, want) in [
            (1.5e-9, 1),
            (-1.0e-9, -1),
            (2.25, 2_250_000_000),
            (-0.25, -250_000_000),
        ] {
            assert_eq!(
                (Timestamp::<Cooked>::ZERO + Seconds(span)).ns(),
                want,
                "{span}"
            );
        }
        assert_eq!(
            Timestamp::<Raw>::from_ns(5) + Seconds(f64::NAN),
            Timestamp::from_ns(5)
        );
        assert_eq!(
            (Timestamp::<Raw>::from_ns(5) + Seconds(1e300)).ns(),
            i64::MAX
        );
    }

    #[test]
    fn adjust_moves_by_frequency_and_offset() {
        let when = Timestamp::<Cooked>::from_parts(100, 0);
        let (moved, delta) = Timestamp::from_parts(90, 0).adjusted(when, 1e-3, 0.5);
        assert!((delta.0 - (10.0 * 1e-3 - 0.5)).abs() < 1e-15);
        assert_eq!(moved.ns(), 89_510_000_000);
    }

    #[test]
    fn parts_of_times_before_1970() {
        let t = Timestamp::<Raw>::from_ns(-1);
        assert_eq!((t.sec(), t.subsec_ns()), (-1, 999_999_999));
    }
}
