//! Pods that were wanted and never made: the API refused them, and their controller says so.

use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_buffers::state::{EventSeen, NamespaceState};
use whyd_signals::objects::Condition;
use whyd_signals::schema::{Restart, Root};
use whyd_signals::{Resource, Timestamp};

use crate::cause::{REFUSALS, blank_row};
use crate::finding::{Finding, event, kube};

/// The reason of the event by which a controller says it.
const FAILED_CREATE: &str = "FailedCreate";
/// The reason by which a Deployment says that it was refused a ReplicaSet, of its event and of its `Progressing`.
const NO_REPLICA_SET: &str = "ReplicaSetCreateError";
/// A refusal that does not last, as of a service account that is made a moment later, is no trouble.
const LASTING: Duration = Duration::from_secs(10);

/// A controller whose pods are refused.
pub(crate) struct Refused<'a> {
    pub(crate) space: &'a NamespaceState,
    /// `Kind/name` of the workload.
    pub(crate) workload: String,
    /// The controller that was refused.
    pub(crate) owner: Root,
    /// The newest refusal.
    pub(crate) seen: &'a EventSeen,
}

impl Refused<'_> {
    /// The refusal as evidence.
    pub(crate) fn said(&self) -> whyd_signals::schema::Evidence {
        event(self.seen)
    }

    /// The API's words.
    pub(crate) fn message(&self) -> &str {
        &self.seen.event.message
    }

    /// What the API refused to make.
    pub(crate) fn what(&self) -> &'static str {
        match self.owner.kind.as_str() {
            "Deployment" => "ReplicaSet",
            "CronJob" => "Job",
            _ => "pod",
        }
    }

    /// The workload as root: it is what somebody edits.
    pub(crate) fn workload_root(&self) -> Root {
        let (kind, name) = self.workload.split_once('/').unwrap_or((&self.owner.kind, &self.owner.name));
        self.root(kind, name)
    }

    /// An object of the namespace as root.
    pub(crate) fn root(&self, kind: &str, name: &str) -> Root {
        Root { kind: kind.into(), namespace: self.space.name.clone(), name: name.into(), uid: String::new() }
    }
}

/// What came of a refusal.
pub(crate) struct Outcome {
    pub(crate) row: Restart,
    /// When the API refused last; `None` while the controller still has fewer pods than it wants.
    pub(crate) over: Option<Timestamp>,
}

/// Which refusals are meant.
pub(crate) struct Told<'a> {
    /// The controller's.
    pub(crate) uid: &'a str,
    /// Events up to this time tell of another that was over.
    pub(crate) after: Timestamp,
    /// When the first was received.
    pub(crate) seen_at: Timestamp,
}

/// The row of a controller whose pods were refused; `None` where it did not last.
pub(crate) fn judge(scoped: &Scoped, namespace: &str, told: &Told<'_>) -> Option<Outcome> {
    let Told { uid, after, seen_at } = *told;
    let space = scoped.cluster().namespace(namespace)?;
    let meant = |e: &&EventSeen| is_refusal(&e.event.reason) && e.at > after;
    let refusals: Vec<&EventSeen> = space.events_about(uid).filter(meant).collect();
    let newest = refusals.iter().max_by_key(|e| e.at)?;
    let began = |e: &&EventSeen| e.event.first_timestamp.filter(|at| *at > after).unwrap_or(e.at).min(e.at);
    let first = refusals.iter().map(began).min()?;
    let about = &newest.event.involved_object;
    let (workload, wants) = wanted(space, uid, &about.kind, &about.name);
    if !wants && newest.at.seconds_since(first) < LASTING.as_secs_f64() {
        return None;
    }
    let owner = Root {
        kind: about.kind.clone(),
        namespace: namespace.to_owned(),
        name: about.name.clone(),
        uid: uid.to_owned(),
    };
    let refused = Refused { space, workload, owner, seen: newest };
    let finding = REFUSALS.iter().find_map(|judge| judge(&refused))?;
    let over = (!wants).then_some(newest.at);
    Some(Outcome { row: row(&refused, finding, first, seen_at), over })
}

/// Whether an event of this reason tells that the API refused to make something for a controller.
pub(crate) fn is_refusal(reason: &str) -> bool {
    reason == FAILED_CREATE || reason == NO_REPLICA_SET
}

/// The workload of a controller, and whether it still has fewer pods than it wants.
fn wanted(space: &NamespaceState, uid: &str, kind: &str, name: &str) -> (String, bool) {
    if let Some((resource, record)) = space.owner(uid) {
        let object = &record.object;
        let wants = record.deleted_at.is_none()
            && (object.status.conditions.iter().any(is_failing)
                || object.spec.replicas.is_some_and(|wanted| object.status.replicas < wanted));
        let workload = match object.metadata.controller() {
            Some(up) if resource == Resource::ReplicaSets => format!("{}/{}", up.kind, up.name),
            _ => format!("{}/{}", resource.kind(), object.metadata.name),
        };
        return (workload, wants);
    }
    let job = space.jobs.get(uid).filter(|j| j.deleted_at.is_none());
    let idle = job.is_some_and(|j| j.object.status.failed == 0 && j.object.status.succeeded == 0);
    (format!("{kind}/{name}"), idle)
}

fn row(refused: &Refused<'_>, finding: Finding, first: Timestamp, seen_at: Timestamp) -> Restart {
    let mut row = blank_row();
    row.team = refused.space.team.clone();
    row.namespace.clone_from(&refused.space.name);
    row.workload.clone_from(&refused.workload);
    row.reason = Some(refused.seen.event.reason.clone());
    row.mechanism = finding.cause.to_owned();
    row.cause = finding.cause.to_owned();
    row.confidence = finding.confidence();
    row.cause_detail = finding.detail;
    row.summary = finding.summary;
    // One quota that is used up is one trouble, however many workloads it keeps from their pods.
    row.incident_key = Some(format!("{}/{}/{}", row.namespace, finding.root, row.cause));
    row.root = Some(finding.root);
    row.evidence = finding.evidence;
    row.evidence.extend(failing(refused));
    row.seen_at = first.max(Timestamp(0)).min(seen_at);
    row
}

/// What the controller's own status says of it.
fn failing(refused: &Refused<'_>) -> Option<whyd_signals::schema::Evidence> {
    let (resource, record) = refused.space.owner(&refused.owner.uid)?;
    let failed = record.object.status.conditions.iter().find(|c| is_failing(c))?;
    let object = format!("{}/{}", resource.kind(), record.object.metadata.name);
    let field = format!("status.conditions[{}].message", failed.kind);
    let text = format!("its controller cannot make the {}", refused.what());
    Some(kube(failed.last_transition_time, object, &field, failed.message.clone(), &text))
}

/// Whether a controller's condition says that it is refused what it wants to make.
fn is_failing(c: &Condition) -> bool {
    c.kind == "ReplicaFailure" && c.status == "True" || c.kind == "Progressing" && c.reason == NO_REPLICA_SET
}
