//! The node did not answer any more, and its pods were given up.

use super::Cause;
use crate::case::Case;
use crate::disruption::{self, BY_GC, BY_TAINT};
use crate::finding::{Finding, event, kube};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "node-lost", judge, contradict: |c| disruption::contradict(c, "node-lost", &[BY_TAINT, BY_GC]) };

fn judge(case: &Case<'_>) -> Option<Finding> {
    disruption::disrupted(case, &[BY_TAINT, BY_GC])?;
    let node = case.node_root()?;
    let summary = format!("{} was given up: {node} did not answer any more", case.pod_name());
    let ready = case.node().and_then(|n| n.object.status.conditions.iter().find(|c| c.kind == "Ready").cloned());
    let unready = ready.filter(|c| c.status != "True").map(|c| {
        kube(
            c.last_transition_time,
            node.to_string(),
            "status.conditions[Ready].status",
            c.status,
            "the node's condition",
        )
    });
    let told = case.node_events().filter(|e| e.event.reason == "NodeNotReady").max_by_key(|e| e.at).map(event);
    disruption::finding(case, CAUSE.id, (node, summary), unready.into_iter().chain(told))
}
