//! What must hold at every step of every simulation. A violation panics with the seed.

use crate::network::Network;
use crate::node::Node;
use timewright_core::engine::Engine;
use timewright_core::output::OutputQueue;
use timewright_time::MonoTime;

/// More rounds than this at one moment mean that the engine runs in a circle.
const ROUNDS_MAX: u32 = 10_000;
/// Timers a source can have at once: transmit, receive, saved response.
const TIMERS_PER_SOURCE: usize = 3;
/// Timers besides those of sources: broadcasts and the engine's own.
const OTHER_TIMERS: usize = 32;
/// Sockets besides those of sources: server and shared client sockets of both families.
const OTHER_SOCKETS: usize = 4;
/// Control clients that may wait for an outcome.
const OWED_MAX: usize = 16;

/// The state before a step.
pub(crate) struct Before {
    steps: u64,
    logged: usize,
    mono: MonoTime,
}

pub(crate) fn before(node: &Node, out: &OutputQueue, net: &Network) -> Before {
    assert!(
        out.is_empty(),
        "{}: outputs of an input were left to the next",
        place(node, net)
    );
    Before {
        steps: node.clock.steps(),
        logged: node.log.len(),
        mono: node.clock.read().mono,
    }
}

pub(crate) fn after(
    before: &Before,
    node: &Node,
    engine: &Engine,
    out: &OutputQueue,
    sockets: usize,
    net: &Network,
) {
    assert!(
        out.is_empty(),
        "{}: the output queue was not emptied",
        place(node, net)
    );
    assert!(
        node.clock.read().mono == before.mono,
        "{}: a step took time or moved the monotonic clock",
        place(node, net)
    );
    if node.clock.steps() != before.steps {
        let said = node.log.iter().skip(before.logged);
        let mut texts = said.map(|line| line.event.text.as_str());
        assert!(
            texts.any(|text| text.contains("step")),
            "{}: the clock was stepped without a word",
            place(node, net)
        );
    }
    let load = engine.load();
    assert!(
        load.timers <= TIMERS_PER_SOURCE * load.sources + OTHER_TIMERS,
        "{}: {load:?}: timers pile up",
        place(node, net)
    );
    assert!(
        load.owed <= OWED_MAX,
        "{}: {load:?}: control clients are left waiting",
        place(node, net)
    );
    assert!(
        sockets <= load.sources + OTHER_SOCKETS,
        "{}: {load:?}: {sockets} sockets are open",
        place(node, net)
    );
}

pub(crate) fn rounds(what: &str, rounds: u32, node: &Node, net: &Network) {
    assert!(
        rounds <= ROUNDS_MAX,
        "{}: no end of {what}",
        place(node, net)
    );
}

/// No server may be of use to somebody who forges requests.
pub(crate) fn response(len: usize, request: usize, node: &Node, net: &Network) {
    assert!(
        len <= request,
        "{}: {request} bytes were answered with {len}",
        place(node, net)
    );
}

pub(crate) fn estimate(correction_s: f64, bound_s: Option<f64>, node: &Node, net: &Network) {
    assert!(
        correction_s.is_finite() && bound_s.is_none_or(|b| b.is_finite() && b >= 0.0),
        "{}: correction {correction_s}, bound {bound_s:?}",
        place(node, net)
    );
}

fn place(node: &Node, net: &Network) -> String {
    let (seed, at_s, name) = (net.seed, net.elapsed_s(), &node.setup.name);
    format!("seed {seed}, {at_s:.9} s, {name}")
}
