//! The seeds: golden inputs, written to `corpus/TARGET/` by `cargo run` in this directory.
//!
//! They are committed, so that a fuzz run starts from them without building anything first, and a
//! test compares them with what is generated here.

mod config;
mod control;
pub mod dictionary;
mod drift;
mod engine;
mod keys;
pub(crate) mod leap;
mod packet;
mod respond;
mod samples;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The target it is for.
    pub target: &'static str,
    /// What it is, as a file name.
    pub name: String,
    /// The input itself.
    pub bytes: Vec<u8>,
}

/// All seeds, by path below [`corpus`]. Of equal ones only the first is kept.
#[must_use]
pub fn all() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut seeds: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut add = |seed: Seed| {
        let directory = PathBuf::from(seed.target);
        let known = seeds
            .iter()
            .any(|(path, bytes)| path.starts_with(&directory) && *bytes == seed.bytes);
        let path = directory.join(seed.name);
        assert!(
            !seeds.contains_key(&path),
            "two seeds are called {}",
            path.display()
        );
        if !known {
            seeds.insert(path, seed.bytes);
        }
    };
    config::seeds(&mut add);
    control::seeds(&mut add);
    drift::seeds(&mut add);
    engine::seeds(&mut add);
    keys::seeds(&mut add);
    leap::seeds(&mut add);
    packet::seeds(&mut add);
    respond::seeds(&mut add);
    samples::seeds(&mut add);
    seeds
}

/// The directory of the committed seeds.
#[must_use]
pub fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

/// The directory of the committed dictionaries.
#[must_use]
pub fn dictionaries() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/dictionaries"))
}

/// Text as a file name: letters, digits and single hyphens.
fn file_name(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}
