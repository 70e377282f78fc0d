//! Hardware timestamping: the directive `hwtimestamp` (`config.md` 7.4).

use timewright_time::Seconds;

use crate::error::{OptionRow, apply_options};
use crate::lexical::text;
use crate::scan::Cursor;
use crate::source::count;

/// Which packets the hardware is to timestamp on reception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxFilter {
    /// None.
    None,
    /// NTP packets.
    Ntp,
    /// PTP packets.
    Ptp,
    /// All packets.
    All,
}

/// One `hwtimestamp` line, with its values adjusted.
#[derive(Clone, Debug, PartialEq)]
pub struct HwTimestampSpec {
    /// Name of the interface; `None` stands for every interface (`*`).
    pub interface: Option<String>,
    /// Shortest interval between readings of the hardware clock, log2 seconds, -6..=20.
    pub minpoll: i32,
    /// Longest interval, log2 seconds, `minpoll`..=20; one above `minpoll` if not given.
    pub maxpoll: i32,
    /// Least samples kept of the hardware clock, 2..=64.
    pub minsamples: u32,
    /// Most samples, `minsamples`..=64.
    pub maxsamples: u32,
    /// Assumed precision of reading the hardware clock.
    pub precision: Seconds,
    /// Added to transmit timestamps.
    pub txcomp: Seconds,
    /// Subtracted from receive timestamps.
    pub rxcomp: Seconds,
    /// Do not use cross timestamping.
    pub nocrossts: bool,
    /// Receive filter; `None`: NTP if supported, else all, else none.
    pub rxfilter: Option<RxFilter>,
}

/// The options as written.
#[derive(Clone, Debug)]
pub struct Written {
    minpoll: i32,
    maxpoll: Option<i32>,
    minsamples: u32,
    maxsamples: u32,
    precision: f64,
    txcomp: f64,
    rxcomp: f64,
    nocrossts: bool,
    rxfilter: Option<RxFilter>,
}

/// Bounds of the interval between readings, log2 seconds.
const POLL: (i32, i32) = (-6, 20);
/// Bounds of the number of samples.
const SAMPLES: (u32, u32) = (2, 64);

/// Parses what follows `hwtimestamp`; `None` is a syntax error of any kind.
pub(crate) fn parse_hwtimestamp(arguments: &[u8]) -> Option<HwTimestampSpec> {
    let mut cursor = Cursor::new(arguments);
    let interface = cursor.word()?;
    let mut written = Written {
        minpoll: 0,
        maxpoll: None,
        minsamples: 2,
        maxsamples: 16,
        precision: 100e-9,
        txcomp: 0.0,
        rxcomp: 0.0,
        nocrossts: false,
        rxfilter: None,
    };
    apply_options(OPTIONS, &mut written, &mut cursor).ok()?;
    let minpoll = written.minpoll.clamp(POLL.0, POLL.1);
    let maxpoll = written.maxpoll.unwrap_or(minpoll + 1);
    let minsamples = written.minsamples.clamp(SAMPLES.0, SAMPLES.1);
    Some(HwTimestampSpec {
        interface: (interface != b"*").then(|| text(interface)),
        minpoll,
        maxpoll: maxpoll.clamp(minpoll, POLL.1),
        minsamples,
        maxsamples: written.maxsamples.clamp(minsamples, SAMPLES.1),
        precision: Seconds(written.precision),
        txcomp: Seconds(written.txcomp),
        rxcomp: Seconds(written.rxcomp),
        nocrossts: written.nocrossts,
        rxfilter: written.rxfilter,
    })
}

const RX_FILTERS: [(&str, RxFilter); 4] = [
    ("none", RxFilter::None),
    ("ntp", RxFilter::Ntp),
    ("ptp", RxFilter::Ptp),
    ("all", RxFilter::All),
];

