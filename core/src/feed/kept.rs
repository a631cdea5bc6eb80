//! The anomalies that are kept, and how long each goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_anomaly::told;
use whyd_signals::Timestamp;
use whyd_signals::schema::Anomaly;

/// How many anomalies are kept; of the teams with the most the oldest go first.
const MOST: usize = 10_000;
/// How often it is noted that they go on.
const FOLLOWED: Duration = Duration::from_secs(15);

/// What was not seen to go on for so long was over: what is heard of under its number is another, which was not told.
const GAP: Duration = Duration::from_secs(900);

/// The anomalies that readers see.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    rows: Vec<Arc<Anomaly>>,
    fresh: bool,
    /// How many were let go to make room.
    pub(super) let_go: u64,
    /// When it was noted last that they go on.
    followed: Timestamp,
}

impl Kept {
    /// One more; of many the oldest go.
    pub(super) fn push(&mut self, anomaly: Anomaly) {
        if self.rows.len() >= MOST {
            self.let_go += told::let_go(&mut self.rows, MOST / 10);
        }
        self.rows.push(Arc::new(anomaly));
        self.fresh = true;
    }

    pub(super) fn extend(&mut self, anomalies: impl IntoIterator<Item = Anomaly>) {
        anomalies.into_iter().for_each(|anomaly| self.push(anomaly));
    }

    /// Whether it is time to note what goes on; a clock may be set back.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.followed.plus(FOLLOWED) || now < self.followed
    }

    /// These episodes went on until then: of each it is the anomaly that was told last.
    pub(super) fn go_on(&mut self, now: Timestamp, mut lasts: BTreeMap<u64, Timestamp>) {
        self.followed = now;
        for row in self.rows.iter_mut().rev() {
            if lasts.is_empty() {
                break;
            }
            if let Some(until) = lasts.remove(&row.episode)
                && until > row.until
                && until <= row.until.plus(GAP)
            {
                Arc::make_mut(row).until = until;
                self.fresh = true;
            }
        }
    }

    /// All of them.
    pub(super) fn rows(&self) -> Arc<Vec<Arc<Anomaly>>> {
        Arc::new(self.rows.clone())
    }

    /// All of them, where one is not as it was at the last call.
    pub(super) fn take_fresh(&mut self) -> Option<Arc<Vec<Arc<Anomaly>>>> {
        std::mem::take(&mut self.fresh).then(|| self.rows())
    }
}

#[cfg(test)]
mod tests {
    use whyd_signals::Team;

    use super::*;

    #[test]
    fn what_goes_on_is_the_one_that_was_told_last_and_readers_hear_of_it() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let told = |s: i64, episode: u64| Anomaly {
            ts: at(s),
            team: Team::new("a"),
            namespace: String::new(),
            workload: String::new(),
            pod: String::new(),
            container: String::new(),
            metric: String::new(),
            score: 2.0,
            value: 1.0,
            expected: 0.0,
            text: String::new(),
            trace: String::new(),
            until: at(s),
            episode,
        };
        let mut kept = Kept::default();
        kept.extend([told(1, 7), told(2, 8), told(500, 7)]);
        assert!(kept.take_fresh().is_some() && kept.take_fresh().is_none());
        assert!(kept.is_due(at(520)));
        kept.go_on(at(520), BTreeMap::from([(7, at(515)), (8, at(1)), (9, at(600))]));
        let rows = kept.take_fresh().unwrap_or_default();
        assert_eq!(rows.iter().map(|row| row.until).collect::<Vec<_>>(), [at(1), at(2), at(515)]);
        assert!(!kept.is_due(at(534)) && kept.is_due(at(535)) && kept.is_due(at(519)));
        kept.go_on(at(535), BTreeMap::from([(7, at(515))]));
        assert!(kept.take_fresh().is_none());
        // An hour later it is another.
        kept.go_on(at(4200), BTreeMap::from([(7, at(4200))]));
        assert!(kept.take_fresh().is_none());
    }
}
