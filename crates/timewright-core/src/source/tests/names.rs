//! `ntp-engine.md` 6: names, pools, replacement, reload.

use super::bench::{Bench, TestRng, new_source};
use crate::ids::SourceId;
use crate::output::{Family, FamilyFilter, StampSource};
use crate::source::names::{LookupAnswer, Target};
use crate::source::{AddError, NewSource, Origin, SourceKind};
use crate::source::{Connectivity, SourceAddress, SourceConfig, SourceMatch};
use crate::timers::Timer;
use std::net::IpAddr;
use timewright_time::Seconds;

fn config() -> SourceConfig {
    SourceConfig::default()
}

fn addresses(bench: &Bench) -> Vec<String> {
    let ids = bench.table.ids();
    ids.iter()
        .map(|&id| bench.get(id).address().to_string())
        .collect()
}

#[test]
fn an_address_is_used_once() {
    let mut bench = Bench::new(1);
    let add = |bench: &mut Bench, name: &str| bench.add(name, SourceKind::Server, config());
    assert!(!add(&mut bench, "192.0.2.1").unwrap().unresolved);
    assert_eq!(add(&mut bench, "192.0.2.1"), Err(AddError::AlreadyInUse));
    assert_eq!(
        bench.add("192.0.2.1", SourceKind::Peer, config()),
        Err(AddError::AlreadyInUse)
    );
    assert_eq!(
        bench.add("192.0.2.1", SourceKind::Pool, config()),
        Err(AddError::AlreadyInUse)
    );
    assert!(
        bench.add("192.0.2.2", SourceKind::Pool, config()).is_ok(),
        "a pool of one address"
    );
    assert_eq!(bench.table.len(), 2);
    assert_eq!(
        bench.logs,
        ["Added source 192.0.2.1", "Added source 192.0.2.2"]
    );
}

#[test]
fn names_and_families_are_checked() {
    let mut bench = Bench::new(2);
    for (name, families, want) in [
        ("a b", FamilyFilter::Any, Some(AddError::InvalidName)),
        ("a\tb", FamilyFilter::Any, Some(AddError::InvalidName)),
        ("é.example", FamilyFilter::Any, Some(AddError::InvalidName)),
        (
            "192.0.2.1",
            FamilyFilter::Only(Family::V6),
            Some(AddError::InvalidAddress),
        ),
        (
            "2001:db8::1",
            FamilyFilter::Only(Family::V4),
            Some(AddError::InvalidAddress),
        ),
        ("2001:db8::1", FamilyFilter::Only(Family::V6), None),
        ("", FamilyFilter::Any, None),
    ] {
        let source = NewSource {
            families,
            ..new_source(name, SourceKind::Server, config())
        };
        let got = bench.run(|table, env| table.add(&source, Origin::Config, env));
        assert_eq!(got.err(), want, "{name:?}");
    }
}

#[test]
fn a_name_has_a_number_until_it_is_resolved() {
    let mut bench = Bench::new(3);
    assert!(
        bench
            .add("ntp.example", SourceKind::Server, config())
            .unwrap()
            .unresolved
    );
    assert_eq!(addresses(&bench), ["ID#0000000001"]);
    assert_eq!(bench.logs, ["Added source ID#0000000001 (ntp.example)"]);
    assert_eq!(
        bench.timers.next(),
        None,
        "an unresolved source is not polled"
    );
    bench.logs.clear();
    assert_eq!(bench.answer(&["192.0.2.7", "192.0.2.8"]), "ntp.example");
    bench.allow_routes();
    assert_eq!(addresses(&bench), ["192.0.2.7"]);
    assert_eq!(
        bench.logs,
        ["Source ID#0000000001 replaced with 192.0.2.7 (ntp.example)"]
    );
    let id = bench.table.ids()[0];
    assert!(bench.until_request(id).unwrap() < 0.21);
    assert_eq!(bench.told(id).refid, 0xc000_0207);
    assert!(bench.table.names.queue.is_empty());
    assert!(bench.lookups.is_empty() && bench.table.take_resolving_finished());
    assert!(!bench.table.take_resolving_finished(), "told once");
}

