//! The words of `clock`.

use super::quantity;
use super::words::{Key, Words};
use crate::oscillator::ClockModel;

/// The errors of an oscillator.
pub(super) const KEYS: &[Key<ClockModel>] = &[
    Key {
        name: "offset",
        value: "TIME",
        set: |model, words| {
            model.offset_s = words.value("offset", quantity::offset)?;
            Ok(())
        },
    },
    Key {
        name: "freq",
        value: "FREQUENCY",
        set: |model, words| {
            model.freq_ppm = words.value("freq", quantity::frequency)? * 1e6;
            Ok(())
        },
    },
    Key {
        name: "ageing",
        value: "FREQUENCY",
        set: |model, words| {
            model.ageing_ppm_per_day = words.value("ageing", quantity::frequency)? * 1e6;
            Ok(())
        },
    },
    Key {
        name: "wander",
        value: "FREQUENCY",
        set: |model, words| {
            model.wander = words.value("wander", quantity::wander)?;
            Ok(())
        },
    },
    Key {
        name: "sine",
        value: "FREQUENCY PERIOD",
        set: |model, words| {
            model.sine_ppm = words.value("sine", quantity::frequency)? * 1e6;
            model.sine_period_s = words.value("sine", quantity::positive_duration)?;
            Ok(())
        },
    },
    Key {
        name: "phase",
        value: "TURNS",
        set: |model, words| {
            model.sine_phase = words.value("phase", |word| quantity::within(word, 0.0, 1.0))?;
            Ok(())
        },
    },
];

pub(super) fn apply(model: &mut ClockModel, words: &mut Words<'_>) -> Result<(), String> {
    words.apply("clock", KEYS, model)
}
