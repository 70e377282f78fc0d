//! The message log: system log, standard error or a file (`daemon-and-files.md` 8.1).

use crate::files::{FileError, LineFile};
use std::io::{self, PipeWriter, Write};
use std::path::PathBuf;
use timewright_core::event::{Event, Severity};
use timewright_sys::syslog::{self, Priority};
use timewright_time::Seconds;
use timewright_time::text::Utc;

/// Permissions of the log file, subject to the umask.
const MODE: u32 = 0o640;

/// Where messages go.
#[derive(Debug)]
enum Destination {
    Stderr,
    Syslog,
    File { file: LineFile, path: PathBuf },
}

/// Writes messages of at least a given severity.
#[derive(Debug)]
pub(crate) struct Logger {
    destination: Destination,
    threshold: Severity,
    /// The process in the foreground that waits for our success; until then it is told of fatal
    /// errors.
    parent: Option<PipeWriter>,
    /// Until readiness, fatal errors also go to standard error if the log is the system's.
    starting: bool,
    /// How far the clock was moved back since what is logged now.
    behind: Seconds,
}

impl Logger {
    /// Everything of interest to standard error, until the options are known.
    pub(crate) const fn early() -> Self {
        Self {
            destination: Destination::Stderr,
            threshold: Severity::Info,
            parent: None,
            starting: true,
            behind: Seconds::ZERO,
        }
    }

    pub(crate) const fn set_threshold(&mut self, threshold: Severity) {
        self.threshold = threshold;
    }

    /// Messages from now on are from before the clock was moved back by this much; the system's
    /// log has its own time all the same.
    pub(crate) const fn set_behind(&mut self, by: Seconds) {
        self.behind = by;
    }

    /// Hands over the way to the waiting foreground process.
    pub(crate) fn set_parent(&mut self, parent: PipeWriter) {
        self.parent = Some(parent);
    }

    pub(crate) fn use_syslog(&mut self) {
        syslog::open();
        self.destination = Destination::Syslog;
    }

    /// Appends to a file from now on.
    ///
    /// # Errors
    /// The fatal message.
    pub(crate) fn use_file(&mut self, path: &str) -> Result<(), FileError> {
        let path = PathBuf::from(path);
        let file = LineFile::open(&path, MODE)?;
        self.destination = Destination::File { file, path };
        Ok(())
    }

    /// Opens the log file again if its path has vanished, as after rotation.
    ///
    /// # Errors
    /// It cannot be opened; messages keep going to the old one.
    pub(crate) fn reopen(&mut self) -> Result<(), FileError> {
        if let Destination::File { file, path } = &mut self.destination
            && std::fs::symlink_metadata(&*path).is_err()
        {
            *file = LineFile::open(path, MODE)?;
        }
        Ok(())
    }

    /// Whether messages of this severity are written.
    pub(crate) fn wants(&self, severity: Severity) -> bool {
        severity >= self.threshold
    }

    pub(crate) fn log(&mut self, event: &Event) {
        if self.wants(event.severity) {
            self.write(event.severity, &event.text);
        }
        if event.severity == Severity::Fatal {
            self.tell_starter(&event.text);
        }
    }

    pub(crate) fn info(&mut self, text: impl std::fmt::Display) {
        self.log(&Event::info(text));
    }

    pub(crate) fn warning(&mut self, text: impl std::fmt::Display) {
        self.log(&Event::warning(text));
    }

    pub(crate) fn error(&mut self, text: impl std::fmt::Display) {
        self.log(&Event::error(text));
    }

    pub(crate) fn debug(&mut self, text: impl std::fmt::Display) {
        if self.wants(Severity::Debug) {
            self.log(&Event::debug(text));
        }
    }

    /// The daemon is ready: lets the foreground process end with success.
    pub(crate) fn ready(&mut self) {
        self.starting = false;
        if let Some(mut parent) = self.parent.take() {
            // If the parent has gone there is nobody to tell.
            let _ = parent.write_all(&[0]);
        }
    }

