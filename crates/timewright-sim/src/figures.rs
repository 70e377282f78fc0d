//! How well a clock was kept, in the figures users ask for.

use crate::report::Report;
use crate::units::Unit;
use crate::world::Observation;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How long an offset must stay below a threshold to have reached it, seconds.
pub const HOLD_S: f64 = 60.0;
/// The port of NTP servers.
const NTP_PORT: u16 = 123;

/// What a host's clock did in one run. Offsets, frequency errors, bounds and polls are those
/// after a time of settling; the rest is of the whole run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Root mean square of the system clock's offset from UTC, seconds.
    pub rms_offset_s: f64,
    /// Magnitude that 95 % of the offsets do not exceed, seconds.
    pub offset_95_s: f64,
    /// Largest magnitude of the offset, seconds.
    pub max_offset_s: f64,
    /// Mean offset, seconds; positive: the clock is fast.
    pub mean_offset_s: f64,
    /// Root mean square of the system clock's frequency error, s/s.
    pub rms_freq: f64,
    /// From when on the offset was below 1 ms for [`HOLD_S`], seconds; infinite: never.
    pub to_1ms_s: f64,
    /// The same with 100 microseconds.
    pub to_100us_s: f64,
    /// Mean of the root distance that the daemon claimed, seconds; NaN if it never did.
    pub mean_bound_s: f64,
    /// Share of the observations with a claim in which the claim covered the true error of the
    /// daemon's estimate; NaN without any.
    pub covered: f64,
    /// NTP packets sent.
    pub sent: f64,
    /// Mean time between requests to one server, seconds; NaN below two requests.
    pub mean_poll_s: f64,
    /// How often the daemon stepped the clock.
    pub steps: f64,
}

/// One of the [`Figures`].
#[derive(Clone, Copy)]
pub struct Figure {
    /// What it is, for people.
    pub name: &'static str,
    /// Its column in CSV files.
    pub column: &'static str,
    /// How it is printed.
    pub unit: Unit,
    /// Takes it.
    pub get: fn(&Figures) -> f64,
}

/// All figures in the order they are printed.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "RMS offset",
        column: "rms_offset_s",
        unit: Unit::Error,
        get: |f| f.rms_offset_s,
    },
    Figure {
        name: "95 % of offsets below",
        column: "offset_95_s",
        unit: Unit::Error,
        get: |f| f.offset_95_s,
    },
    Figure {
        name: "largest offset",
        column: "max_offset_s",
        unit: Unit::Error,
        get: |f| f.max_offset_s,
    },
    Figure {
        name: "mean offset",
        column: "mean_offset_s",
        unit: Unit::Error,
        get: |f| f.mean_offset_s,
    },
    Figure {
        name: "RMS frequency error",
        column: "rms_freq",
        unit: Unit::Frequency,
        get: |f| f.rms_freq,
    },
    Figure {
        name: "below 1 ms after",
        column: "to_1ms_s",
        unit: Unit::Time,
        get: |f| f.to_1ms_s,
    },
    Figure {
        name: "below 100 us after",
        column: "to_100us_s",
        unit: Unit::Time,
        get: |f| f.to_100us_s,
    },
    Figure {
        name: "mean root distance",
        column: "mean_bound_s",
        unit: Unit::Error,
        get: |f| f.mean_bound_s,
    },
    Figure {
        name: "it covered the error",
        column: "covered",
        unit: Unit::Share,
        get: |f| f.covered,
    },
    Figure {
        name: "packets sent",
        column: "packets_sent",
        unit: Unit::Count,
        get: |f| f.sent,
    },
    Figure {
        name: "mean poll",
        column: "mean_poll_s",
        unit: Unit::Time,
        get: |f| f.mean_poll_s,
    },
    Figure {
        name: "steps of the clock",
        column: "steps",
        unit: Unit::Count,
        get: |f| f.steps,
    },
];

