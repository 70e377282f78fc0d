//! Rules of symmetric associations (`ntp-engine.md` 3.4, 4.2, 5.5).

use super::bench::{Bench, Sent};
use super::responses::with_fields;
use crate::ids::SourceId;
use crate::output::{PacketStamp, StampSource};
use crate::source::{Connectivity, SourceConfig, SourceKind, SourceMatch};
use std::net::SocketAddr;
use timewright_time::{NtpShort28, NtpTimestamp, Seconds};
use timewright_wire::{Header, Leap, Mode, NetCorrection, Packet};

fn config() -> SourceConfig {
    SourceConfig::default()
}

fn remote() -> SocketAddr {
    "192.0.2.1:123".parse().unwrap()
}

/// A packet of the other peer that answers what is in `originate`.
fn packet(bench: &Bench, originate: NtpTimestamp) -> Header {
    let now = NtpTimestamp::from_timestamp(bench.clock.raw);
    Header {
        leap: Leap::Normal,
        version: 4,
        mode: Mode::Active,
        stratum: 2,
        poll: 6,
        precision: -20,
        refid: 1,
        originate,
        receive: NtpTimestamp(now.0 - (1 << 20)),
        transmit: now,
        ..Header::default()
    }
}

fn deliver(bench: &mut Bench, id: SourceId, header: &Header) {
    let key = bench.get(id).socket.unwrap();
    bench.deliver_from(key, remote(), &header.to_bytes(), StampSource::Kernel);
}

fn answer(bench: &mut Bench, id: SourceId, request: &Sent) -> Header {
    bench.pass(0.5);
    let header = packet(bench, request.header().transmit);
    deliver(bench, id, &header);
    header
}

#[test]
fn interleaved_packets_need_one_response_to_one_request() {
    let mut bench = Bench::new(1);
    let id = bench.peer(SourceConfig {
        xleave: true,
        ..config()
    });
    let first = bench.next_request();
    let reply = answer(&mut bench, id, &first);
    // One request, one response: the next packet is interleaved.
    let second = bench.next_request();
    assert_eq!(second.header().originate, reply.receive);
    // It was not answered: the next one is basic.
    let third = bench.next_request();
    assert_eq!(third.header().originate, reply.transmit);
    // Two requests and one response: basic again.
    let reply = answer(&mut bench, id, &third);
    assert_eq!(bench.get(id).exchange.prev_tx_count, 2);
    let fourth = bench.next_request();
    assert_eq!(fourth.header().originate, reply.transmit);
    let reply = answer(&mut bench, id, &fourth);
    assert_eq!(bench.next_request().header().originate, reply.receive);
}

#[test]
fn the_newest_packet_that_was_no_answer_is_remembered_until_the_next_request() {
    let mut bench = Bench::new(2);
    let id = bench.peer(config());
    bench.next_request();
    let old = packet(&bench, NtpTimestamp(1));
    bench.pass(1.0);
    let new = packet(&bench, NtpTimestamp(2));
    let init = |bench: &Bench| bench.get(id).exchange.init_remote_tx;
    let without_time = Header {
        transmit: NtpTimestamp::ZERO,
        ..new
    };
    deliver(&mut bench, id, &without_time);
    assert!(!bench.get(id).exchange.updated_init);
    deliver(&mut bench, id, &new);
    assert_eq!(init(&bench), new.transmit);
    assert!(bench.get(id).exchange.updated_init);
    deliver(&mut bench, id, &old);
    assert_eq!(init(&bench), new.transmit, "an older one is a replay");
    // The next packet answers it; whatever comes after that may start over.
    assert_eq!(bench.next_request().header().originate, new.transmit);
    deliver(&mut bench, id, &old);
    assert_eq!(init(&bench), old.transmit);
}

#[test]
fn starting_over_makes_the_remembered_times_useless() {
    let mut bench = Bench::new(3);
    let id = bench.peer(config());
    let request = bench.next_request();
    answer(&mut bench, id, &request);
    assert!(bench.get(id).exchange.valid_timestamps);
    // A request without an answer, then a packet of a peer that knows nothing of us.
    bench.next_request();
    let restarted = packet(&bench, NtpTimestamp(7));
    deliver(&mut bench, id, &restarted);
    assert!(bench.get(id).exchange.valid_timestamps);
    assert_eq!(bench.next_request().header().originate, restarted.transmit);
    assert!(!bench.get(id).exchange.valid_timestamps);
}

