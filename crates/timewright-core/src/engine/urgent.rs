//! Asking all sources out of turn, but not again and again.

use timewright_time::{MonoTime, Seconds};

/// Shortest time between two rounds out of turn: a machine that sleeps whenever it is idle must not
/// poll whenever it wakes up. 16 s is twice what servers grant by default (`ratelimit interval 3`).
const INTERVAL: Seconds = Seconds(16.0);
/// The same for rounds that may be bursts (`iburst`), of four requests and more.
const BURST_INTERVAL: Seconds = Seconds(256.0);

/// A round of requests out of turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Round {
    /// How long it has to wait.
    pub(super) wait: Seconds,
    /// Whether sources with `iburst` may be asked several times.
    pub(super) burst: bool,
}

/// When the sources were last asked out of turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Urgent {
    last: Option<MonoTime>,
    last_burst: Option<MonoTime>,
}

impl Urgent {
    /// The next round; `now` is on a scale that counts suspends.
    pub(super) fn round(&mut self, now: MonoTime) -> Round {
        let due = match self.last {
            // One is ahead, which will do.
            Some(last) if last > now => last,
            Some(last) => now.max(last + INTERVAL),
            None => now,
        };
        self.last = Some(due);
        let burst = self
            .last_burst
            .is_none_or(|last| now - last >= BURST_INTERVAL);
        if burst {
            self.last_burst = Some(now);
        }
        Round {
            wait: due - now,
            burst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_kept_apart() {
        let mut urgent = Urgent::default();
        for (at, wait, burst) in [
            (100.0, 0.0, true),
            (101.0, 15.0, false),
            (102.0, 14.0, false),
            (120.0, 12.0, false),
            (134.0, 14.0, false),
            (356.0, 0.0, true),
            (1000.0, 0.0, true),
        ] {
            let round = urgent.round(MonoTime::ZERO + Seconds(at));
            assert!((round.wait.0 - wait).abs() < 1e-6, "{at}: {round:?}");
            assert_eq!(round.burst, burst, "{at}");
        }
    }
}
