//! What is remembered about clients: when they asked last, how often, and their rate-limit
//! tokens (`ntp-engine.md` 7.6).
//!
//! Records live in slots of sixteen; a seeded hash of the address picks the slot. The table
//! starts with one slot and doubles when a slot is full, up to the bound of `clientloglimit`.
//! From then on a new client replaces another of its slot, so memory is bounded whatever the
//! network sends.
//!
//! Whoever sends requests in the name of millions of addresses must not push out the clients that
//! are really there. So three quarters of a slot belong to residents, those that came back after
//! the first second and are not overdue, the longest known first. A new client replaces the one
//! of the others that was silent for longest.

use crate::rng::{self, Rng};
use crate::server::random::RandomPool;
use crate::server::rate_limit::{
    Bucket, INTERVAL_MIN_LOG2, Limit, RATE_UNKNOWN, Ticks, reported_interval, updated_rate,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use timewright_config::RateLimit;
use timewright_time::{Cooked, Timestamp};

/// Records of a slot.
const SLOT: usize = 16;
/// Memory the reference accounts for one slot: 64 bytes a record and 16 a time stamp, and half
/// as much again while the table is doubled.
const SLOT_BYTES: u64 = (64 + 16) * SLOT as u64 * 3 / 2;
/// Most slots, whatever the limit.
const SLOTS_MAX: u64 = 1 << 20;
/// Most residents of a slot. The rest is for new clients, that a busy one among them is still
/// known, and limited, at its next request.
const RESIDENTS_MAX: usize = 12;
/// A resident has been seen this long after its first request. The requests of a burst are 2 s
/// apart.
const ACQUAINTANCE: Ticks = 16;
/// A resident that missed so many requests is gone.
const MISSED_MAX: u32 = 4;
/// Silence that is never too long: bursts are over before the first interval of 64 s.
const SILENCE_MIN: Ticks = MISSED_MAX * 64 * 16;
/// "Never" in [`ClientReport::ago_s`].
pub const AGO_NEVER: u32 = u32::MAX;

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Time.
    Ntp = 0,
    /// NTS key establishment.
    NtsKe = 1,
    /// Monitoring and control.
    Command = 2,
}

/// How many there are.
pub const SERVICES: usize = 3;

/// Settings of a client log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLogConfig {
    /// `clientloglimit`, bytes; `None` with `noclientlog`.
    pub limit_bytes: Option<u64>,
    /// `ratelimit`, `ntsratelimit` and `cmdratelimit`, in the order of [`Service`]; `None` where
    /// the directive is missing.
    pub rate_limits: [Option<RateLimit>; SERVICES],
}

impl Default for ClientLogConfig {
    fn default() -> Self {
        Self {
            limit_bytes: Some(524_288),
            rate_limits: [None; SERVICES],
        }
    }
}

/// Most records a log of this many bytes holds: a power of two, 16 or more.
#[must_use]
pub fn records_max(limit_bytes: u64) -> usize {
    let slots = (limit_bytes / SLOT_BYTES).clamp(1, SLOTS_MAX);
    // At most 2^20 slots.
    usize::try_from(1u64 << slots.ilog2()).map_or(SLOT, |slots| slots * SLOT)
}

/// Where a record is; valid until the next access is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordIndex(usize);

/// What the `clients` report tells of one client; arrays are in the order of [`Service`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientReport {
    /// Who.
    pub address: IpAddr,
    /// Requests.
    pub hits: [u32; SERVICES],
    /// Requests dropped by the rate limits; the counters wrap at 2^16.
    pub drops: [u16; SERVICES],
    /// Average interval between requests, log2 of seconds; 127 if unknown.
    pub interval_log2: [i8; SERVICES],
    /// The same for NTP requests after a dropped one.
    pub ntp_timeout_interval_log2: i8,
    /// Seconds since the last request; [`AGO_NEVER`] if there was none.
    pub ago_s: [u32; SERVICES],
}

