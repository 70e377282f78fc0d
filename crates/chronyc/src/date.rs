//! Dates as people type them: the grammar of `settime` (`chronyc.md` 7).
//!
//! text -> tokens -> items (time, zone, date, weekday, relative amounts) -> seconds since 1970.
//! The calendar of the local time zone comes in through [`Calendar`].

use std::iter::Peekable;
use std::vec::IntoIter;

/// A date and time of day in the local time zone; fields may be out of range until normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// Year.
    pub(crate) year: i64,
    /// Month, 1 is January.
    pub(crate) month: i64,
    /// Day of the month.
    pub(crate) day: i64,
    /// Hour.
    pub(crate) hour: i64,
    /// Minute.
    pub(crate) minute: i64,
    /// Second.
    pub(crate) second: i64,
    /// Day of the week, 0 is Sunday; ignored when converting to an instant.
    pub(crate) weekday: i64,
    /// Daylight saving time: `None` lets the calendar decide.
    pub(crate) daylight: Option<bool>,
    /// How far the zone is ahead of UTC, seconds; ignored when converting to an instant.
    pub(crate) utc_offset: i64,
}

/// The rules of the local time zone.
pub(crate) trait Calendar {
    /// The local time at an instant, in seconds since 1970.
    fn local(&self, unix: i64) -> Option<LocalTime>;
    /// The instant of a local time, whose fields are normalised first.
    fn instant(&self, time: &LocalTime) -> Option<i64>;
}

