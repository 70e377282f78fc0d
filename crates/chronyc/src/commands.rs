//! The table of commands: words, help, completion and what each does (`chronyc.md` 5 and 8).
//!
//! Parsing of a line, the help text and completion walk this table; what is not in it does not
//! exist.

mod access;
mod add;
mod client;
mod clock;
mod sources;

use crate::report;
use crate::session::{Outcome, Session};
use timewright_control::Request;

/// Longest line, in bytes.
pub(crate) const LINE_MAX: usize = 2047;

/// Characters that make a line a comment.
const COMMENTS: [char; 4] = ['!', ';', '#', '%'];

/// What a command does.
#[derive(Clone, Copy)]
enum Run {
    /// Sends a request without arguments and prints the status.
    Send(fn() -> Request),
    /// Makes a request of the arguments, sends it and prints the status. The error is what to
    /// complain about; empty: nothing is said.
    Make(fn(&Session<'_>, &str) -> Result<Request, String>),
    /// Does something of its own with the arguments.
    Do(fn(&mut Session<'_>, &str) -> Outcome),
    /// Ends the program.
    Quit,
}

/// A row of the table.
struct Command {
    /// The words it is called by.
    words: &'static [&'static str],
    /// Usage and lines of explanation, for `help`; none for what is kept for old scripts only.
    help: &'static [(&'static str, &'static [&'static str])],
    /// Words offered after the first.
    second: &'static [&'static str],
    run: Run,
}

/// Part of the help text.
struct Section {
    title: &'static str,
    commands: &'static [Command],
}

const fn send(
    word: &'static [&'static str],
    help: &'static [(&'static str, &'static [&'static str])],
    request: fn() -> Request,
) -> Command {
    Command {
        words: word,
        help,
        second: &[],
        run: Run::Send(request),
    }
}

const fn make(
    word: &'static [&'static str],
    help: &'static [(&'static str, &'static [&'static str])],
    request: fn(&Session<'_>, &str) -> Result<Request, String>,
) -> Command {
    Command {
        words: word,
        help,
        second: &[],
        run: Run::Make(request),
    }
}

const fn act(
    word: &'static [&'static str],
    help: &'static [(&'static str, &'static [&'static str])],
    action: fn(&mut Session<'_>, &str) -> Outcome,
) -> Command {
    Command {
        words: word,
        help,
        second: &[],
        run: Run::Do(action),
    }
}

impl Command {
    const fn then(self, second: &'static [&'static str]) -> Self {
        Self { second, ..self }
    }
}

/// Words after the reports that list sources.
const ALL_VERBOSE: &[&str] = &["-a", "-v"];

