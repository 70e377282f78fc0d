//! What the pages say about the configuration is what its parser does.

#![forbid(unsafe_code)]

use timewright_config::{
    Config, LogTypes, MemoryFiles, OpenCommand, ParseOptions, directives, parse_lines,
};
use timewright_manual::markup::{Block, Entry, parse};
use timewright_manual::table::{Kind, Row, driver_options, rows};
use timewright_manual::{Part, pages, parts};

/// The configuration of one line, or the message of the error.
fn config(line: &str) -> Result<Config, String> {
    let files = MemoryFiles::new().with("/etc/chrony.d/a.conf", "");
    parse_lines([line], &files, ParseOptions::default())
        .map(|parsed| parsed.config)
        .map_err(|failure| failure.to_string())
}

/// The blocks of a text.
fn read(part: Part) -> Vec<Block> {
    parse(part.file, part.text).unwrap_or_else(|error| panic!("{error}"))
}

/// Every entry that has a row, with its kind.
fn entries() -> Vec<(Kind, Entry, Row)> {
    let mut found = Vec::new();
    for part in parts() {
        let Some(rows) = rows(part.kind) else {
            continue;
        };
        for block in read(part) {
            if let Block::Entry(entry) = block {
                let row = rows.iter().find(|row| row.name == entry.name());
                let row = row.unwrap_or_else(|| panic!("{} has no row", entry.name()));
                found.push((part.kind, entry.clone(), row.clone()));
            }
        }
    }
    assert!(found.len() > 170, "{}", found.len());
    found
}

/// A line that uses the entry's directive or option with this value.
fn line(kind: Kind, name: &str, value: &str) -> String {
    let before = match kind {
        Kind::SourceOptions => "server 192.0.2.1 ",
        Kind::RefclockOptions => "refclock SHM 0 ",
        Kind::HwTimestampOptions => "hwtimestamp eth0 ",
        Kind::LocalOptions => "local ",
        Kind::RateLimitOptions => "ratelimit ",
        _ => "",
    };
    format!("{before}{name} {value}").trim().to_owned()
}

#[test]
fn every_table_has_its_entries() {
    // What is missing or too much is the error.
    let pages = pages().unwrap();
    let names: Vec<String> = pages.iter().map(|page| page.file_name()).collect();
    assert_eq!(names, ["chronyd.8", "chronyc.1", "chrony.conf.5"]);
}

#[test]
fn examples_are_accepted_and_use_what_they_show() {
    let mut count = 0;
    for (kind, entry, _) in entries() {
        for example in &entry.examples {
            count += 1;
            let parsed = config(example);
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
            let name = entry.name();
            let mut words = example.split([' ', ':']);
            assert!(words.any(|word| word == name), "{name}: {example}");
            for refclock in parsed.unwrap().refclocks {
                refclock.driver().unwrap();
            }
            if let Kind::Directives(_) = kind {
                assert!(
                    example.starts_with(&format!("{name} ")) || example == name,
                    "{example}"
                );
            }
        }
    }
    assert!(count > 170, "{count}");
}

#[test]
fn displays_of_the_configuration_page_are_accepted() {
    let mut lines = 0;
    for part in parts().filter(|part| ["conf/intro.md", "conf/end.md"].contains(&part.file)) {
        for block in read(part) {
            let Block::Display(text) = block else {
                continue;
            };
            let files = MemoryFiles::new();
            let parsed = parse_lines(&text, &files, ParseOptions::default());
            assert!(parsed.is_ok(), "{text:?}: {parsed:?}");
            lines += text.len();
        }
    }
    assert!(lines > 30, "{lines}");
}

