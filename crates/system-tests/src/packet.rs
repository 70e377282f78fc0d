//! NTP packets made and read byte by byte (RFC 5905 figure 8), without the code under test.

/// A client's request, with every field that a server may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpRequest {
    /// Leap indicator, 0 to 3.
    pub leap: u8,
    /// Protocol version, 0 to 7.
    pub version: u8,
    /// Association mode, 0 to 7; 3 is a client.
    pub mode: u8,
    /// Origin timestamp.
    pub origin: u64,
    /// Receive timestamp.
    pub receive: u64,
    /// Transmit timestamp, which the server returns as origin.
    pub transmit: u64,
}

impl NtpRequest {
    /// An ordinary client request of `version` with a transmit timestamp that is easy to see.
    #[must_use]
    pub const fn client(version: u8) -> Self {
        Self {
            leap: 0,
            version,
            mode: 3,
            origin: 0,
            receive: 0,
            transmit: 0x0123_4567_89ab_cdef,
        }
    }

    /// The 48 bytes of the packet.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let first = self.leap << 6 | self.version << 3 | self.mode;
        // Stratum 0, poll interval 64 seconds, then precision to reference timestamp all zero.
        let mut bytes = vec![first, 0, 6];
        bytes.resize(24, 0);
        for field in [self.origin, self.receive, self.transmit] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes
    }
}

/// A reply, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtpReply {
    /// Leap indicator.
    pub leap: u8,
    /// Protocol version.
    pub version: u8,
    /// Association mode; 4 is a server.
    pub mode: u8,
    /// Stratum.
    pub stratum: u8,
    /// Reference identifier.
    pub reference_id: u32,
    /// Origin timestamp.
    pub origin: u64,
    /// Receive timestamp.
    pub receive: u64,
    /// Transmit timestamp.
    pub transmit: u64,
}

impl NtpReply {
    /// Takes a packet apart; `None` when it is shorter than a header.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let first = *bytes.first()?;
        Some(Self {
            leap: first >> 6,
            version: first >> 3 & 7,
            mode: first & 7,
            stratum: *bytes.get(1)?,
            reference_id: u32::from_be_bytes(bytes.get(12..16)?.try_into().ok()?),
            origin: word(24)?,
            receive: word(32)?,
            transmit: word(40)?,
        })
    }
}

/// Bytes as hexadecimal digits, the language of the `probe` program.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The reverse of [`hex`]; `None` for anything that is not pairs of digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways() {
        assert_eq!(unhex(&hex(&[0, 1, 0xab])), Some(vec![0, 1, 0xab]));
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn a_request_read_as_a_reply_has_the_same_fields() {
        let bytes = NtpRequest::client(4).bytes();
        assert_eq!(bytes.len(), 48);
        let reply = NtpReply::parse(&bytes).unwrap();
        assert_eq!(
            (reply.version, reply.mode, reply.transmit),
            (4, 3, 0x0123_4567_89ab_cdef)
        );
        assert_eq!(NtpReply::parse(&bytes[..47]), None);
    }
}
