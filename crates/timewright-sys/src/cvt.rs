//! From C's return values to `io::Result`, and the text of an error as the C library words it.

use std::ffi::CStr;
use std::io;

/// `-1` is an error with its reason in `errno`.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A length, or `-1` for an error.
pub(crate) fn check_len(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The size of a C structure or option for a call that wants a `socklen_t`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "C structures are far smaller than 2^32"
)]
pub(crate) const fn socklen(size: usize) -> libc::socklen_t {
    size as libc::socklen_t
}

/// The text of a system error as `strerror` gives it, without Rust's `(os error N)`.
#[must_use]
pub fn error_text(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else {
        return error.to_string();
    };
    let mut buffer = [0u8; 256];
    // SAFETY: the buffer is writable and its length is passed; the XSI variant terminates it.
    let result = unsafe {
        libc::strerror_r(
            code,
            buffer.as_mut_ptr().cast::<libc::c_char>(),
            buffer.len(),
        )
    };
    match CStr::from_bytes_until_nul(&buffer) {
        Ok(text) if result == 0 => text.to_string_lossy().into_owned(),
        _ => format!("Unknown error {code}"),
    }
}

/// Whether an error says that descriptors or memory have run out, of the process or the system.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_those_of_the_c_library() {
        let denied = io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(error_text(&denied), "Permission denied");
        assert_eq!(error_text(&io::Error::other("own words")), "own words");
    }
}
