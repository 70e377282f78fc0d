//! Single rules of `ntp-engine.md` 3 to 5, of clients or of both kinds of associations.

use super::bench::{Bench, Sent};
use super::responses::{tests_of, with_fields};
use crate::ids::SourceId;
use crate::output::{PacketStamp, StampSource};
use crate::source::association::{OperatingMode, Step};
use crate::source::measure::LocalStamp;
use crate::source::response::Received;
use crate::source::{Connectivity, MeasurementLog, SourceConfig, SourceKind, SourceMatch};
use crate::timers::Timer;
use timewright_time::{NtpShort, NtpShort28, NtpTimestamp, Seconds};
use timewright_wire::{
    FIELD_NET_CORRECTION, FIELD_NET_CORRECTION_10A, Header, Leap, Mode, MonoRoot, NetCorrection,
    PacketBuilder, refid,
};

fn config() -> SourceConfig {
    SourceConfig::default()
}

fn switch(bench: &mut Bench, connectivity: Connectivity) {
    bench.run(|table, env| table.set_connectivity(SourceMatch::All, connectivity, env));
}

#[test]
fn a_reset_forgets_all_but_the_last_request() {
    let mut bench = Bench::new(1);
    let config = SourceConfig {
        presend: 6,
        filter: 3,
        maxdelayquant: 0.3,
        ..config()
    };
    let id = bench.server(config);
    let fresh = format!("{:?}", bench.get(id).quantile);
    bench.exchange();
    bench.exchange();
    bench.next_request();
    let a = bench.get(id);
    assert!(a.presend_done > 0 && a.filter_count > 0);
    assert!(a.filter.as_ref().is_some_and(|f| !f.is_empty()));
    assert_ne!(format!("{:?}", a.quantile), fresh);
    let sent = a.exchange.local_tx;
    switch(&mut bench, Connectivity::Offline);
    let a = bench.get(id);
    assert_eq!((a.presend_done, a.filter_count), (0, 0));
    assert!(a.filter.as_ref().is_some_and(|f| f.is_empty()));
    assert_eq!(format!("{:?}", a.quantile), fresh);
    assert_eq!(a.exchange.local_tx, sent);
    assert!(a.exchange.remote_tx.is_zero() && a.exchange.local_rx.time.is_zero());
}

#[test]
fn the_poll_is_reset_counting_from_the_last_request() {
    let mut bench = Bench::new(2);
    let id = bench.server(config());
    bench.exchange();
    bench.entry(id).poll.current = 9;
    bench.pass(20.0);
    bench.run(|table, env| table.start_over(env));
    assert_eq!(bench.get(id).poll.current, 6);
    assert!(bench.get(id).exchange.remote_tx.is_zero());
    let wait = bench.until_request(id).unwrap();
    assert!((43.9..=44.9).contains(&wait), "{wait}");
    // An unchanged poll leaves the timer alone.
    bench.pass(10.0);
    bench.run(|table, env| table.on_unknown_step(env));
    let left = bench.until_request(id).unwrap();
    assert!((wait - 10.0 - left).abs() < 1e-6, "{left}");
    // After a step of the clock nobody knows how long ago the last request was.
    bench.entry(id).poll.current = 9;
    bench.run(|table, env| table.on_unknown_step(env));
    let wait = bench.until_request(id).unwrap();
    assert!((64.0..=65.3).contains(&wait), "{wait}");
}

#[test]
fn requests_of_a_burst_are_a_quarter_of_an_interval_apart() {
    for (poll, want) in [(0, 0.25), (2, 1.0), (3, 2.0), (10, 2.0)] {
        let mut bench = Bench::new(3);
        let id = bench.server(SourceConfig {
            iburst: true,
            minpoll: poll,
            ..config()
        });
        bench.next_request();
        let wait = bench.until_request(id).unwrap();
        assert!((want..=want * 1.0201).contains(&wait), "{poll}: {wait}");
    }
}

/// The distance of two timers of a class armed at once for now.
fn separation(poll: i32, kinds: [SourceKind; 2]) -> f64 {
    let mut bench = Bench::new(4);
    let options = SourceConfig {
        minpoll: poll,
        maxpoll: poll,
        ..config()
    };
    for (address, kind) in ["192.0.2.1", "192.0.2.2"].into_iter().zip(kinds) {
        bench.add(address, kind, options.clone()).unwrap();
    }
    let ids = bench.table.ids();
    for &id in &ids {
        bench.entry(id).poll.current = poll;
        bench.timers.cancel(Timer::Transmit(id));
    }
    for &id in &ids {
        bench.run(|table, env| {
            let association = &table.entries[&id].association;
            association.arm_transmit(Seconds::ZERO, env);
        });
    }
    bench.until_request(ids[1]).unwrap() - bench.until_request(ids[0]).unwrap()
}

