//! What observers see of an engine: simulators and tests that check what must hold at every step.
//!
//! Nothing in here changes anything. The list of stored times is kept apart from
//! [`Engine::fan_out`](super::Engine::fan_out) on purpose: a store that one of them forgot is
//! found by the other. Whoever adds a store adds a line to both.

use super::Engine;
use crate::discipline::ClockChange;
use crate::ids::SourceId;
use crate::select::SelectReport;
use crate::server::snapshot::{ReferenceState, ServedReference};
use crate::source::measure::LocalStamp;
use crate::source::poll::Poll;
use crate::source::{OperatingMode, SourceConfig};
use crate::stats::history::Stored;
use crate::timers::Timer;
use std::net::SocketAddr;
use timewright_time::{Cooked, MonoTime, Now, Raw, Seconds, Timestamp};

/// A kind of place where local time is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The moment of the input being worked on.
    Event,
    /// A sample of a source.
    Sample,
    /// A sample in a source's filter: waiting, or the last one, which pulses are locked to.
    Filter,
    /// The newest sample in the map of a hardware clock.
    Hardware,
    /// When the last valid response came.
    LastReceived,
    /// When the last request left.
    LastSent,
    /// When the request before that left (interleaved mode).
    SentBefore,
    /// When a peer's packet came that is no answer to ours.
    PeerReceived,
    /// When a response came that waits for a better transmit time.
    SavedResponse,
    /// A time set by hand.
    Manual,
}

/// A stored time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredTime {
    /// What it is.
    pub store: Store,
    /// Whose it is.
    pub source: Option<SourceId>,
    /// The time; zero if unknown.
    pub time: Timestamp<Cooked>,
    /// What was measured then; positive: our clock was fast.
    pub offset: Option<Seconds>,
}

/// A change of the clock, and all stored times before and after they were told of it, in the same
/// order.
#[derive(Clone, Debug)]
pub struct Shift {
    /// The change.
    pub change: ClockChange,
    /// Before.
    pub before: Vec<StoredTime>,
    /// After.
    pub after: Vec<StoredTime>,
}

/// A source as observers see it.
#[derive(Clone, Copy, Debug)]
pub struct SourceView {
    /// Its id.
    pub id: SourceId,
    /// Its address, if that is known.
    pub remote: Option<SocketAddr>,
    /// Whether it is a peer.
    pub is_peer: bool,
    /// Whether it is polled.
    pub mode: OperatingMode,
    /// Whether it waits to be started.
    pub suspended: bool,
    /// Whether the request sent last was an extra one ahead of the next (`presend`).
    pub presending: bool,
    /// Requests left in the burst in progress.
    pub burst_left: i32,
    /// Its poll interval.
    pub poll: Poll,
    /// When its next request is due.
    pub next_request: Option<MonoTime>,
    /// Current samples.
    pub samples: usize,
    /// Whether it is the one the clock follows.
    pub selected: bool,
}

/// What came of the answers of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswersView {
    /// Answers that passed all tests.
    pub good: u32,
    /// Which of the last eight requests were answered by a synchronised server, the newest in bit
    /// 0.
    pub reach: u8,
    /// The newest sample the estimate is made of.
    pub newest: Option<Stored>,
    /// Offsets that wait in the filter, smallest and largest, positive: our clock is fast; and how
    /// many they are.
    pub waiting: Option<(usize, f64, f64)>,
}

/// Clock settings in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockView {
    /// Absolute frequency without temperature compensation, ppm; positive: the clock is fast.
    pub frequency_ppm: f64,
    /// What the driver was told to set, without the slew in progress, ppm.
    pub base_ppm: f64,
    /// Offset outstanding when the slew was planned; positive: the clock is fast.
    pub outstanding: Seconds,
    /// Rate of the slew, s/s.
    pub slew_rate: f64,
    /// Raw time of that plan.
    pub planned: Timestamp<Raw>,
    /// When the reference was updated last.
    pub last_update: Option<MonoTime>,
    /// The time for which that was, by our clock; zero if unknown.
    pub ref_time: Timestamp<Cooked>,
    /// How uncertain the frequency is, s/s.
    pub skew: f64,
}

impl Engine {
    /// Keeps every [`Shift`] from now on, until [`Engine::take_shifts`].
    pub fn watch_shifts(&mut self) {
        self.shifts.get_or_insert_default();
    }

