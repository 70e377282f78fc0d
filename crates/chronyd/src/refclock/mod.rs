//! The devices of reference clocks: opened at start, read when the engine asks, heard when they
//! send by themselves (`discipline.md` 13.7).
//!
//! What they say is put into words by `timewright_core::refclock`; nothing is judged here.

mod shm;
mod sock;

pub(crate) use sock::SampleSocket;

use shm::SampleSegment;
use std::collections::BTreeMap;
use timewright_config::{Config, Driver, DriverKind, RefclockSpec};
use timewright_core::ids::DeviceId;
use timewright_core::refclock::DeviceReading;

/// The drivers of this build.
pub(crate) const DRIVERS: [DriverKind; 2] = [DriverKind::Shm, DriverKind::Sock];

/// An open device.
enum Device {
    Shm(SampleSegment),
    Sock(SampleSocket),
}

/// The open devices by the engine's names.
#[derive(Default)]
pub(crate) struct Devices {
    devices: BTreeMap<DeviceId, Device>,
}

impl Devices {
    /// Opens what the configuration names, line by line. This may need the rights of root.
    ///
    /// # Errors
    /// The fatal message of the first line that is wrong or whose device cannot be opened.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        let mut devices = BTreeMap::new();
        for (index, spec) in (0..).zip(&config.refclocks) {
            config
                .check_refclock(spec)
                .map_err(|fault| fault.to_string())?;
            let device = match spec.driver().map_err(|fault| fault.to_string())? {
                Driver::Shm { unit, perm } => Device::Shm(SampleSegment::open(unit, perm)?),
                Driver::Sock { path } => Device::Sock(SampleSocket::create(path)?),
                Driver::Pps { .. } | Driver::Phc { .. } | Driver::Rtc { .. } => {
                    return Err(not_built(spec));
                }
            };
            devices.insert(DeviceId(index), device);
        }
        Ok(Self { devices })
    }

    /// Reads a device that has to be asked; `None` if it has nothing new to say.
    pub(crate) fn read(&self, id: DeviceId) -> Option<DeviceReading> {
        match self.devices.get(&id)? {
            Device::Shm(segment) => segment.read(),
            Device::Sock(_) => None,
        }
    }

    /// The sockets of those that send by themselves.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = (DeviceId, &SampleSocket)> {
        self.devices
            .iter()
            .filter_map(|(&id, device)| match device {
                Device::Sock(socket) => Some((id, socket)),
                Device::Shm(_) => None,
            })
    }

    /// The socket of one of them.
    pub(crate) fn socket(&self, id: DeviceId) -> Option<&SampleSocket> {
        match self.devices.get(&id)? {
            Device::Sock(socket) => Some(socket),
            Device::Shm(_) => None,
        }
    }

    /// Closes all, and removes the sockets.
    pub(crate) fn close(&mut self) {
        for device in std::mem::take(&mut self.devices).into_values() {
            match device {
                Device::Shm(segment) => drop(segment),
                Device::Sock(socket) => socket.remove(),
            }
        }
    }
}

/// The fatal message about what this build cannot read: a source that was configured must not be
/// missing silently.
fn not_built(spec: &RefclockSpec) -> String {
    format!("refclock driver {} is not compiled in", spec.driver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::testing::Scratch;
    use timewright_config::{MemoryFiles, ParseOptions, parse_lines};

    fn config(lines: &[&str]) -> Config {
        let files = MemoryFiles::new();
        let parsed = parse_lines(lines, &files, ParseOptions::default());
        parsed.unwrap().config
    }

    fn fault(lines: &[&str]) -> String {
        Devices::open(&config(lines)).err().unwrap()
    }

    #[test]
    fn what_cannot_be_read_is_fatal() {
        for (line, want) in [
            ("refclock FOO x", "unknown refclock driver FOO"),
            (
                "refclock PPS /dev/pps0",
                "refclock driver PPS is not compiled in",
            ),
            (
                "refclock PHC /dev/ptp0:nocrossts",
                "refclock driver PHC is not compiled in",
            ),
            (
                "refclock RTC /dev/rtc0",
                "refclock driver RTC is not compiled in",
            ),
            (
                "refclock SHM 0 tai",
                "refclock tai option requires leapseclist or leapsectz",
            ),
            (
                "refclock SHM 0:mode=1",
                "Invalid refclock driver option mode=1",
            ),
            (
                "refclock SOCK /nonexistent/x",
                "Could not open socket /nonexistent/x",
            ),
            ("refclock SOCK :", "Could not open socket "),
        ] {
            assert_eq!(fault(&[line]), want, "{line}");
        }
    }

    #[test]
    fn lines_are_opened_in_order_and_named_by_it() {
        let scratch = Scratch::new();
        let line = |name| format!("refclock SOCK {}", scratch.path(name).display());
        let (one, two) = (line("one"), line("two"));
        let mut devices = Devices::open(&config(&[&one, &two])).unwrap();
        let ids: Vec<_> = devices.sockets().map(|(id, _)| id).collect();
        assert_eq!(ids, [DeviceId(0), DeviceId(1)]);
        assert!(devices.socket(DeviceId(1)).is_some());
        assert!(devices.socket(DeviceId(2)).is_none());
        assert_eq!(devices.read(DeviceId(0)), None);
        assert!(scratch.path("one").exists() && scratch.path("two").exists());
        devices.close();
        assert!(!scratch.path("one").exists() && !scratch.path("two").exists());
        assert_eq!(devices.sockets().count(), 0);
    }

    #[test]
    fn the_manual_says_which_drivers_are_missing() {
        let drivers = timewright_manual::drivers().unwrap();
        assert_eq!(drivers.len(), DriverKind::ALL.len());
        for entry in drivers {
            let line = format!("refclock {} x", entry.name());
            let config = config(&[&line]);
            let kind = config.refclocks[0].driver().unwrap().kind();
            let built = DRIVERS.contains(&kind);
            assert_eq!(entry.missing.is_none(), built, "{line}");
        }
    }
}
