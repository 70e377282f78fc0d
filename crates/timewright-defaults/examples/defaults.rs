//! Prints what a build would have: `cargo run -p timewright-defaults --example defaults`.
#![forbid(unsafe_code)]

use timewright_defaults as built;

fn main() {
    for (name, value) in [
        ("configuration", built::CONFIG_FILE),
        ("user", built::USER),
        ("chronyc's user", built::CHRONYC_USER),
        ("run directory", built::RUN_DIR),
        ("state directory", built::STATE_DIR),
        ("pid file", built::PID_FILE),
        ("command socket", built::COMMAND_SOCKET),
        ("real-time clock", built::RTC_DEVICE),
        ("hwclock file", built::HWCLOCK_FILE.unwrap_or("none")),
        ("mail program", built::SENDMAIL),
    ] {
        println!("{name}: {value}");
    }
    println!("NTP era: {}", built::NTP_ERA_S);
}
