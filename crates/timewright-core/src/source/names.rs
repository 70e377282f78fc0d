//! Names: the queue of lookups, the answers, replacement and refresh (`ntp-engine.md` 6.3 to 6.5).
//!
//! One lookup is in flight at a time. A *round* tries every entry once; what is left is tried
//! again later, at growing intervals.
//!
//! ```text
//! Idle ─> Resolving ─(addresses)─> Probing ─> next entry ... ─> Waiting ─(timer)─> Resolving
//! ```

use crate::event::Event;
use crate::ids::{SourceId, Ticket};
use crate::output::{Family, FamilyFilter, Output};
use crate::rng;
use crate::source::env::Env;
use crate::source::table::{PoolId, SourceTable};
use crate::source::{Origin, SourceAddress};
use crate::timers::Timer;
use std::net::{IpAddr, SocketAddr};
use timewright_time::{MonoTime, Seconds};

/// Base of the time between rounds; it is doubled `retries` times.
const RETRY_INTERVAL: f64 = 7.0;
const MIN_RETRY_LOG2: i32 = 2;
const MAX_RETRY_LOG2: i32 = 9;
/// Two replacements are at most this far apart, and a random part of it on average.
const MAX_REPLACEMENT_INTERVAL: f64 = 3584.0;
/// More addresses than this are ignored.
const MAX_ADDRESSES: usize = 16;

/// The outcome of a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupAnswer {
    /// The addresses, in the resolver's order; none of them is as bad as no such name.
    Addresses(Vec<IpAddr>),
    /// Try again later.
    TemporaryFailure,
    /// There is no such name.
    PermanentFailure,
}

/// Who waits for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A source that had this address when the lookup was queued.
    Source(SourceId, SourceAddress),
    /// Any unresolved source of a pool.
    Pool(PoolId),
}

/// A name to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    pub(crate) name: String,
    pub(crate) families: FamilyFilter,
    pub(crate) target: Target,
    /// The name of a working source: keep its address if it is still there.
    pub(crate) refresh: bool,
}

impl Lookup {
    /// Whether the answer is to replace an address in use; such a lookup is made once, and does
    /// not prefer the first addresses.
    const fn is_replacement(&self) -> bool {
        self.refresh || matches!(self.target, Target::Source(_, SourceAddress::Ip(_)))
    }
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// For [`Timer::Resolve`].
    Waiting,
    Resolving(Ticket),
    Probing(Ticket, Vec<SocketAddr>),
}

/// The queue of lookups.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) queue: Vec<Lookup>,
    /// The entry in work.
    at: usize,
    state: State,
    restart: bool,
    retries_log2: i32,
    /// A round ended and nobody was told yet.
    finished: bool,
    next_replacement: MonoTime,
    last_refresh: Option<MonoTime>,
}

impl Names {
    /// Whether a lookup is in flight.
    pub(crate) const fn is_busy(&self) -> bool {
        matches!(self.state, State::Resolving(_) | State::Probing(..))
    }
}

impl SourceTable {
    /// Resolve what is unresolved now, without waiting for the next retry. When the round is over
    /// [`Self::take_resolving_finished`] tells, at once if there is nothing to do.
    pub fn resolve_now(&mut self, env: &mut Env<'_>) {
        match self.names.state {
            State::Resolving(_) | State::Probing(..) => {
                self.names.restart = true;
                return;
            }
            State::Waiting => {
                env.timers.cancel(Timer::Resolve);
                self.names.retries_log2 -= 1;
            }
            State::Idle => {}
        }
        self.start_round(env);
    }

    /// Whether a round of lookups ended since this was last asked.
    pub fn take_resolving_finished(&mut self) -> bool {
        std::mem::take(&mut self.names.finished)
    }

    /// An answer to [`Output::Resolve`]; others are ignored.
    pub fn on_resolved(&mut self, ticket: Ticket, answer: LookupAnswer, env: &mut Env<'_>) {
        if matches!(self.names.state, State::Resolving(t) if t == ticket) {
            self.names.state = State::Idle;
            if self.take_answer(answer, env) {
                self.advance(env);
            }
        }
    }

    /// An answer to [`Output::ProbeRoutes`]: for each address whether a socket can be connected.
    pub fn on_routes(&mut self, ticket: Ticket, connectable: &[bool], env: &mut Env<'_>) {
        match std::mem::take(&mut self.names.state) {
            State::Probing(t, addresses) if t == ticket => {
                let usable = addresses
                    .into_iter()
                    .zip(connectable)
                    .filter_map(|(address, &ok)| ok.then_some(address.ip()))
                    .collect();
                self.assign_addresses(usable, env);
                self.advance(env);
            }
            other => {
                self.names.state = other;
                self.on_connectivity_probe(ticket, connectable, env);
            }
        }
    }

