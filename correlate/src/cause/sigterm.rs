//! The container ended because it was told to, and nothing says by whom.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "sigterm", judge, contradict: |_| None };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    let told = case.deleting() || case.told_to_stop().is_some();
    if !(t.exit_code == 143 || told && t.exit_code != 137) || case.evicted() {
        return None;
    }
    let name = case.container.unwrap_or_default();
    if told {
        let summary = format!("{name} was told to stop and did");
        return Some(finding(case, summary));
    }
    // Without events a probe's kill looks the same.
    let probed = case.spec().is_some_and(|c| c.liveness_probe.is_some() || c.startup_probe.is_some());
    let summary = format!("{name} was ended by SIGTERM, and neither a probe, an eviction nor a deletion sent it");
    Some(finding(case, summary).unless((probed && !case.events_known()).then_some("events")))
}

fn finding(case: &Case<'_>, summary: String) -> Finding {
    Finding::new(CAUSE.id, Depth::Mechanism, 40, case.pod_root(), summary)
        .with(case.status("exitCode", "what it made of SIGTERM"))
        .with(case.status("reason", "how the runtime names it"))
}
