//! Combining: the weighted mean of sources that agree well with the selected one
//! (`discipline.md` 6.6).

use crate::stats::Tracking;
use timewright_time::{FreqRatio, Seconds};

/// A source that is combined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) tracking: Tracking,
    pub(super) root_distance: Seconds,
}

/// What the sources say together, for the time of the selected one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Combined {
    pub(super) offset: Seconds,
    pub(super) offset_sd: Seconds,
    pub(super) freq: FreqRatio,
    pub(super) freq_sd: FreqRatio,
    pub(super) skew: FreqRatio,
    pub(super) count: usize,
}

impl Combined {
    /// One source alone.
    pub(super) const fn alone(tracking: &Tracking) -> Self {
        Self {
            offset: tracking.offset,
            offset_sd: tracking.offset_sd,
            freq: tracking.freq,
            freq_sd: tracking.freq_sd,
            skew: tracking.skew,
            count: 1,
        }
    }
}

/// Combines `parts` (the selected source among them) at the time of `selected`: offsets weighted
/// by distance, frequencies by variance.
pub(super) fn combine(selected: &Tracking, parts: &[Part]) -> Combined {
    let (mut offset_weight, mut offset_sum, mut offset_squares) = (0.0, 0.0, 0.0);
    let (mut freq_weight, mut freq_sum, mut skew_weight) = (0.0, 0.0, 0.0);
    for Part {
        tracking: t,
        root_distance,
    } in parts
    {
        let elapsed = selected.ref_time - t.ref_time;
        let offset = (t.offset + elapsed * t.freq).0;
        let offset_sd = (t.offset_sd + elapsed * t.freq_sd).0;
        let from_selected = offset - selected.offset.0;
        let weight = 1.0 / root_distance.0;
        offset_weight += weight;
        offset_sum += weight * offset;
        offset_squares += weight * (offset_sd * offset_sd + from_selected * from_selected);

        let weight = 1.0 / (t.freq_sd.0 * t.freq_sd.0);
        freq_weight += weight;
        freq_sum += weight * t.freq.0;
        skew_weight += 1.0 / (t.skew.0 * t.skew.0);
    }
    let combined = Combined {
        offset: Seconds(offset_sum / offset_weight),
        offset_sd: Seconds((offset_squares / offset_weight).sqrt()),
        freq: FreqRatio(freq_sum / freq_weight),
        freq_sd: FreqRatio(1.0 / freq_weight.sqrt()),
        skew: FreqRatio(1.0 / skew_weight.sqrt()),
        count: parts.len(),
    };
    // A distance of zero leaves no weights to speak of: then the selected source stands alone.
    let numbers = [
        combined.offset.0,
        combined.offset_sd.0,
        combined.freq.0,
        combined.freq_sd.0,
        combined.skew.0,
    ];
    if numbers.iter().all(|number| number.is_finite()) {
        combined
    } else {
        Combined::alone(selected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timewright_time::Timestamp;

    fn part(at_s: i64, offset: f64, distance: f64) -> Part {
        Part {
            tracking: Tracking {
                ref_time: Timestamp::from_parts(at_s, 0),
                offset: Seconds(offset),
                offset_sd: Seconds(1e-6),
                freq: FreqRatio(1e-6),
                freq_sd: FreqRatio(1e-8),
                skew: FreqRatio(1e-7),
                root_delay: Seconds(1e-3),
                root_dispersion: Seconds(1e-3),
            },
            root_distance: Seconds(distance),
        }
    }

    #[test]
    fn nearer_sources_weigh_more_and_older_ones_are_extrapolated() {
        // 100 s at 1e-6 make 1e-4; weights 3 and 1.
        let parts = [part(1000, 1e-3, 0.01), part(900, 1.3e-3, 0.03)];
        let got = combine(&parts[0].tracking, &parts);
        assert!((got.offset.0 - (3.0 * 1e-3 + 1.4e-3) / 4.0).abs() < 1e-12);
        assert!((got.freq.0 - 1e-6).abs() < 1e-15);
        assert!((got.freq_sd.0 - 1e-8 / 2f64.sqrt()).abs() < 1e-16);
        assert!((got.skew.0 - 1e-7 / 2f64.sqrt()).abs() < 1e-15);
        assert_eq!(got.count, 2);
    }

    #[test]
    fn a_distance_of_zero_does_not_give_nonsense() {
        let parts = [part(1000, 1e-3, 0.0), part(1000, 1e-3, 0.0)];
        assert_eq!(
            combine(&parts[0].tracking, &parts),
            Combined::alone(&parts[0].tracking)
        );
    }
}
