//! `cargo xtask vm`: the shipped unit in a disposable virtual machine with a clock of its own.
//!
//! Only there the daemon may step and slew a clock: the clock of the host is never set. The machine
//! is emulated in software, its root is made of Debian's packages and kept below `build/vm`.

use std::path::PathBuf;

use crate::shell::build_dir;

/// Where the kernel, the root and the last console log are.
pub(crate) fn directory() -> PathBuf {
    build_dir().join("vm")
}
