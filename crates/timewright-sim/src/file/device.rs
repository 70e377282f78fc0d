//! The words of `device`.

use super::quantity;
use super::words::{Key, Words, unknown};
use crate::device::{DeviceModel, TimeScale};

/// What a reference clock shows, and how well it can be read.
pub(super) const KEYS: &[Key<DeviceModel>] = &[
    Key {
        name: "offset",
        value: "TIME",
        set: |model, words| {
            model.bias_s = words.value("offset", quantity::offset)?;
            Ok(())
        },
    },
    Key {
        name: "noise",
        value: "TIME",
        set: |model, words| {
            model.noise_s = words.value("noise", quantity::duration)?;
            Ok(())
        },
    },
    Key {
        name: "missing",
        value: "PROBABILITY",
        set: |model, words| {
            model.missing = words.value("missing", quantity::probability)?;
            Ok(())
        },
    },
    Key {
        name: "scale",
        value: "utc|steady",
        set: |model, words| {
            model.scale = words.value("scale", |word| match word {
                "utc" => Ok(TimeScale::Utc),
                "steady" => Ok(TimeScale::Steady),
                other => Err(unknown(other, "scale", ["utc", "steady"])),
            })?;
            Ok(())
        },
    },
    Key {
        name: "reading",
        value: "TIME",
        set: |model, words| {
            model.read_s = words.value("reading", quantity::duration)?;
            Ok(())
        },
    },
];

/// The drivers of the `refclock` directive that the simulator has.
const DRIVERS: [&str; 5] = ["SHM", "SOCK", "PPS", "PHC", "RTC"];

/// Reads the name, driver and parameter as in the `refclock` directive, and the model.
pub(super) fn read(words: &mut Words<'_>) -> Result<(String, DeviceModel), String> {
    let driver = words.need("the driver")?;
    if !DRIVERS.contains(&driver) {
        return Err(unknown(driver, "device", DRIVERS));
    }
    let parameter = words.need("the parameter of the driver")?;
    // Options that follow it after colons are the driver's.
    let name = format!(
        "{driver} {}",
        parameter.split(':').next().unwrap_or_default()
    );
    let mut model = DeviceModel::default();
    words.apply("device", KEYS, &mut model)?;
    Ok((name, model))
}
