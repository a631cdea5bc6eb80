//! What is usual for a metric of a workload, kept for its next pods.
//!
//! Each series learns by itself; now and then what the one with the longest past has learnt is noted for its workload. A pod
//! that comes new begins with that, so that a rollout forgets no season; a workload that comes new begins with nothing. Pods
//! that are replaced more often than daily come to know a day together: one goes on where the one before it ended. Only
//! what a container has one series of: volumes, devices and nodes have nothing to learn from each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use super::SeriesKey;
use crate::detector::score::Scorer;
use crate::hash64;
use crate::slots::{Slots, owner};
use crate::watched::Kind;

/// A workload without pods is remembered for so long, and for so long where there is need of its place.
const KEPT: Duration = Duration::from_secs(14 * 86_400);
const NEEDED: Duration = Duration::from_secs(86_400);
/// Less past than this is not worth noting.
const LEAST: Duration = Duration::from_secs(3600);

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
        Self(Slots::new(most).gone_after(NEEDED))
    }

    pub(super) fn resume(&mut self, held: Self) {
        self.0.resume(held.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Times that there was no room for one.
    pub(super) fn refused(&self) -> u64 {
        self.0.refused
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.evicted
    }

    /// What a new series begins with.
    pub(super) fn of(&self, key: &SeriesKey<'_>) -> Box<Scorer> {
        if !is_shared(key) {
            return Box::default();
        }
        let known = self.0.get(place(key)).and_then(|baseline| baseline.learnt.as_ref());
        let mut scorer = known.cloned().unwrap_or_default();
        scorer.restart();
        scorer
    }

    /// Notes what a series has learnt, when that is more than what is known. Now is by the time for which samples were heard.
    pub(super) fn learn(&mut self, key: &SeriesKey<'_>, now: Timestamp, learnt: &Scorer) {
        // Asked at each value: what is too young to matter costs nothing.
        if !learnt.is_due() || learnt.reach() < LEAST || !is_shared(key) {
            return;
        }
        let Some(baseline) = self.0.entry_of(|| owner(key.team), place(key), now, Baseline::default) else { return };
        if baseline.learnt.as_ref().is_none_or(|known| learnt.reach() >= known.reach()) {
            baseline.learnt = Some(Box::new(learnt.clone()));
        }
    }

    pub(super) fn sweep(&mut self, now: Timestamp, most: usize) {
        self.0.sweep(now, KEPT, most);
    }
}

/// Whether a container has one series of it.
fn is_shared(key: &SeriesKey<'_>) -> bool {
    key.watched.per_container
        && !key.pod.is_empty()
        && !key.container.is_empty()
        && !key.watched.metric.contains("_fs_")
}

/// Of a gauge another than of a counter of the same name.
fn place(key: &SeriesKey<'_>) -> u64 {
    let turn = match key.watched.kind {
        Kind::Gauge => 17,
        Kind::Counter => 29,
    };
    key.workload ^ hash64(key.watched.metric.as_bytes()).rotate_left(turn)
}
