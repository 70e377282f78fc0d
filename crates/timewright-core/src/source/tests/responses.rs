//! `ntp-engine.md` 3.5, 3.6 and 5: what a response changes.

use super::bench::{Bench, LOCAL, Sent};
use crate::ids::SourceId;
use crate::output::StampSource;
use crate::source::association::{OperatingMode, Tuning};
use crate::source::{MeasurementLog, SourceAddress, SourceConfig};
use crate::stats::DelayTestData;
use crate::timers::Timer;
use timewright_time::{FreqRatio, NtpShort, NtpShort28, NtpTimestamp, Seconds};
use timewright_wire::{
    FIELD_MONO_ROOT, FIELD_NET_CORRECTION, Header, Leap, MonoRoot, NetCorrection, PacketBuilder,
    refid,
};

fn config() -> SourceConfig {
    SourceConfig::default()
}

fn bench(seed: u64) -> (Bench, SourceId) {
    let mut bench = Bench::new(seed);
    bench.params.measurement_log = MeasurementLog::All;
    let id = bench.server(config());
    (bench, id)
}

/// The tests of the next exchange with a changed response, as the log shows them.
pub(super) fn tests_of(bench: &mut Bench, change: impl FnOnce(&mut Header)) -> String {
    let request = bench.next_request();
    let mut reply = bench.reply(&request);
    bench.pass(1e-3);
    change(&mut reply);
    bench.deliver(&request, &reply.to_bytes(), StampSource::Kernel);
    bench
        .records
        .last()
        .map_or_else(String::new, |r| r[41..53].to_owned())
}

#[test]
fn a_good_response_gives_a_sample() {
    let (mut bench, id) = bench(1);
    assert_eq!(tests_of(&mut bench, |_| {}), "111 111 1111");
    let told = bench.told(id).clone();
    assert_eq!((told.reach, told.status), (1, Some((1, Leap::Normal))));
    let sample = told.samples[0];
    // The reply took 0.4 ms there, 0.2 ms to be made, 0.4 ms back; the server is 0.1 s ahead.
    assert!(
        (sample.offset - Seconds(0.1)).abs() < Seconds(1e-7),
        "{sample:?}"
    );
    assert!((sample.peer_delay - Seconds(0.8e-3)).abs() < Seconds(1e-7));
    assert!((sample.peer_dispersion - Seconds(1e-6 + 2f64.powi(-24) + 2e-6)).abs() < Seconds(1e-9));
    assert!(bench.open.is_empty(), "the socket is closed");
    let report = bench.get(id).report();
    assert_eq!(
        (report.total_valid, report.total_good, report.kernel_rx),
        (1, 1, 1)
    );
    assert_eq!(report.local, LOCAL.parse().ok());
    assert!((report.response_time - Seconds(0.2e-3)).abs() < Seconds(1e-7));
    assert_eq!(
        (report.tx_source, report.rx_source),
        (Some(StampSource::Daemon), Some(StampSource::Kernel))
    );
}

#[test]
fn each_test_has_its_digit() {
    let (mut b, _) = bench(2);
    let later = |t: &mut NtpTimestamp| t.0 += 5 << 32;
    assert_eq!(tests_of(&mut b, |h| h.originate.0 ^= 1), "101 111 0000");
    assert_eq!(
        tests_of(&mut b, |h| h.receive = NtpTimestamp::ZERO),
        "110 111 0000"
    );
    assert_eq!(
        tests_of(&mut b, |h| h.transmit = NtpTimestamp::ZERO),
        "110 111 0000"
    );
    assert_eq!(
        tests_of(&mut b, |h| h.leap = Leap::Unsynchronised),
        "111 101 0000"
    );
    assert_eq!(tests_of(&mut b, |h| h.stratum = 0), "111 101 0000");
    assert_eq!(tests_of(&mut b, |h| h.stratum = 16), "111 101 0000");
    assert_eq!(
        tests_of(&mut b, |h| h.root_dispersion = NtpShort(16 << 16)),
        "111 110 0000"
    );
    assert_eq!(
        tests_of(&mut b, |h| h.root_delay = NtpShort(31 << 16)),
        "111 111 1111"
    );
    assert_eq!(tests_of(&mut b, |h| later(&mut h.transmit)), "111 111 0111");
    assert_eq!(tests_of(&mut b, |h| h.precision = 2), "111 111 0111");
}

