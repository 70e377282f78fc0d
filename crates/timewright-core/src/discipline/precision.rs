//! Precision of the clock (`discipline.md` 7.1).

/// Increasing readings wanted.
const READINGS: u32 = 100;
/// Readings after which a clock that seems to stand still is given up.
const MAX_READINGS: u32 = 10_000_000;

/// Limits a precision to a sensible range, seconds.
#[must_use]
pub fn clamp(seconds: f64) -> f64 {
    seconds.clamp(1e-9, 1.0)
}

/// The precision as a power of two, as packets carry it.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "-30..=0 by the clamp")]
pub fn log2(seconds: f64) -> i8 {
    (clamp(seconds).ln() / 2f64.ln()).round() as i8
}

/// Smallest step of a clock in seconds, measured by reading it (`read` gives nanoseconds) until
/// it went ahead 100 times; 1 s for a clock that stands still.
pub fn measure(read: impl FnMut() -> i64) -> f64 {
    try_measure(read).unwrap_or_else(|| clamp(1.0))
}

/// Like [`measure`], but `None` for a clock that stands still.
pub fn try_measure(mut read: impl FnMut() -> i64) -> Option<f64> {
    let mut smallest: Option<i64> = None;
    let mut increases = 0;
    let mut last = read();
    for _ in 0..MAX_READINGS {
        let now = read();
        let step = now.saturating_sub(last);
        last = now;
        if step <= 0 {
            continue;
        }
        smallest = Some(smallest.map_or(step, |s| s.min(step)));
        increases += 1;
        if increases == READINGS {
            break;
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "nanoseconds below a few seconds are exact"
    )]
    smallest.map(|ns| clamp(ns as f64 * 1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_increase_counts() {
        let mut t = 0;
        let mut n = 0;
        let measured = measure(|| {
            n += 1;
            // Goes back now and then; the smallest step ahead is 30 ns.
            t += match n % 4 {
                0 => -100,
                1 => 0,
                2 => 250,
                _ => 30,
            };
            t
        });
        assert!((measured - 30e-9).abs() < 1e-15);
    }

    #[test]
    fn powers_of_two() {
        for (seconds, want) in [
            (0.0, -30),
            (1e-9, -30),
            (30e-9, -25),
            (1e-6, -20),
            (1.0, 0),
            (9.0, 0),
        ] {
            assert_eq!(log2(seconds), want, "{seconds}");
        }
    }
}
