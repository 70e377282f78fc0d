//! One direction of a network path: delay, jitter, loss, duplication, corruption.

use crate::random::SimRng;

/// The random part of a delay, in units of the mean given with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Exponential: a single queue.
    Exponential,
    /// Magnitude of a normal number.
    HalfNormal,
    /// Uniform between nothing and twice the mean.
    Uniform,
}

/// One direction of a path.
#[derive(Clone, Copy, Debug)]
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
    /// Probability that one bit of a packet is flipped.
    pub corrupt: f64,
    /// Nothing passes.
    pub down: bool,
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
            corrupt: 0.0,
            down: false,
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

    /// The delays after which copies of one packet arrive; empty if it is lost.
    pub(crate) fn deliveries(&self, rng: &mut SimRng) -> Vec<f64> {
        if self.down || rng.chance(self.loss) {
            return Vec::new();
        }
        let copies = if rng.chance(self.duplicate) { 2 } else { 1 };
        (0..copies)
            .map(|_| self.delay_s + self.jitter_s * self.draw(rng))
            .collect()
    }

    /// Flips one random bit with the path's probability.
    pub(crate) fn corrupt(&self, bytes: &mut [u8], rng: &mut SimRng) {
        if rng.chance(self.corrupt) && !bytes.is_empty() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index below the packet's length"
            )]
            let bit = (rng.uniform() * (bytes.len() * 8) as f64) as usize;
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn draw(&self, rng: &mut SimRng) -> f64 {
        match self.jitter {
            Jitter::Exponential => rng.exponential(),
            // The mean of |N(0,1)| is sqrt(2/pi).
            Jitter::HalfNormal => rng.normal().abs() * (std::f64::consts::PI / 2.0).sqrt(),
            Jitter::Uniform => 2.0 * rng.uniform(),
        }
    }
}
