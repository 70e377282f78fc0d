//! `ntp-engine.md` 3.3, 3.4 and 4: when requests are sent and what is in them.

use super::bench::Bench;
use crate::output::{Datagram, PacketStamp, StampSource};
use crate::source::association::OperatingMode;
use crate::source::{SocketPolicy, Sockets, SourceConfig};
use crate::timers::Timer;
use timewright_time::{NtpTimestamp, Seconds};
use timewright_wire::{
    FIELD_MONO_ROOT, FIELD_NET_CORRECTION_10A, Header, Leap, Mode, MonoRoot, NetCorrection, Packet,
};

fn config() -> SourceConfig {
    SourceConfig::default()
}

#[test]
fn a_client_request_says_nothing_of_our_clock() {
    let mut bench = Bench::new(1);
    bench.server(config());
    let a = bench.next_request();
    let b = bench.next_request();
    let plain = Header {
        leap: Leap::Normal,
        version: 4,
        mode: Mode::Client,
        poll: 6,
        precision: 32,
        ..Header::default()
    };
    for sent in [&a, &b] {
        assert_eq!(sent.packet.len(), 48);
        assert_eq!(
            Header {
                transmit: NtpTimestamp::ZERO,
                ..sent.header()
            },
            plain
        );
    }
    let now = NtpTimestamp::from_timestamp(a.at);
    assert!(
        a.header().transmit.difference(now).abs() > Seconds(100.0),
        "a nonce, not the time"
    );
    assert_ne!(a.header().transmit, b.header().transmit);
    assert_ne!(a.key, b.key, "each exchange has its own socket");
    assert_eq!(bench.open.len(), 1);
}

#[test]
fn the_socket_is_closed_when_no_response_can_be_good_any_more() {
    let mut bench = Bench::new(2);
    let id = bench.server(SourceConfig {
        maxdelay: 1.5,
        ..config()
    });
    bench.next_request();
    assert_eq!(bench.open.len(), 1);
    assert_eq!(bench.next_timer(), Timer::Receive(id));
    assert!(bench.open.is_empty());
    let since = bench.get(id).exchange.local_tx.time;
    let waited = bench.clock.raw.cook(Seconds::ZERO) - since;
    assert!((waited.0 - 5.5).abs() < 0.001, "{waited:?}");
}

#[test]
fn unanswered_requests_lower_the_poll_rate() {
    for (selected, steps) in [(false, 4), (true, 11)] {
        // Ten times 0.1, summed in floating point, is just below 1.
        let mut bench = Bench::new(3);
        let id = bench.server(config());
        bench.stats.selected = selected.then_some(id);
        bench.next_request();
        assert_eq!(bench.told(id).reach_shifts, 0);
        for missed in 1..=steps {
            assert_eq!(bench.get(id).poll.current, 6);
            bench.next_request();
            assert_eq!(bench.told(id).reach_shifts, missed);
        }
        assert_eq!(bench.get(id).poll.current, 7);
        assert_eq!(bench.get(id).report().total_tx, steps + 1);
    }
}

#[test]
fn a_request_that_was_not_sent_counts_as_asked_but_not_as_sent() {
    let mut bench = Bench::new(4);
    let id = bench.server(config());
    bench.network_down = true;
    for i in 1..=20 {
        assert_eq!(bench.next_timer(), Timer::Transmit(id));
        assert_eq!(bench.get(id).exchange.tx_count, i);
        assert_eq!(bench.told(id).reach_shifts, i - 1);
        let wait = bench.until_request(id).unwrap();
        assert!((64.0..=65.3).contains(&wait), "not backed off: {wait}");
        assert_eq!(bench.next_timer(), Timer::Receive(id));
    }
    assert_eq!(
        (bench.get(id).report().total_tx, bench.get(id).poll.current),
        (0, 6)
    );
    bench.network_down = false;
    bench.next_request();
    assert_eq!(bench.get(id).report().total_tx, 1);
}

#[test]
fn a_burst_waits_for_the_network() {
    let mut bench = Bench::new(5);
    let id = bench.server(SourceConfig {
        iburst: true,
        ..config()
    });
    bench.network_down = true;
    for _ in 0..20 {
        bench.next_timer();
        let association = bench.get(id);
        assert_eq!(association.operating_mode(), OperatingMode::BurstWasOnline);
        assert_eq!(association.burst_total, 8);
    }
    bench.network_down = false;
    bench.next_request();
    assert_eq!(bench.get(id).burst_total, 7);
}