/// Totals since start; arrays are in the order of [`Service`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientLogTotals {
    /// Requests.
    pub hits: [u64; SERVICES],
    /// Requests dropped by the rate limits.
    pub drops: [u64; SERVICES],
    /// Records replaced by those of other clients.
    pub record_drops: u64,
}

/// An address as a record's key: its bits, high half first, and its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    bits: [u64; 2],
    family: u8,
}

const FAMILY_V4: u8 = 4;
const FAMILY_V6: u8 = 6;

impl Key {
    #[expect(clippy::cast_possible_truncation, reason = "halves of 128 bits")]
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self {
                bits: [0, u32::from(v4).into()],
                family: FAMILY_V4,
            },
            IpAddr::V6(v6) => {
                let bits = u128::from(v6);
                Self {
                    bits: [(bits >> 64) as u64, bits as u64],
                    family: FAMILY_V6,
                }
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 bits were stored")]
    fn address(self) -> Option<IpAddr> {
        let [high, low] = self.bits;
        match self.family {
            FAMILY_V4 => Some(Ipv4Addr::from(low as u32).into()),
            FAMILY_V6 => {
                let bits = u128::from(high) << 64 | u128::from(low);
                Some(Ipv6Addr::from(bits).into())
            }
            _ => None,
        }
    }
}

/// The hash of a key: its low bits choose the slot, its high bits are the tag.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    /// Never zero.
    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32 | 1
    }
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// [`Key::bits`].
    address: [u64; 2],
    /// [`Key::family`]; zero in an unused record.
    family: u8,
    /// Bit per service: its last request was dropped.
    dropped: u8,
    /// Estimates of [`updated_rate`].
    rate: [i8; SERVICES],
    ntp_timeout_rate: i8,
    drops: [u16; SERVICES],
    tokens: [u16; SERVICES],
    last_hit: [Ticks; SERVICES],
    hits: [u32; SERVICES],
    /// When the record was made.
    since: Ticks,
}

const _: () = assert!(size_of::<Record>() <= 64);

const UNUSED: Record = Record {
    address: [0; 2],
    family: 0,
    dropped: 0,
    rate: [RATE_UNKNOWN; SERVICES],
    ntp_timeout_rate: RATE_UNKNOWN,
    drops: [0; SERVICES],
    tokens: [0; SERVICES],
    last_hit: [0; SERVICES],
    hits: [0; SERVICES],
    since: 0,
};

impl Record {
    fn key(&self) -> Key {
        Key {
            bits: self.address,
            family: self.family,
        }
    }

    /// The latest hit of any service.
    fn latest_hit(&self) -> Ticks {
        let [a, b, c] = self.last_hit;
        let later = |x, y| if is_earlier(x, y) { y } else { x };
        later(later(a, b), c)
    }

    /// Whether the client came back after its first requests and is not overdue.
    fn is_resident(&self, now: Ticks) -> bool {
        let latest = self.latest_hit();
        if is_earlier(latest, self.since) || latest.wrapping_sub(self.since) < ACQUAINTANCE {
            return false;
        }
        let longest = self
            .rate
            .iter()
            .filter(|rate| **rate != RATE_UNKNOWN)
            .map(|rate| reported_interval(*rate))
            .max();
        // Intervals are 2^14 s at most.
        let usual = longest.map_or(0, |log2| 16 << log2.clamp(0, 14));
        let silence = now.wrapping_sub(latest);
        is_earlier(now, latest) || silence <= (MISSED_MAX * usual).max(SILENCE_MIN)
    }

    fn total_hits(&self) -> u64 {
        self.hits.iter().map(|hits| u64::from(*hits)).sum()
    }
}

/// Whether `a` was silent for longer than `b`, or as long and asked less.
fn is_less_needed(a: &Record, b: &Record) -> bool {
    let (hit_a, hit_b) = (a.latest_hit(), b.latest_hit());
    is_earlier(hit_a, hit_b) || (hit_a == hit_b && a.total_hits() < b.total_hits())
}

