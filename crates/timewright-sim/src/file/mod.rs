//! Scenario files: hosts, clocks, paths and events as text, in the manner of `chrony.conf`.
//!
//! A file is read in two steps: the lines one by one into a [`Draft`], with every word checked
//! against the tables here, then [`build`] puts the hosts, paths and events together, which needs
//! all of them. What is wrong is told as `file:line: what, and what is allowed`. The language is
//! described in `docs/simulator.md`; a test compares the page with the tables.
//!
//! Files that a scenario names are read through [`ReadFile`]: the library does no I/O.

mod add;
mod build;
mod chronyc;
mod clock;
mod device;
mod event;
mod link;
mod quantity;
mod words;

#[cfg(test)]
mod tests;

use crate::device::DeviceModel;
use crate::node::Stamps;
use crate::oscillator::ClockModel;
use crate::queue::SharedQueue;
use crate::report::Report;
use crate::scenario::{Families, Scenario};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use words::{Words, unknown};

/// Most hosts in a file: every two of them have two paths.
const HOSTS_MAX: usize = 250;
/// Longest scenario file, and longest file that it names, bytes.
const FILE_MAX: usize = 1 << 20;
/// Most observations of all clocks in a run, which are kept in memory.
const OBSERVATIONS_MAX: f64 = 2e7;
/// Ends the text of a file that is given in the scenario itself.
const END: &str = "end";

/// How a scenario gets at the files it names: the content, or the system's words for what is
/// wrong.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// What is wrong with a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 is the file as a whole.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl std::error::Error for FileError {}

/// A scenario as a user wrote it.
pub struct ScenarioFile {
    /// What it is about.
    pub title: String,
    /// How long it runs, simulated seconds.
    pub length_s: f64,
    /// From when on figures count, seconds.
    pub settle_s: f64,
    /// The hosts whose clocks are looked at.
    pub shown: Vec<String>,
    /// What the user should know of the simulation and may not expect.
    pub notes: Vec<String>,
    scenario: Scenario,
}

impl ScenarioFile {
    /// Reads a scenario. `path` is its name for messages, and files it names with relative paths
    /// are looked for beside it.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(path: &str, text: &[u8], read: ReadFile<'_>) -> Result<Self, FileError> {
        let mut draft = Draft::default();
        let mut lines = Lines::new(path, text)?;
        while let Some(line) = lines.next() {
            let at = lines.number;
            draft
                .line(line, &mut lines, read)
                .map_err(|what| lines.error(at, what))?;
        }
        build::scenario(path, draft)
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self, seed: u64) -> Report {
        self.scenario
            .run(seed, self.length_s)
            .expect("the configurations were parsed when the file was")
    }

    /// All hosts, in the order of the file.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.scenario.hosts()
    }

    /// One line that tells what a run is of.
    #[must_use]
    pub fn heading(&self, seed: u64) -> String {
        match self.title.as_str() {
            "" => format!("seed {seed}"),
            title => format!("{title} (seed {seed})"),
        }
    }
}

/// The lines of a file, without their ends.
struct Lines<'a> {
    path: &'a str,
    lines: std::str::Lines<'a>,
    /// Of the last line taken, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(path: &'a str, text: &'a [u8]) -> Result<Self, FileError> {
        let error = |line, what: &str| FileError {
            file: path.to_owned(),
            line,
            what: what.to_owned(),
        };
        if text.len() > FILE_MAX {
            return Err(error(0, "the file is longer than 1 MiB"));
        }
        let text = std::str::from_utf8(text).map_err(|e| {
            let good = text.get(..e.valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|&&b| b == b'\n').count() + 1;
            error(line, "the text is not UTF-8")
        })?;
        Ok(Self {
            path,
            lines: text.lines(),
            number: 0,
        })
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(line)
    }

    fn error(&self, line: usize, what: String) -> FileError {
        FileError {
            file: self.path.to_owned(),
            line,
            what,
        }
    }

    /// The lines up to one that says `end`, with the number of the first.
    fn block(&mut self) -> Result<(usize, String), String> {
        let first = self.number + 1;
        let mut text = String::new();
        while let Some(line) = self.next() {
            if line.trim() == END {
                return Ok((first, text));
            }
            text.push_str(line);
            text.push('\n');
        }
        Err(format!("the text that begins here has no line `{END}`"))
    }

    /// A path in the scenario as seen from here: relative ones are relative to the scenario.
    fn beside(&self, name: &str) -> std::path::PathBuf {
        let directory = Path::new(self.path).parent().unwrap_or(Path::new(""));
        directory.join(name)
    }
}

