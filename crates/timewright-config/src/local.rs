//! The options of `local`, in the configuration and in chronyc (`config.md` 7.2).

use timewright_time::Seconds;

use crate::error::{OptionError, OptionRow, apply_options};
use crate::scan::Cursor;
use crate::source::small;

/// The local reference: when time is served although nothing is synchronised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalSpec {
    /// Stratum, 1..=15.
    pub stratum: u8,
    /// Root distance beyond which the local reference takes over.
    pub distance: Seconds,
    /// Root distance that must have been reached once; 0: no condition.
    pub activate: Seconds,
    /// Agree with other servers in this mode who serves.
    pub orphan: bool,
    /// Least time since the last update when synchronised.
    pub waitsynced: Seconds,
    /// Least time without synchronisation; a negative value as written means 300 s with `orphan`
    /// and 0 otherwise.
    pub waitunsynced: Seconds,
}

impl Default for LocalSpec {
    fn default() -> Self {
        Self {
            stratum: 10,
            distance: Seconds(1.0),
            activate: Seconds::ZERO,
            orphan: false,
            waitsynced: Seconds::ZERO,
            waitunsynced: Seconds::ZERO,
        }
    }
}

/// Parses the options of `local`.
///
/// # Errors
///
/// [`OptionError`]; the caller words it.
pub fn parse_local(arguments: &[u8]) -> Result<LocalSpec, OptionError> {
    let mut spec = LocalSpec {
        waitunsynced: Seconds(-1.0),
        ..LocalSpec::default()
    };
    apply_options(OPTIONS, &mut spec, &mut Cursor::new(arguments))?;
    if spec.waitunsynced < Seconds::ZERO {
        spec.waitunsynced = Seconds(if spec.orphan { 300.0 } else { 0.0 });
    }
    Ok(spec)
}

type Set = fn(&mut LocalSpec, &mut Cursor<'_>) -> Option<()>;

const fn row(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    set: Set,
) -> OptionRow<LocalSpec> {
    OptionRow {
        name,
        value,
        default,
        help,
        set,
    }
}

/// Every option of `local`.
pub static OPTIONS: &[OptionRow<LocalSpec>] = &[
    row(
        "stratum",
        "STRATUM",
        "10",
        "Stratum of the local reference.",
        |o, c| small(c, 1, 15).map(|v| o.stratum = v),
    ),
    row(
        "distance",
        "SECONDS",
        "1.0",
        "Root distance beyond which it takes over.",
        |o, c| c.float().map(|v| o.distance = Seconds(v)),
    ),
    row(
        "activate",
        "SECONDS",
        "0.0",
        "Root distance that must be reached first.",
        |o, c| c.float().map(|v| o.activate = Seconds(v)),
    ),
    row(
        "orphan",
        "",
        "",
        "Let servers in this mode agree on one of them.",
        |o, _| {
            o.orphan = true;
            Some(())
        },
    ),
    row(
        "waitsynced",
        "SECONDS",
        "0",
        "Least time since the last clock update.",
        |o, c| c.float().map(|v| o.waitsynced = Seconds(v)),
    ),
    row(
        "waitunsynced",
        "SECONDS",
        "",
        "Least time without synchronisation.",
        |o, c| c.float().map(|v| o.waitunsynced = Seconds(v)),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let text = b"Stratum 5 ORPHAN distance 0.5 activate 0.1 waitsynced 10 waitunsynced 20";
        let want = LocalSpec {
            stratum: 5,
            distance: Seconds(0.5),
            activate: Seconds(0.1),
            orphan: true,
            waitsynced: Seconds(10.0),
            waitunsynced: Seconds(20.0),
        };
        assert_eq!(parse_local(text), Ok(want));
        assert_eq!(parse_local(b""), Ok(LocalSpec::default()));
    }

    #[test]
    fn orphans_wait_for_each_other() {
        for (text, want) in [
            ("orphan", 300.0),
            ("", 0.0),
            ("waitunsynced -3 orphan", 300.0),
            ("waitunsynced -3", 0.0),
            ("waitunsynced 0 orphan", 0.0),
        ] {
            let spec = parse_local(text.as_bytes()).unwrap();
            assert_eq!(spec.waitunsynced, Seconds(want), "{text}");
        }
    }

    #[test]
    fn bad_options_are_told_from_bad_values() {
        for (text, want) in [
            ("10", OptionError::Unknown),
            ("stratum 3x", OptionError::Unknown),
            ("stratum 0", OptionError::Value),
            ("stratum 16", OptionError::Value),
            ("stratum", OptionError::Value),
            ("orphan distance", OptionError::Value),
            ("distance x", OptionError::Value),
        ] {
            assert_eq!(parse_local(text.as_bytes()), Err(want), "{text}");
        }
        for stratum in [1, 15] {
            assert!(parse_local(format!("stratum {stratum}").as_bytes()).is_ok());
        }
    }
}
