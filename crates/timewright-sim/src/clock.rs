//! A simulated system clock: an oscillator, a frequency correction, steps.
//!
//! True time is the simulator's. Raw time gains `(1 + e(t)) (1 - f) - 1` on it, with the
//! oscillator's error `e` and the correction `f` that the daemon set. Monotonic time is raw time
//! without the steps.
//!
//! Looking at a clock does not change what it does later, to the last bit: numbers are rounded
//! where its daemon acts and where the oscillator's random walk changes, nowhere else.

use crate::oscillator::{ClockModel, Oscillator};
use crate::random::SimRng;
use timewright_core::clock::{Clock, ClockError, ClockLimits};
use timewright_time::{MonoTime, Now, Raw, Seconds, Timestamp};

/// A clock in the simulated world.
#[derive(Clone, Debug)]
pub struct SimClock {
    oscillator: Oscillator,
    raw_ns: i64,
    /// Raw time below a nanosecond, 0..1.
    raw_fraction_ns: f64,
    /// Steps and suspends so far: raw minus monotonic time.
    stepped_ns: i64,
    /// Suspends so far: boot-time minus monotonic clock.
    slept_ns: i64,
    correction_ppm: f64,
    synchronised: bool,
    max_error: Seconds,
    steps: u64,
    leap: Leap,
    tai_offset_s: i32,
    /// What was done to it since the last look.
    done: Vec<Done>,
}

/// Something the daemon did to a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Done {
    /// Stepped it; positive: moved it back.
    Step(Seconds),
    /// Set its frequency, ppm.
    Frequency(f64),
}

/// The kernel's part in a leap second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leap {
    /// None is announced.
    None,
    /// +1 or -1 at the coming midnight.
    Announced(i8),
    /// Carried out; the announcement has to be taken back before another one counts.
    Done,
}

const NS: f64 = 1e9;

#[expect(
    clippy::cast_possible_truncation,
    reason = "simulated spans fit nanoseconds in i64"
)]
pub(crate) fn to_ns(s: f64) -> i64 {
    (s * NS).round() as i64
}

/// Whole nanoseconds, rounded down, and what is left, 0..1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "simulated spans fit nanoseconds in i64"
)]
fn split_ns(ns: f64) -> (i64, f64) {
    let towards_zero = ns as i64;
    let whole = towards_zero - i64::from((towards_zero as f64) > ns);
    (whole, ns - whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "spans are reported as floats")]
pub(crate) fn from_ns(ns: i64) -> f64 {
    ns as f64 / NS
}

impl SimClock {
    /// A clock that starts with the model's offset at `true_ns` (nanoseconds since 1970).
    #[must_use]
    pub fn new(model: ClockModel, true_ns: i64, rng: SimRng) -> Self {
        Self {
            raw_ns: true_ns + to_ns(model.offset_s),
            oscillator: Oscillator::new(model, true_ns, rng),
            raw_fraction_ns: 0.0,
            stepped_ns: 0,
            slept_ns: 0,
            correction_ppm: 0.0,
            synchronised: false,
            max_error: Seconds::ZERO,
            steps: 0,
            leap: Leap::None,
            tai_offset_s: 0,
            done: Vec::new(),
        }
    }

    /// Moves to a later true time; an earlier one changes nothing.
    pub fn advance(&mut self, true_ns: i64) {
        self.settle(true_ns);
        self.pass(true_ns);
    }

    /// The clock as it is at a later true time. What it does after that does not depend on
    /// whether this was asked.
    #[must_use]
    pub(crate) fn look(&mut self, true_ns: i64) -> Self {
        self.settle(true_ns);
        let mut then = self.clone();
        then.pass(true_ns);
        then
    }

    /// Goes as far as it would anyway: to the last change of the oscillator's random walk.
    fn settle(&mut self, true_ns: i64) {
        while self.oscillator.change_ns() <= true_ns {
            self.pass(self.oscillator.change_ns());
            self.oscillator.change();
        }
    }

    fn pass(&mut self, true_ns: i64) {
        let dt_ns = true_ns - self.oscillator.true_ns();
        if dt_ns <= 0 {
            return;
        }
        let (dt, gained) = self.oscillator.advance(true_ns);
        let f = self.correction_ppm * 1e-6;
        self.raw_fraction_ns += (gained * (1.0 - f) - dt * f) * NS;
        let (whole, fraction) = split_ns(self.raw_fraction_ns);
        self.raw_fraction_ns = fraction;
        let before = self.raw_ns;
        self.raw_ns += dt_ns + whole;
        if let Leap::Announced(leap) = self.leap {
            self.leap_at_midnight(before, leap);
        }
    }

