//! A small stock of random bytes, so that a reply does not cost a system call for a few bits.

use crate::rng::Rng;
use timewright_wire::fuzz;

/// Portions in stock.
const POOL: usize = 256;
/// Stock below which [`RandomPool::ensure`] refills: more than any request uses. The monotonic
/// time takes one number of up to 32 bits, receive and transmit time a few each, and the limiter
/// two of up to 64 bits.
const RESERVE: usize = 40;

/// Random bits drawn from the system's generator in bulk and given out in portions of 16, as a
/// reply needs about seven bits for each of its times.
#[derive(Debug)]
pub(crate) struct RandomPool {
    portions: [u16; POOL],
    left: usize,
}

impl Default for RandomPool {
    fn default() -> Self {
        Self {
            portions: [0; POOL],
            left: 0,
        }
    }
}

impl RandomPool {
    /// Makes sure that there is enough for one request.
    pub(crate) fn ensure(&mut self, rng: &mut dyn Rng) {
        if self.left < RESERVE {
            let mut bytes = [0; POOL * 2];
            rng.fill(&mut bytes);
            let (chunks, _) = bytes.as_chunks::<2>();
            for (portion, chunk) in self.portions.iter_mut().zip(chunks) {
                *portion = u16::from_le_bytes(*chunk);
            }
            self.left = POOL;
        }
    }

    /// A number whose low `bits` bits, at most 64, are uniform. The stock must not be empty
    /// ([`RandomPool::ensure`]).
    pub(crate) fn draw(&mut self, bits: u32) -> u64 {
        let mut number = u64::from(self.portion());
        for _ in 1..bits.min(u64::BITS).div_ceil(u16::BITS) {
            number = number << u16::BITS | u64::from(self.portion());
        }
        number
    }

    /// The bits below a precision of `2^precision_log2` seconds in an NTP timestamp, random.
    pub(crate) fn fuzz(&mut self, precision_log2: i8) -> u64 {
        let bits = u32::from((precision_log2.clamp(-32, 32) + 32).unsigned_abs());
        fuzz(self.draw(bits), precision_log2)
    }

    fn portion(&mut self) -> u16 {
        debug_assert!(self.left > 0, "drawn without ensuring a stock");
        self.left = self.left.saturating_sub(1);
        self.portions.get(self.left).copied().unwrap_or_default()
    }

    /// True with probability `2^-n`; `n` is 0..=64.
    pub(crate) fn one_in_power_of_2(&mut self, n: u32) -> bool {
        self.draw(n) & !u64::MAX.checked_shl(n).unwrap_or(0) == 0
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
            assert!(seen.insert(pool.draw(64)));
        }
    }

    #[test]
    fn all_wanted_bits_are_drawn_and_no_more_portions_than_needed() {
        for (bits, portions) in [(0, 1), (1, 1), (16, 1), (17, 2), (32, 2), (64, 4), (99, 4)] {
            let mut rng = TestRng::new(1);
            let mut pool = RandomPool::default();
            let mut seen = 0;
            for _ in 0..200 {
                pool.ensure(&mut rng);
                let before = pool.left;
                seen |= pool.draw(bits);
                assert_eq!(before - pool.left, portions, "{bits}");
            }
            let wanted = 1u64.checked_shl(bits).map_or(u64::MAX, |bit| bit - 1);
            assert_eq!(seen & wanted, wanted, "{bits}");
        }
    }

    #[test]
    fn only_bits_below_the_precision_are_fuzzed() {
        let mut rng = TestRng::new(2);
        for precision in [-30, -25, -16, 0] {
            let mut pool = RandomPool::default();
            let mut seen = 0;
            for _ in 0..200 {
                pool.ensure(&mut rng);
                seen |= pool.fuzz(precision);
            }
            assert_eq!(seen, (1 << (precision + 32)) - 1, "{precision}");
        }
    }
}
