//! Regression primitives: the arithmetic under the source statistics.
//!
//! Pure functions over slices of `f64` (`discipline.md` 2.1 to 2.6). Weights act as variances: a
//! large one marks an unreliable point. Sums run over ascending indices in the stated order, so
//! that results agree with the reference to the last bits. No function returns a NaN for finite
//! points; where no line can be fitted the answer is `None`.

use super::tables::critical_runs;

/// Residuals looked at by the runs test, as a multiple of the points fitted.
pub const RUNS_RATIO: usize = 2;

/// Fewest points a line is fitted to.
pub const MIN_POINTS: usize = 3;

/// Largest half width of the slope interval searched by [`robust`].
const ROBUST_SLOPE_LIMIT: f64 = 100.0;

/// A determinant of [`second_slope`] smaller than its terms by this factor is taken for zero.
const STABILITY_FACTOR: f64 = 1e10;

/// A weighted least-squares line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearFit {
    /// Value at x = 0.
    pub intercept: f64,
    /// Change of y per unit of x.
    pub slope: f64,
    /// Variance of the points about the line, for a point of average weight.
    pub variance: f64,
    /// Standard deviation of the intercept.
    pub intercept_sd: f64,
    /// Standard deviation of the slope.
    pub slope_sd: f64,
}

/// The line through as many of the newest points as one line describes well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestFit {
    /// The line.
    pub line: LinearFit,
    /// How many of the oldest weighted points were left out.
    pub start: usize,
    /// Runs of residuals among the points fitted.
    pub runs: usize,
    /// Degrees of freedom of the fit.
    pub dof: usize,
}

/// A line that outliers cannot pull.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RobustFit {
    /// Value at x = 0.
    pub intercept: f64,
    /// Change of y per unit of x.
    pub slope: f64,
    /// Runs of residuals of the last test made; 0 if none was.
    pub runs: usize,
    /// How many of the oldest points were left out.
    pub start: usize,
}

/// The line itself and the sums its uncertainties need.
struct Line {
    intercept: f64,
    slope: f64,
    /// Sum of 1/w.
    weight: f64,
    /// Weighted mean of x.
    mean_x: f64,
    /// Weighted sum of squared distances from it.
    spread: f64,
}

impl Line {
    fn through(x: &[f64], y: &[f64], w: &[f64]) -> Option<Self> {
        let mut weight = 0.0;
        let mut sum_x = 0.0;
        for (x, w) in x.iter().zip(w) {
            sum_x += x / w;
            weight += 1.0 / w;
        }
        let mean_x = sum_x / weight;
        let (mut p, mut q, mut spread) = (0.0, 0.0, 0.0);
        for ((x, y), w) in x.iter().zip(y).zip(w) {
            let from_mean = x - mean_x;
            p += y / w;
            q += y * from_mean / w;
            spread += from_mean * from_mean / w;
        }
        let slope = q / spread;
        let intercept = p / weight - slope * mean_x;
        // All x equal, or numbers beyond what a float holds: there is no such line.
        (slope.is_finite() && intercept.is_finite() && spread.is_finite()).then_some(Self {
            intercept,
            slope,
            weight,
            mean_x,
            spread,
        })
    }

    fn residual(&self, x: f64, y: f64) -> f64 {
        (y - self.intercept) - self.slope * x
    }

    fn with_uncertainty(&self, x: &[f64], y: &[f64], w: &[f64]) -> Option<LinearFit> {
        let n = w.len();
        let mut ss = 0.0;
        for ((&x, &y), &w) in x.iter().zip(y).zip(w) {
            let r = self.residual(x, y);
            ss += r * r / w;
        }
        ss /= n.checked_sub(2)? as f64;
        let slope_sd = (ss / self.spread).sqrt();
        let of_mean = self.mean_x * slope_sd;
        let fit = LinearFit {
            intercept: self.intercept,
            slope: self.slope,
            variance: ss * n as f64 / self.weight,
            intercept_sd: (ss / self.weight + of_mean * of_mean).sqrt(),
            slope_sd,
        };
        (fit.variance.is_finite() && fit.intercept_sd.is_finite() && slope_sd.is_finite())
            .then_some(fit)
    }
}

