//! The pod was taken from its node in order: somebody evicted it through the API, tainted the node, or shut it down.

use std::time::Duration;

use whyd_signals::objects::Taint;
use whyd_signals::schema::{Evidence, Root, RuledOut};

use super::Cause;
use crate::case::Case;
use crate::disruption::{self, BY_API, BY_DEVICE_TAINT, BY_TAINT};
use crate::finding::{Depth, Finding, event, kube};
use crate::kubelet::Termination;
use crate::rejection::{Rejection, Why};
use crate::taint::{Behind, behind, untold};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "drained", judge, contradict };

/// What the kubelet writes into pods that ran when it was told that its node goes down.
const SHUTDOWN: Termination = Termination {
    reason: "Terminated",
    message: "Pod was terminated in response to imminent node shutdown.",
    event: None,
};
/// The event of the node itself, as opposed to `Shutdown manager detected shutdown cancellation`.
const SHUTDOWN_EVENT: (&str, &str) = ("Shutdown", "shutdown event");
/// The graces of all pods together take no longer.
const SHUTTING_DOWN: Duration = Duration::from_secs(3600);

fn judge(case: &Case<'_>) -> Option<Finding> {
    evicted(case).or_else(|| tainted(case)).or_else(|| device_tainted(case)).or_else(|| shut_down(case))
}

fn evicted(case: &Case<'_>) -> Option<Finding> {
    disruption::disrupted(case, &[BY_API])?;
    let at = case.finished();
    // As of then: a node is given back when the work on it is done.
    let cordoned = case.node().and_then(|n| {
        let versions =
            n.versions.iter().filter(|(seen, v)| v.spec.unschedulable && *seen <= at.plus(Duration::from_secs(60)));
        versions.min_by_key(|(seen, _)| *seen)
    });
    let node = node(case);
    let how = if cordoned.is_some() { format!("{node} was drained") } else { "somebody evicted it".to_owned() };
    let summary = format!("{} was removed: {how}", case.pod_name());
    let item = cordoned
        .map(|(seen, _)| kube(Some(*seen), node.to_string(), "spec.unschedulable", true, "the node takes no new pods"));
    disruption::finding(case, CAUSE.id, (node, summary), item)
}

/// Somebody put a taint on a node that was well. Its kubelet tells how the pod ended: that is waited for.
fn tainted(case: &Case<'_>) -> Option<Finding> {
    disruption::disrupted(case, &[BY_TAINT])?;
    let Behind::Put(taints, item) = behind(case) else { return None };
    if untold(case) {
        return None;
    }
    let node = node(case);
    let named: Vec<String> = taints.iter().map(Taint::to_string).collect();
    let what =
        if named.is_empty() { "a NoExecute taint".to_owned() } else { format!("the taint {}", named.join(", ")) };
    let summary = format!("{} was removed: somebody put {what} on {node}, which it does not tolerate", case.pod_name());
    removed(case, (node, summary), item, "taint")
}

fn device_tainted(case: &Case<'_>) -> Option<Finding> {
    disruption::disrupted(case, &[BY_DEVICE_TAINT])?;
    let node = node(case);
    let summary = format!("{} was removed: a device that it uses on {node} was tainted NoExecute", case.pod_name());
    removed(case, (node, summary), None, "device-taint")
}

fn removed(case: &Case<'_>, told: (Root, String), item: Option<Evidence>, detail: &'static str) -> Option<Finding> {
    disruption::finding(case, CAUSE.id, told, item).map(|f| f.detail(detail))
}

/// The kubelet was told that its node goes down: it ended the pod, or did not let it in.
fn shut_down(case: &Case<'_>) -> Option<Finding> {
    let (from, to) = (case.finished().minus(SHUTTING_DOWN), case.finished());
    let (reason, words) = SHUTDOWN_EVENT;
    let told = case.node_events().filter(|e| e.event.reason == reason && e.event.message.ends_with(words));
    let told = told.filter(|e| from <= e.at && e.at <= to).max_by_key(|e| e.at).map(event);
    let finding = if SHUTDOWN.ended(case) {
        let node = node(case);
        let summary = format!("{} was ended because {node} was shut down", case.pod_name());
        Finding::new(CAUSE.id, Depth::Deeper, 95, node, summary).with_all(SHUTDOWN.evidence(case))
    } else {
        let rejection = Rejection::of(case).filter(|r| r.why == Why::Shutdown)?;
        rejection.finding(case, CAUSE.id, node(case))
    };
    Some(finding.with(told).detail("shutdown"))
}

fn node(case: &Case<'_>) -> Root {
    case.node_root().unwrap_or_else(|| case.pod_root())
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    disruption::contradict(case, CAUSE.id, &[BY_API])
}