    /// The clock changes since the last call; none unless watched.
    pub fn take_shifts(&mut self) -> Vec<Shift> {
        self.shifts.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// All stored times, in an order that a clock change keeps.
    #[must_use]
    pub fn stored_times(&self) -> Vec<StoredTime> {
        let mut all = vec![StoredTime {
            store: Store::Event,
            source: None,
            time: self.event_time,
            offset: None,
        }];
        for id in self.selector.ids() {
            let samples = self.selector.stats(id).map(|s| s.history().all());
            all.extend(samples.unwrap_or(&[]).iter().map(|sample| StoredTime {
                store: Store::Sample,
                source: Some(id),
                time: sample.time,
                offset: Some(Seconds(sample.offset)),
            }));
        }
        for clock in self.refclocks.iter() {
            let source = Some(clock.setup().source);
            all.extend(clock.mapped_until().map(|time| StoredTime {
                store: Store::Hardware,
                source,
                time,
                offset: None,
            }));
            let samples = clock.filter().samples().chain(clock.last_sample());
            all.extend(samples.map(|sample| StoredTime {
                store: Store::Filter,
                source,
                time: sample.time,
                offset: Some(-sample.offset),
            }));
        }
        for id in self.table.ids() {
            let Some(association) = self.table.get(id) else {
                continue;
            };
            let stamp = |store, stamp: &LocalStamp| StoredTime {
                store,
                source: Some(id),
                time: stamp.time,
                offset: None,
            };
            let x = &association.exchange;
            all.extend([
                stamp(Store::LastReceived, &x.local_rx),
                stamp(Store::LastSent, &x.local_tx),
                stamp(Store::SentBefore, &x.prev_local_tx),
                stamp(Store::PeerReceived, &x.init_local_rx),
            ]);
            if let Some(saved) = &association.saved {
                all.push(stamp(Store::SavedResponse, &saved.rx));
            }
            let filtered = association.filter.iter().flat_map(|f| f.samples());
            all.extend(filtered.map(|sample| StoredTime {
                store: Store::Filter,
                source: Some(id),
                time: sample.time,
                offset: Some(-sample.offset),
            }));
        }
        all.extend(self.manual.samples().iter().map(|sample| StoredTime {
            store: Store::Manual,
            source: None,
            time: sample.when,
            offset: Some(sample.offset),
        }));
        all
    }

    /// All sources.
    pub fn sources(&self) -> impl Iterator<Item = SourceView> {
        self.table.ids().into_iter().filter_map(|id| {
            let a = self.table.get(id)?;
            Some(SourceView {
                id,
                remote: a.remote(),
                is_peer: a.is_peer(),
                mode: a.operating_mode(),
                suspended: a.is_suspended(),
                presending: a.presend_done > 0,
                burst_left: a.burst_total,
                poll: a.poll,
                next_request: self.timers.deadline(Timer::Transmit(id)),
                samples: self
                    .selector
                    .stats(id)
                    .map_or(0, crate::stats::SourceStats::len),
                selected: self.selector.selected() == Some(id),
            })
        })
    }

    /// The clock settings in force.
    #[must_use]
    pub fn clock_view(&self) -> ClockView {
        let line = self.local.cook_line();
        ClockView {
            frequency_ppm: self.local.absolute_frequency_ppm(),
            base_ppm: self.local.base_frequency_ppm(),
            outstanding: line.outstanding,
            slew_rate: line.rate,
            planned: line.origin,
            last_update: self.reference.last_update(),
            ref_time: self.reference.ref_time(),
            skew: self.reference.skew().0,
        }
    }

    /// What is told of the reference at `now`.
    #[must_use]
    pub fn served_reference(&self, now: Now) -> ServedReference {
        let snapshot = &self.server.snapshot;
        snapshot.reference_at(snapshot.cook(now.raw), now.mono)
    }

    /// The state of the sources, whatever is served.
    #[must_use]
    pub const fn reference_state(&self) -> ReferenceState {
        self.server.snapshot.reference
    }

    /// What came of the answers of a source.
    #[must_use]
    pub fn answers(&self, id: SourceId) -> Option<AnswersView> {
        let association = self.table.get(id)?;
        let stats = self.selector.stats(id);
        let report = self.selector.source_report(id, self.event_time);
        let waiting = association.filter.as_ref().filter(|f| !f.is_empty());
        Some(AnswersView {
            good: association.report().total_good,
            reach: report.map_or(0, |report| report.reach),
            newest: stats.and_then(|stats| stats.history().newest().copied()),
            waiting: waiting.map(|filter| {
                let offsets = || filter.samples().map(|sample| -sample.offset.0);
                let least = offsets().fold(f64::INFINITY, f64::min);
                let most = offsets().fold(f64::NEG_INFINITY, f64::max);
                (filter.len(), least, most)
            }),
        })
    }

    /// The settings of a source.
    #[must_use]
    pub fn source_config(&self, id: SourceId) -> Option<&SourceConfig> {
        self.table.get(id).map(|association| association.config())
    }

    /// What selection thinks of a source.
    #[must_use]
    pub fn selection(&self, id: SourceId) -> Option<SelectReport> {
        self.selector.select_report(id)
    }

    /// The smallest distance to the primary source of all current samples of a source.
    #[must_use]
    pub fn least_distance(&self, id: SourceId) -> Option<Seconds> {
        let samples = self.selector.stats(id)?.history().current();
        let distance = |s: &Stored| s.root_delay / 2.0 + s.root_dispersion;
        samples.iter().map(distance).reduce(f64::min).map(Seconds)
    }

    /// Stratum and reference id of a source as selection knows them.
    #[must_use]
    pub fn identity(&self, id: SourceId) -> Option<(u8, u32)> {
        let report = self.selector.source_report(id, self.event_time)?;
        Some((report.stratum, report.ref_id))
    }

    /// Time as it is served at `now`, smoothing included.
    #[must_use]
    pub fn served_time(&self, now: Now) -> Timestamp<Cooked> {
        let snapshot = &self.server.snapshot;
        let cooked = snapshot.cook(now.raw);
        cooked + snapshot.smoothing_offset(cooked).unwrap_or(Seconds::ZERO)
    }

    /// Client records held, and the most there may be.
    #[must_use]
    pub fn client_records(&self) -> (usize, usize) {
        let clients = self.server.shard.clients();
        (clients.len(), clients.records_max())
    }
}
