//! Interleaved clients and late transmit time stamps.

use super::*;

/// A client in interleaved mode: what it sent and got last.
struct Client {
    next: u64,
    last: Option<Header>,
}

impl Client {
    const fn new() -> Self {
        Self {
            next: 0x1111_0000,
            last: None,
        }
    }

    fn request(&mut self, mode: Mode) -> Header {
        self.next += 0x100;
        let last = self.last.unwrap_or_default();
        Header {
            mode,
            originate: last.receive,
            // A client that had an answer sends a random receive time as well.
            receive: NtpTimestamp(if self.last.is_some() {
                self.next + 7
            } else {
                0
            }),
            transmit: NtpTimestamp(self.next),
            ..request()
        }
    }

    /// Whether the response is interleaved.
    fn exchange(&mut self, bench: &mut Bench, mode: Mode) -> bool {
        let request = self.request(mode);
        let got = bench.header(&request);
        let interleaved = got.originate == request.receive && !request.receive.is_zero();
        assert!(interleaved || got.originate == request.transmit);
        self.last = Some(got);
        interleaved
    }
}

#[test]
fn the_third_and_later_responses_to_an_interleaved_client_are_interleaved() {
    for mode in [Mode::Client, Mode::Active] {
        let mut bench = Bench::new();
        let mut client = Client::new();
        let mut seen = Vec::new();
        for _ in 0..20 {
            bench.wait(64);
            seen.push(client.exchange(&mut bench, mode));
        }
        let want: Vec<_> = (0..20).map(|i| i >= 2).collect();
        assert_eq!(seen, want, "{mode:?}");
        let statistics = bench.shard.statistics();
        assert_eq!((statistics.interleaved, statistics.timestamps), (18, 19));
        // Random low bits may cost a whole second.
        assert!((18 * 64 - 1..=18 * 64).contains(&statistics.timestamp_span_s));
        assert_eq!(statistics.tx.daemon, 20);
    }
}

#[test]
fn an_interleaved_response_tells_when_the_one_before_was_sent() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for i in 0..6 {
        let sent_before = bench.now_ns;
        bench.wait(64);
        let interleaved = client.exchange(&mut bench, Mode::Client);
        let got = client.last.unwrap();
        assert_near(got.receive, ntp(bench.now_ns - 5_000));
        if i < 2 {
            assert_near(got.transmit, ntp(bench.now_ns + 1_000));
        } else {
            assert!(interleaved);
            // The basic response read the clock once for its field and once for the record.
            let readings = if i == 2 { 2 } else { 1 };
            assert_near(got.transmit, ntp(sent_before + readings * 1_000));
        }
    }
}

#[test]
fn late_stamps_make_interleaved_responses_precise() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for (i, source) in [StampSource::Kernel; 4]
        .into_iter()
        .chain([StampSource::Hardware; 4])
        .enumerate()
    {
        bench.wait(64);
        let (bytes, stamp) = bench.ask(&client.request(Mode::Client).to_bytes()).unwrap();
        let got = Header::read(&bytes).unwrap();
        assert_eq!(stamp, i > 0);
        if i > 1 {
            assert_near(got.transmit, ntp(bench.now_ns - 64_000_000_000 + 77_000));
        }
        client.last = Some(got);
        let late = PacketStamp::new(Timestamp::from_ns(bench.now_ns + 77_000), source);
        bench.shard.late_transmit(
            &bench.snapshot,
            &TxStamp {
                socket: SocketKey(1),
                remote: bench.remote,
                bytes: &bytes,
                stamp: late,
            },
        );
    }
    let tx = bench.shard.statistics().tx;
    assert_eq!((tx.daemon, tx.kernel, tx.hardware), (2, 3, 3));
}

#[test]
fn late_stamps_of_other_packets_are_ignored() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..2 {
        bench.wait(1);
        client.exchange(&mut bench, Mode::Client);
    }
    let got = client.last.unwrap();
    for mode in [Mode::Broadcast, Mode::Client, Mode::Active] {
        let bytes = Header { mode, ..got }.to_bytes();
        let stamp = TxStamp {
            socket: SocketKey(1),
            remote: bench.remote,
            bytes: &bytes,
            stamp: PacketStamp::new(
                Timestamp::from_ns(bench.now_ns + 77_000),
                StampSource::Kernel,
            ),
        };
        bench.shard.late_transmit(&bench.snapshot, &stamp);
        let short = TxStamp {
            bytes: &bytes[..40],
            ..stamp
        };
        bench.shard.late_transmit(&bench.snapshot, &short);
    }
    let saved = bench.shard.timestamps.find(got.receive).unwrap();
    assert_eq!(saved.source, StampSource::Daemon);
}

