//! Reading the golden data of the discipline (`tests/data/discipline`): values recorded from the
//! reference implementation's own routines on stored inputs.

use crate::rng::Rng;
use serde_json::Value;
use std::fmt;
use timewright_time::{Cooked, Timestamp};

/// A node of a golden file.
#[derive(Clone, Debug)]
pub(crate) struct Golden(Value);

impl Golden {
    /// The file of that name.
    #[track_caller]
    pub(crate) fn read(name: &str) -> Self {
        let path = format!(
            "{}/tests/data/discipline/{name}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        Self(serde_json::from_str(&text).unwrap())
    }

    /// The entries of `cases`; never empty.
    pub(crate) fn cases(&self) -> Vec<Self> {
        let cases = self.children("cases");
        assert!(!cases.is_empty());
        cases
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    #[track_caller]
    pub(crate) fn child(&self, key: &str) -> Self {
        Self(self.0.get(key).unwrap_or_else(|| panic!("{key}")).clone())
    }

    /// The elements of an array.
    #[track_caller]
    pub(crate) fn children(&self, key: &str) -> Vec<Self> {
        self.child(key).elements()
    }

    #[track_caller]
    pub(crate) fn elements(&self) -> Vec<Self> {
        self.0
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .map(Self)
            .collect()
    }

    #[track_caller]
    pub(crate) fn element(&self, at: usize) -> Self {
        Self(self.0.get(at).unwrap().clone())
    }

    #[track_caller]
    pub(crate) fn as_float(&self) -> f64 {
        self.0.as_f64().unwrap()
    }

    #[track_caller]
    pub(crate) fn as_int<T: TryFrom<i64>>(&self) -> T {
        let int = self.0.as_i64();
        int.and_then(|int| T::try_from(int).ok())
            .unwrap_or_else(|| panic!("{self} is no such integer"))
    }

    #[track_caller]
    pub(crate) fn as_floats(&self) -> Vec<f64> {
        self.elements().iter().map(Self::as_float).collect()
    }

    /// An array of numbers.
    #[track_caller]
    pub(crate) fn floats(&self, key: &str) -> Vec<f64> {
        self.child(key).as_floats()
    }

    #[track_caller]
    pub(crate) fn float(&self, key: &str) -> f64 {
        self.child(key)
            .0
            .as_f64()
            .unwrap_or_else(|| panic!("{key}"))
    }

    #[track_caller]
    pub(crate) fn int<T: TryFrom<i64>>(&self, key: &str) -> T {
        self.child(key).as_int()
    }

    #[track_caller]
    pub(crate) fn count(&self, key: &str) -> usize {
        self.int(key)
    }

    #[track_caller]
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.int::<i64>(key) != 0
    }

    #[track_caller]
    pub(crate) fn text(&self, key: &str) -> String {
        self.child(key).0.as_str().unwrap().to_string()
    }

    /// This `[sec, nsec]` pair.
    #[track_caller]
    pub(crate) fn as_time<D>(&self) -> Timestamp<D> {
        Timestamp::from_parts(self.element(0).as_int(), self.element(1).as_int())
    }

    /// A `[sec, nsec]` pair.
    #[track_caller]
    pub(crate) fn time(&self, key: &str) -> Timestamp<Cooked> {
        self.child(key).as_time()
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.get(..200).unwrap_or(&text))
    }
}

/// Replays the recorded draws of a case, of 31 bits, as the 32 bits the engine's generator gives.
pub(crate) struct Recorded(std::vec::IntoIter<f64>);

impl Recorded {
    #[track_caller]
    pub(crate) fn new(case: &Golden) -> Self {
        Self(case.floats("random31").into_iter())
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.len() == 0
    }
}

impl Rng for Recorded {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0..=u32::MAX"
    )]
    fn fill(&mut self, buf: &mut [u8]) {
        let draw = self.0.next().expect("one draw per estimator and value");
        let random = draw / f64::from(i32::MAX);
        let word = (random * f64::from(u32::MAX)).round() as u32;
        buf.copy_from_slice(&word.to_ne_bytes());
    }
}

/// Relative agreement to 1e-9, or absolute to `floor`.
#[track_caller]
pub(crate) fn assert_close(got: f64, want: f64, floor: f64, what: &str) {
    let limit = floor.max(1e-9 * want.abs());
    assert!(
        (got - want).abs() <= limit,
        "{what}: got {got:e}, want {want:e}"
    );
}