/// Whether `a` is before `b`; "never" is before everything else.
#[expect(clippy::cast_possible_wrap, reason = "signed difference modulo 2^32")]
fn is_earlier(a: Ticks, b: Ticks) -> bool {
    a != b && (a == 0 || (b != 0 && (a.wrapping_sub(b) as i32) < 0))
}

/// The records of all clients, and the rate limits.
#[derive(Debug)]
pub struct ClientLog {
    /// A power of two of slots; empty with `noclientlog`.
    records: Vec<Record>,
    /// For every record some bits of its key's hash, zero for an unused one. The tags of a slot
    /// lie in one line of the cache, its records in sixteen.
    tags: Vec<u32>,
    records_max: usize,
    buckets: [Option<Bucket>; SERVICES],
    totals: ClientLogTotals,
    seed: [u64; 2],
    /// Phase of the ticks, below 1/16 s.
    phase_ns: i64,
}

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_TICK: i64 = NS_PER_S / 16;

impl ClientLog {
    /// An empty log.
    #[must_use]
    pub fn new(config: &ClientLogConfig, rng: &mut dyn Rng) -> Self {
        let records_max = config.limit_bytes.map_or(0, records_max);
        // Without records there is nowhere to keep tokens; the configuration refuses the pair.
        let buckets = match config.limit_bytes {
            Some(_) => config
                .rate_limits
                .map(|limit| limit.map(|limit| Bucket::new(&limit))),
            None => [None; SERVICES],
        };
        Self {
            records: vec![UNUSED; records_max.min(SLOT)],
            tags: vec![0; records_max.min(SLOT)],
            records_max,
            buckets,
            totals: ClientLogTotals::default(),
            seed: [rng::u64(rng) | 1, rng::u64(rng)],
            phase_ns: i64::from(rng::u32(rng)) % NS_PER_TICK,
        }
    }

