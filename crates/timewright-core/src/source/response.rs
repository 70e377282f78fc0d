//! Processing of responses (`ntp-engine.md` 5).

use crate::event::Event;
use crate::output::{Datagram, LogFile, Output, StampSource};
use crate::source::association::{After, Association, OperatingMode, Step};
use crate::source::config::AuthMethod;
use crate::source::env::{Env, MeasurementLog, StatsAction};
use crate::source::measure::{
    Inputs, Kind, LocalStamp, MAX_MONO_DOFFSET, MAX_ROOT_DISTANCE, Measurement, Tests, test_a,
    test_b, test_c,
};
use crate::source::record::MeasurementRecord;
use crate::stats::{PollQuestion, Sample};
use crate::timers::Timer;
use std::net::IpAddr;
use timewright_time::{
    Cooked, FreqRatio, NtpShort, NtpTimestamp, Seconds, Timestamp, log2_to_seconds,
};
use timewright_wire::{AuthMode, Header, Leap, MonoRoot, NetCorrection, Packet, refid};

/// Poll adjustment for a response that was not good.
const BAD_BACKOFF: f64 = 0.1;
/// The same if at least test D passed.
const UNFIT_BACKOFF: f64 = 0.02;
/// After a `RATE` kiss the next request waits this many intervals longer.
const KISS_RATE_INTERVALS: f64 = 4.0;

/// A packet as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rx: LocalStamp,
    pub(crate) local: Option<IpAddr>,
}

impl Received {
    pub(crate) fn new(datagram: &Datagram<'_>, env: &Env<'_>) -> Self {
        let (time, error) = env.clock.cook(datagram.stamp.time);
        Self {
            bytes: datagram.bytes.to_vec(),
            rx: LocalStamp {
                time,
                error,
                source: datagram.stamp.source,
                rx_duration: datagram.stamp.rx_duration,
                net_correction: datagram.stamp.net_correction,
            },
            local: datagram.local,
        }
    }
}

/// What follows the processing of a response.
#[derive(Debug)]
pub(crate) enum Then {
    Nothing,
    /// The transmit timer had fired.
    Transmit,
    /// Another response had come.
    Packet(Box<Received>),
}

impl Then {
    fn into_step(self) -> Option<Step> {
        match self {
            Self::Nothing => None,
            Self::Transmit => Some(Step::Transmit),
            Self::Packet(received) => Some(Step::Packet(received)),
        }
    }
}

impl Step {
    /// Follows a change of the clock: a packet that waits has its receive time moved.
    pub(crate) fn adjust(&mut self, when: Timestamp<Cooked>, dfreq: f64, doffset: Seconds) {
        let waiting = match self {
            Self::Judged(judged) | Self::Sampled(judged) => &mut judged.then,
            Self::Packet(received) => return received.rx.adjust(when, dfreq, doffset),
            Self::Transmit | Self::Sent(_) | Self::SentSampled(_) => return,
        };
        if let Then::Packet(received) = waiting {
            received.rx.adjust(when, dfreq, doffset);
        }
    }
}

/// A sample on its way to the statistics, as the poll adaptation sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    /// The offset against the prediction.
    error: Seconds,
    /// Its dispersion and half its delay.
    distance: Seconds,
}

/// A response and what was found out about it.
#[derive(Debug)]
pub(crate) struct Judged {
    header: Header,
    root_delay: Seconds,
    root_dispersion: Seconds,
    mono: Option<MonoRoot>,
    net_correction: Seconds,
    tests: Tests,
    interleaved: bool,
    kiss_rate: bool,
    measurement: Option<Measurement>,
    rx: LocalStamp,
    tx_source: StampSource,
    local: Option<IpAddr>,
    passed: Option<Passed>,
    then: Then,
}

impl Judged {
    fn sample(&self) -> Sample {
        self.measurement.map_or(
            Sample {
                time: self.rx.time,
                ..Sample::default()
            },
            |m| m.sample,
        )
    }
}

impl Association {
    /// Counts a packet of the source; all are, before any check.
    pub(crate) fn count_received(&mut self, source: StampSource) {
        self.report.total_rx = self.report.total_rx.wrapping_add(1);
        match source {
            StampSource::Daemon => {}
            StampSource::Kernel => self.report.kernel_rx += 1,
            StampSource::Hardware => self.report.hardware_rx += 1,
        }
    }

