//! No node takes the pod.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "unschedulable", judge, contradict };

/// The reason of the pod's condition.
pub(super) const REASON: &str = "Unschedulable";

fn judge(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if reason != REASON {
        return None;
    }
    let told = case.pod_events("FailedScheduling").max_by_key(|e| e.at);
    let said = if message.is_empty() { told.map_or("", |e| e.event.message.as_str()) } else { message.as_str() };
    let summary = format!("{} is not scheduled: {said}", case.pod_name());
    let condition = case.pod.object.condition("PodScheduled");
    let at = condition.and_then(|c| c.last_transition_time).or(Some(case.seen_at));
    let field = "status.conditions[PodScheduled].message";
    let item = (!message.is_empty()).then(|| case.of_pod(at, field, message.clone(), "what the scheduler says"));
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
            .with(told.map(event))
            .with(item)
            .with(Some(case.of_pod(at, "status.conditions[PodScheduled].reason", REASON, "no node takes it"))),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    let node = &case.pod.object.spec.node_name;
    let because = format!("it was scheduled to node {node}");
    (!node.is_empty()).then(|| ruled_out(CAUSE.id, because, "spec.nodeName", node.clone()))
}
