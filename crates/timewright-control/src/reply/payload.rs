//! Payloads of replies, in the order of their fields on the wire (`control-protocol.md` 12).

use crate::field::{DecodeError, Field, Reader, Writer, codes, flags, record};
use crate::request::SelectFlags;
use crate::{Address, Timespec};

/// Room for a source name.
const NAME_ROOM: usize = crate::request::Name::SIZE;

codes! {
    /// State of a source in selection, as `chronyc sources` shows it.
    pub enum SourceState: u16 {
        /// The clock follows it.
        Selected = 0,
        /// It cannot be selected.
        NonSelectable = 1,
        /// It disagrees with the majority.
        Falseticker = 2,
        /// Its measurements vary too much.
        Jittery = 3,
        /// Combined with the selected one.
        Combined = 4,
        /// It could be selected, but is not combined.
        Selectable = 5,
    } else Other
}

codes! {
    /// Kind of a source.
    pub enum SourceMode: u16 {
        /// A server.
        Client = 0,
        /// A peer.
        Peer = 1,
        /// A reference clock.
        RefClock = 2,
    } else Other
}

record! {
    /// A source.
    pub struct SourceData: 48 bytes {
        /// Its address; of a reference clock the reference ID as IPv4 address.
        address: Address,
        /// Polling interval, log2 s.
        poll: i16,
        /// Stratum; 0 without samples.
        stratum: u16,
        /// How selection sees it.
        state: SourceState,
        /// Its kind.
        mode: SourceMode,
        /// Always 0.
        flags: u16,
        /// Reachability register, 8 bits.
        reachability: u16,
        /// Seconds since the last sample; [`u32::MAX`]: none.
        since_sample: u32,
        /// Offset of the last sample as measured, s.
        original_offset: f64,
        /// The same with later changes of the clock applied, s. Positive: our clock is ahead.
        adjusted_offset: f64,
        /// Root delay / 2 + root dispersion of that sample, s.
        error: f64,
    }
}

record! {
    /// State of the system clock.
    pub struct Tracking: 76 bytes {
        /// Reference ID.
        refid: u32,
        /// Address of the selected NTP source, else unspecified.
        address: Address,
        /// Stratum; 0 if not synchronised.
        stratum: u16,
        /// Leap: 0 normal, 1 insert, 2 delete, 3 not synchronised.
        leap: u16,
        /// Last update.
        reference_time: Timespec,
        /// Offset still to be slewed, s. Positive: the clock is slow.
        current_correction: f64,
        /// Offset of the last update, s.
        last_offset: f64,
        /// Long-term average of the offset, s.
        rms_offset: f64,
        /// Frequency error, ppm. Positive: the clock would run fast.
        frequency_ppm: f64,
        /// Residual frequency, ppm.
        residual_frequency_ppm: f64,
        /// Skew, ppm.
        skew_ppm: f64,
        /// Root delay, s.
        root_delay: f64,
        /// Root dispersion, s.
        root_dispersion: f64,
        /// Time between the last two updates, s.
        update_interval: f64,
    }
}

record! {
    /// Statistics of a source.
    pub struct SourceStats: 56 bytes {
        /// Reference ID.
        refid: u32,
        /// Its address; unspecified for reference clocks.
        address: Address,
        /// Number of samples.
        samples: u32,
        /// Number of runs of residuals with the same sign.
        runs: u32,
        /// Time between first and last sample, s.
        span: u32,
        /// Standard deviation, s.
        std_dev: f64,
        /// Residual frequency, ppm.
        residual_frequency_ppm: f64,
        /// Skew, ppm.
        skew_ppm: f64,
        /// Estimated offset, s.
        offset: f64,
        /// Its error bound, s.
        offset_error: f64,
    }
}

