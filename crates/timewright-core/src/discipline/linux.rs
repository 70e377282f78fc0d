//! Arithmetic of the Linux clock driver: what goes into and comes out of `struct timex`
//! (`discipline.md` 9.2, 9.3). The system call itself is made elsewhere.

use std::fmt;
use timewright_time::Seconds;

/// `modes`: set the offset.
pub const ADJ_OFFSET: u32 = 0x0001;
/// `modes`: set the frequency.
pub const ADJ_FREQUENCY: u32 = 0x0002;
/// `modes`: set the maximum error.
pub const ADJ_MAXERROR: u32 = 0x0004;
/// `modes`: set the estimated error.
pub const ADJ_ESTERROR: u32 = 0x0008;
/// `modes`: set the status.
pub const ADJ_STATUS: u32 = 0x0010;
/// `modes`: set the time constant of the kernel's own loop.
pub const ADJ_TIMECONST: u32 = 0x0020;
/// `modes`: set the TAI offset.
pub const ADJ_TAI: u32 = 0x0080;
/// `modes`: step by `time`.
pub const ADJ_SETOFFSET: u32 = 0x0100;
/// `modes`: nanoseconds; with [`ADJ_SETOFFSET`] the unit of that call only.
pub const ADJ_NANO: u32 = 0x2000;
/// `modes`: set the tick.
pub const ADJ_TICK: u32 = 0x4000;
/// `modes`: the old `adjtime` interface.
pub const ADJ_OFFSET_SINGLESHOT: u32 = 0x8001;
/// `status`: the kernel's own loop is in use.
pub const STA_PLL: i32 = 0x0001;
/// `status`: insert a leap second.
pub const STA_INS: i32 = 0x0010;
/// `status`: delete a leap second.
pub const STA_DEL: i32 = 0x0020;
/// `status`: unsynchronised.
pub const STA_UNSYNC: i32 = 0x0040;
/// Returned state: a leap second has just been handled.
pub const TIME_WAIT: i32 = 4;

/// Units of the frequency word in a ppm.
const FREQUENCY_SCALE: f64 = 65_536.0;
/// At this tick rate or below one tick unit is coarse enough to be kept as long as possible.
const STICKY_TICK_HZ: i64 = 250;

/// Tick length and frequency of the kernel clock for a tick rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinuxFrequency {
    hz: i64,
    nominal_tick: i64,
    /// Nominal minus present tick.
    tick_delta: i64,
}

/// Fields of a call that sets the frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrequencyWords {
    /// `modes`.
    pub modes: u32,
    /// `freq`, 2^-16 ppm.
    pub freq: i64,
    /// `tick`, µs.
    pub tick: i64,
}

impl LinuxFrequency {
    /// For a tick rate (`sysconf(_SC_CLK_TCK)`, else [`guess_hz`]), at the nominal tick.
    #[must_use]
    pub fn new(hz: u32) -> Self {
        let hz = i64::from(hz.clamp(1, 1_000_000));
        Self {
            hz,
            nominal_tick: (1_000_000 + hz / 2) / hz,
            tick_delta: 0,
        }
    }

    /// Largest frequency, ppm: a tenth of the tick.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ticks are below 2^20")]
    pub fn max_ppm(&self) -> f64 {
        1e6 * (self.nominal_tick / 10) as f64 / self.nominal_tick as f64
    }

    /// The words that make the clock run right if it is fast by `ppm`, and the ones it remembers
    /// from now on.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate"
    )]
    #[expect(
        clippy::cast_precision_loss,
        reason = "tick rates and ticks are below 2^20"
    )]
    pub fn words(&mut self, ppm: f64) -> FrequencyWords {
        let hz = self.hz as f64;
        let limit = self.nominal_tick / 10;
        let wanted = ((ppm / hz).round() as i64).clamp(-limit, limit);
        if self.hz > STICKY_TICK_HZ || (wanted - self.tick_delta).abs() != 1 {
            self.tick_delta = wanted;
        }
        FrequencyWords {
            modes: ADJ_TICK | ADJ_FREQUENCY,
            freq: (-(ppm - hz * self.tick_delta as f64) * FREQUENCY_SCALE) as i64,
            tick: self.nominal_tick - self.tick_delta,
        }
    }

    /// The frequency in force after the call, ppm; `freq` as the kernel returned it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 by far")]
    pub fn achieved_ppm(&self, freq: i64) -> f64 {
        self.hz as f64 * self.tick_delta as f64 - freq as f64 / FREQUENCY_SCALE
    }

    /// Takes over the tick the kernel has and returns the frequency in force, ppm.
    pub fn read(&mut self, tick: i64, freq: i64) -> f64 {
        self.tick_delta = self.nominal_tick.saturating_sub(tick);
        self.achieved_ppm(freq)
    }
}

