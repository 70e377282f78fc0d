//! The files of the `log` directive: opened at the first line, with banners
//! (`daemon-and-files.md` 12).

use super::faults::Faults;
use super::{FileError, LineFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use timewright_core::output::LogFile;
use timewright_time::MonoTime;

/// Permissions of the logs, subject to the umask.
const MODE: u32 = 0o644;

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
        file: LineFile,
        lines: u64,
    },
    /// Opening failed; no further attempt until [`Records::cycle`].
    Disabled,
}

/// Why a line was not written.
#[derive(Debug)]
pub(crate) enum RecordError {
    /// A log was enabled without `logdir`.
    NoDirectory,
    /// The file cannot be opened or written.
    File(FileError),
}

/// All log files.
#[derive(Debug)]
pub(crate) struct Records {
    directory: Option<PathBuf>,
    /// Lines between banners; 0 is none.
    banner_every: u64,
    states: BTreeMap<LogFile, State>,
    /// Files that take no lines at present.
    faults: Faults,
}

impl Records {
    pub(crate) const fn new(directory: Option<PathBuf>, banner_every: u64) -> Self {
        Self {
            directory,
            banner_every,
            states: BTreeMap::new(),
            faults: Faults::new(),
        }
    }

    /// Appends one line. A file that was removed meanwhile is made anew.
    ///
    /// # Errors
    /// The line is lost: the first time the file cannot be opened, and once an hour while it
    /// cannot be written. Others are lost silently.
    pub(crate) fn append(
        &mut self,
        log: LogFile,
        line: &str,
        now: MonoTime,
    ) -> Result<(), RecordError> {
        let is_usable = match self.states.get(&log) {
            Some(State::Open { file, .. }) => !file.has_vanished(),
            Some(State::Disabled) => return Ok(()),
            None => false,
        };
        if !is_usable {
            self.open(log)?;
        }
        let Some(State::Open { file, lines }) = self.states.get_mut(&log) else {
            return Ok(());
        };
        let (_, banner) = layout(log);
        let mut text = String::with_capacity(line.len() + 1);
        if self.banner_every > 0 && lines.is_multiple_of(self.banner_every) {
            let rule = "=".repeat(banner.len());
            text.extend([rule.as_str(), "\n", banner, "\n", rule.as_str(), "\n"]);
        }
        *lines += 1;
        text.push_str(line);
        text.push('\n');
        let written = file.append(&text);
        let path = self.path(log).unwrap_or_default();
        match written {
            Ok(()) => self.faults.succeeded(&path),
            Err(error) => {
                let error = FileError::Write(path.display().to_string(), error);
                if self.faults.failed(&path, &error, now) {
                    return Err(RecordError::File(error));
                }
            }
        }
        Ok(())
    }

    /// Closes all files and opens them anew, also those that could not be opened before. The files
    /// that cannot be opened are left out until the next time.
    pub(crate) fn cycle(&mut self) -> Vec<RecordError> {
        if self.directory.is_none() {
            return Vec::new();
        }
        let logs: Vec<LogFile> = self.states.keys().copied().collect();
        logs.into_iter()
            .filter_map(|log| self.open(log).err())
            .collect()
    }

    fn path(&self, log: LogFile) -> Option<PathBuf> {
        let (name, _) = layout(log);
        Some(self.directory.as_ref()?.join(format!("{name}.log")))
    }

    fn open(&mut self, log: LogFile) -> Result<(), RecordError> {
        let opened = match self.path(log) {
            None => Err(RecordError::NoDirectory),
            Some(path) => LineFile::open(&path, MODE).map_err(RecordError::File),
        };
        let (state, result) = match opened {
            Ok(file) => (State::Open { file, lines: 0 }, Ok(())),
            Err(error) => (State::Disabled, Err(error)),
        };
        self.states.insert(log, state);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, SmallDisk};
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const NOW: MonoTime = MonoTime::from_ns(0);

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
            records.append(LogFile::Tempcomp, line, NOW).unwrap();
        }
        let path = scratch.path("tempcomp.log");
        let banner = layout(LogFile::Tempcomp).1;
        let rule = "=".repeat(43);
        let head = format!("{rule}\n{banner}\n{rule}\n");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{head}a\nb\n{head}c\n"));

        fs::rename(&path, scratch.path("old")).unwrap();
        records.append(LogFile::Tempcomp, "d", NOW).unwrap();
        assert!(records.cycle().is_empty());
        records.append(LogFile::Tempcomp, "e", NOW).unwrap();
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
        let first = records.append(LogFile::Rtc, "x", NOW);
        assert!(matches!(first, Err(RecordError::NoDirectory)));
        assert!(records.append(LogFile::Rtc, "y", NOW).is_ok());
        assert!(records.cycle().is_empty());
        let mut records = Records::new(Some("/nonexistent".into()), 0);
        let Err(RecordError::File(error)) = records.append(LogFile::Rtc, "x", NOW) else {
            panic!("opened a file in a missing directory");
        };
        assert_eq!(
            error.to_string(),
            "Could not open /nonexistent/rtc.log : No such file or directory"
        );
        assert!(records.append(LogFile::Rtc, "y", NOW).is_ok());
    }

    #[test]
    fn a_removed_file_is_made_anew_and_a_removed_directory_told_once() {
        let scratch = Scratch::new();
        let directory = scratch.path("logs");
        fs::create_dir(&directory).unwrap();
        let mut records = Records::new(Some(directory.clone()), 0);
        let mut append = |line| records.append(LogFile::Rtc, line, NOW);
        append("a").unwrap();
        let path = directory.join("rtc.log");
        fs::remove_file(&path).unwrap();
        append("b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");

        fs::remove_dir_all(&directory).unwrap();
        assert!(append("c").is_err());
        assert!(append("d").is_ok());
        assert_eq!(records.cycle().len(), 1);
        fs::create_dir(&directory).unwrap();
        assert!(records.append(LogFile::Rtc, "e", NOW).is_ok() && !path.exists());
        assert!(records.cycle().is_empty());
        records.append(LogFile::Rtc, "f", NOW).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "f\n");
    }

    #[test]
    fn a_log_that_becomes_a_link_is_not_followed() {
        let scratch = Scratch::new();
        let mut records = Records::new(Some(scratch.dir().into()), 0);
        records.append(LogFile::Rtc, "a", NOW).unwrap();
        fs::write(scratch.path("victim"), "precious").unwrap();
        fs::remove_file(scratch.path("rtc.log")).unwrap();
        symlink(scratch.path("victim"), scratch.path("rtc.log")).unwrap();
        assert!(records.append(LogFile::Rtc, "b", NOW).is_err());
        assert_eq!(
            fs::read_to_string(scratch.path("victim")).unwrap(),
            "precious"
        );
    }

    #[test]
    fn a_full_disk_is_told_once_and_loses_only_what_does_not_fit() {
        let Some(disk) = SmallDisk::mounted("8k") else {
            return;
        };
        let mut records = Records::new(Some(disk.dir().into()), 0);
        let line = "x".repeat(1000);
        let failures = (0..50)
            .filter(|_| records.append(LogFile::Rtc, &line, NOW).is_err())
            .count();
        assert_eq!(failures, 1);
        fs::write(disk.path("rtc.log"), "").unwrap();
        records.append(LogFile::Rtc, "again", NOW).unwrap();
        let text = fs::read_to_string(disk.path("rtc.log")).unwrap();
        assert!(text.ends_with("\nagain\n"), "{text:?}");
        assert!((0..50).any(|_| records.append(LogFile::Rtc, &line, NOW).is_err()));
    }
}
