//! Giving up root while keeping named capabilities.

use crate::cvt::{check, check_len};
use crate::users::User;
use std::io;

/// A capability (`capabilities(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Binding to ports below 1024.
    NetBindService = 10,
    /// Binding to devices on kernels before 5.7.
    NetRaw = 13,
    /// Adjusting the clock.
    SysTime = 25,
}

/// Which step of [`drop_root`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `prctl(PR_SET_KEEPCAPS)`
    KeepCapabilities,
    /// `setgroups`
    SetGroups,
    /// `setgid`
    SetGroup,
    /// `setuid`
    SetUser,
    /// `capset`
    SetCapabilities,
}

/// Version 3 of the interface: two 32-bit words per set.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Becomes `user` for good, keeping only `keep` (effective and permitted). To be called while the
/// process has one thread.
///
/// # Errors
/// The step that failed and why; the process must end then, as it is neither one nor the other.
pub fn drop_root(user: User, keep: &[Capability]) -> Result<(), (Step, io::Error)> {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) })
        .map_err(|error| (Step::KeepCapabilities, error))?;
    // SAFETY: an empty list needs no pointer.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })
        .map_err(|error| (Step::SetGroups, error))?;
    // SAFETY: numbers only.
    check(unsafe { libc::setgid(user.gid) }).map_err(|error| (Step::SetGroup, error))?;
    // SAFETY: numbers only.
    check(unsafe { libc::setuid(user.uid) }).map_err(|error| (Step::SetUser, error))?;
    set_capabilities(keep).map_err(|error| (Step::SetCapabilities, error))
}

fn set_capabilities(keep: &[Capability]) -> io::Result<()> {
    let bits = keep.iter().fold(0u32, |bits, &cap| bits | 1 << cap as u32);
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let low = CapabilitySets {
        effective: bits,
        permitted: bits,
        inheritable: 0,
    };
    // All capabilities of the enum are below 32.
    let sets = [low, CapabilitySets::default()];
    // SAFETY: header and sets have the layout of version 3 and are only read.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    check_len(isize::try_from(result).unwrap_or(-1))?;
    Ok(())
}

/// Whether the bounding set lets this process have a capability. True if the system cannot tell.
#[must_use]
pub fn is_in_bounding_set(capability: Capability) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability as libc::c_int, 0, 0, 0) != 0 }
}

/// Forbids that this process or its children gain privileges by `exec`.
///
/// # Errors
/// Unknown to the system.
pub fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    Ok(())
}
