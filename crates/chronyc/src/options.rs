//! The command line (`chronyc.md` 1).

use timewright_control::{DEFAULT_PORT, DEFAULT_SOCKET};
use timewright_sys::names::Families;

/// The release of chrony this program stands in for; scripts compare it.
pub(crate) const COMPATIBLE_VERSION: &str = "4.8";

/// Features of this build, in the form scripts test for.
const FEATURES: &str = "+READLINE +SECHASH +IPV6 -DEBUG";

/// The user to become when started by root.
const DEFAULT_USER: &str = timewright_defaults::CHRONYC_USER;

/// Options with an argument.
const WITH_ARGUMENT: [char; 4] = ['f', 'h', 'p', 'u'];

/// Settings from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Families that names resolve to.
    pub(crate) families: Families,
    /// Addresses instead of names.
    pub(crate) numeric: bool,
    /// Names of sources as configured.
    pub(crate) original_names: bool,
    /// Comma-separated values.
    pub(crate) csv: bool,
    /// A dot after each response.
    pub(crate) dot: bool,
    /// Each argument is a command.
    pub(crate) many: bool,
    /// A wide column of names.
    pub(crate) wide: bool,
    /// Servers, separated by commas.
    pub(crate) hosts: String,
    /// UDP port of the servers.
    pub(crate) port: u16,
    /// Whom to become.
    pub(crate) user: String,
    /// Commands.
    pub(crate) arguments: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            families: Families::Any,
            numeric: false,
            original_names: false,
            csv: false,
            dot: false,
            many: false,
            wide: false,
            hosts: format!("{DEFAULT_SOCKET},127.0.0.1,::1"),
            port: DEFAULT_PORT,
            user: DEFAULT_USER.to_owned(),
            arguments: Vec::new(),
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Run commands.
    Run(Options),
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Complain, print the usage and fail.
    Misuse(String),
}

/// Reads the arguments after the program's name. Options end at the first word that is none,
/// but `--help` and `--version` count anywhere.
pub(crate) fn parse(arguments: &[String]) -> Asked {
    for argument in arguments {
        match argument.as_str() {
            "--help" => return Asked::Help,
            "--version" => return Asked::Version,
            _ => {}
        }
    }
    let mut options = Options::default();
    let mut rest = arguments.iter();
    loop {
        let at_word = rest.clone();
        let letters = match rest.next().map(String::as_str) {
            Some("--") => break,
            Some(word) if word.len() > 1 => match word.strip_prefix('-') {
                Some(letters) => letters,
                None => {
                    rest = at_word;
                    break;
                }
            },
            _ => {
                rest = at_word;
                break;
            }
        };
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            if WITH_ARGUMENT.contains(&letter) {
                let attached = letters.as_str();
                let argument = if attached.is_empty() {
                    rest.next().map(String::as_str)
                } else {
                    Some(attached)
                };
                let Some(argument) = argument else {
                    return Asked::Misuse(format!("option requires an argument -- '{letter}'"));
                };
                set_with_argument(&mut options, letter, argument);
                break;
            }
            match letter {
                'v' => return Asked::Version,
                _ if set(&mut options, letter) => {}
                _ => return Asked::Misuse(format!("invalid option -- '{letter}'")),
            }
        }
    }
    options.arguments = rest.cloned().collect();
    Asked::Run(options)
}

fn set(options: &mut Options, letter: char) -> bool {
    match letter {
        '4' => options.families = Families::V4,
        '6' => options.families = Families::V6,
        'n' => options.numeric = true,
        'N' => options.original_names = true,
        'c' => options.csv = true,
        'e' => options.dot = true,
        'm' => options.many = true,
        'w' => options.wide = true,
        // Kept for old scripts: authentication is gone, and this build has no debug messages.
        'a' | 'd' => {}
        _ => return false,
    }
    true
}

fn set_with_argument(options: &mut Options, letter: char, argument: &str) {
    match letter {
        'h' => argument.clone_into(&mut options.hosts),
        'p' => {
            // As atoi and a 16-bit port have it: garbage is 0, larger numbers wrap.
            let number = crate::scan::Scan::new(argument).int().unwrap_or(0);
            let [.., high, low] = number.to_be_bytes();
            options.port = u16::from_be_bytes([high, low]);
        }
        'u' => argument.clone_into(&mut options.user),
        _ => {} // -f, the configuration file of old releases
    }
}

/// The version line.
pub(crate) fn version_line() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!("chronyc (timewright {own}) version {COMPATIBLE_VERSION} ({FEATURES})\n")
}

