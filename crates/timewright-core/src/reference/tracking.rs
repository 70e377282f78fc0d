//! What the world is told about the reference: `tracking.log` and the tracking report
//! (`discipline.md` 8.15, 8.16).

use super::Leap;
use std::fmt;
use std::net::IpAddr;
use timewright_time::text::{Exp, Fixed, Utc};
use timewright_time::{Cooked, Seconds, Timestamp};

/// The source the reference follows, as logs print it: an address, or a reference id as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceName {
    /// An NTP source, or `0.0.0.0` while unsynchronised.
    Address(IpAddr),
    /// A reference clock or manual input.
    Id(u32),
}

impl fmt::Display for ReferenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.pad(&address.to_string()),
            Self::Id(id) => f.pad(&ref_id_text(*id)),
        }
    }
}

/// The printable characters of a reference id.
#[must_use]
pub fn ref_id_text(id: u32) -> String {
    id.to_be_bytes()
        .into_iter()
        .filter(|b| (0x20..0x7f).contains(b))
        .map(char::from)
        .collect()
}

/// The letter logs print for a leap indicator.
#[must_use]
pub const fn leap_letter(leap: Leap) -> char {
    match leap {
        Leap::Normal => 'N',
        Leap::Insert => '+',
        Leap::Delete => '-',
        Leap::Unsynchronised => '?',
    }
}

/// A line of `tracking.log`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackingRecord {
    /// Cooked time of the update, before it was applied.
    pub time: Timestamp<Cooked>,
    /// Whom we follow.
    pub name: ReferenceName,
    /// Our stratum; 0 while unsynchronised.
    pub stratum: u8,
    /// Absolute frequency.
    pub frequency_ppm: f64,
    /// Its uncertainty.
    pub skew_ppm: f64,
    /// Offset of the update; positive: the clock was fast.
    pub offset: Seconds,
    /// Our leap indicator.
    pub leap: Leap,
    /// Number of sources combined.
    pub combined: u32,
    /// Uncertainty of the offset.
    pub offset_sd: Seconds,
    /// Correction that was still to be slewed before the update.
    pub remaining_correction: Seconds,
    /// Root delay.
    pub root_delay: Seconds,
    /// Root dispersion.
    pub root_dispersion: Seconds,
    /// Bound of the clock's error before the update.
    pub max_error: Seconds,
}

impl TrackingRecord {
    /// Banner of `tracking.log`.
    pub const BANNER: &'static str = concat!(
        "   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L Co  ",
        "Offset sd Rem. corr. Root delay Root disp. Max. error"
    );
}

impl fmt::Display for TrackingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = |s: Seconds| Exp(s.0, 3);
        write!(
            f,
            "{} {:<15} {:>2} {:>10} {:>10} {:>10} {} {:>2} {:>10} {:>10} {:>10} {:>10} {:>10}",
            Utc::from_unix(self.time.sec()).log_stamp(),
            self.name,
            self.stratum,
            Fixed(self.frequency_ppm, 3),
            Fixed(self.skew_ppm, 3),
            e(self.offset),
            leap_letter(self.leap),
            self.combined,
            e(self.offset_sd),
            e(self.remaining_correction),
            e(self.root_delay),
            e(self.root_dispersion),
            e(self.max_error),
        )
    }
}

/// What the tracking report shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackingReport {
    /// Reference id.
    pub ref_id: u32,
    /// Address of the NTP source followed, while synchronised to one.
    pub address: Option<IpAddr>,
    /// Our stratum; 0 while unsynchronised.
    pub stratum: u8,
    /// Our leap indicator.
    pub leap: Leap,
    /// Time of the last update.
    pub ref_time: Timestamp<Cooked>,
    /// What is still to be added to the system clock.
    pub current_correction: Seconds,
    /// Offset of the last update; positive: the clock was fast.
    pub last_offset: Seconds,
    /// Long-term average of the offsets.
    pub rms_offset: Seconds,
    /// Absolute frequency; positive: the uncorrected clock is fast.
    pub frequency_ppm: f64,
    /// Frequency of the sources not yet taken over.
    pub residual_frequency_ppm: f64,
    /// Uncertainty of the frequency.
    pub skew_ppm: f64,
    /// Root delay.
    pub root_delay: Seconds,
    /// Root dispersion.
    pub root_dispersion: Seconds,
    /// Time between the last two updates.
    pub last_update_interval: Seconds,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn record_and_banner() {
        // Lines of daemon-and-files.md 12.1.
        let record = TrackingRecord {
            time: Timestamp::from_parts(1_262_304_010, 999),
            name: ReferenceName::Address(Ipv4Addr::UNSPECIFIED.into()),
            stratum: 0,
            frequency_ppm: 0.0,
            skew_ppm: 1e6,
            offset: Seconds::ZERO,
            leap: Leap::Unsynchronised,
            combined: 0,
            offset_sd: Seconds::ZERO,
            remaining_correction: Seconds::ZERO,
            root_delay: Seconds(1.0),
            root_dispersion: Seconds(1.0),
            max_error: Seconds(1.5),
        };
        assert_eq!(
            record.to_string(),
            "2010-01-01 00:00:10 0.0.0.0          0      0.000 1000000.000  0.000e+00 ?  0  \
             0.000e+00  0.000e+00  1.000e+00  1.000e+00  1.500e+00"
        );
        let record = TrackingRecord {
            time: Timestamp::from_parts(1_262_304_140, 0),
            name: ReferenceName::Address(Ipv4Addr::new(192, 168, 123, 3).into()),
            stratum: 2,
            frequency_ppm: 100.241,
            skew_ppm: 391.813,
            offset: Seconds(10.01),
            leap: Leap::Normal,
            combined: 1,
            offset_sd: Seconds(4.045e-5),
            remaining_correction: Seconds(3.494e-10),
            root_delay: Seconds(2.146e-4),
            root_dispersion: Seconds(4.183e-3),
            max_error: Seconds(1.5),
        };
        assert_eq!(
            record.to_string(),
            "2010-01-01 00:02:20 192.168.123.3    2    100.241    391.813  1.001e+01 N  1  \
             4.045e-05  3.494e-10  2.146e-04  4.183e-03  1.500e+00"
        );
        assert_eq!(TrackingRecord::BANNER.len(), 131);
    }

    #[test]
    fn names() {
        for (name, want) in [
            (ReferenceName::Id(0x4D41_4E55), "MANU"),
            (ReferenceName::Id(0x5050_5300), "PPS"),
            (ReferenceName::Id(0), ""),
        ] {
            assert_eq!(name.to_string(), want);
        }
        assert_eq!(
            format!("{:<15}|", ReferenceName::Id(0x4750_5300)),
            "GPS            |"
        );
    }

    #[test]
    fn leap_letters() {
        let leaps = [
            Leap::Normal,
            Leap::Insert,
            Leap::Delete,
            Leap::Unsynchronised,
        ];
        assert_eq!(leaps.map(leap_letter), ['N', '+', '-', '?']);
    }
}
