//! Numbers with units, as scenario files have them.
//!
//! Every reader says what is allowed when it refuses a word.

/// Units of time and how many seconds they are; longer names first, so that `ms` is not `s`.
const TIMES: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 604_800.0),
];

/// Units of ratios.
const RATIOS: &[(&str, f64)] = &[("ppm", 1e-6), ("ppb", 1e-9), ("%", 1e-2)];

/// The longest time in a scenario, seconds: ten years, so that sums of times stay in range.
const TIME_MAX_S: f64 = 3653.0 * 86_400.0;
/// The longest delay of a packet, seconds.
const DELAY_MAX_S: f64 = 86_400.0;

/// The number in front of one of the units, or a plain number.
fn number(word: &str, units: &[(&str, f64)]) -> Option<f64> {
    let with_unit = units.iter().find_map(|(unit, factor)| {
        let number: f64 = word.strip_suffix(unit)?.parse().ok()?;
        Some(number * factor)
    });
    with_unit
        .or_else(|| word.parse().ok())
        .filter(|value: &f64| value.is_finite())
}

/// A length of time in seconds, not negative.
pub(super) fn duration(word: &str) -> Result<f64, String> {
    number(word, TIMES)
        .filter(|s| (0.0..=TIME_MAX_S).contains(s))
        .ok_or_else(|| {
            format!(
                "`{word}` is no length of time: 0 to 10 years as a number with one of the units ns, \
                 us, ms, s, m, h, d, w (s if there is none)"
            )
        })
}

/// How long a packet takes.
pub(super) fn delay(word: &str) -> Result<f64, String> {
    duration(word).and_then(|s| {
        if s <= DELAY_MAX_S {
            Ok(s)
        } else {
            Err(format!("`{word}` is more than a day"))
        }
    })
}

/// A length of time above zero.
pub(super) fn positive_duration(word: &str) -> Result<f64, String> {
    duration(word).and_then(|s| {
        if s > 0.0 {
            Ok(s)
        } else {
            Err(format!("`{word}` must be more than zero"))
        }
    })
}

/// A time offset in seconds with either sign.
pub(super) fn offset(word: &str) -> Result<f64, String> {
    number(word, TIMES)
        .filter(|s| s.abs() <= TIME_MAX_S)
        .ok_or_else(|| {
            format!(
                "`{word}` is no time offset: a number with an optional sign and one of the units \
                 ns, us, ms, s, m, h, d, w (s if there is none)"
            )
        })
}

/// A frequency error in s/s with either sign.
pub(super) fn frequency(word: &str) -> Result<f64, String> {
    number(word, RATIOS)
        .filter(|f| f.abs() <= 0.1)
        .ok_or_else(|| {
            format!(
                "`{word}` is no frequency: a number with the unit ppm or ppb (s/s if there is \
                 none), at most 100000ppm to either side"
            )
        })
}

/// A size of frequency changes in s/s, not negative.
pub(super) fn wander(word: &str) -> Result<f64, String> {
    number(word, RATIOS)
        .filter(|f| (0.0..=1e-3).contains(f))
        .ok_or_else(|| {
            format!(
                "`{word}` is no size of frequency changes: a number that is not negative, with \
                 the unit ppm or ppb (s/s if there is none), at most 1000ppm"
            )
        })
}

/// A probability, 0 to 1.
pub(super) fn probability(word: &str) -> Result<f64, String> {
    number(word, &[("%", 1e-2)])
        .filter(|p| (0.0..=1.0).contains(p))
        .ok_or_else(|| format!("`{word}` is no probability: 0 to 1, or 0% to 100%"))
}

/// A plain number in a range.
pub(super) fn within(word: &str, min: f64, max: f64) -> Result<f64, String> {
    number(word, &[])
        .filter(|x| (min..=max).contains(x))
        .ok_or_else(|| format!("`{word}` is no number from {min} to {max}"))
}

/// A whole number in a range.
pub(super) fn whole(word: &str, min: u64, max: u64) -> Result<u64, String> {
    word.parse()
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| format!("`{word}` is no whole number from {min} to {max}"))
}

/// The Unix second of `2016-12-31T12:00:00Z`, `2016-12-31` (midnight) or a plain number.
pub(super) fn date(word: &str) -> Result<i64, String> {
    parse_date(word).ok_or_else(|| {
        format!(
            "`{word}` is no time: 2016-12-31T12:00:00Z, 2016-12-31, or seconds since 1970, from \
             1970 to 2200"
        )
    })
}

fn parse_date(word: &str) -> Option<i64> {
    const MAX_S: i64 = 7_258_118_400; // 2200
    if let Ok(seconds) = word.parse::<i64>() {
        return (0..=MAX_S).contains(&seconds).then_some(seconds);
    }
    let (day, time) = match word.split_once('T') {
        Some((day, time)) => (day, time.strip_suffix('Z').unwrap_or(time)),
        None => (word, "00:00:00"),
    };
    let [year, month, day] = fields(day, '-')?;
    let [hour, minute, second] = fields(time, ':')?;
    let fits = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    fits.then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn fields(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i64>().ok()).flatten()
    });
    let all = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(all)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted with years that begin in March.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_scale_and_plain_numbers_are_seconds() {
        for (word, want) in [
            ("90", 90.0),
            ("1.5h", 5400.0),
            ("250us", 250e-6),
            ("3ms", 3e-3),
            ("1e-3", 1e-3),
            ("1e3s", 1000.0),
            ("2d", 172_800.0),
            ("20ns", 2e-8),
            ("15m", 900.0),
        ] {
            let got = duration(word).unwrap();
            assert!((got - want).abs() <= want * 1e-12, "{word}: {got}");
        }
        assert!((frequency("-100ppm").unwrap() + 1e-4).abs() < 1e-15);
        assert!((frequency("3e-9").unwrap() - 3e-9).abs() < 1e-20);
        assert!((wander("1ppb").unwrap() - 1e-9).abs() < 1e-20);
        assert!((probability("2%").unwrap() - 0.02).abs() < 1e-15);
        assert!((offset("-0.5s").unwrap() + 0.5).abs() < 1e-15);
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_what_is_one() {
        for word in [
            "", "x", "s", "-1", "1y", "nan", "inf", "1e999", "1 s", "0x10",
        ] {
            let error = duration(word).unwrap_err();
            assert!(error.contains("units"), "{error}");
        }
        assert!(positive_duration("0").unwrap_err().contains("zero"));
        assert!(frequency("200000ppm").unwrap_err().contains("ppb"));
        assert!(wander("-1ppb").is_err());
        for word in ["1.1", "101%", "-1%", "half"] {
            assert!(probability(word).is_err(), "{word}");
        }
        assert!(whole("1.5", 0, 9).is_err() && whole("10", 0, 9).is_err());
        assert!(within("0.9", 1.0, 2.0).is_err());
    }

    #[test]
    fn dates() {
        for (word, want) in [
            ("1970-01-01", Some(0)),
            ("2016-12-31T12:00:00Z", Some(1_483_185_600)),
            ("2000-02-29T23:59:59", Some(951_868_799)),
            ("1262304000", Some(1_262_304_000)),
            ("2001-02-29", None),
            ("2016-13-01", None),
            ("2016-12-31T24:00:00Z", None),
            ("2016-12", None),
            ("+2016-12-31", None),
            ("9999-01-01", None),
            ("-5", None),
        ] {
            assert_eq!(date(word).ok(), want, "{word}");
        }
    }
}