const SECTIONS: &[Section] = &[
    Section {
        title: "System clock:",
        commands: &[
            act(
                &["tracking"],
                &[("tracking", &["Display system time information"])],
                report::tracking,
            ),
            make(
                &["makestep"],
                &[
                    ("makestep", &["Correct clock by stepping immediately"]),
                    (
                        "makestep <threshold> <updates>",
                        &["Configure automatic clock stepping"],
                    ),
                ],
                clock::make_step,
            ),
            make(
                &["maxupdateskew"],
                &[(
                    "maxupdateskew <skew>",
                    &["Modify maximum valid skew to update frequency"],
                )],
                clock::max_update_skew,
            ),
            act(
                &["waitsync"],
                &[(
                    "waitsync [<max-tries> [<max-correction> [<max-skew> [<interval>]]]]",
                    &["Wait until synchronised in specified limits"],
                )],
                report::wait_sync,
            ),
        ],
    },
    Section {
        title: "Time sources:",
        commands: &[
            act(
                &["sources"],
                &[(
                    "sources [-a] [-v]",
                    &["Display information about current sources"],
                )],
                report::sources,
            )
            .then(ALL_VERBOSE),
            act(
                &["sourcestats"],
                &[(
                    "sourcestats [-a] [-v]",
                    &["Display statistics about collected measurements"],
                )],
                report::source_stats,
            )
            .then(ALL_VERBOSE),
            act(
                &["selectdata"],
                &[(
                    "selectdata [-a] [-v]",
                    &["Display information about source selection"],
                )],
                report::select_data,
            )
            .then(ALL_VERBOSE),
            make(
                &["selectopts"],
                &[(
                    "selectopts <address|refid> <+|-options>",
                    &["Modify selection options"],
                )],
                sources::select_options,
            ),
            send(
                &["reselect"],
                &[("reselect", &["Force reselecting synchronisation source"])],
                || Request::Reselect,
            ),
            make(
                &["reselectdist"],
                &[("reselectdist <dist>", &["Modify reselection distance"])],
                clock::reselect_distance,
            ),
            make(
                &["offset"],
                &[(
                    "offset <address|refid> <offset>",
                    &["Modify offset correction"],
                )],
                sources::offset,
            ),
        ],
    },
    Section {
        title: "NTP sources:",
        commands: &[
            act(
                &["activity"],
                &[(
                    "activity",
                    &["Check how many NTP sources are online/offline"],
                )],
                report::activity,
            ),
            act(
                &["authdata"],
                &[(
                    "authdata [-a] [-v]",
                    &["Display information about authentication"],
                )],
                report::auth_data,
            )
            .then(ALL_VERBOSE),
            act(
                &["ntpdata"],
                &[(
                    "ntpdata [<address>]",
                    &["Display information about last valid measurement"],
                )],
                report::ntp_data,
            ),
            make(
                &["add"],
                &[
                    ("add server <name> [options]", &["Add new NTP server"]),
                    (
                        "add pool <name> [options]",
                        &["Add new pool of NTP servers"],
                    ),
                    ("add peer <name> [options]", &["Add new NTP peer"]),
                ],
                add::add,
            )
            .then(&["peer", "pool", "server"]),
            make(
                &["delete"],
                &[("delete <address>", &["Remove server or peer"])],
                sources::delete,
            ),
            make(
                &["burst"],
                &[(
                    "burst <n-good>/<n-max> [[<mask>/]<address>]",
                    &["Start rapid set of measurements"],
                )],
                sources::burst,
            ),
            make(
                &["maxdelay"],
                &[(
                    "maxdelay <address> <delay>",
                    &["Modify maximum valid sample delay"],
                )],
                |s, a| sources::real(s, a, Request::ModifyMaxDelay),
            ),
            make(
                &["maxdelayratio"],
                &[(
                    "maxdelayratio <address> <ratio>",
                    &["Modify maximum valid delay/minimum ratio"],
                )],
                |s, a| sources::real(s, a, Request::ModifyMaxDelayRatio),
            ),
            make(
                &["maxdelaydevratio"],
                &[(
                    "maxdelaydevratio <address> <ratio>",
                    &["Modify maximum valid delay/deviation ratio"],
                )],
                |s, a| sources::real(s, a, Request::ModifyMaxDelayDevRatio),
            ),
            make(
                &["minpoll"],
                &[(
                    "minpoll <address> <poll>",
                    &["Modify minimum polling interval"],
                )],
                |s, a| sources::integer(s, a, Request::ModifyMinPoll),
            ),
            make(
                &["maxpoll"],
                &[(
                    "maxpoll <address> <poll>",
                    &["Modify maximum polling interval"],
                )],
                |s, a| sources::integer(s, a, Request::ModifyMaxPoll),
            ),
            make(
                &["minstratum"],
                &[(
                    "minstratum <address> <stratum>",
                    &["Modify minimum stratum"],
                )],
                |s, a| sources::integer(s, a, Request::ModifyMinStratum),
            ),
            make(
                &["offline"],
                &[(
                    "offline [[<mask>/]<address>]",
                    &["Set sources in subnet to offline status"],
                )],
                |s, a| sources::mask(s, a).map(Request::Offline),
            ),
            make(
                &["online"],
                &[(
                    "online [[<mask>/]<address>]",
                    &["Set sources in subnet to online status"],
                )],
                |s, a| sources::mask(s, a).map(Request::Online),
            ),
            send(
                &["onoffline"],
                &[(
                    "onoffline",
                    &[
                        "Set all sources to online or offline status",
                        "according to network configuration",
                    ],
                )],
                || Request::OnOffline,
            ),
            make(
                &["polltarget"],
                &[("polltarget <address> <target>", &["Modify poll target"])],
                |s, a| sources::integer(s, a, Request::ModifyPollTarget),
            ),
            send(
                &["refresh"],
                &[("refresh", &["Refresh IP addresses"])],
                || Request::Refresh,
            ),
            make(
                &["reload"],
                &[("reload sources", &["Re-read *.sources files"])],
                |_, a| only_sources(a, Request::ReloadSources, "reload"),
            )
            .then(&["sources"]),
            act(
                &["sourcename"],
                &[("sourcename <address>", &["Display original name"])],
                report::source_name,
            ),
        ],
    },
    Section {
        title: "Manual time input:",
        commands: &[
            act(
                &["manual"],
                &[
                    (
                        "manual off|on|reset",
                        &["Disable/enable/reset settime command"],
                    ),
                    ("manual list", &["Show previous settime entries"]),
                    ("manual delete <index>", &["Delete previous settime entry"]),
                ],
                clock::manual,
            )
            .then(&["on", "off", "delete", "list", "reset"]),
            act(
                &["settime"],
                &[(
                    "settime <time>",
                    &[
                        "Set daemon time",
                        "(e.g. Sep 25, 2015 16:30:05 or 16:30:05)",
                    ],
                )],
                report::set_time,
            ),
        ],
    },
    Section {
        title: "NTP access:",
        commands: &[
            make(
                &["accheck"],
                &[("accheck <address>", &["Check whether address is allowed"])],
                |s, a| access::check(s, a).map(Request::AccessCheck),
            ),
            act(
                &["clients"],
                &[(
                    "clients [-p <packets>] [-k] [-r]",
                    &["Report on clients that accessed the server"],
                )],
                report::clients,
            ),
            act(
                &["serverstats"],
                &[("serverstats", &["Display statistics of the server"])],
                report::server_stats,
            ),
            make(
                &["allow"],
                &[
                    ("allow [<subnet>]", &["Allow access to subnet as a default"]),
                    (
                        "allow all [<subnet>]",
                        &["Allow access to subnet and all children"],
                    ),
                ],
                |s, a| access::subnet(s, a, Request::Allow, Request::AllowAll),
            ),
            make(
                &["deny"],
                &[
                    ("deny [<subnet>]", &["Deny access to subnet as a default"]),
                    (
                        "deny all [<subnet>]",
                        &["Deny access to subnet and all children"],
                    ),
                ],
                |s, a| access::subnet(s, a, Request::Deny, Request::DenyAll),
            ),
            make(
                &["local"],
                &[
                    (
                        "local [options]",
                        &["Serve time even when not synchronised"],
                    ),
                    ("local off", &["Don't serve time when not synchronised"]),
                ],
                clock::local,
            ),
            make(
                &["smoothtime"],
                &[(
                    "smoothtime reset|activate",
                    &["Reset/activate time smoothing"],
                )],
                clock::smooth_time,
            ),
            act(
                &["smoothing"],
                &[("smoothing", &["Display current time smoothing state"])],
                report::smoothing,
            ),
        ],
    },
    Section {
        title: "Monitoring access:",
        commands: &[
            make(
                &["cmdaccheck"],
                &[(
                    "cmdaccheck <address>",
                    &["Check whether address is allowed"],
                )],
                |s, a| access::check(s, a).map(Request::CommandAccessCheck),
            ),
            make(
                &["cmdallow"],
                &[
                    (
                        "cmdallow [<subnet>]",
                        &["Allow access to subnet as a default"],
                    ),
                    (
                        "cmdallow all [<subnet>]",
                        &["Allow access to subnet and all children"],
                    ),
                ],
                |s, a| access::subnet(s, a, Request::CommandAllow, Request::CommandAllowAll),
            ),
            make(
                &["cmddeny"],
                &[
                    (
                        "cmddeny [<subnet>]",
                        &["Deny access to subnet as a default"],
                    ),
                    (
                        "cmddeny all [<subnet>]",
                        &["Deny access to subnet and all children"],
                    ),
                ],
                |s, a| access::subnet(s, a, Request::CommandDeny, Request::CommandDenyAll),
            ),
        ],
    },
    Section {
        title: "Real-time clock:",
        commands: &[
            act(
                &["rtcdata"],
                &[("rtcdata", &["Print current RTC performance parameters"])],
                report::rtc_data,
            ),
            send(
                &["trimrtc"],
                &[("trimrtc", &["Correct RTC relative to system clock"])],
                || Request::TrimRtc,
            ),
            send(
                &["writertc"],
                &[("writertc", &["Save RTC performance parameters to file"])],
                || Request::WriteRtc,
            ),
        ],
    },
    Section {
        title: "Other daemon commands:",
        commands: &[
            send(
                &["cyclelogs"],
                &[("cyclelogs", &["Close and re-open log files"])],
                || Request::CycleLogs,
            ),
            send(
                &["dump"],
                &[("dump", &["Dump measurements and NTS keys/cookies"])],
                || Request::Dump,
            ),
            send(&["rekey"], &[("rekey", &["Re-read keys"])], || {
                Request::Rekey
            }),
            make(
                &["reset"],
                &[("reset sources", &["Drop all measurements"])],
                |_, a| only_sources(a, Request::ResetSources, "reset"),
            )
            .then(&["sources"]),
            send(&["shutdown"], &[("shutdown", &["Stop daemon"])], || {
                Request::Shutdown
            }),
            make(&["dfreq"], &[], clock::change_frequency),
            make(&["doffset"], &[], clock::change_offset),
        ],
    },
    Section {
        title: "Client commands:",
        commands: &[
            act(
                &["dns"],
                &[
                    (
                        "dns -n|+n",
                        &["Disable/enable resolving IP addresses to hostnames"],
                    ),
                    (
                        "dns -4|-6|-46",
                        &["Resolve hostnames only to IPv4/IPv6/both addresses"],
                    ),
                ],
                client::dns,
            ),
            act(
                &["timeout"],
                &[("timeout <milliseconds>", &["Set initial response timeout"])],
                client::timeout,
            ),
            act(
                &["retries"],
                &[("retries <retries>", &["Set maximum number of retries"])],
                client::retries,
            ),
            act(
                &["keygen"],
                &[(
                    "keygen [<id> [<type> [<bits>]]]",
                    &["Generate key for key file"],
                )],
                client::keygen,
            ),
            Command {
                words: &["exit", "quit"],
                help: &[("exit|quit", &["Leave the program"])],
                second: &[],
                run: Run::Quit,
            },
            act(
                &["help"],
                &[("help", &["Generate this help"])],
                |session, _| {
                    session.output.print(&help_text());
                    Ok(())
                },
            ),
            act(&["authhash", "password"], &[], |session, _| {
                session
                    .output
                    .complain("Authentication is no longer supported");
                Ok(())
            }),
        ],
    },
];