#[test]
fn a_bad_response_changes_nothing_and_leaves_the_socket_open() {
    for change in [
        (|h: &mut Header| h.originate.0 ^= 1) as fn(&mut Header),
        |h| h.receive = NtpTimestamp::ZERO,
        |h| h.transmit = NtpTimestamp::ZERO,
    ] {
        let (mut bench, id) = bench(3);
        let request = bench.next_request();
        let reply = bench.reply(&request);
        let before = format!("{:?} {:?}", bench.get(id).exchange, bench.get(id).poll);
        let mut bad = reply;
        change(&mut bad);
        bench.deliver(&request, &bad.to_bytes(), StampSource::Daemon);
        assert_eq!(
            format!("{:?} {:?}", bench.get(id).exchange, bench.get(id).poll),
            before
        );
        assert_eq!((bench.told(id).reach_shifts, bench.open.len()), (0, 1));
        assert_eq!(bench.get(id).report().total_rx, 1);
        bench.deliver(&request, &reply.to_bytes(), StampSource::Daemon);
        assert_eq!(bench.told(id).samples.len(), 1);
    }
}

#[test]
fn only_what_can_be_a_packet_is_counted() {
    for (length, counted) in [(47, 0), (48, 1), (1140, 1), (1141, 0), (1144, 0), (2048, 0)] {
        let (mut bench, id) = bench(3);
        let request = bench.next_request();
        let mut reply = bench.reply(&request).to_bytes().to_vec();
        reply.resize(length, 0);
        bench.deliver(&request, &reply, StampSource::Daemon);
        assert_eq!(bench.get(id).report().total_rx, counted, "{length}");
    }
}

#[test]
fn packets_with_a_mac_are_not_for_a_source_without_a_key() {
    let (mut bench, id) = bench(4);
    let request = bench.next_request();
    let reply = bench.reply(&request).to_bytes();
    for mac in [vec![0; 4], vec![1; 20], vec![1; 24]] {
        let with_mac = [&reply[..], &mac].concat();
        bench.deliver(&request, &with_mac, StampSource::Daemon);
        assert_eq!(&bench.records.last().unwrap()[41..53], "111 011 0000");
    }
    assert_eq!(bench.get(id).report().total_valid, 0);
    bench.deliver(&request, &reply, StampSource::Daemon);
    assert_eq!(bench.get(id).report().total_valid, 1);
}

#[test]
fn the_version_of_a_response_does_not_matter() {
    for version in 1..=4 {
        let (mut bench, _) = bench(5);
        assert_eq!(
            tests_of(&mut bench, |h| h.version = version),
            "111 111 1111"
        );
    }
}

#[test]
fn only_the_first_response_to_a_request_counts() {
    let mut bench = Bench::new(6);
    bench.params.measurement_log = MeasurementLog::All;
    // Peers keep their socket, so a second one arrives.
    let id = bench.peer(config());
    let request = bench.next_request();
    let reply = bench.reply(&request);
    bench.deliver(&request, &reply.to_bytes(), StampSource::Daemon);
    bench.deliver(&request, &reply.to_bytes(), StampSource::Daemon);
    assert_eq!(&bench.records.last().unwrap()[41..53], "000 111 0000");
    let mut newer = reply;
    newer.transmit.0 += 1 << 20;
    bench.deliver(&request, &newer.to_bytes(), StampSource::Daemon);
    assert_eq!(&bench.records.last().unwrap()[41..53], "100 111 1111");
    assert_eq!(
        bench.get(id).exchange.remote_tx,
        newer.transmit,
        "but its timestamps are newer"
    );
    assert_eq!(
        (
            bench.get(id).report().total_valid,
            bench.told(id).reach_shifts
        ),
        (1, 1)
    );
}

