//! The pages: which texts they consist of, and how entries and tables come together.

use timewright_config::directives::Section;

use crate::markup::{self, Block, Entry};
use crate::mdoc::{self, Writer};
use crate::table::{self, Kind, Row};
use crate::{DATE, ManualError, Page, synopsis};

/// A text of a page and what its entries describe.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The file below `text`.
    pub file: &'static str,
    /// Its content.
    pub text: &'static str,
    /// What its entries are about.
    pub kind: Kind,
}

macro_rules! part {
    ($file:literal, $kind:expr) => {
        Part {
            file: $file,
            text: include_str!(concat!("../text/", $file)),
            kind: $kind,
        }
    };
}

const DRIVERS: Part = part!("conf/drivers.md", Kind::Drivers);

/// `chrony.conf(5)`.
const CONF: &[Part] = &[
    part!("conf/intro.md", Kind::Prose),
    part!("conf/sources.md", Kind::Directives(Section::Sources)),
    part!("conf/source-options.md", Kind::SourceOptions),
    DRIVERS,
    part!("conf/refclock-options.md", Kind::RefclockOptions),
    part!("conf/selection.md", Kind::Directives(Section::Selection)),
    part!("conf/clock.md", Kind::Directives(Section::Clock)),
    part!("conf/server.md", Kind::Directives(Section::Server)),
    part!("conf/local-options.md", Kind::LocalOptions),
    part!("conf/ratelimit-options.md", Kind::RateLimitOptions),
    part!("conf/command.md", Kind::Directives(Section::Command)),
    part!("conf/rtc.md", Kind::Directives(Section::Rtc)),
    part!("conf/logging.md", Kind::Directives(Section::Logging)),
    part!(
        "conf/miscellaneous.md",
        Kind::Directives(Section::Miscellaneous)
    ),
    part!("conf/hwtimestamp-options.md", Kind::HwTimestampOptions),
    part!("conf/obsolete.md", Kind::Directives(Section::Obsolete)),
    part!("conf/end.md", Kind::Prose),
];

const CHRONYC_SWITCHES: Part = part!("chronyc/options.md", Kind::Switches);
const CHRONYC_COMMANDS: Part = part!("chronyc/commands.md", Kind::Commands);

/// `chronyc(1)`.
const CHRONYC: &[Part] = &[
    part!("chronyc/intro.md", Kind::Prose),
    CHRONYC_SWITCHES,
    CHRONYC_COMMANDS,
    part!("chronyc/end.md", Kind::Prose),
];

const CHRONYD_SWITCHES: Part = part!("chronyd/options.md", Kind::Switches);

/// `chronyd(8)`.
const CHRONYD: &[Part] = &[
    part!("chronyd/intro.md", Kind::Prose),
    CHRONYD_SWITCHES,
    part!("chronyd/end.md", Kind::Prose),
];

/// A program that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The daemon.
    Chronyd,
    /// Its client.
    Chronyc,
}

/// The pages with their names, sections and descriptions.
const PAGES: [(&str, u8, &str, &[Part]); 3] = [
    (
        "chronyd",
        8,
        "keep the system clock right and serve time",
        CHRONYD,
    ),
    ("chronyc", 1, "watch and control a running chronyd", CHRONYC),
    ("chrony.conf", 5, "configuration of chronyd", CONF),
];

/// Every text of every page.
pub fn parts() -> impl Iterator<Item = Part> {
    PAGES
        .into_iter()
        .flat_map(|(_, _, _, parts)| parts.iter().copied())
}

/// All pages.
///
/// # Errors
///
/// A text that cannot be read, an entry without a row in its table, a row without an entry, or an
/// entry that leaves out its default or range.
pub fn pages() -> Result<Vec<Page>, ManualError> {
    let page = |(name, section, description, parts)| {
        Ok(Page {
            name,
            section,
            text: page_text(name, section, description, parts)?,
        })
    };
    PAGES.into_iter().map(page).collect()
}

/// The options of a program's command line, in the order of its page.
///
/// # Errors
///
/// A text that cannot be read.
pub fn switches(program: Program) -> Result<Vec<Entry>, ManualError> {
    let part = match program {
        Program::Chronyd => CHRONYD_SWITCHES,
        Program::Chronyc => CHRONYC_SWITCHES,
    };
    Ok(groups(part)?
        .into_iter()
        .flat_map(|(_, entries)| entries)
        .collect())
}

/// The commands of chronyc under the titles of their groups.
///
/// # Errors
///
/// A text that cannot be read.
pub fn commands() -> Result<Vec<(String, Vec<Entry>)>, ManualError> {
    let mut groups = groups(CHRONYC_COMMANDS)?;
    groups.retain(|(_, entries)| !entries.is_empty());
    Ok(groups)
}