fn all() -> impl Iterator<Item = &'static Command> {
    SECTIONS.iter().flat_map(|section| section.commands)
}

/// `reload` and `reset` take the one word `sources`.
fn only_sources(arguments: &str, request: Request, command: &str) -> Result<Request, String> {
    match arguments {
        "sources" => Ok(request),
        _ => Err(format!("Invalid syntax for {command} command")),
    }
}

/// What a line did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineResult {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Whether it was the last.
    pub(crate) quit: bool,
}

/// The line up to a zero byte, with blanks at its ends removed and others made one space; nothing
/// of a comment.
fn normalise(line: &str) -> String {
    // The vertical tab is the one blank of C that Rust's ASCII does not count.
    let is_blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    let line = line.split('\0').next().unwrap_or_default();
    let words: Vec<_> = line
        .split(is_blank)
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    if line.starts_with(COMMENTS) {
        String::new()
    } else {
        line
    }
}

/// Splits the first word off.
fn split_word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// Carries out one line.
pub(crate) fn process(session: &mut Session<'_>, line: &str) -> LineResult {
    let line = normalise(line);
    if line.is_empty() {
        return LineResult {
            outcome: Ok(()),
            quit: false,
        };
    }
    let (word, arguments) = split_word(&line);
    let command = all().find(|command| command.words.contains(&word));
    let mut quit = false;
    let mut prints = false;
    let mut outcome = match command.map(|command| command.run) {
        None => session.refuse("Unrecognized command"),
        Some(Run::Send(request)) => session.command(&request()),
        Some(Run::Make(request)) => match request(session, arguments) {
            Ok(request) => session.command(&request),
            Err(complaint) => {
                if !complaint.is_empty() {
                    session.output.complain(&complaint);
                }
                Err(crate::session::Failed)
            }
        },
        Some(Run::Do(action)) => {
            prints = true;
            action(session, arguments)
        }
        Some(Run::Quit) => {
            quit = true;
            Ok(())
        }
    };
    if session.dot {
        session.output.print(".\n");
    }
    if session.output.flush().is_err() {
        session.output.complain("Could not write to stdout");
        if prints {
            outcome = Err(crate::session::Failed);
        }
    }
    LineResult { outcome, quit }
}

