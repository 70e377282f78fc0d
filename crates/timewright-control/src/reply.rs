//! Replies: their codes, what they carry and how it is laid out
//! (`control-protocol.md` 2.2, 11 and 12).

mod payload;

pub use payload::{
    Activity, AuthData, AuthMode, CLIENTS_MAX, ClientAccess, Clients, MANUAL_SAMPLES_MAX,
    ManualSample, ManualSamples, ManualTimestamp, NtpData, RtcReport, SelectData, ServerStats,
    Smoothing, SmoothingFlags, SourceData, SourceMode, SourceName, SourceState, SourceStats,
    TestFlags, Tracking,
};

use crate::field::{DecodeError, Field, Reader, Writer};
use crate::{REPLY_HEADER, Status, VERSION};

/// Packet type of a reply.
pub(crate) const TYPE: u8 = 2;

macro_rules! replies {
    ($( $(#[$meta:meta])* $code:literal $name:ident $(($payload:ty))? : $len:literal; )*) => {
        /// What a reply carries, in number form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ReplyCode {
            $( $(#[$meta])* $name, )*
            /// A code not in use here.
            Other(u16),
        }

        impl ReplyCode {
            /// From the number on the wire.
            #[must_use]
            pub const fn from_code(code: u16) -> Self {
                match code { $( $code => Self::$name, )* other => Self::Other(other) }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $( Self::$name => $code, )* Self::Other(code) => code }
            }

            /// Length of the whole reply; 0 if not known.
            #[must_use]
            pub const fn wire_len(self) -> usize {
                match self {
                    $( Self::$name => REPLY_HEADER $( + <$payload as Field>::SIZE )?, )*
                    Self::Other(_) => 0,
                }
            }
        }

        $( const _: () = assert!(ReplyCode::$name.wire_len() == $len); )*

        /// What a reply carries.
        #[derive(Clone, Debug, PartialEq)]
        pub enum ReplyData {
            $( $(#[$meta])* $name $(($payload))?, )*
            /// A code not in use here; only ever received.
            Other(u16),
        }

        impl ReplyData {
            /// Its number form.
            #[must_use]
            pub const fn code(&self) -> ReplyCode {
                match self {
                    $( Self::$name { .. } => ReplyCode::$name, )*
                    Self::Other(code) => ReplyCode::Other(*code),
                }
            }

            fn put(&self, to: &mut Writer) {
                match self {
                    $( Self::$name $((bound!(payload: $payload)))? => {
                        $( <$payload as Field>::put(payload, to); )?
                    } )*
                    Self::Other(_) => {}
                }
            }

            pub(crate) fn take(code: ReplyCode, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(match code {
                    $( ReplyCode::$name => Self::$name $((<$payload as Field>::take(from)?))?, )*
                    ReplyCode::Other(code) => Self::Other(code),
                })
            }
        }
    };
}

/// Names the binding for a payload in a pattern that exists only if there is a payload.
macro_rules! bound {
    ($name:ident : $payload:ty) => {
        $name
    };
}

replies! {
    /// Nothing but the status.
    1 Null: 28;
    /// Number of sources, including those without address.
    2 SourceCount(u32): 32;
    /// A source.
    3 SourceData(SourceData): 76;
    /// State of the system clock.
    5 Tracking(Tracking): 104;
    /// Statistics of a source.
    6 SourceStats(SourceStats): 84;
    /// State of the real-time clock.
    7 RtcReport(RtcReport): 56;
    /// Numbers of sources by activity.
    12 Activity(Activity): 48;
    /// State of time smoothing.
    13 Smoothing(Smoothing): 52;
    /// What a manual input did.
    17 ManualTimestamp(ManualTimestamp): 40;
    /// The manual samples.
    18 ManualList(ManualSamples): 416;
    /// Name of a source.
    19 SourceName(SourceName): 284;
    /// State of authentication of a source.
    20 AuthData(AuthData): 52;
    /// A part of the table of clients.
    21 Clients(Clients): 520;
    /// How a source fared in selection.
    23 SelectData(SelectData): 76;
    /// Counters of the server.
    25 ServerStats(Box<ServerStats>): 196;
    /// The last valid measurement of a source.
    26 NtpData(Box<NtpData>): 172;
}

/// A reply: the status and, on success of a report, the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Outcome.
    pub status: Status,
    /// What was asked for; [`ReplyData::Null`] for commands and errors.
    pub data: ReplyData,
}

impl Reply {
    /// Done, nothing to say.
    pub const OK: Self = Self::status(Status::Success);

    /// A status and nothing else.
    #[must_use]
    pub const fn status(status: Status) -> Self {
        Self {
            status,
            data: ReplyData::Null,
        }
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Self {
        Self::status(status)
    }
}

impl From<ReplyData> for Reply {
    fn from(data: ReplyData) -> Self {
        Self {
            status: Status::Success,
            data,
        }
    }
}

/// The header of a reply (`control-protocol.md` 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u8,
    pub(crate) packet_type: u8,
    pub(crate) reserved: [u8; 2],
    pub(crate) command: u16,
    pub(crate) code: ReplyCode,
    pub(crate) status: Status,
    pub(crate) sequence: u32,
}

impl Field for Header {
    const SIZE: usize = REPLY_HEADER;

    fn put(&self, to: &mut Writer) {
        to.bytes(&[self.version, self.packet_type]);
        to.bytes(&self.reserved);
        self.command.put(to);
        self.code.code().put(to);
        self.status.put(to);
        to.fill(6, 0);
        self.sequence.put(to);
        to.fill(8, 0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::take(from)?;
        let packet_type = u8::take(from)?;
        let reserved = from.array()?;
        let command = u16::take(from)?;
        let code = u16::take(from).map(ReplyCode::from_code)?;
        let status = Status::take(from)?;
        from.skip(6)?;
        let sequence = u32::take(from)?;
        from.skip(8)?;
        Ok(Self {
            version,
            packet_type,
            reserved,
            command,
            code,
            status,
            sequence,
        })
    }
}

/// The bytes of a reply to the request with this command code and sequence number.
#[must_use]
pub fn encode(reply: &Reply, command: u16, sequence: u32) -> Vec<u8> {
    let header = Header {
        version: VERSION,
        packet_type: TYPE,
        reserved: [0; 2],
        command,
        code: reply.data.code(),
        status: reply.status,
        sequence,
    };
    let mut to = Writer::default();
    header.put(&mut to);
    reply.data.put(&mut to);
    to.finish()
}

#[cfg(test)]
mod tests;
