//! Reference IDs: four bytes that stand for a source (`control-protocol.md` 3.5).

use crate::Address;

/// Reference ID of a local reference, 127.127.1.1.
pub const LOCAL: u32 = 0x7f7f_0101;

/// Reference ID of a clock that follows nothing.
pub const UNSYNCHRONISED: u32 = 0;

/// The reference ID of an address: the IPv4 address itself, the first bytes of the MD5 digest
/// of an IPv6 address (RFC 5905 section 7.3), 0 for anything else.
#[must_use]
pub fn of(address: Address) -> u32 {
    match address {
        Address::V4(ip) => ip.to_bits(),
        Address::V6(ip) => md5_first_word(ip.octets()),
        Address::Unspecified | Address::Id(_) => 0,
    }
}

/// The characters of a reference clock's ID: printable ASCII, others dropped.
#[must_use]
pub fn text(refid: u32) -> String {
    refid
        .to_be_bytes()
        .into_iter()
        .filter(|byte| (b' '..=b'~').contains(byte))
        .map(char::from)
        .collect()
}

/// Up to four characters as a reference ID, left-aligned.
#[must_use]
pub fn parse(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > 4 {
        return None;
    }
    let mut word = [0; 4];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    Some(u32::from_be_bytes(word))
}

/// Rotations of one step of each round, four steps repeating (RFC 1321 section 3.4).
const ROTATIONS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// First four bytes of the MD5 digest of 16 bytes (RFC 1321), which fit one block.
///
/// Not a use for security, so it needs no library: the ID only has to be the one others compute.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "the constants are below 2^32; all indices are masked to the length of their array"
)]
fn md5_first_word(message: [u8; 16]) -> u32 {
    let mut block = [0u32; 16];
    for (word, bytes) in block.iter_mut().zip(message.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    block[4] = 0x80;
    block[14] = 128;

    const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let [mut a, mut b, mut c, mut d] = START;
    for step in 0..64 {
        let round = step / 16;
        let (mixed, word) = match round {
            0 => (b & c | !b & d, step),
            1 => (d & b | !d & c, 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        // The table of RFC 1321 by its definition: 2^32 * |sin(step + 1)|.
        let constant = (4_294_967_296.0 * f64::from(step as u32 + 1).sin().abs()) as u32;
        let sum = a
            .wrapping_add(mixed)
            .wrapping_add(constant)
            .wrapping_add(block[word & 15]);
        a = d;
        d = c;
        c = b;
        b = b.wrapping_add(sum.rotate_left(ROTATIONS[round & 3][step & 3]));
    }
    START[0].wrapping_add(a).swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_ids_others_compute() {
        // 2001:db8::1 as `chronyc ntpdata` shows it (`chronyc.md` 6.7).
        for (address, id) in [
            ("162.159.200.123", 0xA29F_C87B),
            ("2001:db8::1", 0x39AB_9B37),
            ("ID#0000000007", 0),
        ] {
            assert_eq!(of(address.parse().unwrap()), id, "{address}");
        }
        // 16 letters "a", from md5sum of the coreutils.
        assert_eq!(md5_first_word([b'a'; 16]), 0x23ca_4723);
    }

    #[test]
    fn text_keeps_what_prints() {
        assert_eq!(text(0x4750_5331), "GPS1");
        assert_eq!(text(0x4750_5300), "GPS");
        assert_eq!(text(0x0a0b_7f80), "");
        assert_eq!(parse("PPS0"), Some(0x5050_5330));
        assert_eq!(parse("A"), Some(0x4100_0000));
        assert_eq!(parse(""), None);
        assert_eq!(parse("GPS12"), None);
    }
}
