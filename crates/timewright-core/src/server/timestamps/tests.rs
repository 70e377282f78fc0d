//! Tests of the time stamp map, among them the expectations of `ntp-engine.md` 10.1, `clientlog`.

use super::*;
use crate::server::test_rng::TestRng;
use timewright_time::Seconds;

const ERA_S: i64 = 200_000_000;
const KERNEL: StampSource = StampSource::Kernel;
const DAEMON: StampSource = StampSource::Daemon;

fn map(capacity: usize) -> TimestampMap {
    TimestampMap::new(capacity, ERA_S)
}

fn none() -> SlewCount {
    SlewCount::default()
}

fn ns(map: &TimestampMap, rx: u64) -> i64 {
    map.rx_time(NtpTimestamp(rx)).ns()
}

/// Saves `rx` with a transmit time `offset_ns` later.
fn save(map: &mut TimestampMap, rx: u64, offset_ns: i64) {
    let tx = Timestamp::from_ns(ns(map, rx) + offset_ns);
    map.save(NtpTimestamp(rx), tx, DAEMON, none());
}

fn offset(map: &mut TimestampMap, rx: u64) -> Option<i64> {
    let time = map.find(NtpTimestamp(rx))?.time?;
    Some(time.ns() - ns(map, rx))
}

fn keys(map: &TimestampMap) -> Vec<u64> {
    (0..map.len()).map(|i| map.get(i).unwrap().rx).collect()
}

#[track_caller]
fn assert_sorted(map: &TimestampMap) {
    for pair in keys(map).windows(2) {
        assert!(difference(pair[1], pair[0]) > 0, "{:x?}", keys(map));
    }
}

const S: u64 = 1 << 32;

#[test]
fn zero_is_ignored_but_allocates() {
    let mut map = map(128);
    assert_eq!(map.allocated(), 0);
    save(&mut map, 0, 5);
    assert_eq!((map.allocated(), map.len(), map.span_s()), (128, 0, 0));
    assert_eq!(map.find(NtpTimestamp(0)), None);
}

#[test]
fn a_full_map_drops_the_oldest() {
    let mut map = map(4);
    for i in 1..=6 {
        save(&mut map, 100 * S * i + 1, 1000);
    }
    assert_eq!(keys(&map), [3, 4, 5, 6].map(|i| 100 * S * i + 1));
    assert_eq!(map.span_s(), 300);
    assert_eq!(offset(&mut map, 200 * S + 1), None);
    assert_eq!(offset(&mut map, 300 * S + 1), Some(1000));
}

#[test]
fn the_same_receive_time_twice_is_of_no_use() {
    let mut map = map(4);
    save(&mut map, 9 * S, 1);
    save(&mut map, 10 * S, 2);
    save(&mut map, 9 * S, 3);
    assert_eq!(offset(&mut map, 9 * S), None);
    assert_eq!(offset(&mut map, 10 * S), Some(2));
    save(&mut map, 10 * S, 3);
    assert_eq!((offset(&mut map, 10 * S), map.len()), (None, 2));
}

#[test]
fn disabled_entries_are_not_found() {
    let mut map = map(4);
    save(&mut map, 9 * S, 1);
    map.disable(NtpTimestamp(9 * S + 1));
    assert_eq!(offset(&mut map, 9 * S), Some(1));
    map.disable(NtpTimestamp(9 * S));
    assert_eq!(map.find(NtpTimestamp(9 * S)), None);
    assert_eq!(map.len(), 1);
}

#[test]
fn entries_far_in_the_future_go_when_time_went_back() {
    let mut map = map(16);
    for i in 10..=20 {
        save(&mut map, i * S / 2, 1);
    }
    // 10 s is in the map; 7.25 s is older than those from 7.5 s on, kept up to 8.25 s.
    save(&mut map, 7 * S + S / 4, 1);
    let halves: Vec<_> = keys(&map).iter().map(|rx| rx / (S / 4)).collect();
    assert_eq!(halves, [20, 22, 24, 26, 28, 29, 30, 32]);
}

#[test]
fn inserting_far_from_the_end_replaces_the_neighbour() {
    let mut map = map(256);
    let at = |i: u64| 100 * S + i * 1000;
    for i in 0..100 {
        save(&mut map, at(i), 1);
    }
    save(&mut map, at(36) - 1, 2);
    assert_eq!(map.len(), 101);
    assert!(keys(&map).contains(&at(35)) && keys(&map).contains(&(at(36) - 1)));
    save(&mut map, at(36) - 2, 3);
    assert_eq!(map.len(), 101);
    assert!(!keys(&map).contains(&at(35)) && keys(&map).contains(&(at(36) - 2)));
    save(&mut map, at(0) - 1, 4);
    assert!(!keys(&map).contains(&at(0)) && keys(&map)[0] == at(0) - 1);
    assert_sorted(&map);
}

#[test]
fn only_near_transmit_times_are_kept_and_they_are_exact() {
    let mut map = map(64);
    for (offset_ns, want) in [
        (0i64, true),
        (1, true),
        (-1, true),
        (1_999_000_000, true),
        (-1_999_000_000, true),
        (1_999_999_999, true),
        (2_000_000_000, false),
        (-2_000_000_000, true),
        (-2_000_000_001, false),
    ] {
        let rx = 1000 * S + 0x1234_5679 + (offset_ns.unsigned_abs() << 3);
        map.clear();
        save(&mut map, rx, offset_ns);
        assert_eq!(offset(&mut map, rx), want.then_some(offset_ns));
        assert!(map.find(NtpTimestamp(rx)).is_some(), "found without a time");
    }
}

