//! The reference: what the selected sources say about our clock, and what follows from it
//! (`discipline.md` 8).
//!
//! Takes the combined estimate of the sources, decides between slewing, stepping and refusing
//! it, and knows what to tell others about our clock: leap indicator, stratum, root delay and
//! dispersion. Also owns leap seconds, the local reference, fallback drifts, the drift file's
//! content and the special modes of the start.
//!
//! ```text
//! selection ──> Reference::update ──> LocalClock (frequency, slew, step) ──> Effects
//! server    <── Reference::served                                    logs, drift file ┘
//! ```

mod config;
mod drift;
mod event;
mod fallback;
pub mod leap;
pub mod leapdb;
pub mod local;
mod served;
pub mod tracking;
mod update;

pub use config::{DriftConfig, MailConfig, Mode, ReferenceConfig};
pub use drift::Drift;
pub use event::ReferenceEvent;
pub use fallback::FallbackDrifts;
pub use leapdb::{LeapDatabase, LeapFile, LeapInfo};
pub use local::LocalReferenceConfig;
pub use timewright_wire::Leap;
pub use tracking::{ReferenceName, TrackingRecord, TrackingReport, leap_letter, ref_id_text};
pub use update::ReferenceUpdate;

use crate::discipline::jump::Jump;
use crate::discipline::{ChangeKind, ClockChange, Cx, DisciplineEvent, Effect, LocalClock};
use crate::server::snapshot::{STRATUM_UNSYNCHRONISED, ServedReference};
use leap::{LeapDue, LeapSchedule};
use local::LocalReference;
use std::net::{IpAddr, Ipv4Addr};
use timewright_config::{LeapMode, MakeStep};
use timewright_time::{Cooked, FreqRatio, MonoTime, Now, Raw, Seconds, Timestamp};

/// A root distance that is no synchronisation (`MAXDISP` of RFC 5905; the kernel agrees).
const MAX_DISTANCE: Seconds = Seconds(16.0);

/// The state of the reference.
#[derive(Clone, Debug)]
pub struct Reference {
    config: ReferenceConfig,
    mode: Mode,
    synchronised: bool,
    stratum: u8,
    ref_id: u32,
    address: Option<IpAddr>,
    ref_time: Timestamp<Cooked>,
    skew: f64,
    residual_frequency: f64,
    root_delay: Seconds,
    root_dispersion: Seconds,
    offset_sd: Seconds,
    frequency_sd: f64,
    last_update: Option<MonoTime>,
    last_interval: Seconds,
    last_offset: Seconds,
    /// Offset of the last update without the slew that was in progress.
    last_error: Seconds,
    /// Long-term average of squared offsets, and whether it moves yet.
    mean_square: f64,
    mean_square_moves: bool,
    last_adjustment: MonoTime,
    adjustments: u32,
    drift_age: Seconds,
    unsynchronised_since: MonoTime,
    max_clock_error: FreqRatio,
    leap: LeapSchedule,
    leap_database: LeapDatabase,
    local: LocalReference,
    fallback: Option<FallbackDrifts>,
    /// The last clock change seen, so that those we caused ourselves are not followed twice.
    last_change: u64,
}

impl Reference {
    /// Not synchronised; [`Reference::start`] comes next.
    #[must_use]
    pub fn new(
        config: ReferenceConfig,
        leap_database: LeapDatabase,
        local: &LocalClock,
        now: Now,
    ) -> Self {
        Self {
            mode: Mode::Normal,
            synchronised: false,
            stratum: 0,
            ref_id: 0,
            address: None,
            ref_time: Timestamp::ZERO,
            skew: 1.0,
            residual_frequency: 0.0,
            root_delay: Seconds(1.0),
            root_dispersion: Seconds(1.0),
            offset_sd: Seconds::ZERO,
            frequency_sd: 0.0,
            last_update: None,
            last_interval: Seconds::ZERO,
            last_offset: Seconds::ZERO,
            last_error: Seconds::ZERO,
            mean_square: 0.0,
            mean_square_moves: false,
            last_adjustment: now.mono,
            adjustments: 0,
            drift_age: Seconds::ZERO,
            unsynchronised_since: now.mono,
            max_clock_error: local.max_clock_error(),
            leap: LeapSchedule::new(config.leap_mode),
            leap_database,
            local: LocalReference::new(config.local),
            fallback: FallbackDrifts::new(config.fallback_drift.0, config.fallback_drift.1),
            last_change: 0,
            config,
        }
    }

