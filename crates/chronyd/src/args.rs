//! The command line (`daemon-and-files.md` 1): options as GNU `getopt` reads them, mixed freely
//! with configuration lines.

use crate::version;
use timewright_core::event::Severity;
use timewright_defaults::{CONFIG_FILE, USER};
use timewright_sys::net::Family;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Run with these options.
    Run(Box<Options>),
    /// Print this on standard output and succeed.
    Print(String),
    /// Print the first on standard error, the second on standard output, and fail.
    Usage(String, String),
    /// End with this fatal message.
    Fatal(String),
}

/// What the daemon is to do with the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Keep it right.
    #[default]
    Normal,
    /// `-q`: set it once and end.
    SetOnce,
    /// `-Q`: print its offset and end.
    PrintOnce,
}

/// The options, after their implications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-4`, `-6`
    pub(crate) family: Option<Family>,
    /// `-f`
    pub(crate) config_file: String,
    /// Stay in the foreground (`-n` and what implies it).
    pub(crate) foreground: bool,
    /// Log to standard error instead of the system log.
    pub(crate) log_to_stderr: bool,
    /// `-l`
    pub(crate) log_file: Option<String>,
    /// Least severity that is logged.
    pub(crate) severity: Severity,
    /// `-p`
    pub(crate) print_config: bool,
    /// `-q`, `-Q`
    pub(crate) mode: Mode,
    /// `-r`
    pub(crate) load_dumps: bool,
    /// `-R`
    pub(crate) restarted: bool,
    /// `-s`
    pub(crate) set_from_rtc: bool,
    /// `-t`, seconds; negative is off.
    pub(crate) timeout_s: i32,
    /// `-u`
    pub(crate) user: Option<String>,
    /// Whether being root is not required.
    pub(crate) any_user: bool,
    /// `-F`
    pub(crate) filter_level: i32,
    /// `-P`
    pub(crate) priority: i32,
    /// `-m`
    pub(crate) lock_memory: bool,
    /// Whether the clock is left alone (`-x`, `-Q`).
    pub(crate) no_clock_control: bool,
    /// `-N`: descriptor to write to when ready.
    pub(crate) notify_fd: Option<i32>,
    /// Positional arguments: configuration lines that replace the file.
    pub(crate) directives: Vec<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            family: None,
            config_file: CONFIG_FILE.to_owned(),
            foreground: false,
            log_to_stderr: false,
            log_file: None,
            severity: Severity::Info,
            print_config: false,
            mode: Mode::Normal,
            load_dumps: false,
            restarted: false,
            set_from_rtc: false,
            timeout_s: -1,
            user: None,
            any_user: false,
            filter_level: 0,
            priority: 0,
            lock_memory: false,
            no_clock_control: false,
            notify_fd: None,
            directives: Vec::new(),
        }
    }
}

/// Options with an argument, as in the option string of `getopt`.
const WITH_ARGUMENT: &[u8] = b"fFlLNPtu";
/// Options without.
const PLAIN: &[u8] = b"46dhmnpqQrRsUvx";

/// Reads the command line; `args` begins with the program's name.
pub(crate) fn parse(args: &[Vec<u8>]) -> Request {
    let program = args
        .first()
        .map_or_else(|| "chronyd".into(), |arg| String::from_utf8_lossy(arg));
    let rest = args.get(1..).unwrap_or_default();
    for arg in rest {
        match arg.as_slice() {
            b"--help" => return Request::Print(usage(&program)),
            b"--version" => return Request::Print(version::version_line()),
            _ => {}
        }
    }
    let mut reader = Reader {
        program: &program,
        options: Options::default(),
        debug: 0,
    };
    match reader.read(rest) {
        Ok(()) => Request::Run(Box::new(reader.finish())),
        Err(request) => request,
    }
}

struct Reader<'a> {
    program: &'a str,
    options: Options,
    /// How often `-d` was given.
    debug: u32,
}

