//! What broken servers and devices on a path make of responses.

use crate::random::SimRng;

/// Responses are spoilt on their way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spoil {
    /// How many of them, 0..1.
    pub share: f64,
    /// In what way.
    pub fault: Fault,
    /// How much their receive and transmit times are moved besides, seconds.
    pub shift_s: f64,
}

/// A way in which a response is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Leap status "unsynchronised".
    Leap,
    /// Another stratum.
    Stratum(u8),
    /// This root delay, seconds.
    RootDelay(f64),
    /// This root dispersion, seconds.
    RootDispersion(f64),
    /// Another version.
    Version(u8),
    /// Another mode.
    Mode(u8),
    /// It is sent so many seconds later than the request was received.
    Held(f64),
    /// A `RATE` kiss.
    Kiss,
    /// No receive time.
    NoReceive,
    /// No transmit time.
    NoTransmit,
    /// An origin time that nobody sent.
    Origin,
    /// It follows whom it is sent to: reference id of that, stratum 2.
    Loop(u32),
    /// Nothing but the times is wrong.
    Times,
}

const LEN: usize = 48;
const MODE_SERVER: u8 = 4;
const ROOT_DELAY: usize = 4;
const ROOT_DISPERSION: usize = 8;
const REFERENCE_ID: usize = 12;
const ORIGIN: usize = 24;
const RECEIVE: usize = 32;
const TRANSMIT: usize = 40;

impl Spoil {
    /// Spoils the packet if it is a response and its turn. Returns how much later it leaves, s.
    pub(crate) fn apply(&self, bytes: &mut [u8], rng: &mut SimRng) -> f64 {
        let first = bytes.first().copied().unwrap_or(0);
        if bytes.len() < LEN || first & 7 != MODE_SERVER || !rng.chance(self.share) {
            return 0.0;
        }
        move_time(bytes, RECEIVE, self.shift_s);
        move_time(bytes, TRANSMIT, self.shift_s);
        match self.fault {
            Fault::Leap => put(bytes, 0, &[first | 0xc0]),
            Fault::Stratum(stratum) => put(bytes, 1, &[stratum]),
            Fault::RootDelay(s) => put(bytes, ROOT_DELAY, &short(s)),
            Fault::RootDispersion(s) => put(bytes, ROOT_DISPERSION, &short(s)),
            Fault::Version(version) => put(bytes, 0, &[first & 0xc7 | version << 3]),
            Fault::Mode(mode) => put(bytes, 0, &[first & 0xf8 | mode]),
            Fault::Held(s) => {
                move_time(bytes, TRANSMIT, s);
                return s;
            }
            Fault::Kiss => {
                put(bytes, 0, &[first | 0xc0, 0]);
                put(bytes, REFERENCE_ID, b"RATE");
            }
            Fault::NoReceive => put(bytes, RECEIVE, &[0; 8]),
            Fault::NoTransmit => put(bytes, TRANSMIT, &[0; 8]),
            Fault::Origin => move_time(bytes, ORIGIN, 1.0),
            Fault::Loop(id) => {
                put(bytes, 1, &[2]);
                put(bytes, REFERENCE_ID, &id.to_be_bytes());
            }
            Fault::Times => {}
        }
        0.0
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(field) = bytes.get_mut(at..at + new.len()) {
        field.copy_from_slice(new);
    }
}

/// Seconds as 16.16 bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
fn short(s: f64) -> [u8; 4] {
    ((s * 65_536.0) as u32).to_be_bytes()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "shifts are some seconds, in units of 2^-32 s"
)]
fn move_time(bytes: &mut [u8], at: usize, by_s: f64) {
    let field = bytes.get(at..at + 8).and_then(|f| f.try_into().ok());
    if let Some(old) = field.map(u64::from_be_bytes).filter(|&old| old != 0) {
        let by = (by_s * 4_294_967_296.0) as i64;
        put(bytes, at, &old.wrapping_add_signed(by).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoilt(fault: Fault, shift_s: f64) -> [u8; LEN] {
        let mut bytes = [1; LEN];
        bytes[0] = 0x24;
        let spoil = Spoil {
            share: 1.0,
            fault,
            shift_s,
        };
        let later = spoil.apply(&mut bytes, &mut SimRng::new(1, 0));
        assert_eq!(later > 0.0, matches!(fault, Fault::Held(_)));
        bytes
    }

    #[test]
    fn each_fault_is_where_it_belongs() {
        assert_eq!(spoilt(Fault::Leap, 0.0)[0], 0xe4);
        assert_eq!(spoilt(Fault::Version(5), 0.0)[0], 0x2c);
        assert_eq!(spoilt(Fault::Mode(5), 0.0)[0], 0x25);
        assert_eq!(spoilt(Fault::Stratum(16), 0.0)[1], 16);
        assert_eq!(spoilt(Fault::RootDelay(33.0), 0.0)[4..8], [0, 33, 0, 0]);
        assert_eq!(
            spoilt(Fault::RootDispersion(1.5), 0.0)[8..12],
            [0, 1, 128, 0]
        );
        assert_eq!(spoilt(Fault::Kiss, 0.0)[..2], [0xe4, 0]);
        assert_eq!(&spoilt(Fault::Kiss, 0.0)[12..16], b"RATE");
        assert_eq!(spoilt(Fault::Origin, 0.0)[24..28], [1, 1, 1, 2]);
        assert_eq!(spoilt(Fault::NoTransmit, 5.0)[40..], [0; 8]);
        assert_eq!(spoilt(Fault::Times, 2.0)[32..36], [1, 1, 1, 3]);
        assert_eq!(spoilt(Fault::Held(1.0), 2.0)[32..36], [1, 1, 1, 3]);
        assert_eq!(spoilt(Fault::Held(1.0), 2.0)[40..44], [1, 1, 1, 4]);
        assert_eq!(spoilt(Fault::Loop(7), 0.0)[12..16], [0, 0, 0, 7]);
    }

    #[test]
    fn requests_and_fragments_pass() {
        let spoil = Spoil {
            share: 1.0,
            fault: Fault::Leap,
            shift_s: 1.0,
        };
        for mut bytes in [vec![0x23; LEN], vec![0x24; LEN - 1], Vec::new()] {
            let before = bytes.clone();
            let later = spoil.apply(&mut bytes, &mut SimRng::new(1, 0));
            assert!(bytes == before && later == 0.0);
        }
    }
}
