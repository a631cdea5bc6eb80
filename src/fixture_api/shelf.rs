//! One resource over time: what the list held, and every change after it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use whyd_signals::{Resource, Timestamp};

use crate::capture::kube::Recorded;

pub(super) const BOOKMARK: &str = "BOOKMARK";
const DELETED: &str = "DELETED";

/// Namespace and name, the order of a list.
type Key = (String, String);

/// All that was recorded of one resource, its files merged.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) resource: Resource,
    /// The version of the list: the lowest, where several files had one each.
    version: u64,
    listed: BTreeMap<Key, Box<RawValue>>,
    /// In the order of their versions; no step is received before the one ahead of it.
    steps: Vec<Step>,
}

/// One change, or a bookmark.
#[derive(Debug)]
pub(super) struct Step {
    at: Timestamp,
    version: u64,
    key: Key,
    pub(super) kind: String,
    pub(super) object: Box<RawValue>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    resource_version: String,
}

fn metadata(object: &RawValue) -> Metadata {
    serde_json::from_str::<Object>(object.get()).map(|o| o.metadata).unwrap_or_default()
}

impl Shelf {
    /// `None` when no list of it was recorded.
    pub(super) fn of(resource: Resource, recorded: &[Recorded]) -> Option<Self> {
        let files: Vec<_> = recorded.iter().filter(|r| r.resource == resource).collect();
        let lists = || files.iter().filter_map(|r| r.list.as_ref());
        let version = lists().map(|l| l.resource_version.parse().unwrap_or(0)).min()?;
        let mut listed = BTreeMap::new();
        for item in lists().flat_map(|l| &l.items) {
            let Metadata { namespace, name, .. } = metadata(&item.raw);
            listed.insert((namespace, name), item.raw.clone());
        }
        let mut steps = Vec::new();
        for recorded in &files {
            let mut last = version;
            for change in &recorded.changes {
                let Metadata { namespace, name, resource_version } = metadata(&change.object.raw);
                last = resource_version.parse().unwrap_or(last);
                let (kind, object) = (change.kind.clone(), change.object.raw.clone());
                steps.push(Step { at: change.at, version: last, key: (namespace, name), kind, object });
            }
        }
        steps.sort_by_key(|s| (s.version, s.at));
        let mut at = Timestamp::MIN;
        for step in &mut steps {
            at = at.max(step.at);
            step.at = at;
        }
        Some(Self { resource, version, listed, steps })
    }

    /// How many steps were received by then.
    pub(super) fn received(&self, now: Timestamp) -> usize {
        self.steps.partition_point(|s| s.at <= now)
    }

    /// The steps from `next` on that were received by then.
    pub(super) fn steps(&self, next: usize, now: Timestamp) -> &[Step] {
        self.steps.get(next..self.received(now)).unwrap_or_default()
    }

    /// The step that comes after this version; `None` when it is older than the list, or none at all.
    pub(super) fn after(&self, version: &str) -> Option<usize> {
        let version: u64 = version.parse().ok()?;
        (version >= self.version).then(|| self.steps.partition_point(|s| s.version <= version))
    }

    /// The version after so many steps.
    pub(super) fn version(&self, steps: usize) -> u64 {
        steps.checked_sub(1).and_then(|last| self.steps.get(last)).map_or(self.version, |s| s.version)
    }

    /// The objects that were there after so many steps, by namespace and name.
    pub(super) fn objects(&self, steps: usize) -> Vec<&RawValue> {
        let mut objects: BTreeMap<&Key, &RawValue> = self.listed.iter().map(|(k, o)| (k, &**o)).collect();
        for step in self.steps.iter().take(steps) {
            match step.kind.as_str() {
                BOOKMARK => {}
                DELETED => {
                    objects.remove(&step.key);
                }
                _ => {
                    objects.insert(&step.key, &step.object);
                }
            }
        }
        objects.into_values().collect()
    }
}
