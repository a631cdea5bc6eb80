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
const AFTERMATH: Duration = Duration::from_secs(60);

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

    /// Whether its clients may have suffered from it at `at`.
    pub(crate) fn lasts(&self, at: Timestamp) -> bool {
        self.onset <= at.plus(TOLERANCE) && self.recovered.is_none_or(|r| at <= r.max(self.finished).plus(AFTERMATH))
    }
}

/// By workload, then in order of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Failures {
    of: BTreeMap<Dependency, BTreeMap<(Timestamp, String), Failure>>,
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
                if of.is_empty() {
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

    /// Forgets what ended and was over long ago.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let horizon = now.minus(KEPT);
        self.of.retain(|_, of| {
            of.retain(|_, f| f.finished >= horizon || f.recovered.is_none_or(|r| r >= horizon));
            !of.is_empty()
        });
    }

    /// Whether this failure is still kept.
    pub(crate) fn holds(&self, id: &str, failure: &Failure) -> bool {
        self.of.get(&failure.whose()).is_some_and(|of| of.contains_key(&(failure.finished, id.to_owned())))
    }

    /// The failures of a workload, in order of time.
    pub fn of(&self, namespace: &str, workload: &str) -> impl DoubleEndedIterator<Item = &Failure> {
        let workload = Dependency { workload: workload.to_owned(), namespace: namespace.to_owned() };
        self.of.get(&workload).into_iter().flat_map(BTreeMap::values)
    }
}