/// The instant a text means, in seconds since 1970; `None` if it means nothing.
pub(crate) fn parse(text: &str, now: i64, calendar: &dyn Calendar) -> Option<i64> {
    let mut parser = Parser {
        tokens: tokens(text).into_iter().peekable(),
        items: Items::default(),
    };
    while parser.tokens.peek().is_some() {
        parser.item()?;
    }
    evaluate(&parser.items, now, calendar)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meridian {
    Am,
    Pm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Unsigned(i64),
    Signed(i64),
    Meridian(Meridian),
    Month(i64),
    Weekday(i64),
    /// Minutes west of UTC.
    Zone(i64),
    /// Minutes west of UTC without daylight saving, which is on.
    DaylightZone(i64),
    Daylight,
    Unit(Unit, i64),
    Ago,
    Other(char),
}

/// Letters of a word that count.
const WORD_MAX: usize = 19;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// Short forms beside the first three letters.
const SHORT_FORMS: [(&str, Token); 5] = [
    ("sept", Token::Month(9)),
    ("tues", Token::Weekday(2)),
    ("wednes", Token::Weekday(3)),
    ("thur", Token::Weekday(4)),
    ("thurs", Token::Weekday(4)),
];

const UNITS: [(&str, Unit, i64); 10] = [
    ("year", Unit::Year, 1),
    ("month", Unit::Month, 1),
    ("fortnight", Unit::Day, 14),
    ("week", Unit::Day, 7),
    ("day", Unit::Day, 1),
    ("hour", Unit::Hour, 1),
    ("minute", Unit::Minute, 1),
    ("min", Unit::Minute, 1),
    ("second", Unit::Second, 1),
    ("sec", Unit::Second, 1),
];

const DAY_MINUTES: i64 = 24 * 60;

/// Words that are a unit or a number. `second` is missing: it is the unit.
const WORDS: [(&str, Token); 19] = [
    ("tomorrow", Token::Unit(Unit::Minute, DAY_MINUTES)),
    ("yesterday", Token::Unit(Unit::Minute, -DAY_MINUTES)),
    ("today", Token::Unit(Unit::Minute, 0)),
    ("now", Token::Unit(Unit::Minute, 0)),
    ("this", Token::Unit(Unit::Minute, 0)),
    ("last", Token::Unsigned(-1)),
    ("next", Token::Unsigned(1)),
    ("first", Token::Unsigned(1)),
    ("third", Token::Unsigned(3)),
    ("fourth", Token::Unsigned(4)),
    ("fifth", Token::Unsigned(5)),
    ("sixth", Token::Unsigned(6)),
    ("seventh", Token::Unsigned(7)),
    ("eighth", Token::Unsigned(8)),
    ("ninth", Token::Unsigned(9)),
    ("tenth", Token::Unsigned(10)),
    ("eleventh", Token::Unsigned(11)),
    ("twelfth", Token::Unsigned(12)),
    ("ago", Token::Ago),
];

/// Zones by hours west of UTC.
const ZONES: [(&str, i64); 35] = [
    ("gmt", 0),
    ("ut", 0),
    ("utc", 0),
    ("wet", 0),
    ("wat", 1),
    ("at", 2),
    ("ast", 4),
    ("est", 5),
    ("cst", 6),
    ("mst", 7),
    ("pst", 8),
    ("yst", 9),
    ("hst", 10),
    ("cat", 10),
    ("ahst", 10),
    ("nt", 11),
    ("idlw", 12),
    ("cet", -1),
    ("met", -1),
    ("mewt", -1),
    ("swt", -1),
    ("fwt", -1),
    ("eet", -2),
    ("bt", -3),
    ("zp4", -4),
    ("zp5", -5),
    ("zp6", -6),
    ("wast", -7),
    ("cct", -8),
    ("jst", -9),
    ("east", -10),
    ("gst", -10),
    ("nzt", -12),
    ("nzst", -12),
    ("idle", -12),
];

/// Zones with daylight saving, by hours west of UTC of their standard time.
const DAYLIGHT_ZONES: [(&str, i64); 15] = [
    ("bst", 0),
    ("adt", 4),
    ("edt", 5),
    ("cdt", 6),
    ("mdt", 7),
    ("pdt", 8),
    ("ydt", 9),
    ("hdt", 10),
    ("mest", -1),
    ("mesz", -1),
    ("sst", -1),
    ("fst", -1),
    ("wadt", -7),
    ("eadt", -10),
    ("nzdt", -12),
];

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        if c.is_ascii_whitespace() {
            chars.next();
        } else if c.is_ascii_digit() || c == '-' || c == '+' {
            let sign = (!c.is_ascii_digit()).then_some(c);
            if sign.is_some() {
                chars.next();
                if !chars.peek().is_some_and(char::is_ascii_digit) {
                    continue; // a lone sign
                }
            }
            let mut number = 0i64;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                number = number.saturating_mul(10).saturating_add(digit.into());
                chars.next();
            }
            found.push(match sign {
                None => Token::Unsigned(number),
                Some('-') => Token::Signed(-number),
                Some(_) => Token::Signed(number),
            });
        } else if c.is_ascii_alphabetic() {
            let mut word = String::new();
            while let Some(&c) = chars
                .peek()
                .filter(|c| c.is_ascii_alphabetic() || **c == '.')
            {
                if word.len() < WORD_MAX {
                    word.push(c.to_ascii_lowercase());
                }
                chars.next();
            }
            found.push(look_up(&word));
        } else if c == '(' {
            let mut depth = 0u32;
            for c in chars.by_ref() {
                match c {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            chars.next();
            found.push(Token::Other(c));
        }
    }
    found
}

