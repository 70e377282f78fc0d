//! Work that may take long, off the path of the clock: one thread does it, one thing after the
//! other.
//!
//! Jobs travel by channel, results by channel plus one byte on a pipe. The pipe is watched only
//! while a result is owed and read blocking, so that the daemon also runs under a simulator that
//! takes every real descriptor for ready.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A thread that turns jobs into results; it starts with the first job.
pub(crate) struct Worker<J, R> {
    name: &'static str,
    stack_bytes: usize,
    work: fn(J) -> R,
    thread: Option<Thread<J, R>>,
    owed: usize,
}

struct Thread<J, R> {
    jobs: Sender<J>,
    results: Receiver<R>,
    wake: PipeReader,
}

impl<J: Send + 'static, R: Send + 'static> Worker<J, R> {
    pub(crate) const fn new(name: &'static str, stack_bytes: usize, work: fn(J) -> R) -> Self {
        Self {
            name,
            stack_bytes,
            work,
            thread: None,
            owed: 0,
        }
    }

    /// Takes a job; its result comes from [`Self::take`].
    ///
    /// # Errors
    /// No thread or pipe can be made; the job comes back.
    pub(crate) fn ask(&mut self, job: J) -> Result<(), J> {
        let thread = match &mut self.thread {
            Some(thread) => thread,
            none => match Thread::start(self.name, self.stack_bytes, self.work) {
                Ok(thread) => none.insert(thread),
                Err(_) => return Err(job),
            },
        };
        thread.jobs.send(job).map_err(|refused| refused.0)?;
        self.owed += 1;
        Ok(())
    }

    /// Results that are not there yet or not taken yet.
    pub(crate) const fn owed(&self) -> usize {
        self.owed
    }

    /// The descriptor to watch, while a result is owed.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let thread = self.thread.as_ref()?;
        (self.owed > 0).then(|| thread.wake.as_fd())
    }

    /// Takes one result, in the order of the jobs, waiting for it if need be. `None` if none is
    /// owed.
    pub(crate) fn take(&mut self) -> Option<R> {
        let thread = self.thread.as_mut()?;
        self.owed = self.owed.checked_sub(1)?;
        let mut byte = [0];
        // The byte follows the result, so after it the result is there. If reading fails the
        // channel still delivers.
        let _ = thread.wake.read_exact(&mut byte);
        thread.results.recv().ok()
    }
}

impl<J: Send + 'static, R: Send + 'static> Thread<J, R> {
    fn start(name: &str, stack_bytes: usize, work: fn(J) -> R) -> io::Result<Self> {
        let (jobs, todo) = channel();
        let (done, results) = channel();
        let (wake, writer) = io::pipe()?;
        std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(stack_bytes)
            .spawn(move || run(&todo, &done, writer, work))?;
        Ok(Self {
            jobs,
            results,
            wake,
        })
    }
}

/// Ends when the daemon drops its end of a channel.
fn run<J, R>(todo: &Receiver<J>, done: &Sender<R>, mut wake: PipeWriter, work: fn(J) -> R) {
    for job in todo {
        if done.send(work(job)).is_err() || wake.write_all(&[0]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timewright_sys::poll::{Entry, poll};

    #[test]
    fn results_come_in_order_and_the_pipe_is_watched_only_while_owed() {
        let mut worker = Worker::new("twice", 64 << 10, |x: u32| 2 * x);
        assert!(worker.descriptor().is_none() && worker.take().is_none());
        for x in 0..3 {
            worker.ask(x).unwrap();
        }
        assert_eq!(worker.owed(), 3);
        let mut entries = [Entry::input(worker.descriptor().unwrap())];
        assert_eq!(poll(&mut entries, Some(10_000)).unwrap(), 1);
        let results: Vec<u32> = (0..3).map(|_| worker.take().unwrap()).collect();
        assert_eq!(results, [0, 2, 4]);
        assert!(worker.descriptor().is_none() && worker.take().is_none());
    }
}
