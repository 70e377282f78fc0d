//! Rules of selection one by one.

use super::*;
use crate::event::Severity;

fn defaults() -> SelectConfig {
    SelectConfig {
        auth_mode: AuthSelectMode::Ignore,
        ..SelectConfig::default()
    }
}

#[test]
fn a_single_source_is_selected_with_its_third_sample() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(2, &[1e-3]);
    assert_eq!(
        (bench.letters().as_str(), bench.selector.selected()),
        ("M", None)
    );
    bench.rounds(1, &[1e-3]);
    assert_eq!(bench.letters(), "*");
    assert_eq!(bench.selector.selected(), Some(SourceId(0)));
    let update = bench.out.iter().find_map(|action| match action {
        SelectAction::UpdateReference(update) => Some(*update),
        _ => None,
    });
    let update = update.unwrap();
    assert_eq!(
        (update.source, update.stratum, update.combined),
        (SourceId(0), 1, 1)
    );
    assert!((update.offset.0 - 1e-3).abs() < 1e-5);
    assert_eq!(bench.messages(), ["Selected source 10.0.0.1 (ntp0.test)"]);
    bench.rounds(5, &[1e-3]);
    assert!(bench.messages().is_empty(), "reported once");
}

#[test]
fn the_loss_of_the_last_source_is_reported_once_and_leaves_the_reference_alone() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(4, &[0.0]);
    bench.messages();
    for _ in 0..7 {
        bench.wait(16.0);
        bench.miss(0);
    }
    assert!(bench.out.is_empty(), "still reachable by its register");
    bench.wait(16.0);
    bench.miss(0);
    assert!(bench.out.contains(&SelectAction::BadSource(SourceId(0))));
    assert!(!bench.out.contains(&SelectAction::Unsynchronised));
    assert_eq!(bench.letters(), "S");
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: no selectable sources (1 unreachable sources)"]
    );
    bench.miss(0);
    assert!(bench.messages().is_empty());
}

#[test]
fn sources_that_never_answer_are_reported_after_eight_polls() {
    let mut bench = Bench::with(defaults(), &[NTP, NTP]);
    for poll in 0..9 {
        bench.wait(16.0);
        bench.miss(0);
        bench.miss(1);
        let messages = bench.messages();
        let want: &[&str] = match poll {
            7 => &["Can't synchronise: no selectable sources (2 unreachable sources)"],
            _ => &[],
        };
        assert_eq!(messages, want, "poll {poll}");
    }
}

#[test]
fn an_empty_table_has_no_sources() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(3, &[0.0]);
    bench.messages();
    let Bench { selector, cx, out } = &mut bench;
    selector.remove(SourceId(0), cx, out);
    assert!(selector.is_empty());
    // Unselected by the removal itself: silently.
    assert!(bench.messages().is_empty());
}

#[test]
fn a_lost_majority_makes_the_reference_unsynchronised() {
    let mut bench = Bench::with(defaults(), &[NTP, NTP, NTP]);
    bench.rounds(4, &[0.0, 0.0, 1.0]);
    assert_eq!(bench.letters(), "*+x");
    let name = "10.0.0.3 (ntp2.test)";
    assert!(
        bench
            .messages()
            .contains(&format!("Detected falseticker {name}"))
    );
    let Bench { selector, cx, out } = &mut bench;
    selector.remove(SourceId(1), cx, out);
    assert!(out.contains(&SelectAction::Unsynchronised));
    assert_eq!(selector.selected(), None);
    assert_eq!(bench.letters(), "xx");
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: no majority (no agreement among 2 sources)"]
    );
    bench.rounds(1, &[0.0]);
    assert!(bench.messages().is_empty(), "reported once");
}

#[test]
fn texts_of_a_missing_majority() {
    for (agreeing, total, trusted, want) in [
        (1, 3, false, "no agreement among 3 sources"),
        (2, 5, false, "only 2 of 5 sources agree"),
        (1, 2, true, "no agreement among 2 trusted sources"),
        (2, 4, true, "only 2 of 4 trusted sources agree"),
    ] {
        let event = SelectEvent::NoMajority {
            agreeing,
            total,
            trusted,
        };
        assert_eq!(
            event.to_string(),
            format!("Can't synchronise: no majority ({want})")
        );
        assert_eq!(event.severity(), Severity::Warning);
    }
}

