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

/// Hours and minutes with a zone keep the second of now, all other forms start the minute.
#[test]
fn seconds_of_a_time_without_seconds() {
    for (text, second) in [
        ("16:30", 0),
        ("4:30 pm", 0),
        ("1630", 0),
        ("16", 0),
        ("16:30 utc", 0),
        ("16:30 +0200", 22),
        ("9/25/2015 16:30 -0530", 22),
        ("16:30:05 +0200", 5),
        ("16:30 +0200 10 seconds", 32),
        ("monday", 0),
        ("now", 22),
    ] {
        let got = parse(text, NOW + 22, &Greenwich).map(|instant| instant.rem_euclid(60));
        assert_eq!(got, Some(second), "{text}");
    }
}

/// One hour ahead of UTC, two from April to September.
struct Summery;

fn is_summer(unix: i64) -> bool {
    (4..=9).contains(&Utc::from_unix(unix).month)
}

impl Calendar for Summery {
    fn local(&self, unix: i64) -> Option<LocalTime> {
        let utc_offset = if is_summer(unix) { 7200 } else { 3600 };
        Some(LocalTime {
            daylight: Some(is_summer(unix)),
            utc_offset,
            ..Greenwich.local(unix + utc_offset)?
        })
    }

    fn instant(&self, t: &LocalTime) -> Option<i64> {
        let unix = Greenwich.instant(t)? - 3600;
        let summer = t.daylight.unwrap_or(is_summer(unix));
        Some(unix - if summer { 3600 } else { 0 })
    }
}

#[test]
fn a_weekday_in_another_season_keeps_the_present_one() {
    for (text, hour) in [
        ("monday", 0),
        ("20 monday", 1),
        ("last monday", 0),
        ("6/1/2027", 0),
        ("6/1/2027 10:00", 10),
        ("8 months", 21),
    ] {
        let instant = parse(text, NOW, &Summery).unwrap();
        assert_eq!(Summery.local(instant).unwrap().hour, hour, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,30}", words in "([0-9]{1,20}|[-+/:,() ]|last|next|year|month|ago|sep|friday|utc|pm|week){0,12}") {
        let _ = parse(&text, NOW, &Greenwich);
        let _ = parse(&words, NOW, &Greenwich);
    }
}