/// A host as far as it is described.
struct Host {
    name: String,
    line: usize,
    addresses: Vec<IpAddr>,
    config: Option<Config>,
    clock: ClockModel,
    stamps: Stamps,
    options: Vec<String>,
    drift_file: Option<String>,
    start_s: f64,
    files: Vec<(String, Vec<u8>)>,
    /// Reference clocks by driver and parameter.
    devices: Vec<(String, DeviceModel)>,
}

/// The text of a `chrony.conf`.
struct Config {
    /// The file it is in: an own one, or the scenario.
    path: String,
    /// With empty lines in front if it is in the scenario, so that line numbers are those there.
    text: String,
}

/// A change of a path: at the beginning, or later.
struct LinkChange {
    line: usize,
    at_s: Option<f64>,
    from: String,
    to: String,
    both: bool,
    words: String,
}

/// A queue that directions of paths share.
struct Queue {
    line: usize,
    queue: SharedQueue,
    from: String,
    to: String,
}

/// What a name resolves to.
enum Meaning {
    Hosts(Vec<String>),
    /// There is no such name.
    Nothing,
    /// No resolver answers.
    NoAnswer,
}

struct Name {
    line: usize,
    at_s: Option<f64>,
    name: String,
    meaning: Meaning,
}

/// Everything that was read so far.
#[derive(Default)]
struct Draft {
    title: Option<String>,
    length: Option<(usize, f64)>,
    settle_s: Option<(usize, f64)>,
    sample_s: Option<f64>,
    start_s: Option<i64>,
    families: Families,
    shown: Vec<(usize, String)>,
    hosts: Vec<Host>,
    names: Vec<Name>,
    links: Vec<LinkChange>,
    queues: Vec<Queue>,
    events: Vec<event::Event>,
    /// Line, time and sign of the leap seconds of UTC.
    leaps: Vec<(usize, f64, i8)>,
}

/// A kind of line.
struct Statement {
    name: &'static str,
    /// What follows the name, for messages and the manual.
    synopsis: &'static str,
    apply: Apply,
}

enum Apply {
    /// A line about the scenario.
    World(fn(&mut Draft, &mut Line<'_, '_>) -> Result<(), String>),
    /// A line about the host described last.
    Host(fn(&mut Host, &mut Line<'_, '_>) -> Result<(), String>),
}

/// A line without its first word, and what is needed to read on.
struct Line<'l, 'a> {
    number: usize,
    words: Words<'a>,
    lines: &'l mut Lines<'a>,
    read: ReadFile<'l>,
}

