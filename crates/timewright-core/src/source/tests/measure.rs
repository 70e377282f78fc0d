//! `ntp-engine.md` 5.3 and 5.4 in numbers.

use crate::output::StampSource;
use crate::source::SourceConfig;
use crate::source::measure::{Exchange, Inputs, Kind, LocalStamp, Measurement, test_a};
use timewright_time::{Cooked, FreqRatio, NtpShort, NtpTimestamp, Seconds, Timestamp};
use timewright_wire::{Header, Leap, Mode, MonoRoot};

const BASE_S: i64 = 1_700_000_000;

fn local(s: f64) -> Timestamp<Cooked> {
    Timestamp::from_parts(BASE_S, 0) + Seconds(s)
}

fn remote(s: f64) -> NtpTimestamp {
    NtpTimestamp::from_timestamp(local(s))
}

fn stamp(s: f64) -> LocalStamp {
    LocalStamp {
        time: local(s),
        source: StampSource::Kernel,
        ..LocalStamp::default()
    }
}

fn header(receive: f64, transmit: f64) -> Header {
    Header {
        leap: Leap::Normal,
        version: 4,
        mode: Mode::Server,
        stratum: 1,
        precision: -32,
        root_delay: NtpShort(0),
        receive: remote(receive),
        transmit: remote(transmit),
        ..Header::default()
    }
}

struct Case {
    exchange: Exchange,
    header: Header,
    rx: LocalStamp,
    interleaved: bool,
    mono: Option<MonoRoot>,
    net_correction: Seconds,
}

impl Case {
    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            exchange: &self.exchange,
            header: &self.header,
            root_delay: Seconds(0.010),
            root_dispersion: Seconds(0.020),
            mono: self.mono,
            net_correction: self.net_correction,
            rx: self.rx,
            interleaved: self.interleaved,
            precision: Seconds(1e-7),
            skew: FreqRatio(1e-5),
            offset: Seconds::ZERO,
            era_s: 0,
        }
    }

    fn measure(&self) -> Measurement {
        self.inputs().measure()
    }

    fn passes_a(&self, kind: Kind, maxdelay: f64) -> bool {
        let config = SourceConfig {
            maxdelay,
            ..SourceConfig::default()
        };
        test_a(&self.measure(), &self.inputs(), &config, kind, 0)
    }
}

/// A request at 100 s, its response at 100.3 s; the server is 5 s ahead and takes 0.1 s.
fn basic() -> Case {
    Case {
        exchange: Exchange {
            local_tx: stamp(100.0),
            ..Exchange::default()
        },
        header: header(105.1, 105.2),
        rx: stamp(100.3),
        interleaved: false,
        mono: None,
        net_correction: Seconds::ZERO,
    }
}

/// The exchange of [`basic`], whose response really left 10 ms later, and then one that took
/// `took` and started `after` seconds later.
fn interleaved(after: f64, took: f64) -> Case {
    Case {
        exchange: Exchange {
            prev_local_tx: stamp(100.0),
            local_rx: stamp(100.3),
            local_tx: stamp(100.3 + after),
            remote_rx: remote(105.1),
            remote_tx: remote(105.2),
            remote_root_delay: Seconds(0.005),
            remote_root_dispersion: Seconds(0.030),
            remote_poll: 6,
            prev_local_poll: 6,
            ..Exchange::default()
        },
        header: header(105.4 + after, 105.21),
        rx: stamp(100.3 + after + took),
        interleaved: true,
        mono: None,
        net_correction: Seconds::ZERO,
    }
}

fn close(got: Seconds, want: f64, what: &str) {
    assert!((got.0 - want).abs() < 1e-8, "{what}: {got:?} {want}");
}

#[test]
fn basic_exchanges_use_their_own_timestamps() {
    let m = basic().measure();
    close(m.sample.offset, 5.0, "offset");
    close(m.sample.peer_delay, 0.2, "delay");
    close(m.sample.time - local(100.15), 0.0, "time");
    close(m.response_time, 0.1, "response time");
    let dispersion = 1e-7 + 2f64.powi(-31) + 0.3e-5;
    close(m.sample.peer_dispersion, dispersion, "dispersion");
    close(m.sample.root_delay, 0.210, "root delay");
    close(
        m.sample.root_dispersion,
        0.020 + dispersion,
        "root dispersion",
    );
    assert!(m.latest_tx);
}

