//! Which objects bear a name, or belong to an owner.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A name, or the uid of an owner -> the uids of all that have it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Index(BTreeMap<String, BTreeSet<String>>);

impl Index {
    pub(super) fn insert(&mut self, key: &str, uid: &str) {
        match self.0.get_mut(key) {
            Some(uids) if uids.contains(uid) => {}
            Some(uids) => {
                uids.insert(uid.to_owned());
            }
            None => {
                self.0.insert(key.to_owned(), BTreeSet::from([uid.to_owned()]));
            }
        }
    }

    /// All that have `key`, in order of uid.
    pub(super) fn of(&self, key: &str) -> impl Iterator<Item = &String> + use<'_> {
        self.0.get(key).into_iter().flatten()
    }

    pub(super) fn retain(&mut self, known: impl Fn(&str) -> bool) {
        self.0.retain(|_, uids| {
            uids.retain(|uid| known(uid));
            !uids.is_empty()
        });
    }
}
