//! Time set by hand (`manual`, `settime`, `discipline.md` 11.3).

use super::effect::{ChangeKind, ClockChange, DisciplineEvent};
use crate::reference::{Leap, ReferenceUpdate};
use crate::stats::regression::robust;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Times remembered; the oldest is dropped for a new one.
pub const MAX_SAMPLES: usize = 16;
/// Times given sooner after each other are refused.
const MIN_SEPARATION: Seconds = Seconds(1.0);
/// Tolerance of the robust regression's slope.
const TOLERANCE: f64 = 1e-8;
/// Skew of a clock set by hand: we do not know anything about it.
const SKEW: f64 = 0.099_999_999;
/// The reference id, `MANU`.
pub const REFERENCE_ID: u32 = 0x4D41_4E55;

/// A time given by hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ManualSample {
    /// Cooked time when it was given.
    pub when: Timestamp<Cooked>,
    /// Cooked minus given time, following the clock; positive: the clock was fast.
    pub offset: Seconds,
    /// The same as it was given.
    pub original_offset: Seconds,
    /// Distance from the fitted line.
    pub residual: Seconds,
}

/// Why a time was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManualError {
    /// `manual` is off.
    #[error("manual input is not enabled")]
    Disabled,
    /// Not a time of this era.
    #[error("the time is out of range")]
    InvalidTime,
    /// Less than a second after the previous one.
    #[error("too soon after the previous time")]
    TooSoon,
    /// No sample with this index.
    #[error("no such sample")]
    NoSample,
}

/// The correction a time leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct ManualFit {
    /// To be given to [`Reference::update`](crate::reference::Reference::update).
    pub update: ReferenceUpdate,
    /// To be logged before the update.
    pub event: DisciplineEvent,
    /// Offset of the fitted line now; positive: the clock was fast.
    pub offset: Seconds,
    /// Frequency change, ppm; zero if unknown.
    pub frequency_ppm: f64,
}

/// Manual input.
#[derive(Clone, Debug, Default)]
pub struct Manual {
    enabled: bool,
    /// Oldest first.
    samples: Vec<ManualSample>,
}

impl Manual {
    /// With or without `manual` in the configuration.
    #[must_use]
    pub const fn new(enabled: bool) -> Self {
        Self {
            enabled,
            samples: Vec::new(),
        }
    }

    /// Commands `manual on` and `manual off`; samples are kept.
    pub const fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Whether times are accepted.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Command `manual reset`.
    pub fn reset(&mut self) {
        self.samples.clear();
    }

    /// What is remembered, oldest first.
    #[must_use]
    pub fn samples(&self) -> &[ManualSample] {
        &self.samples
    }

    /// The time is `given` at cooked time `now`; `given_is_sane` says whether it is a time of
    /// this era ([`LocalClock::is_sane`](super::LocalClock::is_sane)).
    ///
    /// # Errors
    /// Why the time is refused.
    pub fn set_time(
        &mut self,
        now: Timestamp<Cooked>,
        given: Timestamp<Cooked>,
        given_is_sane: bool,
    ) -> Result<ManualFit, ManualError> {
        if !self.enabled {
            return Err(ManualError::Disabled);
        }
        if !given_is_sane {
            return Err(ManualError::InvalidTime);
        }
        if self
            .samples
            .last()
            .is_some_and(|last| (now - last.when).0 < MIN_SEPARATION.0)
        {
            return Err(ManualError::TooSoon);
        }
        if self.samples.len() >= MAX_SAMPLES {
            self.samples.remove(0);
        }
        let offset = now - given;
        self.samples.push(ManualSample {
            when: now,
            offset,
            original_offset: offset,
            residual: Seconds::ZERO,
        });
        Ok(self.fit(now, Some(offset)))
    }

    /// Command `manual delete`: drops a sample and corrects by what the others say.
    ///
    /// # Errors
    /// When there is no such sample.
    pub fn delete(
        &mut self,
        now: Timestamp<Cooked>,
        index: usize,
    ) -> Result<ManualFit, ManualError> {
        if index >= self.samples.len() {
            return Err(ManualError::NoSample);
        }
        self.samples.remove(index);
        Ok(self.fit(now, None))
    }

    /// Follows a change of the clock.
    pub fn on_clock_change(&mut self, change: &ClockChange) {
        if change.kind == ChangeKind::UnknownStep {
            self.samples.clear();
            return;
        }
        for sample in &mut self.samples {
            let (when, delta) = sample
                .when
                .adjusted(change.cooked, change.dfreq, change.doffset.0);
            sample.when = when;
            sample.offset += delta;
        }
    }

