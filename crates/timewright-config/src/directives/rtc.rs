//! The real-time clock (`config.md` 4.6).

use timewright_time::Seconds;

use super::{Arity, Directive, Section, Status, rows};
use crate::config::{DEFAULT_HWCLOCK_FILE, DEFAULT_RTC_DEVICE};

rows! { Rtc:
    "hwclockfile" "FILE", Arity::Exactly(1), DEFAULT_HWCLOCK_FILE,
        "File that says whether the real-time clock keeps UTC.",
        |p, a| { p.config.rtc.hwclock_file = Some(a.path()); Ok(()) };
    "rtcautotrim" "SECONDS", Arity::Exactly(1), "0",
        "Set the real-time clock when its error reaches this.",
        |p, a| { p.config.rtc.auto_trim = Seconds(a.float()?); Ok(()) };
    "rtcdevice" "DEVICE", Arity::Exactly(1), DEFAULT_RTC_DEVICE, "The real-time clock.",
        |p, a| { p.config.rtc.device = a.path(); Ok(()) };
    "rtcfile" "FILE", Arity::Exactly(1), "", "Where the drift of the real-time clock is kept.",
        |p, a| { p.config.rtc.file = Some(a.path()); Ok(()) };
    "rtconutc" "", Arity::Exactly(0), "", "The real-time clock keeps UTC.",
        |p, _| { p.config.rtc.on_utc = true; Ok(()) };
    "rtcsync" "", Arity::Exactly(0), "", "Let the kernel copy the time to the real-time clock.",
        |p, _| { p.config.rtc.sync = true; Ok(()) };
}
