//! Selection options of a source, and what authentication adds to them.

use std::fmt;

/// Options that tell selection how to treat a source.
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

/// How authentication changes the options of sources (`authselectmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthSelectMode {
    /// Unauthenticated NTP sources are never selected.
    Require,
    /// They are not selected if there are authenticated ones.
    Prefer,
    /// With both kinds, one authenticated source (or reference clock) is required, and these are
    /// trusted.
    #[default]
    Mix,
    /// Not at all.
    Ignore,
}

impl AuthSelectMode {
    /// The options added to a source that is (`trusted`: a reference clock or authenticated) or
    /// is not, given which kinds of selectable NTP sources exist (`discipline.md` 6.3).
    pub(super) const fn added_options(
        self,
        trusted: bool,
        some_authenticated: bool,
        some_unauthenticated: bool,
    ) -> SelectOptions {
        let mut added = SelectOptions::NONE;
        match self {
            Self::Ignore => {}
            Self::Mix => {
                let mixed = trusted && some_authenticated && some_unauthenticated;
                added.require = mixed;
                added.trust = mixed;
            }
            Self::Prefer => added.noselect = !trusted && some_authenticated,
            Self::Require => added.noselect = !trusted,
        }
        added
    }
}
