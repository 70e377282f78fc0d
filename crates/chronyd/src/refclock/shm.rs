//! Samples left in shared memory.

use timewright_core::refclock::{DeviceReading, shm};
use timewright_sys::error_text;
use timewright_sys::shm::{Segment, Step};

/// The segment of a unit.
pub(super) struct SampleSegment {
    segment: Segment,
}

impl SampleSegment {
    /// Attaches the segment, which is made if there is none.
    ///
    /// # Errors
    /// The fatal message.
    pub(super) fn open(unit: i32, permissions: u32) -> Result<Self, String> {
        let segment = Segment::open(shm::key(unit), shm::SIZE, permissions);
        let segment = segment.map_err(|(step, error)| {
            let call = match step {
                Step::Get => "shmget",
                Step::Attach => "shmat",
            };
            format!("{call}() failed : {}", error_text(&error))
        })?;
        Ok(Self { segment })
    }

    /// Takes the sample, if there is a new one.
    pub(super) fn read(&self) -> Option<DeviceReading> {
        let mut copy = [0; shm::SIZE];
        self.segment.copy_to(&mut copy);
        if !shm::is_new(&copy, self.segment.number(shm::COUNT)) {
            return None;
        }
        self.segment.set_number(shm::VALID, 0);
        shm::reading(&copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit nobody else is likely to use, whose segment is removed at the end.
    struct Unit(i32);

    impl Unit {
        fn new() -> Self {
            Self((std::process::id() % 0x10_0000).cast_signed() + 0x20_0000)
        }

        fn writer(&self) -> Segment {
            Segment::open(shm::key(self.0), shm::SIZE, 0o600).unwrap()
        }
    }

    impl Drop for Unit {
        fn drop(&mut self) {
            let _ = timewright_sys::shm::remove(shm::key(self.0));
        }
    }

    #[test]
    fn a_sample_is_taken_once() {
        let unit = Unit::new();
        let writer = unit.writer();
        let reader = SampleSegment::open(unit.0, 0o600).unwrap();
        assert_eq!(reader.read(), None);

        writer.set_number(24, 5);
        writer.set_number(8, 6);
        writer.set_number(36, 1);
        writer.set_number(shm::VALID, 1);
        let sample = reader.read().unwrap();
        let DeviceReading::Sample {
            system,
            reference,
            leap,
        } = sample
        else {
            panic!("{sample:?}");
        };
        assert_eq!((system.sec(), reference.sec(), leap), (5, 6, 1));
        assert_eq!(writer.number(shm::VALID), 0);
        assert_eq!(reader.read(), None);

        // One that is not whole stays for the writer to finish.
        writer.set_number(0, 2);
        writer.set_number(shm::VALID, 1);
        assert_eq!(reader.read(), None);
        assert_eq!(writer.number(shm::VALID), 1);

        // One with impossible times is gone.
        writer.set_number(0, 0);
        writer.set_number(12, i32::MAX);
        assert_eq!(reader.read(), None);
        assert_eq!(writer.number(shm::VALID), 0);
    }

    #[test]
    fn refusals_say_which_call_failed() {
        let unit = Unit(Unit::new().0 + 0x10_0000);
        let _small = Segment::open(shm::key(unit.0), 8, 0o600).unwrap();
        let text = SampleSegment::open(unit.0, 0o600).err().unwrap();
        assert_eq!(text, "shmget() failed : Invalid argument");
    }
}
