//! Pods that were deleted for a taint of their node: what the taint stands for. A node that is not ready is given one by
//! its controller, and anybody may put one on a node that is well.

use std::collections::BTreeMap;
use std::time::Duration;

use whyd_buffers::state::Record;
use whyd_signals::objects::{Condition, Node, Taint};
use whyd_signals::schema::Evidence;
use whyd_signals::{Resource, Timestamp};

use crate::case::{Case, Ending};
use crate::finding::kube;

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
    /// Nodes are not watched, or were not seen then.
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
    let by = at.plus(TOLERANCE);
    let turns = turns(record);
    let turned = turns.range(..=by).next_back().map(|(_, turn)| *turn);
    if let Some(c) = turned.map(|t| t.condition).filter(|c| c.status != "True") {
        let field = "status.conditions[Ready].status";
        let item = kube(c.last_transition_time, name, field, c.status.clone(), "the node's condition");
        return Behind::Lost(if c.status == "False" { "was not ready" } else { UNANSWERED }, Some(item));
    }
    let shown = |taint: &Taint, text| {
        let field = format!("spec.taints[{}].effect", taint.key);
        kube(taint.time_added.or(Some(at)), name.clone(), &field, taint.effect.clone(), text)
    };
    let ready_since = turned.and_then(|t| t.condition.last_transition_time).unwrap_or(Timestamp::MIN);
    let mut put: Vec<Taint> = Vec::new();
    for (seen, version) in &record.versions {
        for taint in version.spec.taints.iter().filter(|t| t.evicts()) {
            let added = taint.time_added.unwrap_or(*seen);
            if added > by {
                continue;
            }
            if !BY_CONTROLLER.contains(&taint.key.as_str()) {
                if !put.iter().any(|known| known.key == taint.key) {
                    put.push(taint.clone());
                }
            } else if added >= ready_since {
                let words = if taint.key == BY_CONTROLLER[0] { "was not ready" } else { UNANSWERED };
                return Behind::Lost(words, Some(shown(taint, "the node's controller gave it up")));
            }
        }
    }
    // That it was ready before says nothing of then, unless it was still so when it was seen after.
    let ready_throughout = turned.is_some_and(|t| t.seen_last >= at);
    if put.is_empty() && !ready_throughout {
        return Behind::Unknown;
    }
    let item = put.first().map(|taint| shown(taint, "drives out what does not tolerate it"));
    Behind::Put(put, item)
}

/// A turn of a node's readiness.
#[derive(Clone, Copy)]
struct Turn<'a> {
    condition: &'a Condition,
    /// When it was last seen to be so.
    seen_last: Timestamp,
}

/// The turns of its readiness by their own times, which are true however late they were received.
fn turns(node: &Record<Node>) -> BTreeMap<Timestamp, Turn<'_>> {
    let mut turns: BTreeMap<Timestamp, Turn<'_>> = BTreeMap::new();
    for (seen, version) in &node.versions {
        let Some(condition) = version.status.conditions.iter().find(|c| c.kind == "Ready") else { continue };
        let Some(at) = condition.last_transition_time else { continue };
        let turn = turns.entry(at).or_insert(Turn { condition, seen_last: *seen });
        turn.seen_last = turn.seen_last.max(*seen);
    }
    turns
}

/// Whether the kubelet has yet to tell how the pod ended.
pub(crate) fn untold(case: &Case<'_>) -> bool {
    *case.ending == Ending::Replaced && case.pod.deleted_at.is_none()
}
