//! Plots as SVG: a clock over time, and figures over conditions.

mod lines;
mod scale;
mod svg;
mod time;

pub use lines::{LineChart, Series};
pub use time::{HostSeries, over_time};

/// A value in seconds on an axis.
fn seconds_label(value: f64) -> String {
    crate::units::seconds(value)
        .replace("us", "µs")
        .replace(".00", "")
        .replace(".0 ", " ")
}

/// A frequency error in s/s on an axis.
fn frequency_label(value: f64) -> String {
    let (factor, unit) = match value.abs() {
        v if v >= 0.9995e-6 => (1e6, "ppm"),
        v if v >= 0.9995e-9 => (1e9, "ppb"),
        _ => (1e12, "ppt"),
    };
    if value == 0.0 {
        return "0".to_owned();
    }
    format!("{} {unit}", round(value * factor))
}

/// Without noise from the scaling.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
