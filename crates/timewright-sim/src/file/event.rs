//! `at TIME EVENT`: what operators and the weather do.

use super::words::{Words, unknown};
use super::{Draft, Line, LinkChange, Name, quantity};

/// Something that happens to a host.
pub(super) struct Event {
    pub(super) line: usize,
    pub(super) at_s: f64,
    pub(super) host: String,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Step(f64),
    /// s/s
    Frequency(f64),
    Unplug,
    Plug,
    Stop,
    Kill,
    Start,
    Restart(f64),
    Pause(f64),
    /// For how long, and what the kernel adds to the system clock by mistake, seconds.
    Suspend(f64, f64),
    Freeze(f64),
    Command(String),
}

/// A word that may follow `at TIME`.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What follows, for messages and the manual.
    pub(super) synopsis: &'static str,
    read: fn(&mut Draft, usize, f64, &mut Words<'_>) -> Result<(), String>,
}

pub(super) const EVENTS: &[Row] = &[
    Row {
        name: "step",
        synopsis: "HOST TIME",
        read: |draft, line, at_s, words| {
            host_event(draft, line, at_s, words, |words| {
                Ok(Kind::Step(words.value("step", quantity::offset)?))
            })
        },
    },
    Row {
        name: "freq",
        synopsis: "HOST FREQUENCY",
        read: |draft, line, at_s, words| {
            host_event(draft, line, at_s, words, |words| {
                Ok(Kind::Frequency(words.value("freq", quantity::frequency)?))
            })
        },
    },
    Row {
        name: "link",
        synopsis: "HOST|* HOST|* [KEY VALUE]...",
        read: |draft, line, at_s, words| {
            let change = LinkChange::read(line, Some(at_s), true, words)?;
            draft.links.push(change);
            Ok(())
        },
    },
    Row {
        name: "oneway",
        synopsis: "FROM|* TO|* [KEY VALUE]...",
        read: |draft, line, at_s, words| {
            let change = LinkChange::read(line, Some(at_s), false, words)?;
            draft.links.push(change);
            Ok(())
        },
    },
    Row {
        name: "name",
        synopsis: "NAME HOST...|nothing|no-answer",
        read: |draft, line, at_s, words| {
            let name = Name::read(line, Some(at_s), words)?;
            draft.names.push(name);
            Ok(())
        },
    },
    Row {
        name: "unplug",
        synopsis: "HOST",
        read: |draft, line, at_s, words| host_event(draft, line, at_s, words, |_| Ok(Kind::Unplug)),
    },
    Row {
        name: "plug",
        synopsis: "HOST",
        read: |draft, line, at_s, words| host_event(draft, line, at_s, words, |_| Ok(Kind::Plug)),
    },
    Row {
        name: "stop",
        synopsis: "HOST",
        read: |draft, line, at_s, words| host_event(draft, line, at_s, words, |_| Ok(Kind::Stop)),
    },
    Row {
        name: "kill",
        synopsis: "HOST",
        read: |draft, line, at_s, words| host_event(draft, line, at_s, words, |_| Ok(Kind::Kill)),
    },
    Row {
        name: "start",
        synopsis: "HOST",
        read: |draft, line, at_s, words| host_event(draft, line, at_s, words, |_| Ok(Kind::Start)),
    },
    Row {
        name: "restart",
        synopsis: "HOST [TIME]",
        read: |draft, line, at_s, words| {
            host_event(draft, line, at_s, words, |words| {
                let pause_s = match words.peek() {
                    Some(_) => words.value("restart", quantity::duration)?,
                    None => 1.0,
                };
                Ok(Kind::Restart(pause_s))
            })
        },
    },
    Row {
        name: "pause",
        synopsis: "HOST TIME",
        read: |draft, line, at_s, words| {
            host_event(draft, line, at_s, words, |words| {
                let time_s = words.value("pause", quantity::positive_duration)?;
                Ok(Kind::Pause(time_s))
            })
        },
    },
    Row {
        name: "suspend",
        synopsis: "HOST TIME [ERROR]",
        read: |draft, line, at_s, words| {
            host_event(draft, line, at_s, words, |words| {
                let time_s = words.value("suspend", quantity::positive_duration)?;
                let error_s = match words.peek() {
                    Some(_) => words.value("suspend", quantity::offset)?,
                    None => 0.0,
                };
                Ok(Kind::Suspend(time_s, error_s))
            })
        },
    },
    Row {
        name: "freeze",
        synopsis: "HOST TIME",
        read: |draft, line, at_s, words| {
            host_event(draft, line, at_s, words, |words| {
                let time_s = words.value("freeze", quantity::positive_duration)?;
                Ok(Kind::Freeze(time_s))
            })
        },
    },
    Row {
        name: "leap",
        synopsis: "insert|delete",
        read: |draft, line, at_s, words| {
            let leap = match words.need("insert or delete")? {
                "insert" => 1,
                "delete" => -1,
                other => return Err(unknown(other, "leap", ["insert", "delete"])),
            };
            draft.leaps.push((line, at_s, leap));
            words.end()
        },
    },
    Row {
        name: "chronyc",
        synopsis: "HOST COMMAND",
        read: |draft, line, at_s, words| {
            let host = words.need("a host")?.to_owned();
            let text = words.all().join(" ");
            if text.is_empty() {
                return Err("the command is missing".to_owned());
            }
            draft.events.push(Event {
                line,
                at_s,
                host,
                kind: Kind::Command(text),
            });
            Ok(())
        },
    },
];

/// Reads the line after `at`.
pub(super) fn read(draft: &mut Draft, line: &mut Line<'_, '_>) -> Result<(), String> {
    let at_s = line.words.value("at", quantity::duration)?;
    let word = line.words.need("the event")?;
    let row = EVENTS
        .iter()
        .find(|row| row.name.eq_ignore_ascii_case(word))
        .ok_or_else(|| unknown(word, "at", EVENTS.iter().map(|row| row.name)))?;
    (row.read)(draft, line.number, at_s, &mut line.words)
        .map_err(|why| format!("{why} (`{} {}`)", row.name, row.synopsis))
}

fn host_event(
    draft: &mut Draft,
    line: usize,
    at_s: f64,
    words: &mut Words<'_>,
    kind: impl FnOnce(&mut Words<'_>) -> Result<Kind, String>,
) -> Result<(), String> {
    let host = words.need("a host")?.to_owned();
    let kind = kind(words)?;
    draft.events.push(Event {
        line,
        at_s,
        host,
        kind,
    });
    words.end()
}
