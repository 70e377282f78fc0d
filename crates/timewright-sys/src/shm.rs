//! System V shared-memory segments, which other processes write to at any time.

use crate::cvt::check;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// What failed when a segment was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finding or making it.
    Get,
    /// Mapping it.
    Attach,
}

/// A word of a segment, bytes.
const WORD: usize = size_of::<u32>();

/// A segment mapped into this process, until dropped. The segment itself stays.
///
/// Its size never changes while it is mapped, also if its key was removed meanwhile.
#[derive(Debug)]
pub struct Segment {
    address: NonNull<AtomicU32>,
    /// Whole words that were asked for.
    words: usize,
}

impl Segment {
    /// Maps the segment of `key`, which is made with the permission bits `mode` if there is none.
    ///
    /// # Errors
    /// Not allowed, a segment smaller than `size`, or no resources left.
    pub fn open(key: i32, size: usize, mode: u32) -> Result<Self, (Step, io::Error)> {
        let flags = libc::IPC_CREAT | (mode & 0o777).cast_signed();
        // SAFETY: numbers only.
        let id =
            check(unsafe { libc::shmget(key, size, flags) }).map_err(|error| (Step::Get, error))?;
        // SAFETY: a null address lets the kernel choose one that is free.
        let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        let attach = |error| (Step::Attach, error);
        if address.addr() == usize::MAX {
            return Err(attach(io::Error::last_os_error()));
        }
        let address: *mut AtomicU32 = address.cast();
        match NonNull::new(address) {
            Some(address) if address.is_aligned() => Ok(Self {
                address,
                words: size / WORD,
            }),
            _ => Err(attach(io::ErrorKind::InvalidData.into())),
        }
    }

    /// The word at a byte offset that is a multiple of 4; `None` beyond the end.
    fn word(&self, offset: usize) -> Option<&AtomicU32> {
        let index = offset / WORD;
        if !offset.is_multiple_of(WORD) || index >= self.words {
            return None;
        }
        // SAFETY: the segment is mapped for as long as `self` lives, it is aligned and at least
        // `words` long, and as other processes write to it, it is only accessed by atomics.
        Some(unsafe { self.address.add(index).as_ref() })
    }

    /// Copies the beginning of the segment, word by word in this order; what is asked beyond its
    /// end is left alone.
    pub fn copy_to(&self, bytes: &mut [u8]) {
        for (index, chunk) in bytes.chunks_exact_mut(WORD).enumerate() {
            if let Some(word) = self.word(index * WORD) {
                // What is read after a word is not older than it.
                chunk.copy_from_slice(&word.load(Ordering::Acquire).to_ne_bytes());
            }
        }
    }

    /// Reads the number at a byte offset; 0 if it does not lie in the segment as a word.
    #[must_use]
    pub fn number(&self, offset: usize) -> i32 {
        self.word(offset)
            .map_or(0, |word| word.load(Ordering::Acquire).cast_signed())
    }

    /// Writes the number at a byte offset, if it lies in the segment as a word.
    pub fn set_number(&self, offset: usize, value: i32) {
        if let Some(word) = self.word(offset) {
            word.store(value.cast_unsigned(), Ordering::Release);
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the address is that of shmat, and nobody refers to the mapping any more.
        unsafe { libc::shmdt(self.address.as_ptr().cast()) };
    }
}

/// Removes the segment of a key once nobody has it mapped any more; the key is free at once.
///
/// # Errors
/// There is none, or not allowed.
pub fn remove(key: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    let id = check(unsafe { libc::shmget(key, 0, 0) })?;
    // SAFETY: IPC_RMID takes no structure.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key nobody else is likely to use, removed at the end.
    struct Key(i32);

    impl Key {
        fn new(number: u32) -> Self {
            let base = 0x5457_0000_u32 ^ (std::process::id() << 2);
            Self((base | number).cast_signed())
        }
    }

    impl Drop for Key {
        fn drop(&mut self) {
            let _ = remove(self.0);
        }
    }

    #[test]
    fn two_mappings_are_the_same_memory() {
        let key = Key::new(0);
        let one = Segment::open(key.0, 96, 0o600).unwrap();
        let other = Segment::open(key.0, 96, 0o600).unwrap();
        one.set_number(4, -7);
        assert_eq!(other.number(4), -7);
        let mut bytes = [0xff; 100];
        other.copy_to(&mut bytes);
        assert_eq!(bytes[4..8], (-7_i32).to_ne_bytes());
        assert_eq!(bytes[8..96], [0; 88]);
        assert_eq!(bytes[96..], [0xff; 4]);
    }

    #[test]
    fn nothing_outside_is_touched() {
        let key = Key::new(1);
        let segment = Segment::open(key.0, 8, 0o600).unwrap();
        for offset in [2, 8, 96, usize::MAX - 3] {
            segment.set_number(offset, 1);
            assert_eq!(segment.number(offset), 0);
        }
    }

    #[test]
    fn a_removed_segment_stays_mapped() {
        let key = Key::new(2);
        let segment = Segment::open(key.0, 96, 0o600).unwrap();
        remove(key.0).unwrap();
        assert!(remove(key.0).is_err());
        segment.set_number(48, 1);
        assert_eq!(segment.number(48), 1);
        let fresh = Segment::open(key.0, 96, 0o600).unwrap();
        assert_eq!(fresh.number(48), 0);
    }

    #[test]
    fn a_smaller_segment_is_refused() {
        let key = Key::new(3);
        let _small = Segment::open(key.0, 10, 0o600).unwrap();
        let (step, error) = Segment::open(key.0, 96, 0o600).unwrap_err();
        assert_eq!(step, Step::Get);
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
