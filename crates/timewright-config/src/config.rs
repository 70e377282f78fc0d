//! The configuration as typed values, grouped as the manual groups the directives.
//!
//! `Config::default()` is the configuration of an empty file. Values are the effective ones unless
//! a field says that it holds what was written.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use timewright_time::Seconds;

use crate::access::AccessRule;
use crate::hwtimestamp::HwTimestampSpec;
use crate::local::LocalSpec;
use crate::ratelimit::RateLimit;
use crate::refclock::RefclockSpec;
use crate::source::{SampleLimits, SourceSpec};

/// Path of the pid file unless configured.
pub const DEFAULT_PID_FILE: &str = "/var/run/chrony/chronyd.pid";
/// Path of the Unix command socket unless configured.
pub const DEFAULT_COMMAND_SOCKET: &str = "/var/run/chrony/chronyd.sock";
/// Real-time clock device unless configured.
pub const DEFAULT_RTC_DEVICE: &str = "/dev/rtc";
/// User the daemon runs as unless configured.
pub const DEFAULT_USER: &str = "root";

/// Everything the configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `server`, `pool` and `peer` lines in their order.
    pub sources: Vec<SourceSpec>,
    /// `sourcedir` lines, each with its directories (1 to 10).
    pub source_dirs: Vec<Vec<PathBuf>>,
    /// `refclock` lines in their order, which numbers the default reference identifiers.
    pub refclocks: Vec<RefclockSpec>,
    /// The initial correction of `initstepslew`.
    pub initstepslew: Option<InitStepSlew>,
    /// The client side.
    pub client: Client,
    /// Selection of sources.
    pub selection: Selection,
    /// The system clock.
    pub clock: Clock,
    /// Leap seconds.
    pub leap: Leap,
    /// The NTP server.
    pub server: Server,
    /// Network Time Security, client and server.
    pub nts: Nts,
    /// Monitoring and control.
    pub command: Command,
    /// The real-time clock.
    pub rtc: Rtc,
    /// Log files and mail.
    pub logs: Logs,
    /// Hardware timestamping.
    pub hw_timestamps: HwTimestamps,
    /// The daemon as a process.
    pub process: Process,
}

/// One address per family; `None` is the family's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BindAddresses {
    /// The IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl BindAddresses {
    /// Both families on the loopback interface.
    pub const LOOPBACK: Self = Self {
        v4: Some(Ipv4Addr::LOCALHOST),
        v6: Some(Ipv6Addr::LOCALHOST),
    };

    /// Replaces the address of one family.
    pub fn set(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.v4 = Some(address),
            IpAddr::V6(address) => self.v6 = Some(address),
        }
    }
}

/// `initstepslew`: correct the clock from these hosts before normal operation.
#[derive(Clone, Debug, PartialEq)]
pub struct InitStepSlew {
    /// Step if the offset is at least this large, else slew.
    pub threshold: Seconds,
    /// Names and addresses as written; the names are not resolved.
    pub hosts: Vec<String>,
}

/// Directives about the client side.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// `acquisitionport`: `None` is a new random port for each request, 0 one random port.
    pub acquisition_port: Option<u16>,
    /// `bindacqaddress`: local addresses of client sockets.
    pub bind_addresses: BindAddresses,
    /// `bindacqdevice`: interface of client sockets.
    pub bind_device: Option<String>,
    /// `dscp`: code point of NTP packets, 0..=63; 0 leaves it alone.
    pub dscp: u8,
    /// `dumpdir`: where samples are saved.
    pub dump_dir: Option<PathBuf>,
    /// `minsamples` and `maxsamples`.
    pub samples: SampleLimits,
    /// `refresh`: least age of a working source's name before it is resolved again, seconds;
    /// 0 is never.
    pub refresh_s: u32,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            acquisition_port: None,
            bind_addresses: BindAddresses::default(),
            bind_device: None,
            dscp: 0,
            dump_dir: None,
            samples: SampleLimits::default(),
            refresh_s: 1_209_600,
        }
    }
}

/// `authselectmode`: how authenticated and other sources go together (`config.md` 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthSelectMode {
    /// Only authenticated sources.
    Require,
    /// Authenticated sources if there are any.
    Prefer,
    /// Authenticated sources are required and trusted when mixed with others.
    #[default]
    Mix,
    /// No difference.
    Ignore,
}

