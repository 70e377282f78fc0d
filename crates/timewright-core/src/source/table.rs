//! All NTP sources by id and address, with their pools (`ntp-engine.md` 6).

use crate::event::Event;
use crate::ids::{SocketKey, SourceId, Ticket};
use crate::output::{Datagram, Family, FamilyFilter, Output, TxStamp};
use crate::source::association::{Association, OperatingMode, Step, Tuning};
use crate::source::config::AuthMethod;
use crate::source::env::{Env, StatsAction};
use crate::source::measure::{Kind, LocalStamp};
use crate::source::names::{Lookup, Names, Target};
use crate::source::report::Activity;
use crate::source::response::{Received, Then};
use crate::source::{
    AddError, Added, ConfId, Connectivity, Dispatch, NewSource, Origin, SourceAddress,
    SourceConfig, SourceKind, SourceMatch,
};
use crate::timers::Timer;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use timewright_time::{Cooked, MonoTime, Seconds, Timestamp};
use timewright_wire::{HEADER_LEN, Header, MAX_PACKET_LEN, Mode};

/// Most sources at a time.
pub const MAX_SOURCES: usize = 65_536;
/// Most unresolved sources a pool starts with.
const MAX_POOL_SOURCES: u32 = 16;

/// Names a pool; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PoolId(u32);

/// The sources of one `pool` line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    /// All of them.
    pub(crate) sources: u32,
    /// Those without an address.
    pub(crate) unresolved: u32,
    /// Those that gave a good response.
    pub(crate) confirmed: u32,
    /// How many are wanted.
    pub(crate) max_sources: u32,
}

/// A source and where it comes from.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) association: Association,
    /// As configured.
    pub(crate) name: String,
    pub(crate) families: FamilyFilter,
    pub(crate) conf: ConfId,
    pub(crate) pool: Option<PoolId>,
    /// No good response yet.
    pub(crate) tentative: bool,
    /// The address its name resolved to, and when.
    pub(crate) resolved: Option<IpAddr>,
    pub(crate) resolved_at: Option<MonoTime>,
}

impl Entry {
    /// ` (NAME)`, unless that is the text of the address.
    fn name_suffix(&self) -> String {
        if self.name == self.association.address().to_string() {
            String::new()
        } else {
            format!(" ({})", self.name)
        }
    }
}

/// A source of a `.sources` file, and how adding it went.
#[derive(Debug)]
struct Fragment {
    source: NewSource,
    outcome: Result<ConfId, AddError>,
}

/// All NTP sources. See the [module](crate::source) for how to call it.
#[derive(Debug, Default)]
pub struct SourceTable {
    pub(crate) entries: BTreeMap<SourceId, Entry>,
    by_address: BTreeMap<SourceAddress, SourceId>,
    pub(crate) pools: BTreeMap<PoolId, Pool>,
    pub(crate) names: Names,
    pub(crate) auto_start: bool,
    steps: VecDeque<(SourceId, Step)>,
    last_sent: Option<SourceId>,
    probes: BTreeMap<Ticket, Vec<SourceId>>,
    fragments: Vec<Fragment>,
    last_id: u32,
    last_unresolved: u32,
    last_conf: u32,
    last_pool: u32,
}

