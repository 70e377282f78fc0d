//! The local reference that stands in for lost sources (`local`, `discipline.md` 8.9). When it
//! does is decided by [`ReferenceState::at`].

use super::ReferenceEvent;
use crate::discipline::Effects;
use crate::rng::{self, Rng};
use crate::server::snapshot::{self, ReferenceState, STRATUM_UNSYNCHRONISED};
use timewright_time::{Cooked, Seconds, Timestamp};

/// How long a reference time of the local reference is used, s.
const LOCAL_REF_TIME_AGE: std::ops::RangeInclusive<f64> = 1.0..=64.0;

/// Settings of `local`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalReferenceConfig {
    /// Stratum served, limited to 1..=15.
    pub stratum: u8,
    /// Root distance beyond which the local reference takes over while synchronised.
    pub distance: Seconds,
    /// Root distance that has to be reached once before the local reference may be used; exactly
    /// zero: none. A negative one is never reached.
    pub activate: Seconds,
    /// Time without update before it takes over while synchronised.
    pub wait_synced: Seconds,
    /// Time without synchronisation before it takes over. Defaults, like the longer one of
    /// orphans, come from whoever enables it.
    pub wait_unsynced: Seconds,
    /// Among several such servers the one with the smallest reference id leads.
    pub orphan: bool,
}

impl Default for LocalReferenceConfig {
    fn default() -> Self {
        Self {
            stratum: 10,
            distance: Seconds(1.0),
            activate: Seconds::ZERO,
            wait_synced: Seconds::ZERO,
            wait_unsynced: Seconds::ZERO,
            orphan: false,
        }
    }
}

/// The local reference: its settings, and whether it may be used.
#[derive(Clone, Debug, Default)]
pub struct LocalReference {
    config: Option<LocalReferenceConfig>,
    /// Root distance of the last configuration that activates it; zero without any.
    activate: Seconds,
    /// The root distance was once below `activate`; never forgotten.
    activated: bool,
    ref_time: Timestamp<Cooked>,
}

impl LocalReference {
    pub(crate) fn new(config: Option<LocalReferenceConfig>) -> Self {
        Self {
            config: config.map(limited),
            activate: config.map_or(Seconds::ZERO, |c| c.activate),
            activated: false,
            ref_time: Timestamp::ZERO,
        }
    }

    /// Command `local`.
    pub(crate) fn enable(&mut self, config: LocalReferenceConfig, out: &mut Effects) {
        self.config = Some(limited(config));
        self.activate = config.activate;
        out.log(ReferenceEvent::LocalReference { enabled: true });
    }

    /// Command `local off`.
    pub(crate) fn disable(&mut self, out: &mut Effects) {
        self.config = None;
        out.log(ReferenceEvent::LocalReference { enabled: false });
    }

    /// Stratum from which NTP sources are taken for orphans; 16: from none.
    pub(crate) fn orphan_stratum(&self) -> u8 {
        self.config
            .filter(|c| c.orphan)
            .map_or(STRATUM_UNSYNCHRONISED, |c| c.stratum)
    }

    /// What the server needs to decide between the sources and the local reference, if that is
    /// enabled. Remembers whether it was activated.
    pub(crate) fn served(
        &mut self,
        reference: &ReferenceState,
        at: Timestamp<Cooked>,
        rng: &mut dyn Rng,
    ) -> Option<snapshot::LocalReference> {
        let config = self.config?;
        self.look(reference, at);
        self.renew_ref_time(at, rng);
        Some(snapshot::LocalReference {
            stratum: config.stratum,
            distance: config.distance,
            activate: config.activate,
            activated: self.activated,
            wait_synced: config.wait_synced,
            wait_unsynced: config.wait_unsynced,
            ref_time: self.ref_time,
        })
    }

    /// Somebody looks at the parameters that are served. That activates the local reference even
    /// while it is not enabled (`discipline.md` 8.9), so without a configuration at once.
    pub(crate) fn look(&mut self, reference: &ReferenceState, at: Timestamp<Cooked>) {
        self.activated |= reference.activates(self.activate, at);
    }

    fn renew_ref_time(&mut self, at: Timestamp<Cooked>, rng: &mut dyn Rng) {
        if !LOCAL_REF_TIME_AGE.contains(&(at - self.ref_time).0) {
            self.ref_time = at - Seconds(1.0 + rng::uniform(rng));
        }
    }
}

