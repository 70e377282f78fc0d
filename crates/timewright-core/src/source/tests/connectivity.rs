//! `ntp-engine.md` 3.1: going online and offline, and bursts.

use super::bench::Bench;
use crate::output::StampSource;
use crate::source::association::OperatingMode::{
    self, BurstWasOffline, BurstWasOnline, Offline, Online,
};
use crate::source::{Connectivity, SourceConfig, SourceKind, SourceMatch};
use crate::timers::Timer;

#[derive(Clone, Copy, Debug)]
enum Request {
    Online,
    Offline,
    Burst,
}

fn request(bench: &mut Bench, request: Request) {
    bench.run(|table, env| match request {
        Request::Online => table.set_connectivity(SourceMatch::All, Connectivity::Online, env),
        Request::Offline => table.set_connectivity(SourceMatch::All, Connectivity::Offline, env),
        Request::Burst => table.burst(SourceMatch::All, 2, 3, env),
    });
}

fn bench_in(mode: OperatingMode) -> (Bench, crate::ids::SourceId) {
    let mut bench = Bench::new(1);
    let offline = matches!(mode, Offline | BurstWasOffline);
    let id = bench.server(SourceConfig {
        offline,
        ..SourceConfig::default()
    });
    if matches!(mode, BurstWasOnline | BurstWasOffline) {
        request(&mut bench, Request::Burst);
    }
    assert_eq!(bench.get(id).operating_mode(), mode);
    bench.logs.clear();
    (bench, id)
}

#[test]
fn requests_move_between_the_modes() {
    use Request::{Burst as B, Offline as Off, Online as On};
    for (from, asked, to, log) in [
        (Offline, On, Online, Some("Source 192.0.2.1 online")),
        (Offline, Off, Offline, None),
        (Offline, B, BurstWasOffline, None),
        (Online, On, Online, None),
        (Online, Off, Offline, Some("Source 192.0.2.1 offline")),
        (Online, B, BurstWasOnline, None),
        (BurstWasOnline, On, BurstWasOnline, None),
        (
            BurstWasOnline,
            Off,
            BurstWasOffline,
            Some("Source 192.0.2.1 offline"),
        ),
        (BurstWasOnline, B, BurstWasOnline, None),
        (
            BurstWasOffline,
            On,
            BurstWasOnline,
            Some("Source 192.0.2.1 online"),
        ),
        (BurstWasOffline, Off, BurstWasOffline, None),
        (BurstWasOffline, B, BurstWasOffline, None),
    ] {
        let (mut bench, id) = bench_in(from);
        request(&mut bench, asked);
        assert_eq!(bench.get(id).operating_mode(), to, "{from:?} {asked:?}");
        let logs: Vec<&str> = bench.logs.iter().map(String::as_str).collect();
        assert_eq!(logs, Vec::from_iter(log), "{from:?} {asked:?}");
        assert_eq!(
            bench.timers.is_armed(Timer::Transmit(id)),
            to != Offline,
            "{from:?} {asked:?}"
        );
        assert_eq!(bench.told(id).active, to != Offline, "{from:?} {asked:?}");
    }
}

#[test]
fn peers_ignore_bursts() {
    let mut bench = Bench::new(1);
    let id = bench.peer(SourceConfig {
        iburst: true,
        ..SourceConfig::default()
    });
    request(&mut bench, Request::Burst);
    assert_eq!(bench.get(id).operating_mode(), Online);
}

#[test]
fn maybe_online_asks_for_a_route() {
    for (route, want) in [(true, Online), (false, Offline)] {
        for from in [Offline, Online] {
            let (mut bench, id) = bench_in(from);
            bench.run(|table, env| {
                table.set_connectivity(SourceMatch::All, Connectivity::MaybeOnline, env)
            });
            let (ticket, addresses) = bench.probes.pop_front().unwrap();
            assert_eq!(addresses, ["192.0.2.1:123".parse().unwrap()]);
            bench.run(|table, env| table.on_routes(ticket, &[route], env));
            assert_eq!(bench.get(id).operating_mode(), want);
        }
    }
}

#[test]
fn the_first_request_goes_out_after_a_fifth_of_a_second() {
    let mut bench = Bench::new(2);
    let id = bench.server(SourceConfig::default());
    let wait = bench.until_request(id).unwrap();
    assert!((0.2..=0.2041).contains(&wait), "{wait}");
}

#[test]
fn going_offline_and_online_does_not_exceed_the_poll_rate() {
    let mut bench = Bench::new(3);
    let id = bench.server(SourceConfig::default());
    bench.next_request();
    bench.pass(10.0);
    request(&mut bench, Request::Offline);
    assert!(bench.open.is_empty() && !bench.told(id).active);
    assert_eq!((bench.told(id).reach, bench.told(id).reach_shifts), (0, 1));
    bench.pass(4.0);
    request(&mut bench, Request::Online);
    let wait = bench.until_request(id).unwrap();
    assert!((50.0..=51.1).contains(&wait), "{wait}");
}

#[test]
fn a_suspended_source_waits() {
    let mut bench = Bench::new(4);
    bench.table.auto_start = false;
    let id = bench.server(SourceConfig {
        iburst: true,
        ..SourceConfig::default()
    });
    assert_eq!(bench.get(id).operating_mode(), BurstWasOnline);
    assert_eq!(bench.until_request(id), None);
    bench.run(crate::source::SourceTable::start_all);
    assert!(bench.until_request(id).is_some() && bench.told(id).active);
}

