//! Payloads of requests, in the order of their fields on the wire (`control-protocol.md` 10).

use crate::Address;
use crate::field::{DecodeError, Field, Reader, Writer, codes, flags, record};
use std::fmt;
use thiserror::Error;

record! {
    /// Selects the sources whose masked address equals the masked `address`; all sources if
    /// both are unspecified.
    pub struct SourceMask: 40 bytes {
        /// Bits that count.
        mask: Address,
        /// What they must be.
        address: Address,
    }
}

impl SourceMask {
    /// All sources.
    pub const ALL: Self = Self {
        mask: Address::Unspecified,
        address: Address::Unspecified,
    };

    /// Exactly one source.
    #[must_use]
    pub const fn one(address: Address) -> Self {
        Self {
            mask: address.host_mask(),
            address,
        }
    }

    /// Whether a source is selected.
    #[must_use]
    pub fn selects(&self, source: Address) -> bool {
        *self == Self::ALL || source.matches(self.address, self.mask)
    }
}

record! {
    /// A rapid set of samples of the selected sources.
    pub struct Burst: 48 bytes {
        /// Which sources.
        sources: SourceMask,
        /// Stop after so many good samples.
        good: i32,
        /// Stop after so many samples.
        total: i32,
    }
}

record! {
    /// An integer setting of one source.
    pub struct SourceValue: 24 bytes {
        /// Which source.
        address: Address,
        /// The new value.
        value: i32,
    }
}

record! {
    /// A real setting of one source.
    pub struct SourceRatio: 24 bytes {
        /// Which source.
        address: Address,
        /// The new value.
        value: f64,
    }
}

codes! {
    /// What to do with manual input.
    pub enum ManualMode: i32 {
        /// Refuse it; samples are kept.
        Off = 0,
        /// Accept it.
        On = 1,
        /// Forget the samples.
        Reset = 2,
    } else refuse "manual mode"
}

codes! {
    /// What to do with time smoothing.
    pub enum SmoothAction: i32 {
        /// Start smoothing anew.
        Reset = 0,
        /// Start smoothing when `leaponly` has held it back.
        Activate = 1,
    } else Other
}

record! {
    /// A range of addresses; unspecified with 0 bits is every address of both families.
    pub struct Subnet: 24 bytes {
        /// First address.
        address: Address,
        /// Prefix length; the daemon checks the range.
        bits: i32,
    }
}

record! {
    /// When the clock is stepped.
    pub struct MakeStepRule: 8 bytes {
        /// In how many updates; negative: in all.
        limit: i32,
        /// Above which offset, s.
        threshold: f64,
    }
}

record! {
    /// A part of the table of clients.
    pub struct ClientsQuery: 16 bytes {
        /// Where to start.
        first_index: u32,
        /// How many at most; a reply holds [`crate::reply::CLIENTS_MAX`].
        max_clients: u32,
        /// Only clients with so many hits of any kind; 0: all.
        min_hits: u32,
        /// Not zero: set the counters of all records looked at to zero.
        reset: u32,
    }
}

flags! {
    /// Options of a new source.
    pub struct SourceFlags: u32 {
        /// Poll it at once.
        const ONLINE = 0x1;
        /// Go off-line when sending fails.
        const AUTO_OFFLINE = 0x2;
        /// Start with a burst.
        const IBURST = 0x4;
        /// Prefer it.
        const PREFER = 0x8;
        /// Never select it.
        const NOSELECT = 0x10;
        /// Trust it against others.
        const TRUST = 0x20;
        /// Require one such source.
        const REQUIRE = 0x40;
        /// Interleaved mode.
        const INTERLEAVED = 0x80;
        /// Burst at each poll.
        const BURST = 0x100;
        /// Network Time Security.
        const NTS = 0x200;
        /// Take over its reference ID and stratum.
        const COPY = 0x400;
        /// Extension field F323, experimental monotonic root.
        const EXTFIELD_MONO_ROOT = 0x800;
        /// Extension field F324, network correction.
        const EXTFIELD_NET_CORRECTION = 0x1000;
        /// IPv4 only; wins over [`Self::IPV6`].
        const IPV4 = 0x2000;
        /// IPv6 only.
        const IPV6 = 0x4000;
    }
}

