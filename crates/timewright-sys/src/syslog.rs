//! The system log.

use std::ffi::CString;

/// Priorities of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// `LOG_DEBUG`
    Debug,
    /// `LOG_INFO`
    Info,
    /// `LOG_WARNING`
    Warning,
    /// `LOG_ERR`
    Error,
    /// `LOG_CRIT`
    Critical,
}

/// Opens the system log as `chronyd` with the process number, facility `daemon`.
pub fn open() {
    // SAFETY: the identification is a constant, so it outlives the connection.
    unsafe { libc::openlog(c"chronyd".as_ptr(), libc::LOG_PID, libc::LOG_DAEMON) };
}

/// Writes one message; NUL bytes in it are left out.
pub fn write(priority: Priority, text: &str) {
    let level = match priority {
        Priority::Debug => libc::LOG_DEBUG,
        Priority::Info => libc::LOG_INFO,
        Priority::Warning => libc::LOG_WARNING,
        Priority::Error => libc::LOG_ERR,
        Priority::Critical => libc::LOG_CRIT,
    };
    let text: Vec<u8> = text.bytes().filter(|&byte| byte != 0).collect();
    let Ok(text) = CString::new(text) else {
        return;
    };
    // SAFETY: format and text are terminated, and the format takes exactly this argument.
    unsafe { libc::syslog(level, c"%s".as_ptr(), text.as_ptr()) };
}