#[test]
fn auto_offline_takes_a_source_offline_when_sending_fails() {
    let mut bench = Bench::new(6);
    let id = bench.server(SourceConfig {
        auto_offline: true,
        ..config()
    });
    bench.next_request();
    bench.network_down = true;
    while bench.get(id).operating_mode() == OperatingMode::Online {
        bench.next_timer();
    }
    assert_eq!(bench.timers.next(), None);
    assert_eq!(bench.logs.last().unwrap(), "Source 192.0.2.1 offline");
    assert!(bench.open.is_empty());
}

#[test]
fn fields_need_version_4() {
    for version in 1..=3 {
        let config = SourceConfig {
            version: Some(version),
            mono_root: true,
            ..config()
        };
        let mut bench = Bench::new(7);
        let id = bench.server(config);
        for _ in 0..6 {
            bench.next_timer();
        }
        assert!(bench.sent.is_empty());
        assert!(bench.get(id).exchange.tx_count >= 2 && bench.told(id).reach_shifts >= 1);
        assert!(bench.get(id).exchange.local_tx.time.is_zero());
        let plain = SourceConfig {
            version: Some(version),
            ..SourceConfig::default()
        };
        let mut bench = Bench::new(7);
        bench.server(plain);
        assert_eq!(bench.next_request().header().version, version);
    }
}

#[test]
fn requests_carry_empty_experimental_fields() {
    for (ptp_port, len) in [(0, 76), (319, 132)] {
        let mut bench = Bench::new(8);
        bench.params.ptp_port = ptp_port;
        bench.server(SourceConfig {
            mono_root: true,
            net_correction: true,
            net_correction_10a: true,
            ..config()
        });
        let sent = bench.next_request();
        assert_eq!(sent.packet.len(), len);
        let packet = Packet::parse(&sent.packet).unwrap();
        assert_eq!(packet.mono_root, Some(MonoRoot::default()));
        let net = (ptp_port != 0).then(NetCorrection::default);
        assert_eq!(packet.net_correction, net);
        assert_eq!(packet.net_correction_10a, net);
        let first = packet.fields().next().unwrap().kind;
        let want = if ptp_port == 0 {
            FIELD_MONO_ROOT
        } else {
            FIELD_NET_CORRECTION_10A
        };
        assert_eq!(first, want);
    }
}

#[test]
fn presend_sends_ahead_two_seconds() {
    for (xleave, extra) in [(false, 1), (true, 2)] {
        let mut bench = Bench::new(9);
        let id = bench.server(SourceConfig {
            presend: 6,
            xleave,
            ..config()
        });
        for round in 0..3 {
            for i in 0..=extra {
                // Warm-up responses are not good.
                bench.exchange();
                let wait = bench.until_request(id).unwrap();
                assert_eq!(wait < 2.1, i < extra, "{xleave} {round} {i}: {wait}");
            }
        }
        // An interleaved exchange after a good basic one is not used, so it may be one less.
        assert!(bench.told(id).samples.len() >= 2);
        assert!(bench.told(id).samples.len() <= 3);
    }
}

#[test]
fn presend_waits_for_its_poll_and_stays_off_after_an_unfinished_burst() {
    let mut bench = Bench::new(10);
    let id = bench.server(SourceConfig {
        presend: 7,
        ..config()
    });
    bench.exchange();
    assert_eq!(bench.get(id).presend_done, 0);
    let mut bench = Bench::new(10);
    let id = bench.server(SourceConfig {
        presend: 6,
        iburst: true,
        ..config()
    });
    for _ in 0..6 {
        bench.exchange();
        assert_eq!(bench.get(id).presend_done, 0);
    }
    assert_eq!(bench.get(id).burst_total, 4);
}

