//! The markup of the texts: the part of Markdown that a manual page needs.
//!
//! | written | is |
//! |---|---|
//! | `# TITLE`, `## Title` | a section, a part of it |
//! | `### heading` | an entry; several in a row head one entry |
//! | `Default:`, `Range:`, `Needs:`, `Missing:` | at the end of an entry: a field, to the end of its paragraph |
//! | `Example:`, `Refused:` | there: indented lines that follow, or the rest of the line |
//! | `- text` | an item of a list |
//! | `: term` | a term; the indented lines below explain it |
//! | four blanks | lines printed as they are |
//! | `` `word` `` | literal text; a path if it begins with `/` |
//! | `*WORD*` | something to be replaced |
//! | `[page(8)]` | another manual page |
//! | `{name}` | a constant, see [`crate::table::constant`] |

use crate::ManualError;
use crate::table::constant;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// `# TITLE`
    Section(String),
    /// `## Title`
    Subsection(String),
    /// Running text, in one line.
    Paragraph(String),
    /// Lines printed as they are.
    Display(Vec<String>),
    /// Items of a list.
    Bullets(Vec<String>),
    /// Terms and their explanations.
    Terms(Vec<(String, String)>),
    /// An entry of a table.
    Entry(Entry),
}

/// The description of one directive, option, command or switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The headings, at least one: a name where a table has the arguments, else the whole usage.
    pub headings: Vec<String>,
    /// What it means.
    pub body: Vec<Block>,
    /// What holds without it; beside the table's default, or instead of it.
    pub default: Option<String>,
    /// Values it takes, with their unit.
    pub range: Option<String>,
    /// A directive without which it has no effect, and behind a semicolon what happens then.
    pub needs: Option<String>,
    /// What happens where it is used, if it is not built yet.
    pub missing: Option<String>,
    /// Lines that show its use.
    pub examples: Vec<String>,
    /// Lines just outside of the range, for the tests.
    pub refused: Vec<String>,
    /// Line of the first heading.
    pub line: usize,
}

impl Entry {
    /// The first word of the first heading.
    #[must_use]
    pub fn name(&self) -> &str {
        let heading = self.headings.first().map_or("", String::as_str);
        heading.split(' ').next().unwrap_or(heading)
    }

    /// The range as two integers if it is written `A..B`, with or without a remark after `;`.
    #[must_use]
    pub fn integer_range(&self) -> Option<(i64, i64)> {
        let range = self.range.as_deref()?;
        let (min, max) = range.split(';').next()?.trim().split_once("..")?;
        Some((min.parse().ok()?, max.parse().ok()?))
    }
}

/// Reads a text.
///
/// # Errors
///
/// An unknown constant, a field outside of an entry, or text after the fields of an entry.
pub fn parse(file: &'static str, text: &str) -> Result<Vec<Block>, ManualError> {
    let mut reader = Reader {
        file,
        line: 0,
        blocks: Vec::new(),
        entry: None,
    };
    let mut group: Vec<(usize, &str)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            reader.group(&std::mem::take(&mut group))?;
        }
        if line.starts_with('#') {
            reader.line = number;
            reader.heading(line)?;
        } else if !line.is_empty() {
            group.push((number, line));
        }
    }
    reader.group(&group)?;
    reader.close();
    Ok(reader.blocks)
}

struct Reader {
    file: &'static str,
    line: usize,
    blocks: Vec<Block>,
    entry: Option<Entry>,
}

/// The fields that end an entry.
const FIELDS: [&str; 6] = [
    "Default:", "Range:", "Needs:", "Missing:", "Example:", "Refused:",
];

impl Reader {
    fn error(&self, problem: impl Into<String>) -> ManualError {
        ManualError {
            file: self.file,
            line: self.line,
            problem: problem.into(),
        }
    }

    fn close(&mut self) {
        self.blocks.extend(self.entry.take().map(Block::Entry));
    }

