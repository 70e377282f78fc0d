//! The table of source options (`config.md` 3.1).

use super::{Family, SourceOptions};
use crate::error::OptionRow;
use crate::scan::Cursor;

type Row = OptionRow<SourceOptions>;
type Set = fn(&mut SourceOptions, &mut Cursor<'_>) -> Option<()>;

const fn flag(name: &'static str, help: &'static str, set: Set) -> Row {
    Row {
        name,
        value: "",
        default: "",
        help,
        set,
    }
}

const fn valued(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    help: &'static str,
    set: Set,
) -> Row {
    Row {
        name,
        value,
        default,
        help,
        set,
    }
}

/// A number from 0 up to the largest C `int`.
pub(crate) fn count(cursor: &mut Cursor<'_>) -> Option<u32> {
    u32::try_from(cursor.int()?).ok()
}

/// A number from 1 up to the largest C `int`.
pub(crate) fn positive(cursor: &mut Cursor<'_>) -> Option<u32> {
    count(cursor).filter(|&number| number > 0)
}

/// A small number whose range fits its type.
pub(crate) fn small<T: TryFrom<i32>>(cursor: &mut Cursor<'_>, min: i32, max: i32) -> Option<T> {
    T::try_from(cursor.int_in(min, max)?).ok()
}

/// Every option of a source, in alphabetical order.
pub static OPTIONS: &[Row] = &[
    valued(
        "asymmetry",
        "RATIO",
        "1.0",
        "Asymmetry of the network jitter, estimated when beyond 0.5.",
        |o, c| c.float().map(|v| o.asymmetry = v),
    ),
    flag(
        "auto_offline",
        "Go offline when a request cannot be sent.",
        |o, _| {
            o.auto_offline = true;
            Some(())
        },
    ),
    flag("burst", "Send up to four requests at each poll.", |o, _| {
        o.burst = true;
        Some(())
    }),
    valued(
        "certset",
        "ID",
        "0",
        "Set of trusted certificates to verify the server with.",
        |o, c| c.uint().map(|v| o.certset = v),
    ),
    flag(
        "copy",
        "Adopt stratum and reference identifier of the server.",
        |o, _| {
            o.copy = true;
            Some(())
        },
    ),
    valued(
        "extfield",
        "TYPE",
        "",
        "Enable an experimental extension field.",
        |o, c| {
            match c.hex()? {
                0xf323 => o.extfields.mono_root = true,
                0xf324 => o.extfields.net_correction = true,
                0x010a => o.extfields.net_correction_10a = true,
                _ => return None,
            }
            Some(())
        },
    ),
    valued(
        "filter",
        "POLLS",
        "0",
        "Length of the median filter of the measurements.",
        |o, c| count(c).map(|v| o.filter = v),
    ),
    flag(
        "iburst",
        "Start with a burst of four to eight requests.",
        |o, _| {
            o.iburst = true;
            Some(())
        },
    ),
    flag(
        "ipv4",
        "Resolve the name to IPv4 addresses only.",
        |o, _| {
            o.family = Some(Family::V4);
            Some(())
        },
    ),
    flag(
        "ipv6",
        "Resolve the name to IPv6 addresses only.",
        |o, _| {
            o.family = Some(Family::V6);
            Some(())
        },
    ),
    valued(
        "key",
        "ID",
        "",
        "Symmetric key that authenticates the packets.",
        |o, c| c.uint().filter(|&id| id != 0).map(|id| o.key = Some(id)),
    ),
    valued(
        "maxdelay",
        "SECONDS",
        "3.0",
        "Longest round trip that is accepted.",
        |o, c| c.float().map(|v| o.maxdelay = v),
    ),
    valued(
        "maxdelaydevratio",
        "RATIO",
        "10.0",
        "Largest increase of the delay, in standard deviations of the offset.",
        |o, c| c.float().map(|v| o.maxdelaydevratio = v),
    ),
    valued(
        "maxdelayquant",
        "QUANTILE",
        "0",
        "Accept measurements whose delay is within this quantile.",
        |o, c| c.float().map(|v| o.maxdelayquant = v),
    ),
    valued(
        "maxdelayratio",
        "RATIO",
        "0",
        "Largest ratio of the delay to the shortest delay seen.",
        |o, c| c.float().map(|v| o.maxdelayratio = v),
    ),
    valued(
        "maxpoll",
        "LOG2",
        "10",
        "Longest polling interval as a power of two seconds.",
        |o, c| c.int_in(-32, 32).map(|v| o.maxpoll = v),
    ),
    valued(
        "maxsamples",
        "COUNT",
        "",
        "Most samples kept for the source.",
        |o, c| count(c).map(|v| o.maxsamples = Some(v)),
    ),
    valued(
        "maxsources",
        "COUNT",
        "4",
        "Number of servers used from a pool.",
        |o, c| positive(c).map(|v| o.maxsources = v),
    ),
    valued(
        "maxunreach",
        "POLLS",
        "100000",
        "Polls for which an unreachable source may stay selectable.",
        |o, c| count(c).map(|v| o.maxunreach = v),
    ),
    valued(
        "mindelay",
        "SECONDS",
        "0",
        "Delay taken as the shortest possible one.",
        |o, c| c.float().map(|v| o.mindelay = v),
    ),
    valued(
        "minpoll",
        "LOG2",
        "6",
        "Shortest polling interval as a power of two seconds.",
        |o, c| c.int().map(|v| o.minpoll = v),
    ),
    valued(
        "minsamples",
        "COUNT",
        "",
        "Least samples kept for the source.",
        |o, c| count(c).map(|v| o.minsamples = Some(v)),
    ),
    valued(
        "minstratum",
        "STRATUM",
        "0",
        "Stratum the source is raised to at least.",
        |o, c| small(c, 0, 16).map(|v| o.minstratum = v),
    ),
    flag("noselect", "Never select the source.", |o, _| {
        o.select.noselect = true;
        Some(())
    }),
    flag("nts", "Authenticate with Network Time Security.", |o, _| {
        o.nts = true;
        Some(())
    }),
    valued(
        "ntsport",
        "PORT",
        "4460",
        "TCP port of the NTS key establishment.",
        |o, c| small(c, 0, 65535).map(|v| o.ntsport = v),
    ),
    flag("offline", "Start offline.", |o, _| {
        o.offline = true;
        Some(())
    }),
    valued(
        "offset",
        "SECONDS",
        "0.0",
        "Correction added to every measured offset.",
        |o, c| c.float().map(|v| o.offset = v),
    ),
    valued(
        "polltarget",
        "COUNT",
        "8",
        "Number of samples the polling interval aims at.",
        |o, c| positive(c).map(|v| o.polltarget = v),
    ),
    valued("port", "PORT", "123", "UDP port of the source.", |o, c| {
        small(c, 0, 65535).map(|v| o.port = v)
    }),
    flag(
        "prefer",
        "Prefer the source to others without this option.",
        |o, _| {
            o.select.prefer = true;
            Some(())
        },
    ),
    valued(
        "presend",
        "LOG2",
        "",
        "Shortest polling interval at which a request is sent ahead.",
        |o, c| c.int_in(-32, 32).map(|v| o.presend = v),
    ),
    flag(
        "require",
        "Synchronise only if such a source is selectable.",
        |o, _| {
            o.select.require = true;
            Some(())
        },
    ),
    flag(
        "trust",
        "Assume that the time of the source is always true.",
        |o, _| {
            o.select.trust = true;
            Some(())
        },
    ),
    valued(
        "version",
        "VERSION",
        "",
        "NTP version of the requests.",
        |o, c| small(c, 1, 4).map(|v| o.version = Some(v)),
    ),
    flag("xleave", "Use the interleaved mode.", |o, _| {
        o.xleave = true;
        Some(())
    }),
];
