//! A clock over time: offset with the claimed bound, and frequency error.
//!
//! Every pixel column shows the smallest and the largest value in it, so that nothing is lost and
//! the size of the picture does not grow with the length of the run.

use super::scale::{Scale, time_ticks};
use super::svg::{Anchor, Svg};
use super::{frequency_label, seconds_label};
use crate::world::Observation;
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 98.0;
const RIGHT: f64 = 18.0;
const TITLE_HEIGHT: f64 = 34.0;
const HOST_HEIGHT: f64 = 26.0;
const OFFSET_HEIGHT: f64 = 240.0;
const FREQ_HEIGHT: f64 = 150.0;
const GAP: f64 = 14.0;
const AXIS_HEIGHT: f64 = 44.0;
/// Pixel columns of a panel, as many as it is wide.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small whole number"
)]
const COLUMNS: usize = (WIDTH - LEFT - RIGHT) as usize;

/// What is drawn of one host.
#[derive(Clone, Copy, Debug)]
pub struct HostSeries<'a> {
    /// Its name.
    pub host: &'a str,
    /// Its clock.
    pub observations: &'a [Observation],
}

/// Draws hosts one below the other: the system clock's offset from UTC on a scale that is
/// logarithmic to both sides, in front of the bound that the daemon claimed, and its frequency
/// error, cut off at three times its largest value after settling. A dashed line is where figures
/// begin to count.
#[must_use]
pub fn over_time(title: &str, length_s: f64, settle_s: f64, hosts: &[HostSeries<'_>]) -> String {
    let each = HOST_HEIGHT + OFFSET_HEIGHT + GAP + FREQ_HEIGHT + AXIS_HEIGHT;
    let count = hosts.iter().fold(0.0, |n, _| n + 1.0);
    let mut svg = Svg::new(WIDTH, TITLE_HEIGHT + each * count);
    svg.text(LEFT, 22.0, Anchor::Start, "title", title);
    let mut top = TITLE_HEIGHT;
    for series in hosts {
        let time = TimeAxis { length_s, settle_s };
        host(&mut svg, top, time, series);
        top += each;
    }
    svg.finish()
}

#[derive(Clone, Copy)]
struct TimeAxis {
    length_s: f64,
    settle_s: f64,
}

impl TimeAxis {
    fn x(self, at_s: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * at_s / self.length_s
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column of the panel"
    )]
    fn column(self, at_s: f64) -> usize {
        let column = at_s / self.length_s * COLUMNS as f64;
        (column.max(0.0) as usize).min(COLUMNS - 1)
    }
}

/// A rectangle with a value axis.
#[derive(Clone, Copy)]
struct Panel {
    top: f64,
    height: f64,
    scale: Scale,
}

impl Panel {
    fn y(self, value: f64) -> f64 {
        self.top + self.height * (1.0 - self.scale.position(value))
    }

    fn grid(self, svg: &mut Svg, time: TimeAxis, label: fn(f64) -> String) {
        for (value, labelled) in self.scale.ticks(self.height) {
            let y = self.y(value);
            let class = if value == 0.0 { "zero" } else { "grid" };
            svg.line((LEFT, y), (WIDTH - RIGHT, y), class);
            if labelled {
                let text = if value == 0.0 {
                    "0".to_owned()
                } else {
                    label(value)
                };
                svg.text(LEFT - 6.0, y + 4.0, Anchor::End, "tick", &text);
            }
        }
        let (unit_s, _, ticks) = time_ticks(time.length_s);
        for tick in ticks {
            let x = time.x(tick * unit_s);
            svg.line((x, self.top), (x, self.top + self.height), "grid");
        }
    }

    fn frame(self, svg: &mut Svg, time: TimeAxis) {
        if time.settle_s > 0.0 {
            let x = time.x(time.settle_s);
            svg.line((x, self.top), (x, self.top + self.height), "mark");
        }
        let width = WIDTH - LEFT - RIGHT;
        svg.rect(LEFT, self.top, width, self.height, "frame");
    }
}

