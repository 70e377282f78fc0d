//! The chrony.conf language: from text to typed values.
//!
//! Owns the grammar, ranges, defaults and error texts of the configuration file, of `*.sources`
//! fragments and of the key file, and the option lists that chronyc shares with them. Does no
//! I/O: files come through [`FileSource`], host names stay names. Follows `config.md`.
//!
//! ```
//! use timewright_config::{MemoryFiles, ParseOptions, parse_file};
//!
//! let files = MemoryFiles::new()
//!     .with("/etc/chrony.conf", "server ntp.example.org iburst\nconfdir /etc/chrony.d\n")
//!     .with("/etc/chrony.d/local.conf", "local stratum 8\n");
//! let parsed = parse_file("/etc/chrony.conf", &files, ParseOptions::default())?;
//! assert!(parsed.config.sources[0].options.iburst);
//! assert_eq!(parsed.config.server.local.map(|local| local.stratum), Some(8));
//! # Ok::<(), Box<timewright_config::ParseFailure>>(())
//! ```

#![forbid(unsafe_code)]

mod access;
mod check;
mod config;
pub mod directives;
mod error;
mod files;
pub mod glob;
pub mod hwtimestamp;
mod include;
pub mod keys;
mod lexical;
pub mod local;
mod parser;
pub mod ratelimit;
pub mod refclock;
mod scan;
pub mod source;

pub use access::{AccessArguments, AccessRule, Subnet, parse_access};
pub use check::{StartupError, check_access};
pub use config::*;
pub use error::{ConfigError, Location, OptionError, OptionRow, Warning};
pub use files::{FileSource, ListError, MemoryFiles};
pub use hwtimestamp::{HwTimestampSpec, RxFilter};
pub use include::{
    CONF_SUFFIX, DIRECTORIES_MAX, SOURCES_SUFFIX, read_source_dirs, select_fragments,
};
pub use keys::{KeyFile, KeySpec, KeyType, KeyWarning, Secret};
pub use local::{LocalSpec, parse_local};
pub use parser::{INCLUDE_LEVEL_MAX, ParseFailure, ParseOptions, Parsed, parse_file, parse_lines};
pub use ratelimit::RateLimit;
pub use refclock::{Driver, DriverKind, RefId, RefclockOptions, RefclockSpec};
pub use scan::Cursor;
pub use source::{
    ExtensionFields, Family, SampleLimits, SelectOptions, SourceError, SourceKind, SourceOptions,
    SourceSpec, parse_source, parse_sources_fragment,
};
