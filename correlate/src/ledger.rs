//! The restart ledger: what ended, what was replaced, what never started, each with its verdict.
//!
//! Instances are told apart by pod uid, container and container id, so that a status seen twice, late or out of
//! order makes one row. A verdict is revised while evidence may still come (the lateness), then it stands. What one
//! look costs depends on what is new and whose turn it is, not on how much the ledger or the cluster holds.

mod counts;
mod dependents;
mod entries;
mod queue;
mod quiet;
mod refusals;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_buffers::state::Applied;
use whyd_signals::objects::{Event, Object};
use whyd_signals::schema::{Incident, Restart};
use whyd_signals::{Resource, Timestamp};

use crate::case::{Case, Ending};
use crate::changes::ChangeLog;
use crate::failures::{Failure, Failures};
use crate::incidents::{Incidents, Member};
use crate::population::Population;
use crate::readiness::Readiness;
use crate::refused;
use crate::rules::Rules;
use crate::verdict;

use counts::Counts;
use entries::{Entries, Entry, Key, id_of, key_of};
use quiet::Killed;
use refusals::Refusals;

/// How many rows are kept; the oldest go first and are counted.
const ROWS: usize = 100_000;
/// A chain of dependencies is followed over so many links.
const LINKS: usize = 8;
/// The attempts of a Job that has not ended are looked at so often, past the time at which verdicts stand otherwise.
const JOB: Duration = Duration::from_secs(60);
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

    /// New logs, metrics or events came for this namespace: its open verdicts are looked at again.
    pub fn touch(&mut self, namespace: &str) {
        if !self.touched.contains(namespace) {
            self.touched.insert(namespace.to_owned());
        }
    }

    /// Takes in one change of the cluster, which `scoped` already shows.
    pub fn observe(&mut self, applied: &Applied, scoped: &Scoped) {
        self.changes.observe(applied, scoped);
        self.population.observe(applied, scoped);
        match &applied.object {
            Some(Object::Pod(pod)) => {
                self.touch(&pod.metadata.namespace);
                if self.readiness.observe(pod, applied.verb, applied.received) {
                    self.incidents.pod_changed(&pod.metadata.uid);
                    self.refresh(&pod.metadata.uid);
                }
                self.entries.observe(pod, applied.verb, applied.received);
                for taken_back in self.entries.take_back() {
                    self.forget(&taken_back);
                }
                let ended = |container: &str| self.entries.ended_of(&pod.metadata.uid, container);
                for missing in self.counts.observe(pod, applied.received, ended) {
                    for seen_after_all in self.entries.unseen(pod, &missing, applied.received) {
                        self.forget(&seen_after_all);
                    }
                }
            }
            Some(Object::Event(event)) => self.observe_event(event, applied.received),
            Some(Object::Node(node)) => self.touch_node(&node.metadata.name),
            Some(object) => {
                let meta = object.meta();
                let name = if applied.resource == Resource::Namespaces { &meta.name } else { &meta.namespace };
                self.touch(&name.clone());
            }
            None if applied.resource == Resource::Pods => self.find_vanished(scoped, applied.received),
            None if applied.resource == Resource::Nodes => {
                self.nodes_touched.extend(scoped.cluster().nodes().map(|n| n.object.metadata.name.clone()));
            }
            None => {}
        }
    }

    fn touch_node(&mut self, name: &str) {
        if !self.nodes_touched.contains(name) {
            self.nodes_touched.insert(name.to_owned());
        }
    }

    /// A pod turned ready, or not: that tells until when its failures lasted.
    fn refresh(&mut self, uid: &str) {
        let own = |id: &String| id.starts_with(uid);
        let open =
            self.failed.range(uid.to_owned()..).take_while(|(id, _)| own(id)).filter(|(_, f)| f.recovered.is_none());
        let open: Vec<(String, Failure)> = open.map(|(id, f)| (id.clone(), f.clone())).collect();
        for (id, old) in open {
            let recovered = self.readiness.recovered(uid, old.finished);
            let new = Failure { recovered, ..old.clone() };
            self.failures.put(&id, Some(&old), Some(new.clone()));
            self.failed.insert(id, new);
        }
    }

    fn observe_event(&mut self, event: &Event, received: Timestamp) {
        let about = &event.involved_object;
        let namespace = if about.namespace.is_empty() { &event.metadata.namespace } else { &about.namespace };
        self.touch(namespace);
        if about.kind == "Node" {
            self.touch_node(&about.name);
        }
        if refused::is_refusal(&event.reason) && about.kind != "Pod" {
            self.refusals.observe(event, namespace, received);
        }
        if about.kind == "Pod" {
            self.entries.observe_event(event, namespace, received);
        }
    }

    /// Pods that a fresh list no longer held: they went unseen.
    fn find_vanished(&mut self, scoped: &Scoped, at: Timestamp) {
        let mut gone = Vec::new();
        for space in scoped.cluster().namespaces() {
            gone.extend(space.pods.values().filter(|p| p.deleted_at == Some(at)).map(|p| Arc::clone(&p.object)));
        }
        for pod in gone {
            self.touch(&pod.metadata.namespace);
            self.readiness.vanished(&pod.metadata.uid, at);
            self.incidents.pod_changed(&pod.metadata.uid);
            self.entries.gone(&pod, at);
        }
    }

    /// Judges what is new and revises what is open and whose turn it is. Whether anything changed.
    pub fn evaluate(&mut self, now: Timestamp, scoped: &Scoped) -> bool {
        self.round += 1;
        let touched = std::mem::take(&mut self.touched);
        for namespace in &touched {
            self.news.insert(namespace.clone(), self.round);
        }
        if !self.nodes_touched.is_empty() {
            self.node_news = self.round;
        }
        self.tidy(now, scoped);
        let mut changed = self.judge_refusals(&touched, now, scoped);
        let turns = self.entries.take_turns(now);
        let mut due: Vec<Key> = turns.iter().filter(|key| self.is_worth_judging(key, now)).cloned().collect();
        self.entries.in_time(&mut due);
        for _ in 0..LINKS {
            for key in &due {
                changed |= self.judge(key, now, scoped);
            }
            // What befell one explains another, in whatever namespace it is; in its own it is news like other news.
            let befell = self.failures.take_changed();
            due = self.entries.depending_on(befell.iter());
            self.news.extend(befell.into_iter().map(|workload| (workload.namespace, self.round + 1)));
            if due.is_empty() {
                break;
            }
        }
        for key in &turns {
            self.next_turn(key, now, scoped);
        }
        self.watch_readiness(&touched, now, scoped);
        self.watch_nodes(scoped);
        self.watch_children(scoped);
        changed |= self.bound();
        self.incidents.derive((now, self.lateness), &self.readiness, &self.population) || changed
    }

    /// When an entry's verdict stands.
    fn stands_at(&self, entry: &Entry) -> Timestamp {
        entry.seen_at.plus(self.lateness)
    }

    /// Whether an entry whose turn it is may look different than at the last: something new came in its namespace, or
    /// its verdict is about to stand, for which all is looked at once more.
    fn is_worth_judging(&self, key: &Key, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let last = self.entries.last_judged(key);
        let told = entry.told_from().is_some_and(|from| now >= from) && entry.row.is_none();
        let stands = now >= self.stands_at(entry) && !entry.looked_over;
        let news = self.node_news > last || self.news.get(&entry.namespace).is_some_and(|round| *round > last);
        last == 0 || told || stands || news
    }

    /// Gives an entry another turn, or lets its verdict stand when nothing more is to come for it.
    fn next_turn(&mut self, key: &Key, now: Timestamp, scoped: &Scoped) {
        let Some(entry) = self.entries.get(key) else { return };
        let stands_at = self.stands_at(entry);
        if now < stands_at {
            let told = entry.told_from().filter(|from| *from > now);
            self.entries.again(key, now, told.map_or(stands_at, |from| from.min(stands_at)));
        } else if entry.row.is_some() && of_undecided_job(key, entry, scoped) {
            self.entries.looked_over(key);
            self.entries.again(key, now, now.plus(JOB));
        } else {
            self.settled.extend(entry.row.clone());
            self.entries.settle(key);
        }
    }

    /// One verdict; whether its row changed.
    fn judge(&mut self, key: &Key, now: Timestamp, scoped: &Scoped) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let neighbours = self.entries.neighbours(key, entry);
        let Some(space) = scoped.cluster().namespace(&entry.namespace) else { return false };
        // The pod is forgotten, its row is not.
        let Some(pod) = space.pods.get(&key.0) else { return false };
        // Nobody is told of what may still start by itself.
        let early = entry.told_from().is_some_and(|from| now < from);
        self.judged += 1;
        let case = Case {
            scoped,
            space,
            pod,
            container: entry.container.as_deref(),
            ending: &entry.ending,
            workload: space.workload_of(&pod.object),
            failures: &self.failures,
            changes: &self.changes,
            seen_at: entry.seen_at,
            neighbours,
            said: OnceCell::new(),
        };
        let verdict =
            if early { verdict::Verdict { row: None, depends_on: Vec::new() } } else { verdict::judge(&case) };
        let onset = first_unhealthy(&case);
        let row = verdict.row.map(|mut row| {
            if !matches!(entry.ending, Ending::Unseen { .. }) {
                row.container_id.clone_from(&key.2);
            }
            Arc::new(row)
        });
        let old = entry.row.clone();
        let failure = row.as_ref().map(|r| {
            let at = r.finished_at.unwrap_or(r.seen_at);
            let recovered = if r.exit_code.is_some() || r.mechanism == crate::cause::UNSEEN {
                self.readiness.recovered(&key.0, at)
            } else {
                pod.deleted_at
            };
            Failure::of(r, onset, recovered)
        });
        let id = id_of(key);
        self.failures.put(&id, self.failed.get(&id), failure.clone());
        match failure {
            Some(f) => self.failed.insert(id.clone(), f),
            None => self.failed.remove(&id),
        };
        let changed = row != old;
        if changed {
            for lost in old.iter().chain(&row).filter(|r| r.cause == "node-lost") {
                self.nodes_touched.extend(lost.node.clone());
            }
            self.replace(old.as_ref(), row.as_ref());
            self.incidents.put(&id, row.as_deref().and_then(Member::of));
        }
        self.entries.judged(key, row, verdict.depends_on, self.round);
        changed
    }

    fn judge_refusals(&mut self, touched: &BTreeSet<String>, now: Timestamp, scoped: &Scoped) -> bool {
        let (settled, looks) = (&mut self.settled, &mut self.judged);
        let judged = self.refusals.judge(touched, (now, self.lateness), scoped, settled, looks);
        let mut changed = false;
        for refusal in judged {
            if refusal.old != refusal.new {
                self.replace(refusal.old.as_ref(), refusal.new.as_ref());
                changed = true;
            }
            let member = refusal.new.as_deref().and_then(Member::of);
            self.incidents.put(&refusal.id, member.map(|(key, m)| (key, Member { until: refusal.over, ..m })));
        }
        changed
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
        let gone: Vec<Arc<Restart>> = Arc::make_mut(&mut self.rows).drain(..over).collect();
        for row in gone {
            if self.refusals.forget(&row) {
                self.incidents.put(&row.container_id, None);
                continue;
            }
            let key = key_of(&row);
            self.entries.remove(&key);
            self.drop_traces(&id_of(&key));
        }
        self.dropped += over as u64;
        true
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
        self.counts.retain(known);
        self.failures.expire(now);
        let failures = &self.failures;
        self.failed.retain(|id, f| failures.holds(id, f));
    }
}