/// The drivers of reference clocks.
///
/// # Errors
///
/// A text that cannot be read.
pub fn drivers() -> Result<Vec<Entry>, ManualError> {
    Ok(groups(DRIVERS)?
        .into_iter()
        .flat_map(|(_, entries)| entries)
        .collect())
}

/// The entries of a part under the titles they stand below.
fn groups(part: Part) -> Result<Vec<(String, Vec<Entry>)>, ManualError> {
    let mut groups = vec![(String::new(), Vec::new())];
    for block in markup::parse(part.file, part.text)? {
        match block {
            Block::Section(title) | Block::Subsection(title) => groups.push((title, Vec::new())),
            Block::Entry(entry) => {
                if let Some((_, entries)) = groups.last_mut() {
                    entries.push(entry);
                }
            }
            _ => {}
        }
    }
    Ok(groups)
}

fn page_text(
    name: &str,
    section: u8,
    description: &str,
    parts: &[Part],
) -> Result<String, ManualError> {
    let mut writer = Writer::default();
    writer.line(".\\\" Made by `cargo xtask man`: change the texts of crates/timewright-manual.");
    writer.line(&format!(".Dd {DATE}"));
    writer.line(&format!(".Dt {} {section}", name.to_uppercase()));
    writer.line(".Os");
    writer.line(".Sh NAME");
    writer.line(&format!(".Nm {name}"));
    writer.line(&format!(".Nd {description}"));
    for part in parts {
        write_part(&mut writer, *part)?;
    }
    Ok(writer.finish())
}

fn write_part(writer: &mut Writer, part: Part) -> Result<(), ManualError> {
    let blocks = markup::parse(part.file, part.text)?;
    let rows = table::rows(part.kind);
    let entries = blocks.iter().filter_map(|block| match block {
        Block::Entry(entry) => Some(entry),
        _ => None,
    });
    check_names(part, entries.clone(), rows.as_deref())?;
    let mut rest = blocks.as_slice();
    while !rest.is_empty() {
        let is_entry = |block: &Block| matches!(block, Block::Entry(_));
        let prose = rest.iter().position(is_entry).unwrap_or(rest.len());
        let (prose, after) = rest.split_at(prose);
        write_prose(writer, prose);
        let run = after
            .iter()
            .position(|block| !is_entry(block))
            .unwrap_or(after.len());
        let (run, after) = after.split_at(run);
        rest = after;
        if run.is_empty() {
            continue;
        }
        writer.line(".Bl -tag -width indent");
        for block in run {
            if let Block::Entry(entry) = block {
                let row = rows
                    .as_ref()
                    .and_then(|rows| rows.iter().find(|row| row.name == entry.name()));
                write_entry(writer, part, entry, row)?;
            }
        }
        writer.line(".El");
    }
    Ok(())
}

/// Prose between sections; a synopsis is written as macros.
fn write_prose(writer: &mut Writer, blocks: &[Block]) {
    let mut rest = blocks;
    while let Some((first, after)) = rest.split_first() {
        let end = after
            .iter()
            .position(|block| matches!(block, Block::Section(_) | Block::Subsection(_)))
            .unwrap_or(after.len());
        let (body, next) = after.split_at(end);
        rest = next;
        match first {
            Block::Section(title) if title == "SYNOPSIS" => {
                writer.line(".Sh SYNOPSIS");
                for block in body {
                    write_synopsis(writer, block);
                }
            }
            Block::Section(_) | Block::Subsection(_) => {
                writer.blocks(std::slice::from_ref(first));
                writer.blocks(body);
            }
            _ => {
                let text = blocks.get(..1 + end).unwrap_or(blocks);
                writer.line(".Pp");
                writer.blocks(text);
            }
        }
    }
}

/// A display whose lines begin with the program's name and go on with its options.
fn write_synopsis(writer: &mut Writer, block: &Block) {
    let Block::Display(lines) = block else { return };
    for line in lines {
        match line.strip_prefix(' ') {
            // What stands in one line of source is kept in one line of output.
            Some(usage) => {
                for group in synopsis::groups(usage.trim()) {
                    writer.line(&format!(".{}", synopsis::macros(group)));
                }
            }
            None => writer.line(&format!(".Nm {line}")),
        }
    }
}

/// Every row has one entry, and every entry a row.
fn check_names<'a>(
    part: Part,
    entries: impl Iterator<Item = &'a Entry> + Clone,
    rows: Option<&[Row]>,
) -> Result<(), ManualError> {
    let error = |line, problem| ManualError {
        file: part.file,
        line,
        problem,
    };
    for (at, entry) in entries.clone().enumerate() {
        if let Some(rows) = rows
            && !rows.iter().any(|row| row.name == entry.name())
        {
            let problem = format!("{} is in no table of {:?}", entry.name(), part.kind);
            return Err(error(entry.line, problem));
        }
        if entries
            .clone()
            .take(at)
            .any(|other| other.name() == entry.name())
        {
            return Err(error(
                entry.line,
                format!("{} is described twice", entry.name()),
            ));
        }
    }
    for row in rows.unwrap_or_default() {
        if !entries.clone().any(|entry| entry.name() == row.name) {
            let problem = format!("{} of {:?} is not described", row.name, part.kind);
            return Err(error(0, problem));
        }
    }
    Ok(())
}

