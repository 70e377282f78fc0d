//! The two number scanners of the language (`config.md`, "Number scanning").
//!
//! [`whole_int`] takes a complete word. [`Cursor`] works as C's `scanf` does: it converts the
//! longest prefix that is a number and leaves the rest, so `6iburst` is a number and an option.

use crate::lexical::{skip_space, split_word};

/// A whole word as a decimal integer.
///
/// A sign and leading zeros are allowed. `None` for anything else, also beyond 64 bits.
pub(crate) fn whole_int(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A position in a text that is scanned from left to right.
///
/// Every method skips leading white space, and a failed conversion consumes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `text`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// What has not been consumed, without leading white space.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        skip_space(self.rest)
    }

    /// Whether nothing but white space is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next word, up to white space.
    pub fn word(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = split_word(self.rest);
        if word.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    /// A signed decimal number (`%d`), reduced to 32 bits as C does.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "scanf stores the low 32 bits"
    )]
    pub fn int(&mut self) -> Option<i32> {
        let (sign, magnitude) = self.integer(10)?;
        let limit = if sign < 0 {
            i64::MIN.unsigned_abs()
        } else {
            i64::MAX.unsigned_abs()
        };
        let magnitude = magnitude.unwrap_or(u64::MAX).min(limit);
        let value = if sign < 0 {
            0i64.wrapping_sub_unsigned(magnitude)
        } else {
            magnitude.cast_signed()
        };
        Some(value as i32)
    }

    /// A signed decimal number (`%d`) that must lie in `min..=max` after the reduction to 32 bits.
    pub fn int_in(&mut self, min: i32, max: i32) -> Option<i32> {
        self.int().filter(|value| (min..=max).contains(value))
    }

    /// An unsigned decimal number (`%u`), reduced modulo 2^32; `-1` is 4294967295.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "scanf stores the low 32 bits"
    )]
    pub fn uint(&mut self) -> Option<u32> {
        self.ulong().map(|value| value as u32)
    }

    /// An unsigned decimal number (`%lu`): a minus sign negates modulo 2^64, overflow saturates.
    pub fn ulong(&mut self) -> Option<u64> {
        self.integer(10).map(signed_to_unsigned)
    }

    /// A hexadecimal number (`%x`) with an optional `0x`, reduced modulo 2^32.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "scanf stores the low 32 bits"
    )]
    pub fn hex(&mut self) -> Option<u32> {
        self.integer(16)
            .map(|number| signed_to_unsigned(number) as u32)
    }

    /// An octal number, as file permissions are written.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only the low bits are used"
    )]
    pub fn octal(&mut self) -> Option<u32> {
        self.integer(8)
            .map(|number| signed_to_unsigned(number) as u32)
    }

    /// A floating-point number (`%lf`): decimal, hexadecimal, `inf`, `infinity` or `nan`.
    pub fn float(&mut self) -> Option<f64> {
        let text = self.rest();
        let (value, used) = float_prefix(text)?;
        self.rest = text.get(used..)?;
        Some(value)
    }

    /// Sign and magnitude of an integer; a magnitude beyond 64 bits is `None`.
    fn integer(&mut self, radix: u32) -> Option<(i32, Option<u64>)> {
        let (sign, mut text) = split_sign(self.rest());
        if radix == 16
            && let [b'0', b'x' | b'X', digits @ ..] = text
        {
            text = digits;
        }
        let count = text
            .iter()
            .take_while(|byte| (**byte as char).is_digit(radix))
            .count();
        if count == 0 {
            return None;
        }
        let (digits, rest) = text.split_at(count);
        let magnitude = digits.iter().try_fold(0u64, |value, &byte| {
            let digit = (byte as char).to_digit(radix)?;
            value
                .checked_mul(u64::from(radix))?
                .checked_add(u64::from(digit))
        });
        self.rest = rest;
        Some((sign, magnitude))
    }
}

/// How `strtoul` stores a signed number: overflow is the maximum whatever the sign.
fn signed_to_unsigned((sign, magnitude): (i32, Option<u64>)) -> u64 {
    match magnitude {
        None => u64::MAX,
        Some(magnitude) if sign < 0 => magnitude.wrapping_neg(),
        Some(magnitude) => magnitude,
    }
}

/// An optional sign (1 or -1) and what follows it.
const fn split_sign(text: &[u8]) -> (i32, &[u8]) {
    match text {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => (1, text),
    }
}