/// Weighted linear regression (`discipline.md` 2.1).
///
/// `None` for fewer than three points, slices of unequal length, equal x, or overflow.
#[must_use]
pub fn weighted(x: &[f64], y: &[f64], w: &[f64]) -> Option<LinearFit> {
    if w.len() < MIN_POINTS || x.len() != w.len() || y.len() != w.len() {
        return None;
    }
    Line::through(x, y, w)?.with_uncertainty(x, y, w)
}

/// Number of runs of residuals of equal sign (`discipline.md` 2.2). A zero is a run of its own.
#[must_use]
pub fn runs(residuals: &[f64]) -> usize {
    let later = residuals.iter().skip(1);
    // Signs of residuals are hard to foresee, for processors too: no branches.
    let goes_on = |(a, b): (&f64, &f64)| (*a < 0.0) & (*b < 0.0) | (*a > 0.0) & (*b > 0.0);
    let unbroken: usize = residuals
        .iter()
        .zip(later)
        .map(|pair| usize::from(goes_on(pair)))
        .sum();
    residuals.len().max(1) - unbroken
}

/// Weighted regression over the newest points whose residuals look random
/// (`discipline.md` 2.3).
///
/// `x` and `y` hold some extra older points, used in the runs test only, followed by the points
/// that belong to `w`. Points are left out from the oldest on until the runs test passes, or
/// `min_samples` or three are left. `None` for fewer than three weighted points, or where no line
/// can be fitted.
#[must_use]
pub fn best(x: &[f64], y: &[f64], w: &[f64], min_samples: usize) -> Option<BestFit> {
    let (total, n) = (x.len(), w.len());
    let extra = total.checked_sub(n)?;
    if n < MIN_POINTS || y.len() != total {
        return None;
    }
    let mut start = 0;
    loop {
        let fitted = n - start;
        let (fx, fy) = (x.get(extra + start..)?, y.get(extra + start..)?);
        let fw = w.get(start..)?;
        let line = Line::through(fx, fy, fw)?;

        let tested_from = total.saturating_sub(RUNS_RATIO * fitted);
        let residuals: Vec<f64> = x
            .iter()
            .zip(y)
            .skip(tested_from)
            .map(|(&x, &y)| line.residual(x, y))
            .collect();
        if runs(&residuals) > critical_runs(residuals.len())
            || fitted <= MIN_POINTS
            || fitted <= min_samples
        {
            return Some(BestFit {
                line: line.with_uncertainty(fx, fy, fw)?,
                start,
                runs: runs(residuals.get(extra + start - tested_from..)?),
                dof: fitted - 2,
            });
        }
        start += 1;
    }
}

/// The median (`discipline.md` 2.4); `None` of nothing. NaNs sort outside of all numbers.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut parted = values.to_vec();
    let middle = parted.len() / 2;
    let (below, &mut upper, _) = parted.select_nth_unstable_by(middle, f64::total_cmp);
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(0.5 * (upper + lower))
}

/// Least-absolute-deviation regression with a runs test (`discipline.md` 2.5).
///
/// `tol` (positive) is the precision wanted of the slope. `None` for fewer than two points, for
/// equal x, or if no slope within the search limit balances the residuals.
#[must_use]
pub fn robust(x: &[f64], y: &[f64], tol: f64) -> Option<RobustFit> {
    let n = x.len();
    if y.len() != n {
        return None;
    }
    if let ([x0, x1], [y0, y1]) = (x, y) {
        let slope = (y1 - y0) / (x1 - x0);
        let intercept = y0 - slope * x0;
        return (slope.is_finite() && intercept.is_finite()).then_some(RobustFit {
            intercept,
            slope,
            runs: 0,
            start: 0,
        });
    }
    if n < MIN_POINTS {
        return None;
    }
    let mut last_runs = 0;
    let mut start = 0;
    loop {
        let (kx, ky) = (x.get(start..)?, y.get(start..)?);
        let (intercept, slope) = balanced_line(kx, ky, tol)?;
        if kx.len() > MIN_POINTS {
            let residuals: Vec<f64> = kx
                .iter()
                .zip(ky)
                .map(|(x, y)| (y - intercept) - slope * x)
                .collect();
            last_runs = runs(&residuals);
            if last_runs <= critical_runs(residuals.len()) {
                start += 1;
                continue;
            }
        }
        return Some(RobustFit {
            intercept,
            slope,
            runs: last_runs,
            start,
        });
    }
}

