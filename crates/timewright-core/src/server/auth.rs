//! The seam to the keys: who judges authenticated requests and seals the responses.

use timewright_wire::{BuildError, Packet, PacketBuilder, refid};

/// What a check of a request that claims to be authenticated found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is what it claims to be.
    Genuine,
    /// It cannot be checked here: the response is to be signed by the MS-SNTP service.
    ToBeSigned,
    /// Its NTS cookie or authenticator is of no use; the client is told.
    Nak,
    /// It is not answered.
    Refused,
}

/// Why a response tells the client to change its ways instead of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kiss {
    /// It asks too often.
    Rate,
    /// It needs new NTS cookies.
    NtsNak,
}

impl Kiss {
    /// The code in the reference id.
    #[must_use]
    pub const fn ref_id(self) -> u32 {
        match self {
            Self::Rate => refid::KISS_RATE,
            Self::NtsNak => refid::KISS_NTSN,
        }
    }
}

/// Knows keys. Called only for packets with [`timewright_wire::AuthMode`] `Symmetric`, `MsSntp`
/// or `Nts`.
pub trait Authenticator {
    /// Judges a request.
    fn check(&mut self, request: &Packet<'_>) -> Claim;

    /// Adds to a response what authenticates it the way its request was: NTS fields or a MAC.
    /// To a NAK only what the client needs to recognise it. Called for the request that was
    /// checked last, unless the response is to be signed elsewhere.
    ///
    /// # Errors
    /// If it does not fit; the request is then not answered.
    fn seal(
        &mut self,
        request: &Packet<'_>,
        kiss: Option<Kiss>,
        reply: &mut PacketBuilder<'_>,
    ) -> Result<(), BuildError>;
}

/// A server without any keys: what claims to be authenticated is not answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl Authenticator for NoKeys {
    fn check(&mut self, _request: &Packet<'_>) -> Claim {
        Claim::Refused
    }

    fn seal(
        &mut self,
        _request: &Packet<'_>,
        _kiss: Option<Kiss>,
        _reply: &mut PacketBuilder<'_>,
    ) -> Result<(), BuildError> {
        Err(BuildError::NoRoom { len: 0 })
    }
}