/// The number at the start of `text` and how many bytes it takes.
///
/// A number that is begun must make sense: `0x` and `infin` are no numbers, although `0` and
/// `inf` are. An exponent without digits is tolerated, and so is `0x.`.
fn float_prefix(text: &[u8]) -> Option<(f64, usize)> {
    let (sign, body) = split_sign(text);
    let sign_length = text.len() - body.len();
    let starts = |name: &[u8]| {
        body.get(..name.len())
            .is_some_and(|s| s.eq_ignore_ascii_case(name))
    };
    let (magnitude, used) = if starts(b"nan") {
        (f64::NAN, 3)
    } else if starts(b"infi") {
        starts(b"infinity").then_some((f64::INFINITY, 8))?
    } else if starts(b"inf") {
        (f64::INFINITY, 3)
    } else if starts(b"0x") {
        hex_float(body)?
    } else {
        decimal_float(body)?
    };
    Some((
        if sign < 0 { -magnitude } else { magnitude },
        sign_length + used,
    ))
}

/// Digits with at most one point: total length and number of digits.
fn digits_and_point(text: &[u8], radix: u32) -> (usize, usize) {
    let (mut length, mut digits, mut point) = (0, 0, false);
    for &byte in text {
        if (byte as char).is_digit(radix) {
            digits += 1;
        } else if byte == b'.' && !point {
            point = true;
        } else {
            break;
        }
        length += 1;
    }
    (length, digits)
}

/// The exponent behind a mantissa: its value and its length, 0 when there is none.
///
/// A mark without digits belongs to the number, as scanf reads it, and means nothing.
fn exponent(text: &[u8], mark: u8) -> (i32, usize) {
    let Some((first, after)) = text.split_first() else {
        return (0, 0);
    };
    if !first.eq_ignore_ascii_case(&mark) {
        return (0, 0);
    }
    let (sign, digits) = split_sign(after);
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    // Far beyond any exponent a double can have, and far from overflowing.
    const BOUND: i32 = 100_000;
    let value = digits.iter().take(count).fold(0i32, |value, &byte| {
        (value * 10 + i32::from(byte - b'0')).min(BOUND)
    });
    (sign * value, text.len() - digits.len() + count)
}

fn decimal_float(body: &[u8]) -> Option<(f64, usize)> {
    let (length, digits) = digits_and_point(body, 10);
    if digits == 0 {
        return None;
    }
    let (power, exponent_length) = exponent(body.get(length..)?, b'e');
    let mantissa = std::str::from_utf8(body.get(..length)?).ok()?;
    let value = format!("{mantissa}e{power}").parse().ok()?;
    Some((value, length + exponent_length))
}

fn hex_float(body: &[u8]) -> Option<(f64, usize)> {
    let mantissa_text = body.get(2..)?;
    let (length, digits) = digits_and_point(mantissa_text, 16);
    if digits == 0 {
        // A lone point after the mark is a zero to glibc, without an exponent.
        return mantissa_text.starts_with(b".").then_some((0.0, 3));
    }
    let (power, exponent_length) = exponent(mantissa_text.get(length..)?, b'p');
    let (mut mantissa, mut scale, mut after_point) = (0u64, 0i32, false);
    for &byte in mantissa_text.iter().take(length) {
        let Some(digit) = (byte as char).to_digit(16) else {
            after_point = true;
            continue;
        };
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            scale -= if after_point { 4 } else { 0 };
        } else {
            // No room: a lost digit may still decide the rounding.
            mantissa |= u64::from(digit != 0);
            scale += if after_point { 0 } else { 4 };
        }
    }
    Some((
        scale_by_power(mantissa, power.saturating_add(scale)),
        2 + length + exponent_length,
    ))
}