    /// Fits a line through the samples. The correction is the offset just given, or what the line
    /// says after a deletion.
    fn fit(&mut self, now: Timestamp<Cooked>, given: Option<Seconds>) -> ManualFit {
        let last = self.samples.last().map_or(now, |s| s.when);
        let ago: Vec<f64> = self.samples.iter().map(|s| (last - s.when).0).collect();
        let offsets: Vec<f64> = self.samples.iter().map(|s| s.offset.0).collect();
        let line = if offsets.len() >= 2 {
            robust(&ago, &offsets, TOLERANCE)
        } else {
            None
        };
        let (intercept, slope) = line.map_or((given.map_or(0.0, |s| s.0), 0.0), |line| {
            (line.intercept, line.slope)
        });
        for (sample, ago) in self.samples.iter_mut().zip(&ago) {
            sample.residual = sample.offset - Seconds(intercept + ago * slope);
        }
        let frequency_ppm = if line.is_some() { -slope * 1e6 } else { 0.0 };
        let offset = given.unwrap_or(Seconds(intercept));
        ManualFit {
            update: ReferenceUpdate {
                stratum: 0,
                leap: Leap::Unsynchronised,
                combined: 1,
                ref_id: REFERENCE_ID,
                address: None,
                ref_time: now,
                offset,
                offset_sd: Seconds::ZERO,
                frequency: FreqRatio::from_ppm(frequency_ppm),
                frequency_sd: FreqRatio(SKEW),
                skew: FreqRatio(SKEW),
                root_delay: Seconds::ZERO,
                root_dispersion: Seconds::ZERO,
            },
            event: DisciplineEvent::ManualSlew {
                frequency_ppm: line.is_some().then_some(frequency_ppm),
                offset,
            },
            offset: Seconds(intercept),
            frequency_ppm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: f64) -> Timestamp<Cooked> {
        Timestamp::from_parts(1_600_000_000, 0) + Seconds(s)
    }

    fn give(manual: &mut Manual, now: f64, fast_by: f64) -> ManualFit {
        manual
            .set_time(at(now), at(now) - Seconds(fast_by), true)
            .unwrap()
    }

    #[test]
    fn refusals() {
        let now = at(0.0);
        let mut off = Manual::new(false);
        assert_eq!(off.set_time(now, now, true), Err(ManualError::Disabled));
        let mut manual = Manual::new(true);
        assert_eq!(
            manual.set_time(now, now, false),
            Err(ManualError::InvalidTime)
        );
        give(&mut manual, 0.0, 0.0);
        assert_eq!(
            manual.set_time(at(0.9), now, true),
            Err(ManualError::TooSoon)
        );
        assert_eq!(manual.delete(now, 1), Err(ManualError::NoSample));
        manual.enable(false);
        assert_eq!(manual.samples().len(), 1);
        manual.reset();
        assert!(manual.samples().is_empty());
    }

    #[test]
    fn one_time_is_an_offset_two_are_a_frequency() {
        let mut manual = Manual::new(true);
        let fit = give(&mut manual, 0.0, 0.5);
        assert_eq!(fit.event.to_string(), "Making a slew of 0.500000");
        assert_eq!((fit.offset, fit.frequency_ppm), (Seconds(0.5), 0.0));
        assert_eq!(fit.update.leap, Leap::Unsynchronised);
        assert_eq!(fit.update.ref_id, REFERENCE_ID);
        // 0.1 s in 1000 s more: the clock gains 100 ppm.
        let fit = give(&mut manual, 1000.0, 0.6);
        assert_eq!(
            fit.event.to_string(),
            "Making a frequency change of 100.000 ppm and a slew of 0.600000"
        );
        assert!((fit.update.frequency.ppm() - 100.0).abs() < 1e-3);
        assert!((fit.offset.0 - 0.6).abs() < 1e-6);
    }

    #[test]
    fn sixteen_times_are_kept() {
        let mut manual = Manual::new(true);
        for i in 0..20 {
            give(&mut manual, f64::from(i) * 10.0, 0.1);
        }
        assert_eq!(manual.samples().len(), MAX_SAMPLES);
        assert_eq!(manual.samples()[0].when, at(40.0));
    }

    #[test]
    fn deleting_corrects_by_what_is_left() {
        let mut manual = Manual::new(true);
        give(&mut manual, 0.0, 0.1);
        give(&mut manual, 100.0, 0.2);
        give(&mut manual, 200.0, 9.0);
        let fit = manual.delete(at(300.0), 2).unwrap();
        assert!((fit.update.offset.0 - 0.2).abs() < 1e-6);
        manual.delete(at(300.0), 0).unwrap();
        let fit = manual.delete(at(300.0), 0).unwrap();
        assert_eq!(fit.update.offset, Seconds::ZERO);
        assert_eq!(fit.event.to_string(), "Making a slew of 0.000000");
    }

    #[test]
    fn samples_follow_the_clock() {
        let change = |kind| ClockChange {
            seq: 1,
            raw: Timestamp::ZERO,
            cooked: at(10.0),
            dfreq: 0.0,
            doffset: Seconds(0.5),
            kind,
        };
        let mut manual = Manual::new(true);
        give(&mut manual, 0.0, 0.5);
        manual.on_clock_change(&change(ChangeKind::Step));
        let sample = manual.samples()[0];
        assert_eq!(
            (sample.when, sample.original_offset),
            (at(-0.5), Seconds(0.5))
        );
        assert!(sample.offset.0.abs() < 1e-9);
        manual.on_clock_change(&change(ChangeKind::UnknownStep));
        assert!(manual.samples().is_empty());
    }

    proptest! {
        #[test]
        fn residuals_are_distances_from_the_line(
            offsets in proptest::collection::vec(-1.0..1.0f64, 2..20)
        ) {
            let mut manual = Manual::new(true);
            let mut fit = None;
            for (i, offset) in offsets.iter().enumerate() {
                fit = Some(give(&mut manual, 60.0 * i as f64, *offset));
            }
            let fit = fit.unwrap();
            let last = manual.samples().last().unwrap();
            prop_assert!((last.offset.0 - fit.offset.0 - last.residual.0).abs() < 1e-9);
            for sample in manual.samples() {
                let ago = (last.when - sample.when).0;
                let line = fit.offset.0 - ago * fit.frequency_ppm * 1e-6;
                prop_assert!((sample.offset.0 - line - sample.residual.0).abs() < 1e-9);
            }
            prop_assert!(fit.frequency_ppm.is_finite());
        }
    }
}