impl SourceTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An id for a source of any kind, reference clocks included.
    pub fn issue_id(&mut self) -> SourceId {
        self.last_id += 1;
        SourceId(self.last_id)
    }

    // ---- questions

    /// The ids of all NTP sources, in the order they were added.
    #[must_use]
    pub fn ids(&self) -> Vec<SourceId> {
        self.entries.keys().copied().collect()
    }

    /// Number of NTP sources, unresolved ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A source's association.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&Association> {
        self.entry(id).map(|e| &e.association)
    }

    /// The configured name of a source.
    #[must_use]
    pub fn name(&self, id: SourceId) -> Option<&str> {
        self.entry(id).map(|e| e.name.as_str())
    }

    /// The source with this address.
    #[must_use]
    pub fn by_address(&self, address: SourceAddress) -> Option<SourceId> {
        self.by_address.get(&address).copied()
    }

    /// How many sources are in which mode.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let mut activity = Activity::default();
        for entry in self.entries.values() {
            let count = if entry.association.address().ip().is_none() {
                &mut activity.unresolved
            } else {
                match entry.association.operating_mode() {
                    OperatingMode::Online => &mut activity.online,
                    OperatingMode::Offline => &mut activity.offline,
                    OperatingMode::BurstWasOnline => &mut activity.burst_online,
                    OperatingMode::BurstWasOffline => &mut activity.burst_offline,
                }
            };
            *count += 1;
        }
        activity
    }

    // ---- adding and removing

    /// Adds a source, or the sources of a pool. They are offered to the statistics
    /// ([`StatsAction::Create`]) and wait to be started, unless [`Self::start_all`] was called.
    /// An addition by command starts to resolve the name at once.
    ///
    /// # Errors
    /// Nothing was added.
    pub fn add(
        &mut self,
        source: &NewSource,
        origin: Origin,
        env: &mut Env<'_>,
    ) -> Result<Added, AddError> {
        let added = self.add_quietly(source, origin, env)?;
        if added.unresolved && origin == Origin::Command {
            self.resolve_now(env);
        }
        Ok(added)
    }

    /// Adds the sources of the configuration file; failures are logged.
    pub fn add_configured(&mut self, sources: &[NewSource], env: &mut Env<'_>) {
        for source in sources {
            if self.add(source, Origin::Config, env).is_err() {
                env.out.log(Event::error(format_args!(
                    "Could not add source {}",
                    source.name
                )));
            }
        }
    }

    fn add_quietly(
        &mut self,
        source: &NewSource,
        origin: Origin,
        env: &mut Env<'_>,
    ) -> Result<Added, AddError> {
        let literal = source.name.parse::<IpAddr>().ok();
        if let Some(ip) = literal
            && let FamilyFilter::Only(family) = source.families
            && family != Family::of(ip)
        {
            return Err(AddError::InvalidAddress);
        }
        if !source.name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(AddError::InvalidName);
        }
        let config = source
            .config
            .clone()
            .effective(source.kind == SourceKind::Peer);
        let is_pool = source.kind == SourceKind::Pool && literal.is_none();
        let count = if is_pool {
            (2 * config.maxsources).min(MAX_POOL_SOURCES)
        } else {
            1
        };
        if self.entries.len() + count as usize > MAX_SOURCES {
            return Err(AddError::TooManySources);
        }
        if literal.is_some_and(|ip| self.by_address(SourceAddress::Ip(ip)).is_some()) {
            return Err(AddError::AlreadyInUse);
        }
        self.last_conf += 1;
        let conf = ConfId(self.last_conf);
        let pool = is_pool.then(|| {
            self.last_pool += 1;
            let pool = PoolId(self.last_pool);
            let max_sources = config.maxsources;
            self.pools.insert(
                pool,
                Pool {
                    max_sources,
                    ..Pool::default()
                },
            );
            pool
        });
        let mut last = None;
        for _ in 0..count {
            let address = match literal {
                Some(ip) => SourceAddress::Ip(ip),
                None => {
                    self.last_unresolved += 1;
                    SourceAddress::Unresolved(self.last_unresolved)
                }
            };
            last = Some((
                self.insert(source, address, &config, conf, pool, origin, env),
                address,
            ));
        }
        if let (None, Some((id, address))) = (literal, last) {
            let target = pool.map_or(Target::Source(id, address), Target::Pool);
            self.names.queue.push(Lookup {
                name: source.name.clone(),
                families: source.families,
                target,
                refresh: false,
            });
        }
        Ok(Added {
            conf,
            unresolved: literal.is_none(),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the two halves of one step")]
    fn insert(
        &mut self,
        source: &NewSource,
        address: SourceAddress,
        config: &SourceConfig,
        conf: ConfId,
        pool: Option<PoolId>,
        origin: Origin,
        env: &mut Env<'_>,
    ) -> SourceId {
        if let AuthMethod::Key(key) = config.auth {
            env.out.extend_log(env.keys.complaint(key));
        }
        let id = self.issue_id();
        let kind = match source.kind {
            SourceKind::Peer => Kind::Peer,
            SourceKind::Server | SourceKind::Pool => Kind::Client,
        };
        let association =
            Association::new(id, kind, address, source.port, config.clone(), env.params);
        let mut entry = Entry {
            association,
            name: source.name.clone(),
            families: source.families,
            conf,
            pool,
            tentative: true,
            resolved: address.ip(),
            resolved_at: None,
        };
        env.act(
            id,
            StatsAction::Create {
                address,
                refid: address.refid(),
                name: source.name.clone(),
                config: Box::new(config.clone()),
            },
        );
        let first_of_pool = pool.and_then(|pool| self.pools.get_mut(&pool)).map(|pool| {
            pool.sources += 1;
            pool.unresolved += u32::from(address.ip().is_none());
            pool.sources == 1
        });
        let text = match first_of_pool {
            None => Some(format!("Added source {address}{}", entry.name_suffix())),
            Some(true) => Some(format!("Added pool {}", entry.name)),
            Some(false) => None,
        };
        if let Some(text) = text {
            env.out.log(Event::new(origin.severity(), text));
        }
        entry.association.open(env);
        if self.auto_start && address.ip().is_some() {
            entry.association.start(env);
        }
        self.by_address.insert(address, id);
        self.entries.insert(id, entry);
        id
    }

    /// Removes one source; false if there is none with this address.
    pub fn remove(&mut self, address: SourceAddress, origin: Origin, env: &mut Env<'_>) -> bool {
        let Some(id) = self.by_address(address) else {
            return false;
        };
        if let Some(text) = self.remove_entry(id, env) {
            env.out.log(Event::new(origin.severity(), text));
        }
        true
    }

    /// Removes what one addition made.
    pub fn remove_by_conf(&mut self, conf: ConfId, origin: Origin, env: &mut Env<'_>) {
        let ids = self
            .entries
            .iter()
            .filter(|(_, e)| e.conf == conf)
            .map(|(&id, _)| id);
        for id in ids.collect::<Vec<_>>() {
            let pool = self
                .entry(id)
                .and_then(|e| e.pool.map(|pool| (pool, e.name.clone())));
            let source = self.remove_entry(id, env);
            let text = match pool {
                None => source,
                // Said once, when the last one goes.
                Some((pool, name)) => {
                    (!self.pools.contains_key(&pool)).then(|| format!("Removed pool {name}"))
                }
            };
            if let Some(text) = text {
                env.out.log(Event::new(origin.severity(), text));
            }
        }
    }

    /// Removes a source, and its pool with the last one; returns what there is to say of it.
    fn remove_entry(&mut self, id: SourceId, env: &mut Env<'_>) -> Option<String> {
        let mut entry = self.entries.remove(&id)?;
        let address = entry.association.address();
        self.by_address.remove(&address);
        entry.association.close(env);
        env.act(id, StatsAction::Destroy);
        if let Some((pool_id, pool)) = entry
            .pool
            .and_then(|id| self.pools.get_mut(&id).map(|pool| (id, pool)))
        {
            pool.sources -= 1;
            pool.unresolved -= u32::from(address.ip().is_none());
            pool.confirmed -= u32::from(!entry.tentative);
            pool.max_sources = pool.max_sources.min(pool.sources);
            if pool.sources == 0 {
                self.pools.remove(&pool_id);
            }
        }
        Some(format!("Removed source {address}{}", entry.name_suffix()))
    }

    /// Takes over the sources of the `.sources` files: those that did not change stay as they
    /// are, vanished ones are removed, then new ones, and those that failed before, are added.
    pub fn reload(&mut self, mut wanted: Vec<NewSource>, env: &mut Env<'_>) {
        wanted.sort_by(|a, b| (&a.name, a.kind, a.port).cmp(&(&b.name, b.kind, b.port)));
        let mut old = std::mem::take(&mut self.fragments);
        let mut fragments = Vec::new();
        for source in wanted {
            let known = old
                .iter()
                .position(|f| f.source == source)
                .map(|at| old.remove(at));
            fragments.push((source, known.map(|f| f.outcome)));
        }
        for conf in old.into_iter().filter_map(|f| f.outcome.ok()) {
            self.remove_by_conf(conf, Origin::Command, env);
        }
        for (source, known) in fragments {
            let outcome = match known {
                Some(Ok(conf)) => Ok(conf),
                Some(Err(_)) | None => self
                    .add_quietly(&source, Origin::Command, env)
                    .map(|added| added.conf),
            };
            if let Err(error) = outcome
                && known != Some(Err(error))
            {
                let text = format_args!("Could not add source {} : {error}", source.name);
                env.out.log(Event::error(text));
            }
            self.fragments.push(Fragment { source, outcome });
        }
        self.resolve_now(env);
    }

    /// Starts all sources with an address, and from now on those that get one.
    pub fn start_all(&mut self, env: &mut Env<'_>) {
        self.auto_start = true;
        for id in self.ids() {
            self.start(id, env);
        }
    }

    /// Starts one source, if it has an address and was not started.
    pub fn start(&mut self, id: SourceId, env: &mut Env<'_>) {
        if let Some(entry) = self.entry_mut(id) {
            let association = &mut entry.association;
            if association.is_suspended() && association.address().ip().is_some() {
                association.start(env);
            }
        }
    }

    // ---- commands

    /// Sources go online or offline; false if none matches. Anything but going offline also
    /// starts resolving.
    pub fn set_connectivity(
        &mut self,
        which: SourceMatch,
        connectivity: Connectivity,
        env: &mut Env<'_>,
    ) -> bool {
        if connectivity != Connectivity::Offline {
            self.resolve_now(env);
        }
        let ids = self.matching(which, env);
        match connectivity {
            Connectivity::Online | Connectivity::Offline => {
                for &id in &ids {
                    if let Some(entry) = self.entry_mut(id) {
                        let online = connectivity == Connectivity::Online;
                        entry.association.set_online(online, env);
                    }
                }
            }
            Connectivity::MaybeOnline => self.probe_connectivity(&ids, env),
        }
        !ids.is_empty()
    }

    /// The sources meant, the selected one last so that it is not reselected needlessly.
    fn matching(&self, which: SourceMatch, env: &Env<'_>) -> Vec<SourceId> {
        let matching = self
            .entries
            .iter()
            .filter(|(_, e)| which.matches(e.association.address()));
        let mut ids: Vec<SourceId> = matching.map(|(&id, _)| id).collect();
        ids.sort_by_key(|&id| env.stats.is_selected(id));
        ids
    }

    fn probe_connectivity(&mut self, ids: &[SourceId], env: &mut Env<'_>) {
        let known = ids
            .iter()
            .filter_map(|&id| Some((id, self.get(id)?.remote()?)));
        let (ids, addresses): (Vec<SourceId>, Vec<SocketAddr>) = known.unzip();
        if ids.is_empty() {
            return;
        }
        let ticket = env.tickets.issue();
        self.probes.insert(ticket, ids);
        env.out.push(Output::ProbeRoutes { ticket, addresses });
    }

    pub(crate) fn on_connectivity_probe(
        &mut self,
        ticket: Ticket,
        connectable: &[bool],
        env: &mut Env<'_>,
    ) {
        let ids = self.probes.remove(&ticket).unwrap_or_default();
        for (id, &online) in ids.into_iter().zip(connectable) {
            if let Some(entry) = self.entry_mut(id) {
                entry.association.set_online(online, env);
            }
        }
    }

    /// Sources send a burst of requests; false if none matches.
    pub fn burst(&mut self, which: SourceMatch, good: i32, total: i32, env: &mut Env<'_>) -> bool {
        let ids = self.matching(which, env);
        for &id in &ids {
            if let Some(entry) = self.entry_mut(id) {
                entry.association.start_burst(good, total, env);
            }
        }
        !ids.is_empty()
    }

    /// Changes an option of a source; false if there is none with this address.
    pub fn tune(&mut self, address: SourceAddress, tuning: Tuning, env: &mut Env<'_>) -> bool {
        let Some(entry) = self.by_address(address).and_then(|id| self.entry_mut(id)) else {
            return false;
        };
        entry.association.tune(tuning, env);
        true
    }

    // ---- packets and timers

    /// A datagram from an NTP socket. What is not for a source may be a request to our server.
    pub fn handle_datagram(&mut self, datagram: &Datagram<'_>, env: &mut Env<'_>) -> Dispatch {
        self.last_sent = None;
        // What cannot be a packet is not even counted.
        let (Some(mode), true) = (
            Mode::peek(datagram.bytes),
            (HEADER_LEN..=MAX_PACKET_LEN).contains(&datagram.bytes.len()),
        ) else {
            return Dispatch::Taken;
        };
        let known = (mode != Mode::Client)
            .then(|| self.by_remote(datagram.remote))
            .flatten();
        let Some(entry) = known.and_then(|id| self.entry_mut(id)) else {
            return Dispatch::Unknown;
        };
        let association = &mut entry.association;
        association.count_received(datagram.stamp.source);
        match (mode, association.kind) {
            (Mode::Active, Kind::Client) => return Dispatch::Unknown,
            (Mode::Active | Mode::Passive, Kind::Peer) | (Mode::Server, Kind::Client) => {}
            _ => return Dispatch::Taken,
        }
        let listens = association.socket == Some(datagram.socket)
            && association.mode != OperatingMode::Offline
            && !association.suspended;
        if listens {
            let received = Received::new(datagram, env);
            let step = association.process(&received, false, Then::Nothing, env);
            let id = association.id;
            self.push_step(id, step);
        }
        Dispatch::Taken
    }

    /// A transmit time stamp. What is not for a source may be for our server.
    pub fn handle_tx_stamp(&mut self, stamp: &TxStamp<'_>, env: &mut Env<'_>) -> Dispatch {
        let Some(header) = Header::read(stamp.bytes) else {
            return Dispatch::Taken;
        };
        if !matches!(header.mode, Mode::Client | Mode::Active) {
            return Dispatch::Unknown;
        }
        let Some(entry) = self
            .by_remote(stamp.remote)
            .and_then(|id| self.entry_mut(id))
        else {
            return Dispatch::Unknown;
        };
        let (time, error) = env.clock.cook(stamp.stamp.time);
        let local = LocalStamp {
            time,
            error,
            source: stamp.stamp.source,
            ..Default::default()
        };
        let association = &mut entry.association;
        if association.on_tx_stamp((header.receive, header.transmit), local)
            && let Some(saved) = association.take_saved(env)
        {
            let step = association.process(&saved, true, Then::Nothing, env);
            let id = association.id;
            self.push_step(id, step);
        }
        Dispatch::Taken
    }

    /// A timer of ours fired; false if it is somebody else's.
    pub fn handle_timer(&mut self, timer: Timer, env: &mut Env<'_>) -> bool {
        self.last_sent = None;
        let id = match timer {
            Timer::Transmit(id) | Timer::Receive(id) | Timer::SavedResponse(id) => id,
            Timer::Resolve => {
                self.retry_due(env);
                return true;
            }
            _ => return false,
        };
        let Some(entry) = self.entry_mut(id) else {
            return true;
        };
        let association = &mut entry.association;
        let step = match timer {
            Timer::Transmit(_) => association.transmit_due(env),
            Timer::SavedResponse(_) => association
                .take_saved(env)
                .and_then(|saved| association.process(&saved, true, Then::Nothing, env)),
            _ => {
                association.close_client_socket(env);
                None
            }
        };
        self.push_step(id, step);
        true
    }

    /// Goes on with what waited for the statistics; false if nothing did.
    pub fn resume(&mut self, env: &mut Env<'_>) -> bool {
        let Some((id, step)) = self.steps.pop_front() else {
            return false;
        };
        let Some(entry) = self.entry_mut(id) else {
            return true;
        };
        let association = &mut entry.association;
        let mut confirmed = false;
        let next = match step {
            Step::Judged(judged) => Some(association.pass_on(judged, env)),
            Step::Sampled(judged) => {
                let (good, next) = association.finish_response(judged, env);
                confirmed = good;
                next
            }
            Step::Transmit if env.timers.is_armed(Timer::Transmit(id)) => None,
            Step::Transmit => association.transmit(env),
            Step::Packet(_) if association.mode == OperatingMode::Offline => None,
            Step::Packet(received) => association.process(&received, false, Then::Nothing, env),
            Step::Sent(sending) => association.sent(sending, env),
            Step::SentSampled(sending) => {
                association.finish_sending(&sending, env);
                None
            }
        };
        if confirmed {
            self.confirm(id, env);
            self.refresh_oldest(env);
        }
        self.push_step(id, next);
        true
    }

    fn push_step(&mut self, id: SourceId, step: Option<Step>) {
        if let Some(step) = step {
            if matches!(step, Step::Sent(_)) {
                self.last_sent = Some(id);
            }
            self.steps.push_front((id, step));
        }
    }

    /// The driver could not send the last packet, or open its socket. Other sockets are ignored.
    pub fn on_send_failed(&mut self, socket: SocketKey, env: &mut Env<'_>) {
        let Some(entry) = self.last_sent.and_then(|id| self.entry_mut(id)) else {
            return;
        };
        let association = &mut entry.association;
        if association
            .undo
            .as_ref()
            .is_some_and(|undo| undo.socket == socket)
        {
            association.on_send_failed(env);
            self.last_sent = None;
        }
    }

    // ---- clock changes

    /// Moves all stored local times after a known change of the clock.
    pub fn on_clock_change(&mut self, when: Timestamp<Cooked>, dfreq: f64, doffset: Seconds) {
        for entry in self.entries.values_mut() {
            entry.association.adjust(when, dfreq, doffset);
        }
        for (_, step) in &mut self.steps {
            step.adjust(when, dfreq, doffset);
        }
    }

    /// The clock was stepped by somebody else: forgets all exchanges.
    pub fn on_unknown_step(&mut self, env: &mut Env<'_>) {
        for entry in self.entries.values_mut() {
            entry.association.forget(env);
        }
    }

    /// The `reset sources` command: forgets all exchanges, but not when the last requests were.
    pub fn start_over(&mut self, env: &mut Env<'_>) {
        for entry in self.entries.values_mut() {
            entry.association.start_over(env);
        }
    }

    /// Asks every source soon, but not before `after`, and with a burst if `burst` and the source
    /// has `iburst`: what was known of the clock holds no more.
    pub fn poll_soon(&mut self, after: Seconds, burst: bool, env: &mut Env<'_>) {
        for entry in self.entries.values_mut() {
            entry.association.poll_soon(after, burst, env);
        }
    }

    // ---- parts

    pub(crate) fn entry(&self, id: SourceId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn entry_mut(&mut self, id: SourceId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    /// The source with this address and port.
    fn by_remote(&self, remote: SocketAddr) -> Option<SourceId> {
        let id = self.by_address(SourceAddress::Ip(remote.ip()))?;
        (self.get(id)?.port() == remote.port()).then_some(id)
    }

    /// The first source of a pool without an address.
    pub(crate) fn unresolved_of(&self, pool: PoolId) -> Option<SourceId> {
        let unresolved = |e: &Entry| e.pool == Some(pool) && e.association.address().ip().is_none();
        self.entries
            .iter()
            .find(|(_, e)| unresolved(e))
            .map(|(&id, _)| id)
    }

    /// Gives a source another address; it has to prove itself again.
    pub(crate) fn set_address(
        &mut self,
        id: SourceId,
        address: SourceAddress,
        port: u16,
        env: &mut Env<'_>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let old = entry.association.address();
        let was_confirmed = !std::mem::replace(&mut entry.tentative, true);
        if let Some(pool) = entry.pool.and_then(|pool| self.pools.get_mut(&pool)) {
            pool.confirmed -= u32::from(was_confirmed);
            pool.unresolved -= u32::from(old.ip().is_none());
            pool.unresolved += u32::from(address.ip().is_none());
        }
        self.by_address.remove(&old);
        self.by_address.insert(address, id);
        entry.association.change_address(address, port, env);
    }

    /// A good response: when enough sources of a pool gave one, the others are removed.
    fn confirm(&mut self, id: SourceId, env: &mut Env<'_>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut entry.tentative, false) {
            return;
        }
        let Some(pool_id) = entry.pool else {
            return;
        };
        let Some(pool) = self.pools.get_mut(&pool_id) else {
            return;
        };
        pool.confirmed += 1;
        if pool.confirmed < pool.max_sources {
            return;
        }
        let spare = |e: &Entry| e.pool == Some(pool_id) && e.tentative;
        let spare: Vec<SourceId> = self
            .entries
            .iter()
            .filter(|(_, e)| spare(e))
            .map(|(&id, _)| id)
            .collect();
        for id in spare {
            self.remove_entry(id, env);
        }
    }
}
