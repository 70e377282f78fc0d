//! Extension fields (RFC 7822) and the experimental ones of `ntp-engine.md` 1.6.

use timewright_time::{NtpShort28, NtpTimestamp, Seconds};

/// NTS unique identifier (RFC 8915 section 5.3).
pub const FIELD_NTS_UNIQUE_ID: u16 = 0x0104;
/// NTS cookie.
pub const FIELD_NTS_COOKIE: u16 = 0x0204;
/// NTS cookie placeholder.
pub const FIELD_NTS_PLACEHOLDER: u16 = 0x0304;
/// NTS authenticator and encrypted fields.
pub const FIELD_NTS_AUTHENTICATOR: u16 = 0x0404;
/// Experimental: monotonic receive time and root values of higher resolution.
pub const FIELD_MONO_ROOT: u16 = 0xf323;
/// Experimental: correction by transparent clocks on the way.
pub const FIELD_NET_CORRECTION: u16 = 0xf324;
/// The same by its registered type, without a magic number.
pub const FIELD_NET_CORRECTION_10A: u16 = 0x010a;

const FIELD_HEADER_LEN: usize = 4;

/// One extension field inside a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field type.
    pub kind: u16,
    /// Where the field starts in the packet, its 4-byte header included.
    pub start: usize,
    /// What follows the field's header.
    pub body: &'a [u8],
}

/// The well-formed extension fields of a packet, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// Fields between `at` and `end` of a packet.
    pub(crate) const fn new(bytes: &'a [u8], at: usize, end: usize) -> Self {
        Self { bytes, at, end }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let field = read_field(self.bytes.get(..self.end)?, self.at)?;
        self.at += FIELD_HEADER_LEN + field.body.len();
        Some(field)
    }
}

/// The field that starts at `start`; `None` if there is none or its length is wrong: shorter than
/// [`crate::MIN_FIELD_LEN`], not a multiple of 4, or past the end.
pub(crate) fn read_field(bytes: &[u8], start: usize) -> Option<Field<'_>> {
    let rest = bytes.get(start..)?;
    let &[k0, k1, l0, l1] = rest.first_chunk::<FIELD_HEADER_LEN>()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if len < crate::MIN_FIELD_LEN || !len.is_multiple_of(4) {
        return None;
    }
    Some(Field {
        kind: u16::from_be_bytes([k0, k1]),
        start,
        body: rest.get(FIELD_HEADER_LEN..len)?,
    })
}

/// Both experimental fields have a body of this length, starting with their magic number.
const EXPERIMENTAL_LEN: usize = 24;

/// Body of [`FIELD_MONO_ROOT`]; all zero in requests of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonoRoot {
    /// Root delay.
    pub root_delay: NtpShort28,
    /// Root dispersion.
    pub root_dispersion: NtpShort28,
    /// Receive time on a scale the sender never steps; zero if it has none.
    pub receive: NtpTimestamp,
    /// Names that scale; changes when the sender's clock was stepped.
    pub epoch: u32,
}

impl MonoRoot {
    const MAGIC: u32 = 0xf5be_dd9a;

    /// From the body of the field; `None` if its length or magic number is wrong.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let [magic, delay, dispersion, hi, lo, epoch] = experimental_words(body)?;
        (magic == Self::MAGIC).then_some(Self {
            root_delay: NtpShort28(delay),
            root_dispersion: NtpShort28(dispersion),
            receive: NtpTimestamp(u64::from(hi) << 32 | u64::from(lo)),
            epoch,
        })
    }

    /// The body of the field.
    #[must_use]
    pub fn to_body(&self) -> [u8; EXPERIMENTAL_LEN] {
        let [hi, lo] = halves(self.receive.0);
        experimental_body([
            Self::MAGIC,
            self.root_delay.0,
            self.root_dispersion.0,
            hi,
            lo,
            self.epoch,
        ])
    }
}

/// Body of [`FIELD_NET_CORRECTION`] and [`FIELD_NET_CORRECTION_10A`]; zero in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetCorrection {
    /// Signed 32.32 seconds.
    pub correction: i64,
}

