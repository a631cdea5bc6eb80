//! The program finished and was started again because the restart policy says so.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "clean-exit", judge, contradict };

fn judge(case: &Case<'_>) -> Option<Finding> {
    let policy = &case.pod.object.spec.restart_policy;
    let told = case.told_to_stop().is_some();
    if case.exit()? != 0 || case.deleting() || case.evicted() || policy != "Always" || told {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let lived = case.finished().seconds_since(case.started());
    let summary = format!("{name} finished with exit 0 after {lived:.0} s; restartPolicy Always starts it again");
    let probed = case.spec().is_some_and(|c| c.liveness_probe.is_some() || c.startup_probe.is_some());
    let doubt = (probed && !case.events_known()).then_some("events");
    let policy = kube(None, format!("Pod/{}", case.pod_name()), "spec.restartPolicy", policy.clone(), "the policy");
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 50, case.workload_root(), summary)
            .with(case.status("exitCode", "the program ended well"))
            .with(case.status("reason", "how the runtime names it"))
            .with(Some(policy))
            .unless(doubt),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let code = case.exit().filter(|c| *c != 0)?;
    Some(ruled_out(CAUSE.id, format!("exit {code} is not 0"), &case.field("exitCode"), code))
}