    /// Begins: sets the frequency found in the drift file (`None`: there is none) and writes the
    /// first line of the tracking log.
    pub fn start(&mut self, drift: Option<&str>, local: &mut LocalClock, cx: &mut Cx<'_>) {
        let mark = cx.out.len();
        let mut frequency_ppm = 0.0;
        if let (Some(text), Some(config)) = (drift, &self.config.drift) {
            let path = config.path.clone();
            if let Some(drift) = Drift::parse(text) {
                frequency_ppm = drift.frequency_ppm;
                self.skew = drift.skew.0;
                cx.out.log(ReferenceEvent::DriftRead {
                    frequency_ppm,
                    skew_ppm: drift.skew.ppm(),
                    path,
                });
                local.set_absolute_frequency(frequency_ppm, cx);
            } else {
                cx.out.log(ReferenceEvent::DriftUnreadable { path });
            }
        }
        if frequency_ppm == 0.0 {
            let ppm = local.absolute_frequency_ppm();
            if ppm != 0.0 {
                cx.out.log(ReferenceEvent::InitialFrequency { ppm });
            }
        }
        if self.leap.mode == LeapMode::System && !local.can_leap(cx.clock) {
            self.leap.mode = LeapMode::Step;
        }
        self.follow_own(mark, local, cx);
        self.set_unsynchronised(local, cx);
    }

    /// Ends: withdraws the leap announcement and writes the drift file.
    pub fn finalise(&mut self, local: &mut LocalClock, cx: &mut Cx<'_>) {
        self.update_leap(Leap::Unsynchronised, None, false, local, cx);
        if self.config.drift.is_some() {
            cx.out
                .push(Effect::WriteDriftFile(self.drift(local).to_text()));
        }
    }

    /// What updates are for.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Changes what updates are for.
    pub const fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// When [`Reference::handle_deadline`] is next due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        let fallback = self
            .fallback
            .as_ref()
            .and_then(FallbackDrifts::next_deadline);
        [self.leap.next_deadline(), fallback]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due: leap seconds and fallback drifts. Harmless when nothing is.
    pub fn handle_deadline(&mut self, local: &mut LocalClock, cx: &mut Cx<'_>) {
        let raw = cx.clock.now();
        match self.leap.take_due(raw, cx.now) {
            Some(LeapDue::Begin) => self.begin_leap(local, cx),
            Some(LeapDue::End) => {
                self.leap.settle();
                if self.leap.mode == LeapMode::System {
                    local.set_leap(0, self.leap.tai_offset_s, cx);
                }
                cx.out.push(Effect::ReferenceChanged);
            }
            None => {}
        }
        let fallback = self
            .fallback
            .as_mut()
            .and_then(|f| f.handle_deadline(cx.now.mono));
        if let Some(ppm) = fallback {
            let mark = cx.out.len();
            local.set_absolute_frequency(ppm, cx);
            self.follow_own(mark, local, cx);
            self.set_unsynchronised(local, cx);
        }
    }

    /// Follows a change of the clock. Changes the reference caused itself are known already and
    /// do nothing.
    pub fn on_clock_change(
        &mut self,
        change: &ClockChange,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) {
        if change.seq <= self.last_change {
            return;
        }
        self.last_change = change.seq;
        if !self.ref_time.is_zero() {
            self.ref_time = self
                .ref_time
                .adjusted(change.cooked, change.dfreq, change.doffset.0)
                .0;
        }
        if change.kind == ChangeKind::UnknownStep {
            self.last_update = None;
            self.set_unsynchronised(local, cx);
        }
        if change.kind != ChangeKind::Adjust {
            self.set_leap_timer_again(change.doffset, local, cx);
        }
    }