impl Reader<'_> {
    fn read(&mut self, args: &[Vec<u8>]) -> Result<(), Request> {
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == b"--" {
                self.options.directives.extend(args.cloned());
                return Ok(());
            }
            let Some(letters) = arg.strip_prefix(b"-").filter(|letters| !letters.is_empty()) else {
                self.options.directives.push(arg.clone());
                continue;
            };
            let mut letters = letters;
            while let Some((&letter, after)) = letters.split_first() {
                letters = after;
                if PLAIN.contains(&letter) {
                    self.plain(letter)?;
                } else if WITH_ARGUMENT.contains(&letter) {
                    let value = if after.is_empty() {
                        args.next().map(Vec::as_slice)
                    } else {
                        Some(after)
                    };
                    letters = &[];
                    let Some(value) = value else {
                        let letter = char::from(letter);
                        return Err(self.bad(&format!("option requires an argument -- '{letter}'")));
                    };
                    self.with_argument(letter, value)?;
                } else {
                    let letter = String::from_utf8_lossy(&[letter]).into_owned();
                    return Err(self.bad(&format!("invalid option -- '{letter}'")));
                }
            }
        }
        Ok(())
    }

    fn bad(&self, reason: &str) -> Request {
        Request::Usage(format!("{}: {reason}", self.program), usage(self.program))
    }

    fn plain(&mut self, letter: u8) -> Result<(), Request> {
        let options = &mut self.options;
        match letter {
            b'4' => options.family = Some(Family::V4),
            b'6' => options.family = Some(Family::V6),
            b'd' => {
                self.debug += 1;
                options.foreground = true;
                options.log_to_stderr = true;
            }
            b'h' => return Err(Request::Print(usage(self.program))),
            b'm' => options.lock_memory = true,
            b'n' => options.foreground = true,
            b'p' => {
                options.print_config = true;
                options.any_user = true;
                options.foreground = true;
                options.log_to_stderr = true;
                options.severity = Severity::Warning;
            }
            b'q' => {
                options.mode = Mode::SetOnce;
                options.foreground = true;
                options.log_to_stderr = true;
            }
            b'Q' => {
                options.mode = Mode::PrintOnce;
                options.foreground = true;
                options.log_to_stderr = true;
                options.any_user = true;
                options.no_clock_control = true;
            }
            b'r' => options.load_dumps = true,
            b'R' => options.restarted = true,
            b's' => options.set_from_rtc = true,
            b'U' => options.any_user = true,
            b'v' => return Err(Request::Print(version::version_line())),
            b'x' => options.no_clock_control = true,
            _ => {}
        }
        Ok(())
    }

    fn with_argument(&mut self, letter: u8, value: &[u8]) -> Result<(), Request> {
        let text = String::from_utf8_lossy(value).into_owned();
        let integer =
            || scan_int(value).ok_or_else(|| Request::Fatal(format!("Invalid argument {text}")));
        let options = &mut self.options;
        match letter {
            b'f' => options.config_file = text,
            b'l' => options.log_file = Some(text),
            b'u' => options.user = Some(text),
            b'F' => options.filter_level = integer()?,
            b'N' => options.notify_fd = Some(integer()?),
            b'P' => options.priority = integer()?,
            b't' => options.timeout_s = integer()?,
            b'L' => {
                options.severity = match integer()? {
                    ..=-1 => Severity::Debug,
                    0 => Severity::Info,
                    1 => Severity::Warning,
                    2 => Severity::Error,
                    3.. => Severity::Fatal,
                };
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Options {
        if self.debug >= 2 {
            self.options.severity = Severity::Debug;
        }
        self.options
    }
}

/// The integer at the start of `text`, as C's `%d` reads it; wraps to 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "scanf stores the low 32 bits on all common systems"
)]
pub(crate) fn scan_int(text: &[u8]) -> Option<i32> {
    let start = text.iter().position(|c| !matches!(c, b' ' | 9..=13))?;
    let text = text.get(start..)?;
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let end = digits
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let digits = digits.get(..end).filter(|digits| !digits.is_empty())?;
    let magnitude = digits.iter().fold(0i64, |sum, &c| {
        sum.saturating_mul(10).saturating_add(i64::from(c - b'0'))
    });
    Some((if negative { -magnitude } else { magnitude }) as i32)
}

fn usage(program: &str) -> String {
    let options = OPTIONS
        .replace("CONFIG_FILE", CONFIG_FILE)
        .replace("DEFAULT_USER", USER);
    format!("Usage: {program} [OPTION]... [DIRECTIVE]...\n\nOptions:\n{options}")
}