#[test]
fn too_few_or_no_required_sources_wait() {
    let few = SelectConfig {
        min_sources: 3,
        ..defaults()
    };
    let mut bench = Bench::with(few, &[NTP, NTP]);
    bench.rounds(9, &[0.0, 0.0]);
    assert_eq!(bench.letters(), "WW");
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: not enough selectable sources"]
    );

    let required = Probe {
        options: "R",
        ..NTP
    };
    let mut bench = Bench::with(defaults(), &[NTP, required]);
    bench.rounds(9, &[0.0]);
    assert_eq!(bench.letters(), "WM");
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: no required source in selectable sources"]
    );
    bench.rounds(3, &[0.0, 0.0]);
    assert!(bench.selector.selected().is_some());
}

#[test]
fn preferred_and_trusted_sources_come_first() {
    let preferred = Probe {
        options: "P",
        ..NTP
    };
    let mut bench = Bench::with(defaults(), &[NTP, preferred, NTP]);
    bench.rounds(4, &[0.0, 0.0, 0.0]);
    assert_eq!(bench.letters(), "P*P");

    // Two others agree, but the trusted one is right.
    let trusted = Probe {
        options: "T",
        ..NTP
    };
    let mut bench = Bench::with(defaults(), &[NTP, NTP, trusted]);
    bench.rounds(4, &[1.0, 1.0, 0.0]);
    assert_eq!(bench.letters(), "xx*");

    let ignored = Probe {
        options: "N",
        ..NTP
    };
    let mut bench = Bench::with(defaults(), &[ignored, NTP]);
    bench.rounds(4, &[0.0, 0.0]);
    assert_eq!(bench.letters(), "N*");
}

#[test]
fn a_source_that_is_bad_four_times_is_reported_and_may_be_replaced() {
    for (error, fast, letter, message) in [
        (
            10.0,
            0.0,
            "d",
            "Root distance of 10.0.0.1 (ntp0.test) exceeds maxdistance of 3.000 seconds",
        ),
        (
            0.01,
            5.0,
            "~",
            "Jitter of 10.0.0.1 (ntp0.test) exceeds maxjitter of 1.000 seconds",
        ),
    ] {
        // The distance stays small however the frequency is estimated.
        let config = SelectConfig {
            max_distance: if letter == "~" {
                Seconds(1e9)
            } else {
                Seconds(3.0)
            },
            ..defaults()
        };
        let mut bench = Bench::with(config, &[NTP]);
        for round in 0..6 {
            bench.wait(16.0);
            let sign = if round % 2 == 0 { 1.0 } else { -1.0 };
            bench.poll(0, sign * fast, error);
            let replace = bench.out.contains(&SelectAction::BadSource(SourceId(0)));
            // Two samples are too few to judge by.
            assert_eq!(replace, round >= 5, "{letter} {round}");
            let want: &[&str] = if round == 5 { &[message] } else { &[] };
            assert_eq!(bench.messages(), want, "{letter} {round}");
        }
        assert_eq!(bench.letters(), letter);
    }
}

#[test]
fn unsynchronised_sources_are_not_selectable() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(3, &[0.0]);
    let Bench { selector, cx, out } = &mut bench;
    selector.update_status(SourceId(0), 1, Leap::Unsynchronised, true, out);
    selector.select(cx, None, out);
    assert_eq!(bench.letters(), "*", "ignored near a leap second");
    let Bench { selector, cx, out } = &mut bench;
    selector.update_status(SourceId(0), 1, Leap::Unsynchronised, false, out);
    selector.select(cx, None, out);
    assert_eq!(bench.letters(), "s");
}

#[test]
fn the_leap_majority_is_announced_by_voters_only() {
    let mut bench = Bench::with(defaults(), &[NTP, NTP, NTP]);
    bench
        .selector
        .update_status(SourceId(0), 1, Leap::Insert, false, &mut bench.out);
    assert!(bench.out.is_empty(), "no vote yet");
    bench.rounds(4, &[0.0, 0.0, 0.0]);
    for (i, leap, want) in [
        (0, Leap::Insert, Leap::Normal),
        (1, Leap::Insert, Leap::Insert),
        (1, Leap::Delete, Leap::Normal),
        (2, Leap::Delete, Leap::Delete),
    ] {
        bench.out.clear();
        bench
            .selector
            .update_status(SourceId(i), 1, leap, false, &mut bench.out);
        assert_eq!(
            bench.out,
            [SelectAction::LeapMajority(want)],
            "{i} {leap:?}"
        );
    }
}

#[test]
fn a_sample_near_a_leap_second_is_dropped() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    let sample = Sample {
        time: bench.cx.now,
        ..Sample::default()
    };
    bench
        .selector
        .accumulate(SourceId(0), sample, true, &mut bench.out);
    assert_eq!(bench.messages(), ["Dropping sample around leap second"]);
    assert!(bench.selector.stats(SourceId(0)).unwrap().is_empty());
}

