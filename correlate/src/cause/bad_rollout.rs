//! What starts and crashes since a new revision, while the old one was healthy.

use std::time::Duration;

use whyd_buffers::state::Record;
use whyd_signals::Resource;
use whyd_signals::objects::Workload;
use whyd_signals::schema::{Evidence, Root, RuledOut};

use super::Cause;
use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, kube, ruled_out};
use crate::replacement::{RESTARTED_AT, REVISION_HASH, as_of, revision, siblings};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "bad-rollout", judge, contradict };

/// A pod that was well for longer than this was not brought down by its rollout.
const SETTLED: Duration = Duration::from_secs(600);

/// The revision that a pod is of, and the one before it.
struct Rollout {
    /// The object that is rolled out, at fault.
    root: Root,
    /// What shows it.
    evidence: Vec<Evidence>,
    /// As a person says it.
    what: String,
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.exit_code != 0)?;
    let broken_start = t.reason == "StartError" || case.container.is_some_and(|c| case.pod.object.is_init(c));
    if case.deleting() || case.evicted() || broken_start || innocent(case) {
        return None;
    }
    let rollout = rollout(case)?;
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} crashes since the rollout of {}; the revision before was healthy", rollout.what);
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 72, rollout.root, summary)
            .basis(Basis::Said)
            .with_all(rollout.evidence)
            .with(case.status("exitCode", "how the new revision ends"))
            .with_all(case.words()),
    )
}

/// Whether pods of this revision were well for long before the first of them failed.
fn innocent(case: &Case<'_>) -> bool {
    let Some(created) = case.pod.object.metadata.creation_timestamp else { return true };
    let owner = case.pod.object.metadata.controller().map_or("", |o| o.name.as_str());
    let first = case.failures.first_of(whose(case), owner);
    let first = first.map_or(case.finished(), |first| first.min(case.finished()));
    let lived = case.finished().seconds_since(case.started());
    first.seconds_since(created) > SETTLED.as_secs_f64() || lived > SETTLED.as_secs_f64()
}

fn whose<'a>(case: &'a Case<'_>) -> (&'a str, &'a str) {
    (&case.space.name, &case.workload)
}

/// The rollout that made the pod, where the revision before it was there and well.
fn rollout(case: &Case<'_>) -> Option<Rollout> {
    let owner = case.pod.object.metadata.controller()?;
    let (resource, own) = case.space.owner(&owner.uid)?;
    match resource {
        Resource::ReplicaSets => {
            let (old, new) = revisions(case, own)?;
            of_replica_set(case, old, new)
        }
        Resource::StatefulSets | Resource::DaemonSets => of_set(case, resource, own),
        _ => None,
    }
}

