//! Lines of `measurements.log`.

use crate::output::StampSource;
use crate::source::SourceAddress;
use crate::source::measure::Tests;
use std::fmt;
use timewright_time::text::{Exp, Fixed, Utc};
use timewright_time::{Cooked, Seconds, Timestamp};
use timewright_wire::{Leap, Mode};

/// The banner of `measurements.log`.
pub const MEASUREMENTS_BANNER: &str = "   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    Offset  Peer del. Peer disp.  Root del. Root disp. Refid     MTxRx";

/// One response as `measurements.log` shows it (`ntp-engine.md` 5.5).
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementRecord {
    /// Time of the sample, or when the response came if there is none.
    pub time: Timestamp<Cooked>,
    /// Whose.
    pub address: SourceAddress,
    /// Leap indicator of the packet.
    pub leap: Leap,
    /// Its stratum.
    pub stratum: u8,
    /// Which tests passed.
    pub tests: Tests,
    /// Our poll after the response was processed.
    pub local_poll: i32,
    /// Poll of the packet.
    pub remote_poll: i8,
    /// Poll score after the response was processed.
    pub score: f64,
    /// Offset, positive when the local clock is slow.
    pub offset: Seconds,
    /// Round-trip delay.
    pub peer_delay: Seconds,
    /// Dispersion.
    pub peer_dispersion: Seconds,
    /// Root delay of the packet.
    pub root_delay: Seconds,
    /// Root dispersion of the packet.
    pub root_dispersion: Seconds,
    /// Reference id of the packet.
    pub refid: u32,
    /// Mode of the packet.
    pub mode: Mode,
    /// Whether it was interleaved.
    pub interleaved: bool,
    /// Who made the transmit time used.
    pub tx_source: StampSource,
    /// Who made the receive time used.
    pub rx_source: StampSource,
}

const fn leap_char(leap: Leap) -> char {
    match leap {
        Leap::Normal => 'N',
        Leap::Insert => '+',
        Leap::Delete => '-',
        Leap::Unsynchronised => '?',
    }
}

impl fmt::Display for MeasurementRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [t1, t2, t3, t5, t6, t7, a, b, c, d] = self.tests.in_order().map(u8::from);
        write!(
            f,
            "{} {:<15} {} {:2} {t1}{t2}{t3} {t5}{t6}{t7} {a}{b}{c}{d}  {:2} {:2} {:>4} {:>10} \
             {:>10} {:>10} {:>10} {:>10} {:08X} {}{} {} {}",
            Utc::from_unix(self.time.sec()).log_stamp(),
            self.address.to_string(),
            leap_char(self.leap),
            self.stratum,
            self.local_poll,
            self.remote_poll,
            Fixed(self.score, 2),
            Exp(self.offset.0, 3),
            Exp(self.peer_delay.0, 3),
            Exp(self.peer_dispersion.0, 3),
            Exp(self.root_delay.0, 3),
            Exp(self.root_dispersion.0, 3),
            self.refid,
            self.mode.bits(),
            if self.interleaved { 'I' } else { 'B' },
            self.tx_source.letter(),
            self.rx_source.letter(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_columns_of_the_banner() {
        let record = MeasurementRecord {
            time: Timestamp::from_parts(1_262_304_010, 999_999_999),
            address: SourceAddress::Ip("192.168.123.1".parse().unwrap()),
            leap: Leap::Normal,
            stratum: 1,
            tests: Tests { a: false, ..all() },
            local_poll: 6,
            remote_poll: -6,
            score: 0.25,
            offset: Seconds(-3.227e-6),
            peer_delay: Seconds(2.0e-4),
            peer_dispersion: Seconds(1.5e-7),
            root_delay: Seconds(0.0),
            root_dispersion: Seconds(1.526e-5),
            refid: 0x7f7f_0101,
            mode: Mode::Server,
            interleaved: true,
            tx_source: StampSource::Kernel,
            rx_source: StampSource::Daemon,
        };
        let want = "2010-01-01 00:00:10 192.168.123.1   N  1 111 111 0111   6 -6 0.25 -3.227e-06  \
                    2.000e-04  1.500e-07  0.000e+00  1.526e-05 7F7F0101 4I K D";
        assert_eq!(record.to_string(), want);
    }

    fn all() -> Tests {
        Tests {
            t1: true,
            t2: true,
            t3: true,
            t5: true,
            t6: true,
            t7: true,
            a: true,
            b: true,
            c: true,
            d: true,
        }
    }
}
