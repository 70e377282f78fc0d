//! Reference clocks in the engine: polling their devices, what their samples do
//! (`discipline.md` 13.2, 13.6).

use super::{Context, Engine};
use crate::clock::Clock;
use crate::discipline::{Effects, LocalClock};
use crate::event::Event;
use crate::ids::{DeviceId, SourceId};
use crate::output::{LogFile, Output};
use crate::refclock::{DeviceReading, RefclockAction, RefclockSetup, Refclocks, Surroundings};
use crate::reference::Reference;
use crate::rng::Rng;
use crate::select::{SourceKind, SourceName, SourceSetup};
use crate::server::snapshot::{ServedReference, ServerSnapshot};
use crate::stats::{Sample, StatsConfig, Tracking};
use crate::timers::Timer;
use timewright_time::{Cooked, FreqRatio, MonoTime, Now, Raw, Seconds, Timestamp};

/// No device is read more often, whatever `dpoll` says.
const MIN_INTERVAL: Seconds = Seconds(1e-4);

/// The engine as reference clocks see it.
struct Around<'a> {
    local: &'a LocalClock,
    clock: &'a mut dyn Clock,
    snapshot: &'a ServerSnapshot,
    reference: &'a mut Reference,
    mono: MonoTime,
    era_s: i64,
    effects: Effects,
    rng: &'a mut dyn Rng,
}

impl Surroundings for Around<'_> {
    fn now(&mut self) -> Timestamp<Cooked> {
        self.local.cook(self.clock.now()).0
    }

    fn correction(&self, raw: Timestamp<Raw>) -> (Seconds, Seconds) {
        self.local.correction(raw)
    }

    fn reference(&self, at: Timestamp<Cooked>) -> ServedReference {
        self.snapshot.reference_at(at, self.mono)
    }

    fn tai_offset_s(&mut self, unix_s: i64) -> i32 {
        let database = self.reference.leap_database();
        database.lookup(unix_s, &mut self.effects).tai_offset_s
    }

    fn absolute_frequency_ppm(&self) -> f64 {
        self.local.absolute_frequency_ppm()
    }

    fn era_s(&self) -> i64 {
        self.era_s
    }

    fn rng(&mut self) -> &mut dyn Rng {
        self.rng
    }
}

impl Engine {
    /// Makes sources of the lines of the configuration, before any others. Lines were checked by
    /// the driver program; those it cannot read are left out.
    pub(super) fn add_refclocks(&mut self, cx: &mut Context<'_>) {
        let precision = self.params.precision;
        let mut setups = Vec::new();
        for (index, spec) in (0..).zip(self.config.refclocks.clone()) {
            let readable = spec
                .driver()
                .is_ok_and(|driver| self.boot.drivers.contains(&driver.kind()));
            if !readable {
                continue;
            }
            let source = self.table.issue_id();
            let Ok(setup) = RefclockSetup::new(&spec, index, source, precision) else {
                continue;
            };
            let options = &spec.options;
            let global = self.config.client.samples;
            let count = |own: Option<u32>, global: u32| {
                i32::try_from(own.unwrap_or(global)).unwrap_or(i32::MAX)
            };
            let minimum = count(options.minsamples, global.min);
            let maximum = count(options.maxsamples, global.max);
            self.selector.add(
                source,
                SourceSetup {
                    kind: SourceKind::Refclock,
                    ref_id: setup.ref_id,
                    name: SourceName::refclock(&setup.name),
                    authenticated: false,
                    options: options.select.into(),
                    max_unreachable: options.maxunreach,
                    stats: StatsConfig::new(minimum, maximum, precision)
                        .with_path(Seconds::ZERO, 0.0),
                },
            );
            setups.push(setup);
        }
        RefclockSetup::resolve_locks(&mut setups);
        let (clocks, events) = Refclocks::new(setups);
        self.refclocks = clocks;
        cx.out.extend_log(events);
    }

    /// Begins to read the devices, at once.
    pub(super) fn start_refclocks(&mut self) {
        for clock in self.refclocks.iter() {
            let setup = clock.setup();
            self.selector.set_active(setup.source, true);
            self.timers.arm(Timer::Device(setup.device), self.wake.mono);
        }
    }

    pub(super) fn poll_device(&mut self, device: DeviceId, cx: &mut Context<'_>) {
        let Some(clock) = self.refclocks.by_device(device) else {
            return;
        };
        let next = self.wake.mono + clock.interval().max(MIN_INTERVAL);
        self.timers.arm(Timer::Device(device), next);
        if clock.is_polled() {
            cx.out.push(Output::ReadDevice { id: device });
        } else {
            self.with_refclocks(cx, |clocks, around, out| {
                clocks.end_poll(device, around, out);
            });
        }
    }

    /// The answer to [`Output::ReadDevice`]; `None`: there was nothing to read.
    pub fn handle_device(
        &mut self,
        now: Now,
        device: DeviceId,
        reading: Option<&DeviceReading>,
        cx: &mut Context<'_>,
    ) {
        self.begin(now);
        self.with_refclocks(cx, |clocks, around, out| {
            if let Some(reading) = reading {
                clocks.read(device, reading, around, out);
            }
            clocks.end_poll(device, around, out);
        });
        self.settle(cx);
    }

