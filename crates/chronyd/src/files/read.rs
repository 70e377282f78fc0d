//! Reading files that somebody else may have put there.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use timewright_sys::files::OPEN_NONBLOCK;

/// The first `limit` bytes of a regular file. A pipe or a device in its place neither stops the
/// daemon nor fills its memory.
///
/// # Errors
/// `IsADirectory`, `InvalidInput` for what else is no file, or what opening and reading gives.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OPEN_NONBLOCK)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;

    #[test]
    fn only_files_are_read_and_not_without_end() {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("f"), "abcdef").unwrap();
        assert_eq!(read_regular(&scratch.path("f"), 4).unwrap(), b"abcd");
        assert_eq!(read_regular(&scratch.path("f"), 9).unwrap(), b"abcdef");
        let kind = |path: &Path| read_regular(path, 9).unwrap_err().kind();
        assert_eq!(kind(&scratch.path("none")), ErrorKind::NotFound);
        assert_eq!(kind(scratch.dir()), ErrorKind::IsADirectory);
        assert_eq!(kind(Path::new("/dev/zero")), ErrorKind::InvalidInput);
        assert_eq!(kind(&scratch.fifo("pipe")), ErrorKind::InvalidInput);
    }
}
