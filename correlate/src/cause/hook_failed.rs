//! A lifecycle hook of the container failed: after a failed `postStart` the kubelet kills it.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "hook-failed", judge, contradict };

const EVENT: &str = "FailedPostStartHook";
const WAITING: &str = "PostStartHookError";

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated()?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let told = case.events(EVENT).max_by_key(|e| e.at);
    let waits = case.then(WAITING);
    if told.is_none() && waits.is_none() {
        return None;
    }
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} was killed because its postStart hook failed");
    let words = crate::last_words::telling(case.lines()).map(|l| case.line(l, "what the container said until then"));
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, 88, case.pod_root(), summary)
            .with(told.map(event))
            .with(waits)
            .with(case.status("exitCode", "how it went when the kubelet killed it"))
            .with(words)
            .detail("postStart"),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    if !case.events_known() || case.events(EVENT).next().is_some() {
        return None;
    }
    let because = "no hook of it failed while it lived".to_owned();
    Some(ruled_out(CAUSE.id, because, "events.FailedPostStartHook", serde_json::Value::Null))
}
