//! Whole lives of an engine: sources that answer well, badly and not at all, and every control
//! command to an engine that has sources.

use super::control::{a_request, more_requests};
use super::packet::{mac, nts_fields, packet};
use super::{Seed, file_name};
use crate::engine::{
    ANSWER, AS_IT_IS, CONTROL, CORRECTED, DEVICE, INTERLEAVED, OLDER, OWN_TIMES, PACKET,
    REMOTE_CONTROL, SENT, WAIT,
};
use timewright_control::request::LocalReference;
use timewright_control::{Address, Command, Request, Timespec, VERSION, request};
use timewright_time::{NtpShort, NtpShort28, NtpTimestamp, Seconds};
use timewright_wire::{
    FIELD_MONO_ROOT, FIELD_NET_CORRECTION, HEADER_LEN, Header, Leap, Mode, MonoRoot, NetCorrection,
    refid,
};

/// A step: its kind and what it carries.
type Step = (u8, Vec<u8>);

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, steps: &[Step]| {
        let mut bytes = Vec::new();
        for (kind, carried) in steps {
            bytes.push(*kind);
            let length = u16::try_from(carried.len()).expect("a datagram");
            bytes.extend(length.to_be_bytes());
            bytes.extend(carried);
        }
        add(Seed {
            target: "engine",
            name: file_name(name),
            bytes,
        });
    };
    add("nothing", &[]);
    add("no answers", &vec![(WAIT, vec![15]); 40]);
    for (name, change) in answers() {
        let mut header = good();
        change(&mut header);
        let answer = (ANSWER, header.to_bytes().to_vec());
        add(
            &format!("answers {name}"),
            &repeat(&[(WAIT, vec![0]), answer], 20),
        );
    }
    let answer = good().to_bytes().to_vec();
    let fields = with_fields(0x1234_5678_9abc_def0, 2e-4);
    let jumped = [0x1234_5678_9abc_def0, 0x5234_5678_9abc_def0].map(|mono| with_fields(mono, 5.0));
    for (name, flags) in [
        ("foreign", AS_IT_IS),
        ("strange times", OWN_TIMES),
        ("late", OLDER),
    ] {
        add(
            &format!("answers {name}"),
            &repeat(&[(WAIT, vec![0]), (ANSWER | flags, answer.clone())], 20),
        );
    }
    // The first answer is a basic one; then the kernel's transmit times count, or do not.
    let basic = [(WAIT, vec![2]), (ANSWER, answer.clone())];
    for (name, flags, sent) in [
        ("interleaved", INTERLEAVED, false),
        ("interleaved stamped", INTERLEAVED, true),
        ("corrected", CORRECTED, false),
        ("interleaved corrected", INTERLEAVED | CORRECTED, true),
    ] {
        let mut steps = repeat(&basic, 8);
        for _ in 0..12 {
            steps.push((WAIT, vec![0]));
            if sent {
                steps.push((SENT, Vec::new()));
            }
            steps.push((ANSWER | flags, fields.clone()));
        }
        add(&format!("answers {name}"), &steps);
    }
    // Monotonic times that jump, and more correction than there was delay; in no rhythm, as the
    // requests of the sources take turns.
    let mut steps = repeat(&basic, 7);
    for answer in "001101100101110100100111"
        .bytes()
        .map(|digit| &jumped[usize::from(digit == b'1')])
    {
        steps.push((WAIT, vec![0]));
        steps.push((ANSWER | CORRECTED, answer.clone()));
    }
    add("answers overcorrected", &steps);
    let stamped = [
        (WAIT, vec![0]),
        (SENT, Vec::new()),
        (ANSWER, answer.clone()),
    ];
    add("answers stamped", &repeat(&stamped, 20));
    let twice = [(WAIT, vec![0]), (ANSWER, answer.clone()), (ANSWER, answer)];
    add("answers twice", &repeat(&twice, 20));
    for (name, bytes) in [
        ("mac", packet(4, Mode::Server, &[], &mac(16))),
        ("nts", packet(4, Mode::Server, &nts_fields(), &[])),
        ("broadcast", packet(4, Mode::Broadcast, &[], &[])),
        ("crypto nak", packet(4, Mode::Server, &[], &[0; 4])),
    ] {
        add(
            &format!("answers {name}"),
            &repeat(&[(WAIT, vec![0]), (ANSWER, bytes)], 4),
        );
    }
    add(
        "answers fields",
        &repeat(&[(WAIT, vec![0]), (ANSWER, fields)], 20),
    );
    for (name, device, kind) in [
        ("samples", 0, 4),
        ("samples of tai", 3, 4),
        ("samples of a leap", 0, 8),
        ("samples from anywhere", 0, 132),
        ("samples as pulses", 129, 4),
        ("pulses", 129, 1),
        ("hardware", 2, 2),
        ("hardware from anywhere", 2, 130),
        ("edges", 130, 3),
        ("of nobody", 7, 4),
    ] {
        let reading = (DEVICE, device_reading(device, kind));
        let sample = (DEVICE, device_reading(0, 4));
        let map = (DEVICE, device_reading(2, 2));
        let steps = [(WAIT, vec![0]), sample, map, reading];
        add(&format!("readings {name}"), &repeat(&steps, 16));
    }
    for (who, name) in [(3, "peer"), (131, "client"), (1, "server"), (5, "stranger")] {
        let mut steps = vec![(WAIT, vec![3])];
        for mode in [
            Mode::Active,
            Mode::Passive,
            Mode::Client,
            Mode::Server,
            Mode::Broadcast,
        ] {
            let header = Header { mode, ..good() };
            steps.push((PACKET, [&[who][..], &header.to_bytes()].concat()));
            steps.push((WAIT, vec![0]));
        }
        add(&format!("packets of a {name}"), &repeat(&steps, 4));
    }

    for &command in Command::ALL {
        let name = format!("control {:02} {command:?}", command.code());
        add(&name, &life_with(&a_request(command)));
    }
    for (name, request) in more_requests() {
        add(&format!("control {name}"), &life_with(&request));
    }
    // One client after the other: manual input, and reports of every source.
    let mut talk = repeat(&[(WAIT, vec![0]), (ANSWER, good().to_bytes().to_vec())], 6);
    for request in conversation() {
        talk.push((CONTROL, message(&request)));
    }
    add("control conversation", &talk);
    let refused: Vec<Step> = [Command::Tracking, Command::Shutdown, Command::Clients]
        .map(|command| (REMOTE_CONTROL, message(&a_request(command))))
        .into();
    add("control remote", &refused);
}