/// The options; two words stand for what the build decides.
const OPTIONS: &str = "  -4\t\tUse IPv4 addresses only
  -6\t\tUse IPv6 addresses only
  -f FILE\tSpecify configuration file (CONFIG_FILE)
  -n\t\tDon't run as daemon
  -d\t\tDon't run as daemon and log to stderr
  -l FILE\tLog to file
  -L LEVEL\tSet logging threshold (0)
  -p\t\tPrint configuration and exit
  -q\t\tSet clock and exit
  -Q\t\tLog offset and exit
  -r\t\tReload dump files
  -R\t\tAdapt configuration for restart
  -s\t\tSet clock from RTC
  -t SECONDS\tExit after elapsed time
  -u USER\tSpecify user (DEFAULT_USER)
  -U\t\tDon't check for root
  -F LEVEL\tSet system call filter level (0)
  -P PRIORITY\tSet process priority (0)
  -m\t\tLock memory
  -x\t\tDon't control clock
  -N FD\t\tNotify supervisor
  -v, --version\tPrint version and exit
  -h, --help\tPrint usage and exit";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Request {
        let mut args = vec![b"chronyd".to_vec()];
        args.extend(line.iter().map(|arg| arg.as_bytes().to_vec()));
        parse(&args)
    }

    #[track_caller]
    fn options(line: &[&str]) -> Options {
        match parsed(line) {
            Request::Run(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_and_directives_may_be_mixed() {
        let got = options(&[
            "server a", "-dx", "port 0", "-f", "/x", "--", "-Z", "--help2",
        ]);
        assert!(got.foreground && got.log_to_stderr && got.no_clock_control);
        assert_eq!(got.config_file, "/x");
        let want: [&[u8]; 4] = [b"server a", b"port 0", b"-Z", b"--help2"];
        assert_eq!(got.directives, want);
    }

    #[test]
    fn arguments_may_be_attached_or_follow() {
        assert_eq!(options(&["-t5"]).timeout_s, 5);
        assert_eq!(options(&["-nt", "-7x"]).timeout_s, -7);
        assert_eq!(options(&["-ut", "-u", "chrony"]).user.unwrap(), "chrony");
        assert_eq!(options(&["-4", "-6"]).family, Some(Family::V6));
        // A single dash is an ordinary argument.
        assert_eq!(options(&["-"]).directives, [b"-".to_vec()]);
    }

    #[test]
    fn levels_are_clamped_and_two_d_win() {
        for (line, want) in [
            (&["-L", "-9"][..], Severity::Debug),
            (&["-L", "0"], Severity::Info),
            (&["-L", "1"], Severity::Warning),
            (&["-L9"], Severity::Fatal),
            (&["-p"], Severity::Warning),
            (&["-L2", "-p"], Severity::Warning),
            (&["-p", "-L2"], Severity::Error),
            (&["-d", "-d", "-L3"], Severity::Debug),
            (&["-d"], Severity::Info),
        ] {
            assert_eq!(options(line).severity, want, "{line:?}");
        }
    }

    #[test]
    fn modes_imply_what_they_need() {
        let got = options(&["-Q"]);
        assert_eq!(got.mode, Mode::PrintOnce);
        assert!(got.any_user && got.no_clock_control && got.foreground && got.log_to_stderr);
        let got = options(&["-q"]);
        assert_eq!(got.mode, Mode::SetOnce);
        assert!(!got.any_user && !got.no_clock_control && got.foreground);
    }

    #[test]
    fn mistakes_are_reported_as_getopt_does() {
        for (line, want) in [
            (&["-Z"][..], "chronyd: invalid option -- 'Z'"),
            (&["-dZ"], "chronyd: invalid option -- 'Z'"),
            (&["--foo"], "chronyd: invalid option -- '-'"),
            (&["x", "-t"], "chronyd: option requires an argument -- 't'"),
        ] {
            match parsed(line) {
                Request::Usage(error, usage) => {
                    assert_eq!(error, want, "{line:?}");
                    assert!(usage.starts_with("Usage: chronyd [OPTION]... [DIRECTIVE]...\n\n"));
                }
                other => panic!("{line:?}: {other:?}"),
            }
        }
        for (line, want) in [
            (&["-t", "x"][..], "Invalid argument x"),
            (&["-L", ""], "Invalid argument "),
            (&["-P-"], "Invalid argument -"),
        ] {
            assert_eq!(parsed(line), Request::Fatal(want.into()), "{line:?}");
        }
    }

    #[test]
    fn help_and_version_win_wherever_they_stand() {
        for line in [
            &["-Z", "--help"][..],
            &["x", "--help", "--version"],
            &["-h"],
        ] {
            match parsed(line) {
                Request::Print(text) => assert!(text.ends_with("Print usage and exit"), "{line:?}"),
                other => panic!("{line:?}: {other:?}"),
            }
        }
        for line in [&["-v", "-Z"][..], &["-d", "--version"]] {
            assert_eq!(parsed(line), Request::Print(version::version_line()));
        }
    }

    #[test]
    fn integers_are_prefix_scans() {
        for (text, want) in [
            ("5x", Some(5)),
            ("  +7", Some(7)),
            ("-3", Some(-3)),
            ("4294967297", Some(1)),
            ("x", None),
            ("", None),
            ("+", None),
        ] {
            assert_eq!(scan_int(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn the_manual_page_describes_these_options() {
        let entries = timewright_manual::switches(timewright_manual::Program::Chronyd).unwrap();
        let mut described: Vec<(u8, bool)> = entries
            .iter()
            .flat_map(|entry| &entry.headings)
            .map(|heading| (heading.as_bytes()[1], heading.bytes().any(|c| c == b' ')))
            // `-v, --version` and `-h, --help` have no argument, but a second name.
            .map(|(letter, blank)| (letter, blank && !b"vh".contains(&letter)))
            .collect();
        let mut known: Vec<(u8, bool)> = PLAIN.iter().map(|&letter| (letter, false)).collect();
        known.extend(WITH_ARGUMENT.iter().map(|&letter| (letter, true)));
        described.sort_unstable();
        known.sort_unstable();
        assert_eq!(described, known);
    }
}
