//! What the server has to know of the reference to answer on its own until the next change.

use super::Reference;
use crate::rng::Rng;
use crate::server::snapshot::{LocalReference, ReferenceState};
use timewright_time::{Cooked, FreqRatio, Timestamp};
use timewright_wire::Leap;

impl Reference {
    /// The reference and the enabled local reference for a server snapshot, renewed at `at`. What
    /// is told of them at any moment is [`ReferenceState::at`].
    pub fn served(
        &mut self,
        at: Timestamp<Cooked>,
        rng: &mut dyn Rng,
    ) -> (ReferenceState, Option<LocalReference>) {
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
        (state, self.local.served(&state, at, rng))
    }

    /// Somebody looks at the parameters that are served; `state` is what they are made of.
    pub fn look(&mut self, state: &ReferenceState, at: Timestamp<Cooked>) {
        self.local.look(state, at);
    }
}
