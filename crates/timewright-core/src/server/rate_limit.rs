//! Token buckets for `ratelimit`, `ntsratelimit` and `cmdratelimit` (`ntp-engine.md` 7.7), and
//! the estimate of how often a client asks.
//!
//! Time is counted in sixteenths of a second ([`Ticks`]). A bucket's parameters are shared by all
//! clients of a service; the tokens themselves live in the client's record.

use crate::server::random::RandomPool;
use timewright_config::RateLimit;

/// Sixteenths of a second, modulo 2^32, with a random phase; zero is "never".
pub(crate) type Ticks = u32;

/// Estimate of a request rate not known yet; else -4*log2(interval in s), -56..=20.
pub(crate) const RATE_UNKNOWN: i8 = i8::MIN;

/// The `log2` interval reported while the rate is unknown.
pub const INTERVAL_UNKNOWN: i8 = 127;

/// Lowest interval of a limiter, also the poll of replies while there is none.
pub(crate) const INTERVAL_MIN_LOG2: i8 = -19;
const INTERVAL_MAX_LOG2: i8 = 12;
/// Ticks per second, log2.
const TICKS_PER_S_LOG2: i8 = 4;

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Serve it.
    Pass,
    /// Ignore it.
    Drop,
    /// Answer with a kiss-o'-death packet.
    KissOfDeath,
}

/// Parameters of the buckets of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) interval_log2: i8,
    /// Ticks per token, log2; negative for several tokens a tick.
    shift: i8,
    /// Tokens a request costs.
    cost: u16,
    /// Tokens a full bucket holds.
    pub(crate) capacity: u16,
    leak: u32,
    kod: u32,
}

impl Bucket {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "every value was clamped to a range that fits"
    )]
    pub(crate) fn new(limit: &RateLimit) -> Self {
        let interval = limit
            .interval
            .clamp(INTERVAL_MIN_LOG2.into(), INTERVAL_MAX_LOG2.into()) as i8;
        let burst = limit.burst.clamp(1, 255);
        let ticks_log2 = interval + TICKS_PER_S_LOG2;
        let (shift, cost, capacity) = if ticks_log2 >= 0 {
            // The finest unit for which a full bucket fits 16 bits.
            let shift = (0..ticks_log2)
                .find(|s| burst << (ticks_log2 - s) < 1 << 16)
                .unwrap_or(ticks_log2);
            let cost = 1 << (ticks_log2 - shift);
            (shift, cost, cost * burst)
        } else {
            (ticks_log2, 1, burst.max(1 << -ticks_log2))
        };
        Self {
            interval_log2: interval,
            shift,
            cost: cost as u16,
            capacity: capacity as u16,
            leak: limit.leak.clamp(1, 4),
            kod: limit.kod.min(4),
        }
    }

    /// The tokens after the time from `previous` to `now`, which is not before it.
    #[expect(clippy::cast_possible_truncation, reason = "limited by the capacity")]
    pub(crate) fn refill(&self, tokens: u16, previous: Ticks, now: Ticks) -> u16 {
        let gain = if self.shift >= 0 {
            (now >> self.shift).wrapping_sub(previous >> self.shift)
        } else {
            let elapsed = now.wrapping_sub(previous);
            if elapsed > u32::from(self.capacity) {
                u32::from(self.capacity)
            } else {
                // At most 2^15 << 15.
                elapsed << -self.shift
            }
        };
        u32::from(tokens)
            .saturating_add(gain)
            .min(self.capacity.into()) as u16
    }

    /// Decides on a request with `tokens` left; `inverted` swaps the odds of the leak.
    pub(crate) fn take(&self, tokens: &mut u16, inverted: bool, random: &mut RandomPool) -> Limit {
        if *tokens >= self.cost {
            *tokens -= self.cost;
            return Limit::Pass;
        }
        let leaked = random.one_in_power_of_2(self.leak);
        if leaked != inverted {
            *tokens = 0;
            Limit::Pass
        } else if self.kod > 0 && random.one_in_power_of_2(self.kod) {
            Limit::KissOfDeath
        } else {
            Limit::Drop
        }
    }
}

/// The estimate after another request `interval` ticks after the last one.
pub(crate) fn updated_rate(rate: i8, interval: Ticks) -> i8 {
    let seen = rate_of(interval);
    if rate == RATE_UNKNOWN {
        return seen;
    }
    if rate < seen {
        rate + 1
    } else if rate > seen + 10 {
        seen + 10
    } else if rate > seen {
        (rate + seen - 1) / 2
    } else {
        rate
    }
}

