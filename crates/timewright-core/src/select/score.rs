//! Scores: is another source so much better that it should be selected? (`discipline.md` 6.5,
//! step 9)

use super::SelectConfig;
use super::source::Source;
use timewright_time::Seconds;

/// A source replaces the selected one when its score exceeds this.
pub(super) const SCORE_LIMIT: f64 = 10.0;

/// Selections for which a source that was not selectable stays out of the combination.
pub(super) const DISTANT_PENALTY: u32 = 32;

/// What scores depend on besides the sources.
pub(super) struct ScoreInput<'a> {
    pub(super) config: &'a SelectConfig,
    /// Lowest stratum among the selectable sources.
    pub(super) min_stratum: u8,
    /// Only sources with the option `prefer` count.
    pub(super) preferred_only: bool,
    /// Index of the selected source.
    pub(super) selected: Option<usize>,
    /// Index of the source that was updated just now.
    pub(super) updated: Option<usize>,
}

impl ScoreInput<'_> {
    fn distance(&self, source: &Source) -> Seconds {
        let strata = f64::from(source.stratum) - f64::from(self.min_stratum);
        source.seen.root_distance + self.config.stratum_weight * strata
    }
}

/// Updates the scores of all sources and returns the index and score of the best.
pub(super) fn update(sources: &mut [Source], input: &ScoreInput<'_>) -> Option<(usize, f64)> {
    let selected = input.selected.and_then(|i| sources.get(i));
    let selected_distance = selected.map(|source| input.distance(source));
    let mut best = None;
    for (i, source) in sources.iter_mut().enumerate() {
        if !source.is_ok() || (input.preferred_only && !source.effective.prefer) {
            source.score = 1.0;
            source.distant = DISTANT_PENALTY;
            continue;
        }
        let reselect = input.config.reselect_distance;
        let distance = source
            .with_reselect_distance(input.distance(source), reselect)
            .0
            // A source without any distance must not make the score infinite.
            .max(f64::MIN_POSITIVE);
        match selected_distance {
            None => source.score = 1.0 / distance,
            Some(selected_distance) => {
                let fresh = |index: Option<usize>| index.is_some() && index == input.updated;
                if fresh(Some(i)) || fresh(input.selected) {
                    source.score = (source.score * (selected_distance.0 / distance)).max(1.0);
                }
            }
        }
        if best.is_none_or(|(_, score)| source.score > score) {
            best = Some((i, source.score));
        }
    }
    best
}
