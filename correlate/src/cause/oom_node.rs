//! The node ran out of memory and the kernel killed a container that was within its own limit, or had none.

use std::time::Duration;

use whyd_signals::objects::Event;

use super::{Cause, WORKING_SET};
use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "oom-node", judge, contradict };

/// The kubelet tells of a kill on its node within so long of it.
const NEAR: Duration = Duration::from_secs(60);
/// A working set above this share of the limit was the container's own trouble.
const OWN_TROUBLE: f64 = 0.9;
/// The kubelet's event, which is of the whole node alone.
const BY_KUBELET: &str = "SystemOOM";
/// The event of node-problem-detector, which repeats the kernel's line on any kill.
const BY_DETECTOR: &str = "OOMKilling";
/// How that line begins where a container met its own limit.
const OF_CGROUP: &str = "Memory cgroup out of memory";

/// Whether an event tells that the node as a whole ran out.
fn of_node(event: &Event) -> bool {
    event.reason == BY_KUBELET || event.reason == BY_DETECTOR && !event.message.contains(OF_CGROUP)
}

/// Whether it was the node that ran out, and not the container.
pub(super) fn holds(case: &Case<'_>) -> bool {
    judge(case).is_some()
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.exit_code == 137)?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let (from, to) = (case.finished().minus(NEAR), case.finished().plus(NEAR));
    let told = case.node_events().filter(|e| of_node(&e.event) && from <= e.at && e.at <= to);
    let told = told.max_by_key(|e| e.at);
    let limit = case.memory_limit();
    let unlimited = t.reason == "OOMKilled" && limit.is_none() && case.spec().is_some();
    let own = limit.zip(case.last_sample(WORKING_SET)).is_some_and(|((l, _), s)| s.value >= l * OWN_TROUBLE);
    if !unlimited && told.is_none() || own {
        return None;
    }
    let node = case.node_root()?;
    let name = case.container.unwrap_or_default();
    let within =
        limit.map_or("which has no limit of its own".to_owned(), |(_, text)| format!("within its limit of {text}"));
    let summary = format!("{} ran out of memory and the kernel killed {name}, {within}", node);
    let score = if told.is_some() { 94 } else { 89 };
    Some(
        Finding::new(CAUSE.id, Depth::Mechanism, score, node, summary)
            .basis(if told.is_some() { Basis::Proven } else { Basis::Inferred })
            .with(case.status("reason", "how the runtime names it"))
            .with(case.status("exitCode", "SIGKILL"))
            .with(told.map(event))
            .with_all(case.usage().map(|(sample, text)| case.sample(WORKING_SET, sample, text))),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    let t = case.terminated()?;
    if t.exit_code != 137 {
        let because = format!("exit {} is not the OOM killer's SIGKILL", t.exit_code);
        return Some(ruled_out(CAUSE.id, because, &case.field("exitCode"), t.exit_code));
    }
    if !case.events_known() {
        return None;
    }
    let because = format!("no SystemOOM event of node {} around its end", case.pod.object.spec.node_name);
    Some(ruled_out(CAUSE.id, because, "events.SystemOOM", serde_json::Value::Null))
}
