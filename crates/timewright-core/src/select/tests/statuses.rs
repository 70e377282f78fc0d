//! Statuses that make a source bad, and when an administrator hears of them (`discipline.md` 6.4,
//! 6.9).

use super::*;

fn defaults() -> SelectConfig {
    SelectConfig {
        auth_mode: AuthSelectMode::Ignore,
        ..SelectConfig::default()
    }
}

#[test]
fn a_stratum_out_of_range_is_reported_after_four_updates() {
    let limits = SelectConfig {
        min_stratum: 3,
        max_stratum: 5,
        ..defaults()
    };
    let name = "10.0.0.1 (ntp0.test)";
    for (stratum, letter, message) in [
        (2, "r", format!("Stratum of {name} below minstratum of 3")),
        (3, "*", format!("Selected source {name}")),
        (5, "*", format!("Selected source {name}")),
        (6, "r", format!("Stratum of {name} above maxstratum of 5")),
    ] {
        let mut bench = Bench::with(limits, &[NTP]);
        // Eight polls without a selectable source are reported too, but not here.
        for round in 0..7 {
            bench.wait(16.0);
            let Bench { selector, cx, out } = &mut bench;
            let id = SourceId(0);
            selector.update_reachability(id, true, cx, out);
            selector.update_status(id, stratum, Leap::Normal, false, out);
            selector.accumulate(id, steady_sample(cx.now), false, out);
            selector.select(cx, Some(id), out);
            let replace = bench.out.contains(&SelectAction::BadSource(id));
            assert_eq!(replace, letter == "r" && round >= 5, "{stratum} {round}");
            let reported = if letter == "r" { 5 } else { 2 };
            let want: &[String] = if round == reported {
                std::slice::from_ref(&message)
            } else {
                &[]
            };
            assert_eq!(bench.messages(), want, "{stratum} {round}");
        }
        assert_eq!(bench.letters(), letter, "{stratum}");
    }
}

/// A good sample of a right clock.
fn steady_sample(time: Timestamp<Cooked>) -> Sample {
    Sample {
        time,
        offset: Seconds::ZERO,
        peer_delay: Seconds(1e-3),
        peer_dispersion: Seconds(1e-7),
        root_delay: Seconds(1e-3),
        root_dispersion: Seconds(1e-4),
    }
}

#[test]
fn stratum_limits_hold_for_reference_clocks_and_do_not_stop_the_others() {
    let limits = SelectConfig {
        min_stratum: 2,
        ..defaults()
    };
    let mut bench = Bench::with(limits, &[REFCLOCK, NTP]);
    for _ in 0..4 {
        bench.wait(16.0);
        for (id, stratum) in [(SourceId(0), 0), (SourceId(1), 2)] {
            let Bench { selector, cx, out } = &mut bench;
            selector.update_reachability(id, true, cx, out);
            selector.update_status(id, stratum, Leap::Normal, false, out);
            selector.accumulate(id, steady_sample(cx.now), false, out);
            selector.select(cx, Some(id), out);
        }
    }
    assert_eq!(bench.letters(), "r*");
}

#[test]
fn the_stratum_is_taken_near_a_leap_second_too() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(3, &[0.0]);
    let Bench { selector, cx, out } = &mut bench;
    selector.update_status(SourceId(0), 7, Leap::Insert, true, out);
    let report = selector.source_report(SourceId(0), cx.now).unwrap();
    assert_eq!(report.stratum, 7);
    let report = selector.select_report(SourceId(0)).unwrap();
    assert_eq!(report.leap, Leap::Normal, "not the leap status");
}

#[test]
fn every_poll_of_an_unreachable_server_asks_for_another() {
    let mut bench = Bench::with(defaults(), &[NTP, REFCLOCK]);
    for poll in 1..=10 {
        bench.out.clear();
        bench.miss(0);
        bench.miss(1);
        let bad = bench.out.iter().filter_map(|action| match action {
            SelectAction::BadSource(id) => Some(*id),
            _ => None,
        });
        let bad: Vec<SourceId> = bad.collect();
        // Reference clocks have no other address.
        let want: &[SourceId] = if poll < 8 { &[] } else { &[SourceId(0)] };
        assert_eq!(bad, want, "poll {poll}");
    }
}

