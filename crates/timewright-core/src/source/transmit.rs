//! Sending requests (`ntp-engine.md` 3.4 and 4).

use crate::ids::SocketKey;
use crate::keys::Key;
use crate::output::{Output, StampSource};
use crate::rng;
use crate::source::association::{After, Association, OperatingMode, Step};
use crate::source::config::AuthMethod;
use crate::source::env::{Env, StatsAction};
use crate::source::measure::{Kind, LocalStamp, MAX_RESPONSE_TIME};
use crate::source::poll::Poll;
use crate::source::response::{Passed, Then};
use crate::timers::Timer;
use timewright_time::{NtpShort, NtpShort28, NtpTimestamp, Seconds};
use timewright_wire::{
    BuildError, FIELD_MONO_ROOT, FIELD_NET_CORRECTION, FIELD_NET_CORRECTION_10A, Header, Leap,
    MAX_PACKET_LEN, Mode, MonoRoot, NetCorrection, PacketBuilder, fuzz,
};

/// Good responses an automatic burst waits for, and its most requests.
const BURST_GOOD: i32 = 1;
const MAX_BURST_TOTAL: i32 = 4;
/// Clients stop asking for interleaved responses after this many unanswered requests.
const MAX_CLIENT_INTERLEAVED_TX: u32 = 4;
const BACKOFF_SELECTED: f64 = 0.1;
const BACKOFF: f64 = 0.25;
/// A client's packets say nothing of its clock.
const CLIENT_PRECISION: i8 = 32;

/// A request on its way through [`Step::Sent`] and [`Step::SentSampled`].
#[derive(Debug)]
pub(crate) struct Sending {
    /// It was handed to the driver.
    sent: bool,
    /// The request before it was not answered.
    missed: bool,
    passed: Option<Passed>,
}

/// What has to be taken back if a request turns out not to have been sent.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) socket: SocketKey,
    /// The poll before it was backed off.
    poll: Option<Poll>,
    /// Adjustment made since.
    adjusted: Option<f64>,
    /// A request of an online burst was counted.
    counted: bool,
}

/// The other side's timestamps a packet refers to.
struct Reply {
    remote_rx: NtpTimestamp,
    remote_tx: NtpTimestamp,
    local_rx: LocalStamp,
}

impl Association {
    /// The transmit timer fired.
    pub(crate) fn transmit_due(&mut self, env: &mut Env<'_>) -> Option<Step> {
        if let Some(saved) = self.take_saved(env) {
            return self.process(&saved, true, Then::Transmit, env);
        }
        self.transmit(env)
    }

    /// Sends a request, unless the source went offline (steps 2 to 10).
    pub(crate) fn transmit(&mut self, env: &mut Env<'_>) -> Option<Step> {
        self.undo = None;
        match self.mode {
            OperatingMode::BurstWasOnline if self.burst_total <= 1 => {
                self.mode = OperatingMode::Online;
            }
            OperatingMode::BurstWasOffline if self.burst_total <= 0 => self.take_offline(env),
            OperatingMode::Online if self.config.burst && self.poll.current > self.poll.min => {
                let longer = self.poll.current - self.poll.min;
                let total = if longer >= 2 {
                    MAX_BURST_TOTAL
                } else {
                    1 << longer
                };
                self.start_burst(BURST_GOOD, total, env);
            }
            _ => {}
        }
        if self.mode == OperatingMode::Offline {
            return None;
        }
        let remote = self.remote()?;
        if self.kind == Kind::Client {
            self.close_client_socket(env);
            self.socket = env.sockets.acquire_client(remote, env.out);
        }
        let x = &self.exchange;
        let interleaved = self.config.xleave
            && match self.kind {
                Kind::Client => x.tx_count < MAX_CLIENT_INTERLEAVED_TX,
                Kind::Peer => x.prev_tx_count == 1 && x.tx_count == 0,
            };
        let initial = self.kind == Kind::Peer && !x.valid_rx && !x.init_remote_tx.is_zero();
        let reply = if initial {
            Reply {
                remote_rx: NtpTimestamp::ZERO,
                remote_tx: x.init_remote_tx,
                local_rx: x.init_local_rx,
            }
        } else {
            Reply {
                remote_rx: x.remote_rx,
                remote_tx: x.remote_tx,
                local_rx: x.local_rx,
            }
        };
        self.exchange.valid_rx = false;
        self.exchange.updated_init = false;
        if initial {
            self.exchange.valid_timestamps = false;
        }
        self.count_presend(interleaved);
        let sent = self.send(remote, &reply, interleaved, env).is_some();
        self.exchange.tx_count = self.exchange.tx_count.saturating_add(1);
        if sent {
            self.report.total_tx = self.report.total_tx.wrapping_add(1);
        }
        let missed = self.exchange.tx_count >= 2;
        if missed {
            self.back_off(sent, env);
        }
        Some(Step::Sent(Sending {
            sent,
            missed,
            passed: None,
        }))
    }

