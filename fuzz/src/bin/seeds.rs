//! Writes the seeds to `corpus/` and the dictionaries, and removes what is no seed any more.

use std::fs;
use std::io;
use timewright_fuzz::{TARGETS, seeds};

fn main() -> io::Result<()> {
    let corpus = seeds::corpus();
    for (target, _) in TARGETS {
        let directory = corpus.join(target);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
    }
    let seeds = seeds::all();
    for (path, bytes) in &seeds {
        fs::write(corpus.join(path), bytes)?;
    }
    for (target, text) in seeds::dictionary::all() {
        fs::write(seeds::dictionaries().join(target), text)?;
    }
    println!("{} seeds in {}", seeds.len(), corpus.display());
    Ok(())
}