/// `mantissa * 2^power` without leaving the range of the intermediate factors.
#[expect(
    clippy::cast_precision_loss,
    reason = "this is the one rounding of the conversion"
)]
fn scale_by_power(mantissa: u64, power: i32) -> f64 {
    const STEP: i32 = 1000;
    let mut value = mantissa as f64;
    let mut power = power.clamp(-4 * STEP, 4 * STEP);
    while power.abs() > STEP {
        let step = STEP * power.signum();
        value *= 2f64.powi(step);
        power -= step;
    }
    value * 2f64.powi(power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan<'a, T>(text: &'a str, f: impl Fn(&mut Cursor<'a>) -> Option<T>) -> Option<(T, String)> {
        let mut cursor = Cursor::new(text.as_bytes());
        let value = f(&mut cursor)?;
        Some((value, String::from_utf8_lossy(cursor.rest()).into_owned()))
    }

    fn rest(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn whole_words_are_decimal_and_complete() {
        for (word, want) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("+12", Some(12)),
            ("-12", Some(-12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("12x", None),
            ("0x10", None),
            ("", None),
            ("+", None),
            ("1.0", None),
        ] {
            assert_eq!(whole_int(word.as_bytes()), want, "{word}");
        }
    }

    #[test]
    fn prefix_integers_wrap_to_32_bits() {
        for (text, want) in [
            ("6", Some((6, rest("")))),
            ("6iburst x", Some((6, rest("iburst x")))),
            (" -7 x", Some((-7, rest("x")))),
            ("1.5", Some((1, rest(".5")))),
            ("4294967297", Some((1, rest("")))),
            ("99999999999", Some((1_215_752_191, rest("")))),
            ("99999999999999999999", Some((-1, rest("")))),
            ("-99999999999999999999", Some((0, rest("")))),
            ("x", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(scan(text, Cursor::int), want, "{text}");
        }
    }

    #[test]
    fn prefix_unsigned_accepts_a_sign() {
        for (text, want) in [
            ("-1", Some((u32::MAX, rest("")))),
            ("4294967296", Some((0, rest("")))),
            ("99999999999999999999", Some((u32::MAX, rest("")))),
            ("+5x", Some((5, rest("x")))),
        ] {
            assert_eq!(scan(text, Cursor::uint), want, "{text}");
        }
        assert_eq!(scan("-1", Cursor::ulong), Some((u64::MAX, rest(""))));
    }

    #[test]
    fn hexadecimal_has_an_optional_prefix() {
        for (text, want) in [
            ("F323", Some((0xf323, rest("")))),
            ("0xf323", Some((0xf323, rest("")))),
            ("000f", Some((15, rest("")))),
            ("F323x", Some((0xf323, rest("x")))),
            ("x", None),
        ] {
            assert_eq!(scan(text, Cursor::hex), want, "{text}");
        }
    }

    #[test]
    fn floats_follow_scanf() {
        for (text, want, left) in [
            ("1e-3", 1e-3, ""),
            (".5", 0.5, ""),
            ("1.prefer", 1.0, "prefer"),
            ("1abc", 1.0, "abc"),
            ("-.5e-3prefer", -0.5e-3, "prefer"),
            ("0x1p3prefer", 8.0, "prefer"),
            ("0x.8", 0.5, ""),
            ("0x.", 0.0, ""),
            ("-0x.", -0.0, ""),
            ("0x.p1", 0.0, "p1"),
            ("0x..8", 0.0, ".8"),
            ("0x1.8p-1", 0.75, ""),
            ("0xffffffffffffffffffp-72", 1.0, ""),
            ("infprefer", f64::INFINITY, "prefer"),
            ("-infinityprefer", f64::NEG_INFINITY, "prefer"),
            ("1e999", f64::INFINITY, ""),
            ("1e99999999999", f64::INFINITY, ""),
            ("0x1p99999", f64::INFINITY, ""),
            ("0x1p-1074", 5e-324, ""),
            ("1 2", 1.0, "2"),
            ("1..2", 1.0, ".2"),
            ("1e", 1.0, ""),
            ("1eprefer", 1.0, "prefer"),
            ("1e+x", 1.0, "x"),
        ] {
            let (value, end) = scan(text, Cursor::float).unwrap();
            assert_eq!(value.to_bits(), want.to_bits(), "{text}: {value}");
            assert_eq!(end, left, "{text}");
        }
        for text in ["nan", "NaN", "-nan"] {
            let (value, end) = scan(text, Cursor::float).unwrap();
            assert!(value.is_nan() && end.is_empty(), "{text}");
        }
        assert_eq!(scan("nan(x)", Cursor::float).unwrap().1, "(x)");
        for text in ["", "x", ".", "+-1", "0x", "0xp1", "infin", "-", "e5", "na"] {
            assert!(scan(text, Cursor::float).is_none(), "{text}");
        }
    }

    proptest! {
            #[test]
            fn scanners_never_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
                let _ = whole_int(&text);
                for scan in [
                    |c: &mut Cursor<'_>| c.int().is_some(),
                    |c: &mut Cursor<'_>| c.ulong().is_some(),
                    |c: &mut Cursor<'_>| c.hex().is_some(),
                    |c: &mut Cursor<'_>| c.float().is_some(),
                    |c: &mut Cursor<'_>| c.word().is_some(),
                ] {
                    let mut cursor = Cursor::new(&text);
                    let before = cursor.rest().len();
                    let found = scan(&mut cursor);
                    prop_assert!(cursor.rest().len() <= before);
                    prop_assert!(found || cursor.rest().len() == before);
                }
            }

            #[test]
            fn printed_floats_scan_back(value in any::<f64>().prop_filter("number", |v| !v.is_nan())) {
                let (scanned, end) = {
                    let text = format!("{value:e}!"); scan(&text, Cursor::float)
    }.unwrap();
                prop_assert_eq!(scanned.to_bits(), value.to_bits());
                prop_assert_eq!(end, "!");
            }
        }
}