/// Width of the first column of the help text.
const HELP_COLUMN: usize = 28;

fn help_text() -> String {
    let mut text = String::new();
    let mut line = |first: &str, second: &str| {
        text.push_str(&format!("{first:<HELP_COLUMN$}{second}\n"));
    };
    for section in SECTIONS {
        line(section.title, "");
        for (usage, explanation) in section.commands.iter().flat_map(|command| command.help) {
            let mut first = *usage;
            if first.len() >= HELP_COLUMN {
                line(first, "");
                first = "";
            }
            for second in *explanation {
                line(first, second);
                first = "";
            }
        }
        line("", "");
    }
    text
}

/// What may follow the text before the cursor: where the word to complete starts, and words.
pub(crate) fn completions(before: &str) -> (usize, Vec<&'static str>) {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let start = before.rfind(is_blank).map_or(0, |at| at + 1);
    let (head, word) = before.split_at(start);
    let mut words: Vec<_> = if head.is_empty() {
        let mut words: Vec<_> = all()
            .filter(|command| !command.help.is_empty())
            .flat_map(|command| command.words)
            .copied()
            .collect();
        words.sort_unstable();
        words
    } else {
        head.strip_suffix(' ')
            .and_then(|first| all().find(|command| command.words.contains(&first)))
            .map_or(Vec::new(), |command| command.second.to_vec())
    };
    words.retain(|candidate| candidate.starts_with(word));
    (start, words)
}

#[cfg(test)]
mod manual;
#[cfg(test)]
mod tests;
