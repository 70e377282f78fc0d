//! Every case of the configuration table, given to `chronyd -p` of both implementations, and the
//! faults that only a start finds.
//!
//! The cases and what chrony 4.3 is known to do differently stand beside the parser, with a README.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use system_tests::{Host, Lab, Process, seconds};

#[path = "../../timewright-config/tests/walk/cases.rs"]
#[expect(
    dead_code,
    reason = "items and kinds matter to the parser's own test only"
)]
mod cases;

use cases::{Case, Old, Want};

/// Runs one program on the files of each case; arguments: the program.
const SCRIPT: &str = r#"
for case in /var/lib/cases/*; do
    cd "$case"
    "$1" -p -f t.conf > "$1.out" 2> "$1.err"
    echo $? > "$1.status"
done
"#;

/// What a program answered.
#[derive(Debug, PartialEq)]
struct Answer {
    /// With escapes for what is not printable.
    printed: String,
    /// Without the time stamps.
    messages: Vec<String>,
    status: String,
}

fn answer(directory: &Path, program: &str) -> Answer {
    let read = |suffix: &str| {
        let file = directory.join(format!("{program}.{suffix}"));
        fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    let text = |suffix: &str| String::from_utf8_lossy(&read(suffix)).into_owned();
    Answer {
        printed: read("out").escape_ascii().to_string(),
        messages: text("err")
            .lines()
            .map(|line| line.split_once("Z ").map_or(line, |(_, rest)| rest))
            .map(str::to_owned)
            .collect(),
        status: text("status").trim().to_owned(),
    }
}

/// What is wrong with our answer by what the case says, if anything.
fn fault(case: &Case, ours: &Answer) -> Option<&'static str> {
    let (status, message) = match &case.want {
        Want::Fatal(text) | Want::Unresolved(text) | Want::PrintsFatal(_, text) => {
            ("1", Some(format!("Fatal error : {text}")))
        }
        Want::Warn(text) => ("0", Some(text.clone())),
        _ => ("0", None),
    };
    if ours.status != status {
        return Some("our status");
    }
    if message.is_some_and(|message| ours.messages != [message]) {
        return Some("our message");
    }
    if let Want::Prints(lines) | Want::PrintsFatal(lines, _) = &case.want {
        return (ours.printed != lines.escape_ascii().to_string()).then_some("our output");
    }
    None
}

/// What is wrong with the two answers by what is known of 4.3, if anything.
fn difference(case: &Case, ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    let statuses = (ours.status.as_str(), theirs.status.as_str());
    // Who refuses a line prints no further ones.
    let as_known = match case.old {
        Old::Same => ours == theirs,
        Old::Terse => {
            statuses == ("1", "1")
                && ours.printed == theirs.printed
                && ours.messages != theirs.messages
        }
        Old::Loose => statuses == ("1", "0") && theirs.printed.starts_with(&ours.printed),
        Old::New => statuses == ("0", "1") && ours.printed.starts_with(&theirs.printed),
    };
    (!as_known).then_some("the answers differ otherwise than the case says")
}

fn run(host: &Host, program: &str) -> Process {
    host.spawn(&format!("sh /run/cases.sh {program}"))
}

/// The files of each case in a directory of its own, whose name is its index.
fn write_files<'a>(host: &Host, cases: impl IntoIterator<Item = &'a Case>) {
    // Names come from the host's own file: no answer depends on a name server.
    host.write("/etc/nsswitch.conf", "hosts: files\n");
    for (index, case) in cases.into_iter().enumerate() {
        let others = case
            .others
            .iter()
            .map(|(name, content)| (name.as_str(), content));
        for (name, content) in others.chain([("t.conf", &case.main)]) {
            host.write(&format!("{}/{name}", directory(index)), content);
        }
    }
}

fn directory(index: usize) -> String {
    format!("/var/lib/cases/{index:04}")
}

#[test]
fn every_case_of_the_table_is_answered_as_by_the_reference() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let (_, cases) = cases::read();
    write_files(&host, &cases);
    host.write("/run/cases.sh", SCRIPT);
    let mut programs = ["chronyd", "debian-chronyd"].map(|program| run(&host, program));
    for program in &mut programs {
        assert_eq!(program.wait(seconds(300)), 0, "{}", program.stderr());
    }
    let mut faults = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let directory = host.path(&directory(index));
        let [ours, theirs] =
            ["chronyd", "debian-chronyd"].map(|program| answer(&directory, program));
        let found = fault(case, &ours).or_else(|| difference(case, &ours, &theirs));
        if let Some(found) = found {
            let line = &case.line;
            faults.push(format!("{line}\n    {found}\n    {ours:?}\n    {theirs:?}"));
        }
    }
    assert!(cases.len() > 2100, "only {} cases", cases.len());
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn faults_beyond_the_text_are_found_at_the_start() {
    let lab = Lab::new();
    let host = lab.host("host131", "192.168.163.131/24");
    let (_, mut cases) = cases::read();
    cases.retain(|case| matches!(case.want, Want::Start(_)));
    assert!(cases.len() > 20, "only {} cases", cases.len());
    write_files(&host, &cases);
    for (index, case) in cases.iter().enumerate() {
        let Want::Start(text) = &case.want else {
            continue;
        };
        let directory = directory(index);
        let output = host.shell(&format!(
            "cd {directory} && chronyd -d -x -u root -f t.conf"
        ));
        let last = output.stderr.lines().last().unwrap_or_default();
        assert_eq!(output.status, 1, "{}\n{}", case.line, output.stderr);
        let want = format!("Z Fatal error : {text}");
        assert!(last.ends_with(&want), "{}\n{}", case.line, output.stderr);
    }
}