/// What a word means; one that means nothing becomes a token that fits nowhere.
fn look_up(word: &str) -> Token {
    match word {
        "am" | "a.m." => return Token::Meridian(Meridian::Am),
        "pm" | "p.m." => return Token::Meridian(Meridian::Pm),
        _ => {}
    }
    let stem = word.strip_suffix('.').unwrap_or(word);
    let fits = |name: &str| word == name || stem.len() == 3 && name.starts_with(stem);
    let numbered = |names: &[&str]| {
        names
            .iter()
            .zip(0..)
            .find(|(name, _)| fits(name))
            .map(|(_, n)| n)
    };
    let simple = |word: &str| {
        UNITS
            .into_iter()
            .find(|unit| unit.0 == word)
            .map(|(_, unit, factor)| Token::Unit(unit, factor))
    };
    let by_name = |table: &[(&str, Token)]| {
        table
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, token)| *token)
    };
    numbered(&MONTHS)
        .map(|n| Token::Month(n + 1))
        .or_else(|| numbered(&WEEKDAYS).map(Token::Weekday))
        .or_else(|| by_name(&SHORT_FORMS))
        .or_else(|| zone(word))
        .or_else(|| (word == "dst").then_some(Token::Daylight))
        .or_else(|| simple(word))
        .or_else(|| word.strip_suffix('s').and_then(simple))
        .or_else(|| by_name(&WORDS))
        .or_else(|| military_zone(word))
        .or_else(|| {
            word.contains('.')
                .then(|| zone(&word.replace('.', "")))
                .flatten()
        })
        .unwrap_or(Token::Other('?'))
}

fn zone(word: &str) -> Option<Token> {
    let find = |table: &[(&str, i64)]| {
        table
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, hours)| hours * 60)
    };
    find(&ZONES)
        .map(Token::Zone)
        .or_else(|| find(&DAYLIGHT_ZONES).map(Token::DaylightZone))
}

/// One-letter zones. West and east are the reverse of common usage, as in the reference.
fn military_zone(word: &str) -> Option<Token> {
    let &[letter] = word.as_bytes() else {
        return None;
    };
    let hours_west = match letter {
        b'a'..=b'i' => i64::from(letter - b'a') + 1,
        b'k'..=b'm' => i64::from(letter - b'k') + 10,
        b'n'..=b'y' => -(i64::from(letter - b'n') + 1),
        b'z' => 0,
        _ => return None,
    };
    Some(Token::Zone(hours_west * 60))
}

#[derive(Debug, Default)]
struct Relative {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
}

#[derive(Debug)]
struct TimeOfDay {
    hour: i64,
    minute: i64,
    /// `None`: the current one.
    second: Option<i64>,
    meridian: Option<Meridian>,
}

#[derive(Debug)]
struct Date {
    /// `None`: the current one.
    year: Option<i64>,
    month: i64,
    day: i64,
}

/// What a text said. Each kind of item may appear once, relative amounts add up.
#[derive(Debug, Default)]
struct Items {
    time: Option<TimeOfDay>,
    date: Option<Date>,
    /// Minutes west of UTC.
    zone: Option<i64>,
    /// Which one, and the day of the week.
    weekday: Option<(i64, i64)>,
    relative: Option<Relative>,
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    items: Items,
}

/// Sets an item that must not be set twice.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

impl Parser {
    /// One item; `None` if the tokens are none. One token of look-ahead decides, and a longer
    /// form is taken where one is possible.
    fn item(&mut self) -> Option<()> {
        match self.tokens.next()? {
            Token::Unsigned(number) => self.number(number),
            Token::Signed(amount) => match self.tokens.next()? {
                Token::Unit(unit, factor) => self.relative(unit, amount, factor),
                _ => None,
            },
            Token::Unit(unit, factor) => self.relative(unit, 1, factor),
            Token::Month(month) => {
                let day = self.unsigned()?;
                let year = if self.next_is(',') {
                    Some(self.unsigned()?)
                } else {
                    None
                };
                once(&mut self.items.date, Date { year, month, day })
            }
            Token::Weekday(day) => {
                self.next_is(',');
                once(&mut self.items.weekday, (1, day))
            }
            Token::Zone(west) => {
                let daylight = self.tokens.next_if_eq(&Token::Daylight).is_some();
                once(&mut self.items.zone, west - if daylight { 60 } else { 0 })
            }
            Token::DaylightZone(west) => once(&mut self.items.zone, west - 60),
            Token::Meridian(_) | Token::Daylight | Token::Ago | Token::Other(_) => None,
        }
    }