#[test]
fn unsynchronised_responses_shift_a_zero_and_slow_the_polling() {
    let (mut bench, id) = bench(7);
    for i in 1..=10 {
        assert_eq!(bench.get(id).poll.current, 6);
        tests_of(&mut bench, |h| h.leap = Leap::Unsynchronised);
        assert_eq!((bench.told(id).reach, bench.told(id).reach_shifts), (0, i));
    }
    // Ten times 0.1, summed in floating point, may end just below 1.
    tests_of(&mut bench, |h| h.leap = Leap::Unsynchronised);
    assert_eq!(
        (bench.get(id).poll.current, bench.told(id).status),
        (7, None)
    );
}

#[test]
fn a_response_that_fails_only_test_a_slows_the_polling_little() {
    let (mut bench, id) = bench(8);
    tests_of(&mut bench, |h| h.precision = 2);
    assert!((bench.get(id).poll.score - 0.02).abs() < 1e-12);
    assert_eq!((bench.told(id).reach, bench.told(id).samples.len()), (1, 0));
}

#[test]
fn samples_adapt_the_poll() {
    // (prediction, samples before, change of the score) for an offset of 0.1 s, distance 0.4 ms.
    let distance = 1e-6 + 2f64.powi(-24) + 2e-6 + 0.4e-3;
    for (predicted, samples, want) in [
        (-0.1, 7, 0.0),
        (-0.1, 15, 0.125),
        (-0.1, 3, -0.125),
        (0.0, 7, -(0.1f64 / distance).log2()),
    ] {
        let (mut bench, id) = bench(9);
        bench.entry(id).poll.current = 10;
        bench.entry(id).poll.min = -7;
        bench.stats.predicted = Seconds(predicted);
        for _ in 0..samples {
            bench
                .stats
                .told
                .get_mut(&id)
                .unwrap()
                .samples
                .push(Default::default());
        }
        tests_of(&mut bench, |_| {});
        let poll = bench.get(id).poll;
        let moved = f64::from(poll.current - 10) + poll.score;
        assert!(
            (moved - want).abs() < 1e-3,
            "{predicted} {samples}: {moved} {want}"
        );
    }
}

#[test]
fn subsecond_polls_are_for_near_sources() {
    for (delay, want) in [(0.009, -1), (0.011, 0)] {
        let mut bench = Bench::new(10);
        let id = bench.server(SourceConfig {
            minpoll: -4,
            maxpoll: 4,
            ..config()
        });
        assert_eq!(bench.get(id).poll.current, 0);
        bench.stats.min_delay = Some(Seconds(delay));
        bench.entry(id).poll.score = 0.01;
        bench.stats.predicted = Seconds(-0.1);
        bench.exchange();
        assert_eq!(bench.get(id).poll.current, want, "{delay}");
    }
}

#[test]
fn a_rate_kiss_is_obeyed() {
    let mut bench = Bench::new(11);
    let id = bench.server(SourceConfig {
        iburst: true,
        ..config()
    });
    let kiss = |h: &mut Header| {
        h.leap = Leap::Unsynchronised;
        h.stratum = 0;
        h.refid = refid::KISS_RATE;
    };
    tests_of(&mut bench, kiss);
    assert_eq!(
        bench.logs.last().unwrap(),
        "Received KoD RATE from 192.0.2.1"
    );
    let wait = bench.until_request(id).unwrap();
    assert!(
        (257.9..=263.2).contains(&wait),
        "2 s of the burst and 4 intervals: {wait}"
    );
    assert_eq!(
        bench.get(id).operating_mode(),
        OperatingMode::BurstWasOnline
    );
    bench.exchange();
    assert_eq!(bench.get(id).operating_mode(), OperatingMode::Online);
}

#[test]
fn other_kisses_are_unsynchronised_responses() {
    for code in [refid::KISS_DENY, refid::KISS_RSTR] {
        let (mut bench, id) = bench(12);
        tests_of(&mut bench, |h| {
            h.leap = Leap::Unsynchronised;
            h.stratum = 0;
            h.refid = code;
        });
        let wait = bench.until_request(id).unwrap();
        assert!(wait < 65.3 && bench.told(id).reach_shifts == 1, "{wait}");
    }
}