    /// Whether clients are recorded at all (no `noclientlog`).
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.records_max > 0
    }

    /// Most records there can be; also the bound of the time stamp map.
    #[must_use]
    pub fn records_max(&self) -> usize {
        self.records_max
    }

    /// The smallest poll replies of a service ask for: the limiter's interval, log2 of seconds.
    #[must_use]
    pub fn interval_min_log2(&self, service: Service) -> i8 {
        let [ntp, nts_ke, command] = &self.buckets;
        let bucket = match service {
            Service::Ntp => ntp,
            Service::NtsKe => nts_ke,
            Service::Command => command,
        };
        bucket.map_or(INTERVAL_MIN_LOG2, |bucket| bucket.interval_log2)
    }

    /// Totals since start.
    #[must_use]
    pub fn totals(&self) -> &ClientLogTotals {
        &self.totals
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ticks are modulo 2^32"
    )]
    fn ticks(&self, now: Timestamp<Cooked>) -> Ticks {
        let ns = now.ns().wrapping_add(self.phase_ns);
        // "Never" is reserved.
        (ns.div_euclid(NS_PER_TICK) as u32).max(1)
    }

    #[expect(clippy::cast_possible_truncation, reason = "halves of 128 bits")]
    fn hash(&self, key: Key) -> Hash {
        let [multiplier, offset] = self.seed;
        let [high, low] = key.bits;
        let fold = |x: u64| {
            let product = u128::from(x) * u128::from(multiplier);
            (product >> 64) as u64 ^ product as u64
        };
        Hash(fold(fold(high ^ offset ^ u64::from(key.family)) ^ low))
    }

    /// First record of the slot of a key.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the hash is cut to the table's size"
    )]
    fn slot_of(&self, hash: Hash) -> usize {
        (hash.0 as usize).wrapping_mul(SLOT) & (self.records.len() - 1)
    }

    /// Counts a request of a client that is not recorded (over the Unix socket).
    pub fn count(&mut self, service: Service) {
        bump(&mut self.totals.hits, service as usize);
    }

    /// Counts a request and finds or makes the client's record; `None` with `noclientlog`.
    pub fn access(
        &mut self,
        service: Service,
        address: IpAddr,
        now: Timestamp<Cooked>,
    ) -> Option<RecordIndex> {
        let s = service as usize;
        bump(&mut self.totals.hits, s);
        if !self.is_active() {
            return None;
        }
        let ticks = self.ticks(now);
        let index = self.find_or_insert(Key::of(address), ticks);
        let bucket = self.buckets.get(s).copied().flatten();
        let record = self.records.get_mut(index)?;
        record_hit(record, s, ticks, bucket.as_ref());
        Some(RecordIndex(index))
    }

    /// Applies the rate limit of a service to the request just recorded.
    pub fn limit(&mut self, service: Service, index: RecordIndex, rng: &mut dyn Rng) -> Limit {
        let mut random = RandomPool::default();
        random.ensure(rng);
        self.limit_with(service, index, &mut random)
    }

    pub(crate) fn limit_with(
        &mut self,
        service: Service,
        index: RecordIndex,
        random: &mut RandomPool,
    ) -> Limit {
        let s = service as usize;
        let Some(bucket) = self.buckets.get(s).copied().flatten() else {
            return Limit::Pass;
        };
        let Some(record) = self.records.get_mut(index.0) else {
            return Limit::Pass;
        };
        record.dropped &= !(1 << s);
        // Some clients poll faster when they get no answer; dropping would make it worse.
        let inverted = service == Service::Ntp
            && record.ntp_timeout_rate != RATE_UNKNOWN
            && record.ntp_timeout_rate > record.rate[0].saturating_add(4);
        let Some(tokens) = record.tokens.get_mut(s) else {
            return Limit::Pass;
        };
        let verdict = bucket.take(tokens, inverted, random);
        if verdict == Limit::Drop {
            record.dropped |= 1 << s;
            if let Some(drops) = record.drops.get_mut(s) {
                *drops = drops.wrapping_add(1);
            }
            bump(&mut self.totals.drops, s);
        }
        verdict
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "slots lie within the table, whose length is a multiple of the slot"
    )]
    fn find_or_insert(&mut self, key: Key, now: Ticks) -> usize {
        let hash = self.hash(key);
        let index = loop {
            let first = self.slot_of(hash);
            // A slot fills from its start and nothing is removed: the first unused record ends it.
            let mut unused = None;
            for (index, &tag) in (first..).zip(&self.tags[first..first + SLOT]) {
                if tag == hash.tag() && self.records[index].key() == key {
                    return index;
                }
                if tag == 0 {
                    unused = Some(index);
                    break;
                }
            }
            if let Some(index) = unused {
                break index;
            }
            if self.records.len() < self.records_max {
                self.grow();
                continue;
            }
            break self.replaceable(first, now);
        };
        self.tags[index] = hash.tag();
        let record = &mut self.records[index];
        if record.family != 0 {
            self.totals.record_drops += 1;
        }
        *record = Record {
            address: key.bits,
            family: key.family,
            since: now,
            ..UNUSED
        };
        for (tokens, bucket) in record.tokens.iter_mut().zip(&self.buckets) {
            *tokens = bucket.map_or(0, |bucket| bucket.capacity);
        }
        index
    }

    /// The record of a full slot to be replaced: of those that are no residents, or residents
    /// beyond their number and known for the shortest, the one that was silent for longest; of
    /// several the least used.
    #[expect(clippy::indexing_slicing, reason = "as in the caller")]
    fn replaceable(&self, first: usize, now: Ticks) -> usize {
        let slot = &self.records[first..first + SLOT];
        let mut residents = [(0, 0); SLOT];
        let mut count = 0;
        let mut oldest = None;
        for (index, record) in slot.iter().enumerate() {
            if record.is_resident(now) {
                residents[count] = (now.wrapping_sub(record.since), index);
                count += 1;
            } else if oldest.is_none_or(|best| is_less_needed(record, &slot[best])) {
                oldest = Some(index);
            }
        }
        if count > RESIDENTS_MAX {
            let residents = &mut residents[..count];
            residents.sort_unstable_by(|a, b| b.cmp(a));
            for &(_, index) in &residents[RESIDENTS_MAX..] {
                if oldest.is_none_or(|best| is_less_needed(&slot[index], &slot[best])) {
                    oldest = Some(index);
                }
            }
        }
        // There are fewer protected records than places.
        first + oldest.unwrap_or(0)
    }

    /// Doubles the table. Records of a slot part between two slots, so everyone finds a place.
    fn grow(&mut self) {
        let size = 2 * self.records.len();
        let old = std::mem::replace(&mut self.records, vec![UNUSED; size]);
        self.tags = vec![0; size];
        for record in old.into_iter().filter(|record| record.family != 0) {
            let hash = self.hash(record.key());
            let first = self.slot_of(hash);
            let (records, tags) = (
                self.records.get_mut(first..first + SLOT),
                self.tags.get_mut(first..first + SLOT),
            );
            let mut slot = records
                .into_iter()
                .flatten()
                .zip(tags.into_iter().flatten());
            if let Some((place, tag)) = slot.find(|(_, tag)| **tag == 0) {
                *place = record;
                *tag = hash.tag();
            }
        }
    }

    /// Number of indices of [`ClientLog::report`]: the present size of the table.
    #[must_use]
    pub fn indices(&self) -> usize {
        self.records.len()
    }

    /// Records in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.iter().filter(|r| r.family != 0).count()
    }

    /// Whether no record is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The client at an index, if there is one that made `min_hits` requests of any one service.
    ///
    /// With `reset` its hits and drops are zeroed after that, also if it is not reported.
    pub fn report(
        &mut self,
        index: usize,
        min_hits: u32,
        reset: bool,
        now: Timestamp<Cooked>,
    ) -> Option<ClientReport> {
        let ticks = self.ticks(now);
        let record = self.records.get_mut(index)?;
        let address = record.key().address()?;
        let report = ClientReport {
            address,
            hits: record.hits,
            drops: record.drops,
            interval_log2: record.rate.map(reported_interval),
            ntp_timeout_interval_log2: reported_interval(record.ntp_timeout_rate),
            ago_s: record.last_hit.map(|last| ago_s(last, ticks)),
        };
        if reset {
            record.hits = [0; SERVICES];
            record.drops = [0; SERVICES];
        }
        report
            .hits
            .iter()
            .any(|hits| *hits >= min_hits)
            .then_some(report)
    }
}

