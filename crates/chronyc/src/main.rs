//! `chronyc`: asks and commands a running `chronyd`.
//!
//! arguments -> [`options`] -> lines -> [`commands`] (one table) -> requests over [`exchange`] ->
//! [`report`] -> standard output. Everything of the machine comes in through [`host`].
#![forbid(unsafe_code)]

mod commands;
mod date;
mod editor;
mod exchange;
mod host;
mod options;
mod report;
mod scan;
mod session;
mod transport;

use exchange::Connection;
use host::{Host, Machine};
use options::{Asked, Options};
use session::{Naming, Output, Session};
use std::io::{self, BufRead, BufWriter, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use timewright_sys::{privileges, process, users};
use transport::Server;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let program = if arguments.is_empty() {
        "chronyc".to_owned()
    } else {
        arguments.remove(0)
    };
    let success = match options::parse(&arguments) {
        Asked::Run(options) => run(&options),
        Asked::Help => print(&options::usage(&program)),
        Asked::Version => print(&options::version_line()),
        Asked::Misuse(complaint) => {
            eprintln!("{program}: {complaint}");
            print(&options::usage(&program));
            false
        }
    };
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints without the panic that `print!` ends in when nobody reads.
fn print(text: &str) -> bool {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_ok()
}

/// Runs the commands. `false` if the last one failed.
fn run(options: &Options) -> bool {
    if !drop_root(&options.user) {
        return false;
    }
    let machine = Machine::new();
    let interactive = options.arguments.is_empty();
    let at_terminal = interactive
        && io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && io::stderr().is_terminal();
    if at_terminal {
        print(&options::banner());
    }
    let mut connection = Connection::new(&machine, servers(options, &machine));
    if !connection.open() {
        eprintln!("Could not open connection to daemon");
        return false;
    }
    let mut session = Session {
        host: &machine,
        connection,
        output: Output::new(standard_output(), Box::new(io::stderr())),
        naming: Naming {
            families: options.families,
            numeric: options.numeric || options.csv,
            original: options.original_names,
        },
        csv: options.csv,
        dot: options.dot,
        wide: options.wide,
    };
    if at_terminal && editor::is_possible() {
        editor::run(&mut session)
    } else if interactive {
        read_lines(&mut session, at_terminal)
    } else if options.many {
        run_many(&mut session, &options.arguments)
    } else {
        run_many(&mut session, &[options.arguments.join(" ")])
    }
}

/// At a terminal each line is shown at once; into a file or pipe they go together.
fn standard_output() -> Box<dyn Write> {
    let out = io::stdout();
    if out.is_terminal() {
        Box::new(out)
    } else {
        Box::new(BufWriter::new(out))
    }
}

/// Becomes another user if root started us. `false` if that failed.
fn drop_root(user: &str) -> bool {
    if process::effective_user() != 0 || user == "root" {
        return true;
    }
    let Some(ids) = users::by_name(user) else {
        eprintln!("Could not get user/group ID of {user}");
        return false;
    };
    match privileges::drop_root(ids, &[]) {
        Ok(()) => true,
        Err((step, error)) => {
            eprintln!(
                "Could not become {user} ({step:?}) : {}",
                timewright_sys::error_text(&error)
            );
            false
        }
    }
}

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// The servers of the `-h` option.
fn servers(options: &Options, host: &dyn Host) -> Vec<Server> {
    let mut servers = Vec::new();
    for item in options.hosts.split(',').filter(|item| !item.is_empty()) {
        if item.starts_with('/') {
            servers.push(Server::Unix(item.into()));
            continue;
        }
        let addresses = host::addresses(host, item, options.families)
            .into_iter()
            .take(ADDRESSES_MAX);
        servers.extend(addresses.map(|ip: IpAddr| Server::Udp(SocketAddr::new(ip, options.port))));
    }
    servers
}

/// Each argument is a line; the first that fails is the last.
fn run_many(session: &mut Session<'_>, lines: &[String]) -> bool {
    for line in lines {
        // One byte is kept for the line end it would have.
        if line.len() >= commands::LINE_MAX {
            session.output.complain("Command too long");
            return false;
        }
        let result = commands::process(session, line);
        if result.outcome.is_err() {
            return false;
        }
        if result.quit || session.host.interrupted() {
            break;
        }
    }
    true
}

/// Lines from a file, a pipe or a terminal without editing. The last one decides how the program
/// ends. A signal ends it at once at a terminal, otherwise with the next line.
fn read_lines(session: &mut Session<'_>, at_terminal: bool) -> bool {
    let mut input = io::stdin().lock();
    let mut success = true;
    let mut line = Vec::new();
    loop {
        line.clear();
        if at_terminal {
            session.output.print(editor::PROMPT);
            session.output.show();
            if !session.host.input_comes() {
                session.output.print("\n");
                return success;
            }
        }
        match read_line(&mut input, &mut line) {
            Ok(0) | Err(_) => {
                if at_terminal {
                    session.output.print("\n");
                }
                return success;
            }
            Ok(_) if session.host.interrupted() => return success,
            Ok(_) => {}
        }
        let result = commands::process(session, &String::from_utf8_lossy(&line));
        success = result.outcome.is_ok();
        if result.quit {
            return success;
        }
    }
}

/// One line, or as much of it as a line may have; the rest is the next one.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        let (taken, done) = {
            let available = match input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let room = commands::LINE_MAX - line.len();
            let limited = available.get(..room).unwrap_or(available);
            let end = limited
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| at + 1);
            let part = limited
                .get(..end.unwrap_or(limited.len()))
                .unwrap_or(limited);
            line.extend_from_slice(part);
            (part.len(), end.is_some() || part.is_empty())
        };
        input.consume(taken);
        if done || line.len() >= commands::LINE_MAX {
            return Ok(line.len());
        }
    }
}
