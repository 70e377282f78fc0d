//! Bytes as the tables of this directory write them.

/// Bytes of a line of hexadecimal words; see `data/examples.txt`.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for word in text.split_whitespace().filter(|word| *word != "|") {
        if let Some(quoted) = word.strip_prefix('"') {
            out.extend(quoted.trim_end_matches('"').bytes());
        } else if let Some(len) = word.strip_prefix('=') {
            out.resize(len.parse().unwrap(), 0);
        } else if let Some((byte, count)) = word.split_once('x') {
            let byte = u8::from_str_radix(byte, 16).unwrap();
            out.extend(std::iter::repeat_n(byte, count.parse().unwrap()));
        } else {
            assert!(word.len().is_multiple_of(2), "{word}");
            for at in (0..word.len()).step_by(2) {
                out.push(u8::from_str_radix(&word[at..at + 2], 16).unwrap());
            }
        }
    }
    out
}

/// Sequence number of all examples.
pub(crate) const SEQUENCE: u32 = 0x1122_3344;

/// The header of a request as `control-protocol.md` 2.1 lays it out.
pub(crate) fn request_header(command: u16) -> Vec<u8> {
    let mut header = bytes("06 01 00 00");
    header.extend(command.to_be_bytes());
    header.extend(bytes("0000 11223344 00x8"));
    header
}

/// The header of a reply as `control-protocol.md` 2.2 lays it out.
pub(crate) fn reply_header(command: u16, code: u16, status: u16) -> Vec<u8> {
    let mut header = bytes("06 02 00 00");
    header.extend(command.to_be_bytes());
    header.extend(code.to_be_bytes());
    header.extend(status.to_be_bytes());
    header.extend(bytes("00x6 11223344 00x8"));
    header
}