/// The tick rate a tick length in µs belongs to, where the system does not tell.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "ticks are small")]
pub fn guess_hz(tick: i64) -> Option<u32> {
    if (9_000..=11_000).contains(&tick) {
        return Some(100);
    }
    (4..=15).map(|power| 1u32 << power).find(|&hz| {
        let nominal = 1e6 / f64::from(hz);
        tick as f64 > 2.0 / 3.0 * nominal && tick as f64 <= 4.0 / 3.0 * nominal
    })
}

/// Longest time from the call to the moment the new frequency is in force.
#[must_use]
pub fn driver_delay(kernel: (u32, u32)) -> Seconds {
    // Since 4.19 the kernel applies a new tick length at once, not at its next tick.
    if kernel >= (4, 19) {
        Seconds(1e-5)
    } else {
        Seconds(0.01)
    }
}

/// Fields of a call that steps the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepFields {
    /// `time.tv_sec`.
    pub seconds: i64,
    /// `time.tv_usec`, which holds nanoseconds, 0..1e9.
    pub nanoseconds: i64,
}

impl StepFields {
    /// `modes` of the call.
    pub const MODES: u32 = ADJ_SETOFFSET | ADJ_NANO;

    /// For an offset; positive: the clock is fast and moved back.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "float to integer casts saturate; whole seconds are exact"
    )]
    pub fn new(offset: Seconds) -> Self {
        let seconds = (-offset.0) as i64;
        let nanoseconds = (1e9 * (-offset.0 - seconds as f64)) as i64;
        if nanoseconds < 0 {
            Self {
                seconds: seconds.saturating_sub(1),
                nanoseconds: nanoseconds + 1_000_000_000,
            }
        } else {
            Self {
                seconds,
                nanoseconds,
            }
        }
    }
}

/// Errors the kernel cannot tell from "unsynchronised", s.
const MAX_ERROR: f64 = 16.0;

/// Fields of a call that publishes the synchronisation status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncFields {
    /// Whether STA_UNSYNC stays set.
    pub unsync: bool,
    /// `esterror`, µs.
    pub est_error_us: i64,
    /// `maxerror`, µs.
    pub max_error_us: i64,
}

impl SyncFields {
    /// `modes` of the call.
    pub const MODES: u32 = ADJ_STATUS | ADJ_ESTERROR | ADJ_MAXERROR;

    /// `rtc_sync`: whether the kernel may know that it is synchronised (`rtcsync`); it copies
    /// its time to the RTC then.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "0..=16e6")]
    pub fn new(synchronised: bool, est_error: Seconds, max_error: Seconds, rtc_sync: bool) -> Self {
        let (synchronised, est, max) = if !synchronised {
            (false, MAX_ERROR, MAX_ERROR)
        } else if max_error.0 >= MAX_ERROR {
            (false, est_error.0.min(MAX_ERROR), MAX_ERROR)
        } else {
            (true, est_error.0.min(MAX_ERROR), max_error.0)
        };
        Self {
            unsync: !(synchronised && rtc_sync),
            est_error_us: (est * 1e6) as i64,
            max_error_us: (max * 1e6) as i64,
        }
    }

    /// The status word of the call, from the present one.
    #[must_use]
    pub const fn status(&self, present: i32) -> i32 {
        if self.unsync {
            present | STA_UNSYNC
        } else {
            present & !STA_UNSYNC
        }
    }
}

/// What the kernel was told about leap seconds and TAI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelLeap {
    tai_offset_s: i32,
}

/// Fields of a call that announces a leap second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeapFields {
    /// `modes`.
    pub modes: u32,
    /// `status`.
    pub status: i32,
    /// `constant`, which holds the TAI offset when [`ADJ_TAI`] is among the modes.
    pub constant: i64,
}

/// Messages of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelEvent {
    /// The TAI offset of the system clock changed.
    TaiOffset(i32),
    /// A leap second will be inserted.
    LeapInsert,
    /// A leap second will be deleted.
    LeapDelete,
    /// The leap second was handled.
    LeapApplied,
    /// The announced leap second was cancelled.
    LeapCancelled,
    /// Somebody else is setting the clock (a warning).
    Interference,
}

impl fmt::Display for KernelEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaiOffset(s) => write!(f, "System clock TAI offset set to {s} seconds"),
            Self::LeapInsert => f.write_str("System clock status set to insert leap second"),
            Self::LeapDelete => f.write_str("System clock status set to delete leap second"),
            Self::LeapApplied => f.write_str("System clock status reset after leap second"),
            Self::LeapCancelled => {
                f.write_str("System clock status set to not insert/delete leap second")
            }
            Self::Interference => {
                f.write_str("System clock interference detected (another NTP client?)")
            }
        }
    }
}

