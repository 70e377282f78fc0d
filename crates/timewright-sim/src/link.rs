//! One direction of a network path: delay, jitter, loss, duplication, reordering, corruption.

use crate::random::SimRng;

/// The random part of a delay, in units of the mean given with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Exponential: a single queue.
    Exponential,
    /// Magnitude of a normal number.
    HalfNormal,
    /// Uniform between nothing and twice the mean.
    Uniform,
    /// Heavy tail (Lomax): the smaller the shape, the heavier. Above 1, so that there is a mean.
    Pareto {
        /// Exponent of the tail.
        shape: f64,
    },
    /// Exponential, but a share of the packets waits much longer.
    Spikes {
        /// How many packets, 0..1.
        chance: f64,
        /// How many times longer.
        factor: f64,
    },
}

/// Which packets a path lets through at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pass {
    /// All.
    Always,
    /// None.
    Never,
    /// Those of the first `open_s` seconds of every `period_s`, counted from the start of the
    /// simulation.
    Window {
        /// Length of the cycle, seconds.
        period_s: f64,
        /// How long the path is open in it, seconds.
        open_s: f64,
    },
    /// The last of every so many.
    Every(u64),
}

/// One direction of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Delay of an empty path, seconds.
    pub delay_s: f64,
    /// Mean of the random part, seconds.
    pub jitter_s: f64,
    /// Its distribution.
    pub jitter: Jitter,
    /// Probability that a packet is lost.
    pub loss: f64,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// Probability that a packet is held back for `hold_s`, so that later ones overtake it.
    pub reorder: f64,
    /// For how long, seconds.
    pub hold_s: f64,
    /// Probability that one bit of a packet is flipped.
    pub corrupt: f64,
    /// Probability that the end of a packet is cut off.
    pub truncate: f64,
    /// Outages.
    pub pass: Pass,
}

impl Default for Link {
    /// The path of upstream's simulations: 100 µs each way plus exponential 100 µs.
    fn default() -> Self {
        Self {
            delay_s: 1e-4,
            jitter_s: 1e-4,
            jitter: Jitter::Exponential,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            hold_s: 0.0,
            corrupt: 0.0,
            truncate: 0.0,
            pass: Pass::Always,
        }
    }
}

impl Link {
    /// An otherwise perfect path.
    #[must_use]
    pub fn exponential(delay_s: f64, jitter_s: f64) -> Self {
        Self {
            delay_s,
            jitter_s,
            ..Self::default()
        }
    }

    /// A path without jitter.
    #[must_use]
    pub fn constant(delay_s: f64) -> Self {
        Self::exponential(delay_s, 0.0)
    }

    /// A path nothing passes.
    #[must_use]
    pub fn cut() -> Self {
        Self {
            pass: Pass::Never,
            ..Self::default()
        }
    }

    /// The two directions of a path with this mean jitter, of which the first has `1 - 2 asymmetry`
    /// of it and the second `1 + 2 asymmetry`. As an `asymmetry` of a source, the first is that
    /// of the requests.
    #[must_use]
    pub fn asymmetric(self, asymmetry: f64) -> (Self, Self) {
        let scaled = |factor: f64| Self {
            jitter_s: self.jitter_s * factor,
            ..self
        };
        (scaled(1.0 - 2.0 * asymmetry), scaled(1.0 + 2.0 * asymmetry))
    }

    /// The delays after which copies of the `count`-th packet (from 0) sent at `at_s` arrive;
    /// empty if it is lost.
    pub(crate) fn deliveries(&self, at_s: f64, count: u64, rng: &mut SimRng) -> Vec<f64> {
        if !self.passes(at_s, count) || rng.chance(self.loss) {
            return Vec::new();
        }
        let copies = if rng.chance(self.duplicate) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                let held = if rng.chance(self.reorder) {
                    self.hold_s
                } else {
                    0.0
                };
                self.delay_s + self.jitter_s * self.draw(rng) + held
            })
            .collect()
    }

    fn passes(&self, at_s: f64, count: u64) -> bool {
        match self.pass {
            Pass::Always => true,
            Pass::Never => false,
            Pass::Window { period_s, open_s } => at_s.rem_euclid(period_s) < open_s,
            Pass::Every(n) => (count + 1).is_multiple_of(n.max(1)),
        }
    }

    /// Flips a random bit and cuts the end off, with the path's probabilities.
    pub(crate) fn damage(&self, bytes: &mut Vec<u8>, rng: &mut SimRng) {
        if rng.chance(self.corrupt) {
            let bit = rng.below(bytes.len() * 8);
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        if rng.chance(self.truncate) {
            bytes.truncate(rng.below(bytes.len()));
        }
    }

    fn draw(&self, rng: &mut SimRng) -> f64 {
        match self.jitter {
            Jitter::Exponential => rng.exponential(),
            // The mean of |N(0,1)| is sqrt(2/pi).
            Jitter::HalfNormal => rng.normal().abs() * (std::f64::consts::PI / 2.0).sqrt(),
            Jitter::Uniform => 2.0 * rng.uniform(),
            Jitter::Pareto { shape } => {
                (shape - 1.0) * ((1.0 - rng.uniform()).powf(-1.0 / shape) - 1.0)
            }
            Jitter::Spikes { chance, factor } => {
                let spike = rng.chance(chance);
                rng.exponential() * if spike { factor } else { 1.0 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_delay(jitter: Jitter) -> f64 {
        let link = Link {
            delay_s: 0.0,
            jitter_s: 1.0,
            jitter,
            ..Link::default()
        };
        let mut rng = SimRng::new(1, 0);
        let n = 100_000u32;
        (0..n)
            .flat_map(|_| link.deliveries(0.0, 0, &mut rng))
            .sum::<f64>()
            / f64::from(n)
    }

    #[test]
    fn every_distribution_has_the_mean_it_is_given() {
        for jitter in [
            Jitter::Exponential,
            Jitter::HalfNormal,
            Jitter::Uniform,
            Jitter::Pareto { shape: 3.0 },
        ] {
            // One seed; 100000 draws leave less than 1 % for the heaviest tail.
            let mean = mean_delay(jitter);
            assert!((mean - 1.0).abs() < 0.03, "{jitter:?}: {mean}");
        }
        let spiky = mean_delay(Jitter::Spikes {
            chance: 0.1,
            factor: 11.0,
        });
        assert!((spiky - 2.0).abs() < 0.1, "{spiky}");
    }

    #[test]
    fn outages_are_by_time_or_by_count() {
        let mut rng = SimRng::new(1, 0);
        let link = |pass| Link {
            pass,
            ..Link::default()
        };
        let mut passes =
            |pass, at_s, count| !link(pass).deliveries(at_s, count, &mut rng).is_empty();
        let window = Pass::Window {
            period_s: 100.0,
            open_s: 10.0,
        };
        assert!(passes(window, 209.0, 5) && !passes(window, 211.0, 5));
        assert!(passes(Pass::Every(20), 0.0, 39) && !passes(Pass::Every(20), 0.0, 40));
        assert!(!passes(Pass::Never, 0.0, 0));
    }

    #[test]
    fn asymmetry_keeps_the_mean() {
        let (up, down) = Link::exponential(1.0, 0.5).asymmetric(0.25);
        assert!((up.jitter_s - 0.25).abs() < 1e-12 && (down.jitter_s - 0.75).abs() < 1e-12);
    }
}
