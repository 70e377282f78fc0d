//! Updates of the reference: from the sources' combined estimate to corrections of the clock
//! (`discipline.md` 8.3 to 8.5, 8.8).

use super::{Leap, Mode, Reference, ReferenceEvent, TrackingRecord, second_of};
use crate::discipline::model::NotChanged;
use crate::discipline::{Cx, Effect, Effects, LocalClock, MailNotice};
use crate::rng;
use std::net::IpAddr;
use timewright_time::{Cooked, FreqRatio, MonoTime, Raw, Seconds, Timestamp};

/// Weight of our own estimate of the frequency against a measured one.
const GAIN_WEIGHT: f64 = 3.0;
/// Weight of a new value in the long-term average of squared offsets.
const MEAN_SQUARE_WEIGHT: f64 = 0.1;

/// What the sources say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceUpdate {
    /// Stratum of the selected source.
    pub stratum: u8,
    /// Majority on leap seconds; unsynchronised marks time set by hand.
    pub leap: Leap,
    /// Number of sources combined.
    pub combined: u32,
    /// Reference id of the selected source.
    pub ref_id: u32,
    /// Its address; `None` for reference clocks and manual input.
    pub address: Option<IpAddr>,
    /// The time for which the offset holds.
    pub ref_time: Timestamp<Cooked>,
    /// Offset; positive: our clock is fast.
    pub offset: Seconds,
    /// Its uncertainty.
    pub offset_sd: Seconds,
    /// Frequency; positive: our clock gains.
    pub frequency: FreqRatio,
    /// Its uncertainty.
    pub frequency_sd: FreqRatio,
    /// Its error bound.
    pub skew: FreqRatio,
    /// Delay to the primary source.
    pub root_delay: Seconds,
    /// Dispersion down from the primary source.
    pub root_dispersion: Seconds,
}

/// When an update is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) mono: MonoTime,
    pub(super) raw: Timestamp<Raw>,
    /// Correction of the clock that is still being slewed.
    pub(super) correction: Seconds,
}

impl Moment {
    pub(super) fn cooked(&self) -> Timestamp<Cooked> {
        self.raw.cook(self.correction)
    }
}

/// What an update does to the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Offset at the moment of the update.
    pub(super) offset: Seconds,
    pub(super) interval: Seconds,
    pub(super) dfreq: f64,
    /// To be slewed at `rate`.
    pub(super) slew: Seconds,
    pub(super) rate: f64,
    /// To be stepped, if anything.
    pub(super) step: Option<Seconds>,
    /// Root distance just before the update.
    pub(super) old_distance: Seconds,
}

/// How much of a measured frequency is believed (`discipline.md` 8.4).
#[derive(Clone, Copy, Debug, PartialEq)]
struct FrequencyEstimate {
    frequency: f64,
    residual: f64,
    skew: f64,
}

fn estimate_frequency(own_skew: f64, measured: f64, skew: f64, gain: f64) -> FrequencyEstimate {
    let frequency = gain * measured;
    let residual = measured - frequency;
    let extra = (frequency * frequency * (1.0 - gain) + residual * residual * gain).sqrt();
    FrequencyEstimate {
        frequency,
        residual,
        skew: own_skew + gain * (skew - own_skew) + extra,
    }
}

impl Reference {
    /// Takes an estimate of the sources: corrects the clock and tells others about it.
    pub fn update(&mut self, update: &ReferenceUpdate, local: &mut LocalClock, cx: &mut Cx<'_>) {
        if self.mode != Mode::Normal {
            self.end_special_mode(Some(update.offset), local, cx);
            return;
        }
        let raw = cx.clock.now();
        let moment = Moment {
            mono: cx.now.mono,
            raw,
            correction: local.correction(raw).0,
        };
        let now = moment.cooked();
        let Some(plan) = self.plan(update, moment, cx.out) else {
            return;
        };

        self.correct_clock(&plan, raw, local, cx);
        self.update_leap(update.leap, second_of(raw), false, local, cx);
        self.publish_status(now, local, cx);

        // Nobody is to learn from it when exactly we ask our sources.
        self.ref_time = self.ref_time - Seconds(rng::uniform(cx.rng));
        let record = self.tracking_record(update, &plan, moment, local);
        cx.out.push(Effect::Tracking(record));
        self.age_drift_file(plan.interval, local, cx.out);

        self.learn(local.absolute_frequency_ppm(), &plan);
        if self.synchronised {
            self.schedule_fallback(local, cx);
        }
        cx.out.push(Effect::ReferenceChanged);
    }

