//! Reports on clocks: system, smoothed, real-time, manual (`chronyc.md` 6.5 and 6.10 to 6.13).

use super::ask;
use crate::date;
use crate::session::{NAME_LINE, Outcome, Session};
use timewright_control::reply::SmoothingFlags;
use timewright_control::{Address, ReplyData, Request, Timespec};

/// `tracking`
pub(crate) fn tracking(session: &mut Session<'_>, _: &str) -> Outcome {
    let report = ask!(session, Request::Tracking, Tracking);
    let clock = (report.address == Address::Unspecified).then_some(report.refid);
    let name = session.source_name(report.address, clock, NAME_LINE);
    let row = session
        .row()
        .lit("Reference ID    : ")
        .refid(report.refid)
        .lit(" (")
        .name(0, &name)
        .lit(")\nStratum         : ")
        .int(0, report.stratum)
        .lit("\nRef time (UTC)  : ")
        .time(report.reference_time)
        .lit("\nSystem time     : ")
        .slow_seconds(report.current_correction)
        .lit(" of NTP time\nLast offset     : ")
        .signed(9, report.last_offset)
        .lit(" seconds\nRMS offset      : ")
        .real(0, 9, report.rms_offset)
        .lit(" seconds\nFrequency       : ")
        .fast_ppm(report.frequency_ppm)
        .lit("\nResidual freq   : ")
        .signed(3, report.residual_frequency_ppm)
        .lit(" ppm\nSkew            : ")
        .real(0, 3, report.skew_ppm)
        .lit(" ppm\nRoot delay      : ")
        .real(0, 9, report.root_delay)
        .lit(" seconds\nRoot dispersion : ")
        .real(0, 9, report.root_dispersion)
        .lit(" seconds\nUpdate interval : ")
        .real(0, 1, report.update_interval)
        .lit(" seconds\nLeap status     : ")
        .leap(report.leap);
    session.print_row(row);
    Ok(())
}

/// `smoothing`
pub(crate) fn smoothing(session: &mut Session<'_>, _: &str) -> Outcome {
    let report = ask!(session, Request::Smoothing, Smoothing);
    let leap_only = report.flags.contains(SmoothingFlags::LEAP_ONLY);
    let row = session
        .row()
        .lit("Active         : ")
        .yes_no(report.flags.contains(SmoothingFlags::ACTIVE))
        .lit(" ")
        .name(0, if leap_only { "(leap second only)" } else { "" })
        .lit("\nOffset         : ")
        .signed(9, report.offset)
        .lit(" seconds\nFrequency      : ")
        .signed(6, report.frequency_ppm)
        .lit(" ppm\nWander         : ")
        .signed(6, report.wander_ppm)
        .lit(" ppm per second\nLast update    : ")
        .real(0, 1, report.last_update_ago)
        .lit(" seconds ago\nRemaining time : ")
        .real(0, 1, report.remaining)
        .lit(" seconds");
    session.print_row(row);
    Ok(())
}

/// `rtcdata`
pub(crate) fn rtc_data(session: &mut Session<'_>, _: &str) -> Outcome {
    let report = ask!(session, Request::RtcReport, RtcReport);
    let row = session
        .row()
        .lit("RTC ref time (UTC) : ")
        .time(report.reference_time)
        .lit("\nNumber of samples  : ")
        .int(0, report.samples)
        .lit("\nNumber of runs     : ")
        .int(0, report.runs)
        .lit("\nSample span period : ")
        .interval(report.span)
        .lit("\nRTC is fast by     : ")
        .real(12, 6, report.fast_by)
        .lit(" seconds\nRTC gains time at  : ")
        .real(9, 3, report.gain_ppm)
        .lit(" ppm");
    session.print_row(row);
    Ok(())
}

/// `manual list`
pub(crate) fn manual_list(session: &mut Session<'_>) -> Outcome {
    let samples = ask!(session, Request::ManualList, ManualList).0;
    session.print_legend(&format!("210 n_samples = {}\n", samples.len()));
    session.print_header("#    Date     Time(UTC)    Slewed   Original   Residual");
    for (index, sample) in (0i32..).zip(&samples) {
        let row = session
            .row()
            .int(2, index)
            .lit(" ")
            .log_time(sample.when)
            .lit(" ")
            .real(10, 2, sample.slewed_offset)
            .lit(" ")
            .real(10, 2, sample.original_offset)
            .lit(" ")
            .real(10, 2, sample.residual);
        session.print_row(row);
    }
    Ok(())
}

/// `settime DATE`
pub(crate) fn set_time(session: &mut Session<'_>, arguments: &str) -> Outcome {
    let now = session.host.unix_seconds();
    let Some(sec) = date::parse(arguments, now, session.host) else {
        session.output.print("510 - Could not parse date string\n");
        return Err(crate::session::Failed);
    };
    match session.announce(&Request::SetTime(Timespec { sec, nsec: 0 }))? {
        ReplyData::ManualTimestamp(result) => {
            let text = format!(
                "Clock was {:.2} seconds fast.  Frequency change = {:.2}ppm, new frequency = {:.2}ppm\n",
                result.offset, result.frequency_change_ppm, result.frequency_ppm
            );
            session.output.print(&text);
            Ok(())
        }
        _ => session.bad_reply(),
    }
}
