//! What an oscillator does wrong: the frequency error of a free-running clock and its integral.
//!
//! All parts of a [`ClockModel`] add up. The random walk changes once a second, as in the upstream
//! simulator; the other parts are continuous and integrated in closed form. The seconds at which
//! the walk changes are counted from the start of the simulation, so that its values do not depend
//! on when anybody looks.

use crate::clock::from_ns;
use crate::random::SimRng;
use std::f64::consts::TAU;

/// The errors of an oscillator and the start of its clock.
///
/// Steps of the frequency at set times are actions: [`crate::Action::StepFrequency`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockModel {
    /// Offset at the start, seconds; positive means the clock is fast.
    pub offset_s: f64,
    /// Constant frequency error, ppm; positive means the clock gains.
    pub freq_ppm: f64,
    /// Ageing: change of the frequency error, ppm per day.
    pub ageing_ppm_per_day: f64,
    /// Random walk of the frequency, s/s per sqrt(s).
    pub wander: f64,
    /// Amplitude of a sinusoidal frequency error (temperature), ppm.
    pub sine_ppm: f64,
    /// Its period, seconds.
    pub sine_period_s: f64,
    /// Where in its period it starts, turns: 0 rises from zero, 0.25 starts at the top.
    pub sine_phase: f64,
}

impl ClockModel {
    /// A clock without errors.
    pub const PERFECT: Self = Self {
        offset_s: 0.0,
        freq_ppm: 0.0,
        ageing_ppm_per_day: 0.0,
        wander: 0.0,
        sine_ppm: 0.0,
        sine_period_s: 0.0,
        sine_phase: 0.0,
    };

    /// How much the frequency hardly ever changes by within a time, s/s: five standard deviations
    /// of the random walk, and all of the rest.
    pub(crate) fn restlessness(&self, within_s: f64) -> f64 {
        let age = within_s.abs();
        let turns = if self.sine_period_s > 0.0 {
            (std::f64::consts::TAU * age / self.sine_period_s).min(2.0)
        } else {
            0.0
        };
        let ppm = self.sine_ppm.abs() * turns + self.ageing_ppm_per_day.abs() * age / DAY_S;
        5.0 * self.wander * age.sqrt() + 1e-6 * ppm
    }
}

impl Default for ClockModel {
    fn default() -> Self {
        Self::PERFECT
    }
}

/// An oscillator at a moment of true time.
#[derive(Clone, Debug)]
pub(crate) struct Oscillator {
    model: ClockModel,
    rng: SimRng,
    /// Start of the simulation.
    origin_ns: i64,
    true_ns: i64,
    /// Frequency error of the random walk, s/s.
    walk: f64,
    /// When the walk changes next; never if there is none.
    change_ns: i64,
    /// Integral of the sinusoidal error up to `true_ns`, seconds.
    sine_integral: f64,
}

const DAY_S: f64 = 86_400.0;
const SECOND_NS: i64 = 1_000_000_000;

impl Oscillator {
    pub(crate) fn new(model: ClockModel, true_ns: i64, rng: SimRng) -> Self {
        let mut oscillator = Self {
            model,
            rng,
            origin_ns: true_ns,
            true_ns,
            walk: 0.0,
            change_ns: if model.wander > 0.0 {
                true_ns
            } else {
                i64::MAX
            },
            sine_integral: 0.0,
        };
        oscillator.sine_integral = oscillator.sine_integral_at(true_ns);
        if model.wander > 0.0 {
            oscillator.change();
        }
        oscillator
    }

    pub(crate) const fn true_ns(&self) -> i64 {
        self.true_ns
    }

    /// When the random walk changes next. Nobody may go past it without [`Self::change`].
    pub(crate) const fn change_ns(&self) -> i64 {
        self.change_ns
    }

    /// Changes the random walk and schedules its next change.
    pub(crate) fn change(&mut self) {
        self.walk += self.model.wander * self.rng.normal();
        self.change_ns += SECOND_NS;
    }

