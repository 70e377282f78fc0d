//! Whole configurations: inclusion, printing, `-Q` and `-R` (`config.md` sections 1.2, 1.3 and 9).

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

use proptest::prelude::*;
use timewright_config::{
    Config, MemoryFiles, ParseFailure, ParseOptions, Parsed, SourceKind, Warning, parse_file,
    parse_lines,
};

const PRINT: ParseOptions = ParseOptions {
    client_only: false,
    restart: false,
    print: true,
};

fn printed(lines: &[Vec<u8>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

fn ports(main: &str, files: MemoryFiles) -> Result<Vec<String>, String> {
    match parse_file("/main", &files.with("/main", main), PRINT) {
        Ok(parsed) => Ok(printed(&parsed.printed)),
        Err(failure) => Err(failure.to_string()),
    }
}

fn fragments() -> MemoryFiles {
    MemoryFiles::new()
        .with("/g/d1/a.conf", "port 1\n")
        .with("/g/d1/b.conf", "port 2")
        .with("/g/d1/.h.conf", "port 4\n")
        .with("/g/d2/a.conf", "# comment\n\nport 3\n")
        .with("/g/d2/bad", "port 1\nfoo\n")
}

#[track_caller]
fn check(main: &str, want: &[&str]) {
    assert_eq!(ports(main, fragments()).unwrap(), want, "{main}");
}

#[track_caller]
fn check_error(main: &str, want: &str) {
    assert_eq!(ports(main, fragments()), Err(want.to_owned()), "{main}");
}

#[test]
fn files_are_expanded_in_place() {
    check(
        "port 8\ninclude /g/d1/*.conf\nport 9\n",
        &["port 8", "port 1", "port 2", "port 9"],
    );
    check("include /g/*/a.conf", &["port 1", "port 3"]);
    check("include /g/d1/a.conf", &["port 1"]);
    check("include /g/d1", &[]);
    check("include /g/d1/*.none", &[]);
    check(
        "confdir /g/d1 /g/d2\nport 9\n",
        &["port 1", "port 2", "port 9"],
    );
    check("confdir /g/d2 /g/d1", &["port 3", "port 2"]);
    check(
        "confdir /g/d1\nconfdir /g/d2\n",
        &["port 1", "port 2", "port 3"],
    );
    check("confdir /none /g/d2 /g/d2/a.conf", &["port 3"]);
}

#[test]
fn the_last_value_wins_across_files() {
    let files = fragments().with("/main", "port 8\ninclude /g/d1/*.conf\n");
    let parsed = parse_file("/main", &files, ParseOptions::default()).unwrap();
    assert_eq!(parsed.config.server.port, 2);
}

#[test]
fn files_that_cannot_be_read_are_fatal() {
    check_error(
        "include /none",
        "Could not open /none : No such file or directory",
    );
    check_error(
        "include /g/d1/a.conf/x",
        "Could not open /g/d1/a.conf/x : Not a directory",
    );
    check_error(
        "include /none/*.conf",
        "Could not search for files matching /none/*.conf",
    );
    check_error(
        "include /g/d2/b*",
        "Invalid directive foo at line 2 in file /g/d2/bad",
    );
    check_error(
        "include /g/d1/*\nport x",
        "Could not parse port directive at line 2 in file /main",
    );
    let failure = parse_file("/none", &fragments(), PRINT).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "Could not open /none : No such file or directory"
    );
}

#[test]
fn files_nest_ten_deep() {
    let chain = |length: u32| {
        (1..length).fold(MemoryFiles::new(), |files, level| {
            files.with(format!("/n{level}"), format!("include /n{}\n", level + 1))
        })
    };
    // The main file is at level 1.
    let deep = |length: u32| chain(length).with(format!("/n{length}"), "port 99\n");
    assert_eq!(
        ports("include /n1", deep(9)),
        Ok(vec!["port 99".to_owned()])
    );
    let too_deep = Err("Maximum include level reached".to_owned());
    assert_eq!(ports("include /n1", deep(10)), too_deep);
    // The level is looked at first, so the last file need not exist.
    assert_eq!(ports("include /n1", chain(10)), too_deep);
    assert_eq!(ports("include /main", MemoryFiles::new()), too_deep);
    // On the command line there is no main file.
    let parse = |files| parse_lines(["include /n1"], &files, ParseOptions::default());
    assert_eq!(parse(deep(10)).unwrap().config.server.port, 99);
    assert!(parse(deep(11)).is_err());
    // Files side by side do not count as nested.
    let many = "include /g/d1/a.conf\n".repeat(30);
    assert_eq!(ports(&many, fragments()).unwrap().len(), 30);
}

#[test]
fn directives_are_printed_before_they_are_parsed() {
    let main =
        "  PORT \t 1 \r\n# c\n\nsourcedir  /a\nrtcsync\ninclude /g/d1/a.conf\nport x y\nport 2";
    let failure = parse_file("/main", &fragments().with("/main", main), PRINT).unwrap_err();
    let want = ["PORT 1", "sourcedir /a", "rtcsync", "port 1", "port x y"];
    assert_eq!(printed(&failure.printed), want);
    let want = "Too many arguments for port directive at line 7 in file /main";
    assert_eq!(failure.to_string(), want);
    check("INCLUDE /g/d1/a.conf\nConfDir /g/d2", &["port 1", "port 3"]);
    let quiet = parse_lines(["port 1"], &fragments(), ParseOptions::default()).unwrap();
    assert!(quiet.printed.is_empty());
    let failure = parse_lines(["port 1", "f\u{f6}o"], &fragments(), PRINT).unwrap_err();
    assert_eq!(
        failure.printed[1],
        "f\u{f6}o".as_bytes(),
        "unknown names are printed, as bytes"
    );
}

#[test]
fn warnings_before_an_error_are_kept() {
    let failure = parse_lines(["Linux_Hz 100", "foo"], &fragments(), PRINT).unwrap_err();
    let ParseFailure { warnings, .. } = *failure;
    assert_eq!(
        warnings,
        [Warning::NoLongerSupported("Linux_Hz".to_owned())]
    );
    assert_eq!(
        warnings[0].to_string(),
        "Linux_Hz directive is no longer supported"
    );
}

#[test]
fn used_directives_are_listed_once() {
    let lines = [
        "Server a",
        "server b",
        "ntscachedir /x",
        "allow",
        "ntsdumpdir /y",
    ];
    let parsed = parse_lines(lines, &fragments(), ParseOptions::default()).unwrap();
    assert_eq!(parsed.used, ["server", "ntsdumpdir", "allow"]);
}

fn parse(lines: &[&str], options: ParseOptions) -> Config {
    parse_lines(lines, &MemoryFiles::new(), options)
        .unwrap()
        .config
}

#[test]
fn a_client_only_run_has_other_defaults() {
    let options = ParseOptions {
        client_only: true,
        ..ParseOptions::default()
    };
    let config = parse(&[], options);
    assert_eq!((config.server.port, config.command.port), (0, 0));
    assert_eq!(
        (config.command.socket, config.process.pid_file),
        (None, None)
    );
    let config = parse(
        &["port 5", "cmdport 6", "bindcmdaddress /s", "pidfile /p"],
        options,
    );
    assert_eq!((config.server.port, config.command.port), (5, 6));
    assert_eq!(config.command.socket.unwrap().to_str(), Some("/s"));
    assert_eq!(config.process.pid_file.unwrap().to_str(), Some("/p"));
}

#[test]
fn a_restart_ignores_the_first_corrections() {
    let options = ParseOptions {
        restart: true,
        ..ParseOptions::default()
    };
    assert_eq!(parse(&["initstepslew 30 a"], options).initstepslew, None);
    assert_eq!(
        parse(&["initstepslew x"], options).initstepslew,
        None,
        "not even looked at"
    );
    for (limit, want) in [(3, 0), (0, 0), (-1, -1)] {
        let config = parse(&[&format!("makestep 1 {limit}")], options);
        assert_eq!(config.clock.make_step.unwrap().limit, want);
    }
}

fn stock(name: &str, content: &str) -> Parsed {
    let files = MemoryFiles::new()
        .with(
            "/etc/chrony/conf.d/README",
            "*.conf files here are included.",
        )
        .with(name, content);
    let parsed = parse_file(name, &files, PRINT).unwrap();
    assert!(parsed.warnings.is_empty());
    assert_eq!(parsed.config.check(), Ok(()));
    parsed
}

#[test]
fn the_configuration_of_centos_7_loads() {
    let parsed = stock("/etc/chrony.conf", include_str!("data/centos7.conf"));
    let config = &parsed.config;
    assert_eq!(
        parsed.used,
        ["server", "driftfile", "makestep", "rtcsync", "logdir"]
    );
    let names: Vec<&str> = config
        .sources
        .iter()
        .map(|spec| spec.name.as_str())
        .collect();
    let want: Vec<String> = (0..4).map(|n| format!("{n}.centos.pool.ntp.org")).collect();
    assert_eq!(names, want);
    assert!(config.sources.iter().all(|spec| spec.options.iburst));
    assert_eq!(
        config
            .clock
            .make_step
            .map(|step| (step.threshold.0, step.limit)),
        Some((1.0, 3))
    );
    assert!(config.rtc.sync);
    assert_eq!(parsed.printed.len(), 8);
}

#[test]
fn the_configuration_of_debian_loads() {
    let parsed = stock("/etc/chrony/chrony.conf", include_str!("data/debian.conf"));
    let config = &parsed.config;
    let want = [
        "confdir",
        "pool",
        "sourcedir",
        "keyfile",
        "driftfile",
        "ntsdumpdir",
        "logdir",
        "maxupdateskew",
        "rtcsync",
        "makestep",
        "leapsectz",
    ];
    assert_eq!(parsed.used, want);
    assert_eq!(config.sources.len(), 1);
    assert!(config.sources[0].kind == SourceKind::Pool);
    assert_eq!(config.source_dirs.len(), 2);
    assert!((config.clock.max_update_skew_ppm - 100.0).abs() < 1e-9);
    assert_eq!(config.leap.timezone.as_deref(), Some("right/UTC"));
}

/// Lines that are accepted, for the properties below.
fn accepted() -> Vec<&'static str> {
    include_str!("data/lines.tsv")
        .lines()
        .filter_map(|row| row.rsplit_once('\t'))
        .filter(|(_, answer)| *answer == "ok")
        .map(|(line, _)| line)
        .collect()
}

