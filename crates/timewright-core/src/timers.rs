//! The deadline queue, with timer classes that keep transmissions apart.
//!
//! A [`Timer`] names what is due, so there is at most one of each and arming it again moves it.
//! Class timers keep a minimum separation from their neighbours and get a random delay
//! (`ntp-engine.md` 3.2), so that many sources do not send at the same moment.

use crate::ids::{DeviceId, SourceId};
use crate::rng::{self, Rng};
use std::collections::BTreeMap;
use timewright_time::{MonoTime, Seconds};

/// Transmissions that are kept apart among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Requests of client associations.
    Client,
    /// Packets of symmetric associations.
    Peer,
    /// Broadcast packets.
    Broadcast,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// An association's next request.
    Transmit(SourceId),
    /// The end of waiting for a response: the client socket is closed.
    Receive(SourceId),
    /// The end of waiting for a hardware transmit time stamp: the saved response is processed.
    SavedResponse(SourceId),
    /// A broadcast destination's next packet, by its index in the configuration.
    Broadcast(u32),
    /// The next reading of a reference clock, or the end of a poll interval of one that sends by
    /// itself.
    Device(DeviceId),
    /// The next attempt to resolve names.
    Resolve,
    /// The pause after `initstepslew` ended.
    InitStepEnd,
    /// The end of the run asked for with `-t`.
    Exit,
}

/// How a class timer is spread.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Smallest distance to other timers of the class, seconds.
    pub separation: Seconds,
    /// Delay and separation are multiplied by one uniform factor in `[1, 1 + randomness]`.
    pub randomness: f64,
}

/// All pending deadlines of one engine.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeMap<(MonoTime, u64), (Timer, Option<Class>)>,
    position: BTreeMap<Timer, (MonoTime, u64)>,
    last_dispatch: BTreeMap<Class, MonoTime>,
    sequence: u64,
}

impl Timers {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Arms `timer` for `at`, moving it if it was armed.
    pub fn arm(&mut self, timer: Timer, at: MonoTime) {
        self.insert(timer, at, None);
    }

    /// Arms a transmission after `delay`, kept apart from its class (`ntp-engine.md` 3.2).
    pub fn arm_spread(
        &mut self,
        timer: Timer,
        class: Class,
        now: MonoTime,
        delay: Seconds,
        spread: Spread,
        rng: &mut dyn Rng,
    ) {
        self.cancel(timer);
        let factor = 1.0 + rng::uniform(rng) * spread.randomness;
        let separation = spread.separation * factor;
        let mut delay = delay.max(Seconds::ZERO) * factor;
        if let Some(&last) = self.last_dispatch.get(&class) {
            let since = now - last;
            if since.0 < separation.0 {
                delay = delay.max(separation - since);
            }
        }
        for (&(at, _), &(_, other)) in &self.due {
            if other == Some(class) && ((at - now) - delay).0.abs() < separation.0 {
                delay = (at - now) + separation;
            }
        }
        self.insert(timer, now + delay, Some(class));
    }

    /// Disarms `timer`; true if it was armed.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        match self.position.remove(&timer) {
            Some(key) => self.due.remove(&key).is_some(),
            None => false,
        }
    }

    /// Whether `timer` is armed.
    #[must_use]
    pub fn is_armed(&self, timer: Timer) -> bool {
        self.position.contains_key(&timer)
    }

    /// When `timer` is due.
    #[must_use]
    pub fn deadline(&self, timer: Timer) -> Option<MonoTime> {
        self.position.get(&timer).map(|&(at, _)| at)
    }

    /// How many timers are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<MonoTime> {
        self.due.keys().next().map(|&(at, _)| at)
    }

    /// Takes the earliest timer that is due at `now`.
    pub fn pop_due(&mut self, now: MonoTime) -> Option<Timer> {
        let (&key, &(timer, class)) = self.due.first_key_value()?;
        if key.0 > now {
            return None;
        }
        self.due.remove(&key);
        self.position.remove(&timer);
        if let Some(class) = class {
            self.last_dispatch.insert(class, now);
        }
        Some(timer)
    }

    fn insert(&mut self, timer: Timer, at: MonoTime, class: Option<Class>) {
        self.cancel(timer);
        let key = (at, self.sequence);
        self.sequence += 1;
        self.due.insert(key, (timer, class));
        self.position.insert(timer, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoRandomness;
    impl Rng for NoRandomness {
        fn fill(&mut self, buf: &mut [u8]) {
            buf.fill(0);
        }
    }

    const SPREAD: Spread = Spread {
        separation: Seconds(0.2),
        randomness: 0.02,
    };

    fn at(s: f64) -> MonoTime {
        MonoTime::ZERO + Seconds(s)
    }

    #[test]
    fn arming_again_moves_the_timer() {
        let mut timers = Timers::new();
        timers.arm(Timer::Resolve, at(1.0));
        timers.arm(Timer::Resolve, at(2.0));
        assert_eq!(timers.pop_due(at(1.5)), None);
        assert_eq!(timers.pop_due(at(2.0)), Some(Timer::Resolve));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn class_timers_keep_their_separation() {
        let mut timers = Timers::new();
        for i in 0..4u32 {
            timers.arm_spread(
                Timer::Transmit(SourceId(i)),
                Class::Client,
                at(10.0),
                Seconds(0.2),
                SPREAD,
                &mut NoRandomness,
            );
        }
        for (i, want) in (0..).zip([10.2, 10.4, 10.6, 10.8]) {
            let due = timers.deadline(Timer::Transmit(SourceId(i))).unwrap();
            assert!((due - at(want)).0.abs() < 1e-6, "{i}: {due:?}");
        }
    }

    #[test]
    fn a_class_timer_waits_after_the_last_dispatch() {
        let mut timers = Timers::new();
        let first = Timer::Transmit(SourceId(0));
        timers.arm_spread(
            first,
            Class::Client,
            at(0.0),
            Seconds(1.0),
            SPREAD,
            &mut NoRandomness,
        );
        assert_eq!(timers.pop_due(at(1.0)), Some(first));
        timers.arm_spread(
            first,
            Class::Client,
            at(1.05),
            Seconds(0.0),
            SPREAD,
            &mut NoRandomness,
        );
        let due = timers.deadline(first).unwrap();
        assert!((due - at(1.2)).0.abs() < 1e-6);
    }
}
