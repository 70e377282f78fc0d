//! Random simulations that try to break what must hold (`docs/simulator.md`).
//!
//! A seed gives a [`Draft`]: hosts with configurations and clocks, paths, mishaps, and what is
//! expected of the clocks given all that. The checks made at every step of every simulation apply
//! in any case; [`judge`] adds what only holds for honest sources.
//!
//! ```text
//! seed ─> draw ─> Draft ─> Scenario ─> World (checked at every step) ─> judge ─> Outcome
//! ```

mod broken;
mod chaos;
mod dice;
mod draft;
mod draw;
mod judge;
mod steady;

pub use draft::{Draft, HostDraft};
pub use judge::Coverage;

use crate::check::Violation;
use crate::report::Report;

/// What a drawn simulation is about, and so what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All sources are honest; paths may do anything but change what is said.
    Honest,
    /// The same, and the client's host goes through restarts, steps from outside, suspension.
    Disturbed,
    /// Some sources lie, jumping or dragging; honest ones are not fewer.
    Liars,
    /// All is well: the estimate is as good as the paths allow.
    Steady,
    /// Anything, also nonsense.
    Chaos,
}

/// What came of a run.
pub struct Outcome {
    /// What did not hold, first things first.
    pub violations: Vec<Violation>,
    /// How often the claimed bound covered the true error, where it should.
    pub coverage: Coverage,
    /// A number for everything observed.
    pub digest: u64,
    /// The state at the end, with all messages.
    pub report: Report,
}

/// Draws the simulation of a seed.
#[must_use]
pub fn draw(seed: u64) -> Draft {
    draw::draft(seed)
}

/// Draws a simulation of [`Kind::Chaos`], whatever the seed gives otherwise.
#[must_use]
pub fn draw_chaos(seed: u64) -> Draft {
    draw::chaotic(seed)
}

impl Draft {
    /// Runs it.
    ///
    /// # Panics
    /// When a drawn configuration is wrong: a mistake in the generator.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let scenario = self.scenario().collect_violations();
        let report = match scenario.run(self.seed, self.length_s) {
            Ok(report) => report,
            Err(error) => panic!("seed {}: {error:?}\n{self}", self.seed),
        };
        let mut violations = report.world.violations().to_vec();
        let coverage = judge::coverage(self, &report, &mut violations);
        judge::capture(self, &report, &mut violations);
        judge::accuracy(self, &report, &mut violations);
        Outcome {
            violations,
            coverage,
            digest: report.world.digest(),
            report,
        }
    }
}
