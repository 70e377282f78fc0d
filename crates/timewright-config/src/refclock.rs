//! Reference clocks: the directive `refclock` (`config.md` section 5).
//!
//! [`RefclockSpec`] is what was written; [`RefclockSpec::driver`] makes a typed [`Driver`] of it,
//! which can fail and is done at start-up, not while parsing.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use timewright_time::Seconds;

use crate::check::StartupError;
use crate::error::{OptionError, OptionRow, apply_options};
use crate::lexical::text;
use crate::scan::Cursor;
use crate::source::{SelectOptions, count, positive, small};

/// Longest median filter.
const FILTER_MAX: u32 = 256;

/// A reference identifier of one to four characters, padded with NUL bytes.
pub type RefId = [u8; 4];

/// One `refclock` line.
#[derive(Clone, Debug, PartialEq)]
pub struct RefclockSpec {
    /// Name of the driver as written.
    pub driver: String,
    /// The driver's parameter: the part before the first colon.
    pub parameter: OsString,
    /// What followed the parameter, split at colons.
    pub driver_options: Vec<String>,
    /// The options as written.
    pub options: RefclockOptions,
}

/// Options of a reference clock, as written or with their defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RefclockOptions {
    /// Interval between filtered samples, log2 seconds, -32..=32.
    pub poll: i32,
    /// Interval between readings, log2 seconds, -32..=32; see [`RefclockOptions::driver_poll`].
    pub dpoll: i32,
    /// Reference identifier; `None`: see [`RefclockSpec::reference_id`].
    pub refid: Option<RefId>,
    /// Reference clock that completes the pulses.
    pub lock: Option<RefId>,
    /// Pulses per second, at least 1.
    pub rate: u32,
    /// Pulses a sample of the locked reference clock may be old.
    pub maxlockage: u32,
    /// Pulse width, seconds; not positive is off.
    pub width: f64,
    /// Treat the samples as pulses.
    pub pps: bool,
    /// Correction added to samples, seconds.
    pub offset: f64,
    /// Root delay, seconds.
    pub delay: f64,
    /// Stratum, 0..=15.
    pub stratum: u8,
    /// Precision of the samples, seconds; the system's if that is larger.
    pub precision: f64,
    /// Largest dispersion of a filtered sample, seconds; 0 is no limit.
    pub maxdispersion: f64,
    /// Length of the median filter as written; see [`RefclockOptions::filter_length`].
    pub filter: u32,
    /// Options of the selection.
    pub select: SelectOptions,
    /// The reference keeps TAI.
    pub tai: bool,
    /// Use the reference clock to stabilise the local clock only.
    pub local: bool,
    /// Minimum number of samples; `None`: the global setting.
    pub minsamples: Option<u32>,
    /// Maximum number of samples; `None`: the global setting.
    pub maxsamples: Option<u32>,
    /// Polls for which it may stay selectable without samples.
    pub maxunreach: u32,
}

impl Default for RefclockOptions {
    fn default() -> Self {
        Self {
            poll: 4,
            dpoll: 0,
            refid: None,
            lock: None,
            rate: 1,
            maxlockage: 2,
            width: 0.0,
            pps: false,
            offset: 0.0,
            delay: 1e-9,
            stratum: 0,
            precision: 0.0,
            maxdispersion: 0.0,
            filter: 64,
            select: SelectOptions::default(),
            tai: false,
            local: false,
            minsamples: None,
            maxsamples: None,
            maxunreach: 100_000,
        }
    }
}

impl RefclockOptions {
    /// Interval between readings of the driver, never longer than `poll`, log2 seconds.
    #[must_use]
    pub fn driver_poll(&self) -> i32 {
        self.dpoll.min(self.poll)
    }

    /// Length of the median filter, 1..=256.
    #[must_use]
    pub fn filter_length(&self) -> u32 {
        self.filter.clamp(1, FILTER_MAX)
    }