    /// What the kernel does at the end of the UTC day: repeats its last second, or leaves it out.
    fn leap_at_midnight(&mut self, before_ns: i64, leap: i8) {
        const DAY_NS: i64 = 86_400 * 1_000_000_000;
        let leap_ns = i64::from(leap) * 1_000_000_000;
        let early_ns = if leap < 0 { -leap_ns } else { 0 };
        let day = |ns: i64| (ns + early_ns).div_euclid(DAY_NS);
        if day(before_ns) < day(self.raw_ns) {
            self.raw_ns -= leap_ns;
            self.stepped_ns -= leap_ns;
            self.leap = Leap::Done;
            self.tai_offset_s += i32::from(leap);
        }
    }

    /// The clock's frequency error as corrected, s/s; positive means it gains on true time.
    #[must_use]
    pub fn frequency_error(&self) -> f64 {
        (1.0 + self.oscillator.error()) * (1.0 - self.correction_ppm * 1e-6) - 1.0
    }

    /// Raw time minus true time, seconds; positive means the clock is fast.
    #[must_use]
    pub fn offset(&self) -> f64 {
        from_ns(self.raw_ns - self.oscillator.true_ns()) + self.raw_fraction_ns / NS
    }

    /// Both clocks as a daemon would read them.
    #[must_use]
    pub fn read(&self) -> Now {
        Now {
            mono: MonoTime::from_ns(self.raw_ns - self.stepped_ns),
            raw: Timestamp::from_ns(self.raw_ns),
        }
    }

    /// The true time at which a wait of `wait` by the monotonic clock ends, if nothing changes.
    #[must_use]
    pub fn true_after(&self, wait: Seconds) -> i64 {
        self.oscillator.true_ns() + to_ns(wait.0.max(0.0) / (1.0 + self.frequency_error())) + 1
    }

    /// Steps the clock from outside, as an operator's `date -s` would; positive moves it forward.
    pub fn disturb(&mut self, by: Seconds) {
        let ns = to_ns(by.0);
        self.raw_ns += ns;
        self.stepped_ns += ns;
    }

    /// The oscillator's frequency changes by this much, ppm; positive makes it faster.
    pub fn step_frequency(&mut self, by_ppm: f64) {
        self.oscillator.step_frequency(by_ppm);
    }

    /// The machine sleeps until `true_ns`. The monotonic clock stands still; to the others the
    /// kernel adds the time by another clock, which is wrong by `error`.
    pub fn suspend(&mut self, true_ns: i64, error: Seconds) {
        let gained = (true_ns - self.oscillator.true_ns()).max(0) + to_ns(error.0);
        self.stand_still(true_ns);
        self.raw_ns += gained;
        self.stepped_ns += gained;
        self.slept_ns += gained;
    }

    /// All clocks of the machine stand still until `true_ns`.
    pub fn stand_still(&mut self, true_ns: i64) {
        let (raw_ns, fraction) = (self.raw_ns, self.raw_fraction_ns);
        // A leap second that passes meanwhile is missed.
        let leap = std::mem::replace(&mut self.leap, Leap::None);
        self.advance(true_ns);
        (self.raw_ns, self.raw_fraction_ns, self.leap) = (raw_ns, fraction, leap);
    }

    /// The clock that counts suspends.
    #[must_use]
    pub fn boot_time(&self) -> MonoTime {
        MonoTime::from_ns(self.raw_ns - self.stepped_ns + self.slept_ns)
    }

    /// Takes what the daemon did to the clock since the last call.
    pub(crate) fn take_done(&mut self) -> Vec<Done> {
        std::mem::take(&mut self.done)
    }

    /// The frequency correction in force, ppm.
    pub(crate) const fn correction_ppm(&self) -> f64 {
        self.correction_ppm
    }

    /// How often the daemon stepped the clock.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The TAI-UTC offset the kernel was told, seconds; 0 if it was not.
    #[must_use]
    pub const fn tai_offset(&self) -> i32 {
        self.tai_offset_s
    }

    /// Whether the daemon declared the clock synchronised, and its maximum error.
    #[must_use]
    pub const fn status(&self) -> (bool, Seconds) {
        (self.synchronised, self.max_error)
    }
}

impl Clock for SimClock {
    fn now(&mut self) -> Timestamp<Raw> {
        self.read().raw
    }

    fn frequency_ppm(&mut self) -> f64 {
        self.correction_ppm
    }

    /// Rounds as the kernel does: 2^-16 ppm.
    fn set_frequency_ppm(&mut self, wanted: f64) -> f64 {
        let max = self.limits().max_frequency_ppm;
        self.correction_ppm = (wanted.clamp(-max, max) * 65_536.0).trunc() / 65_536.0;
        self.done.push(Done::Frequency(self.correction_ppm));
        self.correction_ppm
    }

    fn step(&mut self, offset: Seconds) -> Result<(), ClockError> {
        self.disturb(-offset);
        self.steps += 1;
        self.done.push(Done::Step(offset));
        Ok(())
    }

    fn set_sync_status(&mut self, synchronised: bool, _est_error: Seconds, max_error: Seconds) {
        self.synchronised = synchronised;
        self.max_error = max_error;
    }

