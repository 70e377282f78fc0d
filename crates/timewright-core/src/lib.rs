//! The engine of timewright: everything the daemon thinks, nothing it does.
//!
//! Plain state machines take `(now, input)` and queue outputs. There are no sockets, files,
//! threads, environment or clock reads in here; the driver (`chronyd` or the simulator) turns
//! kernel events into inputs and outputs into system calls. Two things are capabilities passed
//! in, since their answer is needed inside a step: the adjustable clock ([`clock::Clock`]) and
//! randomness ([`rng::Rng`]).
#![forbid(unsafe_code)]

pub mod clock;
mod command;
pub mod discipline;
pub mod engine;
pub mod event;
pub mod hwclock;
pub mod ids;
pub mod keys;
pub mod output;
pub mod refclock;
pub mod reference;
pub mod rng;
pub mod select;
pub mod server;
pub mod source;
pub mod stats;
pub mod timers;
