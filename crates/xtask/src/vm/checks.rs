//! What the machine's report must say.

use super::machine::Report;

/// Error of the machine's clock at boot, s; behind, as with a flat battery.
pub(super) const BOOT_ERROR_S: i64 = -1000;
/// Error of its clock at the second start, s, and the bounds of what the daemon logs about it: the
/// guest needs some time to set its clock, in software emulation.
const SECOND_ERROR_S: f64 = 0.05;
const SECOND_FOUND_S: std::ops::Range<f64> = 0.02..1.0;
/// How well the machine's and the host's clock can be compared over the serial console, s.
const CONSOLE_ERROR_S: f64 = 2.0;
/// Status bit of the kernel's clock: not synchronised.
const STA_UNSYNC: i64 = 0x40;

/// Numbers of capabilities in the bounding set: one kept and one taken away by the unit.
const CAP_SYS_TIME: u32 = 25;
const CAP_SYS_ADMIN: u32 = 21;

/// The fields of `chronyc -c tracking` that are looked at.
const TRACKING_SYSTEM_TIME: usize = 4;
const TRACKING_LEAP: usize = 13;

/// All complaints about a report; none if it is as it must be.
pub(super) fn check(report: &Report) -> Vec<String> {
    let mut checks = Checks {
        report,
        complaints: Vec::new(),
    };
    for name in [
        "boot-active-status",
        "boot-wait-status",
        "second-stop-status",
        "second-start-status",
        "second-wait-status",
        "third-restart-status",
        "third-wait-status",
    ] {
        checks.status(name);
    }
    checks.limits();
    checks.step_at_boot();
    checks.slew_at_second_start();
    checks.drift_file();
    checks.step_by_others();
    for stage in ["boot", "second", "third"] {
        checks.unit(stage);
        checks.clock(stage);
        checks.kernel(stage);
        checks.tracking(stage);
    }
    checks.nothing_failed();
    checks.complaints
}

struct Checks<'a> {
    report: &'a Report,
    complaints: Vec<String>,
}

