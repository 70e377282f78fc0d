//! Spans and rates: the two floating-point quantities of the engine.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A signed span of time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Seconds(pub f64);

/// A frequency error in seconds per second; positive means the clock gains.
///
/// Parts per million appear only in configuration, reports and the kernel call.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct FreqRatio(pub f64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0.0);

    /// The value in seconds.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The magnitude.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// The larger of two spans; a NaN loses against a number.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The smaller of two spans; a NaN loses against a number.
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// Whether the span is neither infinite nor NaN.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

impl FreqRatio {
    /// No frequency error.
    pub const ZERO: Self = Self(0.0);

    /// From parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: f64) -> Self {
        Self(ppm * 1e-6)
    }

    /// In parts per million.
    #[must_use]
    pub const fn ppm(self) -> f64 {
        self.0 * 1e6
    }

    /// The value in seconds per second.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// `2^log2` seconds, with the exponent limited to ±31 (`discipline.md`, notation).
#[must_use]
pub fn log2_to_seconds(log2: i32) -> Seconds {
    Seconds(2f64.powi(log2.clamp(-31, 31)))
}

impl Add for Seconds {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Seconds {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl AddAssign for Seconds {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Seconds {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl Neg for Seconds {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul<f64> for Seconds {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl Mul<FreqRatio> for Seconds {
    type Output = Self;
    fn mul(self, rate: FreqRatio) -> Self {
        Self(self.0 * rate.0)
    }
}

impl Div<f64> for Seconds {
    type Output = Self;
    fn div(self, divisor: f64) -> Self {
        Self(self.0 / divisor)
    }
}

impl Div for Seconds {
    type Output = f64;
    fn div(self, other: Self) -> f64 {
        self.0 / other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppm_round_trips() {
        assert!((FreqRatio::from_ppm(-21.077).ppm() + 21.077).abs() < 1e-9);
    }

    #[test]
    fn poll_exponents_are_limited() {
        for (log2, want) in [
            (6, 64.0),
            (-7, 0.0078125),
            (40, 2147483648.0),
            (-40, 2f64.powi(-31)),
        ] {
            assert!(
                (log2_to_seconds(log2).0 - want).abs() < f64::EPSILON * want,
                "{log2}"
            );
        }
    }
}
