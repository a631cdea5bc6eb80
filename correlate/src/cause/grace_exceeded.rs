//! The container did not stop within its grace period and was killed.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "grace-exceeded", judge, contradict: |_| None };

/// Status times are cut off to whole seconds, at both ends.
const TOLERANCE: f64 = 2.0;

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
    let summary = format!("{name} did not stop within its grace period of {grace:.0} s and was killed");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 45, case.pod_root(), summary)
            .with(Some(case.of_pod(Some(asked), field, grace as i64, "how long it had to stop")))
            .with(case.status("exitCode", "SIGKILL after the grace period")),
    )
}