    /// Takes the saved response, if there is one.
    pub(crate) fn take_saved(&mut self, env: &mut Env<'_>) -> Option<Box<Received>> {
        env.timers.cancel(Timer::SavedResponse(self.id));
        self.saved.take()
    }

    /// Processes a response: tests, update of the state. What the statistics have to be told is
    /// queued; the rest waits for it.
    pub(crate) fn process(
        &mut self,
        received: &Received,
        was_saved: bool,
        then: Then,
        env: &mut Env<'_>,
    ) -> Option<Step> {
        self.undo = None;
        let Ok(packet) = Packet::parse(&received.bytes) else {
            return then.into_step();
        };
        let mut judged = self.judge(&packet, received, was_saved, then, env);
        if self.wants_hardware_stamp(&judged, was_saved, env) {
            if let Some(earlier) = self.take_saved(env) {
                // Two responses cannot wait: the first goes on now, this one after it.
                let next = Then::Packet(Box::new(received.clone()));
                return self.process(&earlier, true, next, env);
            }
            let at = env.now.mono + env.params.hw_timeout;
            env.timers.arm(Timer::SavedResponse(self.id), at);
            self.saved = Some(Box::new(received.clone()));
            return judged.then.into_step();
        }
        self.update_timestamps(&mut judged);
        if !judged.tests.valid() {
            self.log_measurement(&judged, env);
            return judged.then.into_step();
        }
        self.update_from_valid(&mut judged, env);
        Some(Step::Judged(Box::new(judged)))
    }

    /// Tests 1 to 7, and if they pass the measurement with tests A to D.
    fn judge(
        &self,
        packet: &Packet<'_>,
        received: &Received,
        was_saved: bool,
        then: Then,
        env: &Env<'_>,
    ) -> Judged {
        let x = &self.exchange;
        let header = packet.header;
        let mono = packet.mono_root.filter(|_| self.config.mono_root);
        let (root_delay, root_dispersion) = match mono {
            Some(mono) => (
                mono.root_delay.to_seconds(),
                mono.root_dispersion.to_seconds(),
            ),
            None => (
                header.root_delay.to_seconds(),
                header.root_dispersion.to_seconds(),
            ),
        };
        let net_correction = self.net_correction(packet);
        let basic = header.originate == x.local_ntp_tx;
        let interleaved = !basic && self.config.xleave && header.originate == x.local_ntp_rx;
        let known = [header.originate, header.receive, header.transmit];
        let mut tests = Tests {
            t1: header.receive != x.remote_rx || header.transmit != x.remote_tx,
            t2: basic || interleaved,
            t3: known.iter().all(|t| !t.is_zero()),
            t5: was_saved || self.is_authentic(packet, env),
            t6: header.leap != Leap::Unsynchronised && (1..=15).contains(&header.stratum),
            t7: root_delay / 2.0 + root_dispersion < MAX_ROOT_DISTANCE,
            ..Tests::default()
        };
        let measurement =
            (tests.synchronised() && (!interleaved || x.valid_timestamps)).then(|| {
                let (low, high) = env.stats.frequency_range(self.id);
                let inputs = Inputs {
                    exchange: x,
                    header: &header,
                    root_delay,
                    root_dispersion,
                    mono,
                    net_correction,
                    rx: received.rx,
                    interleaved,
                    precision: env.params.precision,
                    skew: FreqRatio((high.0 - low.0) / 2.0),
                    offset: self.config.offset,
                    era_s: env.params.era_s,
                };
                let m = inputs.measure();
                self.test_sample(&mut tests, &m, &inputs, received.local, env);
                m
            });
        Judged {
            header,
            root_delay,
            root_dispersion,
            mono,
            net_correction,
            tests,
            interleaved,
            kiss_rate: header.leap == Leap::Unsynchronised
                && header.stratum == 0
                && header.refid == refid::KISS_RATE,
            measurement,
            rx: received.rx,
            tx_source: x.local_tx.source,
            local: received.local,
            passed: None,
            then,
        }
    }

    /// Test 5. A packet authenticated in a way we did not ask for is as bad as one that is not.
    fn is_authentic(&self, packet: &Packet<'_>, env: &Env<'_>) -> bool {
        match (self.config.auth, packet.auth) {
            (AuthMethod::None, AuthMode::None) => true,
            (AuthMethod::Key(id), AuthMode::Symmetric) => packet
                .mac
                .as_ref()
                .zip(env.keys.get(id))
                .is_some_and(|(mac, key)| key.verify(packet.bytes(), packet.header.version, mac)),
            _ => false,
        }
    }

