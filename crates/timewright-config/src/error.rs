//! What can go wrong in a configuration, and what is only worth a warning (`config.md` section 2).
//!
//! The `Display` of every type here is the exact text of the log message, without the
//! `Fatal error : ` that the logger puts before fatal ones.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::scan::Cursor;

/// Where a directive stands.
///
/// Displayed as ` at line N` or ` at line N in file FILE`, with the leading space.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Line in the file, or index among the directives of the command line; both count from 1.
    pub line: u32,
    /// The file as it was opened; `None` on the command line.
    pub file: Option<Arc<Path>>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " at line {}", self.line)?;
        match &self.file {
            Some(file) => write!(f, " in file {}", file.display()),
            None => Ok(()),
        }
    }
}

/// A fatal error of the configuration text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Wrong syntax of a directive.
    #[error("Could not parse {directive} directive{at}")]
    Syntax {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// Fewer words than the directive needs.
    #[error("Missing arguments for {directive} directive{at}")]
    MissingArguments {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// More words than the directive takes.
    #[error("Too many arguments for {directive} directive{at}")]
    TooManyArguments {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// A whole-word integer outside its range.
    #[error("Invalid value {value} in {directive} directive (min {min}, max {max}){at}")]
    OutOfRange {
        /// The number.
        value: i64,
        /// The name as written.
        directive: String,
        /// The smallest accepted value.
        min: i64,
        /// The largest accepted value.
        max: i64,
        /// Where it stands.
        at: Location,
    },
    /// A source without a host name.
    #[error("Invalid syntax for {directive} directive{at}")]
    MissingHost {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// An unknown word in an option list.
    #[error("Invalid option in {directive} directive{at}")]
    Option {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// A missing or unusable value in an option list.
    #[error("Invalid value in {directive} directive{at}")]
    Value {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// An unknown word in `log`.
    #[error("Invalid log parameter{at}")]
    LogParameter {
        /// Where it stands.
        at: Location,
    },
    /// A name that is no directive.
    #[error("Invalid directive {directive}{at}")]
    UnknownDirective {
        /// The name as written.
        directive: String,
        /// Where it stands.
        at: Location,
    },
    /// A line of 2048 bytes or more.
    #[error("String too long{at}")]
    LineTooLong {
        /// Where it stands.
        at: Location,
    },
    /// Files nested too deeply.
    #[error("Maximum include level reached")]
    IncludeLevel,
    /// A directory of an `include` pattern could not be read.
    #[error("Could not search for files matching {}", pattern.display())]
    Search {
        /// The pattern as written.
        pattern: PathBuf,
    },
    /// A configuration file could not be opened.
    #[error("Could not open {} : {reason}", file.display())]
    Open {
        /// The file as it was to be opened.
        file: PathBuf,
        /// The system's words for the reason.
        reason: String,
    },
}

/// Something in the configuration that is accepted but has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// An obsolete directive; the name is as written.
    NoLongerSupported(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLongerSupported(name) => write!(f, "{name} directive is no longer supported"),
        }
    }
}

/// Why the argument of a directive was refused, before it is known which directive it was.
#[derive(Debug)]
pub(crate) enum Failure {
    Syntax,
    OutOfRange {
        value: i64,
        min: i64,
        max: i64,
    },
    MissingHost,
    Option,
    Value,
    LogParameter,
    /// An error of an included file, which already says where it is.
    Nested(ConfigError),
}

/// The result of one directive.
pub(crate) type Applied = Result<(), Failure>;

/// Why an option list was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    /// A word that is no option.
    #[error("invalid option")]
    Unknown,
    /// An option whose value is missing or out of range.
    #[error("invalid value")]
    Value,
}

impl From<OptionError> for Failure {
    fn from(error: OptionError) -> Self {
        match error {
            OptionError::Unknown => Self::Option,
            OptionError::Value => Self::Value,
        }
    }
}

/// One row of an option table: the name, what it looks like, and how it is stored.
#[derive(Debug)]
pub struct OptionRow<T: 'static> {
    /// The keyword, matched without regard to case.
    pub name: &'static str,
    /// The value's name in a synopsis; empty for a flag.
    pub value: &'static str,
    /// The default as a manual would print it; empty for a flag that is off.
    pub default: &'static str,
    /// One sentence for the manual.
    pub help: &'static str,
    /// Reads the value, if any, and stores it; `None` if the value is unusable.
    pub(crate) set: fn(&mut T, &mut Cursor<'_>) -> Option<()>,
}

/// Applies all options that `cursor` still holds to `target`.
pub(crate) fn apply_options<T>(
    table: &[OptionRow<T>],
    target: &mut T,
    cursor: &mut Cursor<'_>,
) -> Result<(), OptionError> {
    while let Some(word) = cursor.word() {
        let row = table
            .iter()
            .find(|row| row.name.as_bytes().eq_ignore_ascii_case(word))
            .ok_or(OptionError::Unknown)?;
        (row.set)(target, cursor).ok_or(OptionError::Value)?;
    }
    Ok(())
}