#[test]
fn an_out_of_order_sample_is_reported() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(2, &[0.0]);
    bench.poll(0, 0.0, 0.01);
    assert_eq!(
        bench.messages(),
        ["Out of order sample detected, discarding history for 10.0.0.1"]
    );
}

#[test]
fn an_orphan_is_followed_if_its_id_is_smaller_than_ours() {
    for (local_ref_id, want) in [(0x0A00_0000, "O"), (0x0A00_0009, "*"), (0, "O")] {
        let mut bench = Bench::with(defaults(), &[NTP]);
        bench.cx.orphan_stratum = 1;
        bench.selector.set_local_ref_id(SourceId(0), local_ref_id);
        bench.rounds(3, &[0.0]);
        assert_eq!(bench.letters(), want, "{local_ref_id:x}");
        let unknown = "Unknown local refid in orphan mode".to_string();
        assert_eq!(bench.messages().contains(&unknown), local_ref_id == 0);
    }
}

#[test]
fn special_modes_are_silent_and_give_up_when_hopeless() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.cx.normal_mode = false;
    for poll in 1..=7 {
        bench.wait(2.0);
        bench.miss(0);
        // Three samples cannot come any more when fewer than three of seven polls are left.
        let gave_up = bench.out.contains(&SelectAction::Unsynchronised);
        assert_eq!(gave_up, poll >= 5, "poll {poll}");
        assert!(bench.messages().is_empty());
    }
    let inactive = Probe {
        active: false,
        ..NTP
    };
    let mut bench = Bench::with(defaults(), &[NTP, inactive]);
    bench.cx.normal_mode = false;
    bench.rounds(3, &[0.0]);
    assert!(!bench.out.contains(&SelectAction::Unsynchronised));
    assert!(bench.messages().is_empty());
    assert_eq!(bench.letters(), "*M");
}

#[test]
fn all_sources_start_before_one_is_selected() {
    let mut bench = Bench::with(defaults(), &[NTP, NTP]);
    bench.rounds(2, &[0.0, 0.0]);
    bench.wait(16.0);
    bench.poll(0, 0.0, 0.01);
    assert_eq!(bench.letters(), "wM");
    bench.poll(1, 0.0, 0.01);
    assert_eq!(bench.letters(), "*+");
}

#[test]
fn reselect_starts_over_without_a_message() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(4, &[0.0]);
    bench.messages();
    let Bench { selector, cx, out } = &mut bench;
    selector.reselect(cx, out);
    // There is nothing new to follow.
    assert_eq!(bench.letters(), "U");
    assert!(bench.messages().is_empty());
    bench.rounds(1, &[0.0]);
    assert_eq!(bench.messages(), ["Selected source 10.0.0.1 (ntp0.test)"]);
}

#[test]
fn changes_of_options_and_distance_are_reported() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    let Bench { selector, out, .. } = &mut bench;
    let id = SourceId(0);
    selector.modify_options(id, options("PT"), options("T"), out);
    selector.modify_options(id, options("T"), options("T"), out);
    selector.set_reselect_distance(Seconds(0.5), out);
    selector.set_reselect_distance(Seconds(0.5), out);
    let report = selector.select_report(id).unwrap();
    assert_eq!(
        (report.configured, report.effective),
        (options("T"), options("T"))
    );
    assert_eq!(
        bench.messages(),
        [
            "Source 10.0.0.1 selection options modified",
            "New reselect distance 0.500000"
        ]
    );
}

#[test]
fn an_unknown_step_discards_samples_but_not_reachability() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    bench.rounds(3, &[0.0]);
    bench.messages();
    let Bench { selector, cx, out } = &mut bench;
    selector.unknown_step(cx, out);
    assert!(selector.is_reachable(SourceId(0)));
    assert_eq!(
        (bench.letters().as_str(), bench.selector.selected()),
        ("M", None)
    );
    assert_eq!(
        bench.messages(),
        ["Can't synchronise: no selectable sources (0 unreachable sources)"]
    );
}

#[test]
fn reset_sources_forgets_everything_but_options() {
    let mut bench = Bench::with(
        defaults(),
        &[
            Probe {
                options: "P",
                ..NTP
            },
            NTP,
        ],
    );
    bench.rounds(3, &[0.0, 0.0]);
    let Bench { selector, cx, out } = &mut bench;
    out.clear();
    selector.reset_all(cx, out);
    assert!(selector.ids().all(|id| !selector.is_reachable(id)));
    let report = selector.source_report(SourceId(0), cx.now).unwrap();
    assert_eq!((report.stratum, report.last_sample_ago_s), (0, None));
    assert_eq!(
        selector.select_report(SourceId(0)).unwrap().effective,
        options("P")
    );
    assert_eq!(selector.selected(), None);
    assert!(bench.messages().contains(&"Reset all sources".to_string()));
}

