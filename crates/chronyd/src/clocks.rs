//! The adjustable clock over `adjtimex(2)` (`discipline.md` 9.2, 9.3), the untouched clock of
//! `-x`, and the kernel's randomness.
//!
//! The arithmetic is in `timewright_core::discipline::linux`; here are the calls, what was
//! remembered from the last one, and what a refusal means.

use timewright_core::clock::{Clock, ClockError, ClockLimits};
use timewright_core::discipline::linux::{
    ADJ_OFFSET, ADJ_OFFSET_SINGLESHOT, ADJ_STATUS, InterferenceWatch, KernelEvent, KernelLeap,
    KernelState, LinuxFrequency, STA_PLL, STA_UNSYNC, StepFields, SyncFields, driver_delay,
    guess_hz,
};
use timewright_core::discipline::precision;
use timewright_core::event::Event;
use timewright_core::rng::Rng;
use timewright_sys::error_text;
use timewright_sys::privileges::{Capability, is_in_bounding_set};
use timewright_sys::process::{clock_ticks, kernel_version};
use timewright_sys::timex::{Timex, adjtimex};
use timewright_time::{Raw, Seconds, Timestamp};

/// Reads the system clock; the reading cannot fail on a system that runs at all.
pub(crate) fn realtime() -> Timestamp<Raw> {
    Timestamp::from_ns(timewright_sys::clock::realtime().unwrap_or(0))
}

/// Smallest step of the system clock: measured, or, if it does not move meanwhile as under a
/// simulator that has begun to count, what the kernel says.
pub(crate) fn precision() -> Seconds {
    let measured = precision::try_measure(|| realtime().ns());
    let stated = || timewright_sys::clock::resolution().ok();
    let precision = measured.or_else(|| {
        let step = Timestamp::<Raw>::from_ns(stated()?) - Timestamp::ZERO;
        Some(step.0)
    });
    Seconds(precision::clamp(precision.unwrap_or(1.0)))
}

/// What the clock wants told besides the answers to the engine.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Messages, in order.
    pub(crate) events: Vec<Event>,
    /// A call that must not fail has failed; the daemon ends with this message.
    pub(crate) fatal: Option<String>,
}

/// The clock of the runtime: the kernel's, or one that is only read.
pub(crate) enum SystemClock {
    /// Adjusted through the kernel.
    Kernel(Box<KernelClock>),
    /// `-x`: read, never touched.
    ReadOnly,
}

