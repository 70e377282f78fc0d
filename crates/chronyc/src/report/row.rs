//! Number formats of the reports, as text in columns or as comma-separated values
//! (`chronyc.md` 3.2 and 3.5).

use timewright_control::Timespec;
use timewright_time::text::Utc;

/// One record of a report under construction.
///
/// As text it is literals and formatted values one after the other; as CSV the literals are
/// dropped, widths and signs with them, and values are separated by commas.
#[derive(Debug)]
pub(crate) struct Row {
    csv: bool,
    text: String,
    empty: bool,
}

/// Days of the year that reports use.
const YEAR_DAYS: u32 = 365;

impl Row {
    pub(crate) const fn new(csv: bool) -> Self {
        Self {
            csv,
            text: String::new(),
            empty: true,
        }
    }

    /// The record with its line end.
    pub(crate) fn finish(mut self) -> String {
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text
    }

    fn value(mut self, text: &str, csv: &str) -> Self {
        if self.csv {
            if !self.empty {
                self.text.push(',');
            }
            self.text.push_str(csv);
        } else {
            self.text.push_str(text);
        }
        self.empty = false;
        self
    }

    fn same(self, text: &str) -> Self {
        self.value(text, text)
    }

    /// Text between values.
    pub(crate) fn lit(mut self, text: &str) -> Self {
        if !self.csv {
            self.text.push_str(text);
        }
        self
    }

    /// One character, a value of its own.
    pub(crate) fn chr(self, c: char) -> Self {
        self.same(c.encode_utf8(&mut [0; 4]))
    }

    /// Left-aligned text.
    pub(crate) fn name(self, width: usize, text: &str) -> Self {
        self.value(&format!("{text:<width$}"), text)
    }

    /// Right-aligned text.
    pub(crate) fn word(self, width: usize, text: &str) -> Self {
        self.value(&format!("{text:>width$}"), text)
    }

    /// An integer.
    pub(crate) fn int(self, width: usize, value: impl Into<i128>) -> Self {
        let value = value.into();
        self.value(&format!("{value:width$}"), &value.to_string())
    }

    /// An octal number.
    pub(crate) fn octal(self, width: usize, value: u16) -> Self {
        self.value(&format!("{value:width$o}"), &format!("{value:o}"))
    }

    /// A reference ID.
    pub(crate) fn refid(self, value: u32) -> Self {
        self.same(&format!("{value:08X}"))
    }

    /// A number with so many digits after the point.
    pub(crate) fn real(self, width: usize, digits: usize, value: f64) -> Self {
        self.value(
            &format!("{value:width$.digits$}"),
            &format!("{value:.digits$}"),
        )
    }

    /// The same with a sign in any case, which CSV drops.
    pub(crate) fn signed(self, digits: usize, value: f64) -> Self {
        self.value(&format!("{value:+.digits$}"), &format!("{value:.digits$}"))
    }

    /// A time span in the unit that suits it, 4 characters.
    pub(crate) fn interval(self, seconds: u32) -> Self {
        self.value(&interval_text(seconds), &seconds.to_string())
    }

    /// An offset without its sign, 6 characters; programs get the sign as well.
    pub(crate) fn magnitude(self, seconds: f64) -> Self {
        self.value(&offset_text(seconds.abs(), false), &format!("{seconds:.9}"))
    }

    /// An offset with its sign, 7 characters.
    pub(crate) fn offset(self, seconds: f64) -> Self {
        self.value(&offset_text(seconds, true), &format!("{seconds:.9}"))
    }

    /// A frequency in ppm.
    pub(crate) fn ppm(self, ppm: f64) -> Self {
        let digits = ppm_digits(ppm);
        self.value(&format!("{ppm:10.digits$}"), &format!("{ppm:.3}"))
    }

    /// A frequency in ppm with its sign.
    pub(crate) fn signed_ppm(self, ppm: f64) -> Self {
        let digits = ppm_digits(ppm);
        self.value(&format!("{ppm:+10.digits$}"), &format!("{ppm:.3}"))
    }

    /// An average interval of requests, log2 s; 127 is unknown.
    pub(crate) fn log2_interval(self, log2: i8) -> Self {
        let text = if log2 == i8::MAX {
            " -".to_owned()
        } else {
            format!("{log2:2}")
        };
        self.value(&text, &log2.to_string())
    }

    /// A frequency in words; CSV keeps the sign, positive is fast.
    pub(crate) fn fast_ppm(self, ppm: f64) -> Self {
        let word = if ppm > 0.0 { "fast" } else { "slow" };
        self.value(
            &format!("{:.3} ppm {word}", ppm.abs()),
            &format!("{ppm:.3}"),
        )
    }

    /// An offset in words; CSV keeps the sign, positive is slow.
    pub(crate) fn slow_seconds(self, seconds: f64) -> Self {
        let word = if seconds > 0.0 { "slow" } else { "fast" };
        self.value(
            &format!("{:.9} seconds {word}", seconds.abs()),
            &format!("{seconds:.9}"),
        )
    }

    /// A date; CSV has seconds since 1970.
    pub(crate) fn time(self, time: Timespec) -> Self {
        let text = calendar(time).map_or(String::new(), |utc| utc.report_stamp());
        self.value(&text, &format!("{}.{:09}", time.sec, time.nsec))
    }

    /// A date as in the log files.
    pub(crate) fn log_time(self, time: Timespec) -> Self {
        match calendar(time) {
            Some(utc) => self.same(&utc.log_stamp()),
            None => self.same("INVALID    INVALID "),
        }
    }

    /// Leap status in words.
    pub(crate) fn leap(self, leap: u16) -> Self {
        self.same(leap_word(leap))
    }

