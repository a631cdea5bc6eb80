//! No node takes the pod: the scheduler finds none, or the kubelet of the one that it found refuses the pod.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};
use crate::rejection::{Rejection, Why};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "unschedulable", judge, contradict };

/// The reasons of the pod's condition: no node fits, or the scheduler failed itself.
pub(crate) const REASONS: [&str; 2] = ["Unschedulable", "SchedulerError"];

fn judge(case: &Case<'_>) -> Option<Finding> {
    match case.ending {
        Ending::NeverStarted { reason, message } if REASONS.contains(&reason.as_str()) => {
            Some(by_scheduler(case, reason, message))
        }
        Ending::Failed => by_kubelet(case),
        _ => None,
    }
}

fn by_scheduler(case: &Case<'_>, reason: &str, message: &str) -> Finding {
    let told = case.pod_events("FailedScheduling").max_by_key(|e| e.at);
    let said = if message.is_empty() { told.map_or("", |e| e.event.message.as_str()) } else { message };
    let summary = format!("{} is not scheduled: {said}", case.pod_name());
    let condition = case.pod.object.condition("PodScheduled");
    let at = condition.and_then(|c| c.last_transition_time).or(Some(case.seen_at));
    let field = "status.conditions[PodScheduled].message";
    let item = (!message.is_empty()).then(|| case.of_pod(at, field, message, "what the scheduler says"));
    Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
        .with(told.map(event))
        .with(item)
        .with(Some(case.of_pod(at, "status.conditions[PodScheduled].reason", reason, "it has no node")))
}

/// What the scheduler thought to fit does not, by the kubelet's own account of its node.
fn by_kubelet(case: &Case<'_>) -> Option<Finding> {
    let rejection = Rejection::of(case).filter(|r| matches!(r.why, Why::NoRoom | Why::Devices | Why::Other))?;
    // Devices are the node's own business, and no pod can do anything about them.
    let root = if rejection.why == Why::Devices { case.node_root() } else { None };
    Some(rejection.finding(case, CAUSE.id, root.unwrap_or_else(|| case.workload_root())))
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    let node = &case.pod.object.spec.node_name;
    let because = format!("it was scheduled to node {node}");
    (!node.is_empty()).then(|| ruled_out(CAUSE.id, because, "spec.nodeName", node.clone()))
}
