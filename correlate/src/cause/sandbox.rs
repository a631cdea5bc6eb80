//! The pod's sandbox, with its network, could not be made or was lost.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "sandbox", judge, contradict };

/// The event by which the kubelet says that it cannot be made.
pub(super) const FAILED: &str = "FailedCreatePodSandBox";
/// The event by which it says that it was lost: the containers end with it.
const CHANGED: &str = "SandboxChanged";

fn judge(case: &Case<'_>) -> Option<Finding> {
    match case.ending {
        Ending::NeverStarted { reason, .. } if reason == FAILED => never_made(case),
        Ending::Ended { .. } => lost(case),
        _ => None,
    }
}

fn never_made(case: &Case<'_>) -> Option<Finding> {
    let told = case.pod_events(FAILED).max_by_key(|e| e.at)?;
    let summary = format!("{} cannot start, its sandbox cannot be made: {}", case.pod_name(), told.event.message);
    let root = case.workload_root();
    Some(Finding::new(CAUSE.id, Depth::Mechanism, 90, root, summary).with(Some(event(told))).with(super::waits(case)))
}

fn lost(case: &Case<'_>) -> Option<Finding> {
    if case.deleting() || case.evicted() {
        return None;
    }
    // The kubelet notices after the containers have ended with their sandbox, and kills what is left.
    let from = case.finished().minus(std::time::Duration::from_secs(15));
    let to = case.finished().plus(std::time::Duration::from_secs(30));
    let told = case.pod_events(CHANGED).filter(|e| from <= e.at && e.at <= to).min_by_key(|e| e.at)?;
    let code = case.exit()?;
    // A program that had already failed by itself did not lose its sandbox.
    if !matches!(code, 0 | 2 | 137 | 143 | 255) {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} ended because the sandbox of its pod was lost; the pod was given another");
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 87, case.pod_root(), summary)
            .with(Some(event(told)))
            .with(case.status("exitCode", "how it went")),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    if !case.events_known() || case.pod_events(CHANGED).next().is_some() {
        return None;
    }
    let because = "the sandbox of its pod stayed".to_owned();
    Some(ruled_out(CAUSE.id, because, "events.SandboxChanged", serde_json::Value::Null))
}