const STATEMENTS: &[Statement] = &[
    Statement {
        name: "title",
        synopsis: "TEXT",
        apply: Apply::World(|draft, line| {
            draft.title = Some(line.words.rest().to_owned());
            Ok(())
        }),
    },
    Statement {
        name: "length",
        synopsis: "TIME",
        apply: Apply::World(|draft, line| {
            let length_s = line.words.value("length", quantity::positive_duration)?;
            draft.length = Some((line.number, length_s));
            line.words.end()
        }),
    },
    Statement {
        name: "settle",
        synopsis: "TIME",
        apply: Apply::World(|draft, line| {
            let settle_s = line.words.value("settle", quantity::duration)?;
            draft.settle_s = Some((line.number, settle_s));
            line.words.end()
        }),
    },
    Statement {
        name: "sample",
        synopsis: "TIME",
        apply: Apply::World(|draft, line| {
            let sample_s = line.words.value("sample", quantity::positive_duration)?;
            if sample_s < 1e-3 {
                return Err("a clock is observed each millisecond at most".to_owned());
            }
            draft.sample_s = Some(sample_s);
            line.words.end()
        }),
    },
    Statement {
        name: "start",
        synopsis: "DATE",
        apply: Apply::World(|draft, line| {
            draft.start_s = Some(line.words.value("start", quantity::date)?);
            line.words.end()
        }),
    },
    Statement {
        name: "families",
        synopsis: "ipv4|ipv6|both",
        apply: Apply::World(|draft, line| {
            draft.families = match line.words.need("ipv4, ipv6 or both")? {
                "ipv4" => Families::V4,
                "ipv6" => Families::V6,
                "both" => Families::Both,
                other => return Err(unknown(other, "families", ["ipv4", "ipv6", "both"])),
            };
            line.words.end()
        }),
    },
    Statement {
        name: "show",
        synopsis: "HOST...",
        apply: Apply::World(|draft, line| {
            line.words.peek().ok_or("a host is missing")?;
            let number = line.number;
            let hosts = line.words.all();
            draft.shown.extend(hosts.into_iter().map(|h| (number, h)));
            Ok(())
        }),
    },
    Statement {
        name: "host",
        synopsis: "NAME [ADDRESS...]",
        apply: Apply::World(Draft::host),
    },
    Statement {
        name: "config",
        synopsis: "[FILE]",
        apply: Apply::Host(Host::config),
    },
    Statement {
        name: "file",
        synopsis: "PATH [FILE]",
        apply: Apply::Host(|host, line| {
            let path = line.words.need("the path the host sees")?.to_owned();
            let (_, _, content) = line.content()?;
            host.files.push((path, content));
            Ok(())
        }),
    },
    Statement {
        name: "clock",
        synopsis: "[KEY VALUE]...",
        apply: Apply::Host(|host, line| clock::apply(&mut host.clock, &mut line.words)),
    },
    Statement {
        name: "device",
        synopsis: "DRIVER PARAMETER [KEY VALUE]...",
        apply: Apply::Host(|host, line| {
            host.devices.push(device::read(&mut line.words)?);
            Ok(())
        }),
    },
    Statement {
        name: "stamps",
        synopsis: "kernel|daemon",
        apply: Apply::Host(|host, line| {
            host.stamps = match line.words.need("kernel or daemon")? {
                "kernel" => Stamps::Kernel,
                "daemon" => Stamps::Daemon,
                other => return Err(unknown(other, "stamps", ["kernel", "daemon"])),
            };
            line.words.end()
        }),
    },
    Statement {
        name: "driftfile",
        synopsis: "PPM SKEW-PPM",
        apply: Apply::Host(|host, line| {
            let limit = 500_000.0;
            let freq = line
                .words
                .value("driftfile", |w| quantity::within(w, -limit, limit))?;
            let skew = line
                .words
                .value("driftfile", |w| quantity::within(w, 0.0, limit))?;
            host.drift_file = Some(format!("{freq:20.6} {skew:20.6}\n"));
            line.words.end()
        }),
    },
    Statement {
        name: "options",
        synopsis: "[-r] [-x] [-q] [-4] [-6]",
        apply: Apply::Host(|host, line| {
            for option in line.words.all() {
                if !build::OPTIONS.contains(&option.as_str()) {
                    let known = build::OPTIONS.iter().copied();
                    return Err(unknown(&option, "options", known));
                }
                host.options.push(option);
            }
            Ok(())
        }),
    },
    Statement {
        name: "starts",
        synopsis: "TIME|never",
        apply: Apply::Host(|host, line| {
            host.start_s = match line.words.peek() {
                Some("never") => {
                    line.words.next();
                    f64::INFINITY
                }
                _ => line.words.value("starts", quantity::duration)?,
            };
            line.words.end()
        }),
    },
    Statement {
        name: "name",
        synopsis: "NAME HOST...|nothing|no-answer",
        apply: Apply::World(|draft, line| {
            let name = Name::read(line.number, None, &mut line.words)?;
            draft.names.push(name);
            Ok(())
        }),
    },
    Statement {
        name: "link",
        synopsis: "HOST|* HOST|* [KEY VALUE]...",
        apply: Apply::World(|draft, line| {
            let change = LinkChange::read(line.number, None, true, &mut line.words)?;
            draft.links.push(change);
            Ok(())
        }),
    },
    Statement {
        name: "oneway",
        synopsis: "FROM|* TO|* [KEY VALUE]...",
        apply: Apply::World(|draft, line| {
            let change = LinkChange::read(line.number, None, false, &mut line.words)?;
            draft.links.push(change);
            Ok(())
        }),
    },
    Statement {
        name: "queue",
        synopsis: "MEAN MEMORY FROM|* TO|*",
        apply: Apply::World(|draft, line| {
            let words = &mut line.words;
            let queue = SharedQueue {
                mean_s: words.value("queue", quantity::delay)?,
                memory_s: words.value("queue", quantity::positive_duration)?,
            };
            draft.queues.push(Queue {
                line: line.number,
                queue,
                from: words.need("a host")?.to_owned(),
                to: words.need("a second host")?.to_owned(),
            });
            line.words.end()
        }),
    },
    Statement {
        name: "at",
        synopsis: "TIME EVENT ...",
        apply: Apply::World(event::read),
    },
];