#[test]
fn minstratum_raises_the_stratum() {
    for (minstratum, stratum, want) in [(0, 1, 1), (3, 1, 3), (3, 5, 5), (-4, 2, 2)] {
        let (mut bench, id) = bench(13);
        let address = SourceAddress::Ip("192.0.2.1".parse().unwrap());
        bench.run(|table, env| table.tune(address, Tuning::MinStratum(minstratum), env));
        tests_of(&mut bench, |h| h.stratum = stratum);
        assert_eq!(bench.told(id).status, Some((want, Leap::Normal)));
    }
}

#[test]
fn copy_adopts_stratum_and_refid() {
    let mut bench = Bench::new(14);
    let id = bench.server(SourceConfig {
        copy: true,
        ..config()
    });
    tests_of(&mut bench, |h| {
        h.stratum = 3;
        h.refid = 0x0102_0304;
    });
    let told = bench.told(id);
    assert_eq!(
        (told.status, told.refid, told.resets),
        (Some((2, Leap::Normal)), 0x0102_0304, 0)
    );
    tests_of(&mut bench, |h| h.leap = Leap::Unsynchronised);
    assert_eq!(
        (bench.told(id).resets, bench.told(id).samples.len()),
        (1, 0)
    );
}

#[test]
fn test_d_finds_loops() {
    let local = refid::of_address(LOCAL.parse().unwrap());
    let (mut b, _) = bench(15);
    b.reference.stratum = 2;
    b.reference.refid = 77;
    b.reference.root_delay = Seconds(0.25);
    b.reference.reference_time = b.clock.raw.cook(Seconds(-3.0));
    b.reference.leap = Leap::Normal;
    let reference = NtpTimestamp::from_timestamp(b.reference.reference_time);
    let ours = move |h: &mut Header| {
        h.stratum = 2;
        h.refid = 77;
        h.root_delay = NtpShort(0x4000);
        h.reference = reference;
    };
    let follows = |h: &mut Header| {
        h.stratum = 2;
        h.refid = local;
    };
    assert_eq!(
        tests_of(&mut b, follows),
        "111 111 1111",
        "nobody can follow us"
    );
    let family = crate::output::Family::V4;
    b.sockets
        .acquire_server(family, &mut crate::output::OutputQueue::new());
    b.open.push(b.sockets.server(family).unwrap());
    assert_eq!(tests_of(&mut b, follows), "111 111 1110");
    assert_eq!(tests_of(&mut b, ours), "111 111 1110");
    assert_eq!(
        tests_of(&mut b, |h| (ours(h), h.refid = 78).1),
        "111 111 1111"
    );
    assert_eq!(
        tests_of(&mut b, |h| (ours(h), h.root_delay.0 += 1).1),
        "111 111 1111"
    );
    assert_eq!(
        tests_of(&mut b, |h| (ours(h), h.stratum = 3).1),
        "111 111 1111"
    );
    assert_eq!(
        tests_of(&mut b, |h| (follows(h), h.stratum = 1).1),
        "111 111 1111"
    );
    b.reference.normal_mode = false;
    assert_eq!(tests_of(&mut b, follows), "111 111 1111");
}

fn delay_data(min_delay: f64, std_dev: f64, predicted: f64) -> DelayTestData {
    DelayTestData {
        last_ago: Seconds(64.0),
        predicted_offset: Seconds(predicted),
        min_delay: Seconds(min_delay),
        skew: FreqRatio(0.0),
        std_dev: Seconds(std_dev),
    }
}

