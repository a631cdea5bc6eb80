//! A pod that was ready stopped being so, and nothing restarted: an incident without a row.

use std::time::Duration;

use whyd_buffers::state::{NamespaceState, Record};
use whyd_signals::Timestamp;
use whyd_signals::objects::Pod;

use crate::probe::unready_since;

/// Its id.
pub const ID: &str = "readiness-failed";

/// Since when the pod is unready by its readiness probe alone, and what the kubelet said last.
pub fn unready(space: &NamespaceState, pod: &Record<Pod>, events_known: bool) -> Option<(Timestamp, String)> {
    let p = &pod.object;
    if pod.deleted_at.is_some() || p.metadata.deletion_timestamp.is_some() || p.status.phase != "Running" {
        return None;
    }
    let ready = p.condition("Ready").filter(|c| c.status == "False")?;
    let since = ready.last_transition_time?;
    let mut started = Timestamp::MIN;
    for status in &p.status.container_statuses {
        started = started.max(status.state.running.as_ref()?.started_at?);
    }
    // It was ready before: the condition turned after the containers had started.
    if since <= started {
        return None;
    }
    match unready_since(space, &p.metadata.uid, since.minus(Duration::from_secs(60))) {
        Some(seen) => Some((since, seen.event.message.clone())),
        None if !events_known && !ready.message.is_empty() => Some((since, ready.message.clone())),
        None => None,
    }
}
