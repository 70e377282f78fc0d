//! The NTP daemon of timewright: turns kernel events into inputs of the engine
//! (`timewright-core`) and its outputs into system calls.
//!
//! ```text
//! args ─> boot ─> event_loop::Daemon ── poll ─> Engine::handle_*
//!                       ^                            │ OutputQueue
//!                       └── Feedback ── runtime::Runtime ─> net, files, resolver, logger, clocks
//! ```
#![forbid(unsafe_code)]

mod args;
mod boot;
mod clocks;
mod daemonise;
mod event_loop;
mod files;
mod logger;
mod mail;
mod net;
mod notify;
mod os_files;
mod refclock;
mod resolver;
mod runtime;
mod trace;
mod version;
mod wake_up;
mod worker;

use args::Request;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use timewright_core::event::{Event, Severity};

fn main() -> ExitCode {
    let arguments: Vec<Vec<u8>> = std::env::args_os().map(OsStringExt::into_vec).collect();
    match args::parse(&arguments) {
        Request::Run(options) => boot::run(&options),
        Request::Print(text) => {
            // A reader that has gone is no reason to fail.
            let _ = writeln!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Request::Usage(error, usage) => {
            let _ = writeln!(io::stderr(), "{error}");
            let _ = writeln!(io::stdout(), "{usage}");
            ExitCode::FAILURE
        }
        Request::Fatal(text) => {
            logger::Logger::early().log(&Event::new(Severity::Fatal, text));
            ExitCode::FAILURE
        }
    }
}
