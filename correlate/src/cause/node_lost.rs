//! The node did not answer any more, was not ready or is gone, and its pods were given up.

use whyd_signals::schema::{Evidence, RuledOut};

use super::Cause;
use crate::case::Case;
use crate::disruption::{self, BY_GC, BY_TAINT};
use crate::finding::{Basis, Finding, event, ruled_out};
use crate::taint::{Behind, behind};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "node-lost", judge, contradict };

/// What the collector of garbage says of a node: `PodGC: node no longer exists`.
const GONE: &str = "is gone";

fn judge(case: &Case<'_>) -> Option<Finding> {
    disruption::disrupted(case, &[BY_TAINT, BY_GC])?;
    let by_taint = case.disruption()?.reason == BY_TAINT;
    match behind(case) {
        Behind::Lost(how, item) => finding(case, if by_taint { how } else { GONE }, item),
        Behind::Put(..) | Behind::Unknown if !by_taint => finding(case, GONE, None),
        // Anybody may have put the taint, but mostly it was the node's controller.
        Behind::Unknown => finding(case, "was most likely not ready", None)
            .map(|f| Finding { unseen: Some("nodes"), ..f.basis(Basis::Inferred) }),
        Behind::Put(..) => None,
    }
}

fn finding(case: &Case<'_>, how: &str, item: Option<Evidence>) -> Option<Finding> {
    let node = case.node_root()?;
    let summary = format!("{} was given up: {node} {how}", case.pod_name());
    let told = case.node_events().filter(|e| e.event.reason == "NodeNotReady").max_by_key(|e| e.at).map(event);
    disruption::finding(case, CAUSE.id, (node, summary), item.into_iter().chain(told))
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    let by_taint = case.disruption().is_some_and(|c| c.reason == BY_TAINT);
    if by_taint && matches!(behind(case), Behind::Put(..)) {
        let because = format!("Node/{} was ready", case.pod.object.spec.node_name);
        return Some(ruled_out(CAUSE.id, because, "nodes.status.conditions[Ready].status", "True"));
    }
    disruption::contradict(case, CAUSE.id, &[BY_TAINT, BY_GC])
}