    /// Leap status in one character; CSV has the words.
    pub(crate) fn leap_char(self, leap: u16) -> Self {
        let character = match leap {
            0 => "N",
            1 => "+",
            2 => "-",
            _ => "?",
        };
        self.value(character, leap_word(leap))
    }

    /// `Yes` or `No`.
    pub(crate) fn yes_no(self, yes: bool) -> Self {
        self.same(if yes { "Yes" } else { "No" })
    }
}

fn leap_word(leap: u16) -> &'static str {
    match leap {
        0 => "Normal",
        1 => "Insert second",
        2 => "Delete second",
        3 => "Not synchronised",
        _ => "Invalid",
    }
}

/// The calendar of a time whose year C's calendar functions can hold.
fn calendar(time: Timespec) -> Option<Utc> {
    let utc = Utc::from_unix(time.sec);
    i32::try_from(utc.year - 1900).is_ok().then_some(utc)
}

fn interval_text(seconds: u32) -> String {
    let days = seconds / 86_400;
    match seconds {
        u32::MAX => "   -".to_owned(),
        0..1_200 => format!("{seconds:4}"),
        1_200..36_000 => format!("{:3}m", seconds / 60),
        36_000..345_600 => format!("{:3}h", seconds / 3_600),
        _ if days <= 999 => format!("{days:3}d"),
        _ => format!("{:3}y", days / YEAR_DAYS),
    }
}

/// Units of offsets: below which magnitude (s), factor, digits, width of the signed form, suffix.
const OFFSET_UNITS: [(f64, f64, usize, usize, &str); 8] = [
    (9999.5e-9, 1e9, 0, 5, "ns"),
    (9999.5e-6, 1e6, 0, 5, "us"),
    (9999.5e-3, 1e3, 0, 5, "ms"),
    (999.5, 1.0, 1, 6, "s"),
    (99_999.5, 1.0, 0, 6, "s"),
    (99_999.5 * 60.0, 1.0 / 60.0, 0, 6, "m"),
    (99_999.5 * 3_600.0, 1.0 / 3_600.0, 0, 6, "h"),
    (99_999.5 * 86_400.0, 1.0 / 86_400.0, 0, 6, "d"),
];

fn offset_text(seconds: f64, signed: bool) -> String {
    let years = (
        f64::INFINITY,
        1.0 / (86_400.0 * f64::from(YEAR_DAYS)),
        0,
        6,
        "y",
    );
    let (_, factor, digits, width, unit) = OFFSET_UNITS
        .into_iter()
        .find(|unit| seconds.abs() < unit.0)
        .unwrap_or(years);
    // Divide where the unit is longer than a second: the quotient is the rounded one.
    let value = if factor < 1.0 {
        seconds / (1.0 / factor).round()
    } else {
        seconds * factor
    };
    if signed {
        format!("{value:+width$.digits$}{unit}")
    } else {
        let width = width - 1;
        format!("{value:width$.digits$}{unit}")
    }
}

const fn ppm_digits(ppm: f64) -> usize {
    if ppm.abs() < 99_999.5 { 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_change_units() {
        for (seconds, want) in [
            (0, "   0"),
            (1199, "1199"),
            (1200, " 20m"),
            (35_999, "599m"),
            (36_000, " 10h"),
            (345_599, " 95h"),
            (345_600, "  4d"),
            (86_313_600, "999d"),
            (86_400_000, "  2y"),
            (4_294_967_294, "136y"),
            (u32::MAX, "   -"),
        ] {
            assert_eq!(interval_text(seconds), want);
        }
    }

    #[test]
    fn offsets_change_units_at_four_digits() {
        for (seconds, signed, unsigned) in [
            (0.0, "   +0ns", "   0ns"),
            (9.9994e-6, "+9999ns", "9999ns"),
            (9.9996e-6, "  +10us", "  10us"),
            (9.9996e-3, "  +10ms", "  10ms"),
            (9.9996, " +10.0s", " 10.0s"),
            (999.4, "+999.4s", "999.4s"),
            (999.6, " +1000s", " 1000s"),
            (99_999.4, "+99999s", "99999s"),
            (100_000.0, " +1667m", " 1667m"),
            (6e6, " +1667h", " 1667h"),
            (3.6e8, " +4167d", " 4167d"),
            (1e12, "+31710y", "31710y"),
        ] {
            assert_eq!(offset_text(seconds, true), signed, "{seconds}");
            assert_eq!(offset_text(seconds, false), unsigned, "{seconds}");
        }
        assert_eq!(offset_text(-1e-12, true), "   -0ns");
    }

    #[test]
    fn csv_drops_literals_widths_and_signs() {
        let row = |csv| {
            Row::new(csv)
                .chr('^')
                .name(5, "a")
                .lit(" [")
                .offset(-0.5)
                .lit("] ")
                .signed(2, 1.0)
                .signed_ppm(2.0)
                .magnitude(-2.0)
                .interval(u32::MAX)
                .log2_interval(127)
                .finish()
        };
        assert_eq!(row(false), "^a     [ -500ms] +1.00    +2.0002000ms   - -\n");
        assert_eq!(
            row(true),
            "^,a,-0.500000000,1.00,2.000,-2.000000000,4294967295,127\n"
        );
    }

    #[test]
    fn dates_out_of_range_vanish() {
        let far = Timespec {
            sec: i64::MAX,
            nsec: 0,
        };
        assert_eq!(Row::new(false).lit("x").time(far).finish(), "x\n");
        assert_eq!(
            Row::new(false).log_time(far).finish(),
            "INVALID    INVALID \n"
        );
    }
}
