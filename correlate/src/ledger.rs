//! The restart ledger: what ended, what was replaced, what never started, each with its verdict.
//!
//! Instances are told apart by pod uid, container and container id, so that a status seen twice, late or out of
//! order makes one row. A verdict is revised while evidence may still come (the lateness), then it stands. What one
//! look costs depends on what is new and whose turn it is, not on how much the ledger or the cluster holds.

mod counts;
mod dependents;
mod entries;
mod judging;
mod news;
mod queue;
mod quiet;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Incident, Restart};

use crate::changes::ChangeLog;
use crate::failures::{Failure, Failures};
use crate::incidents::{Incidents, Member};
use crate::population::Population;
use crate::readiness::Readiness;
use crate::room;
use crate::rules::Rules;

use counts::Counts;
use entries::{Entries, Key, id_of, key_of};
use quiet::Killed;
use refusals::Refusals;

/// How many rows are kept; the oldest of who has most go first and are counted.
const ROWS: usize = 100_000;
/// Killed children are kept in mind for so long, in case their container ends by it after all.
const CHILDREN: Duration = Duration::from_secs(900);
/// What was known of pods that are gone is tidied up so often.
const TIDY: Duration = Duration::from_secs(60);

/// All rows and what is needed to revise them.
#[derive(Clone, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(skip)]
    lateness: Duration,
    entries: Entries,
    refusals: Refusals,
    counts: Counts,
    readiness: Readiness,
    failures: Failures,
    /// What the failures hold of each row, by the row's id.
    failed: BTreeMap<String, Failure>,
    /// Since when pods were not ready of which that is told, by their uid.
    unready: BTreeMap<String, BTreeSet<Timestamp>>,
    incidents: Incidents,
    #[serde(skip)]
    population: Population,
    touched: BTreeSet<String>,
    /// Nodes of which something new is to be told, by name.
    nodes_touched: BTreeSet<String>,
    /// Counts the calls of [`Ledger::evaluate`], from 1 on.
    round: u64,
    /// Namespace -> the round for which something new came in it last.
    news: BTreeMap<String, u64>,
    /// The round for which something new came of any node.
    node_news: u64,
    changes: ChangeLog,
    /// By pod uid and container.
    children: BTreeMap<(String, String), Killed>,
    rows: Arc<Vec<Arc<Restart>>>,
    /// Rows that stand since the last call of [`Ledger::take_settled`].
    settled: Vec<Arc<Restart>>,
    tidied: Timestamp,
    /// Rows that went because of the bound.
    pub dropped: u64,
    /// Verdicts reached, revisions included.
    pub judged: u64,
}

impl Ledger {
    /// An empty ledger of this cluster; verdicts stand after `lateness`.
    pub fn new(cluster: &str, lateness: Duration, rules: Rules) -> Self {
        Self {
            lateness,
            entries: Entries::default(),
            refusals: Refusals::default(),
            counts: Counts::default(),
            readiness: Readiness::default(),
            failures: Failures::default(),
            failed: BTreeMap::new(),
            unready: BTreeMap::new(),
            incidents: Incidents::new(cluster, rules),
            population: Population::default(),
            touched: BTreeSet::new(),
            nodes_touched: BTreeSet::new(),
            round: 0,
            news: BTreeMap::new(),
            node_news: 0,
            changes: ChangeLog::default(),
            children: BTreeMap::new(),
            rows: Arc::default(),
            settled: Vec::new(),
            tidied: Timestamp::MIN,
            dropped: 0,
            judged: 0,
        }
    }

    /// All rows, in order of time.
    pub fn rows(&self) -> Arc<Vec<Arc<Restart>>> {
        Arc::clone(&self.rows)
    }

    /// All incidents, in order of opening.
    pub fn incidents(&self) -> Arc<Vec<Arc<Incident>>> {
        self.incidents.all()
    }

    /// The incidents that there would be under other rules.
    pub fn incidents_under(&self, rules: &Rules, now: Timestamp) -> Vec<Incident> {
        self.incidents.under(rules, now, &self.readiness)
    }

