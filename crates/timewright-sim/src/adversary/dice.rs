//! Random choices.

use crate::link::{Jitter, Link, Pass};
use crate::oscillator::ClockModel;
use crate::random::SimRng;
use timewright_core::rng::Rng as _;

/// A generator with the choices the drawing needs.
pub(super) struct Dice(pub(super) SimRng);

impl Dice {
    /// One of several.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.get(self.0.below(from.len()))
            .expect("a choice has at least one possibility")
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.0.chance(p)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.uniform()
    }

    /// Evenly distributed in its logarithm.
    pub(super) fn scale(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.0.uniform())
    }

    pub(super) fn sign(&mut self) -> f64 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    pub(super) fn normal(&mut self) -> f64 {
        self.0.normal()
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A path that does what it can but does not change what is said.
    pub(super) fn honest_link(&mut self) -> Link {
        let mut rarely = |p: f64| {
            if self.chance(0.2) {
                self.between(0.0, p)
            } else {
                0.0
            }
        };
        let (loss, duplicate, reorder, truncate) =
            (rarely(0.4), rarely(0.3), rarely(0.3), rarely(0.1));
        let delay_s = self.scale(1e-5, 0.1);
        Link {
            delay_s,
            jitter_s: delay_s * self.scale(1e-2, 3.0),
            jitter: *self.pick(&[
                Jitter::Exponential,
                Jitter::Exponential,
                Jitter::Uniform,
                Jitter::HalfNormal,
                Jitter::Pareto { shape: 2.5 },
                Jitter::Spikes {
                    chance: 0.05,
                    factor: 30.0,
                },
            ]),
            loss,
            duplicate,
            reorder,
            hold_s: self.scale(1e-3, 100.0),
            corrupt: 0.0,
            truncate,
            pass: *self.pick(&[
                Pass::Always,
                Pass::Always,
                Pass::Always,
                Pass::Always,
                Pass::Every(3),
                Pass::Window {
                    period_s: 3000.0,
                    open_s: 1200.0,
                },
            ]),
        }
    }

    /// A clock whose frequency wanders no faster than `maxclockerror` 1 ppm allows for.
    pub(super) fn honest_clock(&mut self) -> ClockModel {
        ClockModel {
            offset_s: self.normal() * *self.pick(&[0.0, 1e-3, 0.1, 1.0, 1e3]),
            freq_ppm: self.normal() * *self.pick(&[0.0, 10.0, 100.0]),
            wander: *self.pick(&[0.0, 1e-10, 1e-9, 3e-9]),
            sine_ppm: *self.pick(&[0.0, 0.0, 0.3]),
            sine_period_s: self.scale(5e3, 5e4),
            ..ClockModel::default()
        }
    }
}
