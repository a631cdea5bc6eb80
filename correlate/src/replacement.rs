//! Who replaced a pod: a controller that wanted another revision or fewer pods, or somebody by hand.

use std::time::Duration;

use whyd_buffers::state::{NamespaceState, Record};
use whyd_signals::objects::Workload;
use whyd_signals::schema::{Evidence, Root};
use whyd_signals::{Resource, Timestamp};

use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, kube};

/// The annotation that `kubectl rollout restart` writes.
pub(crate) const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// The annotation by which a Deployment numbers its ReplicaSets.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The label by which StatefulSets and DaemonSets tell revisions apart.
pub(crate) const REVISION_HASH: &str = "controller-revision-hash";
/// A controller's decision and the deletion it leads to lie no further apart.
pub(crate) const NEAR: Duration = Duration::from_secs(60);

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Kind {
    Rollout,
    RestartedByCommand,
    Scaled,
    ByHand,
}

/// A decision with its evidence.
pub(crate) struct Replacement {
    /// What was decided.
    pub(crate) kind: Kind,
    /// The object on which it was decided.
    pub(crate) root: Root,
    /// What shows it.
    pub(crate) evidence: Vec<Evidence>,
}

/// The finding of one of the four replacement causes.
pub(crate) fn judge(case: &Case<'_>, cause: &'static str, kind: Kind, words: &str) -> Option<Finding> {
    let found = of(case).filter(|r| r.kind == kind)?;
    let what = if kind == Kind::Scaled { "removed" } else { "replaced" };
    let summary = format!("{} was {what}: {words} {}", case.pod_name(), found.root);
    Some(
        Finding::new(cause, Depth::Deeper, 94, found.root, summary)
            .with_all(found.evidence)
            .with(case.status("exitCode", "how it went when told to stop")),
    )
}

/// Who replaced the pod; `None` when it was not deleted, the kubelet or the API evicted it, or its owner is unknown.
pub(crate) fn of(case: &Case<'_>) -> Option<Replacement> {
    let asked = case.deletion_asked()?;
    let disrupted = case.pod.object.condition("DisruptionTarget").is_some_and(|c| c.status == "True");
    let never = matches!(case.ending, Ending::NeverStarted { .. });
    if never || !case.deleting() || case.evicted() || disrupted {
        return None;
    }
    let owner = case.pod.object.metadata.controller()?;
    let (resource, record) = case.space.owner(&owner.uid)?;
    if going(record, asked.plus(NEAR)) {
        return None;
    }
    match resource {
        Resource::ReplicaSets => of_replica_set(case, record, asked),
        Resource::StatefulSets | Resource::DaemonSets => of_set(case, resource, record, asked),
        _ => None,
    }
}

/// Whether a workload was itself deleted by then, or about to be.
pub(crate) fn going(record: &Record<Workload>, then: Timestamp) -> bool {
    record.object.metadata.deletion_timestamp.or(record.deleted_at).is_some_and(|at| at <= then)
}

/// The object as it was then: its last version that was seen by that time, else its first.
pub(crate) fn as_of<T>(record: &Record<T>, then: Timestamp) -> &T {
    let seen = record.versions.iter().rev().find(|(seen, _)| *seen <= then);
    seen.or(record.versions.first()).map_or(record.object.as_ref(), |(_, v)| v.as_ref())
}