    /// A row that stood before: it is not judged again when its instance is seen once more.
    pub fn restore(&mut self, row: Restart) {
        let row = Arc::new(row);
        if self.refusals.restore(&row) {
            self.incidents.put(&row.container_id, Member::of(&row));
        } else {
            if row.exit_code.is_some() {
                self.counts.restore(&row);
            }
            let key = self.entries.restore(&row);
            let id = id_of(&key);
            self.incidents.put(&id, Member::of(&row));
            let failure = Failure::of(&row, None, row.finished_at);
            self.failures.put(&id, None, Some(failure.clone()));
            self.failed.insert(id, failure);
        }
        self.replace(None, Some(&row));
    }

    /// Goes on with what another of the same configuration held, which was written and read back meanwhile. `scoped` shows
    /// the cluster as it was then.
    pub fn resume(&mut self, mut held: Self, scoped: &Scoped) {
        held.population = Population::of(scoped);
        held.lateness = self.lateness;
        held.incidents.configure_as(&self.incidents);
        *self = held;
        // Written, each row came to be there twice.
        let rows = &self.rows;
        let known = |row: &Arc<Restart>| {
            let at = rows.binary_search_by(|r| order(r).cmp(&order(row))).ok()?;
            rows.get(at).filter(|r| *r == row).cloned()
        };
        self.entries.share_rows(known);
        self.refusals.share_rows(known);
    }

    /// Whether there is a row of this instance, or an entry that may come to have one.
    pub fn knows(&self, row: &Restart) -> bool {
        let known = |r: &Arc<Restart>| order(r).cmp(&order(row));
        self.rows.binary_search_by(known).is_ok() || self.entries.get(&key_of(row)).is_some()
    }

    /// The rows that came to stand since the last call.
    pub fn take_settled(&mut self) -> Vec<Arc<Restart>> {
        std::mem::take(&mut self.settled)
    }

    /// Whether [`Ledger::evaluate`] may change something: something new came, a verdict may still be revised, or it is
    /// time for an incident to end.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.touched.is_empty()
            || !self.nodes_touched.is_empty()
            || self.entries.is_due(now)
            || self.failures.has_changed()
            || self.incidents.is_due(now)
            || self.refusals.is_open()
    }

    /// Whether something ended, was replaced or did not start of which [`Ledger::evaluate`] has not seen anything yet.
    pub fn has_new(&self) -> bool {
        self.entries.has_new()
    }

    /// The cluster's pods were heard of at this time: what was in trouble is not over for what nobody could see.
    pub fn heard(&mut self, at: Timestamp) {
        self.readiness.heard(at);
        self.incidents.heard();
    }

    /// They are not heard of any more.
    pub fn lost(&mut self) {
        self.readiness.lost();
    }

    /// When they were heard of last, if that is told at all, and whether they are lost since.
    pub fn last_heard(&self) -> Option<(Timestamp, bool)> {
        self.readiness.last_heard()
    }

    /// New logs, metrics or events came for this namespace: its open verdicts are looked at again.
    pub fn touch(&mut self, namespace: &str) {
        if !self.touched.contains(namespace) {
            self.touched.insert(namespace.to_owned());
        }
    }

    /// Puts a row in the place of another, in order of time.
    fn replace(&mut self, old: Option<&Arc<Restart>>, new: Option<&Arc<Restart>>) {
        let rows = Arc::make_mut(&mut self.rows);
        if let Some(old) = old
            && let Ok(at) = rows.binary_search_by(|r| order(r).cmp(&order(old)))
        {
            rows.remove(at);
        }
        if let Some(new) = new {
            match rows.binary_search_by(|r| order(r).cmp(&order(new))) {
                Ok(at) => rows[at] = Arc::clone(new),
                Err(at) => rows.insert(at, Arc::clone(new)),
            }
        }
    }

    /// Takes an entry away with all that was made of it.
    fn forget(&mut self, key: &Key) {
        let row = self.entries.get(key).and_then(|e| e.row.clone());
        if let Some(node) = row.as_ref().filter(|r| r.cause == "node-lost").and_then(|r| r.node.clone()) {
            self.nodes_touched.insert(node);
        }
        self.replace(row.as_ref(), None);
        self.drop_traces(&id_of(key));
        self.entries.remove(key);
    }

    fn drop_traces(&mut self, id: &str) {
        self.incidents.put(id, None);
        let old = self.failed.remove(id);
        self.failures.put(id, old.as_ref(), None);
    }

    fn bound(&mut self) -> bool {
        let over = self.rows.len().saturating_sub(ROWS);
        if over == 0 {
            return false;
        }
        let gone = oldest_of_most(Arc::make_mut(&mut self.rows), over);
        self.let_go(&gone);
        true
    }

    /// Takes rows away for which there is no room. Their incidents go on to tell of them.
    fn let_go(&mut self, gone: &[Arc<Restart>]) {
        let mut ids: Vec<String> = Vec::new();
        for row in gone {
            if self.refusals.forget(row) {
                ids.push(row.container_id.clone());
                continue;
            }
            let key = key_of(row);
            self.entries.remove(&key);
            let id = id_of(&key);
            let old = self.failed.remove(&id);
            self.failures.put(&id, old.as_ref(), None);
            ids.push(id);
        }
        self.incidents.let_go(ids.iter().map(String::as_str), &self.readiness);
        self.dropped += gone.len() as u64;
    }

    /// Forgets what was known of pods that nobody knows any more.
    fn tidy(&mut self, now: Timestamp, scoped: &Scoped) {
        if now < self.tidied.plus(TIDY) {
            return;
        }
        self.tidied = now;
        let known = |namespace: &str, uid: &str| {
            scoped.cluster().namespace(namespace).is_some_and(|s| s.pods.contains_key(uid))
        };
        let recent = now.minus(CHILDREN);
        self.children.retain(|_, killed| killed.at >= recent);
        self.entries.retain(known);
        self.population.retain(known);
        self.population.retain_nodes(|node| scoped.cluster().node_named(node).is_some());
        self.changes.tidy(scoped);
        self.news.retain(|namespace, _| scoped.cluster().namespace(namespace).is_some());
        self.unready.retain(|uid, _| self.readiness.knows(uid));
        self.readiness.retain(known);
        let readiness = &self.readiness;
        self.incidents.retain_pods(|uid| readiness.knows(uid));
        // After a start rows stand of pods that are yet to be seen.
        let entries = &self.entries;
        self.counts.retain(|namespace, uid| known(namespace, uid) || entries.knows(uid));
        self.failures.expire(now);
        let failures = &self.failures;
        self.failed.retain(|id, f| failures.holds(id, f));
    }
}