/// Directives about the selection of sources.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection {
    /// `authselectmode`.
    pub auth_select_mode: AuthSelectMode,
    /// `combinelimit`: ratio of root distances.
    pub combine_limit: f64,
    /// `maxdistance`: largest root distance.
    pub max_distance: Seconds,
    /// `maxjitter`: largest standard deviation.
    pub max_jitter: Seconds,
    /// `minsources`: least number of selectable sources, at least 1.
    pub min_sources: u32,
    /// `reselectdist`: extra distance of sources that are not selected.
    pub reselect_distance: Seconds,
    /// `stratumweight`: distance per stratum.
    pub stratum_weight: Seconds,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            auth_select_mode: AuthSelectMode::default(),
            combine_limit: 3.0,
            max_distance: Seconds(3.0),
            max_jitter: Seconds(1.0),
            min_sources: 1,
            reselect_distance: Seconds(1e-4),
            stratum_weight: Seconds(1e-3),
        }
    }
}

/// `makestep`: step instead of slewing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MakeStep {
    /// Step if the adjustment is larger.
    pub threshold: Seconds,
    /// During this many updates; negative is always, 0 never.
    pub limit: i32,
}

/// `maxchange`: offsets that are not believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxChange {
    /// Largest accepted offset.
    pub offset: Seconds,
    /// Updates before the check begins, not negative.
    pub start: u32,
    /// Larger offsets ignored before the daemon gives up; negative is all of them.
    pub ignore: i32,
}

/// `tempcomp`: compensation of the temperature of the oscillator.
#[derive(Clone, Debug, PartialEq)]
pub struct TempComp {
    /// File that holds the temperature.
    pub sensor: PathBuf,
    /// Time between readings, positive.
    pub interval: Seconds,
    /// What a temperature means.
    pub curve: TempCurve,
}

/// From a temperature to a compensation in parts per million.
#[derive(Clone, Debug, PartialEq)]
pub enum TempCurve {
    /// `k0 + (T - t0) * k1 + (T - t0)^2 * k2`.
    Quadratic {
        /// Temperature at which the compensation is `k0`.
        t0: f64,
        /// Constant term, ppm.
        k0: f64,
        /// Linear term.
        k1: f64,
        /// Quadratic term.
        k2: f64,
    },
    /// A file of points between which is interpolated.
    Points(PathBuf),
}

/// Directives about the system clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// `clockprecision`, 1 ns..=1 s; `None`: it is measured.
    pub precision: Option<Seconds>,
    /// `corrtimeratio`.
    pub corr_time_ratio: f64,
    /// `driftfile`.
    pub drift_file: Option<DriftFile>,
    /// `fallbackdrift`: shortest and longest interval, log2 seconds; `None` is off.
    pub fallback_drift: Option<(u32, u32)>,
    /// `makestep`; `None`: never.
    pub make_step: Option<MakeStep>,
    /// `maxchange`; `None` is off.
    pub max_change: Option<MaxChange>,
    /// `maxclockerror`, ppm.
    pub max_clock_error_ppm: f64,
    /// `maxdrift`, ppm, 0..=500000.
    pub max_drift_ppm: f64,
    /// `maxupdateskew`, ppm, not negative.
    pub max_update_skew_ppm: f64,
    /// `maxslewrate`, ppm.
    pub max_slew_rate_ppm: f64,
    /// `tempcomp`.
    pub temp_comp: Option<TempComp>,
}

/// Largest frequency offset that is ever corrected, ppm.
pub const MAX_DRIFT_PPM: f64 = 500_000.0;

impl Default for Clock {
    fn default() -> Self {
        Self {
            precision: None,
            corr_time_ratio: 3.0,
            drift_file: None,
            fallback_drift: None,
            make_step: None,
            max_change: None,
            max_clock_error_ppm: 1.0,
            max_drift_ppm: MAX_DRIFT_PPM,
            max_update_skew_ppm: 1000.0,
            max_slew_rate_ppm: 1e6 / 12.0,
            temp_comp: None,
        }
    }
}

/// `driftfile`: where the frequency of the clock is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftFile {
    /// The file.
    pub path: PathBuf,
    /// Seconds between writes, may be negative (each update).
    pub interval_s: i32,
}

impl DriftFile {
    /// Seconds between writes unless given.
    pub const INTERVAL_S: i32 = 3600;
}

/// `leapsecmode`: who corrects a leap second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeapMode {
    /// The kernel, or the daemon by a step where the kernel cannot.
    #[default]
    System,
    /// The daemon by slewing.
    Slew,
    /// The daemon by a step.
    Step,
    /// Nobody.
    Ignore,
}

/// Directives about leap seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leap {
    /// `leapsecmode`.
    pub mode: LeapMode,
    /// `leapsectz`: a time zone that has leap seconds.
    pub timezone: Option<String>,
    /// `leapseclist`: a list of leap seconds; wins over the time zone.
    pub list: Option<PathBuf>,
}

