//! What the parsers' tables say about the things that have entries.

use timewright_config::directives::{self, Section, Status};
use timewright_config::{OptionRow, hwtimestamp, local, ratelimit, refclock, source};

/// What the entries of a text describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: the text has no entries.
    Prose,
    /// The directives of a section.
    Directives(Section),
    /// The options of `server`, `pool` and `peer`.
    SourceOptions,
    /// The drivers of `refclock`.
    Drivers,
    /// The options of `refclock`.
    RefclockOptions,
    /// The options of `hwtimestamp`.
    HwTimestampOptions,
    /// The options of `local`.
    LocalOptions,
    /// The options of `ratelimit`, `ntsratelimit` and `cmdratelimit`.
    RateLimitOptions,
    /// Commands of chronyc; its own tests compare them.
    Commands,
    /// Options of a program's command line; its own tests compare them.
    Switches,
}

/// A row of a table, as far as a manual needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The name, by which the entry is found.
    pub name: &'static str,
    /// The name and its arguments.
    pub usage: String,
    /// The default; empty if there is none or it is not a value.
    pub default: String,
    /// What is to be said about its state, in the markup of the texts.
    pub note: Option<String>,
}

/// The rows that a kind of text has to describe, or `None` if it brings its own usages.
#[must_use]
pub fn rows(kind: Kind) -> Option<Vec<Row>> {
    match kind {
        Kind::Prose => Some(Vec::new()),
        Kind::Directives(section) => Some(directive_rows(section)),
        Kind::SourceOptions => Some(options(source::OPTIONS)),
        Kind::Drivers => Some(refclock::DRIVERS.iter().map(driver_row).collect()),
        Kind::RefclockOptions => Some(options(refclock::OPTIONS)),
        Kind::HwTimestampOptions => Some(options(hwtimestamp::OPTIONS)),
        Kind::LocalOptions => Some(options(local::OPTIONS)),
        Kind::RateLimitOptions => Some(limit_rows()),
        Kind::Commands | Kind::Switches => None,
    }
}

fn directive_rows(section: Section) -> Vec<Row> {
    let of_section = directives::all().filter(|row| row.section == section);
    of_section
        .map(|row| Row {
            name: row.name,
            usage: format!("{} {}", row.name, row.arguments).trim().to_owned(),
            default: row.default.to_owned(),
            note: state(row),
        })
        .collect()
}

/// What the table says about a directive that is not in full effect.
fn state(row: &directives::Directive) -> Option<String> {
    match row.status() {
        Status::Active => None,
        Status::Pending => {
            Some("Not built yet: parsed and checked, but without effect.".to_owned())
        }
        Status::Alias(name) => Some(format!("Another name of `{name}`.")),
        Status::Ignored => Some("Accepted with any arguments and ignored.".to_owned()),
        Status::NoLongerSupported => {
            Some("Accepted with any arguments and ignored with a warning.".to_owned())
        }
    }
}

/// Whether a directive has its effect.
#[must_use]
pub fn is_active(directive: &str) -> bool {
    directives::find(directive.as_bytes()).is_some_and(|row| row.status() == Status::Active)
}

fn options<T>(table: &'static [OptionRow<T>]) -> Vec<Row> {
    let row = |row: &OptionRow<T>| Row {
        name: row.name,
        usage: format!("{} {}", row.name, row.value).trim().to_owned(),
        default: row.default.to_owned(),
        note: None,
    };
    table.iter().map(row).collect()
}

fn driver_row(&(name, parameter, options, _): &(&'static str, &str, &str, &str)) -> Row {
    let options = match options.split_whitespace().collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [one] => format!("[:{one}]"),
        _ => "[:OPTION]...".to_owned(),
    };
    Row {
        name,
        usage: format!("{name} {parameter}{options}"),
        ..Row::default()
    }
}

/// The words behind the parameter that a driver knows.
#[must_use]
pub fn driver_options(driver: &str) -> Vec<&'static str> {
    let row = refclock::DRIVERS.iter().find(|row| row.0 == driver);
    let words = row.map_or("", |row| row.2).split_whitespace();
    words
        .map(|word| word.split('=').next().unwrap_or(word))
        .collect()
}

/// The three rate limits share their options, but not all defaults.
fn limit_rows() -> Vec<Row> {
    let mut rows = options(ratelimit::NTP_OPTIONS);
    let others = [
        ("ntsratelimit", ratelimit::NTS_OPTIONS),
        ("cmdratelimit", ratelimit::COMMAND_OPTIONS),
    ];
    for row in &mut rows {
        for (directive, table) in others {
            match table.iter().find(|other| other.name == row.name) {
                None => row
                    .default
                    .push_str(&format!("; not an option of `{directive}`")),
                Some(other) if !row.default.starts_with(other.default) => row
                    .default
                    .push_str(&format!("; `{directive}` {}", other.default)),
                Some(_) => {}
            }
        }
    }
    rows
}

/// The value of a constant that texts may name.
#[must_use]
pub fn constant(name: &str) -> Option<String> {
    let value = match name {
        "release" => env!("CARGO_PKG_VERSION"),
        "compatible" => "4.8",
        "config_file" => timewright_defaults::CONFIG_FILE,
        "run_dir" => timewright_defaults::RUN_DIR,
        "state_dir" => timewright_defaults::STATE_DIR,
        "pid_file" => timewright_defaults::PID_FILE,
        "socket" => timewright_defaults::COMMAND_SOCKET,
        "user" => timewright_defaults::USER,
        "chronyc_user" => timewright_defaults::CHRONYC_USER,
        "sendmail" => timewright_defaults::SENDMAIL,
        "command_port" => return Some(timewright_control::DEFAULT_PORT.to_string()),
        _ => return None,
    };
    Some(value.to_owned())
}
