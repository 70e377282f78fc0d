//! NTP sources: `server`, `pool` and `peer` with their options (`config.md` section 3).
//!
//! [`SourceSpec`] holds what was written; silent adjustments are made where a source is created.
//! The same grammar serves the configuration file, `*.sources` fragments and chronyc's `add`.

use std::net::IpAddr;

use thiserror::Error;

use crate::error::{OptionError, apply_options};
use crate::lexical::{LINE_MAX, chunks, normalise, split_word, text};
use crate::scan::Cursor;

mod options;

pub use options::OPTIONS;
pub(crate) use options::{count, positive, small};

/// What a source line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// One server in client mode.
    Server,
    /// A name behind which several servers stand.
    Pool,
    /// A symmetric association.
    Peer,
}

impl SourceKind {
    /// The kind a keyword names, without regard to case.
    #[must_use]
    pub fn from_keyword(word: &[u8]) -> Option<Self> {
        [Self::Server, Self::Pool, Self::Peer]
            .into_iter()
            .find(|kind| kind.keyword().as_bytes().eq_ignore_ascii_case(word))
    }

    /// The keyword in lower case.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Pool => "pool",
            Self::Peer => "peer",
        }
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Options that tell the selection how to treat a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// Experimental extension fields a source may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtensionFields {
    /// Field F323: the server's monotonic timescale.
    pub mono_root: bool,
    /// Field F324: corrections made by the network.
    pub net_correction: bool,
    /// Field 10A: the same by its registered type.
    pub net_correction_10a: bool,
}

/// One `server`, `pool` or `peer` line.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// The keyword.
    pub kind: SourceKind,
    /// Name or address as written.
    pub name: String,
    /// The address, if `name` is one.
    pub address: Option<IpAddr>,
    /// The options as written.
    pub options: SourceOptions,
}

/// Options of a source, as written or with their defaults.
///
/// Values are those of the text; the engine moves them into their ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceOptions {
    /// Shortest polling interval, log2 seconds.
    pub minpoll: i32,
    /// Longest polling interval, log2 seconds, -32..=32.
    pub maxpoll: i32,
    /// Start with a burst of requests.
    pub iburst: bool,
    /// Send up to four requests at each poll.
    pub burst: bool,
    /// Symmetric key, never 0.
    pub key: Option<u32>,
    /// Authenticate with Network Time Security; overrides `key`.
    pub nts: bool,
    /// Set of trusted certificates.
    pub certset: u32,
    /// TCP port of the key establishment.
    pub ntsport: u16,
    /// UDP port.
    pub port: u16,
    /// Limit of the round-trip delay, seconds.
    pub maxdelay: f64,
    /// Limit of the delay relative to the minimum; 0 is off.
    pub maxdelayratio: f64,
    /// Limit of the delay increase relative to the standard deviation.
    pub maxdelaydevratio: f64,
    /// Quantile of the delay; not positive is off.
    pub maxdelayquant: f64,
    /// Fixed minimum delay, seconds; not positive is off.
    pub mindelay: f64,
    /// Jitter asymmetry; beyond ±0.5 it is estimated.
    pub asymmetry: f64,
    /// Correction of every measured offset, seconds.
    pub offset: f64,
    /// Minimum number of samples; `None`: the global setting.
    pub minsamples: Option<u32>,
    /// Maximum number of samples; `None`: the global setting.
    pub maxsamples: Option<u32>,
    /// Polls for which an unreachable source may stay selectable.
    pub maxunreach: u32,
    /// Length of the median filter in polls; 0 is off.
    pub filter: u32,
    /// Start offline.
    pub offline: bool,
    /// Go offline when sending fails.
    pub auto_offline: bool,
    /// Options of the selection.
    pub select: SelectOptions,
    /// Interleaved mode.
    pub xleave: bool,
    /// Target number of samples, at least 1.
    pub polltarget: u32,
    /// Polling interval from which a request is sent ahead, log2 seconds; [`PRESEND_OFF`] is off.
    pub presend: i32,
    /// Lowest stratum the source may have, 0..=16.
    pub minstratum: u8,
    /// NTP version of requests, 1..=4; `None` is automatic.
    pub version: Option<u8>,
    /// Adopt stratum and reference identifier of the server.
    pub copy: bool,
    /// Extension fields in use.
    pub extfields: ExtensionFields,
    /// Address family names are resolved to; `None` is any.
    pub family: Option<Family>,
    /// Number of sources of a pool, at least 1.
    pub maxsources: u32,
}

/// Value of [`SourceOptions::presend`] that no polling interval reaches.
pub const PRESEND_OFF: i32 = 100;

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            minpoll: 6,
            maxpoll: 10,
            iburst: false,
            burst: false,
            key: None,
            nts: false,
            certset: 0,
            ntsport: 4460,
            port: 123,
            maxdelay: 3.0,
            maxdelayratio: 0.0,
            maxdelaydevratio: 10.0,
            maxdelayquant: 0.0,
            mindelay: 0.0,
            asymmetry: 1.0,
            offset: 0.0,
            minsamples: None,
            maxsamples: None,
            maxunreach: 100_000,
            filter: 0,
            offline: false,
            auto_offline: false,
            select: SelectOptions::default(),
            xleave: false,
            polltarget: 8,
            presend: PRESEND_OFF,
            minstratum: 0,
            version: None,
            copy: false,
            extfields: ExtensionFields::default(),
            family: None,
            maxsources: 4,
        }
    }
}

/// Global defaults of the number of samples (`minsamples`, `maxsamples`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleLimits {
    /// Value of the directive `minsamples`.
    pub min: u32,
    /// Value of the directive `maxsamples`; 0 stands for the largest number.
    pub max: u32,
}

impl Default for SampleLimits {
    fn default() -> Self {
        Self { min: 6, max: 0 }
    }
}

/// Why a source line was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// No host name.
    #[error("missing host name")]
    MissingHost,
    /// A problem with the options.
    #[error(transparent)]
    Option(#[from] OptionError),
}

/// Parses what follows `server`, `pool` or `peer`: a name or address and options.
///
/// # Errors
///
/// [`SourceError`]; the caller words it (`config.md` section 2, `chronyc.md` 5.2).
pub fn parse_source(kind: SourceKind, arguments: &[u8]) -> Result<SourceSpec, SourceError> {
    let mut cursor = Cursor::new(arguments);
    let name = text(cursor.word().ok_or(SourceError::MissingHost)?);
    let mut options = SourceOptions::default();
    apply_options(OPTIONS, &mut options, &mut cursor)?;
    Ok(SourceSpec {
        kind,
        address: name.parse().ok(),
        name,
        options,
    })
}

/// Parses a `*.sources` fragment (`config.md` section 9).
///
/// Lines that are no valid `server`, `pool` or `peer` lines are skipped without a word. Reading
/// ends at the first line that has no newline of its own within 2048 bytes.
#[must_use]
pub fn parse_sources_fragment(bytes: &[u8]) -> Vec<SourceSpec> {
    chunks(bytes, LINE_MAX)
        .take_while(|line| line.ends_with(b"\n"))
        .filter_map(|line| {
            let line = normalise(line);
            let (word, arguments) = split_word(&line);
            parse_source(SourceKind::from_keyword(word)?, arguments).ok()
        })
        .collect()
}
