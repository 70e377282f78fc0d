//! File name patterns, as `include` takes them (`config.md` section 9).
//!
//! `*` and `?` match anything but a leading dot, `[...]` one of a set, a backslash takes the
//! meaning from the next character. There are no braces and no `~`. Names are bytes and are
//! ordered as bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::files::{FileSource, ListError};

/// A directory that a pattern needs could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobError;

/// Whether one file name matches a pattern without slashes.
///
/// A dot at the start of the name must be matched by a dot at the start of the pattern.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && !matches!(pattern, [b'.', ..] | [b'\\', b'.', ..]) {
        return false;
    }
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on when the text after the last star does not match: one byte further.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', rest)) = pattern.split_first() {
            star = Some((rest, name));
            pattern = rest;
            continue;
        }
        match step(pattern, name) {
            Step::End => return true,
            Step::Next(rest_pattern, rest_name) => (pattern, name) = (rest_pattern, rest_name),
            Step::Mismatch => {
                let Some((after_star, from)) = star else {
                    return false;
                };
                let Some((_, from)) = from.split_first() else {
                    return false;
                };
                star = Some((after_star, from));
                (pattern, name) = (after_star, from);
            }
        }
    }
}

enum Step<'a> {
    End,
    Next(&'a [u8], &'a [u8]),
    Mismatch,
}

/// Matches one character of the name with one element of the pattern that is no star.
fn step<'a>(pattern: &'a [u8], name: &'a [u8]) -> Step<'a> {
    let Some((&byte, rest_name)) = name.split_first() else {
        return if pattern.is_empty() {
            Step::End
        } else {
            Step::Mismatch
        };
    };
    let (matched, rest_pattern) = match pattern {
        [] => return Step::Mismatch,
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => match bracket(rest, byte) {
            Some((matched, rest)) => (matched, rest),
            // A bracket that is never closed is a plain character.
            None => (byte == b'[', rest),
        },
        [b'\\', escaped, rest @ ..] => (*escaped == byte, rest),
        [plain, rest @ ..] => (*plain == byte, rest),
    };
    if matched {
        Step::Next(rest_pattern, rest_name)
    } else {
        Step::Mismatch
    }
}

/// Matches a byte with a set; `set` begins after `[`. The result has what follows `]`.
fn bracket(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    let mut first = true;
    loop {
        match set {
            [b']', rest @ ..] if !first => return Some((found != negated, rest)),
            [b'[', b':', rest @ ..] if class_end(rest).is_some() => {
                let (name, rest) = rest.split_at(class_end(rest)?);
                found |= in_class(name, byte);
                set = rest.get(2..)?;
            }
            _ => {
                let (low, rest) = set_member(set)?;
                let range_end = match rest {
                    [b'-', b']', ..] => None,
                    [b'-', rest @ ..] => Some(set_member(rest)?),
                    _ => None,
                };
                let (high, rest) = range_end.unwrap_or((low, rest));
                found |= (low..=high).contains(&byte);
                set = rest;
            }
        }
        first = false;
    }
}

/// One member of a set, possibly written with a backslash.
const fn set_member(set: &[u8]) -> Option<(u8, &[u8])> {
    match set {
        [b'\\', escaped, rest @ ..] => Some((*escaped, rest)),
        [plain, rest @ ..] => Some((*plain, rest)),
        [] => None,
    }
}

/// Length of the name of a character class such as `alpha` before `:]`.
fn class_end(text: &[u8]) -> Option<usize> {
    let end = text.windows(2).position(|pair| pair == b":]")?;
    text.iter()
        .take(end)
        .all(u8::is_ascii_lowercase)
        .then_some(end)
}

fn in_class(name: &[u8], byte: u8) -> bool {
    match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => crate::lexical::is_space(byte),
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

/// How a part of a pattern is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// As it stands.
    Literal,
    /// As it stands but for backslashes.
    Escaped,
    /// As a pattern.
    Wild,
}

