//! Poll adaptation (`ntp-engine.md` 3.5): a score that, when full, moves the poll interval.
//!
//! How a sample moves the score is for the estimator to say ([`crate::stats::Estimator`]).

/// The current poll interval between its limits, and how close it is to changing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poll {
    /// Current interval, log2 seconds ("local poll").
    pub current: i32,
    /// Shortest interval.
    pub min: i32,
    /// Longest interval.
    pub max: i32,
    /// 0..1; the interval grows at 1 and shrinks below 0.
    pub score: f64,
}

impl Poll {
    /// A new association starts at the shortest interval, but not below a second.
    #[must_use]
    pub fn new(min: i32, max: i32) -> Self {
        Self {
            current: min.max(0),
            min,
            max,
            score: 0.0,
        }
    }

    /// Moves the score by `by`, and the interval by the whole numbers in it. Intervals below a
    /// second are left for one of a second unless `subsecond`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate, and the result is limited"
    )]
    pub fn adjust(&mut self, by: f64, subsecond: bool) {
        self.score += by;
        if self.score >= 1.0 {
            let steps = self.score.trunc();
            self.current = self.current.saturating_add(steps as i32);
            self.score -= steps;
        } else if self.score < 0.0 {
            let steps = (self.score - 1.0).trunc();
            self.current = self.current.saturating_add(steps as i32);
            self.score -= steps;
        }
        if self.current < self.min {
            self.current = self.min;
            self.score = 0.0;
        } else if self.current > self.max {
            self.current = self.max;
            self.score = 1.0;
        }
        if self.current < 0 && !subsecond {
            self.current = 0;
        }
    }

    /// Back to the shortest interval; true if that changed it.
    pub fn reset(&mut self) -> bool {
        self.score = 0.0;
        let changed = self.current != self.min;
        self.current = self.min;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_scores_move_the_interval() {
        for (score, by, want_poll, want_score) in [
            (0.0, 0.25, 6, 0.25),
            (0.75, 0.25, 7, 0.0),
            (0.9, 2.3, 9, 0.2),
            (0.5, -0.25, 6, 0.25),
            (0.1, -0.2, 5, 0.9),
            (0.0, -1.0, 4, 1.0),
            (0.9, 100.0, 10, 1.0),
            (0.0, -100.0, 4, 0.0),
        ] {
            let mut poll = Poll {
                current: 6,
                min: 4,
                max: 10,
                score,
            };
            poll.adjust(by, true);
            assert_eq!(poll.current, want_poll, "{score} {by}");
            assert!(
                (poll.score - want_score).abs() < 1e-9,
                "{score} {by}: {}",
                poll.score
            );
        }
    }

    #[test]
    fn polls_below_a_second_need_a_near_source() {
        let mut poll = Poll {
            current: -2,
            min: -4,
            max: 4,
            score: 0.5,
        };
        poll.adjust(0.1, true);
        assert_eq!(poll.current, -2);
        poll.adjust(0.1, false);
        assert_eq!(poll.current, 0);
        assert_eq!(Poll::new(-4, 4).current, 0);
    }

    #[test]
    fn reset_tells_of_a_change() {
        let mut poll = Poll {
            current: 8,
            min: 6,
            max: 10,
            score: 0.5,
        };
        assert!(poll.reset() && !poll.reset());
        assert_eq!(
            poll,
            Poll {
                current: 6,
                min: 6,
                max: 10,
                score: 0.0
            }
        );
    }

    proptest! {
        #[test]
        fn the_interval_stays_in_its_limits(
            min in -7i32..20, span in 0i32..10, steps in prop::collection::vec(-20.0..20.0f64, 1..50),
            near in any::<bool>()
        ) {
            let mut poll = Poll::new(min, min + span);
            for by in steps {
                poll.adjust(by, near);
                prop_assert!((0.0..=1.0).contains(&poll.score));
                prop_assert!(poll.current >= poll.min || poll.current == 0);
                prop_assert!(poll.current <= poll.max || poll.current == 0);
                prop_assert!(near || poll.current >= 0);
            }
        }
    }
}
