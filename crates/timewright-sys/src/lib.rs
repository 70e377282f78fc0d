//! Linux system calls for timewright behind safe functions.
//!
//! This is the only crate of the workspace with `unsafe` code: one function per system call, the
//! smallest block, a safe signature with owned descriptors. It decides nothing; what a refusal
//! means is the caller's affair. Everything goes through the C library (no inline system calls),
//! so that programs can be run under an interposing simulator, and every optional call may fail.

pub mod calendar;
pub mod clock;
pub mod clock_changes;
mod cvt;
pub mod directory;
pub mod files;
pub mod frame;
pub mod local;
pub mod names;
pub mod net;
pub mod poll;
pub mod privileges;
pub mod process;
pub mod random;
pub mod shm;
pub mod signals;
pub mod syslog;
pub mod timex;
pub mod users;

pub use cvt::{error_text, is_shortage};
