//! Lines from a person: prompt, editing, history and completion (`chronyc.md` 2).

use crate::commands::{self, completions};
use crate::session::Session;
use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

pub(crate) const PROMPT: &str = "chronyc> ";

/// Terminals that cannot move the cursor: lines are read as they come there.
const WITHOUT_EDITING: [&str; 3] = ["dumb", "cons25", "emacs"];

/// Whether lines can be edited at the terminal that the environment names.
pub(crate) fn is_possible() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    !WITHOUT_EDITING
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&term))
}

/// Offers the words of the command table.
struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, words) = completions(line.get(..position).unwrap_or(line));
        let candidates = match words.as_slice() {
            // A word that is complete is left behind.
            [word] => vec![format!("{word} ")],
            words => words.iter().map(ToString::to_string).collect(),
        };
        Ok((start, candidates))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

/// Runs the lines a person types until they leave. `false` if the last one failed.
pub(crate) fn run(session: &mut Session<'_>) -> bool {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(false)
        .build();
    let editor = Editor::<Words, MemHistory>::with_history(config, MemHistory::new());
    let Ok(mut editor) = editor else {
        session.output.complain("Could not prepare the terminal");
        return false;
    };
    editor.set_helper(Some(Words));
    let mut success = true;
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            // The editor has ended the line.
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return success,
            Err(_) => {
                session.output.print("\n");
                let _ = session.output.flush();
                return success;
            }
        };
        if session.host.interrupted() {
            return success;
        }
        if !line.trim().is_empty() {
            // History lives in memory only; failing to remember a line is no harm.
            let _ = editor.add_history_entry(line.as_str());
        }
        for part in parts(&line) {
            let result = commands::process(session, part);
            success = result.outcome.is_ok();
            if result.quit || session.host.interrupted() {
                return success;
            }
        }
    }
}

/// A line cut to the length that commands may have.
fn parts(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line;
    while rest.len() > commands::LINE_MAX {
        let mut cut = commands::LINE_MAX;
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let (part, after) = rest.split_at(cut);
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}