proptest! {
    #[test]
    fn bytes_never_panic(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_file("/main", &fragments().with("/main", content), PRINT);
    }

    #[test]
    fn directives_with_odd_arguments_never_panic(
        pick in any::<proptest::sample::Index>(),
        words in proptest::collection::vec("[-+.0-9a-zA-Z:/*\\[\\]]{0,9}", 0..6),
    ) {
        let names: Vec<&str> =
            timewright_config::directives::all().map(|row| row.name).collect();
        let line = format!("{} {}", names[pick.index(names.len())], words.join(" "));
        if let Ok(parsed) = parse_lines([&line], &fragments(), PRINT) {
            let _ = parsed.config.check();
        }
    }

    #[test]
    fn what_is_printed_means_the_same(
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..30),
        space in "[ \t\r\u{b}\u{c}]{1,3}",
    ) {
        let lines = accepted();
        let text: String = picks
            .iter()
            .map(|pick| format!("{space}{}\n", lines[pick.index(lines.len())].replace(' ', &space)))
            .collect();
        let files = |content: &[u8]| MemoryFiles::new().with("/main", content);
        let first = parse_file("/main", &files(text.as_bytes()), PRINT).unwrap();
        let again = [first.printed.join(&b'\n'), b"\n".to_vec()].concat();
        let second = parse_file("/main", &files(&again), PRINT).unwrap();
        prop_assert_eq!(&first.printed, &second.printed);
        // Line numbers of access rules differ, and a NaN differs from itself.
        let without_lines = |parsed: &Parsed| {
            let mut config = parsed.config.clone();
            for rule in config.server.access.iter_mut().chain(&mut config.command.access) {
                rule.at.line = 0;
            }
            format!("{config:?}")
        };
        prop_assert_eq!(without_lines(&first), without_lines(&second));
    }
}