fn bump(counters: &mut [u64; SERVICES], service: usize) {
    if let Some(counter) = counters.get_mut(service) {
        *counter += 1;
    }
}

fn record_hit(record: &mut Record, s: usize, now: Ticks, bucket: Option<&Bucket>) {
    let was_dropped = record.dropped & (1 << s) != 0;
    let (Some(last), Some(hits), Some(rate), Some(tokens)) = (
        record.last_hit.get_mut(s),
        record.hits.get_mut(s),
        record.rate.get_mut(s),
        record.tokens.get_mut(s),
    ) else {
        return;
    };
    let previous = std::mem::replace(last, now);
    *hits = hits.wrapping_add(1);
    // Nothing is learnt from the first request or across a backward step.
    if previous == 0 || is_earlier(now, previous) {
        return;
    }
    if let Some(bucket) = bucket {
        *tokens = bucket.refill(*tokens, previous, now);
    }
    let rate = if s == Service::Ntp as usize && was_dropped {
        &mut record.ntp_timeout_rate
    } else {
        rate
    };
    *rate = updated_rate(*rate, now.wrapping_sub(previous));
}

fn ago_s(last: Ticks, now: Ticks) -> u32 {
    if last == 0 || is_earlier(now, last) {
        AGO_NEVER
    } else {
        now.wrapping_sub(last) >> 4
    }
}

#[cfg(test)]
mod tests;
