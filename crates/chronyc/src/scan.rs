//! Numbers as C's `scanf` reads them: the leading part counts, the rest stays.
//!
//! Administrators' scripts rely on what the reference accepts, so `5x` is 5, `4294967296` wraps
//! to 0 and `0x10` is a float but not a decimal integer (`chronyc.md` 5.1).

/// A text read from the left. Failed reads consume nothing but leading blanks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// What is left.
    pub(crate) const fn rest(&self) -> &'a str {
        self.rest
    }

    /// Whether nothing is left.
    pub(crate) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Consumes one character if it is next.
    pub(crate) fn literal(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `%d`: a signed decimal number, cut to 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "scanf cuts to the width of an int"
    )]
    pub(crate) fn int(&mut self) -> Option<i32> {
        let (negative, digits) = self.signed_digits(10)?;
        let value = if negative { -digits } else { digits };
        Some(value.clamp(i64::MIN.into(), i64::MAX.into()) as i32)
    }

    /// `%u`: a decimal number, cut to 32 bits; a sign negates modulo 2^32.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "scanf cuts to the width of an unsigned int"
    )]
    pub(crate) fn uint(&mut self) -> Option<u32> {
        let (negative, digits) = self.signed_digits(10)?;
        Some(wrap_unsigned(negative, digits) as u32)
    }

    /// `%x`: a hexadecimal number with or without `0x`, cut to 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "scanf cuts to the width of an unsigned int"
    )]
    pub(crate) fn hex(&mut self) -> Option<u32> {
        let (negative, digits) = self.signed_digits(16)?;
        Some(wrap_unsigned(negative, digits) as u32)
    }

    /// `%lf`: a decimal or hexadecimal float, `inf` or `nan`.
    pub(crate) fn float(&mut self) -> Option<f64> {
        let text = self.rest.trim_start();
        let (sign, unsigned) = split_sign(text);
        let (value, len) = float_magnitude(unsigned)?;
        self.rest = unsigned.get(len..).unwrap_or_default();
        Some(if sign == Some('-') { -value } else { value })
    }

    /// Sign and digits; the number saturates far beyond 64 bits.
    fn signed_digits(&mut self, radix: u32) -> Option<(bool, i128)> {
        let (sign, mut digits) = split_sign(self.rest.trim_start());
        if radix == 16
            && let Some(after) = digits
                .strip_prefix("0x")
                .or_else(|| digits.strip_prefix("0X"))
            && after.starts_with(|c: char| c.is_ascii_hexdigit())
        {
            digits = after;
        }
        let len = digits
            .find(|c: char| !c.is_digit(radix))
            .unwrap_or(digits.len());
        let (number, rest) = digits.split_at(len);
        if number.is_empty() {
            return None;
        }
        let value = number
            .chars()
            .filter_map(|c| c.to_digit(radix))
            .fold(0i128, |sum, digit| {
                sum.saturating_mul(radix.into())
                    .saturating_add(digit.into())
            });
        self.rest = rest;
        Some((sign == Some('-'), value))
    }
}

/// C's `strtoul`: saturates at 2^64 - 1 before a sign negates.
fn wrap_unsigned(negative: bool, digits: i128) -> i128 {
    let limited = digits.min(u64::MAX.into());
    if negative && digits <= u64::MAX.into() {
        -limited
    } else {
        limited
    }
}

fn split_sign(text: &str) -> (Option<char>, &str) {
    match text.chars().next() {
        Some(sign @ ('+' | '-')) => (Some(sign), text.get(1..).unwrap_or_default()),
        _ => (None, text),
    }
}

