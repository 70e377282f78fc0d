//! Every target takes every seed, every cut of it and simple damage; and the committed seeds are
//! those that are generated.

use crate::{TARGETS, seeds};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn targets_take_seeds_and_damaged_seeds() {
    for (path, bytes) in seeds::all() {
        let (_, run) = TARGETS
            .iter()
            .find(|(target, _)| path.starts_with(target))
            .unwrap_or_else(|| panic!("no target for {}", path.display()));
        run(&bytes);
        // Of long inputs not every cut, so that the test stays quick without optimisation.
        let step = 1 + bytes.len() / 12;
        for at in (0..bytes.len()).step_by(step) {
            run(&bytes[..at]);
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x81;
            run(&damaged);
            damaged.remove(at);
            run(&damaged);
        }
    }
}

#[test]
fn the_committed_seeds_are_the_generated_ones() {
    let seeds = seeds::all();
    let wanted: BTreeSet<PathBuf> = seeds.keys().cloned().collect();
    let mut committed = BTreeSet::new();
    for (target, _) in TARGETS {
        for entry in fs::read_dir(seeds::corpus().join(target)).unwrap() {
            committed.insert(Path::new(target).join(entry.unwrap().file_name()));
        }
    }
    assert_eq!(committed, wanted, "`cargo run` in fuzz/ writes the seeds");
    for (path, bytes) in &seeds {
        let file = fs::read(seeds::corpus().join(path)).unwrap();
        assert_eq!(&file, bytes, "{}", path.display());
        assert!(bytes.len() <= 4096, "{} is large", path.display());
    }
    for (target, text) in seeds::dictionary::all() {
        let file = fs::read_to_string(seeds::dictionaries().join(target)).unwrap();
        assert_eq!(file, text, "dictionary of {target}");
    }
}

#[test]
fn every_target_has_its_program_and_seeds() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    for (target, _) in TARGETS {
        assert!(programs.join(format!("{target}.rs")).is_file(), "{target}");
        assert!(
            seeds::all().keys().any(|path| path.starts_with(target)),
            "{target}"
        );
    }
    assert_eq!(fs::read_dir(programs).unwrap().count(), TARGETS.len());
}