fn write_entry(
    writer: &mut Writer,
    part: Part,
    entry: &Entry,
    row: Option<&Row>,
) -> Result<(), ManualError> {
    match row {
        Some(row) => writer.line(&mdoc::item(&row.usage)),
        None => {
            for heading in &entry.headings {
                writer.line(&mdoc::item(heading));
            }
        }
    }
    writer.blocks(&entry.body);
    let note = row.and_then(|row| row.note.clone());
    if let Some(note) = note.or_else(|| missing(entry)) {
        if !entry.body.is_empty() {
            writer.line(".Pp");
        }
        writer.running(&note);
    }
    let facts = facts(part, entry, row)?;
    if !facts.is_empty() {
        writer.line(".Pp");
        writer.running(&facts);
    }
    writer.examples(&entry.examples);
    Ok(())
}

/// What is to be said about something that has no effect yet.
fn missing(entry: &Entry) -> Option<String> {
    if let Some(consequence) = &entry.missing {
        return Some(format!("Not built yet: {consequence}."));
    }
    let needs = entry.needs.as_deref()?;
    let (directive, consequence) = match needs.split_once(';') {
        Some((directive, consequence)) => (directive, consequence.trim()),
        None => (needs, "parsed and checked, but without effect"),
    };
    (!table::is_active(directive)).then(|| format!("Not built yet: {consequence}."))
}

/// Default and range in one paragraph that announces the examples; what is missing is an error.
fn facts(part: Part, entry: &Entry, row: Option<&Row>) -> Result<String, ManualError> {
    let usage = row.map_or_else(|| entry.headings.join(" "), |row| row.usage.clone());
    let duty = Duty::of(part.kind);
    let takes_value = if duty.command {
        usage.contains('<')
    } else {
        usage.contains(' ')
    };
    let from_table = row.map_or("", |row| row.default.as_str());
    let mut facts = Vec::new();
    match (from_table, entry.default.as_deref()) {
        ("", None) if duty.parsed && !takes_value => facts.push("Default: off.".to_owned()),
        ("", None) => {}
        ("", Some(text)) => facts.push(format!("Default: {text}.")),
        (value, None) => facts.push(format!("Default: {}.", literal_head(value))),
        // A build may give a value to what has none otherwise.
        (value, Some("none")) => facts.push(format!("Default: {}.", literal_head(value))),
        (value, Some(text)) => facts.push(format!("Default: {} ({text}).", literal_head(value))),
    }
    if let Some(range) = &entry.range {
        let range = match entry.integer_range() {
            Some((min, max)) => {
                let remark = range.split_once(';').map_or("", |(_, remark)| remark);
                let comma = if remark.is_empty() { "" } else { ";" };
                format!("{min} to {max}{comma}{remark}")
            }
            None => range.clone(),
        };
        facts.push(format!("Range: {range}."));
    }
    match entry.examples.len() {
        0 => {}
        1 => facts.push("Example:".to_owned()),
        _ => facts.push("Examples:".to_owned()),
    }
    let has_default = !from_table.is_empty() || entry.default.is_some();
    let missing = if entry.body.is_empty() {
        Some("meaning")
    } else if duty.parsed && takes_value && !has_default {
        Some("default")
    } else if (duty.parsed || duty.command) && takes_value && entry.range.is_none() {
        Some("range")
    } else if (duty.parsed || duty.command || part.kind == Kind::Drivers)
        && entry.examples.is_empty()
    {
        Some("example")
    } else {
        None
    };
    match missing {
        None => Ok(facts.join(" ")),
        Some(what) => Err(ManualError {
            file: part.file,
            line: entry.line,
            problem: format!("{} has no {what}", entry.name()),
        }),
    }
}

/// What an entry of a kind has to say.
struct Duty {
    /// It describes something the configuration's parser reads.
    parsed: bool,
    /// It describes a command.
    command: bool,
}

impl Duty {
    const fn of(kind: Kind) -> Self {
        Self {
            parsed: matches!(
                kind,
                Kind::SourceOptions
                    | Kind::RefclockOptions
                    | Kind::HwTimestampOptions
                    | Kind::LocalOptions
                    | Kind::RateLimitOptions
            ) || matches!(kind, Kind::Directives(section) if !matches!(section, Section::Obsolete)),
            command: matches!(kind, Kind::Commands),
        }
    }
}

/// Marks the value before a remark as literal.
fn literal_head(value: &str) -> String {
    match value.split_once(';') {
        Some((head, remark)) => format!("`{head}`;{remark}"),
        None => format!("`{value}`"),
    }
}