#[test]
fn a_client_asks_for_interleaved_responses_until_four_are_missing() {
    let mut bench = Bench::new(11);
    bench.server(SourceConfig {
        xleave: true,
        ..config()
    });
    let first = bench.exchange();
    assert_eq!(
        (first.header().originate, first.header().receive),
        Default::default()
    );
    let reply = bench.reply(&first);
    for i in 0..8 {
        let header = bench.next_request().header();
        let interleaved = i < 4;
        let origin = if interleaved {
            reply.receive
        } else {
            NtpTimestamp::ZERO
        };
        assert_eq!(header.originate, origin, "{i}");
        assert_eq!(header.receive.is_zero(), !interleaved, "{i}");
        assert_ne!(header.receive, header.transmit);
    }
}

fn peer_packet(bench: &Bench, originate: NtpTimestamp, receive: NtpTimestamp) -> Header {
    Header {
        leap: Leap::Normal,
        version: 4,
        mode: Mode::Active,
        stratum: 2,
        poll: 6,
        precision: -20,
        refid: 1,
        originate,
        receive,
        transmit: NtpTimestamp::from_timestamp(bench.clock.raw),
        ..Header::default()
    }
}

#[test]
fn a_peer_sends_its_reference_and_the_time() {
    let mut bench = Bench::new(12);
    bench.reference.leap = Leap::Normal;
    bench.reference.stratum = 3;
    bench.reference.refid = 0xc000_0263;
    bench.reference.root_delay = Seconds(0.25);
    bench.reference.root_dispersion = Seconds(0.5);
    let id = bench.peer(config());
    let sent = bench.next_request();
    let header = sent.header();
    assert_eq!(
        (header.mode, header.leap, header.stratum),
        (Mode::Active, Leap::Normal, 3)
    );
    assert_eq!((header.precision, header.refid), (-20, 0xc000_0263));
    assert_eq!(
        (header.root_delay.0, header.root_dispersion.0),
        (0x4000, 0x8000)
    );
    assert!((header.originate, header.receive) == Default::default());
    let now = NtpTimestamp::from_timestamp(sent.at);
    assert!(header.transmit.difference(now).abs() < Seconds(2e-6));
    assert_eq!(
        bench.get(id).socket,
        bench.sockets.server(crate::output::Family::V4)
    );
}

#[test]
fn an_unsynchronised_peer_sends_stratum_0() {
    let mut bench = Bench::new(13);
    bench.peer(config());
    let header = bench.next_request().header();
    assert_eq!((header.leap, header.stratum), (Leap::Unsynchronised, 0));
}

#[test]
fn peers_find_each_other_by_the_last_packet_that_was_no_answer() {
    let mut bench = Bench::new(14);
    let id = bench.peer(config());
    let key = bench.get(id).socket.unwrap();
    bench.pass(0.05);
    let first = peer_packet(&bench, NtpTimestamp(5), NtpTimestamp(6));
    let remote = "192.0.2.1:123".parse().unwrap();
    bench.deliver_from(key, remote, &first.to_bytes(), StampSource::Daemon);
    assert_eq!(bench.told(id).reach_shifts, 0);
    let arrived = NtpTimestamp::from_timestamp(bench.clock.raw);
    let header = bench.next_request().header();
    assert_eq!(header.originate, first.transmit);
    assert!(header.receive.difference(arrived).abs() < Seconds(2e-6));
    // The answer to that is valid and replaces what was remembered.
    bench.pass(0.01);
    let answer = peer_packet(
        &bench,
        header.transmit,
        NtpTimestamp::from_timestamp(bench.clock.raw),
    );
    bench.deliver_from(key, remote, &answer.to_bytes(), StampSource::Daemon);
    assert_eq!(bench.told(id).reach, 1);
    assert_eq!(bench.told(id).samples.len(), 1);
    let x = bench.get(id).exchange;
    assert_eq!(
        (x.init_remote_tx, x.remote_tx),
        (NtpTimestamp::ZERO, answer.transmit)
    );
}

