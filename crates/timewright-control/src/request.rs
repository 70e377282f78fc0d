//! Requests: the table of commands and the layouts of their payloads
//! (`control-protocol.md` 2.1, 9 and 10).

mod payload;

pub use payload::{
    AddSource, Burst, ClientsQuery, LocalReference, MakeStepRule, ManualMode, Name, NameError,
    SelectFlags, SelectOptions, SmoothAction, SourceFlags, SourceMask, SourceOffset, SourceRatio,
    SourceType, SourceValue, Subnet,
};

use crate::field::{DecodeError, Field, Reader, Writer};
use crate::{Address, REQUEST_HEADER, ReplyCode, Timespec, VERSION};

/// Packet type of a request.
pub(crate) const TYPE: u8 = 1;

/// Who may send a command (`control-protocol.md` 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Changes something: the Unix socket only.
    Change,
    /// Reports something, but never over UDP.
    ReportLocal,
    /// Reports something; over UDP only if `opencommands` names it.
    ReportOptional,
    /// Reports something; over UDP unless `opencommands` leaves it out.
    ReportOpen,
}

macro_rules! commands {
    ($(
        $(#[$meta:meta])*
        $code:literal $name:ident $(($payload:ty))? $(+ $spare:literal)? : $access:ident -> $reply:ident;
    )*) => {
        /// A command in use; codes not listed are retired or not assigned.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Command { $( $(#[$meta])* $name = $code, )* }

        impl Command {
            /// All commands in use, by code.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// From the code on the wire; `None` if it is retired or not assigned.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $( $code => Some(Self::$name), )* _ => None }
            }

            /// The code on the wire.
            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// Who may send it.
            #[must_use]
            pub const fn access(self) -> Access {
                match self { $( Self::$name => Access::$access, )* }
            }

            /// What a successful reply carries.
            #[must_use]
            pub const fn reply(self) -> ReplyCode {
                match self { $( Self::$name => ReplyCode::$reply, )* }
            }

            /// Length of the payload without padding.
            #[must_use]
            pub const fn payload_len(self) -> usize {
                match self {
                    $( Self::$name => 0 $(+ <$payload as Field>::SIZE)? $(+ $spare)?, )*
                }
            }
        }

        /// A request: a command and what it acts on.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request { $( $(#[$meta])* $name $(($payload))?, )* }

        impl Request {
            /// Which command it is.
            #[must_use]
            pub const fn command(&self) -> Command {
                match self { $( Self::$name { .. } => Command::$name, )* }
            }

            fn put_payload(&self, to: &mut Writer) {
                match self {
                    $( Self::$name $((bound!(payload: $payload)))? => {
                        $( <$payload as Field>::put(payload, to); )?
                        $( to.fill($spare, 0); )?
                    } )*
                }
            }

            pub(crate) fn take_payload(command: Command, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(match command {
                    $( Command::$name => Self::$name $((<$payload as Field>::take(from)?))?, )*
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

commands! {
    /// Let sources be polled.
    1 Online(SourceMask): Change -> Null;
    /// Stop polling sources.
    2 Offline(SourceMask): Change -> Null;
    /// Take a rapid set of samples.
    3 Burst(Burst): Change -> Null;
    /// Set the minimum poll of a source, log2 s.
    4 ModifyMinPoll(SourceValue): Change -> Null;
    /// Set the maximum poll of a source, log2 s.
    5 ModifyMaxPoll(SourceValue): Change -> Null;
    /// Write measurements, cookies and server keys to their files.
    6 Dump + 4: Change -> Null;
    /// Set the maximum delay of a source, s.
    7 ModifyMaxDelay(SourceRatio): Change -> Null;
    /// Set the maximum ratio of delay to minimum delay of a source.
    8 ModifyMaxDelayRatio(SourceRatio): Change -> Null;
    /// Set the skew above which the frequency is not updated, ppm.
    9 ModifyMaxUpdateSkew(f64): Change -> Null;
    /// Tell the daemon what time it is.
    11 SetTime(Timespec): Change -> ManualTimestamp;
    /// Switch manual input.
    13 Manual(ManualMode): Change -> Null;
    /// How many sources there are.
    14 SourceCount: ReportOpen -> SourceCount;
    /// A source, by index.
    15 SourceData(u32): ReportOpen -> SourceData;
    /// Read the key file again.
    16 Rekey: Change -> Null;
    /// Serve a subnet.
    17 Allow(Subnet): Change -> Null;
    /// Serve a subnet and all subnets of it.
    18 AllowAll(Subnet): Change -> Null;
    /// Do not serve a subnet.
    19 Deny(Subnet): Change -> Null;
    /// Do not serve a subnet or any subnet of it.
    20 DenyAll(Subnet): Change -> Null;
    /// Answer commands from a subnet.
    21 CommandAllow(Subnet): Change -> Null;
    /// Answer commands from a subnet and all subnets of it.
    22 CommandAllowAll(Subnet): Change -> Null;
    /// Do not answer commands from a subnet.
    23 CommandDeny(Subnet): Change -> Null;
    /// Do not answer commands from a subnet or any subnet of it.
    24 CommandDenyAll(Subnet): Change -> Null;
    /// Whether an address is served; the answer is the status.
    25 AccessCheck(Address): ReportLocal -> Null;
    /// Whether the commands of an address are answered; the answer is the status.
    26 CommandAccessCheck(Address): ReportLocal -> Null;
    /// Remove a source.
    29 DeleteSource(Address): Change -> Null;
    /// Write the RTC file.
    30 WriteRtc: Change -> Null;
    /// Change the frequency of the clock, ppm.
    31 ChangeFrequency(f64): Change -> Null;
    /// State of the system clock.
    33 Tracking: ReportOpen -> Tracking;
    /// Statistics of a source, by index.
    34 SourceStats(u32): ReportOpen -> SourceStats;
    /// State of the real-time clock.
    35 RtcReport: ReportOpen -> RtcReport;
    /// Set the real-time clock from the system clock.
    36 TrimRtc: Change -> Null;
    /// Close the log files and open them again.
    37 CycleLogs: Change -> Null;
    /// The manual samples.
    41 ManualList: ReportOpen -> ManualList;
    /// Forget a manual sample, by index.
    42 ManualDelete(i32): Change -> Null;
    /// Step the clock now.
    43 MakeStep: Change -> Null;
    /// How many sources are on-line, off-line, ...
    44 Activity: ReportOpen -> Activity;
    /// Set the minimum stratum of a source.
    45 ModifyMinStratum(SourceValue): Change -> Null;
    /// Set the number of samples the poll of a source is adapted to.
    46 ModifyPollTarget(SourceValue): Change -> Null;
    /// Set the maximum ratio of delay to its deviation of a source.
    47 ModifyMaxDelayDevRatio(SourceRatio): Change -> Null;
    /// Select anew.
    48 Reselect: Change -> Null;
    /// Set the distance that makes another source win, s.
    49 ReselectDistance(f64): Change -> Null;
    /// Set when the clock is stepped.
    50 ModifyMakeStep(MakeStepRule): Change -> Null;
    /// State of time smoothing.
    51 Smoothing: ReportOpen -> Smoothing;
    /// Control time smoothing.
    52 SmoothTime(SmoothAction): Change -> Null;
    /// Resolve names again.
    53 Refresh: Change -> Null;
    /// Counters of the server.
    54 ServerStats: ReportOptional -> ServerStats;
    /// The last valid measurement of a source.
    57 NtpData(Address): ReportOptional -> NtpData;
    /// End the daemon.
    62 Shutdown: Change -> Null;
    /// Put sources on-line or off-line as routes to them exist.
    63 OnOffline: Change -> Null;
    /// Add a source.
    64 AddSource(Box<AddSource>): Change -> Null;
    /// The name a source was configured with.
    65 SourceName(Address): ReportOpen -> SourceName;
    /// Drop all measurements.
    66 ResetSources: Change -> Null;
    /// State of authentication of a source.
    67 AuthData(Address): ReportOptional -> AuthData;
    /// Clients of the server, by index.
    68 Clients(ClientsQuery): ReportOptional -> Clients;
    /// How a source fared in selection, by index.
    69 SelectData(u32): ReportOptional -> SelectData;
    /// Read the source files again.
    70 ReloadSources: Change -> Null;
    /// Shift the clock, s; positive: it is fast by so much.
    71 ChangeOffset(f64): Change -> Null;
    /// Change selection options of a source.
    72 ModifySelectOptions(SelectOptions): Change -> Null;
    /// Change the offset correction of a source.
    73 ModifyOffset(SourceOffset): Change -> Null;
    /// Switch the local reference.
    74 Local(LocalReference): Change -> Null;
}

impl Command {
    /// Length of a request in version 6: as long as the reply it may cause, so that the
    /// service is of no use for amplification (`control-protocol.md` 4).
    #[must_use]
    pub const fn request_len(self) -> usize {
        let request = REQUEST_HEADER + self.payload_len();
        let reply = self.reply().wire_len();
        if request > reply { request } else { reply }
    }
}

// The longest request made here must be one a daemon reads.
const _: () = assert!(Command::Clients.request_len() <= crate::REQUEST_MAX);
const _: () = assert!(Command::AddSource.request_len() <= crate::REQUEST_MAX);

/// The header of a request (`control-protocol.md` 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u8,
    pub(crate) packet_type: u8,
    pub(crate) reserved: [u8; 2],
    pub(crate) command: u16,
    pub(crate) attempt: u16,
    pub(crate) sequence: u32,
}

impl Field for Header {
    const SIZE: usize = REQUEST_HEADER;

    fn put(&self, to: &mut Writer) {
        to.bytes(&[self.version, self.packet_type]);
        to.bytes(&self.reserved);
        self.command.put(to);
        self.attempt.put(to);
        self.sequence.put(to);
        to.fill(8, 0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = Self {
            version: u8::take(from)?,
            packet_type: u8::take(from)?,
            reserved: from.array()?,
            command: u16::take(from)?,
            attempt: u16::take(from)?,
            sequence: u32::take(from)?,
        };
        from.skip(8)?;
        Ok(header)
    }
}

/// The bytes of a request. Version 6 is padded to [`Command::request_len`], older ones are not.
#[must_use]
pub fn encode(request: &Request, version: u8, attempt: u16, sequence: u32) -> Vec<u8> {
    let command = request.command();
    let header = Header {
        version,
        packet_type: TYPE,
        reserved: [0; 2],
        command: command.code(),
        attempt,
        sequence,
    };
    let mut to = Writer::default();
    header.put(&mut to);
    request.put_payload(&mut to);
    if version >= VERSION {
        to.pad_to(command.request_len());
    }
    to.finish()
}

#[cfg(test)]
mod tests;