/// For a slope: the median intercept, and the sum of x signed by the residuals, which is
/// monotonic in the slope and changes sign at the best one.
fn balance(x: &[f64], y: &[f64], slope: f64) -> Option<(f64, f64)> {
    let intercepts: Vec<f64> = x.iter().zip(y).map(|(x, y)| y - slope * x).collect();
    let intercept = median(&intercepts)?;
    let mut sum = 0.0;
    for (x, y) in x.iter().zip(y) {
        let residual = (y - intercept) - slope * x;
        if residual > 0.0 {
            sum += x;
        } else if residual < 0.0 {
            sum -= x;
        }
    }
    Some((intercept, sum))
}

/// Steps 1 to 5 of the robust regression: (intercept, slope) of the line that balances the
/// residuals, found by bisection from the least-squares slope outwards.
fn balanced_line(x: &[f64], y: &[f64], tol: f64) -> Option<(f64, f64)> {
    let k = x.len() as f64;
    let mean_x = x.iter().sum::<f64>() / k;
    let mean_y = y.iter().sum::<f64>() / k;
    let (mut spread, mut product) = (0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        product += (y - mean_y) * (x - mean_x);
        spread += (x - mean_x) * (x - mean_x);
    }
    let slope = product / spread;
    let intercept = mean_y - slope * mean_x;
    let mut ss = 0.0;
    for (x, y) in x.iter().zip(y) {
        let residual = (y - intercept) - slope * x;
        ss += residual * residual;
    }
    let slope_sd = (ss * k / spread).sqrt();
    if !slope.is_finite() || !slope_sd.is_finite() {
        return None;
    }

    let mut width = slope_sd.max(tol);
    // A width of zero would never grow to the limit.
    if width <= 0.0 || width.is_nan() {
        return None;
    }
    let (mut low_balance, mut high_balance) = (0.0, 0.0);
    let mut last_intercept = intercept;
    loop {
        width *= 2.0;
        if width > ROBUST_SLOPE_LIMIT {
            return None;
        }
        low_balance = balance(x, y, slope - width).map_or(low_balance, |(_, sum)| sum);
        (last_intercept, high_balance) =
            balance(x, y, slope + width).unwrap_or((last_intercept, high_balance));
        if low_balance * high_balance < 0.0 {
            break;
        }
    }

    let (mut low, mut high) = (slope - width, slope + width);
    loop {
        let middle = 0.5 * (low + high);
        if !(low < middle && middle < high) {
            return Some((last_intercept, middle));
        }
        let sum;
        (last_intercept, sum) = balance(x, y, middle)?;
        if sum * low_balance > 0.0 {
            (low, low_balance) = (middle, sum);
        } else if sum * high_balance > 0.0 {
            (high, high_balance) = (middle, sum);
        } else {
            // Exactly balanced (or a product that underflowed, which would not end).
            return Some((last_intercept, middle));
        }
        if high - low <= tol {
            return Some((last_intercept, middle));
        }
    }
}

