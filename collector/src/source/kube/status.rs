//! How each watch fares, for those who ask how fresh an answer is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyd_signals::{Resource, Timestamp};

/// The longest error text that is kept, in characters.
const ERROR_CHARS: usize = 500;

/// One watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// What is watched.
    pub resource: Resource,
    /// When a whole list was last taken in; `None`: what there is, is unknown.
    pub synced_at: Option<Timestamp>,
    /// When anything of it was heard last: a whole list, a change, or a bookmark, which says that there is none.
    pub heard_at: Option<Timestamp>,
    /// How many whole lists were taken in: one at the start, and one more each time a watch could not be resumed.
    pub lists: u64,
    /// What went wrong since the last message, and when.
    pub last_error: Option<(Timestamp, String)>,
    /// How often anything went wrong.
    pub errors: u64,
    /// While the watch cannot be taken up, and for some seconds more.
    pub failing: Option<Failing>,
}

/// A watch that cannot be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// When it failed last.
    pub at: Timestamp,
    /// How long it is left alone until it is asked again.
    pub pause: Duration,
    /// Whether the server says that there is no such resource.
    pub unserved: bool,
}

/// The statuses of all watches, one entry a resource.
#[derive(Debug, Clone, Default)]
pub struct Statuses(Arc<Mutex<BTreeMap<Resource, SourceStatus>>>);

impl Statuses {
    /// All that have said anything so far, in the order of [`Resource::ALL`].
    pub fn all(&self) -> Vec<SourceStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// It is watched from here on, whatever is heard of it.
    pub(super) fn watched(&self, resource: Resource) {
        self.change(resource, |_| {});
    }

    pub(super) fn synced(&self, resource: Resource, at: Timestamp) {
        self.change(resource, |s| {
            s.synced_at = Some(at);
            s.heard_at = s.heard_at.max(Some(at));
            s.lists += 1;
            s.last_error = None;
        });
    }

    pub(super) fn heard(&self, resource: Resource, at: Timestamp) {
        self.change(resource, |s| s.heard_at = s.heard_at.max(Some(at)));
    }

    pub(super) fn received(&self, resource: Resource) {
        self.change(resource, |s| s.last_error = None);
    }

    pub(super) fn failed(&self, resource: Resource, at: Timestamp, error: &str) {
        let text: String = error.chars().take(ERROR_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.change(resource, |s| {
            s.errors += 1;
            s.last_error = Some((at, text));
        });
    }

    pub(super) fn failing(&self, resource: Resource, failing: Option<Failing>) {
        self.change(resource, |s| s.failing = failing);
    }

    fn change(&self, resource: Resource, change: impl FnOnce(&mut SourceStatus)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = SourceStatus {
            resource,
            synced_at: None,
            heard_at: None,
            lists: 0,
            last_error: None,
            errors: 0,
            failing: None,
        };
        change(all.entry(resource).or_insert(empty));
    }
}