#[test]
fn tests_b_and_c_compare_with_earlier_delays() {
    // The delay is 0.8 ms, the offset 0.1 s; 64 s at 1 ppm allow 64 us.
    for (ratio, dev_ratio, data, want) in [
        (0.0, 10.0, None, "1111"),
        (2.0, 10.0, Some(delay_data(0.37e-3, 1.0, -0.1)), "1111"),
        (2.0, 10.0, Some(delay_data(0.36e-3, 1.0, -0.1)), "1011"),
        (0.9, 10.0, Some(delay_data(0.1e-3, 1.0, -0.1)), "1111"),
        (0.0, 10.0, Some(delay_data(0.1e-3, 29e-6, -0.1)), "1111"),
        (0.0, 10.0, Some(delay_data(0.1e-3, 28e-6, -0.1)), "1101"),
        (0.0, 10.0, Some(delay_data(0.1e-3, 28e-6, 0.5)), "1111"),
    ] {
        let mut bench = Bench::new(16);
        bench.params.measurement_log = MeasurementLog::Synchronised;
        let config = SourceConfig {
            maxdelayratio: ratio,
            maxdelaydevratio: dev_ratio,
            ..config()
        };
        bench.server(config);
        bench.stats.delay_data = data;
        let tests = tests_of(&mut bench, |_| {});
        assert_eq!(&tests[8..], want, "{ratio} {dev_ratio} {data:?}");
    }
}

#[test]
fn the_delay_quantile_replaces_test_c() {
    let mut bench = Bench::new(17);
    let id = bench.server(SourceConfig {
        maxdelayquant: 0.3,
        ..config()
    });
    bench.stats.delay_data = Some(delay_data(1e-9, 0.0, -0.1));
    let mut rng = super::bench::TestRng(4);
    let mut good = 0;
    for _ in 0..600 {
        let request = bench.next_request();
        let reply = bench.reply(&request);
        bench.pass(rng.uniform(1e-3, 2e-3));
        bench.deliver(&request, &reply.to_bytes(), StampSource::Daemon);
        good = bench.get(id).report().total_good;
    }
    // 30 % of 600; four standard deviations are 45, the start takes some more.
    assert!((120..=240).contains(&good), "{good}");
}

#[test]
fn the_filter_gives_one_sample_of_several_polls() {
    let mut bench = Bench::new(18);
    let id = bench.server(SourceConfig {
        filter: 3,
        ..config()
    });
    for i in 1..=9u32 {
        bench.exchange();
        assert_eq!(bench.told(id).samples.len() as u32, i / 3, "{i}");
    }
    // Bad and missing ones count, too.
    tests_of(&mut bench, |h| h.precision = 2);
    bench.exchange();
    assert_eq!(bench.told(id).samples.len(), 3);
    tests_of(&mut bench, |h| h.precision = 2);
    assert_eq!(bench.told(id).samples.len(), 4);
    // Without any, the next good one is taken at once.
    for _ in 0..5 {
        bench.next_request();
    }
    assert_eq!(bench.told(id).samples.len(), 4);
    bench.exchange();
    assert_eq!(bench.told(id).samples.len(), 5);
}

/// A response with the fields asked for.
pub(super) fn with_fields(
    header: &Header,
    mono: Option<MonoRoot>,
    net: Option<NetCorrection>,
) -> Vec<u8> {
    let mut buffer = [0; 200];
    let mut builder = PacketBuilder::new(&mut buffer, header).unwrap();
    if let Some(mono) = mono {
        builder.add_field(FIELD_MONO_ROOT, &mono.to_body()).unwrap();
    }
    if let Some(net) = net {
        builder
            .add_field(FIELD_NET_CORRECTION, &net.to_body())
            .unwrap();
    }
    builder.finish().to_vec()
}

#[test]
fn the_mono_root_field_has_better_root_values_and_tells_of_steps() {
    let mut bench = Bench::new(19);
    let id = bench.server(SourceConfig {
        mono_root: true,
        ..config()
    });
    // The server steps by 2 s before the third exchange; its monotonic scale does not.
    for (i, step) in [0.0, 0.0, 2.0, 2.0].into_iter().enumerate() {
        let request = bench.next_request();
        let mut reply = bench.reply(&request);
        reply.root_delay = NtpShort(u32::MAX);
        let mono = MonoRoot {
            root_delay: NtpShort28::from_seconds(Seconds(1e-3)),
            root_dispersion: NtpShort28::from_seconds(Seconds(1e-6)),
            receive: reply.receive,
            epoch: 5,
        };
        let stepped = (step * 4_294_967_296.0) as u64;
        reply.receive.0 -= stepped;
        reply.transmit.0 -= stepped;
        bench.pass(1e-3);
        let packet = with_fields(&reply, Some(mono), None);
        bench.deliver(&request, &packet, StampSource::Daemon);
        assert_eq!(bench.told(id).samples.len(), i + 1);
        let corrected: f64 = bench.told(id).corrected.iter().map(|s| s.0).sum();
        let want = if i >= 2 { 2.0 } else { 0.0 };
        assert!((corrected - want).abs() < 1e-8, "{i}: {corrected}");
    }
    let sample = bench.told(id).samples[0];
    assert!((sample.root_delay - sample.peer_delay - Seconds(1e-3)).abs() < Seconds(1e-8));
}

