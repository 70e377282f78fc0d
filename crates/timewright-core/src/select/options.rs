//! Selection options of a source, and what authentication adds to them.

use std::fmt;
use timewright_config::AuthSelectMode;

/// Options that tell selection how to treat a source, as a set to calculate with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelectOptions {
    /// Never select the source.
    pub noselect: bool,
    /// Prefer it to sources without this option.
    pub prefer: bool,
    /// Assume that its time is always true.
    pub trust: bool,
    /// Select nothing unless one such source is selectable.
    pub require: bool,
}

impl SelectOptions {
    /// No options.
    pub const NONE: Self = Self::from_bits(0);

    /// From the bits of the control protocol: 1 noselect, 2 prefer, 4 trust, 8 require.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self {
            noselect: bits & 1 != 0,
            prefer: bits & 2 != 0,
            trust: bits & 4 != 0,
            require: bits & 8 != 0,
        }
    }

    /// The bits of the control protocol.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.noselect as u16
            | (self.prefer as u16) << 1
            | (self.trust as u16) << 2
            | (self.require as u16) << 3
    }

    /// The options in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self::from_bits(self.bits() | other.bits())
    }

    /// The options in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::from_bits(self.bits() & other.bits())
    }

    /// These options except the others.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self::from_bits(self.bits() & !other.bits())
    }
}

impl From<timewright_config::SelectOptions> for SelectOptions {
    fn from(options: timewright_config::SelectOptions) -> Self {
        Self {
            noselect: options.noselect,
            prefer: options.prefer,
            trust: options.trust,
            require: options.require,
        }
    }
}

impl fmt::Display for SelectOptions {
    /// Four columns, as in the selection log: `NPTR` with `-` for options that are not set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (set, letter) in [
            (self.noselect, 'N'),
            (self.prefer, 'P'),
            (self.trust, 'T'),
            (self.require, 'R'),
        ] {
            fmt::Write::write_char(f, if set { letter } else { '-' })?;
        }
        Ok(())
    }
}

/// The options that `authselectmode` adds to a source that is (`trusted`: a reference clock or authenticated) or
/// is not, given which kinds of selectable NTP sources exist (`discipline.md` 6.3).
pub(super) const fn added_options(
    mode: AuthSelectMode,
    trusted: bool,
    some_authenticated: bool,
    some_unauthenticated: bool,
) -> SelectOptions {
    let mut added = SelectOptions::NONE;
    match mode {
        AuthSelectMode::Ignore => {}
        AuthSelectMode::Mix => {
            let mixed = trusted && some_authenticated && some_unauthenticated;
            added.require = mixed;
            added.trust = mixed;
        }
        AuthSelectMode::Prefer => added.noselect = !trusted && some_authenticated,
        AuthSelectMode::Require => added.noselect = !trusted,
    }
    added
}
