//! The NTP server and Network Time Security (`config.md` 4.1 and 4.4).

use std::net::IpAddr;
use std::path::PathBuf;

use super::BindAddresses;
use crate::access::AccessRule;
use crate::local::LocalSpec;
use crate::ratelimit::RateLimit;

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

/// `smoothtime`: smoothing of the served time; off unless both limits are positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothTime {
    /// Largest frequency offset of the served time, ppm.
    pub max_freq_ppm: f64,
    /// Largest rate at which that changes, ppm per second.
    pub max_wander_ppm: f64,
    /// Smooth leap seconds only.
    pub leap_only: bool,
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
    /// `clientloglimit` as written, bytes.
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
