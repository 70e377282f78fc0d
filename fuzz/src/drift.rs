//! The small state files: drift file, points of the temperature compensation, and dump files.

use timewright_core::discipline::tempcomp::Curve;
use timewright_core::ids::SourceId;
use timewright_core::reference::Drift;
use timewright_core::select::{
    SelectConfig, SelectContext, SelectOptions, Selector, SourceKind, SourceName, SourceSetup,
    dump_file_name,
};
use timewright_core::stats::StatsConfig;
use timewright_time::{Cooked, Seconds, Timestamp};

/// The time it is when dump files are read; their seeds end shortly before.
pub(crate) const NOW_S: i64 = 1_800_000_000;
/// First second of the NTP era in use.
pub(crate) const ERA_S: i64 = 1_000_000_000;
/// Name of the source whose dump file is read.
pub(crate) const SOURCE: &str = "ntp.example.org";

const NTP: SourceId = SourceId(1);
const REFCLOCK: SourceId = SourceId(2);
const AUTHENTICATED: SourceId = SourceId(3);

/// Reads `data` as every one of these files.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    drift(&text);
    points(&text);
    for id in [NTP, REFCLOCK, AUTHENTICATED] {
        dump(&text, id);
    }
}

fn drift(text: &str) {
    let Some(drift) = Drift::parse(text) else {
        return;
    };
    assert!(drift.frequency_ppm.is_finite() && drift.skew.0 > 0.0);
    let again = Drift::parse(&drift.to_text());
    assert!(again.is_some_and(|again| {
        let error = (again.frequency_ppm - drift.frequency_ppm).abs();
        error <= 1e-6 + drift.frequency_ppm.abs() * 1e-15
    }));
}

fn points(text: &str) {
    match Curve::parse_points(text) {
        Ok(curve) => {
            for temperature in [-300.0, 0.0, 25.5, 1e9, f64::INFINITY, f64::NAN] {
                let _ = curve.compensation_ppm(temperature);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A table of one source of every kind.
pub(crate) fn selector() -> Selector {
    let mut selector = Selector::new(SelectConfig {
        log_statistics: true,
        ..SelectConfig::default()
    });
    let setup = SourceSetup {
        kind: SourceKind::Ntp,
        ref_id: 0xc000_0201,
        name: SourceName::ntp("192.0.2.1", SOURCE),
        authenticated: false,
        options: SelectOptions::default(),
        max_unreachable: 100_000,
        stats: StatsConfig::new(6, 64, Seconds(1e-7)),
    };
    let refclock = SourceSetup {
        kind: SourceKind::Refclock,
        name: SourceName::refclock("PPS0"),
        ..setup.clone()
    };
    let authenticated = SourceSetup {
        authenticated: true,
        ..setup.clone()
    };
    for (id, setup) in [
        (NTP, setup),
        (REFCLOCK, refclock),
        (AUTHENTICATED, authenticated),
    ] {
        assert!(selector.add(id, setup));
    }
    selector
}

fn dump(text: &str, id: SourceId) {
    let now: Timestamp<Cooked> = Timestamp::from_parts(NOW_S, 0);
    let mut selector = selector();
    let mut out = Vec::new();
    let unknown = selector.load_dump(SourceId(9), text, now, ERA_S, &mut out);
    assert!(!unknown && out.is_empty());
    let loaded = selector.load_dump(id, text, now, ERA_S, &mut out);
    assert!(!out.is_empty(), "it is said what became of it");
    assert_eq!(
        selector.stats(id).is_some_and(|stats| !stats.is_empty()),
        loaded
    );
    assert_eq!(selector.dump(id).is_some(), loaded);

    let cx = SelectContext {
        now,
        normal_mode: true,
        orphan_stratum: 16,
    };
    selector.set_active(id, true);
    selector.loaded_dumps(&cx, &mut out);
    for id in selector.ids() {
        let _ = selector.source_report(id, now);
        let _ = selector.stats_report(id, now);
        let _ = selector.select_report(id);
    }
    let address = (id != REFCLOCK).then_some(std::net::Ipv4Addr::LOCALHOST.into());
    assert!(dump_file_name(address, 7).ends_with(".dat"));
}

/// The text written for what `text` loads, to make seeds of.
#[cfg(test)]
pub(crate) fn rewritten(text: &str) -> Option<String> {
    let now: Timestamp<Cooked> = Timestamp::from_parts(NOW_S, 0);
    let mut selector = selector();
    selector.load_dump(NTP, text, now, ERA_S, &mut Vec::new());
    selector.dump(NTP)
}
