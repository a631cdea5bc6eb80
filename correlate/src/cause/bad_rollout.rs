//! What starts and crashes since a new revision, while the old one was healthy.

use std::time::Duration;

use whyd_buffers::state::Record;
use whyd_signals::Resource;
use whyd_signals::objects::Workload;
use whyd_signals::schema::{Evidence, RuledOut};

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, kube, ruled_out};
use crate::replacement::{revision, siblings};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "bad-rollout", judge, contradict };

/// An instance that lived longer than this was not brought down by its rollout alone.
const SETTLED: Duration = Duration::from_secs(600);

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.exit_code != 0)?;
    let broken_start = t.reason == "StartError" || case.container.is_some_and(|c| case.pod.object.is_init(c));
    if case.deleting() || case.evicted() || broken_start {
        return None;
    }
    let (old, new) = revisions(case)?;
    let created = case.pod.object.metadata.creation_timestamp?;
    if case.finished().seconds_since(created) > SETTLED.as_secs_f64()
        && case.finished().seconds_since(case.started()) > 300.0
    {
        return None;
    }
    // The old revision crashed too: the rollout is innocent.
    let old_hash = old.object.metadata.name.clone();
    if case.failures.iter().any(|f| f.owner == old_hash && f.finished <= case.finished() && f.own_fault) {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let image = |w: &Workload| w.spec.template.spec.containers.iter().find(|c| c.name == name).map(|c| c.image.clone());
    let (was, is) = (image(&old.object).unwrap_or_default(), image(&new.object).unwrap_or_default());
    let what = if was == is { "a changed template".to_owned() } else { format!("{is} (before: {was})") };
    let root = case.workload_root();
    let summary = format!("{name} crashes since the rollout of {what}; the revision before was healthy");
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 72, root, summary)
            .with(changed(new, &is, name))
            .with(case.status("exitCode", "how the new revision ends"))
            .with(Some(kube(
                Some(new.first_seen),
                format!("ReplicaSet/{}", new.object.metadata.name),
                "metadata.name",
                new.object.metadata.name.clone(),
                "the revision that crashes",
            )))
            .with(crate::last_words::telling(case.lines()).map(|l| case.line(l, "its last words"))),
    )
}

fn changed(new: &Record<Workload>, image: &str, container: &str) -> Option<Evidence> {
    let object = format!("ReplicaSet/{}", new.object.metadata.name);
    let field = format!("spec.template.spec.containers[{container}].image");
    (!image.is_empty()).then(|| kube(Some(new.first_seen), object, &field, image, "the image of the new revision"))
}

/// The revision before the pod's and the pod's own, where they differ and the pod's is the newer.
fn revisions<'a>(case: &Case<'a>) -> Option<(&'a Record<Workload>, &'a Record<Workload>)> {
    let owner = case.pod.object.metadata.controller().filter(|o| o.kind == "ReplicaSet")?;
    let (_, own) = case.space.owner(&owner.uid).filter(|(r, _)| *r == Resource::ReplicaSets)?;
    let old = siblings(case.space, &own.object)
        .filter(|w| revision(&w.object) < revision(&own.object))
        .max_by_key(|w| revision(&w.object))?;
    // An old revision without a pod left may have been gone for long.
    let alive = old.object.status.replicas > 0 || old.deleted_at.is_none() && old.versions.len() > 1;
    let replaced_lately = case.pod.first_seen.seconds_since(own.first_seen) < SETTLED.as_secs_f64();
    let differs = own.object.spec.template.spec != old.object.spec.template.spec;
    (alive && replaced_lately && differs).then_some((old, own))
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    case.terminated()?;
    let owner = case.pod.object.metadata.controller()?;
    if revisions(case).is_some() {
        return None;
    }
    let because = "its revision is not newer than one that was healthy".to_owned();
    Some(ruled_out(CAUSE.id, because, "metadata.ownerReferences[0].name", owner.name.clone()))
}
