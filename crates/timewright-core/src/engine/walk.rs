//! Walks the cases of the configuration table (`timewright-config/tests/data/table`) through an
//! engine: silent adjustments are what the engine works with, and no accepted text upsets it.

use super::testing::Bench;

#[path = "../../../timewright-config/tests/walk/cases.rs"]
#[expect(
    dead_code,
    reason = "what is refused matters to the parser's own test only"
)]
mod cases;

use cases::{Case, Want};

/// The value of an item that an engine with this configuration works with.
fn effective(item: &str, bench: &Bench) -> String {
    let off = |value: f64| {
        if value > 0.0 {
            value.to_string()
        } else {
            "off".to_owned()
        }
    };
    let engine = &bench.engine;
    let Some(option) = item.strip_prefix("server.") else {
        return match item {
            "clientloglimit" => engine.client_records().1.to_string(),
            "smoothtime" if engine.smoothing.is_some() => "active".to_owned(),
            "smoothtime" => "off".to_owned(),
            _ => panic!("{item}: nothing is adjusted"),
        };
    };
    let ids = engine.table.ids();
    if matches!(option, "ipv4" | "ipv6") {
        return (if ids.is_empty() { "not added" } else { "added" }).to_owned();
    }
    let config = &engine.table.get(ids[0]).unwrap().config;
    let stats = engine.selector.stats(ids[0]).unwrap().config();
    match option {
        "minpoll" => config.minpoll.to_string(),
        "maxpoll" => config.maxpoll.to_string(),
        "maxdelay" => config.maxdelay.to_string(),
        "maxdelayratio" => config.maxdelayratio.to_string(),
        "maxdelaydevratio" => config.maxdelaydevratio.to_string(),
        "maxdelayquant" => off(config.maxdelayquant),
        "mindelay" => off(stats.min_delay.0),
        "asymmetry" if stats.asymmetry.abs() > 0.5 => "automatic".to_owned(),
        "asymmetry" => stats.asymmetry.to_string(),
        "offset" => config.offset.0.to_string(),
        "minsamples" => stats.min_samples.to_string(),
        "maxsamples" => stats.max_samples.to_string(),
        "filter" => off(config.filter.into()),
        "minstratum" => config.minstratum.to_string(),
        "maxsources" => config.maxsources.to_string(),
        _ => panic!("{option}: nothing is adjusted"),
    }
}

fn bench(case: &Case) -> Bench {
    Bench::new(std::str::from_utf8(&case.main).expect("such cases are text"))
}

/// Reference clocks adjust their own options, which the parser's test looks at.
#[test]
fn adjusted_options_are_in_force() {
    let (_, cases) = cases::read();
    let (mut checked, mut faults) = (0, Vec::new());
    for case in cases
        .iter()
        .filter(|case| !case.item.starts_with("refclock."))
    {
        let Want::Effective(want) = &case.want else {
            continue;
        };
        let found = effective(&case.item, &bench(case));
        let same = match (found.parse::<f64>(), want.parse::<f64>()) {
            (Ok(found), Ok(want)) => found.total_cmp(&want).is_eq(),
            _ => found == *want,
        };
        checked += 1;
        if !same {
            faults.push(format!("{}\n    found: {found}", case.line));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 80, "only {checked} cases");
}

#[test]
fn accepted_configurations_run() {
    let (_, cases) = cases::read();
    let accepted = cases.iter().filter(|case| {
        let is_accepted = matches!(case.want, Want::Ok(_) | Want::Effective(_));
        is_accepted && case.others.is_empty() && !case.main.is_empty()
    });
    let mut checked = 0;
    for case in accepted {
        let mut bench = bench(case);
        for _ in 0..3 {
            if bench.engine.next_deadline().is_some() {
                bench.next_deadline();
            }
        }
        checked += 1;
    }
    assert!(checked > 1100, "only {checked} cases");
}
