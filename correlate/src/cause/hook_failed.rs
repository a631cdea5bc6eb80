//! A lifecycle hook of the container failed: after a failed `postStart` the kubelet kills it, and without its own two
//! hooks before the start it does not start it.

use super::Cause;
use crate::case::{Case, Ending};
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "hook-failed", judge, contradict };

const EVENT: &str = "FailedPostStartHook";
const WAITING: &str = "PostStartHookError";

/// What a container waits for whose node could not assign it processors, memory or devices, with the hook's name.
const BEFORE_START: [(&str, &str); 2] = [("PreCreateHookError", "preCreate"), ("PreStartHookError", "preStart")];

fn judge(case: &Case<'_>) -> Option<Finding> {
    post_start(case).or_else(|| before_start(case))
}

/// The kubelet's own hooks, by which its resource managers give a container what it is to run on.
fn before_start(case: &Case<'_>) -> Option<Finding> {
    let Ending::NeverStarted { reason, message } = case.ending else { return None };
    let (_, hook) = BEFORE_START.iter().find(|(waiting, _)| waiting == reason)?;
    let root = case.node_root().unwrap_or_else(|| case.workload_root());
    let name = case.container.unwrap_or_default();
    let summary = format!("{name} cannot start, the kubelet's {hook} hook failed on {root}: {message}");
    let told = case.pod_events("Failed").filter(|e| e.event.message.starts_with("Internal Pre")).max_by_key(|e| e.at);
    let field = case.waiting_field("reason");
    let waits = case.of_pod(Some(case.seen_at), &field, reason.clone(), "why it waits");
    let finding = Finding::new(CAUSE.id, Depth::Mechanism, 90, root, summary);
    Some(finding.with(Some(waits)).with(told.map(event)).detail(hook))
}

fn post_start(case: &Case<'_>) -> Option<Finding> {
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