    /// A device has something to say that it was not asked for.
    pub fn handle_device_event(
        &mut self,
        now: Now,
        device: DeviceId,
        reading: &DeviceReading,
        cx: &mut Context<'_>,
    ) {
        self.begin(now);
        self.with_refclocks(cx, |clocks, around, out| {
            clocks.read(device, reading, around, out);
        });
        self.settle(cx);
    }

    fn with_refclocks(
        &mut self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Refclocks, &mut dyn Surroundings, &mut Vec<RefclockAction>),
    ) {
        let mut around = Around {
            local: &self.local,
            clock: &mut *cx.clock,
            snapshot: &self.server.snapshot,
            reference: &mut self.reference,
            mono: self.wake.mono,
            era_s: self.boot.era_s,
            effects: std::mem::take(&mut self.effects),
            rng: &mut *cx.rng,
        };
        let mut actions = Vec::new();
        call(&mut self.refclocks, &mut around, &mut actions);
        let effects = around.effects;
        self.apply_effects(effects, cx);
        for action in actions {
            self.carry_out_refclock(action, cx);
        }
    }

    fn carry_out_refclock(&mut self, action: RefclockAction, cx: &mut Context<'_>) {
        let mut out = Vec::new();
        let scx = self.select_context();
        match action {
            RefclockAction::Log(event) => cx.out.log(event.into()),
            RefclockAction::Record(record) => {
                if self.config.logs.types.refclocks {
                    cx.out.push(Output::LogRecord {
                        file: LogFile::Refclocks,
                        line: record.to_string(),
                    });
                }
            }
            RefclockAction::Reachability(source, reached) => {
                self.selector
                    .update_reachability(source, reached, &scx, &mut out);
                self.carry_out_selection(out, cx);
            }
            RefclockAction::Reset(source) => {
                self.selector.reset(source, &scx, &mut out);
                self.carry_out_selection(out, cx);
            }
            RefclockAction::Sample {
                source,
                stratum,
                leap,
                sample,
            } => {
                let near = self.is_leap_close(None);
                self.selector
                    .update_status(source, stratum, leap, near, &mut out);
                self.carry_out_selection(out, cx);
                self.take_refclock_sample(source, sample, cx);
            }
        }
    }

    fn take_refclock_sample(&mut self, source: SourceId, sample: Sample, cx: &mut Context<'_>) {
        let clock = self.refclocks.by_source(source);
        let local = clock.is_some_and(|clock| clock.setup().local);
        let before = self.tracking_of(source);
        let mut out = Vec::new();
        let near = self.is_leap_close(Some((sample.time, sample.offset)));
        self.selector.accumulate(source, sample, near, &mut out);
        let scx = self.select_context();
        self.selector.select(&scx, Some(source), &mut out);
        self.carry_out_selection(out, cx);
        if local && let (Some(before), Some(after)) = (before, self.tracking_of(source)) {
            self.follow_local(source, &before, &after, cx);
        }
    }

    /// What a source says of the clock, if it has enough samples.
    fn tracking_of(&self, source: SourceId) -> Option<Tracking> {
        let stats = self.selector.stats(source)?;
        (stats.len() >= stats.config().min_samples)
            .then(|| stats.tracking())
            .flatten()
    }

    /// Lets the clock follow what a `local` clock says has changed since its last sample.
    fn follow_local(
        &mut self,
        source: SourceId,
        before: &Tracking,
        after: &Tracking,
        cx: &mut Context<'_>,
    ) {
        let (f0, f) = (before.freq.0, after.freq.0);
        let dfreq = FreqRatio((f - f0) / (1.0 - f0));
        let expected = before.offset + (after.ref_time - before.ref_time) * f0;
        let doffset = after.offset - expected;
        let done = self.with_clock(cx, |engine, dcx| {
            engine
                .reference
                .adjust(doffset, dfreq, &mut engine.local, dcx)
        });
        if done.is_err() {
            return;
        }
        // The clock is free-running: only its changes matter.
        let whole = if after.offset.abs().0 >= 1.0 {
            -Seconds(after.offset.0.round())
        } else {
            Seconds::ZERO
        };
        let when = self.event_time;
        if let Some(stats) = self.selector.stats_mut(source) {
            stats.slew(when, dfreq, doffset);
            stats.correct_offset(whole);
        }
        if let Some(filter) = self.refclocks.filter_mut(source) {
            filter.slew(when, dfreq, doffset);
            filter.correct_offset(whole);
        }
    }

    /// Changes the correction added to the samples of a reference clock; false if there is none
    /// of this reference id.
    pub(crate) fn set_refclock_offset(
        &mut self,
        ref_id: u32,
        offset: Seconds,
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(name) = self.refclocks.set_offset(ref_id, offset) else {
            return false;
        };
        let value = timewright_time::text::Fixed(offset.0, 6);
        cx.out.log(Event::info(format_args!(
            "Source {name} new offset {value}"
        )));
        true
    }
}