    /// Precision of the samples given that of the system clock.
    #[must_use]
    pub fn effective_precision(&self, system: Seconds) -> Seconds {
        system.max(Seconds(self.precision))
    }

    /// Whether samples are pulses: set, or implied by `local`.
    #[must_use]
    pub const fn is_pps(&self) -> bool {
        self.pps || self.local
    }

    /// Pulses a sample of the locked reference clock may be old; `local` needs at least 3.
    #[must_use]
    pub fn effective_maxlockage(&self) -> u32 {
        if self.local {
            self.maxlockage.max(3)
        } else {
            self.maxlockage
        }
    }
}

/// A driver with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Pulses of the kernel's PPS interface.
    Pps {
        /// The device.
        path: PathBuf,
        /// Use the clear edge instead of the assert edge.
        clear: bool,
    },
    /// A shared-memory segment.
    Shm {
        /// Added to the key 0x4e545030.
        unit: i32,
        /// Permissions of a new segment, at most 0777.
        perm: u32,
    },
    /// A Unix datagram socket.
    Sock {
        /// Where the socket is created.
        path: PathBuf,
    },
    /// A PTP hardware clock.
    Phc {
        /// Device or name of a network interface.
        path: PathBuf,
        /// Do not use cross timestamping.
        nocrossts: bool,
        /// Time external pulses instead of reading the clock.
        extpps: bool,
        /// Pin of the pulses; -1 leaves the pins as they are.
        pin: i32,
        /// Channel of the pulses.
        channel: i32,
        /// Use the falling edge.
        clear: bool,
    },
    /// A real-time clock.
    Rtc {
        /// The device.
        path: PathBuf,
        /// It keeps UTC, not local time.
        utc: bool,
    },
}

/// Which kind of driver: what a program may or may not know to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriverKind {
    /// [`Driver::Pps`].
    Pps,
    /// [`Driver::Shm`].
    Shm,
    /// [`Driver::Sock`].
    Sock,
    /// [`Driver::Phc`].
    Phc,
    /// [`Driver::Rtc`].
    Rtc,
}

impl DriverKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Pps, Self::Shm, Self::Sock, Self::Phc, Self::Rtc];
}

impl Driver {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> DriverKind {
        match self {
            Self::Pps { .. } => DriverKind::Pps,
            Self::Shm { .. } => DriverKind::Shm,
            Self::Sock { .. } => DriverKind::Sock,
            Self::Phc { .. } => DriverKind::Phc,
            Self::Rtc { .. } => DriverKind::Rtc,
        }
    }
}

/// Option words of a driver, taken out one by one.
struct DriverWords<'a>(Vec<(&'a str, &'a str)>);

impl<'a> DriverWords<'a> {
    fn new(options: &'a [String]) -> Self {
        Self(
            options
                .iter()
                .map(|o| (o.as_str(), o.split('=').next().unwrap_or(o)))
                .collect(),
        )
    }

    /// The value of the first option of this name, empty if it has none.
    fn value(&mut self, name: &str) -> Option<&'a str> {
        let found = self
            .0
            .iter()
            .find(|(_, key)| *key == name)
            .map(|(whole, _)| *whole)?;
        self.0.retain(|(_, key)| *key != name);
        Some(found.split_once('=').map_or("", |(_, value)| value))
    }

    fn flag(&mut self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn number(&mut self, name: &str, default: i32) -> i32 {
        let value = self.value(name);
        value.map_or(default, |text| {
            Cursor::new(text.as_bytes()).int().unwrap_or(0)
        })
    }
}

