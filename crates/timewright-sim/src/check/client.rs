//! Which answers may be believed: one to each request, that says it is of a synchronised clock
//! near enough; and what is made of an answer of an honest server is true within half its delay.

use super::packet::{self, Claim, field};
use super::steer::Moved;
use super::{Place, corrects_quietly};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use timewright_control::Request;
use timewright_core::engine::{AnswersView, Engine, SourceView};
use timewright_core::ids::SourceId;
use timewright_core::source::{OperatingMode, SourceConfig};
use timewright_time::{MonoTime, Raw, Seconds, Timestamp, log2_to_seconds};

/// Root distance beyond which no server is believed (RFC 5905: MAXDISP), s.
const DISTANCE_MAX_S: f64 = 16.0;
/// Longest time a server may take to answer, s.
const ANSWER_MAX_S: f64 = 4.0;
/// Requests without anything heard after which nothing is left in the register of eight, with one
/// that may be under way and one to spare.
const UNHEARD_MAX: u32 = 10;
/// Requests after which no time stamp from before is used any more: the one before the last.
const EXCHANGES: u32 = 3;
/// What a clock may do besides its constant rate error, s/s; and resolution of times, s.
const WANDER: f64 = 2e-6;
const RESOLUTION_S: f64 = 1e-6;
/// A change of the frequency as large is a fast slew, or the end of one.
const FAST: f64 = 1e-3;
/// Resolution of root delay and dispersion in packets, s.
const TOLD_RESOLUTION_S: f64 = 2.0 / 65_536.0;
/// A `RATE` kiss asks for a pause of four more poll intervals; they are measured by the estimate of
/// UTC and spread by a fiftieth.
const KISS_INTERVALS: f64 = 4.0;
const SHORTER: f64 = 0.85;
/// NTP time starts again after so long, s.
const ERA_S: f64 = 4_294_967_296.0;
/// Where a leap second may disturb, s.
const NEAR_MIDNIGHT_S: i64 = 10;

/// A request, as it was on the network.
#[derive(Clone, Copy)]
struct Asked {
    receive: u64,
    transmit: u64,
    at: Timestamp<Raw>,
    /// An extra one that only wakes up the path.
    extra: bool,
}

/// What is known of the exchange with a source.
struct Exchange {
    to: SocketAddr,
    latest: Asked,
    before: Option<Asked>,
    /// The latest request has an answer that was believed.
    answered: bool,
    /// Something came that looks like an answer to it.
    heard: bool,
    /// Requests since anything was heard.
    unheard: u32,
    /// Requests since the clock or the answers were last out of control.
    undisturbed: u32,
    /// Distance to the primary source that the last answer told.
    claimed: Option<f64>,
    /// When a kiss came, and the poll interval then, log2 s.
    kissed: Option<(MonoTime, i32)>,
}

/// What is remembered of requests and answers.
#[derive(Default)]
pub(super) struct Listening {
    exchanges: BTreeMap<SourceId, Exchange>,
    /// The source that may have been heard, as it was before.
    hearing: Option<(SourceView, AnswersView)>,
    /// By how much the last step changed the frequency, s/s.
    turned: f64,
    /// Settings may not be those of the configuration any more.
    commanded: bool,
}

impl Listening {
    pub(super) fn command(&mut self, request: &Request) {
        if !matches!(
            request,
            Request::Tracking | Request::Activity | Request::Dump
        ) {
            self.commanded = true;
            self.forgive();
        }
    }

    /// Somebody moved the clock, or it was not watched.
    pub(super) fn disturbed(&mut self) {
        self.forgive();
        for exchange in self.exchanges.values_mut() {
            exchange.undisturbed = 0;
            exchange.unheard = 0;
        }
    }

    /// Sources may be asked out of turn.
    fn forgive(&mut self) {
        for exchange in self.exchanges.values_mut() {
            exchange.kissed = None;
        }
    }

    pub(super) fn check(&mut self, moved: &Moved) {
        self.turned = 1.0 - moved.rate;
        // Samples follow a change of the frequency as if that were small.
        if moved.unknown || self.turned.abs() > FAST {
            self.disturbed();
        }
    }