    fn set_leap(&mut self, leap: i8, tai_offset_s: i32) {
        self.leap = match (leap, self.leap) {
            (0, _) => Leap::None,
            (_, Leap::Done) => Leap::Done,
            (leap, _) => Leap::Announced(leap),
        };
        if tai_offset_s != 0 {
            self.tai_offset_s = tai_offset_s;
        }
    }

    fn limits(&self) -> ClockLimits {
        ClockLimits {
            max_frequency_ppm: 100_000.0,
            driver_delay: Seconds(1e-5),
            can_leap: true,
            can_set: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(model: ClockModel) -> SimClock {
        SimClock::new(model, 0, SimRng::new(1, 0))
    }

    #[test]
    fn constant_error_and_its_correction_cancel() {
        let mut c = clock(ClockModel {
            freq_ppm: 100.0,
            offset_s: 0.5,
            ..ClockModel::default()
        });
        c.advance(to_ns(1000.0));
        assert!((c.offset() - 0.6).abs() < 1e-9, "{}", c.offset());
        c.set_frequency_ppm(100.0);
        c.advance(to_ns(2000.0));
        assert!((c.offset() - 0.6).abs() < 2e-5, "{}", c.offset());
    }

    #[test]
    fn a_step_moves_raw_but_not_monotonic_time() {
        let mut c = clock(ClockModel::default());
        let before = c.read();
        c.step(Seconds(2.0)).unwrap();
        assert_eq!(c.read().mono, before.mono);
        assert!(((c.read().raw - before.raw).0 + 2.0).abs() < 1e-12);
    }

    #[test]
    fn suspends_show_in_the_boot_time_clock() {
        let mut c = clock(ClockModel {
            freq_ppm: 100.0,
            ..ClockModel::default()
        });
        c.advance(to_ns(10.0));
        let (before, boot) = (c.read(), c.boot_time());
        c.suspend(to_ns(70.0), Seconds(0.5));
        assert_eq!(c.read().mono, before.mono);
        assert!(((c.boot_time() - boot).0 - 60.5).abs() < 1e-9);
        assert!(((c.read().raw - before.raw).0 - 60.5).abs() < 1e-9);
        c.stand_still(to_ns(80.0));
        assert_eq!(c.read().mono, before.mono);
        assert!((c.offset() - 0.501 + 10.0).abs() < 1e-9, "{}", c.offset());
    }

    #[test]
    fn the_kernel_repeats_or_leaves_out_the_last_second_of_the_day() {
        for (leap, before_s, after_s) in [(1, 86_400.5, 86_399.5), (-1, 86_399.5, 86_400.5)] {
            let mut c = clock(ClockModel::default());
            c.set_leap(leap, 36);
            c.advance(to_ns(before_s - 1.0));
            assert!(c.offset().abs() < 1e-9);
            let mono = c.read().mono;
            c.advance(to_ns(before_s));
            assert_eq!(c.read().raw, Timestamp::from_ns(to_ns(after_s)));
            assert!(((c.read().mono - mono).0 - 1.0).abs() < 1e-9, "leap {leap}");
            assert_eq!(c.tai_offset(), 36 + i32::from(leap));
            // Once is enough.
            c.set_leap(leap, 0);
            c.advance(to_ns(2.0 * 86_400.0 + 1.0));
            assert!((c.offset() + f64::from(leap)).abs() < 1e-9, "leap {leap}");
        }
    }

    #[test]
    fn looking_changes_nothing() {
        let model = ClockModel {
            offset_s: 0.1,
            freq_ppm: 12.3,
            ageing_ppm_per_day: 1.0,
            wander: 1e-8,
            sine_ppm: 1.0,
            sine_period_s: 1000.0,
            sine_phase: 0.1,
        };
        for wander in [0.0, 1e-8] {
            let model = ClockModel { wander, ..model };
            let (mut seen, mut unseen) = (clock(model), clock(model));
            let mut rng = SimRng::new(2, 0);
            let mut now = 0;
            for round in 0..1000 {
                let next = now + to_ns(rng.exponential() * 3.0);
                while now < next {
                    let then = seen.look(now);
                    assert_eq!(then.oscillator.true_ns(), now);
                    now += to_ns(rng.uniform());
                }
                now = next;
                seen.advance(now);
                unseen.advance(now);
                let wanted = f64::from(round % 100);
                seen.set_frequency_ppm(wanted);
                unseen.set_frequency_ppm(wanted);
                assert_eq!(format!("{seen:?}"), format!("{unseen:?}"));
            }
        }
    }

    #[test]
    fn waits_end_when_the_monotonic_clock_says_so() {
        let mut c = clock(ClockModel {
            freq_ppm: -5e4,
            ..ClockModel::default()
        });
        let due = c.read().mono + Seconds(10.0);
        c.advance(c.true_after(Seconds(10.0)));
        assert!((c.read().mono - due).0.abs() < 1e-8);
    }
}
