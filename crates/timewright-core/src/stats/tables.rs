//! Tables of distributions (`discipline.md` 2.2 and 2.7).

/// Runs of residuals at or below which a fit of n residuals fails, index n: about the 5 % point
/// of the number of runs in the residuals of white noise.
#[rustfmt::skip]
const CRITICAL_RUNS: [u8; 130] = [
    0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 7,
    7, 7, 8, 8, 9, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 14, 14, 14, 15,
    15, 16, 16, 17, 17, 18, 18, 18, 19, 19, 20, 20, 21, 21, 21, 22, 22, 23, 23, 24,
    24, 25, 25, 26, 26, 26, 27, 27, 28, 28, 29, 29, 30, 30, 30, 31, 31, 32, 32, 33,
    33, 34, 34, 35, 35, 35, 36, 36, 37, 37, 38, 38, 39, 39, 40, 40, 40, 41, 41, 42,
    42, 43, 43, 44, 44, 45, 45, 46, 46, 46, 47, 47, 48, 48, 49, 49, 50, 50, 51, 51,
    52, 52, 52, 53, 53, 54, 54, 55, 55, 56,
];

/// Two-sided 99.9 % quantiles of Student's t distribution, index degrees of freedom - 1.
#[rustfmt::skip]
const STUDENT_T: [f32; 40] = [
    636.6, 31.6, 12.92, 8.61, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587,
    4.437, 4.318, 4.221, 4.14, 4.073, 4.015, 3.965, 3.922, 3.883, 3.85,
    3.819, 3.792, 3.768, 3.745, 3.725, 3.707, 3.69, 3.674, 3.659, 3.646,
    3.633, 3.622, 3.611, 3.601, 3.591, 3.582, 3.574, 3.566, 3.558, 3.551,
];

/// Student's t beyond the table.
const STUDENT_T_MANY: f64 = 3.5;

/// 90 % quantiles of the chi-square distribution, index degrees of freedom - 1.
#[rustfmt::skip]
const CHI_SQUARE: [f32; 64] = [
    2.706, 4.605, 6.251, 7.779, 9.236, 10.645, 12.017, 13.362, 14.684, 15.987,
    17.275, 18.549, 19.812, 21.064, 22.307, 23.542, 24.769, 25.989, 27.204, 28.412,
    29.615, 30.813, 32.007, 33.196, 34.382, 35.563, 36.741, 37.916, 39.087, 40.256,
    41.422, 42.585, 43.745, 44.903, 46.059, 47.212, 48.363, 49.513, 50.660, 51.805,
    52.949, 54.090, 55.230, 56.369, 57.505, 58.641, 59.774, 60.907, 62.038, 63.167,
    64.295, 65.422, 66.548, 67.673, 68.796, 69.919, 71.040, 72.160, 73.279, 74.397,
    75.514, 76.630, 77.745, 78.860,
];

/// Chi-square quantile per degree of freedom beyond the table.
const CHI_SQUARE_MANY: f64 = 1.2;

/// Most runs with which a fit of `residuals` residuals still fails; 0 for fewer than 8. Beyond
/// the table its last entry.
#[must_use]
pub fn critical_runs(residuals: usize) -> usize {
    let at = residuals.min(CRITICAL_RUNS.len() - 1);
    CRITICAL_RUNS.get(at).copied().map_or(0, usize::from)
}

/// Factor from a standard deviation to a 99.9 % two-sided confidence limit. `dof` 0 counts as 1.
#[must_use]
pub fn student_t(dof: usize) -> f64 {
    STUDENT_T
        .get(dof.max(1) - 1)
        .map_or(STUDENT_T_MANY, |&t| f64::from(t))
}

/// 90 % quantile of the chi-square distribution. `dof` 0 counts as 1.
#[must_use]
pub fn chi_square(dof: usize) -> f64 {
    let dof = dof.max(1);
    CHI_SQUARE
        .get(dof - 1)
        .map_or(CHI_SQUARE_MANY * dof as f64, |&x| f64::from(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::golden::{Golden, assert_close};

    #[test]
    fn tables_equal_the_golden_ones() {
        let golden = Golden::read("tables");
        for (n, want) in golden.floats("critical_runs").into_iter().enumerate() {
            assert_close(critical_runs(n) as f64, want, 0.0, "runs");
        }
        for (i, want) in golden.floats("t_coef_dof1").into_iter().enumerate() {
            assert_eq!(student_t(i + 1).to_bits(), want.to_bits(), "t {i}");
        }
        for (i, want) in golden.floats("chi2_coef_dof1").into_iter().enumerate() {
            assert_close(chi_square(i + 1), want, 0.0, "chi");
        }
        assert_eq!(critical_runs(1000), 56);
    }
}