    /// Step 8: an extra request ahead wakes up the path.
    fn count_presend(&mut self, interleaved: bool) {
        let due = self.config.presend <= self.poll.current;
        if due && self.presend_done == 0 && self.burst_total == 0 {
            self.presend_done = if interleaved { 2 } else { 1 };
        } else if self.presend_done > 0 {
            self.presend_done -= 1;
        }
    }

    /// Step 10: the request before got no response.
    fn back_off(&mut self, sent: bool, env: &mut Env<'_>) {
        if sent {
            let before = self.poll;
            let selected = env.stats.is_selected(self.id);
            self.adjust_poll(if selected { BACKOFF_SELECTED } else { BACKOFF }, env);
            if let Some(undo) = &mut self.undo {
                undo.poll = Some(before);
            }
        }
        env.act(self.id, StatsAction::Reachability(false));
    }

    /// After the reachability bit: the filter learns of the missing sample.
    pub(crate) fn sent(&mut self, mut sending: Sending, env: &mut Env<'_>) -> Option<Step> {
        if sending.missed {
            sending.passed = self.missing_sample(env);
        }
        if sending.passed.is_some() {
            return Some(Step::SentSampled(sending));
        }
        self.finish_sending(&sending, env);
        None
    }

    /// Steps 11 to 13.
    pub(crate) fn finish_sending(&mut self, sending: &Sending, env: &mut Env<'_>) {
        if let Some(passed) = &sending.passed {
            let by = self.adjust_for_sample(passed, env);
            if let Some(undo) = &mut self.undo {
                undo.adjusted = Some(by);
            }
        }
        if !sending.sent && self.config.auto_offline {
            self.set_online(false, env);
        }
        let reachable = env.stats.is_reachable(self.id);
        match self.mode {
            OperatingMode::BurstWasOnline => {
                if sending.sent || reachable {
                    self.burst_total -= 1;
                    if let Some(undo) = &mut self.undo {
                        undo.counted = true;
                    }
                }
            }
            OperatingMode::BurstWasOffline => self.burst_total -= 1,
            OperatingMode::Online => {}
            OperatingMode::Offline => return,
        }
        self.arm_transmit(
            self.transmit_delay(After::Transmission, Seconds::ZERO, env),
            env,
        );
        if self.kind == Kind::Client {
            // A response after that fails test A.
            let wait = Seconds(self.config.maxdelay) + MAX_RESPONSE_TIME;
            env.timers.arm(Timer::Receive(self.id), env.now.mono + wait);
        }
    }

    /// The driver could not send the last request: what was done in the belief that it had is
    /// taken back. Harmless if repeated.
    pub(crate) fn on_send_failed(&mut self, env: &mut Env<'_>) {
        let Some(undo) = self.undo.take() else {
            return;
        };
        self.report.total_tx = self.report.total_tx.wrapping_sub(1);
        if let Some(poll) = undo.poll {
            self.poll = poll;
            if let Some(by) = undo.adjusted {
                self.adjust_poll(by, env);
            }
        }
        if self.config.auto_offline {
            self.set_online(false, env);
        }
        // A burst that ends offline is over after its requests, sent or not.
        if undo.counted
            && self.mode == OperatingMode::BurstWasOnline
            && !env.stats.is_reachable(self.id)
        {
            self.burst_total += 1;
        }
        if self.mode != OperatingMode::Offline && undo.poll.is_some() {
            let delay = self.transmit_delay(After::Transmission, Seconds::ZERO, env);
            let receive = env.timers.deadline(Timer::Receive(self.id));
            self.arm_transmit(delay, env);
            if let Some(at) = receive {
                env.timers.arm(Timer::Receive(self.id), at);
            }
        }
    }

    /// Builds and sends a packet; `None` if there is no socket or it cannot be built.
    fn send(
        &mut self,
        remote: std::net::SocketAddr,
        reply: &Reply,
        interleaved: bool,
        env: &mut Env<'_>,
    ) -> Option<()> {
        let key = match self.config.auth {
            AuthMethod::None => None,
            // Without what is asked for nothing is sent.
            AuthMethod::Key(id) => Some(env.keys.get(id)?),
            AuthMethod::Nts => return None,
        };
        let mut buffer = [0; MAX_PACKET_LEN];
        let (packet, header, local_tx) =
            self.build(&mut buffer, key, reply, interleaved, env).ok()?;
        self.exchange.local_ntp_rx = header.receive;
        self.exchange.local_ntp_tx = header.transmit;
        self.exchange.local_tx = local_tx;
        let key = self.socket?;
        env.out.push(Output::Send {
            key,
            to: remote,
            from: None,
            interface: 0,
            packet,
            stamp: true,
        });
        self.undo = Some(Undo {
            socket: key,
            poll: None,
            adjusted: None,
            counted: false,
        });
        Some(())
    }

