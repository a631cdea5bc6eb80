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
    /// It is only known by ends that stood before, and was not seen since.
    #[serde(skip)]
    restored: bool,
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
                self.0.insert(key, Counted { namespace, base: count, known, count, at, restored: false });
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
        let (namespace, at) = (row.namespace.clone(), row.seen_at);
        let fresh = || Counted { namespace, base: 0, known: 0, count: 0, at, restored: true };
        let counted = self.0.entry((uid.clone(), container.clone())).or_insert_with(fresh);
        if counted.restored {
            counted.base = counted.base.max(count + 1);
        }
        // What was counted from an earlier count on has this end among those that are seen since.
        if count < counted.base {
            counted.known += 1;
        }
        counted.count = counted.count.max(count + 1);
        counted.at = counted.at.max(row.seen_at);
    }

    pub(super) fn retain(&mut self, known: impl Fn(&str, &str) -> bool) {
        self.0.retain(|(uid, _), c| known(&c.namespace, uid));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_parts(1_790_000_000 + second, 0).unwrap()
    }

    /// A container's counts, and the instances of which an end is known.
    #[derive(Default)]
    struct Container {
        counts: Counts,
        ended: BTreeSet<i64>,
    }

    impl Container {
        /// How many ends are told to be missing by a status of this count, with the end of the instance before it.
        fn sees(&mut self, count: i64, second: i64) -> usize {
            if count > 0 {
                self.ended.insert(count - 1);
            }
            let pod = json!({"metadata": {"uid": "u", "namespace": "n"},
                "status": {"containerStatuses": [{"name": "c", "restartCount": count}]}});
            let pod: Pod = serde_json::from_value(pod).unwrap();
            let ended = |_: &str, before: i64| self.ended.range(..before).count();
            let missing = self.counts.observe(&pod, at(second), ended);
            missing.iter().map(|missing| missing.ends).sum()
        }

        fn restored(&mut self, instance: i64) {
            self.ended.insert(instance);
            let row = Restart {
                pod_uid: Some("u".into()),
                container: Some("c".into()),
                namespace: "n".into(),
                restart_count: Some(instance),
                seen_at: at(instance),
                ..crate::cause::blank_row()
            };
            self.counts.restore(&row);
        }
    }

    #[test]
    fn what_stood_before_is_not_missing_and_what_was_not_seen_is() {
        let mut from_ledger = Container::default();
        from_ledger.restored(1);
        from_ledger.restored(0);
        assert_eq!(from_ledger.sees(2, 10), 0);
        assert_eq!(from_ledger.sees(4, 20), 1, "of the third nothing was seen");
    }

    #[test]
    fn what_settled_after_a_checkpoint_counts_once() {
        for checkpoint_at in 0..3 {
            let mut kept = Container::default();
            assert_eq!(kept.sees(0, 0), 0);
            for count in 1..=checkpoint_at {
                assert_eq!(kept.sees(count, count * 10), 0);
            }
            // What came to stand since is in the ledger's file alone.
            for instance in checkpoint_at..3 {
                kept.restored(instance);
            }
            assert_eq!(kept.sees(5, 100), 1, "checkpoint at {checkpoint_at}: one of two was seen");
        }
    }

    #[test]
    fn an_older_row_than_the_first_sight_hides_nothing() {
        let mut kept = Container::default();
        assert_eq!(kept.sees(5, 0), 0);
        kept.restored(2);
        assert_eq!(kept.sees(7, 10), 1);
    }
}
