//! Exact error texts (`config.md` sections 1 and 2).

use timewright_config::{MemoryFiles, ParseOptions, Subnet, parse_file, parse_lines};

/// What the daemon says to a file with this content: warnings, or the fatal error, or `ok`.
fn answer(content: &[u8]) -> String {
    let files = MemoryFiles::new().with("t.conf", content);
    match parse_file("t.conf", &files, ParseOptions::default()) {
        Err(failure) => failure.to_string(),
        Ok(parsed) if parsed.warnings.is_empty() => "ok".to_owned(),
        Ok(parsed) => {
            let texts: Vec<String> = parsed.warnings.iter().map(ToString::to_string).collect();
            texts.join("|")
        }
    }
}

#[test]
fn every_recorded_line_gets_the_recorded_answer() {
    let recorded = include_str!("data/lines.tsv");
    let mut checked = 0;
    for row in recorded.lines() {
        // Lines may contain tabs, answers do not.
        let (line, want) = row.rsplit_once('\t').unwrap();
        assert_eq!(answer(line.as_bytes()), want, "{line}");
        checked += 1;
    }
    assert!(checked > 400, "only {checked} lines");
}

/// Directives of the release after 4.8, so without a recorded answer.
#[test]
fn newer_directives_have_ranges() {
    for name in ["minstratum", "maxstratum"] {
        let range = format!("in {name} directive (min 0, max 2147483647) at line 1 in file t.conf");
        for (value, want) in [
            (" 0", "ok".to_owned()),
            (" 2147483647", "ok".to_owned()),
            (" -1", format!("Invalid value -1 {range}")),
            (" 2147483648", format!("Invalid value 2147483648 {range}")),
            (
                " x",
                format!("Could not parse {name} directive at line 1 in file t.conf"),
            ),
            (
                "",
                format!("Missing arguments for {name} directive at line 1 in file t.conf"),
            ),
        ] {
            assert_eq!(answer(format!("{name}{value}").as_bytes()), want);
        }
    }
}

#[test]
fn long_lines_are_refused() {
    let too_long = "String too long at line 1 in file t.conf";
    let line = |length: usize| vec![b'#'; length];
    let with_newline = |length| [line(length), b"\nport 1\n".to_vec()].concat();
    for (content, want) in [
        (with_newline(2046), "ok"),
        (with_newline(2047), too_long),
        (line(2047), "ok"),
        (line(2048), too_long),
        (vec![b' '; 2048], too_long),
    ] {
        assert_eq!(answer(&content), want, "{} bytes", content.len());
    }
}

#[test]
fn text_after_a_nul_is_ignored() {
    assert_eq!(answer(b"port 1\0foo\n"), "ok");
    assert_eq!(answer(b"\0foo\n"), "ok");
    // The line is still met in pieces of 2048 bytes, each of which counts as a line.
    let long = [&b"port 1\0"[..], &[b'x'; 2041], b"port 5\nfoo\n"].concat();
    assert_eq!(
        answer(&long),
        "Invalid directive foo at line 3 in file t.conf"
    );
}

#[test]
fn any_white_space_separates_words() {
    assert_eq!(answer(b"port 2\r\nport\x0b4\x0c\n\r\n\t rtcsync \t"), "ok");
    assert_eq!(
        answer("port\u{a0}4".as_bytes()),
        "Invalid directive port\u{a0}4 at line 1 in file t.conf"
    );
}

#[test]
fn directives_of_the_command_line_are_numbered() {
    let files = MemoryFiles::new();
    for (lines, want) in [
        (
            vec!["port 1".to_owned(), "foo x".to_owned()],
            "Invalid directive foo at line 2",
        ),
        (
            vec!["port 1".to_owned(), "# c".to_owned(), "port x".to_owned()],
            "Could not parse port directive at line 3",
        ),
        (
            vec!["port 1\nport 2".to_owned()],
            "Too many arguments for port directive at line 1",
        ),
        (vec!["#".repeat(2048)], "String too long at line 1"),
        (
            vec!["include /none".to_owned()],
            "Could not open /none : No such file or directory",
        ),
    ] {
        let failure = parse_lines(&lines, &files, ParseOptions::default()).unwrap_err();
        assert_eq!(failure.to_string(), want);
    }
    for line in [String::new(), "#".repeat(2047), "port 1\0foo".to_owned()] {
        assert!(parse_lines([&line], &files, ParseOptions::default()).is_ok());
    }
}

#[test]
fn names_keep_their_spelling_in_messages() {
    assert_eq!(
        answer(b"\n  PoRt x"),
        "Could not parse PoRt directive at line 2 in file t.conf"
    );
    assert_eq!(
        answer(b"po\xffrt 1"),
        "Invalid directive po\u{fffd}rt at line 1 in file t.conf"
    );
}

#[test]
fn an_access_rule_whose_name_is_unknown_can_be_reported() {
    let files = MemoryFiles::new().with("/c", "\nAllow all nosuchhost\ncmddeny 0x10\n");
    let parsed = parse_file("/c", &files, ParseOptions::default()).unwrap();
    let rule = &parsed.config.server.access[0];
    assert_eq!(rule.subnet, Subnet::Name("nosuchhost".to_owned()));
    assert!(rule.allow && rule.all);
    let want = "Could not parse Allow directive at line 2 in file /c";
    assert_eq!(rule.unresolved().to_string(), want);
    let rule = &parsed.config.command.access[0];
    assert!(!rule.allow && !rule.all);
    let want = "Could not parse cmddeny directive at line 3 in file /c";
    assert_eq!(rule.unresolved().to_string(), want);
}
