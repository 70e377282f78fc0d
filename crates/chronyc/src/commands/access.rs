//! Who is served: subnets and access checks (`chronyc.md` 5.1 and 5.3).

use super::split_word;
use crate::scan::Scan;
use crate::session::Session;
use std::net::{IpAddr, Ipv4Addr};
use timewright_control::request::Subnet;
use timewright_control::{Address, Request};

const UNREADABLE: &str = "Could not read address";

/// `accheck` and `cmdaccheck`: the rest of the line is one address or name.
pub(super) fn check(session: &Session<'_>, arguments: &str) -> Result<Address, String> {
    session
        .ip(arguments)
        .map(Address::from)
        .ok_or_else(|| UNREADABLE.to_owned())
}

/// `allow`, `deny` and the like: `[all] [SUBNET]`.
pub(super) fn subnet(
    session: &Session<'_>,
    arguments: &str,
    some: fn(Subnet) -> Request,
    all: fn(Subnet) -> Request,
) -> Result<Request, String> {
    let (request, text) = match split_word(arguments) {
        ("all", rest) => (all, rest),
        _ => (some, arguments),
    };
    parse_subnet(session, text)
        .map(request)
        .ok_or_else(|| UNREADABLE.to_owned())
}

/// A subnet. The daemon judges whether the prefix length is possible.
fn parse_subnet(session: &Session<'_>, text: &str) -> Option<Subnet> {
    if text.is_empty() {
        return Some(Subnet {
            address: Address::Unspecified,
            bits: 0,
        });
    }
    if text.contains(' ') {
        return None;
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(whole_number(bits)?)),
        None => (text, None),
    };
    if let Some((ip, full)) = whole_or_short_address(address) {
        return Some(Subnet {
            address: ip.into(),
            bits: bits.unwrap_or(full),
        });
    }
    // Numbers too large for an address are not taken for a host name.
    let mut parts = address.split('.');
    let numbers = parts.clone().count() <= SHORT_MAX && parts.all(|part| number(part).is_some());
    if numbers || bits.is_some() {
        return None;
    }
    let ip = session.ip(text)?;
    Some(Subnet {
        address: ip.into(),
        bits: full_length(ip),
    })
}

const fn full_length(ip: IpAddr) -> i32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// A number that is not negative and ends the text.
fn whole_number(text: &str) -> Option<i32> {
    let mut scan = Scan::new(text);
    let number = scan.int()?;
    (number >= 0 && scan.is_done()).then_some(number)
}

/// Most numbers of a shortened IPv4 address.
const SHORT_MAX: usize = 3;

/// A number with nothing around it; as everywhere a sign is allowed, and what is too large wraps.
fn number(text: &str) -> Option<u32> {
    let mut scan = Scan::new(text);
    let number = scan.uint()?;
    scan.is_done().then_some(number)
}

/// An address, or the first one to three numbers of an IPv4 address, and its prefix length.
fn whole_or_short_address(text: &str) -> Option<(IpAddr, i32)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip, full_length(ip)));
    }
    let mut octets = [0u8; 4];
    let mut bits = 0;
    let parts: Vec<_> = text.split('.').collect();
    if parts.len() > SHORT_MAX {
        return None;
    }
    for (octet, part) in octets.iter_mut().zip(parts) {
        *octet = number(part)?.try_into().ok()?;
        bits += 8;
    }
    Some((Ipv4Addr::from(octets).into(), bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_addresses_have_short_prefixes() {
        for (text, ip, bits) in [
            ("10", "10.0.0.0", 8),
            ("10.1", "10.1.0.0", 16),
            ("192.168.3", "192.168.3.0", 24),
            ("192.0.2.7", "192.0.2.7", 32),
            ("2001:db8::", "2001:db8::", 128),
            // Numbers are those of C's scanf.
            ("+10.-0", "10.0.0.0", 16),
            ("010", "10.0.0.0", 8),
            ("4294967306", "10.0.0.0", 8),
        ] {
            assert_eq!(
                whole_or_short_address(text),
                Some((ip.parse().unwrap(), bits)),
                "{text}"
            );
        }
        for bad in ["10.", ".1", "1..2", "256", "1.2.3.4.5", "a", "", "-1"] {
            assert_eq!(whole_or_short_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn prefix_lengths_end_the_text() {
        for (text, want) in [
            ("8", Some(8)),
            ("129", Some(129)),
            ("-1", None),
            ("8x", None),
            ("", None),
        ] {
            assert_eq!(whole_number(text), want, "{text}");
        }
    }
}
