//! Restarts that nobody saw: the kubelet counts them, so a count that rose by more than the ends that were seen tells
//! of others, as after a time in which the daemon was down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::objects::Pod;
use whyd_signals::schema::Restart;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Counted {
    namespace: String,
    /// The count at first sight, and how many ends were known then.
    base: i64,
    known: usize,
    count: i64,
    at: Timestamp,
}

/// What is missing of one container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) container: String,
    /// How many ends are missing.
    pub(super) ends: usize,
    /// The container's restarts now.
    pub(super) count: i64,
    /// When the count was last seen lower.
    pub(super) after: Timestamp,
}

/// By pod uid and container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Counts(BTreeMap<(String, String), Counted>);

impl Counts {
    /// Takes in one status. `ended` tells how many ends of a container are known, of instances before that of a count, those of
    /// this status included. Gives what is missing, and that nothing is any more.
    pub(super) fn observe(&mut self, pod: &Pod, at: Timestamp, ended: impl Fn(&str, i64) -> usize) -> Vec<Missing> {
        let mut missing = Vec::new();
        for status in pod.statuses() {
            let known = ended(&status.name, i64::MAX);
            let key = (pod.metadata.uid.clone(), status.name.clone());
            let Some(counted) = self.0.get_mut(&key) else {
                let (namespace, count) = (pod.metadata.namespace.clone(), status.restart_count);
                // While the log is read back ends are known that came later, as they stood before.
                let known = ended(&status.name, count);
                self.0.insert(key, Counted { namespace, base: count, known, count, at });
                continue;
            };
            let rose = status.restart_count > counted.count;
            let after = counted.at;
            counted.count = counted.count.max(status.restart_count);
            if status.restart_count >= counted.count {
                counted.at = at;
            }
            let risen = usize::try_from(counted.count - counted.base).unwrap_or(0);
            let seen = known.saturating_sub(counted.known);
            if rose || seen >= risen {
                let ends = risen.saturating_sub(seen);
                missing.push(Missing { container: status.name.clone(), ends, count: counted.count, after });
            }
        }
        missing
    }

    /// An end that stood before: whatever the count is when the container is seen again, it was this far then.
    pub(super) fn restore(&mut self, row: &Restart) {
        let (Some(uid), Some(container), Some(count)) = (&row.pod_uid, &row.container, row.restart_count) else {
            return;
        };
        let fresh = || Counted { namespace: row.namespace.clone(), base: 0, known: 0, count: 0, at: row.seen_at };
        let counted = self.0.entry((uid.clone(), container.clone())).or_insert_with(fresh);
        counted.base = counted.base.max(count + 1);
        counted.count = counted.base;
        counted.known += 1;
        counted.at = counted.at.max(row.seen_at);
    }

    pub(super) fn retain(&mut self, known: impl Fn(&str, &str) -> bool) {
        self.0.retain(|(uid, _), c| known(&c.namespace, uid));
    }
}
