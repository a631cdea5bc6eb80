//! An init container failed, so the pod's containers never start.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "init-failed", judge, contradict };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let code = case.exit().filter(|c| *c != 0)?;
    let name = case.container?;
    if !case.pod.object.is_init(name) || case.deleting() {
        return None;
    }
    let because = case.because();
    let summary = format!("init container {name} failed with exit {code}{because}");
    let waits = case.pod.object.condition("Initialized").filter(|c| c.status == "False").map(|c| {
        let object = format!("Pod/{}", case.pod_name());
        kube(
            c.last_transition_time,
            object,
            "status.conditions[Initialized].message",
            c.message.clone(),
            "the pod waits",
        )
    });
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 84, case.pod_root(), summary)
            .with(case.status("exitCode", "the init container's exit code"))
            .with(waits.filter(|e| e.value != ""))
            .with_all(case.words()),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let name = case.container.filter(|n| !case.pod.object.is_init(n))?;
    Some(ruled_out(CAUSE.id, format!("{name} is no init container"), "spec.initContainers", name))
}
