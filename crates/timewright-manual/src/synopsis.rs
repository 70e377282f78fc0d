//! Usages as the tables write them, to macros.
//!
//! In a usage `HOST` and `<host>` stand for something, other words are typed as they are; brackets
//! are around what may be left out, a bar is between alternatives.

use crate::mdoc::argument;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// Stands for something.
    Variable(&'a str),
    /// Is typed.
    Literal(&'a str),
    Open,
    Close,
    Other(char),
    Dots,
    Blank,
}

/// The macros that print a usage, for use behind `.It` or as a line of its own behind a point.
#[must_use]
pub fn macros(usage: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    // Whether a blank or the beginning is to the left.
    let mut apart = true;
    let mut opened = false;
    for (at, token) in tokens(usage).into_iter().enumerate() {
        // The first word is the name, whatever its letters.
        let token = match token {
            Token::Variable(name) if at == 0 && !usage.starts_with('<') => Token::Literal(name),
            other => other,
        };
        if token == Token::Blank {
            apart = true;
            continue;
        }
        let is_bar = token == Token::Other('|');
        if !apart && !opened && token != Token::Close && !is_bar {
            out.push("Ns".into());
        }
        opened = matches!(token, Token::Open);
        apart = is_bar;
        match token {
            Token::Variable(text) => {
                out.push("Ar".into());
                out.extend(text.split(' ').map(argument));
            }
            Token::Literal(text) => match text.strip_prefix('-') {
                Some(letter) if letter.len() == 1 => out.extend(["Fl".into(), argument(letter)]),
                _ => out.extend(["Ic".into(), argument(text)]),
            },
            Token::Open => out.push("Oo".into()),
            Token::Close => out.push("Oc".into()),
            Token::Dots => out.extend(["No".into(), "...".into()]),
            Token::Other('|') => out.extend(["No".into(), "\\&|".into()]),
            Token::Other(character) => out.extend(["No".into(), format!("\\&{character}")]),
            Token::Blank => {}
        }
    }
    out.join(" ")
}

/// The parts of a usage that blanks outside of brackets separate.
pub(crate) fn groups(usage: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    usage.split(move |character| {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        character == ' ' && depth == 0
    })
}

fn tokens(usage: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = usage;
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            ' ' => (Token::Blank, 1),
            '[' => (Token::Open, 1),
            ']' => (Token::Close, 1),
            '<' => {
                let inside = rest.get(1..).unwrap_or_default();
                let inside = inside.split('>').next().unwrap_or_default();
                (Token::Variable(inside), inside.len() + 2)
            }
            _ if rest.starts_with("...") => (Token::Dots, 3),
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or(rest);
                // A point at the end of a word belongs to the dots behind it.
                let word = word.trim_end_matches('.');
                let is_variable = word == "options"
                    || word.starts_with(|c: char| c.is_ascii_uppercase())
                        && !word.contains(|c: char| c.is_ascii_lowercase());
                let token = if is_variable {
                    Token::Variable(word)
                } else {
                    Token::Literal(word)
                };
                (token, word.len())
            }
            other => (Token::Other(other), other.len_utf8()),
        };
        found.push(token);
        rest = rest.get(len.max(1)..).unwrap_or_default();
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_+.=".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_end_outside_of_brackets() {
        let found: Vec<&str> = groups("-p [-f FILE] [[a b] c]... D").collect();
        assert_eq!(found, ["-p", "[-f FILE]", "[[a b] c]...", "D"]);
    }

    #[test]
    fn usages_become_macros() {
        for (usage, want) in [
            (
                "server HOST [OPTION]...",
                "Ic server Ar HOST Oo Ar OPTION Oc Ns No ...",
            ),
            (
                "log2 [all] [SUBNET]",
                "Ic log2 Oo Ic all Oc Oo Ar SUBNET Oc",
            ),
            ("x mix|ignore", "Ic x Ic mix No \\&| Ic ignore"),
            (
                "PPS P[:D-O]...",
                "Ic \\&PPS Ar P Ns Oo No \\&: Ns Ar D\\-O Oc Ns No ...",
            ),
            (
                "burst <good>/<max> [[<mask>/]<address>]",
                "Ic burst Ar good Ns No \\&/ Ns Ar max Oo Oo Ar mask Ns No \\&/ Oc Ns Ar address Oc",
            ),
            (
                "clients [-p <packets>] [-k]",
                "Ic clients Oo Fl p Ar packets Oc Oo Fl k Oc",
            ),
            ("local [options]", "Ic local Oo Ar options Oc"),
            ("dns -n|+n", "Ic dns Fl n No \\&| Ic +n"),
            (
                "selectopts <a> <+|-options>",
                "Ic selectopts Ar a Ar +|\\-options",
            ),
            ("-v, --version", "Fl v Ns No \\&, Ic \\-\\-version"),
        ] {
            assert_eq!(macros(usage), want, "{usage}");
        }
    }
}