record! {
    /// State of the real-time clock.
    pub struct RtcReport: 28 bytes {
        /// Last measurement.
        reference_time: Timespec,
        /// Number of samples.
        samples: u16,
        /// Number of runs of residuals with the same sign.
        runs: u16,
        /// Time between first and last sample, s.
        span: u32,
        /// How much the RTC is ahead, s.
        fast_by: f64,
        /// How much it gains, ppm.
        gain_ppm: f64,
    }
}

record! {
    /// Numbers of sources by activity.
    pub struct Activity: 20 bytes {
        /// On-line.
        online: i32,
        /// Off-line.
        offline: i32,
        /// In a burst, then on-line.
        burst_online: i32,
        /// In a burst, then off-line.
        burst_offline: i32,
        /// Without address.
        unresolved: i32,
    }
}

flags! {
    /// State of time smoothing.
    pub struct SmoothingFlags: u32 {
        /// In use.
        const ACTIVE = 0x1;
        /// For leap seconds only.
        const LEAP_ONLY = 0x2;
    }
}

record! {
    /// State of time smoothing.
    pub struct Smoothing: 24 bytes {
        /// State.
        flags: SmoothingFlags,
        /// Offset of served time, s.
        offset: f64,
        /// Its frequency, ppm.
        frequency_ppm: f64,
        /// Its wander, ppm per second.
        wander_ppm: f64,
        /// Time since the last update, s.
        last_update_ago: f64,
        /// Time until it ends, s.
        remaining: f64,
    }
}

record! {
    /// What a manual input did.
    pub struct ManualTimestamp: 12 bytes {
        /// Offset found, s. Positive: the clock was fast.
        offset: f64,
        /// Change of frequency, ppm.
        frequency_change_ppm: f64,
        /// Frequency now, ppm.
        frequency_ppm: f64,
    }
}

/// Manual samples kept.
pub const MANUAL_SAMPLES_MAX: usize = 16;

record! {
    /// A manual sample.
    pub struct ManualSample: 24 bytes {
        /// When it was entered.
        when: Timespec,
        /// Offset with later changes of the clock applied, s.
        slewed_offset: f64,
        /// Offset as entered, s.
        original_offset: f64,
        /// Distance from the regression line, s.
        residual: f64,
    }
}

/// The manual samples, at most [`MANUAL_SAMPLES_MAX`]; more are not sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManualSamples(pub Vec<ManualSample>);

impl Field for ManualSamples {
    const SIZE: usize = u32::SIZE + MANUAL_SAMPLES_MAX * ManualSample::SIZE;

    fn put(&self, to: &mut Writer) {
        put_table(&self.0, MANUAL_SAMPLES_MAX, to);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        take_table(MANUAL_SAMPLES_MAX, from).map(Self)
    }
}

/// The count, the rows and zeros for the rows that are not there.
fn put_table<T: Field>(rows: &[T], max: usize, to: &mut Writer) {
    let rows = rows.get(..max).unwrap_or(rows);
    u32::try_from(rows.len()).unwrap_or(u32::MAX).put(to);
    for row in rows {
        row.put(to);
    }
    to.fill((max - rows.len()) * T::SIZE, 0);
}

fn take_table<T: Field>(max: usize, from: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
    let count = usize::try_from(u32::take(from)?).unwrap_or(max).min(max);
    let rows = (0..count)
        .map(|_| T::take(from))
        .collect::<Result<_, _>>()?;
    from.skip((max - count) * T::SIZE)?;
    Ok(rows)
}

/// The name of a source as configured, cut to 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName(Vec<u8>);

impl SourceName {
    /// The name to send.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let bytes = name.as_bytes();
        Self(bytes.get(..NAME_ROOM).unwrap_or(bytes).to_vec())
    }

    /// The text, unless it fills its field or has a character that is not graphic ASCII.
    #[must_use]
    pub fn usable(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.0).ok()?;
        (text.len() < NAME_ROOM && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
    }
}

impl Field for SourceName {
    const SIZE: usize = NAME_ROOM;

