//! Time sources on the client side and their selection (`config.md` 4.1 and 4.2).

use std::path::PathBuf;

use timewright_time::Seconds;

use super::BindAddresses;
use crate::source::SampleLimits;

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
    /// `maxstratum`: largest stratum of a selectable source.
    pub max_stratum: u32,
    /// `minsources`: least number of selectable sources, at least 1.
    pub min_sources: u32,
    /// `minstratum`: smallest stratum of a selectable source (the directive; the option of the
    /// same name raises the stratum of one source).
    pub min_stratum: u32,
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
            max_stratum: 15,
            min_sources: 1,
            min_stratum: 0,
            reselect_distance: Seconds(1e-4),
            stratum_weight: Seconds(1e-3),
        }
    }
}
