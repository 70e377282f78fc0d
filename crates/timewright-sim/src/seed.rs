//! Seeds to run with, and how to run a failing one again.

/// With this variable set, [`seeds`] gives its value alone.
const VARIABLE: &str = "TIMEWRIGHT_SEED";

/// The seeds 1 to `n`, or the one asked for in the environment.
#[must_use]
pub fn seeds(n: u64) -> Vec<u64> {
    let wanted = std::env::var(VARIABLE).ok().and_then(|s| s.parse().ok());
    wanted.map_or_else(|| (1..=n).collect(), |seed| vec![seed])
}

/// Says how to run the seed again if the thread panics while it exists.
pub(crate) struct Reproduce(pub(crate) u64);

impl Drop for Reproduce {
    fn drop(&mut self) {
        // Programs have a main thread, which is no test; they have their own words.
        let test = std::thread::current().name() != Some("main");
        if std::thread::panicking() && test {
            eprintln!("again: {}", command(self.0));
        }
    }
}

fn command(seed: u64) -> String {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let program = std::env::args().next().unwrap_or_default();
    let file = std::path::Path::new(&program)
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default();
    // Cargo names test programs after the file and a hash.
    let target = file.rsplit_once('-').map_or("", |(name, _)| name);
    format!("{VARIABLE}={seed} cargo test -p timewright-sim --test {target} -- --exact {test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_seed_is_one_line_to_run_again() {
        let line = command(17);
        assert!(line.starts_with("TIMEWRIGHT_SEED=17 cargo test "), "{line}");
        assert!(
            line.ends_with("-- --exact seed::tests::a_failing_seed_is_one_line_to_run_again"),
            "{line}"
        );
    }
}
