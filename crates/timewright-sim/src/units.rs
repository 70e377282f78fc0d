//! Figures with units as people read them.

/// How a figure is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A clock error in seconds: `12.3 us`.
    Error,
    /// A time in seconds: `125 s`; infinity is `never`.
    Time,
    /// A frequency error in s/s: `4.56 ppb`.
    Frequency,
    /// A share from 0 to 1: `99.98 %`.
    Share,
    /// A number of things.
    Count,
}

impl Unit {
    /// The figure as text; what is no number is `-`.
    #[must_use]
    pub fn text(self, value: f64) -> String {
        if value.is_nan() {
            return "-".to_owned();
        }
        match self {
            Self::Error => seconds(value),
            Self::Time if value.is_infinite() => "never".to_owned(),
            Self::Time => format!("{} s", three_digits(value)),
            Self::Frequency => {
                let (factor, unit) = if value.abs() < 1e-6 {
                    (1e9, "ppb")
                } else {
                    (1e6, "ppm")
                };
                format!("{} {unit}", three_digits(value * factor))
            }
            Self::Share if value > 0.9999 && value < 1.0 => "99.99 %".to_owned(),
            Self::Share => format!("{:.2} %", value * 100.0),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// Seconds with a unit such that the number is from 1 to 999: `12.3 us`.
#[must_use]
pub fn seconds(value: f64) -> String {
    let size = value.abs();
    let (factor, unit) = match size {
        _ if size >= 0.9995 => (1.0, "s"),
        _ if size >= 0.9995e-3 => (1e3, "ms"),
        _ if size >= 0.9995e-6 => (1e6, "us"),
        _ => (1e9, "ns"),
    };
    format!("{} {unit}", three_digits(value * factor))
}

/// A number with three significant digits, or all digits in front of the point.
#[must_use]
pub fn three_digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size == 0.0 || size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.09995 => 3,
        _ if size >= 0.009_995 => 4,
        _ => 5,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (unit, value, want) in [
            (Unit::Error, 1.234_56e-5, "12.3 us"),
            (Unit::Error, -0.25, "-250 ms"),
            (Unit::Error, 0.999_96e-3, "1.00 ms"),
            (Unit::Error, 3.2, "3.20 s"),
            (Unit::Error, 0.0, "0 ns"),
            (Unit::Error, 4.2e-11, "0.0420 ns"),
            (Unit::Time, 125.4, "125 s"),
            (Unit::Time, 40_000.0, "40000 s"),
            (Unit::Time, f64::INFINITY, "never"),
            (Unit::Frequency, 2e-9, "2.00 ppb"),
            (Unit::Frequency, -1e-4, "-100 ppm"),
            (Unit::Share, 1.0, "100.00 %"),
            (Unit::Share, 0.999_999, "99.99 %"),
            (Unit::Share, 0.5, "50.00 %"),
            (Unit::Count, 17.0, "17"),
            (Unit::Count, f64::NAN, "-"),
        ] {
            assert_eq!(unit.text(value), want);
        }
    }
}
