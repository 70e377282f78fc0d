//! Walks every directive and every option through the cases of `tests/data/table`, which were
//! written from `config.md` and know nothing of the parser's own tables.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests, too"
)]

use std::collections::{BTreeMap, BTreeSet};

use timewright_config::directives::{self, Arity};
use timewright_config::{
    LogTypes, MemoryFiles, OpenCommand, OptionRow, ParseOptions, Parsed, hwtimestamp, local,
    parse_file, parse_sources_fragment, ratelimit, refclock, source,
};

#[path = "walk/cases.rs"]
mod cases;
#[path = "walk/observe.rs"]
mod observe;

use cases::{Case, Old, Want};

const PRINT: ParseOptions = ParseOptions {
    client_only: false,
    restart: false,
    print: true,
};

/// Names that share the cases of another one.
const TWINS: [(&str, &[&str]); 2] = [
    ("server", &["pool", "peer"]),
    ("allow", &["deny", "cmdallow", "cmddeny"]),
];

fn files(case: &Case) -> MemoryFiles {
    let files = MemoryFiles::new().with("t.conf", &case.main);
    case.others
        .iter()
        .fold(files, |files, (name, content)| files.with(name, content))
}

/// Numbers are compared as numbers, everything else as text.
fn same_words(one: &str, other: &str) -> bool {
    let same = |(one, other): (&str, &str)| {
        one == other
            || match (one.parse::<f64>(), other.parse::<f64>()) {
                (Ok(a), Ok(b)) => a.total_cmp(&b).is_eq(),
                _ => false,
            }
    };
    let (one, other): (Vec<&str>, Vec<&str>) =
        (one.split(' ').collect(), other.split(' ').collect());
    one.len() == other.len() && one.into_iter().zip(other).all(same)
}

fn printed(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line, &b"\n"[..]].concat())
        .collect()
}

/// What is wrong with the outcome of a case, if anything.
fn fault(case: &Case) -> Option<String> {
    let files = files(case);
    let outcome = parse_file("t.conf", &files, PRINT);
    let (config, warnings) = match (&outcome, &case.want) {
        (Err(failure), Want::Fatal(want)) if failure.to_string() == *want => return None,
        (Err(failure), Want::PrintsFatal(lines, want))
            if failure.to_string() == *want && printed(&failure.printed) == *lines =>
        {
            return None;
        }
        (Err(failure), _) => return Some(format!("refused: {failure}")),
        (
            Ok(Parsed {
                config, warnings, ..
            }),
            _,
        ) => (config, warnings),
    };
    let warned: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    if let Want::Warn(want) = &case.want {
        return (warned != [want.as_str()]).then(|| format!("warned: {warned:?}"));
    }
    if !warned.is_empty() {
        return Some(format!("warned: {warned:?}"));
    }
    let (found, want) = match &case.want {
        Want::Ok(want) => (observe::written(&case.item, config, &files), want.clone()),
        Want::Effective(want) => match case.item.strip_prefix("refclock.") {
            Some(option) => (observe::effective(option, config), want.clone()),
            // What else is adjusted, the engine adjusts; its own tests walk the same cases.
            None => return None,
        },
        Want::Prints(want) => {
            let lines = printed(&outcome.as_ref().unwrap().printed);
            return (lines != *want).then(|| format!("printed: {lines:?}"));
        }
        Want::Start(want) => (
            config
                .check()
                .err()
                .map_or_else(String::new, |error| error.to_string()),
            want.clone(),
        ),
        Want::Unresolved(want) => {
            let rules = config.server.access.iter().chain(&config.command.access);
            let last = rules.last().unwrap().unresolved();
            (last.to_string(), want.clone())
        }
        _ => return Some("accepted".to_owned()),
    };
    (!same_words(&found, &want)).then(|| format!("found: {found}"))
}