fn meaning(pattern: &[u8]) -> Meaning {
    let mut meaning = Meaning::Literal;
    let mut bracket = false;
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' => return Meaning::Wild,
            b'[' => bracket = true,
            b']' if bracket => return Meaning::Wild,
            b'\\' => {
                bytes.next();
                meaning = Meaning::Escaped;
            }
            _ => {}
        }
    }
    meaning
}

fn without_escapes(pattern: &[u8]) -> Vec<u8> {
    let mut bytes = pattern.iter();
    let mut out = Vec::with_capacity(pattern.len());
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' {
            *bytes.next().unwrap_or(&byte)
        } else {
            byte
        });
    }
    out
}

/// All files that match `pattern`, in byte order of their paths.
///
/// A pattern without special characters is returned as it is, whether the file exists or not.
///
/// # Errors
///
/// [`GlobError`] if a directory that has to be searched cannot be read. A file in the place of a
/// directory is no error but no match.
pub fn expand<F: FileSource + ?Sized>(
    pattern: &Path,
    files: &F,
) -> Result<Vec<PathBuf>, GlobError> {
    let pattern = pattern.as_os_str().as_bytes();
    if meaning(pattern) == Meaning::Literal {
        return Ok(vec![path(pattern.to_vec())]);
    }
    let mut found = search(pattern, files)?;
    found.sort_unstable();
    Ok(found.into_iter().map(path).collect())
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn search<F: FileSource + ?Sized>(pattern: &[u8], files: &F) -> Result<Vec<Vec<u8>>, GlobError> {
    let (dir_pattern, name_pattern) = match pattern.iter().rposition(|&byte| byte == b'/') {
        None => (None, pattern),
        Some(slash) => {
            let (dir, name) = pattern.split_at(slash);
            (Some(dir), name.get(1..).unwrap_or_default())
        }
    };
    let dirs = match dir_pattern {
        Some(dir) => match meaning(dir) {
            Meaning::Literal => vec![dir.to_vec()],
            Meaning::Escaped => vec![without_escapes(dir)],
            Meaning::Wild => search(dir, files)?,
        },
        None => vec![Vec::new()],
    };
    let mut found = Vec::new();
    for dir in dirs {
        let prefix = if dir_pattern.is_some() {
            [&dir[..], b"/"].concat()
        } else {
            dir
        };
        in_directory(&prefix, name_pattern, files, &mut found)?;
    }
    Ok(found)
}

/// Adds what matches in one directory, given with its final slash or empty.
fn in_directory<F: FileSource + ?Sized>(
    prefix: &[u8],
    pattern: &[u8],
    files: &F,
    found: &mut Vec<Vec<u8>>,
) -> Result<(), GlobError> {
    let joined = |name: &[u8]| [prefix, name].concat();
    if meaning(pattern) != Meaning::Wild {
        let candidate = joined(&without_escapes(pattern));
        if files.exists(Path::new(OsStr::from_bytes(&candidate))) {
            found.push(candidate);
        }
        return Ok(());
    }
    let directory = if prefix.is_empty() { b"." } else { prefix };
    let names = match files.list_directory(Path::new(OsStr::from_bytes(directory))) {
        Ok(names) => names,
        Err(ListError::NotADirectory) => return Ok(()),
        Err(ListError::Failed) => return Err(GlobError),
    };
    let names = names
        .iter()
        .map(|name| name.as_bytes())
        .chain([&b"."[..], b".."]);
    found.extend(names.filter(|name| matches(pattern, name)).map(joined));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use proptest::prelude::*;

    #[test]
    fn names_match_patterns() {
        for (pattern, name, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*.conf", ".a.conf", false),
            (".*", ".a", true),
            ("\\.a", ".a", true),
            ("?a", ".a", false),
            ("[.]a", ".a", false),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYbd", false),
            ("a?c", "abc", true),
            ("[ab]", "b", true),
            ("[!ab]", "b", false),
            ("[^ab]", "c", true),
            ("[a-c]", "b", true),
            ("[c-a]", "b", false),
            ("[]a]", "]", true),
            ("[!]a]", "b", true),
            ("[a-]", "-", true),
            ("[\\]]", "]", true),
            ("[[:digit:]x]", "7", true),
            ("[[:digit:]x]", "x", true),
            ("[[:digit:]]", "a", false),
            ("[z", "[z", true),
            ("[z*", "[zz", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a{b,c}", "ab", false),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                want,
                "{pattern} {name}"
            );
        }
    }

    fn files() -> MemoryFiles {
        [
            "g/d1/a.conf",
            "g/d1/b.conf",
            "g/d2/a.conf",
            "g/d1/.h.conf",
            "g/.h/x.conf",
            "g/d1/a*.cnf",
            "g/d1/ab.cnf",
            "g/d1/[z.conf",
        ]
        .iter()
        .fold(MemoryFiles::new(), |files, name| files.with(name, ""))
    }

    #[track_caller]
    fn check(pattern: &str, want: &[&str]) {
        let found = expand(Path::new(pattern), &files()).unwrap();
        assert_eq!(
            found,
            want.iter().map(PathBuf::from).collect::<Vec<_>>(),
            "{pattern}"
        );
        // Paths compare by components; the text must be right too.
        let text: Vec<&str> = found.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(text, want, "{pattern}");
    }

    /// The right column is what chrony 4.9 included for the left one in a directory like this.
    #[test]
    fn patterns_are_expanded_as_by_the_c_library() {
        check(
            "g/d1/*.conf",
            &["g/d1/[z.conf", "g/d1/a.conf", "g/d1/b.conf"],
        );
        check("g/d1/zz*.conf", &[]);
        check("g/*/a.conf", &["g/d1/a.conf", "g/d2/a.conf"]);
        check("g/*/x.conf", &[]);
        check("g/.*/x.conf", &["g/.h/x.conf"]);
        check("g/d1/a.conf/*.conf", &[]);
        check("g/*/nofile.conf", &[]);
        check("g/d1/a\\*.cnf", &["g/d1/a*.cnf"]);
        check("g/d1/a\\?.cnf", &[]);
        check("g/d1/a\\.conf", &["g/d1/a.conf"]);
        check("g/d1/[ab].conf", &["g/d1/a.conf", "g/d1/b.conf"]);
        check("g/d1/[!a].conf", &["g/d1/b.conf"]);
        check("g/d1/[z*.conf", &["g/d1/[z.conf"]);
        check("g//d1//[a].conf", &["g//d1//a.conf"]);
        check(
            "g/d?/[ab].conf",
            &["g/d1/a.conf", "g/d1/b.conf", "g/d2/a.conf"],
        );
        check("g/no*/x/*.conf", &[]);
        check("g/*/", &["g/d1/", "g/d2/"]);
    }

    #[test]
    fn plain_names_need_not_exist() {
        for name in ["g/none", "/x", "~/x", "g/d1/{a,b}.conf", "g/d1/[z.conf"] {
            check(name, &[name]);
        }
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        for pattern in ["g/none/*.conf", "none/*/x"] {
            assert_eq!(
                expand(Path::new(pattern), &files()),
                Err(GlobError),
                "{pattern}"
            );
        }
    }

    proptest! {
        #[test]
        fn matching_never_panics(pattern in "[a\\-\\[\\]!*?\\\\.:]{0,12}", name in "[a\\[\\].-]{0,12}") {
            let _ = matches(pattern.as_bytes(), name.as_bytes());
            let _ = expand(Path::new(&pattern), &files());
        }

        #[test]
        fn every_name_matches_itself_escaped(name in "\\PC{0,12}") {
            let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
            // A backslash before a character of several bytes escapes its first byte only.
            prop_assert!(matches(escaped.as_bytes(), name.as_bytes()));
        }
    }
}