/// -4*log2 of an interval, in steps of 4: 20 for none, else 16 (1/16 s) down to -56.
fn rate_of(interval: Ticks) -> i8 {
    if interval == 0 {
        return 20;
    }
    let mut i = interval.wrapping_add(interval >> 1);
    let mut log2_times_4: i8 = -16;
    while log2_times_4 < 56 && i > 1 {
        i >>= 1;
        log2_times_4 += 4;
    }
    -log2_times_4
}

/// The interval to report for an estimate, log2 of seconds.
pub(crate) fn reported_interval(rate: i8) -> i8 {
    if rate == RATE_UNKNOWN {
        return INTERVAL_UNKNOWN;
    }
    (rate + if rate > 0 { 2 } else { -2 }) / -4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::test_rng::TestRng;

    #[test]
    fn buckets_have_the_finest_unit_that_fits() {
        for (interval, burst, want) in [
            (3, 8, (0, 128, 1024)),
            (-4, 8, (0, 1, 8)),
            (6, 8, (0, 1024, 8192)),
            (12, 32, (6, 1024, 32768)),
            (12, 1, (1, 32768, 32768)),
            (12, 255, (8, 256, 65280)),
            (13, 8, (4, 4096, 32768)),
            (-5, 1, (-1, 1, 2)),
            (-5, 8, (-1, 1, 8)),
            (-19, 8, (-15, 1, 32768)),
            (-32, 0, (-15, 1, 32768)),
        ] {
            let bucket = Bucket::new(&RateLimit {
                interval,
                burst,
                ..RateLimit::NTP
            });
            assert_eq!(
                (bucket.shift, bucket.cost, bucket.capacity),
                want,
                "interval {interval} burst {burst}"
            );
        }
    }

    #[test]
    fn refill_counts_whole_units_and_stops_at_the_capacity() {
        let bucket = |interval, burst| {
            Bucket::new(&RateLimit {
                interval,
                burst,
                ..RateLimit::NTP
            })
        };
        for (bucket, tokens, previous, now, want) in [
            (bucket(3, 8), 0, 1000, 1016, 16),
            (bucket(3, 8), 1020, 1000, 1016, 1024),
            (bucket(12, 32), 0, 0, 63, 0),
            (bucket(12, 32), 0, 63, 64, 1),
            (bucket(-5, 8), 0, 10, 12, 4),
            (bucket(-5, 8), 0, 10, 1_000_000_000, 8),
            (bucket(-19, 8), 0, 10, 11, 32768),
            (bucket(3, 8), 0, u32::MAX - 15, 0, 16),
        ] {
            assert_eq!(bucket.refill(tokens, previous, now), want, "{bucket:?}");
        }
    }

    #[test]
    fn requests_over_the_limit_leak_at_the_configured_odds() {
        let bucket = Bucket::new(&RateLimit {
            leak: 3,
            ..RateLimit::NTP
        });
        let mut rng = TestRng::new(2);
        let mut random = RandomPool::default();
        for (inverted, low, high) in [(false, 900, 1100), (true, 6900, 7100)] {
            let mut passed = 0;
            for _ in 0..8000 {
                random.ensure(&mut rng);
                let mut tokens = bucket.cost - 1;
                if bucket.take(&mut tokens, inverted, &mut random) == Limit::Pass {
                    assert_eq!(tokens, 0);
                    passed += 1;
                } else {
                    assert_eq!(tokens, bucket.cost - 1);
                }
            }
            assert!((low..high).contains(&passed), "{inverted} {passed}");
        }
    }

    #[test]
    fn rate_estimate_follows_the_table() {
        for (interval, want) in [
            (0, 20),
            (1, 16),
            (2, 12),
            (16, 0),
            (16 * 64, -24),
            (11 * 16, -16),
            (10 * 16, -12),
            (u32::MAX / 4, -56),
        ] {
            assert_eq!(rate_of(interval), want, "{interval}");
        }
        for (rate, interval, want) in [
            (RATE_UNKNOWN, 16, 0),
            (0, 16, 0),
            (-8, 16, -7),
            (3, 16, 1),
            (4, 16, 1),
            (20, 16, 10),
            (-20, 16 * 64, -22),
        ] {
            assert_eq!(updated_rate(rate, interval), want, "{rate} {interval}");
        }
        for (rate, want) in [
            (RATE_UNKNOWN, 127),
            (0, 0),
            (-24, 6),
            (-22, 6),
            (-21, 5),
            (16, -4),
            (3, -1),
            (1, 0),
        ] {
            assert_eq!(reported_interval(rate), want, "{rate}");
        }
    }
}