#[test]
fn requests_of_a_kind_are_kept_apart_by_the_poll() {
    use SourceKind::{Peer, Server};
    for (poll, want) in [
        (10, 0.2),
        (1, 0.2),
        (0, 0.125),
        (-4, 0.0078125),
        (-7, 0.002),
    ] {
        let apart = separation(poll, [Server, Server]);
        assert!((want..=want * 1.0201).contains(&apart), "{poll}: {apart}");
    }
    assert!(separation(6, [Peer, Peer]) >= 0.2);
    assert!(separation(6, [Server, Peer]).abs() < 1e-9);
}

#[test]
fn polls_below_a_second_need_a_reachable_near_source() {
    let fast = |filter| SourceConfig {
        minpoll: -4,
        maxpoll: 4,
        filter,
        ..config()
    };
    for (filter, min_delay, reach, want) in [
        (0, Some(0.001), 1, true),
        (0, Some(0.001), 0, false),
        (0, None, 1, false),
        // What the filter has seen is as good as what the statistics have.
        (2, None, 1, true),
    ] {
        let mut bench = Bench::new(5);
        let id = bench.server(fast(filter));
        bench.exchange();
        bench.stats.min_delay = min_delay.map(Seconds);
        bench.stats.told.get_mut(&id).unwrap().reach = reach;
        let got = bench.run(|table, env| {
            let association = &table.entries[&id].association;
            association.may_poll_below_second(env)
        });
        assert_eq!(got, want, "{filter} {min_delay:?} {reach}");
    }
}

#[test]
fn going_offline_drops_a_response_that_waits() {
    let mut bench = Bench::new(6);
    bench.params.hw_timestamping = true;
    let id = bench.server(config());
    bench.exchange();
    bench.exchange();
    assert!(bench.get(id).saved.is_some());
    let before = bench.get(id).saved.as_ref().unwrap().rx.time;
    let when = bench.clock.raw.cook(Seconds::ZERO);
    bench.table.on_clock_change(when, 0.0, Seconds(0.25));
    let after = bench.get(id).saved.as_ref().unwrap().rx.time;
    assert_eq!(after, before - Seconds(0.25), "it follows the clock");
    switch(&mut bench, Connectivity::Offline);
    assert!(bench.get(id).saved.is_none() && bench.timers.is_empty());
}

#[test]
fn a_packet_that_waits_for_another_follows_the_clock() {
    let when = Bench::new(7).clock.raw.cook(Seconds::ZERO);
    let mut step = Step::Packet(Box::new(Received {
        bytes: Vec::new(),
        rx: LocalStamp {
            time: when,
            ..LocalStamp::default()
        },
        local: None,
    }));
    step.adjust(when, 0.0, Seconds(0.5));
    let Step::Packet(received) = step else {
        panic!("the same step");
    };
    assert_eq!(received.rx.time, when - Seconds(0.5));
}

#[test]
fn responses_do_not_wait_without_a_timeout() {
    let mut bench = Bench::new(8);
    bench.params.hw_timestamping = true;
    bench.params.hw_timeout = Seconds::ZERO;
    let id = bench.server(config());
    for i in 1..=3 {
        bench.exchange();
        assert_eq!(bench.told(id).samples.len(), i);
    }
}

#[test]
fn a_burst_is_not_spent_on_requests_that_cannot_be_built() {
    let mut bench = Bench::new(9);
    let id = bench.server(SourceConfig {
        version: Some(3),
        mono_root: true,
        iburst: true,
        ..config()
    });
    for _ in 0..12 {
        bench.next_timer();
    }
    let association = bench.get(id);
    assert_eq!(association.operating_mode(), OperatingMode::BurstWasOnline);
    assert_eq!(association.burst_total, 8);
}

#[test]
fn a_failed_send_takes_the_longer_interval_back() {
    let mut bench = Bench::new(10);
    let id = bench.server(config());
    // Three unanswered ones bring the score to 0.75.
    for _ in 0..4 {
        bench.next_request();
    }
    assert!((bench.get(id).poll.score - 0.75).abs() < 1e-9);
    bench.network_down = true;
    while bench.get(id).exchange.tx_count < 5 {
        bench.next_timer();
    }
    let poll = bench.get(id).poll;
    assert_eq!(poll.current, 6);
    assert!((poll.score - 0.75).abs() < 1e-9);
    let wait = bench.until_request(id).unwrap();
    assert!((64.0..=65.3).contains(&wait), "{wait}");
}

