//! Tests of the client log, among them the expectations of `ntp-engine.md` 10.1, `clientlog`.

use super::*;
use crate::server::rate_limit::INTERVAL_UNKNOWN;
use crate::server::test_rng::TestRng;
use timewright_time::Seconds;

fn at(s: f64) -> Timestamp<Cooked> {
    Timestamp::from_parts(1_800_000_000, 0) + Seconds(s)
}

fn host(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + n).into()
}

fn log(limit_bytes: u64, rate_limits: [Option<RateLimit>; SERVICES]) -> ClientLog {
    let config = ClientLogConfig {
        limit_bytes: Some(limit_bytes),
        rate_limits,
    };
    ClientLog::new(&config, &mut TestRng::new(5))
}

fn find(log: &mut ClientLog, address: IpAddr, now: Timestamp<Cooked>) -> ClientReport {
    (0..log.indices())
        .find_map(|i| {
            log.report(i, 0, false, now)
                .filter(|r| r.address == address)
        })
        .expect("the client was recorded")
}

#[test]
fn size_is_a_power_of_two_of_slots() {
    for (bytes, want) in [
        (0, 16),
        (1919, 16),
        (3840, 32),
        (20_000, 128),
        (524_288, 4096),
        (u64::MAX, 1 << 24),
    ] {
        assert_eq!(records_max(bytes), want, "{bytes}");
    }
}

#[test]
fn table_grows_to_its_bound_and_no_further() {
    let mut rng = TestRng::new(6);
    let mut log = log(20_000, [None; SERVICES]);
    assert_eq!((log.indices(), log.records_max()), (16, 128));
    for i in 0..500 {
        let now = at(f64::from(i) * 1e6);
        for _ in 0..1000 {
            let address = if rng.below(2) == 0 {
                host(u32::try_from(rng.below(1 << 24)).unwrap())
            } else {
                Ipv6Addr::from(u128::from(rng.next()) << 64 | u128::from(rng.next())).into()
            };
            let service = [Service::Ntp, Service::NtsKe, Service::Command]
                [usize::try_from(rng.below(3)).unwrap()];
            assert!(log.access(service, address, now).is_some());
        }
    }
    assert_eq!((log.indices(), log.len()), (128, 128));
    assert_eq!(log.totals().hits.iter().sum::<u64>(), 500_000);
    assert!(log.totals().record_drops > 490_000);
}

#[test]
fn growth_keeps_every_record() {
    let mut log = log(524_288, [None; SERVICES]);
    for n in 0..200 {
        for _ in 0..=n {
            log.access(Service::Ntp, host(n), at(0.0));
        }
    }
    assert_eq!((log.len(), log.totals().record_drops), (200, 0));
    assert!(log.indices() > 128);
    for n in 0..200 {
        assert_eq!(find(&mut log, host(n), at(0.0)).hits[0], n + 1);
    }
}

#[test]
fn the_client_silent_for_longest_is_replaced() {
    let mut log = log(0, [None; SERVICES]);
    for n in 0..16 {
        log.access(Service::Ntp, host(n), at(f64::from(n)));
    }
    // A later command makes the oldest client the newest.
    log.access(Service::Command, host(0), at(20.0));
    log.access(Service::Ntp, host(100), at(21.0));
    let seen: Vec<_> = (0..16)
        .filter_map(|i| log.report(i, 0, false, at(21.0)))
        .map(|r| r.address)
        .collect();
    assert!(!seen.contains(&host(1)) && seen.contains(&host(0)) && seen.contains(&host(100)));
    assert_eq!(log.totals().record_drops, 1);
}

#[test]
fn of_equally_old_clients_the_least_used_is_replaced() {
    let mut log = log(0, [None; SERVICES]);
    for n in 0..16 {
        for _ in 0..=(n + 5) % 16 {
            log.access(Service::Ntp, host(n), at(0.0));
        }
    }
    log.access(Service::Ntp, host(100), at(1.0));
    assert!((0..16).all(|i| {
        log.report(i, 0, false, at(1.0))
            .is_none_or(|r| r.address != host(11))
    }));
}

/// Requests of `count` addresses that never ask again, spread over a time.
fn strangers(log: &mut ClientLog, count: u32, from: f64, rate: f64) -> f64 {
    let mut now = from;
    for n in 0..count {
        // A bijection, so no address comes twice; 10/8 is left to the others.
        let bits = (n.wrapping_mul(0x9e37_79b1) & 0x3fff_ffff) | 0xc000_0000;
        now = from + f64::from(n) / rate;
        log.access(Service::Ntp, Ipv4Addr::from(bits).into(), at(now));
    }
    now
}

