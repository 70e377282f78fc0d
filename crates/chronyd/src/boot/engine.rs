//! What the engine is told once: options and the content of files.

use crate::args::{Mode, Options};
use crate::files::read_regular;
use crate::runtime::Runtime;
use std::io;
use std::path::Path;
use timewright_config::{Config, TempCurve};
use timewright_core::discipline::tempcomp::Curve;
use timewright_core::engine::{Boot, Purpose};
use timewright_sys::net::Family;
use timewright_time::Seconds;

/// More than any drift or points file.
const SIZE_MAX: u64 = 1 << 20;

/// What the engine is told besides the configuration. Files that cannot be read are left out;
/// whether that is worth a message is for the engine to say.
pub(crate) fn engine_values(runtime: &Runtime, options: &Options, config: &Config) -> Boot {
    // Bytes that are no text are for the engine to complain about, like any other nonsense.
    let text = |path: &Path| match read_regular(path, SIZE_MAX) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // It can be opened; that there is nothing to read in it is nonsense as well.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Some(String::new()),
        Err(_) => None,
    };
    let points = config
        .clock
        .temp_comp
        .as_ref()
        .and_then(|comp| match &comp.curve {
            TempCurve::Points(path) => text(path),
            TempCurve::Quadratic { .. } => None,
        });
    let zone = config
        .leap
        .timezone
        .as_ref()
        .and_then(|name| zone_file(name));
    Boot {
        purpose: match options.mode {
            Mode::Normal => Purpose::Daemon,
            Mode::SetOnce => Purpose::SetOnce,
            Mode::PrintOnce => Purpose::PrintOnce,
        },
        control_clock: !options.no_clock_control,
        era_s: timewright_defaults::NTP_ERA_S,
        ipv4: options.family != Some(Family::V6),
        ipv6: options.family != Some(Family::V4),
        drift_file: runtime.paths.drift_file.as_deref().and_then(text),
        leap_list: runtime.read_leap_list(),
        leap_zone: zone,
        tempcomp_points: points,
        drivers: crate::refclock::DRIVERS.to_vec(),
        fragments: runtime.read_source_dirs(),
        run_time: (options.timeout_s >= 0).then(|| Seconds(f64::from(options.timeout_s))),
        ..Boot::default()
    }
}

/// Finds out whether the points file of `tempcomp` can be used; without it the daemon does not
/// run.
///
/// # Errors
/// The fatal message.
pub(crate) fn check_points(config: &Config) -> Result<(), String> {
    let Some(TempCurve::Points(path)) = config.clock.temp_comp.as_ref().map(|comp| &comp.curve)
    else {
        return Ok(());
    };
    let shown = path.display();
    let bytes = read_regular(path, SIZE_MAX).map_err(|error| {
        let reason = timewright_sys::error_text(&error);
        format!("Could not open {shown} : {reason}")
    })?;
    Curve::parse_points(&String::from_utf8_lossy(&bytes))
        .map(drop)
        .map_err(|error| format!("{error} {shown}"))
}

/// The compiled zone `name` below the system's zone directory. Names that lead out of it are
/// refused.
fn zone_file(name: &str) -> Option<Vec<u8>> {
    if name.split('/').any(|part| part == ".." || part.is_empty()) {
        return None;
    }
    std::fs::read(Path::new("/usr/share/zoneinfo").join(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;

    #[test]
    fn a_points_file_has_to_be_usable() {
        let scratch = Scratch::new();
        let path = scratch.path("points");
        let text = format!("tempcomp /sensor 1 {}\n", path.display());
        let files = timewright_config::MemoryFiles::new().with("/conf", text.as_bytes());
        let parsed = timewright_config::parse_file("/conf", &files, Default::default()).unwrap();
        let shown = path.display();
        for (points, want) in [
            (
                None,
                format!("Could not open {shown} : No such file or directory"),
            ),
            (Some("1 2\n"), format!("Not enough points in {shown}")),
            (
                Some("1 2\n3 x\n"),
                format!("Could not read tempcomp point from {shown}"),
            ),
        ] {
            if let Some(points) = points {
                std::fs::write(&path, points).unwrap();
            }
            assert_eq!(check_points(&parsed.config), Err(want));
        }
        std::fs::write(&path, "1 2\n2 3\n").unwrap();
        assert_eq!(check_points(&parsed.config), Ok(()));
    }

    #[test]
    fn zone_names_stay_in_their_directory() {
        assert!(zone_file("../../../etc/passwd").is_none());
        assert!(zone_file("/etc/passwd").is_none());
        assert!(zone_file("").is_none());
    }
}
