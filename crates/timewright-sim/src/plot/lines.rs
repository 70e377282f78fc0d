//! Figures over conditions: lines with both axes logarithmic.

use super::scale::Scale;
use super::seconds_label;
use super::svg::{Anchor, Svg};
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;
const LEGEND_STEP: f64 = 19.0;

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its colour in CSS.
    pub colour: &'static str,
    /// Whether it is dashed.
    pub dashed: bool,
    /// Its points; those that are not positive are left out.
    pub points: Vec<(f64, f64)>,
}

/// A chart with both axes in seconds.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// What is over the chart.
    pub title: String,
    /// The horizontal axis.
    pub x_name: &'static str,
    /// The vertical axis.
    pub y_name: &'static str,
    /// The lines.
    pub series: Vec<Series>,
}

impl LineChart {
    /// The chart as SVG.
    #[must_use]
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let x_scale = Scale::log(points().map(|p| p.0));
        let y_scale = Scale::log(points().map(|p| p.1));
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let x = |value: f64| LEFT + width * x_scale.position(value);
        let y = |value: f64| TOP + height * (1.0 - y_scale.position(value));

        let mut svg = Svg::new(WIDTH, HEIGHT);
        svg.text(LEFT, 24.0, Anchor::Start, "title", &self.title);
        for (value, labelled) in y_scale.ticks(height) {
            svg.line((LEFT, y(value)), (LEFT + width, y(value)), "grid");
            if labelled {
                let text = seconds_label(value);
                svg.text(LEFT - 6.0, y(value) + 4.0, Anchor::End, "tick", &text);
            }
        }
        for (value, _) in x_scale.ticks(width) {
            svg.line((x(value), TOP), (x(value), TOP + height), "grid");
            let text = seconds_label(value);
            let below = TOP + height + 16.0;
            svg.text(x(value), below, Anchor::Middle, "tick", &text);
        }
        svg.rect(LEFT, TOP, width, height, "frame");
        let middle = LEFT + width / 2.0;
        svg.text(middle, HEIGHT - 14.0, Anchor::Middle, "name", self.x_name);
        svg.upright(14.0, TOP + height / 2.0, self.y_name);

        let mut legend_y = TOP + 10.0;
        for series in &self.series {
            let dash = if series.dashed {
                ";stroke-dasharray:6 4"
            } else {
                ""
            };
            let style = format!("stroke:{}{dash}", series.colour);
            let mut d = String::new();
            let drawn = series.points.iter().filter(|p| p.0 > 0.0 && p.1 > 0.0);
            for &(px, py) in drawn.clone() {
                let command = if d.is_empty() { 'M' } else { 'L' };
                // Writing to a String cannot fail.
                let _ = write!(d, "{command}{:.1} {:.1}", x(px), y(py));
            }
            svg.path(&d, "series", &style);
            if !series.dashed {
                for &(px, py) in drawn {
                    let fill = format!("fill:{}", series.colour);
                    svg.circle(x(px), y(py), 2.8, &fill);
                }
            }
            let legend_x = LEFT + width + 12.0;
            let sample = format!("M{legend_x:.1} {legend_y:.1}h26");
            svg.path(&sample, "series", &style);
            let text_x = legend_x + 32.0;
            svg.text(text_x, legend_y + 4.0, Anchor::Start, "name", &series.name);
            legend_y += LEGEND_STEP;
        }
        svg.finish()
    }
}