/// The float at the start of a text without sign, and how many bytes it takes.
fn float_magnitude(text: &str) -> Option<(f64, usize)> {
    let starts = |word: &str| {
        text.get(..word.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(word))
    };
    for (word, value) in [
        ("infinity", f64::INFINITY),
        ("inf", f64::INFINITY),
        ("nan", f64::NAN),
    ] {
        if starts(word) {
            return Some((value, word.len()));
        }
    }
    if starts("0x") {
        return hex_float(text);
    }
    let digits = |at: usize| text.bytes().skip(at).take_while(u8::is_ascii_digit).count();
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let whole = digits(0);
    let mut len = whole;
    if byte(len) == Some(b'.') {
        let fraction = digits(len + 1);
        if whole + fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    }
    if len == 0 {
        return None;
    }
    let mantissa_len = len;
    if matches!(byte(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign);
        // scanf takes the letter even if no exponent follows.
        len += 1 + sign + exponent;
        if exponent > 0 {
            return Some((text.get(..len)?.parse().ok()?, len));
        }
    }
    Some((text.get(..mantissa_len)?.parse().ok()?, len))
}

/// `0x` hex digits, an optional fraction and a binary exponent.
fn hex_float(text: &str) -> Option<(f64, usize)> {
    let body = text.get(2..)?;
    let mut value = 0.0;
    let mut scale = 1.0;
    let mut point = false;
    let mut count = 0;
    let mut len = 0;
    for c in body.chars() {
        if let Some(digit) = c.to_digit(16) {
            count += 1;
            if point {
                scale /= 16.0;
                value += f64::from(digit) * scale;
            } else {
                value = value * 16.0 + f64::from(digit);
            }
        } else if c == '.' && !point {
            point = true;
        } else {
            break;
        }
        len += 1;
    }
    if count == 0 {
        return None;
    }
    if let Some(exponent) = body
        .get(len..)
        .and_then(|rest| rest.strip_prefix(['p', 'P']))
    {
        let mut scan = Scan::new(exponent);
        if let Some(power) = scan.int() {
            value *= 2f64.powi(power);
            len += 1 + exponent.len() - scan.rest().len();
        }
    }
    Some((value, len + 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_wrap_and_stop_at_the_first_other_character() {
        for (text, want, rest) in [
            ("5x", Some(5), "x"),
            (" -7 8", Some(-7), " 8"),
            ("+3", Some(3), ""),
            ("4294967296", Some(0), ""),
            ("2147483648", Some(i32::MIN), ""),
            ("99999999999999999999999999", Some(-1), ""),
            ("x", None, "x"),
            ("- 1", None, "- 1"),
        ] {
            let mut scan = Scan::new(text);
            assert_eq!((scan.int(), scan.rest()), (want, rest), "{text}");
        }
        assert_eq!(Scan::new("-1").uint(), Some(u32::MAX));
        assert_eq!(Scan::new("F323").hex(), Some(0xf323));
        assert_eq!(Scan::new("0xF324").hex(), Some(0xf324));
    }

    #[test]
    fn floats_in_all_forms_of_c() {
        for (text, want, rest) in [
            ("2.5x", Some(2.5), "x"),
            (".5", Some(0.5), ""),
            ("5.", Some(5.0), ""),
            ("-1e-3 2", Some(-1e-3), " 2"),
            ("1e 2", Some(1.0), " 2"),
            ("0x10", Some(16.0), ""),
            ("0x1.8p3z", Some(12.0), "z"),
            ("-INF", Some(f64::NEG_INFINITY), ""),
            (".", None, "."),
            ("0x", None, "0x"),
            ("e5", None, "e5"),
            ("", None, ""),
        ] {
            let mut scan = Scan::new(text);
            assert_eq!((scan.float(), scan.rest()), (want, rest), "{text}");
        }
        assert!(Scan::new("nan").float().is_some_and(f64::is_nan));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,12}", numeric in "[-+0-9a-fxp. e]{0,30}") {
            for text in [text.as_str(), numeric.as_str()] {
                let mut scan = Scan::new(text);
                let _ = (scan.int(), scan.float(), scan.hex(), scan.uint());
            }
        }
    }
}