/// The ReplicaSet's revision.
pub(crate) fn revision(rs: &Workload) -> u64 {
    rs.metadata.annotations.get(REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

/// The other ReplicaSets of the same Deployment.
pub(crate) fn siblings<'a>(
    space: &'a NamespaceState,
    rs: &Workload,
) -> impl Iterator<Item = &'a Record<Workload>> + use<'a> {
    let owner = rs.metadata.controller().map(|o| o.uid.as_str()).unwrap_or_default();
    let own = rs.metadata.uid.clone();
    space.replica_sets_of(owner).filter(move |w| w.object.metadata.uid != own)
}

fn of_replica_set(case: &Case<'_>, rs: &Record<Workload>, asked: Timestamp) -> Option<Replacement> {
    let deployment = rs.object.metadata.controller();
    // The controller's own word about this pod, else that it wanted fewer pods at the time.
    let told = deleted_by(case, &rs.object.metadata.uid);
    let others_told = case.space.events_about(&rs.object.metadata.uid).any(|e| e.event.reason == "SuccessfulDelete");
    let by_controller = told || !others_told && scaled_down_near(rs, asked).is_some();
    let object = format!("ReplicaSet/{}", rs.object.metadata.name);
    if !by_controller {
        // With neither the ReplicaSet's history nor its events nothing tells a hand from the controller.
        if !case.events_known() && rs.versions.len() < 2 && rs.object.spec.replicas == Some(0) {
            return None;
        }
        return Some(by_hand(case, asked, object, rs));
    }
    // As of the deletion: what was rolled out later did not replace it.
    let there =
        |w: &&Record<Workload>| w.object.metadata.creation_timestamp.unwrap_or(w.first_seen) <= asked.plus(NEAR);
    let then = asked.plus(NEAR);
    let newest = siblings(case.space, &rs.object).filter(there).max_by_key(|w| revision(as_of(w, then)));
    let newer = newest.filter(|w| revision(as_of(w, then)) > revision(as_of(rs, asked.minus(NEAR))));
    let root = match deployment {
        Some(d) => case.root(&d.kind, &d.name, &d.uid),
        None => case.root("ReplicaSet", &rs.object.metadata.name, &rs.object.metadata.uid),
    };
    let mut evidence: Vec<Evidence> = Vec::new();
    if let Some((at, version)) = scaled_down_near(rs, asked) {
        let wanted = version.spec.replicas.unwrap_or(0);
        evidence.push(kube(Some(at), object, "spec.replicas", wanted, "its ReplicaSet was scaled down to this"));
    }
    evidence.extend(deletion_event(case, &rs.object.metadata.uid));
    let Some(newer) = newer else {
        return Some(Replacement { kind: Kind::Scaled, root, evidence });
    };
    let name = format!("ReplicaSet/{}", newer.object.metadata.name);
    if let Some(at) = restarted_at(&newer.object).filter(|at| restarted_at(&rs.object).as_ref() != Some(at)) {
        let field = format!("spec.template.metadata.annotations[{RESTARTED_AT}]");
        evidence.push(kube(Some(newer.first_seen), name, &field, at, "kubectl rollout restart was run"));
        return Some(Replacement { kind: Kind::RestartedByCommand, root, evidence });
    }
    let number = newer.object.metadata.annotations.get(REVISION).cloned().unwrap_or_default();
    let field = format!("metadata.annotations[{REVISION}]");
    evidence.push(kube(Some(newer.first_seen), name, &field, number, "a newer revision took over"));
    Some(Replacement { kind: Kind::Rollout, root, evidence })
}

fn of_set(case: &Case<'_>, resource: Resource, set: &Record<Workload>, asked: Timestamp) -> Option<Replacement> {
    let meta = &set.object.metadata;
    let object = format!("{}/{}", resource.kind(), meta.name);
    let root = case.root(resource.kind(), &meta.name, &meta.uid);
    let ordinal = case.pod_name().rsplit('-').next().and_then(|n| n.parse::<i64>().ok());
    let then = set.versions.iter().rev().find(|(seen, _)| *seen <= asked.plus(NEAR)).map_or(&set.object, |(_, v)| v);
    if let (Resource::StatefulSets, Some(wanted), Some(n)) = (resource, then.spec.replicas, ordinal)
        && n >= wanted
    {
        let item = kube(Some(asked), object, "spec.replicas", wanted, "the set was scaled down to this");
        return Some(Replacement { kind: Kind::Scaled, root, evidence: vec![item] });
    }
    let own = case.pod.object.metadata.labels.get(REVISION_HASH);
    let outdated = match resource {
        // A DaemonSet's status names no revision: pods of a newer one, made about then, tell of it.
        Resource::DaemonSets => {
            case.space.pods_of(&meta.uid).any(|p| {
                let pod = &p.object.metadata;
                let made = pod.creation_timestamp.unwrap_or(p.first_seen);
                let later = case.pod.object.metadata.creation_timestamp.is_none_or(|own| made > own);
                later && pod.labels.get(REVISION_HASH) != own && made <= asked.plus(NEAR)
            }) || set
                .versions
                .iter()
                .any(|(at, _)| *at > set.first_seen && (0.0..=NEAR.as_secs_f64()).contains(&asked.seconds_since(*at)))
        }
        _ => {
            let wanted = &then.status.update_revision;
            let newest = &set.object.status.update_revision;
            let differs = |w: &String| !w.is_empty() && own.is_some_and(|h| h != w);
            let revised = set.versions.iter().any(|(at, _)| *at > set.first_seen && *at <= asked.plus(NEAR));
            // The status follows the generation that it is about.
            if wanted.is_empty() { revised } else { revised && differs(newest) || differs(wanted) }
        }
    };
    if !outdated {
        return Some(by_hand(case, asked, object, set));
    }
    let created = case.pod.object.metadata.creation_timestamp;
    let field = format!("spec.template.metadata.annotations[{RESTARTED_AT}]");
    match restarted_at(&set.object).filter(|at| Timestamp::parse(at) > created) {
        Some(at) => {
            let item = kube(Timestamp::parse(&at), object, &field, at.clone(), "kubectl rollout restart was run");
            Some(Replacement { kind: Kind::RestartedByCommand, root, evidence: vec![item] })
        }
        None => {
            let generation = meta.generation;
            let item = kube(Some(asked), object, "metadata.generation", generation, "its template changed");
            Some(Replacement { kind: Kind::Rollout, root, evidence: vec![item] })
        }
    }
}

fn by_hand(case: &Case<'_>, asked: Timestamp, owner: String, record: &Record<Workload>) -> Replacement {
    let deletion = &case.pod.object.metadata.deletion_timestamp;
    let object = format!("Pod/{}", case.pod_name());
    let mut evidence = Vec::new();
    let first = case.pod.versions.iter().find_map(|(_, p)| p.metadata.deletion_timestamp).or(*deletion);
    if let Some(at) = first {
        let whole = at.whole();
        evidence.push(kube(
            Some(asked),
            object,
            "metadata.deletionTimestamp",
            whole,
            "the pod was deleted, to be gone at",
        ));
    }
    if let Some(wanted) = record.object.spec.replicas {
        evidence.push(kube(Some(asked), owner, "spec.replicas", wanted, "its owner went on wanting as many"));
    }
    let uid = &case.pod.object.metadata.uid;
    let stopping = case.space.events_about(uid).find(|e| e.event.reason == "Killing");
    evidence.extend(stopping.map(event));
    Replacement { kind: Kind::ByHand, root: case.pod_root(), evidence }
}

fn restarted_at(w: &Workload) -> Option<String> {
    w.spec.template.metadata.annotations.get(RESTARTED_AT).cloned()
}

/// The generation by which the ReplicaSet wanted fewer pods than before, near the deletion.
fn scaled_down_near(rs: &Record<Workload>, asked: Timestamp) -> Option<(Timestamp, &Workload)> {
    rs.versions.windows(2).find_map(|pair| match pair {
        [(_, before), (at, after)] => {
            let near = at.seconds_since(asked).abs() <= NEAR.as_secs_f64();
            (near && after.spec.replicas < before.spec.replicas).then_some((*at, after.as_ref()))
        }
        _ => None,
    })
}

fn deletion_event(case: &Case<'_>, owner_uid: &str) -> Option<Evidence> {
    let name = case.pod_name();
    let mut events = case.space.events_about(owner_uid);
    events.find(|e| e.event.reason == "SuccessfulDelete" && e.event.message.contains(name)).map(event)
}

fn deleted_by(case: &Case<'_>, owner_uid: &str) -> bool {
    deletion_event(case, owner_uid).is_some()
}
