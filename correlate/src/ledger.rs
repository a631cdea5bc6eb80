//! The restart ledger: what ended, what was replaced, what never started, each with its verdict.
//!
//! Instances are told apart by pod uid, container and container id, so that a status seen twice, late or out of
//! order makes one row. A verdict is revised while evidence may still come (the lateness), then it stands.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_buffers::state::{Applied, NamespaceState};
use whyd_signals::objects::{ContainerStatus, Object, Pod, Terminated};
use whyd_signals::schema::{Evidence, EvidenceSource, Incident, IncidentStatus, Restart, Root};
use whyd_signals::{Resource, Timestamp, Verb};

use crate::case::{Case, Ending};
use crate::cause::readiness_failed;
use crate::incidents;
use crate::verdict;

/// Waiting reasons by which a container is known not to have been started.
const NOT_STARTED: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];
/// How many rows are kept; the oldest go first and are counted.
const ROWS: usize = 100_000;

/// How far before an end another failure may lie and still be a link to it.
const LINKED: Duration = Duration::from_secs(1800);
/// How many unready pods are remembered; those that are ready again go first, counted with the rows.
const UNREADY: usize = 10_000;

/// What tells instances apart: pod uid, container, container id (or when it ended, where the runtime gave none).
type Key = (String, String, String);

#[derive(Debug)]
struct Entry {
    namespace: String,
    pod_uid: String,
    container: Option<String>,
    ending: Ending,
    seen_at: Timestamp,
    row: Option<Arc<Restart>>,
    settled: bool,
}

impl Entry {
    fn at(&self) -> Timestamp {
        match &self.ending {
            Ending::Ended { terminated, .. } => terminated.finished_at.unwrap_or(self.seen_at),
            _ => self.seen_at,
        }
    }
}

/// A judged failure, as a link for others.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Failure {
    pub namespace: String,
    pub workload: String,
    /// The pod's controller, for instance its ReplicaSet.
    pub owner: String,
    pub finished: Timestamp,
    pub root: Option<Root>,
    pub incident_key: Option<String>,
    /// The status that shows it.
    pub evidence: Option<Evidence>,
    /// Whether it was neither a replacement nor another's fault.
    pub own_fault: bool,
}

/// A pod that is unready and has not restarted.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Unready {
    pub namespace: String,
    pub workload: String,
    pub pod: String,
    pub pod_uid: String,
    pub since: Timestamp,
    pub until: Option<Timestamp>,
    pub message: String,
}

/// All rows and what is needed to revise them.
pub struct Ledger {
    cluster: String,
    lateness: Duration,
    entries: BTreeMap<Key, Entry>,
    unready: BTreeMap<String, Unready>,
    touched: BTreeSet<String>,
    /// Entries not settled.
    open: usize,
    rows: Arc<Vec<Arc<Restart>>>,
    incidents: Arc<Vec<Arc<Incident>>>,
    /// Rows that went because of the bound.
    pub dropped: u64,
    /// Verdicts reached, revisions included.
    pub judged: u64,
}

