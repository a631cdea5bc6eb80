//! What counters of OOM kills tell that is new.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_signals::{Sample, SeriesId, Timestamp};

/// How long before its first sample a container may have started for all its kills to be new.
const YOUNG: Duration = Duration::from_secs(60);
/// So many counters are kept before those of series that are gone are let go.
const KEPT: usize = 10_000;

/// A child of a container that the OOM killer took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Killed {
    pub(crate) namespace: String,
    pub(crate) pod_uid: String,
    pub(crate) container: String,
    pub(crate) at: Timestamp,
    /// How many there were in the container until then.
    pub(crate) kills: u64,
}

/// How many kills of each counter were looked at, and those that were found new.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Kills {
    /// By series id.
    seen: BTreeMap<u32, f64>,
    new: Vec<Killed>,
}

impl Kills {
    /// Takes a value of a counter. What it tells is looked for where it is more than was looked at, and once that is known not
    /// again: `None` of `find` is not yet known, `Some(None)` that it is old.
    pub(super) fn observe(&mut self, id: SeriesId, value: f64, find: impl FnOnce() -> Option<Option<Killed>>) {
        let seen = self.seen.get(&id.0).copied().unwrap_or(0.0);
        if value > seen {
            if let Some(found) = find() {
                self.seen.insert(id.0, value);
                self.new.extend(found);
            }
        } else if value < seen {
            // It began anew.
            self.seen.insert(id.0, value);
        }
    }

    /// The kills that were found since the last call.
    pub(super) fn take(&mut self) -> Vec<Killed> {
        std::mem::take(&mut self.new)
    }

    pub(super) fn sweep(&mut self, scoped: &Scoped) {
        if self.seen.len() > KEPT {
            self.seen.retain(|id, _| scoped.meta(SeriesId(*id)).is_some());
        }
    }
}

/// A counter of OOM kills that rose while it was watched, or in a container that is hardly older than its first sample;
/// `Some(None)` where those it counts are old, and `None` while the container is not known, which may be later than its samples.
pub(super) fn found(id: SeriesId, meta: &SeriesMeta, sample: Sample, scoped: &Scoped) -> Option<Option<Killed>> {
    let pod = &scoped.cluster().pod_named(&meta.namespace, &meta.pod)?.object;
    let status = pod.statuses().find(|s| s.name == *meta.container)?;
    let started = status.state.running.as_ref()?.started_at?;
    let samples = scoped.slice(id, started, sample.ts);
    let lowest = samples.iter().map(|s| s.value).fold(sample.value, f64::min);
    let first = samples.first().map_or(sample.ts, |s| s.ts);
    let rose = sample.value > lowest || first.minus(YOUNG) <= started;
    let (pod_uid, container) = (pod.metadata.uid.clone(), status.name.clone());
    let namespace = pod.metadata.namespace.clone();
    Some(rose.then_some(Killed { namespace, pod_uid, container, at: sample.ts, kills: sample.value as u64 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_looked_for_once_and_again_when_there_is_more_or_it_began_anew() {
        let killed = |kills: u64| Killed {
            namespace: "shop".into(),
            pod_uid: "0a".into(),
            container: "cart".into(),
            at: Timestamp(1),
            kills,
        };
        let (mut kills, mut looks) = (Kills::default(), 0);
        let mut observe = |value: f64, known: Option<Option<Killed>>| {
            kills.observe(SeriesId(1), value, || {
                looks += 1;
                known
            });
            (kills.take(), looks)
        };
        assert_eq!(observe(5.0, None), (vec![], 1));
        assert_eq!(observe(5.0, Some(None)), (vec![], 2), "its pod is known by now, and they are old");
        assert_eq!(observe(5.0, Some(Some(killed(5)))), (vec![], 2), "that is not asked again");
        assert_eq!(observe(6.0, Some(Some(killed(6)))), (vec![killed(6)], 3));
        assert_eq!(observe(f64::NAN, Some(Some(killed(6)))), (vec![], 3));
        assert_eq!(observe(0.0, Some(None)), (vec![], 3));
        assert_eq!(observe(1.0, Some(Some(killed(1)))), (vec![killed(1)], 4), "of the next container");
    }
}