impl Checks<'_> {
    fn lines(&self, section: &str) -> &[String] {
        self.report.lines(section)
    }

    fn complain(&mut self, section: &str, what: &str) {
        let lines = self.lines(section).join("\n    ");
        self.complaints
            .push(format!("{section}: {what}\n    {lines}"));
    }

    fn expect(&mut self, section: &str, what: &str, holds: impl Fn(&[String]) -> bool) {
        if !holds(self.lines(section)) {
            self.complain(section, what);
        }
    }

    fn status(&mut self, section: &str) {
        self.expect(section, "the command failed", |lines| lines == ["0"]);
    }

    /// Type=notify: the unit is active only once the daemon said that it is ready.
    fn unit(&mut self, stage: &str) {
        let section = format!("{stage}-unit");
        for line in [
            "Type=notify",
            "ActiveState=active",
            "SubState=running",
            "Result=success",
            "NRestarts=0",
        ] {
            self.expect(&section, &format!("no {line}"), |lines| {
                lines.iter().any(|found| found == line)
            });
        }
    }

    /// The unit's limits are in force: a filter of system calls, and fewer capabilities.
    fn limits(&mut self) {
        let section = "boot-limits";
        self.expect(section, "no filter of system calls", |lines| {
            status_value(lines, "Seccomp:") == Some("2")
        });
        let capabilities = status_value(self.lines(section), "CapBnd:")
            .and_then(|value| u64::from_str_radix(value, 16).ok());
        let has = |number: u32| capabilities.is_some_and(|all| all >> number & 1 == 1);
        if !has(CAP_SYS_TIME) || has(CAP_SYS_ADMIN) {
            self.complain(section, "not the unit's capabilities");
        }
    }

    fn clock(&mut self, stage: &str) {
        let section = format!("{stage}-time");
        let error = self.report.clock_errors_s.get(&section).copied();
        if error.is_none_or(|error| error.abs() > CONSOLE_ERROR_S) {
            self.complain(&section, &format!("wrong by {error:?} s"));
        }
    }

    /// `rtcsync` lets the kernel know that it is synchronised, with an error that is believable.
    fn kernel(&mut self, stage: &str) {
        let section = format!("{stage}-kernel");
        let status = self.kernel_value(&section, "status");
        if status.is_none_or(|status| status & STA_UNSYNC != 0) {
            self.complain(&section, "the kernel believes it is not synchronised");
        }
        let max_error = self.kernel_value(&section, "maxerror");
        if max_error.is_none_or(|error| !(1..2_000_000).contains(&error)) {
            self.complain(&section, "the maximum error is no error below 2 s");
        }
        // 500 ppm, in units of 2^-16 ppm; an emulated clock is not as bad.
        let frequency = self.kernel_value(&section, "frequency");
        if frequency.is_none_or(|frequency| frequency.abs() > 500 << 16) {
            self.complain(&section, "the frequency is beyond 500 ppm");
        }
    }

    fn kernel_value(&self, section: &str, name: &str) -> Option<i64> {
        let lines = self.lines(section).iter();
        lines
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .and_then(|(_, value)| value.trim().parse().ok())
    }

    fn tracking(&mut self, stage: &str) {
        let section = format!("{stage}-tracking");
        self.expect(&section, "not synchronised to the host", |lines| {
            let line = lines.first().map_or("", String::as_str);
            let fields: Vec<&str> = line.split(',').collect();
            fields.get(1) == Some(&super::image::HOST)
                && fields.get(TRACKING_LEAP) == Some(&"Normal")
        });
    }

    fn step_at_boot(&mut self) {
        self.expect("boot-log", "no step by 1000 s at boot", |log| {
            steps_s(log).is_some_and(|steps| match steps.as_slice() {
                #[expect(clippy::cast_precision_loss, reason = "a small number")]
                [step] => (step + BOOT_ERROR_S as f64).abs() < 30.0,
                _ => false,
            })
        });
    }

    fn slew_at_second_start(&mut self) {
        self.expect("second-log", "the clock was stepped, not slewed", |log| {
            steps_s(log).is_some_and(|steps| steps.is_empty()) && !log.is_empty()
        });
        self.expect("second-log", "no error of about 50 ms was found", |log| {
            log.iter()
                .filter_map(|line| line.strip_prefix("System clock wrong by "))
                .filter_map(|rest| rest.split(' ').next()?.parse::<f64>().ok())
                .any(|offset| SECOND_FOUND_S.contains(&offset.abs()))
        });
        self.expect("second-tracking", "the error is not slewed away", |lines| {
            tracking_field(lines, TRACKING_SYSTEM_TIME)
                .is_some_and(|offset| offset.abs() < SECOND_ERROR_S / 2.0)
        });
    }

    /// Found once, by comparing the clocks, and the source asked again.
    fn step_by_others(&mut self) {
        self.expect("step-log", "the step by others was not found once", |log| {
            let found = log
                .iter()
                .filter(|line| line.contains("time jump detected!"));
            found.collect::<Vec<_>>() == ["Forward time jump detected!"]
        });
        self.expect("step-log", "the source was not selected again", |log| {
            log.iter().any(|line| line.starts_with("Selected source "))
        });
        self.tracking("step");
    }

    fn drift_file(&mut self) {
        self.expect("second-drift", "no frequency and skew", |lines| {
            let words: Vec<&str> = lines
                .first()
                .map_or("", String::as_str)
                .split_whitespace()
                .collect();
            words.len() == 2 && words.iter().all(|word| word.parse::<f64>().is_ok())
        });
        for section in ["second-log", "third-log"] {
            self.expect(section, "the drift file was not used", |log| {
                log.iter().any(|line| {
                    line.starts_with("Frequency ")
                        && line.ends_with(" read from /var/lib/chrony/drift")
                })
            });
        }
        self.expect("third-log", "stopped out of order", |log| {
            log.iter().any(|line| line == "chronyd exiting")
        });
    }

    fn nothing_failed(&mut self) {
        self.expect("failed", "units failed", |lines| {
            !lines.iter().any(|line| line.contains("chronyd"))
        });
    }
}

/// The sizes of all steps in the log; `None` if one cannot be read.
fn steps_s(log: &[String]) -> Option<Vec<f64>> {
    log.iter()
        .filter_map(|line| line.strip_prefix("System clock was stepped by "))
        .map(|rest| rest.split(' ').next()?.parse().ok())
        .collect()
}

/// The value after a key in lines of `/proc/PID/status`.
fn status_value<'a>(lines: &'a [String], key: &str) -> Option<&'a str> {
    let found = lines.iter().find_map(|line| line.strip_prefix(key))?;
    Some(found.trim())
}

