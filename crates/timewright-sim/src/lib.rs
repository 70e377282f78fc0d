//! A deterministic simulator: N hosts with the real engine, their clocks, the paths between them.
//!
//! True time is an event queue; nothing reads the machine's clock. Equal seeds give equal
//! results, bit for bit. [`Scenario`] is the way in: hosts by name with a `chrony.conf` text
//! each, clocks, paths and actions; [`Scenario::run`] answers with what every clock did.
#![forbid(unsafe_code)]

mod clock;
mod link;
mod node;
mod random;
mod scenario;
mod world;

pub use clock::{ClockModel, SimClock};
pub use link::{Jitter, Link};
pub use node::{LogLine, Node};
pub use random::SimRng;
pub use scenario::{Report, Scenario, Summary};
pub use world::{Action, Network, NodeId, Observation, START_NS, World};