#[test]
fn refused_values_are_refused() {
    let mut count = 0;
    for (_, entry, _) in entries() {
        for refused in &entry.refused {
            assert!(config(refused).is_err(), "{refused}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn integer_ranges_are_those_of_the_parser() {
    let mut count = 0;
    for (kind, entry, _) in entries() {
        let Some((min, max)) = entry.integer_range() else {
            continue;
        };
        let accepts = |value: i64| config(&line(kind, entry.name(), &value.to_string())).is_ok();
        for (value, want) in [(min - 1, false), (min, true), (max, true), (max + 1, false)] {
            // Beyond 32 bits the values of options wrap around.
            let wraps = max == i64::from(i32::MAX) && value > max;
            assert!(wraps || accepts(value) == want, "{} {value}", entry.name());
        }
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn defaults_are_those_of_the_parser() {
    let mut count = 0;
    for (kind, entry, row) in entries() {
        if row.default.is_empty() || matches!(kind, Kind::Drivers) {
            continue;
        }
        let default = row.default.split(';').next().unwrap();
        let (base, with) = match kind {
            Kind::Directives(_) => (Config::default(), line(kind, entry.name(), default)),
            _ => (
                config(line(kind, "", "").trim()).unwrap(),
                line(kind, entry.name(), default),
            ),
        };
        match (entry.name(), config(&with)) {
            // Two values, one for each family.
            ("bindcmdaddress", _) => {
                for value in default.split(", ") {
                    assert_eq!(
                        config(&line(kind, "bindcmdaddress", value)),
                        Ok(base.clone())
                    );
                }
            }
            // Rounded for the reader.
            ("maxslewrate", Ok(config)) => {
                let rate = |config: &Config| config.clock.max_slew_rate_ppm;
                assert!((rate(&config) - rate(&base)).abs() < 1e-3);
            }
            (name, found) => assert_eq!(found, Ok(base), "{name}"),
        }
        count += 1;
    }
    assert!(count > 70, "{count}");
}

/// The terms that an entry explains.
fn terms(entry: &Entry) -> Vec<String> {
    entry
        .body
        .iter()
        .flat_map(|block| match block {
            Block::Terms(terms) => terms.iter().map(|(term, _)| term.clone()).collect(),
            _ => Vec::new(),
        })
        .collect()
}

/// The entry of a directive.
fn directive(name: &str) -> Entry {
    let of_name = |(kind, entry, _): &(Kind, Entry, Row)| {
        matches!(kind, Kind::Directives(_)) && entry.name() == name
    };
    let found = entries().into_iter().find(of_name);
    found.unwrap_or_else(|| panic!("{name}")).1
}

#[test]
fn lists_of_words_are_complete() {
    let mut logs = terms(&directive("log"));
    logs.sort_unstable();
    assert_eq!(logs, LogTypes::NAMES.map(|name| format!("`{name}`")));

    let range = directive("opencommands").range.unwrap();
    let words: Vec<&str> = range.split('`').nth(1).unwrap().split(' ').collect();
    assert_eq!(words, OpenCommand::NAMES.map(|(name, _)| name));

    for name in ["authselectmode", "leapsecmode"] {
        let usage = directives::find(name.as_bytes()).unwrap().arguments;
        let mut words: Vec<String> = usage.split('|').map(|word| format!("`{word}`")).collect();
        let mut explained = terms(&directive(name));
        words.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, words, "{name}");
        for word in usage.split('|') {
            assert!(config(&format!("{name} {word}")).is_ok(), "{name} {word}");
        }
    }
}

#[test]
fn driver_options_are_explained() {
    for (kind, entry, _) in entries() {
        if kind != Kind::Drivers {
            continue;
        }
        let want: Vec<String> = driver_options(entry.name())
            .iter()
            .map(|option| format!("`{option}`"))
            .collect();
        assert_eq!(terms(&entry), want, "{}", entry.name());
    }
}

#[test]
fn needed_directives_exist() {
    let mut count = 0;
    for part in parts() {
        for block in read(part) {
            let Block::Entry(entry) = block else { continue };
            let Some(needs) = &entry.needs else { continue };
            let directive = needs.split(';').next().unwrap_or(needs);
            let found = directives::find(directive.as_bytes());
            assert!(found.is_some(), "{} needs {directive}", entry.name());
            count += 1;
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn no_marks_are_left_in_the_pages() {
    for page in pages().unwrap() {
        let mut displayed = false;
        for line in page.text.lines() {
            displayed |= line.starts_with(".Bd");
            displayed &= !line.starts_with(".Ed");
            if displayed || line.starts_with(".\\\"") {
                continue;
            }
            let marks = line.matches(['`', '*']).count();
            // A star may stand alone, as the state of a source or for all interfaces.
            let alone = line.split(' ').filter(|word| *word == "*").count();
            assert_eq!(marks, alone, "{}: {line}", page.file_name());
        }
    }
}