fn limited(config: LocalReferenceConfig) -> LocalReferenceConfig {
    LocalReferenceConfig {
        stratum: config.stratum.clamp(1, STRATUM_UNSYNCHRONISED - 1),
        ..config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discipline::testing::Zeros;
    use crate::server::snapshot::ServedReference;
    use timewright_time::{FreqRatio, MonoTime};
    use timewright_wire::{Leap, refid};

    const AT: Timestamp<Cooked> = Timestamp::from_ns(1_600_000_000_000_000_000);

    const MONO: MonoTime = MonoTime::from_ns(2_000_000_000_000_000);

    fn lost(for_s: f64) -> ReferenceState {
        ReferenceState::Unsynchronised {
            since: MONO - Seconds(for_s),
        }
    }

    fn synced(distance: f64) -> ReferenceState {
        ReferenceState::Synchronised {
            leap: Leap::Normal,
            stratum: 3,
            ref_id: 7,
            ref_time: AT - Seconds(100.0),
            root_delay: Seconds(0.0),
            root_dispersion: Seconds(distance),
            dispersion_rate: FreqRatio::ZERO,
        }
    }

    fn data(
        local: &mut LocalReference,
        reference: &ReferenceState,
        at: Timestamp<Cooked>,
    ) -> ServedReference {
        let served = local.served(reference, at, &mut Zeros);
        reference.at(served.as_ref(), at, MONO)
    }

    #[track_caller]
    fn check(
        config: Option<LocalReferenceConfig>,
        reference: ReferenceState,
        want: (bool, u8, u32),
    ) {
        let data = data(&mut LocalReference::new(config), &reference, AT);
        assert_eq!((data.synchronised, data.stratum, data.ref_id), want);
    }

    #[test]
    fn who_provides_the_data() {
        let base = LocalReferenceConfig::default();
        let on = Some(base);
        check(None, lost(0.0), (false, 16, 0));
        check(None, synced(50.0), (true, 3, 7));
        check(on, lost(0.0), (false, 10, refid::LOCAL));
        check(on, synced(0.9), (true, 3, 7));
        check(on, synced(1.1), (false, 10, refid::LOCAL));
        let waits = Some(LocalReferenceConfig {
            wait_synced: Seconds(101.0),
            ..base
        });
        check(waits, synced(1.1), (true, 3, 7));
        let waits = Some(LocalReferenceConfig {
            wait_unsynced: Seconds(10.0),
            ..base
        });
        check(waits, lost(9.0), (false, 16, 0));
        check(waits, lost(10.0), (false, 10, refid::LOCAL));
        // A control client may send less than no time for an orphan; no default replaces it.
        let orphan = Some(LocalReferenceConfig {
            orphan: true,
            stratum: 20,
            wait_unsynced: Seconds(-1.0),
            ..base
        });
        check(orphan, lost(0.0), (false, 15, refid::LOCAL));
        // Only exactly zero activates at once.
        let never = Some(LocalReferenceConfig {
            activate: Seconds(-1.0),
            ..base
        });
        check(never, lost(1e6), (false, 16, 0));
    }

    #[test]
    fn activation_is_remembered() {
        let config = LocalReferenceConfig {
            activate: Seconds(0.5),
            ..Default::default()
        };
        let mut local = LocalReference::new(Some(config));
        assert_eq!(data(&mut local, &lost(1e6), AT).stratum, 16);
        assert_eq!(data(&mut local, &synced(0.4), AT).stratum, 3);
        assert_eq!(data(&mut local, &lost(1e6), AT).stratum, 10);
    }

    #[test]
    fn a_look_activates_what_is_not_enabled() {
        let later = LocalReferenceConfig {
            activate: Seconds(0.5),
            ..Default::default()
        };
        // Without a configuration nothing has to be reached, but somebody has to look.
        for (looks, stratum) in [(false, 16), (true, 10)] {
            let mut local = LocalReference::new(None);
            if looks {
                local.look(&lost(1e6), AT);
            }
            local.enable(later, &mut Effects::default());
            assert_eq!(data(&mut local, &lost(1e6), AT).stratum, stratum);
        }
        // With one its distance stays in force while it is off.
        let mut local = LocalReference::new(Some(later));
        local.disable(&mut Effects::default());
        local.look(&lost(1e6), AT);
        local.enable(later, &mut Effects::default());
        assert_eq!(data(&mut local, &lost(1e6), AT).stratum, 16);
    }

    #[test]
    fn local_reference_time_is_kept_for_a_minute() {
        let mut local = LocalReference::new(Some(LocalReferenceConfig::default()));
        let first = data(&mut local, &lost(0.0), AT).ref_time;
        assert_eq!(first, AT - Seconds(1.0));
        let kept = data(&mut local, &lost(0.0), AT + Seconds(63.0)).ref_time;
        assert_eq!(kept, first);
        let next = data(&mut local, &lost(0.0), AT + Seconds(63.1)).ref_time;
        assert_eq!(next, AT + Seconds(62.1));
        // A clock that was stepped back does not keep a reference time in the future.
        let back = data(&mut local, &lost(0.0), AT).ref_time;
        assert_eq!(back, AT - Seconds(1.0));
    }

    #[test]
    fn orphan_stratum_needs_the_option() {
        for (orphan, want) in [(false, 16), (true, 10)] {
            let config = LocalReferenceConfig {
                orphan,
                ..Default::default()
            };
            assert_eq!(LocalReference::new(Some(config)).orphan_stratum(), want);
        }
        assert_eq!(LocalReference::new(None).orphan_stratum(), 16);
    }
}
