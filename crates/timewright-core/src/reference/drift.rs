//! Content of the drift file (`discipline.md` 8.2, `daemon-and-files.md` 11.1).

use crate::discipline::scan_f64;
use timewright_time::FreqRatio;
use timewright_time::text::Fixed;

/// Smallest skew believed.
pub(crate) const MIN_SKEW: f64 = 1e-12;

/// What is remembered of the clock's frequency over a restart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Absolute frequency without temperature compensation; positive: the clock is fast.
    pub frequency_ppm: f64,
    /// Its uncertainty.
    pub skew: FreqRatio,
}

impl Drift {
    /// Reads the first two numbers; whatever follows is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (frequency_ppm, rest) = scan_f64(text)?;
        let (skew_ppm, _) = scan_f64(rest)?;
        Some(Self {
            frequency_ppm,
            skew: FreqRatio((skew_ppm * 1e-6).max(MIN_SKEW)),
        })
    }

    /// The file's one line.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "{:>20} {:>20}\n",
            Fixed(self.frequency_ppm, 6),
            Fixed(self.skew.ppm(), 6)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_line_of_42_bytes() {
        let drift = Drift {
            frequency_ppm: 100.328_006,
            skew: FreqRatio::from_ppm(0.04124),
        };
        assert_eq!(
            drift.to_text(),
            "          100.328006             0.041240\n"
        );
        let drift = Drift {
            frequency_ppm: 0.0,
            skew: FreqRatio(1.0),
        };
        assert!(drift.to_text().ends_with(" 1000000.000000\n"));
    }

    #[test]
    fn reading() {
        for (text, want) in [
            ("12.5 0.1 more", Some((12.5, 0.1e-6))),
            ("  -3\n4\n", Some((-3.0, 4e-6))),
            ("5 0", Some((5.0, 1e-12))),
            ("5 -1", Some((5.0, 1e-12))),
            ("5", None),
            ("", None),
            ("x 1", None),
            ("nan 1", None),
        ] {
            let drift = Drift::parse(text);
            assert_eq!(drift.map(|d| (d.frequency_ppm, d.skew.0)), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(ppm in -1e5..1e5f64, skew in 1e-3..1e6f64) {
            let drift = Drift { frequency_ppm: ppm, skew: FreqRatio::from_ppm(skew) };
            let back = Drift::parse(&drift.to_text()).unwrap();
            prop_assert!((back.frequency_ppm - ppm).abs() <= 1e-6);
            prop_assert!((back.skew.ppm() - skew).abs() <= 1e-6);
        }
    }
}
