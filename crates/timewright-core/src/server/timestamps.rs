//! Receive and transmit times of answers to interleaved clients (`ntp-engine.md` 7.3).
//!
//! A client that comes back with our receive time as its originate time gets the precise
//! transmit time of that earlier answer. The map is a circular buffer sorted by receive time;
//! order is that of signed 64-bit differences, so it does not care about eras.

use crate::output::StampSource;
use crate::server::snapshot::SlewCount;
use timewright_time::{Cooked, NtpTimestamp, Timestamp};

/// Largest distance of a transmit from its receive time that is kept, ns: 2 s.
const TX_OFFSET_MAX_NS: i64 = 2_000_000_000;
/// Entries newer than an inserted one by more than this are dropped: the clock was stepped back.
const FUTURE_MAX: i64 = 1 << 32;
/// From the end, how far away an entry may be inserted; beyond it replaces its neighbour.
const INSERT_MAX: usize = 64;
/// A late transmit time stamp may be this much after the one it replaces.
const LATE_MAX_S: f64 = 1.0;

/// Position that is no entry's.
const NOWHERE: usize = usize::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    rx: u64,
    /// Transmit minus receive time, ns; [`NO_TX`] if that was too much.
    tx_offset_ns: i32,
    /// Slews counted when it was saved.
    epoch: u16,
    disabled: bool,
    source: StampSource,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// Outside of any offset kept.
const NO_TX: i32 = i32::MIN;

const UNUSED: Entry = Entry {
    rx: 0,
    tx_offset_ns: NO_TX,
    epoch: 0,
    disabled: true,
    source: StampSource::Daemon,
};

/// A transmit time found in the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SavedTx {
    /// When the packet was sent; `None` if that was too far from its receive time to be kept.
    pub time: Option<Timestamp<Cooked>>,
    /// Who stamped it.
    pub source: StampSource,
}

/// The map. Its memory is allocated when the first interleaved request is seen.
#[derive(Debug)]
pub struct TimestampMap {
    entries: Vec<Entry>,
    capacity: usize,
    first: usize,
    len: usize,
    /// Logical position of the last entry found.
    cached: usize,
    /// First Unix second of the era of NTP time in use.
    era_s: i64,
}

/// `a - b`, right for spans up to 68 years.
const fn difference(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b).cast_signed()
}

impl TimestampMap {
    /// An empty map of at most `capacity` entries; `era_s` is the first Unix second of the era in
    /// use.
    #[must_use]
    pub const fn new(capacity: usize, era_s: i64) -> Self {
        Self {
            entries: Vec::new(),
            capacity,
            first: 0,
            len: 0,
            cached: NOWHERE,
            era_s,
        }
    }