#[test]
fn peers_of_lower_stratum_keep_out_of_the_way() {
    // (their stratum, ours, elapsed of the interval when their packet comes, longer)
    for (theirs, ours, part, longer) in [
        (2, 3, 0.3, false),
        (3, 2, 0.3, true),
        (3, 2, 0.95, false),
        (2, 2, 0.5, false),
        (2, 2, 0.7, true),
    ] {
        let mut bench = Bench::new(15);
        bench.reference.stratum = ours;
        let id = bench.peer(config());
        let request = bench.next_request();
        bench.pass(64.0 * part);
        let mut answer = peer_packet(
            &bench,
            request.header().transmit,
            NtpTimestamp::from_timestamp(request.at),
        );
        answer.stratum = theirs;
        bench.deliver(&request, &answer.to_bytes(), StampSource::Daemon);
        let whole = if longer { 70.4 } else { 64.0 };
        let want = whole - 64.0 * part;
        let wait = bench.until_request(id).unwrap();
        assert!(
            (want..want * 1.021).contains(&wait),
            "{theirs} {ours} {part}: {wait} {want}"
        );
    }
}

#[test]
fn a_reachable_peer_polls_no_slower_than_the_other() {
    let mut bench = Bench::new(16);
    let id = bench.peer(SourceConfig {
        minpoll: 4,
        ..config()
    });
    bench.entry(id).poll.current = 8;
    bench.entry(id).exchange.remote_poll = 6;
    for (remote, reachable, want) in [(6, true, 6), (6, false, 8), (3, true, 4), (9, true, 8)] {
        bench.entry(id).exchange.remote_poll = remote;
        assert_eq!(
            bench.get(id).transmit_poll(reachable),
            want,
            "{remote} {reachable}"
        );
    }
    let client = bench.add("192.0.2.7", crate::source::SourceKind::Server, config());
    assert!(client.is_ok());
    let client = *bench.table.ids().last().unwrap();
    bench.entry(client).poll.current = 8;
    assert_eq!(bench.get(client).transmit_poll(true), 8);
}

#[test]
fn port_0_has_no_peers() {
    let mut bench = Bench::new(17);
    bench.sockets = Sockets::new(SocketPolicy {
        port: 0,
        ..SocketPolicy::default()
    });
    let id = bench.peer(config());
    for _ in 0..4 {
        bench.next_timer();
    }
    assert_eq!((bench.sent.len(), bench.get(id).report().total_tx), (0, 0));
}

#[test]
fn packets_on_another_socket_or_of_another_port_are_not_ours() {
    let mut bench = Bench::new(18);
    let id = bench.server(config());
    let request = bench.next_request();
    let reply = bench.reply(&request).to_bytes();
    let other = crate::ids::SocketKey(999);
    bench.deliver_from(other, request.to, &reply, StampSource::Daemon);
    assert_eq!(bench.get(id).report().total_valid, 0);
    let port = "192.0.2.1:124".parse().unwrap();
    let got = bench.deliver_from(request.key, port, &reply, StampSource::Daemon);
    assert_eq!(got, crate::source::Dispatch::Unknown);
    assert_eq!(bench.get(id).report().total_rx, 1);
    bench.deliver(&request, &reply, StampSource::Daemon);
    assert_eq!(bench.get(id).report().total_valid, 1);
}

#[test]
fn modes_are_told_apart() {
    use crate::source::Dispatch::{Taken, Unknown};
    for (peer, mode, want) in [
        (false, Mode::Active, Unknown),
        (false, Mode::Passive, Taken),
        (false, Mode::Client, Unknown),
        (false, Mode::Server, Taken),
        (false, Mode::Broadcast, Taken),
        (false, Mode::Undefined, Taken),
        (true, Mode::Active, Taken),
        (true, Mode::Passive, Taken),
        (true, Mode::Client, Unknown),
        (true, Mode::Server, Taken),
        (true, Mode::Control, Taken),
    ] {
        let mut bench = Bench::new(19);
        let id = if peer {
            bench.peer(config())
        } else {
            bench.server(config())
        };
        let request = bench.next_request();
        let reply = Header {
            mode,
            ..bench.reply(&request)
        };
        let got = bench.deliver(&request, &reply.to_bytes(), StampSource::Daemon);
        assert_eq!(got, want, "{peer} {mode:?}");
        let processed = if peer {
            matches!(mode, Mode::Active | Mode::Passive)
        } else {
            mode == Mode::Server
        };
        assert_eq!(
            bench.get(id).report().total_valid,
            u32::from(processed),
            "{peer} {mode:?}"
        );
    }
}

