//! Outcome of a request (`control-protocol.md` 13).

use crate::field::codes;

codes! {
    /// Outcome of a request, in the header of every reply.
    pub enum Status: u16 {
        /// Done.
        Success = 0,
        /// It was tried and failed.
        Failed = 1,
        /// Not permitted on this transport.
        Unauthorised = 2,
        /// Unknown or retired command, or a selector without meaning.
        Invalid = 3,
        /// No source has this address or index.
        NoSuchSource = 4,
        /// Retired.
        StaleLogon = 5,
        /// The facility is off in the configuration.
        NotEnabled = 6,
        /// Prefix length out of range, or no address family to apply it to.
        BadSubnet = 7,
        /// Answer to an access check: allowed. Counts as success.
        AccessAllowed = 8,
        /// Answer to an access check: denied. Counts as success.
        AccessDenied = 9,
        /// Retired.
        NoHostAccess = 10,
        /// The address is in use by a source.
        SourceAlreadyKnown = 11,
        /// No room for another source.
        TooManySources = 12,
        /// No real-time clock is tracked.
        NoRtc = 13,
        /// The RTC file could not be written.
        BadRtcFile = 14,
        /// Client logging is off.
        Inactive = 15,
        /// No manual sample has this index.
        BadSample = 16,
        /// The address contradicts the family asked for.
        InvalidFamily = 17,
        /// The daemon does not speak this version.
        BadPacketVersion = 18,
        /// The request is shorter than its command requires.
        BadPacketLength = 19,
        /// The source name cannot be used.
        InvalidName = 21,
    } else Other
}

impl Status {
    /// Whether a client takes it for success.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(
            self,
            Self::Success | Self::AccessAllowed | Self::AccessDenied
        )
    }

    /// The line a client prints, without line end.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Success => "200 OK",
            Self::Failed => "500 Failure",
            Self::Unauthorised => "501 Not authorised",
            Self::Invalid => "502 Invalid command",
            Self::NoSuchSource => "503 No such source",
            Self::StaleLogon => "504 Duplicate or stale logon detected",
            Self::NotEnabled => "505 Facility not enabled in daemon",
            Self::BadSubnet => "507 Bad subnet",
            Self::AccessAllowed => "208 Access allowed",
            Self::AccessDenied => "209 Access denied",
            Self::NoHostAccess => "510 No command access from this host",
            Self::SourceAlreadyKnown => "511 Source already present",
            Self::TooManySources => "512 Too many sources present",
            Self::NoRtc => "513 RTC driver not running",
            Self::BadRtcFile => "514 Can't write RTC parameters",
            Self::Inactive => "519 Client logging is not active in the daemon",
            Self::BadSample => "516 Sample index out of range",
            Self::InvalidFamily => "515 Invalid address family",
            Self::BadPacketVersion => "517 Protocol version mismatch",
            Self::BadPacketLength => "518 Packet length mismatch",
            Self::InvalidName => "521 Invalid name",
            Self::Other(_) => "520 Got unexpected error from daemon",
        }
    }
}
