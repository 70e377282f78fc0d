//! Messages and memory of reference clocks, good ones of the engine's first second and bad ones.

use super::Seed;

const START_S: i64 = 1_800_000_000;
const MAGIC: i32 = 0x534f_434b;

pub(super) fn seeds(add: &mut impl FnMut(Seed)) {
    let mut add = |name: &str, bytes: Vec<u8>| {
        add(Seed {
            target: "samples",
            name: name.into(),
            bytes,
        });
    };
    for (name, offset, fields) in [
        ("message", 0.25, [0, 0, 0, MAGIC]),
        ("message-leap", -1.0, [0, 1, 0, MAGIC]),
        ("message-pulse", 0.125, [1, 0, 0, MAGIC]),
        ("message-nan", f64::NAN, [1, 0, 0, MAGIC]),
        ("message-huge", 1e300, [0, 0, 0, MAGIC]),
        ("message-no-magic", 0.25, [0, 0, 0, MAGIC + 1]),
    ] {
        add(name, message(0, offset, fields));
    }
    add("message-no-time", message(i64::MAX, 0.25, [0, 0, 0, MAGIC]));
    add("message-short", message(0, 0.25, [0; 4])[..39].to_vec());

    let good = Memory {
        mode: 1,
        count: 7,
        later: 7,
        sec: START_S,
        usec: 1,
        nsec: 1234,
        leap: 0,
        valid: 1,
    };
    for (name, memory) in [
        ("memory", good),
        ("memory-uncounted", Memory { mode: 0, ..good }),
        ("memory-unknown-mode", Memory { mode: 2, ..good }),
        ("memory-being-written", Memory { later: 8, ..good }),
        ("memory-taken", Memory { valid: 0, ..good }),
        ("memory-microseconds", Memory { nsec: 0, ..good }),
        (
            "memory-no-time",
            Memory {
                sec: i64::MIN,
                ..good
            },
        ),
        ("memory-leap", Memory { leap: 3, ..good }),
    ] {
        add(name, memory.bytes());
    }
}

fn message(usec: i64, offset: f64, fields: [i32; 4]) -> Vec<u8> {
    let mut bytes = START_S.to_ne_bytes().to_vec();
    bytes.extend(usec.to_ne_bytes());
    bytes.extend(offset.to_ne_bytes());
    bytes.extend(fields.iter().flat_map(|field| field.to_ne_bytes()));
    bytes
}

#[derive(Clone, Copy)]
struct Memory {
    mode: i32,
    count: i32,
    /// The count that was read last.
    later: i32,
    sec: i64,
    usec: i32,
    nsec: i32,
    leap: i32,
    valid: i32,
}

impl Memory {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |values: &[i32]| {
            bytes.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
        };
        let [low, high] = halves(self.sec);
        put(&[self.mode, self.count]);
        // Device and system time, each padded to a multiple of eight bytes but for the last field.
        put(&[low, high, self.usec, 0]);
        put(&[low, high, self.usec, self.leap]);
        put(&[-20, 3, self.valid, self.nsec, self.nsec]);
        put(&[0; 9]);
        put(&[self.later]);
        bytes
    }
}

/// The halves of a number as they lie in memory.
fn halves(number: i64) -> [i32; 2] {
    let bytes = number.to_ne_bytes();
    let half = |at: usize| {
        let mut half = [0; 4];
        half.copy_from_slice(&bytes[at..at + 4]);
        i32::from_ne_bytes(half)
    };
    [half(0), half(4)]
}
