//! A rule that did not hold.

use std::fmt;

/// More are not kept: the first ones tell.
const KEPT_MAX: usize = 20;

/// What did not hold, where and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// True seconds since the start.
    pub at_s: f64,
    /// The host.
    pub host: String,
    /// Short name of the rule.
    pub rule: &'static str,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            at_s,
            host,
            rule,
            detail,
        } = self;
        write!(f, "seed {seed}, {at_s:.9} s, {host}: {rule}: {detail}")
    }
}

/// The violations of a run. Unless they are collected, the first ends it.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    pub(crate) collected: bool,
    list: Vec<Violation>,
}

impl Violations {
    #[track_caller]
    pub(crate) fn add(&mut self, violation: Violation) {
        assert!(self.collected, "{violation}");
        if self.list.len() < KEPT_MAX {
            self.list.push(violation);
        }
    }

    pub(crate) fn list(&self) -> &[Violation] {
        &self.list
    }
}
