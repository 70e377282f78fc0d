//! What must hold at every step of every simulation.
//!
//! A step is one input to an engine with everything it brought about. [`Watch::before`] looks at
//! the host before it, [`Watch::after`] after it; in between the driver tells what the engine
//! asked for. Each file has its rules: [`load`] how much an engine may hold and ask for, [`steer`]
//! what it may do to the clock, [`store`] that stored times follow, [`serve`] what it may tell
//! others, [`poll`] when it may ask them, [`client`] which answers it may believe, [`bound`] what it
//! may claim. `docs/simulator.md` lists the rules and says how to add
//! one.
//!
//! A violation panics with seed, time and host, unless the simulation collects them.

mod bound;
mod client;
mod load;
mod packet;
mod poll;
mod serve;
mod steer;
mod store;
mod violation;

pub use violation::Violation;
pub(crate) use violation::Violations;

use crate::network::Network;
use crate::node::Node;
use timewright_config::Config;
use timewright_control::Request;
use timewright_core::engine::{Boot, ClockView, Engine, Store};
use timewright_core::output::OutputQueue;
use timewright_time::{Cooked, Now, Raw, Timestamp};

/// What is remembered of one run of a daemon.
pub(crate) struct Watch {
    steering: steer::Steering,
    serving: serve::Serving,
    polling: poll::Polling,
    listening: client::Listening,
    bounding: bound::Bounding,
}

/// The state before a step.
pub(crate) struct Before {
    now: Now,
    clock: ClockView,
    correction_ppm: f64,
    served: Timestamp<Cooked>,
    logged: usize,
}

/// Whether the clock is corrected without telling anybody, so that jumps of time prove nothing: a
/// `local` reference clock does that (`discipline.md` 8.8).
fn corrects_quietly(config: &Config) -> bool {
    config.refclocks.iter().any(|clock| clock.options.local)
}

/// Whether a leap second may be due: around midnight UTC.
const fn is_near_leap(raw: Timestamp<Raw>) -> bool {
    const NEAR_S: i64 = 10;
    (raw.sec() + NEAR_S).rem_euclid(86_400) <= 2 * NEAR_S
}

/// A place to complain: whose step it is.
struct Place<'a> {
    node: &'a Node,
    net: &'a mut Network,
}

impl Place<'_> {
    fn violated(&mut self, rule: &'static str, detail: std::fmt::Arguments<'_>) {
        let violation = Violation {
            seed: self.net.seed,
            at_s: self.net.elapsed_s(),
            host: self.node.setup.name.clone(),
            rule,
            detail: detail.to_string(),
        };
        self.net.violations.add(violation);
    }

    fn check(&mut self, holds: bool, rule: &'static str, detail: std::fmt::Arguments<'_>) {
        if !holds {
            self.violated(rule, detail);
        }
    }
}

impl Watch {
    pub(crate) fn new(config: &Config, boot: &Boot, node: &Node) -> Self {
        Self {
            steering: steer::Steering::new(config, boot, node),
            serving: serve::Serving::new(config, node.clock.read().mono),
            polling: poll::Polling::default(),
            listening: client::Listening::default(),
            bounding: bound::Bounding::default(),
        }
    }

    /// A request of an operator is about to be given to the engine.
    pub(crate) fn command(&mut self, request: &Request) {
        self.steering.command(request);
        self.polling.command(request);
        self.serving.command(request);
        self.listening.command(request);
    }

    /// The daemon has started; `drift` is the drift file it was given.
    pub(crate) fn started(
        &self,
        drift: Option<&str>,
        node: &Node,
        engine: &Engine,
        net: &mut Network,
    ) {
        let mut place = Place { node, net };
        self.steering.started(drift, engine, &mut place);
    }

    /// The daemon is about to end in order.
    pub(crate) const fn ends(&mut self) {
        self.steering.ends();
    }

    /// The host stood still for so long, or its clock was moved by somebody else.
    pub(crate) fn disturbed(&mut self, by_s: f64) {
        self.steering.disturbed(by_s);
        self.serving.disturbed(by_s);
        self.listening.disturbed();
        self.bounding.disturbed();
    }

