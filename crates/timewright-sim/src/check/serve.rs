//! What others may be told: answers to requests only, never longer ones, and the time as it is
//! estimated, which goes back by recorded corrections only.

use super::packet::{self, Claim, MODE_SERVER};
use super::steer::Moved;
use super::{Before, Place};
use std::collections::BTreeMap;
use std::net::IpAddr;
use timewright_config::{Config, LocalSpec};
use timewright_control::Request;
use timewright_core::engine::{Engine, SourceView};
use timewright_core::reference::Leap;
use timewright_core::server::snapshot::ReferenceState;
use timewright_time::{Cooked, MonoTime, NtpTimestamp, Timestamp};

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
const MODE_BROADCAST: u8 = 5;

/// What is remembered of what was served.
pub(super) struct Serving {
    /// The last transmit time, and how far later ones may lie before it.
    last: Option<Timestamp<Cooked>>,
    back_s: f64,
    /// When responses really left, by receive field.
    sent: BTreeMap<u64, Timestamp<Cooked>>,
    smoothing_changed: bool,
    /// Name of the scale of time that corrections do not move, and our corrections since it began;
    /// the name is learnt with the first packet that tells it.
    scale: Option<u32>,
    corrected_s: f64,
    /// The `local` directive, as long as no command changed it; whether its `activate` was reached,
    /// and since when there is no synchronisation.
    local: Option<LocalSpec>,
    local_changed: bool,
    activated: bool,
    lost: Option<MonoTime>,
    last_update: Option<MonoTime>,
    /// Stratum and reference id of the source of the last update, if it was a server.
    followed: Option<(u8, u32)>,
}

impl Serving {
    pub(super) fn new(config: &Config, now: MonoTime) -> Self {
        Self {
            last: None,
            back_s: 0.0,
            sent: BTreeMap::new(),
            smoothing_changed: false,
            scale: None,
            corrected_s: 0.0,
            local: config.server.local,
            local_changed: false,
            activated: false,
            lost: Some(now),
            last_update: None,
            followed: None,
        }
    }

    /// Somebody else may have moved the clock.
    pub(super) fn disturbed(&mut self, by_s: f64) {
        self.back_s += by_s.abs();
    }

    pub(super) fn command(&mut self, request: &Request) {
        match request {
            Request::SmoothTime(_) => self.smoothing_changed = true,
            // Time set by hand ends the synchronisation, but not from that moment on.
            Request::Local(_) | Request::SetTime(_) => self.local_changed = true,
            _ => {}
        }
    }

    /// What is told of the reference is that of the source followed last or, by its rules, the
    /// local one.
    fn reference(&mut self, engine: &Engine, place: &mut Place<'_>) {
        let now = place.node.clock.read();
        let last_update = engine.clock_view().last_update;
        if last_update != self.last_update {
            self.last_update = last_update;
            let selected = engine.sources().find(|s| s.selected && !s.is_peer);
            let copies = |s: &SourceView| engine.source_config(s.id).is_some_and(|c| c.copy);
            self.followed = selected.and_then(|s| {
                let (stratum, ref_id) = engine.identity(s.id)?;
                match s.remote?.ip() {
                    IpAddr::V4(ip) if !copies(&s) => Some((stratum, ip.to_bits())),
                    _ => Some((stratum, ref_id)),
                }
            });
        }
        let state = engine.reference_state();
        let told = engine.served_reference(now);
        let cooked = now.raw.cook(engine.estimate(now).correction);
        let distance = distance_s(&state, cooked);
        let synchronised = matches!(state, ReferenceState::Synchronised { .. });
        self.lost = (!synchronised).then(|| self.lost.unwrap_or(now.mono));
        if let Some(local) = &self.local {
            self.activated |= distance.is_some_and(|d| d < local.activate.0);
        }
        // A copied id may be that of another's local reference.
        if told.ref_id == packet::LOCAL && !told.synchronised {
            let allowed = self.local_changed || self.allows_local(&state, cooked, now.mono);
            place.check(
                allowed,
                "local reference",
                format_args!("{told:?} by {:?}, {state:?}", self.local),
            );
        } else if told.synchronised {
            let right = self.followed.is_none_or(|(stratum, ref_id)| {
                told.ref_id == ref_id && told.stratum == stratum.saturating_add(1)
            });
            // The source may have got another id or stratum since; time set by hand has none.
            place.check(
                right,
                "reference",
                format_args!("{told:?} although {:?} is followed", self.followed),
            );
        } else {
            place.check(
                told.leap == Leap::Unsynchronised && told.stratum == 16,
                "reference",
                format_args!("{told:?} without any"),
            );
        }
    }