    fn heading(&mut self, line: &str) -> Result<(), ManualError> {
        let Some((level, title)) = line.split_once(' ') else {
            return Err(self.error("a heading without text"));
        };
        let title = self.constants(title)?;
        match level {
            "###" => {
                match self.entry.as_mut().filter(|entry| entry.body.is_empty()) {
                    Some(entry) => entry.headings.push(title),
                    None => {
                        self.close();
                        self.entry = Some(Entry {
                            headings: vec![title],
                            line: self.line,
                            ..Entry::default()
                        });
                    }
                }
                return Ok(());
            }
            "##" => {
                self.close();
                self.blocks.push(Block::Subsection(title));
            }
            "#" => {
                self.close();
                self.blocks.push(Block::Section(title));
            }
            _ => return Err(self.error("a heading of unknown depth")),
        }
        Ok(())
    }

    /// Lines without an empty one between them.
    fn group(&mut self, lines: &[(usize, &str)]) -> Result<(), ManualError> {
        let Some(&(number, first)) = lines.first() else {
            return Ok(());
        };
        self.line = number;
        if FIELDS.iter().any(|field| first.starts_with(field)) {
            return self.fields(lines);
        }
        let mut text = Vec::new();
        for &(number, line) in lines {
            self.line = number;
            text.push(self.constants(line)?);
        }
        let block = if first.starts_with("    ") {
            Block::Display(text.iter().map(|line| display_line(line)).collect())
        } else if first.starts_with("- ") {
            Block::Bullets(self.items(&text, "- ")?)
        } else if first.starts_with(": ") {
            Block::Terms(self.terms(&text)?)
        } else {
            Block::Paragraph(join(&text))
        };
        match &mut self.entry {
            None => self.blocks.push(block),
            Some(entry) if has_fields(entry) => {
                return Err(self.error("text after the fields of an entry"));
            }
            Some(entry) => entry.body.push(block),
        }
        Ok(())
    }

    /// Items that begin with `mark`, each with the lines that follow it.
    fn items(&self, lines: &[String], mark: &str) -> Result<Vec<String>, ManualError> {
        let mut items: Vec<String> = Vec::new();
        for line in lines {
            match (line.strip_prefix(mark), items.last_mut()) {
                (Some(text), _) => items.push(text.to_owned()),
                (None, Some(item)) if line.starts_with("  ") => {
                    item.push(' ');
                    item.push_str(line.trim());
                }
                _ => return Err(self.error("a line of a list that is not indented")),
            }
        }
        Ok(items)
    }

    fn terms(&self, lines: &[String]) -> Result<Vec<(String, String)>, ManualError> {
        let mut terms: Vec<(String, String)> = Vec::new();
        for line in lines {
            match (line.strip_prefix(": "), terms.last_mut()) {
                (Some(term), _) => terms.push((term.to_owned(), String::new())),
                (None, Some((_, text))) if line.starts_with("  ") => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(line.trim());
                }
                _ => return Err(self.error("a line of a list of terms that is not indented")),
            }
        }
        Ok(terms)
    }

    fn fields(&mut self, lines: &[(usize, &str)]) -> Result<(), ManualError> {
        let mut fields: Vec<(&str, Vec<String>)> = Vec::new();
        for &(number, line) in lines {
            self.line = number;
            match FIELDS.iter().find(|field| line.starts_with(**field)) {
                Some(field) => {
                    let rest = line.strip_prefix(field).unwrap_or_default().trim();
                    let text = (!rest.is_empty()).then(|| self.constants(rest));
                    fields.push((field, text.transpose()?.into_iter().collect()));
                }
                None => {
                    let text = self.constants(line.trim())?;
                    if let Some((_, lines)) = fields.last_mut() {
                        lines.push(text);
                    }
                }
            }
        }
        let line = self.line;
        let file = self.file;
        let Some(entry) = &mut self.entry else {
            return Err(self.error("a field outside of an entry"));
        };
        for (field, lines) in fields {
            let error = |problem: &str| ManualError {
                file,
                line,
                problem: format!("{field} {problem}"),
            };
            if lines.is_empty() {
                return Err(error("is empty"));
            }
            let slot = match field {
                "Example:" => {
                    entry.examples.extend(lines);
                    continue;
                }
                "Refused:" => {
                    entry.refused.extend(lines);
                    continue;
                }
                "Default:" => &mut entry.default,
                "Range:" => &mut entry.range,
                "Needs:" => &mut entry.needs,
                _ => &mut entry.missing,
            };
            if slot.replace(join(&lines)).is_some() {
                return Err(error("occurs twice"));
            }
        }
        Ok(())
    }

    /// Puts constants in the place of `{name}`.
    fn constants(&self, text: &str) -> Result<String, ManualError> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| self.error("a brace that is not closed"))?;
            let value =
                constant(name).ok_or_else(|| self.error(format!("unknown constant {name}")))?;
            out.push_str(before);
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