#[track_caller]
fn check<'a>(cases: impl IntoIterator<Item = &'a Case>) -> usize {
    let mut checked = 0;
    let mut faults = Vec::new();
    for case in cases {
        checked += 1;
        if let Some(fault) = fault(case) {
            faults.push(format!("{}\n    {fault}", case.line));
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    checked
}

#[test]
fn every_case_has_its_outcome() {
    let (_, cases) = cases::read();
    let checked = check(&cases);
    assert!(checked > 2100, "only {checked} cases");
}

/// The case with another word for `name`, in its lines and messages.
fn renamed(case: &Case, name: &str, other: &str) -> Case {
    let main = String::from_utf8(case.main.clone()).unwrap();
    let lines = main.split('\n').map(|line| {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            _ if word == name => format!("{other} {rest}"),
            _ if word.eq_ignore_ascii_case(name) => format!("{} {rest}", other.to_uppercase()),
            _ => line.to_owned(),
        }
    });
    let main = lines.collect::<Vec<_>>().join("\n").into_bytes();
    // Messages name the directive before the word `directive`.
    let message = |text: &String| {
        let (old, shouted) = (format!(" {name} directive"), name.to_uppercase());
        format!(" {text}")
            .replace(&old, &format!(" {other} directive"))
            .replace(
                &format!(" {shouted} directive"),
                &format!(" {} directive", other.to_uppercase()),
            )
            .split_off(1)
    };
    let want = match &case.want {
        Want::Fatal(text) => Want::Fatal(message(text)),
        Want::Warn(text) => Want::Warn(message(text)),
        Want::Unresolved(text) => Want::Unresolved(message(text)),
        want => want.clone(),
    };
    Case {
        main,
        want,
        item: case.item.replacen(name, other, 1),
        line: format!("{} as {other}", case.line),
        ..case.clone()
    }
}

fn directive_of(case: &Case) -> &str {
    case.item.split('.').next().unwrap()
}

/// Cases of source options are also seen with `effective`, which knows only `server`.
fn twin(case: &Case, name: &str, other: &str) -> Case {
    let mut twin = renamed(case, name, other);
    if name == "server" && case.item != "server" {
        twin.item.clone_from(&case.item);
    }
    twin
}

#[test]
fn twins_take_the_same() {
    let (_, cases) = cases::read();
    for (name, others) in TWINS {
        let cases: Vec<&Case> = cases
            .iter()
            .filter(|case| directive_of(case) == name)
            .collect();
        for other in others {
            let twins: Vec<Case> = cases.iter().map(|case| twin(case, name, other)).collect();
            let checked = check(&twins);
            assert!(checked > 50, "{other}: only {checked} cases");
        }
    }
}

#[test]
fn names_of_directives_have_no_case() {
    let (_, cases) = cases::read();
    let shouted: Vec<Case> = cases
        .iter()
        .filter(|case| directives::find(directive_of(case).as_bytes()).is_some())
        .filter(|case| case.kind != "case" && case.others.is_empty())
        .map(|case| {
            let name = directive_of(case);
            let mut shouted = renamed(case, name, &name.to_uppercase());
            shouted.item.clone_from(&case.item);
            shouted
        })
        .collect();
    let checked = check(&shouted);
    assert!(checked > 1700, "only {checked} cases");
}

/// Each line of the input is printed as it stands, down to the one that is refused.
#[test]
fn directives_are_printed() {
    let (_, cases) = cases::read();
    let mut checked = 0;
    for case in &cases {
        let is_plain = !matches!(case.item.as_str(), "include" | "confdir")
            && !case.item.starts_with("lexical");
        if !is_plain {
            continue;
        }
        let main = String::from_utf8(case.main.clone()).unwrap();
        let lines: Vec<&str> = main.lines().collect();
        let found = match parse_file("t.conf", &files(case), PRINT) {
            Ok(parsed) => parsed.printed,
            Err(failure) => failure.printed,
        };
        let found: Vec<&str> = found
            .iter()
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        assert_eq!(found, lines, "{}", case.line);
        checked += 1;
    }
    assert!(checked > 1800, "only {checked} cases");
}

/// In `*.sources` files the same lines mean the same sources, and wrong ones nothing.
#[test]
fn fragments_take_the_same_sources() {
    let (_, cases) = cases::read();
    let (mut taken, mut left_out) = (0, 0);
    for case in cases.iter().filter(|case| case.item.starts_with("server")) {
        let fragment = [&case.main[..], b"\n"].concat();
        let found = parse_sources_fragment(&fragment);
        match parse_file("t.conf", &files(case), PRINT) {
            Ok(parsed) => {
                // What is not a number is not even equal to itself.
                let (found, want) = (format!("{found:?}"), format!("{:?}", parsed.config.sources));
                assert_eq!(found, want, "{}", case.line);
                taken += 1;
            }
            Err(_) => {
                assert!(found.is_empty(), "{}: {found:?}", case.line);
                left_out += 1;
            }
        }
    }
    assert!(
        taken > 200 && left_out > 120,
        "{taken} taken, {left_out} left out"
    );
}

/// Names of all items the parser knows, from its own tables.
fn known_items() -> BTreeMap<String, Shape> {
    let mut items: BTreeMap<String, Shape> = directives::all()
        .map(|row| (row.name.to_owned(), Shape::of_directive(row)))
        .collect();
    add(&mut items, "server", source::OPTIONS);
    add(&mut items, "refclock", refclock::OPTIONS);
    add(&mut items, "local", local::OPTIONS);
    add(&mut items, "hwtimestamp", hwtimestamp::OPTIONS);
    add(&mut items, "ratelimit", ratelimit::NTP_OPTIONS);
    add(&mut items, "ntsratelimit", ratelimit::NTS_OPTIONS);
    add(&mut items, "cmdratelimit", ratelimit::COMMAND_OPTIONS);
    items
}

fn add<T>(items: &mut BTreeMap<String, Shape>, directive: &str, table: &[OptionRow<T>]) {
    for row in table {
        let shape = if row.value.is_empty() {
            Shape::Flag
        } else {
            Shape::Valued
        };
        items.insert(format!("{directive}.{}", row.name), shape);
    }
}

/// What the parser's tables say about the words of an item.
#[derive(Debug, PartialEq)]
enum Shape {
    Flag,
    Valued,
    /// A directive whose words are counted.
    Counted,
    /// A directive that looks at its words itself.
    Free,
}

impl Shape {
    fn of_directive(row: &directives::Directive) -> Self {
        match row.arity {
            Arity::Exactly(0) => Self::Flag,
            Arity::Free => Self::Free,
            _ => Self::Counted,
        }
    }
}

/// Kinds of cases that an item must have.
fn kinds_of(shape: &str) -> &'static [&'static str] {
    match shape {
        "int" => &[
            "default", "min", "max", "below", "above", "type", "missing", "extra", "repeat",
        ],
        "float" | "enum" | "address" | "compound" | "path" => {
            &["default", "value", "type", "missing", "extra", "repeat"]
        }
        "word" | "host" => &["default", "value", "missing", "extra", "repeat"],
        "flag" => &["default", "value", "extra", "repeat"],
        "list" => &["default", "value", "type", "repeat"],
        "access" => &[
            "default", "value", "min", "max", "below", "above", "type", "extra", "repeat",
        ],
        "files" => &["default", "value", "missing", "extra", "repeat", "case"],
        "obsolete" => &["default", "value", "extra"],
        "free" => &[],
        _ => panic!("{shape}: no such shape"),
    }
}

