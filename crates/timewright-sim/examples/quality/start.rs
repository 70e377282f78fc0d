//! How soon after the start the clock is right.

use crate::{Effort, Failure, Record};
use timewright_sim::figures::{Figures, median};
use timewright_sim::{ClockModel, Link, Scenario};

/// Runs of a case, as many as of the reference.
const SEEDS: u64 = 9;
const LENGTH_S: f64 = 5000.0;
/// The reference's initial frequency errors are 1e-5, 1e-4 and 5e-4; they hardly matter.
const FREQ: &str = "1e-4";

/// One way to start; times are medians in seconds.
pub(crate) struct Case {
    pub(crate) config: &'static str,
    pub(crate) jitter: String,
    pub(crate) offset: String,
    pub(crate) ours: [f64; 2],
    pub(crate) theirs: [f64; 2],
}

/// The reference's name of a case, what is added to the source, and to the configuration.
const CASES: [(&str, &str, &str, &str); 4] = [
    ("noburst", "nothing", "", ""),
    ("iburst", "`iburst`", "iburst", ""),
    (
        "iburst+makestep",
        "`iburst`, `makestep 1 3`",
        "iburst",
        "makestep 1 3",
    ),
    (
        "iburst+makestep 0.01",
        "`iburst`, `makestep 0.01 3`",
        "iburst",
        "makestep 0.01 3",
    ),
];

pub(crate) fn run(reference: &str, effort: Effort) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for record in Record::all(reference) {
        let case = record.text("case")?;
        let known = CASES.iter().find(|(name, ..)| *name == case);
        let &(_, config, options, more) = known.ok_or_else(|| format!("no case {case}"))?;
        if record.text("freq0")? != FREQ {
            continue;
        }
        let jitter = record.text("jitter_s")?;
        let offset = record.text("offset0_s")?;
        let clock = ClockModel {
            offset_s: offset.parse()?,
            freq_ppm: FREQ.parse::<f64>()? * 1e6,
            wander: 1e-9,
            ..ClockModel::default()
        };
        let scenario = Scenario::new()
            .node("s", "local stratum 1\nallow\n")
            .node("c", &format!("server s {options}\n{more}\n"))
            .clock("c", clock)
            .link_all(Link::exponential(1e-3, jitter.parse()?));
        let (mut to_1ms, mut to_100us) = (Vec::new(), Vec::new());
        for seed in 1..=SEEDS.min(effort.runs) {
            let figures = Figures::of(&scenario.run(seed, LENGTH_S)?, "c", 2000.0);
            to_1ms.push(figures.to_1ms_s);
            to_100us.push(figures.to_100us_s);
        }
        cases.push(Case {
            config,
            jitter: jitter.to_owned(),
            offset: offset.to_owned(),
            ours: [median(&to_1ms), median(&to_100us)],
            theirs: [record.number("t_1ms_s")?, record.number("t_100us_s")?],
        });
    }
    Ok(cases)
}
