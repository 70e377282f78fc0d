//! Lines and words (`config.md`, "Lexical rules").
//!
//! ```text
//! file bytes ── chunks() ──> pieces of a bounded length ── normalise() ──> "word word word"
//! ```
//!
//! Text is bytes throughout: no encoding is assumed, and white space is that of the C locale.

/// Longest piece of a configuration line that is read at once, in bytes with its newline.
///
/// A line whose first piece reaches this length is refused by the parser of the main language.
pub(crate) const LINE_MAX: usize = 2048;

/// Splits a file into lines as a reader with a buffer of `max` bytes meets them.
///
/// A piece ends after a newline, after `max` bytes or at the end of the file; the newline stays in
/// the piece so that the caller can tell a complete line from a cut one.
pub(crate) fn chunks(bytes: &[u8], max: usize) -> impl Iterator<Item = &[u8]> {
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .flat_map(move |line| line.chunks(max.max(1)))
        .map(until_nul)
}

/// The part of a piece that counts: text after a NUL byte is ignored.
pub(crate) fn until_nul(piece: &[u8]) -> &[u8] {
    piece.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// White space of the C locale.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Removes outer white space and makes every inner run one space.
pub(crate) fn collapse(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for word in words(text) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out
}

/// A line with its white space collapsed; empty for blank lines and comments.
pub(crate) fn normalise(line: &[u8]) -> Vec<u8> {
    let line = collapse(line);
    if matches!(line.first(), Some(b'!' | b';' | b'#' | b'%')) {
        Vec::new()
    } else {
        line
    }
}

/// The words of a text.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| is_space(byte))
        .filter(|word| !word.is_empty())
}

/// The first word and what follows it without leading white space.
pub(crate) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = skip_space(text);
    let end = text
        .iter()
        .position(|&byte| is_space(byte))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, skip_space(rest))
}

/// The text from its first byte that is not white space.
pub(crate) fn skip_space(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|&byte| !is_space(byte))
        .unwrap_or(text.len());
    text.split_at(start).1
}

/// Bytes as text for names and messages; what is not UTF-8 is shown as U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(bytes: &[u8], max: usize) -> Vec<String> {
        chunks(bytes, max).map(text).collect()
    }

    #[test]
    fn lines_are_met_in_bounded_pieces() {
        assert_eq!(pieces(b"ab\ncd\n", 10), ["ab\n", "cd\n"]);
        assert_eq!(pieces(b"ab\ncd", 10), ["ab\n", "cd"]);
        assert_eq!(pieces(b"abcdef\ngh", 4), ["abcd", "ef\n", "gh"]);
        assert_eq!(pieces(b"abc\n", 3), ["abc", "\n"]);
        assert_eq!(
            pieces(b"a\0b\nc", 10),
            ["a", "c"],
            "text after a NUL is ignored"
        );
        assert!(pieces(b"", 10).is_empty());
    }

    #[test]
    fn white_space_is_that_of_the_c_locale() {
        assert_eq!(normalise(b" \t a\x0b\x0c b \r\n"), b"a b");
        assert_eq!(normalise("a\u{a0}b".as_bytes()), "a\u{a0}b".as_bytes());
        assert_eq!(normalise(b" \r\n"), b"");
    }

    #[test]
    fn comments_are_whole_lines() {
        for line in ["! x", "; x", "# x", "% x", "   #x"] {
            assert_eq!(normalise(line.as_bytes()), b"", "{line}");
        }
        assert_eq!(normalise(b"port 1 # x"), b"port 1 # x");
    }

    #[test]
    fn words_are_split_one_by_one() {
        assert_eq!(split_word(b" a  b c"), (&b"a"[..], &b"b c"[..]));
        assert_eq!(split_word(b"a"), (&b"a"[..], &b""[..]));
        assert_eq!(split_word(b""), (&b""[..], &b""[..]));
    }
}
