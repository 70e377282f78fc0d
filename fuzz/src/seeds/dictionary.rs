//! Dictionaries: words that libFuzzer puts into inputs, taken from the parsers' own tables.

use std::collections::BTreeSet;
use std::fmt::Write;
use timewright_config::{
    KeyType, LogTypes, OpenCommand, directives, hwtimestamp, local, ratelimit, refclock, source,
};

/// Words that stand in no table.
const CONFIG: &[&str] = &[
    "/24",
    "all",
    "clear",
    "extpps",
    "ignore",
    "interval",
    "leaponly",
    "mix",
    "none",
    "nocrossts",
    "perm=",
    "pin=",
    "channel=",
    "prefer",
    "ptp",
    "require",
    "slew",
    "step",
    "system",
    "utc",
    "/etc/chrony.d/*.conf",
    "/etc/chrony.d",
    "/etc/chrony.sources",
    "/etc/loop.conf",
    "/etc/bad.conf",
    "[[:alpha:]]",
    "[!a-z]",
    "\\",
    "\n",
    "\t",
    "\0",
    "192.0.2.0/24",
    "2001:db8::/32",
    "F323",
    "0x1.8p-3",
    "1e-6",
    "inf",
    "nan",
    "-1",
    "4294967296",
    "99999999999999999999",
];

/// Targets and the content of their dictionaries.
#[must_use]
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        ("config", text(config())),
        (
            "drift",
            text(words(&[
                "SRC0\n",
                crate::drift::SOURCE,
                "1799999990.5",
                "1e-9",
                "inf",
                "nan",
                ".",
            ])),
        ),
        ("keys", text(keys())),
        (
            "leap",
            text(words(&[
                "#$",
                "#@",
                "TZif",
                "TZif2",
                "3692217600\t37",
                "\n",
                "\t",
                "\u{0}\u{0}\u{0}\u{0}",
            ])),
        ),
    ]
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn config() -> BTreeSet<String> {
    let tables = directives::all()
        .map(|row| row.name)
        .chain(source::OPTIONS.iter().map(|row| row.name))
        .chain(refclock::OPTIONS.iter().map(|row| row.name))
        .chain(refclock::DRIVERS.iter().map(|(name, ..)| *name))
        .chain(hwtimestamp::OPTIONS.iter().map(|row| row.name))
        .chain(ratelimit::NTP_OPTIONS.iter().map(|row| row.name))
        .chain(local::OPTIONS.iter().map(|row| row.name))
        .chain(OpenCommand::NAMES.iter().map(|(name, _)| *name))
        .chain(LogTypes::NAMES);
    tables
        .chain(CONFIG.iter().copied())
        .map(str::to_owned)
        .collect()
}

fn keys() -> BTreeSet<String> {
    let types = KeyType::NAMES.iter().map(|(name, _)| *name);
    types
        .chain(["HEX:", "ASCII:", "4294967295", "\n", "\t", "#"])
        .map(str::to_owned)
        .collect()
}

/// One quoted word a line; bytes that are not printable are escaped.
fn text(words: BTreeSet<String>) -> String {
    let mut text = String::new();
    for word in words {
        text.push('"');
        for byte in word.bytes() {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
                b' '..=b'~' => text.push(char::from(byte)),
                _ => {
                    let _ = write!(text, "\\x{byte:02x}");
                }
            }
        }
        text.push_str("\"\n");
    }
    text
}