    fn net_correction(&self, packet: &Packet<'_>) -> Seconds {
        let registered = packet
            .net_correction_10a
            .filter(|_| self.config.net_correction_10a);
        let experimental = packet.net_correction.filter(|_| self.config.net_correction);
        registered
            .or(experimental)
            .map_or(Seconds::ZERO, NetCorrection::to_seconds)
    }

    fn test_sample(
        &self,
        tests: &mut Tests,
        m: &Measurement,
        inputs: &Inputs<'_>,
        local: Option<IpAddr>,
        env: &Env<'_>,
    ) {
        let config = &self.config;
        let max_clock_error = env.params.max_clock_error;
        let data = env.stats.delay_test_data(self.id, m.sample.time);
        tests.a = test_a(m, inputs, config, self.kind, self.presend_done);
        tests.b = test_b(
            &m.sample,
            data.as_ref(),
            config.maxdelayratio,
            max_clock_error,
        );
        tests.c = match &self.quantile {
            Some(quantile) => quantile.passes(m.sample.peer_delay),
            None => test_c(
                &m.sample,
                data.as_ref(),
                config.maxdelaydevratio,
                max_clock_error,
            ),
        };
        tests.d = !is_loop(inputs.header, local, env);
    }

    /// Whether to wait for a better transmit time. Before the first good response it is not worth
    /// it: a saved response counts as good at once and must not confirm a source.
    fn wants_hardware_stamp(&self, judged: &Judged, was_saved: bool, env: &Env<'_>) -> bool {
        judged.tests.synchronised()
            && !was_saved
            && !self.exchange.valid_rx
            && env.params.hw_timestamping
            && env.params.hw_timeout > Seconds::ZERO
            && self.exchange.local_tx.source != StampSource::Hardware
            && self.report.total_good > 0
    }

    /// Remembers the timestamps of a response, and sees to it that only the first response to a
    /// request counts (5.5).
    fn update_timestamps(&mut self, judged: &mut Judged) {
        let x = &mut self.exchange;
        let header = judged.header;
        let valid = judged.tests.valid();
        let newer = match self.kind {
            Kind::Client => !x.valid_rx,
            Kind::Peer => !x.valid_rx || header.transmit.is_after(x.remote_tx),
        };
        if valid && newer {
            x.remote_rx = header.receive;
            x.remote_tx = header.transmit;
            x.local_rx = judged.rx;
            x.valid_timestamps = judged.tests.synchronised();
            x.init_remote_tx = NtpTimestamp::ZERO;
            x.init_local_rx = LocalStamp::default();
            x.updated_init = false;
            match judged.mono.filter(|mono| !mono.receive.is_zero()) {
                Some(mono) => {
                    x.remote_mono_epoch = mono.epoch;
                    x.remote_mono_rx = mono.receive;
                    x.mono_doffset += judged.measurement.map_or(Seconds::ZERO, |m| m.mono_doffset);
                }
                None => {
                    x.remote_mono_epoch = 0;
                    x.remote_mono_rx = NtpTimestamp::ZERO;
                    x.mono_doffset = Seconds::ZERO;
                }
            }
            x.local_tx.net_correction = judged.net_correction;
            x.prev_local_tx = if judged.interleaved || !judged.tests.good() {
                x.local_tx
            } else {
                LocalStamp::default()
            };
        } else if self.kind == Kind::Peer
            && judged.tests.t1
            && judged.tests.t5
            && !header.transmit.is_zero()
            && (!x.updated_init || header.transmit.is_after(x.init_remote_tx))
        {
            x.init_remote_tx = header.transmit;
            x.init_local_rx = judged.rx;
            x.updated_init = true;
        }
        if x.valid_rx {
            judged.tests.t2 = false;
            judged.tests.t3 = false;
        } else if valid {
            x.valid_rx = true;
        }
    }

