//! What reports of sources show (`ntpdata`, `activity`).

use crate::output::StampSource;
use crate::source::measure::Tests;
use std::net::IpAddr;
use timewright_time::{NtpTimestamp, Seconds};
use timewright_wire::{Leap, Mode};

/// Data of the last valid response of a source, and its counters.
#[derive(Clone, Debug, PartialEq)]
pub struct NtpReport {
    /// Our address used towards the source, once known.
    pub local: Option<IpAddr>,
    /// Leap indicator of the response.
    pub leap: Leap,
    /// Its version; 0 before the first.
    pub version: u8,
    /// Its mode.
    pub mode: Mode,
    /// Its stratum.
    pub stratum: u8,
    /// Its poll, log2 seconds.
    pub poll: i8,
    /// Its precision, log2 seconds.
    pub precision: i8,
    /// Root delay.
    pub root_delay: Seconds,
    /// Root dispersion.
    pub root_dispersion: Seconds,
    /// Reference id.
    pub refid: u32,
    /// Reference time, as in the packet.
    pub reference_time: NtpTimestamp,
    /// Offset, positive when the local clock is slow.
    pub offset: Seconds,
    /// Round-trip delay.
    pub peer_delay: Seconds,
    /// Dispersion.
    pub peer_dispersion: Seconds,
    /// Time the source took to answer.
    pub response_time: Seconds,
    /// Asymmetry of the jitter, -0.5..=0.5.
    pub jitter_asymmetry: f64,
    /// Which tests passed.
    pub tests: Tests,
    /// Whether the response was interleaved.
    pub interleaved: bool,
    /// Whether the response was authenticated.
    pub authenticated: bool,
    /// Who stamped the request; `None` before the first response.
    pub tx_source: Option<StampSource>,
    /// Who stamped the response.
    pub rx_source: Option<StampSource>,
    /// Requests sent.
    pub total_tx: u32,
    /// Packets received.
    pub total_rx: u32,
    /// Of these, valid responses.
    pub total_valid: u32,
    /// Of these, good ones.
    pub total_good: u32,
    /// Kernel transmit time stamps received.
    pub kernel_tx: u32,
    /// Packets with a kernel receive time stamp.
    pub kernel_rx: u32,
    /// Hardware transmit time stamps received.
    pub hardware_tx: u32,
    /// Packets with a hardware receive time stamp.
    pub hardware_rx: u32,
}

impl Default for NtpReport {
    fn default() -> Self {
        Self {
            local: None,
            leap: Leap::Normal,
            version: 0,
            mode: Mode::Undefined,
            stratum: 0,
            poll: 0,
            precision: 0,
            root_delay: Seconds::ZERO,
            root_dispersion: Seconds::ZERO,
            refid: 0,
            reference_time: NtpTimestamp::ZERO,
            offset: Seconds::ZERO,
            peer_delay: Seconds::ZERO,
            peer_dispersion: Seconds::ZERO,
            response_time: Seconds::ZERO,
            jitter_asymmetry: 0.0,
            tests: Tests::default(),
            interleaved: false,
            authenticated: false,
            tx_source: None,
            rx_source: None,
            total_tx: 0,
            total_rx: 0,
            total_valid: 0,
            total_good: 0,
            kernel_tx: 0,
            kernel_rx: 0,
            hardware_tx: 0,
            hardware_rx: 0,
        }
    }
}

/// How many sources are in which operating mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Polled.
    pub online: u32,
    /// Not polled.
    pub offline: u32,
    /// In a burst, polled afterwards.
    pub burst_online: u32,
    /// In a burst, not polled afterwards.
    pub burst_offline: u32,
    /// Without an address.
    pub unresolved: u32,
}