    /// The clock was moved, positive: back; so a leap second is closer or farther.
    fn set_leap_timer_again(&mut self, offset: Seconds, local: &mut LocalClock, cx: &mut Cx<'_>) {
        if self.leap.in_progress() {
            self.leap.shift(offset);
        } else if self.leap.second != 0 {
            let now_s = cx.clock.now().sec();
            self.update_leap(self.leap.leap, Some(now_s), true, local, cx);
        }
    }

    /// The clock was out of control for a moment and may be wrong by `error` more than is known:
    /// the root dispersion grows by that until the sources tell. With one that says nothing any
    /// more the synchronisation ends.
    pub fn survive_jump(
        &mut self,
        jump: &Jump,
        error: Seconds,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) {
        // Known from here on: what others make of such a change would end the synchronisation.
        self.last_change = local.follow_jump(jump, cx);
        self.last_update = None;
        if !self.ref_time.is_zero() {
            self.ref_time = self.ref_time - jump.offset;
        }
        if self.synchronised && self.mode == Mode::Normal {
            self.root_dispersion += error;
            let now = local.cook(cx.clock.now()).0;
            if self.root_delay / 2.0 + self.root_dispersion(now) < MAX_DISTANCE {
                self.publish_status(now, local, cx);
            } else {
                self.set_unsynchronised(local, cx);
            }
        }
        self.set_leap_timer_again(jump.offset, local, cx);
        cx.out.push(Effect::ReferenceChanged);
    }

    /// The sources are lost: others are not to rely on our clock any more
    /// (`discipline.md` 8.7). In a special mode it is over.
    pub fn set_unsynchronised(&mut self, local: &mut LocalClock, cx: &mut Cx<'_>) {
        if self.mode != Mode::Normal {
            self.end_special_mode(None, local, cx);
            return;
        }
        let raw = cx.clock.now();
        let correction = local.correction(raw).0;
        let now = raw.cook(correction);
        self.schedule_fallback(local, cx);
        self.update_leap(Leap::Unsynchronised, None, false, local, cx);
        self.lose(cx.now.mono);
        local.set_sync_status(false, Seconds::ZERO, Seconds::ZERO, cx);
        let root_dispersion = self.root_dispersion(now);
        cx.out.push(Effect::Tracking(TrackingRecord {
            time: now,
            name: self.name(),
            stratum: self.stratum,
            frequency_ppm: local.absolute_frequency_ppm(),
            skew_ppm: self.skew * 1e6,
            offset: Seconds::ZERO,
            leap: self.leap.leap,
            combined: 0,
            offset_sd: Seconds::ZERO,
            remaining_correction: correction,
            root_delay: self.root_delay,
            root_dispersion,
            max_error: self.root_delay / 2.0 + root_dispersion,
        }));
        cx.out.push(Effect::ReferenceChanged);
    }

    /// The sources' majority on leap seconds changed between updates.
    pub fn announce_leap(&mut self, leap: Leap, local: &mut LocalClock, cx: &mut Cx<'_>) {
        if !self.synchronised {
            return;
        }
        let raw = cx.now.raw;
        self.update_leap(leap, Some(raw.sec()), false, local, cx);
        self.publish_status(local.cook(raw).0, local, cx);
        cx.out.push(Effect::ReferenceChanged);
    }

    /// Whether a leap second is so close that a sample taken now is worthless; `sample` is its
    /// time and offset, positive: our clock is slow. Logging is up to the caller
    /// ([`ReferenceEvent::SampleDropped`]).
    #[must_use]
    pub fn is_leap_close(
        &self,
        sample: Option<(Timestamp<Cooked>, Seconds)>,
        local: &LocalClock,
        now: Now,
    ) -> bool {
        self.leap.is_close(now.raw, local.cook(now.raw).0, sample)
    }

