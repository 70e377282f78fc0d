//! The words of `link` and `oneway`.

use super::quantity;
use super::words::{Key, Words, unknown};
use crate::link::{Jitter, Link, Pass};

/// Both directions of a path as a line describes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Path {
    pub(super) link: Link,
    /// Which share of the mean jitter the direction back has more, -0.5 to 0.5.
    pub(super) asymmetry: Option<f64>,
    /// How much longer the first direction takes, seconds.
    pub(super) skew_s: Option<f64>,
}

/// What a direction of a path can be told.
pub(super) const KEYS: &[Key<Path>] = &[
    Key {
        name: "delay",
        value: "TIME",
        set: |path, words| {
            path.link.delay_s = words.value("delay", quantity::delay)?;
            Ok(())
        },
    },
    Key {
        name: "jitter",
        value: "TIME [DISTRIBUTION]",
        set: |path, words| {
            path.link.jitter_s = words.value("jitter", quantity::delay)?;
            jitter(&mut path.link, words)
        },
    },
    Key {
        name: "loss",
        value: "PROBABILITY",
        set: |path, words| {
            path.link.loss = words.value("loss", quantity::probability)?;
            Ok(())
        },
    },
    Key {
        name: "duplicate",
        value: "PROBABILITY",
        set: |path, words| {
            path.link.duplicate = words.value("duplicate", quantity::probability)?;
            Ok(())
        },
    },
    Key {
        name: "reorder",
        value: "PROBABILITY TIME",
        set: |path, words| {
            path.link.reorder = words.value("reorder", quantity::probability)?;
            path.link.hold_s = words.value("reorder", quantity::delay)?;
            Ok(())
        },
    },
    Key {
        name: "corrupt",
        value: "PROBABILITY",
        set: |path, words| {
            path.link.corrupt = words.value("corrupt", quantity::probability)?;
            Ok(())
        },
    },
    Key {
        name: "truncate",
        value: "PROBABILITY",
        set: |path, words| {
            path.link.truncate = words.value("truncate", quantity::probability)?;
            Ok(())
        },
    },
    Key {
        name: "asymmetry",
        value: "SHARE",
        set: |path, words| {
            path.asymmetry =
                Some(words.value("asymmetry", |word| quantity::within(word, -0.5, 0.5))?);
            Ok(())
        },
    },
    Key {
        name: "skew",
        value: "TIME",
        set: |path, words| {
            path.skew_s = Some(words.value("skew", quantity::offset)?);
            Ok(())
        },
    },
    Key {
        name: "open",
        value: "TIME every TIME",
        set: |path, words| {
            let open_s = words.value("open", quantity::duration)?;
            words.value("open", |word| match word {
                "every" => Ok(()),
                _ => Err(format!("`{word}` should be `every`")),
            })?;
            let period_s = words.value("open", quantity::positive_duration)?;
            path.link.pass = Pass::Window { period_s, open_s };
            Ok(())
        },
    },
    Key {
        name: "one-in",
        value: "COUNT",
        set: |path, words| {
            let count = words.value("one-in", |word| quantity::whole(word, 1, 1_000_000))?;
            path.link.pass = Pass::Every(count);
            Ok(())
        },
    },
    Key {
        name: "all-but-one-in",
        value: "COUNT",
        set: |path, words| {
            let count =
                words.value("all-but-one-in", |word| quantity::whole(word, 1, 1_000_000))?;
            path.link.pass = Pass::Except(count);
            Ok(())
        },
    },
    Key {
        name: "cut",
        value: "",
        set: |path, _| {
            path.link.pass = Pass::Never;
            Ok(())
        },
    },
    Key {
        name: "up",
        value: "",
        set: |path, _| {
            path.link.pass = Pass::Always;
            Ok(())
        },
    },
];

/// A distribution of jitter: its name, its numbers, how they are read.
pub(super) struct Distribution {
    pub(super) name: &'static str,
    /// What its numbers are, for messages and the manual.
    pub(super) value: &'static str,
    read: fn(&mut Words<'_>) -> Result<Jitter, String>,
}

pub(super) const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        name: "exponential",
        value: "",
        read: |_| Ok(Jitter::Exponential),
    },
    Distribution {
        name: "gaussian",
        value: "",
        read: |_| Ok(Jitter::Normal),
    },
    Distribution {
        name: "half-gaussian",
        value: "",
        read: |_| Ok(Jitter::HalfNormal),
    },
    Distribution {
        name: "uniform",
        value: "",
        read: |_| Ok(Jitter::Uniform),
    },
    Distribution {
        name: "heavy-tailed",
        value: "SHAPE",
        read: |words| {
            let shape = words.value("heavy-tailed", |word| quantity::within(word, 1.01, 100.0))?;
            Ok(Jitter::Pareto { shape })
        },
    },
    Distribution {
        name: "spikes",
        value: "PROBABILITY FACTOR",
        read: |words| {
            let chance = words.value("spikes", quantity::probability)?;
            let factor = words.value("spikes", |word| quantity::within(word, 0.0, 1e4))?;
            Ok(Jitter::Spikes { chance, factor })
        },
    },
    Distribution {
        name: "bimodal",
        value: "PROBABILITY DISTANCE",
        read: |words| {
            let share = words.value("bimodal", quantity::probability)?;
            let distance = words.value("bimodal", |word| quantity::within(word, 0.0, 1e4))?;
            Ok(Jitter::Bimodal { share, distance })
        },
    },
];

/// The distribution after `jitter TIME`, if the next word is not the next key.
fn jitter(link: &mut Link, words: &mut Words<'_>) -> Result<(), String> {
    let Some(word) = words.peek() else {
        return Ok(());
    };
    if KEYS.iter().any(|key| key.name.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    words.next();
    let distribution = DISTRIBUTIONS
        .iter()
        .find(|d| d.name.eq_ignore_ascii_case(word))
        .ok_or_else(|| {
            let names = DISTRIBUTIONS.iter().map(|d| d.name);
            unknown(word, "jitter", names)
        })?;
    link.jitter = (distribution.read)(words).map_err(|why| match distribution.value {
        "" => why,
        value => format!("{why} (`{} {value}`)", distribution.name),
    })?;
    Ok(())
}

/// Changes a path by the words of a line; what they do not name stays.
pub(super) fn apply(link: Link, words: &mut Words<'_>) -> Result<Path, String> {
    let mut path = Path {
        link,
        asymmetry: None,
        skew_s: None,
    };
    words.apply("link", KEYS, &mut path)?;
    Ok(path)
}