flags! {
    /// Selection options as reports show them and as the mask of [`SelectOptions`].
    pub struct SelectFlags: u16 {
        /// Never select it.
        const NOSELECT = 0x1;
        /// Prefer it.
        const PREFER = 0x2;
        /// Trust it against others.
        const TRUST = 0x4;
        /// Require one such source.
        const REQUIRE = 0x8;
    }
}

/// The same four options in their two encodings.
const SELECT_OPTIONS: [(SelectFlags, SourceFlags); 4] = [
    (SelectFlags::NOSELECT, SourceFlags::NOSELECT),
    (SelectFlags::PREFER, SourceFlags::PREFER),
    (SelectFlags::TRUST, SourceFlags::TRUST),
    (SelectFlags::REQUIRE, SourceFlags::REQUIRE),
];

impl From<SelectFlags> for SourceFlags {
    fn from(set: SelectFlags) -> Self {
        SELECT_OPTIONS
            .into_iter()
            .filter(|(raw, _)| set.contains(*raw))
            .fold(Self::default(), |flags, (_, flag)| flags | flag)
    }
}

impl From<SourceFlags> for SelectFlags {
    fn from(flags: SourceFlags) -> Self {
        SELECT_OPTIONS
            .into_iter()
            .filter(|(_, flag)| flags.contains(*flag))
            .fold(Self::default(), |set, (raw, _)| set | raw)
    }
}

/// New selection options of a source: the options in `mask` become those in `options`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectOptions {
    /// An NTP source, or unspecified for a reference clock.
    pub address: Address,
    /// The reference clock, if `address` is unspecified.
    pub refid: u32,
    /// Options to change.
    pub mask: SelectFlags,
    /// Their new state.
    pub options: SelectFlags,
}

/// The two sets have different encodings: the mask that of reports, in 32 bits, the options
/// that of [`SourceFlags`].
impl Field for SelectOptions {
    const SIZE: usize = Address::SIZE + 3 * u32::SIZE;

    fn put(&self, to: &mut Writer) {
        self.address.put(to);
        self.refid.put(to);
        u32::from(self.mask.0).put(to);
        SourceFlags::from(self.options).put(to);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (address, refid) = (Address::take(from)?, u32::take(from)?);
        from.skip(2)?; // upper half of the mask, without meaning
        Ok(Self {
            address,
            refid,
            mask: SelectFlags::take(from)?,
            options: SourceFlags::take(from)?.into(),
        })
    }
}

record! {
    /// New offset correction of a source.
    pub struct SourceOffset: 28 bytes {
        /// An NTP source, or unspecified for a reference clock.
        address: Address,
        /// The reference clock, if `address` is unspecified.
        refid: u32,
        /// The correction, s.
        offset: f64,
    }
}

/// The local reference: a clock that claims to be right when no source says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalReference {
    /// Off: the rest has no meaning.
    pub on: bool,
    /// The stratum claimed; the daemon limits it to 1..=15.
    pub stratum: i32,
    /// Root distance from which on the reference is used, s.
    pub distance: f64,
    /// Whether servers without sources agree on one of them.
    pub orphan: bool,
    /// Root distance that must have been reached once, s.
    pub activate: f64,
    /// How long to wait after the clock was synchronised, s.
    pub wait_synced: f64,
    /// How long to wait when the clock was never synchronised, s.
    pub wait_unsynced: f64,
}

impl Field for LocalReference {
    const SIZE: usize = 28;

    fn put(&self, to: &mut Writer) {
        i32::from(self.on).put(to);
        self.stratum.put(to);
        self.distance.put(to);
        i32::from(self.orphan).put(to);
        self.activate.put(to);
        self.wait_synced.put(to);
        self.wait_unsynced.put(to);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            on: i32::take(from)? != 0,
            stratum: i32::take(from)?,
            distance: f64::take(from)?,
            orphan: i32::take(from)? != 0,
            activate: f64::take(from)?,
            wait_synced: f64::take(from)?,
            wait_unsynced: f64::take(from)?,
        })
    }
}

