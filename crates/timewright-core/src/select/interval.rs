//! Intersection of offset intervals: where do most sources agree? (`discipline.md` 6.5, step 4)

use std::cmp::Ordering;

/// The offsets a source allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    /// Smallest offset, seconds.
    pub(super) lo: f64,
    /// Largest offset, at least `lo`.
    pub(super) hi: f64,
    /// Whether the source has the option `trust`.
    pub(super) trusted: bool,
}

/// Where the most intervals overlap; among trusted sources first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Intersection {
    /// Most intervals over one offset; with trusted sources, most trusted ones.
    pub(super) agreeing: usize,
    /// Intervals that `agreeing` is a part of.
    pub(super) total: usize,
    /// Whether there are trusted sources.
    pub(super) trusted: bool,
    /// Lower end of the first place where the most intervals overlap.
    pub(super) lo: f64,
    /// Upper end of the last such place.
    pub(super) hi: f64,
    /// Lower end of the first place where the most trusted intervals overlap.
    pub(super) trusted_lo: f64,
    /// Upper end of the last one.
    pub(super) trusted_hi: f64,
}

impl Intersection {
    /// Whether more than half agree.
    pub(super) const fn is_majority(&self) -> bool {
        self.agreeing > self.total / 2
    }

    /// Whether an interval agrees with the majority: it contains the intersection or lies in it.
    pub(super) fn admits(&self, interval: &Interval) -> bool {
        (interval.lo <= self.lo && interval.hi >= self.hi)
            || (interval.lo >= self.lo && interval.hi <= self.hi)
    }

    /// Whether an interval lies within what the trusted sources allow (anything, without any).
    pub(super) fn is_trustworthy(&self, interval: &Interval) -> bool {
        !self.trusted
            || interval.trusted
            || (interval.lo >= self.trusted_lo && interval.hi <= self.trusted_hi)
    }
}

/// Finds where most intervals overlap.
pub(super) fn intersect(intervals: &[Interval]) -> Intersection {
    // At equal values an interval begins before another ends, so that they touch.
    const LOW: u8 = 0;
    const HIGH: u8 = 1;
    let mut ends: Vec<(f64, u8, bool)> = intervals
        .iter()
        .flat_map(|i| [(i.lo, LOW, i.trusted), (i.hi, HIGH, i.trusted)])
        .collect();
    // Not `total_cmp`: zeros of either sign are equal here, and no end is a NaN.
    let by_value = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    ends.sort_by(|a, b| by_value(a.0, b.0).then(a.1.cmp(&b.1)));

    let mut found = Intersection::default();
    let (mut depth, mut best) = (0usize, 0usize);
    let (mut trusted_depth, mut trusted_best) = (0usize, 0usize);
    for (value, end, trusted) in ends {
        if end == LOW {
            depth += 1;
            trusted_depth += usize::from(trusted);
            if trusted_depth > trusted_best || (trusted_depth == trusted_best && depth > best) {
                if trusted_depth > trusted_best {
                    trusted_best = trusted_depth;
                    found.trusted_lo = value;
                }
                best = depth;
                found.lo = value;
            }
        } else {
            if trusted_depth == trusted_best {
                if depth == best {
                    found.hi = value;
                }
                found.trusted_hi = value;
            }
            depth -= 1;
            trusted_depth -= usize::from(trusted);
        }
    }
    found.trusted = trusted_best > 0;
    if found.trusted {
        found.agreeing = trusted_best;
        found.total = intervals.iter().filter(|i| i.trusted).count();
    } else {
        found.agreeing = best;
        found.total = intervals.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn intervals(list: &[(f64, f64, bool)]) -> Vec<Interval> {
        let interval = |&(lo, hi, trusted)| Interval { lo, hi, trusted };
        list.iter().map(interval).collect()
    }

    #[test]
    fn the_deepest_overlap_wins() {
        /// Name, intervals, most agreeing, total, intersection.
        type Case<'a> = (&'a str, &'a [(f64, f64, bool)], usize, usize, (f64, f64));
        let cases: [Case<'_>; 7] = [
            ("one", &[(1.0, 2.0, false)], 1, 1, (1.0, 2.0)),
            (
                "two of three",
                &[(0.0, 2.0, false), (1.0, 3.0, false), (5.0, 6.0, false)],
                2,
                3,
                (1.0, 2.0),
            ),
            (
                "touching",
                &[(0.0, 1.0, false), (1.0, 2.0, false)],
                2,
                2,
                (1.0, 1.0),
            ),
            (
                "disjoint: from the first to the last",
                &[(0.0, 1.0, false), (2.0, 3.0, false)],
                1,
                2,
                (0.0, 3.0),
            ),
            (
                "one trusted against two",
                &[(0.0, 1.0, true), (5.0, 6.0, false), (5.0, 6.0, false)],
                1,
                1,
                (0.0, 1.0),
            ),
            ("zeros", &[(0.0, -0.0, false)], 1, 1, (0.0, 0.0)),
            ("none", &[], 0, 0, (0.0, 0.0)),
        ];
        for (name, list, agreeing, total, ends) in cases {
            let found = intersect(&intervals(list));
            assert_eq!((found.agreeing, found.total), (agreeing, total), "{name}");
            assert_eq!((found.lo, found.hi), ends, "{name}");
        }
    }

    #[test]
    fn half_is_no_majority() {
        assert!(!intersect(&intervals(&[(0.0, 1.0, false), (2.0, 3.0, false)])).is_majority());
        assert!(intersect(&intervals(&[(0.0, 1.0, false)])).is_majority());
        assert!(!intersect(&[]).is_majority());
    }

    proptest! {
        #[test]
        fn the_depth_is_that_of_a_search_by_hand(
            list in prop::collection::vec((-5i32..5, 0i32..5), 1..10)
        ) {
            let list: Vec<Interval> = list.into_iter()
                .map(|(lo, len)| Interval { lo: lo.into(), hi: (lo + len).into(), trusted: false })
                .collect();
            // The deepest place begins at some lower end.
            let deepest = list.iter().map(|at| {
                list.iter().filter(|i| i.lo <= at.lo && at.lo <= i.hi).count()
            }).max().unwrap();
            let found = intersect(&list);
            prop_assert_eq!(found.agreeing, deepest);
            prop_assert!(found.lo <= found.hi);
        }
    }
}
