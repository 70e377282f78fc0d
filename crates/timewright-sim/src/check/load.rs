//! How much an engine may hold, and how much it may ask for at once.

use super::Place;
use timewright_core::engine::Engine;
use timewright_core::output::OutputQueue;

/// Timers a source can have at once: transmit, receive, saved response.
const TIMERS_PER_SOURCE: usize = 3;
/// Timers besides those of sources: broadcasts and the engine's own.
const OTHER_TIMERS: usize = 32;
/// Sockets besides those of sources: server and shared client sockets of both families.
const OTHER_SOCKETS: usize = 4;
/// Control clients that may wait for an outcome.
const OWED_MAX: usize = 16;
/// Outputs of one input: messages, records, a packet, files.
const OUTPUTS_PER_SOURCE: usize = 16;
const OTHER_OUTPUTS: usize = 64;
/// Samples a source keeps.
const SAMPLES_MAX: usize = 64;

/// What the engine asked of its driver in one step, and what is open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// Outputs of this step.
    pub(crate) outputs: usize,
    /// Sockets open after it.
    pub(crate) sockets: usize,
}

pub(super) fn check(asked: &Asked, engine: &Engine, out: &OutputQueue, place: &mut Place<'_>) {
    place.check(
        out.is_empty(),
        "drained",
        format_args!("the output queue was not emptied"),
    );
    let load = engine.load();
    place.check(
        load.timers <= TIMERS_PER_SOURCE * load.sources + OTHER_TIMERS,
        "timers",
        format_args!("{load:?}: timers pile up"),
    );
    place.check(
        load.owed <= OWED_MAX,
        "owed",
        format_args!("{load:?}: control clients are left waiting"),
    );
    place.check(
        asked.sockets <= load.sources + OTHER_SOCKETS,
        "sockets",
        format_args!("{load:?}: {} sockets are open", asked.sockets),
    );
    place.check(
        asked.outputs <= OUTPUTS_PER_SOURCE * load.sources + OTHER_OUTPUTS,
        "outputs",
        format_args!("{load:?}: {} outputs of one input", asked.outputs),
    );
    let (records, records_max) = engine.client_records();
    place.check(
        records <= records_max,
        "clients",
        format_args!("{records} client records, {records_max} allowed"),
    );
    for source in engine.sources() {
        place.check(
            source.samples <= SAMPLES_MAX,
            "samples",
            format_args!("{} samples of {:?}", source.samples, source.remote),
        );
    }
}
