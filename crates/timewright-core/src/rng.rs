//! Injected randomness: the kernel's in production, a seeded generator in the simulator.

/// A source of random bytes.
pub trait Rng {
    /// Fills the whole buffer.
    fn fill(&mut self, buf: &mut [u8]);
}

/// A uniform 32-bit number.
pub fn u32(rng: &mut dyn Rng) -> u32 {
    let mut bytes = [0; 4];
    rng.fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}

/// A uniform 64-bit number.
pub fn u64(rng: &mut dyn Rng) -> u64 {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// A uniform number in `[0, 1]`.
pub fn uniform(rng: &mut dyn Rng) -> f64 {
    f64::from(u32(rng)) / f64::from(u32::MAX)
}
