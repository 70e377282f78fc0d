//! The files of the `log` directive: opened at the first line, with banners
//! (`daemon-and-files.md` 12).

use super::FileError;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use timewright_core::output::LogFile;
use timewright_sys::files::OPEN_NOFOLLOW;

/// Name and banner of each log.
const fn layout(log: LogFile) -> (&'static str, &'static str) {
    match log {
        LogFile::Measurements => (
            "measurements",
            "   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    Offset  Peer del. \
             Peer disp.  Root del. Root disp. Refid     MTxRx",
        ),
        LogFile::Statistics => (
            "statistics",
            "   Date (UTC) Time     IP Address    Std dev'n Est offset  Offset sd  Diff freq   \
             Est skew  Stress  Ns  Bs  Nr  Asym",
        ),
        LogFile::Tracking => (
            "tracking",
            "   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L Co  \
             Offset sd Rem. corr. Root delay Root disp. Max. error",
        ),
        LogFile::Selection => (
            "selection",
            "   Date (UTC) Time     IP Address   S EOpts Reach Score Last sample  Low end   \
             High end",
        ),
        LogFile::Refclocks => (
            "refclocks",
            "   Date (UTC) Time         Refid  DP L P  Raw offset   Cooked offset      Disp.",
        ),
        LogFile::Rtc => (
            "rtc",
            "   Date (UTC) Time   RTC fast (s) Val   Est fast (s)   Slope (ppm)  Ns  Nr Meas",
        ),
        LogFile::Tempcomp => ("tempcomp", "   Date (UTC) Time        Temp.       Comp."),
    }
}

#[derive(Debug)]
enum State {
    Open {
        file: File,
        lines: u64,
    },
    /// Opening failed; no further attempt until [`Records::cycle`].
    Disabled,
}

/// Why a line was not written; reported once.
#[derive(Debug)]
pub(crate) enum RecordError {
    /// A log was enabled without `logdir`.
    NoDirectory,
    /// The file cannot be opened.
    File(FileError),
}

/// All log files.
#[derive(Debug)]
pub(crate) struct Records {
    directory: Option<PathBuf>,
    /// Lines between banners; 0 is none.
    banner_every: u64,
    states: BTreeMap<LogFile, State>,
}

impl Records {
    pub(crate) const fn new(directory: Option<PathBuf>, banner_every: u64) -> Self {
        Self {
            directory,
            banner_every,
            states: BTreeMap::new(),
        }
    }

    /// Appends one line.
    ///
    /// # Errors
    /// The first time the file cannot be opened; later lines are dropped silently.
    pub(crate) fn append(&mut self, log: LogFile, line: &str) -> Result<(), RecordError> {
        let (name, banner) = layout(log);
        if !self.states.contains_key(&log) {
            let opened = match &self.directory {
                None => Err(RecordError::NoDirectory),
                Some(directory) => {
                    open(&directory.join(format!("{name}.log"))).map_err(RecordError::File)
                }
            };
            match opened {
                Ok(file) => self.states.insert(log, State::Open { file, lines: 0 }),
                Err(error) => {
                    self.states.insert(log, State::Disabled);
                    return Err(error);
                }
            };
        }
        let Some(State::Open { file, lines }) = self.states.get_mut(&log) else {
            return Ok(());
        };
        let mut text = String::with_capacity(line.len() + 1);
        if self.banner_every > 0 && lines.is_multiple_of(self.banner_every) {
            let rule = "=".repeat(banner.len());
            text.extend([rule.as_str(), "\n", banner, "\n", rule.as_str(), "\n"]);
        }
        *lines += 1;
        text.push_str(line);
        text.push('\n');
        // A full disk must not stop the clock; the line is lost.
        let _ = file.write_all(text.as_bytes());
        Ok(())
    }

    /// Closes all files; they are opened again by the next lines.
    pub(crate) fn cycle(&mut self) {
        self.states
            .retain(|_, state| matches!(state, State::Disabled));
    }
}

fn open(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(OPEN_NOFOLLOW)
        .open(path)
        .map_err(|error| FileError::Open(path.display().to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use std::fs;

    #[test]
    fn banners_have_the_lengths_of_the_original() {
        for (log, length) in [
            (LogFile::Measurements, 136),
            (LogFile::Statistics, 116),
            (LogFile::Tracking, 131),
            (LogFile::Selection, 87),
            (LogFile::Refclocks, 79),
            (LogFile::Rtc, 79),
            (LogFile::Tempcomp, 43),
        ] {
            assert_eq!(layout(log).1.len(), length, "{log:?}");
        }
    }

    #[test]
    fn a_banner_comes_before_every_nth_line_and_after_cycling() {
        let scratch = Scratch::new();
        let mut records = Records::new(Some(scratch.dir().into()), 2);
        for line in ["a", "b", "c"] {
            records.append(LogFile::Tempcomp, line).unwrap();
        }
        let path = scratch.path("tempcomp.log");
        let banner = layout(LogFile::Tempcomp).1;
        let rule = "=".repeat(43);
        let head = format!("{rule}\n{banner}\n{rule}\n");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{head}a\nb\n{head}c\n"));

        fs::rename(&path, scratch.path("old")).unwrap();
        records.append(LogFile::Tempcomp, "d").unwrap();
        records.cycle();
        records.append(LogFile::Tempcomp, "e").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{head}e\n"));
        assert!(
            fs::read_to_string(scratch.path("old"))
                .unwrap()
                .ends_with("d\n")
        );
    }

    #[test]
    fn failures_are_reported_once() {
        let mut records = Records::new(None, 0);
        let first = records.append(LogFile::Rtc, "x");
        assert!(matches!(first, Err(RecordError::NoDirectory)));
        assert!(records.append(LogFile::Rtc, "y").is_ok());
        let mut records = Records::new(Some("/nonexistent".into()), 0);
        let Err(RecordError::File(error)) = records.append(LogFile::Rtc, "x") else {
            panic!("opened a file in a missing directory");
        };
        assert_eq!(
            error.to_string(),
            "Could not open /nonexistent/rtc.log : No such file or directory"
        );
        assert!(records.append(LogFile::Rtc, "y").is_ok());
    }
}