fn is_listed(log: &mut ClientLog, address: IpAddr, now: f64) -> Option<ClientReport> {
    (0..log.indices()).find_map(|i| {
        log.report(i, 0, false, at(now))
            .filter(|r| r.address == address)
    })
}

#[test]
fn clients_that_came_back_survive_any_number_of_strangers() {
    let mut log = log(20_000, [None; SERVICES]);
    let friends: Vec<IpAddr> = (1..=40).map(host).collect();
    for s in [0.0, 2.0, 4.0, 6.0, 70.0, 134.0] {
        for friend in &friends {
            log.access(Service::Ntp, *friend, at(s));
        }
    }
    let end = strangers(&mut log, 20_000, 135.0, 400.0);
    for friend in &friends {
        assert!(is_listed(&mut log, *friend, end).is_some(), "{friend}");
    }
    // Those that go on asking keep their records and counts for as long as the flood lasts.
    for friend in &friends {
        log.access(Service::Ntp, *friend, at(198.0));
    }
    let end = strangers(&mut log, 20_000, 198.0, 100.0);
    let kept = friends
        .iter()
        .filter_map(|friend| is_listed(&mut log, *friend, end))
        .filter(|report| report.hits[0] == 7)
        .count();
    assert_eq!(kept, friends.len());
    // They are given up when they have missed several requests.
    let end = strangers(&mut log, 5_000, 1000.0, 100.0);
    let kept = friends
        .iter()
        .filter(|friend| is_listed(&mut log, **friend, end).is_some())
        .count();
    assert_eq!(kept, 0);
    assert_eq!(log.indices(), 128);
}

#[test]
fn residents_leave_room_for_new_clients() {
    let mut log = log(0, [None; SERVICES]);
    for n in 0..16 {
        log.access(Service::Ntp, host(n), at(f64::from(n)));
    }
    for n in 0..16 {
        log.access(Service::Ntp, host(n), at(64.0 + f64::from(15 - n)));
    }
    // All have come back; the four known for the shortest are no more than guests.
    let strangers = [100, 101, 102, 103, 104].map(host);
    for (s, stranger) in (90..).zip(strangers) {
        log.access(Service::Ntp, stranger, at(f64::from(s)));
    }
    for n in 0..16 {
        assert_eq!(is_listed(&mut log, host(n), 100.0).is_some(), n < 12, "{n}");
    }
    let seen = strangers.map(|address| is_listed(&mut log, address, 100.0).is_some());
    assert_eq!(seen, [false, true, true, true, true]);
    // One that keeps asking stays whatever comes in between.
    for s in 100..200 {
        log.access(Service::Ntp, strangers[4], at(f64::from(s)));
        log.access(Service::Ntp, host(1000 + s), at(f64::from(s) + 0.5));
    }
    let busy = is_listed(&mut log, strangers[4], 200.0).unwrap();
    assert_eq!(busy.hits[0], 101);
}

#[test]
fn a_client_is_a_resident_as_long_as_its_own_interval_suggests() {
    for (interval, silence, want) in [
        (1.0, 255.0, true),
        (1.0, 258.0, false),
        (1024.0, 4000.0, true),
        (1024.0, 4200.0, false),
        // Half a second is a burst of strangers.
        (0.5, 1.0, false),
    ] {
        let mut log = log(0, [None; SERVICES]);
        log.access(Service::Ntp, host(1), at(0.0));
        let index = log.access(Service::Ntp, host(1), at(interval)).unwrap();
        let now = log.ticks(at(interval + silence));
        let record = &log.records[index.0];
        assert_eq!(record.is_resident(now), want, "{interval} {silence}");
    }
}

#[test]
fn without_records_only_totals_are_kept() {
    let config = ClientLogConfig {
        limit_bytes: None,
        rate_limits: [None; SERVICES],
    };
    let mut log = ClientLog::new(&config, &mut TestRng::new(7));
    assert_eq!(log.access(Service::Command, host(1), at(0.0)), None);
    assert_eq!(log.totals().hits, [0, 0, 1]);
    assert_eq!((log.is_active(), log.indices()), (false, 0));
    assert_eq!(log.report(0, 0, false, at(0.0)), None);
}

