//! What hosts and clocks did in a run.

use crate::network::Packet;
use crate::node::Node;
use crate::world::{NodeId, Observation, World};
use std::fmt::Write as _;

/// The state of the world at the end of a run.
pub struct Report {
    /// The world.
    pub world: World,
    names: Vec<String>,
}

/// How well one clock was kept.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Root mean square of the system clock's offset from true time, seconds.
    pub rms_offset_s: f64,
    /// Largest magnitude of it, seconds.
    pub max_offset_s: f64,
    /// Root mean square of the system clock's frequency error, s/s.
    pub rms_freq: f64,
    /// Share of observations in which the claimed root distance covered the true error of the
    /// estimate; 1 when there was none.
    pub covered: f64,
    /// Mean of the claimed root distance, seconds.
    pub mean_bound_s: f64,
}

impl Report {
    pub(crate) const fn new(world: World, names: Vec<String>) -> Self {
        Self { world, names }
    }

    /// A host by name.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn id(&self, name: &str) -> NodeId {
        NodeId(
            self.names
                .iter()
                .position(|n| n == name)
                .expect("the scenario has this host"),
        )
    }

    /// A host's state.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.world.node(self.id(name)).expect("id was just found")
    }

    /// What a host's clock did.
    #[must_use]
    pub fn observations(&self, name: &str) -> &[Observation] {
        self.world.observations(self.id(name))
    }

    /// The quality of a host's clock from `from_s` on.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of observations")]
    pub fn summary(&self, name: &str, from_s: f64) -> Summary {
        let (mut n, mut offset2, mut freq2, mut max) = (0u64, 0.0, 0.0, 0f64);
        let (mut bounds, mut covered, mut bound_sum) = (0u64, 0u64, 0.0);
        for o in self.observations(name).iter().filter(|o| o.at_s >= from_s) {
            n += 1;
            offset2 += o.offset_s * o.offset_s;
            freq2 += o.freq * o.freq;
            max = max.max(o.offset_s.abs());
            if let Some(bound) = o.bound_s {
                bounds += 1;
                bound_sum += bound;
                covered += u64::from(o.estimate_s.abs() <= bound);
            }
        }
        let n = (n as f64).max(1.0);
        Summary {
            rms_offset_s: (offset2 / n).sqrt(),
            max_offset_s: max,
            rms_freq: (freq2 / n).sqrt(),
            covered: if bounds == 0 {
                1.0
            } else {
                covered as f64 / bounds as f64
            },
            mean_bound_s: bound_sum / (bounds as f64).max(1.0),
        }
    }

    /// Packets sent by one host to another, in order.
    pub fn packets<'a>(
        &'a self,
        from: &str,
        to: &str,
    ) -> impl Iterator<Item = &'a Packet> + use<'a> {
        let (from, to) = (Some(self.id(from)), Some(self.id(to)));
        let owner = |a: std::net::SocketAddr| self.world.owner(a.ip());
        let packets = self.world.packets().iter();
        packets.filter(move |p| owner(p.from) == from && owner(p.to) == to)
    }

    /// The clock of a host at a time, as observed last.
    ///
    /// # Panics
    /// When it was not observed yet.
    #[must_use]
    pub fn observed(&self, name: &str, at_s: f64) -> Observation {
        let series = self.observations(name);
        let after = series.partition_point(|o| o.at_s <= at_s);
        *after
            .checked_sub(1)
            .and_then(|i| series.get(i))
            .expect("the clock was observed by then")
    }

    /// The first time after which offset and frequency error stay within limits, seconds since
    /// the start; `None` if they do not at the end.
    #[must_use]
    pub fn settled_after(&self, name: &str, offset_s: f64, freq: f64) -> Option<f64> {
        let series = self.observations(name);
        let bad = series
            .iter()
            .rposition(|o| o.offset_s.abs() > offset_s || o.freq.abs() > freq);
        let first_good = bad.map_or(0, |i| i + 1);
        series.get(first_good).map(|o| o.at_s)
    }

    /// Log messages of a host, one a line, with the simulated second in front.
    #[must_use]
    pub fn log_text(&self, name: &str) -> String {
        let mut text = String::new();
        for line in &self.node(name).log {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:10.3} {}", line.at_s, line.event);
        }
        text
    }
}
