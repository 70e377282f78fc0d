//! Limits on the rate of responses: `ratelimit`, `ntsratelimit`, `cmdratelimit` (`config.md` 7.3).

use crate::error::{OptionRow, apply_options};
use crate::scan::Cursor;

/// A limit on the rate of responses to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Average interval between responses, log2 seconds, -19..=12.
    pub interval: i32,
    /// Responses in a burst, 1..=255.
    pub burst: u32,
    /// Responses let through in spite of the limit: one in 2^leak, 1..=4.
    pub leak: u32,
    /// Responses replaced by a kiss-o'-death: one in 2^kod, 1..=4; 0 is never.
    pub kod: u32,
}

impl RateLimit {
    /// What `ratelimit` starts from.
    pub const NTP: Self = Self {
        interval: 3,
        burst: 8,
        leak: 2,
        kod: 0,
    };
    /// What `ntsratelimit` starts from.
    pub const NTS: Self = Self {
        interval: 6,
        ..Self::NTP
    };
    /// What `cmdratelimit` starts from.
    pub const COMMAND: Self = Self {
        interval: -4,
        ..Self::NTP
    };
}

/// Applies the options of one line to `limit`; `None` is a syntax error of any kind.
pub(crate) fn parse_ratelimit(
    limit: &mut RateLimit,
    table: &[OptionRow<RateLimit>],
    arguments: &[u8],
) -> Option<()> {
    apply_options(table, limit, &mut Cursor::new(arguments)).ok()
}

/// A value of a rate limit: -32..=32 as written, then clamped.
fn bounded(cursor: &mut Cursor<'_>, min: i32, max: i32) -> Option<i32> {
    cursor.int_in(-32, 32).map(|value| value.clamp(min, max))
}

/// The same for values that cannot be negative.
fn natural(cursor: &mut Cursor<'_>, min: i32, max: i32) -> Option<u32> {
    bounded(cursor, min, max).and_then(|value| u32::try_from(value).ok())
}

type Set = fn(&mut RateLimit, &mut Cursor<'_>) -> Option<()>;

const fn row(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    set: Set,
) -> OptionRow<RateLimit> {
    OptionRow {
        name,
        value,
        default,
        help,
        set,
    }
}

const INTERVAL: Set = |o, c| bounded(c, -19, 12).map(|v| o.interval = v);
const INTERVAL_HELP: &str = "Average interval between responses as a power of two seconds.";
const BURST: OptionRow<RateLimit> = row(
    "burst",
    "COUNT",
    "8",
    "Responses that may come in a burst.",
    |o, c| natural(c, 1, 255).map(|v| o.burst = v),
);
const LEAK: OptionRow<RateLimit> = row(
    "leak",
    "LOG2",
    "2",
    "Let one response in two to this power through.",
    |o, c| natural(c, 1, 4).map(|v| o.leak = v),
);

/// Options of `ratelimit`.
pub static NTP_OPTIONS: &[OptionRow<RateLimit>] = &[
    row("interval", "LOG2", "3", INTERVAL_HELP, INTERVAL),
    BURST,
    LEAK,
    row(
        "kod",
        "LOG2",
        "0",
        "Send one kiss-o'-death in two to this power.",
        |o, c| natural(c, 0, 4).map(|v| o.kod = v),
    ),
];

/// Options of `ntsratelimit`.
pub static NTS_OPTIONS: &[OptionRow<RateLimit>] = &[
    row("interval", "LOG2", "6", INTERVAL_HELP, INTERVAL),
    BURST,
    LEAK,
];

/// Options of `cmdratelimit`.
pub static COMMAND_OPTIONS: &[OptionRow<RateLimit>] = &[
    row("interval", "LOG2", "-4", INTERVAL_HELP, INTERVAL),
    BURST,
    LEAK,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<(i32, u32, u32, u32)> {
        let mut limit = RateLimit::NTP;
        parse_ratelimit(&mut limit, NTP_OPTIONS, text.as_bytes())?;
        Some((limit.interval, limit.burst, limit.leak, limit.kod))
    }

    #[test]
    fn values_are_clamped() {
        for (text, want) in [
            ("", (3, 8, 2, 0)),
            ("interval -20", (-19, 8, 2, 0)),
            ("interval -32", (-19, 8, 2, 0)),
            ("interval 13", (12, 8, 2, 0)),
            ("INTERVAL 4burst 32", (4, 32, 2, 0)),
            ("burst 0", (3, 1, 2, 0)),
            ("leak 0", (3, 8, 1, 0)),
            ("leak 5", (3, 8, 4, 0)),
            ("kod -1", (3, 8, 2, 0)),
            ("kod 5", (3, 8, 2, 4)),
            ("kod 1 kod 2", (3, 8, 2, 2)),
        ] {
            assert_eq!(parse(text), Some(want), "{text}");
        }
    }

    #[test]
    fn every_mistake_is_a_syntax_error() {
        for text in [
            "interval",
            "interval 33",
            "burst 33",
            "leak -33",
            "foo",
            "burst x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for table in [NTS_OPTIONS, COMMAND_OPTIONS] {
            assert_eq!(
                parse_ratelimit(&mut RateLimit::NTS.clone(), table, b"kod 1"),
                None
            );
        }
    }
}