    fn write(&mut self, severity: Severity, text: &str) {
        // While a foreground process waits, our standard error is its business.
        match &mut self.destination {
            Destination::Syslog => {
                let text = form(severity, text);
                syslog::write(priority(severity), &text);
            }
            Destination::Stderr if self.parent.is_some() => {}
            Destination::Stderr => {
                let line = stamped(self.threshold, self.behind, severity, text);
                let _ = io::stderr().write_all(line.as_bytes());
            }
            Destination::File { file, .. } => {
                let line = stamped(self.threshold, self.behind, severity, text);
                // A full disk must not stop the clock.
                let _ = file.append(&line);
            }
        }
    }

    fn tell_starter(&mut self, text: &str) {
        if let Some(mut parent) = self.parent.take() {
            let _ = parent.write_all(text.as_bytes());
        } else if self.starting && matches!(self.destination, Destination::Syslog) {
            let _ = writeln!(io::stderr(), "{}", form(Severity::Fatal, text));
        }
    }
}

fn form(severity: Severity, text: &str) -> String {
    if severity == Severity::Fatal {
        format!("Fatal error : {text}")
    } else {
        text.to_owned()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "steps are far below the range of i64 nanoseconds"
)]
fn stamped(threshold: Severity, behind: Seconds, severity: Severity, text: &str) -> String {
    let now_ns = timewright_sys::clock::realtime().unwrap_or(0);
    let seconds = now_ns
        .saturating_add((behind.0 * 1e9) as i64)
        .div_euclid(1_000_000_000);
    let stamp = Utc::from_unix(seconds).log_stamp().replace(' ', "T");
    let text = form(severity, text);
    if threshold == Severity::Debug {
        format!("{stamp}Z {}:{text}\n", letter(severity))
    } else {
        format!("{stamp}Z {text}\n")
    }
}

const fn letter(severity: Severity) -> char {
    match severity {
        Severity::Debug => 'D',
        Severity::Info => 'I',
        Severity::Warning => 'W',
        Severity::Error => 'E',
        Severity::Fatal => 'F',
    }
}

const fn priority(severity: Severity) -> Priority {
    match severity {
        Severity::Debug => Priority::Debug,
        Severity::Info => Priority::Info,
        Severity::Warning => Priority::Warning,
        Severity::Error => Priority::Error,
        Severity::Fatal => Priority::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;
    use std::io::Read;

    #[test]
    fn files_get_stamped_lines_above_the_threshold() {
        let scratch = Scratch::new();
        let path = scratch.path("log");
        let mut logger = Logger::early();
        logger.use_file(path.to_str().unwrap()).unwrap();
        logger.debug("hidden");
        logger.info("shown");
        logger.log(&Event::new(Severity::Fatal, "end"));
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| &line[20..]).collect();
        assert_eq!(lines, [" shown", " Fatal error : end"]);
        assert!(text.starts_with("20") && text.as_bytes()[19] == b'Z');

        logger.set_threshold(Severity::Debug);
        std::fs::remove_file(&path).unwrap();
        logger.reopen().unwrap();
        logger.debug("seen");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(&text[20..], " D:seen\n");
    }

    #[test]
    fn messages_of_before_a_step_bear_the_time_of_before() {
        let at = |behind| {
            let line = stamped(Severity::Info, Seconds(behind), Severity::Info, "x");
            line[..10].to_owned()
        };
        // Forty days, whatever the date is.
        assert!(at(40.0 * 86_400.0) > at(0.0) && at(0.0) > at(-40.0 * 86_400.0));
        assert!(at(1e300).len() == 10 && at(f64::NAN).len() == 10);
    }

    #[test]
    fn links_are_not_followed() {
        let scratch = Scratch::new();
        let link = scratch.path("link");
        std::os::unix::fs::symlink(scratch.path("target"), &link).unwrap();
        assert!(Logger::early().use_file(link.to_str().unwrap()).is_err());
        assert!(!scratch.path("target").exists());
    }

    #[test]
    fn the_parent_hears_of_readiness_or_of_the_fatal_error() {
        for (fatal, want) in [(false, &b"\0"[..]), (true, b"no")] {
            let scratch = Scratch::new();
            let (mut reader, writer) = io::pipe().unwrap();
            let mut logger = Logger::early();
            logger
                .use_file(scratch.path("log").to_str().unwrap())
                .unwrap();
            logger.set_parent(writer);
            if fatal {
                logger.log(&Event::new(Severity::Fatal, "no"));
            }
            logger.ready();
            let mut told = Vec::new();
            reader.read_to_end(&mut told).unwrap();
            assert_eq!(told, want);
        }
    }
}