#[test]
fn an_initial_burst_ends_after_four_good_responses() {
    let mut bench = Bench::new(5);
    let id = bench.server(SourceConfig {
        iburst: true,
        ..SourceConfig::default()
    });
    for i in 1..=4 {
        bench.exchange();
        let wait = bench.until_request(id).unwrap();
        assert_eq!(wait < 3.0, i < 4, "{i}: {wait}");
    }
    assert_eq!(bench.get(id).operating_mode(), Online);
    assert_eq!(bench.told(id).samples.len(), 4);
}

#[test]
fn an_initial_burst_ends_after_eight_requests() {
    let mut bench = Bench::new(6);
    let id = bench.server(SourceConfig {
        iburst: true,
        ..SourceConfig::default()
    });
    for i in 1..=9 {
        bench.next_request();
        let wait = bench.until_request(id).unwrap();
        // The ninth is the first one of the normal operation.
        assert_eq!(wait < 3.0, i < 8, "{i}: {wait}");
        if i == 7 {
            assert_eq!(bench.get(id).operating_mode(), BurstWasOnline);
            assert_eq!(bench.get(id).burst_total, 1);
        }
    }
}

#[test]
fn a_burst_of_an_offline_source_returns_there() {
    let (mut bench, id) = bench_in(BurstWasOffline);
    bench.exchange();
    assert_eq!(bench.get(id).operating_mode(), BurstWasOffline);
    bench.exchange();
    assert_eq!(bench.get(id).operating_mode(), Offline);
    assert_eq!(bench.until_request(id), None);
    assert!(bench.open.is_empty());
}

#[test]
fn an_unanswered_burst_of_an_offline_source_ends_after_its_requests() {
    let (mut bench, id) = bench_in(BurstWasOffline);
    for _ in 0..3 {
        bench.next_request();
    }
    assert_eq!(bench.get(id).operating_mode(), BurstWasOffline);
    while bench.timers.next().is_some() {
        bench.next_timer();
    }
    assert_eq!(
        (bench.get(id).operating_mode(), bench.sent.len()),
        (Offline, 3)
    );
}

#[test]
fn the_burst_option_sends_more_while_the_poll_is_long() {
    for (poll, want_total) in [(6, 0), (7, 2), (8, 4), (10, 4)] {
        let mut bench = Bench::new(7);
        let id = bench.server(SourceConfig {
            burst: true,
            ..SourceConfig::default()
        });
        bench.entry(id).poll.current = poll;
        bench.next_request();
        let association = bench.get(id);
        let (mode, left) = if want_total > 0 {
            (BurstWasOnline, want_total - 1)
        } else {
            (Online, 0)
        };
        assert_eq!(
            (association.operating_mode(), association.burst_total),
            (mode, left),
            "{poll}"
        );
        if want_total > 0 {
            let sent = bench.sent.last().unwrap().clone();
            let reply = bench.reply(&sent).to_bytes();
            bench.deliver(&sent, &reply, StampSource::Daemon);
            assert_eq!(bench.get(id).operating_mode(), Online);
        }
    }
}

#[test]
fn activity_counts_the_modes() {
    let mut bench = Bench::new(8);
    bench.server(SourceConfig::default());
    let offline = SourceConfig {
        offline: true,
        ..SourceConfig::default()
    };
    bench.add("192.0.2.2", SourceKind::Server, offline).unwrap();
    bench
        .add("ntp.example", SourceKind::Server, SourceConfig::default())
        .unwrap();
    let all = bench.table.activity();
    assert_eq!((all.online, all.offline, all.unresolved), (1, 1, 1));
    request(&mut bench, Request::Burst);
    let all = bench.table.activity();
    assert_eq!(
        (all.online, all.offline, all.burst_online, all.burst_offline),
        (0, 0, 1, 1)
    );
}

#[test]
fn masks_choose_sources() {
    let masked = |address: &str, mask: &str| SourceMatch::Masked {
        address: address.parse().unwrap(),
        mask: mask.parse().unwrap(),
    };
    let ip = |ip: &str| crate::source::SourceAddress::Ip(ip.parse().unwrap());
    let unresolved = crate::source::SourceAddress::Unresolved(3);
    for (which, address, want) in [
        (SourceMatch::All, ip("192.0.2.1"), true),
        (SourceMatch::All, unresolved, true),
        (SourceMatch::Unresolved(3), unresolved, true),
        (SourceMatch::Unresolved(4), unresolved, false),
        (masked("192.0.2.0", "255.255.255.0"), ip("192.0.2.9"), true),
        (masked("192.0.2.0", "255.255.255.0"), ip("192.0.3.9"), false),
        (masked("192.0.2.0", "255.255.255.0"), unresolved, false),
        (
            masked("2001:db8::", "ffff:ffff::"),
            ip("2001:db8:1::1"),
            true,
        ),
        (
            masked("2001:db8::", "ffff:ffff::"),
            ip("32.1.13.184"),
            false,
        ),
        (masked("192.0.2.1", "ffff::"), ip("192.0.2.1"), true),
        (masked("192.0.2.1", "::"), ip("192.0.2.2"), false),
    ] {
        assert_eq!(which.matches(address), want, "{which:?} {address}");
    }
}