    /// An item that starts with a number without sign.
    fn number(&mut self, number: i64) -> Option<()> {
        match self.tokens.peek().copied() {
            Some(Token::Meridian(_) | Token::Other(':')) => self.time(number),
            Some(Token::Other('/')) => self.slashed_date(number),
            Some(Token::Signed(month)) => {
                self.tokens.next();
                let Token::Signed(day) = self.tokens.next()? else {
                    return None;
                };
                let date = Date {
                    year: Some(number),
                    month: -month,
                    day: -day,
                };
                once(&mut self.items.date, date)
            }
            Some(Token::Month(month)) => {
                self.tokens.next();
                let year = match self.tokens.peek().copied() {
                    Some(Token::Signed(year)) => Some(-year),
                    Some(Token::Unsigned(year)) => Some(year),
                    _ => None,
                };
                if year.is_some() {
                    self.tokens.next();
                }
                once(
                    &mut self.items.date,
                    Date {
                        year,
                        month,
                        day: number,
                    },
                )
            }
            Some(Token::Weekday(day)) => {
                self.tokens.next();
                once(&mut self.items.weekday, (number, day))
            }
            Some(Token::Unit(unit, factor)) => {
                self.tokens.next();
                self.relative(unit, number, factor)
            }
            _ => self.lone_number(number),
        }
    }

    fn time(&mut self, hour: i64) -> Option<()> {
        let mut time = TimeOfDay {
            hour,
            minute: 0,
            second: Some(0),
            meridian: None,
        };
        if self.next_is(':') {
            time.minute = self.unsigned()?;
            let with_seconds = self.next_is(':');
            if with_seconds {
                time.second = Some(self.unsigned()?);
            }
            if let Some(&Token::Signed(hhmm)) = self.tokens.peek() {
                self.tokens.next();
                if !with_seconds {
                    // Odd, but that is what the original makes of hours and minutes with a zone.
                    time.second = None;
                }
                once(&mut self.items.zone, -(hhmm / 100 * 60 + hhmm % 100))?;
                return once(&mut self.items.time, time);
            }
        }
        if let Some(&Token::Meridian(meridian)) = self.tokens.peek() {
            self.tokens.next();
            time.meridian = Some(meridian);
        }
        once(&mut self.items.time, time)
    }

    fn slashed_date(&mut self, first: i64) -> Option<()> {
        self.next_is('/');
        let second = self.unsigned()?;
        let date = if !self.next_is('/') {
            Date {
                year: None,
                month: first,
                day: second,
            }
        } else if first >= 1000 {
            Date {
                year: Some(first),
                month: second,
                day: self.unsigned()?,
            }
        } else {
            Date {
                year: Some(self.unsigned()?),
                month: first,
                day: second,
            }
        };
        once(&mut self.items.date, date)
    }

    /// A number by itself: the year that completes a date, a date or a time of day.
    fn lone_number(&mut self, number: i64) -> Option<()> {
        let items = &mut self.items;
        if items.time.is_some()
            && items.relative.is_none()
            && let Some(date) = &mut items.date
        {
            date.year = Some(number);
            Some(())
        } else if number > 10_000 {
            let date = Date {
                year: Some(number / 10_000),
                month: number / 100 % 100,
                day: number % 100,
            };
            once(&mut items.date, date)
        } else {
            let (hour, minute) = if number < 100 {
                (number, 0)
            } else {
                (number / 100, number % 100)
            };
            once(
                &mut items.time,
                TimeOfDay {
                    hour,
                    minute,
                    second: Some(0),
                    meridian: None,
                },
            )
        }
    }

