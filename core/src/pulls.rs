//! What the log has of each source that is asked, and what of it is known to be missing. Made of the log's own records, so
//! that a replay knows what was known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whyd_buffers::Lacking;
use whyd_collector::wire::asked::{Asked, Target};
use whyd_signals::{Pulled, Range, Ranges, Timestamp};

/// One source.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Had {
    logs: bool,
    /// Of which times there are whole answers.
    had: Ranges,
    /// From when on there is none.
    down: Option<Timestamp>,
    /// What was missed meanwhile and is not had yet.
    lost: Ranges,
}

/// All sources of the configuration; what the log has of others says nothing any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pulls(BTreeMap<Target, Had>);

impl Pulls {
    /// Nothing was had yet.
    pub fn new(targets: &BTreeSet<Target>) -> Self {
        Self(targets.iter().map(|of| (of.clone(), Had::default())).collect())
    }

    /// Takes up what a checkpoint has of the sources that are still asked.
    pub fn resume(&mut self, held: Self) {
        for (of, had) in held.0 {
            if let Some(place) = self.0.get_mut(&of) {
                *place = had;
            }
        }
    }

    /// Of which times there are whole answers of a source.
    pub fn had(&self, of: &Target) -> Ranges {
        self.0.get(of).map(|h| h.had.clone()).unwrap_or_default()
    }

    /// Whether an answer says of its source what was not known.
    pub fn is_news(&self, asked: &Asked) -> bool {
        asked.whole && self.0.get(&asked.of).is_some_and(|h| !h.had.has(asked.range) || h.down.is_some())
    }

    /// Takes in what the log has got.
    pub fn heard(&mut self, what: Pulled, asked: &Asked, received: Timestamp) {
        let Some(had) = self.0.get_mut(&asked.of) else { return };
        had.logs = what.is_logs();
        if what.is_lack() {
            had.down = Some(had.down.map_or(asked.range.from, |at| at.min(asked.range.from)));
            return;
        }
        if let Some(since) = had.down.take() {
            had.lost.add(Range::new(since, received));
        }
        if asked.whole {
            had.had.add(asked.range);
            had.lost.remove(asked.range);
        }
    }

    /// Whether there is anything to forget.
    pub fn is_past(&self, horizon: Timestamp) -> bool {
        let past = |r: &Ranges| r.first().is_some_and(|r| r.from < horizon);
        self.0.values().any(|h| past(&h.had) || past(&h.lost))
    }

    /// Forgets what is past.
    pub fn forget_before(&mut self, horizon: Timestamp) {
        for had in self.0.values_mut() {
            had.had.forget_before(horizon);
            had.lost.forget_before(horizon);
        }
    }

    /// What is missing of all of them. What `pushing` ones do not answer for is not, where metrics were pushed.
    pub fn lacking(&self, pushing: &BTreeSet<Target>, pushed: &Ranges) -> Lacking {
        let mut lacking = Lacking::default();
        for (of, had) in &self.0 {
            let pushed = if pushing.contains(of) && !had.logs { pushed.clone() } else { Ranges::default() };
            let into = if had.logs { &mut lacking.logs } else { &mut lacking.metrics };
            let mut lost = had.lost.clone();
            lost.remove_all(&pushed);
            lost.iter().for_each(|r| into.add(r));
            if let Some(since) = had.down {
                let mut open = Ranges::default();
                open.add(Range::new(since, Timestamp::MAX));
                open.remove_all(&had.had);
                open.remove_all(&pushed);
                open.iter().for_each(|r| into.add(r));
            }
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    fn heard(pulls: &mut Pulls, source: &str, what: Pulled, (from, to): (i64, i64), received: i64) {
        let of = Target { source: source.to_owned(), tenant: None };
        let asked = Asked { of, range: Range::new(at(from), at(to)), whole: !what.is_lack(), labels: BTreeMap::new() };
        pulls.heard(what, &asked, at(received));
    }

    fn lacking(pulls: &Pulls) -> Lacking {
        pulls.lacking(&BTreeSet::new(), &Ranges::default())
    }

    #[test]
    fn what_was_pushed_is_not_missing_of_who_pushes() {
        let target = |source: &str| Target { source: source.to_owned(), tenant: None };
        let mut pulls = Pulls::new(&BTreeSet::from([target("prom"), target("loki")]));
        let pushing = BTreeSet::from([target("prom"), target("loki")]);
        let mut pushed = Ranges::default();
        pushed.add(Range::new(at(100), at(300)));
        heard(&mut pulls, "prom", Pulled::NoMetrics, (100, 160), 160);
        heard(&mut pulls, "loki", Pulled::NoLogs, (100, 160), 160);
        let meets = |lacking: Lacking, from, to| lacking.metrics.meets(Range::new(at(from), at(to)));
        assert!(meets(lacking(&pulls), 120, 121));
        let with = pulls.lacking(&pushing, &pushed);
        assert!(with.logs.meets(Range::new(at(120), at(121))), "metrics that are pushed are no lines");
        assert!(!meets(with.clone(), 100, 300) && meets(with, 300, 301));
        // It is back: what it was not asked for since is lost only where nothing was pushed.
        heard(&mut pulls, "prom", Pulled::ReadChunks, (390, 400), 400);
        let with = pulls.lacking(&pushing, &pushed);
        assert!(!meets(with.clone(), 100, 300) && meets(with, 300, 390));
    }

    #[test]
    fn a_gap_is_missing_until_it_is_filled_and_hides_nothing_else() {
        let target = |source: &str| Target { source: source.to_owned(), tenant: None };
        let mut pulls = Pulls::new(&BTreeSet::from([target("loki"), target("prom")]));
        heard(&mut pulls, "loki", Pulled::LokiQuery, (0, 100), 100);
        heard(&mut pulls, "prom", Pulled::ReadChunks, (0, 100), 100);
        assert_eq!(lacking(&pulls), Lacking::default());

        heard(&mut pulls, "loki", Pulled::NoLogs, (100, 160), 160);
        heard(&mut pulls, "gone", Pulled::NoMetrics, (0, 160), 160);
        let meets = |pulls: &Pulls, from, to| lacking(pulls).logs.meets(Range::new(at(from), at(to)));
        assert!(meets(&pulls, 5000, 5001) && meets(&pulls, 120, 121) && !meets(&pulls, 0, 100));
        assert!(lacking(&pulls).metrics.is_empty());

        // It is back at 200, and gives the oldest first.
        heard(&mut pulls, "loki", Pulled::LokiQuery, (100, 150), 200);
        assert!(!meets(&pulls, 0, 150) && meets(&pulls, 150, 151) && !meets(&pulls, 200, 5000));
        heard(&mut pulls, "loki", Pulled::LokiQuery, (150, 200), 201);
        assert_eq!(lacking(&pulls), Lacking::default());
        assert!(pulls.had(&target("loki")).has(Range::new(at(0), at(200))));
    }
}
