//! Reads the cases of `tests/data/table`, whose README has the format.

/// What a case must lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Accepted; the item has this value.
    Ok(String),
    /// Accepted; the item has this value after the silent adjustments of start-up.
    Effective(String),
    /// Accepted, and these lines are printed with `-p`.
    Prints(Vec<u8>),
    /// Refused with this message, after these lines were printed with `-p`.
    PrintsFatal(Vec<u8>, String),
    /// Accepted with this warning.
    Warn(String),
    /// Refused with this message.
    Fatal(String),
    /// Refused with this message by who resolves the host name.
    Unresolved(String),
    /// Accepted, also with `-p`; refused at start-up with this message.
    Start(String),
}

/// How chrony 4.3 answers, for a reason that the README of the cases has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    /// Output, messages and status are the same.
    Same,
    /// It refuses the same with a message that says less.
    Terse,
    /// It does not see the fault.
    Loose,
    /// It does not know the directive, option or value.
    New,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Name of the directive, or `DIRECTIVE.OPTION`.
    pub(crate) item: String,
    /// What about the item is shown.
    pub(crate) kind: String,
    /// What chrony 4.3 does.
    pub(crate) old: Old,
    /// The main file, `t.conf`.
    pub(crate) main: Vec<u8>,
    /// Other files, names and contents.
    pub(crate) others: Vec<(String, Vec<u8>)>,
    /// The outcome.
    pub(crate) want: Want,
    /// The line as written, for messages.
    pub(crate) line: String,
}

/// An item and what sort of arguments it has.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// As in [`Case::item`].
    pub(crate) name: String,
    /// A word that the README explains.
    pub(crate) shape: String,
}

/// The files of the table, in the order of `config.md`.
pub(crate) const FILES: [&str; 10] = [
    include_str!("../data/table/lexical.tsv"),
    include_str!("../data/table/source-options.tsv"),
    include_str!("../data/table/client.tsv"),
    include_str!("../data/table/clock.tsv"),
    include_str!("../data/table/server.tsv"),
    include_str!("../data/table/command.tsv"),
    include_str!("../data/table/refclock.tsv"),
    include_str!("../data/table/access.tsv"),
    include_str!("../data/table/hwtimestamp.tsv"),
    include_str!("../data/table/inclusion.tsv"),
];

/// All items and all cases.
pub(crate) fn read() -> (Vec<Item>, Vec<Case>) {
    let (mut items, mut cases) = (Vec::<Item>::new(), Vec::new());
    let lines = FILES.iter().flat_map(|file| file.lines());
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            let (name, shape) = header.split_once("] ").expect("[NAME] SHAPE");
            let (name, shape) = (name.to_owned(), shape.to_owned());
            items.push(Item { name, shape });
        } else {
            let item = items.last().expect("cases follow an item");
            cases.push(case(&item.name, line));
        }
    }
    (items, cases)
}

fn case(item: &str, line: &str) -> Case {
    let fields: Vec<&str> = line.split('\t').collect();
    let [kind, old, input, want] = fields[..] else {
        panic!("not four fields: {line}");
    };
    let mut files = input.split(" || ");
    let main = bytes(files.next().expect("a main file"));
    let others = files.map(|file| {
        let (name, content) = file.split_once(": ").expect("NAME: CONTENT");
        (name.to_owned(), bytes(content))
    });
    let old = match old {
        "same" => Old::Same,
        "terse" => Old::Terse,
        "loose" => Old::Loose,
        "new" => Old::New,
        _ => panic!("not a word for chrony 4.3: {line}"),
    };
    let (verdict, text) = want.split_once(' ').unwrap_or((want, ""));
    let want = match verdict {
        "ok" => Want::Ok(text.to_owned()),
        "effective" => Want::Effective(text.to_owned()),
        "prints" => Want::Prints(lines_of(text)),
        "prints-fatal" => {
            let (printed, text) = text.split_once(" => ").expect("LINES => MESSAGE");
            Want::PrintsFatal(lines_of(printed), message(text))
        }
        "warn" => Want::Warn(text.to_owned()),
        "fatal" => Want::Fatal(message(text)),
        "unresolved" => Want::Unresolved(message(text)),
        "start" => Want::Start(text.to_owned()),
        _ => panic!("not an outcome: {line}"),
    };
    Case {
        item: item.to_owned(),
        kind: kind.to_owned(),
        old,
        main,
        others: others.collect(),
        want,
        line: format!("[{item}] {line}"),
    }
}

/// Complete lines, or nothing.
fn lines_of(text: &str) -> Vec<u8> {
    let mut lines = bytes(text);
    if !lines.is_empty() {
        lines.push(b'\n');
    }
    lines
}

/// A message: `@N` at the end stands for the line of the main file, `@` for its first line.
fn message(text: &str) -> String {
    let text = String::from_utf8(bytes(text)).expect("messages are UTF-8");
    match text.rsplit_once('@') {
        Some((before, "")) => format!("{before} at line 1 in file t.conf"),
        Some((before, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{before} at line {line} in file t.conf")
        }
        _ => text,
    }
}

/// Replaces the escapes: those of C, and `{x*5}` for `xxxxx`.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (value, after) = match first {
            '\\' => escape(&rest[1..]),
            '{' => repetition(&rest[1..]).unwrap_or_else(|| (b"{".to_vec(), &rest[1..])),
            _ => {
                let (one, after) = rest.split_at(first.len_utf8());
                (one.as_bytes().to_vec(), after)
            }
        };
        out.extend(value);
        rest = after;
    }
    out
}

fn escape(text: &str) -> (Vec<u8>, &str) {
    let (letter, after) = text.split_at(1);
    let byte = match letter {
        "n" => b'\n',
        "t" => b'\t',
        "v" => 0x0b,
        "f" => 0x0c,
        "r" => b'\r',
        "0" => 0,
        "\\" => b'\\',
        "x" => {
            let (digits, after) = after.split_at(2);
            let byte = u8::from_str_radix(digits, 16).expect("two digits after \\x");
            return (vec![byte], after);
        }
        _ => panic!("no escape: \\{letter}"),
    };
    (vec![byte], after)
}

fn repetition(text: &str) -> Option<(Vec<u8>, &str)> {
    let (inside, after) = text.split_once('}')?;
    let (unit, count) = inside.split_once('*')?;
    Some((unit.repeat(count.parse().ok()?).into_bytes(), after))
}