#[test]
fn interleaved_exchanges_that_are_short_use_the_previous_one() {
    let m = interleaved(64.0, 0.3).measure();
    close(m.sample.offset, 5.005, "offset");
    close(m.sample.peer_delay, 0.19, "delay");
    close(m.response_time, 0.11, "response time");
    close(m.sample.root_delay, 0.195, "remembered root delay");
    assert!(!m.latest_tx);
}

#[test]
fn interleaved_exchanges_that_are_long_use_the_current_request() {
    // 0.1 times the 2 s since is less than the 0.3 s the exchange took.
    let m = interleaved(2.0, 0.3).measure();
    assert!(m.latest_tx);
    // T2 = 107.4, T3 = 105.21, T1 = 102.3, T4 = 100.3.
    close(
        m.sample.offset,
        (107.4 + 105.21 - 102.3 - 100.3) / 2.0,
        "offset",
    );
    close(m.sample.peer_delay, 2.19 - 2.0, "delay");
    close(m.response_time, 0.11, "response time");
    close(m.sample.root_delay, 0.010 + 0.19, "larger root delay");
    assert!(
        (m.sample.root_dispersion.0 - 0.030) > 0.0,
        "larger root dispersion"
    );
}

#[test]
fn the_configured_offset_is_added() {
    let case = basic();
    let m = Inputs {
        offset: Seconds(-0.5),
        ..case.inputs()
    }
    .measure();
    close(m.sample.offset, 4.5, "offset");
}

#[test]
fn moves_of_the_remote_clock_between_interleaved_responses_are_undone() {
    let mut case = interleaved(64.0, 0.3);
    let mono = |s: f64| remote(s);
    case.exchange.remote_mono_rx = mono(50.0);
    case.exchange.remote_mono_epoch = 3;
    // The monotonic scale advanced by 64.3 s, the receive times by 64.3 s less 1 s; when the last
    // response left is in the old scale.
    case.header.receive = remote(105.4 + 64.0 - 1.0);
    for (epoch, receive, want) in [
        (3, mono(50.0 + 64.3), 1.0),
        (4, mono(50.0 + 64.3), 0.0),
        (3, NtpTimestamp::ZERO, 0.0),
        (3, mono(50.0 + 64.3 + 15.5), 0.0),
    ] {
        case.mono = Some(MonoRoot {
            receive,
            epoch,
            ..MonoRoot::default()
        });
        let m = case.measure();
        close(m.mono_doffset, want, "mono offset");
        if want > 0.0 {
            close(m.sample.offset, 4.005, "in the new scale");
            close(m.sample.peer_delay, 0.19, "delay");
        }
    }
    case.exchange.remote_mono_rx = NtpTimestamp::ZERO;
    close(case.measure().mono_doffset, 0.0, "nothing to compare with");
}

#[test]
fn network_corrections_shorten_the_delay_only_as_far_as_is_believable() {
    // (corrections of the response, of the request, frame; delay, offset)
    for (rx, tx, frame, delay, offset) in [
        (0.06, 0.04, 0.0, 0.2 - 0.1 * 0.9999, 5.01),
        (0.06, 0.04, 0.01, 0.2 - 0.08 * 0.9999, 5.01),
        (0.0, 0.04, 0.0, 0.2, 5.0),
        (0.06, 0.0, 0.0, 0.2, 5.0),
        (0.01, 0.04, 0.01, 0.2, 5.0),
        (0.2, 0.04, 0.0, 0.2, 5.0),
        (0.011, 0.001, 0.01, 0.2, 5.0),
    ] {
        let mut case = basic();
        case.rx.net_correction = Seconds(rx);
        case.rx.rx_duration = Seconds(frame);
        case.net_correction = Seconds(tx);
        let m = case.measure();
        close(m.sample.peer_delay, delay, "delay");
        close(m.sample.offset, offset, "offset");
        close(m.sample.root_delay, 0.210, "root delay is not corrected");
    }
}

