//! Programs from Debian's packages that the tests need: found, installed, or named.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::shell::{command, is_root, read};

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// The name of the executable.
    pub(crate) program: &'static str,
    /// The package to install when it is missing.
    pub(crate) package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What the process tests call.
pub(crate) const PROCESS_TESTS: &[Tool] = &[
    tool("ip", "iproute2"),
    tool("unshare", "util-linux"),
    tool("nsenter", "util-linux"),
    tool("setpriv", "util-linux"),
    tool("script", "bsdutils"),
    tool("cc", "gcc"),
    tool("ipcs", "util-linux"),
    tool("ntpdate", "ntpsec-ntpdate"),
    tool("tshark", "tshark"),
];

/// What the benchmark calls.
pub(crate) const BENCH: &[Tool] = &[
    tool("ip", "iproute2"),
    tool("unshare", "util-linux"),
    tool("taskset", "util-linux"),
    tool("chrt", "util-linux"),
];

/// What the virtual machine is made of and runs in.
pub(crate) const VM: &[Tool] = &[
    tool("qemu-system-x86_64", "qemu-system-x86"),
    tool("debootstrap", "debootstrap"),
    tool("apt-get", "apt"),
    tool("dpkg", "dpkg"),
];

/// What reads the manual pages.
pub(crate) const MANUAL: &[Tool] = &[tool("mandoc", "mandoc"), tool("groff", "groff-base")];

/// What fetching the other implementations calls.
pub(crate) const PEERS: &[Tool] = &[tool("apt-get", "apt"), tool("dpkg", "dpkg")];

/// Where `program` is, looked for in `PATH` and in the system directories that an ordinary user's
/// `PATH` leaves out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Makes sure that all of `tools` are there: installs what is missing when root on Debian,
/// otherwise fails with the command to type.
pub(crate) fn need(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools
        .iter()
        .copied()
        .filter(|tool| find(tool.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let programs: Vec<&str> = missing.iter().map(|tool| tool.program).collect();
    install(
        &packages,
        &format!("missing programs: {}", programs.join(", ")),
    )?;
    match missing.iter().find(|tool| find(tool.program).is_none()) {
        None => Ok(()),
        Some(tool) => {
            bail!(
                "`{}` is still missing with package {} installed",
                tool.program,
                tool.package
            )
        }
    }
}

/// Installs Debian `packages`, or says `why` they are needed and what to type.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<()> {
    let list = packages.join(" ");
    let typed = format!("apt-get install -y --no-install-recommends {list}");
    if find("apt-get").is_none() {
        bail!("{why}; on Debian `{typed}` installs them, here install their counterparts by hand");
    }
    if !is_root() {
        bail!("{why}; type: sudo {typed}");
    }
    println!("{why}; installing {list}");
    let mut update = command("apt-get");
    read(update.args(["-qq", "update"]))?;
    let mut install = command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    // Its many lines matter only when it fails.
    read(
        install
            .args(["-qq", "-y", "--no-install-recommends", "install"])
            .args(packages),
    )
    .map(drop)
}
