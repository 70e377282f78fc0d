//! What is asked of the table and what it answers: new sources, choices among them, outcomes.

use crate::event::Severity;
use crate::output::FamilyFilter;
use crate::source::{SourceAddress, SourceConfig};
use std::net::IpAddr;
use thiserror::Error;

/// What a line of the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// One server.
    Server,
    /// A symmetric peer.
    Peer,
    /// Several servers with one name.
    Pool,
}

/// A source to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSource {
    /// Name or address.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// UDP port.
    pub port: u16,
    /// Families its name may resolve to.
    pub families: FamilyFilter,
    /// Options; ranges are applied when it is added.
    pub config: SourceConfig,
}

/// Names what one addition made, for removal: a source, or all of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfId(pub u32);

/// A successful addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Names it.
    pub conf: ConfId,
    /// The name has to be resolved first ("Unresolved name").
    pub unresolved: bool,
}

/// Why a source was not added; the texts are those of the log.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AddError {
    /// There is a source with this address.
    #[error("Already in use")]
    AlreadyInUse,
    /// The table is full.
    #[error("Too many sources")]
    TooManySources,
    /// An address of the wrong family.
    #[error("Invalid address")]
    InvalidAddress,
    /// A name with other than visible ASCII characters.
    #[error("Invalid name")]
    InvalidName,
}

/// Where a change comes from; decides how loud its message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file, or the program itself.
    Config,
    /// A command or a `.sources` file.
    Command,
}

impl Origin {
    /// Severity of messages.
    pub(crate) const fn severity(self) -> Severity {
        match self {
            Self::Config => Severity::Debug,
            Self::Command => Severity::Info,
        }
    }
}

/// Which sources a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceMatch {
    /// All.
    All,
    /// Those whose address equals this one where the mask has ones. A mask of the other family
    /// means all bits.
    Masked {
        /// The address.
        address: IpAddr,
        /// The mask.
        mask: IpAddr,
    },
    /// One unresolved source.
    Unresolved(u32),
}

impl SourceMatch {
    /// Whether a source with this address is meant.
    #[must_use]
    pub fn matches(self, address: SourceAddress) -> bool {
        match (self, address) {
            (Self::All, _) => true,
            (Self::Unresolved(id), SourceAddress::Unresolved(other)) => id == other,
            (Self::Masked { address, mask }, SourceAddress::Ip(ip)) => match (address, mask, ip) {
                (IpAddr::V4(a), IpAddr::V4(m), IpAddr::V4(ip)) => {
                    (a.to_bits() ^ ip.to_bits()) & m.to_bits() == 0
                }
                (IpAddr::V6(a), IpAddr::V6(m), IpAddr::V6(ip)) => {
                    (a.to_bits() ^ ip.to_bits()) & m.to_bits() == 0
                }
                _ => address == ip,
            },
            _ => false,
        }
    }
}

/// Whether a packet was for a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// It was, and is done with.
    Taken,
    /// It was not: it may be for the server.
    Unknown,
}