const fn has_fields(entry: &Entry) -> bool {
    entry.default.is_some()
        || entry.range.is_some()
        || entry.needs.is_some()
        || entry.missing.is_some()
        || !entry.examples.is_empty()
        || !entry.refused.is_empty()
}

fn join(lines: &[String]) -> String {
    let words: Vec<&str> = lines
        .iter()
        .flat_map(|line| line.split_whitespace())
        .collect();
    words.join(" ")
}

fn display_line(line: &str) -> String {
    line.strip_prefix("    ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        match parse("test", text).unwrap().pop() {
            Some(Block::Entry(entry)) => entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn blocks_are_told_apart() {
        let text = "# S\nOne\ntwo.\n\n- a\n  b\n- c\n\n: t\n  u\n  v\n\n    x  y\n     z\n## P\n";
        let want = vec![
            Block::Section("S".into()),
            Block::Paragraph("One two.".into()),
            Block::Bullets(vec!["a b".into(), "c".into()]),
            Block::Terms(vec![("t".into(), "u v".into())]),
            Block::Display(vec!["x  y".into(), " z".into()]),
            Block::Subsection("P".into()),
        ];
        assert_eq!(parse("test", text), Ok(want));
    }

    #[test]
    fn entries_have_headings_text_and_fields() {
        let found = entry(
            "### a b\n### a c\nText.\n\nDefault: none\nRange: 0..7; seconds, or\nmore\n\
             Example: a 1\nExample:\n    a 2\n    a 3\nRefused: a 8\nNeeds: d\nMissing: e\n",
        );
        let want = Entry {
            headings: vec!["a b".into(), "a c".into()],
            body: vec![Block::Paragraph("Text.".into())],
            default: Some("none".into()),
            range: Some("0..7; seconds, or more".into()),
            needs: Some("d".into()),
            missing: Some("e".into()),
            examples: vec!["a 1".into(), "a 2".into(), "a 3".into()],
            refused: vec!["a 8".into()],
            line: 1,
        };
        assert_eq!(found, want);
        assert_eq!((found.name(), found.integer_range()), ("a", Some((0, 7))));
    }

    #[test]
    fn mistakes_are_found() {
        for (text, line, problem) in [
            ("Default: x\n", 1, "a field outside of an entry"),
            ("### a\nText {nothing}.\n", 2, "unknown constant nothing"),
            ("a {b\n", 1, "a brace that is not closed"),
            (
                "### a\nT.\n\nRange: x\n\nMore.\n",
                6,
                "text after the fields of an entry",
            ),
            (
                "### a\nT.\n\nRange: x\nRange: y\n",
                5,
                "Range: occurs twice",
            ),
            ("### a\nT.\n\nExample:\n", 4, "Example: is empty"),
            ("- a\nb\n", 2, "a line of a list that is not indented"),
            (
                ": a\nb\n",
                2,
                "a line of a list of terms that is not indented",
            ),
            ("#\n", 1, "a heading without text"),
            ("#### x\n", 1, "a heading of unknown depth"),
        ] {
            let error = parse("test", text).unwrap_err();
            assert_eq!(
                (error.line, error.problem.as_str()),
                (line, problem),
                "{text:?}"
            );
        }
    }
}