impl NetCorrection {
    const MAGIC: u32 = 0x07ac_2ceb;
    const SCALE: f64 = 4_294_967_296.0;

    /// From seconds, limited to what 32.32 holds.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate"
    )]
    pub fn from_seconds(s: Seconds) -> Self {
        Self {
            correction: (s.0 * Self::SCALE) as i64,
        }
    }

    /// In seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the caller asked for a float")]
    pub fn to_seconds(self) -> Seconds {
        Seconds(self.correction as f64 / Self::SCALE)
    }

    /// From the body of the experimental field; `None` if its length or magic number is wrong.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let [magic, hi, lo, ..] = experimental_words(body)?;
        (magic == Self::MAGIC).then(|| Self::from_halves(hi, lo))
    }

    /// From the body of the registered field; `None` if its length is wrong.
    #[must_use]
    pub fn read_10a(body: &[u8]) -> Option<Self> {
        let [hi, lo, ..] = experimental_words(body)?;
        Some(Self::from_halves(hi, lo))
    }

    /// The body of the experimental field.
    #[must_use]
    pub fn to_body(&self) -> [u8; EXPERIMENTAL_LEN] {
        let [hi, lo] = halves(self.correction.cast_unsigned());
        experimental_body([Self::MAGIC, hi, lo, 0, 0, 0])
    }

    /// The body of the registered field.
    #[must_use]
    pub fn to_body_10a(&self) -> [u8; EXPERIMENTAL_LEN] {
        let [hi, lo] = halves(self.correction.cast_unsigned());
        experimental_body([hi, lo, 0, 0, 0, 0])
    }

    fn from_halves(hi: u32, lo: u32) -> Self {
        Self {
            correction: (u64::from(hi) << 32 | u64::from(lo)).cast_signed(),
        }
    }
}

fn halves(x: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = x.to_be_bytes();
    [
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    ]
}

/// The six words of an experimental field's body; `None` unless it has exactly that length.
fn experimental_words(body: &[u8]) -> Option<[u32; 6]> {
    let body: &[u8; EXPERIMENTAL_LEN] = body.try_into().ok()?;
    let mut words = [0; 6];
    for (to, from) in words.iter_mut().zip(body.as_chunks::<4>().0) {
        *to = u32::from_be_bytes(*from);
    }
    Some(words)
}

fn experimental_body(words: [u32; 6]) -> [u8; EXPERIMENTAL_LEN] {
    let mut body = [0; EXPERIMENTAL_LEN];
    for (to, word) in body.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *to = word.to_be_bytes();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wrong_magic_or_length_is_not_the_field() {
        let mut body = MonoRoot::default().to_body();
        assert_eq!(MonoRoot::read(&body), Some(MonoRoot::default()));
        assert_eq!(MonoRoot::read(&body[..20]), None);
        assert_eq!(NetCorrection::read(&body), None);
        assert_eq!(NetCorrection::read_10a(&body[4..]), None);
        body[3] ^= 1;
        assert_eq!(MonoRoot::read(&body), None);
    }

    #[test]
    fn corrections_are_signed() {
        for s in [0.0, 1.5, -1.5, -1e-9, 1e12, -1e12] {
            let c = NetCorrection::from_seconds(Seconds(s));
            let want = s.clamp(-2_147_483_648.0, 2_147_483_648.0);
            assert!((c.to_seconds().0 - want).abs() < 1e-9, "{s}");
            assert_eq!(NetCorrection::read(&c.to_body()), Some(c));
            assert_eq!(NetCorrection::read_10a(&c.to_body_10a()), Some(c));
        }
    }

    proptest! {
        #[test]
        fn mono_root_round_trips(d in any::<u32>(), p in any::<u32>(), r in any::<u64>(), e in any::<u32>()) {
            let field = MonoRoot {
                root_delay: NtpShort28(d),
                root_dispersion: NtpShort28(p),
                receive: NtpTimestamp(r),
                epoch: e,
            };
            prop_assert_eq!(MonoRoot::read(&field.to_body()), Some(field));
        }
    }
}
