//! A datagram of the control protocol, as the daemon reads it and as the client does; and the
//! texts that the client turns into fields of requests.

use timewright_control::client::{Answer, Expected, receive};
use timewright_control::reply::SourceName;
use timewright_control::request::{self, AddSource, Name, SelectFlags, SourceFlags};
use timewright_control::server::{Admission, OPEN_KEYWORDS, OpenCommands, Transport, admit};
use timewright_control::{
    Address, Command, DecodeError, Reply, ReplyData, Request, Status, VERSION,
};
use timewright_control::{REPLY_HEADER, Timespec, refid, reply};
use timewright_time::{Raw, Timestamp};

/// Hands `data` to both sides.
pub fn run(data: &[u8]) {
    for transport in [Transport::Unix, Transport::Udp] {
        serve(data, transport);
    }
    read_reply(data);
    if let Ok(text) = std::str::from_utf8(data) {
        read_text(text);
    }
}

fn serve(data: &[u8], transport: Transport) {
    let mut open = OpenCommands::default();
    // Half of the optional reports are open.
    for (keyword, _) in OPEN_KEYWORDS.iter().step_by(2) {
        assert!(open.open(keyword));
    }
    let mut counted = 0;
    let admission = admit(data, transport, open, || {
        counted += 1;
        true
    });
    assert!(counted <= 1);
    if counted == 1 {
        let limited = admit(data, transport, open, || false);
        assert_eq!(limited, Admission::Silence);
    }
    match admission {
        Admission::Silence => {}
        Admission::Refuse(bytes) => assert!(bytes.len() <= data.len()),
        Admission::Accept(request, responder) => {
            assert!(transport == Transport::Unix || open.contains(request.command()));
            for status in [Status::Success, Status::Failed] {
                let sent = responder.reply(&Reply::status(status));
                assert!(sent.is_some_and(|bytes| bytes.len() <= data.len()));
            }
            again(&request);
            ask(&request);
        }
    }
}

/// Written and read again a request is the same.
fn again(request: &Request) {
    for version in [VERSION, VERSION - 1] {
        let bytes = request::encode(request, version, 1, 2);
        let read = admit(&bytes, Transport::Unix, OpenCommands::NONE, || true);
        match read {
            Admission::Accept(read, _) => assert_eq!(&read, request),
            // The older one is refused, if not too short even for that.
            other => assert!(version != VERSION, "{other:?}"),
        }
    }
}

/// What a daemon may ask of a request.
fn ask(request: &Request) {
    let address = match request {
        Request::Online(sources) | Request::Offline(sources) => {
            let one = timewright_control::request::SourceMask::one(sources.address);
            assert!(one.selects(sources.address));
            let _ = sources.selects(sources.mask);
            sources.address
        }
        Request::Allow(subnet) => subnet.address,
        Request::AddSource(source) => {
            assert_eq!(Name::new(&source.name.to_string()), Ok(source.name.clone()));
            let plain = AddSource::new(source.source_type, source.name.clone());
            again(&Request::AddSource(Box::new(plain)));
            return;
        }
        Request::SetTime(time) => {
            let _: Timestamp<Raw> = time.to_timestamp();
            return;
        }
        Request::ModifySelectOptions(change) => {
            let mut flags = SourceFlags::from(change.options);
            flags |= SourceFlags::from(change.mask);
            let both = SelectFlags::from(flags);
            assert!(
                both.with(change.mask, true)
                    .contains(both.with(change.mask, false))
            );
            change.address
        }
        Request::AccessCheck(address) => *address,
        _ => return,
    };
    show(address);
}

fn show(address: Address) {
    let text = address.to_string();
    if let Some(ip) = address.ip() {
        assert_eq!(text.parse(), Ok(Address::from(ip)));
        assert!(address.matches(address, address.host_mask()));
    }
    let _ = refid::text(refid::of(address));
}

fn read_reply(data: &[u8]) {
    let word = |at: usize| Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?));
    let (Some(code), Some(high), Some(low)) = (word(4), word(16), word(18)) else {
        return;
    };
    let sequence = u32::from(high) << 16 | u32::from(low);
    let command = Command::from_code(code).unwrap_or(Command::Tracking);
    for version in [VERSION, VERSION - 1] {
        let expected = Expected {
            version,
            command,
            sequence,
        };
        match receive(data, expected) {
            Answer::Reply(answer) => check_reply(&answer, expected),
            Answer::OtherVersion(other) => assert_ne!(other, version),
            Answer::Foreign | Answer::Truncated => {}
        }
    }
}

fn check_reply(answer: &Reply, expected: Expected) {
    assert!(!answer.status.text().is_empty() || answer.status.is_success());
    match &answer.data {
        ReplyData::SourceName(name) => {
            assert!(
                name.usable()
                    .is_none_or(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
            );
        }
        ReplyData::Tracking(report) => {
            show(report.address);
            let time: Timestamp<Raw> = report.reference_time.to_timestamp();
            let _ = Timespec::from(time);
            let _ = refid::text(report.refid);
        }
        // Only ever received: written it is a header, and known or not as the code is.
        ReplyData::Other(code) => {
            let bytes = reply::encode(answer, expected.command.code(), expected.sequence);
            assert_eq!(bytes.len(), REPLY_HEADER);
            assert_eq!(bytes[6..8], code.to_be_bytes());
            return;
        }
        _ => {}
    }
    let mut bytes = reply::encode(answer, expected.command.code(), expected.sequence);
    bytes[0] = expected.version;
    assert_eq!(receive(&bytes, expected), Answer::Reply(answer.clone()));
}

fn read_text(text: &str) {
    let text = text.trim_end_matches('\n');
    let name = SourceName::new(text);
    assert!(name.usable().is_none_or(|usable| text.starts_with(usable)));
    let data = ReplyData::SourceName(name);
    let expected = Expected {
        version: VERSION,
        command: Command::SourceName,
        sequence: 1,
    };
    // A zero byte ends the name on the wire.
    if !text.contains('\0') {
        check_reply(&data.into(), expected);
    }
    if let Ok(address) = text.parse::<Address>() {
        show(address);
        if let Address::Id(_) = address {
            assert_eq!(Address::from_id(text), Some(address));
        }
    }
    if let Some(id) = Address::from_id(text) {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Some(id) = refid::parse(text) {
        assert!(refid::text(id).len() <= 4);
    }
    if let Err(error) = Name::new(text) {
        assert!(!error.to_string().is_empty());
    }
    let mut open = OpenCommands::NONE;
    assert_eq!(open.open(text), open != OpenCommands::NONE);
    let errors = [
        DecodeError::TooShort {
            missing: text.len(),
        },
        DecodeError::BadValue {
            what: "code",
            value: 1,
        },
        DecodeError::BadName,
    ];
    for error in errors {
        assert!(!error.status().is_success() && !error.to_string().is_empty());
    }
}