#[test]
fn a_bad_reference_clock_is_reported_but_not_replaced() {
    let far = SelectConfig {
        max_distance: Seconds(1e-3),
        ..defaults()
    };
    let mut bench = Bench::with(far, &[REFCLOCK]);
    bench.rounds(7, &[0.0]);
    assert_eq!(bench.letters(), "d");
    assert!(!bench.out.contains(&SelectAction::BadSource(SourceId(0))));
    assert_eq!(
        bench.messages(),
        ["Root distance of PPS exceeds maxdistance of 0.001 seconds"]
    );
}

#[test]
fn only_updates_of_the_source_itself_make_it_bad() {
    let mut bench = Bench::with(
        SelectConfig {
            max_distance: Seconds(1e-1),
            ..defaults()
        },
        &[NTP, NTP],
    );
    for round in 0..4 {
        bench.wait(16.0);
        bench.poll(0, 1e-6 * f64::from(round % 2), 1.0);
        bench.poll(1, 1e-6 * f64::from(round % 2), 1e-2);
    }
    let bad = |bench: &Bench| bench.selector.sources[0].bad;
    // Its third and fourth sample; the selections for the other source do not count.
    assert_eq!((bench.letters().as_str(), bad(&bench)), ("d*", 2));
    // One good update ends the run.
    bench.selector.config.max_distance = Seconds(10.0);
    bench.wait(16.0);
    bench.poll(0, 0.0, 1.0);
    assert_eq!(bad(&bench), 0);
}

#[test]
fn falsetickers_are_named_again_after_another_source_was_selected() {
    let lies = "Detected falseticker 10.0.0.3 (ntp2.test)".to_owned();
    let mut bench = Bench::with(defaults(), &[NTP, NTP, NTP]);
    bench.rounds(4, &[0.0, 0.0, 1.0]);
    assert!(bench.messages().contains(&lies));
    bench.rounds(4, &[0.0, 0.0, 1.0]);
    assert!(!bench.messages().contains(&lies), "named once");
    let Bench { selector, cx, out } = &mut bench;
    selector.reselect(cx, out);
    bench.rounds(1, &[0.0, 0.0, 1.0]);
    assert!(bench.messages().contains(&lies));
}

#[test]
fn texts_of_missing_sources() {
    for (event, want) in [
        (SelectEvent::NoSources, "no sources"),
        (
            SelectEvent::NoneUsable { unreachable: 3 },
            "no selectable sources (3 unreachable sources)",
        ),
        (SelectEvent::NoneSelectable, "no selectable sources"),
        (
            SelectEvent::NoneRequired,
            "no required source in selectable sources",
        ),
        (SelectEvent::TooFew, "not enough selectable sources"),
    ] {
        assert_eq!(event.severity(), crate::event::Severity::Warning);
        assert_eq!(event.to_string(), format!("Can't synchronise: {want}"));
    }
}

/// Two pairs of sources that agree among themselves, the trusted ones a little wider.
#[test]
fn what_trusted_sources_exclude_is_not_trusted() {
    let trusted = Probe {
        options: "T",
        ..NTP
    };
    let mut bench = Bench::with(defaults(), &[trusted, trusted, NTP]);
    for round in 0..4 {
        bench.wait(16.0);
        let jitter = 1e-6 * f64::from(round % 2);
        bench.poll(0, jitter, 0.01);
        bench.poll(1, jitter, 0.01);
        // Its interval contains theirs, so it is no falseticker, but it is much wider.
        bench.poll(2, jitter, 0.5);
    }
    assert_eq!(bench.letters(), "*+T");
}

/// As with `maxsamples 1`: what cannot scatter counts as scattering as much as is allowed.
#[test]
fn one_sample_is_enough_where_no_more_are_kept() {
    let mut bench = Bench::new(defaults());
    let setup = SourceSetup {
        kind: SourceKind::Ntp,
        ref_id: 1,
        name: SourceName::ntp("10.0.0.1", "10.0.0.1"),
        authenticated: false,
        options: SelectOptions::NONE,
        max_unreachable: 100_000,
        stats: StatsConfig::new(6, 1, Seconds(1e-7)),
    };
    assert!(bench.selector.add(SourceId(0), setup));
    bench.rounds(1, &[0.0]);
    assert_eq!(bench.letters(), "*");
}

#[test]
fn the_wait_for_other_samples_ends_with_the_start() {
    // The second source answers one poll later than the first and never gives a sample.
    let mut bench = Bench::with(defaults(), &[NTP, NTP]);
    for poll in 1..=8 {
        bench.wait(16.0);
        bench.poll(0, 0.0, 0.01);
        let want = match poll {
            1 | 2 => "MM",
            3..=7 => "wM",
            _ => "*M",
        };
        assert_eq!(bench.letters(), want, "poll {poll}");
        let Bench { selector, cx, out } = &mut bench;
        selector.update_reachability(SourceId(1), true, cx, out);
    }
}

