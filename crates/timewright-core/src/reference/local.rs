//! Reference data for a moment, and the local reference that stands in for lost sources
//! (`local`, `discipline.md` 8.9).

use super::{Leap, ReferenceEvent};
use crate::discipline::Effects;
use crate::rng::{self, Rng};
use crate::server::snapshot;
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

/// Reference id of the local reference, 127.127.1.1.
pub const LOCAL_REF_ID: u32 = 0x7F7F_0101;
/// Stratum of a clock that is not synchronised.
pub const MAX_STRATUM: u8 = 16;
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

/// What we tell others about our clock, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReferenceData {
    /// The moment.
    pub at: Timestamp<Cooked>,
    /// Whether the clock follows a source.
    pub synchronised: bool,
    /// Leap indicator.
    pub leap: Leap,
    /// 1..=16; 16: not synchronised.
    pub stratum: u8,
    /// Reference id.
    pub ref_id: u32,
    /// Time of the last update, blurred; zero: never.
    pub ref_time: Timestamp<Cooked>,
    /// Root delay.
    pub root_delay: Seconds,
    /// Root dispersion.
    pub root_dispersion: Seconds,
    /// How fast the root dispersion grows.
    pub dispersion_rate: FreqRatio,
}

impl Default for ReferenceData {
    fn default() -> Self {
        Self::unsynchronised(Timestamp::ZERO)
    }
}

impl ReferenceData {
    /// Nothing is known.
    #[must_use]
    pub const fn unsynchronised(at: Timestamp<Cooked>) -> Self {
        Self {
            at,
            synchronised: false,
            leap: Leap::Unsynchronised,
            stratum: MAX_STRATUM,
            ref_id: 0,
            ref_time: Timestamp::ZERO,
            root_delay: Seconds(1.0),
            root_dispersion: Seconds(1.0),
            dispersion_rate: FreqRatio::ZERO,
        }
    }

    /// Root dispersion at a moment close to [`ReferenceData::at`], on the same side of the
    /// reference time.
    #[must_use]
    pub fn root_dispersion_at(&self, at: Timestamp<Cooked>) -> Seconds {
        (self.root_dispersion + (at - self.at) * self.dispersion_rate).max(Seconds::ZERO)
    }
}

/// What the sources last told, as needed to decide between them and the local reference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sourced {
    pub(crate) synchronised: bool,
    pub(crate) leap: Leap,
    pub(crate) stratum: u8,
    pub(crate) ref_id: u32,
    pub(crate) ref_time: Timestamp<Cooked>,
    pub(crate) root_delay: Seconds,
    pub(crate) root_dispersion: Seconds,
    pub(crate) dispersion_rate: FreqRatio,
    /// Time since synchronisation was lost; meaningless while synchronised.
    pub(crate) unsynchronised_for: Seconds,
}

/// The local reference: its settings, and whether it may be used.
#[derive(Clone, Debug, Default)]
pub struct LocalReference {
    config: Option<LocalReferenceConfig>,
    /// The root distance was once below `activate`; never forgotten.
    activated: bool,
    ref_time: Timestamp<Cooked>,
}

impl LocalReference {
    pub(crate) fn new(config: Option<LocalReferenceConfig>) -> Self {
        Self {
            config: config.map(limited),
            activated: false,
            ref_time: Timestamp::ZERO,
        }
    }

    /// Command `local`.
    pub(crate) fn enable(&mut self, config: LocalReferenceConfig, out: &mut Effects) {
        self.config = Some(limited(config));
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
            .map_or(MAX_STRATUM, |c| c.stratum)
    }

    /// The data for `at`.
    pub(crate) fn data(
        &mut self,
        sourced: &Sourced,
        at: Timestamp<Cooked>,
        rng: &mut dyn Rng,
    ) -> ReferenceData {
        let dispersion = if sourced.synchronised {
            sourced.root_dispersion
        } else {
            Seconds::ZERO
        };
        let distance = sourced.root_delay / 2.0 + dispersion;
        let local = self.usable(sourced, distance, at);
        if sourced.synchronised && local.is_none_or(|c| distance.0 <= c.distance.0) {
            return ReferenceData {
                at,
                synchronised: true,
                leap: sourced.leap,
                stratum: sourced.stratum,
                ref_id: sourced.ref_id,
                ref_time: sourced.ref_time,
                root_delay: sourced.root_delay,
                root_dispersion: dispersion,
                dispersion_rate: sourced.dispersion_rate,
            };
        }
        let Some(config) = local else {
            return ReferenceData::unsynchronised(at);
        };
        self.renew_ref_time(at, rng);
        ReferenceData {
            at,
            synchronised: false,
            leap: Leap::Normal,
            stratum: config.stratum,
            ref_id: LOCAL_REF_ID,
            ref_time: self.ref_time,
            root_delay: Seconds::ZERO,
            root_dispersion: Seconds::ZERO,
            dispersion_rate: FreqRatio::ZERO,
        }
    }

