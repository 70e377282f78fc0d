//! Known leap seconds, from a `leap-seconds.list` or a time zone with leap seconds
//! (`discipline.md` 8.11, `daemon-and-files.md` 11.5).

use super::{Leap, ReferenceEvent};
use crate::discipline::Effects;
use timewright_time::NTP_UNIX_OFFSET_S;

const DAY_S: i64 = 86_400;
/// Look-ups within one such period give the same result.
const CACHE_PERIOD_S: i64 = DAY_S / 2;
/// TAI - UTC before the first leap second.
const FIRST_TAI_OFFSET: i32 = 10;

/// What is known about a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeapInfo {
    /// Whether a leap second follows at the coming midnight.
    pub leap: Leap,
    /// TAI - UTC in force, s; 0 if unknown.
    pub tai_offset_s: i32,
}

const NOTHING: LeapInfo = LeapInfo {
    leap: Leap::Normal,
    tai_offset_s: 0,
};

/// A configured source of leap seconds: its name, and its content unless it could not be read.
#[derive(Clone, Debug, Default)]
pub struct LeapFile {
    /// Path of the list, or name of the time zone.
    pub name: String,
    /// Bytes of the list, or of the zone's TZif file.
    pub content: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Source {
    None,
    List(LeapFile),
    Zone(ZoneLeaps),
}

/// The source in use, and the last look-up.
#[derive(Clone, Debug)]
pub struct LeapDatabase {
    source: Source,
    cached_at: i64,
    cached: LeapInfo,
    /// Start of the period for which the list was last asked for.
    loaded_at: Option<i64>,
}

impl Default for LeapDatabase {
    fn default() -> Self {
        Self::with(Source::None)
    }
}

impl LeapDatabase {
    /// Takes the list if it passes the check, else the time zone if that does.
    #[must_use]
    pub fn new(list: Option<LeapFile>, zone: Option<LeapFile>, out: &mut Effects) -> Self {
        if let Some(list) = list {
            let name = list.name.clone();
            let mut db = Self::with(Source::List(list));
            if db.passes_check(out) {
                out.log(ReferenceEvent::LeapListUsed(name));
                return db;
            }
            out.log(ReferenceEvent::LeapListFailed(name));
        }
        if let Some(zone) = zone {
            let leaps = zone.content.as_deref().and_then(ZoneLeaps::parse);
            let mut db = leaps.map_or_else(Self::default, |leaps| Self::with(Source::Zone(leaps)));
            if db.passes_check(out) {
                out.log(ReferenceEvent::LeapZoneUsed(zone.name));
                return db;
            }
            out.log(ReferenceEvent::LeapZoneFailed(zone.name));
        }
        Self::default()
    }

    /// What is known about Unix time `t`, at a resolution of 12 hours.
    pub fn lookup(&mut self, t: i64, out: &mut Effects) -> LeapInfo {
        let t = t.div_euclid(CACHE_PERIOD_S) * CACHE_PERIOD_S;
        if t != self.cached_at {
            self.cached_at = t;
            self.cached = self.find(t, out);
        }
        self.cached
    }

    /// Whether there is a list that is to be read again, which is due once per 12 hours of Unix
    /// time `t`; the content goes to [`LeapDatabase::reload`].
    pub fn wants_reload(&mut self, t: i64) -> bool {
        if !matches!(self.source, Source::List(_)) {
            return false;
        }
        let period = t.div_euclid(CACHE_PERIOD_S);
        // The first period's was read at start.
        self.loaded_at
            .replace(period)
            .is_some_and(|loaded| loaded != period)
    }

    /// New content of the list; `None` if it could not be read.
    pub fn reload(&mut self, content: Option<Vec<u8>>) {
        if let Source::List(list) = &mut self.source
            && list.content != content
        {
            list.content = content;
            self.cached_at = i64::MIN;
        }
    }

    /// Whether there is a source.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.source, Source::None)
    }

    const fn with(source: Source) -> Self {
        Self {
            source,
            cached_at: 0,
            cached: NOTHING,
            loaded_at: None,
        }
    }

    /// The leap second of 2012-06-30 and its absence on 2012-12-31 must be known.
    fn passes_check(&mut self, out: &mut Effects) -> bool {
        let june = LeapInfo {
            leap: Leap::Insert,
            tai_offset_s: 34,
        };
        let december = LeapInfo {
            leap: Leap::Normal,
            tai_offset_s: 35,
        };
        self.find(1_341_014_400, out) == june && self.find(1_356_912_000, out) == december
    }

    fn find(&self, t: i64, out: &mut Effects) -> LeapInfo {
        let midnight = t.div_euclid(DAY_S).saturating_add(1).saturating_mul(DAY_S);
        match &self.source {
            Source::None => NOTHING,
            Source::Zone(leaps) => leaps.find(t, midnight),
            Source::List(list) => {
                let Some(content) = &list.content else {
                    out.log(ReferenceEvent::LeapListMissing(list.name.clone()));
                    return NOTHING;
                };
                let midnight = midnight.saturating_add(NTP_UNIX_OFFSET_S);
                let Some((info, expiry)) = find_in_list(content, midnight) else {
                    out.log(ReferenceEvent::LeapListDamaged(list.name.clone()));
                    return NOTHING;
                };
                if midnight >= expiry {
                    out.log(ReferenceEvent::LeapListExpired(list.name.clone()));
                }
                info
            }
        }
    }
}

