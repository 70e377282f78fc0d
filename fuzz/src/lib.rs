//! What the fuzz targets do with an input, and the seeds they start from.
//!
//! One module per target with one function `run`, which must return whatever it is given: a panic
//! is a finding. Besides not panicking each target checks what must hold for any input, such as
//! that what was parsed can be written and parsed again. The programs in `fuzz_targets` hand the
//! inputs of libFuzzer to these functions; the tests of this crate hand them the seeds, so that
//! ordinary `cargo test` runs them too.
//!
//! `cargo xtask fuzz` builds and runs everything; `README.md` tells how to read what it prints.
#![forbid(unsafe_code)]

pub mod config;
pub mod control;
pub mod drift;
pub mod engine;
pub mod keys;
pub mod leap;
pub mod packet;
pub mod respond;
pub mod samples;
pub mod seeds;

/// What a target does with an input.
pub type Run = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Run)] = &[
    ("config", config::run),
    ("control", control::run),
    ("drift", drift::run),
    ("engine", engine::run),
    ("keys", keys::run),
    ("leap", leap::run),
    ("packet", packet::run),
    ("respond", respond::run),
    ("samples", samples::run),
];

#[cfg(test)]
mod tests;