    /// What the server needs to decide like [`LocalReference::data`], if enabled.
    pub(crate) fn served(
        &mut self,
        at: Timestamp<Cooked>,
        rng: &mut dyn Rng,
    ) -> Option<snapshot::LocalReference> {
        let config = self.config?;
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

    fn renew_ref_time(&mut self, at: Timestamp<Cooked>, rng: &mut dyn Rng) {
        if !LOCAL_REF_TIME_AGE.contains(&(at - self.ref_time).0) {
            self.ref_time = at - Seconds(1.0 + rng::uniform(rng));
        }
    }

    /// The settings, if the local reference is enabled, activated, and was waited for.
    fn usable(
        &mut self,
        sourced: &Sourced,
        distance: Seconds,
        at: Timestamp<Cooked>,
    ) -> Option<LocalReferenceConfig> {
        let config = self.config?;
        let waited = if sourced.synchronised {
            (at - sourced.ref_time).0 >= config.wait_synced.0
        } else {
            sourced.unsynchronised_for.0 >= config.wait_unsynced.0
        };
        let reached = sourced.synchronised && distance.0 < config.activate.0;
        if config.activate == Seconds::ZERO || reached {
            self.activated = true;
        }
        (self.activated && waited).then_some(config)
    }
}

fn limited(config: LocalReferenceConfig) -> LocalReferenceConfig {
    LocalReferenceConfig {
        stratum: config.stratum.clamp(1, MAX_STRATUM - 1),
        ..config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discipline::testing::Zeros;

    const AT: Timestamp<Cooked> = Timestamp::from_ns(1_600_000_000_000_000_000);

    fn lost(for_s: f64) -> Sourced {
        Sourced {
            synchronised: false,
            leap: Leap::Unsynchronised,
            stratum: 0,
            ref_id: 0,
            ref_time: Timestamp::ZERO,
            root_delay: Seconds(1.0),
            root_dispersion: Seconds(1.0),
            dispersion_rate: FreqRatio(1.0),
            unsynchronised_for: Seconds(for_s),
        }
    }

    fn synced(distance: f64) -> Sourced {
        Sourced {
            synchronised: true,
            leap: Leap::Normal,
            stratum: 3,
            ref_id: 7,
            ref_time: AT - Seconds(100.0),
            root_delay: Seconds(0.0),
            root_dispersion: Seconds(distance),
            dispersion_rate: FreqRatio(1e-6),
            unsynchronised_for: Seconds(0.0),
        }
    }

    #[track_caller]
    fn check(config: Option<LocalReferenceConfig>, sourced: Sourced, want: (bool, u8, u32)) {
        let mut local = LocalReference::new(config);
        let data = local.data(&sourced, AT, &mut Zeros);
        assert_eq!((data.synchronised, data.stratum, data.ref_id), want);
    }

    #[test]
    fn who_provides_the_data() {
        let base = LocalReferenceConfig::default();
        let on = Some(base);
        check(None, lost(0.0), (false, 16, 0));
        check(None, synced(50.0), (true, 3, 7));
        check(on, lost(0.0), (false, 10, LOCAL_REF_ID));
        check(on, synced(0.9), (true, 3, 7));
        check(on, synced(1.1), (false, 10, LOCAL_REF_ID));
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
        check(waits, lost(10.0), (false, 10, LOCAL_REF_ID));
        // A control client may send less than no time for an orphan; no default replaces it.
        let orphan = Some(LocalReferenceConfig {
            orphan: true,
            stratum: 20,
            wait_unsynced: Seconds(-1.0),
            ..base
        });
        check(orphan, lost(0.0), (false, 15, LOCAL_REF_ID));
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
        assert_eq!(local.data(&lost(1e6), AT, &mut Zeros).stratum, 16);
        assert_eq!(local.data(&synced(0.4), AT, &mut Zeros).stratum, 3);
        assert_eq!(local.data(&lost(1e6), AT, &mut Zeros).stratum, 10);
    }

    #[test]
    fn local_reference_time_is_kept_for_a_minute() {
        let mut local = LocalReference::new(Some(LocalReferenceConfig::default()));
        let first = local.data(&lost(0.0), AT, &mut Zeros).ref_time;
        assert_eq!(first, AT - Seconds(1.0));
        let kept = local
            .data(&lost(0.0), AT + Seconds(63.0), &mut Zeros)
            .ref_time;
        assert_eq!(kept, first);
        let next = local
            .data(&lost(0.0), AT + Seconds(63.1), &mut Zeros)
            .ref_time;
        assert_eq!(next, AT + Seconds(62.1));
        // A clock that was stepped back does not keep a reference time in the future.
        let back = local.data(&lost(0.0), AT, &mut Zeros).ref_time;
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

    #[test]
    fn dispersion_grows_from_the_moment_of_the_data() {
        let mut local = LocalReference::new(None);
        let data = local.data(&synced(0.25), AT, &mut Zeros);
        let later = data.root_dispersion_at(AT + Seconds(1000.0));
        assert!((later.0 - 0.251).abs() < 1e-12);
    }
}
