//! The build itself: what the environment says ends up in the programs, and mistakes stop it.
//!
//! Only this crate is built, in a directory of its own, without the network.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("build-options")
}

fn build(environment: &[(&str, &str)]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["run", "--quiet", "--offline", "--example", "defaults"])
        .args(["--package", "timewright-defaults"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target())
        .env_remove("SOURCE_DATE_EPOCH");
    // Options of the build that runs this test, and what measures its coverage, stay out.
    for (name, _) in std::env::vars() {
        if name.starts_with("TIMEWRIGHT_")
            || name.starts_with("LLVM_")
            || name.contains("RUSTFLAGS")
        {
            command.env_remove(name);
        }
    }
    command
        .envs(environment.iter().copied())
        .output()
        .expect("cargo runs")
}

#[test]
fn variables_become_constants_and_mistakes_stop_the_build() {
    let output = build(&[
        ("TIMEWRIGHT_CONFIG_FILE", "/etc/chrony/chrony.conf"),
        ("TIMEWRIGHT_USER", "_chrony"),
        ("TIMEWRIGHT_CHRONYC_USER", "nobody"),
        ("TIMEWRIGHT_RUN_DIR", "/run/chrony"),
        ("TIMEWRIGHT_STATE_DIR", "/srv/chrony"),
        ("TIMEWRIGHT_HWCLOCK_FILE", "/etc/adjtime"),
        ("TIMEWRIGHT_SENDMAIL", "/usr/sbin/sendmail"),
        ("TIMEWRIGHT_RTC_DEVICE", "/dev/rtc1"),
        ("SOURCE_DATE_EPOCH", "1577836800"),
    ]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let want = "configuration: /etc/chrony/chrony.conf
user: _chrony
chronyc's user: nobody
run directory: /run/chrony
state directory: /srv/chrony
pid file: /run/chrony/chronyd.pid
command socket: /run/chrony/chronyd.sock
real-time clock: /dev/rtc1
hwclock file: /etc/adjtime
mail program: /usr/sbin/sendmail
NTP era: 1036800
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), want);

    // The same directory again: a changed variable is noticed.
    let output = build(&[("TIMEWRIGHT_CONFIG_FILE", "etc/chrony.conf")]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let want = "build option TIMEWRIGHT_CONFIG_FILE=\"etc/chrony.conf\": must be an absolute path";
    assert!(complaint.contains(want), "{complaint}");
}
