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