#[test]
fn addresses_that_are_used_or_have_no_route_are_passed_over() {
    let mut bench = Bench::new(4);
    bench.server(config());
    bench
        .add("ntp.example", SourceKind::Server, config())
        .unwrap();
    bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    let (ticket, probed) = bench.probes.pop_front().unwrap();
    assert_eq!(probed.len(), 3);
    bench.run(|table, env| table.on_routes(ticket, &[true, false, true], env));
    assert_eq!(addresses(&bench), ["192.0.2.1", "192.0.2.3"]);
}

#[test]
fn families_limit_the_answers() {
    for (families, ipv4, want) in [
        (FamilyFilter::Any, true, "192.0.2.7"),
        (FamilyFilter::Only(Family::V6), true, "2001:db8::7"),
        (FamilyFilter::Any, false, "2001:db8::7"),
    ] {
        let mut bench = Bench::new(5);
        let policy = crate::source::SocketPolicy {
            ipv4,
            ..Default::default()
        };
        bench.sockets = crate::source::Sockets::new(policy);
        let source = NewSource {
            families,
            ..new_source("a.example", SourceKind::Server, config())
        };
        bench
            .run(|table, env| table.add(&source, Origin::Command, env))
            .unwrap();
        assert_eq!(bench.lookups[0].2, families);
        bench.answer(&["192.0.2.7", "2001:db8::7"]);
        bench.allow_routes();
        assert_eq!(addresses(&bench), [want]);
    }
}

#[test]
fn failed_lookups_are_retried_at_growing_intervals() {
    let mut bench = Bench::new(6);
    bench
        .add("ntp.example", SourceKind::Server, config())
        .unwrap();
    for want in [
        28.0, 56.0, 112.0, 224.0, 448.0, 896.0, 1792.0, 3584.0, 3584.0,
    ] {
        let (ticket, ..) = bench.lookups.pop_front().unwrap();
        bench.run(|table, env| table.on_resolved(ticket, LookupAnswer::TemporaryFailure, env));
        let wait = (bench.timers.deadline(Timer::Resolve).unwrap() - bench.mono).0;
        assert!((wait - want).abs() < 1e-6, "{wait}");
        assert_eq!(bench.next_timer(), Timer::Resolve);
    }
    // A request to resolve now goes back one step, and the failure forward again.
    let (ticket, ..) = bench.lookups.pop_front().unwrap();
    bench.run(|table, env| table.on_resolved(ticket, LookupAnswer::TemporaryFailure, env));
    bench.run(|table, env| table.set_connectivity(SourceMatch::All, Connectivity::Online, env));
    assert!(!bench.timers.is_armed(Timer::Resolve));
    assert_eq!(bench.lookups.len(), 1);
}

#[test]
fn a_name_that_does_not_exist_is_dropped() {
    for answer in [
        LookupAnswer::PermanentFailure,
        LookupAnswer::Addresses(Vec::new()),
    ] {
        let mut bench = Bench::new(7);
        bench
            .add("ntp.example", SourceKind::Server, config())
            .unwrap();
        let (ticket, ..) = bench.lookups.pop_front().unwrap();
        bench.run(|table, env| table.on_resolved(ticket, answer, env));
        assert_eq!(bench.logs.last().unwrap(), "Invalid host ntp.example");
        assert_eq!(
            (addresses(&bench), bench.timers.next()),
            (vec!["ID#0000000001".into()], None)
        );
    }
}