#[test]
fn root_values_are_those_of_the_field_if_it_is_used() {
    let mut bench = Bench::new(11);
    bench.params.measurement_log = MeasurementLog::All;
    let id = bench.server(SourceConfig {
        mono_root: true,
        ..config()
    });
    let request = bench.next_request();
    let mut reply = bench.reply(&request);
    // Both of the header would fail test 7.
    reply.root_delay = NtpShort(40 << 16);
    reply.root_dispersion = NtpShort(40 << 16);
    let mono = MonoRoot {
        root_delay: NtpShort28::from_seconds(Seconds(0.5)),
        root_dispersion: NtpShort28::from_seconds(Seconds(0.25)),
        ..MonoRoot::default()
    };
    let packet = with_fields(&reply, Some(mono), None);
    bench.deliver(&request, &packet, StampSource::Daemon);
    let report = bench.get(id).report();
    assert_eq!(
        (report.root_delay, report.root_dispersion),
        (Seconds(0.5), Seconds(0.25))
    );
    assert_eq!(report.total_good, 1);
    let x = bench.get(id).exchange;
    assert_eq!(
        (x.remote_root_delay, x.remote_root_dispersion),
        (Seconds(0.5), Seconds(0.25))
    );
}

#[test]
fn without_the_field_a_monotonic_scale_is_forgotten() {
    let mut bench = Bench::new(12);
    let id = bench.server(SourceConfig {
        mono_root: true,
        ..config()
    });
    let request = bench.next_request();
    let reply = bench.reply(&request);
    let mono = MonoRoot {
        receive: reply.receive,
        epoch: 5,
        ..MonoRoot::default()
    };
    let packet = with_fields(&reply, Some(mono), None);
    bench.deliver(&request, &packet, StampSource::Daemon);
    let x = bench.get(id).exchange;
    assert_eq!((x.remote_mono_epoch, x.remote_mono_rx), (5, reply.receive));
    // A bad response, so that nothing is passed on to the statistics.
    bench.entry(id).exchange.mono_doffset = Seconds(3.0);
    tests_of(&mut bench, |h| h.precision = 2);
    let x = bench.get(id).exchange;
    assert_eq!(
        (x.remote_mono_epoch, x.remote_mono_rx, x.mono_doffset),
        (0, NtpTimestamp::ZERO, Seconds::ZERO)
    );
}

#[test]
fn moves_of_a_remote_clock_add_up_within_limits() {
    for (moved, corrected) in [(0.0, 0), (3.0, 1), (-16.0, 1), (16.5, 0)] {
        let mut bench = Bench::new(13);
        let id = bench.server(SourceConfig {
            mono_root: true,
            ..config()
        });
        let request = bench.next_request();
        let reply = bench.reply(&request);
        bench.entry(id).exchange.mono_doffset = Seconds(moved);
        let mono = MonoRoot {
            receive: reply.receive,
            epoch: 5,
            ..MonoRoot::default()
        };
        let packet = with_fields(&reply, Some(mono), None);
        bench.deliver(&request, &packet, StampSource::Daemon);
        assert_eq!(bench.told(id).corrected.len(), corrected, "{moved}");
        assert_eq!(bench.get(id).exchange.mono_doffset, Seconds::ZERO);
    }
}

#[test]
fn an_interleaved_response_needs_a_synchronised_one_before() {
    for synchronised in [true, false] {
        let mut bench = Bench::new(14);
        bench.params.measurement_log = MeasurementLog::All;
        bench.server(SourceConfig {
            xleave: true,
            ..config()
        });
        let leap = if synchronised {
            Leap::Normal
        } else {
            Leap::Unsynchronised
        };
        let request = bench.next_request();
        let mut first = bench.reply(&request);
        // Not good, so that its timestamps may be used by the next.
        first.precision = 2;
        first.leap = leap;
        bench.pass(1e-3);
        bench.deliver(&request, &first.to_bytes(), StampSource::Kernel);
        let request = bench.next_request();
        let mut second = bench.reply(&request);
        second.originate = request.header().receive;
        second.transmit = first.transmit;
        bench.pass(1e-3);
        bench.deliver(&request, &second.to_bytes(), StampSource::Kernel);
        let record = bench.records.last().unwrap();
        let want = if synchronised {
            "111 111 1111"
        } else {
            "111 111 0000"
        };
        assert_eq!(&record[41..53], want, "{record}");
    }
}

