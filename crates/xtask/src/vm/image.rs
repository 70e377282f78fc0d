//! What the virtual machine boots: Debian's kernel, and a root made of Debian's packages with our
//! programs in it.
//!
//! Kernel and root are kept in `build/vm` between runs; what is ours is a second, small archive
//! that is made for every run.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use crate::shell::{Binaries, command, is_root, read, root, run};

/// The guest's address of the host, by qemu's user networking.
pub(super) const HOST: &str = "10.0.2.2";

/// Packages of the root beside the smallest set that `debootstrap` knows.
const PACKAGES: &str = "systemd,systemd-sysv,kmod,iproute2";
/// Parts of the root that nothing in the guest reads.
const LEFT_OUT: &[&str] = &[
    "dev",
    "usr/share/doc",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl5",
    "usr/share/zoneinfo",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
];
/// Changes when the above do, so that an old root is not used.
const ROOT_NAME: &str = "root-1.cpio";

/// The files for `qemu`.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) kernel: PathBuf,
    /// Both archives in a row.
    pub(super) initramfs: PathBuf,
}

/// Makes what is missing in `directory`, and puts the programs and the server's `port` in.
pub(super) fn build(directory: &Path, programs: &Binaries, port: u16) -> Result<Image> {
    fs::create_dir_all(directory)
        .with_context(|| format!("could not create {}", directory.display()))?;
    let suite = suite()?;
    let parts = directory.join(&suite);
    let kernel = parts.join("vmlinuz");
    let driver = parts.join("e1000.ko");
    let adjtimex = parts.join("adjtimex");
    let base = parts.join(ROOT_NAME);
    if !kernel.is_file() || !driver.is_file() {
        fetch_kernel(&parts).context("could not fetch Debian's kernel")?;
    }
    if !adjtimex.is_file() {
        fetch_adjtimex(&parts).context("could not fetch Debian's package adjtimex")?;
    }
    if !base.is_file() {
        make_base(&parts, &suite, &base).context("could not make a root of Debian's packages")?;
    }
    let initramfs = directory.join("initramfs");
    fs::copy(&base, &initramfs)?;
    let file = fs::OpenOptions::new().append(true).open(&initramfs)?;
    let mut archive = Archive::new(BufWriter::new(file));
    let ours = Ours {
        programs,
        driver: &driver,
        adjtimex: &adjtimex,
        port,
    };
    ours.write(&mut archive)
        .context("could not write the machine's root")?;
    archive.finish()?;
    Ok(Image { kernel, initramfs })
}

/// The release of Debian that runs here: our programs are linked against its libraries.
fn suite() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("could not read /etc/os-release")?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches('"').to_owned())
    };
    let is_debian = value("ID=").is_some_and(|id| id == "debian");
    let machine = read(command("uname").arg("-m"))?;
    if !is_debian || machine.trim() != "x86_64" {
        bail!("the virtual machine is made of the host's own packages, and needs Debian on x86-64");
    }
    value("VERSION_CODENAME=").context("/etc/os-release names no release of Debian")
}

/// Downloads a package into `parts` and returns the archive.
fn download(package: &str, parts: &Path) -> Result<PathBuf> {
    let directory = parts.join("archives").join(package);
    fs::create_dir_all(&directory)?;
    println!("fetching Debian's package {package}");
    let fetch = || {
        let mut download = command("apt-get");
        download.args(["-q", "download", package]);
        read(download.current_dir(&directory))
    };
    if fetch().is_err() {
        // A machine that never asked for package lists has none.
        if is_root() {
            run(command("apt-get").args(["-qq", "update"]))?;
        }
        fetch()?;
    }
    let archive = fs::read_dir(&directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    archive.with_context(|| format!("no archive in {}", directory.display()))
}

/// Takes files out of a package into `parts`: each the first whose path contains a pattern, under
/// a name of its own.
fn extract(archive: &Path, parts: &Path, wanted: &[(&str, &str)]) -> Result<()> {
    let unpacked = parts.join("unpacked");
    if unpacked.is_dir() {
        fs::remove_dir_all(&unpacked)?;
    }
    read(command("dpkg").arg("-x").arg(archive).arg(&unpacked))?;
    for (pattern, name) in wanted {
        let found = find(&unpacked, pattern)?
            .with_context(|| format!("no {pattern} in {}", archive.display()))?;
        fs::rename(found, parts.join(name))?;
    }
    fs::remove_dir_all(&unpacked)?;
    Ok(())
}

/// The first file below `directory` whose path contains `pattern`.
fn find(directory: &Path, pattern: &str) -> Result<Option<PathBuf>> {
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else if entry.path().to_string_lossy().contains(pattern) {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}

fn fetch_kernel(parts: &Path) -> Result<()> {
    let listed = read(command("apt-cache").args(["depends", "linux-image-amd64"]))?;
    let package = listed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
        .context("linux-image-amd64 names no kernel")?;
    let archive = download(package, parts)?;
    extract(
        &archive,
        parts,
        &[("/boot/vmlinuz-", "vmlinuz"), ("/e1000.ko", "e1000.ko")],
    )
}

fn fetch_adjtimex(parts: &Path) -> Result<()> {
    let archive = download("adjtimex", parts)?;
    extract(&archive, parts, &[("/sbin/adjtimex", "adjtimex")])
}

fn make_base(parts: &Path, suite: &str, archive: &Path) -> Result<()> {
    if !is_root() {
        bail!("debootstrap needs root: sudo cargo xtask vm");
    }
    let tree = parts.join("root");
    if tree.is_dir() {
        fs::remove_dir_all(&tree)?;
    }
    println!("making a root of Debian's packages with debootstrap");
    let mut debootstrap = command("debootstrap");
    debootstrap.args(["--variant=minbase", "--include", PACKAGES, suite]);
    read(debootstrap.arg(&tree).arg(mirror(suite)?))?;
    let partial = archive.with_extension("partial");
    let mut writer = Archive::new(BufWriter::new(fs::File::create(&partial)?));
    writer.tree(&tree, &|name| {
        LEFT_OUT.iter().any(|left_out| name == Path::new(left_out))
    })?;
    writer.finish()?;
    fs::rename(partial, archive)?;
    fs::remove_dir_all(&tree)?;
    Ok(())
}

/// The mirror that apt uses here.
fn mirror(suite: &str) -> Result<String> {
    let codename = format!("Codename: {suite}");
    let mut targets = command("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI)"]);
    targets.args(["Created-By: Packages", &codename, "Component: main"]);
    let listed = read(&mut targets)?;
    let first = listed.lines().next().map(str::to_owned);
    first.with_context(|| format!("apt knows no mirror of Debian's {suite}"))
}

/// What is ours in the root.
struct Ours<'a> {
    programs: &'a Binaries,
    /// Of the network card.
    driver: &'a Path,
    adjtimex: &'a Path,
    port: u16,
}