    /// What is known about leap seconds at a Unix time; for reference clocks that keep TAI.
    pub fn lookup_leap(&mut self, unix_s: i64, cx: &mut Cx<'_>) -> LeapInfo {
        self.leap_database.lookup(unix_s, cx.out)
    }

    /// The source of leap seconds, to be reloaded now and then.
    pub const fn leap_database(&mut self) -> &mut LeapDatabase {
        &mut self.leap_database
    }

    /// Who corrects the clock for leap seconds, after a look at what the clock can do.
    #[must_use]
    pub const fn leap_mode(&self) -> LeapMode {
        self.leap.mode
    }

    /// Our leap indicator, whatever the local reference says.
    #[must_use]
    pub const fn leap(&self) -> Leap {
        self.leap.leap
    }

    /// Whether the clock follows a source.
    #[must_use]
    pub const fn is_synchronised(&self) -> bool {
        self.synchronised
    }

    /// When an estimate of the sources was accepted last; `None`: never, or not since the clock
    /// was stepped by something else.
    #[must_use]
    pub const fn last_update(&self) -> Option<MonoTime> {
        self.last_update
    }

    /// The time for which that estimate was, on today's scale; zero if unknown.
    pub(crate) const fn ref_time(&self) -> Timestamp<Cooked> {
        self.ref_time
    }

    /// Uncertainty of the clock's frequency.
    #[must_use]
    pub const fn skew(&self) -> FreqRatio {
        FreqRatio(self.skew)
    }

    /// For the tracking report: what is `served` of the reference, the clock still to be
    /// corrected by `correction`.
    #[must_use]
    pub fn report(
        &self,
        served: &ServedReference,
        correction: Seconds,
        local: &LocalClock,
    ) -> TrackingReport {
        let followed = served.synchronised;
        TrackingReport {
            ref_id: served.ref_id,
            address: self.address.filter(|_| followed),
            stratum: if served.stratum >= STRATUM_UNSYNCHRONISED && !followed {
                0
            } else {
                served.stratum
            },
            leap: served.leap,
            ref_time: served.ref_time,
            current_correction: correction,
            last_offset: self.last_offset,
            rms_offset: self.rms_offset(),
            frequency_ppm: local.absolute_frequency_ppm(),
            residual_frequency_ppm: if followed {
                1e6 * self.residual_frequency
            } else {
                0.0
            },
            skew_ppm: if followed { 1e6 * self.skew } else { 0.0 },
            root_delay: served.root_delay,
            root_dispersion: served.root_dispersion,
            last_update_interval: self.last_interval,
        }
    }

    /// Stratum from which sources are taken for orphans like us; 16: orphan mode is off.
    #[must_use]
    pub fn orphan_stratum(&self) -> u8 {
        if self.mode == Mode::Normal {
            self.local.orphan_stratum()
        } else {
            STRATUM_UNSYNCHRONISED
        }
    }

    /// Command `local`.
    pub fn enable_local(&mut self, config: LocalReferenceConfig, cx: &mut Cx<'_>) {
        self.local.enable(config, cx.out);
        cx.out.push(Effect::ReferenceChanged);
    }

    /// Command `local off`.
    pub fn disable_local(&mut self, cx: &mut Cx<'_>) {
        self.local.disable(cx.out);
        cx.out.push(Effect::ReferenceChanged);
    }

    /// Command `maxupdateskew`.
    pub fn set_max_update_skew(&mut self, ppm: f64, cx: &mut Cx<'_>) {
        self.config.max_update_skew = FreqRatio::from_ppm(ppm);
        cx.out.log(ReferenceEvent::NewMaxUpdateSkew { ppm });
    }

