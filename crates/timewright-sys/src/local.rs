//! The host's name, and time in its time zone.

use std::ffi::CStr;

/// The name of this host.
#[must_use]
pub fn hostname() -> Option<String> {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is writable; one byte less than its length is offered, so that a
    // truncated name is terminated as well.
    let result = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let text = CStr::from_bytes_until_nul(&name).ok()?.to_str().ok()?;
    (result == 0 && !text.is_empty()).then(|| text.to_owned())
}

/// A time (seconds since 1970) in the host's time zone, as `strftime` formats it; `None` if it
/// cannot be represented or takes more than 255 bytes.
#[must_use]
pub fn calendar(seconds: i64, format: &CStr) -> Option<String> {
    let time: libc::time_t = seconds;
    // SAFETY: all-zero bytes are a valid tm (its zone is a null pointer).
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    if unsafe { libc::localtime_r(&raw const time, &raw mut parts) }.is_null() {
        return None;
    }
    let mut text = [0u8; 256];
    // SAFETY: buffer with its length, terminated format, initialised parts.
    let length = unsafe {
        libc::strftime(
            text.as_mut_ptr().cast(),
            text.len(),
            format.as_ptr(),
            &raw const parts,
        )
    };
    let text = text.get(..length).filter(|text| !text.is_empty())?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_text_and_host_name() {
        // Noon of a day that is the same day in every time zone but the outermost.
        let text = calendar(1_700_049_600, c"%Y, %d %B").unwrap();
        assert!(
            text.starts_with("2023, 1") && text.ends_with(" November"),
            "{text}"
        );
        assert_eq!(calendar(0, c""), None);
        assert!(hostname().is_some());
    }
}
