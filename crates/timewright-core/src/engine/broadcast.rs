//! Broadcast packets (`ntp-engine.md` 4.3).

use super::{Context, Engine};
use crate::output::{Family, Output};
use crate::rng;
use crate::timers::{Class, Spread, Timer};
use std::net::SocketAddr;
use timewright_time::{NtpTimestamp, Seconds};
use timewright_wire::{Header, Mode, fuzz};

/// Distance from other broadcast packets, and of the first packet from the start.
const SEPARATION: Seconds = Seconds(0.2);
const RANDOMNESS: f64 = 0.02;

impl Engine {
    /// Holds the server sockets and schedules the first packet of each destination.
    pub(super) fn start_broadcasts(&mut self, cx: &mut Context<'_>) {
        for (index, broadcast) in (0u32..).zip(self.config.server.broadcasts.clone()) {
            self.sockets
                .acquire_server(Family::of(broadcast.address), cx.out);
            self.arm_broadcast(index, Seconds(f64::from(broadcast.interval_s)), cx);
        }
    }

    fn arm_broadcast(&mut self, index: u32, delay: Seconds, cx: &mut Context<'_>) {
        self.timers.arm_spread(
            Timer::Broadcast(index),
            Class::Broadcast,
            self.wake.mono,
            delay,
            Spread {
                separation: SEPARATION,
                randomness: RANDOMNESS,
            },
            cx.rng,
        );
    }

    pub(super) fn send_broadcast(&mut self, index: u32, cx: &mut Context<'_>) {
        let slot = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(broadcast) = self.config.server.broadcasts.get(slot).copied() else {
            return;
        };
        let interval = f64::from(broadcast.interval_s);
        self.arm_broadcast(index, Seconds(interval), cx);
        let Some(key) = self.sockets.server(Family::of(broadcast.address)) else {
            return;
        };

        let snapshot = &self.server.snapshot;
        let served = snapshot.reference_at(self.event_time, self.wake.mono);
        let precision = snapshot.precision_log2;
        let now = self.local.cook(cx.clock.now()).0;
        let transmit = match snapshot.smoothing_offset(now) {
            Some(offset) => now + offset,
            None => now,
        };
        let exact = NtpTimestamp::from_timestamp(transmit);
        #[expect(clippy::cast_possible_truncation, reason = "log2 of at most 2^24")]
        let poll = interval.log2().round() as i8;
        let header = Header {
            leap: snapshot.smoothed_leap(served.leap),
            version: 4,
            mode: Mode::Broadcast,
            poll,
            precision,
            transmit: NtpTimestamp(exact.0 ^ fuzz(rng::u64(cx.rng), precision)),
            ..served.header()
        };
        let packet = header.to_bytes().to_vec();
        cx.out.push(Output::Send {
            key,
            to: SocketAddr::new(broadcast.address, broadcast.port),
            from: None,
            interface: 0,
            packet,
            stamp: false,
        });
    }
}
