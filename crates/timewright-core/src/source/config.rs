//! Options of one source, brought into their effective ranges (`ntp-engine.md` 2).

use crate::keys::Key;
use timewright_config::SelectOptions;
use timewright_time::Seconds;

/// Smallest and largest poll exponent.
pub const POLL_MIN: i32 = -7;
/// See [`POLL_MIN`].
pub const POLL_MAX: i32 = 24;
/// `presend` of peers: above every poll, so off.
const PRESEND_OFF: i32 = POLL_MAX + 1;

/// Whether a source is polled, as asked by a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Polled.
    Online,
    /// Not polled until told.
    Offline,
    /// Polled if there is a route to it (`onoffline`).
    MaybeOnline,
}

/// Options of one NTP source; the default is a bare `server` line.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct SourceConfig {
    /// Shortest poll interval, log2 seconds.
    pub minpoll: i32,
    /// Longest poll interval, log2 seconds.
    pub maxpoll: i32,
    /// Not polled until told.
    pub offline: bool,
    /// Go offline when a request cannot be sent.
    pub auto_offline: bool,
    /// A burst of requests when the source goes online.
    pub iburst: bool,
    /// A burst of requests at each poll above `minpoll`.
    pub burst: bool,
    /// Interleaved mode.
    pub xleave: bool,
    /// Adopt the server's reference id and stratum.
    pub copy: bool,
    /// Poll from which an extra request is sent ahead.
    pub presend: i32,
    /// Smallest stratum the source is given.
    pub minstratum: i32,
    /// Number of samples the poll adaptation aims at.
    pub polltarget: i32,
    /// Test A: largest delay.
    pub maxdelay: f64,
    /// Test B: largest ratio to the minimum delay; below 1 disables it.
    pub maxdelayratio: f64,
    /// Test C: largest ratio of the increase of the delay to the standard deviation.
    pub maxdelaydevratio: f64,
    /// Test C instead: quantile of the delay; 0 disables it.
    pub maxdelayquant: f64,
    /// Known minimum delay; 0 if unknown.
    pub mindelay: f64,
    /// Asymmetry of the jitter; above 0.5 it is estimated.
    pub asymmetry: f64,
    /// Added to every measured offset.
    pub offset: Seconds,
    /// Length of the median filter; 0 disables it.
    pub filter: u32,
    /// Fewest samples kept; -1 takes the global value.
    pub minsamples: i32,
    /// Most samples kept; -1 takes the global value.
    pub maxsamples: i32,
    /// Polls an unreachable source may stay selectable.
    pub maxunreach: i32,
    /// NTP version of requests; `None` chooses.
    pub version: Option<u8>,
    /// Send and use the mono/root extension field.
    pub mono_root: bool,
    /// Send and use the experimental network correction extension field.
    pub net_correction: bool,
    /// Send and use the registered one.
    pub net_correction_10a: bool,
    /// Pools: how many sources to use.
    pub maxsources: u32,
    /// How the source is authenticated (`key`, `nts`).
    pub auth: AuthMethod,
    /// Selection options.
    pub select: SelectOptions,
}

/// How a source is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMethod {
    /// Not at all.
    #[default]
    None,
    /// By a symmetric key, by its number.
    Key(u32),
    /// By Network Time Security.
    Nts,
}

impl AuthMethod {
    /// What the options `key` and `nts` ask for; `nts` wins.
    #[must_use]
    pub const fn new(key: Option<u32>, nts: bool) -> Self {
        match key {
            _ if nts => Self::Nts,
            Some(id) => Self::Key(id),
            None => Self::None,
        }
    }

    /// Whether there is any.
    #[must_use]
    pub const fn is_some(self) -> bool {
        !matches!(self, Self::None)
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            minpoll: 6,
            maxpoll: 10,
            offline: false,
            auto_offline: false,
            iburst: false,
            burst: false,
            xleave: false,
            copy: false,
            presend: 100,
            minstratum: 0,
            polltarget: 8,
            maxdelay: 3.0,
            maxdelayratio: 0.0,
            maxdelaydevratio: 10.0,
            maxdelayquant: 0.0,
            mindelay: 0.0,
            asymmetry: 1.0,
            offset: Seconds::ZERO,
            filter: 0,
            minsamples: -1,
            maxsamples: -1,
            maxunreach: 100_000,
            version: None,
            mono_root: false,
            net_correction: false,
            net_correction_10a: false,
            maxsources: 4,
            auth: AuthMethod::None,
            select: SelectOptions::default(),
        }
    }
}

