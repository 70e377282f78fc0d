//! What other programs hand to reference clocks: a message to a socket, and shared memory with the
//! count that was read after it.

use timewright_core::ids::DeviceId;
use timewright_core::refclock::{DeviceReading, shm, sock};

use crate::engine::Host;

/// Lines of the engine's configuration: one reads shared memory, one has a socket.
const SHM: DeviceId = DeviceId(0);
const SOCK: DeviceId = DeviceId(1);

/// Takes `data` for a message, and for memory; what is read goes to an engine.
pub fn run(data: &[u8]) {
    let mut host = Host::new();
    let message = sock::reading(data);
    assert!(message.is_none() || data.len() == sock::SIZE);
    if let Some(DeviceReading::Pulse { second, .. }) = &message {
        assert!(second.0.is_finite());
    }
    host.read_device(SOCK, message.as_ref());

    let (segment, count) = memory(data);
    let sample = shm::reading(&segment);
    let taken = sample.filter(|_| shm::is_new(&segment, count));
    host.read_device(SHM, taken.as_ref());
    host.step(crate::engine::WAIT, &[]);
}

/// The beginning of `data` as memory, zeros beyond its end, and the count behind it.
fn memory(data: &[u8]) -> ([u8; shm::SIZE], i32) {
    let mut segment = [0; shm::SIZE];
    for (to, from) in segment.iter_mut().zip(data) {
        *to = *from;
    }
    let count = data.get(shm::SIZE..).and_then(<[u8]>::first_chunk);
    (segment, count.map_or(0, |bytes| i32::from_ne_bytes(*bytes)))
}
