//! The table of directives: one row each, in the groups of the manual.
//!
//! The parser, the completeness tests and the manual page walk [`all`]. To add a directive, add a
//! row to the group it belongs to and a field to the matching part of [`Config`](crate::Config).

use std::cmp::Ordering;

use crate::error::Applied;
use crate::parser::{Args, Parser};

mod clock;
mod command;
mod logging;
mod miscellaneous;
mod obsolete;
mod rtc;
mod selection;
mod server;
mod sources;

/// How many words a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// This many.
    Exactly(usize),
    /// From the first to the second number.
    Between(usize, usize),
    /// The first or the second number.
    Either(usize, usize),
    /// The directive counts itself: what does not fit is a plain syntax error.
    Free,
}

impl Arity {
    /// `Less`: words are missing. `Greater`: there are too many.
    pub(crate) fn check(self, count: usize) -> Ordering {
        match self {
            Self::Exactly(wanted) => count.cmp(&wanted),
            Self::Between(min, max) => count.cmp(&count.clamp(min, max)),
            Self::Either(one, other) => {
                if count == one {
                    Ordering::Equal
                } else {
                    count.cmp(&other)
                }
            }
            Self::Free => Ordering::Equal,
        }
    }
}

/// The group a directive belongs to, as in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Time sources and the client side.
    Sources,
    /// Selection of sources.
    Selection,
    /// The system clock.
    Clock,
    /// NTP and NTS server.
    Server,
    /// Monitoring and control.
    Command,
    /// The real-time clock.
    Rtc,
    /// Logging.
    Logging,
    /// Everything else.
    Miscellaneous,
    /// Accepted for old files only.
    Obsolete,
}

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has its effect.
    Active,
    /// It is stored, but the daemon does not act on it yet.
    Pending,
    /// Another name of the directive given.
    Alias(&'static str),
    /// Accepted and ignored without a word.
    Ignored,
    /// Accepted and ignored with a warning.
    NoLongerSupported,
}

/// Directives that are parsed completely but whose effect the daemon does not have yet.
///
/// The daemon warns when [`Parsed::used`](crate::Parsed::used) names one of them.
const PENDING: &[&str] = &[
    "hwclockfile",
    "hwtimestamp",
    "hwtstimeout",
    "maxntsconnections",
    "nocerttimecheck",
    "nosystemcert",
    "ntsaeads",
    "ntsdumpdir",
    "ntsntpserver",
    "ntsport",
    "ntsprocesses",
    "ntsratelimit",
    "ntsrefresh",
    "ntsrotate",
    "ntsservercert",
    "ntsserverkey",
    "ntstrustedcerts",
    "ptpdomain",
    "ptpport",
    "rtcautotrim",
    "rtcdevice",
    "rtcfile",
    "rtconutc",
];

type Apply = fn(&mut Parser<'_>, &Args<'_>) -> Applied;

/// One directive.
#[derive(Debug)]
pub struct Directive {
    /// The name in lower case.
    pub name: &'static str,
    /// The arguments as a manual would print them.
    pub arguments: &'static str,
    /// How many words there must be.
    pub arity: Arity,
    /// The default as a manual would print it; empty if there is none.
    pub default: &'static str,
    /// One sentence for the manual.
    pub help: &'static str,
    /// The group in the manual.
    pub section: Section,
    declared: Status,
    apply: Apply,
}

impl Directive {
    /// What becomes of the directive.
    #[must_use]
    pub fn status(&self) -> Status {
        if PENDING.contains(&self.name) {
            Status::Pending
        } else {
            self.declared
        }
    }

    /// The name itself, or that of the directive for which this one is an alias.
    #[must_use]
    pub const fn canonical_name(&self) -> &'static str {
        match self.declared {
            Status::Alias(name) => name,
            _ => self.name,
        }
    }

    /// Whether the directive is replaced by the content of files and so not printed with `-p`.
    #[must_use]
    pub fn is_expanded(&self) -> bool {
        matches!(self.name, "confdir" | "include")
    }

    pub(crate) fn apply(&self, parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
        (self.apply)(parser, args)
    }
}

/// All directives, group by group.
pub fn all() -> impl Iterator<Item = &'static Directive> {
    [
        sources::ROWS,
        selection::ROWS,
        clock::ROWS,
        server::ROWS,
        command::ROWS,
        rtc::ROWS,
        logging::ROWS,
        miscellaneous::ROWS,
        obsolete::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// The row of a name, matched without regard to case.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    all().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The rows of one section: name, arguments, number of words, default, help, and what to do.
macro_rules! rows {
    ($section:ident: $($name:literal $arguments:literal, $arity:expr, $default:expr, $help:literal,
        $apply:expr;)*) => {
        pub(super) static ROWS: &[Directive] = &[$(Directive {
            name: $name,
            arguments: $arguments,
            arity: $arity,
            default: $default,
            help: $help,
            section: Section::$section,
            declared: Status::Active,
            apply: $apply,
        }),*];
    };
}
use rows;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted() {
        use Ordering::{Equal, Greater, Less};
        for (arity, want) in [
            (Arity::Exactly(0), [Equal, Greater, Greater, Greater]),
            (Arity::Exactly(1), [Less, Equal, Greater, Greater]),
            (Arity::Between(1, 2), [Less, Equal, Equal, Greater]),
            (Arity::Either(1, 3), [Less, Equal, Less, Equal]),
            (Arity::Either(1, 2), [Less, Equal, Equal, Greater]),
            (Arity::Free, [Equal, Equal, Equal, Equal]),
        ] {
            for (count, want) in want.into_iter().enumerate() {
                assert_eq!(arity.check(count), want, "{arity:?} {count}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_pending_ones_exist() {
        let mut names: Vec<&str> = all().map(|row| row.name).collect();
        names.sort_unstable();
        let total = names.len();
        names.dedup();
        assert_eq!(names.len(), total);
        for pending in PENDING {
            assert!(names.contains(pending), "{pending}");
        }
        for row in all() {
            assert!(
                !row.help.is_empty() && row.help.ends_with('.'),
                "{}",
                row.name
            );
            assert!(
                find(row.canonical_name().as_bytes()).is_some(),
                "{}",
                row.name
            );
        }
    }
}