    /// The `refresh` command: look all names up again.
    pub fn refresh(&mut self, env: &mut Env<'_>) {
        for id in self.ids() {
            self.queue_refresh(id, env);
        }
        self.join_round(env);
    }

    /// A source is of no use: try to replace it, if it has a name with other addresses and the
    /// last replacement is long enough ago.
    pub fn on_bad_source(&mut self, id: SourceId, env: &mut Env<'_>) {
        let Some(entry) = self.entry(id) else {
            return;
        };
        let address = entry.association.address();
        let literal = entry.name.parse::<IpAddr>().ok();
        let fixed = literal.is_some() && literal == address.ip();
        if fixed || address.ip().is_none() || env.now.mono < self.names.next_replacement {
            return;
        }
        let wait = Seconds(rng::uniform(env.rng) * MAX_REPLACEMENT_INTERVAL);
        let text = format_args!("trying to replace {address} ({})", entry.name);
        env.out.log(Event::debug(text));
        self.names.next_replacement = env.now.mono + wait;
        self.queue_replacement(id, false);
        self.join_round(env);
    }

    /// After a good response: from time to time the oldest name is looked up again.
    pub(crate) fn refresh_oldest(&mut self, env: &mut Env<'_>) {
        let interval = env.params.refresh;
        let now = env.now.mono;
        let due = |last: MonoTime| now - last >= interval;
        if interval <= Seconds::ZERO || !self.names.last_refresh.is_none_or(due) {
            return;
        }
        let named = self
            .entries
            .iter()
            .filter(|(_, e)| e.name.parse::<IpAddr>().is_err());
        let oldest = named
            .filter_map(|(&id, e)| Some((e.resolved_at?, id)))
            .min();
        let Some((resolved_at, id)) = oldest else {
            return;
        };
        if due(resolved_at) {
            self.names.last_refresh = Some(now);
            self.queue_refresh(id, env);
            self.join_round(env);
        } else {
            self.names.last_refresh = Some(resolved_at);
        }
    }

    fn queue_refresh(&mut self, id: SourceId, env: &mut Env<'_>) {
        if let Some(entry) = self.entry(id) {
            let address = entry.association.address();
            let text = format_args!("refreshing {address} ({})", entry.name);
            env.out.log(Event::debug(text));
        }
        self.queue_replacement(id, true);
    }

    fn queue_replacement(&mut self, id: SourceId, refresh: bool) {
        let Some(entry) = self.entry(id) else {
            return;
        };
        let lookup = Lookup {
            name: entry.name.clone(),
            families: entry.families,
            target: Target::Source(id, entry.association.address()),
            refresh,
        };
        self.names.queue.push(lookup);
    }

    /// Starts a round, unless one runs: that will reach what was queued.
    fn join_round(&mut self, env: &mut Env<'_>) {
        if !self.names.is_busy() {
            self.resolve_now(env);
        }
    }

    /// [`Timer::Resolve`] fired.
    pub(crate) fn retry_due(&mut self, env: &mut Env<'_>) {
        if matches!(self.names.state, State::Waiting) {
            self.start_round(env);
        }
    }

    fn start_round(&mut self, env: &mut Env<'_>) {
        self.names.state = State::Idle;
        self.names.restart = false;
        self.names.at = 0;
        let mut queue = std::mem::take(&mut self.names.queue);
        queue.retain(|lookup| self.is_needed(lookup));
        self.names.queue = queue;
        self.advance(env);
    }

    fn is_needed(&self, lookup: &Lookup) -> bool {
        match lookup.target {
            Target::Source(id, address) => self
                .entry(id)
                .is_some_and(|e| e.association.address() == address),
            Target::Pool(pool) => self.pools.get(&pool).is_some_and(|p| p.unresolved > 0),
        }
    }

    /// Goes on with the entry in work, until a lookup is in flight or the round is over.
    fn advance(&mut self, env: &mut Env<'_>) {
        while let Some(lookup) = self.names.queue.get(self.names.at) {
            if !self.is_needed(lookup) {
                self.names.queue.remove(self.names.at);
            } else if let Ok(literal) = lookup.name.parse() {
                if !self.take_answer(LookupAnswer::Addresses(vec![literal]), env) {
                    return;
                }
            } else {
                let ticket = env.tickets.issue();
                self.names.state = State::Resolving(ticket);
                let (name, families) = (lookup.name.clone(), lookup.families);
                env.out.push(Output::Resolve {
                    ticket,
                    name,
                    families,
                });
                return;
            }
        }
        if std::mem::take(&mut self.names.restart) {
            return self.start_round(env);
        }
        let names = &mut self.names;
        names.finished = true;
        if names.queue.is_empty() {
            names.state = State::Idle;
            names.retries_log2 = 0;
        } else {
            names.state = State::Waiting;
            names.retries_log2 = (names.retries_log2 + 1).clamp(MIN_RETRY_LOG2, MAX_RETRY_LOG2);
            let wait = Seconds(RETRY_INTERVAL * 2f64.powi(names.retries_log2));
            env.timers.arm(Timer::Resolve, env.now.mono + wait);
        }
    }

