//! What went wrong in each workload and how long it lasted: the links of chains.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::schema::{Evidence, EvidenceSource, Restart, Root};

use crate::complaint::Dependency;

/// What is further back explains nothing any more.
const KEPT: Duration = Duration::from_secs(3600);
/// Trouble that began so much later is still the cause: status times are whole seconds, and the first to notice may
/// be the client.
const TOLERANCE: Duration = Duration::from_secs(2);
/// Clients go on failing so long after the other was ready again: they hold broken connections, or wait to retry.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(60);

/// One judged failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Failure {
    pub namespace: String,
    pub workload: String,
    /// The pod's controller, for instance its ReplicaSet.
    pub owner: String,
    /// When the trouble began: its first failed probe, or its end.
    pub onset: Timestamp,
    pub finished: Timestamp,
    /// When the pod was ready again or gone and replaced; `None` while it is not.
    pub recovered: Option<Timestamp>,
    pub root: Option<Root>,
    pub incident_key: Option<String>,
    /// The status that shows it.
    pub evidence: Option<Evidence>,
    /// Whether it was not another's fault.
    pub own_fault: bool,
    /// Whether it went as somebody wanted: no failure of its own, but its clients were without it.
    pub wanted: bool,
}

impl Failure {
    /// The failure that a row tells of.
    pub(crate) fn of(row: &Restart, onset: Option<Timestamp>, recovered: Option<Timestamp>) -> Self {
        let own_fault = row.cause != "dependency-down";
        // Down a chain the first link's own words are handed on as they are.
        let shown = |e: &&Evidence| {
            e.source == EvidenceSource::Kube && e.at.is_some() && (own_fault || !e.field.ends_with("exitCode"))
        };
        let evidence = row.evidence.iter().find(shown).cloned().map(|mut e| {
            if own_fault {
                e.text.clone_from(&row.summary);
            }
            e
        });
        let finished = row.finished_at.unwrap_or(row.seen_at);
        Self {
            namespace: row.namespace.clone(),
            workload: row.workload.clone(),
            owner: row.owner.clone(),
            onset: onset.map_or(finished, |o| o.min(finished)),
            finished,
            recovered,
            root: row.root.clone(),
            incident_key: row.incident_key.clone(),
            evidence,
            own_fault,
            wanted: row.incident_key.is_none(),
        }
    }

    fn whose(&self) -> Dependency {
        Dependency { workload: self.workload.clone(), namespace: self.namespace.clone() }
    }

    /// When it was over; the end of time while it is not.
    fn over(&self) -> Timestamp {
        self.recovered.map_or(Timestamp::MAX, |r| r.max(self.finished))
    }

    /// Whether it was its own fault, and nobody wanted it.
    fn is_own(&self) -> bool {
        self.own_fault && !self.wanted
    }

    /// Whether its clients may have suffered from it at `at`.
    fn lasts(&self, at: Timestamp) -> bool {
        self.onset <= at.plus(TOLERANCE) && at <= self.over().plus(AFTERMATH)
    }
}

/// When it ended, and its id.
type Place = (Timestamp, String);

/// The failures of one workload, and the orders in which they are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct OfWorkload {
    all: BTreeMap<Place, Failure>,
    by_onset: BTreeSet<(Timestamp, Place)>,
    /// When they were over, those of its own fault apart.
    by_over: BTreeMap<bool, BTreeSet<(Timestamp, Place)>>,
    of_owner: BTreeMap<String, OfOwner>,
}

/// Those of the pods of one controller.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct OfOwner {
    ends: BTreeSet<Place>,
    /// When those of its own fault were over.
    by_over: BTreeSet<(Timestamp, Place)>,
}

impl OfWorkload {
    fn insert(&mut self, place: Place, failure: Failure) {
        self.remove(&place);
        let over = (failure.over(), place.clone());
        let owner = self.of_owner.entry(failure.owner.clone()).or_default();
        owner.ends.insert(place.clone());
        if failure.is_own() {
            owner.by_over.insert(over.clone());
        }
        self.by_over.entry(failure.is_own()).or_default().insert(over);
        self.by_onset.insert((failure.onset, place.clone()));
        self.all.insert(place, failure);
    }

    fn remove(&mut self, place: &Place) {
        let Some(failure) = self.all.remove(place) else { return };
        let over = (failure.over(), place.clone());
        self.by_onset.remove(&(failure.onset, place.clone()));
        if let Some(of) = self.by_over.get_mut(&failure.is_own()) {
            of.remove(&over);
        }
        if let Some(owner) = self.of_owner.get_mut(&failure.owner) {
            owner.ends.remove(place);
            owner.by_over.remove(&over);
            if owner.ends.is_empty() {
                self.of_owner.remove(&failure.owner);
            }
        }
    }

    fn lasting(&self, at: Timestamp) -> impl Iterator<Item = &Failure> {
        let from = (at.minus(AFTERMATH), BEFORE_ALL);
        let any = self.by_over.values().any(|of| of.range(from.clone()..).next().is_some());
        let upto = if any { at.plus(TOLERANCE).plus(Duration::from_nanos(1)) } else { Timestamp::MIN };
        let begun = self.by_onset.range(..(upto, BEFORE_ALL)).rev();
        begun.filter_map(|(_, place)| self.all.get(place)).filter(move |f| f.lasts(at))
    }
}