#[test]
fn names_are_looked_up_one_after_another() {
    let mut bench = Bench::new(8);
    for name in ["a.example", "b.example", "c.example"] {
        let source = new_source(name, SourceKind::Server, config());
        bench
            .run(|table, env| table.add(&source, Origin::Config, env))
            .unwrap();
    }
    assert!(bench.lookups.is_empty());
    bench.run(|table, env| table.resolve_now(env));
    assert_eq!(bench.lookups.len(), 1);
    assert_eq!(bench.answer(&["192.0.2.1"]), "a.example");
    assert!(bench.lookups.is_empty(), "the probe first");
    bench.allow_routes();
    let (ticket, name, _) = bench.lookups.pop_front().unwrap();
    assert_eq!(name, "b.example");
    // A request meanwhile restarts the list at its end.
    bench.run(|table, env| table.resolve_now(env));
    bench.run(|table, env| table.on_resolved(ticket, LookupAnswer::TemporaryFailure, env));
    assert_eq!(bench.answer(&["192.0.2.3"]), "c.example");
    bench.allow_routes();
    assert!(!bench.table.take_resolving_finished());
    assert_eq!(bench.answer(&["192.0.2.2"]), "b.example");
    bench.allow_routes();
    assert!(bench.table.take_resolving_finished());
    assert_eq!(addresses(&bench), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
}

#[test]
fn without_names_resolving_is_over_at_once() {
    let mut bench = Bench::new(9);
    bench.run(|table, env| table.resolve_now(env));
    assert!(bench.table.take_resolving_finished());
}

#[test]
fn late_answers_for_removed_sources_are_ignored() {
    let mut bench = Bench::new(10);
    bench
        .add("ntp.example", SourceKind::Server, config())
        .unwrap();
    let unresolved = SourceAddress::Unresolved(1);
    assert!(bench.run(|table, env| table.remove(unresolved, Origin::Command, env)));
    assert_eq!(
        bench.logs.last().unwrap(),
        "Removed source ID#0000000001 (ntp.example)"
    );
    bench.answer(&["192.0.2.7"]);
    assert!(bench.table.is_empty() && bench.probes.is_empty());
    assert!(bench.table.names.queue.is_empty());
    assert!(!bench.run(|table, env| table.remove(unresolved, Origin::Command, env)));
}

fn pool(bench: &mut Bench, maxsources: u32) -> Vec<SourceId> {
    let config = SourceConfig {
        maxsources,
        ..config()
    };
    bench.add("pool.example", SourceKind::Pool, config).unwrap();
    bench.table.ids()
}

/// Lets a source poll and gives it a good response.
fn answer_request(bench: &mut Bench, id: SourceId) {
    while bench.get(id).socket.is_none() {
        bench.next_timer();
    }
    let remote = bench.get(id).remote().unwrap();
    let request = bench
        .sent
        .iter()
        .rev()
        .find(|s| s.to == remote)
        .unwrap()
        .clone();
    let reply = bench.reply(&request).to_bytes();
    bench.deliver(&request, &reply, StampSource::Daemon);
}

#[test]
fn a_pool_keeps_the_first_sources_that_answer() {
    let mut bench = Bench::new(11);
    for (maxsources, count) in [(1, 2), (4, 8), (10, 16), (16, 16)] {
        let mut bench = Bench::new(11);
        assert_eq!(pool(&mut bench, maxsources).len(), count);
        assert_eq!(bench.logs, ["Added pool pool.example"]);
    }
    let ids = pool(&mut bench, 2);
    assert_eq!(bench.table.activity().unresolved, 4);
    bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    bench.allow_routes();
    assert_eq!(bench.table.activity().unresolved, 1);
    assert_eq!(bench.table.names.queue.len(), 1, "one more is wanted");
    answer_request(&mut bench, ids[1]);
    answer_request(&mut bench, ids[1]);
    assert_eq!(bench.table.len(), 4, "the same source twice confirms once");
    bench.logs.clear();
    answer_request(&mut bench, ids[2]);
    assert_eq!(addresses(&bench), ["192.0.2.2", "192.0.2.3"]);
    assert!(bench.logs.is_empty(), "silently");
    for id in [ids[1], ids[2]] {
        let address = bench.get(id).address();
        bench.run(|table, env| table.remove(address, Origin::Command, env));
    }
    assert_eq!(
        bench.logs,
        [
            "Removed source 192.0.2.2 (pool.example)",
            "Removed source 192.0.2.3 (pool.example)",
        ]
    );
    assert!(bench.table.pools.is_empty());
}

#[test]
fn a_source_that_fails_is_replaced_by_another_of_its_name() {
    let mut bench = Bench::new(12);
    let ids = pool(&mut bench, 2);
    bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    bench.allow_routes();
    answer_request(&mut bench, ids[0]);
    bench.entry(ids[0]).poll.current = 9;
    bench.run(|table, env| table.on_bad_source(ids[0], env));
    bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.9"]);
    bench.logs.clear();
    bench.allow_routes();
    assert_eq!(
        bench.logs,
        ["Source 192.0.2.1 replaced with 192.0.2.9 (pool.example)"]
    );
    assert_eq!(bench.get(ids[0]).report().total_valid, 0);
    assert!(
        bench.table.entries[&ids[0]].tentative,
        "it has to prove itself"
    );
    assert_eq!(bench.table.pools.values().next().unwrap().confirmed, 0);
    // The source was reachable, so its poll is reset.
    assert_eq!(bench.get(ids[0]).poll.current, 6);
    assert!(bench.timers.is_armed(Timer::Transmit(ids[0])));
    // The next replacement has to wait.
    bench.run(|table, env| table.on_bad_source(ids[1], env));
    assert!(bench.lookups.is_empty());
    bench.pass(3600.0);
    bench.run(|table, env| table.on_bad_source(ids[1], env));
    assert_eq!(bench.lookups.len(), 1);
}

#[test]
fn an_unreachable_source_keeps_its_poll_and_timer_when_replaced() {
    let mut bench = Bench::new(13);
    bench
        .add("ntp.example", SourceKind::Server, config())
        .unwrap();
    let id = bench.table.ids()[0];
    bench.answer(&["192.0.2.1"]);
    bench.allow_routes();
    bench.next_request();
    bench.entry(id).poll.current = 9;
    let due = bench.timers.deadline(Timer::Transmit(id));
    bench.run(|table, env| table.on_bad_source(id, env));
    bench.answer(&["192.0.2.2"]);
    bench.allow_routes();
    assert_eq!(addresses(&bench), ["192.0.2.2"]);
    assert_eq!(
        (
            bench.get(id).poll.current,
            bench.timers.deadline(Timer::Transmit(id))
        ),
        (9, due)
    );
    assert!(bench.open.is_empty());
}

#[test]
fn a_failed_replacement_is_not_retried() {
    for answer in [
        LookupAnswer::TemporaryFailure,
        LookupAnswer::Addresses(vec!["192.0.2.1".parse().unwrap()]),
    ] {
        let mut bench = Bench::new(14);
        bench
            .add("ntp.example", SourceKind::Server, config())
            .unwrap();
        let id = bench.table.ids()[0];
        bench.answer(&["192.0.2.1"]);
        bench.allow_routes();
        bench.run(|table, env| table.on_bad_source(id, env));
        let (ticket, ..) = bench.lookups.pop_front().unwrap();
        bench.run(|table, env| table.on_resolved(ticket, answer, env));
        if !bench.probes.is_empty() {
            bench.allow_routes();
        }
        assert_eq!(addresses(&bench), ["192.0.2.1"], "its own address is used");
        assert!(bench.table.names.queue.is_empty());
        assert!(!bench.timers.is_armed(Timer::Resolve));
    }
}

#[test]
fn sources_given_by_address_are_not_replaced() {
    let mut bench = Bench::new(15);
    let id = bench.server(config());
    bench.run(|table, env| table.on_bad_source(id, env));
    assert!(bench.table.names.queue.is_empty() && bench.lookups.is_empty());
}

#[test]
fn replacements_start_at_a_random_address() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut bench = Bench::new(seed);
        bench
            .add("ntp.example", SourceKind::Server, config())
            .unwrap();
        bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
        bench.allow_routes();
        assert_eq!(addresses(&bench), ["192.0.2.1"], "the first time in order");
        let id = bench.table.ids()[0];
        bench.run(|table, env| table.on_bad_source(id, env));
        bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
        bench.allow_routes();
        seen.extend(addresses(&bench));
    }
    assert_eq!(
        Vec::from_iter(seen),
        ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
    );
}