impl Ledger {
    /// An empty ledger of this cluster; verdicts stand after `lateness`.
    pub fn new(cluster: &str, lateness: Duration) -> Self {
        Self {
            cluster: cluster.to_owned(),
            lateness,
            entries: BTreeMap::new(),
            unready: BTreeMap::new(),
            touched: BTreeSet::new(),
            open: 0,
            rows: Arc::default(),
            incidents: Arc::default(),
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
        Arc::clone(&self.incidents)
    }

    /// Whether nothing waits for [`Ledger::evaluate`].
    pub fn is_idle(&self) -> bool {
        self.touched.is_empty()
    }

    /// Whether time alone may change something: a verdict may still be revised, or an incident end.
    pub fn has_open(&self) -> bool {
        self.open > 0 || self.incidents.iter().any(|i| i.status == IncidentStatus::Open)
    }

    /// New logs, metrics or events came for this namespace: its open verdicts are looked at again.
    pub fn touch(&mut self, namespace: &str) {
        if !self.touched.contains(namespace) {
            self.touched.insert(namespace.to_owned());
        }
    }

    /// Takes in one change of the cluster, which `scoped` already shows.
    pub fn observe(&mut self, applied: &Applied, scoped: &Scoped) {
        match &applied.object {
            Some(Object::Pod(pod)) => self.observe_pod(pod, applied),
            Some(object) => {
                let meta = object.meta();
                let name = if applied.resource == Resource::Namespaces { &meta.name } else { &meta.namespace };
                self.touch(&name.clone());
            }
            None if applied.resource == Resource::Pods => self.find_vanished(scoped, applied.received),
            None => {}
        }
    }

    fn observe_pod(&mut self, pod: &Pod, applied: &Applied) {
        self.touch(&pod.metadata.namespace);
        for status in pod.statuses() {
            if let Some(t) = &status.state.terminated {
                self.ended(pod, status, t, "state", status.restart_count, applied.received);
            }
            if let Some(t) = &status.last_state.terminated {
                self.ended(pod, status, t, "lastState", (status.restart_count - 1).max(0), applied.received);
            }
            if let Some(w) = status.state.waiting.as_ref().filter(|w| NOT_STARTED.contains(&w.reason.as_str())) {
                self.not_started(pod, status, (&w.reason, &w.message), applied.received);
            }
        }
        if applied.verb == Verb::Delete && pod.status.container_statuses.iter().any(|s| s.state.running.is_some()) {
            self.replaced(pod, applied.received);
        }
    }

    fn ended(
        &mut self,
        pod: &Pod,
        s: &ContainerStatus,
        t: &Terminated,
        field: &'static str,
        count: i64,
        at: Timestamp,
    ) {
        let finishes = pod.is_init(&s.name) || pod.spec.restart_policy != "Always";
        if t.exit_code == 0 && finishes {
            return;
        }
        let uid = &pod.metadata.uid;
        // What was started after all never was unable to start; a wait that stands in the ledger stays.
        let waited = (uid.clone(), s.name.clone(), String::new());
        if self.entries.get(&waited).is_some_and(|e| !e.settled) {
            self.entries.remove(&waited);
        }
        let id = if t.container_id.is_empty() {
            t.finished_at.map_or(count.to_string(), |f| f.to_string())
        } else {
            t.container_id.clone()
        };
        let ending = Ending::Ended { terminated: t.clone(), field, restart_count: count };
        let entry = self.entries.entry((uid.clone(), s.name.clone(), id)).or_insert_with(|| Entry {
            namespace: pod.metadata.namespace.clone(),
            pod_uid: uid.clone(),
            container: Some(s.name.clone()),
            ending: ending.clone(),
            seen_at: at,
            row: None,
            settled: false,
        });
        // Seen as the current state it has its own count, whichever came first.
        if field == "state" && !entry.settled {
            entry.ending = ending;
        }
    }

    fn not_started(&mut self, pod: &Pod, s: &ContainerStatus, why: (&str, &str), at: Timestamp) {
        let uid = &pod.metadata.uid;
        let started = self
            .entries
            .range((uid.clone(), s.name.clone(), String::from("\0"))..)
            .next()
            .is_some_and(|((u, c, _), _)| u == uid && *c == s.name);
        if started || s.restart_count > 0 || s.last_state.terminated.is_some() {
            return;
        }
        let ending = Ending::NeverStarted { reason: why.0.to_owned(), message: why.1.to_owned() };
        let entry = self.entries.entry((uid.clone(), s.name.clone(), String::new())).or_insert_with(|| Entry {
            namespace: pod.metadata.namespace.clone(),
            pod_uid: uid.clone(),
            container: Some(s.name.clone()),
            ending: ending.clone(),
            seen_at: at,
            row: None,
            settled: false,
        });
        // Back-off only says that it was tried before; the first reason says why.
        if let Ending::NeverStarted { reason, .. } = &entry.ending
            && reason.ends_with("BackOff")
            && !entry.settled
        {
            entry.ending = ending;
        }
    }

    fn replaced(&mut self, pod: &Pod, at: Timestamp) {
        let uid = pod.metadata.uid.clone();
        self.entries.entry((uid.clone(), String::new(), String::new())).or_insert_with(|| Entry {
            namespace: pod.metadata.namespace.clone(),
            pod_uid: uid,
            container: None,
            ending: Ending::Replaced,
            seen_at: at,
            row: None,
            settled: false,
        });
    }

    /// Pods that a fresh list no longer held: they went unseen.
    fn find_vanished(&mut self, scoped: &Scoped, at: Timestamp) {
        let mut gone = Vec::new();
        for space in scoped.cluster().namespaces() {
            gone.extend(space.pods.values().filter(|p| p.deleted_at == Some(at)).map(|p| Arc::clone(&p.object)));
        }
        for pod in gone {
            self.touch(&pod.metadata.namespace);
            if pod.status.container_statuses.iter().any(|s| s.state.running.is_some()) {
                self.replaced(&pod, at);
            }
        }
    }

    /// Judges what is new and revises what is open in the touched namespaces. Whether anything changed.
    pub fn evaluate(&mut self, now: Timestamp, scoped: &Scoped) -> bool {
        let touched = std::mem::take(&mut self.touched);
        // Rows are in order of time, and what lies further back explains nothing any more.
        let horizon = now.minus(self.lateness + LINKED);
        let old = self.rows.partition_point(|r| r.finished_at.unwrap_or(r.seen_at) < horizon);
        let recent = self.rows[old..].iter().filter(|r| self.is_settled(r));
        let mut failures: Vec<Failure> = recent.filter_map(|r| failure(r, scoped)).collect();
        let mut open: Vec<Key> = self.entries.iter().filter(|(_, e)| !e.settled).map(|(k, _)| k.clone()).collect();
        open.sort_by_key(|k| self.entries.get(k).map(|e| (e.at(), k.clone())));
        let mut changed = false;
        self.open = open.len();
        for key in open {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if touched.contains(&entry.namespace) || entry.row.is_none() {
                self.judged += 1;
                let row = judge(entry, scoped, &failures).map(|mut row| {
                    row.container_id.clone_from(&key.2);
                    Arc::new(row)
                });
                changed |= row != entry.row;
                entry.row = row;
            }
            entry.settled = now >= entry.seen_at.plus(self.lateness) && !of_undecided_job(entry, scoped);
            self.open -= usize::from(entry.settled);
            failures.extend(entry.row.as_ref().and_then(|r| failure(r, scoped)));
        }
        changed |= self.watch_readiness(now, &touched, scoped);
        while self.unready.len() > UNREADY {
            let oldest = self.unready.iter().min_by_key(|(_, u)| (u.until.is_none(), u.since)).map(|(k, _)| k.clone());
            let Some(oldest) = oldest else { break };
            self.unready.remove(&oldest);
            self.dropped += 1;
        }
        if changed {
            self.publish();
        }
        let rows = &self.rows;
        let incidents = incidents::from_rows(&self.cluster, rows, self.unready.values(), now, scoped);
        let same = incidents.iter().map(AsRef::as_ref).eq(self.incidents.iter().map(AsRef::as_ref));
        if !same {
            self.incidents = Arc::new(incidents);
        }
        changed || !same
    }

    fn is_settled(&self, row: &Restart) -> bool {
        let uid = row.pod_uid.clone().unwrap_or_default();
        let key = (uid, row.container.clone().unwrap_or_default(), row.container_id.clone());
        self.entries.get(&key).is_some_and(|e| e.settled)
    }

    fn publish(&mut self) {
        while self.entries.len() > ROWS {
            let oldest = self.entries.iter().min_by_key(|(_, e)| e.at()).map(|(k, _)| k.clone());
            let Some(oldest) = oldest else { break };
            self.entries.remove(&oldest);
            self.dropped += 1;
        }
        let mut rows: Vec<Arc<Restart>> = self.entries.values().filter_map(|e| e.row.clone()).collect();
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        self.rows = Arc::new(rows);
    }

    fn watch_readiness(&mut self, now: Timestamp, touched: &BTreeSet<String>, scoped: &Scoped) -> bool {
        let cluster = scoped.cluster();
        let events_known = cluster.synced(Resource::Events);
        let mut changed = false;
        for space in touched.iter().filter_map(|n| cluster.namespace(n)) {
            for (uid, pod) in &space.pods {
                match readiness_failed::unready(space, pod, events_known) {
                    Some((since, message)) => {
                        let new = Unready {
                            namespace: space.name.clone(),
                            workload: space.workload_of(&pod.object),
                            pod: pod.object.metadata.name.clone(),
                            pod_uid: uid.clone(),
                            since,
                            until: None,
                            message,
                        };
                        if self.unready.get(uid).is_none_or(|u| u.until.is_some()) {
                            self.unready.insert(uid.clone(), new);
                            changed = true;
                        }
                    }
                    None => {
                        if let Some(u) = self.unready.get_mut(uid).filter(|u| u.until.is_none()) {
                            u.until = Some(now);
                            changed = true;
                        }
                    }
                }
            }
        }
        changed
    }
}

fn order(r: &Restart) -> (Timestamp, &str, Option<&String>, Option<&String>, &str) {
    (r.finished_at.unwrap_or(r.seen_at), &r.namespace, r.pod.as_ref(), r.container.as_ref(), &r.container_id)
}

fn judge(entry: &Entry, scoped: &Scoped, failures: &[Failure]) -> Option<Restart> {
    let space: &NamespaceState = scoped.cluster().namespace(&entry.namespace)?;
    let Some(pod) = space.pods.get(&entry.pod_uid) else {
        // The pod is forgotten, its row is not.
        return entry.row.as_deref().cloned();
    };
    let case = Case {
        scoped,
        space,
        pod,
        container: entry.container.as_deref(),
        ending: &entry.ending,
        workload: space.workload_of(&pod.object),
        failures,
        seen_at: entry.seen_at,
        said: OnceCell::new(),
    };
    verdict::judge(&case)
}

/// A Job that has neither completed nor given up: what its attempts died of is not decided before.
fn of_undecided_job(entry: &Entry, scoped: &Scoped) -> bool {
    let Some(space) = scoped.cluster().namespace(&entry.namespace) else { return false };
    let Some(pod) = space.pods.get(&entry.pod_uid) else { return false };
    let owner = pod.object.metadata.controller().filter(|o| o.kind == "Job");
    let job = owner.and_then(|o| space.jobs.get(&o.uid)).filter(|j| j.deleted_at.is_none());
    let decided = |kind: &str| kind == "Failed" || kind == "Complete";
    job.is_some_and(|j| !j.object.status.conditions.iter().any(|c| decided(&c.kind) && c.status == "True"))
}

fn failure(row: &Restart, scoped: &Scoped) -> Option<Failure> {
    row.incident_key.as_ref()?;
    let pod = scoped.cluster().namespace(&row.namespace)?.pods.get(row.pod_uid.as_ref()?);
    let owner = pod.and_then(|p| p.object.metadata.controller()).map_or(String::new(), |o| o.name.clone());
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
    Some(Failure {
        namespace: row.namespace.clone(),
        workload: row.workload.clone(),
        owner,
        finished: row.finished_at.unwrap_or(row.seen_at),
        root: row.root.clone(),
        incident_key: row.incident_key.clone(),
        evidence,
        own_fault,
    })
}
