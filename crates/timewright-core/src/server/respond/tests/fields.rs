//! Smoothed time and the experimental extension fields.

use super::*;

#[test]
fn smoothing_moves_all_times_of_server_responses() {
    let mut bench = Bench::new();
    bench.snapshot.smoothing = smoothing(0.5);
    let got = bench.header(&request());
    assert_eq!((got.refid, got.leap), (refid::SMOOTHED, Leap::Normal));
    let half = 500_000_000;
    assert_near(got.reference, ntp(START_NS - 16_000_000_000 + half));
    assert_near(got.receive, ntp(START_NS - 5_000 + half));
    assert_near(got.transmit, ntp(START_NS + 1_000 + half));

    let passive = Header {
        mode: Mode::Active,
        ..request()
    };
    let got = bench.header(&passive);
    assert_eq!((got.refid, got.leap), (0xc000_0201, Leap::Insert));
    assert_near(got.receive, ntp(START_NS - 5_000));
    assert_near(got.transmit, ntp(START_NS + 1_000));
}

#[test]
fn smoothing_below_the_clocks_quantum_hides_only_the_leap() {
    let mut bench = Bench::new();
    bench.snapshot.smoothing = smoothing(1e-9);
    let got = bench.header(&request());
    assert_eq!((got.refid, got.leap), (0xc000_0201, Leap::Normal));
    bench.snapshot.smoothing = smoothing(0.5).map(|smoothing| ServedSmoothing {
        hides_leap: false,
        ..smoothing
    });
    assert_eq!(bench.header(&request()).leap, Leap::Insert);
}

fn with_fields(fields: &[(u16, &[u8])]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut builder = PacketBuilder::new(&mut buffer, &request()).unwrap();
    for (kind, body) in fields {
        builder.add_field(*kind, body).unwrap();
    }
    builder.finish().to_vec()
}

#[test]
fn mono_root_is_answered_with_fine_root_values_and_continuous_time() {
    let request = with_fields(&[(FIELD_MONO_ROOT, &MonoRoot::default().to_body())]);
    let mut bench = Bench::new();
    let (bytes, _) = bench.ask(&request).unwrap();
    assert_eq!(bytes.len(), 76);
    let packet = Packet::parse(&bytes).unwrap();
    let field = packet.mono_root.unwrap();
    assert_eq!(field.root_delay, NtpShort28::from_seconds(Seconds(0.02)));
    assert_eq!(
        field.root_dispersion,
        NtpShort28::from_seconds(Seconds(0.00116))
    );
    assert_eq!(field.epoch, 0x1234_5678);
    assert_near(field.receive, ntp(START_NS - 5_000 + 250_000_000));

    bench.snapshot.smoothing = smoothing(0.5);
    let (bytes, _) = bench.ask(&request).unwrap();
    let field = Packet::parse(&bytes).unwrap().mono_root.unwrap();
    assert_eq!(field.receive, NtpTimestamp::ZERO);
}

#[test]
fn net_corrections_are_told_with_ptp_only() {
    let empty = NetCorrection::default().to_body();
    let request = with_fields(&[
        (FIELD_NET_CORRECTION, &empty),
        (FIELD_MONO_ROOT, &MonoRoot::default().to_body()),
    ]);
    for (ptp, duration, correction, len, want) in [
        (false, 1e-6, 2e-6, 76, None),
        (true, 1e-6, 2e-6, 104, Some(2e-6)),
        (true, 1e-6, 1e-6, 104, Some(0.0)),
        (true, 0.0, 0.0, 104, Some(0.0)),
    ] {
        let mut bench = Bench::new();
        bench.tables.ptp = ptp;
        bench.stamp.rx_duration = Seconds(duration);
        bench.stamp.net_correction = Seconds(correction);
        let (bytes, _) = bench.ask(&request).unwrap();
        assert_eq!(bytes.len(), len);
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.mono_root.is_some());
        let got = packet.net_correction.map(|field| field.to_seconds().0);
        match (got, want) {
            (Some(got), Some(want)) => assert!((got - want).abs() < 1e-9, "{got}"),
            _ => assert_eq!(got, want),
        }
    }
}

#[test]
fn the_registered_correction_is_answered_in_kind() {
    let empty = NetCorrection::default().to_body_10a();
    let request = with_fields(&[(FIELD_NET_CORRECTION_10A, &empty)]);
    for (ptp, len) in [(false, 48), (true, 76)] {
        let mut bench = Bench::new();
        bench.tables.ptp = ptp;
        bench.stamp.rx_duration = Seconds(1e-6);
        bench.stamp.net_correction = Seconds(2e-6);
        let (bytes, _) = bench.ask(&request).unwrap();
        assert_eq!(bytes.len(), len);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.net_correction, None);
        let got = packet.net_correction_10a;
        assert_eq!(got, ptp.then(|| NetCorrection::from_seconds(Seconds(2e-6))));
    }
}

#[test]
fn kisses_carry_the_fields_asked_for() {
    let limit = RateLimit {
        interval: 12,
        burst: 1,
        leak: 4,
        kod: 1,
    };
    let mut bench = Bench::limited(limit);
    let request = with_fields(&[(FIELD_MONO_ROOT, &MonoRoot::default().to_body())]);
    let kiss = (0..100)
        .filter_map(|_| bench.ask(&request).ok())
        .find(|(bytes, _)| Header::read(bytes).unwrap().refid == refid::KISS_RATE);
    assert_eq!(kiss.unwrap().0.len(), 76);
}
