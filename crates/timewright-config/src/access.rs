//! Access rules: the arguments of `allow`, `deny`, `cmdallow` and `cmddeny` (`config.md` section 6).
//!
//! Rules are values in the order of the file. Host names stay names: resolving them is the
//! caller's business.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::error::{ConfigError, Location};
use crate::lexical::{text, words};
use crate::scan::Cursor;

/// The addresses a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subnet {
    /// All IPv4 and all IPv6 addresses.
    Any,
    /// Addresses that share a prefix.
    Prefix {
        /// Any address of the subnet; bits beyond the prefix are ignored.
        address: IpAddr,
        /// Length of the prefix; may exceed the address, see [`Subnet::is_valid`].
        bits: u32,
    },
    /// A host whose first address is meant.
    Name(String),
}

impl Subnet {
    /// The rule's host by its only address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self::Prefix {
            address,
            bits: max_bits(address),
        }
    }

    /// Whether the prefix is no longer than the address.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        match self {
            Self::Any | Self::Name(_) => true,
            Self::Prefix { address, bits } => *bits <= max_bits(*address),
        }
    }
}

/// As the log names it: `any address`, an address alone for a full prefix, or `ADDR/BITS`.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any address"),
            Self::Prefix { address, bits } if *bits == max_bits(*address) => address.fmt(f),
            Self::Prefix { address, bits } => write!(f, "{address}/{bits}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

const fn max_bits(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// What follows `allow`, `deny`, `cmdallow` or `cmddeny`, in the configuration and in chronyc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessArguments {
    /// Whether more specific rules are removed first.
    pub all: bool,
    /// The addresses.
    pub subnet: Subnet,
}

/// One access rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Allowed, or else denied.
    pub allow: bool,
    /// Whether more specific rules are removed first.
    pub all: bool,
    /// The addresses.
    pub subnet: Subnet,
    /// The directive's name as written, for messages.
    pub directive: String,
    /// Where the rule stands, for messages.
    pub at: Location,
}

impl AccessRule {
    /// The fatal error of a rule whose host name cannot be resolved.
    #[must_use]
    pub fn unresolved(&self) -> ConfigError {
        ConfigError::Syntax {
            directive: self.directive.clone(),
            at: self.at.clone(),
        }
    }
}

/// Parses `[all] [SUBNET]`; `None` is a syntax error.
///
/// `all` is lower case only. A subnet is an address or a short form of one to three decimal
/// numbers, either with an optional `/BITS`, or a host name. The upper limit of `BITS` is left to
/// [`Subnet::is_valid`], as it is reported later and differently.
#[must_use]
pub fn parse_access(arguments: &[u8]) -> Option<AccessArguments> {
    let mut words = words(arguments).peekable();
    let all = words.next_if(|word| *word == b"all").is_some();
    let subnet = words.next().map_or(Some(Subnet::Any), parse_subnet)?;
    words
        .next()
        .is_none()
        .then_some(AccessArguments { all, subnet })
}

fn parse_subnet(word: &[u8]) -> Option<Subnet> {
    let (address_text, bits) = match word.iter().position(|&byte| byte == b'/') {
        None => (word, None),
        Some(slash) => (
            word.get(..slash)?,
            Some(parse_bits(word.get(slash + 1..)?)?),
        ),
    };
    if let Some(address) = parse_ip(address_text) {
        return Some(match bits {
            None => Subnet::host(address),
            Some(bits) => Subnet::Prefix { address, bits },
        });
    }
    if let Some(numbers) = short_form(address_text) {
        let (address, default_bits) = network(&numbers)?;
        return Some(Subnet::Prefix {
            address,
            bits: bits.unwrap_or(default_bits),
        });
    }
    bits.is_none().then(|| Subnet::Name(text(word)))
}

/// A prefix length: a whole number that is not negative.
fn parse_bits(word: &[u8]) -> Option<u32> {
    let mut cursor = Cursor::new(word);
    let bits = u32::try_from(cursor.int()?).ok()?;
    cursor.is_empty().then_some(bits)
}

