//! A pod that was ready stopped being so, and nothing restarted: an incident without a row.

use std::time::Duration;

use whyd_buffers::state::{EventSeen, NamespaceState, Record};
use whyd_signals::objects::Pod;
use whyd_signals::schema::Evidence;

use crate::finding::event;
use crate::readiness::Unready;

/// Its id.
pub const ID: &str = "readiness-failed";

/// The kubelet tells of a failing probe this long before the condition turns, at most.
const BEFORE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// `Readiness probe errored and resulted in ... state` is none: the kubelet throws such a result away.
const FAILED: &str = "Readiness probe failed";

/// What was said of it.
pub(crate) struct Said {
    /// In whose words.
    pub(crate) words: String,
    /// The event that they are from, if it was one.
    pub(crate) event: Option<Evidence>,
}

/// What the kubelet said of the readiness probe around the time in which the pod was not ready; `None` where it was
/// not the probe.
pub(crate) fn said(space: &NamespaceState, pod: &Record<Pod>, span: &Unready, events_known: bool) -> Option<Said> {
    let until = span.until.map(|u| u.plus(SECOND));
    let during = |e: &&EventSeen| e.at >= span.since.minus(BEFORE) && until.is_none_or(|u| e.at <= u);
    let failed = |e: &&EventSeen| e.event.reason == "Unhealthy" && e.event.message.starts_with(FAILED);
    let uid = &pod.object.metadata.uid;
    if let Some(seen) = space.events_about(uid).filter(failed).filter(during).max_by_key(|e| e.at) {
        return Some(Said { words: seen.event.message.clone(), event: Some(event(seen)) });
    }
    let ready = pod.object.condition("Ready").filter(|c| c.last_transition_time == Some(span.since))?;
    (!events_known && !ready.message.is_empty()).then(|| Said { words: ready.message.clone(), event: None })
}