/// A good answer with both experimental fields: the monotonic time of receipt and the correction.
fn with_fields(receive: u64, correction_s: f64) -> Vec<u8> {
    let mono = MonoRoot {
        root_delay: NtpShort28::from_seconds(Seconds(3e-4)),
        root_dispersion: NtpShort28::from_seconds(Seconds(4e-4)),
        receive: NtpTimestamp(receive),
        epoch: 1,
    };
    let net = NetCorrection::from_seconds(Seconds(correction_s));
    let fields = [
        (FIELD_MONO_ROOT, mono.to_body().to_vec()),
        (FIELD_NET_CORRECTION, net.to_body().to_vec()),
    ];
    let mut bytes = packet(4, Mode::Server, &fields, &[]);
    bytes[..HEADER_LEN].copy_from_slice(&good().to_bytes());
    bytes
}

/// Times a little before now, in nanoseconds; the same again as what a device shows.
fn device_reading(device: u8, kind: u8) -> Vec<u8> {
    let mut bytes = vec![device, kind];
    for ago in [-3000i64, -2000, -1000] {
        bytes.extend(ago.to_be_bytes());
    }
    bytes
}

fn repeat(steps: &[Step], times: usize) -> Vec<Step> {
    steps
        .iter()
        .cycle()
        .take(steps.len() * times)
        .cloned()
        .collect()
}

fn conversation() -> Vec<Request> {
    let sec = 1_800_000_010;
    let times = (0..4).map(|i| {
        Request::SetTime(Timespec {
            sec: sec + i,
            nsec: 0,
        })
    });
    let reports = (0..6).flat_map(|i| {
        [
            Request::SourceData(i),
            Request::SourceStats(i),
            Request::SelectData(i),
        ]
    });
    let address = Address::V4([192, 0, 2, 1].into());
    times
        .chain([
            Request::ManualList,
            Request::ManualDelete(1),
            Request::Local(off()),
        ])
        .chain(reports)
        .chain([
            Request::NtpData(address),
            Request::SourceName(address),
            Request::DeleteSource(address),
        ])
        .collect()
}

fn off() -> LocalReference {
    match a_request(Command::Local) {
        Request::Local(local) => LocalReference { on: false, ..local },
        other => panic!("{other:?} is another command"),
    }
}

fn message(request: &Request) -> Vec<u8> {
    request::encode(request, VERSION, 0, 7)
}

/// Some samples, the request, some more.
fn life_with(request: &Request) -> Vec<Step> {
    let answer = [(WAIT, vec![0]), (ANSWER, good().to_bytes().to_vec())];
    let mut steps = repeat(&answer, 10);
    steps.push((CONTROL, message(request)));
    steps.extend(repeat(&answer, 4));
    steps
}

/// What a good server says.
fn good() -> Header {
    Header {
        version: 4,
        mode: Mode::Server,
        leap: Leap::Normal,
        stratum: 1,
        poll: 4,
        precision: -22,
        root_delay: NtpShort(20),
        root_dispersion: NtpShort(30),
        refid: 0x4750_8123,
        ..Header::default()
    }
}

type Change = fn(&mut Header);

fn answers() -> Vec<(&'static str, Change)> {
    vec![
        ("good", |_| {}),
        ("version 3", |h| h.version = 3),
        ("wrong version", |h| h.version = 1),
        ("unsynchronised", |h| h.leap = Leap::Unsynchronised),
        ("leap insert", |h| h.leap = Leap::Insert),
        ("leap delete", |h| h.leap = Leap::Delete),
        ("stratum 15", |h| h.stratum = 15),
        ("stratum 16", |h| h.stratum = 16),
        ("kiss rate", |h| {
            (h.stratum, h.leap, h.refid) = (0, Leap::Unsynchronised, refid::KISS_RATE)
        }),
        ("kiss deny", |h| {
            (h.stratum, h.leap, h.refid) = (0, Leap::Unsynchronised, refid::KISS_DENY)
        }),
        ("distant", |h| h.root_delay = NtpShort(0x0030_0000)),
        ("large dispersion", |h| {
            h.root_dispersion = NtpShort(u32::MAX)
        }),
        ("poor precision", |h| h.precision = 3),
        ("extreme precision", |h| h.precision = -128),
        ("long poll", |h| h.poll = 127),
        ("wrong mode", |h| h.mode = Mode::Client),
        ("passive", |h| h.mode = Mode::Passive),
        ("active", |h| h.mode = Mode::Active),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Host;

    #[test]
    fn good_answers_synchronise_and_commands_are_answered() {
        let mut host = Host::new();
        for (kind, bytes) in repeat(&[(WAIT, vec![0]), (ANSWER, good().to_bytes().to_vec())], 40) {
            host.step(kind, &bytes);
        }
        assert!(host.is_synchronised());
        host.step(CONTROL, &message(&Request::Tracking));
        assert!(host.reply.is_some());
    }
}
