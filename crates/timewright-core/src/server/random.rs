//! A small stock of random bytes, so that a reply does not cost a system call for a few bits.

use crate::rng::Rng;

/// Numbers in stock.
const POOL: usize = 64;
/// Stock below which [`RandomPool::ensure`] refills: more than any request uses. The monotonic
/// time takes one, receive and transmit time a few each, and the limiter up to two.
const RESERVE: usize = 16;

/// Random 64-bit numbers drawn from the system's generator in bulk.
#[derive(Debug)]
pub(crate) struct RandomPool {
    numbers: [u64; POOL],
    left: usize,
}

impl Default for RandomPool {
    fn default() -> Self {
        Self {
            numbers: [0; POOL],
            left: 0,
        }
    }
}

impl RandomPool {
    /// Makes sure that there is enough for one request.
    pub(crate) fn ensure(&mut self, rng: &mut dyn Rng) {
        if self.left < RESERVE {
            let mut bytes = [0; POOL * 8];
            rng.fill(&mut bytes);
            let (chunks, _) = bytes.as_chunks::<8>();
            for (number, chunk) in self.numbers.iter_mut().zip(chunks) {
                *number = u64::from_le_bytes(*chunk);
            }
            self.left = POOL;
        }
    }

    /// A uniform number. The stock must not be empty ([`RandomPool::ensure`]).
    pub(crate) fn draw(&mut self) -> u64 {
        debug_assert!(self.left > 0, "drawn without ensuring a stock");
        self.left = self.left.saturating_sub(1);
        self.numbers.get(self.left).copied().unwrap_or_default()
    }

    /// True with probability `2^-n`; `n` is 0..=64.
    pub(crate) fn one_in_power_of_2(&mut self, n: u32) -> bool {
        self.draw() & !u64::MAX.checked_shl(n).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::test_rng::TestRng;

    #[test]
    fn numbers_are_not_used_twice() {
        let mut rng = TestRng::new(4);
        let mut pool = RandomPool::default();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            pool.ensure(&mut rng);
            assert!(seen.insert(pool.draw()));
        }
    }
}
