//! Inclusion of files, hardware timestamping and the process (`config.md` 4.8, 7.4, 9).

use std::path::PathBuf;

use timewright_time::Seconds;

use super::{Arity, Directive, Section, Status, rows};
use crate::config::{DEFAULT_PID_FILE, DEFAULT_USER};
use crate::error::{Applied, ConfigError, Failure};
use crate::hwtimestamp::parse_hwtimestamp;
use crate::include::{CONF_SUFFIX, DIRECTORIES_MAX, select_fragments};
use crate::parser::{Args, Parser, path};

rows! { Miscellaneous:
    "confdir" "DIRECTORY...", Arity::Free, "", "Include the *.conf files of directories.",
        confdir;
    "include" "PATTERN", Arity::Exactly(1), "", "Include the files that match a pattern.",
        include;
    "sourcedir" "DIRECTORY...", Arity::Free, "",
        "Use the sources in the *.sources files of directories.", sourcedir;
    "hwtimestamp" "INTERFACE [OPTION]...", Arity::Free, "",
        "Let network interfaces timestamp packets.",
        |p, a| {
            let spec = parse_hwtimestamp(a.text).ok_or(Failure::Syntax)?;
            p.config.hw_timestamps.interfaces.push(spec);
            Ok(())
        };
    "hwtstimeout" "SECONDS", Arity::Exactly(1), "0.001",
        "How long to wait for a hardware transmit timestamp.",
        |p, a| { p.config.hw_timestamps.timeout = Seconds(a.float()?); Ok(()) };
    "keyfile" "FILE", Arity::Exactly(1), "", "Symmetric keys.",
        |p, a| { p.config.process.key_file = Some(a.path()); Ok(()) };
    "lock_all" "", Arity::Exactly(0), "", "Keep the daemon in memory.",
        |p, _| { p.config.process.lock_all = true; Ok(()) };
    "pidfile" "FILE", Arity::Exactly(1), DEFAULT_PID_FILE, "Process id file.",
        |p, a| { p.config.process.pid_file = (a.text != b"/").then(|| a.path()); Ok(()) };
    "sched_priority" "PRIORITY", Arity::Exactly(1), "0", "Real-time scheduling priority.",
        |p, a| { p.config.process.sched_priority = a.int(0, 100)?; Ok(()) };
    "user" "NAME", Arity::Exactly(1), DEFAULT_USER, "User the daemon runs as.",
        |p, a| { p.config.process.user = a.string(); Ok(()) };
}

fn directories(args: &Args<'_>) -> Option<Vec<PathBuf>> {
    (1..=DIRECTORIES_MAX)
        .contains(&args.count())
        .then(|| args.words().map(path).collect())
}

fn confdir(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let directories = directories(args).ok_or(Failure::Syntax)?;
    for file in select_fragments(&directories, CONF_SUFFIX, parser.files) {
        parser.file(&file).map_err(Failure::Nested)?;
    }
    Ok(())
}

fn include(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let pattern = args.path();
    let found = parser.files.glob(&pattern);
    let found = found.map_err(|_| Failure::Nested(ConfigError::Search { pattern }))?;
    for file in found {
        parser.file(&file).map_err(Failure::Nested)?;
    }
    Ok(())
}

fn sourcedir(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    // Too few or too many directories are no error here, and have no effect.
    parser.config.source_dirs.extend(directories(args));
    Ok(())
}