    /// A packet found its way out. Only requests to servers count.
    pub(super) fn sent(
        &mut self,
        to: SocketAddr,
        bytes: &[u8],
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let is_request = Claim::read(bytes).is_some_and(|c| c.mode == packet::MODE_CLIENT);
        let Some(source) = is_request
            .then(|| engine.sources().find(|s| s.remote == Some(to)))
            .flatten()
        else {
            return;
        };
        let now = place.node.clock.read();
        let asked = Asked {
            receive: field(bytes, packet::RECEIVE),
            transmit: field(bytes, packet::TRANSMIT),
            at: now.raw,
            extra: source.presending,
        };
        let old = self.exchanges.remove(&source.id).filter(|x| x.to == to);
        let exchange = Exchange {
            to,
            latest: asked,
            before: old.as_ref().map(|x| x.latest),
            answered: false,
            heard: false,
            unheard: old.as_ref().map_or(0, |x| x.unheard) + 1,
            undisturbed: old.as_ref().map_or(0, |x| x.undisturbed) + 1,
            claimed: old.as_ref().and_then(|x| x.claimed),
            kissed: None,
        };
        if let Some((kissed, poll)) = old.and_then(|x| x.kissed) {
            // The interval may have become shorter with the sample filter's answer to the kiss.
            let interval = log2_to_seconds(poll.min(source.poll.current)).0;
            let until = kissed + Seconds(SHORTER * KISS_INTERVALS * interval);
            place.check(
                now.mono >= until,
                "kiss",
                format_args!(
                    "{to} is asked {} s too early after a kiss",
                    (until - now.mono).0
                ),
            );
        }
        let reach = engine.answers(source.id).map_or(0, |answers| answers.reach);
        place.check(
            exchange.unheard <= UNHEARD_MAX || reach == 0,
            "reach",
            format_args!("{reach:08b} after {} requests to {to}", exchange.unheard),
        );
        self.exchanges.insert(source.id, exchange);
    }

    /// A packet that is no request has come, and is about to be given to the engine.
    pub(super) fn hears(&mut self, from: SocketAddr, engine: &Engine) {
        let source = engine.sources().find(|s| s.remote == Some(from));
        self.hearing = source
            .filter(|source| !source.is_peer)
            .and_then(|source| Some((source, engine.answers(source.id)?)));
    }