impl RefclockSpec {
    /// The driver's name in the list of known drivers.
    ///
    /// # Errors
    ///
    /// [`StartupError::UnknownDriver`].
    pub fn known_driver(&self) -> Result<&'static str, StartupError> {
        DRIVERS
            .iter()
            .find(|(name, ..)| *name == self.driver)
            .map(|(name, ..)| *name)
            .ok_or_else(|| StartupError::UnknownDriver(self.driver.clone()))
    }

    /// The typed driver.
    ///
    /// # Errors
    ///
    /// [`StartupError::UnknownDriver`] and [`StartupError::DriverOption`].
    pub fn driver(&self) -> Result<Driver, StartupError> {
        let mut words = DriverWords::new(&self.driver_options);
        let path = PathBuf::from(self.parameter.clone());
        let driver = match self.known_driver()? {
            "PPS" => Driver::Pps {
                path,
                clear: words.flag("clear"),
            },
            "SHM" => Driver::Shm {
                unit: Cursor::new(self.parameter.as_bytes()).int().unwrap_or(0),
                perm: words.value("perm").map_or(0o600, |value| {
                    Cursor::new(value.as_bytes()).octal().unwrap_or(0) & 0o777
                }),
            },
            "SOCK" => Driver::Sock { path },
            "PHC" => Driver::Phc {
                path,
                nocrossts: words.flag("nocrossts"),
                extpps: words.flag("extpps"),
                pin: words.number("pin", 0),
                channel: words.number("channel", 0),
                clear: words.flag("clear"),
            },
            _ => Driver::Rtc {
                path,
                utc: words.flag("utc"),
            },
        };
        match words.0.first() {
            None => Ok(driver),
            Some((option, _)) => Err(StartupError::DriverOption((*option).to_owned())),
        }
    }

    /// The reference identifier: configured, or made of the driver's name and `index`.
    ///
    /// `index` counts the reference clocks of the configuration from 0. From 10 on the tens digit
    /// takes the place of the third letter.
    #[must_use]
    pub fn reference_id(&self, index: usize) -> RefId {
        if let Some(refid) = self.options.refid {
            return refid;
        }
        let digit = |n: usize| u8::try_from(n % 10).map_or(b'0', |digit| b'0' + digit);
        let mut letters = self.driver.bytes();
        let mut refid = [(); 4].map(|()| letters.next().unwrap_or(0));
        let [_, _, third, fourth] = &mut refid;
        if index >= 10 {
            *third = digit(index / 10);
        }
        *fourth = digit(index);
        refid
    }
}

/// Parses what follows `refclock`; `None` if there are fewer than two words.
pub(crate) fn parse_refclock(arguments: &[u8]) -> Option<Result<RefclockSpec, OptionError>> {
    let mut cursor = Cursor::new(arguments);
    let driver = text(cursor.word()?);
    let mut parts = cursor.word()?.split(|&byte| byte == b':');
    let parameter = OsString::from_vec(parts.next().unwrap_or_default().to_vec());
    let mut driver_options: Vec<String> = parts.map(text).collect();
    // A colon at the end begins no option.
    if driver_options.last().is_some_and(String::is_empty) {
        driver_options.pop();
    }
    let mut options = RefclockOptions::default();
    let applied = apply_options(OPTIONS, &mut options, &mut cursor);
    Some(applied.map(|()| RefclockSpec {
        driver,
        parameter,
        driver_options,
        options,
    }))
}

/// Drivers: name, parameter, options behind it, and what they read.
pub static DRIVERS: &[(&str, &str, &str, &str)] = &[
    ("PPS", "DEVICE", "clear", "Pulses timed by the kernel."),
    (
        "SHM",
        "UNIT",
        "perm=MODE",
        "Samples from a shared-memory segment.",
    ),
    (
        "SOCK",
        "PATH",
        "",
        "Samples received on a Unix datagram socket.",
    ),
    (
        "PHC",
        "DEVICE",
        "nocrossts extpps pin=NUMBER channel=NUMBER clear",
        "Readings of a PTP hardware clock.",
    ),
    ("RTC", "DEVICE", "utc", "Readings of a real-time clock."),
];