    /// Steps 1 to 4 of 5.5.
    fn update_from_valid(&mut self, judged: &mut Judged, env: &mut Env<'_>) {
        let header = judged.header;
        let synchronised = judged.tests.synchronised();
        let x = &mut self.exchange;
        x.remote_poll = i32::from(header.poll);
        x.remote_stratum = if header.stratum == 0 {
            16
        } else {
            header.stratum.min(16)
        };
        x.remote_root_delay = judged.root_delay;
        x.remote_root_dispersion = judged.root_dispersion;
        x.prev_local_poll = self.poll.current;
        x.prev_tx_count = x.tx_count;
        x.tx_count = 0;
        env.act(self.id, StatsAction::Reachability(synchronised));
        if self.config.copy {
            if synchronised && x.remote_stratum > 0 {
                x.remote_stratum -= 1;
                env.act(self.id, StatsAction::SetRefid(header.refid));
            } else {
                env.act(self.id, StatsAction::Reset);
            }
        }
        if synchronised {
            let stratum = i32::from(x.remote_stratum).max(self.config.minstratum);
            let stratum = u8::try_from(stratum).unwrap_or(u8::MAX);
            env.act(
                self.id,
                StatsAction::Status {
                    stratum,
                    leap: header.leap,
                },
            );
            if let (Some(quantile), Some(m)) = (&mut self.quantile, &judged.measurement) {
                quantile
                    .estimator
                    .accumulate(m.sample.peer_delay.0, env.rng);
            }
        }
        if judged.kiss_rate {
            let text = format_args!("Received KoD RATE from {}", self.address);
            env.out.log(Event::warning(text));
            if matches!(
                self.mode,
                OperatingMode::BurstWasOnline | OperatingMode::BurstWasOffline
            ) {
                self.burst_good = 0;
            }
        }
    }

    /// Step 5: the sample goes on, or the poll interval grows.
    pub(crate) fn pass_on(&mut self, mut judged: Box<Judged>, env: &mut Env<'_>) -> Step {
        judged.passed = if judged.tests.good() {
            self.pass_sample(judged.sample(), env)
        } else {
            self.adjust_poll(
                if judged.tests.d {
                    UNFIT_BACKOFF
                } else {
                    BAD_BACKOFF
                },
                env,
            );
            self.missing_sample(env)
        };
        Step::Sampled(judged)
    }

    /// A good sample: to the statistics, or to the filter.
    fn pass_sample(&mut self, sample: Sample, env: &mut Env<'_>) -> Option<Passed> {
        if let Some(filter) = &mut self.filter {
            filter.accumulate(sample);
            self.missing_sample(env)
        } else {
            Some(self.accumulate(sample, env))
        }
    }

    /// With a filter: one more poll is over. Enough of them give a sample, if there is any.
    pub(crate) fn missing_sample(&mut self, env: &mut Env<'_>) -> Option<Passed> {
        let filter = self.filter.as_mut()?;
        self.filter_count = self.filter_count.saturating_add(1);
        if self.filter_count < self.config.filter {
            return None;
        }
        let sample = filter.take()?;
        self.filter_count = 0;
        Some(self.accumulate(sample, env))
    }

    fn accumulate(&mut self, sample: Sample, env: &mut Env<'_>) -> Passed {
        // The prediction is positive when the clock is fast, the sample's offset when it is slow.
        let predicted = env.stats.predict_offset(self.id, sample.time);
        let mono_doffset = self.exchange.mono_doffset;
        if mono_doffset != Seconds::ZERO && mono_doffset.abs() <= MAX_MONO_DOFFSET {
            env.act(self.id, StatsAction::CorrectOffset(mono_doffset));
        }
        self.exchange.mono_doffset = Seconds::ZERO;
        env.act(self.id, StatsAction::Accumulate(sample));
        Passed {
            error: (sample.offset + predicted).abs(),
            distance: sample.peer_dispersion + sample.peer_delay / 2.0,
        }
    }

    /// After a sample was accumulated; returns how the score was moved.
    pub(crate) fn adjust_for_sample(&mut self, passed: &Passed, env: &Env<'_>) -> f64 {
        let question = PollQuestion {
            error: passed.error,
            distance: passed.distance,
            target: self.config.polltarget,
            poll: self.poll.current,
            limits: (self.poll.min, self.poll.max),
            score: self.poll.score,
        };
        let by = env.stats.poll_score(self.id, &question);
        self.adjust_poll(by, env);
        by
    }

