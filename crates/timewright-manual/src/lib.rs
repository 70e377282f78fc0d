//! The manual pages `chronyd(8)`, `chronyc(1)` and `chrony.conf(5)`.
//!
//! Prose is in `text/*.md`, in a small markup ([`markup`]); names, arguments, defaults and whether
//! something has its effect yet come from the tables that parse them. A directive, an option or a
//! driver without an entry, or an entry without a row, is an error of [`pages`], and so of the
//! tests and of `cargo xtask man`. The programs' own tables are private to them; their tests
//! compare them with [`commands`] and [`switches`].
//!
//! ```text
//! text/*.md ─markup─> blocks and entries ─┐
//!                                         ├─page─> mdoc(7) ─> target/man
//! tables of timewright-config ─table──────┘
//! ```

#![forbid(unsafe_code)]

use std::fmt;

use thiserror::Error;

pub mod markup;
mod mdoc;
mod page;
pub mod synopsis;
pub mod table;

pub use page::{Part, Program, commands, drivers, pages, parts, switches};

/// The date in the head of the pages: that of the last change of their content.
pub const DATE: &str = "November 22, 2026";

/// One manual page, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its name, for example `chronyd`.
    pub name: &'static str,
    /// Its section of the manual.
    pub section: u8,
    /// Source in mdoc(7).
    pub text: String,
}

impl Page {
    /// The name of its file, for example `chronyd.8`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.section)
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct ManualError {
    /// The file below `text`.
    pub file: &'static str,
    /// The line, counted from 1; 0 if no single line is at fault.
    pub line: usize,
    /// The problem.
    pub problem: String,
}

impl fmt::Display for ManualError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text/{}:{}: {}", self.file, self.line, self.problem)
    }
}
