//! A few random simulations that try to break what must hold; `cargo xtask adversary` runs many.
#![allow(clippy::unwrap_used, reason = "a failed draw fails the test")]

use timewright_sim::adversary::{Coverage, draw};
use timewright_sim::seeds;

#[test]
fn nothing_breaks() {
    let mut coverage = Coverage::default();
    for seed in seeds(40) {
        let outcome = draw(seed).run();
        let first = outcome.violations.first();
        assert!(
            first.is_none(),
            "{}\nagain: cargo xtask adversary --seed {seed}",
            first.unwrap()
        );
        coverage.add(&outcome.coverage);
    }
    assert!(coverage.share() > 0.99, "{coverage:?}");
}

#[test]
fn equal_seeds_give_equal_bits_and_others_do_not() {
    let mut seen = Vec::new();
    for seed in seeds(6) {
        let digest = draw(seed).run().digest;
        assert_eq!(draw(seed).run().digest, digest, "seed {seed}");
        assert!(!seen.contains(&digest), "seed {seed}");
        seen.push(digest);
    }
}

#[test]
fn what_was_drawn_can_be_read() {
    let text = draw(3).to_string();
    for part in ["seed 3:", "paths: ", "host 0 s0", "local stratum 1"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
