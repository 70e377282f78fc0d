//! The protocol's own 32-bit floating-point format (`control-protocol.md` 3.1).
//!
//! A signed 7-bit exponent `e` above a signed 25-bit coefficient `c`, no hidden bit:
//! the value is `c * 2^(e - 25)`. Golden values are in the tests below.

const COEFFICIENT_BITS: i32 = 25;
const COEFFICIENT_MASK: u32 = (1 << COEFFICIENT_BITS) - 1;
/// Largest positive coefficient; a negative one may be one larger in magnitude.
const COEFFICIENT_MAX: u32 = (1 << (COEFFICIENT_BITS - 1)) - 1;
const EXPONENT_MAX: i32 = 63;
const EXPONENT_MIN: i32 = -64;
const EXPONENT_MASK: u32 = 0x7f;

/// The word for `value`; NaN becomes 0, magnitudes saturate near 4.6e18 and vanish below 2^-89.
///
/// From 0.5 upwards the lowest bit is dropped, not rounded, as in the reference.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "exponent and coefficient are within a few hundred and 2^26 by the checks before"
)]
pub fn encode(value: f64) -> u32 {
    if value.is_nan() {
        return 0;
    }
    let negative = value < 0.0;
    let magnitude = value.abs();
    let limit = COEFFICIENT_MAX + u32::from(negative);

    let (exponent, coefficient) = if magnitude < 1e-100 {
        (0, 0)
    } else if magnitude > 1e100 {
        (EXPONENT_MAX, limit)
    } else {
        let mut exponent = (magnitude.ln() / std::f64::consts::LN_2 + 1.0) as i32;
        let mut coefficient = (magnitude * 2f64.powi(COEFFICIENT_BITS - exponent) + 0.5) as u32;
        while coefficient > limit {
            coefficient >>= 1;
            exponent += 1;
        }
        if exponent > EXPONENT_MAX {
            (EXPONENT_MAX, limit)
        } else if exponent >= EXPONENT_MIN {
            (exponent, coefficient)
        } else if exponent + COEFFICIENT_BITS >= EXPONENT_MIN {
            (EXPONENT_MIN, coefficient >> (EXPONENT_MIN - exponent))
        } else {
            (0, 0)
        }
    };

    let signed = if negative {
        coefficient.wrapping_neg()
    } else {
        coefficient
    };
    (exponent as u32 & EXPONENT_MASK) << COEFFICIENT_BITS | signed & COEFFICIENT_MASK
}

/// The value of a word; every bit pattern has one.
#[must_use]
#[expect(
    clippy::cast_possible_wrap,
    reason = "shifting a word as signed extends the sign of each part"
)]
pub fn decode(word: u32) -> f64 {
    let exponent = (word as i32) >> COEFFICIENT_BITS;
    let unused = 32 - COEFFICIENT_BITS;
    let coefficient = ((word << unused) as i32) >> unused;
    f64::from(coefficient) * 2f64.powi(exponent - COEFFICIENT_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Value, word, decoded value (`control-protocol.md` 3.1).
    const GOLDEN: &[(f64, u32, f64)] = &[
        (0.0, 0x0000_0000, 0.0),
        (-0.0, 0x0000_0000, 0.0),
        (f64::NAN, 0x0000_0000, 0.0),
        (1.0, 0x0480_0000, 1.0),
        (-1.0, 0x0300_0000, -1.0),
        (0.5, 0x0280_0000, 0.5),
        (3.0, 0x06C0_0000, 3.0),
        (-4.0, 0x0700_0000, -4.0),
        (0.1, 0xFCCC_CCCD, 0.100_000_001_490_116_12),
        (-0.1, 0xFD33_3333, -0.100_000_001_490_116_12),
        (1.0 / 3.0, 0x00AA_AAAB, 0.333_333_343_267_440_8),
        (1e-6, 0xDC86_37BD, 9.999_999_974_752_427e-7),
        (1e-9, 0xC889_705F, 9.999_999_717_180_685e-10),
        (-1e-9, 0xC976_8FA1, -9.999_999_717_180_685e-10),
        (123.456, 0x10F6_E979, 123.456_001_281_738_28),
        (2000.0, 0x18FA_0000, 2000.0),
        (16_777_215.0, 0x32FF_FFFF, 16_777_215.0),
        (16_777_216.0, 0x3480_0000, 16_777_216.0),
        (33_554_431.0, 0x34FF_FFFF, 33_554_430.0),
        (1e10, 0x4695_02F9, 1e10),
        (1e-20, 0x805E_7284, 9.999_999_682_655_225e-21),
        (
            1.0 / (1u128 << 89) as f64,
            0x8000_0001,
            1.0 / (1u128 << 89) as f64,
        ),
        (1.0 / (1u128 << 90) as f64, 0x8000_0000, 0.0),
        (1e-30, 0x0000_0000, 0.0),
        (1e100, 0x7EFF_FFFF, 4.611_685_743_549_481e18),
        (f64::INFINITY, 0x7EFF_FFFF, 4.611_685_743_549_481e18),
        (-1e101, 0x7F00_0000, -4.611_686_018_427_388e18),
        (f64::NEG_INFINITY, 0x7F00_0000, -4.611_686_018_427_388e18),
    ];

    #[test]
    #[expect(clippy::float_cmp, reason = "decoding is exact")]
    fn golden_values() {
        for &(value, word, decoded) in GOLDEN {
            assert_eq!(encode(value), word, "{value:e}: {:08X}", encode(value));
            assert_eq!(decode(word), decoded, "{word:08X}");
        }
    }

    proptest! {
        #[test]
        fn every_word_decodes_and_encodes_again(word: u32) {
            let value = decode(word);
            prop_assert!(value.is_finite());
            let again = decode(encode(value));
            // 2^-23: from 0.5 upwards one of 24 bits may be dropped; a half step at the bottom.
            prop_assert!((again - value).abs() <= value.abs() * 2f64.powi(-23) + 2f64.powi(-90));
        }

        #[test]
        fn any_number_is_close(value in -1e18f64..1e18) {
            prop_assert!((decode(encode(value)) - value).abs() <= value.abs() * 2f64.powi(-23));
        }

        #[test]
        fn no_bit_pattern_panics(bits: u64) {
            let _ = decode(encode(f64::from_bits(bits)));
        }
    }
}