    /// Entries held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries there is memory for: 0, or the capacity once something was saved.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.entries.len()
    }

    /// Whole seconds from the oldest to the newest receive time.
    #[must_use]
    pub fn span_s(&self) -> u64 {
        match (self.get(0), self.newest()) {
            (Some(oldest), Some(newest)) => newest.rx.wrapping_sub(oldest.rx) >> 32,
            _ => 0,
        }
    }

    /// Forgets everything: the clock was stepped by an unknown amount.
    pub fn clear(&mut self) {
        self.first = 0;
        self.len = 0;
        self.cached = NOWHERE;
    }

    /// Saves the receive field of a packet and the time it was sent.
    ///
    /// A receive time that is there already is ambiguous and gets disabled; zero is ignored.
    pub fn save(
        &mut self,
        rx: NtpTimestamp,
        tx: Timestamp<Cooked>,
        source: StampSource,
        slews: SlewCount,
    ) {
        if self.entries.is_empty() {
            self.entries = vec![UNUSED; self.capacity];
        }
        if rx.is_zero() || self.capacity == 0 {
            return;
        }
        let entry = Entry {
            rx: rx.0,
            tx_offset_ns: self.tx_offset_ns(rx, tx).unwrap_or(NO_TX),
            epoch: slews.epoch,
            disabled: false,
            source,
        };
        if self
            .newest()
            .is_none_or(|newest| difference(rx.0, newest.rx) > 0)
        {
            self.push(entry);
            return;
        }
        let place = match self.search(rx.0) {
            Ok(found) => {
                self.disable_at(found);
                return;
            }
            Err(place) => place,
        };
        while self
            .newest()
            .is_some_and(|newest| difference(newest.rx, rx.0) > FUTURE_MAX)
        {
            self.len -= 1;
        }
        self.cached = NOWHERE;
        self.insert(place.min(self.len), entry);
    }

    /// The transmit time saved for a receive time; `None` if there is none or it was disabled.
    #[must_use]
    pub fn find(&mut self, rx: NtpTimestamp) -> Option<SavedTx> {
        let at = self.position(rx)?;
        let entry = self.get(at)?;
        self.cached = at;
        (!entry.disabled).then(|| SavedTx {
            time: self.tx_of(&entry),
            source: entry.source,
        })
    }

    /// Makes a receive time unusable: its transmit time was given away, or it is ambiguous.
    pub fn disable(&mut self, rx: NtpTimestamp) {
        if let Some(at) = self.position(rx) {
            self.disable_at(at);
        }
    }

    /// Replaces a saved transmit time by a late, better one.
    ///
    /// If the clock was slewed exactly once since, that slew is undone first, so that receive and
    /// transmit time belong to the same scale. Nothing happens unless the new time is 0 to 1 s
    /// after the old one.
    pub fn improve(
        &mut self,
        rx: NtpTimestamp,
        tx: Timestamp<Cooked>,
        source: StampSource,
        slews: SlewCount,
    ) {
        let Some(at) = self.position(rx) else { return };
        let Some(entry) = self.get(at) else { return };
        let Some(old) = self.tx_of(&entry).filter(|_| !entry.disabled) else {
            return;
        };
        let tx = slews.undone(tx, entry.epoch);
        let late = (tx - old).0;
        if !(0.0..=LATE_MAX_S).contains(&late) {
            return;
        }
        let Some(offset_ns) = self.tx_offset_ns(rx, tx) else {
            return;
        };
        if let Some(entry) = self.get_mut(at) {
            entry.tx_offset_ns = offset_ns;
            entry.source = source;
        }
    }

    fn rx_time(&self, rx: NtpTimestamp) -> Timestamp<Cooked> {
        rx.to_timestamp(self.era_s)
    }

    /// Transmit minus receive time in ns if it is to be kept.
    fn tx_offset_ns(&self, rx: NtpTimestamp, tx: Timestamp<Cooked>) -> Option<i32> {
        let offset = tx.ns().checked_sub(self.rx_time(rx).ns())?;
        if !(-TX_OFFSET_MAX_NS..TX_OFFSET_MAX_NS).contains(&offset) {
            return None;
        }
        i32::try_from(offset).ok()
    }

    fn tx_of(&self, entry: &Entry) -> Option<Timestamp<Cooked>> {
        let rx = self.rx_time(NtpTimestamp(entry.rx));
        (entry.tx_offset_ns != NO_TX)
            .then(|| Timestamp::from_ns(rx.ns() + i64::from(entry.tx_offset_ns)))
    }

    fn physical(&self, position: usize) -> usize {
        let at = self.first + position;
        if at >= self.capacity {
            at - self.capacity
        } else {
            at
        }
    }

    fn get(&self, position: usize) -> Option<Entry> {
        if position >= self.len {
            return None;
        }
        self.entries.get(self.physical(position)).copied()
    }

    fn get_mut(&mut self, position: usize) -> Option<&mut Entry> {
        let at = self.physical(position);
        self.entries.get_mut(at)
    }

    fn newest(&self) -> Option<Entry> {
        self.get(self.len.wrapping_sub(1))
    }

    fn disable_at(&mut self, position: usize) {
        if let Some(entry) = self.get_mut(position) {
            entry.disabled = true;
        }
    }

    fn drop_oldest(&mut self) {
        self.first = self.physical(1);
        self.len -= 1;
        // NOWHERE stays nowhere for any table that fits the memory; position 0 is gone.
        self.cached = self.cached.wrapping_sub(1);
    }

    /// Appends, dropping the oldest entry of a full map.
    fn push(&mut self, entry: Entry) {
        if self.len == self.capacity {
            self.drop_oldest();
        }
        self.len += 1;
        if let Some(place) = self.get_mut(self.len - 1) {
            *place = entry;
        }
    }

    /// Puts an entry before the one at `position`; far from the end it replaces the next older.
    fn insert(&mut self, mut position: usize, entry: Entry) {
        if self.len - position > INSERT_MAX {
            if let Some(place) = self.get_mut(position.saturating_sub(1)) {
                *place = entry;
            }
            return;
        }
        if self.len == self.capacity {
            self.drop_oldest();
            position = position.saturating_sub(1);
        }
        self.len += 1;
        for to in (position + 1..self.len).rev() {
            if let (Some(from), Some(place)) = (self.get(to - 1), self.get_mut(to)) {
                *place = from;
            }
        }
        if let Some(place) = self.get_mut(position) {
            *place = entry;
        }
    }

    /// The position of an exact receive time.
    fn position(&self, rx: NtpTimestamp) -> Option<usize> {
        if rx.is_zero() {
            return None;
        }
        if self.get(self.cached).is_some_and(|entry| entry.rx == rx.0) {
            return Some(self.cached);
        }
        self.search(rx.0).ok()
    }

    /// The position of a receive time, or else the one of the first newer entry.
    ///
    /// Interpolates while that halves the range at least, as it does for requests that come
    /// evenly, and bisects otherwise.
    fn search(&self, rx: u64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len);
        let mut interpolate = true;
        while low < high {
            let middle = if interpolate {
                self.interpolated(low, high, rx)
            } else {
                usize::midpoint(low, high)
            };
            let Some(entry) = self.get(middle) else { break };
            let size = high - low;
            match difference(entry.rx, rx) {
                0 => return Ok(middle),
                d if d < 0 => low = middle + 1,
                _ => high = middle,
            }
            interpolate = !interpolate || high - low <= size / 2;
        }
        Err(low)
    }

    /// Where in `low..high`, which is not empty, `rx` would be if entries came evenly.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "the product is 0 to the number of entries"
    )]
    fn interpolated(&self, low: usize, high: usize, rx: u64) -> usize {
        let (Some(a), Some(b)) = (self.get(low), self.get(high - 1)) else {
            return low;
        };
        let span = difference(b.rx, a.rx);
        if span <= 0 {
            return low;
        }
        let part = difference(rx, a.rx).clamp(0, span);
        // Rounding may be off by an entry; the search only wants to come near.
        let share = part as f64 / span as f64;
        low + (share * (high - 1 - low) as f64) as usize
    }
}

#[cfg(test)]
mod tests;