/// What is printed when a session at a terminal begins.
pub(crate) fn banner() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!(
        "chrony version {COMPATIBLE_VERSION}\n\
         chronyc of timewright {own}, a replacement for that of chrony.\n\
         It comes with ABSOLUTELY NO WARRANTY. You may use, change and redistribute it\n\
         under the MIT license or the Apache License, Version 2.0.\n\n"
    )
}

/// How the program is called.
pub(crate) fn usage(program: &str) -> String {
    let defaults = Options::default();
    let options = [
        ("-4", "Use IPv4 addresses only".to_owned()),
        ("-6", "Use IPv6 addresses only".to_owned()),
        ("-n", "Don't resolve hostnames".to_owned()),
        ("-N", "Print original source names".to_owned()),
        ("-c", "Enable CSV format".to_owned()),
        ("-e", "End responses with dot".to_owned()),
        ("-m", "Accept multiple commands".to_owned()),
        ("-h HOST", format!("Specify server ({})", defaults.hosts)),
        ("-p PORT", format!("Specify UDP port ({})", defaults.port)),
        ("-u USER", format!("Specify user ({})", defaults.user)),
        ("-w", "Wide output".to_owned()),
        ("-v, --version", "Print version and exit".to_owned()),
        ("    --help", "Print usage and exit".to_owned()),
    ];
    let mut text = format!("Usage: {program} [OPTION]... [COMMAND]...\n\nOptions:\n");
    for (option, meaning) in options {
        // A short option is followed by two tabs, a long one by one.
        let gap = if option.len() == 2 { "\t\t" } else { "\t" };
        text.push_str(&format!("  {option}{gap}{meaning}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(line: &str, change: impl FnOnce(&mut Options)) {
        let mut want = Options::default();
        change(&mut want);
        assert_eq!(parse(&words(line)), Asked::Run(want), "{line}");
    }

    #[test]
    fn options_end_at_the_first_command() {
        check("", |_| {});
        check("-n sources -v", |o| {
            o.numeric = true;
            o.arguments = words("sources -v");
        });
        check("-nNcemw -4 -6", |o| {
            (o.numeric, o.original_names, o.csv, o.dot, o.many) = (true, true, true, true, true);
            o.families = Families::V6;
            o.wide = true;
        });
        check("-n -- -c", |o| {
            o.numeric = true;
            o.arguments = words("-c");
        });
        check("-", |o| o.arguments = words("-"));
        check("-ad -f /etc/chrony.conf", |_| {});
    }

    #[test]
    fn arguments_may_be_attached() {
        check("-h/run/a,::1 -p10323", |o| {
            o.hosts = "/run/a,::1".to_owned();
            o.port = 10323;
        });
        check("-ch host -u nobody -p x", |o| {
            o.csv = true;
            o.hosts = "host".to_owned();
            o.user = "nobody".to_owned();
            o.port = 0;
        });
    }

    #[test]
    fn help_and_version_count_anywhere_and_the_first_wins() {
        assert_eq!(parse(&words("sources --version --help")), Asked::Version);
        assert_eq!(parse(&words("-x --help --version")), Asked::Help);
        assert_eq!(parse(&words("-nv")), Asked::Version);
        check("sources -v", |o| o.arguments = words("sources -v"));
    }

    #[test]
    fn misuse_is_worded_as_getopt_does() {
        assert_eq!(
            parse(&words("-x")),
            Asked::Misuse("invalid option -- 'x'".to_owned())
        );
        assert_eq!(
            parse(&words("-nh")),
            Asked::Misuse("option requires an argument -- 'h'".to_owned())
        );
    }

    #[test]
    fn usage_has_the_columns_of_the_reference() {
        assert_eq!(usage("chronyc"), include_str!("../tests/data/usage.txt"));
    }

    #[test]
    fn the_manual_page_describes_these_options() {
        let entries = timewright_manual::switches(timewright_manual::Program::Chronyc).unwrap();
        let mut described: Vec<String> = entries.into_iter().flat_map(|e| e.headings).collect();
        // Two columns, of which the first has what the page has.
        let usage = usage("chronyc");
        let options = usage
            .lines()
            .filter_map(|line| line.trim().split('\t').next());
        let mut known: Vec<&str> = options.filter(|option| option.starts_with('-')).collect();
        described.sort_unstable();
        known.sort_unstable();
        assert_eq!(described, known);
        for letter in "46nNcemwhpuv".chars() {
            let described = described
                .iter()
                .any(|d| d.starts_with(&format!("-{letter}")));
            let accepted = parse(&words(&format!("-{letter} 1")));
            assert!(
                described && !matches!(accepted, Asked::Misuse(_)),
                "-{letter}"
            );
        }
    }
}