#[test]
fn fields_not_asked_for_are_ignored() {
    let (mut bench, id) = bench(20);
    let request = bench.next_request();
    let reply = bench.reply(&request);
    let mono = MonoRoot {
        root_delay: NtpShort28(u32::MAX),
        ..MonoRoot::default()
    };
    bench.deliver(
        &request,
        &with_fields(&reply, Some(mono), None),
        StampSource::Daemon,
    );
    assert_eq!(bench.told(id).samples.len(), 1);
}

#[test]
fn responses_wait_for_a_hardware_transmit_stamp() {
    let mut bench = Bench::new(21);
    bench.params.hw_timestamping = true;
    let id = bench.server(config());
    bench.exchange();
    assert_eq!(
        bench.told(id).samples.len(),
        1,
        "the first one does not wait"
    );

    // The stamp comes.
    let request = bench.exchange();
    assert_eq!(bench.told(id).samples.len(), 1);
    assert!(bench.timers.is_armed(Timer::SavedResponse(id)));
    bench.deliver_tx_stamp(&request, 1e-4, StampSource::Hardware);
    assert_eq!(bench.told(id).samples.len(), 2);
    assert_eq!(
        bench.get(id).report().tx_source,
        Some(StampSource::Hardware)
    );
    assert!(!bench.timers.is_armed(Timer::SavedResponse(id)));

    // It does not come.
    bench.exchange();
    assert_eq!(bench.next_timer(), Timer::SavedResponse(id));
    assert_eq!(bench.told(id).samples.len(), 3);
    assert!(bench.until_request(id).unwrap() > 60.0);

    // A kernel stamp improves the time, but the wait goes on.
    let request = bench.exchange();
    bench.deliver_tx_stamp(&request, 1e-4, StampSource::Kernel);
    assert_eq!(bench.told(id).samples.len(), 3);
    // The transmit timer ends the wait as well and is armed anew by that.
    bench.timers.cancel(Timer::SavedResponse(id));
    bench.timers.cancel(Timer::Receive(id));
    assert_eq!(bench.next_timer(), Timer::Transmit(id));
    assert_eq!((bench.told(id).samples.len(), bench.sent.len()), (4, 4));
    assert_eq!(bench.get(id).report().tx_source, Some(StampSource::Kernel));
    bench.next_request();
}

#[test]
fn a_second_response_ends_the_wait_of_the_first() {
    let mut bench = Bench::new(22);
    bench.params.hw_timestamping = true;
    let id = bench.server(config());
    bench.exchange();
    let request = bench.exchange();
    let mut second = bench.reply(&request);
    second.transmit.0 += 1 << 20;
    bench.deliver(&request, &second.to_bytes(), StampSource::Daemon);
    assert_eq!(bench.told(id).samples.len(), 2);
    assert_eq!(bench.get(id).report().total_valid, 2);
    assert!(!bench.timers.is_armed(Timer::SavedResponse(id)));
}

#[test]
fn raw_measurements_log_everything() {
    for (log, want) in [
        (MeasurementLog::Off, 0),
        (MeasurementLog::Synchronised, 2),
        (MeasurementLog::All, 4),
    ] {
        let mut bench = Bench::new(23);
        bench.params.measurement_log = log;
        bench.server(config());
        tests_of(&mut bench, |_| {});
        tests_of(&mut bench, |h| h.leap = Leap::Unsynchronised);
        tests_of(&mut bench, |h| h.precision = 2);
        tests_of(&mut bench, |h| h.originate.0 ^= 1);
        assert_eq!(bench.records.len(), want, "{log:?}");
    }
}

