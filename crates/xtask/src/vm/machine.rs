//! Running the emulated machine and listening to its serial console.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::image::Image;
use crate::shell::{command, read, tail};

/// The machine is stopped after this long; most of it is a slow boot under emulation.
const PATIENCE: Duration = Duration::from_secs(480);
/// What begins a line of results on the console.
const PREFIX: &str = "vm ";

/// What the guest reported.
#[derive(Debug, Default)]
pub(super) struct Report {
    sections: BTreeMap<String, Vec<String>>,
    /// By section, how far the guest's clock was from the host's when it reported its time.
    pub(super) clock_errors_s: BTreeMap<String, f64>,
}

impl Report {
    /// Takes a line of the console that arrived when the host's clock showed `now_s`.
    fn take(&mut self, line: &str, now_s: f64) {
        let Some((section, text)) = line
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(' '))
        else {
            return;
        };
        if section.ends_with("-time")
            && let Ok(time) = text.parse::<f64>()
        {
            self.clock_errors_s.insert(section.to_owned(), time - now_s);
        }
        let lines = self.sections.entry(section.to_owned()).or_default();
        lines.push(text.to_owned());
    }

    /// The lines of a section; none if it is missing.
    pub(super) fn lines(&self, section: &str) -> &[String] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }

    /// A report for tests: lines of the console, all at the same time.
    #[cfg(test)]
    pub(super) fn of(console: &str, now_s: f64) -> Self {
        let mut report = Self::default();
        for line in console.lines() {
            report.take(line, now_s);
        }
        report
    }
}

/// Runs the machine with a clock that is wrong by `clock_error_s` until it powers off, and returns
/// what it reported. The whole console goes to the file `console`.
pub(super) fn run(image: &Image, clock_error_s: i64, console: &Path) -> Result<Report> {
    let mut machine = Machine::start(image, clock_error_s, console)?;
    let outcome = machine.listen();
    outcome.with_context(|| machine.describe())
}

struct Machine {
    child: Child,
    output: Option<ChildStdout>,
    console: PathBuf,
}

impl Machine {
    fn start(image: &Image, clock_error_s: i64, console: &Path) -> Result<Self> {
        let mut qemu = qemu(image, &clock_at(clock_error_s)?);
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("could not start qemu-system-x86_64")?;
        Ok(Self {
            output: child.stdout.take(),
            child,
            console: console.to_path_buf(),
        })
    }

    fn listen(&mut self) -> Result<Report> {
        let output = self.output.take().context("qemu has no output")?;
        let (send, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if send.send((line, unix_time_s())).is_err() {
                    return;
                }
            }
        });
        let mut log = File::create(&self.console)
            .with_context(|| format!("could not create {}", self.console.display()))?;
        let mut report = Report::default();
        let end = Instant::now() + PATIENCE;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((line, time_s)) => {
                    writeln!(log, "{line}")?;
                    report.take(&line, time_s);
                }
                // The end of the output is the end of the machine.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the machine did not end within {} s", PATIENCE.as_secs())
                }
            }
        }
        let status = self.child.wait()?;
        // It ends when its sender does, as just seen.
        let _ = reader.join();
        if !status.success() {
            bail!("qemu-system-x86_64 ended with {status}");
        }
        if report.lines("done").is_empty() {
            bail!("the machine ended before the test did");
        }
        Ok(report)
    }

    fn describe(&self) -> String {
        let console = std::fs::read_to_string(&self.console).unwrap_or_default();
        format!(
            "end of the console ({}):\n{}\n",
            self.console.display(),
            tail(&console, 40)
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone after an orderly end; then both calls fail, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unix_time_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The date and time for the machine's real-time clock.
fn clock_at(error_s: i64) -> Result<String> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let time_s = unix_time_s() as i64 + error_s;
    let mut date = command("date");
    date.args([
        "--utc",
        "--date",
        &format!("@{time_s}"),
        "+%Y-%m-%dT%H:%M:%S",
    ]);
    Ok(read(&mut date)?.trim().to_owned())
}

/// Emulation in software, for machines without virtualisation of their own; one network card,
/// behind which the host's loopback is 10.0.2.2.
fn qemu(image: &Image, clock: &str) -> Command {
    let mut qemu = command("qemu-system-x86_64");
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    qemu.args(["-machine", "pc,accel=tcg", "-cpu", "max", "-smp", "1"]);
    qemu.args(["-m", "1024", "-no-reboot", "-serial", "stdio"]);
    qemu.args(["-nic", "user,model=e1000"]);
    qemu.arg("-rtc").arg(format!("base={clock},clock=host"));
    qemu.arg("-kernel").arg(&image.kernel);
    qemu.arg("-initrd").arg(&image.initramfs);
    // The clock of the processor is told to be good, as the emulation of others is slow.
    qemu.args([
        "-append",
        "console=ttyS0 quiet panic=-1 rdinit=/lib/systemd/systemd tsc=reliable \
         systemd.show_status=no systemd.default_timeout_start_sec=300",
    ]);
    qemu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_from_the_rest_of_the_console() {
        let report = Report::of(
            "[ 0.1] Linux\nvm a-log first line\nvm a-log second\nvmlinuz\nvm alone\nvm a-time 995.5\n",
            1000.0,
        );
        assert_eq!(report.lines("a-log"), ["first line", "second"]);
        assert!(report.lines("alone").is_empty());
        assert!((report.clock_errors_s["a-time"] + 4.5).abs() < 1e-9);
    }
}