    /// The packet, its header, and when it leaves.
    fn build(
        &self,
        buffer: &mut [u8],
        key: Option<&Key>,
        reply: &Reply,
        interleaved: bool,
        env: &mut Env<'_>,
    ) -> Result<(Vec<u8>, Header, LocalStamp), BuildError> {
        let x = &self.exchange;
        let interleaved = interleaved && !reply.remote_rx.is_zero() && !x.local_tx.time.is_zero();
        let mut header = self.header(self.config.request_version(key), env);
        let precision = match self.kind {
            Kind::Client => CLIENT_PRECISION,
            Kind::Peer => header.precision,
        };
        if self.kind == Kind::Peer || interleaved {
            header.originate = if interleaved {
                reply.remote_rx
            } else {
                reply.remote_tx
            };
            header.receive = loop {
                let receive = env.fuzzed(reply.local_rx.time, precision);
                let taken = receive == header.originate || receive == x.local_ntp_rx;
                if receive.is_zero() || !taken {
                    break receive;
                }
            };
        }
        let mut builder = PacketBuilder::new(buffer, &header)?;
        self.add_fields(&mut builder, reply, env)?;
        header.transmit = loop {
            let time = if interleaved {
                x.local_tx.time
            } else if self.kind == Kind::Client {
                env.event_time
            } else {
                env.clock.read().0
            };
            let transmit = env.fuzzed(time, precision);
            let taken = [header.receive, header.originate, x.local_ntp_tx].contains(&transmit);
            if transmit.is_zero() || !taken {
                break transmit;
            }
        };
        builder.set_header(&header);
        if let Some(key) = key {
            key.seal(header.version, &mut builder)?;
        }
        let (time, error) = env.clock.read();
        let local_tx = LocalStamp {
            time,
            error,
            source: StampSource::Daemon,
            ..Default::default()
        };
        Ok((builder.finish().to_vec(), header, local_tx))
    }

    /// The header without the timestamps of the exchange.
    fn header(&self, version: u8, env: &Env<'_>) -> Header {
        let poll = i8::try_from(self.poll.current).unwrap_or(i8::MAX);
        match self.kind {
            Kind::Client => Header {
                leap: Leap::Normal,
                version,
                mode: Mode::Client,
                poll,
                precision: CLIENT_PRECISION,
                ..Header::default()
            },
            Kind::Peer => {
                let ours = env.reference;
                Header {
                    leap: ours.leap,
                    version,
                    mode: Mode::Active,
                    stratum: if ours.stratum < 16 { ours.stratum } else { 0 },
                    poll,
                    precision: env.params.precision_log2,
                    root_delay: NtpShort::from_seconds(ours.root_delay),
                    root_dispersion: NtpShort::from_seconds(ours.root_dispersion),
                    refid: ours.refid,
                    reference: NtpTimestamp::from_timestamp(ours.reference_time),
                    ..Header::default()
                }
            }
        }
    }

    fn add_fields(
        &self,
        builder: &mut PacketBuilder<'_>,
        reply: &Reply,
        env: &mut Env<'_>,
    ) -> Result<(), BuildError> {
        let correction = self.net_correction_sent(reply);
        let with_ptp = env.params.ptp_port != 0;
        if self.config.net_correction_10a && with_ptp {
            builder.add_field(FIELD_NET_CORRECTION_10A, &correction.to_body_10a())?;
        }
        if self.config.mono_root {
            let field = match self.kind {
                Kind::Client => MonoRoot::default(),
                Kind::Peer => self.mono_root(reply, env),
            };
            builder.add_field(FIELD_MONO_ROOT, &field.to_body())?;
        }
        if self.config.net_correction && with_ptp {
            builder.add_field(FIELD_NET_CORRECTION, &correction.to_body())?;
        }
        Ok(())
    }

    /// What a peer tells of the way its last packet took; clients tell nothing.
    fn net_correction_sent(&self, reply: &Reply) -> NetCorrection {
        let rx = reply.local_rx;
        if self.kind == Kind::Peer && rx.net_correction > rx.rx_duration {
            NetCorrection::from_seconds(rx.net_correction)
        } else {
            NetCorrection::default()
        }
    }

    fn mono_root(&self, reply: &Reply, env: &mut Env<'_>) -> MonoRoot {
        let ours = env.reference;
        let receive = if reply.local_rx.time.is_zero() {
            NtpTimestamp::ZERO
        } else {
            let mono = reply.local_rx.time + ours.mono_offset;
            let random = fuzz(rng::u64(env.rng), env.params.precision_log2);
            NtpTimestamp(NtpTimestamp::from_timestamp(mono).0 ^ random)
        };
        MonoRoot {
            root_delay: NtpShort28::from_seconds(ours.root_delay),
            root_dispersion: NtpShort28::from_seconds(ours.root_dispersion),
            receive,
            epoch: ours.mono_epoch,
        }
    }
}