#[test]
fn an_unknown_step_empties_the_map() {
    let mut map = map(8);
    for i in 1..=12 {
        save(&mut map, i * S, 1);
    }
    map.clear();
    assert_eq!((map.len(), map.span_s()), (0, 0));
    assert_eq!(map.find(NtpTimestamp(12 * S)), None);
    save(&mut map, 5 * S, 1);
    assert_eq!(offset(&mut map, 5 * S), Some(1));
}

#[test]
fn late_stamps_replace_earlier_ones_within_a_second() {
    for (late_ns, want) in [
        (-1, 100),
        (0, 100),
        (50_000, 50_100),
        (1_000_000_000, 1_000_000_100),
        (1_000_000_001, 100),
    ] {
        let mut map = map(8);
        let rx = 77 * S + 1;
        save(&mut map, rx, 100);
        let tx = Timestamp::from_ns(ns(&map, rx) + 100 + late_ns);
        map.improve(NtpTimestamp(rx), tx, KERNEL, none());
        assert_eq!(offset(&mut map, rx), Some(want), "{late_ns}");
        let source = map.find(NtpTimestamp(rx)).unwrap().source;
        assert_eq!(source == KERNEL, want == 100 + late_ns, "{late_ns}");
    }
}

#[test]
fn late_stamps_of_missing_or_disabled_entries_are_ignored() {
    let mut map = map(8);
    let rx = 77 * S + 1;
    save(&mut map, rx, 100);
    map.disable(NtpTimestamp(rx));
    let tx = Timestamp::from_ns(ns(&map, rx) + 200);
    map.improve(NtpTimestamp(rx), tx, KERNEL, none());
    map.improve(NtpTimestamp(rx + 2), tx, KERNEL, none());
    assert_eq!(map.find(NtpTimestamp(rx)), None);
    assert_eq!(map.get(0).unwrap().tx_offset_ns, 100);
}

#[test]
fn exactly_one_slew_is_undone() {
    let slews = |epoch| SlewCount {
        epoch,
        last_offset: Seconds(1e-3),
        ..SlewCount::default()
    };
    for (now, want) in [(7, 5_000), (8, 1_005_000), (9, 5_000)] {
        let mut map = map(8);
        let rx = 77 * S + 1;
        let saved = Timestamp::from_ns(ns(&map, rx));
        map.save(NtpTimestamp(rx), saved, DAEMON, slews(7));
        let late = Timestamp::from_ns(saved.ns() + 5_000);
        map.improve(NtpTimestamp(rx), late, KERNEL, slews(now));
        assert_eq!(offset(&mut map, rx), Some(want), "{now}");
    }
    // The count wraps.
    let tx = Timestamp::from_ns(1_000_000_000);
    assert_ne!(slews(0).undone(tx, u16::MAX), tx);
}

#[test]
fn random_insertions_stay_sorted_and_findable() {
    let mut rng = TestRng::new(10);
    for round in 0..300 {
        let capacity = 1 << (round % 8);
        let mut map = map(capacity);
        // Around the end of an era, and from a tight cluster to all of time.
        let span = 1 << (20 + rng.below(44));
        for step in 0..300 {
            let rx = rng.next() % span;
            let rx = rx.wrapping_sub(span / 2);
            let tx_offset = i64::try_from(rng.below(3_998_000_000)).unwrap() - 1_999_000_000;
            save(&mut map, rx, tx_offset);
            assert!(map.len() <= capacity && map.allocated() == capacity);
            assert_sorted(&map);
            if rng.below(20) == 0 {
                let newest = map.newest().unwrap().rx;
                save(&mut map, newest.wrapping_add(rng.below(1000) + 1), 7);
                let newest = map.newest().unwrap();
                assert_eq!(newest.tx_offset_ns, 7, "{round} {step}");
            }
            // A span of half of all time or more has no order.
            let all = keys(&map);
            let ordered = difference(*all.last().unwrap(), all[0]) >= 0;
            let at = usize::try_from(rng.below(all.len() as u64)).unwrap();
            if ordered {
                assert_eq!(map.position(NtpTimestamp(all[at])), Some(at));
                for other in [all[at].wrapping_add(1), all[at].wrapping_sub(1)] {
                    let found = map.position(NtpTimestamp(other));
                    assert_eq!(found, all.iter().position(|rx| *rx == other && other != 0));
                }
            }
            let _ = map.find(NtpTimestamp(all[at]));
        }
    }
}

#[test]
fn evenly_spaced_entries_are_found_in_a_few_steps() {
    let mut map = map(4096);
    for i in 0..10_000 {
        save(&mut map, (i + 1) * S / 7, 1);
    }
    for i in [5_905, 6_000, 8_000, 9_999] {
        assert_eq!(offset(&mut map, (i + 1) * S / 7), Some(1));
    }
    assert_eq!(map.span_s(), 4095 / 7);
}