/// `broadcast`: packets sent to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Seconds between packets, 1..=2^24.
    pub interval_s: u32,
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// `smoothtime`: smoothing of the served time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothTime {
    /// Largest frequency offset of the served time, ppm.
    pub max_freq_ppm: f64,
    /// Largest rate at which that changes, ppm per second.
    pub max_wander_ppm: f64,
    /// Smooth leap seconds only.
    pub leap_only: bool,
}

impl SmoothTime {
    /// Whether smoothing happens at all: both limits are positive.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.max_freq_ppm > 0.0 && self.max_wander_ppm > 0.0
    }
}

/// Directives about the NTP server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// `allow` and `deny` in their order.
    pub access: Vec<AccessRule>,
    /// `bindaddress`.
    pub bind_addresses: BindAddresses,
    /// `binddevice`.
    pub bind_device: Option<String>,
    /// `broadcast` lines.
    pub broadcasts: Vec<Broadcast>,
    /// `clientloglimit` as written, bytes; see [`Server::client_records`].
    pub client_log_limit: u64,
    /// `noclientlog`.
    pub no_client_log: bool,
    /// `local`; `None` is off.
    pub local: Option<LocalSpec>,
    /// `ntpsigndsocket`: directory of the signing service's socket.
    pub signd_dir: Option<PathBuf>,
    /// `port`; 0: never a server.
    pub port: u16,
    /// `ptpport`; 0 is off.
    pub ptp_port: u16,
    /// `ptpdomain`.
    pub ptp_domain: u8,
    /// `ratelimit`; `None` is off.
    pub rate_limit: Option<RateLimit>,
    /// `smoothtime`.
    pub smooth_time: Option<SmoothTime>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            access: Vec::new(),
            bind_addresses: BindAddresses::default(),
            bind_device: None,
            broadcasts: Vec::new(),
            client_log_limit: 524_288,
            no_client_log: false,
            local: None,
            signd_dir: None,
            port: 123,
            ptp_port: 0,
            ptp_domain: 123,
            rate_limit: None,
            smooth_time: None,
        }
    }
}

impl Server {
    /// Largest number of client records, a power of two from 16 to 2^24.
    ///
    /// The same number limits the timestamps saved for the interleaved mode.
    #[must_use]
    pub fn client_records(&self) -> u32 {
        // 1920 bytes for 16 records and their part of the timestamps.
        let slots = (self.client_log_limit / 1920).clamp(1, 1 << 20);
        16 << slots.ilog2()
    }
}

/// One `ntstrustedcerts` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCerts {
    /// The set the certificates belong to.
    pub set: u32,
    /// File or directory.
    pub path: PathBuf,
}

/// Directives about Network Time Security.
#[derive(Clone, Debug, PartialEq)]
pub struct Nts {
    /// `ntsaeads`: AEAD algorithms by decreasing priority.
    pub aeads: Vec<u32>,
    /// `ntsdumpdir`.
    pub dump_dir: Option<PathBuf>,
    /// `ntsrefresh`: longest time between key establishments of a source, seconds.
    pub refresh_s: u32,
    /// `ntstrustedcerts` lines.
    pub trusted_certs: Vec<TrustedCerts>,
    /// `nosystemcert`: leave the system's authorities out of set 0.
    pub no_system_cert: bool,
    /// `nocerttimecheck`: clock updates before certificate times are checked.
    pub no_cert_time_check: u32,
    /// `ntsport`.
    pub port: u16,
    /// `ntsservercert` files; each goes with the key of the same index.
    pub server_certs: Vec<PathBuf>,
    /// `ntsserverkey` files.
    pub server_keys: Vec<PathBuf>,
    /// `ntsprocesses`, 0..=1000; 0: in the main process.
    pub processes: u32,
    /// `maxntsconnections` per process, at least 1.
    pub max_connections: u32,
    /// `ntsntpserver`.
    pub ntp_server: Option<String>,
    /// `ntsrotate`: seconds between key rotations; 0: keys are managed elsewhere.
    pub rotate_s: u32,
    /// `ntsratelimit`; `None` is off.
    pub rate_limit: Option<RateLimit>,
}

impl Default for Nts {
    fn default() -> Self {
        Self {
            // AES-128-GCM-SIV, AES-SIV-CMAC-256.
            aeads: vec![30, 15],
            dump_dir: None,
            refresh_s: 2_419_200,
            trusted_certs: Vec::new(),
            no_system_cert: false,
            no_cert_time_check: 0,
            port: 4460,
            server_certs: Vec::new(),
            server_keys: Vec::new(),
            processes: 1,
            max_connections: 100,
            ntp_server: None,
            rotate_s: 604_800,
            rate_limit: None,
        }
    }
}