#[test]
fn names_of_working_sources_are_resolved_again() {
    let mut bench = Bench::new(16);
    bench.params.refresh = Seconds(1000.0);
    bench
        .add("a.example", SourceKind::Server, config())
        .unwrap();
    bench.answer(&["192.0.2.1"]);
    bench.allow_routes();
    let id = bench.table.ids()[0];
    let mut lookups = 0;
    let mut next = 1000.0;
    for _ in 0..100 {
        bench.exchange();
        if !bench.lookups.is_empty() {
            lookups += 1;
            let ago = (bench.mono - bench.table.entries[&id].resolved_at.unwrap()).0;
            assert!((next..next + 65.4).contains(&ago), "{ago}");
            // The address is still there: nothing changes.
            bench.answer(&["192.0.2.5", "192.0.2.1"]);
            assert!(bench.probes.is_empty());
            next = 1000.0;
        }
    }
    assert_eq!(
        (lookups, addresses(&bench)),
        (6, vec!["192.0.2.1".to_owned()])
    );
    bench.pass(1000.0);
    bench.exchange();
    bench.answer(&["192.0.2.5", "192.0.2.6"]);
    bench.allow_routes();
    assert_ne!(addresses(&bench), ["192.0.2.1"], "it is gone");
}

#[test]
fn the_refresh_command_queues_everything() {
    let mut bench = Bench::new(17);
    bench.server(config());
    bench
        .add("a.example", SourceKind::Server, config())
        .unwrap();
    bench.answer(&["192.0.2.2"]);
    bench.allow_routes();
    bench
        .add("b.example", SourceKind::Server, config())
        .unwrap();
    bench.run(|table, env| table.refresh(env));
    // The lookup of b.example runs; the literal needs none; then a.example and b.example again.
    assert_eq!(bench.table.names.queue.len(), 4);
    let (ticket, ..) = bench.lookups.pop_front().unwrap();
    bench.run(|table, env| table.on_resolved(ticket, LookupAnswer::TemporaryFailure, env));
    assert_eq!(bench.answer(&["192.0.2.2"]), "a.example");
    assert_eq!(bench.answer(&["192.0.2.3"]), "b.example");
    bench.allow_routes();
    assert_eq!(addresses(&bench), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert_eq!(
        bench.table.names.queue.len(),
        1,
        "the first entry, dropped in the next round"
    );
    assert_eq!(bench.next_timer(), Timer::Transmit(bench.table.ids()[0]));
}

#[test]
fn reload_changes_only_what_changed() {
    let mut bench = Bench::new(18);
    let a = new_source("192.0.2.1", SourceKind::Server, config());
    let b = new_source("192.0.2.2", SourceKind::Server, config());
    let duplicate = new_source("192.0.2.1", SourceKind::Peer, config());
    let wanted = vec![b.clone(), a.clone(), duplicate.clone()];
    bench.run(|table, env| table.reload(wanted.clone(), env));
    assert_eq!(
        bench.logs,
        [
            "Added source 192.0.2.1",
            "Could not add source 192.0.2.1 : Already in use",
            "Added source 192.0.2.2"
        ]
    );
    let ids = bench.table.ids();
    bench.logs.clear();
    bench.run(|table, env| table.reload(wanted, env));
    assert_eq!(
        (bench.table.ids(), bench.logs.len()),
        (ids.clone(), 0),
        "not even said again"
    );
    let changed = SourceConfig {
        minpoll: 7,
        ..config()
    };
    let b = NewSource {
        config: changed,
        ..b
    };
    bench.run(|table, env| table.reload(vec![b, duplicate], env));
    assert_eq!(
        bench.logs,
        [
            "Removed source 192.0.2.1",
            "Removed source 192.0.2.2",
            "Added source 192.0.2.1",
            "Added source 192.0.2.2"
        ]
    );
    assert!(
        bench.get(bench.table.ids()[0]).is_peer(),
        "the one that failed before"
    );
    let pool = new_source("pool.example", SourceKind::Pool, config());
    bench.run(|table, env| table.reload(vec![pool], env));
    bench.logs.clear();
    bench.run(|table, env| table.reload(Vec::new(), env));
    assert_eq!(bench.logs, ["Removed pool pool.example"], "once for all");
    assert!(bench.table.is_empty() && bench.open.is_empty());
}

#[test]
fn sources_of_the_configuration_file_are_announced_quietly_and_fail_aloud() {
    let mut bench = Bench::new(19);
    let sources = [
        new_source("192.0.2.1", SourceKind::Server, config()),
        new_source("192.0.2.1", SourceKind::Server, config()),
    ];
    bench.run(|table, env| table.add_configured(&sources, env));
    assert_eq!(
        bench.logs,
        ["Added source 192.0.2.1", "Could not add source 192.0.2.1"]
    );
    assert_eq!(Origin::Config.severity(), crate::event::Severity::Debug);
    assert_eq!(Origin::Command.severity(), crate::event::Severity::Info);
}

#[test]
fn many_sources_are_found_by_address_and_port() {
    let mut bench = Bench::new(20);
    let address = |i: u32| IpAddr::from([10, 0, (i >> 4) as u8, i as u8]);
    for i in 0..256u32 {
        let name = address(i).to_string();
        bench
            .add(
                &name,
                SourceKind::Server,
                SourceConfig {
                    offline: true,
                    ..config()
                },
            )
            .unwrap();
        for j in 0..=i {
            assert!(
                bench
                    .table
                    .by_address(SourceAddress::Ip(address(j)))
                    .is_some()
            );
        }
        assert_eq!(
            bench.add(&name, SourceKind::Server, config()),
            Err(AddError::AlreadyInUse)
        );
    }
    for i in 0..256u32 {
        let ip = SourceAddress::Ip(address(i));
        assert!(bench.run(|table, env| table.remove(ip, Origin::Command, env)));
        assert_eq!(bench.table.by_address(ip), None);
        for j in i + 1..256 {
            assert!(
                bench
                    .table
                    .by_address(SourceAddress::Ip(address(j)))
                    .is_some()
            );
        }
    }
}

/// `ntp_sources` of `ntp-engine.md` 10.1: random additions, answers, failures and removals.
#[test]
fn names_survive_anything() {
    for seed in 0..60 {
        let mut bench = Bench::new(seed);
        let mut rng = TestRng(seed + 1000);
        let mut added = Vec::new();
        for _ in 0..20 {
            let name = format!("name{}.example", rng.below(10));
            let kind =
                [SourceKind::Server, SourceKind::Peer, SourceKind::Pool][rng.below(3) as usize];
            let families = [
                FamilyFilter::Any,
                FamilyFilter::Only(Family::V4),
                FamilyFilter::Only(Family::V6),
            ][rng.below(3) as usize];
            let source = NewSource {
                families,
                ..new_source(
                    &name,
                    kind,
                    SourceConfig {
                        iburst: rng.chance(),
                        ..config()
                    },
                )
            };
            let before = bench.table.len();
            let got = bench
                .run(|table, env| table.add(&source, Origin::Command, env))
                .unwrap();
            assert!(got.unresolved);
            added.push(got.conf);
            let grown = if kind == SourceKind::Pool { 8 } else { 1 };
            assert_eq!(bench.table.len(), before + grown);
            let last = bench.table.names.queue.last().unwrap();
            assert_eq!((&last.name, last.families), (&name, families));
            for _ in 0..rng.below(10) {
                random_event(&mut bench, &mut rng);
                check_names(&bench);
            }
        }
        bench.run(|table, env| table.refresh(env));
        check_names(&bench);
        for conf in added {
            bench.run(|table, env| table.remove_by_conf(conf, Origin::Command, env));
            check_names(&bench);
        }
        assert!(bench.table.is_empty() && bench.table.pools.is_empty());
        bench.run(|table, env| table.resolve_now(env));
        for _ in 0..100 {
            random_answer(&mut bench, &mut rng);
        }
        assert!(bench.table.names.queue.is_empty());
        assert_eq!(bench.timers.next(), None);
        assert!(bench.open.is_empty(), "{:?}", bench.open);
    }
}

fn random_address(rng: &mut TestRng) -> IpAddr {
    let n = rng.below(40) as u8;
    if rng.chance() {
        IpAddr::from([192, 0, 2, n])
    } else {
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n)])
    }
}

