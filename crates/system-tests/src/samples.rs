//! What other programs hand to reference clocks, put together from the published layouts and not
//! from our own code.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time of the system clock, microseconds since 1970.
///
/// # Panics
///
/// Before 1970.
#[must_use]
pub fn system_time_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let us = since.expect("a clock that is set").as_micros();
    i64::try_from(us).expect("not that far in the future")
}

/// A message to the socket of a SOCK reference clock.
#[derive(Debug, Clone, Copy)]
pub struct SockSample {
    /// Seconds of the system clock.
    pub sec: i64,
    /// Microseconds of the system clock.
    pub usec: i64,
    /// True minus system time, seconds.
    pub offset: f64,
    /// Not 0: a pulse.
    pub pulse: i32,
    /// 0, 1 insert, 2 delete.
    pub leap: i32,
    /// What makes it a message.
    pub magic: i32,
}

impl SockSample {
    /// A sample taken now.
    #[must_use]
    pub fn now(offset: f64) -> Self {
        let us = system_time_us();
        Self {
            sec: us / 1_000_000,
            usec: us % 1_000_000,
            offset,
            pulse: 0,
            leap: 0,
            magic: 0x534f_434b,
        }
    }

    /// The bytes of the message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.sec.to_ne_bytes());
        bytes.extend(self.usec.to_ne_bytes());
        bytes.extend(self.offset.to_ne_bytes());
        for field in [self.pulse, self.leap, 0, self.magic] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes
    }
}

/// What is written to the shared memory of a SHM reference clock, with the names of ntpd's manual.
#[derive(Debug, Clone, Copy)]
pub struct ShmSample {
    /// 0, or 1 for a counted one.
    pub mode: i32,
    /// Time of the device, seconds.
    pub clock_sec: i64,
    /// Time of the device, microseconds.
    pub clock_usec: i32,
    /// Time of the device, nanoseconds.
    pub clock_nsec: i32,
    /// Time of the system clock, seconds.
    pub receive_sec: i64,
    /// Time of the system clock, microseconds.
    pub receive_usec: i32,
    /// Time of the system clock, nanoseconds.
    pub receive_nsec: i32,
    /// 0, 1 insert, 2 delete.
    pub leap: i32,
    /// Not 0: a new sample.
    pub valid: i32,
}

impl ShmSample {
    /// A sample taken now, by a device that is `ahead_ns` ahead.
    ///
    /// # Panics
    ///
    /// Never: parts of a second are small.
    #[must_use]
    pub fn now(ahead_ns: i64) -> Self {
        let receive_ns = 1000 * system_time_us();
        let parts = |ns: i64| {
            let nsec = i32::try_from(ns.rem_euclid(1_000_000_000)).expect("less than a second");
            (ns.div_euclid(1_000_000_000), nsec / 1000, nsec)
        };
        let (clock_sec, clock_usec, clock_nsec) = parts(receive_ns + ahead_ns);
        let (receive_sec, receive_usec, receive_nsec) = parts(receive_ns);
        Self {
            mode: 1,
            clock_sec,
            clock_usec,
            clock_nsec,
            receive_sec,
            receive_usec,
            receive_nsec,
            leap: 0,
            valid: 1,
        }
    }

    /// As a line for `probe shm`.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} {} {} {} {} {} {} {} {}\n",
            self.mode,
            self.clock_sec,
            self.clock_usec,
            self.receive_sec,
            self.receive_usec,
            self.leap,
            self.clock_nsec,
            self.receive_nsec,
            self.valid
        )
    }
}
