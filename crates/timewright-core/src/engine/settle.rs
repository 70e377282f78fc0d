//! Carrying out what one input brought about, until nothing is left.

use super::inspect::Shift;
use super::{Context, Engine};
use crate::discipline::{ChangeKind, ClockChange, Effect, Effects};
use crate::ids::SourceId;
use crate::output::{FileKind, FileWrite, LogFile, Output};
use crate::reference::{Mode, ReferenceUpdate};
use crate::select::{SelectAction, SourceKind, SourceName, SourceSetup};
use crate::source::{OurReference, SourceAddress, StatsAction};
use crate::stats::StatsConfig;
use timewright_config::LeapMode;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

impl Engine {
    /// Carries out all actions of the sources and lets interrupted associations go on.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) {
        loop {
            while let Some((id, action)) = self.actions.pop_front() {
                self.carry_out(id, action, cx);
            }
            if !self.with_table(cx, |table, env| table.resume(env)) {
                break;
            }
        }
        let unix_s = self.local.cook(self.wake.raw).0.sec();
        if self.reference.leap_database().wants_reload(unix_s) {
            cx.out.push(Output::ReadLeapList);
        }
        self.refresh_snapshot(cx.rng);
    }

    fn carry_out(&mut self, id: SourceId, action: StatsAction, cx: &mut Context<'_>) {
        let mut out = Vec::new();
        let scx = self.select_context();
        match action {
            StatsAction::Create {
                address,
                refid,
                name,
                config,
            } => {
                let samples = self.config.client.samples;
                // Negative: the source's line does not say.
                let or_global = |own: i32, global: u32| {
                    if own < 0 {
                        i32::try_from(global).unwrap_or(i32::MAX)
                    } else {
                        own
                    }
                };
                let minimum = or_global(config.minsamples, samples.min);
                let maximum = or_global(config.maxsamples, samples.max);
                self.selector.add(
                    id,
                    SourceSetup {
                        kind: SourceKind::Ntp,
                        ref_id: refid,
                        name: source_name(address, &name),
                        authenticated: config.auth.is_some(),
                        options: config.select.into(),
                        max_unreachable: u32::try_from(config.maxunreach).unwrap_or(0),
                        stats: StatsConfig::new(minimum, maximum, self.params.precision)
                            .with_path(Seconds(config.mindelay), config.asymmetry),
                    },
                );
            }
            StatsAction::Destroy => self.selector.remove(id, &scx, &mut out),
            StatsAction::ChangeAddress { address, refid } => {
                let configured = self.table.name(id).unwrap_or_default().to_owned();
                self.selector
                    .set_identity(id, refid, source_name(address, &configured));
                self.selector.reset(id, &scx, &mut out);
            }
            StatsAction::SetActive(active) => self.selector.set_active(id, active),
            StatsAction::Reachability(answered) => {
                self.selector
                    .update_reachability(id, answered, &scx, &mut out);
            }
            StatsAction::ResetReachability => {
                self.selector.reset_reachability(id, &scx, &mut out);
            }
            StatsAction::SetRefid(refid) => self.selector.set_ref_id(id, refid),
            StatsAction::Reset => self.selector.reset(id, &scx, &mut out),
            StatsAction::Status { stratum, leap } => {
                let near = self.is_leap_close(None);
                self.selector
                    .update_status(id, stratum, leap, near, &mut out);
            }
            StatsAction::CorrectOffset(by) => {
                if let Some(stats) = self.selector.stats_mut(id) {
                    stats.correct_offset(by);
                }
            }
            StatsAction::Log(event) => cx.out.log(event),
            StatsAction::Accumulate(sample) => {
                let near = self.is_leap_close(Some((sample.time, sample.offset)));
                let local = self.table.get(id).and_then(|a| a.report().local);
                let refid = local.map_or(0, timewright_wire::refid::of_address);
                self.selector.set_local_ref_id(id, refid);
                self.selector.accumulate(id, sample, near, &mut out);
                self.selector.select(&scx, Some(id), &mut out);
            }
        }
        self.carry_out_selection(out, cx);
    }

    pub(super) fn is_leap_close(&self, sample: Option<(Timestamp<Cooked>, Seconds)>) -> bool {
        self.reference.is_leap_close(sample, &self.local, self.wake)
    }

    /// Carries out what a selection brought about, in order.
    pub(crate) fn carry_out_selection(&mut self, actions: Vec<SelectAction>, cx: &mut Context<'_>) {
        for action in actions {
            match action {
                SelectAction::Log(event) => cx.out.log(event.into()),
                SelectAction::LogStatistics(record) => {
                    cx.out.push(Output::LogRecord {
                        file: LogFile::Statistics,
                        line: record.to_string(),
                    });
                }
                SelectAction::LogSelection(record) => {
                    cx.out.push(Output::LogRecord {
                        file: LogFile::Selection,
                        line: record.to_string(),
                    });
                }
                SelectAction::BadSource(id) => {
                    self.with_table(cx, |table, env| table.on_bad_source(id, env));
                }
                SelectAction::Unsynchronised => {
                    self.with_clock(cx, |engine, dcx| {
                        engine.reference.set_unsynchronised(&mut engine.local, dcx);
                    });
                }
                SelectAction::UpdateReference(found) => {
                    let update = ReferenceUpdate {
                        stratum: found.stratum,
                        leap: found.leap,
                        combined: u32::try_from(found.combined).unwrap_or(u32::MAX),
                        ref_id: found.ref_id,
                        address: self.table.get(found.source).and_then(|a| a.address().ip()),
                        ref_time: found.ref_time,
                        offset: found.offset,
                        offset_sd: found.offset_sd,
                        frequency: found.freq,
                        frequency_sd: found.freq_sd,
                        skew: found.skew,
                        root_delay: found.root_delay,
                        root_dispersion: found.root_distance - found.root_delay * 0.5,
                    };
                    self.with_clock(cx, |engine, dcx| {
                        engine.reference.update(&update, &mut engine.local, dcx);
                    });
                }
                SelectAction::LeapMajority(leap) => {
                    self.with_clock(cx, |engine, dcx| {
                        engine.reference.announce_leap(leap, &mut engine.local, dcx);
                    });
                }
            }
        }
    }

    /// Carries out the consequences of an operation on the clock, and theirs.
    pub(crate) fn apply_effects(&mut self, mut effects: Effects, cx: &mut Context<'_>) {
        while !effects.is_empty() {
            for effect in effects.take() {
                self.apply(effect, &mut effects, cx);
            }
        }
        self.effects = effects;
    }

    fn apply(&mut self, effect: Effect, more: &mut Effects, cx: &mut Context<'_>) {
        match effect {
            Effect::Changed(change) => self.fan_out(&change, more, cx),
            Effect::Stepped(offset) => cx.out.push(Output::Stepped { offset }),
            Effect::Dispersed(by) => {
                self.selector.add_dispersion(by);
                self.refclocks.add_dispersion(by);
            }
            Effect::Smoothing(command) => {
                let skew = self.reference.skew();
                let event = self
                    .smoothing
                    .as_mut()
                    .and_then(|s| s.on_command(command, skew));
                cx.out.extend_log(event);
            }
            Effect::Log(event) => cx.out.log(event),
            Effect::Tracking(record) => {
                if self.config.logs.types.tracking {
                    cx.out.push(Output::LogRecord {
                        file: LogFile::Tracking,
                        line: record.to_string(),
                    });
                }
            }
            Effect::WriteDriftFile(content) => cx.out.push(Output::WriteFiles {
                ticket: None,
                files: vec![FileWrite {
                    file: FileKind::Drift,
                    content: Some(content),
                }],
            }),
            Effect::Mail(notice) => cx.out.push(Output::Mail { notice }),
            Effect::EndMode { mode, ok } => self.end_mode(mode, ok, cx),
            // The snapshot is made anew after every input.
            Effect::ReferenceChanged => {}
        }
    }

    /// Tells everybody who stores local time of a change of the clock (`discipline.md` 1.3).
    ///
    /// Whoever adds such a store adds a line here.
    fn fan_out(&mut self, change: &ClockChange, more: &mut Effects, cx: &mut Context<'_>) {
        let before = self.shifts.is_some().then(|| self.stored_times());
        let (dfreq, doffset) = (FreqRatio(change.dfreq), change.doffset);
        if change.kind == ChangeKind::UnknownStep {
            // Found by a wake-up that is in the new time already.
            self.event_time = self.local.cook(self.wake.raw).0;
        } else {
            if change.kind == ChangeKind::Step {
                self.wake.raw = self.wake.raw - doffset;
            }
            let (when, rate) = (change.cooked, change.dfreq);
            self.event_time = self.event_time.adjusted(when, rate, doffset.0).0;
        }
        self.jumps.on_clock_change(change);
        if change.kind == ChangeKind::UnknownStep {
            let mut out = Vec::new();
            let scx = self.select_context();
            self.selector.unknown_step(&scx, &mut out);
            self.carry_out_selection(out, cx);
        } else {
            self.selector.slew(change.cooked, dfreq, doffset);
        }
        self.refclocks.on_clock_change(change);
        self.server.on_clock_change(change, cx.rng);
        let mut dcx = crate::discipline::Cx {
            now: self.wake,
            clock: cx.clock,
            rng: cx.rng,
            out: more,
        };
        self.reference
            .on_clock_change(change, &mut self.local, &mut dcx);
        self.with_table(cx, |table, env| match change.kind {
            ChangeKind::Adjust | ChangeKind::Step => {
                table.on_clock_change(change.cooked, change.dfreq, doffset);
            }
            ChangeKind::UnknownStep => table.on_unknown_step(env),
        });
        self.manual.on_clock_change(change);
        let skew = self.reference.skew();
        let event = self
            .smoothing
            .as_mut()
            .and_then(|s| s.on_clock_change(change, skew));
        cx.out.extend_log(event);
        if let Some(before) = before {
            let after = self.stored_times();
            self.shifts.get_or_insert_default().push(Shift {
                change: *change,
                before,
                after,
            });
        }
    }

    /// Our reference data as the sources see them (test D, orphan mode, peers).
    pub(crate) fn refresh_our_reference(&mut self) {
        let served = self
            .server
            .snapshot
            .reference_at(self.event_time, self.wake.mono);
        self.our_reference = OurReference {
            leap: served.leap,
            stratum: served.stratum,
            refid: served.ref_id,
            reference_time: served.ref_time,
            root_delay: served.root_delay,
            root_dispersion: served.root_dispersion,
            normal_mode: self.reference.mode() == Mode::Normal,
            mono_offset: self.server.snapshot.mono.offset,
            mono_epoch: self.server.snapshot.mono.epoch,
        };
    }

    /// Takes the state of clock and reference into the server's snapshot.
    pub(crate) fn refresh_snapshot(&mut self, rng: &mut dyn crate::rng::Rng) {
        let (reference, local) = self.reference.served(self.event_time, rng);
        let snapshot = &mut self.server.snapshot;
        snapshot.clock = self.local.cook_line();
        snapshot.reference = reference;
        snapshot.local = local;
        let hides_leap = self.reference.leap_mode() == LeapMode::Slew;
        snapshot.smoothing =
            self.smoothing
                .as_ref()
                .map(|smoothing| crate::server::snapshot::ServedSmoothing {
                    plan: smoothing.plan(),
                    hides_leap,
                });
    }
}

