//! The manual page describes the commands of the table: no more, no less, in the same order.

use super::*;
use crate::exchange;
use timewright_manual::markup::Entry;

/// What the table has in the place of an entry's headings.
fn usages(command: &Command) -> Vec<&'static str> {
    command.help.iter().map(|(usage, _)| *usage).collect()
}

/// The commands that an entry describes: `exit|quit` is one row with two words.
fn words(entry: &Entry) -> Vec<&str> {
    entry.name().split('|').collect()
}

#[test]
fn every_command_has_an_entry_in_its_place() {
    let manual = timewright_manual::commands().unwrap();
    assert_eq!(manual.len(), SECTIONS.len());
    for ((title, entries), section) in manual.iter().zip(SECTIONS) {
        assert_eq!(format!("{title}:"), section.title);
        let mut entries = entries.iter();
        for command in section.commands {
            if command.help.is_empty() {
                // Kept for old scripts: the table has no usage, but each word has its entry.
                for word in command.words {
                    assert_eq!(entries.next().map(words), Some(vec![*word]), "{title}");
                }
                continue;
            }
            let entry = entries.next();
            assert_eq!(entry.map(words), Some(command.words.to_vec()), "{title}");
            let headings = entry
                .map(|entry| entry.headings.clone())
                .unwrap_or_default();
            assert_eq!(headings, usages(command), "{title}");
        }
        assert_eq!(entries.next(), None, "{title}: an entry without a command");
    }
}

#[test]
fn examples_are_commands() {
    let mut count = 0;
    for (_, entries) in timewright_manual::commands().unwrap() {
        for entry in entries {
            for example in &entry.examples {
                let (word, _) = split_word(example);
                assert!(words(&entry).contains(&word), "{example}");
                count += 1;
            }
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn limits_of_the_client_are_those_of_the_code() {
    let entries: Vec<Entry> = timewright_manual::commands()
        .unwrap()
        .into_iter()
        .flat_map(|(_, entries)| entries)
        .collect();
    for (name, default, range) in [
        (
            "timeout",
            exchange::TIMEOUT_MS.to_string(),
            format!("{} or more", client::TIMEOUT_MIN_MS),
        ),
        (
            "retries",
            exchange::RETRIES.to_string(),
            format!("0 to {}", client::RETRIES_MAX),
        ),
    ] {
        let entry = entries.iter().find(|entry| entry.name() == name).unwrap();
        assert_eq!(entry.default, Some(default), "{name}");
        assert_eq!(entry.range, Some(range), "{name}");
    }
}