/// Slope of y with respect to `x2` in a regression on two variables (`discipline.md` 2.6).
///
/// `None` for fewer than four points or if the system has no stable solution.
#[must_use]
pub fn second_slope(x1: &[f64], x2: &[f64], y: &[f64]) -> Option<f64> {
    if y.len() < 4 || x1.len() != y.len() || x2.len() != y.len() {
        return None;
    }
    let n = y.len() as f64;
    let (mut s1, mut s2, mut sy) = (0.0, 0.0, 0.0);
    let (mut s11, mut s12, mut s22, mut s1y, mut s2y) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for ((x1, x2), y) in x1.iter().zip(x2).zip(y) {
        s1 += x1;
        s2 += x2;
        sy += y;
        s11 += x1 * x1;
        s12 += x1 * x2;
        s22 += x2 * x2;
        s1y += x1 * y;
        s2y += x2 * y;
    }
    let u =
        n * (s12 * s1y - s11 * s2y) + s1 * s1 * s2y - s1 * s2 * s1y + sy * (s2 * s11 - s1 * s12);
    let v1 = n * (s12 * s12 - s11 * s22);
    let v2 = s1 * s1 * s22 + s2 * s2 * s11;
    let v3 = -2.0 * s1 * s2 * s12;
    let v = v1 + v2 + v3;
    if v.abs() * STABILITY_FACTOR <= -v1 + v2 + v3.abs() {
        return None;
    }
    let slope = u / v;
    slope.is_finite().then_some(slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{Golden, assert_close};
    use proptest::prelude::*;

    #[test]
    fn weighted_reproduces_the_golden_cases() {
        let golden = Golden::read("regress_weighted");
        for case in golden.cases() {
            let fit = weighted(&case.floats("x"), &case.floats("y"), &case.floats("w")).unwrap();
            check_line(&case, &fit);
        }
    }

    #[test]
    fn best_reproduces_the_golden_cases() {
        let golden = Golden::read("regress_best");
        for case in golden.cases() {
            let n = case.count("n");
            let w = &case.floats("w")[..n];
            let fit = best(
                &case.floats("x"),
                &case.floats("y"),
                w,
                case.count("min_samples"),
            );
            assert_eq!(fit.is_some(), case.flag("ok"), "{case}");
            if let Some(fit) = fit {
                check_line(&case, &fit.line);
                assert_eq!(
                    (fit.start, fit.runs, fit.dof),
                    (case.count("start"), case.count("runs"), case.count("dof")),
                    "{case}"
                );
            }
        }
    }

    #[track_caller]
    fn check_line(case: &Golden, fit: &LinearFit) {
        assert_close(fit.intercept, case.float("b0"), 0.0, &format!("b0 {case}"));
        assert_close(fit.slope, case.float("b1"), 0.0, &format!("b1 {case}"));
        assert_close(fit.variance, case.float("s2"), 0.0, &format!("s2 {case}"));
        assert_close(fit.intercept_sd, case.float("sb0"), 0.0, "sb0");
        assert_close(fit.slope_sd, case.float("sb1"), 0.0, "sb1");
    }

    #[test]
    fn robust_reproduces_the_golden_cases() {
        let golden = Golden::read("regress_robust");
        for case in golden.cases() {
            let tol = case.float("tol");
            let fit = robust(&case.floats("x"), &case.floats("y"), tol);
            assert_eq!(fit.is_some(), case.flag("ok"), "{case}");
            if let Some(fit) = fit {
                assert_close(fit.slope, case.float("b1"), 2.0 * tol, "b1");
                assert_close(fit.intercept, case.float("b0"), 2.0 * tol, "b0");
                assert_eq!(
                    (fit.runs, fit.start),
                    (case.count("runs"), case.count("start")),
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn second_slope_reproduces_the_golden_cases() {
        let golden = Golden::read("regress_multiple");
        for case in golden.cases() {
            let slope = second_slope(&case.floats("x1"), &case.floats("x2"), &case.floats("y"));
            assert_eq!(slope.is_some(), case.flag("ok"), "{case}");
            if let Some(slope) = slope {
                assert_close(slope, case.float("b2"), 0.0, "b2");
            }
        }
    }

    #[test]
    fn median_reproduces_the_golden_cases() {
        let golden = Golden::read("regress_median");
        for case in golden.cases() {
            assert_close(
                median(&case.floats("x")).unwrap(),
                case.float("median"),
                0.0,
                "median",
            );
        }
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_zero_residual_is_a_run_of_its_own() {
        assert_eq!(runs(&[1.0, -1.0, 0.0, -2.0, -3.0]), 4);
    }

    #[test]
    fn no_line_goes_through_equal_x() {
        let (x, y, w) = ([1.0; 4], [1.0, 2.0, 3.0, 4.0], [1.0; 4]);
        assert_eq!(weighted(&x, &y, &w), None);
        assert_eq!(best(&x, &y, &w, 3), None);
        assert_eq!(robust(&x, &y, 1e-9), None);
        assert_eq!(robust(&x[..2], &y[..2], 1e-9), None);
    }

    /// Points of any size, times increasing or not.
    fn points(max: usize) -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
        let value = prop_oneof![-1e9..1e9, -1e-9..1e-9, Just(0.0)];
        prop::collection::vec((value.clone(), value, 1e-9..1e9), 0..max)
    }

    proptest! {
        #[test]
        fn any_points_give_finite_numbers(
            points in points(64), extra in 0usize..64, min in 0usize..70, tol in 1e-12..1e-3
        ) {
            let x: Vec<f64> = points.iter().map(|p| p.0).collect();
            let y: Vec<f64> = points.iter().map(|p| p.1).collect();
            let w: Vec<f64> = points.iter().map(|p| p.2).collect();
            let weights = &w[extra.min(w.len())..];
            if let Some(fit) = best(&x, &y, weights, min) {
                prop_assert!(fit.line.slope.is_finite() && fit.line.intercept.is_finite());
                prop_assert!(fit.line.slope_sd.is_finite() && fit.line.intercept_sd.is_finite());
                prop_assert!(fit.start + fit.dof + 2 == weights.len());
                prop_assert!(fit.dof + 2 >= min.min(weights.len()));
            }
            if let Some(fit) = robust(&x, &y, tol) {
                prop_assert!(fit.slope.is_finite() && fit.intercept.is_finite());
            }
            if let Some(slope) = second_slope(&x, &w, &y) {
                prop_assert!(slope.is_finite());
            }
        }

        #[test]
        fn a_common_factor_of_the_weights_changes_nothing_but_rounding(
            y in prop::collection::vec(-1.0..1.0f64, 3..40), factor in 1e-3..1e3
        ) {
            let x: Vec<f64> = (0..y.len()).map(|i| i as f64 - y.len() as f64).collect();
            let w: Vec<f64> = (0..y.len()).map(|i| 1.0 + (i % 3) as f64).collect();
            let scaled: Vec<f64> = w.iter().map(|w| w * factor).collect();
            let a = weighted(&x, &y, &w).unwrap();
            let b = weighted(&x, &y, &scaled).unwrap();
            for (a, b) in [(a.slope, b.slope), (a.intercept, b.intercept), (a.slope_sd, b.slope_sd)] {
                prop_assert!((a - b).abs() <= 1e-9, "{a} {b}");
            }
        }

        #[test]
        fn shifting_all_values_shifts_the_intercept_only(
            y in prop::collection::vec(-1.0..1.0f64, 3..40), by in -10.0..10.0f64
        ) {
            let x: Vec<f64> = (0..y.len()).map(|i| i as f64 - y.len() as f64).collect();
            let w = vec![1.0; y.len()];
            let shifted: Vec<f64> = y.iter().map(|y| y + by).collect();
            let a = weighted(&x, &y, &w).unwrap();
            let b = weighted(&x, &shifted, &w).unwrap();
            prop_assert!((a.slope - b.slope).abs() < 1e-9);
            prop_assert!((a.intercept + by - b.intercept).abs() < 1e-9);
            prop_assert!((a.variance - b.variance).abs() < 1e-9);
        }

        #[test]
        fn robust_ignores_a_minority_of_outliers(slope in -1e-4..1e-4f64, at in 0usize..20) {
            let x: Vec<f64> = (0..20).map(|i| f64::from(i) - 19.0).collect();
            let mut y: Vec<f64> = x.iter().enumerate()
                .map(|(i, x)| slope * x + if i % 2 == 0 { 1e-7 } else { -1e-7 }).collect();
            y[at] += 1.0;
            let fit = robust(&x, &y, 1e-8).unwrap();
            prop_assert!((fit.slope - slope).abs() < 1e-6, "{} {slope}", fit.slope);
        }
    }
}
