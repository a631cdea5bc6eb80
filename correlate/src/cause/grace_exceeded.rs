//! The container did not stop within its grace period and was killed.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "grace-exceeded", judge, contradict: |_| None };

/// Status times are cut off to whole seconds, at both ends.
const TOLERANCE: f64 = 2.0;
/// The hook that runs before SIGTERM, of the grace that the container has.
const HOOK_FAILED: &str = "FailedPreStopHook";
/// The kubelet's word that even the runtime did not get rid of the pod in time.
const RUNTIME_LATE: &str = "ExceededGracePeriod";

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    if t.exit_code != 137 || t.reason == "OOMKilled" {
        return None;
    }
    let deletion = if case.deleting() { case.deletion() } else { None };
    let told = || {
        let grace = case.pod.object.spec.termination_grace_period_seconds.unwrap_or(30);
        Some((case.told_to_stop()?, grace as f64))
    };
    let (asked, grace) = deletion.or_else(told)?;
    let waited = case.finished().seconds_since(asked);
    if waited + TOLERANCE < grace {
        return None;
    }
    let field =
        if case.deleting() { "metadata.deletionGracePeriodSeconds" } else { "spec.terminationGracePeriodSeconds" };
    let name = case.container.unwrap_or_default();
    let hook = case.pod_events(HOOK_FAILED).filter(|e| e.at >= asked).max_by_key(|e| e.at);
    let late = case.pod_events(RUNTIME_LATE).filter(|e| e.at >= asked).max_by_key(|e| e.at);
    let after = if hook.is_some() { ", after its preStop hook failed," } else { "" };
    let summary = format!("{name} did not stop within its grace period of {grace:.0} s{after} and was killed");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 45, case.pod_root(), summary)
            .with(Some(case.of_pod(Some(asked), field, grace as i64, "how long it had to stop")))
            .with(hook.map(event))
            .with(late.map(event))
            .with(case.status("exitCode", "SIGKILL after the grace period")),
    )
}