    pub(crate) fn before(
        &mut self,
        node: &Node,
        engine: &Engine,
        out: &OutputQueue,
        net: &mut Network,
    ) -> Before {
        let now = node.clock.read();
        let clock = engine.clock_view();
        let mut place = Place { node, net };
        place.check(
            out.is_empty(),
            "drained",
            format_args!("outputs of an input were left to the next"),
        );
        self.steering.overrun(&clock, now, &mut place);
        self.bounding.grown(now, engine, &mut place);
        Before {
            now,
            clock,
            correction_ppm: node.clock.correction_ppm(),
            served: engine.served_time(now),
            logged: node.log.len(),
        }
    }

    pub(crate) fn after(
        &mut self,
        before: &Before,
        node: &mut Node,
        engine: &mut Engine,
        out: &OutputQueue,
        asked: &load::Asked,
        net: &mut Network,
    ) {
        let shifts = engine.take_shifts();
        let done = node.clock.take_done();
        let mut place = Place { node, net };
        load::check(asked, engine, out, &mut place);
        let moved = steer::Moved::new(&shifts, &done);
        self.steering
            .check(before, &moved, &done, engine, &mut place);
        for shift in &shifts {
            store::check(shift, &mut place);
        }
        self.serving.check(before, &moved, engine, &mut place);
        self.polling.check(&moved, engine, &mut place);
        self.listening.check(&moved);
        self.bounding.check(before, &shifts, engine, &mut place);
    }

    /// A packet that is no request is about to be given to the engine.
    pub(crate) fn hears(&mut self, from: std::net::SocketAddr, engine: &Engine) {
        self.listening.hears(from, engine);
    }

    /// It was.
    pub(crate) fn heard(
        &mut self,
        packet: &[u8],
        intact: bool,
        node: &Node,
        engine: &Engine,
        net: &mut Network,
    ) {
        let mut place = Place { node, net };
        self.listening.heard(packet, intact, engine, &mut place);
    }

    /// A request left: to whom, with which first byte.
    pub(crate) fn sent(
        &mut self,
        to: std::net::SocketAddr,
        packet: &[u8],
        node: &Node,
        engine: &Engine,
        net: &mut Network,
    ) {
        let mut place = Place { node, net };
        self.polling.sent(to, packet, engine, &mut place);
        self.listening.sent(to, packet, engine, &mut place);
    }

    /// A response left, by either way, to a packet that came.
    pub(crate) fn answered(
        &mut self,
        response: &[u8],
        request: Option<&[u8]>,
        node: &Node,
        engine: &Engine,
        net: &mut Network,
    ) {
        let mut place = Place { node, net };
        self.serving.answered(response, request, engine, &mut place);
    }
}

pub(crate) use load::Asked;

/// More rounds than this at one moment mean that the engine runs in a circle.
const ROUNDS_MAX: u32 = 10_000;

/// Deadlines that are due at one moment come to an end: each is in the future once it was
/// handled.
pub(crate) fn rounds(what: &str, rounds: u32, node: &Node, net: &Network) {
    assert!(
        rounds <= ROUNDS_MAX,
        "seed {}, {:.9} s, {}: no end of {what}",
        net.seed,
        net.elapsed_s(),
        node.setup.name
    );
}

/// The times of all samples of an engine.
pub(crate) fn samples(engine: &Engine) -> Vec<Timestamp<Cooked>> {
    let stored = engine.stored_times();
    let samples = stored
        .iter()
        .filter(|stored| matches!(stored.store, Store::Sample | Store::Filter));
    samples.map(|stored| stored.time).collect()
}

/// A packet that somebody made up gives no sample.
pub(crate) fn forged(
    before: &[Timestamp<Cooked>],
    engine: &Engine,
    node: &Node,
    net: &mut Network,
) {
    let after = samples(engine);
    Place { node, net }.check(
        after == before,
        "forgery",
        format_args!("{} samples became {}", before.len(), after.len()),
    );
}

/// What an observer is told makes sense.
pub(crate) fn estimate(correction_s: f64, bound_s: Option<f64>, node: &Node, net: &mut Network) {
    Place { node, net }.check(
        correction_s.is_finite() && bound_s.is_none_or(|b| b.is_finite() && b >= 0.0),
        "finite",
        format_args!("correction {correction_s}, bound {bound_s:?}"),
    );
}
