//! Control messages that travel with a datagram: built and taken apart as bytes.
//!
//! Layout (`cmsg(3)`): a `size_t` length that includes the header, level, type, then the data;
//! header and data are padded to the size of a word. Everything here is safe code over bytes.

use super::Stamps;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const WORD: usize = size_of::<usize>();
/// Length, level and type.
const HEADER_FIELDS: usize = size_of::<libc::cmsghdr>();
const HEADER: usize = align(HEADER_FIELDS);

/// Bytes of control data a receive call has room for.
pub(crate) const RECEIVE_SPACE: usize = 1024;
/// Enough for packet information and one time-stamping request.
pub(crate) const SEND_SPACE: usize = 128;

const fn align(len: usize) -> usize {
    (len + WORD - 1) & !(WORD - 1)
}

/// Copies `data` to `at`; what does not fit is left out.
fn put<const N: usize>(to: &mut [u8], at: usize, data: [u8; N]) {
    if let Some(to) = to.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *to = data;
    }
}

/// A buffer aligned as the kernel wants its control messages.
#[repr(align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Aligned<const N: usize>(pub(crate) [u8; N]);

/// Control messages for sending.
pub(crate) struct Builder {
    buffer: Aligned<SEND_SPACE>,
    used: usize,
}

impl Builder {
    pub(crate) const fn new() -> Self {
        Self {
            buffer: Aligned([0; SEND_SPACE]),
            used: 0,
        }
    }

    /// Appends one message.
    fn push<const N: usize>(&mut self, level: libc::c_int, kind: libc::c_int, data: [u8; N]) {
        let length = HEADER + N;
        let end = self.used + align(length);
        let space = self.buffer.0.get_mut(self.used..end);
        let Some((header, rest)) = space.and_then(<[u8]>::split_first_chunk_mut::<HEADER>) else {
            debug_assert!(false, "SEND_SPACE is too small");
            return;
        };
        put(header, 0, length.to_ne_bytes());
        put(header, WORD, level.to_ne_bytes());
        put(header, WORD + size_of_val(&level), kind.to_ne_bytes());
        put(rest, 0, data);
        self.used = end;
    }

    /// The source address and the interface (0: any) to send with.
    pub(crate) fn push_packet_info(&mut self, source: IpAddr, interface: u32) {
        match source {
            // in_pktinfo: interface index, local address, (unused) destination.
            IpAddr::V4(v4) => {
                let mut data = [0; 12];
                put(&mut data, 0, interface.to_ne_bytes());
                put(&mut data, 4, v4.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, data);
            }
            // in6_pktinfo: local address, interface index.
            IpAddr::V6(v6) => {
                let mut data = [0; 20];
                put(&mut data, 0, v6.octets());
                put(&mut data, 16, interface.to_ne_bytes());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data);
            }
        }
    }

    /// Asks for transmit time stamps of this datagram.
    pub(crate) fn push_timestamping(&mut self, flags: u32) {
        self.push(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags.to_ne_bytes());
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.0.get_mut(..self.used).unwrap_or_default()
    }
}

/// What the control messages of one received datagram said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) local: Option<IpAddr>,
    pub(crate) interface: u32,
    pub(crate) stamps: Stamps,
    /// Origin of an extended error (`SO_EE_ORIGIN_*`).
    pub(crate) error_origin: Option<u8>,
    /// Descriptors passed along; to be closed.
    pub(crate) descriptors: Vec<i32>,
}

/// Takes the control messages of one datagram apart; unknown kinds are skipped, a damaged length
/// ends the walk.
pub(crate) fn parse(mut control: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    while let Some(length) = number::<WORD>(control, 0).map(usize::from_ne_bytes) {
        let (Some(level), Some(kind)) = (int(control, WORD), int(control, WORD + 4)) else {
            break;
        };
        let Some(data) = control.get(HEADER..length) else {
            break;
        };
        parsed.take(level, kind, data);
        control = control.get(align(length)..).unwrap_or_default();
    }
    parsed
}