fn source_name(address: SourceAddress, configured: &str) -> SourceName {
    SourceName::ntp(&address.to_string(), configured)
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::Bench;
    use crate::stats::Sample;
    use timewright_control::Request;
    use timewright_time::Seconds;

    /// What a clock change has to reach (`discipline.md` 1.3, 5.8).
    #[test]
    fn stored_samples_follow_the_clock_and_get_less_certain() {
        let mut bench = Bench::new("server 192.0.2.1\n");
        let id = bench.engine.selector.ids().next().unwrap();
        let now = bench.engine.event_time();
        let stats = bench.engine.selector.stats_mut(id).unwrap();
        stats.accumulate(Sample {
            time: now - Seconds(10.0),
            offset: Seconds(-1.0),
            peer_delay: Seconds(1e-3),
            peer_dispersion: Seconds(1e-6),
            root_delay: Seconds(2e-3),
            root_dispersion: Seconds(1e-5),
        });
        let last = |bench: &Bench| {
            let stats = bench.engine.selector.stats(id).unwrap();
            stats.last_sample().unwrap()
        };
        let before = last(&bench);
        bench.ask(&Request::ChangeOffset(1.0));
        let after = last(&bench);
        // The clock was fast by a second, which is being slewed away: the sample is of a second
        // earlier, and nothing is left of its offset.
        assert!((before.offset.0 - 1.0).abs() < 1e-12);
        assert!(after.offset.0.abs() < 1e-9, "{after:?}");
        assert!(((before.time - after.time).0 - 1.0).abs() < 1e-9);
        assert!((after.original_offset.0 - 1.0).abs() < 1e-12);
        // The frequency changed by 9 %, at a moment known to 11 us (`discipline.md` 9.1).
        let dispersed = (after.error - before.error).0;
        assert!((dispersed - 1.1e-5 / 11.0).abs() < 1e-9, "{dispersed:e}");
    }

    #[test]
    fn times_given_by_hand_follow_the_clock() {
        let mut bench = Bench::new("manual\n");
        let given = bench.engine.event_time() - Seconds(0.5);
        bench.ask(&Request::SetTime(given.into()));
        let timewright_control::ReplyData::ManualList(list) = bench.ask(&Request::ManualList).data
        else {
            panic!("a list");
        };
        // The half second is being slewed away.
        let sample = &list.0[0];
        assert!((sample.original_offset - 0.5).abs() < 1e-9, "{sample:?}");
        assert!(sample.slewed_offset.abs() < 1e-9, "{sample:?}");
    }
}
