//! Temperature compensation (`tempcomp`, `discipline.md` 11.1).

use super::effect::{Cx, DisciplineEvent};
use super::model::LocalClock;
use super::scan::scan_f64;
use std::fmt;
use timewright_time::text::{Exp, Utc};
use timewright_time::{Cooked, MonoTime, Seconds, Timestamp};

/// Compensations beyond this are taken for a broken sensor, ppm.
const LIMIT_PPM: f64 = 10.0;
const DEFAULT_INTERVAL: Seconds = Seconds(1.0);

/// Compensation as a function of temperature.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// `k0 + (T - t0) k1 + (T - t0)² k2`, ppm.
    Quadratic {
        /// Reference temperature.
        t0: f64,
        /// ppm.
        k0: f64,
        /// ppm per degree.
        k1: f64,
        /// ppm per square degree.
        k2: f64,
    },
    /// Straight lines through (temperature, ppm), and beyond.
    Points(Vec<(f64, f64)>),
}

/// A points file that cannot be used; its name belongs at the end of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointsError {
    /// A line without two numbers, blank lines and comments included.
    #[error("Could not read tempcomp point from")]
    BadLine,
    /// Fewer than two lines.
    #[error("Not enough points in")]
    TooFew,
}

impl Curve {
    /// Reads a points file: `temperature compensation` per line. The order is taken as it is.
    ///
    /// # Errors
    /// See [`PointsError`].
    pub fn parse_points(text: &str) -> Result<Self, PointsError> {
        let mut points = Vec::new();
        for line in text.lines() {
            let (temperature, rest) = scan_f64(line).ok_or(PointsError::BadLine)?;
            let (ppm, _) = scan_f64(rest).ok_or(PointsError::BadLine)?;
            points.push((temperature, ppm));
        }
        if points.len() < 2 {
            return Err(PointsError::TooFew);
        }
        Ok(Self::Points(points))
    }

    /// Compensation at a temperature, ppm.
    #[must_use]
    pub fn compensation_ppm(&self, temperature: f64) -> f64 {
        match self {
            Self::Quadratic { t0, k0, k1, k2 } => {
                let d = temperature - t0;
                k0 + d * k1 + d * d * k2
            }
            Self::Points(points) => {
                let segments = points.windows(2);
                let mut found = None;
                for segment in segments {
                    if let [left, right] = segment {
                        found = Some((*left, *right));
                        if right.0 >= temperature {
                            break;
                        }
                    }
                }
                found.map_or(0.0, |((t1, c1), (t2, c2))| {
                    (temperature - t1) / (t2 - t1) * (c2 - c1) + c1
                })
            }
        }
    }
}

/// A line of `tempcomp.log`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempcompRecord {
    /// Cooked time of the reading.
    pub time: Timestamp<Cooked>,
    /// As the sensor gives it.
    pub temperature: f64,
    /// The compensation that took effect.
    pub compensation_ppm: f64,
}

impl TempcompRecord {
    /// Banner of `tempcomp.log`.
    pub const BANNER: &'static str = "   Date (UTC) Time        Temp.       Comp.";
}

impl fmt::Display for TempcompRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:>11} {:>11}",
            Utc::from_unix(self.time.sec()).log_stamp(),
            Exp(self.temperature, 4),
            Exp(self.compensation_ppm, 4)
        )
    }
}

/// Temperature compensation at work.
#[derive(Clone, Debug)]
pub struct Tempcomp {
    /// Path of the sensor, for messages only.
    sensor: String,
    interval: Seconds,
    curve: Curve,
    due: MonoTime,
}

impl Tempcomp {
    /// The first reading is due at once. An interval of zero or less means one second.
    #[must_use]
    pub fn new(sensor: String, interval: Seconds, curve: Curve, now: MonoTime) -> Self {
        let interval = if interval.0 > 0.0 {
            interval
        } else {
            DEFAULT_INTERVAL
        };
        Self {
            sensor,
            interval,
            curve,
            due: now,
        }
    }

    /// When the sensor wants to be read.
    #[must_use]
    pub const fn next_deadline(&self) -> MonoTime {
        self.due
    }