#[test]
fn only_odd_originate_times_of_version_4_are_looked_up() {
    let base = Header {
        originate: NtpTimestamp(0x55),
        receive: NtpTimestamp(0x66),
        ..request()
    };
    for (name, header, want) in [
        ("any odd originate", base, true),
        (
            "even",
            Header {
                originate: NtpTimestamp(0x54),
                ..base
            },
            false,
        ),
        ("version 3", Header { version: 3, ..base }, false),
        (
            "receive = transmit",
            Header {
                receive: base.transmit,
                ..base
            },
            false,
        ),
        (
            "no receive",
            Header {
                receive: NtpTimestamp::ZERO,
                ..base
            },
            true,
        ),
    ] {
        let mut bench = Bench::new();
        let (bytes, stamp) = bench.ask(&header.to_bytes()).unwrap();
        let got = Header::read(&bytes).unwrap();
        assert_eq!(stamp, want, "{name}");
        assert_eq!(
            bench.shard.statistics().timestamps,
            u64::from(want),
            "{name}"
        );
        assert_eq!(got.originate, header.transmit, "{name}");
    }
}

#[test]
fn a_transmit_time_is_given_away_once() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..2 {
        bench.wait(1);
        client.exchange(&mut bench, Mode::Client);
    }
    bench.wait(1);
    let request = client.request(Mode::Client);
    let first = bench.header(&request);
    assert_eq!(first.originate, request.receive);
    bench.wait(1);
    let second = bench.header(&request);
    assert_eq!(second.originate, request.transmit);
    // The receive time of the basic reply is saved again.
    client.last = Some(second);
    assert!(client.exchange(&mut bench, Mode::Client));
    assert_eq!(bench.shard.statistics().interleaved, 2);
}

#[test]
fn without_client_log_there_is_no_interleaved_mode() {
    let mut bench = Bench::with(ClientLogConfig {
        limit_bytes: None,
        ..ClientLogConfig::default()
    });
    let mut client = Client::new();
    for _ in 0..5 {
        bench.wait(1);
        assert!(!client.exchange(&mut bench, Mode::Client));
    }
    let statistics = bench.shard.statistics();
    assert_eq!((statistics.hits[0], statistics.timestamps), (5, 0));
}

#[test]
fn an_unknown_step_ends_interleaved_exchanges() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..3 {
        bench.wait(1);
        client.exchange(&mut bench, Mode::Client);
    }
    bench.snapshot.slews.unknown_steps += 1;
    assert!(!client.exchange(&mut bench, Mode::Client));
    bench.wait(1);
    assert!(client.exchange(&mut bench, Mode::Client));
}

#[test]
fn a_transmit_time_too_far_from_the_receive_time_is_not_told() {
    let mut bench = Bench::new();
    let mut client = Client::new();
    for _ in 0..2 {
        bench.wait(10);
        bench.stamp.time = Timestamp::from_ns(bench.now_ns - 3_000_000_000);
        client.exchange(&mut bench, Mode::Client);
    }
    bench.wait(10);
    assert!(!client.exchange(&mut bench, Mode::Client));
    bench.wait(10);
    assert!(client.exchange(&mut bench, Mode::Client));
}

#[test]
fn saved_transmit_times_are_smoothed_once() {
    let mut bench = Bench::new();
    bench.snapshot.smoothing = smoothing(0.5);
    let mut client = Client::new();
    for i in 0..4 {
        let before = bench.now_ns;
        bench.wait(64);
        let request = client.request(Mode::Client);
        let (bytes, _) = bench.ask(&request.to_bytes()).unwrap();
        let got = Header::read(&bytes).unwrap();
        client.last = Some(got);
        if i == 2 {
            assert_near(got.transmit, ntp(before + 2_000 + 500_000_000));
        } else if i == 3 {
            assert_near(got.transmit, ntp(before + 77_000 + 500_000_000));
        }
        if i == 2 {
            let stamp = PacketStamp::new(
                Timestamp::from_ns(bench.now_ns + 77_000),
                StampSource::Kernel,
            );
            let stamp = TxStamp {
                socket: SocketKey(1),
                remote: bench.remote,
                bytes: &bytes,
                stamp,
            };
            bench.shard.late_transmit(&bench.snapshot, &stamp);
        }
    }
}