#[test]
fn every_item_has_every_kind_of_case() {
    let (items, cases) = cases::read();
    for item in &items {
        let kinds: BTreeSet<&str> = cases
            .iter()
            .filter(|case| case.item == item.name)
            .map(|case| case.kind.as_str())
            .collect();
        for kind in kinds_of(&item.shape) {
            assert!(kinds.contains(kind), "{}: no case `{kind}`", item.name);
        }
        assert!(!kinds.is_empty(), "{}: no cases", item.name);
    }
}

#[test]
fn parser_and_cases_know_the_same_items() {
    let known = known_items();
    let (items, _) = cases::read();
    let twins: BTreeSet<&str> = TWINS
        .iter()
        .flat_map(|(_, others)| others.iter().copied())
        .collect();
    let with_cases: BTreeMap<&str, &str> = items
        .iter()
        .map(|item| (item.name.as_str(), item.shape.as_str()))
        .collect();
    assert_eq!(with_cases.len(), items.len(), "an item stands twice");
    for name in known.keys() {
        assert!(
            with_cases.contains_key(name.as_str()) || twins.contains(name.as_str()),
            "{name} has no cases"
        );
    }
    for (name, shape) in with_cases {
        let beside = name.starts_with("lexical")
            || name.starts_with("refclock.driver.")
            || name == "bindcmdaddress.path";
        if beside {
            continue;
        }
        let found = known
            .get(name)
            .unwrap_or_else(|| panic!("the parser does not know {name}"));
        let fits = match found {
            Shape::Flag => shape == "flag",
            Shape::Valued => {
                matches!(shape, "int" | "float" | "enum" | "word") || name.ends_with(".ipv4")
            }
            Shape::Counted => !matches!(shape, "flag" | "free" | "obsolete"),
            Shape::Free => !matches!(shape, "flag" | "int" | "float" | "word" | "address"),
        };
        assert!(
            fits,
            "{name} is {shape} in the cases and {found:?} to the parser"
        );
    }
}

