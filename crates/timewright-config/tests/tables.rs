//! The tables say what the parser does: documented defaults are the defaults.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use timewright_config::{
    Config, MemoryFiles, OptionRow, ParseOptions, directives, hwtimestamp, local, parse_lines,
    ratelimit, refclock, source,
};

fn parse(lines: &[String]) -> Config {
    match parse_lines(lines, &MemoryFiles::new(), ParseOptions::default()) {
        Ok(parsed) => parsed.config,
        Err(failure) => panic!("{lines:?}: {failure}"),
    }
}

#[test]
fn defaults_of_directives_change_nothing() {
    let mut checked = 0;
    // The rate is documented with three digits only.
    for row in directives::all().filter(|row| !matches!(row.default, "" | "83333.333")) {
        let lines: Vec<String> = row
            .default
            .split(", ")
            .map(|value| format!("{} {value}", row.name))
            .collect();
        assert_eq!(parse(&lines), Config::default(), "{lines:?}");
        checked += 1;
    }
    assert!(checked > 35, "only {checked} defaults");
}

/// Every option is accepted by its directive; its default, if any, changes nothing.
#[track_caller]
fn check<T>(directive: &str, table: &[OptionRow<T>]) {
    let plain = parse(&[directive.to_owned()]);
    assert!(!table.is_empty());
    for row in table {
        assert!(
            row.help.ends_with('.') && row.name == row.name.to_lowercase(),
            "{}",
            row.name
        );
        if !row.default.is_empty() {
            let line = format!("{directive} {} {}", row.name, row.default);
            assert_eq!(parse(std::slice::from_ref(&line)), plain, "{line}");
        }
        if row.value.is_empty() {
            assert!(row.default.is_empty(), "{} is a flag", row.name);
            let with_flag = parse(&[format!("{directive} {}", row.name)]);
            assert_ne!(with_flag, plain, "{} has no effect", row.name);
        } else {
            let line = format!("{directive} {}", row.name);
            let outcome = parse_lines([&line], &MemoryFiles::new(), ParseOptions::default());
            assert!(outcome.is_err(), "{line}: the value is missing");
        }
    }
    let names: Vec<&str> = table.iter().map(|row| row.name).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn options_are_documented_as_they_are() {
    check("server a", source::OPTIONS);
    check("refclock SHM 0", refclock::OPTIONS);
    check("local", local::OPTIONS);
    check("hwtimestamp eth0", hwtimestamp::OPTIONS);
    check("ratelimit", ratelimit::NTP_OPTIONS);
    check("ntsratelimit", ratelimit::NTS_OPTIONS);
    check("cmdratelimit", ratelimit::COMMAND_OPTIONS);
}

#[test]
fn drivers_are_known() {
    for (name, ..) in refclock::DRIVERS {
        let config = parse(&[format!("refclock {name} 0")]);
        assert_eq!(config.check(), Ok(()), "{name}");
    }
}

#[test]
fn synopses_match_the_number_of_words() {
    use directives::Arity;
    for row in directives::all() {
        let words = row.arguments.split_whitespace().count();
        match row.arity {
            Arity::Exactly(count) => assert_eq!(words, count, "{}", row.name),
            Arity::Between(min, max) => {
                assert_eq!(words, max, "{}", row.name);
                assert_eq!(
                    words - row.arguments.matches('[').count(),
                    min,
                    "{}",
                    row.name
                );
            }
            Arity::Either(..) => assert_eq!(row.name, "tempcomp"),
            Arity::Free => assert!(words > 0, "{}", row.name),
        }
    }
}