/// Takes so many rows away: of the teams that have most the oldest.
fn oldest_of_most(rows: &mut Vec<Arc<Restart>>, over: usize) -> Vec<Arc<Restart>> {
    let mut gives = room::gives(rows.iter().map(|row| &row.team), over);
    let mut gone = Vec::with_capacity(over);
    rows.retain(|row| {
        let Some(left) = gives.get_mut(&row.team).filter(|left| **left > 0) else { return true };
        *left -= 1;
        gone.push(Arc::clone(row));
        false
    });
    gone
}

/// The order of rows: by time, then by what tells them apart.
fn order(r: &Restart) -> (Timestamp, &str, &str, Option<&String>, Option<&String>, Option<&String>, &str) {
    let at = r.finished_at.unwrap_or(r.seen_at);
    (at, &r.namespace, &r.workload, r.pod.as_ref(), r.pod_uid.as_ref(), r.container.as_ref(), &r.container_id)
}

#[cfg(test)]
mod tests {
    use whyd_signals::Team;

    use super::*;
    use crate::cause::blank_row;

    #[test]
    fn rows_of_the_team_that_has_most_go_first_the_oldest_of_them() {
        let row =
            |team: &str, n: i64| Arc::new(Restart { team: Team::new(team), seen_at: Timestamp(n), ..blank_row() });
        let mut rows: Vec<Arc<Restart>> = (0..3).map(|n| row("b", n)).chain((3..10).map(|n| row("a", n))).collect();
        let times = |rows: &[Arc<Restart>]| rows.iter().map(|row| row.seen_at.0).collect::<Vec<_>>();
        assert_eq!(times(&oldest_of_most(&mut rows, 3)), [3, 4, 5]);
        assert_eq!(times(&oldest_of_most(&mut rows, 3)), [0, 6, 7]);
        assert_eq!(times(&rows), [1, 2, 8, 9]);
    }
}
