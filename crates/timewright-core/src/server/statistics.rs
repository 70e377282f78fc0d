//! The counters of the `serverstats` report (`ntp-engine.md` 7.8).

use crate::output::StampSource;
use crate::server::client_log::{ClientLogTotals, SERVICES};
use crate::server::timestamps::TimestampMap;

/// Counts by who made a time stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StampCounts {
    /// Made by the daemon.
    pub daemon: u64,
    /// Made by the kernel.
    pub kernel: u64,
    /// Made by the network card.
    pub hardware: u64,
}

impl StampCounts {
    fn count(&mut self, source: StampSource) {
        match source {
            StampSource::Daemon => self.daemon += 1,
            StampSource::Kernel => self.kernel += 1,
            StampSource::Hardware => self.hardware += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.daemon += other.daemon;
        self.kernel += other.kernel;
        self.hardware += other.hardware;
    }
}

/// What is counted per response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    authenticated: u64,
    interleaved: u64,
    rx: StampCounts,
    tx: StampCounts,
}

impl Counters {
    pub(crate) fn count(
        &mut self,
        rx: StampSource,
        tx: StampSource,
        interleaved: bool,
        authenticated: bool,
    ) {
        self.rx.count(rx);
        self.tx.count(tx);
        self.interleaved += u64::from(interleaved);
        self.authenticated += u64::from(authenticated);
    }
}

/// The `serverstats` report; arrays are in the order of [`crate::server::client_log::Service`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStatistics {
    /// Requests received.
    pub hits: [u64; SERVICES],
    /// Requests dropped by the rate limits.
    pub drops: [u64; SERVICES],
    /// Client records replaced by those of other clients.
    pub record_drops: u64,
    /// Requests with valid authentication.
    pub authenticated: u64,
    /// Interleaved responses.
    pub interleaved: u64,
    /// Receive times held for interleaved clients.
    pub timestamps: u64,
    /// Whole seconds between the oldest and the newest of them.
    pub timestamp_span_s: u64,
    /// Who stamped the requests.
    pub rx: StampCounts,
    /// Who made the transmit times sent in responses.
    pub tx: StampCounts,
}

impl ServerStatistics {
    pub(crate) fn new(
        clients: &ClientLogTotals,
        counters: &Counters,
        timestamps: &TimestampMap,
    ) -> Self {
        Self {
            hits: clients.hits,
            drops: clients.drops,
            record_drops: clients.record_drops,
            authenticated: counters.authenticated,
            interleaved: counters.interleaved,
            // A table fits the memory, so its size fits 64 bits.
            timestamps: timestamps.len() as u64,
            timestamp_span_s: timestamps.span_s(),
            rx: counters.rx,
            tx: counters.tx,
        }
    }

    /// Adds the counters of another shard; spans do not add up, the longest counts.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.hits.iter_mut().zip(other.hits) {
            *own += more;
        }
        for (own, more) in self.drops.iter_mut().zip(other.drops) {
            *own += more;
        }
        self.record_drops += other.record_drops;
        self.authenticated += other.authenticated;
        self.interleaved += other.interleaved;
        self.timestamps += other.timestamps;
        self.timestamp_span_s = self.timestamp_span_s.max(other.timestamp_span_s);
        self.rx.add(&other.rx);
        self.tx.add(&other.tx);
    }
}