    /// Moves to a later true time; returns the seconds of it that passed and those gained on it.
    pub(crate) fn advance(&mut self, true_ns: i64) -> (f64, f64) {
        let dt = from_ns(true_ns - self.true_ns);
        let mut gained = dt * (self.model.freq_ppm * 1e-6 + self.walk);
        if self.model.ageing_ppm_per_day.abs() > 0.0 {
            gained += dt * self.ageing(from_ns(self.true_ns - self.origin_ns) + dt / 2.0);
        }
        if self.model.sine_ppm.abs() > 0.0 {
            let integral = self.sine_integral_at(true_ns);
            gained += integral - self.sine_integral;
            self.sine_integral = integral;
        }
        self.true_ns = true_ns;
        (dt, gained)
    }

    /// Its frequency error now, s/s.
    pub(crate) fn error(&self) -> f64 {
        let mut e = self.model.freq_ppm * 1e-6 + self.walk;
        if self.model.ageing_ppm_per_day.abs() > 0.0 {
            e += self.ageing(from_ns(self.true_ns - self.origin_ns));
        }
        if self.model.sine_ppm.abs() > 0.0 {
            e += self.model.sine_ppm * 1e-6 * self.angle(self.true_ns).sin();
        }
        e
    }

    /// Adds to its constant frequency error.
    pub(crate) fn step_frequency(&mut self, by_ppm: f64) {
        self.model.freq_ppm += by_ppm;
    }

    fn ageing(&self, age_s: f64) -> f64 {
        self.model.ageing_ppm_per_day * 1e-6 / DAY_S * age_s
    }

    fn angle(&self, true_ns: i64) -> f64 {
        let age_s = from_ns(true_ns - self.origin_ns);
        TAU * (age_s / self.model.sine_period_s + self.model.sine_phase)
    }

    /// Up to a constant.
    fn sine_integral_at(&self, true_ns: i64) -> f64 {
        if self.model.sine_ppm.abs() > 0.0 {
            let scale = self.model.sine_ppm * 1e-6 * self.model.sine_period_s / TAU;
            -scale * self.angle(true_ns).cos()
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::to_ns;

    /// Seconds gained after `at_s`, in steps of up to a second, and the frequency error then.
    fn run(model: ClockModel, at_s: f64, seed: u64) -> (f64, f64) {
        let mut o = Oscillator::new(model, 0, SimRng::new(seed, 0));
        let mut gained = 0.0;
        while o.true_ns < to_ns(at_s) {
            gained += o.advance(to_ns(at_s).min(o.true_ns + to_ns(1.0))).1;
            if o.true_ns == o.change_ns {
                o.change();
            }
        }
        (gained, o.error())
    }

    #[test]
    fn parts_add_up() {
        let model = ClockModel {
            freq_ppm: 10.0,
            ageing_ppm_per_day: 2.0,
            sine_ppm: 3.0,
            sine_period_s: 86_400.0,
            sine_phase: 0.25,
            ..ClockModel::PERFECT
        };
        // A quarter of a day: the cosine has fallen to zero.
        let (gained, error) = run(model, 21_600.0, 1);
        assert!((error - 10.5e-6).abs() < 1e-14, "{error:e}");
        let want = 21_600.0 * (10e-6 + 0.25e-6 + 3e-6 * 2.0 / std::f64::consts::PI);
        assert!((gained - want).abs() < 1e-11, "{gained} {want}");
    }

    #[test]
    fn random_walk_has_the_variance_of_its_density() {
        let model = ClockModel {
            wander: 1e-9,
            ..ClockModel::PERFECT
        };
        let runs = 2000u32;
        let (mut freq, mut phase, mut both) = (0.0, 0.0, 0.0);
        for seed in 0..runs {
            let (x, y) = run(model, 100.0, seed.into());
            phase += x * x / f64::from(runs);
            freq += y * y / f64::from(runs);
            both += x * y / f64::from(runs);
        }
        // Expected w^2 T, w^2 T^3 / 3 and w^2 T^2 / 2, as the walk goes in steps of 1 % of T up to
        // 2 % more; 2000 runs leave 3 % (one sigma).
        assert!((freq / 1e-16 - 1.0).abs() < 0.12, "{freq:e}");
        assert!((phase / (1e-12 / 3.0) - 1.0).abs() < 0.12, "{phase:e}");
        assert!((both / (1e-14 / 2.0) - 1.0).abs() < 0.12, "{both:e}");
    }
}
