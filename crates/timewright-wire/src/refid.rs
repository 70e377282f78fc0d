//! Reference ids: of addresses, and the special ones.

use md5::{Digest, Md5};
use std::net::IpAddr;

/// Not synchronised.
pub const UNSYNCHRONISED: u32 = 0;
/// Synchronised to the local reference, 127.127.1.1.
pub const LOCAL: u32 = 0x7f7f_0101;
/// The served time is smoothed, 127.127.1.255.
pub const SMOOTHED: u32 = 0x7f7f_01ff;
/// Kiss code `RATE`: poll less often.
pub const KISS_RATE: u32 = u32::from_be_bytes(*b"RATE");
/// Kiss code `DENY`: go away.
pub const KISS_DENY: u32 = u32::from_be_bytes(*b"DENY");
/// Kiss code `RSTR`: access restricted.
pub const KISS_RSTR: u32 = u32::from_be_bytes(*b"RSTR");
/// Kiss code `NTSN`: the NTS cookie could not be used (RFC 8915 section 5.7).
pub const KISS_NTSN: u32 = u32::from_be_bytes(*b"NTSN");

/// The reference id of a source: an IPv4 address itself, the first four bytes of the MD5 of an
/// IPv6 address (RFC 5905 section 7.3).
///
/// ```
/// # use timewright_wire::refid;
/// assert_eq!(refid::of_address("192.0.2.1".parse().unwrap()), 0xc000_0201);
/// ```
#[must_use]
pub fn of_address(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => match Md5::digest(v6.octets()).first_chunk() {
            Some(first) => u32::from_be_bytes(*first),
            None => UNSYNCHRONISED,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_ids() {
        // First four bytes of the MD5 of the 16 address bytes, computed with Python's hashlib.
        for (address, want) in [
            ("192.0.2.1", 0xc000_0201),
            ("::", 0x4ae7_1336),
            ("::1", 0xcf40_4dc8),
            ("2001:db8::1", 0x39ab_9b37),
        ] {
            assert_eq!(of_address(address.parse().unwrap()), want, "{address}");
        }
    }
}