const BEFORE_ALL: Place = (Timestamp::MIN, String::new());

/// By workload, then in order of time. What a question costs depends on what answers it, not on how often a workload failed; what
/// lasts is looked for among all that began before, where anything does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Failures {
    of: BTreeMap<Dependency, OfWorkload>,
    /// Workloads of which something else is known since the last call of [`Failures::take_changed`].
    changed: BTreeSet<Dependency>,
}

impl Failures {
    /// Replaces what was known of the instance of this id.
    pub(crate) fn put(&mut self, id: &str, old: Option<&Failure>, new: Option<Failure>) {
        if old == new.as_ref() {
            return;
        }
        if let Some(old) = old {
            let workload = old.whose();
            if let Some(of) = self.of.get_mut(&workload) {
                of.remove(&(old.finished, id.to_owned()));
                if of.all.is_empty() {
                    self.of.remove(&workload);
                }
            }
            self.changed.insert(workload);
        }
        if let Some(new) = new {
            let workload = new.whose();
            self.changed.insert(workload.clone());
            self.of.entry(workload).or_default().insert((new.finished, id.to_owned()), new);
        }
    }

    /// Whether there is something for [`Failures::take_changed`].
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The workloads of which something else is known since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<Dependency> {
        std::mem::take(&mut self.changed)
    }

    /// Forgets what ended and was over long ago. Of what ended long ago and is not over the first and the last of each pod
    /// stay, of what is alike: those between say nothing that these do not.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let horizon = now.minus(KEPT);
        self.of.retain(|_, of| {
            let mut gone: Vec<Place> = Vec::new();
            let mut last: BTreeMap<(&str, bool, bool, Option<&str>), (&Place, bool)> = BTreeMap::new();
            for (place, f) in of.all.range(..(horizon, String::new())) {
                if f.over() < horizon {
                    gone.push(place.clone());
                    continue;
                }
                let alike = (pod_of(&place.1), f.own_fault, f.wanted, f.incident_key.as_deref());
                let before = last.get(&alike).copied();
                gone.extend(before.filter(|(_, is_first)| !is_first).map(|(place, _)| place.clone()));
                last.insert(alike, (place, before.is_none()));
            }
            for place in gone {
                of.remove(&place);
            }
            !of.all.is_empty()
        });
    }

    /// Whether this failure is still kept.
    pub(crate) fn holds(&self, id: &str, failure: &Failure) -> bool {
        self.of.get(&failure.whose()).is_some_and(|of| of.all.contains_key(&(failure.finished, id.to_owned())))
    }

    fn workload(&self, namespace: &str, workload: &str) -> Option<&OfWorkload> {
        self.of.get(&Dependency { workload: workload.to_owned(), namespace: namespace.to_owned() })
    }

    /// The failures of a workload, in order of time.
    pub fn of(&self, namespace: &str, workload: &str) -> impl DoubleEndedIterator<Item = &Failure> {
        self.workload(namespace, workload).into_iter().flat_map(|of| of.all.values())
    }

    /// Those that ended in this time, in order of time.
    pub(crate) fn between(
        &self,
        (namespace, workload): (&str, &str),
        from: Timestamp,
        to: Option<Timestamp>,
    ) -> impl Iterator<Item = &Failure> {
        let of = self.workload(namespace, workload).into_iter();
        let from = of.flat_map(move |of| of.all.range((from, String::new())..));
        from.map(|(_, f)| f).take_while(move |f| to.is_none_or(|to| f.finished <= to))
    }

    /// Those from which clients may have suffered at this time, the latest to begin first.
    pub(crate) fn lasting(&self, namespace: &str, workload: &str, at: Timestamp) -> impl Iterator<Item = &Failure> {
        self.workload(namespace, workload).into_iter().flat_map(move |of| of.lasting(at))
    }

    /// When the first pod of this controller ended.
    pub(crate) fn first_of(&self, (namespace, workload): (&str, &str), owner: &str) -> Option<Timestamp> {
        self.workload(namespace, workload)?.of_owner.get(owner)?.ends.first().map(|(finished, _)| *finished)
    }

    /// Whether a pod of the workload, or of this controller of it, had ended by its own fault before a time and was not over it
    /// before another.
    pub(crate) fn ailed(
        &self,
        (namespace, workload): (&str, &str),
        owner: Option<&str>,
        before: Timestamp,
        since: Timestamp,
    ) -> bool {
        let Some(of) = self.workload(namespace, workload) else { return false };
        let by_over = match owner {
            Some(owner) => of.of_owner.get(owner).map(|owner| &owner.by_over),
            None => of.by_over.get(&true),
        };
        let later = by_over.into_iter().flat_map(|by_over| by_over.range((since, BEFORE_ALL)..));
        later.map(|(_, (finished, _))| *finished).any(|finished| finished < before)
    }
}

/// The uid of the pod that a failure of this id befell.
fn pod_of(id: &str) -> &str {
    id.strip_prefix("unready/").unwrap_or(id).split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
