//! What others may be told: answers to requests only, never longer ones, and the time as it is
//! estimated, which goes back by recorded corrections only.

use super::steer::Moved;
use super::{Before, Place};
use std::collections::BTreeMap;
use timewright_control::Request;
use timewright_core::engine::Engine;
use timewright_time::{Cooked, NtpTimestamp, Timestamp};

/// Resolution of time in packets and its random bits, s: 2^-23 and rounding.
const STAMP_TOLERANCE_S: f64 = 2.5e-7;
/// A transmit time kept for interleaved mode is that of the moment it was sent, but in the scale
/// of its receive time.
const SAVED_TOLERANCE_S: f64 = 1e-6;
/// Smoothing leaves out offsets the clock cannot resolve, s, and rounds.
const SMOOTHING_TOLERANCE_S: f64 = 2.5e-7;
const ROUNDING_S: f64 = 8e-9;
/// Exchanges remembered.
const KEPT: usize = 4096;

const MODE_PASSIVE: u8 = 2;
const MODE_SERVER: u8 = 4;
const MODE_BROADCAST: u8 = 5;

/// What is remembered of what was served.
#[derive(Default)]
pub(super) struct Serving {
    /// The last transmit time, and how far later ones may lie before it.
    last: Option<Timestamp<Cooked>>,
    back_s: f64,
    /// When responses really left, by receive field.
    sent: BTreeMap<u64, Timestamp<Cooked>>,
    smoothing_changed: bool,
}

impl Serving {
    /// Somebody else may have moved the clock.
    pub(super) fn disturbed(&mut self, by_s: f64) {
        self.back_s += by_s.abs();
    }

    pub(super) fn command(&mut self, request: &Request) {
        if matches!(request, Request::SmoothTime(_)) {
            self.smoothing_changed = true;
        }
    }

    /// Served time jumps only as far as the estimate does.
    pub(super) fn check(
        &mut self,
        before: &Before,
        moved: &Moved,
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let jump = (engine.served_time(place.node.clock.read()) - before.served).0;
        if moved.changes > 0 || jump < 0.0 {
            self.back_s += jump.min(0.0).abs();
        }
        let told = !super::corrects_quietly(&place.node.setup.config);
        let quiet = told && moved.changes == 0 && !self.smoothing_changed;
        place.check(
            !quiet || jump.abs() <= SMOOTHING_TOLERANCE_S,
            "served time",
            format_args!("jumped by {jump} s without a change of the clock"),
        );
        let smoothed = place.node.setup.config.server.smooth_time.is_some();
        if told && !smoothed && !moved.unknown {
            let unrecorded = (jump + moved.corrected_s).abs();
            let scale = jump.abs() + before.clock.outstanding.0.abs();
            // A leap second is told before the clock follows it, or instead.
            let leap = (unrecorded - 1.0).abs() < 1e-3;
            place.check(
                unrecorded <= ROUNDING_S + 1e-12 * scale || leap,
                "served time",
                format_args!("jumped by {jump} s at {moved:?}"),
            );
        }
        self.smoothing_changed = false;
        if moved.unknown {
            self.last = None;
            self.sent.clear();
        }
    }

    /// Looks at a packet that is an answer, or that nobody asked for.
    pub(super) fn answered(
        &mut self,
        response: &[u8],
        request: Option<&[u8]>,
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let mode = response.first().map_or(0, |b| b & 7);
        if mode != MODE_SERVER && mode != MODE_BROADCAST && mode != MODE_PASSIVE {
            return;
        }
        if mode == MODE_SERVER {
            let Some(request) = request else {
                place.violated("unasked", format_args!("a response without a request"));
                return;
            };
            place.check(
                response.len() <= request.len(),
                "amplification",
                format_args!("{} bytes answered with {}", request.len(), response.len()),
            );
            let (asked, version) = request.first().map_or((0, 0), |b| (b & 7, b >> 3 & 7));
            // Version 1 has no modes: its requests have zero.
            place.check(
                asked == 3 || (asked == 0 && version == 1),
                "unasked",
                format_args!("a packet of mode {asked} was answered"),
            );
        }
        if mode != MODE_PASSIVE {
            self.transmit_time(response, request, mode, engine, place);
        }
    }

    fn transmit_time(
        &mut self,
        response: &[u8],
        request: Option<&[u8]>,
        mode: u8,
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let [originate, receive, transmit] = [24, 32, 40].map(|at| field(response, at));
        let served = engine.served_time(place.node.clock.read());
        let era = served.sec() - (1 << 31);
        let stamp = |field: u64| NtpTimestamp(field).to_timestamp(era);
        if transmit == 0 {
            return;
        }
        let basic = mode == MODE_BROADCAST
            || request.is_some_and(|request| originate == field(request, 40));
        if !basic {
            if let Some(&sent) = self.sent.get(&originate) {
                let wrong = (stamp(transmit) - sent).0;
                place.check(
                    wrong.abs() <= SAVED_TOLERANCE_S,
                    "interleaved",
                    format_args!("transmit time of the answer before is wrong by {wrong:e} s"),
                );
            }
        } else {
            let wrong = (stamp(transmit) - served).0;
            place.check(
                wrong.abs() <= STAMP_TOLERANCE_S,
                "transmit time",
                format_args!("{wrong:e} s from served time"),
            );
            if let Some(last) = self.last {
                let back = (last - stamp(transmit)).0;
                place.check(
                    back <= self.back_s + STAMP_TOLERANCE_S,
                    "served time",
                    format_args!("went back by {back} s, {} allowed", self.back_s),
                );
            }
            self.last = Some(stamp(transmit));
            self.back_s = 0.0;
        }
        if receive != 0 && mode == MODE_SERVER {
            if self.sent.len() >= KEPT {
                self.sent.pop_first();
            }
            self.sent.insert(receive, served);
        }
    }
}

fn field(packet: &[u8], at: usize) -> u64 {
    packet
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}
