//! Addresses on the wire (`control-protocol.md` 3.4).

use crate::field::{DecodeError, Field, Reader, Writer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use thiserror::Error;

const FAMILY_UNSPECIFIED: u16 = 0;
const FAMILY_IPV4: u16 = 1;
const FAMILY_IPV6: u16 = 2;
const FAMILY_ID: u16 = 3;

/// Room for the address bytes in front of the family.
const BYTES: usize = 16;

/// What a source, client or subnet is identified by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// No address: all sources, any subnet, a reference clock. Also any family unknown here.
    #[default]
    Unspecified,
    /// An IPv4 address; in source reports also the reference ID of a clock in disguise.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A source whose name has no address yet: a number the daemon assigned, from 1.
    Id(u32),
}

impl Address {
    /// The IP address, if it is one.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::V4(ip) => Some(IpAddr::V4(ip)),
            Self::V6(ip) => Some(IpAddr::V6(ip)),
            Self::Unspecified | Self::Id(_) => None,
        }
    }

    /// The mask that selects exactly this address: all ones, and nothing for IDs and
    /// unspecified addresses, which are compared whole.
    #[must_use]
    pub const fn host_mask(self) -> Self {
        match self {
            Self::V4(_) => Self::V4(Ipv4Addr::BROADCAST),
            Self::V6(_) => Self::V6(Ipv6Addr::from_bits(u128::MAX)),
            Self::Unspecified | Self::Id(_) => Self::Unspecified,
        }
    }

    /// The source ID a client means by `ID#` and a number. As in the reference the number is
    /// taken modulo 2^32, may have a sign, and what follows it does not count.
    #[must_use]
    pub fn from_id(text: &str) -> Option<Self> {
        let number = text.strip_prefix("ID#")?;
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let len = digits.bytes().take_while(u8::is_ascii_digit).count();
        let value = digits.bytes().take(len).fold(0u32, |sum, digit| {
            sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'))
        });
        let id = if negative {
            value.wrapping_neg()
        } else {
            value
        };
        (len > 0).then_some(Self::Id(id))
    }

    /// Whether the address, masked, equals `wanted`, masked.
    ///
    /// Families must match; a mask of another family is ignored.
    #[must_use]
    pub fn matches(self, wanted: Self, mask: Self) -> bool {
        match (self, wanted, mask) {
            (Self::V4(a), Self::V4(b), Self::V4(m)) => a & m == b & m,
            (Self::V6(a), Self::V6(b), Self::V6(m)) => a & m == b & m,
            _ => self == wanted,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => f.write_str("[UNSPEC]"),
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => ip.fmt(f),
            Self::Id(id) => write!(f, "ID#{id:010}"),
        }
    }
}

/// The text is neither an IP address nor `ID#` and a number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("neither an IP address nor ID#number")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(id) = text.strip_prefix("ID#") {
            // A sign is not part of the form, though `u32` would take a plus.
            return match id.parse() {
                Ok(id_number) if !id.starts_with('+') => Ok(Self::Id(id_number)),
                _ => Err(AddressError),
            };
        }
        text.parse::<IpAddr>()
            .map(Self::from)
            .map_err(|_| AddressError)
    }
}

impl Field for Address {
    const SIZE: usize = BYTES + 4;

    fn put(&self, to: &mut Writer) {
        let (bytes, family) = match self {
            Self::Unspecified => ([0; BYTES], FAMILY_UNSPECIFIED),
            Self::V4(ip) => (widen(ip.octets()), FAMILY_IPV4),
            Self::V6(ip) => (ip.octets(), FAMILY_IPV6),
            Self::Id(id) => (widen(id.to_be_bytes()), FAMILY_ID),
        };
        to.bytes(&bytes);
        family.put(to);
        to.fill(2, 0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes: [u8; BYTES] = from.array()?;
        let family = u16::take(from)?;
        from.skip(2)?;
        let [a, b, c, d, ..] = bytes;
        Ok(match family {
            FAMILY_IPV4 => Self::V4(Ipv4Addr::new(a, b, c, d)),
            FAMILY_IPV6 => Self::V6(Ipv6Addr::from(bytes)),
            FAMILY_ID => Self::Id(u32::from_be_bytes([a, b, c, d])),
            _ => Self::Unspecified,
        })
    }
}

fn widen([a, b, c, d]: [u8; 4]) -> [u8; BYTES] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms() {
        for (text, address) in [
            ("192.0.2.7", Address::V4(Ipv4Addr::new(192, 0, 2, 7))),
            ("2001:db8::1", Address::V6("2001:db8::1".parse().unwrap())),
            ("ID#0000000007", Address::Id(7)),
            ("ID#4294967295", Address::Id(u32::MAX)),
        ] {
            assert_eq!(text.parse(), Ok(address));
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("ID#7".parse(), Ok(Address::Id(7)));
        assert_eq!(Address::Unspecified.to_string(), "[UNSPEC]");
        for bad in [
            "ID#",
            "ID#+1",
            "ID#4294967296",
            "id#1",
            "192.0.2",
            "host",
            "",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError), "{bad}");
        }
    }

    #[test]
    fn ids_are_read_like_scanf() {
        for (text, id) in [("ID#1x", 1), ("ID#-1", u32::MAX), ("ID#0000000003", 3)] {
            assert_eq!(Address::from_id(text), Some(Address::Id(id)));
        }
        for bad in ["ID#", "ID#x", "1", "id#1"] {
            assert_eq!(Address::from_id(bad), None);
        }
    }

    #[test]
    fn unknown_families_are_unspecified() {
        let mut bytes = [7u8; Address::SIZE];
        bytes[16..18].copy_from_slice(&[0, 9]);
        assert_eq!(
            Address::take(&mut Reader::new(&bytes)),
            Ok(Address::Unspecified)
        );
    }

    #[test]
    fn a_mask_of_another_family_is_ignored() {
        let a: Address = "10.1.2.3".parse().unwrap();
        let b: Address = "10.1.9.9".parse().unwrap();
        let mask = "255.255.0.0".parse().unwrap();
        assert!(a.matches(b, mask));
        assert!(!a.matches(b, Address::Unspecified));
        assert!(!a.matches(b, "ffff::".parse().unwrap()));
        assert!(Address::Id(3).matches(Address::Id(3), Address::Unspecified));
        assert!(!Address::Id(1).matches(a, Address::Unspecified));
    }
}