    fn relative(&mut self, unit: Unit, amount: i64, factor: i64) -> Option<()> {
        let sum = self.items.relative.get_or_insert_default();
        let field = match unit {
            Unit::Year => &mut sum.years,
            Unit::Month => &mut sum.months,
            Unit::Day => &mut sum.days,
            Unit::Hour => &mut sum.hours,
            Unit::Minute => &mut sum.minutes,
            Unit::Second => &mut sum.seconds,
        };
        *field = field.saturating_add(amount.saturating_mul(factor));
        if self.tokens.next_if_eq(&Token::Ago).is_some() {
            for field in [
                &mut sum.years,
                &mut sum.months,
                &mut sum.days,
                &mut sum.hours,
                &mut sum.minutes,
                &mut sum.seconds,
            ] {
                *field = field.saturating_neg();
            }
        }
        Some(())
    }

    fn unsigned(&mut self) -> Option<i64> {
        match self.tokens.next()? {
            Token::Unsigned(number) => Some(number),
            _ => None,
        }
    }

    fn next_is(&mut self, c: char) -> bool {
        self.tokens.next_if_eq(&Token::Other(c)).is_some()
    }
}

/// Two-digit years lie between 1969 and 2068; signs do not count.
fn full_year(year: i64) -> i64 {
    match year.saturating_abs() {
        year @ 0..=68 => year + 2000,
        year @ 69..=99 => year + 1900,
        year => year,
    }
}

fn hour_24(time: &TimeOfDay) -> Option<i64> {
    match (time.meridian, time.hour) {
        (None, hour @ 0..=23) => Some(hour),
        (Some(meridian), hour @ 1..=12) => {
            Some(hour % 12 + if meridian == Meridian::Pm { 12 } else { 0 })
        }
        _ => None,
    }
}

fn evaluate(items: &Items, now: i64, calendar: &dyn Calendar) -> Option<i64> {
    let current = calendar.local(now)?;
    let none = Relative::default();
    let relative = items.relative.as_ref().unwrap_or(&none);

    let mut time = LocalTime {
        year: current.year,
        month: current.month,
        day: current.day,
        ..LocalTime::default()
    };
    if let Some(date) = &items.date {
        time.year = date.year.map_or(current.year, full_year);
        time.month = date.month;
        time.day = date.day;
    }
    time.year = time.year.checked_add(relative.years)?;
    time.month = time.month.checked_add(relative.months)?;
    time.day = time.day.checked_add(relative.days)?;

    if let Some(of_day) = &items.time {
        time.hour = hour_24(of_day)?;
        time.minute = of_day.minute;
        time.second = of_day.second.unwrap_or(current.second);
    } else if items.relative.is_some() && items.date.is_none() && items.weekday.is_none() {
        time.hour = current.hour;
        time.minute = current.minute;
        time.second = current.second;
    }
    time.hour = time.hour.checked_add(relative.hours)?;
    time.minute = time.minute.checked_add(relative.minutes)?;
    time.second = time.second.checked_add(relative.seconds)?;

    // Daylight saving is that of the date meant; without one the present state goes on.
    let moves_days = relative.years != 0 || relative.months != 0 || relative.days != 0;
    let dated = items.date.is_some() || items.weekday.is_some() || items.time.is_some();
    time.daylight = if dated || moves_days {
        None
    } else {
        current.daylight
    };
    let mut instant = calendar.instant(&time)?;

    if let (Some((ordinal, weekday)), None) = (items.weekday, &items.date) {
        let mut time = calendar.local(instant)?;
        let weeks = ordinal - i64::from(ordinal > 0);
        let ahead = (weekday - time.weekday).rem_euclid(7);
        time.day = time
            .day
            .checked_add(weeks.checked_mul(7)?)?
            .checked_add(ahead)?;
        // Daylight saving stays that of the day counted from, so the hour may move.
        instant = calendar.instant(&time)?;
    }
    if let Some(west_minutes) = items.zone {
        let local = calendar.local(instant)?;
        instant = instant
            .checked_add(local.utc_offset)?
            .checked_add(west_minutes.checked_mul(60)?)?;
    }
    (instant != -1).then_some(instant)
}

#[cfg(test)]
mod tests;