    fn put(&self, to: &mut Writer) {
        to.bytes(&self.0);
        to.fill(NAME_ROOM - self.0.len(), 0);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let room: [u8; NAME_ROOM] = from.array()?;
        Ok(Self(
            room.split(|byte| *byte == 0)
                .next()
                .unwrap_or_default()
                .to_vec(),
        ))
    }
}

codes! {
    /// How packets of a source are authenticated.
    pub enum AuthMode: u16 {
        /// Not at all.
        None = 0,
        /// With a shared key.
        Symmetric = 1,
        /// With Network Time Security.
        Nts = 2,
    } else Other
}

record! {
    /// State of authentication of a source.
    pub struct AuthData: 24 bytes {
        /// Mechanism.
        mode: AuthMode,
        /// Number of the hash or cipher; with NTS that of the AEAD. 0 while there is no key.
        key_type: u16,
        /// Key ID; with NTS the number of key establishments.
        key_id: u32,
        /// Key length, bits.
        key_length: u16,
        /// NTS-KE attempts since the last that worked.
        ke_attempts: u16,
        /// Seconds since the last NTS-KE that worked; [`u32::MAX`]: none.
        last_ke_ago: u32,
        /// Cookies held.
        cookies: u16,
        /// Length of a cookie, bytes.
        cookie_length: u16,
        /// 1 if the last response was an NTS NAK.
        nak: u16 => zeros(2),
    }
}

/// Clients in one reply.
pub const CLIENTS_MAX: usize = 8;

record! {
    /// A client of the server. Intervals are log2 s, 127 if unknown; times since are seconds,
    /// [`u32::MAX`] for never.
    pub struct ClientAccess: 60 bytes {
        /// Its address.
        address: Address,
        /// NTP requests.
        ntp_hits: u32,
        /// NTS-KE connections.
        nke_hits: u32,
        /// Control requests.
        cmd_hits: u32,
        /// NTP requests dropped.
        ntp_drops: u32,
        /// NTS-KE connections dropped.
        nke_drops: u32,
        /// Control requests dropped.
        cmd_drops: u32,
        /// Average NTP interval.
        ntp_interval: i8,
        /// Average NTS-KE interval.
        nke_interval: i8,
        /// Average control interval.
        cmd_interval: i8,
        /// Average NTP interval when the request before had no reply.
        ntp_timeout_interval: i8,
        /// Since the last NTP request.
        last_ntp_ago: u32,
        /// Since the last NTS-KE connection.
        last_nke_ago: u32,
        /// Since the last control request.
        last_cmd_ago: u32,
    }
}

/// A part of the table of clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clients {
    /// Size of the whole table.
    pub table_size: u32,
    /// Where to go on.
    pub next_index: u32,
    /// The clients, at most [`CLIENTS_MAX`]; more are not sent.
    pub clients: Vec<ClientAccess>,
}

impl Field for Clients {
    const SIZE: usize = 3 * u32::SIZE + CLIENTS_MAX * ClientAccess::SIZE;

    fn put(&self, to: &mut Writer) {
        self.table_size.put(to);
        self.next_index.put(to);
        put_table(&self.clients, CLIENTS_MAX, to);
    }

    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            table_size: u32::take(from)?,
            next_index: u32::take(from)?,
            clients: take_table(CLIENTS_MAX, from)?,
        })
    }
}

record! {
    /// How a source fared in selection.
    pub struct SelectData: 48 bytes {
        /// Reference ID.
        refid: u32,
        /// Its address; unspecified for reference clocks.
        address: Address,
        /// State, an ASCII character.
        state: u8,
        /// Whether its packets are authenticated.
        authenticated: bool,
        /// Leap, 0..=3.
        leap: u8 => zeros(1),
        /// Options as configured.
        configured: SelectFlags,
        /// Options after `authselectmode`.
        effective: SelectFlags,
        /// Seconds since the last sample.
        last_sample_ago: u32,
        /// Score against the selected source.
        score: f64,
        /// Lower end of the interval of offset, s.
        low_limit: f64,
        /// Upper end, s.
        high_limit: f64,
    }
}