#[test]
fn options_change_at_run_time() {
    let (mut bench, id) = bench(24);
    bench.logs.clear();
    let address = SourceAddress::Ip("192.0.2.1".parse().unwrap());
    for (tuning, want) in [
        (Tuning::MinPoll(12), &["minpoll 12", "maxpoll 12"][..]),
        (Tuning::MaxPoll(5), &["maxpoll 5", "minpoll 5"]),
        (Tuning::MaxPoll(25), &[]),
        (Tuning::MinPoll(-8), &[]),
        (Tuning::MaxDelay(2e3), &["maxdelay 1000.000000"]),
        (Tuning::MaxDelayRatio(-1.0), &["maxdelayratio 0.000000"]),
        (
            Tuning::MaxDelayDevRatio(1.5),
            &["maxdelaydevratio 1.500000"],
        ),
        (Tuning::MinStratum(-2), &["minstratum -2"]),
        (Tuning::PollTarget(0), &["polltarget 0"]),
        (Tuning::Offset(-0.25), &["offset -0.250000"]),
    ] {
        assert!(bench.run(|table, env| table.tune(address, tuning, env)));
        let logs: Vec<String> = bench.logs.drain(..).collect();
        let want: Vec<String> = want
            .iter()
            .map(|w| format!("Source 192.0.2.1 new {w}"))
            .collect();
        assert_eq!(logs, want);
    }
    assert_eq!(
        (
            bench.get(id).poll.current,
            bench.get(id).config().polltarget
        ),
        (6, 1)
    );
    let other = SourceAddress::Unresolved(1);
    assert!(!bench.run(|table, env| table.tune(other, Tuning::MaxPoll(6), env)));
    bench.exchange();
    let offset = bench.told(id).samples[0].offset;
    assert!(
        (offset - Seconds(-0.15)).abs() < Seconds(1e-6),
        "{offset:?}"
    );
}

/// A server that answers in interleaved mode: what it sent last, and when that really left.
struct Interleaving {
    last: Option<(NtpTimestamp, NtpTimestamp)>,
}

impl Interleaving {
    fn answer(&mut self, bench: &mut Bench, request: &Sent) -> Header {
        let mut reply = bench.reply(request);
        reply.receive.0 |= 1;
        reply.transmit.0 &= !1;
        // The daemon's transmit time is 0.1 ms early.
        let really = NtpTimestamp(reply.transmit.0 + (1e-4 * 4_294_967_296.0) as u64);
        let asked = request.header();
        if let Some((rx, tx)) = self.last
            && asked.originate == rx
            && asked.receive != asked.transmit
        {
            reply.originate = asked.receive;
            reply.transmit = tx;
        }
        self.last = Some((reply.receive, really));
        reply
    }
}

#[test]
fn interleaved_responses_use_the_better_transmit_time() {
    let mut bench = Bench::new(25);
    bench.params.measurement_log = MeasurementLog::All;
    let id = bench.server(SourceConfig {
        xleave: true,
        ..config()
    });
    let mut server = Interleaving { last: None };
    for i in 0..12 {
        let request = bench.next_request();
        let reply = server.answer(&mut bench, &request);
        bench.pass(1.1e-3);
        bench.deliver(&request, &reply.to_bytes(), StampSource::Kernel);
        let record = bench.records.last().unwrap();
        // The first interleaved response, to the second request, would use the timestamps of the
        // good basic one before it once more.
        let want = match i {
            0 => ("111 111 1111", "4B D K"),
            1 => ("111 111 0111", "4I D K"),
            _ => ("111 111 1111", "4I D K"),
        };
        assert_eq!(
            (&record[41..53], &record[record.len() - 6..]),
            want,
            "{i}: {record}"
        );
    }
    let last = *bench.told(id).samples.last().unwrap();
    assert!(
        (last.offset - Seconds(0.1)).abs() < Seconds(1e-6),
        "{last:?}"
    );
    assert!(
        (last.peer_delay - Seconds(0.8e-3)).abs() < Seconds(1e-6),
        "{last:?}"
    );
}