    /// A local reference clock wants a correction between two updates (`discipline.md` 8.8);
    /// its samples follow the clock by themselves, so nobody is told.
    ///
    /// # Errors
    /// When the offset leads out of the era; nothing was changed.
    pub fn adjust(
        &mut self,
        offset: Seconds,
        frequency: FreqRatio,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) -> Result<(), NotChanged> {
        self.adjustments = self.adjustments.saturating_add(1);
        let own = self.correction_rate(offset.abs(), cx.now.mono - self.last_adjustment);
        let shared =
            self.correction_rate(self.offset_sd, self.last_interval) / f64::from(self.adjustments);
        self.last_adjustment = cx.now.mono;
        local.accumulate_quietly(frequency.0, offset, own.max(shared), cx)
    }

    /// Decides what an estimate means, and stores what it says about the sources. `None`: it was
    /// refused, and nothing was stored.
    pub(super) fn plan(
        &mut self,
        update: &ReferenceUpdate,
        moment: Moment,
        out: &mut Effects,
    ) -> Option<Plan> {
        let now = moment.cooked();
        let manual = update.leap == Leap::Unsynchronised;
        let offset = update.offset + (now - update.ref_time) * update.frequency;
        let interval = self
            .last_update
            .map_or(Seconds::ZERO, |then| moment.mono - then);
        let gain = if manual {
            1.0
        } else {
            self.gain(update.skew.0)
        };
        let estimate = estimate_frequency(self.skew, update.frequency.0, update.skew.0, gain);
        if !self.accept(offset, out) {
            return None;
        }
        let old_distance = self.root_delay / 2.0 + self.root_dispersion(now);

        self.synchronised = !manual;
        self.stratum = update.stratum.saturating_add(1);
        self.ref_id = update.ref_id;
        self.address = update.address;
        self.ref_time = update.ref_time;
        self.skew = estimate.skew;
        self.residual_frequency = estimate.residual;
        self.root_delay = update.root_delay;
        self.root_dispersion = update.root_dispersion;
        self.frequency_sd = update.frequency_sd.0;
        self.offset_sd = update.offset_sd;
        self.last_update = Some(moment.mono);
        self.last_interval = interval;
        self.last_offset = offset;

        let steps = self.may_step() && {
            let error = offset - moment.correction;
            error.0.abs() > self.config.make_step.threshold.0
        };
        let (slew, step) = if steps {
            (moment.correction, Some(offset - moment.correction))
        } else {
            (offset, None)
        };
        Some(Plan {
            offset,
            interval,
            dfreq: estimate.frequency,
            slew,
            rate: self.correction_rate(update.offset_sd, interval),
            step,
            old_distance,
        })
    }

    /// Takes an update into the long-term averages.
    pub(super) fn learn(&mut self, frequency_ppm: f64, plan: &Plan) {
        if let Some(fallback) = self.fallback.as_mut().filter(|_| self.synchronised) {
            fallback.update(frequency_ppm, plan.interval, self.last_interval);
        }
        let square = plan.offset.0 * plan.offset.0;
        if self.mean_square_moves {
            self.mean_square += MEAN_SQUARE_WEIGHT * (square - self.mean_square);
        } else {
            self.mean_square_moves = self.mean_square > 0.0 && self.mean_square < square;
            self.mean_square = square;
        }
        self.adjustments = 0;
    }

    /// Weight of a frequency measured with a skew, 0..=1.
    fn gain(&self, measured_skew: f64) -> f64 {
        if measured_skew.abs() > self.config.max_update_skew.0 {
            return 0.0;
        }
        let own = GAIN_WEIGHT * self.skew * self.skew;
        (own / (own + measured_skew * measured_skew)).clamp(0.0, 1.0)
    }

