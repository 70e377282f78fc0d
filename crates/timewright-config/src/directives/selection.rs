//! Selection of sources (`config.md` 4.2).

use timewright_time::Seconds;

use super::{Arity, Directive, Section, Status, rows};
use crate::config::AuthSelectMode;

const AUTH_SELECT_MODES: &[(&str, AuthSelectMode)] = &[
    ("require", AuthSelectMode::Require),
    ("prefer", AuthSelectMode::Prefer),
    ("mix", AuthSelectMode::Mix),
    ("ignore", AuthSelectMode::Ignore),
];

rows! { Selection:
    "authselectmode" "require|prefer|mix|ignore", Arity::Free, "mix",
        "How authenticated and other sources go together.",
        |p, a| {
            p.config.selection.auth_select_mode = a.keyword(AUTH_SELECT_MODES)?;
            Ok(())
        };
    "combinelimit" "RATIO", Arity::Exactly(1), "3.0",
        "Combine sources whose distance is within this ratio of the selected one.",
        |p, a| { p.config.selection.combine_limit = a.float()?; Ok(()) };
    "maxdistance" "SECONDS", Arity::Exactly(1), "3.0", "Largest root distance of a source.",
        |p, a| { p.config.selection.max_distance = Seconds(a.float()?); Ok(()) };
    "maxjitter" "SECONDS", Arity::Exactly(1), "1.0", "Largest standard deviation of a source.",
        |p, a| { p.config.selection.max_jitter = Seconds(a.float()?); Ok(()) };
    "maxstratum" "STRATUM", Arity::Exactly(1), "15", "Largest stratum of a source.",
        |p, a| { p.config.selection.max_stratum = a.int(0, i64::from(i32::MAX))?; Ok(()) };
    "minsources" "COUNT", Arity::Exactly(1), "1", "Least number of selectable sources.",
        |p, a| { p.config.selection.min_sources = a.int(1, i64::from(i32::MAX))?; Ok(()) };
    "minstratum" "STRATUM", Arity::Exactly(1), "0",
        "Smallest stratum of a source, not to be confused with the option of sources.",
        |p, a| { p.config.selection.min_stratum = a.int(0, i64::from(i32::MAX))?; Ok(()) };
    "reselectdist" "SECONDS", Arity::Exactly(1), "1e-4",
        "Distance added to sources that are not selected.",
        |p, a| { p.config.selection.reselect_distance = Seconds(a.float()?); Ok(()) };
    "stratumweight" "SECONDS", Arity::Exactly(1), "1e-3", "Distance added for each stratum.",
        |p, a| { p.config.selection.stratum_weight = Seconds(a.float()?); Ok(()) };
}