#[test]
fn what_a_response_leaves_behind() {
    let mut bench = Bench::new(15);
    let id = bench.server(SourceConfig {
        minpoll: 4,
        ..config()
    });
    bench.next_request();
    let request = bench.next_request();
    let mut reply = bench.reply(&request);
    reply.poll = 9;
    reply.stratum = 7;
    bench.deliver(&request, &reply.to_bytes(), StampSource::Kernel);
    let x = bench.get(id).exchange;
    assert_eq!((x.remote_poll, x.remote_stratum), (9, 7));
    assert_eq!((x.prev_local_poll, x.prev_tx_count, x.tx_count), (4, 2, 0));
    assert!(x.valid_rx && x.valid_timestamps);
    assert!(x.prev_local_tx.time.is_zero(), "after a good basic one");
    // A bad one keeps the request's time for the next, interleaved one.
    tests_of(&mut bench, |h| h.precision = 2);
    let x = bench.get(id).exchange;
    assert_eq!(x.prev_local_tx, x.local_tx);
    tests_of(&mut bench, |h| {
        h.leap = Leap::Unsynchronised;
        h.stratum = 0;
    });
    let x = bench.get(id).exchange;
    assert_eq!((x.remote_stratum, x.valid_timestamps), (16, false));
}

#[test]
fn the_report_repeats_the_response() {
    let mut bench = Bench::new(16);
    let id = bench.server(config());
    let request = bench.next_request();
    let reply = Header {
        leap: Leap::Insert,
        version: 3,
        stratum: 5,
        poll: 9,
        precision: -18,
        root_delay: NtpShort(0x4000),
        root_dispersion: NtpShort(0x8000),
        refid: 0x0102_0304,
        ..bench.reply(&request)
    };
    bench.pass(1e-3);
    bench.deliver(&request, &reply.to_bytes(), StampSource::Kernel);
    let report = bench.get(id).report();
    assert_eq!(
        (report.leap, report.version, report.mode, report.stratum),
        (Leap::Insert, 3, Mode::Server, 5)
    );
    assert_eq!((report.poll, report.precision), (9, -18));
    assert_eq!(
        (report.root_delay, report.root_dispersion),
        (Seconds(0.25), Seconds(0.5))
    );
    assert_eq!(
        (report.refid, report.reference_time),
        (0x0102_0304, reply.reference)
    );
    let sample = bench.told(id).samples[0];
    assert_eq!(
        (report.offset, report.peer_delay, report.peer_dispersion),
        (sample.offset, sample.peer_delay, sample.peer_dispersion)
    );
    assert!(sample.offset > Seconds(0.09) && sample.peer_delay > Seconds(1e-4));
    assert_eq!(report.tests.bits(), 0b11_1111_1111);
    assert!(!report.interleaved && !report.authenticated);
}

#[test]
fn a_kiss_is_unsynchronised() {
    for (leap, stratum, extra) in [
        (Leap::Unsynchronised, 0, true),
        (Leap::Normal, 0, false),
        (Leap::Unsynchronised, 1, false),
    ] {
        let mut bench = Bench::new(17);
        let id = bench.server(config());
        tests_of(&mut bench, |h| {
            h.leap = leap;
            h.stratum = stratum;
            h.refid = refid::KISS_RATE;
        });
        let wait = bench.until_request(id).unwrap();
        assert_eq!(wait > 300.0, extra, "{leap:?} {stratum}: {wait}");
    }
}

/// A response that devices on the path delayed by known times, with its request.
fn corrected_response(
    bench: &mut Bench,
    [rx, tx, frame]: [f64; 3],
    by_10a: bool,
    origin: impl FnOnce(&mut Header, &Sent),
) {
    let request = bench.next_request();
    let mut reply = bench.reply(&request);
    origin(&mut reply, &request);
    let field = NetCorrection::from_seconds(Seconds(tx));
    let mut buffer = [0; 100];
    let mut builder = PacketBuilder::new(&mut buffer, &reply).unwrap();
    let (kind, body) = if by_10a {
        (FIELD_NET_CORRECTION_10A, field.to_body_10a())
    } else {
        (FIELD_NET_CORRECTION, field.to_body())
    };
    builder.add_field(kind, &body).unwrap();
    let packet = builder.finish();
    bench.pass(1e-3);
    let stamp = PacketStamp {
        net_correction: Seconds(rx),
        rx_duration: Seconds(frame),
        ..PacketStamp::new(bench.clock.raw, StampSource::Hardware)
    };
    bench.deliver_stamped(request.key, request.to, packet, stamp);
}

