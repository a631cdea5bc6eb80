//! A node stopped answering and came back, or has not yet: its pods went unready, and nothing restarted.

use whyd_buffers::state::{EventSeen, Record};
use whyd_signals::Timestamp;
use whyd_signals::objects::Node;

/// Its id.
pub const ID: &str = "node-not-ready";

/// A time in which a node was not ready, by its own condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Down {
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
    /// What its condition or the event says.
    pub(crate) message: String,
}

/// The times in which the node was not ready after having been so, in order.
pub(crate) fn downs<'a>(node: &Record<Node>, events: impl Iterator<Item = &'a EventSeen>) -> Vec<Down> {
    let mut told: Vec<&EventSeen> = events.filter(|e| e.event.reason == "NodeNotReady").collect();
    told.sort_by_key(|e| e.at);
    let mut found: Vec<Down> = Vec::new();
    let mut was_ready = false;
    for (_, version) in &node.versions {
        let Some(ready) = version.status.conditions.iter().find(|c| c.kind == "Ready") else { continue };
        let Some(at) = ready.last_transition_time else { continue };
        let is_ready = ready.status == "True";
        match found.last_mut().filter(|d| d.until.is_none()) {
            Some(open) if is_ready => open.until = Some(at),
            None if !is_ready && was_ready => {
                let event = told.iter().find(|e| e.at.seconds_since(at).abs() <= 60.0);
                let message = event.map_or(ready.message.clone(), |e| e.event.message.clone());
                found.push(Down { since: at, until: None, message });
            }
            _ => {}
        }
        was_ready = is_ready;
    }
    if let (Some(gone), Some(open)) = (node.deleted_at, found.last_mut().filter(|d| d.until.is_none())) {
        open.until = Some(gone);
    }
    found
}
