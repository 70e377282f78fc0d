//! Monitoring and control (`config.md` 4.5).

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{BindAddresses, DEFAULT_COMMAND_SOCKET};
use crate::access::AccessRule;
use crate::ratelimit::RateLimit;

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