    /// Command `makestep` with arguments.
    pub fn set_make_step(&mut self, make_step: MakeStep, cx: &mut Cx<'_>) {
        let MakeStep { threshold, limit } = make_step;
        self.config.make_step = make_step;
        cx.out.log(ReferenceEvent::NewMakeStep { threshold, limit });
    }

    /// Root dispersion at cooked time `at`, in seconds; 1 s before the first update.
    ///
    /// Grows with the uncertainty of the frequency and the distance from the reference time, in
    /// either direction.
    #[must_use]
    pub fn root_dispersion(&self, at: Timestamp<Cooked>) -> Seconds {
        if self.ref_time.is_zero() {
            return Seconds(1.0);
        }
        self.root_dispersion + (at - self.ref_time).abs() * self.frequency_uncertainty()
    }

    fn frequency_uncertainty(&self) -> f64 {
        self.skew + self.residual_frequency.abs() + self.max_clock_error.0
    }

    fn rms_offset(&self) -> Seconds {
        Seconds(self.mean_square.sqrt())
    }

    fn name(&self) -> ReferenceName {
        self.address
            .map_or(ReferenceName::Id(self.ref_id), ReferenceName::Address)
    }

    fn drift(&self, local: &LocalClock) -> Drift {
        Drift {
            frequency_ppm: local.absolute_frequency_ppm(),
            skew: FreqRatio(self.skew),
        }
    }

    /// The part of losing the sources that concerns only ourselves.
    fn lose(&mut self, now: MonoTime) {
        self.address = Some(Ipv4Addr::UNSPECIFIED.into());
        self.stratum = 0;
        if self.synchronised {
            self.unsynchronised_since = now;
        }
        self.synchronised = false;
    }

    /// Synchronisation status for the clock: whether, estimated and maximum error.
    fn sync_status(&self, now: Timestamp<Cooked>) -> (bool, Seconds, Seconds) {
        let elapsed = (now - self.ref_time).abs();
        (
            self.synchronised,
            self.offset_sd + elapsed * self.frequency_sd,
            self.root_delay / 2.0 + self.root_dispersion(now),
        )
    }

    fn publish_status(&self, now: Timestamp<Cooked>, local: &mut LocalClock, cx: &mut Cx<'_>) {
        let (synchronised, est_error, max_error) = self.sync_status(now);
        local.set_sync_status(synchronised, est_error, max_error, cx);
    }

    /// Chooses the fallback drift for the time since the last update.
    fn schedule_fallback(&mut self, local: &mut LocalClock, cx: &mut Cx<'_>) {
        let age = self.age(cx.now.mono);
        let chosen = self
            .fallback
            .as_mut()
            .and_then(|f| f.schedule(cx.now.mono, age));
        if let Some(ppm) = chosen {
            let mark = cx.out.len();
            local.set_absolute_frequency(ppm, cx);
            self.follow_own(mark, local, cx);
        }
    }

    /// Time since the last update; endless if there was none.
    fn age(&self, now: MonoTime) -> Seconds {
        self.last_update
            .map_or(Seconds(f64::INFINITY), |then| now - then)
    }

    /// Takes over an announcement, or the lack of one (`discipline.md` 8.10). Without a time the
    /// leap second database is not asked.
    fn update_leap(
        &mut self,
        announced: Leap,
        unix_s: Option<i64>,
        reset: bool,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) {
        let (mut leap, mut second, mut tai_offset_s) = (announced, 0, 0);
        if let Some(t) = unix_s {
            let info = self.leap_database.lookup(t, cx.out);
            tai_offset_s = info.tai_offset_s;
            if leap == Leap::Normal {
                leap = info.leap;
            }
            if matches!(leap, Leap::Insert | Leap::Delete) {
                second = leap::leap_second(leap, t);
                if second == 0 {
                    leap = Leap::Normal;
                }
            }
        }
        let differs = (second, tai_offset_s) != (self.leap.second, self.leap.tai_offset_s);
        if differs && !self.is_leap_close(None, local, cx.now) {
            self.leap.second = second;
            self.leap.tai_offset_s = tai_offset_s;
            if self.leap.mode == LeapMode::System {
                local.set_leap(second, tai_offset_s, cx);
            }
            self.leap.arm(cx.clock.now(), cx.now);
        } else if reset {
            self.leap.arm(cx.clock.now(), cx.now);
        }
        self.leap.leap = leap;
    }

