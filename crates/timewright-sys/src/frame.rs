//! The UDP datagram inside a frame, as the error queue returns what was sent
//! (`ntp-engine.md` 9.3). Safe code over bytes.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A sent datagram taken out of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpFrame<'a> {
    /// Where it was sent.
    pub destination: SocketAddr,
    /// The UDP payload.
    pub payload: &'a [u8],
    /// Bytes in front of the payload: all headers together.
    pub header_length: usize,
}

const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|&pair| u16::from_be_bytes(pair))
}

/// Unwraps Ethernet (with any number of VLAN tags), IPv4 or IPv6 (with extension headers) and UDP.
/// `None` if it is anything else, a later fragment, or cut.
#[must_use]
pub fn udp(frame: &[u8]) -> Option<UdpFrame<'_>> {
    let mut at = 12; // two hardware addresses
    while u16_at(frame, at)? == ETHERTYPE_VLAN {
        at += 4;
    }
    let network = at + 2;
    match u16_at(frame, at)? {
        ETHERTYPE_IPV4 => ipv4(frame, network),
        ETHERTYPE_IPV6 => ipv6(frame, network),
        _ => None,
    }
}

fn ipv4(frame: &[u8], at: usize) -> Option<UdpFrame<'_>> {
    let header = frame.get(at..at + 20)?;
    let first = *header.first()?;
    if first >> 4 != 4 || *header.get(9)? != UDP {
        return None;
    }
    let length = usize::from(first & 15) * 4;
    if length < 20 {
        return None;
    }
    let destination = Ipv4Addr::from(*header.get(16..)?.first_chunk::<4>()?);
    transport(frame, at + length, destination.into())
}

fn ipv6(frame: &[u8], at: usize) -> Option<UdpFrame<'_>> {
    let header = frame.get(at..at + 40)?;
    if *header.first()? >> 4 != 6 {
        return None;
    }
    let destination = Ipv6Addr::from(*header.get(24..)?.first_chunk::<16>()?);
    let mut next = *header.get(6)?;
    let mut at = at + 40;
    // Every round moves on by 8 bytes or more, so the loop ends with the frame.
    while next != UDP {
        let extension = frame.get(at..at + 8)?;
        let (following, units) = (*extension.first()?, usize::from(*extension.get(1)?));
        at += match next {
            // Hop-by-hop options, routing, destination options, mobility.
            0 | 43 | 60 | 135 => 8 * (units + 1),
            // Authentication header.
            51 => 4 * (units + 2),
            // Fragment: only the first one carries the UDP header.
            44 if u16_at(extension, 2)? >> 3 == 0 => 8,
            _ => return None,
        };
        next = following;
    }
    transport(frame, at, destination.into())
}

fn transport(frame: &[u8], at: usize, destination: IpAddr) -> Option<UdpFrame<'_>> {
    let port = u16_at(frame, at + 2)?;
    let length = usize::from(u16_at(frame, at + 4)?);
    let start = at + UDP_HEADER;
    // The length field includes the header; padding behind it does not belong to the payload.
    let payload = frame.get(start..at.checked_add(length.max(UDP_HEADER))?)?;
    Some(UdpFrame {
        destination: SocketAddr::new(destination, port),
        payload,
        header_length: start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(tags: u8, ethertype: u16) -> Vec<u8> {
        let mut frame = vec![0x02; 12];
        for i in 0..tags {
            frame.extend([0x81, 0x00, 0x00, i]);
        }
        frame.extend(ethertype.to_be_bytes());
        frame
    }

    fn udp_part(payload: &[u8]) -> Vec<u8> {
        let length = 8 + u16::try_from(payload.len()).unwrap();
        let mut part = vec![0xc0, 0x00, 0x00, 0x7b];
        part.extend(length.to_be_bytes());
        part.extend([0, 0]);
        part.extend(payload);
        part
    }

    fn ipv4_part(options: u8, protocol: u8) -> Vec<u8> {
        let mut part = vec![0x45 + options, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        part.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        part.extend(vec![1; 4 * usize::from(options)]);
        part
    }

    fn ipv6_part(next: u8) -> Vec<u8> {
        let mut part = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        part.extend([0x11; 16]);
        part.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        part
    }

    #[track_caller]
    fn check(frame: &[u8], destination: &str) {
        let got = udp(frame).unwrap();
        assert_eq!(got.destination, destination.parse().unwrap());
        assert_eq!(got.payload, b"payload");
        for cut in 0..frame.len() {
            assert_eq!(udp(&frame[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn ipv4_with_tags_and_options() {
        for (tags, options) in [(0, 0), (1, 0), (2, 3)] {
            let frame = [
                ethernet(tags, ETHERTYPE_IPV4),
                ipv4_part(options, UDP),
                udp_part(b"payload"),
            ]
            .concat();
            check(&frame, "192.0.2.2:123");
            assert_eq!(
                udp(&frame).unwrap().header_length,
                14 + 4 * usize::from(tags) + 20 + 4 * usize::from(options) + 8
            );
        }
    }

    #[test]
    fn a_whole_frame_as_bytes() {
        // A 4-byte payload to 127.0.0.1:123, as the loopback interface returns it.
        let frame = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, // Ethernet
            0x45, 0x00, 0x00, 0x20, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0x2a, 0x97, // IPv4
            0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00, 0x00, 0x01, // addresses
            0x9c, 0x40, 0x00, 0x7b, 0x00, 0x0c, 0xfe, 0x1f, // UDP
            0x23, 0x00, 0x06, 0xec,
        ];
        let got = udp(&frame).unwrap();
        assert_eq!(got.destination, "127.0.0.1:123".parse().unwrap());
        assert_eq!(got.payload, [0x23, 0x00, 0x06, 0xec]);
    }

    #[test]
    fn ipv6_with_extension_headers() {
        let hop = [60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let destination_options = [51, 0, 0, 0, 0, 0, 0, 0];
        let authentication = [44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let fragment = [UDP, 0, 0, 1, 0, 0, 0, 9];
        let plain = [
            ethernet(0, ETHERTYPE_IPV6),
            ipv6_part(UDP),
            udp_part(b"payload"),
        ]
        .concat();
        check(&plain, "[2001:db8::2]:123");
        let mut chain = [ethernet(1, ETHERTYPE_IPV6), ipv6_part(0)].concat();
        chain.extend(hop);
        chain.extend(destination_options);
        chain.extend(authentication);
        let offset_at = chain.len() + 2;
        chain.extend(fragment);
        chain.extend(udp_part(b"payload"));
        check(&chain, "[2001:db8::2]:123");
        chain[offset_at] = 1; // a later fragment
        assert_eq!(udp(&chain), None);
    }

    #[test]
    fn padding_is_not_payload_and_others_are_refused() {
        let mut frame = [
            ethernet(0, ETHERTYPE_IPV4),
            ipv4_part(0, UDP),
            udp_part(b"payload"),
        ]
        .concat();
        frame.extend([0; 20]);
        assert_eq!(udp(&frame).unwrap().payload, b"payload");
        let tcp = [
            ethernet(0, ETHERTYPE_IPV4),
            ipv4_part(0, 6),
            udp_part(b"payload"),
        ]
        .concat();
        assert_eq!(udp(&tcp), None);
        assert_eq!(udp(&ethernet(0, 0x0806)), None);
        assert_eq!(udp(&[0xff; 300]), None);
    }
}