    /// It was given to the engine; it is `intact` if it came as it was sent.
    pub(super) fn heard(
        &mut self,
        bytes: &[u8],
        intact: bool,
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let Some((source, before)) = self.hearing.take() else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(&source.id) else {
            return;
        };
        let (Some(after), Some(config)) =
            (engine.answers(source.id), engine.source_config(source.id))
        else {
            return;
        };
        exchange.unheard = 0;
        if !intact || near_midnight(exchange, place.node.clock.read().raw) {
            exchange.undisturbed = 0;
        }
        let claim = Claim::read(bytes);
        let believed = after.good != before.good;
        // At the end of a burst it may have gone offline, which forgets the register.
        let is_offline = engine
            .sources()
            .any(|s| s.id == source.id && s.mode == OperatingMode::Offline);
        // What the estimate is made of may be replaced, but not changed in these two.
        let identity = |view: &AnswersView| view.newest.map(|s| (s.original_offset, s.peer_delay));
        let sampled = identity(&after) != identity(&before) && after.newest.is_some();
        if believed {
            let serves = !self.commanded;
            let unfit = unfit(bytes, exchange, config, serves, place);
            place.check(
                unfit.is_none() && !source.presending,
                "believed",
                format_args!(
                    "{}: {} of {source:?}",
                    exchange.to,
                    unfit.unwrap_or("an extra one")
                ),
            );
            place.check(
                after.reach == (before.reach << 1 | 1) || (after.reach == 0 && is_offline),
                "reach",
                format_args!("{:08b} to {:08b} by an answer", before.reach, after.reach),
            );
        } else {
            place.check(
                !sampled || config.filter > 0,
                "believed",
                format_args!("a sample of what was not believed: {:?}", after.newest),
            );
        }
        if let (true, Some(claim), false) = (believed, claim, config.copy) {
            let told = i32::from(claim.stratum).max(config.minstratum);
            let taken = engine
                .identity(source.id)
                .map(|(stratum, _)| i32::from(stratum));
            place.check(
                taken.is_none_or(|taken| taken == told || taken == 0),
                "stratum",
                format_args!("{taken:?} of {}, which told {told}", exchange.to),
            );
        }
        if believed && sampled && config.filter == 0 && !config.mono_root {
            let told = claim.map_or(0.0, |claim| claim.distance_s());
            let least = exchange.claimed.map_or(told, |before| told.min(before));
            let sample = after
                .newest
                .map_or(0.0, |s| s.root_delay / 2.0 + s.root_dispersion);
            place.check(
                sample >= least - TOLD_RESOLUTION_S,
                "distance",
                format_args!("{sample} s, but {} told {least}", exchange.to),
            );
        }
        if sampled {
            Self::sample(
                exchange,
                config,
                (&before, &after),
                self.turned,
                engine,
                place,
            );
        }
        let kiss = claim.filter(|claim| {
            claim.leap == packet::LEAP_UNSYNCHRONISED
                && claim.stratum == 0
                && claim.ref_id == packet::RATE
                && claim.mode == packet::MODE_SERVER
                && bytes.len() == packet::LEN
                && (1..=4).contains(&claim.version)
                && is_answer(bytes, exchange, config)
                && field(bytes, packet::RECEIVE) != 0
                && field(bytes, packet::TRANSMIT) != 0
                && !exchange.heard
        });
        if kiss.is_some() {
            exchange.kissed = Some((place.node.clock.read().mono, source.poll.current));
        }
        exchange.heard |= is_answer(bytes, exchange, config);
        exchange.answered |= believed || kiss.is_some();
        if let Some(told) = claim.map(|claim| claim.distance_s()) {
            if believed {
                exchange.claimed = Some(told);
            } else if is_answer(bytes, exchange, config) {
                // In interleaved mode a sample may be made of what this one told.
                let least = exchange.claimed.map_or(told, |before| told.min(before));
                exchange.claimed = Some(least);
            }
        }
    }

    /// A new sample, of the answer just heard or of those in the filter.
    fn sample(
        exchange: &mut Exchange,
        config: &SourceConfig,
        (before, after): (&AnswersView, &AnswersView),
        turned: f64,
        engine: &Engine,
        place: &mut Place<'_>,
    ) {
        let Some(sample) = after.newest else { return };
        place.check(
            sample.peer_delay - sample.peer_dispersion <= config.maxdelay * (1.0 + 1e-9)
                || config.mindelay > 0.0,
            "maxdelay",
            format_args!("{sample:?} of {}", exchange.to),
        );
        place.check(
            sample.root_delay >= sample.peer_delay.min(config.maxdelay)
                && sample.root_dispersion >= sample.peer_dispersion,
            "distance",
            format_args!("to the primary source nearer than to the next: {sample:?}"),
        );
        if let Some((count, least, most)) = before.waiting.filter(|_| config.filter <= 4) {
            let rounding = 1e-9 + 1e-12 * (least.abs() + most.abs());
            let inside = (least - rounding..=most + rounding).contains(&sample.original_offset);
            place.check(
                count < 2 || inside || config.mono_root,
                "filter",
                format_args!(
                    "{} of {count} from {least} to {most}",
                    sample.original_offset
                ),
            );
        }
        let used = EXCHANGES + 2 * config.filter;
        if exchange.undisturbed < used || !place.net.is_truthful(exchange.to.ip()) {
            return;
        }
        if corrects_quietly(&place.node.setup.config) {
            return;
        }
        // The truth at the time of the sample, on the scale of today.
        let now = place.node.clock.read();
        let clock = engine.clock_view();
        let correction = engine.estimate(now).correction;
        let cooked = now.raw.cook(correction);
        let error = place.node.clock.offset() - place.net.leaps_s() + correction.0;
        let rate = (1.0 + place.node.clock.frequency_error()) * (1.0 + clock.slew_rate) - 1.0;
        let age = (cooked - sample.time).0;
        let truth = error - rate * age;
        // Packets do not tell the era.
        let wrong = sample.offset + config.offset.0 - truth;
        let wrong = wrong - ERA_S * (wrong / ERA_S).round();
        // Delays are measured by a clock that may have been as wrong as this.
        let strain = turned.abs() + clock.slew_rate.abs() + rate.abs();
        let bent = 2.0 * strain * strain;
        let wander = WANDER + bent + place.node.setup.clock.restlessness(age);
        let allowed = sample.peer_delay * (0.5 + strain)
            + sample.peer_dispersion
            + RESOLUTION_S
            + wander * age.abs();
        place.check(
            wrong.abs() <= allowed,
            "sample",
            format_args!(
                "{wrong:e} s from the truth ({allowed:e} allowed, {age} s ago): {sample:?} of {}",
                exchange.to
            ),
        );
    }
}

