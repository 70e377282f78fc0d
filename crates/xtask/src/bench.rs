//! `cargo xtask bench server`: processor time per reply, ours beside Debian's chronyd.
//!
//! Both daemons answer the same load in turn, each pinned to one processor, so that what disturbs
//! the machine meets both. What is compared is the ratio of neighbouring runs, not single figures.

/// The middle one of `values`, the mean of the two middle ones for an even count; `None` of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    match sorted.len() % 2 {
        0 => Some((sorted.get(middle - 1)? + upper) / 2.0),
        _ => Some(upper),
    }
}