impl Figures {
    /// The figures of a host, with those about its clock counted from `settle_s` on.
    ///
    /// # Panics
    /// When there is no host of that name.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of observations and packets"
    )]
    pub fn of(report: &Report, host: &str, settle_s: f64) -> Self {
        let all = report.observations(host);
        let settled = all.get(all.partition_point(|o| o.at_s < settle_s)..);
        let settled = settled.unwrap_or_default();
        let mean = |value: fn(&Observation) -> f64| {
            settled.iter().map(value).sum::<f64>() / settled.len() as f64
        };
        let mut sizes: Vec<f64> = settled.iter().map(|o| o.offset_s.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let claims: Vec<(f64, f64)> = settled
            .iter()
            .filter_map(|o| Some((o.estimate_s, o.bound_s?)))
            .collect();
        let claimed = claims.len() as f64;
        let covered = claims.iter().filter(|(e, bound)| e.abs() <= *bound).count();
        let node = report.node(host);
        Self {
            rms_offset_s: mean(|o| o.offset_s * o.offset_s).sqrt(),
            offset_95_s: quantile(&sizes, 95),
            max_offset_s: quantile(&sizes, 100),
            mean_offset_s: mean(|o| o.offset_s),
            rms_freq: mean(|o| o.freq * o.freq).sqrt(),
            to_1ms_s: reached(all, 1e-3),
            to_100us_s: reached(all, 1e-4),
            mean_bound_s: claims.iter().map(|(_, bound)| bound).sum::<f64>() / claimed,
            covered: covered as f64 / claimed,
            sent: node.sent as f64,
            mean_poll_s: mean_poll(report, host, settle_s),
            steps: node.clock().steps() as f64,
        }
    }
}

/// The smallest of sorted values that so many percent of them do not exceed; NaN if there is none.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    let value = sorted.get(rank.saturating_sub(1));
    value.copied().unwrap_or(f64::NAN)
}

/// When the offset first stayed below a threshold for [`HOLD_S`].
fn reached(observations: &[Observation], threshold_s: f64) -> f64 {
    let mut since = None;
    for o in observations {
        if o.offset_s.abs() >= threshold_s {
            since = None;
            continue;
        }
        let from_s = *since.get_or_insert(o.at_s);
        if o.at_s - from_s >= HOLD_S {
            return from_s;
        }
    }
    f64::INFINITY
}

#[expect(clippy::cast_precision_loss, reason = "counts of packets")]
fn mean_poll(report: &Report, host: &str, settle_s: f64) -> f64 {
    // To each server: how many requests, the first, the last.
    let mut servers: BTreeMap<SocketAddr, (usize, f64, f64)> = BTreeMap::new();
    let id = Some(report.id(host));
    for packet in report.world.packets() {
        let request = packet.from.port() != NTP_PORT || packet.to.port() == NTP_PORT;
        if packet.at_s >= settle_s && request && report.world.owner(packet.from.ip()) == id {
            let at_s = packet.at_s;
            let (count, _, last_s) = servers.entry(packet.to).or_insert((0, at_s, at_s));
            *count += 1;
            *last_s = at_s;
        }
    }
    let intervals: usize = servers.values().map(|(count, ..)| count - 1).sum();
    let total_s: f64 = servers.values().map(|(_, first, last)| last - first).sum();
    if intervals == 0 {
        return f64::NAN;
    }
    total_s / intervals as f64
}

/// The value in the middle, or the lower one of the two there; NaN if there is none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(offsets: &[f64]) -> Vec<Observation> {
        (1u32..)
            .zip(offsets)
            .map(|(i, &offset_s)| Observation {
                last_update: None,
                at_s: 20.0 * f64::from(i),
                offset_s,
                freq: 0.0,
                bound_s: None,
                estimate_s: offset_s,
            })
            .collect()
    }

    #[test]
    fn a_threshold_is_reached_when_the_offset_stays_below_it_for_a_minute() {
        let short = [1.0, 0.0, 0.0, 0.0];
        assert!(reached(&series(&short), 0.5).is_infinite());
        let broken = [1.0, 0.0, 0.0, 0.6, -0.1, 0.1, 0.1, 0.1, 1.0];
        assert!((reached(&series(&broken), 0.5) - 100.0).abs() < 1e-9);
        assert!(reached(&[], 0.5).is_infinite());
    }

    #[test]
    fn quantiles_and_medians() {
        let hundred: Vec<f64> = (1..=100u32).map(f64::from).collect();
        assert!((quantile(&hundred, 95) - 95.0).abs() < 1e-9);
        assert!((quantile(&hundred, 100) - 100.0).abs() < 1e-9);
        assert!(quantile(&[], 95).is_nan() && median(&[]).is_nan());
        assert!((median(&[3.0, f64::INFINITY, 1.0]) - 3.0).abs() < 1e-9);
        assert!((median(&[2.0, 1.0]) - 1.0).abs() < 1e-9);
    }
}
