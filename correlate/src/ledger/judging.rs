//! Whose turn it is, and what is found then.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_signals::Timestamp;

use super::Ledger;
use super::entries::{Entry, Key, id_of};
use crate::case::{Case, Ending};
use crate::failures::Failure;
use crate::incidents::Member;
use crate::verdict;

/// A chain of dependencies is followed over so many links.
const LINKS: usize = 8;
/// The attempts of a Job that has not ended are looked at so often, past the time at which verdicts stand otherwise.
const JOB: Duration = Duration::from_secs(60);

impl Ledger {
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
            unheard: OnceCell::new(),
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
