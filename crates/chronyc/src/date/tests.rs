//! The verified results of `chronyc.md` 7.

use super::*;
use proptest::prelude::*;
use timewright_time::text::Utc;

/// UTC, the zone of the verified results.
struct Greenwich;

/// Days since 1970 of the first day of a month, which may be out of range.
fn first_of_month(year: i64, month: i64) -> Option<i64> {
    let months = year.checked_mul(12)?.checked_add(month - 1)?;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    // Counted from March: the leap day is the last of its year.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    y.checked_mul(365)?
        .checked_add(leap_days + (153 * m + 2) / 5 - 719_468)
}

impl Calendar for Greenwich {
    fn local(&self, unix: i64) -> Option<LocalTime> {
        let utc = Utc::from_unix(unix);
        Some(LocalTime {
            year: utc.year,
            month: utc.month.into(),
            day: utc.day.into(),
            hour: utc.hour.into(),
            minute: utc.minute.into(),
            second: utc.second.into(),
            weekday: utc.weekday.into(),
            daylight: Some(false),
            utc_offset: 0,
        })
    }

    fn instant(&self, t: &LocalTime) -> Option<i64> {
        let days = first_of_month(t.year, t.month)?.checked_add(t.day - 1)?;
        let hours = days.checked_mul(24)?.checked_add(t.hour)?;
        let minutes = hours.checked_mul(60)?.checked_add(t.minute)?;
        minutes.checked_mul(60)?.checked_add(t.second)
    }
}

/// Sat 2026-11-21 20:00:00 UTC.
const NOW: i64 = 1_795_291_200;

#[test]
fn verified_results() {
    for line in include_str!("../../tests/data/settime.txt").lines() {
        let (text, want) = line.split_once('|').unwrap();
        let got = parse(text, NOW, &Greenwich).map_or("error".to_owned(), |instant| {
            let utc = Utc::from_unix(instant);
            format!("{} {}", &utc.report_stamp()[..3], utc.log_stamp())
        });
        assert_eq!(got, want, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,30}", words in "([0-9]{1,20}|[-+/:,() ]|last|next|year|month|ago|sep|friday|utc|pm|week){0,12}") {
        let _ = parse(&text, NOW, &Greenwich);
        let _ = parse(&words, NOW, &Greenwich);
    }
}
