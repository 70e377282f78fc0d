//! Signals that ask the daemon to end: a flag, and an event descriptor that wakes `poll`.

use crate::cvt::check;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Number of the first signal that arrived; 0 is none.
static RECEIVED: AtomicI32 = AtomicI32::new(0);
/// Descriptor the handler writes to; -1 is none.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// The signals INT, TERM, QUIT and HUP are caught once this exists; PIPE is ignored.
#[derive(Debug)]
pub struct Termination {
    wake: Option<OwnedFd>,
}

extern "C" fn remember(signal: libc::c_int) {
    RECEIVED.store(signal, Ordering::Relaxed);
    let fd = WAKE.load(Ordering::Relaxed);
    if fd >= 0 {
        let one = 1u64;
        // SAFETY: write is allowed in signal handlers, and reads the eight bytes of `one`. A
        // failure (closed, or a dummy descriptor) does not matter: the flag is set.
        unsafe {
            let errno = *libc::__errno_location();
            libc::write(fd, (&raw const one).cast(), 8);
            *libc::__errno_location() = errno;
        }
    }
}

fn set_handler(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sigaction with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is valid and its handler does only what handlers may do.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) })?;
    Ok(())
}

impl Termination {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The number of the signal whose handler was refused, and why.
    pub fn install() -> Result<Self, (i32, io::Error)> {
        // SAFETY: numbers only.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        let wake = (fd >= 0).then(|| {
            // SAFETY: the descriptor was just made for us.
            unsafe { OwnedFd::from_raw_fd(fd) }
        });
        WAKE.store(fd, Ordering::Relaxed);
        let handler = remember as extern "C" fn(libc::c_int) as libc::sighandler_t;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP] {
            set_handler(signal, handler).map_err(|error| (signal, error))?;
        }
        set_handler(libc::SIGPIPE, libc::SIG_IGN).map_err(|error| (libc::SIGPIPE, error))?;
        Ok(Self { wake })
    }

    /// The descriptor that becomes readable with the first signal, if the system has such.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.wake.as_ref().map(AsFd::as_fd)
    }

    /// The signal that arrived, if one did.
    #[must_use]
    pub fn received(&self) -> Option<i32> {
        match RECEIVED.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

impl Drop for Termination {
    fn drop(&mut self) {
        if let Some(wake) = &self.wake {
            let _ =
                WAKE.compare_exchange(wake.as_raw_fd(), -1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::{Entry, poll};

    #[test]
    fn a_signal_sets_the_flag_and_wakes() {
        let termination = Termination::install().unwrap();
        assert_eq!(termination.received(), None);
        // SAFETY: raises a signal whose handler was just installed.
        unsafe { libc::raise(libc::SIGTERM) };
        assert_eq!(termination.received(), Some(libc::SIGTERM));
        let mut entries = [Entry::input(termination.descriptor().unwrap())];
        assert_eq!(poll(&mut entries, Some(0)).unwrap(), 1);
    }
}