fn random_answer(bench: &mut Bench, rng: &mut TestRng) {
    if let Some((ticket, ..)) = bench.lookups.pop_front() {
        let answer = match rng.below(4) {
            0 => LookupAnswer::TemporaryFailure,
            1 => LookupAnswer::PermanentFailure,
            _ => {
                let count = 1 + rng.below(16);
                LookupAnswer::Addresses((0..count).map(|_| random_address(rng)).collect())
            }
        };
        bench.run(|table, env| table.on_resolved(ticket, answer, env));
    } else if let Some((ticket, addresses)) = bench.probes.pop_front() {
        let routes: Vec<bool> = addresses.iter().map(|_| rng.below(4) > 0).collect();
        bench.run(|table, env| table.on_routes(ticket, &routes, env));
    }
}

fn random_event(bench: &mut Bench, rng: &mut TestRng) {
    let ids = bench.table.ids();
    let id = ids[rng.below(ids.len() as u64) as usize];
    match rng.below(7) {
        0 => {
            bench.pass(rng.uniform(0.0, 4000.0));
            bench.run(|table, env| table.on_bad_source(id, env));
        }
        1 => {
            let which = [
                Connectivity::Online,
                Connectivity::Offline,
                Connectivity::MaybeOnline,
            ];
            let which = which[rng.below(3) as usize];
            bench.run(|table, env| table.set_connectivity(SourceMatch::All, which, env));
        }
        2 if bench.timers.next().is_some() => {
            bench.next_timer();
        }
        3 => {
            if let Some(request) = bench.sent.last().cloned() {
                let reply = bench.reply(&request).to_bytes();
                if bench.open.contains(&request.key) {
                    bench.deliver(&request, &reply, StampSource::Daemon);
                }
            }
        }
        _ => random_answer(bench, rng),
    }
}