codes! {
    /// Kind of a new source.
    pub enum SourceType: u32 {
        /// One server.
        Server = 1,
        /// A peer in symmetric mode.
        Peer = 2,
        /// A name with many addresses.
        Pool = 3,
    } else refuse "source type"
}

record! {
    /// A new source and its options. [`AddSource::new`] fills in the defaults.
    pub struct AddSource: 352 bytes {
        /// Its kind.
        source_type: SourceType,
        /// Its name or address.
        name: Name,
        /// UDP port of NTP.
        port: u32,
        /// Minimum poll, log2 s.
        minpoll: i32,
        /// Maximum poll, log2 s.
        maxpoll: i32,
        /// Poll from which on a packet is sent ahead, log2 s.
        presend_minpoll: i32,
        /// Minimum stratum.
        min_stratum: u32,
        /// Number of samples the poll is adapted to.
        poll_target: u32,
        /// NTP version; 0: chosen by the daemon.
        version: u32,
        /// Sources of a pool.
        max_sources: u32,
        /// Minimum number of samples; -1: as set for all sources.
        min_samples: i32,
        /// Maximum number of samples; -1: as set for all sources.
        max_samples: i32,
        /// Key for authentication; 0: none.
        auth_key: u32,
        /// TCP port of NTS-KE.
        nts_port: u32,
        /// Maximum delay, s.
        max_delay: f64,
        /// Maximum ratio of delay to minimum delay; 0: not used.
        max_delay_ratio: f64,
        /// Maximum ratio of delay to its deviation.
        max_delay_dev_ratio: f64,
        /// Delay assumed at least, s.
        min_delay: f64,
        /// Asymmetry assumed of jitter; 1.0: measured.
        asymmetry: f64,
        /// Correction, s.
        offset: f64,
        /// Options without value.
        flags: SourceFlags,
        /// Samples combined into one; 0: none.
        filter_length: i32,
        /// Set of trusted certificates.
        cert_set: u32,
        /// Quantile of delay; 0: not used.
        max_delay_quant: f64,
        /// Polls without answer after which a selected source is given up.
        max_unreach: i32,
    }
}

impl AddSource {
    /// A source with the options a client sends when none are given (`control-protocol.md` 10).
    #[must_use]
    pub const fn new(source_type: SourceType, name: Name) -> Self {
        Self {
            source_type,
            name,
            port: 123,
            minpoll: 6,
            maxpoll: 10,
            presend_minpoll: 100,
            min_stratum: 0,
            poll_target: 8,
            version: 0,
            max_sources: 4,
            min_samples: -1,
            max_samples: -1,
            auth_key: 0,
            nts_port: 4460,
            max_delay: 3.0,
            max_delay_ratio: 0.0,
            max_delay_dev_ratio: 10.0,
            min_delay: 0.0,
            asymmetry: 1.0,
            offset: 0.0,
            flags: SourceFlags::ONLINE,
            filter_length: 0,
            cert_set: 0,
            max_delay_quant: 0.0,
            max_unreach: 100_000,
        }
    }
}

/// Room for a name and the zero that ends it.
pub(crate) const NAME_ROOM: usize = 256;

/// A source name: printable ASCII without blanks, at most 255 characters; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// It does not fit its field.
    #[error("longer than 255 bytes")]
    TooLong,
    /// It has a character that is not graphic ASCII.
    #[error("character other than graphic ASCII")]
    NotGraphic,
}

impl Name {
    /// A name that can be sent.
    ///
    /// # Errors
    /// If the text is too long or has a blank, control or non-ASCII character.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() >= NAME_ROOM {
            Err(NameError::TooLong)
        } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::NotGraphic)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Field for Name {
    const SIZE: usize = NAME_ROOM;

    fn put(&self, to: &mut Writer) {
        to.bytes(self.0.as_bytes());
        to.fill(NAME_ROOM - self.0.len(), 0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let room: [u8; NAME_ROOM] = from.array()?;
        if room.last() != Some(&0) {
            return Err(DecodeError::BadName);
        }
        let text = room.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text)
            .ok()
            .and_then(|text| Self::new(text).ok())
            .ok_or(DecodeError::BadName)
    }
}