#[test]
fn the_delay_is_at_least_the_precision() {
    let mut case = basic();
    case.header.transmit = remote(105.4);
    close(
        case.measure().sample.peer_delay,
        1e-7 + 2f64.powi(-31),
        "delay",
    );
}

#[test]
fn test_a_limits_delay_and_response_time() {
    assert!(basic().passes_a(Kind::Client, 0.2));
    assert!(!basic().passes_a(Kind::Client, 0.19));
    for (response, passes) in [(3.99, true), (4.01, false)] {
        let mut case = basic();
        case.rx = stamp(100.2 + response);
        case.header.transmit = remote(105.1 + response);
        assert_eq!(case.passes_a(Kind::Client, 3.0), passes, "{response}");
        assert!(case.passes_a(Kind::Peer, 3.0), "peers may wait");
    }
    let case = basic();
    let config = SourceConfig::default();
    assert!(
        !test_a(&case.measure(), &case.inputs(), &config, Kind::Client, 1),
        "presend"
    );
}

#[test]
fn test_a_wants_times_within_the_era() {
    let case = basic();
    let config = SourceConfig::default();
    for (offset, passes) in [
        (-1000.0, true),
        (-1200.0, false),
        (f64::NAN, false),
        (5e9, false),
    ] {
        let offset = Seconds(offset);
        let inputs = Inputs {
            era_s: BASE_S - 1000,
            offset,
            ..case.inputs()
        };
        let got = test_a(&inputs.measure(), &inputs, &config, Kind::Client, 0);
        assert_eq!(got, passes, "{offset:?}");
    }
}

#[test]
fn the_first_interleaved_response_after_a_good_one_fails_test_a() {
    let mut case = interleaved(64.0, 0.3);
    assert!(case.passes_a(Kind::Client, 3.0));
    case.exchange.prev_local_tx = LocalStamp::default();
    assert!(!case.passes_a(Kind::Client, 1e3));
}

#[test]
fn test_a_finds_interleaved_responses_of_peers_that_do_not_belong() {
    let ok = interleaved(64.0, 0.3);
    assert!(ok.passes_a(Kind::Peer, 1e3));
    let mut slow = interleaved(64.0, 0.3);
    slow.header.transmit = remote(105.2 + 33.0);
    assert!(!slow.passes_a(Kind::Peer, 1e3), "half an interval of delay");
    let mut early = interleaved(64.0, 0.3);
    early.header.receive = early.header.transmit;
    assert!(
        !early.passes_a(Kind::Peer, 1e3),
        "received before it was sent"
    );
    // The last response left 97 s after the one before: one was lost in between.
    let mut skipped = interleaved(200.0, 0.3);
    skipped.header.transmit = remote(105.2 + 97.0);
    skipped.exchange.remote_rx = remote(105.1 + 97.0);
    skipped.exchange.local_rx = stamp(100.3 + 97.0);
    skipped.exchange.prev_local_tx = stamp(100.0 + 97.0);
    assert!(
        !skipped.passes_a(Kind::Peer, 1e3),
        "more than one and a half intervals"
    );
    skipped.exchange.prev_local_poll = 5;
    assert!(
        skipped.passes_a(Kind::Peer, 1e3),
        "of the slower side it says nothing"
    );
}

#[test]
fn root_values_of_the_current_request_are_the_larger_ones() {
    let mut case = interleaved(2.0, 0.3);
    case.exchange.remote_root_delay = Seconds(0.5);
    let m = case.measure();
    close(m.sample.root_delay, 0.5 + 0.19, "remembered root delay");
    let dispersion = m.sample.peer_dispersion.0;
    close(
        m.sample.root_dispersion,
        0.030 + dispersion,
        "remembered root dispersion",
    );
    case.exchange.remote_root_dispersion = Seconds(0.001);
    let m = case.measure();
    close(
        m.sample.root_dispersion,
        0.020 + dispersion,
        "root dispersion of the packet",
    );
}

