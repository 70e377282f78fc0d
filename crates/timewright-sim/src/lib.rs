//! A deterministic simulator: N hosts with the real engine, their clocks, the paths between them.
//!
//! True time is an event queue; nothing reads the machine's clock. Equal seeds give equal
//! results, bit for bit. [`Scenario`] is the way in: hosts by name with a `chrony.conf` text
//! each, clocks, paths and actions; [`Scenario::run`] answers with what every clock did.
#![forbid(unsafe_code)]

pub mod adversary;
mod agenda;
mod check;
mod clock;
mod daemon;
mod device;
mod digest;
pub mod figures;
pub mod file;
mod link;
mod network;
mod node;
mod oscillator;
pub mod plot;
mod queue;
mod random;
mod report;
mod scenario;
mod seed;
mod spoil;
pub mod table;
pub mod units;
mod world;

pub use check::Violation;
pub use clock::SimClock;
pub use device::{DeviceModel, TimeScale};
pub use link::{Jitter, Link, Pass};
pub use network::{Lookup, Packet};
pub use node::{LogLine, Node, NodeSetup, Stamps};
pub use oscillator::ClockModel;
pub use queue::SharedQueue;
pub use random::SimRng;
pub use report::{Report, Summary};
pub use scenario::{Families, Scenario};
pub use seed::seeds;
pub use spoil::{Fault, Spoil};
pub use world::{Action, NodeId, Observation, START_NS, World};
