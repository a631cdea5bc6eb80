//! The pod was taken away to make room for one of higher priority: by the scheduler, or by the kubelet for a critical one.

use super::Cause;
use crate::case::Case;
use crate::disruption::{self, BY_KUBELET, BY_SCHEDULER};
use crate::finding::{Depth, Finding, event};
use crate::kubelet::Termination;
use whyd_signals::schema::{Root, RuledOut};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "preempted", judge, contradict };

const BY_CRITICAL: Termination = Termination {
    reason: "Preempting",
    message: "Preempted in order to admit critical pod",
    event: Some("Preempting"),
};

fn judge(case: &Case<'_>) -> Option<Finding> {
    if BY_CRITICAL.ended(case) {
        return Some(for_critical(case));
    }
    let (message, _) = disruption::disrupted(case, &[BY_SCHEDULER])?;
    let told = case.space.events_about(&case.pod.object.metadata.uid).filter(|e| e.event.reason == "Preempted");
    let told = told.max_by_key(|e| e.at);
    let said = told.map_or(message.as_str(), |e| e.event.message.as_str());
    let root = by(case, said).or_else(|| by(case, &message));
    let whose = root.as_ref().map_or("a pod of higher priority".to_owned(), ToString::to_string);
    let summary = format!("{} was preempted to make room for {whose}", case.pod_name());
    let root = root.unwrap_or_else(|| case.pod_root());
    disruption::finding(case, CAUSE.id, (root, summary), told.map(event))
}

/// The kubelet does not say for which: all that is known is where room was short.
fn for_critical(case: &Case<'_>) -> Finding {
    let root = case.node_root().unwrap_or_else(|| case.pod_root());
    let summary = format!("{} was preempted: {root} had no room for a critical pod", case.pod_name());
    Finding::new(CAUSE.id, Depth::Deeper, 95, root, summary).with_all(BY_CRITICAL.evidence(case)).detail("critical-pod")
}

/// The workload of the pod whose uid is named: `Preempted by pod UID on node NODE`.
fn by(case: &Case<'_>, message: &str) -> Option<Root> {
    let words = message.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    let uids: Vec<&str> = words.filter(|w| w.len() == 36 && w.matches('-').count() == 4).collect();
    for space in case.scoped.cluster().namespaces() {
        let Some(pod) = uids.iter().find_map(|uid| space.pods.get(*uid)) else { continue };
        let workload = space.workload_of(&pod.object);
        let (kind, name) = workload.split_once('/')?;
        return Some(Root { kind: kind.into(), namespace: space.name.clone(), name: name.into(), uid: String::new() });
    }
    None
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    // The kubelet's own terminations are told apart by the pod's status, which the causes that hold show.
    let by_kubelet = case.disruption().is_some_and(|c| c.reason == BY_KUBELET);
    if by_kubelet && case.pod.object.status.reason == BY_CRITICAL.reason {
        return None;
    }
    disruption::contradict(case, CAUSE.id, &[BY_SCHEDULER])
}