/// Commands that `opencommands` can allow over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpenCommand {
    /// `activity`.
    Activity,
    /// `authdata`; also opens the number of sources.
    AuthData,
    /// `clients`.
    Clients,
    /// `manual list`.
    Manual,
    /// `ntpdata`; also opens the number of sources.
    NtpData,
    /// `rtcdata`.
    RtcData,
    /// `selectdata`; also opens the number of sources.
    SelectData,
    /// `serverstats`.
    ServerStats,
    /// `smoothing`.
    Smoothing,
    /// `sourcename`.
    SourceName,
    /// `sources`; also opens the number of sources.
    Sources,
    /// `sourcestats`; also opens the number of sources.
    SourceStats,
    /// `tracking`.
    Tracking,
}

impl OpenCommand {
    /// All commands with the words that name them, in alphabetical order.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("activity", Self::Activity),
        ("authdata", Self::AuthData),
        ("clients", Self::Clients),
        ("manual", Self::Manual),
        ("ntpdata", Self::NtpData),
        ("rtcdata", Self::RtcData),
        ("selectdata", Self::SelectData),
        ("serverstats", Self::ServerStats),
        ("smoothing", Self::Smoothing),
        ("sourcename", Self::SourceName),
        ("sources", Self::Sources),
        ("sourcestats", Self::SourceStats),
        ("tracking", Self::Tracking),
    ];

    /// Commands open without the directive.
    pub const DEFAULT: [Self; 8] = [
        Self::Activity,
        Self::Manual,
        Self::RtcData,
        Self::Smoothing,
        Self::SourceName,
        Self::Sources,
        Self::SourceStats,
        Self::Tracking,
    ];

    /// Whether the command needs the number of sources, which is then open too.
    #[must_use]
    pub const fn opens_source_count(self) -> bool {
        matches!(
            self,
            Self::AuthData | Self::NtpData | Self::SelectData | Self::Sources | Self::SourceStats
        )
    }
}

/// Directives about monitoring and control.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// `cmdallow` and `cmddeny` in their order.
    pub access: Vec<AccessRule>,
    /// `bindcmdaddress` with an address.
    pub bind_addresses: BindAddresses,
    /// `bindcmdaddress` with a path: the Unix socket; `None` is none.
    pub socket: Option<PathBuf>,
    /// `bindcmddevice`.
    pub bind_device: Option<String>,
    /// `cmdport`; 0: no UDP sockets.
    pub port: u16,
    /// `opencommands`.
    pub open_commands: BTreeSet<OpenCommand>,
    /// `cmdratelimit`; `None` is off.
    pub rate_limit: Option<RateLimit>,
    /// `manual`: accept times from chronyc.
    pub manual: bool,
}

impl Default for Command {
    fn default() -> Self {
        Self {
            access: Vec::new(),
            bind_addresses: BindAddresses::LOOPBACK,
            socket: Some(PathBuf::from(DEFAULT_COMMAND_SOCKET)),
            bind_device: None,
            port: 323,
            open_commands: OpenCommand::DEFAULT.into(),
            rate_limit: None,
            manual: false,
        }
    }
}

/// Directives about the real-time clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Rtc {
    /// `hwclockfile`: says on its third line whether the clock keeps UTC.
    pub hwclock_file: Option<PathBuf>,
    /// `rtcautotrim`: error from which the clock is trimmed, seconds; 0 is off.
    pub auto_trim: Seconds,
    /// `rtcdevice`.
    pub device: PathBuf,
    /// `rtcfile`: keeps what is known of the clock's drift.
    pub file: Option<PathBuf>,
    /// `rtconutc`: the clock keeps UTC.
    pub on_utc: bool,
    /// `rtcsync`: the kernel copies the time to the clock.
    pub sync: bool,
}

impl Default for Rtc {
    fn default() -> Self {
        Self {
            hwclock_file: None,
            auto_trim: Seconds::ZERO,
            device: PathBuf::from(DEFAULT_RTC_DEVICE),
            file: None,
            on_utc: false,
            sync: false,
        }
    }
}

/// The log files that `log` enables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTypes {
    /// `measurements`.
    pub measurements: bool,
    /// `rawmeasurements`: measurements with rejected packets; implies `measurements`.
    pub raw_measurements: bool,
    /// `statistics`.
    pub statistics: bool,
    /// `tracking`.
    pub tracking: bool,
    /// `rtc`.
    pub rtc: bool,
    /// `refclocks`.
    pub refclocks: bool,
    /// `tempcomp`.
    pub tempcomp: bool,
    /// `selection`.
    pub selection: bool,
}