#[test]
fn reports_filter_by_hits_and_reset_counters_only() {
    let mut log = log(0, [None; SERVICES]);
    for i in 0..5 {
        log.access(Service::Ntp, host(1), at(64.0 * f64::from(i)));
    }
    log.access(Service::Command, host(1), at(256.5));
    let now = at(300.0);
    let want = ClientReport {
        address: host(1),
        hits: [5, 0, 1],
        drops: [0; 3],
        interval_log2: [6, 127, 127],
        ntp_timeout_interval_log2: INTERVAL_UNKNOWN,
        ago_s: [44, AGO_NEVER, 43],
    };
    assert_eq!(find(&mut log, host(1), now), want);
    let scan = |log: &mut ClientLog, min_hits, reset| {
        (0..log.indices())
            .filter_map(|i| log.report(i, min_hits, reset, now))
            .next()
    };
    assert_eq!(scan(&mut log, 5, false), Some(want));
    assert_eq!(scan(&mut log, 6, true), None);
    let reset = ClientReport {
        hits: [0; 3],
        ..want
    };
    assert_eq!(scan(&mut log, 0, false), Some(reset));
    assert_eq!(find(&mut log, host(1), at(0.0)).ago_s, [AGO_NEVER; 3]);
}

#[test]
fn backward_steps_teach_nothing() {
    let limits = [Some(RateLimit::NTP), None, None];
    let mut log = log(0, limits);
    for s in [1000.0, 10.0] {
        log.access(Service::Ntp, host(1), at(s));
    }
    assert_eq!(find(&mut log, host(1), at(1000.0)).interval_log2[0], 127);
    log.access(Service::Ntp, host(1), at(11.0));
    assert_eq!(find(&mut log, host(1), at(1000.0)).interval_log2[0], 0);
}

/// Ten thousand requests, one a second.
fn flood(limit: RateLimit, service: Service) -> (u32, u32, u32) {
    let mut rng = TestRng::new(8);
    let mut limits = [None; SERVICES];
    limits[service as usize] = Some(limit);
    let mut log = log(20_000, limits);
    let (mut passes, mut drops, mut kods) = (0, 0, 0);
    for i in 0..10_000 {
        let index = log.access(service, host(1), at(f64::from(i))).unwrap();
        match log.limit(service, index, &mut rng) {
            Limit::Pass => passes += 1,
            Limit::Drop => drops += 1,
            Limit::KissOfDeath => kods += 1,
        }
    }
    assert_eq!(log.totals().drops[service as usize], u64::from(drops));
    assert_eq!(
        u32::from(find(&mut log, host(1), at(1e4)).drops[service as usize]),
        drops
    );
    (passes, drops, kods)
}

fn limit(interval: i32, burst: u32, leak: u32, kod: u32) -> RateLimit {
    RateLimit {
        interval,
        burst,
        leak,
        kod,
    }
}

#[test]
fn a_request_a_second_passes_at_the_expected_rates() {
    for (service, limit, want) in [
        (Service::Ntp, limit(3, 4, 3, 0), 1750..2050),
        (Service::NtsKe, limit(4, 8, 3, 0), 1300..1600),
        (Service::Command, limit(6, 4, 3, 0), 1100..1400),
    ] {
        let (passes, drops, kods) = flood(limit, service);
        assert!(want.contains(&passes), "{service:?} {passes}");
        assert_eq!((passes + drops, kods), (10_000, 0), "{service:?}");
    }
}

#[test]
fn one_in_four_dropped_requests_gets_a_kiss() {
    let (_, drops, kods) = flood(limit(3, 4, 3, 2), Service::Ntp);
    let ratio = f64::from(drops) / f64::from(kods);
    assert!((2.5..3.5).contains(&ratio), "{ratio}");
}

#[test]
fn clients_that_speed_up_when_unanswered_are_answered_mostly() {
    let mut rng = TestRng::new(9);
    let mut log = log(0, [Some(limit(6, 1, 1, 0)), None, None]);
    let (mut time, mut passes, mut drops) = (0.0, 0, 0);
    for _ in 0..2000 {
        let index = log.access(Service::Ntp, host(1), at(time)).unwrap();
        if log.limit(Service::Ntp, index, &mut rng) == Limit::Drop {
            drops += 1;
            time += 0.25;
        } else {
            passes += 1;
            time += 8.0;
        }
    }
    let report = find(&mut log, host(1), at(time));
    assert!(report.ntp_timeout_interval_log2 < report.interval_log2[0]);
    assert!(passes > 0 && drops > 0);
}

#[test]
fn addresses_of_different_families_are_different_clients() {
    let mut log = log(0, [None; SERVICES]);
    log.access(Service::Ntp, "1.2.3.4".parse().unwrap(), at(0.0));
    log.access(Service::Ntp, "::102:304".parse().unwrap(), at(0.0));
    assert_eq!(log.len(), 2);
}
