//! Socket addresses between Rust's types and the kernel's.

use std::io;
use std::mem::{offset_of, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Space for any socket address, with the length in use.
#[derive(Clone, Copy)]
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

/// Where the path of a Unix socket begins.
const PATH_OFFSET: usize = offset_of!(libc::sockaddr_un, sun_path);

/// Address families are small numbers, but of different types in calls and in structures.
#[expect(clippy::cast_possible_truncation, reason = "families are below 64")]
const fn family(number: libc::c_int) -> libc::sa_family_t {
    number.cast_unsigned() as libc::sa_family_t
}

impl RawAddress {
    /// No address and no room for one.
    pub(crate) const NONE: Self = Self {
        // SAFETY: all-zero bytes are a valid sockaddr_storage (family AF_UNSPEC).
        storage: unsafe { std::mem::zeroed() },
        len: 0,
    };

    /// No address, with room for the kernel to fill in any.
    pub(crate) const fn empty() -> Self {
        let mut raw = Self::NONE;
        raw.make_room();
        raw
    }

    /// Lets the kernel fill in any address in place of this one; what it does not write stays.
    pub(crate) const fn make_room(&mut self) {
        self.len = crate::cvt::socklen(size_of::<libc::sockaddr_storage>());
    }

    pub(crate) fn from_inet(address: SocketAddr) -> Self {
        let mut raw = Self::NONE;
        raw.set_inet(address);
        raw
    }

    /// Puts an Internet address in place of this one.
    pub(crate) fn set_inet(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(v4) => {
                let inner = libc::sockaddr_in {
                    sin_family: family(libc::AF_INET),
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                self.put(inner);
            }
            SocketAddr::V6(v6) => {
                let inner = libc::sockaddr_in6 {
                    sin6_family: family(libc::AF_INET6),
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                };
                self.put(inner);
            }
        }
    }

    /// A path for a Unix socket.
    ///
    /// # Errors
    /// Empty, longer than 107 bytes, or with a NUL inside.
    pub(crate) fn from_path(path: &[u8]) -> io::Result<Self> {
        // SAFETY: all-zero bytes are a valid sockaddr_un.
        let mut inner: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        if path.is_empty() || path.len() >= inner.sun_path.len() || path.contains(&0) {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        inner.sun_family = family(libc::AF_UNIX);
        for (to, &from) in inner.sun_path.iter_mut().zip(path) {
            *to = from.cast_signed() as libc::c_char;
        }
        let mut raw = Self::empty();
        raw.put(inner);
        raw.len = crate::cvt::socklen(PATH_OFFSET + path.len() + 1);
        Ok(raw)
    }

    /// Copies an address the C library returned.
    ///
    /// # Safety
    /// `pointer` is null or points to `len` readable bytes.
    pub(crate) unsafe fn copy_from(pointer: *const libc::sockaddr, len: libc::socklen_t) -> Self {
        let mut raw = Self::empty();
        let bytes = (len as usize).min(size_of::<libc::sockaddr_storage>());
        if pointer.is_null() {
            raw.len = 0;
            return raw;
        }
        // SAFETY: the source has `len` bytes by contract, the target is at least `bytes` long.
        unsafe {
            std::ptr::copy_nonoverlapping(
                pointer.cast::<u8>(),
                (&raw mut raw.storage).cast::<u8>(),
                bytes,
            );
        }
        raw.len = len;
        raw
    }

    fn put<T: Copy>(&mut self, inner: T) {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        // SAFETY: the storage is larger than any address type and aligned for all of them.
        unsafe { (&raw mut self.storage).cast::<T>().write(inner) };
        self.len = crate::cvt::socklen(size_of::<T>());
    }

    fn get<T: Copy>(&self) -> Option<T> {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        if (self.len as usize) < size_of::<T>() {
            return None;
        }
        // SAFETY: the storage is initialised, large enough and aligned for every address type,
        // and every bit pattern is valid for these plain structures.
        Some(unsafe { (&raw const self.storage).cast::<T>().read() })
    }

    pub(crate) const fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(crate) const fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    pub(crate) const fn len(&self) -> libc::socklen_t {
        self.len
    }

    pub(crate) const fn set_len(&mut self, len: libc::socklen_t) {
        self.len = len;
    }

    /// The Internet address, if it is one.
    pub(crate) fn to_inet(self) -> Option<SocketAddr> {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET => {
                let inner: libc::sockaddr_in = self.get()?;
                let ip = Ipv4Addr::from(inner.sin_addr.s_addr.to_ne_bytes());
                let port = u16::from_be(inner.sin_port);
                Some(SocketAddr::V4(SocketAddrV4::new(ip, port)))
            }
            libc::AF_INET6 => {
                let inner: libc::sockaddr_in6 = self.get()?;
                let ip = Ipv6Addr::from(inner.sin6_addr.s6_addr);
                let port = u16::from_be(inner.sin6_port);
                Some(SocketAddr::V6(SocketAddrV6::new(
                    ip,
                    port,
                    inner.sin6_flowinfo,
                    inner.sin6_scope_id,
                )))
            }
            _ => None,
        }
    }

    /// The path of a Unix socket address up to its NUL; empty for an unbound socket and for
    /// abstract names. `None` if this is not a Unix address or the path is not terminated.
    pub(crate) fn to_path(self) -> Option<Vec<u8>> {
        let used = (self.len as usize).min(size_of::<libc::sockaddr_un>());
        if used < PATH_OFFSET || libc::c_int::from(self.storage.ss_family) != libc::AF_UNIX {
            return None;
        }
        // The storage is initialised, so reading all of it is fine; what lies beyond the length in
        // use may be of an earlier address and is left out.
        let whole = Self {
            storage: self.storage,
            len: crate::cvt::socklen(size_of::<libc::sockaddr_un>()),
        };
        let inner: libc::sockaddr_un = whole.get()?;
        let path: Vec<u8> = inner
            .sun_path
            .iter()
            .take(used.saturating_sub(PATH_OFFSET))
            .map(|&c| c.cast_unsigned())
            .collect();
        if path.is_empty() {
            return Some(path);
        }
        let end = path.iter().position(|&c| c == 0)?;
        Some(path.get(..end)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inet_addresses_round_trip() {
        for text in ["192.0.2.1:123", "[2001:db8::1]:323", "[fe80::1%3]:123"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from_inet(address).to_inet(), Some(address));
            assert_eq!(RawAddress::from_inet(address).to_path(), None);
        }
    }

    #[test]
    fn paths_round_trip_and_have_a_limit() {
        let raw = RawAddress::from_path(b"/run/x.sock").unwrap();
        assert_eq!(raw.to_path().unwrap(), b"/run/x.sock");
        assert_eq!(raw.to_inet(), None);
        assert!(RawAddress::from_path(&[b'a'; 107]).is_ok());
        for bad in [&[b'a'; 108][..], b"", b"a\0b"] {
            assert!(RawAddress::from_path(bad).is_err());
        }
    }
}