/// The numbers of a short form: one to three decimal numbers with points between.
fn short_form(word: &[u8]) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = word
        .split(|&byte| byte == b'.')
        .map(|field| {
            let mut cursor = Cursor::new(field);
            cursor.uint().filter(|_| cursor.is_empty())
        })
        .collect();
    numbers.filter(|numbers| (1..=3).contains(&numbers.len()))
}

/// The network a short form names and its prefix length; `None` if a number is above 255.
fn network(numbers: &[u32]) -> Option<(IpAddr, u32)> {
    let mut octets = [0u8; 4];
    let mut bits = 0;
    for (octet, &number) in octets.iter_mut().zip(numbers) {
        *octet = u8::try_from(number).ok()?;
        bits += 8;
    }
    Some((IpAddr::V4(Ipv4Addr::from(octets)), bits))
}

/// An IPv4 dotted quad or an IPv6 address without scope.
pub(crate) fn parse_ip(word: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, want: Option<&str>) {
        let found = parse_access(arguments.as_bytes()).map(|arguments| {
            let all = if arguments.all { "all " } else { "" };
            match &arguments.subnet {
                Subnet::Name(name) => format!("{all}name {name}"),
                subnet => format!("{all}{subnet}"),
            }
        });
        assert_eq!(found.as_deref(), want, "{arguments:?}");
    }

    /// The right column is what chronyc of chrony 4.9 made of the left one.
    #[test]
    fn arguments_of_access_rules() {
        for (arguments, want) in [
            ("", "any address"),
            ("all", "all any address"),
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4/24", "1.2.3.4/24"),
            ("1.2.3.4/33", "1.2.3.4/33"),
            ("1.2.3.4/+8", "1.2.3.4/8"),
            ("1.2.3.4/08", "1.2.3.4/8"),
            ("1.2.3.4/4294967297", "1.2.3.4/1"),
            ("1", "1.0.0.0/8"),
            ("1.2", "1.2.0.0/16"),
            ("1.2.3", "1.2.3.0/24"),
            ("+1", "1.0.0.0/8"),
            ("1.+2", "1.2.0.0/16"),
            ("4294967297.1", "1.1.0.0/16"),
            ("010.0", "10.0.0.0/16"),
            ("0/0", "0.0.0.0/0"),
            ("1/4", "1.0.0.0/4"),
            ("1.2/4", "1.2.0.0/4"),
            ("1.2.3/33", "1.2.3.0/33"),
            ("1/4294967304", "1.0.0.0/8"),
            ("::1", "::1"),
            ("::1/64", "::1/64"),
            ("::/0", "::/0"),
            ("2001:db8::/129", "2001:db8::/129"),
            ("all 1.2", "all 1.2.0.0/16"),
            ("0x10", "name 0x10"),
            ("010.0.0.1", "name 010.0.0.1"),
            ("localhost", "name localhost"),
            ("All", "name All"),
            ("1.", "name 1."),
            ("1x", "name 1x"),
            ("1.2.3.256", "name 1.2.3.256"),
            ("1.2.3.4.5", "name 1.2.3.4.5"),
        ] {
            check(arguments, Some(want));
        }
        for arguments in [
            "all all 1",
            "1.2 3",
            "1.2.3.4 5",
            "ALL 1.2",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "1.2.3.4/1x",
            "1.2.3.4/0x1",
            "1.2.3.4/24/8",
            "1.2.3.4/99999999999999999999",
            "256",
            "1.256",
            "1.2.256",
            "1234",
            "-1",
            "1.-2",
            "0300.0",
            "256/8",
            "1./8",
            "/8",
            "::/-1",
            "localhost/8",
            "0x10/8",
        ] {
            check(arguments, None);
        }
    }

    #[test]
    fn a_second_all_is_a_host_name() {
        check("all all", Some("all name all"));
    }

    #[test]
    fn prefixes_are_checked_on_request() {
        for (arguments, valid) in [
            ("", true),
            ("1.2.3.4/32", true),
            ("1.2.3.4/33", false),
            ("::/128", true),
            ("::/129", false),
            ("host", true),
        ] {
            let parsed = parse_access(arguments.as_bytes()).unwrap();
            assert_eq!(parsed.subnet.is_valid(), valid, "{arguments}");
        }
    }
}
