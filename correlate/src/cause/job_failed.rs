//! The Job gave up.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "job-failed", judge, contradict };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let owner = case.pod.object.metadata.controller().filter(|o| o.kind == "Job")?;
    case.exit().filter(|c| *c != 0)?;
    let job = case.space.jobs.get(&owner.uid)?;
    let failed = job.object.status.conditions.iter().find(|c| c.kind == "Failed" && c.status == "True")?;
    let summary = format!("Job {} failed: {}", owner.name, failed.message);
    let object = format!("Job/{}", owner.name);
    let gave_up = case.space.events_about(&owner.uid).find(|e| e.event.reason == failed.reason);
    let said = case.lines();
    let words = crate::last_words::telling(said).map(|l| case.line(l, "its last words"));
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 88, case.root("Job", &owner.name, &owner.uid), summary)
            .with(case.status("exitCode", "how this attempt ended"))
            .with(words)
            .with(Some(kube(
                failed.last_transition_time,
                object,
                "status.conditions[Failed].reason",
                failed.reason.clone(),
                "the Job gave up",
            )))
            .with(gave_up.map(event))
            .detail(&failed.reason),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let kind = case.pod.object.metadata.controller().map_or("none", |o| o.kind.as_str());
    if kind == "Job" {
        return None;
    }
    Some(ruled_out(CAUSE.id, "the pod belongs to no Job".to_owned(), "metadata.ownerReferences[0].kind", kind))
}
