//! The local time zone, by the C library's rules.

/// A date and time of day in the local time zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Year.
    pub year: i32,
    /// Month, 1..=12.
    pub month: i32,
    /// Day of the month, 1..=31.
    pub day: i32,
    /// Hour, 0..=23.
    pub hour: i32,
    /// Minute, 0..=59.
    pub minute: i32,
    /// Second, 0..=60.
    pub second: i32,
    /// Day of the week, 0 is Sunday.
    pub weekday: i32,
    /// Daylight saving time; `None` if not known.
    pub daylight: Option<bool>,
    /// How far the zone is ahead of UTC, seconds.
    pub utc_offset: i64,
}

/// The local time at an instant in seconds since 1970; `None` if the year is out of range.
#[must_use]
pub fn local(unix: i64) -> Option<LocalTime> {
    // SAFETY: all-zero bytes are a valid tm (its only pointer is never read here).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: tzset has no arguments; localtime_r need not call it.
    unsafe { tzset() };
    // SAFETY: both pointers are valid for the call, and only `tm` is written.
    if unsafe { libc::localtime_r(&raw const unix, &raw mut tm) }.is_null() {
        return None;
    }
    Some(LocalTime {
        year: tm.tm_year.checked_add(1900)?,
        month: tm.tm_mon + 1,
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
        weekday: tm.tm_wday,
        daylight: (tm.tm_isdst >= 0).then_some(tm.tm_isdst > 0),
        utc_offset: tm.tm_gmtoff,
    })
}

/// The instant of a local time in seconds since 1970. Fields out of range are carried over;
/// weekday and offset are not looked at. `None` if the result is out of range.
#[must_use]
pub fn instant(time: &LocalTime) -> Option<i64> {
    // SAFETY: all-zero bytes are a valid tm.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    tm.tm_year = time.year.checked_sub(1900)?;
    tm.tm_mon = time.month.checked_sub(1)?;
    tm.tm_mday = time.day;
    tm.tm_hour = time.hour;
    tm.tm_min = time.minute;
    tm.tm_sec = time.second;
    tm.tm_isdst = time.daylight.map_or(-1, i32::from);
    // mktime sets the weekday on success, which tells an error from 1969-12-31 23:59:59.
    tm.tm_wday = -1;
    // SAFETY: the pointer is valid, and mktime normalises the fields in place.
    let unix = unsafe { libc::mktime(&raw mut tm) };
    (tm.tm_wday >= 0).then_some(unix)
}

unsafe extern "C" {
    /// Reads the time zone from the environment (POSIX).
    fn tzset();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_lead_back() {
        for unix in [0, 951_782_400, 1_795_291_200, 4_102_444_800] {
            let time = local(unix).unwrap();
            assert_eq!(instant(&time), Some(unix));
        }
    }

    #[test]
    fn fields_are_carried_over() {
        let mut time = local(1_795_291_200).unwrap();
        time.daylight = None;
        let base = instant(&time).unwrap();
        time.second += 3600;
        time.minute -= 60;
        assert_eq!(instant(&time), Some(base));
        time.year = i32::MAX;
        time.month = i32::MAX;
        assert_eq!(instant(&time), None);
    }
}
