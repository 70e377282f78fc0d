//! The 48-byte header and its small enums.

use crate::HEADER_LEN;
use timewright_time::{NtpShort, NtpTimestamp};

/// The leap indicator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leap {
    /// No leap second at the end of the day.
    Normal = 0,
    /// The last minute of the day has 61 seconds.
    Insert = 1,
    /// The last minute of the day has 59 seconds.
    Delete = 2,
    /// The clock is not synchronised.
    #[default]
    Unsynchronised = 3,
}

impl Leap {
    /// From the low two bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Normal,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unsynchronised,
        }
    }

    /// 0..=3.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// The association mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Not defined; clients of version 1 send it.
    #[default]
    Undefined = 0,
    /// Symmetric active: a configured peer.
    Active = 1,
    /// Symmetric passive: the answer to an unknown peer.
    Passive = 2,
    /// Client.
    Client = 3,
    /// Server.
    Server = 4,
    /// Broadcast.
    Broadcast = 5,
    /// Control messages; not handled.
    Control = 6,
    /// Private use; not handled.
    Private = 7,
}

impl Mode {
    /// From the low three bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Undefined,
            1 => Self::Active,
            2 => Self::Passive,
            3 => Self::Client,
            4 => Self::Server,
            5 => Self::Broadcast,
            6 => Self::Control,
            _ => Self::Private,
        }
    }

    /// 0..=7.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// The mode of a datagram by its first byte, before it is parsed; `None` if it is empty.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        bytes.first().map(|&b| Self::from_bits(b))
    }
}

/// The fixed part of every NTP packet (RFC 5905 section 7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Leap indicator.
    pub leap: Leap,
    /// Protocol version, 0..=7 as sent; [`crate::Packet::parse`] lets 1..=4 pass.
    pub version: u8,
    /// Mode.
    pub mode: Mode,
    /// 0 is unsynchronised or a kiss of death, 16 and more are invalid.
    pub stratum: u8,
    /// Poll interval, log2 seconds.
    pub poll: i8,
    /// Clock precision, log2 seconds.
    pub precision: i8,
    /// Round-trip delay to the primary source.
    pub root_delay: NtpShort,
    /// Dispersion to the primary source.
    pub root_dispersion: NtpShort,
    /// Reference id ([`crate::refid`]).
    pub refid: u32,
    /// When the sender's clock was last updated.
    pub reference: NtpTimestamp,
    /// The transmit (or receive) field of the packet answered.
    pub originate: NtpTimestamp,
    /// When the packet answered was received.
    pub receive: NtpTimestamp,
    /// When this packet (or, interleaved, the previous one) was sent.
    pub transmit: NtpTimestamp,
}

impl Header {
    /// Reads the header of a datagram; `None` if it is shorter than one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let [lvm, stratum, poll, precision, rest @ ..] = bytes;
        let (words, _) = rest.as_chunks::<4>();
        let &[delay, dispersion, refid, r0, r1, o0, o1, v0, v1, t0, t1] =
            words.first_chunk::<11>()?;
        let stamp = |hi: [u8; 4], lo: [u8; 4]| {
            NtpTimestamp(
                u64::from(u32::from_be_bytes(hi)) << 32 | u64::from(u32::from_be_bytes(lo)),
            )
        };
        Some(Self {
            leap: Leap::from_bits(lvm >> 6),
            version: lvm >> 3 & 7,
            mode: Mode::from_bits(*lvm),
            stratum: *stratum,
            poll: poll.cast_signed(),
            precision: precision.cast_signed(),
            root_delay: NtpShort(u32::from_be_bytes(delay)),
            root_dispersion: NtpShort(u32::from_be_bytes(dispersion)),
            refid: u32::from_be_bytes(refid),
            reference: stamp(r0, r1),
            originate: stamp(o0, o1),
            receive: stamp(v0, v1),
            transmit: stamp(t0, t1),
        })
    }

    /// The header as sent; only the low three bits of the version fit.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let lvm = self.leap.bits() << 6 | (self.version & 7) << 3 | self.mode.bits();
        let first = [
            lvm,
            self.stratum,
            self.poll.cast_unsigned(),
            self.precision.cast_unsigned(),
        ];
        // Whole words at once: this runs for every packet served.
        let words = [
            u32::from_be_bytes(first),
            self.root_delay.0,
            self.root_dispersion.0,
            self.refid,
        ];
        let stamps = [
            self.reference.0,
            self.originate.0,
            self.receive.0,
            self.transmit.0,
        ];
        let mut bytes = [0; HEADER_LEN];
        let (short, long) = bytes.split_at_mut(4 * words.len());
        for (to, word) in short.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_be_bytes();
        }
        for (to, stamp) in long.as_chunks_mut().0.iter_mut().zip(stamps) {
            *to = stamp.to_be_bytes();
        }
        bytes
    }
}

/// The value to XOR into a timestamp so that all bits below a precision of `2^precision` seconds
/// are random: the low `precision + 32` bits of `random` (`ntp-engine.md` 1.3).
///
/// `precision` is limited to -32..=32; 32 makes the whole timestamp random.
#[must_use]
pub fn fuzz(random: u64, precision: i8) -> u64 {
    let bits = u32::from((precision.clamp(-32, 32) + 32).unsigned_abs());
    random & 1u64.checked_shl(bits).map_or(u64::MAX, |bit| bit - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fuzz_fills_only_bits_below_the_precision() {
        for (precision, want) in [
            (-32, 0),
            (-40, 0),
            (-31, 1),
            (-23, 0x1ff),
            (0, 0xffff_ffff),
            (31, u64::MAX >> 1),
            (32, u64::MAX),
            (100, u64::MAX),
        ] {
            assert_eq!(fuzz(u64::MAX, precision), want, "{precision}");
        }
    }

    #[test]
    fn a_short_datagram_has_no_header() {
        assert_eq!(Header::read(&[0; 47]), None);
    }

    proptest! {
        #[test]
        fn any_48_bytes_round_trip(bytes in prop::array::uniform32(any::<u8>()),
                                   more in prop::array::uniform16(any::<u8>())) {
            let bytes: Vec<u8> = bytes.into_iter().chain(more).collect();
            let header = Header::read(&bytes).unwrap();
            prop_assert_eq!(header.to_bytes().to_vec(), bytes);
        }
    }
}
