//! The table of build options and the rules for their values. Compiled into the build script, which
//! applies them, and into the tests of the crate.

/// A build option.
pub(crate) struct BuildOption {
    /// The environment variable.
    pub(crate) variable: &'static str,
    /// The constant of the crate.
    pub(crate) constant: &'static str,
    /// Its default; `{run}` stands for the run directory.
    pub(crate) default: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An absolute path.
    Path,
    /// An absolute path that a Unix socket can have.
    SocketPath,
    /// An absolute path or nothing.
    OptionalPath,
    /// The name of a user.
    User,
}

const fn row(
    variable: &'static str,
    constant: &'static str,
    default: &'static str,
    kind: Kind,
) -> BuildOption {
    BuildOption {
        variable,
        constant,
        default,
        kind,
    }
}

/// All options but the era, which has two variables.
pub(crate) const OPTIONS: [BuildOption; 10] = [
    row(
        "TIMEWRIGHT_CONFIG_FILE",
        "CONFIG_FILE",
        "/etc/chrony.conf",
        Kind::Path,
    ),
    row("TIMEWRIGHT_USER", "USER", "root", Kind::User),
    row(
        "TIMEWRIGHT_CHRONYC_USER",
        "CHRONYC_USER",
        "root",
        Kind::User,
    ),
    row(RUN_DIR, "RUN_DIR", "/var/run/chrony", Kind::Path),
    row(
        "TIMEWRIGHT_STATE_DIR",
        "STATE_DIR",
        "/var/lib/chrony",
        Kind::Path,
    ),
    row(
        "TIMEWRIGHT_PID_FILE",
        "PID_FILE",
        "{run}/chronyd.pid",
        Kind::Path,
    ),
    row(
        "TIMEWRIGHT_COMMAND_SOCKET",
        "COMMAND_SOCKET",
        "{run}/chronyd.sock",
        Kind::SocketPath,
    ),
    row(
        "TIMEWRIGHT_RTC_DEVICE",
        "RTC_DEVICE",
        "/dev/rtc",
        Kind::Path,
    ),
    row(
        "TIMEWRIGHT_HWCLOCK_FILE",
        "HWCLOCK_FILE",
        "",
        Kind::OptionalPath,
    ),
    row(
        "TIMEWRIGHT_SENDMAIL",
        "SENDMAIL",
        "/usr/lib/sendmail",
        Kind::Path,
    ),
];

/// The directory that two other defaults are in.
const RUN_DIR: &str = "TIMEWRIGHT_RUN_DIR";
/// The first Unix second of the assumed NTP era.
pub(crate) const NTP_ERA: &str = "TIMEWRIGHT_NTP_ERA";
/// The time of the build for reproducible builds (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub(crate) const BUILD_TIME: &str = "SOURCE_DATE_EPOCH";

/// 2026-11-21, when the first release was made: the build time where none is given, so that two
/// builds of the same source are the same.
const FIRST_RELEASE_S: i64 = 1_795_219_200;
/// How long before the build the era begins: 50 years of 365 days.
const ERA_BEFORE_BUILD_S: i64 = 18_250 * 86_400;
/// 1900-01-01, where NTP time begins, and 9999-12-31, beyond which nobody builds.
const ERA_RANGE_S: std::ops::RangeInclusive<i64> = -2_208_988_800..=253_402_300_799;

