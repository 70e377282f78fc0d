//! Reading the kernel's clocks, in nanoseconds.

use crate::cvt::check;
use std::io;
use std::mem::MaybeUninit;

const NS_PER_S: i64 = 1_000_000_000;

fn read(id: libc::clockid_t) -> io::Result<i64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `time` is writable and large enough for one timespec.
    check(unsafe { libc::clock_gettime(id, time.as_mut_ptr()) })?;
    // SAFETY: the successful call filled it.
    let time = unsafe { time.assume_init() };
    Ok(to_ns(time))
}

/// Saturating conversion; the range of `i64` nanoseconds ends in 2262.
fn to_ns(time: libc::timespec) -> i64 {
    time.tv_sec
        .saturating_mul(NS_PER_S)
        .saturating_add(time.tv_nsec)
}

/// The system clock: nanoseconds since 1970 UTC.
///
/// # Errors
/// Never on a working system.
pub fn realtime() -> io::Result<i64> {
    read(libc::CLOCK_REALTIME)
}

/// What the kernel says is the smallest step of the system clock, nanoseconds.
///
/// # Errors
/// Never on a working system.
pub fn resolution() -> io::Result<i64> {
    let mut step = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `step` is writable and large enough for one timespec.
    check(unsafe { libc::clock_getres(libc::CLOCK_REALTIME, step.as_mut_ptr()) })?;
    // SAFETY: the successful call filled it.
    let step = unsafe { step.assume_init() };
    Ok(to_ns(step))
}

/// The clock that is never stepped: nanoseconds from an arbitrary zero, standing still during
/// suspend.
///
/// # Errors
/// Never on a working system.
pub fn monotonic() -> io::Result<i64> {
    read(libc::CLOCK_MONOTONIC)
}

/// Like [`monotonic`] but counting the time of suspend.
///
/// # Errors
/// The kernel lacks this clock.
pub fn boottime() -> io::Result<i64> {
    read(libc::CLOCK_BOOTTIME)
}

/// Blocks for about so many milliseconds, or less if a signal arrives.
pub fn pause_ms(ms: u32) {
    let wanted = libc::timespec {
        tv_sec: libc::time_t::from(ms / 1000),
        tv_nsec: libc::c_long::from(ms % 1000) * 1_000_000,
    };
    // SAFETY: `wanted` is a valid timespec; the remaining time is not asked for.
    unsafe { libc::nanosleep(&raw const wanted, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance() {
        let (mono, real) = (monotonic().unwrap(), realtime().unwrap());
        assert!(real > 1_700_000_000 * NS_PER_S);
        assert!((1..=NS_PER_S).contains(&resolution().unwrap()));
        pause_ms(2);
        assert!(monotonic().unwrap() - mono >= 1_900_000);
    }
}
