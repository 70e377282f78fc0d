//! Broadcast packets (`ntp-engine.md` 4.3).

use super::{Context, Engine};
use crate::output::{Family, Output};
use crate::rng;
use crate::timers::{Class, Spread, Timer};
use std::net::SocketAddr;
use timewright_time::{NtpTimestamp, Seconds, log2_to_seconds};
use timewright_wire::{Header, Mode, fuzz};

/// Limits of the distance from other broadcast packets; the first ones keep the longer.
const SEPARATION: (Seconds, Seconds) = (Seconds(0.002), Seconds(0.2));
/// The distance within them, as a part of the interval.
const SEPARATION_RATIO: f64 = 0.125;
const RANDOMNESS: f64 = 0.02;

impl Engine {
    /// Holds the server sockets and schedules the first packet of each destination.
    pub(super) fn start_broadcasts(&mut self, cx: &mut Context<'_>) {
        for (index, broadcast) in (0u32..).zip(self.config.server.broadcasts.clone()) {
            self.sockets
                .acquire_server(Family::of(broadcast.address), cx.out);
            let interval = Seconds(f64::from(broadcast.interval_s));
            self.arm_broadcast(index, interval, SEPARATION.1, cx);
        }
    }

    fn arm_broadcast(
        &mut self,
        index: u32,
        delay: Seconds,
        separation: Seconds,
        cx: &mut Context<'_>,
    ) {
        self.timers.arm_spread(
            Timer::Broadcast(index),
            Class::Broadcast,
            self.wake.mono,
            delay,
            Spread {
                separation,
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
        #[expect(clippy::cast_possible_truncation, reason = "log2 of at most 2^24")]
        let poll = interval.log2().round() as i8;
        let separation = log2_to_seconds(i32::from(poll)) * SEPARATION_RATIO;
        let separation = separation.max(SEPARATION.0).min(SEPARATION.1);
        self.arm_broadcast(index, Seconds(interval), separation, cx);
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

#[cfg(test)]
mod tests {
    use crate::engine::testing::Bench;
    use timewright_time::{MonoTime, NtpTimestamp};
    use timewright_wire::{Header, Leap, Mode};

    /// The broadcast packets of a start with this configuration.
    fn broadcasts(config: &str, count: usize) -> Vec<(String, Header, MonoTime)> {
        let mut bench = Bench::new(config);
        while bench.sent.len() < count {
            bench.next_deadline();
        }
        let sent = bench.sent.iter();
        sent.map(|(to, bytes, at)| {
            assert_eq!(bytes.len(), 48);
            (to.to_string(), Header::read(bytes).unwrap(), *at)
        })
        .collect()
    }

    #[test]
    fn packets_tell_the_time_and_ask_nothing() {
        for (interval, poll) in [(1, 0), (64, 6), (90, 6), (91, 7), (100_000, 17)] {
            let config = format!("local stratum 3\nallow\nbroadcast {interval} 192.0.2.255 1123\n");
            let sent = broadcasts(&config, 3);
            let (to, header, _) = &sent[0];
            assert_eq!(to, "192.0.2.255:1123");
            assert_eq!(
                (header.version, header.mode, header.poll),
                (4, Mode::Broadcast, poll),
                "{interval}"
            );
            assert_eq!((header.leap, header.stratum), (Leap::Normal, 3));
            assert_eq!(
                (header.originate, header.receive),
                (NtpTimestamp::ZERO, NtpTimestamp::ZERO)
            );
            assert!(!header.transmit.is_zero());
            for pair in sent.windows(2) {
                // The generator of the bench knows but zeros.
                let gap = (pair[1].2 - pair[0].2).0;
                assert!((gap - f64::from(interval)).abs() < 1e-6, "{gap}");
                let told = pair[1].1.transmit.difference(pair[0].1.transmit).0;
                assert!((told - gap).abs() < 1e-5, "{told}");
            }
        }
    }

    #[test]
    fn packets_are_kept_apart_by_the_interval() {
        // So many that they get into each other's way.
        for (interval, want) in [(1, 0.125), (2, 0.2), (64, 0.2)] {
            let lines = (1..=11).map(|host| format!("broadcast {interval} 192.0.2.{host}\n"));
            let sent = broadcasts(&lines.collect::<String>(), 44);
            assert!(sent.iter().all(|(to, ..)| to.ends_with(":123")));
            let gaps = sent.windows(2).map(|w| (w[1].2 - w[0].2).0);
            let shortest = gaps.fold(f64::MAX, f64::min);
            assert!((shortest - want).abs() < 1e-6, "{interval}: {shortest}");
        }
    }
}