    fn allows_local(&self, state: &ReferenceState, at: Timestamp<Cooked>, mono: MonoTime) -> bool {
        let Some(local) = &self.local else {
            return false;
        };
        let waited = match *state {
            ReferenceState::Synchronised { ref_time, .. } => {
                at - ref_time >= local.waitsynced
                    && distance_s(state, at).is_some_and(|d| d > local.distance.0)
            }
            ReferenceState::Unsynchronised { .. } => self
                .lost
                .is_some_and(|lost| mono - lost >= local.waitunsynced),
        };
        waited && (self.activated || local.activate.0 == 0.0)
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
        self.reference(engine, place);
        self.smoothing_changed = false;
        self.corrected_s += moved.corrected_s;
        if moved.unknown || moved.stepped_s != 0.0 || !moved.steps.is_empty() {
            self.corrected_s = f64::NAN;
        }
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
        let claim = Claim::read(response);
        if let Some(claim) = claim.filter(|c| mode != MODE_PASSIVE && c.ref_id != packet::RATE) {
            claims(&claim, engine, place);
        }
        if let Some(request) = request.filter(|_| mode == MODE_SERVER) {
            answers(response, request, engine, place);
        }
        if mode == MODE_SERVER {
            self.steady_scale(response, place);
        }
        if mode != MODE_PASSIVE {
            self.transmit_time(response, request, mode, engine, place);
        }
    }

    /// The experimental field with a receive time that our corrections do not move: as long as the
    /// scale has the same name, it differs from the other receive time by what was corrected.
    fn steady_scale(&mut self, response: &[u8], place: &mut Place<'_>) {
        let Some((steady, name)) = packet::steady_receive(response) else {
            return;
        };
        let differs = packet::seconds_between(packet::field(response, packet::RECEIVE), steady);
        if self.corrected_s.is_nan() || self.scale.is_none() {
            place.check(
                self.scale != Some(name),
                "steady scale",
                format_args!("has the same name {name:x} after a step"),
            );
            self.scale = Some(name);
            self.corrected_s = differs;
        }
        let wrong = differs - self.corrected_s;
        place.check(
            self.scale == Some(name) && wrong.abs() <= SAVED_TOLERANCE_S,
            "steady scale",
            format_args!("{name:x} is wrong by {wrong:e} s"),
        );
    }

    fn transmit_time(
        &mut self,
        response: &[u8],
        request: Option<&[u8]>,
        mode: u8,
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let [originate, receive, transmit] = [packet::ORIGIN, packet::RECEIVE, packet::TRANSMIT]
            .map(|at| packet::field(response, at));
        let served = engine.served_time(place.node.clock.read());
        let era = served.sec() - (1 << 31);
        let stamp = |field: u64| NtpTimestamp(field).to_timestamp(era);
        if transmit == 0 {
            return;
        }
        let basic = mode == MODE_BROADCAST
            || request.is_some_and(|request| originate == packet::field(request, packet::TRANSMIT));
        if !basic {
            // The request names the answer it asks about by its receive time.
            let about = request.map_or(0, |request| packet::field(request, packet::ORIGIN));
            place.check(
                self.sent.contains_key(&about) || self.sent.len() >= KEPT,
                "interleaved",
                format_args!("the time of an answer that was never given, or in another time"),
            );
            if let Some(&sent) = self.sent.get(&about) {
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

/// Half the delay to the primary source and the dispersion, s.
fn distance_s(state: &ReferenceState, at: Timestamp<Cooked>) -> Option<f64> {
    match *state {
        ReferenceState::Synchronised {
            ref_time,
            root_delay,
            root_dispersion,
            dispersion_rate,
            ..
        } => {
            let grown = if ref_time.is_zero() {
                1.0
            } else {
                root_dispersion.0 + (at - ref_time).0.abs() * dispersion_rate.0
            };
            Some(root_delay.0 / 2.0 + grown)
        }
        ReferenceState::Unsynchronised { .. } => None,
    }
}

/// A packet says what is known of the reference.
fn claims(claim: &Claim, engine: &Engine, place: &mut Place<'_>) {
    let told = engine.served_reference(place.node.clock.read());
    let stratum = if told.stratum > 15 { 0 } else { told.stratum };
    let least = (told.root_delay * 0.5 + told.root_dispersion).0;
    let smooths = place.node.setup.config.server.smooth_time.is_some();
    let unsynchronised = claim.leap == packet::LEAP_UNSYNCHRONISED;
    place.check(
        claim.stratum == stratum
            && (claim.ref_id == told.ref_id || (smooths && claim.ref_id == packet::SMOOTHED))
            && unsynchronised == (told.leap == Leap::Unsynchronised)
            && claim.distance_s() >= least * (1.0 - 1e-9),
        "claims",
        format_args!("{claim:?}, but {told:?}"),
    );
}

/// A response belongs to its request, and says when that came.
fn answers(response: &[u8], request: &[u8], engine: &Engine, place: &mut Place<'_>) {
    let origin = packet::field(response, packet::ORIGIN);
    let asked = [packet::TRANSMIT, packet::RECEIVE].map(|at| packet::field(request, at));
    place.check(
        asked.contains(&origin),
        "origin",
        format_args!("{origin:x} is none of {asked:x?}"),
    );
    let version = |bytes: &[u8]| bytes.first().map(|first| first >> 3 & 7);
    place.check(
        version(response) == version(request),
        "version",
        format_args!(
            "{:?} answered with {:?}",
            version(request),
            version(response)
        ),
    );
    let served = engine.served_time(place.node.clock.read());
    let receive = NtpTimestamp(packet::field(response, packet::RECEIVE));
    let wrong = (receive.to_timestamp(served.sec() - (1 << 31)) - served).0;
    place.check(
        wrong.abs() <= STAMP_TOLERANCE_S,
        "receive time",
        format_args!("{wrong:e} s from served time"),
    );
}
