//! Host names to addresses and back, by the C library's resolver. Both calls block.

use crate::net::address::RawAddress;
use std::ffi::{CStr, CString};
use std::net::{IpAddr, SocketAddr};

/// Which answers a lookup may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Both families.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Why a lookup gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// The resolver failed; it may answer later, when the network or the name has come up.
    Temporary,
    /// The name has addresses, but none that can be used.
    Permanent,
}

/// Addresses taken from one answer; the rest is ignored.
const ADDRESSES_MAX: usize = 16;

/// Owns the list `getaddrinfo` returned.
struct AddressList(*mut libc::addrinfo);

impl Drop for AddressList {
    fn drop(&mut self) {
        // SAFETY: the pointer came from getaddrinfo and is freed once.
        unsafe { libc::freeaddrinfo(self.0) };
    }
}

/// The addresses of a host name (or of an address in text form), in the resolver's order, without
/// duplicates.
///
/// # Errors
/// Whether trying again later makes sense.
pub fn lookup(name: &str, families: Families) -> Result<Vec<IpAddr>, LookupError> {
    let name = CString::new(name).map_err(|_| LookupError::Permanent)?;
    // SAFETY: an all-zero addrinfo is a valid set of hints.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    // Both families are asked for: an answer of only the other one is told from a failure.
    hints.ai_family = libc::AF_UNSPEC;
    hints.ai_socktype = libc::SOCK_DGRAM;
    let mut head = std::ptr::null_mut();
    // SAFETY: the name is terminated, the hints are valid and `head` receives a list on success.
    let result = unsafe {
        libc::getaddrinfo(
            name.as_ptr(),
            std::ptr::null(),
            &raw const hints,
            &raw mut head,
        )
    };
    // Without a network even "no such name" is often said of names that exist.
    if result != 0 {
        return Err(LookupError::Temporary);
    }
    let list = AddressList(head);
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: `next` is null or an element of the list owned by `list`.
    while let Some(info) = unsafe { next.as_ref() } {
        // The length follows from the family; not every resolver fills ai_addrlen in.
        let len = match info.ai_family {
            libc::AF_INET => size_of::<libc::sockaddr_in>(),
            libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
            _ => 0,
        };
        // SAFETY: ai_addr points to an address of the family ai_family, or is null.
        let address = unsafe { RawAddress::copy_from(info.ai_addr, crate::cvt::socklen(len)) };
        if let Some(address) = address.to_inet() {
            let wanted = match families {
                Families::Any => true,
                Families::V4 => address.is_ipv4(),
                Families::V6 => address.is_ipv6(),
            };
            // An address with a scope is good on one link only and names nothing lasting.
            let scoped = matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0);
            if wanted && !scoped && found.len() < ADDRESSES_MAX && !found.contains(&address.ip()) {
                found.push(address.ip());
            }
        }
        next = info.ai_next;
    }
    if found.is_empty() {
        Err(LookupError::Permanent)
    } else {
        Ok(found)
    }
}

/// The host name of an address, if the resolver knows one.
#[must_use]
pub fn reverse(address: IpAddr) -> Option<String> {
    let raw = RawAddress::from_inet(SocketAddr::new(address, 0));
    let mut host: [libc::c_char; 1025] = [0; 1025];
    // SAFETY: the address is valid for its length and the buffer for the length passed.
    let result = unsafe {
        libc::getnameinfo(
            raw.as_ptr(),
            raw.len(),
            host.as_mut_ptr(),
            crate::cvt::socklen(host.len()),
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if result != 0 {
        return None;
    }
    // SAFETY: the successful call terminated the name within the buffer.
    let name = unsafe { CStr::from_ptr(host.as_ptr()) };
    Some(name.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_text_form_need_no_name_server() {
        let found = lookup("192.0.2.7", Families::Any).unwrap();
        assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            lookup("192.0.2.7", Families::V6),
            Err(LookupError::Permanent)
        );
        assert_eq!(lookup("a\0b", Families::Any), Err(LookupError::Permanent));
    }

    /// "No such name" is retried as well (`config.md`, sources); these are refused without asking
    /// a name server.
    #[test]
    fn every_failure_of_the_resolver_is_temporary() {
        for name in ["", "[::1]", &"x".repeat(256)] {
            assert_eq!(
                lookup(name, Families::Any),
                Err(LookupError::Temporary),
                "{name:?}"
            );
        }
    }
}
