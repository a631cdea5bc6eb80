//! The Job gave up, or the time that its pod was given was over.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event, kube, ruled_out};
use crate::kubelet::Termination;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "job-failed", judge, contradict };

/// `activeDeadlineSeconds` of the pod itself, which only work that ends may have.
const DEADLINE: Termination = Termination {
    reason: "DeadlineExceeded",
    message: "Pod was active on the node longer than the specified deadline",
    event: Some("DeadlineExceeded"),
};

fn judge(case: &Case<'_>) -> Option<Finding> {
    past_deadline(case).or_else(|| gave_up(case))
}

fn past_deadline(case: &Case<'_>) -> Option<Finding> {
    if !DEADLINE.ended(case) {
        return None;
    }
    let root = case.workload_root();
    let summary = format!("{} of {root} was ended: it was not done within its activeDeadlineSeconds", case.pod_name());
    let finding = Finding::new(CAUSE.id, Depth::Deeper, 95, root, summary);
    Some(finding.with_all(DEADLINE.evidence(case)).with_all(case.words()).detail(DEADLINE.reason))
}

fn gave_up(case: &Case<'_>) -> Option<Finding> {
    let owner = case.pod.object.metadata.controller().filter(|o| o.kind == "Job")?;
    let job = case.space.jobs.get(&owner.uid)?;
    let given_up = |kind: &str| job.object.status.conditions.iter().find(|c| c.kind == kind && c.status == "True");
    let failed = given_up("Failed").or_else(|| given_up("FailureTarget"))?;
    // What ended well before the Job gave up did not fail.
    let ended = case.exit().is_some_and(|code| code != 0 || case.deleting());
    if !ended && !matches!(case.ending, crate::case::Ending::Replaced) {
        return None;
    }
    let code = case.exit().map_or(String::new(), |code| format!(", exit {code}"));
    let because = case.because();
    let summary = format!("Job {} gave up ({}){code}{because}", owner.name, failed.reason);
    let object = format!("Job/{}", owner.name);
    let told = case.space.events_about(&owner.uid).find(|e| e.event.reason == failed.reason);
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 88, case.root("Job", &owner.name, &owner.uid), summary)
            .with(case.status("exitCode", "how this attempt ended"))
            .with_all(case.words())
            .with(Some(kube(
                failed.last_transition_time,
                object,
                &format!("status.conditions[{}].reason", failed.kind),
                failed.reason.clone(),
                "the Job gave up",
            )))
            .with(told.map(event))
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