/// Whether a leap second may have moved a clock since the time stamps that may be in use.
fn near_midnight(exchange: &Exchange, now: Timestamp<Raw>) -> bool {
    const DAY_S: i64 = 86_400;
    let since = exchange.before.map_or(exchange.latest.at, |asked| asked.at);
    (since.sec() - NEAR_MIDNIGHT_S).div_euclid(DAY_S)
        != (now.sec() + NEAR_MIDNIGHT_S).div_euclid(DAY_S)
}

/// Whether the packet answers the latest request.
fn is_answer(bytes: &[u8], exchange: &Exchange, config: &SourceConfig) -> bool {
    let origin = field(bytes, packet::ORIGIN);
    let of = |stamp: u64| stamp != 0 && origin == stamp;
    of(exchange.latest.transmit) || (config.xleave && of(exchange.latest.receive))
}

/// Why a packet must not be believed, if it must not.
fn unfit(
    bytes: &[u8],
    exchange: &Exchange,
    config: &SourceConfig,
    serves: bool,
    place: &Place<'_>,
) -> Option<&'static str> {
    let Some(claim) = Claim::read(bytes) else {
        return Some("too short");
    };
    let [receive, transmit] = [packet::RECEIVE, packet::TRANSMIT].map(|at| field(bytes, at));
    let basic = field(bytes, packet::ORIGIN) == exchange.latest.transmit;
    let took = packet::seconds_between(receive, transmit).abs();
    let own = place.node.setup.addresses.iter().any(|own| match own {
        std::net::IpAddr::V4(own) => own.to_bits() == claim.ref_id,
        std::net::IpAddr::V6(_) => false,
    });
    // The reference id is that of the address of ours that the answer came to.
    let setup = &place.node.setup.config;
    // A one-shot correction at the start has no sources to serve from.
    let serves = serves
        && setup.initstepslew.is_none()
        && exchange.to.is_ipv4()
        && !setup.server.access.is_empty();
    let reasons = [
        (claim.mode != packet::MODE_SERVER, "not an answer"),
        (!(1..=4).contains(&claim.version), "version"),
        (claim.leap == packet::LEAP_UNSYNCHRONISED, "unsynchronised"),
        (!(1..=15).contains(&claim.stratum), "stratum"),
        (
            !config.mono_root && claim.distance_s() >= DISTANCE_MAX_S,
            "too far from the primary source",
        ),
        (receive == 0 || transmit == 0, "without time"),
        (!is_answer(bytes, exchange, config), "answers no request"),
        (exchange.answered, "the second answer to a request"),
        (exchange.latest.extra, "an answer to an extra request"),
        (basic && took > ANSWER_MAX_S, "took too long"),
        (serves && own && claim.stratum > 1, "it follows us"),
    ];
    reasons.iter().find(|(bad, _)| *bad).map(|(_, why)| *why)
}
