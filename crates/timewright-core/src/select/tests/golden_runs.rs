//! Golden runs of the whole selection.

use crate::select::*;
use crate::stats::StatsConfig;
use crate::stats::golden::{Golden, assert_close};

const PRECISION: Seconds = Seconds(1e-7);

fn golden_setup(node: &Golden) -> SourceSetup {
    let kind = match node.text("type").as_str() {
        "ntp" => SourceKind::Ntp,
        _ => SourceKind::Refclock,
    };
    SourceSetup {
        kind,
        ref_id: node.int("ref_id"),
        name: SourceName::refclock("TEST"),
        authenticated: false,
        options: SelectOptions::from_bits(node.int("options")),
        max_unreachable: node.int("maxunreach"),
        stats: StatsConfig::new(6, node.int("maxsamples"), PRECISION)
            .with_path(Seconds::ZERO, node.float("asymmetry")),
    }
}

fn golden_sample(node: &Golden) -> Sample {
    Sample {
        time: node.time("time"),
        offset: Seconds(node.float("offset")),
        peer_delay: Seconds(node.float("peer_delay")),
        peer_dispersion: Seconds(node.float("peer_dispersion")),
        root_delay: Seconds(node.float("root_delay")),
        root_dispersion: Seconds(node.float("root_dispersion")),
    }
}

#[test]
fn golden_selections_are_reproduced() {
    for (c, case) in Golden::read("selection").cases().iter().enumerate() {
        let mut selector = Selector::new(SelectConfig {
            min_sources: case.count("minsources"),
            auth_mode: AuthSelectMode::Ignore,
            ..SelectConfig::default()
        });
        for (i, node) in case.children("sources").iter().enumerate() {
            let id = SourceId(u32::try_from(i).unwrap());
            assert!(selector.add(id, golden_setup(node)));
            selector.set_local_ref_id(id, case.int("local_refid"));
        }
        for (e, event) in case.children("events").iter().enumerate() {
            let cx = SelectContext {
                now: event.time("now"),
                normal_mode: true,
                orphan_stratum: case.int("orphan_stratum"),
            };
            for (d, step) in event.children("do").iter().enumerate() {
                run_step(
                    &mut selector,
                    step,
                    &cx,
                    &format!("case {c} event {e} do {d}"),
                );
            }
        }
    }
}

fn run_step(selector: &mut Selector, step: &Golden, cx: &SelectContext, at: &str) {
    let id = SourceId(step.int("src"));
    let reach = step.flag("reach");
    let mut out = Vec::new();
    selector.update_reachability(id, reach, cx, &mut out);
    if reach {
        let leap = Leap::from_bits(step.int("leap"));
        selector.update_status(id, step.int("stratum"), leap, false, &mut out);
        selector.accumulate(id, golden_sample(&step.child("sample")), false, &mut out);
        selector.select(cx, Some(id), &mut out);
    } else {
        selector.select(cx, None, &mut out);
    }
    let sources = &selector.sources;
    let letters: String = sources.iter().map(|s| s.status.letter()).collect();
    assert_eq!(letters, step.text("letters"), "{at}");
    for (i, source) in sources.iter().enumerate() {
        let at = format!("{at} source {i}");
        for (key, got) in [
            ("distant", source.distant),
            ("updates", source.updates),
            ("bad", source.bad),
            ("vote", u32::from(source.leap_vote)),
        ] {
            let want: u32 = step.child(key).element(i).as_int();
            assert_eq!(got, want, "{at} {key}");
        }
        assert_close(
            source.score,
            step.floats("score")[i],
            0.0,
            &format!("{at} score"),
        );
        if matches!(source.status, Status::NoSelect | Status::BadStats) {
            continue;
        }
        for (key, got) in [
            ("lo", source.seen.lo),
            ("hi", source.seen.hi),
            ("root_distance", source.seen.root_distance),
        ] {
            let want = step.child(key).element(i).as_float();
            assert_close(got.0, want, 1e-15, &format!("{at} {key}"));
        }
    }
    let unsynchronised = out.contains(&SelectAction::Unsynchronised);
    assert_eq!(unsynchronised, step.flag("unsync"), "{at}");
    let update = out.iter().rev().find_map(|action| match action {
        SelectAction::UpdateReference(update) => Some(update),
        _ => None,
    });
    assert_eq!(update.is_some(), step.has("ref"), "{at}");
    if let Some(update) = update {
        check_update(update, &step.child("ref"), at);
    }
}

#[track_caller]
fn check_update(got: &ReferenceUpdate, want: &Golden, at: &str) {
    assert_eq!(got.stratum, want.int::<u8>("stratum"), "{at}");
    assert_eq!(got.leap as u8, want.int::<u8>("leap"), "{at}");
    assert_eq!(got.combined, want.count("combined"), "{at}");
    assert_eq!(got.ref_id, want.int::<u32>("ref_id"), "{at}");
    assert_eq!(got.ref_time, want.time("ref_time"), "{at}");
    for (key, got) in [
        ("offset", got.offset.0),
        ("offset_sd", got.offset_sd.0),
        ("freq", got.freq.0),
        ("freq_sd", got.freq_sd.0),
        ("skew", got.skew.0),
        ("root_delay", got.root_delay.0),
        ("root_dispersion", got.root_dispersion.0),
    ] {
        assert_close(got, want.float(key), 1e-15, &format!("{at} ref {key}"));
    }
}
