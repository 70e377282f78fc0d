//! From values to pixels, and where the ticks are.

/// A value axis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// From `min` to `max`, both above zero.
    Log {
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// From `-max` to `max`: logarithmic, but linear around zero up to about `unit`.
    Symmetric {
        /// Where it begins to be logarithmic.
        unit: f64,
        /// Both ends.
        max: f64,
    },
}

/// Labelled ticks are at least this far from each other, pixels.
const LABEL_PX: f64 = 15.0;

impl Scale {
    /// A symmetric scale for values of which the median magnitude is `typical` and the largest
    /// `max`.
    pub(super) fn symmetric(typical: f64, max: f64) -> Self {
        let max = if max > 0.0 { max } else { 1e-9 };
        // More than six decades are not readable; the smallest are the least interesting.
        let unit = power_below(typical.max(max * 1e-6));
        Self::Symmetric {
            unit,
            max: max * 1.2,
        }
    }

    /// A logarithmic scale that has all the values, rounded to decades.
    pub(super) fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut min, mut max) = (f64::INFINITY, 0f64);
        for value in values.into_iter().filter(|v| v.is_finite() && *v > 0.0) {
            min = min.min(value);
            max = max.max(value);
        }
        if max <= 0.0 {
            (min, max) = (1.0, 1.0);
        }
        let min = power_below(min * 1.000_001);
        let max = power_below(max * 0.999_999) * 10.0;
        Self::Log {
            min,
            max: max.max(min * 10.0),
        }
    }

    /// Where a value lies: 0 is the lower end, 1 the upper; values beyond are at the ends.
    pub(super) fn position(self, value: f64) -> f64 {
        let at = match self {
            Self::Log { min, max } => (value / min).log10() / (max / min).log10(),
            Self::Symmetric { unit, max } => {
                let part = (1.0 + value.abs() / unit).log10() / (1.0 + max / unit).log10();
                0.5 + 0.5 * part.copysign(value)
            }
        };
        at.clamp(0.0, 1.0)
    }

    /// Decades for a scale of this many pixels, each with whether there is room for its label.
    pub(super) fn ticks(self, pixels: f64) -> Vec<(f64, bool)> {
        let mut ticks = Vec::new();
        match self {
            Self::Log { min, max } => {
                let mut value = min;
                while value <= max * 1.01 {
                    ticks.push(value);
                    value *= 10.0;
                }
            }
            Self::Symmetric { unit, max } => {
                ticks.push(0.0);
                let mut value = unit;
                while value <= max {
                    ticks.push(value);
                    ticks.push(-value);
                    value *= 10.0;
                }
            }
        }
        // Zero, then the outermost labels: they tell the range.
        let rank = |value: &f64| {
            if *value == 0.0 {
                f64::INFINITY
            } else {
                value.abs()
            }
        };
        ticks.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        let mut labelled: Vec<f64> = Vec::new();
        let mut out: Vec<(f64, bool)> = ticks
            .into_iter()
            .map(|value| {
                let at = self.position(value) * pixels;
                let free = labelled.iter().all(|other| (other - at).abs() >= LABEL_PX);
                if free {
                    labelled.push(at);
                }
                (value, free)
            })
            .collect();
        out.sort_by(|a, b| a.0.total_cmp(&b.0));
        out
    }
}

/// The power of ten at or below a positive value.
fn power_below(value: f64) -> f64 {
    10f64.powf(value.log10().floor())
}

/// Ticks of a time axis from 0: unit in seconds, its name, and the ticks in that unit.
pub(super) fn time_ticks(length_s: f64) -> (f64, &'static str, Vec<f64>) {
    let units = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")];
    let (unit_s, name) = units
        .into_iter()
        .find(|(unit_s, _)| length_s >= 3.0 * unit_s)
        .unwrap_or((1.0, "s"));
    let length = length_s / unit_s;
    let rough = length / 10.0;
    let power = power_below(rough.max(f64::MIN_POSITIVE));
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let count = (length / step * 1.000_001).floor();
    let ticks = std::iter::successors(Some(0.0), |i| Some(i + 1.0))
        .take_while(|i| *i <= count)
        .map(|i| i * step)
        .collect();
    (unit_s, name, ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_scales_are_symmetric_and_monotonic() {
        let scale = Scale::symmetric(1e-6, 1e-3);
        assert!((scale.position(0.0) - 0.5).abs() < 1e-12);
        assert!((scale.position(1e-5) + scale.position(-1e-5) - 1.0).abs() < 1e-12);
        let mut last = -1.0;
        for value in [-1.0, -1e-3, -1e-6, 0.0, 1e-6, 1e-3, 1.0] {
            assert!(
                scale.position(value) > last || value.abs() >= 1.0,
                "{value}"
            );
            last = scale.position(value);
        }
    }

    #[test]
    fn log_scales_are_whole_decades() {
        let Scale::Log { min, max } = Scale::log([3e-6, 2e-4, f64::NAN, 0.0]) else {
            panic!("not logarithmic");
        };
        assert!((min / 1e-6 - 1.0).abs() < 1e-9 && (max / 1e-3 - 1.0).abs() < 1e-9);
        assert_eq!(Scale::log([3e-6, 2e-4]).ticks(200.0).len(), 4);
        assert!(Scale::log([]).ticks(200.0).len() >= 2);
    }

    #[test]
    fn labels_do_not_overlap() {
        let ticks = Scale::symmetric(1e-9, 1.0).ticks(100.0);
        let labels = ticks.iter().filter(|(_, label)| *label).count();
        assert!(
            ticks.len() > labels && (3..=7).contains(&labels),
            "{ticks:?}"
        );
    }

    #[test]
    fn times_have_about_ten_ticks_in_a_unit_that_fits() {
        for (length_s, unit) in [(50.0, "s"), (4000.0, "min"), (86_400.0, "h"), (4e5, "d")] {
            let (_, name, ticks) = time_ticks(length_s);
            assert_eq!(name, unit);
            assert!((5..=12).contains(&ticks.len()), "{ticks:?}");
        }
    }
}
