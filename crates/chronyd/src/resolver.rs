//! Name lookups without stopping the clock: one thread asks the C library's resolver.
//!
//! Questions travel by channel, answers by channel plus one byte on a pipe. The pipe is watched
//! only while an answer is owed and read blocking, so that the daemon also runs under a simulator
//! that takes every real descriptor for ready.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use timewright_core::ids::Ticket;
use timewright_sys::names::{Families, LookupError, lookup};

/// An answer and the ticket of its question.
pub(crate) type Answer = (Ticket, Result<Vec<IpAddr>, LookupError>);

type Question = (Ticket, String, Families);

/// The resolver thread; it starts with the first question.
pub(crate) struct Resolver {
    thread: Option<Thread>,
    owed: usize,
}

struct Thread {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    wake: PipeReader,
}

impl Resolver {
    pub(crate) const fn new() -> Self {
        Self {
            thread: None,
            owed: 0,
        }
    }

    /// Asks; the answer comes from [`Self::take`].
    ///
    /// # Errors
    /// No thread or pipe can be made; the question is not taken.
    pub(crate) fn ask(&mut self, question: Question) -> io::Result<()> {
        let thread = match &mut self.thread {
            Some(thread) => thread,
            none => none.insert(Thread::start()?),
        };
        thread
            .questions
            .send(question)
            .map_err(|_| io::Error::other("the resolver thread has ended"))?;
        self.owed += 1;
        Ok(())
    }

    /// The descriptor to watch, while an answer is owed.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let thread = self.thread.as_ref()?;
        (self.owed > 0).then(|| thread.wake.as_fd())
    }

    /// Takes one answer, waiting for it if need be. `None` if none is owed.
    pub(crate) fn take(&mut self) -> Option<Answer> {
        let thread = self.thread.as_mut()?;
        if self.owed == 0 {
            return None;
        }
        self.owed -= 1;
        let mut byte = [0];
        // The byte follows the answer, so after it the answer is there. If reading fails the
        // channel still delivers.
        let _ = thread.wake.read_exact(&mut byte);
        thread.answers.recv().ok()
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let (questions, jobs) = channel::<Question>();
        let (results, answers) = channel();
        let (wake, writer) = io::pipe()?;
        std::thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || work(&jobs, &results, writer))?;
        Ok(Self {
            questions,
            answers,
            wake,
        })
    }
}

/// Ends when the daemon drops its end of a channel.
fn work(jobs: &Receiver<Question>, results: &Sender<Answer>, mut wake: PipeWriter) {
    for (ticket, name, families) in jobs {
        let result = lookup(&name, families);
        if results.send((ticket, result)).is_err() || wake.write_all(&[0]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timewright_sys::poll::{Entry, poll};

    #[test]
    fn answers_come_in_order_and_the_pipe_is_watched_only_while_owed() {
        let mut resolver = Resolver::new();
        assert!(resolver.descriptor().is_none() && resolver.take().is_none());
        for (i, name) in (0..).zip(["192.0.2.1", "2001:db8::1", "a\0"]) {
            let question = (Ticket(i), name.to_owned(), Families::Any);
            resolver.ask(question).unwrap();
        }
        let mut entries = [Entry::input(resolver.descriptor().unwrap())];
        assert_eq!(poll(&mut entries, Some(10_000)).unwrap(), 1);
        let answers: Vec<Answer> = (0..3).map(|_| resolver.take().unwrap()).collect();
        let want = [
            (Ticket(0), Ok(vec!["192.0.2.1".parse().unwrap()])),
            (Ticket(1), Ok(vec!["2001:db8::1".parse().unwrap()])),
            (Ticket(2), Err(LookupError::Permanent)),
        ];
        assert_eq!(answers, want);
        assert!(resolver.descriptor().is_none() && resolver.take().is_none());
    }
}
