//! `cargo xtask vm`: the shipped unit in a disposable virtual machine with a clock of its own.
//!
//! Only there the daemon may step and slew a clock: the clock of the host is never set. A server
//! runs on the host without touching its clock; the guest boots with a clock that is 1,000 s
//! wrong, and systemd starts the daemon in it from `packaging/chronyd.service` with all its
//! limits. What happens then is the guest's script, `vm/guest.sh`; what it reports is held against
//! `vm/checks.rs`.
//!
//! ```text
//! image: kernel, root, programs -> machine: qemu, console -> checks
//! ```

mod checks;
mod cpio;
mod image;
mod machine;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::foreground::{Foreground, free_ports};
use crate::shell::{Profile, binaries, build_dir, command};
use crate::tools;

/// Builds what is missing, runs the machine and checks what it reports.
pub(crate) fn run() -> Result<()> {
    tools::need(tools::VM)?;
    let start = Instant::now();
    let programs = binaries(Profile::Release)?;
    let directory = build_dir().join("vm");
    let [port] = free_ports()?;
    let image = image::build(&directory, &programs, port)?;
    println!(
        "built after {:.0} s; starting the machine",
        start.elapsed().as_secs_f64()
    );
    let config = format!("bindaddress 127.0.0.1\nport {port}\nallow 127.0.0.1\nlocal stratum 1\n");
    let server = directory.join("server");
    let mut server = Foreground::start(command(&programs.chronyd), &server, &config)?;
    let console = directory.join("console.log");
    let report = machine::run(&image, checks::BOOT_ERROR_S, &console);
    server.check()?;
    let report = report?;
    let complaints = checks::check(&report);
    if !complaints.is_empty() {
        bail!(
            "in the virtual machine (console: {}):\n  {}",
            console.display(),
            complaints.join("\n  ")
        );
    }
    for (stage, about) in [
        ("boot", "started 1,000 s behind: stepped"),
        (
            "second",
            "started 50 ms ahead: slewed, with the frequency of the drift file",
        ),
        ("third", "restarted"),
        ("step", "set 3 s ahead by somebody else"),
    ] {
        println!("\n{about}");
        for section in ["kernel", "tracking", "log"] {
            for line in report.lines(&format!("{stage}-{section}")) {
                println!("  {line}");
            }
        }
    }
    println!(
        "\nthe unit works in the virtual machine; {:.0} s in all",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
