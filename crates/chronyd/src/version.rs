//! What this build calls itself and what it can do (`daemon-and-files.md` 1.1).

/// The release of chrony this daemon is compatible with; scripts compare it.
pub(crate) const COMPATIBLE: &str = "4.8";

/// Our own version.
pub(crate) const OWN: &str = env!("CARGO_PKG_VERSION");

/// Feature words in the order of the original, and whether this build has them.
const FEATURES: [(&str, bool); 10] = [
    ("CMDMON", true),
    ("REFCLOCK", true),
    ("RTC", false),
    ("PRIVDROP", true),
    ("SCFILTER", false),
    ("SIGND", true),
    ("NTS", false),
    ("SECHASH", true),
    ("IPV6", true),
    ("DEBUG", false),
];

fn features() -> String {
    let words: Vec<String> = FEATURES
        .iter()
        .map(|(name, built)| format!("{}{name}", if *built { '+' } else { '-' }))
        .collect();
    words.join(" ")
}

/// The line of `--version`.
pub(crate) fn version_line() -> String {
    format!(
        "chronyd (timewright {OWN}) version {COMPATIBLE} ({})",
        features()
    )
}

/// The first line of the log.
pub(crate) fn start_line() -> String {
    format!("chronyd version {COMPATIBLE} starting ({})", features())
}

/// The second line of the log.
pub(crate) fn own_line() -> String {
    format!("This is chronyd of timewright {OWN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_line_has_its_three_parts() {
        let line = version_line();
        assert!(line.starts_with("chronyd (timewright "));
        assert!(line.contains(") version 4.8 (+CMDMON "));
        assert!(line.ends_with(" +IPV6 -DEBUG)"));
        assert!(start_line().starts_with("chronyd version 4.8 starting (+CMDMON "));
    }
}