record! {
    /// Counters of the server since its start.
    pub struct ServerStats: 168 bytes {
        /// NTP requests.
        ntp_hits: u64,
        /// NTS-KE connections.
        nke_hits: u64,
        /// Control requests, this one included.
        cmd_hits: u64,
        /// NTP requests dropped.
        ntp_drops: u64,
        /// NTS-KE connections dropped.
        nke_drops: u64,
        /// Control requests dropped.
        cmd_drops: u64,
        /// Client records replaced.
        log_drops: u64,
        /// Authenticated NTP requests.
        ntp_auth_hits: u64,
        /// Interleaved NTP requests.
        ntp_interleaved_hits: u64,
        /// NTP timestamps held.
        ntp_timestamps: u64,
        /// Time they span, s.
        ntp_span: u64,
        /// Receive timestamps by the daemon.
        daemon_rx: u64,
        /// Transmit timestamps by the daemon.
        daemon_tx: u64,
        /// Receive timestamps by the kernel.
        kernel_rx: u64,
        /// Transmit timestamps by the kernel.
        kernel_tx: u64,
        /// Receive timestamps by hardware.
        hardware_rx: u64,
        /// Transmit timestamps by hardware.
        hardware_tx: u64 => ones(32),
    }
}

flags! {
    /// Results of the tests of the last packet, and its kind. A set bit is a passed test.
    pub struct TestFlags: u16 {
        /// The ten tests 1, 2, 3, 5, 6, 7, A, B, C, D from bit 9 down to bit 0.
        const TESTS = 0x3ff;
        /// Interleaved mode.
        const INTERLEAVED = 0x4000;
        /// Authenticated.
        const AUTHENTICATED = 0x8000;
    }
}

record! {
    /// The last valid measurement of a source.
    pub struct NtpData: 144 bytes {
        /// Its address.
        remote_address: Address,
        /// Our address; unspecified before the first response.
        local_address: Address,
        /// Its port.
        remote_port: u16,
        /// Leap of the packet.
        leap: u8,
        /// Version of the packet.
        version: u8,
        /// Mode of the packet; 0 before the first response.
        mode: u8,
        /// Stratum of the packet.
        stratum: u8,
        /// Poll of the packet, log2 s.
        poll: i8,
        /// Precision, log2 s.
        precision: i8,
        /// Root delay, s.
        root_delay: f64,
        /// Root dispersion, s.
        root_dispersion: f64,
        /// Reference ID.
        refid: u32,
        /// Reference time.
        reference_time: Timespec,
        /// Offset, s. Positive: our clock is slow, opposite to [`SourceData`].
        offset: f64,
        /// Delay, s.
        peer_delay: f64,
        /// Dispersion, s.
        peer_dispersion: f64,
        /// Time the server took, s.
        response_time: f64,
        /// Asymmetry of jitter, -0.5..=0.5.
        jitter_asymmetry: f64,
        /// Tests and kind.
        flags: TestFlags,
        /// Source of the transmit timestamp: `D`, `K`, `H`, 0 for none.
        tx_source: u8,
        /// Source of the receive timestamp.
        rx_source: u8,
        /// Packets sent.
        total_tx: u32,
        /// Packets received.
        total_rx: u32,
        /// Valid packets received.
        total_valid_rx: u32,
        /// Packets received that passed all tests.
        total_good_rx: u32,
        /// Transmit timestamps by the kernel.
        total_kernel_tx: u32,
        /// Receive timestamps by the kernel.
        total_kernel_rx: u32,
        /// Transmit timestamps by hardware.
        total_hardware_tx: u32,
        /// Receive timestamps by hardware.
        total_hardware_rx: u32 => ones(16),
    }
}
