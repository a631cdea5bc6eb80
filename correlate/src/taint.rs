//! Pods that were deleted for a taint of their node: what the taint stands for. A node that is not ready is given one by
//! its controller, and anybody may put one on a node that is well.

use std::time::Duration;

use whyd_signals::Resource;
use whyd_signals::objects::Taint;
use whyd_signals::schema::Evidence;

use crate::case::{Case, Ending};
use crate::finding::kube;
use crate::replacement::as_of;

/// Given by the node's controller, and taken away by it.
const BY_CONTROLLER: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// Said of a node whose kubelet is silent.
const UNANSWERED: &str = "did not answer any more";
/// Node and pod are watched apart, and the times of conditions are whole seconds.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What stands behind a deletion by the taint manager.
#[derive(Debug)]
pub(crate) enum Behind {
    /// The node was not ready, or gone: in words, with what shows it.
    Lost(&'static str, Option<Evidence>),
    /// Somebody put it on a node that was ready.
    Put(Vec<Taint>, Option<Evidence>),
    /// Nodes are not watched.
    Unknown,
}

/// What stood behind the taint when the pod was deleted for it.
pub(crate) fn behind(case: &Case<'_>) -> Behind {
    let at = case.disruption().and_then(|c| c.last_transition_time).unwrap_or(case.seen_at);
    let name = format!("Node/{}", case.pod.object.spec.node_name);
    let Some(record) = case.node() else {
        let listed = case.scoped.cluster().synced(Resource::Nodes);
        return if listed { Behind::Lost("is gone", None) } else { Behind::Unknown };
    };
    if let Some(deleted) = record.deleted_at.filter(|d| *d <= at.plus(TOLERANCE)) {
        let item =
            kube(Some(deleted), name, "metadata.name", record.object.metadata.name.clone(), "the node is deleted");
        return Behind::Lost("is gone", Some(item));
    }
    let node = as_of(record, at.plus(TOLERANCE));
    let ready = node.status.conditions.iter().find(|c| c.kind == "Ready");
    if let Some(c) = ready.filter(|c| c.status != "True") {
        let field = "status.conditions[Ready].status";
        let item = kube(c.last_transition_time, name, field, c.status.clone(), "the node's condition");
        return Behind::Lost(if c.status == "False" { "was not ready" } else { UNANSWERED }, Some(item));
    }
    let evicting = node.spec.taints.iter().filter(|t| t.evicts());
    let (given, put): (Vec<&Taint>, Vec<&Taint>) = evicting.partition(|t| BY_CONTROLLER.contains(&t.key.as_str()));
    let shown = |taint: &Taint, text| {
        let field = format!("spec.taints[{}].effect", taint.key);
        kube(taint.time_added.or(Some(at)), name.clone(), &field, taint.effect.clone(), text)
    };
    if let Some(taint) = given.first() {
        let words = if taint.key == BY_CONTROLLER[0] { "was not ready" } else { UNANSWERED };
        return Behind::Lost(words, Some(shown(taint, "the node's controller gave it up")));
    }
    let item = put.first().map(|taint| shown(taint, "drives out what does not tolerate it"));
    Behind::Put(put.into_iter().cloned().collect(), item)
}

/// Whether the kubelet has yet to tell how the pod ended.
pub(crate) fn untold(case: &Case<'_>) -> bool {
    *case.ending == Ending::Replaced && case.pod.deleted_at.is_none()
}
