//! The engine: owns all state, routes every input, and is **the one place that fans a clock
//! change out** to everything that stores local time ([`Engine::fan_out`]).
//!
//! ```text
//! input ─> begin (cook the wake-up time) ─> table / server / command ─┐
//!                                                                     v
//!        settle: StatsAction ─> Selector ─> SelectAction ─> Reference ─> LocalClock ─> Effects
//!                   ^                                                                    │
//!                   └──────────────── fan_out(ClockChange) <─────────────────────────────┘
//! ```
//!
//! Every input ends in [`Engine::settle`], which carries actions and effects out until none is
//! left, so state is consistent between inputs. What has to be done outside is queued in
//! [`Context::out`].

mod access;
mod boot;
mod broadcast;
mod inspect;
mod queries;
mod refclocks;
mod serve;
mod settle;
mod setup;
mod startup;
#[cfg(test)]
pub(crate) mod testing;
mod urgent;
#[cfg(test)]
mod walk;

pub use crate::source::names::LookupAnswer;
pub(crate) use access::AccessService;
pub use boot::{Boot, Purpose};
pub use inspect::{AnswersView, ClockView, Shift, SourceView, Store, StoredTime};
pub use serve::Served;

use crate::clock::Clock;
use crate::discipline::jump::{JumpDetector, Wait};
use crate::discipline::manual::Manual;
use crate::discipline::smooth::Smoothing;
use crate::discipline::tempcomp::Tempcomp;
use crate::discipline::{Cx, Effects, LocalClock};
use crate::event::Event;
use crate::ids::{SocketKey, SourceId, Ticket, Tickets};
use crate::keys::KeyRing;
use crate::output::{
    ControlOrigin, Datagram, Exit, FileKind, FileWrite, LogFile, Output, OutputQueue, TxStamp,
};
use crate::refclock::Refclocks;
use crate::reference::Reference;
use crate::rng::Rng;
use crate::select::{SelectContext, Selector};
use crate::source::{
    CookedClock, Dispatch, Env, OurReference, Params, Sockets, SourceTable, StatsAction,
};
use crate::timers::{Timer, Timers};
use serve::Server;
use startup::Phase;
use std::collections::{BTreeMap, VecDeque};
use timewright_config::{Config, SourceSpec};
use timewright_control::server::Responder;
use timewright_time::{Cooked, MonoTime, Now, Raw, Seconds, Timestamp};
use urgent::Urgent;

/// What a step may use besides the engine's own state.
pub struct Context<'a> {
    /// The adjustable clock.
    pub clock: &'a mut dyn Clock,
    /// Randomness.
    pub rng: &'a mut dyn Rng,
    /// Where outputs go.
    pub out: &'a mut OutputQueue,
}

/// How work that was asked for with a [`Ticket`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Not done; the driver has logged why.
    Failed,
    /// For each address probed, whether there is a route.
    Routes(Vec<bool>),
}

/// What the clock is thought to be, for observers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What to add to the system clock to have our estimate of UTC.
    pub correction: Seconds,
    /// Bound of its error: half the root delay and the root dispersion; `None` while
    /// unsynchronised.
    pub bound: Option<Seconds>,
}

/// How much an engine holds, for observers that look for leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Sources: reference clocks, NTP sources with and without address.
    pub sources: usize,
    /// Armed timers.
    pub timers: usize,
    /// Control clients that wait for an outcome.
    pub owed: usize,
}

/// The state that commands and settings change, and everything measured.
pub struct Engine {
    pub(crate) config: Config,
    boot: Boot,
    pub(crate) local: LocalClock,
    pub(crate) reference: Reference,
    pub(crate) selector: Selector,
    pub(crate) table: SourceTable,
    pub(crate) keys: KeyRing,
    params: Params,
    our_reference: OurReference,
    pub(crate) sockets: Sockets,
    pub(crate) timers: Timers,
    pub(crate) tickets: Tickets,
    actions: VecDeque<(SourceId, StatsAction)>,
    effects: Effects,
    pub(crate) server: Server,
    pub(crate) manual: Manual,
    pub(crate) smoothing: Option<Smoothing>,
    tempcomp: Option<Tempcomp>,
    pub(crate) refclocks: Refclocks,
    jumps: JumpDetector,
    urgent: Urgent,
    /// The current wake-up; its raw time follows our own steps.
    wake: Now,
    /// Cooked time of the wake-up, following all changes since, and its error.
    event_time: Timestamp<Cooked>,
    phase: Phase,
    /// Clock changes kept for observers, if there are any.
    shifts: Option<Vec<Shift>>,
    /// Outcomes of work under way.
    pub(crate) owed: BTreeMap<Ticket, Owed>,
}

