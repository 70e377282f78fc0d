//! Fields of C structures that programs on this machine hand to each other.

use timewright_time::Timestamp;

/// The bytes of a field. The offsets are constants of this crate that lie in the structure.
fn field<const N: usize, const SIZE: usize>(bytes: &[u8; SIZE], at: usize) -> [u8; N] {
    let found = bytes.get(at..).and_then(<[u8]>::first_chunk);
    *found.expect("the field lies in the structure")
}

pub(super) fn i32_at<const SIZE: usize>(bytes: &[u8; SIZE], at: usize) -> i32 {
    i32::from_ne_bytes(field(bytes, at))
}

pub(super) fn i64_at<const SIZE: usize>(bytes: &[u8; SIZE], at: usize) -> i64 {
    i64::from_ne_bytes(field(bytes, at))
}

pub(super) fn f64_at<const SIZE: usize>(bytes: &[u8; SIZE], at: usize) -> f64 {
    f64::from_ne_bytes(field(bytes, at))
}

/// A time from its parts, of which the second may be more than a second or negative; `None` if it
/// is beyond what a [`Timestamp`] can tell.
pub(super) fn instant<D>(sec: i64, nsec: i64) -> Option<Timestamp<D>> {
    let ns = sec.checked_mul(1_000_000_000)?.checked_add(nsec)?;
    Some(Timestamp::from_ns(ns))
}
