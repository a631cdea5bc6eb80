//! The container ended because it was told to, and nothing says by whom.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "sigterm", judge, contradict: |_| None };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    if !(t.exit_code == 143 || case.deleting() && t.exit_code != 137) || case.evicted() {
        return None;
    }
    let summary = format!("{} was told to stop and did", case.container.unwrap_or_default());
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 40, case.pod_root(), summary)
            .with(case.status("exitCode", "what it made of SIGTERM")),
    )
}
