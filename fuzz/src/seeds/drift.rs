//! Drift files, points of the temperature compensation, and dump files.

use super::Seed;
use crate::drift::{NOW_S, SOURCE};

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, text: &str| {
        add(Seed {
            target: "drift",
            name: name.into(),
            bytes: text.into(),
        });
    };
    add("drift", "          100.328006             0.041240\n");
    add("drift-slow", "           -3.250000            12.000000\n");
    add("drift-exponents", "-1.5e-3 +.5E+2 more\n");
    add("drift-zero-skew", "5 0");
    add("drift-one-number", "5.\n");
    add("drift-no-number", "nan 1\n");
    add("drift-huge", "1e999 1e-999");
    add("drift-odd-numbers", "1e 2e+ . - +\x0b\x0c\t7");

    add("points", "20.0 -1.0\n21.5 0.5\n30 1e1\n");
    add("points-one", "20.0 1.0\n");
    add("points-comment", "# T ppm\n20 1\n21 2\n");
    add("points-equal", "20 1\n20 2\n");

    let samples = [1, 2, 3, 12].map(|count| dump("0 377 8 2 0", count));
    for (name, text) in ["one", "two", "three", "twelve"].into_iter().zip(&samples) {
        add(&format!("dump-{name}-samples"), text);
    }
    let [.., good] = &samples;
    add("dump-authenticated", &dump("1 177 7 1 1", 6));
    add("dump-leap-deleted", &dump("0 1 1 15 2", 6));
    add("dump-windows", &good.replace('\n', "\r\n"));
    for (name, from, to) in [
        ("first-line", "SRC0", "SRC1"),
        ("name", SOURCE, "ntp.example.net"),
        ("two-names", SOURCE, "a b"),
        ("octal", "377", "9"),
        ("stratum", "8 2 0", "8 16 0"),
        ("leap", "8 2 0", "8 2 3"),
        ("reach-size", "8 2 0", "-9 2 0"),
        ("flag", "0 377", "x 377"),
        ("missing-number", "0 377 8 2 0", "0 377"),
        ("count", "12 0\n", "65 0\n"),
        ("count-zero", "12 0\n", "0 0\n"),
        ("run", "12 0\n", "12\n"),
        ("order", "1799999960.5", "1799999800.5"),
        ("future", "1799999960.5", "1800000960.5"),
        ("not-a-number", "1799999960.5", "nan"),
        ("infinite", "1.0e-03", "inf"),
        ("wide", "1.0e-03", "2e6"),
        ("word", "1.0e-03", "wide"),
        ("missing-field", " 5.0e-04\n", "\n"),
    ] {
        assert!(good.contains(from), "{name}: {good}");
        add(&format!("dump-bad-{name}"), &good.replace(from, to));
    }
    let (cut, _) = good.split_at(good.len() - 60);
    add("dump-cut", cut);
}

/// A dump file as a daemon writes it, with a sample each ten seconds until shortly before now.
fn dump(state: &str, count: i32) -> String {
    let mut text = format!("SRC0\n{SOURCE}\n{state}\n{count} 0\n");
    for i in (1..=count).rev() {
        let time = NOW_S - 10 * i64::from(i);
        let offset = 1e-4 * f64::from(i % 3 - 1) + 1e-6 * f64::from(i);
        text += &format!(
            "{time}.500000000 {offset:.6e} {offset:.6e} 1.0e-03 1.0e-07 2.0e-02 5.0e-04\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_are_as_the_daemon_writes_them() {
        for count in [1, 3, 12] {
            let text = dump("0 377 8 2 0", count);
            let rewritten = crate::drift::rewritten(&text).expect("it loads");
            assert_eq!(
                rewritten.lines().take(4).collect::<Vec<_>>(),
                text.lines().take(4).collect::<Vec<_>>()
            );
            assert_eq!(rewritten.lines().count(), text.lines().count());
        }
    }
}
