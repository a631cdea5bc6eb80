//! Which open entries are looked at again when something else is known of a workload: those whose program complained of it.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::Key;
use crate::complaint::Dependency;
use serde::{Deserialize, Serialize};

/// The workloads that entries depend on, both ways.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Dependents {
    on: BTreeMap<Dependency, BTreeSet<Key>>,
    of: BTreeMap<Key, Vec<Dependency>>,
}

impl Dependents {
    /// Sets what an entry depends on.
    pub(super) fn put(&mut self, key: &Key, depends_on: Vec<Dependency>) {
        for workload in self.of.remove(key).unwrap_or_default() {
            if let Some(keys) = self.on.get_mut(&workload) {
                keys.remove(key);
                if keys.is_empty() {
                    self.on.remove(&workload);
                }
            }
        }
        for workload in &depends_on {
            self.on.entry(workload.clone()).or_default().insert(key.clone());
        }
        if !depends_on.is_empty() {
            self.of.insert(key.clone(), depends_on);
        }
    }

    /// The entries that depend on this workload.
    pub(super) fn of(&self, workload: &Dependency) -> impl Iterator<Item = &Key> + use<'_> {
        self.on.get(workload).into_iter().flatten()
    }
}