    /// Takes the answer for the entry in work; false if a probe has to be waited for.
    fn take_answer(&mut self, answer: LookupAnswer, env: &mut Env<'_>) -> bool {
        let Some(lookup) = self.names.queue.get(self.names.at).cloned() else {
            return true;
        };
        let addresses = match answer {
            LookupAnswer::TemporaryFailure => {
                self.entry_done(lookup.is_replacement());
                return true;
            }
            LookupAnswer::Addresses(addresses) if !addresses.is_empty() => addresses,
            LookupAnswer::Addresses(_) | LookupAnswer::PermanentFailure => {
                env.out
                    .log(Event::warning(format_args!("Invalid host {}", lookup.name)));
                self.entry_done(true);
                return true;
            }
        };
        if lookup.refresh && self.keeps_address(&lookup, &addresses, env) {
            self.entry_done(true);
            return true;
        }
        let Some(port) = self.target_port(lookup.target) else {
            self.entry_done(true);
            return true;
        };
        let policy = env.sockets.policy();
        let usable = |ip: &IpAddr| match Family::of(*ip) {
            family
                if lookup.families == FamilyFilter::Any
                    || lookup.families == FamilyFilter::Only(family) =>
            {
                match family {
                    Family::V4 => policy.ipv4,
                    Family::V6 => policy.ipv6,
                }
            }
            _ => false,
        };
        let addresses: Vec<SocketAddr> = addresses
            .into_iter()
            .take(MAX_ADDRESSES)
            .filter(usable)
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        if addresses.is_empty() {
            self.entry_done(lookup.is_replacement());
            return true;
        }
        let ticket = env.tickets.issue();
        env.out.push(Output::ProbeRoutes {
            ticket,
            addresses: addresses.clone(),
        });
        self.names.state = State::Probing(ticket, addresses);
        false
    }

    /// A refresh found the address the name once had.
    fn keeps_address(&mut self, lookup: &Lookup, found: &[IpAddr], env: &mut Env<'_>) -> bool {
        let Target::Source(id, _) = lookup.target else {
            return false;
        };
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        let keeps = entry.resolved.is_some_and(|ip| found.contains(&ip));
        if keeps {
            entry.resolved_at = Some(env.now.mono);
            let address = entry.association.address();
            env.out
                .log(Event::debug(format_args!("{address} still fresh")));
        }
        keeps
    }

    fn target_port(&self, target: Target) -> Option<u16> {
        match target {
            Target::Source(id, _) => self.entry(id).map(|e| e.association.port()),
            Target::Pool(pool) => self
                .unresolved_of(pool)
                .and_then(|id| self.entry(id))
                .map(|e| e.association.port()),
        }
    }

    /// Done with the entry in work for this round, or for good.
    fn entry_done(&mut self, remove: bool) {
        if remove {
            self.names.queue.remove(self.names.at);
        } else {
            self.names.at += 1;
        }
    }

    /// Gives the connectable addresses of a name to who waits for them.
    fn assign_addresses(&mut self, mut addresses: Vec<IpAddr>, env: &mut Env<'_>) {
        let Some(lookup) = self.names.queue.get(self.names.at).cloned() else {
            return;
        };
        if lookup.is_replacement() && !addresses.is_empty() {
            let first = rng::u32(env.rng) as usize & 0xffff;
            let len = addresses.len();
            addresses.rotate_left(first % len);
        }
        for ip in addresses {
            let target = match lookup.target {
                Target::Source(id, _) => Some(id).filter(|_| self.is_needed(&lookup)),
                Target::Pool(pool) => self.unresolved_of(pool),
            };
            let Some(id) = target else {
                break;
            };
            if self.by_address(SourceAddress::Ip(ip)).is_none() {
                self.replace_address(id, ip, env);
            }
        }
        let done = lookup.is_replacement() || !self.is_needed(&lookup);
        self.entry_done(done);
    }

    /// A source gets an address from its name.
    fn replace_address(&mut self, id: SourceId, ip: IpAddr, env: &mut Env<'_>) {
        let Some(entry) = self.entry(id) else {
            return;
        };
        let (old, port, name) = (
            entry.association.address(),
            entry.association.port(),
            &entry.name,
        );
        let text = format!("Source {old} replaced with {ip} ({name})");
        let origin = if old.ip().is_some() {
            Origin::Command
        } else {
            Origin::Config
        };
        env.out.log(Event::new(origin.severity(), text));
        self.set_address(id, SourceAddress::Ip(ip), port, env);
        let auto_start = self.auto_start;
        if let Some(entry) = self.entry_mut(id) {
            entry.resolved = Some(ip);
            entry.resolved_at = Some(env.now.mono);
            if auto_start && entry.association.is_suspended() {
                entry.association.start(env);
            }
        }
    }
}
