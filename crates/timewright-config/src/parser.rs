//! From lines to a [`Config`]: finds the row of a directive and lets it read its arguments.
//!
//! ```text
//! parse_file / parse_lines ─> Parser::line ─> directives::find ─> row.apply(parser, args)
//!                                  ^                                     │
//!                                  └────── include, confdir: more files ─┘
//! ```

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::access::parse_ip;
use crate::config::Config;
use crate::directives::{self, Directive};
use crate::error::{Applied, ConfigError, Failure, Location, Warning};
use crate::files::FileSource;
use crate::lexical::{LINE_MAX, chunks, normalise, split_word, text, until_nul, words};
use crate::scan::{Cursor, whole_int};

/// Deepest nesting of files; the main file is at level 1.
pub const INCLUDE_LEVEL_MAX: u32 = 10;

/// How to parse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// `-Q`: no server and command sockets and no pid file unless configured.
    pub client_only: bool,
    /// `-R`: ignore `initstepslew` and a positive limit of `makestep`.
    pub restart: bool,
    /// `-p`: collect the directives as they are to be printed.
    pub print: bool,
}

/// A configuration and what was noticed on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The typed values.
    pub config: Config,
    /// What is to be logged, in order.
    pub warnings: Vec<Warning>,
    /// With [`ParseOptions::print`]: the directives, one line each, without newlines.
    ///
    /// They are bytes because the configuration is.
    pub printed: Vec<Vec<u8>>,
    /// Names of the directives that occurred, each once, in order of appearance.
    ///
    /// They are as in the table; an alias appears under the name it stands for.
    pub used: Vec<&'static str>,
}

/// A fatal error and what had been done before it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseFailure {
    /// The error; its text is also that of this type.
    pub error: ConfigError,
    /// What is to be logged before the error.
    pub warnings: Vec<Warning>,
    /// With [`ParseOptions::print`]: what was printed, with the failing directive.
    pub printed: Vec<Vec<u8>>,
}

impl fmt::Display for ParseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for ParseFailure {}

/// Parses a configuration file and what it includes.
///
/// # Errors
///
/// The first [`ConfigError`] of the text, or that a file cannot be opened.
pub fn parse_file(
    path: impl AsRef<Path>,
    files: &dyn FileSource,
    options: ParseOptions,
) -> Result<Parsed, Box<ParseFailure>> {
    let mut parser = Parser::new(files, options);
    let outcome = parser.file(path.as_ref());
    parser.finish(outcome)
}

/// Parses directives given on the command line, each argument being a line.
///
/// # Errors
///
/// The first [`ConfigError`] of the text, or that an included file cannot be opened.
pub fn parse_lines<L: AsRef<[u8]>>(
    lines: impl IntoIterator<Item = L>,
    files: &dyn FileSource,
    options: ParseOptions,
) -> Result<Parsed, Box<ParseFailure>> {
    let mut parser = Parser::new(files, options);
    let outcome = (1..).zip(lines).try_for_each(|(number, line)| {
        parser.at = Location {
            line: number,
            file: None,
        };
        parser.line(until_nul(line.as_ref()))
    });
    parser.finish(outcome)
}

/// What is known while parsing.
pub(crate) struct Parser<'a> {
    pub(crate) files: &'a dyn FileSource,
    pub(crate) options: ParseOptions,
    pub(crate) config: Config,
    /// Where the directive stands that is being parsed.
    pub(crate) at: Location,
    parsed: Parsed,
    level: u32,
}

impl<'a> Parser<'a> {
    fn new(files: &'a dyn FileSource, options: ParseOptions) -> Self {
        let mut config = Config::default();
        if options.client_only {
            config.server.port = 0;
            config.command.port = 0;
            config.command.socket = None;
            config.process.pid_file = None;
        }
        let parsed = Parsed::default();
        Self {
            files,
            options,
            config,
            at: Location::default(),
            parsed,
            level: 0,
        }
    }

    fn finish(self, outcome: Result<(), ConfigError>) -> Result<Parsed, Box<ParseFailure>> {
        let Self { config, parsed, .. } = self;
        let Parsed {
            warnings,
            printed,
            used,
            ..
        } = parsed;
        match outcome {
            Ok(()) => Ok(Parsed {
                config,
                warnings,
                printed,
                used,
            }),
            Err(error) => Err(Box::new(ParseFailure {
                error,
                warnings,
                printed,
            })),
        }
    }