#[test]
fn network_corrections_reach_the_sample_if_asked_for() {
    // The delay is 0.8 ms; 0.3 ms of it are explained, 0.2 ms of these on the way back.
    for (asked, by_10a, delay, offset) in [
        (true, false, 0.8e-3 - 0.3e-3 * 0.9999, 0.1 + 0.05e-3),
        (true, true, 0.8e-3 - 0.3e-3 * 0.9999, 0.1 + 0.05e-3),
        (false, false, 0.8e-3, 0.1),
        (false, true, 0.8e-3, 0.1),
    ] {
        let mut bench = Bench::new(18);
        bench.params.ptp_port = 319;
        let id = bench.server(SourceConfig {
            net_correction: asked && !by_10a,
            net_correction_10a: asked && by_10a,
            ..config()
        });
        corrected_response(&mut bench, [0.21e-3, 0.11e-3, 0.01e-3], by_10a, |_, _| {});
        let sample = bench.told(id).samples[0];
        assert!(
            (sample.peer_delay - Seconds(delay)).abs() < Seconds(1e-8),
            "{asked}: {sample:?}"
        );
        assert!((sample.offset - Seconds(offset)).abs() < Seconds(1e-8));
        assert!((sample.root_delay - Seconds(0.8e-3)).abs() < Seconds(1e-7));
        let kept = bench.get(id).exchange.local_tx.net_correction;
        let want = if asked { 0.11e-3 } else { 0.0 };
        assert!((kept - Seconds(want)).abs() < Seconds(1e-9));
    }
}

#[test]
fn interleaved_exchanges_use_the_correction_of_their_request() {
    let mut bench = Bench::new(19);
    bench.params.ptp_port = 319;
    let id = bench.server(SourceConfig {
        net_correction: true,
        xleave: true,
        ..config()
    });
    // A bad basic response (no time at the server) tells of the first request's correction, the
    // interleaved one after it of the second's.
    let mut first = None;
    corrected_response(&mut bench, [0.21e-3, 0.11e-3, 0.01e-3], false, |h, _| {
        h.precision = 2;
        first = Some((h.receive, h.transmit));
    });
    corrected_response(
        &mut bench,
        [0.51e-3, 0.41e-3, 0.01e-3],
        false,
        |h, request| {
            h.originate = request.header().receive;
            h.transmit = first.unwrap().1;
        },
    );
    let sample = bench.told(id).samples[0];
    assert!(
        (sample.peer_delay - Seconds(0.8e-3 - 0.3e-3 * 0.9999)).abs() < Seconds(1e-8),
        "{sample:?}"
    );
    let x = bench.get(id).exchange;
    assert!((x.prev_local_tx.net_correction - Seconds(0.41e-3)).abs() < Seconds(1e-9));
}

#[test]
fn unbelievable_corrections_change_nothing() {
    for (rx, tx, frame) in [
        (0.9e-3, 0.2e-3, 0.0),
        (0.2e-3, 0.0, 0.0),
        (0.01e-3, 0.2e-3, 0.01e-3),
        (0.02e-3, 1e-6, 0.015e-3),
    ] {
        let mut bench = Bench::new(20);
        bench.params.ptp_port = 319;
        let id = bench.server(SourceConfig {
            net_correction: true,
            ..config()
        });
        corrected_response(&mut bench, [rx, tx, frame], false, |_, _| {});
        let sample = bench.told(id).samples[0];
        assert!((sample.peer_delay - Seconds(0.8e-3)).abs() < Seconds(1e-7));
        assert!((sample.offset - Seconds(0.1)).abs() < Seconds(1e-7), "{rx}");
    }
}

fn ids_of_two(bench: &mut Bench) -> [SourceId; 2] {
    for address in ["192.0.2.1", "192.0.2.2"] {
        bench.add(address, SourceKind::Server, config()).unwrap();
    }
    bench.table.ids().try_into().unwrap()
}

#[test]
fn commands_reach_the_selected_source_last() {
    for selected in [0, 1] {
        let mut bench = Bench::new(21);
        let ids = ids_of_two(&mut bench);
        bench.stats.selected = Some(ids[selected]);
        bench.logs.clear();
        switch(&mut bench, Connectivity::Offline);
        let last = bench.get(ids[selected]).address();
        assert_eq!(bench.logs[1], format!("Source {last} offline"));
    }
}