/// What holds at any time.
fn check_names(bench: &Bench) {
    let table = &bench.table;
    let waiting = bench.timers.is_armed(Timer::Resolve);
    let busy = table.names.is_busy();
    assert!(table.names.queue.is_empty() || waiting || busy);
    assert!(!(waiting && busy));
    for (pool_id, pool) in &table.pools {
        let of = |f: &dyn Fn(&crate::source::table::Entry) -> bool| {
            let members = table.entries.values().filter(|e| e.pool == Some(*pool_id));
            members.filter(|e| f(e)).count() as u32
        };
        assert_eq!(pool.sources, of(&|_| true));
        assert_eq!(
            pool.unresolved,
            of(&|e| e.association.address().ip().is_none())
        );
        assert_eq!(pool.confirmed, of(&|e| !e.tentative));
        assert!(pool.confirmed <= pool.max_sources && pool.max_sources <= pool.sources);
    }
    for lookup in &table.names.queue {
        if let Target::Source(id, SourceAddress::Unresolved(_)) = lookup.target
            && let Some(association) = table.get(id)
        {
            let unresolved = association.address().ip().is_none();
            assert!(!unresolved || bench.until_request(id).is_none());
        }
    }
}

#[test]
fn asking_to_resolve_now_does_not_lengthen_the_wait() {
    let mut bench = Bench::new(30);
    bench
        .add("ntp.example", SourceKind::Server, config())
        .unwrap();
    let fail = |bench: &mut Bench| {
        let (ticket, ..) = bench.lookups.pop_front().unwrap();
        bench.run(|table, env| table.on_resolved(ticket, LookupAnswer::TemporaryFailure, env));
        (bench.timers.deadline(Timer::Resolve).unwrap() - bench.mono).0
    };
    let now = |bench: &mut Bench| {
        bench.run(|table, env| table.set_connectivity(SourceMatch::All, Connectivity::Online, env));
    };
    fail(&mut bench);
    bench.next_timer();
    assert!((fail(&mut bench) - 56.0).abs() < 1e-6);
    now(&mut bench);
    assert!((fail(&mut bench) - 56.0).abs() < 1e-6);
    // Going offline asks for nothing.
    bench.run(|table, env| table.set_connectivity(SourceMatch::All, Connectivity::Offline, env));
    assert!(bench.lookups.is_empty() && bench.timers.is_armed(Timer::Resolve));
    // When all is resolved the next failure starts anew.
    now(&mut bench);
    bench.answer(&["192.0.2.1"]);
    bench.allow_routes();
    bench
        .add("other.example", SourceKind::Server, config())
        .unwrap();
    assert!((fail(&mut bench) - 28.0).abs() < 1e-6);
}