    /// Whether an offset is believed (`maxchange`, `discipline.md` 8.5). Ends the daemon if one
    /// too many is not.
    fn accept(&mut self, offset: Seconds, out: &mut Effects) -> bool {
        let Some(check) = self.config.max_change.as_mut() else {
            return true;
        };
        if check.start > 0 {
            check.start -= 1;
            return true;
        }
        if offset.0.abs() <= check.offset.0 {
            return true;
        }
        let (max, exiting) = (check.offset, check.ignore == 0);
        if check.ignore > 0 {
            check.ignore -= 1;
        }
        out.log(ReferenceEvent::ChangeRefused {
            offset,
            max,
            exiting,
        });
        if exiting {
            out.push(Effect::EndMode {
                mode: self.mode,
                ok: false,
            });
            self.mode = Mode::Ignore;
        }
        false
    }

    /// Whether this update may step, which counts it.
    const fn may_step(&mut self) -> bool {
        let limit = &mut self.config.make_step.limit;
        if *limit == 0 {
            return false;
        }
        if *limit > 0 {
            *limit -= 1;
        }
        true
    }

    /// Area under the curve of an offset to be slewed out, s².
    fn correction_rate(&self, offset_sd: Seconds, interval: Seconds) -> f64 {
        self.config.correction_time_ratio * 0.5 * offset_sd.0 * interval.0
    }

    /// Carries a plan out, and says so if it is a large correction.
    fn correct_clock(
        &mut self,
        plan: &Plan,
        raw: Timestamp<Raw>,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) {
        let mark = cx.out.len();
        // Refused only beyond the era; the reason was logged.
        let _ = local.accumulate_frequency_and_offset(plan.dfreq, plan.slew, plan.rate, cx);
        self.report_change(plan.offset, raw, cx.out);
        if let Some(step) = plan.step {
            if local.step(step, cx).is_ok() {
                Self::log_step(step, cx);
            } else {
                let _ = local.accumulate_offset(step, 0.0, cx);
            }
        }
        self.follow_own(mark, local, cx);
    }

    /// Logs and mails a large offset.
    fn report_change(&self, offset: Seconds, raw: Timestamp<Raw>, out: &mut Effects) {
        if offset.0.abs() > self.config.log_change.0 {
            out.log(ReferenceEvent::ClockWrong { offset });
        }
        if let Some(mail) = &self.config.mail
            && offset.0.abs() > mail.threshold.0
        {
            out.push(Effect::Mail(MailNotice {
                user: mail.user.clone(),
                adjustment: -offset,
                threshold: mail.threshold,
                raw,
            }));
        }
    }

    fn tracking_record(
        &mut self,
        update: &ReferenceUpdate,
        plan: &Plan,
        moment: Moment,
        local: &LocalClock,
    ) -> TrackingRecord {
        let now = moment.cooked();
        let max_error = plan.old_distance + self.last_error.abs();
        self.last_error = plan.offset - moment.correction;
        TrackingRecord {
            time: now,
            name: self.name(),
            stratum: self.stratum,
            frequency_ppm: local.absolute_frequency_ppm(),
            skew_ppm: 1e6 * self.skew,
            offset: plan.offset,
            leap: self.leap.leap,
            combined: update.combined,
            offset_sd: update.offset_sd,
            remaining_correction: moment.correction,
            root_delay: self.root_delay,
            root_dispersion: self.root_dispersion(now),
            max_error,
        }
    }

    /// Writes the drift file when enough time was spent synchronised.
    fn age_drift_file(&mut self, interval: Seconds, local: &LocalClock, out: &mut Effects) {
        self.drift_age += interval;
        let Some(config) = &self.config.drift else {
            return;
        };
        if self.drift_age.0 >= config.interval.0 {
            self.drift_age = Seconds::ZERO;
            out.push(Effect::WriteDriftFile(self.drift(local).to_text()));
        }
    }
}