impl From<KernelEvent> for crate::event::Event {
    fn from(event: KernelEvent) -> Self {
        if event == KernelEvent::Interference {
            Self::warning(event)
        } else {
            Self::info(event)
        }
    }
}

impl KernelLeap {
    /// What to call for an announcement, given the present `status` and the state the kernel
    /// returned with it, and what to log once the call succeeded, in order.
    pub fn announce(
        &mut self,
        status: i32,
        state: i32,
        leap: i8,
        tai_offset_s: i32,
    ) -> (LeapFields, Vec<KernelEvent>) {
        let applied = state == TIME_WAIT;
        let old = status & (STA_INS | STA_DEL);
        let new = match leap {
            1.. => STA_INS,
            0 => 0,
            _ => STA_DEL,
        };
        let mut fields = LeapFields {
            modes: ADJ_STATUS,
            status: (status & !(STA_INS | STA_DEL)) | new,
            constant: 0,
        };
        let mut events = Vec::new();
        if tai_offset_s != 0 {
            fields.modes |= ADJ_TAI;
            fields.constant = i64::from(tai_offset_s);
            if applied && new == 0 {
                // The kernel moved its offset by itself.
                self.tai_offset_s += if old & STA_INS != 0 { 1 } else { -1 };
            }
            if self.tai_offset_s != tai_offset_s {
                self.tai_offset_s = tai_offset_s;
                events.push(KernelEvent::TaiOffset(tai_offset_s));
            }
        }
        if old != new {
            events.push(match new {
                STA_INS => KernelEvent::LeapInsert,
                STA_DEL => KernelEvent::LeapDelete,
                _ if applied => KernelEvent::LeapApplied,
                _ => KernelEvent::LeapCancelled,
            });
        }
        (fields, events)
    }
}

/// What one call left behind in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelState {
    /// `status` as returned.
    pub status: i32,
    /// `constant` as returned.
    pub constant: i64,
    /// `freq` as returned.
    pub freq: i64,
}

/// Notices others who set the clock: something changed that we did not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterferenceWatch {
    last: Option<KernelState>,
}

