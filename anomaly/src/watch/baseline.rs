//! What is usual for a metric of a workload, kept for its next pods.
//!
//! Each series learns by itself; now and then what the one with the longest past has learnt is noted for its workload. A pod
//! that comes new begins with that, so that a rollout forgets no season; a workload that comes new begins with nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::SeriesKey;
use crate::detector::score::Scorer;
use crate::hash64;
use crate::slots::Slots;

/// A workload without pods is remembered for so long.
const KEPT: Duration = Duration::from_secs(14 * 86_400);
/// Less past than this is not worth noting.
const STEP: Duration = Duration::from_secs(1800);

/// By workload and metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Baselines(Slots<u64, Baseline>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Baseline {
    learnt: Option<Box<Scorer>>,
}

impl Baselines {
    /// The most that one takes, in bytes.
    pub(super) const BYTES: usize = Scorer::BYTES + size_of::<Baseline>() + 48;

    pub(super) fn new(most: usize) -> Self {
        Self(Slots::new(most))
    }

    pub(super) fn resume(&mut self, held: Self) {
        self.0.resume(held.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What a new series begins with.
    pub(super) fn of(&self, key: &SeriesKey<'_>) -> Box<Scorer> {
        let known = self.0.get(place(key)).and_then(|baseline| baseline.learnt.as_ref());
        let mut scorer = known.cloned().unwrap_or_default();
        scorer.restart();
        scorer
    }

    /// Notes what a series has learnt, when that is more than what is known.
    pub(super) fn learn(&mut self, key: &SeriesKey<'_>, ts: Timestamp, learnt: &Scorer) {
        // Asked at each value: what is too young to matter costs nothing.
        if learnt.reach() < STEP || !learnt.is_due() {
            return;
        }
        let Some(baseline) = self.0.entry(place(key), ts, Baseline::default) else { return };
        if baseline.learnt.as_ref().is_none_or(|known| learnt.reach() >= known.reach()) {
            baseline.learnt = Some(Box::new(learnt.clone()));
        }
    }

    pub(super) fn sweep(&mut self, now: Timestamp, most: usize) {
        self.0.sweep(now, KEPT, most);
    }
}

fn place(key: &SeriesKey<'_>) -> u64 {
    key.workload ^ hash64(key.metric.as_bytes()).rotate_left(17)
}
