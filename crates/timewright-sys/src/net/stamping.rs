//! Flags of `SO_TIMESTAMPING` (`ntp-engine.md` 9.1).

/// Software receive stamps, reported with the packet contents.
pub const RECEIVE: u32 = libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_RX_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_CMSG;

/// Software transmit stamps; permanently as a socket option, or as the flags of one message.
pub const TRANSMIT: u32 = libc::SOF_TIMESTAMPING_TX_SOFTWARE;

/// Requests stamps from the network card as well, receive side.
pub const RECEIVE_HARDWARE: u32 =
    libc::SOF_TIMESTAMPING_RAW_HARDWARE | libc::SOF_TIMESTAMPING_RX_HARDWARE;

/// Requests stamps from the network card as well, transmit side.
pub const TRANSMIT_HARDWARE: u32 = libc::SOF_TIMESTAMPING_TX_HARDWARE;
