//! The configuration language: files with what they include, lines of the command line, source
//! fragments and the option lists that the control client shares.

use timewright_config::{
    FileSource, MemoryFiles, ParseFailure, ParseOptions, Parsed, SourceKind, parse_access,
    parse_file, parse_lines, parse_local, parse_source, parse_sources_fragment, read_source_dirs,
};

/// Lines that are parsed alone; more would only be slower. The longest seed has fewer.
const LINES_MAX: usize = 100;
/// Lines that are also taken for arguments of the client.
const ARGUMENTS_MAX: usize = 10;

/// The file that holds the input.
const MAIN: &str = "/etc/chrony.conf";

/// Files that the input may include. None of them leads back to it, and one leads to itself.
pub(crate) const FILES: &[(&str, &str)] = &[
    (
        "/etc/chrony.d/a.conf",
        "port 124\nserver a.example.org iburst\n",
    ),
    ("/etc/chrony.d/b.conf", "include /etc/chrony.d/more/*.inc\n"),
    ("/etc/chrony.d/more/1.inc", "allow 10/8\n"),
    ("/etc/chrony.d/more/[2].inc", "deny 10.1/16\n"),
    ("/etc/chrony.d/.hidden.conf", "no directive\n"),
    ("/etc/loop.conf", "include /etc/loop.conf\n"),
    ("/etc/bad.conf", "# bad\nport x\n"),
    (
        "/etc/chrony.sources/a.sources",
        "server b.example.org\npeer c.example.org key 1\n",
    ),
    ("/run/chrony-dhcp/a.sources", "server d.example.org\n"),
    (
        "/run/chrony-dhcp/b.sources",
        "pool e.example.org maxsources 2\nserver",
    ),
];

/// The ways a daemon reads its configuration.
const WAYS: [ParseOptions; 2] = [
    ParseOptions {
        client_only: false,
        restart: false,
        print: false,
    },
    ParseOptions {
        client_only: true,
        restart: true,
        print: true,
    },
];

/// Parses `data` as a file, line by line, and as arguments.
pub fn run(data: &[u8]) {
    let mut files = MemoryFiles::new();
    for (path, content) in FILES {
        files.insert(path, content);
    }
    files.insert(MAIN, data);
    let lines = data.split(|&byte| byte == b'\n').take(LINES_MAX);
    for options in WAYS {
        let outcome = parse_file(MAIN, &files, options);
        let failed = outcome.is_err();
        check(outcome, &files, options);
        if failed && !options.print {
            // An error ends a file, so that its lines are also parsed one by one.
            for line in lines.clone() {
                check(parse_lines([line], &files, options), &files, options);
            }
        }
    }
    lines.take(ARGUMENTS_MAX).for_each(arguments);
    let _ = parse_sources_fragment(data);
    check_glob(data, &files);
}

fn check(
    outcome: Result<Parsed, Box<ParseFailure>>,
    files: &dyn FileSource,
    options: ParseOptions,
) {
    let parsed = match outcome {
        Ok(parsed) => parsed,
        Err(failure) => {
            assert!(!failure.to_string().is_empty());
            return;
        }
    };
    assert!(options.print || parsed.printed.is_empty());
    for warning in &parsed.warnings {
        assert!(!warning.to_string().is_empty());
    }
    let config = &parsed.config;
    if let Err(error) = config.check() {
        assert!(!error.to_string().is_empty());
    }
    for (index, clock) in config.refclocks.iter().enumerate() {
        let _ = clock.driver();
        let _ = (clock.reference_id(index), clock.reference_id(index + 10));
        let options = &clock.options;
        let _ = (
            options.driver_poll(),
            options.filter_length(),
            options.is_pps(),
            options.effective_maxlockage(),
        );
        let _ = options.effective_precision(timewright_time::Seconds(1e-7));
    }
    for rule in config.server.access.iter().chain(&config.command.access) {
        assert!(!rule.unresolved().to_string().is_empty());
        let _ = (rule.subnet.is_valid(), rule.subnet.to_string());
    }
    let limits = [
        &config.server.rate_limit,
        &config.nts.rate_limit,
        &config.command.rate_limit,
    ];
    assert!(limits.into_iter().flatten().all(|limit| limit.burst > 0));
    for name in &parsed.used {
        let row = timewright_config::directives::find(name.as_bytes());
        assert!(row.is_some_and(|row| row.canonical_name() == *name));
        let _ = row.map(|row| row.status());
    }
    let _ = config.hw_timestamps.for_interface("eth0");
    let _ = read_source_dirs(&config.source_dirs, files);
}

/// What chronyc reads with the same parsers.
fn arguments(line: &[u8]) {
    let rest = line
        .splitn(2, |&byte| byte == b' ')
        .nth(1)
        .unwrap_or_default();
    for arguments in [line, rest] {
        if let Some(access) = parse_access(arguments) {
            let _ = (access.subnet.is_valid(), access.subnet.to_string());
        }
        let _ = parse_local(arguments).map_err(|error| error.to_string());
    }
    for kind in [SourceKind::Server, SourceKind::Pool, SourceKind::Peer] {
        let _ = parse_source(kind, rest).map_err(|error| error.to_string());
    }
}

/// Patterns as `include` has them.
fn check_glob(data: &[u8], files: &MemoryFiles) {
    use std::os::unix::ffi::OsStrExt;
    let pattern = data
        .split(|&byte| byte == b'\n' || byte == 0)
        .next()
        .unwrap_or_default();
    if pattern.len() > 64 {
        return;
    }
    let _ = timewright_config::glob::matches(pattern, b"chrony.conf");
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(pattern));
    if let Ok(found) = files.glob(path) {
        let bytes = |path: &std::path::PathBuf| path.as_os_str().as_bytes().to_vec();
        assert!(found.iter().is_sorted_by_key(bytes), "{found:?}");
    }
}