#[test]
fn removing_a_source_keeps_the_choice_of_another() {
    let mut bench = Bench::with(
        defaults(),
        &[
            NTP,
            Probe {
                options: "P",
                ..NTP
            },
            NTP,
        ],
    );
    bench.rounds(3, &[0.0, 0.0, 0.0]);
    assert_eq!(bench.selector.selected(), Some(SourceId(1)));
    let Bench { selector, cx, out } = &mut bench;
    selector.remove(SourceId(0), cx, out);
    assert_eq!(selector.selected(), Some(SourceId(1)));
    assert_eq!(bench.letters(), "*P");
}

#[test]
fn reports_show_ages_in_whole_seconds() {
    let mut bench = Bench::with(defaults(), &[NTP, REFCLOCK]);
    bench.wait(0.75);
    bench.poll(0, 1e-3, 0.01);
    bench.poll(1, 1e-3, 0.01);
    bench.wait(1.5);
    let now = bench.cx.now;
    // For NTP sources the beginning of the second counts: 2.25 s, not 1.5 s.
    for (id, want) in [(SourceId(0), 2), (SourceId(1), 1)] {
        let report = bench.selector.source_report(id, now).unwrap();
        assert_eq!(report.last_sample_ago_s, Some(want));
        assert!((report.offset.0 - 1e-3).abs() < 1e-12);
        assert!((report.error.0 - 0.01).abs() < 1e-12);
        assert_eq!(
            (report.stratum, report.state),
            (1, SourceState::NonSelectable)
        );
    }
}

#[test]
fn authentication_changes_options_as_the_mode_says() {
    let auth = Probe {
        authenticated: true,
        ..NTP
    };
    let noselect = Probe {
        options: "N",
        ..auth
    };
    // Refclocks, authenticated, unauthenticated.
    for (mode, probes, want) in [
        (
            AuthSelectMode::Ignore,
            &[REFCLOCK, auth, NTP, noselect][..],
            ["----", "----", "----", "N---"].as_slice(),
        ),
        (
            AuthSelectMode::Mix,
            &[REFCLOCK, auth, NTP, noselect],
            &["--TR", "--TR", "----", "N---"],
        ),
        (AuthSelectMode::Mix, &[REFCLOCK, auth], &["----", "----"]),
        (
            AuthSelectMode::Mix,
            &[REFCLOCK, NTP, noselect],
            &["----", "----", "N---"],
        ),
        (
            AuthSelectMode::Prefer,
            &[REFCLOCK, auth, NTP],
            &["----", "----", "N---"],
        ),
        (
            AuthSelectMode::Prefer,
            &[REFCLOCK, NTP, noselect],
            &["----", "----", "N---"],
        ),
        (
            AuthSelectMode::Require,
            &[REFCLOCK, auth, NTP],
            &["----", "----", "N---"],
        ),
        (AuthSelectMode::Require, &[REFCLOCK, NTP], &["----", "N---"]),
    ] {
        let config = SelectConfig {
            auth_mode: mode,
            ..SelectConfig::default()
        };
        let bench = Bench::with(config, probes);
        let got: Vec<String> = bench
            .selector
            .sources
            .iter()
            .map(|s| s.effective.to_string())
            .collect();
        assert_eq!(got, want, "{mode:?}");
    }
}

#[test]
fn effective_options_follow_the_sources_there_are() {
    let auth = Probe {
        authenticated: true,
        ..NTP
    };
    let mut bench = Bench::with(SelectConfig::default(), &[auth]);
    let effective = |bench: &Bench| bench.selector.select_report(SourceId(0)).unwrap().effective;
    assert_eq!(effective(&bench), SelectOptions::NONE);
    bench.add(1, &NTP);
    assert_eq!(effective(&bench), options("TR"));
    let Bench { selector, cx, out } = &mut bench;
    selector.remove(SourceId(1), cx, out);
    assert_eq!(effective(&bench), SelectOptions::NONE);
}

