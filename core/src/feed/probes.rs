//! Failures of probes, held back for a moment: those of a pod that is being deleted are none, and its deletion may be heard later
//! than the scrape.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::Anomaly;

use super::probed::goes;

/// The API server says by then what it did before.
const HELD: Duration = Duration::from_secs(5);
/// Of more at once the oldest are told as they are.
const MOST: usize = 1000;

/// What is held back.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Probes {
    held: VecDeque<(Timestamp, Anomaly)>,
}

impl Probes {
    /// Holds one back that came then; gives what there is no room for any more.
    pub(super) fn hold(&mut self, received: Timestamp, found: Anomaly) -> Option<Anomaly> {
        let oldest = if self.held.len() >= MOST { self.held.pop_front() } else { None };
        self.held.push_back((received, found));
        oldest.map(|(_, found)| found)
    }

    /// What came well later than now did so by a clock that was ahead.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.held.front().is_some_and(|(received, _)| now >= received.plus(HELD) || now.plus(HELD) < *received)
    }

    /// Those whose time is over, without those of pods that are going or gone by now.
    pub(super) fn release(&mut self, now: Timestamp, scoped: &Scoped) -> Vec<Anomaly> {
        let mut told = Vec::new();
        while self.is_due(now) {
            let Some((_, found)) = self.held.pop_front() else { break };
            if !goes(&found.namespace, &found.pod, scoped) {
                told.push(found);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use whyd_signals::Team;

    use super::*;

    #[test]
    fn what_came_by_a_clock_that_was_ahead_holds_nothing_back() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let of = |ts: Timestamp| Anomaly {
            ts,
            team: Team::new("a"),
            namespace: String::new(),
            pod: String::new(),
            container: String::new(),
            metric: String::new(),
            score: 2.0,
            value: 1.0,
            expected: 0.0,
            text: String::new(),
            workload: String::new(),
            trace: String::new(),
            until: ts,
            episode: 0,
        };
        let mut probes = Probes::default();
        probes.hold(at(100), of(at(99)));
        assert!(!probes.is_due(at(101)) && !probes.is_due(at(99)) && probes.is_due(at(105)));
        let mut probes = Probes::default();
        probes.hold(at(86_500), of(at(99)));
        probes.hold(at(101), of(at(100)));
        assert!(probes.is_due(at(101)), "for what is behind it");
    }
}
