//! The kernel's clock discipline interface, `adjtimex(2)`.

use crate::cvt::check;
use std::io;

/// The part of `struct timex` a daemon works with; units are those of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timex {
    /// Which members to set (`ADJ_*`); 0 only reads.
    pub modes: u32,
    /// Offset of the phase-locked loop.
    pub offset: i64,
    /// Frequency in units of 2^-16 ppm; positive speeds the clock up.
    pub freq: i64,
    /// Maximum error, microseconds.
    pub max_error: i64,
    /// Estimated error, microseconds.
    pub est_error: i64,
    /// Status bits (`STA_*`).
    pub status: i32,
    /// Time constant of the phase-locked loop; the TAI offset with `ADJ_TAI`.
    pub constant: i64,
    /// Seconds of the time or step.
    pub time_sec: i64,
    /// Microseconds, or nanoseconds with `ADJ_NANO`.
    pub time_usec: i64,
    /// Microseconds per clock tick.
    pub tick: i64,
    /// TAI minus UTC as the kernel has it, seconds.
    pub tai: i32,
}

/// Modes and states of [`adjtimex`].
pub mod modes {
    pub use libc::{
        ADJ_ESTERROR, ADJ_FREQUENCY, ADJ_MAXERROR, ADJ_NANO, ADJ_OFFSET, ADJ_OFFSET_SINGLESHOT,
        ADJ_SETOFFSET, ADJ_STATUS, ADJ_TAI, ADJ_TICK, ADJ_TIMECONST, STA_DEL, STA_INS, STA_PLL,
        STA_UNSYNC, TIME_WAIT,
    };
}

/// Sets what `timex.modes` names, fills the other members with what the kernel has, and returns
/// the clock state (`TIME_*`).
///
/// # Errors
/// Not allowed, or a value out of range; nothing was changed.
pub fn adjtimex(timex: &mut Timex) -> io::Result<i32> {
    // SAFETY: all-zero bytes are a valid timex.
    let mut raw: libc::timex = unsafe { std::mem::zeroed() };
    raw.modes = timex.modes;
    raw.offset = timex.offset;
    raw.freq = timex.freq;
    raw.maxerror = timex.max_error;
    raw.esterror = timex.est_error;
    raw.status = timex.status;
    raw.constant = timex.constant;
    raw.time.tv_sec = timex.time_sec;
    raw.time.tv_usec = timex.time_usec;
    raw.tick = timex.tick;
    // SAFETY: `raw` is a live, fully initialised timex; adjtimex writes only inside it.
    let state = check(unsafe { libc::adjtimex(&raw mut raw) })?;
    *timex = Timex {
        modes: raw.modes,
        offset: raw.offset,
        freq: raw.freq,
        max_error: raw.maxerror,
        est_error: raw.esterror,
        status: raw.status,
        constant: raw.constant,
        time_sec: raw.time.tv_sec,
        time_usec: raw.time.tv_usec,
        tick: raw.tick,
        tai: raw.tai,
    };
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_needs_no_privilege() {
        let mut timex = Timex::default();
        let state = adjtimex(&mut timex).unwrap();
        assert!((0..=5).contains(&state));
        assert!((9_000..=11_000).contains(&timex.tick), "{timex:?}");
        assert!(timex.time_sec > 1_700_000_000);
    }
}