fn tracking_field(lines: &[String], index: usize) -> Option<f64> {
    lines.first()?.split(',').nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
vm boot-active-status 0
vm boot-wait-status 0
vm boot-unit Type=notify
vm boot-unit NRestarts=0
vm boot-unit Result=success
vm boot-unit ActiveState=active
vm boot-unit SubState=running
vm boot-limits CapBnd:\t00000020821af0ef
vm boot-limits Seccomp:\t2
vm boot-time 5000.25
vm boot-kernel          mode: 0
vm boot-kernel    frequency: 12345
vm boot-kernel     maxerror: 21500
vm boot-kernel       status: 0
vm boot-tracking 0A000202,10.0.2.2,2,4999.1,0.000010,0.001,0.002,-1.2,0.1,0.5,0.001,0.002,1.0,Normal
vm boot-log System clock wrong by 1000.123456 seconds
vm boot-log System clock was stepped by 1000.123456 seconds
vm second-stop-status 0
vm second-drift            -1.234567             0.345678
vm second-start-status 0
vm second-wait-status 0
vm second-unit Type=notify
vm second-unit NRestarts=0
vm second-unit Result=success
vm second-unit ActiveState=active
vm second-unit SubState=running
vm second-time 5000.25
vm second-kernel    frequency: 12345
vm second-kernel     maxerror: 21500
vm second-kernel       status: 0
vm second-tracking 0A000202,10.0.2.2,2,4999.1,0.000010,0.001,0.002,-1.2,0.1,0.5,0.001,0.002,1.0,Normal
vm second-log Frequency -1.235 +/- 0.346 ppm read from /var/lib/chrony/drift
vm second-log System clock wrong by -0.061000 seconds
vm third-restart-status 0
vm third-wait-status 0
vm third-unit Type=notify
vm third-unit NRestarts=0
vm third-unit Result=success
vm third-unit ActiveState=active
vm third-unit SubState=running
vm third-time 5000.25
vm third-kernel    frequency: 12345
vm third-kernel     maxerror: 21500
vm third-kernel       status: 0
vm third-tracking 0A000202,10.0.2.2,2,4999.1,0.000010,0.001,0.002,-1.2,0.1,0.5,0.001,0.002,1.0,Normal
vm third-log chronyd exiting
vm third-log Frequency -1.235 +/- 0.346 ppm read from /var/lib/chrony/drift
vm step-log Forward time jump detected!
vm step-log Selected source 10.0.2.2
vm step-log System clock wrong by -2.986185 seconds
vm step-tracking 0A000202,10.0.2.2,2,4999.1,-2.304418,0.001,0.002,-1.2,0.1,0.5,0.001,0.002,1.0,Normal
vm done yes
";

    fn complaints(console: &str) -> Vec<String> {
        check(&Report::of(console, 5000.0))
    }

    #[test]
    fn a_good_report_is_accepted() {
        assert_eq!(complaints(GOOD), Vec::<String>::new());
    }

    #[test]
    fn every_deviation_is_named() {
        for (good, bad, want) in [
            (
                "boot-wait-status 0",
                "boot-wait-status 1",
                "boot-wait-status: the command failed",
            ),
            (
                "second-unit Type=notify",
                "second-unit Type=simple",
                "second-unit: no Type=notify",
            ),
            (
                "third-unit NRestarts=0",
                "third-unit NRestarts=1",
                "third-unit: no NRestarts=0",
            ),
            (
                "boot-time 5000.25",
                "boot-time 4000.25",
                "boot-time: wrong by",
            ),
            ("Seccomp:\t2", "Seccomp:\t0", "boot-limits: no filter"),
            (
                "0020821af0ef",
                "003fffffffff",
                "boot-limits: not the unit's",
            ),
            (
                "status: 0",
                "status: 64",
                "boot-kernel: the kernel believes",
            ),
            (
                "maxerror: 21500",
                "maxerror: 16000000",
                "boot-kernel: the maximum error",
            ),
            (
                "frequency: 12345",
                "frequency: 65536000",
                "boot-kernel: the frequency",
            ),
            ("stepped by 1000.1", "stepped by 900.1", "boot-log: no step"),
            ("-0.061", "-0.000061", "second-log: no error of about 50 ms"),
            (
                "second-log Freq",
                "second-log System clock was stepped by 0.05 seconds\nvm second-log Freq",
                "second-log: the clock was stepped",
            ),
            (
                "second-log Frequency",
                "second-log Initial",
                "second-log: the drift file was not used",
            ),
            (
                "third-log chronyd exiting",
                "third-log killed",
                "third-log: stopped out of order",
            ),
            (
                "second-drift ",
                "second-drift cat: no such file",
                "second-drift: no frequency",
            ),
            (
                "Forward time jump detected!",
                "Backward time jump detected!",
                "step-log: the step by others",
            ),
            (
                "step-log Selected",
                "step-log Deselected",
                "step-log: the source was not",
            ),
            (
                "vm done",
                "vm failed chronyd.service loaded failed\nvm done",
                "failed: units failed",
            ),
        ] {
            let console = GOOD.replace(good, bad);
            assert_ne!(console, GOOD, "{good}");
            let complaints = complaints(&console);
            assert!(
                complaints
                    .iter()
                    .any(|complaint| complaint.starts_with(want)),
                "{bad}: {complaints:?}"
            );
        }
    }

    #[test]
    fn an_empty_report_is_not_good() {
        assert!(complaints("vm done yes\n").len() > 20);
    }
}
