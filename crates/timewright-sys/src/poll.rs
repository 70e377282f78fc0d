//! Waiting for descriptors.

use crate::cvt::check_len;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// One descriptor to watch, and after [`poll`] what happened to it.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    raw: libc::pollfd,
    owner: PhantomData<BorrowedFd<'a>>,
}

impl<'a> Entry<'a> {
    fn new(fd: BorrowedFd<'a>, events: libc::c_short) -> Self {
        Self {
            raw: libc::pollfd {
                fd: fd.as_raw_fd(),
                events,
                revents: 0,
            },
            owner: PhantomData,
        }
    }

    /// Watches for input.
    #[must_use]
    pub fn input(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, libc::POLLIN)
    }

    /// Watches for input and for exceptional events (messages in a socket's error queue).
    #[must_use]
    pub fn input_and_errors(fd: BorrowedFd<'a>) -> Self {
        Self::new(fd, libc::POLLIN | libc::POLLPRI)
    }

    /// Watches for room to write, and for input if `input`.
    #[must_use]
    pub fn output(fd: BorrowedFd<'a>, input: bool) -> Self {
        let also = if input { libc::POLLIN } else { 0 };
        Self::new(fd, libc::POLLOUT | also)
    }

    /// Whether there is something to read (or the other end has gone).
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.raw.revents & (libc::POLLIN | libc::POLLHUP) != 0
    }

    /// Whether there is room to write.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.raw.revents & libc::POLLOUT != 0
    }

    /// Whether the error queue or the pending error of a socket wants to be read.
    #[must_use]
    pub const fn has_error(&self) -> bool {
        self.raw.revents & (libc::POLLERR | libc::POLLPRI) != 0
    }

    /// Whether anything happened, including a closed descriptor.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.raw.revents != 0
    }
}

/// Waits until something happens to one of `entries` or `timeout_ms` is over (`None`: no limit).
/// Returns how many have events; 0 is the timeout.
///
/// # Errors
/// `Interrupted` when a signal arrived; the caller decides whether to wait again.
pub fn poll(entries: &mut [Entry<'_>], timeout_ms: Option<u32>) -> io::Result<usize> {
    match poll_at_once(entries, timeout_ms) {
        // More entries than the limit of open descriptors, which was lowered after they were
        // opened. Looking at them by parts costs wake-ups, but nobody is forgotten.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && entries.len() > 1 => {
            let nap = timeout_ms.map_or(NAP_MS, |ms| ms.min(NAP_MS));
            let (some, others) = entries.split_at_mut(entries.len() / 2);
            let found = poll(some, Some(0))?;
            Ok(found + poll(others, Some(if found > 0 { 0 } else { nap }))?)
        }
        result => result,
    }
}

/// Longest wait for one part of the entries, ms.
const NAP_MS: u32 = 10;

fn poll_at_once(entries: &mut [Entry<'_>], timeout_ms: Option<u32>) -> io::Result<usize> {
    let timeout = match timeout_ms {
        None => -1,
        Some(ms) => libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX),
    };
    let count = libc::nfds_t::try_from(entries.len()).unwrap_or(libc::nfds_t::MAX);
    // SAFETY: `Entry` is a transparent wrapper of pollfd, and `count` is the slice's length.
    let result = unsafe { libc::poll(entries.as_mut_ptr().cast::<libc::pollfd>(), count, timeout) };
    check_len(isize::try_from(result).unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn a_pipe_becomes_readable() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut entries = [Entry::input(reader.as_fd())];
        assert_eq!(poll(&mut entries, Some(0)).unwrap(), 0);
        assert!(!entries[0].is_ready());
        writer.write_all(b"x").unwrap();
        assert_eq!(poll(&mut entries, Some(1000)).unwrap(), 1);
        assert!(entries[0].is_readable() && !entries[0].has_error());
    }
}