/// The order of rows: by time, then by what tells them apart.
fn order(r: &Restart) -> (Timestamp, &str, &str, Option<&String>, Option<&String>, Option<&String>, &str) {
    let at = r.finished_at.unwrap_or(r.seen_at);
    (at, &r.namespace, &r.workload, r.pod.as_ref(), r.pod_uid.as_ref(), r.container.as_ref(), &r.container_id)
}

/// When the container was first seen to be unwell in the life that ended.
fn first_unhealthy(case: &Case<'_>) -> Option<Timestamp> {
    case.terminated()?;
    // A probe that could not be made says nothing of the container, and the kubelet does not count it.
    let failed = case.events("Unhealthy").filter(|e| !e.event.message.contains("probe errored"));
    failed.map(|e| e.event.first_timestamp.unwrap_or(e.at).max(case.started())).min()
}

/// A Job that has neither completed nor given up: what its attempts died of is not decided before.
fn of_undecided_job(key: &Key, entry: &Entry, scoped: &Scoped) -> bool {
    let Some(space) = scoped.cluster().namespace(&entry.namespace) else { return false };
    let Some(pod) = space.pods.get(&key.0) else { return false };
    let owner = pod.object.metadata.controller().filter(|o| o.kind == "Job");
    let job = owner.and_then(|o| space.jobs.get(&o.uid)).filter(|j| j.deleted_at.is_none());
    let decided = |kind: &str| kind == "Failed" || kind == "Complete";
    job.is_some_and(|j| !j.object.status.conditions.iter().any(|c| decided(&c.kind) && c.status == "True"))
}