    /// Parses a file in the place of the current line.
    pub(crate) fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        if self.level >= INCLUDE_LEVEL_MAX {
            return Err(ConfigError::IncludeLevel);
        }
        let content = self
            .files
            .read_file(path)
            .map_err(|reason| ConfigError::Open {
                file: path.to_owned(),
                reason,
            })?;
        let outside = std::mem::take(&mut self.at);
        let file: Arc<Path> = Arc::from(path);
        self.level += 1;
        for (number, line) in (1..).zip(chunks(&content, LINE_MAX)) {
            self.at = Location {
                line: number,
                file: Some(Arc::clone(&file)),
            };
            self.line(line)?;
        }
        self.level -= 1;
        self.at = outside;
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ConfigError> {
        if line.len() >= LINE_MAX {
            return Err(ConfigError::LineTooLong {
                at: self.at.clone(),
            });
        }
        let line = normalise(line);
        if line.is_empty() {
            return Ok(());
        }
        let (name, arguments) = split_word(&line);
        let directive = directives::find(name);
        if self.options.print && !directive.is_some_and(|found| found.is_expanded()) {
            self.parsed.printed.push(line.clone());
        }
        let written = String::from_utf8_lossy(name);
        let Some(directive) = directive else {
            let (directive, at) = (written.into_owned(), self.at.clone());
            return Err(ConfigError::UnknownDirective { directive, at });
        };
        self.directive(
            directive,
            &Args {
                name: written,
                text: arguments,
            },
        )
    }

    fn directive(&mut self, row: &'static Directive, args: &Args<'_>) -> Result<(), ConfigError> {
        if !self.parsed.used.contains(&row.canonical_name()) {
            self.parsed.used.push(row.canonical_name());
        }
        let directive = || args.name.clone().into_owned();
        let at = self.at.clone();
        match row.arity.check(args.count()) {
            std::cmp::Ordering::Less => {
                return Err(ConfigError::MissingArguments {
                    directive: directive(),
                    at,
                });
            }
            std::cmp::Ordering::Greater => {
                return Err(ConfigError::TooManyArguments {
                    directive: directive(),
                    at,
                });
            }
            std::cmp::Ordering::Equal => {}
        }
        row.apply(self, args).map_err(|failure| match failure {
            Failure::Syntax => ConfigError::Syntax {
                directive: directive(),
                at,
            },
            Failure::OutOfRange { value, min, max } => ConfigError::OutOfRange {
                value,
                directive: directive(),
                min,
                max,
                at,
            },
            Failure::MissingHost => ConfigError::MissingHost {
                directive: directive(),
                at,
            },
            Failure::Option => ConfigError::Option {
                directive: directive(),
                at,
            },
            Failure::Value => ConfigError::Value {
                directive: directive(),
                at,
            },
            Failure::LogParameter => ConfigError::LogParameter { at },
            Failure::Nested(error) => error,
        })
    }

    pub(crate) fn warn(&mut self, warning: Warning) {
        self.parsed.warnings.push(warning);
    }
}

/// The arguments of a directive: words with single spaces between them.
pub(crate) struct Args<'a> {
    /// The directive's name as written.
    pub(crate) name: Cow<'a, str>,
    /// Everything behind it.
    pub(crate) text: &'a [u8],
}

impl<'a> Args<'a> {
    pub(crate) fn count(&self) -> usize {
        self.words().count()
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &'a [u8]> {
        words(self.text)
    }

    pub(crate) const fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.text)
    }

    /// The arguments as one string.
    pub(crate) fn string(&self) -> String {
        text(self.text)
    }

    /// The arguments as one path.
    pub(crate) fn path(&self) -> PathBuf {
        path(self.text)
    }

    /// The arguments as one whole-word integer in a range that `T` can hold.
    pub(crate) fn int<T: TryFrom<i64>>(&self, min: i64, max: i64) -> Result<T, Failure> {
        ranged_int(self.text, min, max)
    }

    /// A whole-word integer from 0 up to the largest C `int`.
    pub(crate) fn count_value(&self) -> Result<u32, Failure> {
        self.int(0, i64::from(i32::MAX))
    }

    /// The floating-point number the arguments begin with.
    pub(crate) fn float(&self) -> Result<f64, Failure> {
        self.cursor().float().ok_or(Failure::Syntax)
    }

    pub(crate) fn address(&self) -> Result<IpAddr, Failure> {
        parse_ip(self.text).ok_or(Failure::Syntax)
    }

    /// The value that belongs to the only word, matched without regard to case.
    pub(crate) fn keyword<T: Copy>(&self, table: &[(&str, T)]) -> Result<T, Failure> {
        find_keyword(self.text, table)
    }
}

/// A path from the bytes of the configuration.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

/// A whole-word integer in a range.
pub(crate) fn ranged_int<T: TryFrom<i64>>(word: &[u8], min: i64, max: i64) -> Result<T, Failure> {
    let value = whole_int(word).ok_or(Failure::Syntax)?;
    if !(min..=max).contains(&value) {
        return Err(Failure::OutOfRange { value, min, max });
    }
    T::try_from(value).map_err(|_| Failure::OutOfRange { value, min, max })
}

/// The value that belongs to a word, matched without regard to case.
pub(crate) fn find_keyword<T: Copy>(word: &[u8], table: &[(&str, T)]) -> Result<T, Failure> {
    table
        .iter()
        .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word))
        .map(|(_, value)| *value)
        .ok_or(Failure::Syntax)
}

/// Runs an action that yields nothing when the syntax is wrong.
pub(crate) fn or_syntax(parsed: Option<()>) -> Applied {
    parsed.ok_or(Failure::Syntax)
}
