//! What the pod may do is not what it wants to do: the kubelet or the namespace's policy refuses it.

use whyd_signals::schema::RuledOut;

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};
use crate::refused::Refused;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "security-context", judge, contradict };

/// The kubelet's words where it checks a container before it is made, in lower case.
const SAYINGS: [&str; 7] = ["runasnonroot", "run as root", "runasuser", "non-root", "apparmor", "seccomp", "procmount"];

fn says_so(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    SAYINGS.iter().any(|s| lower.contains(s))
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    if !matches!(reason.as_str(), "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") {
        return None;
    }
    let failed = case.pod_events("Failed").filter(|e| says_so(&e.event.message)).max_by_key(|e| e.at);
    let said = if says_so(message) { message.as_str() } else { failed?.event.message.as_str() };
    let summary = format!("{} is not allowed to start: {said}", case.container.unwrap_or_default());
    let waits = case.of_pod(Some(case.seen_at), &case.waiting_field("message"), message.clone(), "why it waits");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 90, case.workload_root(), summary)
            .with(Some(waits).filter(|_| !message.is_empty()))
            .with(failed.map(event)),
    )
}

/// Pod Security of the namespace refused the pod before it was made.
pub(super) fn refusal(refused: &Refused<'_>) -> Option<Finding> {
    let (_, rest) = refused.message().split_once("violates PodSecurity")?;
    let summary = format!("{} gets no pod, it violates PodSecurity{}", refused.workload, rest.trim_end());
    Some(Finding::new(CAUSE.id, Depth::Mechanism, 94, refused.workload_root(), summary).with(Some(refused.said())))
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    let t = case.terminated().filter(|t| t.reason != "StartError")?;
    let because = "it was allowed to start: the container ran".to_owned();
    Some(ruled_out(CAUSE.id, because, &case.field("containerID"), t.container_id.clone()))
}