impl Parsed {
    fn take(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                if let (Some(index), Some(address)) = (number(data, 0), number::<4>(data, 8)) {
                    self.interface = u32::from_ne_bytes(index);
                    self.local = Some(Ipv4Addr::from(address).into());
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let (Some(address), Some(index)) = (number::<16>(data, 0), number(data, 16)) {
                    self.interface = u32::from_ne_bytes(index);
                    self.local = Some(Ipv6Addr::from(address).into());
                }
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) => {
                // Software stamp, (retired) transformed stamp, raw hardware stamp.
                let size = data.len() / 3;
                self.stamps.kernel = time(data, 0, size, 1);
                self.stamps.hardware = time(data, 2 * size, size, 1);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                self.stamps.kernel = time(data, 0, data.len(), 1);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMP) => {
                self.stamps.kernel = time(data, 0, data.len(), 1000);
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING_PKTINFO) => {
                if let (Some(index), Some(length)) = (number(data, 0), number(data, 4)) {
                    self.stamps.interface = u32::from_ne_bytes(index);
                    self.stamps.frame_length = u32::from_ne_bytes(length);
                }
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                self.error_origin = data.get(4).copied();
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                self.descriptors
                    .extend(data.chunks_exact(4).filter_map(|chunk| int(chunk, 0)));
            }
            _ => {}
        }
    }
}

fn number<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk::<N>().copied()
}

fn int(data: &[u8], at: usize) -> Option<i32> {
    number(data, at).map(i32::from_ne_bytes)
}

/// Seconds and a fraction in units of `unit` ns, each half of `size` bytes; `None` for the zero
/// time, which the kernel uses for "not stamped".
fn time(data: &[u8], at: usize, size: usize, unit: i64) -> Option<i64> {
    let half = size / 2;
    let part = |at| match half {
        8 => number(data, at).map(i64::from_ne_bytes),
        4 => int(data, at).map(i64::from),
        _ => None,
    };
    let (seconds, fraction) = (part(at)?, part(at + half)?);
    let ns = seconds
        .checked_mul(1_000_000_000)?
        .checked_add(fraction.checked_mul(unit)?)?;
    (ns != 0).then_some(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(fill: impl FnOnce(&mut Builder)) -> Parsed {
        let mut builder = Builder::new();
        fill(&mut builder);
        parse(builder.bytes_mut())
    }

    #[test]
    fn what_is_built_is_parsed() {
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let parsed = built(|b| {
            b.push_packet_info(v6, 7);
            b.push_timestamping(2);
        });
        assert_eq!((parsed.local, parsed.interface), (Some(v6), 7));
        // For IPv4 the address to send from and the address received on are different members.
        let parsed = built(|b| b.push_packet_info("192.0.2.1".parse().unwrap(), 3));
        assert_eq!(
            (parsed.local, parsed.interface),
            (Some(Ipv4Addr::UNSPECIFIED.into()), 3)
        );
    }

    #[test]
    fn stamps_of_both_clocks() {
        let mut data = [0; 48];
        for (i, part) in [1_700_000_000i64, 5, 0, 0, 1_700_000_001, 9]
            .iter()
            .enumerate()
        {
            put(&mut data, 8 * i, part.to_ne_bytes());
        }
        let parsed = built(|b| b.push(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, data));
        assert_eq!(parsed.stamps.kernel, Some(1_700_000_000_000_000_005));
        assert_eq!(parsed.stamps.hardware, Some(1_700_000_001_000_000_009));
        let parsed = built(|b| b.push(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING, [0; 48]));
        assert_eq!(parsed.stamps, Stamps::default());
        let mut micro = [0; 16];
        put(&mut micro, 0, 7i64.to_ne_bytes());
        put(&mut micro, 8, 3i64.to_ne_bytes());
        let parsed = built(|b| b.push(libc::SOL_SOCKET, libc::SCM_TIMESTAMP, micro));
        assert_eq!(parsed.stamps.kernel, Some(7_000_003_000));
    }

    #[test]
    fn damaged_lengths_end_the_walk() {
        for length in [0usize, 3, HEADER - 1, 4096, usize::MAX] {
            let mut bytes = [0xaa; 64];
            bytes[..WORD].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(parse(&bytes), Parsed::default(), "{length}");
        }
        assert_eq!(parse(&[1, 2, 3]), Parsed::default());
    }
}
