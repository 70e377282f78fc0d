//! Rules that hold for any sources.

use super::*;
use proptest::prelude::*;

const OPTIONS: [&str; 8] = ["", "", "N", "P", "T", "R", "TR", "PT"];

#[derive(Clone, Debug)]
struct RandomSource {
    refclock: bool,
    options: usize,
    leap: u8,
    stratum: u8,
    reachable: bool,
    samples: usize,
    fast: f64,
    error: f64,
}

prop_compose! {
    fn random_source()(
        refclock: bool, options in 0..OPTIONS.len(), leap in 0u8..6, stratum in 0u8..=16,
        reachable in prop::bool::weighted(0.9), samples in 0usize..9, fast in -1e-2..1e-2f64,
        error in 1e-4..2e-2f64
    ) -> RandomSource {
        RandomSource { refclock, options, leap, stratum, reachable, samples, fast, error }
    }
}

proptest! {
    #[test]
    fn every_source_ends_with_a_status_that_fits(
        sources in prop::collection::vec(random_source(), 1..12)
    ) {
        let probes: Vec<Probe> = sources.iter().map(|s| Probe {
            options: OPTIONS[s.options],
            ..if s.refclock { REFCLOCK } else { NTP }
        }).collect();
        let config = SelectConfig { auth_mode: AuthSelectMode::Ignore, ..SelectConfig::default() };
        let mut bench = Bench::with(config, &probes);
        for round in 0..9 {
            bench.wait(16.0);
            for (i, source) in (0..).zip(&sources) {
                let id = SourceId(i);
                let Bench { selector, cx, out } = &mut bench;
                selector.update_reachability(id, source.reachable, cx, out);
                let leap = if source.leap > 3 { Leap::Normal } else { Leap::from_bits(source.leap) };
                selector.update_status(id, source.stratum, leap, false, out);
                if round < source.samples {
                    let sample = Sample {
                        time: cx.now,
                        offset: Seconds(-source.fast),
                        peer_delay: Seconds(source.error),
                        peer_dispersion: Seconds(1e-7),
                        root_delay: Seconds(source.error),
                        root_dispersion: Seconds(source.error),
                    };
                    selector.accumulate(id, sample, false, out);
                }
                selector.select(cx, Some(id), out);
                check(&bench)?;
            }
        }
    }
}

fn check(bench: &Bench) -> Result<(), TestCaseError> {
    let sources = &bench.selector.sources;
    let passed = |s: &&Source| s.status >= Status::NonPreferred;
    let some_passed = sources.iter().any(|s| passed(&s));
    let trusted_exists = sources.iter().any(|s| s.effective.trust);
    let selected = sources.iter().filter(|s| s.status == Status::Selected);
    prop_assert!(selected.count() <= 1);
    for source in sources {
        prop_assert!(source.status != Status::Ok);
        prop_assert_eq!(source.effective.noselect, source.status == Status::NoSelect);
        prop_assert!(source.score.is_finite() && source.score > 0.0);
        if source.leap == Leap::Unsynchronised {
            prop_assert!(source.status <= Status::Unsynchronised);
        }
        prop_assert!(!(source.effective.prefer && source.status == Status::NonPreferred));
        prop_assert!(!source.leap_vote || passed(&source));
        if passed(&source) && !trusted_exists {
            prop_assert!(source.leap_vote);
        }
    }
    if some_passed && sources.iter().any(|s| s.effective.require) {
        prop_assert!(sources.iter().filter(passed).any(|s| s.effective.require));
    }
    // What passes without being trusted lies where a trusted source that passed does.
    let trusted: Vec<_> = sources
        .iter()
        .filter(passed)
        .filter(|s| s.effective.trust)
        .collect();
    if let (Some(lo), Some(hi)) = (
        trusted.iter().map(|s| s.seen.lo.0).reduce(f64::min),
        trusted.iter().map(|s| s.seen.hi.0).reduce(f64::max),
    ) {
        for source in sources.iter().filter(passed) {
            prop_assert!(source.seen.lo.0 >= lo && source.seen.hi.0 <= hi);
        }
    }
    for action in &bench.out {
        if let SelectAction::UpdateReference(update) = action {
            let numbers = [
                update.offset.0,
                update.offset_sd.0,
                update.freq.0,
                update.skew.0,
                update.freq_sd.0,
                update.root_delay.0,
                update.root_dispersion.0,
            ];
            prop_assert!(numbers.iter().all(|x| x.is_finite()), "{:?}", update);
            prop_assert!(update.combined >= 1 && update.combined <= sources.len());
        }
    }
    Ok(())
}
