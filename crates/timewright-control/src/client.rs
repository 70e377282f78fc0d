//! The client's side: which datagrams answer a request (`control-protocol.md` 8).

use crate::field::{Field, Reader};
use crate::{Command, Reply, ReplyData, Status, VERSION_BELIEVED, reply};

/// What a reply must have in common with the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Version of the request.
    pub version: u8,
    /// Its command.
    pub command: Command,
    /// Sequence number of its last transmission.
    pub sequence: u32,
}

/// What a datagram is to a client that waits for a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Something else; go on waiting.
    Foreign,
    /// The reply, but cut short; ask again.
    Truncated,
    /// The daemon refuses our version and speaks this one.
    OtherVersion(u8),
    /// The reply.
    Reply(Reply),
}

/// Reads a datagram. Bytes after the reply are ignored.
#[must_use]
pub fn receive(datagram: &[u8], expected: Expected) -> Answer {
    let mut from = Reader::new(datagram);
    let Ok(header) = reply::Header::take(&mut from) else {
        return Answer::Foreign;
    };
    let refused = header.status == Status::BadPacketVersion;
    let version_fits =
        header.version == expected.version || header.version >= VERSION_BELIEVED && refused;
    if !version_fits
        || header.packet_type != reply::TYPE
        || header.reserved != [0; 2]
        || header.command != expected.command.code()
        || header.sequence != expected.sequence
    {
        return Answer::Foreign;
    }
    if datagram.len() < header.code.wire_len() {
        return Answer::Truncated;
    }
    if refused && header.version != expected.version {
        return Answer::OtherVersion(header.version);
    }
    match ReplyData::take(header.code, &mut from) {
        Ok(data) => Answer::Reply(Reply {
            status: header.status,
            data,
        }),
        Err(_) => Answer::Truncated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::encode;

    const EXPECTED: Expected = Expected {
        version: 6,
        command: Command::SourceCount,
        sequence: 7,
    };

    fn check(change: impl FnOnce(&mut Vec<u8>), want: Answer) {
        let mut bytes = encode(&ReplyData::SourceCount(3).into(), 14, 7);
        change(&mut bytes);
        assert_eq!(receive(&bytes, EXPECTED), want);
    }

    #[test]
    fn only_the_reply_to_the_last_transmission_counts() {
        let reply = Answer::Reply(ReplyData::SourceCount(3).into());
        check(|_| {}, reply.clone());
        check(|b| b.extend([9; 40]), reply);
        for (at, value) in [(0, 5), (1, 1), (2, 1), (3, 1), (5, 15), (19, 8)] {
            check(|b| b[at] = value, Answer::Foreign);
        }
        check(|b| b.truncate(27), Answer::Foreign);
        check(|b| b.truncate(31), Answer::Truncated);
    }

    #[test]
    fn a_refused_version_is_believed_from_4_up() {
        let bad_version = Status::BadPacketVersion;
        let refusal = encode(&bad_version.into(), 14, 7);
        for (version, want) in [
            (3, Answer::Foreign),
            (4, Answer::OtherVersion(4)),
            (5, Answer::OtherVersion(5)),
            (6, Answer::Reply(bad_version.into())),
            (7, Answer::OtherVersion(7)),
        ] {
            let mut bytes = refusal.clone();
            bytes[0] = version;
            assert_eq!(receive(&bytes, EXPECTED), want, "{version}");
        }
    }

    #[test]
    fn unknown_and_retired_codes_are_replies() {
        check(|b| b[7] = 99, Answer::Reply(ReplyData::Other(99).into()));
        check(|b| b[7] = 14, Answer::Reply(ReplyData::Other(14).into()));
    }
}