type Set = fn(&mut Written, &mut Cursor<'_>) -> Option<()>;

const fn row(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    set: Set,
) -> OptionRow<Written> {
    OptionRow {
        name,
        value,
        default,
        help,
        set,
    }
}

/// Every option of `hwtimestamp`.
pub static OPTIONS: &[OptionRow<Written>] = &[
    row(
        "minpoll",
        "LOG2",
        "0",
        "Shortest interval between clock readings.",
        |o, c| c.int_in(-32, 32).map(|v| o.minpoll = v),
    ),
    row(
        "maxpoll",
        "LOG2",
        "",
        "Longest interval, by default one above minpoll.",
        |o, c| c.int_in(-32, 32).map(|v| o.maxpoll = Some(v)),
    ),
    row(
        "minsamples",
        "COUNT",
        "2",
        "Least samples kept of the hardware clock.",
        |o, c| count(c).map(|v| o.minsamples = v),
    ),
    row(
        "maxsamples",
        "COUNT",
        "16",
        "Most samples kept of the hardware clock.",
        |o, c| count(c).map(|v| o.maxsamples = v),
    ),
    row(
        "precision",
        "SECONDS",
        "100e-9",
        "Precision of clock readings.",
        |o, c| c.float().map(|v| o.precision = v),
    ),
    row(
        "txcomp",
        "SECONDS",
        "0",
        "Correction added to transmit timestamps.",
        |o, c| c.float().map(|v| o.txcomp = v),
    ),
    row(
        "rxcomp",
        "SECONDS",
        "0",
        "Correction taken from receive timestamps.",
        |o, c| c.float().map(|v| o.rxcomp = v),
    ),
    row(
        "nocrossts",
        "",
        "",
        "Do not use cross timestamping.",
        |o, _| {
            o.nocrossts = true;
            Some(())
        },
    ),
    row(
        "rxfilter",
        "FILTER",
        "",
        "Packets to timestamp: none, ntp, ptp or all.",
        |o, c| {
            let word = c.word()?;
            let known = |(name, _): &&(&str, RxFilter)| name.as_bytes().eq_ignore_ascii_case(word);
            o.rxfilter = Some(RX_FILTERS.iter().find(known)?.1);
            Some(())
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn poll_and_samples(text: &str) -> (i32, i32, u32, u32) {
        let spec = parse_hwtimestamp(text.as_bytes()).expect(text);
        (spec.minpoll, spec.maxpoll, spec.minsamples, spec.maxsamples)
    }

    #[test]
    fn values_are_clamped() {
        for (text, want) in [
            ("eth0", (0, 1, 2, 16)),
            ("eth0 minpoll -7", (-6, -5, 2, 16)),
            ("eth0 minpoll 21", (20, 20, 2, 16)),
            ("eth0 minpoll 3", (3, 4, 2, 16)),
            ("eth0 minpoll 3 maxpoll 1", (3, 3, 2, 16)),
            ("eth0 maxpoll 32", (0, 20, 2, 16)),
            ("eth0 minsamples 0 maxsamples 0", (0, 1, 2, 2)),
            ("eth0 minsamples 65 maxsamples 3", (0, 1, 64, 64)),
            ("eth0 minsamples 20", (0, 1, 20, 20)),
        ] {
            assert_eq!(poll_and_samples(text), want, "{text}");
        }
    }

    #[test]
    fn every_option_is_read() {
        let text = b"* precision 1e-6 txcomp 1e-7 rxcomp 2e-7 nocrossts rxfilter PTP";
        let spec = parse_hwtimestamp(text).unwrap();
        assert_eq!(spec.interface, None);
        assert_eq!(spec.precision, Seconds(1e-6));
        assert_eq!((spec.txcomp, spec.rxcomp), (Seconds(1e-7), Seconds(2e-7)));
        assert!(spec.nocrossts);
        for (name, filter) in RX_FILTERS {
            let spec = parse_hwtimestamp(format!("eth0 RXFILTER {name}").as_bytes()).unwrap();
            assert_eq!(spec.rxfilter, Some(filter));
            assert_eq!(spec.interface.as_deref(), Some("eth0"));
        }
    }

    #[test]
    fn every_mistake_is_a_syntax_error() {
        for text in [
            "",
            "eth0 foo",
            "eth0 minpoll",
            "eth0 minpoll 33",
            "eth0 maxpoll -33",
            "eth0 minsamples -1",
            "eth0 rxfilter",
            "eth0 rxfilter foo",
            "eth0 precision x",
        ] {
            assert_eq!(parse_hwtimestamp(text.as_bytes()), None, "{text}");
        }
    }
}