const NETWORK_UNIT: &str = "\
[Unit]
Description=Network of the virtual machine
DefaultDependencies=no
Before=chronyd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/insmod /e1000.ko
ExecStart=/usr/sbin/ip link set eth0 up
ExecStart=/usr/sbin/ip address add 10.0.2.15/24 dev eth0
ExecStart=/usr/sbin/ip route add default via 10.0.2.2
";

const TEST_UNIT: &str = "\
[Unit]
Description=Test of the time daemon
After=chronyd.service

[Service]
Type=oneshot
ExecStart=/guest.sh
TimeoutStartSec=infinity
";

/// Units that would wait for what is not there.
const MASKED: &[&str] = &[
    "getty.target",
    "serial-getty@ttyS0.service",
    "systemd-logind.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
];

impl Ours<'_> {
    fn write(&self, archive: &mut Archive<impl std::io::Write>) -> Result<()> {
        let from = |path: &Path| {
            fs::read(path).with_context(|| format!("could not read {}", path.display()))
        };
        for directory in ["dev", "var/lib/chrony", "var/log/journal"] {
            archive.directory(directory)?;
        }
        archive.console()?;
        archive.file("usr/sbin/chronyd", 0o755, &from(&self.programs.chronyd)?)?;
        archive.file("usr/bin/chronyc", 0o755, &from(&self.programs.chronyc)?)?;
        archive.file("usr/sbin/adjtimex", 0o755, &from(self.adjtimex)?)?;
        archive.file("e1000.ko", 0o644, &from(self.driver)?)?;
        archive.file("guest.sh", 0o755, include_bytes!("guest.sh"))?;
        let config = from(&root().join("packaging/chrony.conf"))?;
        let config = configuration(&String::from_utf8(config)?, self.port)?;
        archive.file("etc/chrony.conf", 0o644, config.as_bytes())?;
        archive.file("etc/hostname", 0o644, b"guest\n")?;
        let unit = from(&root().join("packaging/chronyd.service"))?;
        let units: [(&str, &[u8]); 3] = [
            ("chronyd", &unit),
            ("network", NETWORK_UNIT.as_bytes()),
            ("guest-test", TEST_UNIT.as_bytes()),
        ];
        let system = "etc/systemd/system";
        archive.directory(&format!("{system}/multi-user.target.wants"))?;
        for (name, content) in units {
            archive.file(&format!("{system}/{name}.service"), 0o644, content)?;
            archive.link(
                &format!("{system}/multi-user.target.wants/{name}.service"),
                &format!("../{name}.service"),
            )?;
        }
        for unit in MASKED {
            archive.link(&format!("{system}/{unit}"), "/dev/null")?;
        }
        Ok(())
    }
}

/// The shipped configuration with the host as the only source, and corrections above 20 ms logged.
fn configuration(shipped: &str, port: u16) -> Result<String> {
    let pool = shipped
        .lines()
        .find(|line| line.starts_with("pool "))
        .context("packaging/chrony.conf has no pool to replace")?;
    let server = format!("server {HOST} port {port} iburst minpoll 0 maxpoll 0");
    Ok(shipped.replace(pool, &server) + "logchange 0.02\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pool_is_replaced_in_the_configuration() {
        let shipped = "# a pool of servers\npool pool.ntp.org iburst\nrtcsync\n";
        let changed = configuration(shipped, 1123).unwrap();
        assert_eq!(
            changed,
            "# a pool of servers\nserver 10.0.2.2 port 1123 iburst minpoll 0 maxpoll 0\nrtcsync\n\
             logchange 0.02\n"
        );
        assert!(configuration("rtcsync\n", 123).is_err());
    }

    #[test]
    fn the_shipped_configuration_can_be_used() {
        let path = root().join("packaging/chrony.conf");
        let shipped = fs::read_to_string(path).unwrap();
        let changed = configuration(&shipped, 1).unwrap();
        for line in [
            "makestep 1.0 3",
            "rtcsync",
            "driftfile /var/lib/chrony/drift",
        ] {
            assert!(changed.lines().any(|found| found == line), "{line}");
        }
    }
}