impl InterferenceWatch {
    /// To be told of every successful call with its modes; true if somebody interfered since the
    /// previous one.
    pub fn check(&mut self, modes: u32, state: KernelState) -> bool {
        let Some(last) = self.last.replace(state) else {
            return false;
        };
        let pll_changed = (last.status ^ state.status) & STA_PLL != 0;
        (pll_changed && modes & ADJ_STATUS == 0)
            || (last.constant != state.constant && modes & ADJ_TIMECONST == 0)
            || (last.freq != state.freq && modes & ADJ_FREQUENCY == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_and_ticks_of_usual_rates() {
        for (hz, tick, max) in [(100, 10_000, 100_000.0), (1024, 977, 1e6 * 97.0 / 977.0)] {
            let frequency = LinuxFrequency::new(hz);
            assert_eq!(frequency.nominal_tick, tick);
            assert!((frequency.max_ppm() - max).abs() < 1e-6);
        }
    }

    #[test]
    fn rates_are_guessed_from_ticks() {
        for (tick, want) in [
            (10_000, Some(100)),
            (9_000, Some(100)),
            (11_000, Some(100)),
            (977, Some(1024)),
            (3_906, Some(256)),
            (1_000, Some(1024)),
            (0, None),
            (-5, None),
            (100_000, None),
        ] {
            assert_eq!(guess_hz(tick), want, "{tick}");
        }
    }

    #[test]
    fn new_kernels_are_fast() {
        for (kernel, want) in [
            ((4, 18), 0.01),
            ((4, 19), 1e-5),
            ((6, 1), 1e-5),
            ((3, 99), 0.01),
        ] {
            assert_eq!(driver_delay(kernel), Seconds(want));
        }
    }

    #[test]
    fn sync_status_needs_rtcsync() {
        let fields = |sync, est, max, rtc| {
            let f = SyncFields::new(sync, Seconds(est), Seconds(max), rtc);
            (f.unsync, f.est_error_us, f.max_error_us)
        };
        assert_eq!(fields(true, 1e-5, 1e-3, true), (false, 10, 1000));
        assert_eq!(fields(true, 1e-5, 1e-3, false), (true, 10, 1000));
        assert_eq!(
            fields(true, 20.0, 16.0, true),
            (true, 16_000_000, 16_000_000)
        );
        assert_eq!(
            fields(false, 0.0, 0.0, true),
            (true, 16_000_000, 16_000_000)
        );
        let fields = SyncFields::new(true, Seconds(0.0), Seconds(0.0), true);
        assert_eq!(fields.status(STA_UNSYNC | STA_INS), STA_INS);
    }

    #[test]
    fn leap_announcements() {
        let mut leap = KernelLeap::default();
        let (fields, events) = leap.announce(STA_UNSYNC, 0, 0, 33);
        assert_eq!((fields.modes, fields.constant), (ADJ_STATUS | ADJ_TAI, 33));
        assert_eq!(events, [KernelEvent::TaiOffset(33)]);

        let (fields, events) = leap.announce(STA_UNSYNC, 0, 1, 33);
        assert_eq!(fields.status, STA_UNSYNC | STA_INS);
        assert_eq!(events, [KernelEvent::LeapInsert]);

        // After the leap second the kernel has moved its TAI offset itself: nothing to say.
        let (fields, events) = leap.announce(STA_UNSYNC | STA_INS, TIME_WAIT, 0, 34);
        assert_eq!(fields.status, STA_UNSYNC);
        assert_eq!(events, [KernelEvent::LeapApplied]);

        // A deleted second takes one off; a kernel that disagrees is corrected.
        leap.announce(0, 0, -1, 34);
        let (_, events) = leap.announce(STA_DEL, TIME_WAIT, 0, 33);
        assert_eq!(events, [KernelEvent::LeapApplied]);
        let (_, events) = leap.announce(0, 0, 0, 35);
        assert_eq!(events, [KernelEvent::TaiOffset(35)]);

        let (_, events) = leap.announce(0, 0, -1, 0);
        assert_eq!(events, [KernelEvent::LeapDelete]);
        let (fields, events) = leap.announce(STA_DEL, 0, 0, 0);
        assert_eq!(fields.modes, ADJ_STATUS);
        assert_eq!(events, [KernelEvent::LeapCancelled]);
    }

    #[test]
    fn interference() {
        let state = KernelState {
            status: STA_UNSYNC,
            constant: 2,
            freq: 100,
        };
        for (modes, after, want) in [
            (0, state, false),
            (0, KernelState { freq: 101, ..state }, true),
            (ADJ_FREQUENCY, KernelState { freq: 101, ..state }, false),
            (
                ADJ_FREQUENCY,
                KernelState {
                    constant: 3,
                    ..state
                },
                true,
            ),
            (
                ADJ_TIMECONST,
                KernelState {
                    constant: 3,
                    ..state
                },
                false,
            ),
            (
                0,
                KernelState {
                    status: STA_PLL,
                    ..state
                },
                true,
            ),
            (
                ADJ_STATUS,
                KernelState {
                    status: STA_PLL,
                    ..state
                },
                false,
            ),
            (0, KernelState { status: 0, ..state }, false),
        ] {
            let mut watch = InterferenceWatch::default();
            assert!(!watch.check(0, state));
            assert_eq!(watch.check(modes, after), want, "{modes:#x} {after:?}");
        }
    }

    #[test]
    fn event_texts() {
        for (event, text) in [
            (
                KernelEvent::TaiOffset(37),
                "System clock TAI offset set to 37 seconds",
            ),
            (
                KernelEvent::LeapInsert,
                "System clock status set to insert leap second",
            ),
            (
                KernelEvent::LeapDelete,
                "System clock status set to delete leap second",
            ),
            (
                KernelEvent::LeapApplied,
                "System clock status reset after leap second",
            ),
            (
                KernelEvent::LeapCancelled,
                "System clock status set to not insert/delete leap second",
            ),
            (
                KernelEvent::Interference,
                "System clock interference detected (another NTP client?)",
            ),
        ] {
            assert_eq!(event.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn words_reach_the_wanted_frequency(
            ppms in proptest::collection::vec(-100_000.0..100_000.0f64, 1..20),
            hz in prop_oneof![Just(100u32), Just(250), Just(1000), Just(1024)],
        ) {
            let mut frequency = LinuxFrequency::new(hz);
            for ppm in ppms {
                let ppm = ppm.clamp(-frequency.max_ppm(), frequency.max_ppm());
                let words = frequency.words(ppm);
                prop_assert!((frequency.achieved_ppm(words.freq) - ppm).abs() <= 1.0 / 65536.0 + 1e-9);
                let limit = frequency.nominal_tick / 10;
                prop_assert!((frequency.nominal_tick - words.tick).abs() <= limit);
                let read = frequency.read(words.tick, words.freq);
                prop_assert!((read - frequency.achieved_ppm(words.freq)).abs() < 1e-12);
            }
        }

        #[test]
        fn steps_add_up(offset in -1e9..1e9f64) {
            let fields = StepFields::new(Seconds(offset));
            prop_assert!((0..1_000_000_000).contains(&fields.nanoseconds));
            let back = -(fields.seconds as f64 + fields.nanoseconds as f64 * 1e-9);
            prop_assert!((back - offset).abs() < 1e-6);
        }
    }
}
