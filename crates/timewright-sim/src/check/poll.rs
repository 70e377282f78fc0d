//! When sources may be asked: within their poll limits, in bursts no longer than allowed, and
//! never again only if they are offline.

use super::Place;
use super::steer::Moved;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use timewright_control::Request;
use timewright_core::engine::{Engine, SourceView};
use timewright_core::ids::SourceId;
use timewright_core::source::OperatingMode;
use timewright_time::{MonoTime, log2_to_seconds};

/// The monotonic clock may run this much faster than the estimate of UTC, by which polls are
/// counted: a slew of 83333 ppm and a frequency error.
const SHORTER: f64 = 0.85;
/// The longest wait for the next request, in poll intervals (a `RATE` kiss is four more, peers
/// wait a tenth longer, timers are spread by a fiftieth), and in seconds (bursts, extra requests,
/// separation from other sources).
const WAIT_INTERVALS: f64 = 6.0;
const WAIT_S: f64 = 10.0;
/// Requests of the burst at the start; and those sent before the count applies.
const IBURST_TOTAL: u32 = 8;
/// Longest wait inside a burst and after an extra request, s.
const BURST_INTERVAL_S: f64 = 2.0;

#[derive(Clone, Copy)]
struct Last {
    to: SocketAddr,
    at: MonoTime,
    plain: bool,
    /// Requests in the burst in progress, and how many it may still have.
    burst: u32,
    left: i32,
}

/// What is remembered of requests.
#[derive(Default)]
pub(super) struct Polling {
    last: BTreeMap<SourceId, Last>,
    /// Requests the longest burst an operator asked for may have.
    burst_max: u32,
    /// Sources that may be asked once out of turn: after a request of an operator, and when the
    /// clock was out of control.
    out_of_turn: BTreeSet<SourceId>,
    changed: bool,
}

impl Polling {
    pub(super) fn command(&mut self, request: &Request) {
        match request {
            Request::Burst(burst) => {
                let total = u32::try_from(burst.total).unwrap_or(0);
                self.burst_max = self.burst_max.max(total);
            }
            Request::Tracking | Request::Activity | Request::Dump => {}
            _ => self.changed = true,
        }
    }

    /// A packet found its way out. Only requests to sources count.
    pub(super) fn sent(
        &mut self,
        to: SocketAddr,
        packet: &[u8],
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let is_request = packet.first().is_some_and(|b| b & 7 == 3);
        let Some(source) = is_request
            .then(|| engine.sources().find(|s| s.remote == Some(to)))
            .flatten()
        else {
            return;
        };
        let at = place.node.clock.read().mono;
        let in_burst = in_burst(&source);
        let plain = !in_burst && !source.presending;
        let before = self
            .last
            .get(&source.id)
            .copied()
            .filter(|last| last.to == to);
        // A burst that starts anew has more left, or comes a poll interval later.
        let pause = 0.3 + 1.3 * BURST_INTERVAL_S.min(0.25 * log2_to_seconds(source.poll.current).0);
        let goes_on =
            before.filter(|last| source.burst_left <= last.left && (at - last.at).0 <= pause);
        let burst = goes_on.map_or(0, |last| last.burst);
        let burst = if in_burst { burst + 1 } else { 0 };
        place.check(
            burst <= self.burst_max.max(IBURST_TOTAL) + 1,
            "burst",
            format_args!("{burst} requests in one burst to {to}"),
        );
        if let Some(last) = before.filter(|_| !self.out_of_turn.remove(&source.id)) {
            let interval = log2_to_seconds(source.poll.min).0;
            let least = if plain && last.plain {
                interval
            } else {
                (0.25 * interval).min(BURST_INTERVAL_S)
            };
            let since = (at - last.at).0;
            place.check(
                since >= SHORTER * least,
                "poll interval",
                format_args!("{since} s between requests to {to}, {:?}", source.poll),
            );
        }
        let last = Last {
            to,
            at,
            plain,
            burst,
            left: source.burst_left,
        };
        self.last.insert(source.id, last);
    }

    pub(super) fn check(&mut self, moved: &Moved, engine: &Engine, place: &mut Place<'_>) {
        if moved.unknown || std::mem::take(&mut self.changed) {
            self.out_of_turn.extend(engine.sources().map(|s| s.id));
        }
        let now = place.node.clock.read().mono;
        for source in engine.sources() {
            let poll = source.poll;
            place.check(
                // Below a second only near sources are polled.
                (poll.min..=poll.max.max(0)).contains(&poll.current),
                "poll",
                format_args!("{poll:?} of {:?}", source.remote),
            );
            let polled = source.mode != OperatingMode::Offline
                && !source.suspended
                && source.remote.is_some();
            let longest = WAIT_S + WAIT_INTERVALS * log2_to_seconds(poll.max.max(0)).0;
            let wait = source.next_request.map(|at| (at - now).0);
            place.check(
                !polled || wait.is_some_and(|wait| wait <= longest),
                "polled",
                format_args!("the next request to {:?} is in {wait:?} s", source.remote),
            );
        }
    }
}

const fn in_burst(source: &SourceView) -> bool {
    matches!(
        source.mode,
        OperatingMode::BurstWasOffline | OperatingMode::BurstWasOnline
    )
}
