//! What associations may ask of statistics and selection.

use crate::ids::SourceId;
use crate::select::Selector;
use crate::source::SourceQueries;
use crate::stats::{DelayTestData, PollQuestion, SourceStats};
use timewright_time::{Cooked, FreqRatio, Seconds, Timestamp};

impl SourceQueries for Selector {
    fn predict_offset(&self, id: SourceId, at: Timestamp<Cooked>) -> Seconds {
        self.stats(id)
            .map_or(Seconds::ZERO, |stats| stats.predict_offset(at))
    }

    fn frequency_range(&self, id: SourceId) -> (FreqRatio, FreqRatio) {
        self.stats(id).map_or(
            (FreqRatio::ZERO, FreqRatio::ZERO),
            SourceStats::frequency_range,
        )
    }

    fn min_delay(&self, id: SourceId) -> Seconds {
        self.stats(id)
            .map_or(Seconds(f64::MAX), SourceStats::min_delay)
    }

    fn delay_test_data(&self, id: SourceId, at: Timestamp<Cooked>) -> Option<DelayTestData> {
        self.stats(id)?.delay_test_data(at)
    }

    fn poll_score(&self, id: SourceId, question: &PollQuestion) -> f64 {
        self.stats(id)
            .map_or(0.0, |stats| stats.poll_score(question))
    }

    fn jitter_asymmetry(&self, id: SourceId) -> f64 {
        self.stats(id).map_or(0.0, SourceStats::jitter_asymmetry)
    }

    fn is_selected(&self, id: SourceId) -> bool {
        self.selected() == Some(id)
    }

    fn is_reachable(&self, id: SourceId) -> bool {
        Self::is_reachable(self, id)
    }
}