impl Draft {
    fn line<'a>(
        &mut self,
        line: &'a str,
        lines: &mut Lines<'a>,
        read: ReadFile<'_>,
    ) -> Result<(), String> {
        let mut words = Words::new(line);
        let Some(word) = words.next() else {
            return Ok(());
        };
        let statement = STATEMENTS
            .iter()
            .find(|s| s.name.eq_ignore_ascii_case(word))
            .ok_or_else(|| {
                let names = STATEMENTS.iter().map(|s| s.name);
                unknown(word, "the scenario", names)
            })?;
        let mut line = Line {
            number: lines.number,
            words,
            lines,
            read,
        };
        let outcome = match &statement.apply {
            Apply::World(apply) => apply(self, &mut line),
            Apply::Host(apply) => match self.hosts.last_mut() {
                Some(host) => apply(host, &mut line),
                None => {
                    let name = statement.name;
                    Err(format!(
                        "`{name}` is about a host: a line `host NAME` comes first"
                    ))
                }
            },
        };
        outcome.map_err(|why| format!("{why}; usage: {} {}", statement.name, statement.synopsis))
    }

    /// `host NAME [ADDRESS...]`
    fn host(&mut self, line: &mut Line<'_, '_>) -> Result<(), String> {
        let name = line.words.need("the host's name")?;
        if name == "*" || name.parse::<IpAddr>().is_ok() {
            return Err(format!("`{name}` cannot be the name of a host"));
        }
        if let Some(twin) = self.hosts.iter().find(|host| host.name == name) {
            let line = twin.line;
            return Err(format!("there is a host `{name}` in line {line} already"));
        }
        if self.hosts.len() == HOSTS_MAX {
            return Err(format!("there are more than {HOSTS_MAX} hosts"));
        }
        let mut addresses = Vec::new();
        for word in line.words.all() {
            let address = word
                .parse()
                .map_err(|_| format!("`{word}` is no IP address"))?;
            let taken = self.hosts.iter().flat_map(|host| &host.addresses);
            if taken.chain(&addresses).any(|a| *a == address) {
                return Err(format!("the address {address} is taken"));
            }
            addresses.push(address);
        }
        self.hosts.push(Host {
            name: name.to_owned(),
            line: line.number,
            addresses,
            config: None,
            clock: ClockModel::default(),
            stamps: Stamps::default(),
            options: Vec::new(),
            drift_file: None,
            start_s: 0.0,
            files: Vec::new(),
            devices: Vec::new(),
        });
        Ok(())
    }
}

impl Host {
    /// `config [FILE]`
    fn config(&mut self, line: &mut Line<'_, '_>) -> Result<(), String> {
        if self.config.is_some() {
            return Err(format!("`{}` has a config already", self.name));
        }
        let (path, first, content) = line.content()?;
        // The language is one of bytes; anything but ASCII is found in names and comments.
        let mut text = "\n".repeat(first.saturating_sub(1));
        text.push_str(&String::from_utf8_lossy(&content));
        self.config = Some(Config { path, text });
        Ok(())
    }
}

impl Line<'_, '_> {
    /// The content of the file named by the next word, or the lines that follow up to `end`;
    /// before it where it was found, and the number of its first line there.
    fn content(&mut self) -> Result<(String, usize, Vec<u8>), String> {
        let Some(name) = self.words.next() else {
            let (first, text) = self.lines.block()?;
            return Ok((self.lines.path.to_owned(), first, text.into_bytes()));
        };
        self.words.end()?;
        let path = self.lines.beside(name);
        let content = (self.read)(&path)
            .map_err(|why| format!("could not read {}: {why}", path.display()))?;
        if content.len() > FILE_MAX {
            return Err(format!("{} is longer than 1 MiB", path.display()));
        }
        Ok((path.display().to_string(), 1, content))
    }
}

impl Name {
    fn read(line: usize, at_s: Option<f64>, words: &mut Words<'_>) -> Result<Self, String> {
        let name = words.need("the name")?.to_owned();
        let all = words.all();
        let texts: Vec<&str> = all.iter().map(String::as_str).collect();
        let meaning = match texts.as_slice() {
            [] => return Err("the hosts it stands for are missing".to_owned()),
            ["nothing"] => Meaning::Nothing,
            ["no-answer"] => Meaning::NoAnswer,
            _ => Meaning::Hosts(all),
        };
        Ok(Self {
            line,
            at_s,
            name,
            meaning,
        })
    }
}

impl LinkChange {
    fn read(
        line: usize,
        at_s: Option<f64>,
        both: bool,
        words: &mut Words<'_>,
    ) -> Result<Self, String> {
        let from = words.need("a host")?.to_owned();
        let to = words.need("a second host")?.to_owned();
        let rest = words.rest().to_owned();
        let path = link::apply(crate::Link::default(), words)?;
        if (path.asymmetry.is_some() || path.skew_s.is_some()) && !both {
            let what = "`asymmetry` and `skew` are about both directions: they belong to `link`";
            return Err(what.to_owned());
        }
        Ok(Self {
            line,
            at_s,
            from,
            to,
            both,
            words: rest,
        })
    }
}
