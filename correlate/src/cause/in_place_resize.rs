//! A resource was changed in place, and the container is one that is restarted for it.

use whyd_signals::objects::Pod;

use super::Cause;
use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "in-place-resize", judge, contradict };

/// The kubelet's words in its `Killing` event.
const SAID: &str = "resize requires restart";
/// The policy of a resource.
const RESTART: &str = "RestartContainer";

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated()?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let killing = case.events("Killing").find(|e| e.event.message.contains(SAID));
    let name = case.container.unwrap_or_default();
    let resources = |pod: &Pod| pod.container(name).map(|c| c.resources.clone()).unwrap_or_default();
    let end = case.finished();
    // Where events are missing, a change just before the end of a container with such a policy tells it too.
    let changed = case.pod.versions.windows(2).find_map(|pair| match pair {
        [(_, before), (seen, after)] if resources(before) != resources(after) => {
            let near = (0.0..=60.0).contains(&end.seconds_since(*seen));
            (killing.is_some() || near).then(|| (*seen, resources(before), resources(after)))
        }
        _ => None,
    });
    let policy = case.spec().is_some_and(|c| c.resize_policy.iter().any(|p| p.restart_policy == RESTART));
    if killing.is_none() && !(changed.is_some() && policy) {
        return None;
    }
    let mut what = String::new();
    let mut items = Vec::new();
    if let Some((seen, before, after)) = &changed {
        for (list, was, is) in
            [("limits", &before.limits, &after.limits), ("requests", &before.requests, &after.requests)]
        {
            for (resource, value) in is.iter().filter(|(k, v)| was.get(*k) != Some(*v)) {
                let old = was.get(resource).map_or("none", String::as_str);
                what.push_str(&format!(", {resource} {list} {old} to {value}"));
                let field = case.spec_field(&format!("resources.{list}.{resource}"));
                items.push(case.of_pod(Some(*seen), &field, value.clone(), "changed in place"));
            }
        }
    }
    let summary = format!("{name} was restarted to change its resources in place{what}");
    let policy = policy
        .then(|| case.of_pod(None, &case.spec_field("resizePolicy[].restartPolicy"), RESTART, "a change restarts it"));
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 88, case.pod_root(), summary)
            .basis(if killing.is_some() { Basis::Proven } else { Basis::Inferred })
            .with(killing.map(event))
            .with_all(items)
            .with(policy)
            .with(case.status("exitCode", "how it went when told to stop")),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    let generation = case.pod.object.metadata.generation;
    let because = "the pod's spec was never changed".to_owned();
    (generation == 1).then(|| ruled_out(CAUSE.id, because, "metadata.generation", generation))
}
