//! Fallback drifts: long-term averages of the frequency, used when updates stay away
//! (`fallbackdrift`, `discipline.md` 8.8b).

use timewright_time::{MonoTime, Seconds};

/// Intervals shorter than this say nothing about the frequency, s.
const MIN_INTERVAL: f64 = 1.0;
/// Longer intervals than this many of the last one are gaps.
const MAX_INTERVAL_RATIO: f64 = 4.0;

/// The average over one period.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Average {
    log2: u32,
    frequency_ppm: f64,
    /// How much of the period has been seen, s.
    seen: f64,
}

impl Average {
    fn period(&self) -> f64 {
        2f64.powi(i32::try_from(self.log2).unwrap_or(31))
    }
}

/// Averages over 2^min .. 2^max seconds, and which of them is in use.
#[derive(Clone, Debug)]
pub struct FallbackDrifts {
    /// Shortest period first.
    averages: Vec<Average>,
    /// The average that is next to be used, or in use; 0: none.
    next: u32,
    due: Option<MonoTime>,
}

impl FallbackDrifts {
    /// From the directive's two exponents; `None` (no fallback) unless `max >= min > 0`.
    #[must_use]
    pub fn new(min: i32, max: i32) -> Option<Self> {
        let (min, max) = (u32::try_from(min).ok()?, u32::try_from(max).ok()?.min(31));
        if min == 0 || max < min {
            return None;
        }
        let averages = (min..=max)
            .map(|log2| Average {
                log2,
                frequency_ppm: 0.0,
                seen: 0.0,
            })
            .collect();
        Some(Self {
            averages,
            next: 0,
            due: None,
        })
    }

    /// When the next average is to be used.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<MonoTime> {
        self.due
    }

    /// Takes the frequency in after an update; `interval` is the time since the previous update,
    /// which is also the last one known.
    pub fn update(&mut self, frequency_ppm: f64, interval: Seconds, last_interval: Seconds) {
        self.next = 0;
        self.due = None;
        let interval = interval.0;
        if interval < MIN_INTERVAL || interval > last_interval.0 * MAX_INTERVAL_RATIO {
            return;
        }
        for average in &mut self.averages {
            let period = average.period();
            if average.seen < period {
                let weight = 0.5 * interval;
                average.frequency_ppm = (average.frequency_ppm * average.seen
                    + weight * frequency_ppm)
                    / (weight + average.seen);
                average.seen += weight;
            } else {
                average.frequency_ppm +=
                    (1.0 - (-interval / period).exp()) * (frequency_ppm - average.frequency_ppm);
            }
        }
    }

    /// Chooses the average for the time since the last update, unless one is waiting already.
    /// Returns the absolute frequency to set now, in ppm, if it changes.
    pub fn schedule(&mut self, now: MonoTime, since_update: Seconds) -> Option<f64> {
        if self.due.is_some() {
            return None;
        }
        let age = since_update.0;
        let mut current: Option<Average> = None;
        let mut stopped = None;
        for average in &self.averages {
            if average.seen < average.period() {
                continue;
            }
            if age < average.period() && average.log2 > self.next {
                stopped = Some(*average);
                break;
            }
            current = Some(*average);
        }
        let mut set = None;
        if let Some(average) = current.filter(|average| average.log2 > self.next) {
            self.next = average.log2;
            set = Some(average.frequency_ppm);
        }
        if let Some(average) = stopped {
            self.next = average.log2;
            self.due = Some(now + Seconds(average.period() - age));
        }
        set
    }

    /// The frequency to set if an average is due; the reference is unsynchronised then.
    pub fn handle_deadline(&mut self, now: MonoTime) -> Option<f64> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        self.due = None;
        self.averages
            .iter()
            .find(|a| a.log2 == self.next)
            .map(|a| a.frequency_ppm)
    }

    #[cfg(test)]
    pub(crate) fn cancel(&mut self) {
        self.due = None;
    }

    #[cfg(test)]
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    #[cfg(test)]
    pub(crate) fn averages(&self) -> Vec<(f64, f64)> {
        self.averages
            .iter()
            .map(|a| (a.frequency_ppm, a.seen))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents() {
        for (min, max, want) in [
            (6, 9, true),
            (6, 6, true),
            (0, 0, false),
            (7, 6, false),
            (-1, 3, false),
        ] {
            assert_eq!(FallbackDrifts::new(min, max).is_some(), want, "{min} {max}");
        }
    }

    #[test]
    fn longer_silence_uses_longer_averages() {
        let mut fallback = FallbackDrifts::new(6, 7).unwrap();
        let t0 = MonoTime::from_ns(0);
        for i in 0..20 {
            fallback.update(f64::from(i), Seconds(32.0), Seconds(32.0));
        }
        assert_eq!(fallback.schedule(t0, Seconds(0.0)), None);
        assert_eq!(fallback.next_deadline(), Some(t0 + Seconds(64.0)));
        // A second call does not disturb the timer.
        assert_eq!(fallback.schedule(t0, Seconds(10.0)), None);
        let t1 = t0 + Seconds(64.0);
        let first = fallback.handle_deadline(t1).unwrap();
        assert_eq!(fallback.schedule(t1, Seconds(64.0)), None);
        assert_eq!(fallback.next_deadline(), Some(t0 + Seconds(128.0)));
        let second = fallback.handle_deadline(t0 + Seconds(128.0)).unwrap();
        assert!(second < first);
        assert_eq!(fallback.schedule(t0 + Seconds(128.0), Seconds(128.0)), None);
        assert_eq!(fallback.next_deadline(), None);
    }

    #[test]
    fn an_average_counts_when_its_period_was_seen() {
        let mut fallback = FallbackDrifts::new(6, 6).unwrap();
        for _ in 0..3 {
            fallback.update(1.0, Seconds(32.0), Seconds(32.0));
        }
        assert_eq!(fallback.schedule(MonoTime::ZERO, Seconds(0.0)), None);
        assert_eq!(fallback.next_deadline(), None);
    }
}
