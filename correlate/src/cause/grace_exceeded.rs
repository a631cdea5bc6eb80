//! The container did not stop within its grace period and was killed.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "grace-exceeded", judge, contradict: |_| None };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    if !case.deleting() || t.exit_code != 137 || t.reason == "OOMKilled" {
        return None;
    }
    let waited = case.deletion_asked().map_or(0.0, |asked| case.finished().seconds_since(asked));
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} did not stop within its grace period and was killed after {waited:.0} s");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 45, case.pod_root(), summary)
            .with(case.status("exitCode", "SIGKILL after the grace period")),
    )
}