#[test]
fn the_dispersion_is_at_least_the_error_of_either_time() {
    for (tx, rx) in [(0.0, 0.0), (1e-3, 1e-4), (1e-4, 2e-3)] {
        let mut case = basic();
        case.exchange.local_tx.error = Seconds(tx);
        case.rx.error = Seconds(rx);
        let precision = 1e-7 + 2f64.powi(-31);
        let want = f64::max(tx, rx).max(precision) + 0.3e-5;
        close(case.measure().sample.peer_dispersion, want, "dispersion");
    }
}

#[test]
fn test_a_allows_for_the_dispersion_of_the_delay() {
    let mut case = basic();
    assert!(!case.passes_a(Kind::Client, 0.15));
    case.rx.error = Seconds(0.06);
    assert!(case.passes_a(Kind::Client, 0.15));
}

#[test]
fn a_move_of_the_remote_clock_is_undone_in_the_last_response_only() {
    // As the third column of the table: the current request, and when the last response left.
    let mut case = interleaved(2.0, 0.3);
    let plain = case.measure();
    case.exchange.remote_mono_rx = remote(50.0);
    case.exchange.remote_mono_epoch = 3;
    // The server's clock went 1 s less than its monotonic scale, which advanced by 2.3 s.
    case.header.receive = remote(105.1 + 1.3);
    case.mono = Some(MonoRoot {
        receive: remote(52.3),
        epoch: 3,
        ..MonoRoot::default()
    });
    let m = case.measure();
    close(m.mono_doffset, 1.0, "mono offset");
    close(
        plain.sample.offset - m.sample.offset,
        1.0,
        "both times are in the new scale",
    );
    close(m.sample.peer_delay, plain.sample.peer_delay.0, "delay");
}

#[test]
fn test_a_for_peers_looks_at_the_shorter_interval_and_a_monotonic_scale() {
    // 33 s are more than half of 64 s, not of 256 s.
    let mut slow = interleaved(256.0, 0.3);
    slow.header.transmit = remote(105.2 + 33.0);
    for (remote_poll, local_poll, passes) in [(8, 8, true), (8, 6, false), (6, 8, false)] {
        slow.exchange.remote_poll = remote_poll;
        slow.exchange.prev_local_poll = local_poll;
        // As if that were when the last response really left.
        slow.exchange.remote_tx = slow.header.transmit;
        assert_eq!(
            slow.passes_a(Kind::Peer, 1e3),
            passes,
            "{remote_poll} {local_poll}"
        );
    }
    // The last response seems to have left 97 s after the one before, 15 of them a step.
    let mut stepped = interleaved(200.0, 0.3);
    stepped.header.transmit = remote(105.2 + 97.0);
    stepped.exchange.remote_rx = remote(105.1 + 97.0);
    stepped.exchange.local_rx = stamp(100.3 + 97.0);
    stepped.exchange.prev_local_tx = stamp(100.0 + 97.0);
    assert!(!stepped.passes_a(Kind::Peer, 1e3));
    stepped.exchange.remote_mono_rx = remote(50.0);
    let advanced = stepped
        .header
        .receive
        .difference(stepped.exchange.remote_rx);
    stepped.mono = Some(MonoRoot {
        receive: NtpTimestamp::from_timestamp(local(50.0) + advanced + Seconds(15.0)),
        ..MonoRoot::default()
    });
    close(stepped.measure().mono_doffset, 15.0, "mono offset");
    assert!(stepped.passes_a(Kind::Peer, 1e3));
}

#[test]
fn a_corrected_delay_is_at_least_the_precision() {
    let mut case = basic();
    // Explained but for 100 ppm, which is less than a coarse precision.
    case.header.precision = -10;
    case.rx.net_correction = Seconds(0.1);
    case.net_correction = Seconds(0.1);
    close(
        case.measure().sample.peer_delay,
        1e-7 + 2f64.powi(-10),
        "delay",
    );
}
