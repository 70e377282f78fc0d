//! One direction of a network path: delay, jitter, loss, duplication, reordering, corruption.

use crate::random::SimRng;

/// The random part of a delay, in units of the mean given with it unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Exponential: a single queue.
    Exponential,
    /// Magnitude of a normal number.
    HalfNormal,
    /// Normal on both sides of the base delay, with the number given as its standard deviation.
    /// A delay that would be negative is none.
    Normal,
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
    /// Exponential, but a share of the packets takes a longer way.
    Bimodal {
        /// How many packets, 0..1.
        share: f64,
        /// How much longer, in units of the mean.
        distance: f64,
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
    /// None between these two times, counted from the start of the simulation.
    Outage {
        /// When it begins, seconds.
        from_s: f64,
        /// When it ends, seconds.
        until_s: f64,
    },
    /// The last of every so many.
    Every(u64),
    /// All but the last of every so many.
    Except(u64),
}

/// One direction of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Delay of an empty path, seconds.
    pub delay_s: f64,
    /// Size of the random part, seconds; its mean with most distributions, see [`Jitter`].
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

    /// The two directions of a path of which the first takes `by_s` seconds longer than the
    /// second, with the same round trip: a client sees half of it as an offset.
    #[must_use]
    pub fn skewed(self, by_s: f64) -> (Self, Self) {
        let moved = |by: f64| Self {
            delay_s: self.delay_s + by,
            ..self
        };
        (moved(by_s / 2.0), moved(-by_s / 2.0))
    }

    /// The delays after which copies of the `count`-th packet (from 0) sent at `at_s` arrive;
    /// none if it is lost.
    pub(crate) fn deliveries(
        &self,
        at_s: f64,
        count: u64,
        rng: &mut SimRng,
    ) -> impl Iterator<Item = f64> + use<> {
        let copies = if !self.passes(at_s, count) || rng.chance(self.loss) {
            0
        } else if rng.chance(self.duplicate) {
            2
        } else {
            1
        };
        let mut delays = [0.0; 2];
        for delay in delays.iter_mut().take(copies) {
            let held = if rng.chance(self.reorder) {
                self.hold_s
            } else {
                0.0
            };
            *delay = (self.delay_s + self.jitter_s * self.draw(rng) + held).max(0.0);
        }
        delays.into_iter().take(copies)
    }

    fn passes(&self, at_s: f64, count: u64) -> bool {
        match self.pass {
            Pass::Always => true,
            Pass::Never => false,
            Pass::Window { period_s, open_s } => at_s.rem_euclid(period_s) < open_s,
            Pass::Outage { from_s, until_s } => !(from_s..until_s).contains(&at_s),
            Pass::Every(n) => (count + 1).is_multiple_of(n.max(1)),
            Pass::Except(n) => !(count + 1).is_multiple_of(n.max(1)),
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
            Jitter::Normal => rng.normal(),
            Jitter::Uniform => 2.0 * rng.uniform(),
            Jitter::Pareto { shape } => {
                (shape - 1.0) * ((1.0 - rng.uniform()).powf(-1.0 / shape) - 1.0)
            }
            Jitter::Spikes { chance, factor } => {
                let spike = rng.chance(chance);
                rng.exponential() * if spike { factor } else { 1.0 }
            }
            Jitter::Bimodal { share, distance } => {
                let longer = rng.chance(share);
                rng.exponential() + if longer { distance } else { 0.0 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u32 = 100_000;

    fn delays(delay_s: f64, jitter: Jitter) -> Vec<f64> {
        let link = Link {
            delay_s,
            jitter_s: 1.0,
            jitter,
            ..Link::default()
        };
        let mut rng = SimRng::new(1, 0);
        (0..DRAWS)
            .flat_map(|_| link.deliveries(0.0, 0, &mut rng))
            .collect()
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        values.sum::<f64>() / f64::from(DRAWS)
    }

    /// Mean of the random part and its share above `limit`. One seed: its draws leave 0.3 % of
    /// the standard deviation and 0.2 % of the share (one sigma).
    #[track_caller]
    fn check_jitter(jitter: Jitter, want_mean: f64, limit: f64, want_above: f64) {
        let delays = delays(10.0, jitter);
        let got = mean(delays.iter().map(|d| d - 10.0));
        assert!((got - want_mean).abs() < 0.03, "{jitter:?}: {got}");
        let above = mean(delays.iter().map(|d| f64::from(u8::from(d - 10.0 > limit))));
        assert!((above - want_above).abs() < 0.005, "{jitter:?}: {above}");
    }

    #[test]
    fn distributions_are_what_they_are_called() {
        check_jitter(Jitter::Exponential, 1.0, 2.0, (-2f64).exp());
        // 2 Q(sqrt(2/pi)): the share of a normal number's magnitudes above its mean.
        check_jitter(Jitter::HalfNormal, 1.0, 1.0, 0.4249);
        check_jitter(Jitter::Normal, 0.0, 1.0, 0.1587);
        check_jitter(Jitter::Uniform, 1.0, 1.5, 0.25);
        // Mean 1 with shape 3 means scale 2: (1 + 4/2)^-3.
        check_jitter(Jitter::Pareto { shape: 3.0 }, 1.0, 4.0, 1.0 / 27.0);
        let spikes = Jitter::Spikes {
            chance: 0.1,
            factor: 11.0,
        };
        let above = 0.9 * (-5f64).exp() + 0.1 * (-5f64 / 11.0).exp();
        check_jitter(spikes, 2.0, 5.0, above);
        let bimodal = Jitter::Bimodal {
            share: 0.2,
            distance: 20.0,
        };
        let above = 0.2 + 0.8 * (-10f64).exp();
        check_jitter(bimodal, 5.0, 10.0, above);
        assert!(delays(0.5, Jitter::Normal).iter().all(|&d| d >= 0.0));
    }

    #[test]
    fn chances_are_kept() {
        let link = Link {
            delay_s: 1.0,
            jitter_s: 0.0,
            loss: 0.1,
            duplicate: 0.2,
            reorder: 0.3,
            hold_s: 5.0,
            ..Link::default()
        };
        let mut rng = SimRng::new(1, 0);
        let (mut none, mut two, mut held, mut all) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..DRAWS {
            let copies: Vec<f64> = link.deliveries(0.0, 0, &mut rng).collect();
            none += f64::from(u8::from(copies.is_empty()));
            two += f64::from(u8::from(copies.len() == 2));
            for delay in copies {
                all += 1.0;
                held += f64::from(u8::from(delay > 5.0));
            }
        }
        let n = f64::from(DRAWS);
        assert!((none / n - 0.1).abs() < 0.005, "{none}");
        assert!((two / n - 0.9 * 0.2).abs() < 0.005, "{two}");
        assert!((held / all - 0.3).abs() < 0.005, "{held}");
    }

    #[test]
    fn damage_flips_one_bit_or_cuts_the_end_off() {
        let link = Link {
            corrupt: 0.5,
            truncate: 0.25,
            ..Link::default()
        };
        let mut rng = SimRng::new(1, 0);
        let (mut flipped, mut cut) = (0.0, 0.0);
        for _ in 0..10_000 {
            let mut bytes = vec![0u8; 48];
            link.damage(&mut bytes, &mut rng);
            let ones: u32 = bytes.iter().map(|b| b.count_ones()).sum();
            assert!(ones <= 1);
            cut += f64::from(u8::from(bytes.len() < 48));
            if bytes.len() == 48 {
                flipped += f64::from(ones);
            }
        }
        // Ten thousand draws leave 0.5 % (one sigma).
        assert!((cut / 1e4 - 0.25).abs() < 0.02, "{cut}");
        assert!((flipped / (1e4 - cut) - 0.5).abs() < 0.02, "{flipped}");
    }

    #[test]
    fn outages_are_by_time_or_by_count() {
        let mut rng = SimRng::new(1, 0);
        let link = |pass| Link {
            pass,
            ..Link::default()
        };
        let mut passes = |pass, at_s, count| {
            link(pass)
                .deliveries(at_s, count, &mut rng)
                .next()
                .is_some()
        };
        let window = Pass::Window {
            period_s: 100.0,
            open_s: 10.0,
        };
        let outage = Pass::Outage {
            from_s: 100.0,
            until_s: 200.0,
        };
        assert!(passes(window, 209.0, 5) && !passes(window, 211.0, 5));
        assert!(passes(outage, 99.0, 0) && !passes(outage, 100.0, 1) && passes(outage, 200.0, 2));
        assert!(passes(Pass::Every(20), 0.0, 39) && !passes(Pass::Every(20), 0.0, 40));
        assert!(!passes(Pass::Except(20), 0.0, 39) && passes(Pass::Except(20), 0.0, 40));
        assert!(!passes(Pass::Never, 0.0, 0));
    }

    #[test]
    fn asymmetry_keeps_the_mean() {
        let (up, down) = Link::exponential(1.0, 0.5).asymmetric(0.25);
        assert!((up.jitter_s - 0.25).abs() < 1e-12 && (down.jitter_s - 0.75).abs() < 1e-12);
        let (up, down) = Link::exponential(1.0, 0.5).skewed(0.5);
        assert!((up.delay_s - 1.25).abs() < 1e-12 && (down.delay_s - 0.75).abs() < 1e-12);
    }
}
