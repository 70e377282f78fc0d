//! Reading numbers from small state files, as C's `%lf` does.

/// The number at the start of `text` after white space, and what follows it.
///
/// Takes the longest decimal number; infinities, NaN and hexadecimal numbers are not numbers
/// here, since no file of ours may hold one.
pub(crate) fn scan_f64(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes.get(from..).map_or(0, |rest| {
            rest.iter().take_while(|b| b.is_ascii_digit()).count()
        })
    };
    let sign_at = |at: usize| usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));

    let mut end = sign_at(0);
    let whole = digits(end);
    end += whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let start = end + 1 + sign_at(end + 1);
        let exponent = digits(start);
        if exponent > 0 {
            end = start + exponent;
        }
    }
    let value: f64 = text.get(..end)?.parse().ok()?;
    value.is_finite().then_some((value, text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_the_longest_number() {
        for (text, want) in [
            ("  12.5 rest", Some((12.5, " rest"))),
            ("-1e3x", Some((-1000.0, "x"))),
            ("+.5", Some((0.5, ""))),
            ("5.", Some((5.0, ""))),
            ("1e", Some((1.0, "e"))),
            ("1e+", Some((1.0, "e+"))),
            ("", None),
            (".", None),
            ("-", None),
            ("nan", None),
            ("inf", None),
            ("1e999", None),
            ("x1", None),
        ] {
            assert_eq!(scan_f64(text), want, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_what_is_printed(x in -1e12..1e12f64) {
            let text = format!("{x:e} tail");
            prop_assert_eq!(scan_f64(&text), Some((x, " tail")));
        }

        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = scan_f64(&text);
        }
    }
}