impl From<&timewright_config::SourceOptions> for SourceConfig {
    /// The options as written; [`SourceConfig::effective`] moves them into their ranges.
    fn from(options: &timewright_config::SourceOptions) -> Self {
        let signed = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        Self {
            minpoll: options.minpoll,
            maxpoll: options.maxpoll,
            offline: options.offline,
            auto_offline: options.auto_offline,
            iburst: options.iburst,
            burst: options.burst,
            xleave: options.xleave,
            copy: options.copy,
            presend: options.presend,
            minstratum: options.minstratum.into(),
            polltarget: signed(options.polltarget),
            maxdelay: options.maxdelay,
            maxdelayratio: options.maxdelayratio,
            maxdelaydevratio: options.maxdelaydevratio,
            maxdelayquant: options.maxdelayquant,
            mindelay: options.mindelay,
            asymmetry: options.asymmetry,
            offset: Seconds(options.offset),
            filter: options.filter,
            minsamples: options.minsamples.map_or(-1, signed),
            maxsamples: options.maxsamples.map_or(-1, signed),
            maxunreach: signed(options.maxunreach),
            version: options.version,
            mono_root: options.extfields.mono_root,
            net_correction: options.extfields.net_correction,
            net_correction_10a: options.extfields.net_correction_10a,
            maxsources: options.maxsources,
            auth: AuthMethod::new(options.key, options.nts),
            select: options.select,
        }
    }
}

impl SourceConfig {
    /// The options with every value moved into its range; peers lose what they have no use for.
    #[must_use]
    pub fn effective(mut self, peer: bool) -> Self {
        let defaults = Self::default();
        self.minpoll = effective_poll(self.minpoll, defaults.minpoll);
        self.maxpoll = effective_poll(self.maxpoll, defaults.maxpoll).max(self.minpoll);
        if peer {
            self.presend = self.presend.max(PRESEND_OFF);
            self.copy = false;
            self.iburst = false;
            self.burst = false;
        }
        self.minstratum = self.minstratum.min(15);
        self.polltarget = self.polltarget.max(1);
        self.maxdelay = clamp(self.maxdelay, 1e3);
        self.maxdelayratio = clamp(self.maxdelayratio, 1e6);
        self.maxdelaydevratio = clamp(self.maxdelaydevratio, 1e6);
        self.maxdelayquant = if self.maxdelayquant > 0.0 {
            // Quantiles are estimated in hundredths.
            (self.maxdelayquant.clamp(0.05, 0.95) * 100.0).round() / 100.0
        } else {
            0.0
        };
        self.filter = self.filter.min(256);
        self.version = self.version.map(|v| v.clamp(1, 4));
        self.maxsources = self.maxsources.clamp(1, 16);
        self
    }

    /// NTP version of requests. Without a configured one it is 4, or 3 if only that has room for
    /// the code of the `key` and nothing needs version 4 (`auth-nts.md` 1.3).
    #[must_use]
    pub fn request_version(&self, key: Option<&Key>) -> u8 {
        let needs_4 =
            self.xleave || self.mono_root || self.net_correction || self.net_correction_10a;
        self.version.unwrap_or_else(|| match key {
            Some(key) if !needs_4 => key.packet_version(),
            _ => 4,
        })
    }
}

/// Polls that are too short give the default, too long ones the longest.
fn effective_poll(poll: i32, default: i32) -> i32 {
    if poll < POLL_MIN {
        default
    } else {
        poll.min(POLL_MAX)
    }
}

/// 0..=`max`; a NaN becomes 0.
pub(crate) fn clamp(value: f64, max: f64) -> f64 {
    value.max(0.0).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_moved_into_range() {
        for ((minpoll, maxpoll), want) in [
            ((6, 10), (6, 10)),
            ((-7, -7), (-7, -7)),
            ((-8, -8), (6, 10)),
            ((25, 3), (24, 24)),
            ((8, 5), (8, 8)),
        ] {
            let config = SourceConfig {
                minpoll,
                maxpoll,
                ..SourceConfig::default()
            };
            let got = config.effective(false);
            assert_eq!((got.minpoll, got.maxpoll), want, "{minpoll} {maxpoll}");
        }
    }

    #[test]
    fn peers_have_neither_presend_nor_bursts_nor_copy() {
        let config = SourceConfig {
            presend: 6,
            iburst: true,
            burst: true,
            copy: true,
            ..SourceConfig::default()
        };
        let peer = config.clone().effective(true);
        assert_eq!(
            (peer.presend, peer.iburst, peer.burst, peer.copy),
            (25, false, false, false)
        );
        let client = config.effective(false);
        assert_eq!(
            (client.presend, client.iburst, client.burst, client.copy),
            (6, true, true, true)
        );
    }

    #[test]
    fn limits_of_the_tests_are_clamped() {
        let config = SourceConfig {
            maxdelay: 1e9,
            maxdelayratio: f64::NAN,
            maxdelaydevratio: -1.0,
            maxdelayquant: 0.99,
            minstratum: 16,
            polltarget: 0,
            maxsources: 100,
            filter: 300,
            version: Some(9),
            ..SourceConfig::default()
        }
        .effective(false);
        let limits = [
            config.maxdelay,
            config.maxdelayratio,
            config.maxdelaydevratio,
            config.maxdelayquant,
        ];
        for (got, want) in limits.into_iter().zip([1e3, 0.0, 0.0, 0.95]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        assert_eq!(
            (config.minstratum, config.polltarget, config.maxsources),
            (15, 1, 16)
        );
        assert_eq!((config.filter, config.request_version(None)), (256, 4));
    }
}
