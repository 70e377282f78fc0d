//! Random bytes from the kernel.

use std::io;

/// Fills the buffer from the kernel's generator.
///
/// # Errors
/// The kernel has no generator, or the call is forbidden.
pub fn fill(mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        // SAFETY: pointer and length describe the writable buffer.
        let result = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match crate::cvt::check_len(result) {
            Ok(taken) => buffer = buffer.get_mut(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        super::fill(&mut a).unwrap();
        super::fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
