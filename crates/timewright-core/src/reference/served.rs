//! What the server has to know of the reference to answer on its own until the next change.

use super::Reference;
use crate::rng::Rng;
use crate::server::snapshot::{LocalReference, ReferenceState};
use timewright_time::{Cooked, FreqRatio, MonoTime, Timestamp};
use timewright_wire::Leap;

impl Reference {
    /// The reference and the enabled local reference for a server snapshot. What follows from
    /// them later is what [`Reference::data`] would say then.
    pub fn served(
        &mut self,
        at: Timestamp<Cooked>,
        now: MonoTime,
        rng: &mut dyn Rng,
    ) -> (ReferenceState, Option<LocalReference>) {
        // Remembers whether the local reference was activated.
        self.data(at, now, rng);
        let state = if self.synchronised {
            ReferenceState::Synchronised {
                leap: if self.leap.in_progress() {
                    Leap::Unsynchronised
                } else {
                    self.leap.leap
                },
                stratum: self.stratum,
                ref_id: self.ref_id,
                ref_time: self.ref_time,
                root_delay: self.root_delay,
                root_dispersion: self.root_dispersion,
                dispersion_rate: FreqRatio(self.frequency_uncertainty()),
            }
        } else {
            ReferenceState::Unsynchronised {
                since: self.unsynchronised_since,
            }
        };
        (state, self.local.served(at, rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discipline::testing::{Bench, Zeros};
    use crate::discipline::{CookLine, LocalClock};
    use crate::reference::{LeapDatabase, LocalReferenceConfig, ReferenceConfig};
    use crate::server::snapshot::{MonoScale, ServerSnapshot, SlewCount};
    use timewright_time::Seconds;

    fn reference(local: Option<LocalReferenceConfig>) -> (Reference, LocalClock, MonoTime) {
        let (bench, clock) = Bench::start(0.0);
        let config = ReferenceConfig {
            local,
            ..ReferenceConfig::default()
        };
        let now = timewright_time::Now {
            mono: bench.mono,
            raw: bench.clock.raw,
        };
        let reference = Reference::new(config, LeapDatabase::default(), &clock, now);
        (reference, clock, bench.mono)
    }

    /// A snapshot taken once says the same as the reference itself, later and before.
    #[test]
    fn snapshots_agree_with_the_reference() {
        let start = Timestamp::<Cooked>::from_parts(1_262_304_000, 0);
        let local = |distance, activate, wait_synced, wait_unsynced| {
            Some(LocalReferenceConfig {
                distance: Seconds(distance),
                activate: Seconds(activate),
                wait_synced: Seconds(wait_synced),
                wait_unsynced: Seconds(wait_unsynced),
                ..LocalReferenceConfig::default()
            })
        };
        for config in [
            None,
            local(1.0, 0.0, 0.0, 0.0),
            local(0.012, 0.0, 50.0, 30.0),
            local(0.012, 0.001, 0.0, 0.0),
            local(0.012, 0.5, 50.0, -1.0),
        ] {
            for synchronised in [false, true] {
                let (mut reference, _clock, mono) = reference(config);
                reference.synchronised = synchronised;
                reference.leap.leap = Leap::Insert;
                reference.stratum = 3;
                reference.ref_id = 77;
                reference.ref_time = start - Seconds(10.0);
                reference.root_delay = Seconds(0.02);
                reference.root_dispersion = Seconds(0.001);
                reference.skew = 1e-5;
                let (state, local) = reference.served(start, mono, &mut Zeros);
                let snapshot = ServerSnapshot {
                    clock: CookLine::default(),
                    reference: state,
                    local,
                    smoothing: None,
                    precision_log2: -23,
                    quantum: Seconds(1e-7),
                    mono: MonoScale::default(),
                    slews: SlewCount::default(),
                };
                for later in [0.0, 1.0, 29.0, 31.0, 39.0, 41.0, 60.0] {
                    let (at, now) = (start + Seconds(later), mono + Seconds(later));
                    let got = snapshot.reference_at(at, now);
                    let want = reference.data(at, now, &mut Zeros);
                    let what = format!("{config:?} {synchronised} {later}");
                    assert_eq!(
                        (got.synchronised, got.leap, got.stratum, got.ref_id),
                        (want.synchronised, want.leap, want.stratum, want.ref_id),
                        "{what}"
                    );
                    assert_eq!(got.ref_time, want.ref_time, "{what}");
                    assert_eq!(got.root_delay, want.root_delay, "{what}");
                    let apart = (got.root_dispersion - want.root_dispersion).abs();
                    assert!(apart.0 < 1e-12, "{what}");
                }
            }
        }
    }
}
