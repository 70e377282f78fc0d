//! Commands for one source or for those of a subnet (`chronyc.md` 5.1).

use super::split_word;
use crate::scan::Scan;
use crate::session::Session;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use timewright_control::request::{
    Burst, SelectFlags, SelectOptions, SourceMask, SourceOffset, SourceRatio, SourceValue,
};
use timewright_control::{Address, Request, refid};

const NO_ADDRESS: &str = "Could not get address for hostname";
const BAD_MASK: &str = "Invalid syntax for mask/address";
const BAD_VALUE: &str = "Invalid syntax for address value";

/// `[[MASK/]ADDR]`: nothing selects all sources.
pub(super) fn mask(session: &Session<'_>, text: &str) -> Result<SourceMask, String> {
    if text.is_empty() {
        return Ok(SourceMask::ALL);
    }
    let Some((before, after)) = text.split_once('/') else {
        let address = session.address(text).ok_or(NO_ADDRESS)?;
        return Ok(SourceMask::one(address));
    };
    let first: IpAddr = before.parse().map_err(|_| BAD_MASK)?;
    if let Ok(second) = after.parse::<IpAddr>() {
        // MASK/ADDRESS
        if first.is_ipv4() != second.is_ipv4() {
            return Err(BAD_MASK.to_owned());
        }
        return Ok(SourceMask {
            mask: first.into(),
            address: second.into(),
        });
    }
    let bits = Scan::new(after).uint().ok_or(BAD_MASK)?;
    Ok(SourceMask {
        mask: prefix_mask(first, bits),
        address: first.into(),
    })
}

/// A mask of so many bits of the family of an address; more than it has are all.
fn prefix_mask(address: IpAddr, bits: u32) -> Address {
    match address {
        IpAddr::V4(_) => {
            let zeros = 32 - bits.min(32);
            Address::V4(Ipv4Addr::from_bits(
                u32::MAX.checked_shl(zeros).unwrap_or(0),
            ))
        }
        IpAddr::V6(_) => {
            let zeros = 128 - bits.min(128);
            Address::V6(Ipv6Addr::from_bits(
                u128::MAX.checked_shl(zeros).unwrap_or(0),
            ))
        }
    }
}

/// `burst GOOD/MAX [[MASK/]ADDR]`
pub(super) fn burst(session: &Session<'_>, arguments: &str) -> Result<Request, String> {
    let (counts, rest) = split_word(arguments);
    let mut scan = Scan::new(counts);
    let good = scan.int();
    let slash = scan.literal('/');
    let (Some(good), true, Some(total)) = (good, slash, scan.int()) else {
        return Err("Invalid syntax for burst command".to_owned());
    };
    let sources = mask(session, split_word(rest).0)?;
    Ok(Request::Burst(Burst {
        sources,
        good,
        total,
    }))
}

/// `delete ADDR`
pub(super) fn delete(session: &Session<'_>, arguments: &str) -> Result<Request, String> {
    match split_word(arguments).0 {
        "" => Err("Invalid syntax for address".to_owned()),
        name => Ok(Request::DeleteSource(
            session.address(name).ok_or(NO_ADDRESS)?,
        )),
    }
}

/// `minpoll ADDR N` and the like.
pub(super) fn integer(
    session: &Session<'_>,
    arguments: &str,
    request: fn(SourceValue) -> Request,
) -> Result<Request, String> {
    let (name, rest) = split_word(arguments);
    let value = Scan::new(rest).int().ok_or(BAD_VALUE)?;
    let address = session.address(name).ok_or(NO_ADDRESS)?;
    Ok(request(SourceValue { address, value }))
}

/// `maxdelay ADDR S` and the like.
pub(super) fn real(
    session: &Session<'_>,
    arguments: &str,
    request: fn(SourceRatio) -> Request,
) -> Result<Request, String> {
    let (name, rest) = split_word(arguments);
    let value = Scan::new(rest).float().ok_or(BAD_VALUE)?;
    let address = session.address(name).ok_or(NO_ADDRESS)?;
    Ok(request(SourceRatio { address, value }))
}

/// A source by `ID#n` or IP address, or a reference clock by its ID. Host names are none, so the
/// family that names resolve to does not matter.
fn source_or_clock(word: &str) -> Option<(Address, u32)> {
    if let Some(id) = Address::from_id(word) {
        return Some((id, 0));
    }
    match word.parse::<IpAddr>() {
        Ok(ip) => Some((ip.into(), 0)),
        Err(_) => refid::parse(word).map(|id| (Address::Unspecified, id)),
    }
}

/// `offset ADDR|REFID SECONDS`
pub(super) fn offset(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    let (name, rest) = split_word(arguments);
    match (source_or_clock(name), Scan::new(rest).float()) {
        (Some((address, refid)), Some(offset)) => Ok(Request::ModifyOffset(SourceOffset {
            address,
            refid,
            offset,
        })),
        _ => Err("Invalid syntax for offset command".to_owned()),
    }
}

/// `selectopts ADDR|REFID [+|-OPTION]...`
pub(super) fn select_options(_: &Session<'_>, arguments: &str) -> Result<Request, String> {
    parse_select_options(arguments)
        .map(Request::ModifySelectOptions)
        .ok_or_else(|| "Invalid syntax for selectopts command".to_owned())
}

fn parse_select_options(arguments: &str) -> Option<SelectOptions> {
    let (name, mut rest) = split_word(arguments);
    let (address, refid) = source_or_clock(name)?;
    let mut changes = SelectOptions {
        address,
        refid,
        mask: SelectFlags::default(),
        options: SelectFlags::default(),
    };
    while !rest.is_empty() {
        let (word, after) = split_word(rest);
        rest = after;
        let (on, option) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(option), _) => (true, option),
            (_, Some(option)) => (false, option),
            _ => return None,
        };
        let flag = select_flag(option)?;
        changes.mask |= flag;
        // Named twice with different signs, an option is on.
        if on {
            changes.options |= flag;
        }
    }
    Some(changes)
}

fn select_flag(option: &str) -> Option<SelectFlags> {
    [
        ("noselect", SelectFlags::NOSELECT),
        ("prefer", SelectFlags::PREFER),
        ("require", SelectFlags::REQUIRE),
        ("trust", SelectFlags::TRUST),
    ]
    .into_iter()
    .find(|(name, _)| name.eq_ignore_ascii_case(option))
    .map(|(_, flag)| flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_any_length() {
        for (ip, bits, want) in [
            ("10.0.0.0", 0, "0.0.0.0"),
            ("10.0.0.0", 9, "255.128.0.0"),
            ("10.0.0.0", 32, "255.255.255.255"),
            ("10.0.0.0", 4_000_000_000, "255.255.255.255"),
            ("2001:db8::", 0, "::"),
            ("2001:db8::", 35, "ffff:ffff:e000::"),
            ("2001:db8::", 129, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(prefix_mask(ip.parse().unwrap(), bits).to_string(), want);
        }
    }
}