#[test]
fn far_and_old_sources_are_not_combined() {
    // 16 sources of growing distance; all but the first older by `age` than they are long, so
    // that the distance grows with maxclockerror.
    for i in 0..16 {
        let age = f64::from(i) * 1e-3 / defaults().max_clock_error.0;
        let mut bench = Bench::with(defaults(), &[NTP; 16]);
        let Bench { selector, cx, out } = &mut bench;
        for j in 0..16 {
            let id = SourceId(j);
            selector.update_reachability(id, true, cx, out);
            selector.update_status(id, 1, Leap::Normal, false, out);
            for k in 0..8 {
                let back = f64::from(7 - k) + if j > 0 { age } else { 0.0 };
                let delay = Seconds(2e-3 * f64::from(j + 1));
                let sample = Sample {
                    time: cx.now - Seconds(back),
                    offset: Seconds(f64::from(k % 2) * 1e-8),
                    peer_delay: delay,
                    peer_dispersion: Seconds(4e-3),
                    root_delay: delay,
                    root_dispersion: Seconds(4e-3),
                };
                selector.accumulate(id, sample, false, out);
            }
        }
        selector.select(cx, Some(SourceId(0)), out);
        let want: String = (0..16)
            .map(|j| match j {
                0 => '*',
                j if j < 11 - i => '+',
                _ => 'D',
            })
            .collect();
        assert_eq!(bench.letters(), want, "{i}");
    }
}

#[test]
fn the_selection_line_has_the_columns_of_its_header() {
    let record = SelectionRecord {
        time: Timestamp::from_parts(1_262_304_010, 0),
        source: "10.0.0.1".to_string(),
        status: Status::Selected,
        options: options("PR"),
        reach: 0o377,
        score: 1.0,
        last_ago: Seconds(16.125),
        lo: Seconds(-1.5e-3),
        hi: Seconds(2e-3),
    };
    assert_eq!(
        record.to_string(),
        "2010-01-01 00:00:10 10.0.0.1        * --P-R  377  1.00  1.612e+01 -1.500e-03  2.000e-03"
    );
    assert_eq!(
        SelectionRecord::HEADER,
        "   Date (UTC) Time     IP Address   S EOpts Reach Score Last sample  Low end   High end"
    );
}

#[test]
fn log_records_appear_only_if_wanted() {
    for wanted in [false, true] {
        let config = SelectConfig {
            log_statistics: wanted,
            log_selection: wanted,
            ..defaults()
        };
        let mut bench = Bench::with(config, &[NTP]);
        bench.rounds(3, &[0.0]);
        let count = |is: fn(&SelectAction) -> bool| bench.out.iter().filter(|a| is(a)).count();
        assert_eq!(
            count(|a| matches!(a, SelectAction::LogStatistics(_))),
            usize::from(wanted)
        );
        assert_eq!(
            count(|a| matches!(a, SelectAction::LogSelection(_))),
            3 * usize::from(wanted)
        );
    }
}

#[test]
fn letters_and_states_of_reports() {
    let table = [
        (Status::NoSelect, 'N', SourceState::NonSelectable),
        (Status::BadStats, 'M', SourceState::NonSelectable),
        (Status::Unsynchronised, 's', SourceState::NonSelectable),
        (Status::BadStratum, 'r', SourceState::NonSelectable),
        (Status::BadDistance, 'd', SourceState::NonSelectable),
        (Status::Jittery, '~', SourceState::Jittery),
        (Status::WaitsStats, 'w', SourceState::NonSelectable),
        (Status::Stale, 'S', SourceState::NonSelectable),
        (Status::Orphan, 'O', SourceState::NonSelectable),
        (Status::Untrusted, 'T', SourceState::NonSelectable),
        (Status::Falseticker, 'x', SourceState::Falseticker),
        (Status::WaitsSources, 'W', SourceState::Selectable),
        (Status::NonPreferred, 'P', SourceState::Selectable),
        (Status::WaitsUpdate, 'U', SourceState::Selectable),
        (Status::Distant, 'D', SourceState::Selectable),
        (Status::Outlier, 'L', SourceState::Selectable),
        (Status::Combined, '+', SourceState::Combined),
        (Status::Selected, '*', SourceState::Selected),
    ];
    assert!(table.is_sorted_by_key(|row| row.0), "worst first");
    for (status, letter, state) in table {
        assert_eq!((status.letter(), status.source_state()), (letter, state));
    }
}

#[test]
fn calls_for_an_unknown_source_do_nothing() {
    let mut bench = Bench::with(defaults(), &[NTP]);
    let gone = SourceId(9);
    let Bench { selector, cx, out } = &mut bench;
    selector.remove(gone, cx, out);
    selector.update_reachability(gone, false, cx, out);
    selector.accumulate(gone, Sample::default(), false, out);
    assert!(!selector.load_dump(gone, "", cx.now, 0, out));
    assert!(selector.dump(gone).is_none() && selector.source_report(gone, cx.now).is_none());
    assert!(out.is_empty());
}