/// What a list says about the day before `midnight`, and when it expires; both in seconds since
/// 1900. `None` if the list is damaged.
fn find_in_list(content: &[u8], midnight: i64) -> Option<(LeapInfo, i64)> {
    let (mut update, mut expiry) = (0, 0);
    let mut info = NOTHING;
    let mut previous = FIRST_TAI_OFFSET;
    for line in content.split(|&b| b == b'\n') {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        if let Some(comment) = line.strip_prefix('#') {
            let field = match comment.chars().next() {
                Some('$') => &mut update,
                Some('@') => &mut expiry,
                _ => continue,
            };
            let value = comment.get(1..)?.split_ascii_whitespace().next()?;
            *field = value.parse::<i64>().ok()?;
            continue;
        }
        let Some(when) = words.next() else { continue };
        let when: i64 = when.parse().ok()?;
        let offset: i32 = words.next()?.parse().ok()?;
        if midnight == when {
            info.leap = match offset.cmp(&previous) {
                std::cmp::Ordering::Greater => Leap::Insert,
                std::cmp::Ordering::Less => Leap::Delete,
                std::cmp::Ordering::Equal => info.leap,
            };
            info.tai_offset_s = previous;
        } else if midnight > when {
            info.tai_offset_s = offset;
        }
        previous = offset;
    }
    (update != 0 && expiry != 0).then_some((info, expiry))
}

/// The leap seconds of a `right/` time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ZoneLeaps {
    /// Unix time of the midnight after each leap second, and the sum of leap seconds from then
    /// on; ascending.
    leaps: Vec<(i64, i32)>,
}

impl ZoneLeaps {
    /// Reads the leap second table of a TZif file (RFC 8536 section 3).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = TzHeader::parse(bytes)?;
        let first = bytes.get(TzHeader::LEN..)?;
        if header.version < b'2' {
            return Self::from_table(first.get(header.leap_range(4)?)?, 4);
        }
        let second = first.get(header.data_len(4)?..)?;
        let header = TzHeader::parse(second)?;
        Self::from_table(second.get(TzHeader::LEN..)?.get(header.leap_range(8)?)?, 8)
    }

    fn from_table(table: &[u8], time_len: usize) -> Option<Self> {
        let mut leaps = Vec::new();
        let mut previous = 0;
        for record in table.chunks_exact(time_len + 4) {
            let (time, correction) = record.split_at(time_len);
            let occurrence = match time_len {
                8 => i64::from_be_bytes(time.try_into().ok()?),
                _ => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
            };
            let correction = i32::from_be_bytes(correction.try_into().ok()?);
            if correction != previous {
                // Occurrences count the leap seconds before them; that of a deleted second lies
                // one second before midnight.
                let unix = occurrence.checked_sub(i64::from(previous))?;
                let midnight = unix.checked_add(DAY_S - 1)?.div_euclid(DAY_S) * DAY_S;
                leaps.push((midnight, correction));
            }
            // An unchanged correction marks the expiry of the table.
            previous = correction;
        }
        Some(Self { leaps })
    }

    fn find(&self, t: i64, midnight: i64) -> LeapInfo {
        let mut info = LeapInfo {
            leap: Leap::Normal,
            tai_offset_s: FIRST_TAI_OFFSET,
        };
        let mut before = 0;
        for &(when, correction) in &self.leaps {
            if when <= t {
                info.tai_offset_s = FIRST_TAI_OFFSET.saturating_add(correction);
            } else if when == midnight {
                info.leap = if correction > before {
                    Leap::Insert
                } else {
                    Leap::Delete
                };
            }
            before = correction;
        }
        info
    }
}

/// Counts of a TZif data block.
struct TzHeader {
    version: u8,
    is_ut: usize,
    is_std: usize,
    leap: usize,
    time: usize,
    types: usize,
    chars: usize,
}

impl TzHeader {
    const LEN: usize = 44;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::LEN)?;
        if bytes.get(..4)? != b"TZif" {
            return None;
        }
        let count = |i: usize| {
            let at = 20 + 4 * i;
            let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(word)).ok()
        };
        Some(Self {
            version: *bytes.get(4)?,
            is_ut: count(0)?,
            is_std: count(1)?,
            leap: count(2)?,
            time: count(3)?,
            types: count(4)?,
            chars: count(5)?,
        })
    }

    fn leap_range(&self, time_len: usize) -> Option<std::ops::Range<usize>> {
        let start = self
            .time
            .checked_mul(time_len + 1)?
            .checked_add(self.types.checked_mul(6)?)?
            .checked_add(self.chars)?;
        Some(start..start.checked_add(self.leap.checked_mul(time_len + 4)?)?)
    }

    fn data_len(&self, time_len: usize) -> Option<usize> {
        self.leap_range(time_len)?
            .end
            .checked_add(self.is_std)?
            .checked_add(self.is_ut)
    }
}

#[cfg(test)]
mod tests;