#[test]
fn garbage_is_counted_and_changes_nothing() {
    let mut bench = Bench::new(20);
    let id = bench.server(config());
    let request = bench.next_request();
    let before = format!("{:?}", bench.get(id).exchange);
    let mut rng = super::bench::TestRng(7);
    for i in 0..2000u32 {
        let len = rng.below(200) as usize;
        let mut bytes = vec![0u8; len];
        crate::rng::Rng::fill(&mut rng, &mut bytes);
        let datagram = Datagram {
            socket: request.key,
            remote: request.to,
            local: None,
            interface: 0,
            bytes: &bytes,
            stamp: PacketStamp::new(bench.clock.raw, StampSource::Kernel),
        };
        bench.run(|table, env| table.handle_datagram(&datagram, env));
        assert_eq!(format!("{:?}", bench.get(id).exchange), before, "{i}");
    }
    assert!(bench.get(id).report().kernel_rx > 500);
    assert_eq!(bench.get(id).report().total_valid, 0);
}

#[test]
fn late_transmit_stamps_replace_the_daemons() {
    for (late, accepted) in [
        (0.0, true),
        (0.5, true),
        (1.0, true),
        (1.01, false),
        (-0.001, false),
    ] {
        let mut bench = Bench::new(21);
        let id = bench.server(config());
        let request = bench.next_request();
        bench.deliver_tx_stamp(&request, late, StampSource::Kernel);
        let source = bench.get(id).exchange.local_tx.source;
        assert_eq!(source == StampSource::Kernel, accepted, "{late}");
        assert_eq!(bench.get(id).report().kernel_tx, 1);
    }
}

#[test]
fn a_stamp_of_another_packet_is_counted_only() {
    let mut bench = Bench::new(22);
    let id = bench.server(config());
    let first = bench.next_request();
    bench.next_request();
    bench.deliver_tx_stamp(&first, 0.1, StampSource::Hardware);
    assert_eq!(bench.get(id).exchange.local_tx.source, StampSource::Daemon);
    assert_eq!(bench.get(id).report().hardware_tx, 1);
    // Replies of our server and broadcasts are for the server.
    let mut reply = first.clone();
    reply.packet[0] = 0x24;
    let got = bench.deliver_tx_stamp(&reply, 0.1, StampSource::Kernel);
    assert_eq!(got, crate::source::Dispatch::Unknown);
}

#[test]
fn clock_changes_move_all_stored_times() {
    let mut bench = Bench::new(23);
    let id = bench.server(SourceConfig {
        xleave: true,
        filter: 3,
        ..config()
    });
    bench.exchange();
    bench.exchange();
    bench.exchange();
    let local_tx = bench.get(id).exchange.local_tx;
    bench.entry(id).exchange.prev_local_tx = local_tx;
    let before = bench.get(id).exchange;
    let filtered = *bench.get(id).filter.as_ref().unwrap().last().unwrap();
    let when = bench.clock.raw.cook(Seconds::ZERO);
    bench.table.on_clock_change(when, 1e-4, Seconds(0.25));
    let x = bench.get(id).exchange;
    for (was, is) in [
        (before.local_rx, x.local_rx),
        (before.local_tx, x.local_tx),
        (before.prev_local_tx, x.prev_local_tx),
    ] {
        let want = was.time.adjusted(when, 1e-4, 0.25).0;
        assert!(!was.time.is_zero());
        assert_eq!(is.time, want);
    }
    assert!(x.init_local_rx.time.is_zero(), "unknown stays unknown");
    let moved = *bench.get(id).filter.as_ref().unwrap().last().unwrap();
    assert!((moved.offset - filtered.offset - Seconds(0.25)).abs() < Seconds(0.02));
}

#[test]
fn an_unknown_step_forgets_everything() {
    let mut bench = Bench::new(24);
    let id = bench.server(config());
    bench.entry(id).poll.current = 9;
    bench.exchange();
    bench.run(|table, env| table.on_unknown_step(env));
    let association = bench.get(id);
    assert!(association.exchange.remote_tx.is_zero());
    assert!(!association.exchange.local_tx.time.is_zero());
    assert_eq!(association.poll.current, 6);
    let wait = bench.until_request(id).unwrap();
    assert!((64.0..=65.3).contains(&wait), "{wait}");
}
