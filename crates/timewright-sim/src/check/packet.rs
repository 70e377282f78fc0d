//! Fields of NTP packets as an observer of the network reads them, apart from the code under test.

/// Length of the header.
pub(super) const LEN: usize = 48;
/// Where the time stamps are.
pub(super) const ORIGIN: usize = 24;
pub(super) const RECEIVE: usize = 32;
pub(super) const TRANSMIT: usize = 40;

pub(super) const MODE_CLIENT: u8 = 3;
pub(super) const MODE_SERVER: u8 = 4;

/// Leap status of a clock that is not synchronised.
pub(super) const LEAP_UNSYNCHRONISED: u8 = 3;
/// Reference id of a kiss that asks for fewer requests.
pub(super) const RATE: u32 = u32::from_be_bytes(*b"RATE");
/// Reference id of a local reference: 127.127.1.1.
pub(super) const LOCAL: u32 = 0x7f7f_0101;
/// Reference id of smoothed time: 127.127.1.255.
pub(super) const SMOOTHED: u32 = 0x7f7f_01ff;

/// What a packet says about the clock it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) leap: u8,
    pub(super) version: u8,
    pub(super) mode: u8,
    pub(super) stratum: u8,
    pub(super) root_delay_s: f64,
    pub(super) root_dispersion_s: f64,
    pub(super) ref_id: u32,
}

impl Claim {
    /// `None`: too short.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let &[first, stratum, ..] = packet.get(..LEN)? else {
            return None;
        };
        let word = |at: usize| {
            let bytes = packet.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map_or(0, u32::from_be_bytes)
        };
        let seconds = |at: usize| f64::from(word(at)) / 65_536.0;
        Some(Self {
            leap: first >> 6,
            version: first >> 3 & 7,
            mode: first & 7,
            stratum,
            root_delay_s: seconds(4),
            root_dispersion_s: seconds(8),
            ref_id: word(12),
        })
    }

    /// Half the delay to the primary source and the dispersion.
    pub(super) fn distance_s(&self) -> f64 {
        self.root_delay_s / 2.0 + self.root_dispersion_s
    }
}

/// A time stamp; zero if there is none.
pub(super) fn field(packet: &[u8], at: usize) -> u64 {
    packet
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}

/// Receive time and name of the scale in the first extension field of a packet, if that is the
/// experimental one (type 0xF323) and tells any.
pub(super) fn steady_receive(packet: &[u8]) -> Option<(u64, u32)> {
    const TYPE: [u8; 2] = [0xf3, 0x23];
    let name = packet.get(LEN + 24..LEN + 28)?;
    let receive = field(packet, LEN + 16);
    let has = packet.get(LEN..LEN + 2) == Some(&TYPE) && receive != 0;
    has.then_some((receive, u32::from_be_bytes(name.try_into().ok()?)))
}

/// Seconds from one time stamp to a later one, modulo an era.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "differences are small, in units of 2^-32 s"
)]
pub(super) fn seconds_between(earlier: u64, later: u64) -> f64 {
    later.wrapping_sub(earlier) as i64 as f64 / 4_294_967_296.0
}
