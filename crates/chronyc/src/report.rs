//! Reports: what is asked, and how the answer is laid out (`chronyc.md` 6).

mod clock;
mod row;
mod server;
mod sources;
mod wait;

pub(crate) use clock::{manual_list, rtc_data, set_time, smoothing, tracking};
pub(crate) use row::Row;
pub(crate) use server::{activity, clients, server_stats};
pub(crate) use sources::{auth_data, ntp_data, select_data, source_name, source_stats, sources};
pub(crate) use wait::wait_sync;

/// Asks and unpacks the one kind of data the reply can have.
macro_rules! ask {
    ($session:expr, $request:expr, $kind:ident) => {
        match $session.ask(&$request)? {
            timewright_control::ReplyData::$kind(data) => data,
            _ => return $session.bad_reply(),
        }
    };
}
use ask;