    /// Whether the sensor is to be read now; if so the next reading is scheduled.
    pub fn handle_deadline(&mut self, now: MonoTime) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + self.interval;
        true
    }

    /// Applies a reading; `content` is what the sensor's file held, `None` if it could not be
    /// read. After a bad reading the previous compensation stays.
    pub fn handle_reading(
        &mut self,
        content: Option<&str>,
        local: &mut LocalClock,
        cx: &mut Cx<'_>,
    ) -> Option<TempcompRecord> {
        let Some((temperature, _)) = content.and_then(scan_f64) else {
            cx.out.log(DisciplineEvent::TemperatureUnreadable {
                path: self.sensor.clone(),
            });
            return None;
        };
        let ppm = self.curve.compensation_ppm(temperature);
        // Written so that a NaN of a degenerate points file is refused too.
        if ppm.is_nan() || ppm.abs() > LIMIT_PPM {
            cx.out.log(DisciplineEvent::CompensationRefused { ppm });
            return None;
        }
        let compensation_ppm = local.set_temperature_compensation(ppm, cx);
        let time = local.cook(cx.now.raw).0;
        Some(TempcompRecord {
            time,
            temperature,
            compensation_ppm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[test]
    fn quadratic_and_points() {
        let quadratic = Curve::Quadratic {
            t0: 20.0,
            k0: 1.0,
            k1: 0.5,
            k2: 0.1,
        };
        assert!((quadratic.compensation_ppm(22.0) - 2.4).abs() < 1e-12);
        let points = Curve::parse_points("10 1.0\n20 2.0 extra\n30 4.0\n").unwrap();
        for (t, want) in [
            (0.0, 0.0),
            (10.0, 1.0),
            (15.0, 1.5),
            (20.0, 2.0),
            (25.0, 3.0),
            (40.0, 6.0),
        ] {
            assert!((points.compensation_ppm(t) - want).abs() < 1e-12, "{t}");
        }
    }

    #[test]
    fn bad_points_files() {
        for (text, want) in [
            ("", PointsError::TooFew),
            ("1 2\n", PointsError::TooFew),
            ("1 2\n\n3 4\n", PointsError::BadLine),
            ("# comment\n1 2\n3 4\n", PointsError::BadLine),
            ("1\n2 3\n", PointsError::BadLine),
        ] {
            assert_eq!(Curve::parse_points(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn reported_frequency_contains_the_compensation() {
        // discipline.md 11.1: +3 ppm on a clock that is 99.99 ppm fast.
        let (mut bench, mut local) = Bench::start(99.99);
        let curve = Curve::Quadratic {
            t0: 0.0,
            k0: 0.0,
            k1: 1.0,
            k2: 0.0,
        };
        let mut tempcomp = Tempcomp::new("/sensor".into(), Seconds(0.0), curve, bench.now().mono);
        assert!(tempcomp.handle_deadline(bench.now().mono));
        assert!(!tempcomp.handle_deadline(bench.now().mono));
        assert_eq!(tempcomp.next_deadline(), bench.now().mono + Seconds(1.0));

        let record = tempcomp
            .handle_reading(Some(" 3.0\n"), &mut local, &mut bench.cx())
            .unwrap();
        assert!(
            record.to_string().ends_with("  3.0000e+00  3.0000e+00"),
            "{record}"
        );
        // Only the sum of base frequency and compensation reaches the sources.
        assert!((local.absolute_frequency_ppm() - 99.99).abs() < 1e-6);

        assert!(
            tempcomp
                .handle_reading(Some("10.5"), &mut local, &mut bench.cx())
                .is_none()
        );
        assert!(
            tempcomp
                .handle_reading(None, &mut local, &mut bench.cx())
                .is_none()
        );
        assert_eq!(
            bench.messages(),
            [
                "Temperature compensation of 10.500 ppm exceeds sanity limit of 10.0",
                "Could not read temperature from /sensor"
            ]
        );
        assert!((local.temperature_compensation_ppm() - 3.0).abs() < 1e-6);
        // The limit itself is allowed.
        let at_limit = tempcomp.handle_reading(Some("10.0"), &mut local, &mut bench.cx());
        assert!(at_limit.is_some());
    }

    #[test]
    fn record_and_banner() {
        let record = TempcompRecord {
            time: Timestamp::from_parts(1_262_304_010, 0),
            temperature: 28.0,
            compensation_ppm: 0.366,
        };
        assert_eq!(
            record.to_string(),
            "2010-01-01 00:00:10  2.8000e+01  3.6600e-01"
        );
        assert_eq!(TempcompRecord::BANNER.len(), 43);
    }
}