#[test]
fn sixteen_addresses_of_a_name_are_enough() {
    let mut bench = Bench::new(31);
    bench
        .add("ntp.example", SourceKind::Server, config())
        .unwrap();
    let many: Vec<String> = (1..=20).map(|i| format!("192.0.2.{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bench.answer(&many);
    assert_eq!(bench.probes.front().unwrap().1.len(), 16);
}

#[test]
fn refresh_0_never_resolves_again() {
    let mut bench = Bench::new(32);
    bench.params.refresh = Seconds::ZERO;
    bench
        .add("a.example", SourceKind::Server, config())
        .unwrap();
    bench.answer(&["192.0.2.1"]);
    bench.allow_routes();
    for _ in 0..5 {
        bench.exchange();
    }
    assert!(bench.lookups.is_empty());
}

#[test]
fn a_pool_wants_no_more_sources_than_are_left() {
    let mut bench = Bench::new(33);
    let ids = pool(&mut bench, 3);
    bench.answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
    bench.allow_routes();
    answer_request(&mut bench, ids[0]);
    let pool_of = |bench: &Bench| *bench.table.pools.values().next().unwrap();
    assert_eq!(
        (pool_of(&bench).confirmed, pool_of(&bench).max_sources),
        (1, 3)
    );
    for &id in &ids[2..] {
        let address = bench.get(id).address();
        bench.run(|table, env| table.remove(address, Origin::Command, env));
    }
    let left = pool_of(&bench);
    assert_eq!((left.sources, left.confirmed, left.max_sources), (2, 1, 2));
    // A confirmed one that goes is no longer counted.
    let address = bench.get(ids[0]).address();
    bench.run(|table, env| table.remove(address, Origin::Command, env));
    let left = pool_of(&bench);
    assert_eq!((left.sources, left.confirmed, left.max_sources), (1, 0, 1));
    answer_request(&mut bench, ids[1]);
    assert_eq!(pool_of(&bench).confirmed, 1);
}
