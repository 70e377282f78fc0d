//! A queue that several paths go through, such as the loaded uplink of a site.
//!
//! Packets wait for as long as the queue is, whatever path they came by, so that the errors of
//! several sources are of one kind: the case in which averaging does not help. The length is
//! `(x^2 + y^2) / 2` times the mean, with `x` and `y` stationary Gauss-Markov processes: an
//! exponential distribution and an exponential autocorrelation, drawn exactly for any interval.

use crate::clock::from_ns;
use crate::random::SimRng;

/// The waiting time in a queue shared by several paths, added to the delay of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedQueue {
    /// Mean waiting time, seconds.
    pub mean_s: f64,
    /// Time after which the waiting time is correlated by 1/e only, seconds.
    pub memory_s: f64,
}

/// A shared queue at the time of the last packet through it.
#[derive(Clone, Debug)]
pub(crate) struct QueueState {
    queue: SharedQueue,
    rng: SimRng,
    true_ns: i64,
    state: [f64; 2],
}

impl QueueState {
    pub(crate) fn new(queue: SharedQueue, true_ns: i64, mut rng: SimRng) -> Self {
        Self {
            queue,
            true_ns,
            state: [rng.normal(), rng.normal()],
            rng,
        }
    }

    /// How long a packet waits that comes in now, seconds. Time must not go back.
    pub(crate) fn wait(&mut self, true_ns: i64) -> f64 {
        let dt = from_ns(true_ns - self.true_ns);
        self.true_ns = true_ns;
        // Squares lose their correlation twice as fast.
        let kept = (-0.5 * dt / self.queue.memory_s).exp();
        let fresh = (1.0 - kept * kept).sqrt();
        self.state = self.state.map(|x| kept * x + fresh * self.rng.normal());
        let [x, y] = self.state;
        self.queue.mean_s * 0.5 * (x * x + y * y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::to_ns;

    #[test]
    fn waiting_times_are_exponential_and_remembered() {
        let queue = SharedQueue {
            mean_s: 2.0,
            memory_s: 10.0,
        };
        let mut state = QueueState::new(queue, 0, SimRng::new(1, 0));
        let n = 200_000u32;
        let waits: Vec<f64> = (0..n)
            .map(|i| state.wait(to_ns(5.0 * f64::from(i))))
            .collect();
        let mean = |x: &mut dyn Iterator<Item = f64>| x.sum::<f64>() / f64::from(n);
        // One seed. Some 50000 independent draws: 1 % (two sigma) for the mean, 3 % for squares.
        let first = mean(&mut waits.iter().copied());
        let second = mean(&mut waits.iter().map(|w| w * w));
        assert!((first - 2.0).abs() < 0.04, "{first}");
        assert!((second / (2.0 * 4.0) - 1.0).abs() < 0.06, "{second}");
        let above = mean(&mut waits.iter().map(|&w| f64::from(u8::from(w > 6.0))));
        assert!((above - (-3f64).exp()).abs() < 0.003, "{above}");
        for (lag, at_s) in [(1, 5.0), (2, 10.0), (6, 30.0)] {
            let later = waits.iter().skip(lag);
            let product = mean(&mut waits.iter().zip(later).map(|(a, b)| a * b));
            let correlation = (product - 4.0) / 4.0;
            let want = f64::exp(-at_s / 10.0);
            assert!((correlation - want).abs() < 0.04, "{lag}: {correlation}");
        }
    }
}
