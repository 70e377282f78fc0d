//! A descriptor that becomes readable when the system clock is set, also by the end of a suspend.
//!
//! Waits are measured by the monotonic clock, which stands still during suspend: without it a wait
//! would go on after the machine woke up, by as much as was left of it.

use crate::cvt::check;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A timer that never expires but is cancelled when the clock is set (`timerfd_create(2)`,
/// `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub struct ClockChanges {
    fd: OwnedFd,
}

/// Unix time that is never reached, s: the year 2255, as far as the kernel counts to 2262.
const NEVER_S: libc::time_t = 9_000_000_000;

impl ClockChanges {
    /// Watches from now on.
    ///
    /// # Errors
    /// The kernel has no such timers.
    pub fn watch() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: numbers only.
        let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, flags) })?;
        // SAFETY: the descriptor was just made for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all-zero bytes are a valid itimerspec.
        let mut never: libc::itimerspec = unsafe { MaybeUninit::zeroed().assume_init() };
        never.it_value.tv_sec = NEVER_S;
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        // SAFETY: `never` is valid; the old setting is not asked for.
        let armed = unsafe {
            libc::timerfd_settime(
                fd.as_raw_fd(),
                flags,
                &raw const never,
                std::ptr::null_mut(),
            )
        };
        check(armed)?;
        Ok(Self { fd })
    }

    /// Takes note: true if the clock was set since the last time.
    pub fn take(&self) -> bool {
        let mut expirations = 0u64;
        // SAFETY: the eight bytes are writable. Reading fails with `ECANCELED` once per change, or
        // with `EAGAIN`.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut expirations).cast(), 8) };
        read < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECANCELED)
    }
}

impl AsFd for ClockChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Entry, poll};

    #[test]
    fn nothing_is_reported_while_nobody_sets_the_clock() {
        let changes = ClockChanges::watch().unwrap();
        let mut entries = [Entry::input(changes.as_fd())];
        assert_eq!(poll(&mut entries, Some(1)).unwrap(), 0);
        assert!(!changes.take());
    }
}
