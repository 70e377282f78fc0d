//! State files (drift, dumps): written by a thread of their own, since a disk may take seconds to
//! say that something is safe, and reported on when they are.

use super::FileError;
use super::faults::Faults;
use super::replace::{Change, carry_out};
use crate::worker::Worker;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use timewright_core::ids::Ticket;
use timewright_time::MonoTime;

/// Jobs that may wait for a disk; with one that never answers, more are refused.
const JOBS_MAX: usize = 16;

/// Nothing deeper than a few system calls.
const STACK_BYTES: usize = 128 << 10;

/// Files to write together, and who wants to know.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) changes: Vec<Change>,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ticket: Option<Ticket>,
    succeeded: Vec<PathBuf>,
    failed: Vec<(PathBuf, FileError)>,
}

impl Done {
    pub(crate) const fn is_success(&self) -> bool {
        self.failed.is_empty()
    }
}

/// The writer and what it met.
pub(crate) struct StateFiles {
    worker: Worker<Job, Done>,
    faults: Faults,
}

impl StateFiles {
    pub(crate) const fn new() -> Self {
        Self {
            worker: Worker::new("files", STACK_BYTES, write),
            faults: Faults::new(),
        }
    }

    /// Begins a job. `Some` if it has ended already: without a thread, for want of descriptors or
    /// memory, it is done at once, and too many at a time are refused.
    pub(crate) fn begin(&mut self, job: Job) -> Option<Done> {
        if self.worker.owed() >= JOBS_MAX {
            let refused = |change: Change| {
                let error = FileError::Busy(change.path.display().to_string());
                (change.path, error)
            };
            return Some(Done {
                ticket: job.ticket,
                succeeded: Vec::new(),
                failed: job.changes.into_iter().take(1).map(refused).collect(),
            });
        }
        self.worker.ask(job).err().map(write)
    }

    /// The descriptor to watch while a job is under way.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.worker.descriptor()
    }

    /// The next outcome, waiting for it if need be; `None` if nothing is under way.
    pub(crate) fn take(&mut self) -> Option<Done> {
        self.worker.take()
    }

    /// The lines for the log: one for every reason for which something failed, unless it was told
    /// of the same file within the hour.
    pub(crate) fn news(&mut self, done: &Done, now: MonoTime) -> Vec<String> {
        for path in &done.succeeded {
            self.faults.succeeded(path);
        }
        let mut reasons = Vec::new();
        let mut lines = Vec::new();
        for (path, error) in &done.failed {
            let is_news = self.faults.failed(path, error, now);
            let is_first = !reasons.contains(&error.number());
            reasons.push(error.number());
            if is_news && is_first {
                lines.push(error.to_string());
            }
        }
        lines
    }
}

fn write(job: Job) -> Done {
    let mut done = Done {
        ticket: job.ticket,
        succeeded: Vec::new(),
        failed: Vec::new(),
    };
    for (path, result) in carry_out(&job.changes) {
        match result {
            Ok(()) => done.succeeded.push(path),
            Err(error) => done.failed.push((path, error)),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;
    use std::fs;

    fn job(ticket: u64, files: &[(PathBuf, Option<&str>)]) -> Job {
        let change = |(path, content): &(PathBuf, Option<&str>)| Change {
            path: path.clone(),
            content: content.map(str::to_owned),
        };
        Job {
            ticket: Some(Ticket(ticket)),
            changes: files.iter().map(change).collect(),
        }
    }

    #[test]
    fn outcomes_come_when_the_files_are_there() {
        let scratch = Scratch::new();
        let (a, b) = (scratch.path("a"), scratch.path("b"));
        fs::write(&b, "old").unwrap();
        let mut files = StateFiles::new();
        assert!(files.take().is_none() && files.descriptor().is_none());
        let begun = files.begin(job(7, &[(a.clone(), Some("new\n")), (b.clone(), None)]));
        assert!(begun.is_none() && files.descriptor().is_some());
        let done = files.take().unwrap();
        assert!(done.is_success() && done.ticket == Some(Ticket(7)));
        assert!(files.news(&done, MonoTime::from_ns(0)).is_empty());
        assert_eq!(fs::read_to_string(&a).unwrap(), "new\n");
        assert!(!b.exists());
    }

    #[test]
    fn one_reason_is_one_line_however_many_files_it_hits() {
        let missing = |name: &str| (PathBuf::from("/nonexistent").join(name), Some("x"));
        let mut files = StateFiles::new();
        let both = [missing("a"), missing("b")];
        let news = |files: &mut StateFiles, s: i64| {
            let done = match files.begin(job(1, &both)) {
                Some(done) => done,
                None => files.take().unwrap(),
            };
            assert!(!done.is_success());
            files.news(&done, MonoTime::from_ns(s * 1_000_000_000))
        };
        let want = ["Could not open /nonexistent/a.tmp : No such file or directory"];
        assert_eq!(news(&mut files, 0), want);
        assert!(news(&mut files, 1).is_empty());
        assert_eq!(news(&mut files, 4000), want);
    }

    #[test]
    fn a_disk_that_does_not_answer_is_given_up() {
        let scratch = Scratch::new();
        let mut files = StateFiles::new();
        let refused = (0..1000)
            .find_map(|_| files.begin(job(1, &[(scratch.path("a"), Some("x"))])))
            .expect("a limit");
        let want = format!(
            "Could not write {} : earlier writes have not ended",
            scratch.path("a").display()
        );
        assert_eq!(files.news(&refused, MonoTime::from_ns(0)), [want]);
        let mut ended = 0;
        while let Some(done) = files.take() {
            assert!(done.is_success());
            ended += 1;
        }
        assert_eq!(ended, JOBS_MAX);
    }
}