impl SystemClock {
    /// What has happened since the last call.
    pub(crate) fn take_notes(&mut self) -> Notes {
        match self {
            Self::Kernel(clock) => std::mem::take(&mut clock.notes),
            Self::ReadOnly => Notes::default(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> Timestamp<Raw> {
        realtime()
    }

    fn frequency_ppm(&mut self) -> f64 {
        match self {
            Self::Kernel(clock) => clock.frequency_ppm,
            Self::ReadOnly => 0.0,
        }
    }

    fn set_frequency_ppm(&mut self, wanted: f64) -> f64 {
        match self {
            Self::Kernel(clock) => clock.set_frequency_ppm(wanted),
            Self::ReadOnly => 0.0,
        }
    }

    fn step(&mut self, offset: Seconds) -> Result<(), ClockError> {
        match self {
            Self::Kernel(clock) => clock.step(offset),
            Self::ReadOnly => Err(ClockError {
                reason: "the clock is not controlled".to_owned(),
            }),
        }
    }

    fn set_sync_status(&mut self, synchronised: bool, est_error: Seconds, max_error: Seconds) {
        if let Self::Kernel(clock) = self {
            clock.set_sync_status(synchronised, est_error, max_error);
        }
    }

    fn set_leap(&mut self, leap: i8, tai_offset_s: i32) {
        if let Self::Kernel(clock) = self {
            clock.set_leap(leap, tai_offset_s);
        }
    }

    fn limits(&self) -> ClockLimits {
        match self {
            Self::Kernel(clock) => clock.limits,
            Self::ReadOnly => ClockLimits {
                max_frequency_ppm: 1e6,
                driver_delay: Seconds::ZERO,
                can_leap: false,
                can_set: false,
            },
        }
    }
}

/// The kernel's clock.
pub(crate) struct KernelClock {
    frequency: LinuxFrequency,
    limits: ClockLimits,
    leap: KernelLeap,
    watch: InterferenceWatch,
    /// Whether the kernel may know that it is synchronised (`rtcsync`).
    rtc_sync: bool,
    /// Status bits as we last set them.
    status: i32,
    frequency_ppm: f64,
    notes: Notes,
}

impl KernelClock {
    /// Takes the clock over: stops an adjustment in progress and the kernel's own loop, and reads
    /// the frequency in force.
    ///
    /// # Errors
    /// The fatal message.
    pub(crate) fn open(rtc_sync: bool) -> Result<Self, String> {
        let mut notes = Notes::default();
        if !is_in_bounding_set(Capability::SysTime) {
            notes
                .events
                .push(Event::warning("CAP_SYS_TIME not present"));
        }
        let (major, minor, patch) = kernel_version().map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => "Could not parse kernel version".to_owned(),
            _ => "uname() failed".to_owned(),
        })?;
        if (major, minor, patch) < (2, 6, 39) {
            return Err("Kernel version not supported, sorry.".to_owned());
        }
        let hz = match clock_ticks().and_then(|hz| u32::try_from(hz).ok()) {
            Some(hz) => hz,
            None => {
                let mut timex = Timex::default();
                call(&mut timex)?;
                guess_hz(timex.tick)
                    .ok_or_else(|| format!("Can't determine hz from tick {}", timex.tick))?
            }
        };
        let frequency = LinuxFrequency::new(hz);
        let limits = ClockLimits {
            max_frequency_ppm: frequency.max_ppm(),
            driver_delay: driver_delay((major, minor)),
            can_leap: true,
            can_set: true,
        };
        let mut clock = Self {
            frequency,
            limits,
            leap: KernelLeap::default(),
            watch: InterferenceWatch::default(),
            rtc_sync,
            status: STA_UNSYNC,
            frequency_ppm: 0.0,
            notes,
        };
        for (modes, status) in [
            (ADJ_OFFSET_SINGLESHOT, 0),
            (ADJ_OFFSET | ADJ_STATUS, STA_PLL | STA_UNSYNC),
            (ADJ_STATUS, STA_UNSYNC),
        ] {
            clock.adjust(Timex {
                modes,
                status,
                ..Timex::default()
            })?;
        }
        let (timex, _) = clock.adjust(Timex::default())?;
        clock.frequency_ppm = clock.frequency.read(timex.tick, timex.freq);
        Ok(clock)
    }

    /// One call, with the check for interference by others.
    fn adjust(&mut self, mut timex: Timex) -> Result<(Timex, i32), String> {
        let modes = timex.modes;
        let state = call(&mut timex)?;
        let left = KernelState {
            status: timex.status,
            constant: timex.constant,
            freq: timex.freq,
        };
        if self.watch.check(modes, left) {
            self.notes.events.push(KernelEvent::Interference.into());
        }
        Ok((timex, state))
    }

    fn set_frequency_ppm(&mut self, wanted: f64) -> f64 {
        let words = self.frequency.words(wanted);
        let adjusted = self.adjust(Timex {
            modes: words.modes,
            freq: words.freq,
            tick: words.tick,
            ..Timex::default()
        });
        match adjusted {
            Ok((timex, _)) => self.frequency_ppm = self.frequency.achieved_ppm(timex.freq),
            Err(reason) => self.fail(reason),
        }
        self.frequency_ppm
    }

    /// Without its frequency control the daemon is no use; it ends once the engine returns.
    fn fail(&mut self, reason: String) {
        self.notes.fatal.get_or_insert(reason);
    }

    fn step(&mut self, offset: Seconds) -> Result<(), ClockError> {
        let fields = StepFields::new(offset);
        self.adjust(Timex {
            modes: StepFields::MODES,
            time_sec: fields.seconds,
            time_usec: fields.nanoseconds,
            ..Timex::default()
        })
        .map_err(|reason| ClockError { reason })?;
        Ok(())
    }

    fn set_sync_status(&mut self, synchronised: bool, est_error: Seconds, max_error: Seconds) {
        let fields = SyncFields::new(synchronised, est_error, max_error, self.rtc_sync);
        let status = fields.status(self.status);
        let adjusted = self.adjust(Timex {
            modes: SyncFields::MODES,
            status,
            est_error: fields.est_error_us,
            max_error: fields.max_error_us,
            ..Timex::default()
        });
        match adjusted {
            Ok(_) => self.status = status,
            Err(reason) => self.notes.events.push(Event::debug(reason)),
        }
    }

    fn set_leap(&mut self, leap: i8, tai_offset_s: i32) {
        let state = match self.adjust(Timex::default()) {
            Ok((_, state)) => state,
            Err(reason) => return self.fail(reason),
        };
        let (fields, events) = self.leap.announce(self.status, state, leap, tai_offset_s);
        let adjusted = self.adjust(Timex {
            modes: fields.modes,
            status: fields.status,
            constant: fields.constant,
            ..Timex::default()
        });
        match adjusted {
            Ok(_) => {
                self.status = fields.status;
                let events = events.into_iter().map(Event::from);
                self.notes.events.extend(events);
            }
            Err(reason) => self.fail(reason),
        }
    }
}

fn call(timex: &mut Timex) -> Result<i32, String> {
    let modes = timex.modes;
    adjtimex(timex).map_err(|error| {
        let reason = error_text(&error);
        format!("adjtimex(0x{modes:x}) failed : {reason}")
    })
}

/// Randomness from the kernel.
pub(crate) struct KernelRng;

impl Rng for KernelRng {
    fn fill(&mut self, buf: &mut [u8]) {
        // Packets must not become predictable; a kernel without randomness is no place to run.
        #[expect(clippy::expect_used, reason = "there is no way to go on safely")]
        timewright_sys::random::fill(buf).expect("the kernel gives no random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_untouched_clock_reads_and_refuses() {
        let mut clock = SystemClock::ReadOnly;
        let before = clock.now();
        assert!(before.sec() > 1_700_000_000);
        assert!(clock.step(Seconds(1.0)).is_err());
        assert!(!clock.limits().can_set && !clock.limits().can_leap);
        clock.set_sync_status(true, Seconds::ZERO, Seconds::ZERO);
        assert!((clock.now() - before).0.abs() < 10.0);
        assert!(clock.take_notes().fatal.is_none());
    }

    #[test]
    fn errors_name_the_modes() {
        // An impossible tick is refused by the kernel, for root as for anybody.
        let mut timex = Timex {
            modes: 0x4000,
            tick: 1,
            ..Timex::default()
        };
        let reason = call(&mut timex).unwrap_err();
        assert!(reason.starts_with("adjtimex(0x4000) failed : "), "{reason}");
    }
}
