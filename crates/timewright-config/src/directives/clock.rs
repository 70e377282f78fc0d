//! The system clock (`config.md` 4.3).

use timewright_time::Seconds;

use super::{Arity, Directive, Section, Status, rows};
use crate::config::{DriftFile, LeapMode, MAX_DRIFT_PPM, MakeStep, MaxChange, TempComp, TempCurve};
use crate::error::Applied;
use crate::parser::{Args, Parser, or_syntax, path};

const LEAP_MODES: &[(&str, LeapMode)] = &[
    ("system", LeapMode::System),
    ("slew", LeapMode::Slew),
    ("step", LeapMode::Step),
    ("ignore", LeapMode::Ignore),
];

rows! { Clock:
    "clockprecision" "SECONDS", Arity::Exactly(1), "", "Precision of the system clock.",
        clockprecision;
    "corrtimeratio" "RATIO", Arity::Exactly(1), "3.0",
        "Ratio of the correction time to the time between updates.",
        |p, a| { p.config.clock.corr_time_ratio = a.float()?; Ok(()) };
    "driftfile" "FILE [interval SECONDS]", Arity::Free, "",
        "Where the frequency of the clock is kept.", |p, a| or_syntax(driftfile(p, a));
    "fallbackdrift" "MIN MAX", Arity::Exactly(2), "0 0",
        "Frequencies to fall back to when sources are lost, as powers of two seconds.",
        |p, a| or_syntax(fallbackdrift(p, a));
    "leapsecmode" "system|slew|step|ignore", Arity::Free, "system",
        "Who corrects a leap second.",
        |p, a| { p.config.leap.mode = a.keyword(LEAP_MODES)?; Ok(()) };
    "leapsectz" "TIMEZONE", Arity::Exactly(1), "", "Time zone that has leap seconds.",
        |p, a| { p.config.leap.timezone = Some(a.string()); Ok(()) };
    "leapseclist" "FILE", Arity::Exactly(1), "", "List of leap seconds.",
        |p, a| { p.config.leap.list = Some(a.path()); Ok(()) };
    "makestep" "THRESHOLD LIMIT", Arity::Exactly(2), "",
        "Step the clock instead of slewing it in the first updates.",
        |p, a| or_syntax(makestep(p, a));
    "maxchange" "OFFSET START IGNORE", Arity::Exactly(3), "",
        "Ignore large offsets, and exit after too many of them.",
        |p, a| or_syntax(maxchange(p, a));
    "maxclockerror" "PPM", Arity::Exactly(1), "1.0",
        "Largest change of the clock's frequency that nothing shows.",
        |p, a| { p.config.clock.max_clock_error_ppm = a.float()?; Ok(()) };
    "maxdrift" "PPM", Arity::Exactly(1), "500000", "Largest frequency offset of the clock.",
        |p, a| { p.config.clock.max_drift_ppm = a.float()?.clamp(0.0, MAX_DRIFT_PPM); Ok(()) };
    "maxupdateskew" "PPM", Arity::Exactly(1), "1000.0",
        "Largest uncertainty of a frequency that is accepted.",
        |p, a| { p.config.clock.max_update_skew_ppm = a.float()?.abs(); Ok(()) };
    "maxslewrate" "PPM", Arity::Exactly(1), "83333.333", "Fastest slew of the clock.",
        |p, a| { p.config.clock.max_slew_rate_ppm = a.float()?; Ok(()) };
    "tempcomp" "SENSOR INTERVAL (T0 K0 K1 K2|FILE)", Arity::Either(3, 6), "",
        "Compensate the temperature of the oscillator.", |p, a| or_syntax(tempcomp(p, a));
}

fn clockprecision(parser: &mut Parser<'_>, args: &Args<'_>) -> Applied {
    let precision = args.float()?;
    parser.config.clock.precision = (precision > 0.0).then(|| Seconds(precision.clamp(1e-9, 1.0)));
    Ok(())
}

fn driftfile(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let path = path(cursor.word()?);
    let interval_s = match cursor.word() {
        None => DriftFile::INTERVAL_S,
        Some(word) if word.eq_ignore_ascii_case(b"interval") && args.count() == 3 => {
            cursor.int()?
        }
        Some(_) => return None,
    };
    parser.config.clock.drift_file = Some(DriftFile { path, interval_s });
    Some(())
}

fn fallbackdrift(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let (min, max) = (cursor.int()?, cursor.int()?);
    parser.config.clock.fallback_drift = match (u32::try_from(min), u32::try_from(max)) {
        (Ok(min), Ok(max)) if min > 0 && max >= min => Some((min, max)),
        _ => None,
    };
    Some(())
}

fn makestep(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let (threshold, limit) = (Seconds(cursor.float()?), cursor.int()?);
    // After a restart the clock is expected to be right.
    let limit = if parser.options.restart {
        limit.min(0)
    } else {
        limit
    };
    parser.config.clock.make_step = Some(MakeStep { threshold, limit });
    Some(())
}

fn maxchange(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let (offset, start, ignore) = (Seconds(cursor.float()?), cursor.int()?, cursor.int()?);
    parser.config.clock.max_change = u32::try_from(start).ok().map(|start| MaxChange {
        offset,
        start,
        ignore,
    });
    Some(())
}

fn tempcomp(parser: &mut Parser<'_>, args: &Args<'_>) -> Option<()> {
    let mut cursor = args.cursor();
    let sensor = path(cursor.word()?);
    let interval = cursor.float()?;
    let curve = if args.count() == 3 {
        TempCurve::Points(args.words().last().map(path)?)
    } else {
        let mut next = || cursor.float();
        TempCurve::Quadratic {
            t0: next()?,
            k0: next()?,
            k1: next()?,
            k2: next()?,
        }
    };
    let interval = Seconds(if interval > 0.0 { interval } else { 1.0 });
    parser.config.clock.temp_comp = Some(TempComp {
        sensor,
        interval,
        curve,
    });
    Some(())
}
