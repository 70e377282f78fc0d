//! Other programs the tests talk to: Debian's chronyd, ntpsec's ntpd and gpsd.
//!
//! Their packages exclude each other or would start daemons, so they are downloaded and unpacked
//! below `build/peers`, never installed. Only the libraries they need are installed.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{build_dir, command, read, run};
use crate::tools;

/// Where the unpacked programs are.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    /// The directory with one unpacked package each in `chrony`, `ntpsec` and `gpsd`.
    pub(crate) directory: PathBuf,
}

const PACKAGES: [&str; 3] = ["chrony", "ntpsec", "gpsd"];

impl Peers {
    /// Debian's chronyd.
    pub(crate) fn chronyd(&self) -> PathBuf {
        self.directory.join("chrony/usr/sbin/chronyd")
    }

    fn programs(&self) -> [PathBuf; 5] {
        [
            self.chronyd(),
            self.directory.join("chrony/usr/bin/chronyc"),
            self.directory.join("ntpsec/usr/sbin/ntpd"),
            self.directory.join("ntpsec/usr/bin/ntpq"),
            self.directory.join("gpsd/usr/sbin/gpsd"),
        ]
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, program) in self.programs().iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", program.display())?;
        }
        Ok(())
    }
}

/// Downloads and unpacks what is not there yet, and makes sure that it can run.
pub(crate) fn fetch() -> Result<Peers> {
    let peers = Peers {
        directory: build_dir().join("peers"),
    };
    for package in PACKAGES {
        let unpacked = peers.directory.join(package);
        if !unpacked.is_dir() {
            download(package, &peers.directory)
                .with_context(|| format!("could not fetch Debian's package {package}"))?;
        }
    }
    for program in peers.programs() {
        if !program.is_file() {
            bail!(
                "{} is missing; remove {} and try again",
                program.display(),
                peers.directory.display()
            );
        }
    }
    install_libraries(&peers)?;
    Ok(peers)
}

/// Fetches one package and unpacks it, so that an interrupted run leaves nothing half done.
fn download(package: &str, directory: &Path) -> Result<()> {
    tools::need(tools::PEERS)?;
    let archives = directory.join("archives");
    std::fs::create_dir_all(&archives)?;
    println!("fetching Debian's package {package}");
    let fetch = || -> Result<()> {
        let mut download = command("apt-get");
        read(
            download
                .args(["-q", "download", package])
                .current_dir(&archives),
        )
        .map(drop)
    };
    if fetch().is_err() {
        // A machine that never asked for package lists has none.
        if crate::shell::is_root() {
            run(command("apt-get").args(["-qq", "update"]))?;
        }
        fetch()?;
    }
    let archive = archive_of(package, &archives)?;
    let partial = directory.join(format!("{package}.partial"));
    if partial.is_dir() {
        std::fs::remove_dir_all(&partial)?;
    }
    read(command("dpkg").arg("-x").arg(archive).arg(&partial))?;
    std::fs::rename(&partial, directory.join(package))?;
    Ok(())
}

fn archive_of(package: &str, archives: &Path) -> Result<PathBuf> {
    std::fs::read_dir(archives)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
        })
        .with_context(|| format!("no {package}_*.deb in {}", archives.display()))
}

/// Installs the shared libraries that the unpacked programs name as dependencies, if any is missing.
fn install_libraries(peers: &Peers) -> Result<()> {
    let mut packages: Vec<String> = Vec::new();
    let [chronyd, chronyc, ntpd, _, gpsd] = peers.programs();
    for (package, programs) in [
        ("chrony", vec![chronyd, chronyc]),
        ("ntpsec", vec![ntpd]),
        ("gpsd", vec![gpsd]),
    ] {
        let mut incomplete = false;
        for program in programs {
            incomplete |= read(command("ldd").arg(&program))?.contains("not found");
        }
        if incomplete {
            let archive = archive_of(package, &peers.directory.join("archives"))?;
            let depends = read(command("dpkg-deb").arg("-f").arg(archive).arg("Depends"))?;
            packages.extend(libraries(&depends));
        }
    }
    // ntpq is a Python program, of the system's Python.
    let python = read(command("/usr/bin/python3").args(["-c", "import ntp.packet"]));
    if python.is_err() {
        packages.push("python3-ntp".to_owned());
    }
    if packages.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    tools::install(&packages, "the peers' libraries are missing")
}

/// The names of library packages in a `Depends:` field.
fn libraries(depends: &str) -> Vec<String> {
    depends
        .split(',')
        .filter_map(|alternative| alternative.split_whitespace().next())
        .filter(|name| name.starts_with("lib"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_taken_from_a_dependency_field() {
        let field = "adduser (>= 3.130~), lsb-base, ucf, iproute2 [linux-any], libc6 (>= 2.36), libcap2 (>= 1:2.10)";
        assert_eq!(libraries(field), ["libc6", "libcap2"]);
    }
}