type Row = OptionRow<RefclockOptions>;
type Set = fn(&mut RefclockOptions, &mut Cursor<'_>) -> Option<()>;

const fn row(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    set: Set,
) -> Row {
    Row {
        name,
        value,
        default,
        help,
        set,
    }
}

fn refid(cursor: &mut Cursor<'_>) -> Option<RefId> {
    let word = cursor.word().filter(|word| word.len() <= 4)?;
    let mut refid = RefId::default();
    refid
        .iter_mut()
        .zip(word)
        .for_each(|(to, &from)| *to = from);
    Some(refid)
}

/// Every option of a reference clock, in alphabetical order.
pub static OPTIONS: &[Row] = &[
    row(
        "delay",
        "SECONDS",
        "1e-9",
        "Root delay of the reference clock.",
        |o, c| c.float().map(|v| o.delay = v),
    ),
    row(
        "dpoll",
        "LOG2",
        "0",
        "Interval between readings as a power of two seconds.",
        |o, c| c.int_in(-32, 32).map(|v| o.dpoll = v),
    ),
    row(
        "filter",
        "SAMPLES",
        "64",
        "Length of the median filter.",
        |o, c| count(c).map(|v| o.filter = v),
    ),
    row(
        "local",
        "",
        "",
        "Use the clock only to stabilise the system clock.",
        |o, _| {
            o.local = true;
            Some(())
        },
    ),
    row(
        "lock",
        "REFID",
        "",
        "Reference clock that tells which second a pulse marks.",
        |o, c| refid(c).map(|v| o.lock = Some(v)),
    ),
    row(
        "maxdispersion",
        "SECONDS",
        "0",
        "Largest dispersion of a sample.",
        |o, c| c.float().map(|v| o.maxdispersion = v),
    ),
    row(
        "maxlockage",
        "PULSES",
        "2",
        "Largest age of samples of the locked clock.",
        |o, c| count(c).map(|v| o.maxlockage = v),
    ),
    row(
        "maxsamples",
        "COUNT",
        "",
        "Most samples kept for the source.",
        |o, c| count(c).map(|v| o.maxsamples = Some(v)),
    ),
    row(
        "maxunreach",
        "POLLS",
        "100000",
        "Polls without samples it stays selectable.",
        |o, c| count(c).map(|v| o.maxunreach = v),
    ),
    row(
        "minsamples",
        "COUNT",
        "",
        "Least samples kept for the source.",
        |o, c| count(c).map(|v| o.minsamples = Some(v)),
    ),
    row("noselect", "", "", "Never select the source.", |o, _| {
        o.select.noselect = true;
        Some(())
    }),
    row(
        "offset",
        "SECONDS",
        "0",
        "Correction added to the samples.",
        |o, c| c.float().map(|v| o.offset = v),
    ),
    row(
        "poll",
        "LOG2",
        "4",
        "Interval between samples as a power of two seconds.",
        |o, c| c.int_in(-32, 32).map(|v| o.poll = v),
    ),
    row("pps", "", "", "Treat the samples as pulses.", |o, _| {
        o.pps = true;
        Some(())
    }),
    row(
        "precision",
        "SECONDS",
        "0",
        "Precision of the samples.",
        |o, c| c.float().map(|v| o.precision = v),
    ),
    row(
        "prefer",
        "",
        "",
        "Prefer the source to others without this option.",
        |o, _| {
            o.select.prefer = true;
            Some(())
        },
    ),
    row("rate", "COUNT", "1", "Pulses per second.", |o, c| {
        positive(c).map(|v| o.rate = v)
    }),
    row("refid", "REFID", "", "Reference identifier.", |o, c| {
        refid(c).map(|v| o.refid = Some(v))
    }),
    row(
        "require",
        "",
        "",
        "Synchronise only if such a source is selectable.",
        |o, _| {
            o.select.require = true;
            Some(())
        },
    ),
    row(
        "stratum",
        "STRATUM",
        "0",
        "Stratum of the reference clock.",
        |o, c| small(c, 0, 15).map(|v| o.stratum = v),
    ),
    row("tai", "", "", "The reference keeps TAI.", |o, _| {
        o.tai = true;
        Some(())
    }),
    row(
        "trust",
        "",
        "",
        "Assume that the time of the source is always true.",
        |o, _| {
            o.select.trust = true;
            Some(())
        },
    ),
    row(
        "width",
        "SECONDS",
        "0",
        "Width of the pulses, to tell their edges.",
        |o, c| c.float().map(|v| o.width = v),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> RefclockSpec {
        parse_refclock(arguments.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn drivers_are_typed() {
        let path = || PathBuf::from("/dev/x");
        let phc = |nocrossts, extpps, pin, channel, clear| Driver::Phc {
            path: path(),
            nocrossts,
            extpps,
            pin,
            channel,
            clear,
        };
        for (arguments, want) in [
            (
                "PPS /dev/x",
                Driver::Pps {
                    path: path(),
                    clear: false,
                },
            ),
            (
                "PPS /dev/x:clear",
                Driver::Pps {
                    path: path(),
                    clear: true,
                },
            ),
            (
                "SHM 0",
                Driver::Shm {
                    unit: 0,
                    perm: 0o600,
                },
            ),
            (
                "SHM 12x:perm=0644",
                Driver::Shm {
                    unit: 12,
                    perm: 0o644,
                },
            ),
            (
                "SHM 1:perm=7666",
                Driver::Shm {
                    unit: 1,
                    perm: 0o666,
                },
            ),
            (
                "SHM x:",
                Driver::Shm {
                    unit: 0,
                    perm: 0o600,
                },
            ),
            ("SOCK /dev/x", Driver::Sock { path: path() }),
            ("PHC /dev/x", phc(false, false, 0, 0, false)),
            (
                "PHC /dev/x:nocrossts:extpps:pin=-1:channel=2:clear",
                phc(true, true, -1, 2, true),
            ),
            (
                "RTC /dev/x:utc",
                Driver::Rtc {
                    path: path(),
                    utc: true,
                },
            ),
        ] {
            assert_eq!(parse(arguments).driver(), Ok(want), "{arguments}");
        }
    }

    #[test]
    fn driver_errors_come_at_start_up() {
        for (arguments, want) in [
            ("shm 0", "unknown refclock driver shm"),
            ("SHM 0:foo=1", "Invalid refclock driver option foo=1"),
            ("SHM 0::perm=0:", "Invalid refclock driver option "),
            ("SOCK /x:a:b", "Invalid refclock driver option a"),
            ("PPS :/dev/x:y", "Invalid refclock driver option /dev/x"),
            (
                "PHC /x:extpps:pin:foo",
                "Invalid refclock driver option foo",
            ),
            ("PPS /dev/x:CLEAR", "Invalid refclock driver option CLEAR"),
        ] {
            let error = parse(arguments).driver().unwrap_err();
            assert_eq!(error.to_string(), want, "{arguments}");
        }
    }

    #[test]
    fn reference_ids_count_the_clocks() {
        let id = |arguments, index| parse(arguments).reference_id(index);
        assert_eq!(&id("SHM 0", 0), b"SHM0");
        assert_eq!(&id("SOCK /x", 9), b"SOC9");
        assert_eq!(&id("PPS /x", 12), b"PP12");
        assert_eq!(&id("SHM 0 refid AB", 3), b"AB\0\0");
    }

    #[test]
    fn adjustments() {
        let spec = parse("SHM 0 poll 2 dpoll 3 filter 0 precision 1e-3 local maxlockage 1");
        let options = &spec.options;
        assert_eq!(options.driver_poll(), 2);
        assert_eq!(options.filter_length(), 1);
        assert_eq!(parse("SHM 0 filter 300").options.filter_length(), 256);
        assert_eq!(options.effective_precision(Seconds(1e-6)), Seconds(1e-3));
        assert_eq!(options.effective_precision(Seconds(1e-2)), Seconds(1e-2));
        assert!(options.is_pps());
        assert_eq!(options.effective_maxlockage(), 3);
        assert_eq!(
            parse("SHM 0 maxlockage 1").options.effective_maxlockage(),
            1
        );
    }
}