/// The values of all options as `(constant, value)`, from what the environment says.
///
/// # Errors
/// The variable and what is wrong with it.
pub(crate) fn values(
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(&'static str, String)>, String> {
    let set = |variable: &str| environment(variable).filter(|value| !value.is_empty());
    let run_dir = set(RUN_DIR);
    let mut all = Vec::new();
    for option in &OPTIONS {
        let value = match set(option.variable) {
            Some(value) => value,
            None => {
                let run = run_dir.as_deref().unwrap_or("/var/run/chrony");
                option.default.replace("{run}", run.trim_end_matches('/'))
            }
        };
        check(option.kind, &value)
            .map_err(|reason| format!("{}=\"{value}\": {reason}", option.variable))?;
        all.push((option.constant, value));
    }
    let era = era(set(NTP_ERA).as_deref(), set(BUILD_TIME).as_deref())?;
    all.push(("NTP_ERA", era.to_string()));
    Ok(all)
}

/// The start of the era: as given, or from the time of the build.
fn era(given: Option<&str>, build_time: Option<&str>) -> Result<i64, String> {
    let number = |variable: &str, text: &str, range: std::ops::RangeInclusive<i64>| {
        let value = text.parse().ok().filter(|value| range.contains(value));
        value.ok_or_else(|| {
            let (min, max) = (range.start(), range.end());
            format!("{variable}=\"{text}\": must be a number of seconds from {min} to {max}")
        })
    };
    let built = match build_time {
        Some(text) => number(BUILD_TIME, text, 0..=*ERA_RANGE_S.end())?,
        None => FIRST_RELEASE_S,
    };
    match given {
        Some(text) => number(NTP_ERA, text, ERA_RANGE_S),
        None => Ok(built - ERA_BEFORE_BUILD_S),
    }
}

/// What is wrong with a value, if anything.
fn check(kind: Kind, value: &str) -> Result<(), &'static str> {
    if value.is_empty() {
        return match kind {
            Kind::OptionalPath => Ok(()),
            Kind::Path | Kind::SocketPath | Kind::User => Err("must not be empty"),
        };
    }
    if value.contains(|c: char| c.is_control() || c.is_whitespace()) {
        // No directive could name it, and the manual could not show it.
        return Err("must not contain spaces or control characters");
    }
    match kind {
        Kind::User if value.contains([':', '/']) => Err("must be the name of a user"),
        Kind::User => Ok(()),
        Kind::Path | Kind::SocketPath | Kind::OptionalPath if !value.starts_with('/') => {
            Err("must be an absolute path")
        }
        // `sun_path` of sockaddr_un(7) with its end; chronyc names sockets of its own beside it.
        Kind::SocketPath if value.len() > 80 => Err("is too long for a socket (80 bytes)"),
        Kind::Path | Kind::SocketPath | Kind::OptionalPath => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(environment: &[(&str, &str)]) -> Result<Vec<(&'static str, String)>, String> {
        values(|variable| {
            let found = environment.iter().find(|(name, _)| *name == variable);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[track_caller]
    fn value(environment: &[(&str, &str)], constant: &str) -> String {
        let all = built(environment).expect("good values");
        let found = all.into_iter().find(|(name, _)| *name == constant);
        found.expect("a known constant").1
    }

    #[test]
    fn defaults_are_those_of_chrony() {
        let want = [
            ("CONFIG_FILE", "/etc/chrony.conf"),
            ("USER", "root"),
            ("CHRONYC_USER", "root"),
            ("RUN_DIR", "/var/run/chrony"),
            ("STATE_DIR", "/var/lib/chrony"),
            ("PID_FILE", "/var/run/chrony/chronyd.pid"),
            ("COMMAND_SOCKET", "/var/run/chrony/chronyd.sock"),
            ("RTC_DEVICE", "/dev/rtc"),
            ("HWCLOCK_FILE", ""),
            ("SENDMAIL", "/usr/lib/sendmail"),
            // 2026-11-21 less 18250 days is 1976-12-03.
            ("NTP_ERA", "218419200"),
        ];
        let got = built(&[]).expect("the defaults are good");
        assert_eq!(got, want.map(|(name, value)| (name, value.to_owned())));
        // An empty variable is an unset one.
        let empty = OPTIONS.map(|option| (option.variable, ""));
        assert_eq!(built(&empty), Ok(got));
    }

    #[test]
    fn the_packaging_guide_names_every_option_with_its_default() {
        let guide = include_str!("../../../packaging/README.md");
        for option in &OPTIONS {
            let row = format!("| `{}` |", option.variable);
            let found = guide.lines().find(|line| line.starts_with(&row));
            let line = found.unwrap_or_else(|| panic!("no row for {}", option.variable));
            let default = match option.default.strip_prefix("{run}/") {
                Some(name) => format!("| `{name}` in the run directory |"),
                None if option.default.is_empty() => "| none |".to_owned(),
                None => format!("| `{}` |", option.default),
            };
            assert!(line.ends_with(&default), "{line}");
        }
        for variable in [NTP_ERA, BUILD_TIME] {
            assert!(guide.contains(&format!("| `{variable}` |")), "{variable}");
        }
    }

    #[test]
    fn the_run_directory_holds_socket_and_pid_file_unless_they_are_elsewhere() {
        let run = ("TIMEWRIGHT_RUN_DIR", "/run/time/");
        assert_eq!(value(&[run], "PID_FILE"), "/run/time/chronyd.pid");
        assert_eq!(value(&[run], "COMMAND_SOCKET"), "/run/time/chronyd.sock");
        let pid = ("TIMEWRIGHT_PID_FILE", "/run/d.pid");
        assert_eq!(value(&[run, pid], "PID_FILE"), "/run/d.pid");
        assert_eq!(
            value(&[run, pid], "COMMAND_SOCKET"),
            "/run/time/chronyd.sock"
        );
    }

    #[test]
    fn the_era_follows_the_build_time_or_is_given() {
        for (era, build, want) in [
            ("", "1795219200", "218419200"),
            ("", "1577836800", "1036800"),
            ("", "0", "-1576800000"),
            ("0", "", "0"),
            ("-2208988800", "1577836800", "-2208988800"),
        ] {
            let got = value(&[(NTP_ERA, era), (BUILD_TIME, build)], "NTP_ERA");
            assert_eq!(got, want, "{era} {build}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let long = format!("/{}", "x".repeat(80));
        for (variable, value, reason) in [
            (
                "TIMEWRIGHT_CONFIG_FILE",
                "chrony.conf",
                "must be an absolute path",
            ),
            ("TIMEWRIGHT_RUN_DIR", "run", "must be an absolute path"),
            (
                "TIMEWRIGHT_STATE_DIR",
                "/var lib",
                "must not contain spaces or control characters",
            ),
            (
                "TIMEWRIGHT_COMMAND_SOCKET",
                long.as_str(),
                "is too long for a socket (80 bytes)",
            ),
            ("TIMEWRIGHT_USER", "a:b", "must be the name of a user"),
            (
                NTP_ERA,
                "1e9",
                "must be a number of seconds from -2208988800 to 253402300799",
            ),
            (
                NTP_ERA,
                "253402300800",
                "must be a number of seconds from -2208988800 to 253402300799",
            ),
            (
                BUILD_TIME,
                "-1",
                "must be a number of seconds from 0 to 253402300799",
            ),
        ] {
            let want = format!("{variable}=\"{value}\": {reason}");
            assert_eq!(built(&[(variable, value)]), Err(want));
        }
    }
}