impl LogTypes {
    /// The words of `log`.
    pub const NAMES: [&'static str; 8] = [
        "measurements",
        "rawmeasurements",
        "refclocks",
        "rtc",
        "selection",
        "statistics",
        "tempcomp",
        "tracking",
    ];

    /// Enables what one word names; `None` if it names nothing.
    pub(crate) fn enable(&mut self, word: &[u8]) -> Option<()> {
        match word {
            b"measurements" => self.measurements = true,
            b"rawmeasurements" => {
                self.measurements = true;
                self.raw_measurements = true;
            }
            b"refclocks" => self.refclocks = true,
            b"rtc" => self.rtc = true,
            b"selection" => self.selection = true,
            b"statistics" => self.statistics = true,
            b"tempcomp" => self.tempcomp = true,
            b"tracking" => self.tracking = true,
            _ => return None,
        }
        Some(())
    }
}

/// `mailonchange`: whom to tell of a large correction.
#[derive(Clone, Debug, PartialEq)]
pub struct MailOnChange {
    /// The address.
    pub address: String,
    /// Corrections beyond this are told.
    pub threshold: Seconds,
}

/// Directives about logging.
#[derive(Clone, Debug, PartialEq)]
pub struct Logs {
    /// `log`.
    pub types: LogTypes,
    /// `logbanner`: entries between banners; 0 is never.
    pub banner: u32,
    /// `logchange`: clock errors beyond this are logged.
    pub change: Seconds,
    /// `logdir`.
    pub dir: Option<PathBuf>,
    /// `mailonchange`.
    pub mail_on_change: Option<MailOnChange>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            types: LogTypes::default(),
            banner: 32,
            change: Seconds(1.0),
            dir: None,
            mail_on_change: None,
        }
    }
}

/// Directives about hardware timestamping.
#[derive(Clone, Debug, PartialEq)]
pub struct HwTimestamps {
    /// `hwtimestamp` lines; see [`HwTimestamps::for_interface`].
    pub interfaces: Vec<HwTimestampSpec>,
    /// `hwtstimeout`: how long a response waits for the transmit timestamp.
    pub timeout: Seconds,
}

impl Default for HwTimestamps {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            timeout: Seconds(0.001),
        }
    }
}

impl HwTimestamps {
    /// The line that applies to an interface: the first that names it, else the first `*` line.
    #[must_use]
    pub fn for_interface(&self, name: &str) -> Option<&HwTimestampSpec> {
        let named = self
            .interfaces
            .iter()
            .find(|spec| spec.interface.as_deref() == Some(name));
        named.or_else(|| self.interfaces.iter().find(|spec| spec.interface.is_none()))
    }
}

/// Directives about the daemon as a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `keyfile`.
    pub key_file: Option<PathBuf>,
    /// `lock_all`: lock the memory.
    pub lock_all: bool,
    /// `pidfile`; `None` is none.
    pub pid_file: Option<PathBuf>,
    /// `sched_priority`, 0..=100; 0 is off, 100 is refused at start-up.
    pub sched_priority: u8,
    /// `user`.
    pub user: String,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            key_file: None,
            lock_all: false,
            pid_file: Some(PathBuf::from(DEFAULT_PID_FILE)),
            sched_priority: 0,
            user: DEFAULT_USER.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_records_are_a_power_of_two() {
        for (limit, want) in [
            (0, 16),
            (1919, 16),
            (2 * 1920 - 1, 16),
            (2 * 1920, 32),
            (524_288, 4096),
            (1920 << 20, 1 << 24),
            (u64::MAX, 1 << 24),
        ] {
            let server = Server {
                client_log_limit: limit,
                ..Server::default()
            };
            assert_eq!(server.client_records(), want, "{limit}");
        }
    }

    #[test]
    fn some_commands_need_the_number_of_sources() {
        let needing: Vec<&str> = OpenCommand::NAMES
            .iter()
            .filter(|(_, command)| command.opens_source_count())
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(
            needing,
            [
                "authdata",
                "ntpdata",
                "selectdata",
                "sources",
                "sourcestats"
            ]
        );
    }

    #[test]
    fn every_log_type_has_a_word() {
        for name in LogTypes::NAMES {
            let mut types = LogTypes::default();
            assert_eq!(types.enable(name.as_bytes()), Some(()));
            assert_ne!(types, LogTypes::default(), "{name}");
        }
        assert_eq!(LogTypes::default().enable(b"Tracking"), None);
    }
}
