//! Log messages as values: what happened is typed, the exact text is its `Display`.

use std::fmt;

/// Severity of a log message, least urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Shown with `-d -d` or `-L -1`.
    Debug,
    /// Routine.
    Info,
    /// Something an administrator may want to look at.
    Warning,
    /// Something failed.
    Error,
    /// The daemon ends.
    Fatal,
}

/// One line for the message log (`daemon-and-files.md` 8.2 has the catalogue).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How urgent.
    pub severity: Severity,
    /// The exact text, without time stamp or prefix.
    pub text: String,
}

impl Event {
    /// A message of any severity; `text` is anything with a `Display`, usually a module's typed event.
    pub fn new(severity: Severity, text: impl fmt::Display) -> Self {
        Self {
            severity,
            text: text.to_string(),
        }
    }

    /// A debug message.
    pub fn debug(text: impl fmt::Display) -> Self {
        Self::new(Severity::Debug, text)
    }

    /// A routine message.
    pub fn info(text: impl fmt::Display) -> Self {
        Self::new(Severity::Info, text)
    }

    /// A warning.
    pub fn warning(text: impl fmt::Display) -> Self {
        Self::new(Severity::Warning, text)
    }

    /// An error.
    pub fn error(text: impl fmt::Display) -> Self {
        Self::new(Severity::Error, text)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