/// A control client that waits for the outcome of work.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) origin: ControlOrigin,
    pub(crate) responder: Responder,
}

/// Reads the clock for packets about to be sent.
struct Cooker<'a> {
    local: &'a LocalClock,
    clock: &'a mut dyn Clock,
}

impl CookedClock for Cooker<'_> {
    fn cook(&self, raw: Timestamp<Raw>) -> (Timestamp<Cooked>, Seconds) {
        self.local.cook(raw)
    }

    fn read(&mut self) -> (Timestamp<Cooked>, Seconds) {
        self.local.cook(self.clock.now())
    }
}

impl Engine {
    /// When [`Engine::handle_deadline`] is next due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        let tempcomp = self.tempcomp.as_ref().map(Tempcomp::next_deadline);
        [
            self.timers.next(),
            self.local.next_deadline(),
            self.reference.next_deadline(),
            tempcomp,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Called first after every wait: looks for what happened to the clock that was not our doing.
    ///
    /// All sources are polled soon after; what was measured before holds no more.
    pub fn handle_wake_up(&mut self, now: Now, wait: Wait, cx: &mut Context<'_>) {
        let Some(jump) = self.jumps.check(now, wait) else {
            return;
        };
        self.begin(now);
        cx.out.log(jump.event().into());
        self.with_clock(cx, |engine, dcx| {
            if let Some(error) = jump.error {
                let reference = &mut engine.reference;
                reference.survive_jump(&jump, error, &mut engine.local, dcx);
            } else {
                engine.local.skip(jump.gained);
                engine.local.external_step(jump.offset, dcx);
            }
        });
        let round = self.urgent.round(wait.boot.unwrap_or(now.mono));
        self.with_table(cx, |table, env| {
            table.poll_soon(round.wait, round.burst, env);
        });
        self.settle(cx);
    }

    /// Does one thing that is due. Harmless when nothing is.
    pub fn handle_deadline(&mut self, now: Now, cx: &mut Context<'_>) {
        self.begin(now);
        let mono = self.wake.mono;
        if self.local.next_deadline().is_some_and(|at| at <= mono) {
            self.with_clock(cx, |engine, dcx| engine.local.handle_deadline(dcx));
        } else if self.reference.next_deadline().is_some_and(|at| at <= mono) {
            self.with_clock(cx, |engine, dcx| {
                engine.reference.handle_deadline(&mut engine.local, dcx);
            });
        } else if self
            .tempcomp
            .as_mut()
            .is_some_and(|t| t.handle_deadline(mono))
        {
            cx.out.push(Output::ReadTemperature);
        } else if let Some(timer) = self.timers.pop_due(mono) {
            self.handle_timer(timer, cx);
        }
        self.settle(cx);
    }

    fn handle_timer(&mut self, timer: Timer, cx: &mut Context<'_>) {
        match timer {
            Timer::Broadcast(index) => self.send_broadcast(index, cx),
            Timer::InitStepEnd => self.end_initstepslew(cx),
            Timer::Exit => self.end_run_time(cx),
            Timer::Device(device) => self.poll_device(device, cx),
            timer => {
                self.with_table(cx, |table, env| table.handle_timer(timer, env));
            }
        }
    }

    /// Takes a datagram from any NTP socket. Server requests are answered with
    /// [`Output::Send`]; [`Engine::serve`] does the same without a copy.
    pub fn handle_datagram(&mut self, now: Now, datagram: &Datagram<'_>, cx: &mut Context<'_>) {
        self.begin(now);
        let dispatch = self.with_table(cx, |table, env| table.handle_datagram(datagram, env));
        if dispatch == Dispatch::Unknown && self.sockets.is_server(datagram.socket) {
            self.answer(datagram, cx);
        }
        self.settle(cx);
    }

    /// Takes a late transmit time stamp.
    pub fn handle_tx_stamp(&mut self, now: Now, stamp: &TxStamp<'_>, cx: &mut Context<'_>) {
        self.begin(now);
        let dispatch = self.with_table(cx, |table, env| table.handle_tx_stamp(stamp, env));
        if dispatch == Dispatch::Unknown && self.sockets.is_server(stamp.socket) {
            self.server
                .shard
                .late_transmit(&self.server.snapshot, stamp);
        }
        self.settle(cx);
    }

    /// The last [`Output::Send`] or [`Output::OpenSocket`] for this socket failed.
    pub fn handle_send_error(&mut self, now: Now, key: SocketKey, cx: &mut Context<'_>) {
        self.begin(now);
        self.with_table(cx, |table, env| table.on_send_failed(key, env));
        self.settle(cx);
    }

    /// A socket that lasts ([`Output::OpenSocket`] of a server or shared client socket) could not
    /// be opened.
    pub fn handle_open_error(&mut self, now: Now, key: SocketKey, cx: &mut Context<'_>) {
        if self.sockets.on_open_failed(key).is_none() {
            self.handle_send_error(now, key, cx);
        }
    }

    /// Takes the answer to [`Output::Resolve`]: addresses in the order the resolver gave them.
    pub fn handle_resolved(
        &mut self,
        now: Now,
        ticket: Ticket,
        answer: LookupAnswer,
        cx: &mut Context<'_>,
    ) {
        self.begin(now);
        self.with_table(cx, |table, env| table.on_resolved(ticket, answer, env));
        self.settle(cx);
        self.start_when_resolved(cx);
    }

    /// Takes the outcome of work that carried a ticket.
    pub fn handle_completed(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Outcome,
        cx: &mut Context<'_>,
    ) {
        self.begin(now);
        if let Some(Owed { origin, responder }) = self.owed.remove(&ticket) {
            self.pay_reply(&origin, responder, &outcome, cx);
        } else if let Outcome::Routes(routes) = outcome {
            self.with_table(cx, |table, env| table.on_routes(ticket, &routes, env));
        }
        self.settle(cx);
        self.start_when_resolved(cx);
    }

    /// A reading of the temperature sensor: the content of its file, `None` if unreadable.
    pub fn handle_temperature(&mut self, now: Now, content: Option<&str>, cx: &mut Context<'_>) {
        self.begin(now);
        let Some(mut tempcomp) = self.tempcomp.take() else {
            return;
        };
        let record = self.with_clock(cx, |engine, dcx| {
            tempcomp.handle_reading(content, &mut engine.local, dcx)
        });
        self.tempcomp = Some(tempcomp);
        if let Some(record) = record.filter(|_| self.config.logs.types.tempcomp) {
            cx.out.push(Output::LogRecord {
                file: LogFile::Tempcomp,
                line: record.to_string(),
            });
        }
        self.settle(cx);
    }

    /// The key file as it is now, `None` if unreadable. Its keys take the place of those before.
    pub fn handle_keys(&mut self, content: Option<&[u8]>, cx: &mut Context<'_>) {
        let Some(path) = &self.config.process.key_file else {
            return;
        };
        let (keys, events) = KeyRing::load(path, content);
        self.keys = keys;
        cx.out.extend_log(events);
    }

    /// The list of leap seconds as it is now, `None` if unreadable; it holds from the next look-up
    /// on.
    pub fn handle_leap_list(&mut self, content: Option<Vec<u8>>) {
        self.reference.leap_database().reload(content);
    }

    /// Ends: cancels the slew in progress, writes dump files and the drift file. Nothing may be
    /// put in afterwards.
    pub fn shutdown(&mut self, now: Now, cx: &mut Context<'_>) {
        self.begin(now);
        cx.out.log(Event::info("chronyd exiting"));
        self.with_clock(cx, |engine, dcx| engine.local.cancel_correction(dcx));
        self.settle(cx);
        self.dump_sources(None, cx);
        self.with_clock(cx, |engine, dcx| {
            engine.reference.set_mode(crate::reference::Mode::Ignore);
            engine.reference.finalise(&mut engine.local, dcx);
            engine.local.finalise(dcx);
        });
        self.settle(cx);
    }

    /// What the clock is thought to be at `now`.
    #[must_use]
    pub fn estimate(&self, now: Now) -> Estimate {
        let correction = self.local.correction(now.raw).0;
        let served = self
            .server
            .snapshot
            .reference_at(now.raw.cook(correction), now.mono);
        Estimate {
            correction,
            bound: served
                .synchronised
                .then(|| served.root_delay * 0.5 + served.root_dispersion),
        }
    }

    /// How much it holds.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            sources: self.table.len() + self.refclocks.len(),
            timers: self.timers.len(),
            owed: self.owed.len(),
        }
    }

    /// Cooked time of the wake-up.
    pub(crate) const fn event_time(&self) -> Timestamp<Cooked> {
        self.event_time
    }

    /// Monotonic time of the wake-up.
    pub(crate) const fn mono(&self) -> MonoTime {
        self.wake.mono
    }

    /// First Unix second of the era of NTP time in use.
    pub(crate) const fn era_s(&self) -> i64 {
        self.boot.era_s
    }

    /// Takes the time of a wake-up, unless it is the one already being worked on (which may have
    /// been moved by a step since).
    pub(crate) fn begin(&mut self, now: Now) {
        if now.mono != self.wake.mono {
            self.wake = now;
        }
        self.event_time = self.local.cook(self.wake.raw).0;
    }

    /// Calls the source table with everything it may use.
    pub(crate) fn with_table<R>(
        &mut self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut SourceTable, &mut Env<'_>) -> R,
    ) -> R {
        self.refresh_our_reference();
        let mut clock = Cooker {
            local: &self.local,
            clock: cx.clock,
        };
        let mut env = Env {
            now: self.wake,
            event_time: self.event_time,
            params: &self.params,
            reference: &self.our_reference,
            keys: &self.keys,
            clock: &mut clock,
            rng: cx.rng,
            out: cx.out,
            timers: &mut self.timers,
            tickets: &mut self.tickets,
            sockets: &mut self.sockets,
            stats: &self.selector,
            actions: &mut self.actions,
        };
        call(&mut self.table, &mut env)
    }

    /// Calls something that may change the clock, then carries out what follows from it.
    pub(crate) fn with_clock<R>(
        &mut self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Self, &mut Cx<'_>) -> R,
    ) -> R {
        let mut effects = std::mem::take(&mut self.effects);
        let mut dcx = Cx {
            now: self.wake,
            clock: cx.clock,
            rng: cx.rng,
            out: &mut effects,
        };
        let result = call(self, &mut dcx);
        self.apply_effects(effects, cx);
        result
    }

    pub(crate) fn select_context(&self) -> SelectContext {
        SelectContext {
            now: self.event_time,
            normal_mode: self.reference.mode() == crate::reference::Mode::Normal,
            orphan_stratum: self.reference.orphan_stratum(),
        }
    }

    /// Writes the samples of all sources to `dumpdir`, if there is one. With a ticket the outcome
    /// is owed; false if nothing is written.
    pub(crate) fn dump_sources(&mut self, ticket: Option<Ticket>, cx: &mut Context<'_>) -> bool {
        if self.config.client.dump_dir.is_none() {
            return false;
        }
        let named = |id| Some((id, self.dump_file_name(id)?));
        let files: Vec<FileWrite> = self
            .selector
            .ids()
            .filter_map(named)
            .map(|(id, name)| FileWrite {
                file: FileKind::Dump(name),
                content: self.selector.dump(id),
            })
            .collect();
        let any = !files.is_empty();
        if any {
            cx.out.push(Output::WriteFiles { ticket, files });
        }
        any
    }

    /// The name of a source's dump file; NTP sources without address have none.
    pub(super) fn dump_file_name(&self, id: SourceId) -> Option<String> {
        let clock = self.refclocks.by_source(id);
        let (address, ref_id) = match clock {
            Some(clock) => (None, clock.setup().ref_id),
            None => (Some(self.table.get(id)?.address().ip()?), 0),
        };
        Some(crate::select::dump_file_name(address, ref_id))
    }

    fn end_run_time(&mut self, cx: &mut Context<'_>) {
        cx.out.log(Event::info("Timeout reached"));
        self.refresh_our_reference();
        let exit = if self.our_reference.stratum < 16 {
            Exit::Done
        } else {
            Exit::Failed
        };
        cx.out.push(Output::Quit(exit));
    }

    /// The sources of the source directories changed: keeps those that stayed as they were,
    /// removes the vanished, adds the new (`config.md` 9). Before the configured sources are added
    /// ([`Self::handle_ready`]) they only take the place of [`Boot::fragments`].
    pub fn apply_sources(&mut self, now: Now, wanted: Vec<SourceSpec>, cx: &mut Context<'_>) {
        self.begin(now);
        if self.phase.is_before_sources() {
            self.boot.fragments = wanted;
            return;
        }
        let wanted = wanted.iter().map(startup::new_source).collect();
        self.with_table(cx, |table, env| table.reload(wanted, env));
        self.settle(cx);
    }
}
