//! The figures of a scenario as text and as CSV.

use crate::figures::{FIGURES, Figures, median};
use crate::file::ScenarioFile;
use crate::units::{Unit, seconds, three_digits};
use crate::world::Observation;
use std::fmt::Write as _;

/// The figures of one run of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// One for each host that is [shown](ScenarioFile::shown), in that order.
    pub figures: Vec<Figures>,
}

/// The figures of every host over all runs: the value of the only run, or median and range.
#[must_use]
pub fn table(scenario: &ScenarioFile, runs: &[Run]) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if !scenario.title.is_empty() {
        let _ = writeln!(text, "{}", scenario.title);
    }
    let _ = writeln!(
        text,
        "{}; figures from {} on; {}",
        span(scenario.length_s),
        span(scenario.settle_s),
        seeds(runs)
    );
    for (index, host) in scenario.shown.iter().enumerate() {
        let figures: Vec<&Figures> = runs.iter().filter_map(|r| r.figures.get(index)).collect();
        let single = figures.len() == 1;
        let head = if single {
            format!("{:>12}", "")
        } else {
            format!("{:>12} {:>12} {:>12}", "median", "lowest", "highest")
        };
        let _ = writeln!(text, "\n{}", format!("{host:24}{head}").trim_end());
        for figure in FIGURES {
            let values: Vec<f64> = figures.iter().map(|f| (figure.get)(f)).collect();
            let least = values.iter().copied().min_by(f64::total_cmp);
            let most = values.iter().copied().max_by(f64::total_cmp);
            let show = |value: Option<f64>| figure.unit.text(value.unwrap_or(f64::NAN));
            let _ = write!(
                text,
                "  {:22}{:>12}",
                figure.name,
                show(Some(median(&values)))
            );
            if !single {
                let _ = write!(text, " {:>12} {:>12}", show(least), show(most));
            }
            text.push('\n');
        }
    }
    text
}

/// A length of simulated time: `6 h`.
pub(crate) fn span(length_s: f64) -> String {
    for (unit_s, unit) in [(86_400.0, "d"), (3600.0, "h"), (60.0, "min")] {
        let count = length_s / unit_s;
        if count >= 1.0 && (count * 100.0).fract() == 0.0 {
            return format!("{count} {unit}");
        }
    }
    if length_s >= 1.0 {
        format!("{} s", three_digits(length_s))
    } else {
        seconds(length_s)
    }
}

fn seeds(runs: &[Run]) -> String {
    match (runs.first(), runs.last()) {
        (Some(first), Some(last)) if runs.len() > 1 => {
            format!("seeds {} to {}", first.seed, last.seed)
        }
        (Some(only), _) => format!("seed {}", only.seed),
        _ => "no run".to_owned(),
    }
}

/// The figures of every run and host, one line each, in plain units.
#[must_use]
pub fn csv(scenario: &ScenarioFile, runs: &[Run]) -> String {
    let mut text = "seed,host".to_owned();
    for figure in FIGURES {
        let _ = write!(text, ",{}", figure.column);
    }
    text.push('\n');
    for run in runs {
        for (host, figures) in scenario.shown.iter().zip(&run.figures) {
            let _ = write!(text, "{},{}", run.seed, quoted(host));
            for figure in FIGURES {
                let value = (figure.get)(figures);
                let _ = match figure.unit {
                    _ if value.is_nan() => write!(text, ","),
                    Unit::Count => write!(text, ",{value:.0}"),
                    _ => write!(text, ",{value:.5e}"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// The observations of hosts in one run, one line each.
#[must_use]
pub fn series<'a>(hosts: impl IntoIterator<Item = (&'a str, &'a [Observation])>) -> String {
    let mut text = "time_s,host,offset_s,freq,root_distance_s,estimate_s\n".to_owned();
    for (host, observations) in hosts {
        let host = quoted(host);
        for o in observations {
            let bound = o.bound_s.map_or(String::new(), |b| format!("{b:.5e}"));
            let _ = writeln!(
                text,
                "{},{host},{:.5e},{:.5e},{bound},{:.5e}",
                o.at_s, o.offset_s, o.freq, o.estimate_s
            );
        }
    }
    text
}

/// A field of a CSV file (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_in_the_largest_unit_that_is_exact() {
        for (length_s, want) in [
            (86_400.0, "1 d"),
            (5400.0, "1.5 h"),
            (600.0, "10 min"),
            (100.0, "100 s"),
            (0.5, "500 ms"),
            (0.0, "0 ns"),
        ] {
            assert_eq!(span(length_s), want);
        }
    }

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(quoted("a"), "a");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
