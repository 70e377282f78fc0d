//! Writing mdoc(7), the markup of manual pages that both mandoc and groff know.
//!
//! Lines stay below 80 characters, every sentence begins a line, and what is to be typed uses the
//! minus sign and the plain quotes, so that it can be copied from a terminal.

use crate::markup::Block;
use crate::synopsis;

/// Widest line of running text.
const WIDTH: usize = 78;

/// A page in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// A line of macros, or of text that is escaped already.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Blocks of which the first needs no space above it.
    pub(crate) fn blocks(&mut self, blocks: &[Block]) {
        let mut first = true;
        for block in blocks {
            if !std::mem::take(&mut first) && matches!(block, Block::Paragraph(_)) {
                self.line(".Pp");
            }
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Section(title) => self.line(&format!(".Sh {title}")),
            Block::Subsection(title) => self.line(&format!(".Ss {title}")),
            Block::Paragraph(text) => self.running(text),
            Block::Display(lines) => self.display(lines),
            Block::Bullets(items) => {
                self.line(".Bl -bullet -compact");
                for item in items {
                    self.line(".It");
                    self.running(item);
                }
                self.line(".El");
            }
            Block::Terms(terms) => {
                self.line(".Bl -tag -width indent -compact");
                for (term, text) in terms {
                    self.line(&format!(".It {}", inline_macros(term)));
                    self.running(text);
                }
                self.line(".El");
            }
            // Entries need their table; `page` writes them.
            Block::Entry(_) => {}
        }
    }

    /// Lines printed as they are, close to what announces them.
    pub(crate) fn examples(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.literal(".Bd -literal -offset indent -compact", lines);
        }
    }

    /// Lines printed as they are.
    fn display(&mut self, lines: &[String]) {
        self.literal(".Bd -literal -offset indent", lines);
    }

    fn literal(&mut self, begin: &str, lines: &[String]) {
        self.line(begin);
        for line in lines {
            let escaped = escape_literal(line);
            self.line(&guard(&escaped));
        }
        self.line(".Ed");
    }

    /// Running text with its marks.
    pub(crate) fn running(&mut self, text: &str) {
        let mut line = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => {
                    for word in text.split_whitespace() {
                        let word = escape(word);
                        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                            self.flush(&mut line);
                        }
                        if !line.is_empty() {
                            line.push(' ');
                        }
                        line.push_str(&word);
                        if ends_sentence(&word) {
                            self.flush(&mut line);
                        }
                    }
                }
                marked => {
                    self.flush(&mut line);
                    self.line(&format!(".{}", marked.macros()));
                }
            }
        }
        self.flush(&mut line);
    }

    fn flush(&mut self, line: &mut String) {
        if !line.is_empty() {
            let text = guard(line);
            self.line(&text);
            line.clear();
        }
    }
}

fn ends_sentence(word: &str) -> bool {
    word.trim_end_matches([')', '"']).ends_with(['.', '!', '?'])
}

/// A line of text must not be taken for a macro.
fn guard(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}

/// Running text: only what is special to the formatter.
pub(crate) fn escape(text: &str) -> String {
    text.replace('\\', "\\e")
}

/// Text that is to be typed or compared: minus signs and plain quotes.
pub(crate) fn escape_literal(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '"' => out.push_str("\\(dq"),
            other => out.push(other),
        }
    }
    out
}

/// An argument of a macro that must not be taken for a macro or for punctuation.
pub(crate) fn argument(word: &str) -> String {
    const DELIMITERS: [char; 11] = ['(', ')', '[', ']', '.', ',', ':', ';', '?', '!', '|'];
    let escaped = escape_literal(word);
    let looks_like_macro = (2..=3).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_uppercase() || c == '%')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '%');
    if looks_like_macro || (word.len() == 1 && word.starts_with(DELIMITERS)) {
        format!("\\&{escaped}")
    } else if word.ends_with(DELIMITERS) {
        format!("{escaped}\\&")
    } else {
        escaped
    }
}

/// A part of running text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Marked {
        /// Opening punctuation.
        before: &'a str,
        mark: Mark,
        text: &'a str,
        /// Closing punctuation.
        after: &'a str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Literal,
    Variable,
    Reference,
}