fn host(svg: &mut Svg, top: f64, time: TimeAxis, series: &HostSeries<'_>) {
    let observations = series.observations;
    svg.text(LEFT, top + 16.0, Anchor::Start, "host", series.host);
    svg.text(
        WIDTH - RIGHT,
        top + 16.0,
        Anchor::End,
        "note",
        "line: offset of the system clock; area: root distance claimed by the daemon",
    );

    let offsets = observations.iter().map(|o| o.offset_s);
    let bounds: Vec<f64> = observations.iter().filter_map(|o| o.bound_s).collect();
    let (typical, largest) = sizes(offsets.clone());
    let (typical_bound, _) = sizes(bounds.iter().copied());
    let panel = Panel {
        top: top + HOST_HEIGHT,
        height: OFFSET_HEIGHT,
        scale: Scale::symmetric(typical, largest.max(typical_bound * 2.0)),
    };
    svg.upright(14.0, panel.top + panel.height / 2.0, "offset");
    let bound = columns(time, observations, |o| o.bound_s);
    area(svg, panel, &bound);
    panel.grid(svg, time, seconds_label);
    let offset = columns(time, observations, |o| Some(o.offset_s));
    curve(svg, panel, &offset, "offset");
    panel.frame(svg, time);

    // The first slew is so large that it would press everything else together.
    let settled = observations.iter().filter(|o| o.at_s >= time.settle_s);
    let (typical, largest) = sizes(settled.map(|o| o.freq));
    let panel = Panel {
        top: panel.top + panel.height + GAP,
        height: FREQ_HEIGHT,
        scale: Scale::symmetric(typical, largest * 3.0),
    };
    svg.upright(14.0, panel.top + panel.height / 2.0, "frequency error");
    panel.grid(svg, time, frequency_label);
    let freq = columns(time, observations, |o| Some(o.freq));
    curve(svg, panel, &freq, "freq");
    panel.frame(svg, time);

    let (unit_s, unit, ticks) = time_ticks(time.length_s);
    let bottom = panel.top + panel.height;
    for tick in ticks {
        let text = format!("{}", super::round(tick));
        let x = time.x(tick * unit_s);
        svg.text(x, bottom + 16.0, Anchor::Middle, "tick", &text);
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    let name = format!("time since the start, {unit}");
    svg.text(middle, bottom + 34.0, Anchor::Middle, "name", &name);
}

/// Median and largest of the magnitudes; 0 if there are none.
fn sizes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sizes: Vec<f64> = values.map(f64::abs).filter(|v| v.is_finite()).collect();
    sizes.sort_by(f64::total_cmp);
    let at = |index: usize| sizes.get(index).copied().unwrap_or(0.0);
    (at(sizes.len() / 2), at(sizes.len().saturating_sub(1)))
}

/// Smallest and largest value in every pixel column that has one.
type Column = Option<(f64, f64)>;

fn columns(
    time: TimeAxis,
    observations: &[Observation],
    value: impl Fn(&Observation) -> Option<f64>,
) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![None; COLUMNS];
    for o in observations {
        let Some(v) = value(o).filter(|v| v.is_finite()) else {
            continue;
        };
        if let Some(column) = columns.get_mut(time.column(o.at_s)) {
            let (min, max) = column.unwrap_or((v, v));
            *column = Some((min.min(v), max.max(v)));
        }
    }
    // Runs with fewer observations than columns have empty columns between neighbours.
    if observations.len() < COLUMNS {
        fill(&mut columns);
    }
    columns
}

/// Continues values into empty columns up to the last value.
fn fill(columns: &mut [Column]) {
    let end = columns.iter().rposition(Option::is_some).unwrap_or(0);
    let mut last = None;
    for column in columns.iter_mut().take(end) {
        match column {
            Some(_) => last = *column,
            None => *column = last,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a column of the panel")]
fn column_x(index: usize) -> f64 {
    LEFT + index as f64 + 0.5
}

/// A line through all columns, with vertical strokes where values differ within one.
fn curve(svg: &mut Svg, panel: Panel, columns: &[Column], class: &str) {
    let mut d = String::new();
    let mut pen_down = false;
    let mut last_y = f64::NAN;
    for (index, column) in columns.iter().enumerate() {
        let Some((min, max)) = column else {
            pen_down = false;
            continue;
        };
        let (low, high) = (panel.y(*min), panel.y(*max));
        let x = column_x(index);
        // Begin at the end that is nearer to where the pen is.
        let (first, second) = if (last_y - low).abs() <= (last_y - high).abs() {
            (low, high)
        } else {
            (high, low)
        };
        let command = if pen_down { 'L' } else { 'M' };
        // Writing to a String cannot fail.
        let _ = write!(d, "{command}{x:.1} {first:.1}");
        if (first - second).abs() >= 0.1 {
            let _ = write!(d, "V{second:.1}");
        } else if !pen_down {
            d.push_str("h1");
        }
        last_y = second;
        pen_down = true;
    }
    svg.path(&d, class, "");
}

/// The area between the largest value in a column and its negative.
fn area(svg: &mut Svg, panel: Panel, columns: &[Column]) {
    let mut d = String::new();
    let mut run: Vec<(f64, f64)> = Vec::new();
    for (index, column) in columns.iter().chain([&None]).enumerate() {
        if let Some((_, max)) = column {
            run.push((column_x(index), *max));
            continue;
        }
        let upper = run.iter().map(|&(x, v)| (x, panel.y(v)));
        let lower = run.iter().rev().map(|&(x, v)| (x, panel.y(-v)));
        for (i, (x, y)) in upper.chain(lower).enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let _ = write!(d, "{command}{x:.1} {y:.1}");
        }
        if !run.is_empty() {
            d.push('Z');
        }
        run.clear();
    }
    svg.path(&d, "bound", "");
}