/// The old release is looser only where something is refused, and newer things are accepted.
#[test]
fn differences_from_the_old_release_fit_the_outcomes() {
    let (_, cases) = cases::read();
    for case in &cases {
        let is_refused = matches!(
            case.want,
            Want::Fatal(_) | Want::Unresolved(_) | Want::PrintsFatal(..)
        );
        match case.old {
            Old::Same => {}
            Old::Terse | Old::Loose => assert!(is_refused, "{}", case.line),
            Old::New => assert!(!is_refused, "{}", case.line),
        }
    }
    let same = cases.iter().filter(|case| case.old == Old::Same).count();
    assert!(same > 1500, "only {same} cases are the same");
}

/// The message tells missing from superfluous words exactly where the words are counted.
#[test]
fn counted_words_have_their_own_messages() {
    let (_, cases) = cases::read();
    let known = known_items();
    for case in &cases {
        let (Some(shape), Want::Fatal(message)) = (known.get(&case.item), &case.want) else {
            continue;
        };
        let counted = ["Missing arguments for ", "Too many arguments for "]
            .iter()
            .any(|start| message.starts_with(start));
        let is_count = matches!(case.kind.as_str(), "missing" | "extra");
        let is_counted = match shape {
            Shape::Counted => true,
            Shape::Flag => !case.item.contains('.'),
            _ => false,
        };
        // What is included has messages of its own.
        if case.kind != "error" {
            assert_eq!(counted, is_count && is_counted, "{}", case.line);
        }
    }
}

#[test]
fn every_word_of_a_list_has_a_case() {
    let (_, cases) = cases::read();
    let has = |item: &str, word: &str| {
        let line = format!("{item} {word}").into_bytes();
        cases
            .iter()
            .any(|case| case.item == item && case.kind == "value" && case.main == line)
    };
    for name in LogTypes::NAMES {
        assert!(has("log", name), "log {name}");
    }
    for (name, _) in OpenCommand::NAMES {
        assert!(has("opencommands", name), "opencommands {name}");
    }
    for (driver, _, options, ..) in refclock::DRIVERS {
        let item = format!("refclock.driver.{driver}");
        let lines: Vec<String> = cases
            .iter()
            .filter(|case| case.item == item)
            .map(|case| String::from_utf8_lossy(&case.main).into_owned())
            .collect();
        assert!(!lines.is_empty(), "{driver} has no cases");
        for option in options.split(' ').filter(|option| !option.is_empty()) {
            let name = option.split('=').next().unwrap();
            let word = format!(":{name}");
            assert!(
                lines.iter().any(|line| line.contains(&word)),
                "{driver}: {name}"
            );
        }
    }
}
