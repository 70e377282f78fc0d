//! Which of the time stamps of a packet is taken (`ntp-engine.md` 9.2).

use timewright_core::output::{PacketStamp, StampSource};
use timewright_sys::net::Stamps;
use timewright_time::{Raw, Timestamp};

/// A kernel stamp further from the time of our wake-up is not believed, seconds.
const MAX_DISTANCE_S: f64 = 1.0;

fn kernel(stamps: &Stamps, event: Timestamp<Raw>) -> Option<PacketStamp> {
    let time = Timestamp::from_ns(stamps.kernel?);
    let near = (event - time).0.abs() <= MAX_DISTANCE_S;
    near.then(|| PacketStamp::new(time, StampSource::Kernel))
}

/// When a packet was received: by the kernel if it told, else the time of our wake-up.
pub(crate) fn choose_receive(stamps: &Stamps, event: Timestamp<Raw>) -> PacketStamp {
    kernel(stamps, event).unwrap_or_else(|| PacketStamp::new(event, StampSource::Daemon))
}

/// When a packet was sent, if the kernel told. A message with a hardware stamp that cannot be
/// converted gives none.
pub(crate) fn choose_transmit(stamps: &Stamps, event: Timestamp<Raw>) -> Option<PacketStamp> {
    if stamps.hardware.is_some() {
        return None;
    }
    kernel(stamps, event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: i64) -> Stamps {
        Stamps {
            kernel: Some(ns),
            ..Stamps::default()
        }
    }

    #[test]
    fn far_stamps_are_not_believed() {
        let event = Timestamp::from_parts(1_700_000_000, 0);
        let good = choose_receive(&at(event.ns() - 1_000_000_000), event);
        assert_eq!(good.source, StampSource::Kernel);
        let far = choose_receive(&at(event.ns() - 1_000_000_001), event);
        assert_eq!((far.source, far.time), (StampSource::Daemon, event));
        assert!(choose_transmit(&at(event.ns() + 1_000_000_001), event).is_none());
        let none = choose_receive(&Stamps::default(), event);
        assert_eq!(none.source, StampSource::Daemon);
    }

    #[test]
    fn hardware_stamps_that_cannot_be_converted_give_nothing() {
        let event = Timestamp::from_parts(1_700_000_000, 0);
        let stamps = Stamps {
            hardware: Some(5),
            ..at(event.ns())
        };
        assert!(choose_transmit(&stamps, event).is_none());
        assert_eq!(choose_receive(&stamps, event).source, StampSource::Kernel);
    }
}