fn of_replica_set(case: &Case<'_>, old: &Record<Workload>, new: &Record<Workload>) -> Option<Rollout> {
    // The old revision crashed too: the rollout is innocent.
    let since = new.object.metadata.creation_timestamp.unwrap_or(new.first_seen);
    let before = case.finished().plus(Duration::from_nanos(1));
    if case.failures.ailed(whose(case), Some(&old.object.metadata.name), before, since.minus(SETTLED)) {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let image = |w: &Workload| w.spec.template.spec.containers.iter().find(|c| c.name == name).map(|c| c.image.clone());
    let (was, is) = (image(&old.object).unwrap_or_default(), image(&new.object).unwrap_or_default());
    let what = if was == is { "a changed template".to_owned() } else { format!("{is} (before: {was})") };
    let revision = kube(
        Some(new.first_seen),
        format!("ReplicaSet/{}", new.object.metadata.name),
        "metadata.name",
        new.object.metadata.name.clone(),
        "the revision that crashes",
    );
    let evidence = changed(new, &is, name).into_iter().chain([revision]).collect();
    Some(Rollout { root: case.workload_root(), evidence, what })
}

/// A StatefulSet or DaemonSet, whose pods tell their revisions by a label.
fn of_set(case: &Case<'_>, resource: Resource, set: &Record<Workload>) -> Option<Rollout> {
    let own = case.pod.object.metadata.labels.get(REVISION_HASH)?;
    let status = &set.object.status;
    let newest =
        resource == Resource::DaemonSets || status.update_revision.is_empty() || *own == status.update_revision;
    let created = case.pod.object.metadata.creation_timestamp?;
    // A pod of another revision, made earlier and well: seen beside this one, or replaced by it.
    let before = case.space.pods_of(&set.object.metadata.uid).find(|p| {
        let meta = &p.object.metadata;
        let other = meta.labels.get(REVISION_HASH).is_some_and(|h| h != own);
        other && meta.creation_timestamp.is_some_and(|c| c < created)
    })?;
    // What failed by its own fault and had not been well for long when the new revision came.
    if !newest || case.failures.ailed(whose(case), None, created, created.minus(SETTLED)) {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let image = |p: &whyd_signals::objects::Pod| p.container(name).map(|c| c.image.clone()).unwrap_or_default();
    let (was, is) = (image(&before.object), image(&case.pod.object));
    let what = if was == is { "a changed template".to_owned() } else { format!("{is} (before: {was})") };
    let label = format!("metadata.labels[{REVISION_HASH}]");
    let revision = case.of_pod(Some(created), &label, own.clone(), "the revision that crashes");
    let image = (was != is).then(|| case.of_pod(Some(created), &case.spec_field("image"), is, "its image"));
    Some(Rollout { root: case.workload_root(), evidence: [revision].into_iter().chain(image).collect(), what })
}

fn changed(new: &Record<Workload>, image: &str, container: &str) -> Option<Evidence> {
    let object = format!("ReplicaSet/{}", new.object.metadata.name);
    let field = format!("spec.template.spec.containers[{container}].image");
    (!image.is_empty()).then(|| kube(Some(new.first_seen), object, &field, image, "the image of the new revision"))
}

/// The revision before the pod's and the pod's own, where the pod's is the newer and the other was there lately.
fn revisions<'a>(case: &Case<'a>, own: &'a Record<Workload>) -> Option<(&'a Record<Workload>, &'a Record<Workload>)> {
    // As of the end: an undo makes the old revision the newest.
    let then = case.finished();
    let number = |w: &Record<Workload>| revision(as_of(w, then));
    let old = siblings(case.space, &own.object).filter(|w| number(w) < number(own)).max_by_key(|w| number(w))?;
    // An old revision without a pod left may have been gone for long.
    let alive = as_of(old, then).status.replicas > 0 || old.deleted_at.is_none() && old.versions.len() > 1;
    let replaced_lately = case.pod.first_seen.seconds_since(own.first_seen) < SETTLED.as_secs_f64();
    // A restart by command makes a revision that differs in nothing else.
    let template = |w: &Record<Workload>| {
        let mut template = w.object.spec.template.clone();
        template.metadata.annotations.remove(RESTARTED_AT);
        template.metadata.labels.remove("pod-template-hash");
        template
    };
    let restarted = |w: &Record<Workload>| w.object.spec.template.metadata.annotations.get(RESTARTED_AT).cloned();
    let by_command = restarted(own) != restarted(old) && template(own) == template(old);
    (alive && replaced_lately && !by_command).then_some((old, own))
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    case.terminated()?;
    let owner = case.pod.object.metadata.controller()?;
    let (resource, own) = case.space.owner(&owner.uid)?;
    if resource != Resource::ReplicaSets || !case.scoped.cluster().synced(Resource::ReplicaSets) {
        return None;
    }
    let because = match revisions(case, own) {
        None => "its revision is not newer than one that was there lately".to_owned(),
        Some(_) if innocent(case) => "pods of its revision were well for long before".to_owned(),
        Some((old, _)) => format!("the revision before, {}, failed too", old.object.metadata.name),
    };
    Some(ruled_out(CAUSE.id, because, "metadata.ownerReferences[0].name", owner.name.clone()))
}