#[test]
fn no_two_timestamps_of_a_packet_are_equal() {
    let mut bench = Bench::new(4);
    // Only the two lowest bits of a timestamp are random, so equal ones are drawn often.
    bench.params.precision_log2 = -30;
    let id = bench.peer(config());
    for i in 0..200u64 {
        let now = bench.clock.raw.cook(Seconds::ZERO);
        let exact = NtpTimestamp::from_timestamp(now);
        let at = |bits: u64| NtpTimestamp(exact.0 ^ (bits & 3));
        let x = &mut bench.entry(id).exchange;
        x.local_rx.time = now;
        x.remote_rx = at(i);
        x.remote_tx = at(i);
        x.local_ntp_rx = at(i / 4);
        x.local_ntp_tx = at(i / 16);
        let (before_rx, before_tx) = (x.local_ntp_rx, x.local_ntp_tx);
        // The packet is made at the very time the last one came.
        bench.run(|table, env| {
            let association = &mut table.entries.get_mut(&id).unwrap().association;
            association.transmit(env);
        });
        let header = bench.sent.last().unwrap().header();
        assert_eq!(header.originate, at(i));
        assert_ne!(header.receive, header.originate);
        assert_ne!(header.receive, before_rx);
        let others = [header.receive, header.originate, before_tx];
        assert!(!others.contains(&header.transmit), "{i}");
    }
}

#[test]
fn experimental_fields_of_peers_are_filled() {
    let mut bench = Bench::new(5);
    bench.params.ptp_port = 319;
    bench.reference.root_delay = Seconds(0.25);
    bench.reference.root_dispersion = Seconds(0.125);
    bench.reference.mono_offset = Seconds(1000.0);
    bench.reference.mono_epoch = 77;
    bench.peer(SourceConfig {
        mono_root: true,
        net_correction: true,
        ..config()
    });
    let first = bench.next_request();
    let fields = Packet::parse(&first.packet).unwrap();
    let mono = fields.mono_root.unwrap();
    assert_eq!((mono.epoch, mono.receive), (77, NtpTimestamp::ZERO));
    assert_eq!(
        (mono.root_delay, mono.root_dispersion),
        (
            NtpShort28::from_seconds(Seconds(0.25)),
            NtpShort28::from_seconds(Seconds(0.125))
        )
    );
    assert_eq!(fields.net_correction, Some(NetCorrection::default()));
    for (correction, frame, told) in [(2e-3, 1e-3, 2e-3), (1e-3, 1e-3, 0.0)] {
        let request = bench.next_request();
        bench.pass(0.5);
        let reply = packet(&bench, request.header().transmit);
        let arrived = bench.clock.raw;
        let stamp = PacketStamp {
            net_correction: Seconds(correction),
            rx_duration: Seconds(frame),
            ..PacketStamp::new(arrived, StampSource::Hardware)
        };
        let bytes = with_fields(&reply, None, None);
        bench.deliver_stamped(request.key, remote(), &bytes, stamp);
        let next = bench.next_request();
        let fields = Packet::parse(&next.packet).unwrap();
        let mono = fields.mono_root.unwrap().receive;
        let want = NtpTimestamp::from_timestamp(arrived + Seconds(1000.0));
        assert!(mono.difference(want).abs() < Seconds(2e-6));
        let got = fields.net_correction.unwrap().to_seconds();
        assert!((got - Seconds(told)).abs() < Seconds(1e-9), "{got:?}");
    }
}

#[test]
fn packets_are_not_for_a_peer_that_is_offline_or_waits() {
    for suspended in [true, false] {
        let mut bench = Bench::new(6);
        let id = bench.peer(config());
        let request = bench.next_request();
        if suspended {
            bench.entry(id).suspended = true;
        } else {
            bench.run(|table, env| {
                table.set_connectivity(SourceMatch::All, Connectivity::Offline, env)
            });
        }
        let before = bench.told(id).reach_shifts;
        answer(&mut bench, id, &request);
        let report = bench.get(id).report();
        assert_eq!((report.total_rx, report.total_valid), (1, 0));
        assert_eq!(bench.told(id).reach_shifts, before);
        assert!(!bench.get(id).exchange.updated_init);
    }
}

#[test]
fn a_peer_by_name_gets_the_socket_of_its_family() {
    let mut bench = Bench::new(7);
    bench
        .add("ntp.example", SourceKind::Peer, config())
        .unwrap();
    let id = bench.table.ids()[0];
    assert_eq!(bench.get(id).socket, None);
    bench.answer(&["2001:db8::1"]);
    bench.allow_routes();
    let socket = bench.sockets.server(crate::output::Family::V6);
    assert!(socket.is_some() && bench.get(id).socket == socket);
    let request = bench.next_request();
    assert_eq!(request.to, "[2001:db8::1]:123".parse().unwrap());
    // Another address of the other family: the socket is exchanged, the exchange forgotten.
    bench.pass(0.1);
    let reply = packet(&bench, request.header().transmit);
    bench.deliver(&request, &reply.to_bytes(), StampSource::Kernel);
    assert!(!bench.get(id).exchange.remote_tx.is_zero());
    bench.run(|table, env| table.on_bad_source(id, env));
    bench.answer(&["192.0.2.1"]);
    bench.allow_routes();
    let socket = bench.sockets.server(crate::output::Family::V4);
    assert!(socket.is_some() && bench.get(id).socket == socket);
    assert_eq!(bench.sockets.server(crate::output::Family::V6), None);
    assert!(bench.get(id).exchange.remote_tx.is_zero());
}
