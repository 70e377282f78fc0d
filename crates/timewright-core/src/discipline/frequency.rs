//! Arithmetic of the absolute frequency and its temperature compensation
//! (`discipline.md` 7.2, 7.7).

/// The absolute frequency as the driver last returned it, and the compensation in it.
///
/// All methods take the driver's "set frequency" as a function from the wanted to the accepted
/// value, ppm; positive means the uncorrected clock is fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frequency {
    /// As last returned by the driver, temperature compensation included, ppm.
    current_ppm: f64,
    compensation_ppm: f64,
    max_ppm: f64,
}

/// The outcome of a frequency change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FrequencyChange {
    /// Relative change, s/s.
    pub(crate) dfreq: f64,
    /// The wanted value in ppm, if it had to be limited.
    pub(crate) limited: Option<f64>,
}

/// Hard limit of `maxdrift` in ppm.
const MAX_DRIFT_LIMIT_PPM: f64 = 500_000.0;

impl Frequency {
    pub(crate) fn new(current_ppm: f64, max_drift_ppm: f64) -> Self {
        Self {
            current_ppm,
            compensation_ppm: 0.0,
            max_ppm: if max_drift_ppm.is_nan() {
                MAX_DRIFT_LIMIT_PPM
            } else {
                max_drift_ppm.clamp(0.0, MAX_DRIFT_LIMIT_PPM)
            },
        }
    }

    /// The absolute frequency without temperature compensation.
    pub(crate) fn absolute_ppm(&self) -> f64 {
        if self.compensation_ppm == 0.0 {
            self.current_ppm
        } else {
            (self.current_ppm + self.compensation_ppm) / (1.0 - 1e-6 * self.compensation_ppm)
        }
    }

    pub(crate) fn compensation_ppm(&self) -> f64 {
        self.compensation_ppm
    }

    pub(crate) fn set_absolute(
        &mut self,
        wanted_ppm: f64,
        set: impl FnOnce(f64) -> f64,
    ) -> FrequencyChange {
        let (mut freq, limited) = self.limit(wanted_ppm);
        if self.compensation_ppm != 0.0 {
            freq = freq * (1.0 - 1e-6 * self.compensation_ppm) - self.compensation_ppm;
        }
        let accepted = set(freq);
        let dfreq = (accepted - self.current_ppm) / (1e6 - self.current_ppm);
        self.current_ppm = accepted;
        FrequencyChange { dfreq, limited }
    }

    /// Accumulates a change relative to the corrected clock, s/s.
    pub(crate) fn accumulate(
        &mut self,
        dfreq: f64,
        set: impl FnOnce(f64) -> f64,
    ) -> FrequencyChange {
        let old = self.current_ppm;
        let (freq, limited) = self.limit(old + dfreq * (1e6 - old));
        self.current_ppm = set(freq);
        FrequencyChange {
            dfreq: (self.current_ppm - old) / (1e6 - old),
            limited,
        }
    }

    /// Replaces the temperature compensation and returns the one that took effect.
    #[expect(
        clippy::float_cmp,
        reason = "only the very same value means nothing to do"
    )]
    pub(crate) fn set_compensation(&mut self, ppm: f64, set: impl FnOnce(f64) -> f64) -> f64 {
        if ppm == self.compensation_ppm {
            return ppm;
        }
        let uncompensated =
            (self.current_ppm + self.compensation_ppm) / (1.0 - 1e-6 * self.compensation_ppm);
        self.current_ppm = set(uncompensated * (1.0 - 1e-6 * ppm) - ppm);
        self.compensation_ppm = (uncompensated - self.current_ppm) / (1e-6 * uncompensated + 1.0);
        self.compensation_ppm
    }

    fn limit(&self, ppm: f64) -> (f64, Option<f64>) {
        if ppm.is_nan() {
            // Only a broken source statistic could ask for it: stay where we are.
            return (self.current_ppm, Some(ppm));
        }
        let limited = ppm.clamp(-self.max_ppm, self.max_ppm);
        (limited, (ppm.abs() > self.max_ppm).then_some(ppm))
    }

    #[cfg(test)]
    pub(crate) fn current_ppm(&self) -> f64 {
        self.current_ppm
    }
}