impl Piece<'_> {
    /// The macro line, without its point.
    fn macros(&self) -> String {
        let Self::Marked {
            before,
            mark,
            text,
            after,
        } = self
        else {
            return String::new();
        };
        let mut words: Vec<String> = Vec::new();
        let words_of = |text: &str| text.split_whitespace().map(argument).collect::<Vec<_>>();
        match mark {
            Mark::Literal => match text.strip_prefix('-') {
                Some(letter) if letter.len() == 1 => words.extend(["Fl".into(), argument(letter)]),
                _ if text.starts_with('/') && !text.contains(' ') => {
                    words.extend(["Pa".into(), argument(text)]);
                }
                _ => {
                    words.push("Ic".into());
                    words.extend(words_of(text));
                }
            },
            Mark::Variable => {
                words.push("Ar".into());
                words.extend(words_of(text));
            }
            // Not `Xr`: mandoc complains about each reference to a page that is not installed on
            // the machine where the pages are made.
            Mark::Reference => {
                let (name, section) = text
                    .trim_end_matches(')')
                    .split_once('(')
                    .unwrap_or((text, ""));
                words.extend(["Sy".into(), argument(name)]);
                words.extend(["Ns".into(), "Pq".into(), section.to_owned()]);
            }
        }
        if !before.is_empty() {
            words.insert(1, (*before).to_owned());
        }
        words.extend(after.chars().map(String::from));
        words.join(" ")
    }
}

/// Splits running text at its marks, which take the punctuation around them with them.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((start, mark, close)) = next_mark(rest) {
        let (before, inside) = rest.split_at(start);
        let Some(inside) = inside.get(1..) else { break };
        let Some((marked, after)) = inside.split_once(close) else {
            break;
        };
        let (before, opening) = match before.strip_suffix('(') {
            Some(before) if before.is_empty() || before.ends_with(' ') => (before, "("),
            _ => (before, ""),
        };
        let end = after
            .find(|c: char| !".,:;?!)".contains(c))
            .unwrap_or(after.len());
        let (closing, after) = after.split_at(end);
        found.push(Piece::Text(before));
        found.push(Piece::Marked {
            before: opening,
            mark,
            text: marked,
            after: closing,
        });
        rest = after;
    }
    found.push(Piece::Text(rest));
    found
}

/// The next mark of `text`: where, which, and what ends it.
fn next_mark(text: &str) -> Option<(usize, Mark, char)> {
    let mut previous = ' ';
    for (at, character) in text.char_indices() {
        let begins = previous == ' ' || previous == '(';
        let rest = text.get(at + character.len_utf8()..).unwrap_or_default();
        match character {
            '`' => return Some((at, Mark::Literal, '`')),
            '*' if begins && rest.starts_with(|c: char| c.is_alphanumeric()) => {
                return Some((at, Mark::Variable, '*'));
            }
            '[' if begins && rest.starts_with(|c: char| c.is_alphabetic()) => {
                let inside = rest.split(']').next().unwrap_or_default();
                if inside.ends_with(')') && !inside.contains(' ') {
                    return Some((at, Mark::Reference, ']'));
                }
            }
            _ => {}
        }
        previous = character;
    }
    None
}

/// A term with its marks, in one line of macros.
fn inline_macros(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) if text.trim().is_empty() => {}
            Piece::Text(text) => {
                words.push("No".into());
                words.extend(text.split_whitespace().map(argument));
            }
            marked => words.push(marked.macros()),
        }
    }
    words.join(" ")
}

/// The heading of an entry: what is typed, and what stands for something else.
pub(crate) fn item(usage: &str) -> String {
    format!(".It {}", synopsis::macros(usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let mut writer = Writer::default();
        writer.running(text);
        assert_eq!(writer.finish(), want, "{text}");
    }

    #[test]
    fn marks_become_macros_with_their_punctuation() {
        check(
            "Use `makestep 1 3`, or *LIMIT*.",
            "Use\n.Ic makestep 1 3 ,\nor\n.Ar LIMIT .\n",
        );
        check(
            "The option (`-x`) of [chronyd(8)].",
            "The option\n.Fl ( x )\nof\n.Sy chronyd Ns Pq 8 .\n",
        );
        check(
            "In `/etc/chrony.conf`: text",
            "In\n.Pa /etc/chrony.conf :\ntext\n",
        );
        check("A star * alone, a [b] too.", "A star * alone, a [b] too.\n");
        check("`No`", ".Ic \\&No\n");
        check("`a-b ^ |`", ".Ic a\\-b \\(ha \\&|\n");
    }

    #[test]
    fn sentences_begin_lines_and_lines_are_short() {
        check("One. Two! (Three.) Four", "One.\nTwo!\n(Three.)\nFour\n");
        check(".x 'y", "\\&.x 'y\n");
        let mut writer = Writer::default();
        writer.running(&"word ".repeat(60));
        assert!(writer.finish().lines().all(|line| line.len() <= WIDTH));
    }
}