    /// The announced leap second begins.
    fn begin_leap(&mut self, local: &mut LocalClock, cx: &mut Cx<'_>) {
        let second = self.leap.second;
        let span = Seconds(f64::from(second));
        // In progress from the first of the changes that follow.
        self.leap.pass(cx.clock.now(), cx.now);
        let mark = cx.out.len();
        match self.leap.mode {
            LeapMode::System => {}
            LeapMode::Slew => {
                local.notify_leap(second, cx);
                // Refused only beyond the era; the reason was logged.
                let _ = local.accumulate_offset(span, 0.0, cx);
                cx.out.log(ReferenceEvent::LeapSlewed);
            }
            LeapMode::Step => {
                local.notify_leap(second, cx);
                // A clock that cannot be stepped was logged; the leap second is over all the same.
                let _ = local.step(span, cx);
                cx.out.log(ReferenceEvent::LeapStepped);
            }
            LeapMode::Ignore => cx.out.log(ReferenceEvent::LeapIgnored),
        }
        self.follow_own(mark, local, cx);
        self.leap.pass(cx.clock.now(), cx.now);
        cx.out.push(Effect::ReferenceChanged);
    }

    /// Follows the clock changes among the effects since `mark` at once, as what comes next
    /// depends on it.
    fn follow_own(&mut self, mark: usize, local: &mut LocalClock, cx: &mut Cx<'_>) {
        let changes: Vec<ClockChange> = cx
            .out
            .since(mark)
            .iter()
            .filter_map(|effect| match effect {
                Effect::Changed(change) => Some(*change),
                _ => None,
            })
            .collect();
        for change in changes {
            self.on_clock_change(&change, local, cx);
        }
    }

    /// A special mode found its offset, or found that there is none (`discipline.md` 8.13).
    fn end_special_mode(
        &mut self,
        offset: Option<Seconds>,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) {
        let mode = self.mode;
        if matches!(mode, Mode::Normal | Mode::Ignore) {
            return;
        }
        self.mode = Mode::Ignore;
        let mark = cx.out.len();
        match (mode, offset) {
            (Mode::InitStepSlew { threshold }, Some(offset)) => {
                let step = offset.0.abs() >= threshold.0;
                cx.out.log(ReferenceEvent::InitialOffset { offset, step });
                // A refusal was logged; the start goes on all the same.
                let _ = if step {
                    local.step(offset, cx)
                } else {
                    local.accumulate_offset(offset, 0.0, cx)
                };
            }
            (Mode::UpdateOnce, Some(offset)) => {
                cx.out
                    .log(ReferenceEvent::ClockWrongOnce { offset, step: true });
                let _ = local.step(offset, cx);
            }
            (_, Some(offset)) => {
                cx.out.log(ReferenceEvent::ClockWrongOnce {
                    offset,
                    step: false,
                });
            }
            (_, None) => {
                let initstepslew = matches!(mode, Mode::InitStepSlew { .. });
                cx.out.log(ReferenceEvent::NoSource { initstepslew });
            }
        }
        self.follow_own(mark, local, cx);
        cx.out.push(Effect::EndMode {
            mode,
            ok: offset.is_some(),
        });
    }

    /// Logs a step that an update led to.
    fn log_step(step: Seconds, cx: &mut Cx<'_>) {
        cx.out.log(DisciplineEvent::Stepped { by: -step });
    }
}

/// The raw second an update was made in, for leap seconds.
fn second_of(raw: Timestamp<Raw>) -> Option<i64> {
    Some(raw.sec())
}

#[cfg(test)]
mod tests;