#[test]
fn a_missing_majority_is_not_followed_by_missing_sources() {
    // The third samples come with the eighth poll, so that both would be worth a message.
    let mut bench = Bench::with(defaults(), &[NTP, NTP]);
    for _ in 0..5 {
        bench.miss(0);
        bench.miss(1);
    }
    for _ in 0..3 {
        bench.wait(16.0);
        let Bench { selector, cx, out } = &mut bench;
        for (i, offset) in [(0, 0.0), (1, 1.0)] {
            let id = SourceId(i);
            selector.update_reachability(id, true, cx, out);
            selector.update_status(id, 1, Leap::Normal, false, out);
            let sample = Sample {
                offset: Seconds(offset),
                ..steady_sample(cx.now)
            };
            selector.accumulate(id, sample, false, out);
        }
        selector.select(cx, None, out);
    }
    assert_eq!(bench.letters(), "xx");
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: no majority (no agreement among 2 sources)"]
    );
    for _ in 0..9 {
        bench.wait(16.0);
        bench.miss(0);
        bench.miss(1);
    }
    assert_eq!(bench.letters(), "SS");
    assert!(bench.messages().is_empty());
}

#[test]
fn a_majority_that_is_lost_again_is_reported_again() {
    let lost = "Can't synchronise: no majority (no agreement among 2 sources)".to_owned();
    let mut bench = Bench::with(defaults(), &[NTP, NTP]);
    let shift = |bench: &mut Bench, by: f64| {
        let stats = bench.selector.stats_mut(SourceId(1)).unwrap();
        stats.correct_offset(Seconds(by));
        let Bench { selector, cx, out } = bench;
        selector.select(cx, Some(SourceId(0)), out);
    };
    bench.rounds(4, &[0.0, 0.0]);
    for _ in 0..2 {
        bench.messages();
        shift(&mut bench, 1.0);
        assert_eq!(bench.letters(), "xx");
        shift(&mut bench, 0.0);
        assert_eq!(bench.messages(), [lost.as_str()], "once");
        shift(&mut bench, -1.0);
        assert!(bench.selector.selected().is_some());
    }
}

#[test]
fn a_loss_that_was_reported_is_not_reported_as_a_failed_start() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(3, &[0.0]);
    bench.messages();
    let Bench { selector, cx, out } = &mut bench;
    selector.unknown_step(cx, out);
    assert_eq!(bench.messages().len(), 1);
    for _ in 0..9 {
        bench.miss(0);
    }
    assert!(bench.messages().is_empty());
}

#[test]
fn nothing_is_reported_in_special_modes() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.cx.normal_mode = false;
    bench.rounds(3, &[0.0]);
    assert_eq!(bench.letters(), "*");
    for _ in 0..9 {
        bench.wait(16.0);
        bench.miss(0);
    }
    assert_eq!(bench.letters(), "S");
    let Bench { selector, cx, out } = &mut bench;
    selector.unknown_step(cx, out);
    assert!(bench.messages().is_empty());
}

/// The frequencies may differ by as much as the skews and `maxclockerror` allow, times
/// `combinelimit`.
#[test]
fn sources_of_another_frequency_are_not_combined() {
    for (difference, want) in [(2e-6, "*+"), (4e-6, "*D")] {
        let mut bench = Bench::with(defaults(), &[NTP, NTP]);
        for round in 0..8 {
            bench.wait(16.0);
            bench.poll(0, 0.0, 0.01);
            bench.poll(1, difference * 16.0 * f64::from(round), 0.01);
        }
        assert_eq!(bench.letters(), want, "{difference}");
    }
}

#[test]
fn a_reset_forgets_updates_and_status() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(2, &[0.0]);
    let Bench { selector, cx, out } = &mut bench;
    let id = SourceId(0);
    selector.reset(id, cx, out);
    selector.update_reachability(id, true, cx, out);
    for age in [48.0, 32.0, 16.0] {
        let sample = steady_sample(cx.now - Seconds(age));
        selector.accumulate(id, sample, false, out);
    }
    selector.select(cx, None, out);
    assert_eq!(bench.letters(), "s", "no status yet");
    let Bench { selector, cx, out } = &mut bench;
    selector.update_status(id, 1, Leap::Normal, false, out);
    selector.select(cx, None, out);
    assert_eq!(bench.letters(), "U", "no update yet");
}
