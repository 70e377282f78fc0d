//! NTP sources: `server`, `pool` and `peer` with their options (`config.md` section 3).
//!
//! [`SourceSpec`] holds what was written, [`SourceOptions::effective`] what a source is made of.
//! The same grammar serves the configuration file, `*.sources` fragments and chronyc's `add`.

use std::cmp::Ordering;
use std::net::IpAddr;

use thiserror::Error;
use timewright_time::Seconds;

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
/// Values are those of the text; silent adjustments are in [`EffectiveOptions`].
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

/// Most samples a source keeps.
pub const SAMPLES_MAX: u32 = 64;
/// Shortest polling interval a source may use, log2 seconds.
pub const POLL_MIN: i32 = -7;
/// Longest polling interval a source may use, log2 seconds.
pub const POLL_MAX: i32 = 24;
/// Longest median filter.
pub const FILTER_MAX: u32 = 256;
/// Most sources of one pool.
pub const POOL_SOURCES_MAX: u32 = 16;

/// Options after the silent adjustments made when a source is created (`config.md` 3.1, "eff.").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffectiveOptions {
    /// Shortest polling interval, log2 seconds, -7..=24.
    pub minpoll: i32,
    /// Longest polling interval, log2 seconds, `minpoll`..=24.
    pub maxpoll: i32,
    /// Test A: limit of the delay, 0..=1000 s.
    pub maxdelay: Seconds,
    /// Test B: limit relative to the minimum delay, 0..=1e6; 0 is off.
    pub maxdelayratio: f64,
    /// Test C: limit of the increase in standard deviations, 0..=1e6.
    pub maxdelaydevratio: f64,
    /// Quantile that replaces test C, 0.05..=0.95 in steps of 0.01.
    pub maxdelayquant: Option<f64>,
    /// Fixed minimum delay, positive.
    pub mindelay: Option<Seconds>,
    /// Fixed jitter asymmetry, -0.5..=0.5; `None`: it is estimated.
    pub asymmetry: Option<f64>,
    /// Added to every measured offset.
    pub offset: Seconds,
    /// Least samples, 1..=`maxsamples`.
    pub minsamples: u32,
    /// Most samples, 1..=64.
    pub maxsamples: u32,
    /// Length of the median filter, 1..=256.
    pub filter: Option<u32>,
    /// Polling interval from which requests are sent ahead, log2 seconds.
    pub presend: Option<i32>,
    /// Lowest stratum, 0..=15.
    pub minstratum: u8,
    /// Number of sources of a pool, 1..=16.
    pub maxsources: u32,
}

impl SourceOptions {
    /// The values a source is created with.
    ///
    /// `global` are the numbers of samples that apply where the line says none.
    #[must_use]
    pub fn effective(&self, global: SampleLimits) -> EffectiveOptions {
        let poll = |value: i32, default: i32| match value {
            // Too short an interval is a mistake, so the default is safer than the limit.
            ..POLL_MIN => default,
            value => value.min(POLL_MAX),
        };
        let minpoll = poll(self.minpoll, 6);
        let maxsamples = match self.maxsamples.unwrap_or(global.max) {
            0 => SAMPLES_MAX,
            samples => samples.min(SAMPLES_MAX),
        };
        EffectiveOptions {
            minpoll,
            maxpoll: poll(self.maxpoll, 10).max(minpoll),
            maxdelay: Seconds(self.maxdelay.clamp(0.0, 1000.0)),
            maxdelayratio: self.maxdelayratio.clamp(0.0, 1e6),
            maxdelaydevratio: self.maxdelaydevratio.clamp(0.0, 1e6),
            maxdelayquant: (self.maxdelayquant > 0.0)
                .then(|| (self.maxdelayquant.clamp(0.05, 0.95) * 100.0).round() / 100.0),
            mindelay: (self.mindelay > 0.0).then_some(Seconds(self.mindelay)),
            asymmetry: (self.asymmetry.abs() <= 0.5).then_some(self.asymmetry),
            offset: Seconds(self.offset),
            minsamples: self.minsamples.unwrap_or(global.min).clamp(1, maxsamples),
            maxsamples,
            filter: (self.filter > 0).then_some(self.filter.min(FILTER_MAX)),
            presend: (self.presend != PRESEND_OFF).then_some(self.presend),
            minstratum: self.minstratum.min(15),
            maxsources: self.maxsources.clamp(1, POOL_SOURCES_MAX),
        }
    }
}

impl SourceSpec {
    /// Whether the line stands for several sources: a pool given by name.
    ///
    /// A pool given as an address behaves as one server.
    #[must_use]
    pub const fn is_pool(&self) -> bool {
        matches!(self.kind, SourceKind::Pool) && self.address.is_none()
    }

    /// Whether the name consists of printable ASCII characters, as a source's must.
    ///
    /// It is checked when the source is added, not when the line is parsed.
    #[must_use]
    pub fn has_valid_name(&self) -> bool {
        !self.name.is_empty() && self.name.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether an address was given that the options `ipv4` and `ipv6` rule out.
    #[must_use]
    pub fn contradicts_family(&self) -> bool {
        match (self.address, self.options.family) {
            (Some(address), Some(family)) => Family::of(address) != family,
            _ => false,
        }
    }

    /// A total order over all properties, the name first.
    ///
    /// Two lists of sources sorted by it can be merged to find what was added and removed
    /// (`config.md` section 9, "Reload algorithm"). Equal means that nothing differs.
    #[must_use]
    pub fn reload_order(&self, other: &Self) -> Ordering {
        let head = |spec: &Self| {
            let symmetric = spec.kind == SourceKind::Peer;
            (
                symmetric,
                spec.kind == SourceKind::Pool,
                spec.options.family,
                spec.options.port,
            )
        };
        (self.name.cmp(&other.name))
            .then_with(|| head(self).cmp(&head(other)))
            .then_with(|| self.options.total_order(&other.options))
    }
}

impl SourceOptions {
    fn total_order(&self, other: &Self) -> Ordering {
        let floats = |o: &Self| {
            [
                o.maxdelay,
                o.maxdelayratio,
                o.maxdelaydevratio,
                o.maxdelayquant,
                o.mindelay,
                o.asymmetry,
                o.offset,
            ]
        };
        let integers = |o: &Self| {
            [
                i64::from(o.minpoll),
                i64::from(o.maxpoll),
                i64::from(o.presend),
                i64::from(o.minstratum),
                i64::from(o.polltarget),
                i64::from(o.version.unwrap_or(0)),
                i64::from(o.maxsources),
                o.minsamples.map_or(-1, i64::from),
                o.maxsamples.map_or(-1, i64::from),
                i64::from(o.maxunreach),
                i64::from(o.filter),
                i64::from(o.key.unwrap_or(0)),
                i64::from(o.ntsport),
                i64::from(o.certset),
            ]
        };
        let flags = |o: &Self| {
            [
                o.iburst,
                o.burst,
                o.nts,
                o.offline,
                o.auto_offline,
                o.xleave,
                o.copy,
            ]
        };
        (integers(self).cmp(&integers(other)))
            .then_with(|| flags(self).cmp(&flags(other)))
            .then_with(|| (self.select, self.extfields).cmp(&(other.select, other.extfields)))
            .then_with(|| {
                let pairs = floats(self).into_iter().zip(floats(other));
                pairs
                    .map(|(a, b)| a.total_cmp(&b))
                    .fold(Ordering::Equal, Ordering::then)
            })
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
