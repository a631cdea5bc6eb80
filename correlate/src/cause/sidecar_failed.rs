//! A sidecar ended, an init container that is meant to go on beside the others.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "sidecar-failed", judge, contradict };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated()?;
    let name = case.container?;
    if !case.pod.object.is_sidecar(name) || case.deleting() || case.evicted() {
        return None;
    }
    let because = case.because();
    let summary = format!("sidecar {name} ended with exit {}{because}", t.exit_code);
    let policy = case.of_pod(None, &case.spec_field("restartPolicy"), "Always", "it is meant to go on");
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 84, case.pod_root(), summary)
            .with(case.status("exitCode", "the sidecar's exit code"))
            .with(Some(policy))
            .with_all(case.words()),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let name = case.container.filter(|n| !case.pod.object.is_sidecar(n))?;
    Some(ruled_out(CAUSE.id, format!("{name} is no sidecar"), "spec.initContainers", name))
}