    /// Steps 5 to 8: the rest, once the statistics and perhaps the clock have followed. Returns
    /// whether the response was good, and what comes next.
    pub(crate) fn finish_response(
        &mut self,
        mut judged: Box<Judged>,
        env: &mut Env<'_>,
    ) -> (bool, Option<Step>) {
        if let Some(passed) = judged.passed {
            self.adjust_for_sample(&passed, env);
        }
        let good = judged.tests.good();
        let in_burst = matches!(
            self.mode,
            OperatingMode::BurstWasOnline | OperatingMode::BurstWasOffline
        );
        if good && in_burst {
            self.burst_good -= 1;
            if self.burst_good <= 0 {
                self.end_burst(env);
            }
        }
        self.close_client_socket(env);
        self.report.local = judged.local;
        if self.mode != OperatingMode::Offline {
            let mut delay = self.transmit_delay(After::Reception, self.elapsed(env), env);
            if judged.kiss_rate {
                delay += log2_to_seconds(self.poll.current) * KISS_RATE_INTERVALS;
            }
            self.arm_transmit(delay, env);
        }
        self.update_report(&judged, env);
        self.log_measurement(&judged, env);
        let then = std::mem::replace(&mut judged.then, Then::Nothing);
        (good, then.into_step())
    }

    fn update_report(&mut self, judged: &Judged, env: &Env<'_>) {
        let header = &judged.header;
        let sample = judged.sample();
        let (tx, rx) = sources_used(judged);
        let report = &mut self.report;
        report.leap = header.leap;
        report.version = header.version;
        report.mode = header.mode;
        report.stratum = header.stratum;
        report.poll = header.poll;
        report.precision = header.precision;
        report.root_delay = judged.root_delay;
        report.root_dispersion = judged.root_dispersion;
        report.refid = header.refid;
        report.reference_time = header.reference;
        report.offset = sample.offset;
        report.peer_delay = sample.peer_delay;
        report.peer_dispersion = sample.peer_dispersion;
        report.response_time = judged
            .measurement
            .map_or(Seconds::ZERO, |m| m.response_time);
        report.jitter_asymmetry = env.stats.jitter_asymmetry(self.id);
        report.tests = judged.tests;
        report.interleaved = judged.interleaved;
        report.authenticated = self.config.auth.is_some();
        report.tx_source = Some(tx);
        report.rx_source = Some(rx);
        report.total_valid = report.total_valid.wrapping_add(1);
        if judged.tests.good() {
            report.total_good = report.total_good.wrapping_add(1);
        }
    }

    fn log_measurement(&self, judged: &Judged, env: &mut Env<'_>) {
        let wanted = match env.params.measurement_log {
            MeasurementLog::Off => false,
            MeasurementLog::Synchronised => judged.tests.synchronised(),
            MeasurementLog::All => true,
        };
        if !wanted {
            return;
        }
        let sample = judged.sample();
        let (tx_source, rx_source) = sources_used(judged);
        let record = MeasurementRecord {
            time: sample.time,
            address: self.address,
            leap: judged.header.leap,
            stratum: judged.header.stratum,
            tests: judged.tests,
            local_poll: self.poll.current,
            remote_poll: judged.header.poll,
            score: self.poll.score,
            offset: sample.offset,
            peer_delay: sample.peer_delay,
            peer_dispersion: sample.peer_dispersion,
            root_delay: judged.root_delay,
            root_dispersion: judged.root_dispersion,
            refid: judged.header.refid,
            mode: judged.header.mode,
            interleaved: judged.interleaved,
            tx_source,
            rx_source,
        };
        env.out.push(Output::LogRecord {
            file: LogFile::Measurements,
            line: record.to_string(),
        });
    }
}

/// Who made the transmit and the receive time a response was measured with.
fn sources_used(judged: &Judged) -> (StampSource, StampSource) {
    judged
        .measurement
        .map_or((judged.tx_source, judged.rx.source), |m| {
            (m.tx.source, m.rx.source)
        })
}

/// Test D fails: the source follows us, or is us.
fn is_loop(header: &Header, local: Option<IpAddr>, env: &Env<'_>) -> bool {
    let ours = env.reference;
    if !env.sockets.any_server() || !ours.normal_mode {
        return false;
    }
    let follows_us =
        header.stratum > 1 && local.is_some_and(|ip| refid::of_address(ip) == header.refid);
    let is_us = header.stratum == ours.stratum
        && header.refid == ours.refid
        && header.root_delay == NtpShort::from_seconds(ours.root_delay)
        && !header.reference.is_zero()
        && header.reference == NtpTimestamp::from_timestamp(ours.reference_time);
    follows_us || is_us
}
