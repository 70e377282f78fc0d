//! Numbers and dates as the logs and reports print them: C's `%e` and UTC calendar text.

use std::fmt;

/// A number in the form of C's `%.*e`: a two-digit exponent at least, `inf` and `nan` by name.
///
/// Width and sign flags of the format string apply to the whole text:
/// `format!("{:>10}", Exp(1.5e-6, 3))` is `" 1.500e-06"`.
#[derive(Clone, Copy, Debug)]
pub struct Exp(
    /// The number.
    pub f64,
    /// Digits after the point.
    pub usize,
);

impl fmt::Display for Exp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, digits) = *self;
        if !value.is_finite() {
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let name = if value.is_nan() { "nan" } else { "inf" };
            return f.pad(&format!("{sign}{name}"));
        }
        let text = format!("{value:.digits$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        f.pad(&format!("{mantissa}e{sign}{exponent:0>2}"))
    }
}

/// A number in the form of C's `%.*f`; differs from Rust's `{:.*}` only for infinities and NaN.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(
    /// The number.
    pub f64,
    /// Digits after the point.
    pub usize,
);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, digits) = *self;
        if value.is_finite() {
            f.pad(&format!("{value:.digits$}"))
        } else {
            Exp(value, 0).fmt(f)
        }
    }
}

/// A calendar date and time of day in UTC, in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    /// Year, may be negative.
    pub year: i64,
    /// 1..=12.
    pub month: u8,
    /// 1..=31.
    pub day: u8,
    /// 0..=23.
    pub hour: u8,
    /// 0..=59.
    pub minute: u8,
    /// 0..=59.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl Utc {
    /// From whole seconds since 1970.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "every field is reduced to its small range first"
    )]
    pub fn from_unix(sec: i64) -> Self {
        let days = sec.div_euclid(86_400);
        let of_day = sec.rem_euclid(86_400);
        // Years are counted from March, so the leap day is the last of its year; a 400-year
        // cycle has 146097 days and starts 719468 days before 1970.
        let z = days + 719_468;
        let cycle = z.div_euclid(146_097);
        let day_of_cycle = z.rem_euclid(146_097);
        let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        Self {
            year: year_of_cycle + cycle * 400 + i64::from(month <= 2),
            month: month as u8,
            day: day as u8,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
        }
    }

    /// `YYYY-MM-DD HH:MM:SS`, the first columns of every log file.
    #[must_use]
    pub fn log_stamp(&self) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, the prefix of messages on stderr and in the `-l` file.
    #[must_use]
    pub fn message_stamp(&self) -> String {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// `Sat Nov 21 20:09:26 2026`, the form of C's `%a %b %d %H:%M:%S %Y`.
    #[must_use]
    pub fn report_stamp(&self) -> String {
        let weekday = WEEKDAYS.get(usize::from(self.weekday)).unwrap_or(&"?");
        let month = MONTHS.get(usize::from(self.month) - 1).unwrap_or(&"?");
        let Self {
            year,
            day,
            hour,
            minute,
            second,
            ..
        } = self;
        format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} {year}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_have_two_digits() {
        for (value, digits, want) in [
            (0.0, 3, "0.000e+00"),
            (-3.227e-6, 3, "-3.227e-06"),
            (1.5e300, 1, "1.5e+300"),
            (9.9996, 3, "1.000e+01"),
            (f64::INFINITY, 3, "inf"),
            (f64::NAN, 3, "nan"),
        ] {
            assert_eq!(Exp(value, digits).to_string(), want);
        }
        assert_eq!(format!("{:>10}|", Exp(1.5e-6, 3)), " 1.500e-06|");
    }

    #[test]
    fn calendar_knows_leap_years_and_the_epoch() {
        for (sec, want) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_262_304_010, "2010-01-01 00:00:10"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (1_230_768_000 - 1, "2008-12-31 23:59:59"),
        ] {
            assert_eq!(Utc::from_unix(sec).log_stamp(), want);
        }
        assert_eq!(
            Utc::from_unix(1_262_304_010).report_stamp(),
            "Fri Jan 01 00:00:10 2010"
        );
        assert_eq!(
            Utc::from_unix(1_262_304_010).message_stamp(),
            "2010-01-01T00:00:10Z"
        );
    }
}
