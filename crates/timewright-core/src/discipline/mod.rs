//! The discipline of the local clock (`discipline.md` 1, 7 and 9 to 11).
//!
//! Owns the map between raw and cooked time and everything that moves it: absolute frequency,
//! slews, steps, temperature compensation, manual input, served-time smoothing, and the
//! detection of jumps nobody told us of. Decides nothing about *which* offset to correct; that
//! is [`crate::reference`].
//!
//! ```text
//! reference, commands ──> LocalClock ──> dyn Clock            (frequency, steps)
//!                             └────────> Effects ──> engine   (clock changes to fan out, log lines)
//! ```
//!
//! Every operation takes a [`Cx`]: the time of the wake-up, the two capabilities, and the list
//! of [`Effect`]s it appends to. Nothing here has timers of its own: `next_deadline` says when
//! `handle_deadline` wants to be called.

mod effect;
mod frequency;
pub mod jump;
pub mod linux;
pub mod manual;
pub mod model;
mod null;
pub mod precision;
mod scan;
pub mod slew;
pub mod smooth;
pub mod tempcomp;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod vectors;

pub use effect::{
    ChangeKind, ClockChange, Cx, DisciplineEvent, Effect, Effects, MailNotice, SmoothingCommand,
};
pub use model::{CookLine, LocalClock, LocalClockConfig};
pub(crate) use scan::scan_f64;
