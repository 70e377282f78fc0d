//! The process: forking into the background, identity, limits, the system it runs on.

use crate::cvt::check;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Which of the two processes after a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The one that called.
    Parent,
    /// The new one.
    Child,
}

/// Splits the process.
///
/// # Errors
/// No process can be made, or there is more than one thread: the child would inherit locks whose
/// holders do not exist in it.
pub fn fork() -> io::Result<Fork> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(io::Error::other("the process has threads"));
    }
    // SAFETY: with a single thread the child's memory is consistent, locks included.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        _ => Ok(Fork::Parent),
    }
}

/// Makes the process the leader of a new session without a terminal.
pub fn new_session() {
    // SAFETY: no arguments; failure only means it leads a session already.
    unsafe { libc::setsid() };
}

/// Whether there is a process of this number.
#[must_use]
pub fn exists(pid: i32) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::getsid(pid) != -1 }
}

/// The real user id.
#[must_use]
pub fn real_user() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::getuid() }
}

/// The effective user id.
#[must_use]
pub fn effective_user() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group id.
#[must_use]
pub fn effective_group() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::getegid() }
}

/// Whether the process may read the file, by its real identity.
///
/// # Errors
/// Why not.
pub fn may_read(path: &CStr) -> io::Result<()> {
    // SAFETY: the path is terminated.
    check(unsafe { libc::access(path.as_ptr(), libc::R_OK) })?;
    Ok(())
}

/// Whether the process may write the file, by its real identity.
#[must_use]
pub fn may_write(path: &CStr) -> bool {
    // SAFETY: the path is terminated.
    unsafe { libc::access(path.as_ptr(), libc::W_OK) == 0 }
}

/// Closes the descriptors below 1024 a daemon inherited, except `keep`, and puts `/dev/null` in
/// place of standard input, output and error.
///
/// To be called right after forking into the background, before anything was opened that is not
/// in `keep`.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub fn detach_descriptors(keep: &[RawFd]) -> io::Result<()> {
    for fd in (0..1024).filter(|fd| !keep.contains(fd)) {
        // SAFETY: numbers only. By contract nothing in this process owns these descriptors yet.
        unsafe { libc::close(fd) };
    }
    // SAFETY: the path is terminated.
    let null = check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
    for fd in 0..3 {
        if fd != null && !keep.contains(&fd) {
            // SAFETY: both are descriptors of this process that nobody owns.
            check(unsafe { libc::dup2(null, fd) })?;
        }
    }
    if null > 2 {
        // SAFETY: `null` was opened above and is not used again.
        unsafe { libc::close(null) };
    }
    Ok(())
}

/// A descriptor that whoever started this process passed for it to write to, known by its number.
///
/// To be called before this process opens anything, which could get the number; only the first
/// call returns one. Standard input, output and error stay open beside it. The number need not be
/// that of an open descriptor.
#[must_use]
pub fn take_passed(fd: RawFd) -> Option<File> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // SAFETY: F_GETFD takes numbers only and does not change anything.
    let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
    if !is_open || TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    if fd <= libc::STDERR_FILENO {
        // SAFETY: it is open, and the standard library never closes these three.
        let standard = unsafe { BorrowedFd::borrow_raw(fd) };
        return standard.try_clone_to_owned().map(File::from).ok();
    }
    // SAFETY: it is open and came from outside, so nothing in this process owns it; the guard
    // above lets this happen once.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    set_close_on_exec(std::os::fd::AsFd::as_fd(&file), true).ok()?;
    Some(file)
}

/// Lets a descriptor survive `exec`, or not.
///
/// # Errors
/// Never for an open descriptor.
pub fn set_close_on_exec(fd: BorrowedFd<'_>, close: bool) -> io::Result<()> {
    let flag = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: numbers only, on a borrowed descriptor.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flag) })?;
    Ok(())
}

/// Release of the running kernel, major and minor number.
///
/// # Errors
/// The system does not tell, or in a form that is not understood (`InvalidData`).
pub fn kernel_version() -> io::Result<(u32, u32, u32)> {
    // SAFETY: all-zero bytes are a valid utsname.
    let mut names: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `names` is writable.
    check(unsafe { libc::uname(&raw mut names) })?;
    // SAFETY: uname terminates every member, and the last byte was zero before.
    let release = unsafe { CStr::from_ptr(names.release.as_ptr()) };
    parse_release(&release.to_string_lossy()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `6.1.0-13-amd64` is (6, 1, 0); missing parts after the first count as 0.
fn parse_release(release: &str) -> Option<(u32, u32, u32)> {
    let mut parts = release.splitn(3, '.').map(|part| {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part.get(..end).and_then(|digits| digits.parse().ok())
    });
    let major = parts.next()??;
    let minor = parts.next().flatten().unwrap_or(0);
    Some((major, minor, parts.next().flatten().unwrap_or(0)))
}

/// Ticks per second of the kernel's user interface, if known.
#[must_use]
pub fn clock_ticks() -> Option<i64> {
    // SAFETY: numbers only.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    (ticks > 0).then_some(ticks)
}

/// Gives the process real-time priority, limited to what the system has.
///
/// # Errors
/// Not allowed.
pub fn set_fifo_priority(priority: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    let (low, high) = unsafe {
        (
            libc::sched_get_priority_min(libc::SCHED_FIFO),
            libc::sched_get_priority_max(libc::SCHED_FIFO),
        )
    };
    let param = libc::sched_param {
        sched_priority: priority.clamp(low, high.max(low)),
    };
    // SAFETY: `param` is valid; 0 is the calling process.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) })?;
    Ok(())
}

/// Lifts the limit on locked memory.
///
/// # Errors
/// Not allowed.
pub fn unlimit_locked_memory() -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is valid.
    check(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) })?;
    Ok(())
}

/// Keeps all memory, present and future, from being paged out.
///
/// # Errors
/// Not allowed, or beyond the limit.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_understood() {
        for (text, want) in [
            ("6.1.0-13-amd64", Some((6, 1, 0))),
            ("5.10.0", Some((5, 10, 0))),
            ("4.19-rc1", Some((4, 19, 0))),
            ("3", Some((3, 0, 0))),
            ("x.y", None),
        ] {
            assert_eq!(parse_release(text), want, "{text}");
        }
        assert!(kernel_version().unwrap() > (2, 6, 0));
    }

    #[test]
    fn this_process_exists() {
        assert!(exists(std::process::id().cast_signed()));
        assert!(!exists(i32::MAX));
        assert!(clock_ticks().is_some());
    }

    #[test]
    fn access_is_checked() {
        assert!(may_read(c"/dev/null").is_ok() && may_write(c"/dev/null"));
        let error = may_read(c"/no/such/file").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
