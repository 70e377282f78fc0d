//! `waitsync`: ask until the clock is good enough (`chronyc.md` 6.15).

use crate::scan::Scan;
use crate::session::{Failed, Outcome, Session};
use timewright_control::reply::Tracking;
use timewright_control::{Address, ReplyData, Request, refid};

/// What is good enough; 0 sets no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limits {
    tries: i32,
    correction: f64,
    skew_ppm: f64,
    interval_s: f64,
}

/// Shortest pause between tries, s.
const INTERVAL_MIN_S: f64 = 0.1;

fn parse(arguments: &str) -> Limits {
    let mut limits = Limits {
        tries: 0,
        correction: 0.0,
        skew_ppm: 0.0,
        interval_s: 10.0,
    };
    let mut scan = Scan::new(arguments);
    if let Some(tries) = scan.int() {
        limits.tries = tries;
        for limit in [
            &mut limits.correction,
            &mut limits.skew_ppm,
            &mut limits.interval_s,
        ] {
            match scan.float() {
                Some(value) => *limit = value,
                None => break,
            }
        }
    }
    limits.interval_s = limits.interval_s.max(INTERVAL_MIN_S);
    limits
}

/// `waitsync [MAX-TRIES [MAX-CORRECTION [MAX-SKEW [INTERVAL]]]]`
pub(crate) fn wait_sync(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let limits = parse(arguments);
    let mut tries = 1;
    loop {
        // A request that fails says so and counts as a try.
        if let Ok(ReplyData::Tracking(report)) = session.ask(&Request::Tracking) {
            let row = session
                .row()
                .lit("try: ")
                .int(0, tries)
                .lit(", refid: ")
                .refid(report.refid)
                .lit(", correction: ")
                .real(0, 9, report.current_correction.abs())
                .lit(", skew: ")
                .real(0, 3, report.skew_ppm);
            session.print_row(row);
            if is_good(&report, limits) {
                return Ok(());
            }
        }
        session.output.show();
        if tries == limits.tries {
            return Err(Failed);
        }
        tries += 1;
        session.host.pause_ms(milliseconds(limits.interval_s));
        if session.host.interrupted() {
            return Err(Failed);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate"
)]
const fn milliseconds(seconds: f64) -> u32 {
    (seconds * 1e3) as u32
}

fn is_good(report: &Tracking, limits: Limits) -> bool {
    let followed = report.address != Address::Unspecified
        || report.refid != refid::UNSYNCHRONISED && report.refid != refid::LOCAL;
    let within = |value: f64, limit: f64| limit <= 0.0 || value <= limit;
    followed
        && within(report.current_correction.abs(), limits.correction)
        && within(report.skew_ppm, limits.skew_ppm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_numbers_keep_the_defaults() {
        let check = |text: &str, tries, correction, skew_ppm, interval_s| {
            assert_eq!(
                parse(text),
                Limits {
                    tries,
                    correction,
                    skew_ppm,
                    interval_s
                },
                "{text}"
            );
        };
        check("", 0, 0.0, 0.0, 10.0);
        check("x 1 2 3", 0, 0.0, 0.0, 10.0);
        check("5 x 2 3", 5, 0.0, 0.0, 10.0);
        check("0 0.1 0.5 1", 0, 0.1, 0.5, 1.0);
        check("1 0 0 0.01", 1, 0.0, 0.0, 0.1);
    }
}
