//! The seam to the keys: who judges authenticated requests and seals the responses.

use crate::keys::KeyRing;
use timewright_wire::{AuthMode, BuildError, Packet, PacketBuilder, refid};

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

/// What the server has to authenticate with. Any symmetric key authenticates a request, and its
/// response (`auth-nts.md` 1.4). What claims to be authenticated in another way, or is not
/// genuine, is not answered.
#[derive(Clone, Copy, Debug)]
pub struct ServerKeys<'a> {
    /// Symmetric keys.
    pub ring: &'a KeyRing,
    /// Whether there is an MS-SNTP signing service.
    pub signing: bool,
}

impl Authenticator for ServerKeys<'_> {
    fn check(&mut self, request: &Packet<'_>) -> Claim {
        match (request.auth, &request.mac) {
            (AuthMode::Symmetric, Some(mac)) => {
                let key = self.ring.get(mac.key_id);
                let version = request.header.version;
                if key.is_some_and(|key| key.verify(request.bytes(), version, mac)) {
                    Claim::Genuine
                } else {
                    Claim::Refused
                }
            }
            (AuthMode::MsSntp, Some(_)) if self.signing => Claim::ToBeSigned,
            _ => Claim::Refused,
        }
    }

    fn seal(
        &mut self,
        request: &Packet<'_>,
        _kiss: Option<Kiss>,
        reply: &mut PacketBuilder<'_>,
    ) -> Result<(), BuildError> {
        let key = request.mac.and_then(|mac| self.ring.get(mac.key_id));
        key.ok_or(BuildError::NoRoom { len: 0 })?
            .seal(request.header.version, reply)
    }
}
