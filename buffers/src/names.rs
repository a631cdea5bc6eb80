//! Strings held once, and the numbers of namespaces.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use whyd_signals::Team;

use crate::budget::Limits;
use crate::hash::FixedState;
use crate::state::Cluster;

/// Holds each distinct string once: pod, container and metric names repeat a thousandfold.
#[derive(Default)]
pub(crate) struct Names {
    all: HashSet<Arc<str>, FixedState>,
    bytes: usize,
    /// Those that came with the body that is staged.
    fresh: Vec<Arc<str>>,
}

/// What a string takes: itself, its counts, its place in the table.
fn weight(name: &str) -> usize {
    name.len() + 16 + 24
}

impl Names {
    /// The shared copy of this text.
    pub(crate) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.all.get(text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(text);
        self.bytes += weight(text);
        self.all.insert(Arc::clone(&name));
        self.fresh.push(Arc::clone(&name));
        name
    }

    /// Keeps what came since the last commit.
    pub(crate) fn commit(&mut self) {
        self.fresh.clear();
    }

    /// Takes back what came since the last commit; to be called when nobody holds it any more.
    pub(crate) fn rollback(&mut self) {
        for name in self.fresh.drain(..) {
            // The table's and this one.
            if Arc::strong_count(&name) == 2 {
                self.bytes -= weight(&name);
                self.all.remove(&name);
            }
        }
    }

    /// Forgets what nobody else holds.
    pub(crate) fn sweep(&mut self) {
        self.all.retain(|name| Arc::strong_count(name) > 1);
        self.bytes = self.all.iter().map(|name| weight(name)).sum();
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Numbers namespaces, in order of first sight and then with numbers that nothing uses any more. Chunks are kept by
/// namespace: a team is a set of namespaces, and a namespace that changes its team takes its rows along.
#[derive(Default)]
pub(crate) struct Namespaces {
    /// By number; one that is free has the name that it stood for last.
    names: Arc<Vec<Arc<str>>>,
    ids: HashMap<Arc<str>, u32, FixedState>,
    free: Vec<u32>,
    /// The numbers that came with the body that is staged, with the names that they stood for before.
    fresh: Vec<(u32, Option<Arc<str>>)>,
}

impl Namespaces {
    /// The number of this namespace; `None` when there are `most` numbers and none is free.
    pub(crate) fn id(&mut self, name: &str, most: usize) -> Option<u32> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        let name: Arc<str> = Arc::from(name);
        let id = match self.free.pop() {
            Some(id) => {
                let before = Arc::make_mut(&mut self.names).get_mut(id as usize);
                self.fresh.push((id, before.map(|before| std::mem::replace(before, Arc::clone(&name)))));
                id
            }
            None if self.names.len() >= most.min(u32::MAX as usize) => return None,
            None => {
                let id = self.names.len() as u32;
                Arc::make_mut(&mut self.names).push(Arc::clone(&name));
                self.fresh.push((id, None));
                id
            }
        };
        self.ids.insert(name, id);
        Some(id)
    }

    /// Keeps the numbers that were given since the last commit.
    pub(crate) fn commit(&mut self) {
        self.fresh.clear();
    }

    /// Takes back the numbers that were given since the last commit.
    pub(crate) fn rollback(&mut self) {
        for (id, before) in std::mem::take(&mut self.fresh).into_iter().rev() {
            let names = Arc::make_mut(&mut self.names);
            let name = match before {
                Some(before) => names.get_mut(id as usize).map(|name| std::mem::replace(name, before)),
                None => names.pop(),
            };
            if (id as usize) < names.len() {
                self.free.push(id);
            }
            if let Some(name) = name {
                self.ids.remove(&name);
            }
        }
    }

    /// Takes up numbers as they stood. Where a name is there twice the later number is the one that is used.
    pub(crate) fn resume(&mut self, names: Vec<Arc<str>>) {
        self.ids = names.iter().cloned().zip(0..).collect();
        self.names = Arc::new(names);
    }

    /// Frees the numbers that nothing uses. Call it with nothing fresh.
    pub(crate) fn sweep(&mut self, is_used: impl Fn(u32) -> bool) {
        let (free, names) = (&mut self.free, &self.names);
        self.ids.retain(|_, id| {
            let used = is_used(*id);
            if !used {
                free.push(*id);
            }
            used
        });
        // Those of a checkpoint of which the name has another number by now.
        let named = |id: u32| names.get(id as usize).and_then(|name| self.ids.get(name)) == Some(&id);
        self.free.extend((0..names.len() as u32).filter(|id| !named(*id)));
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        self.free.dedup();
    }

    /// How many have a number.
    pub(crate) fn live(&self) -> usize {
        self.ids.len()
    }

    /// The number of this namespace where it has one.
    pub(crate) fn known(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// All names, by number.
    pub(crate) fn names(&self) -> &Arc<Vec<Arc<str>>> {
        &self.names
    }
}

/// What a new series or stream is held against, and where its strings are kept.
pub(crate) struct Around<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) names: &'a mut Names,
    pub(crate) namespaces: &'a mut Namespaces,
    pub(crate) cluster: &'a Cluster,
}

impl Around<'_> {
    /// The team of a namespace; what has none is the platform's.
    pub(crate) fn team_of(&self, namespace: &str) -> Team {
        if namespace.is_empty() { Team::platform() } else { self.cluster.team_of(namespace) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const MOST: usize = 65_536;

    #[test]
    fn a_number_that_nothing_uses_is_given_again() {
        let mut all = Namespaces::default();
        assert_eq!(["a", "b", "c"].map(|name| all.id(name, MOST)), [Some(0), Some(1), Some(2)]);
        all.commit();
        let before = Arc::clone(all.names());
        all.sweep(|id| id == 1);
        assert_eq!((all.known("a"), all.known("b"), all.known("c")), (None, Some(1), None));
        assert_eq!(["d", "a", "e"].map(|name| all.id(name, MOST)), [Some(0), Some(2), Some(3)]);
        all.rollback();
        assert_eq!((all.known("a"), all.known("d"), all.known("e")), (None, None, None));
        assert_eq!(["c", "b", "a", "d"].map(|name| all.id(name, MOST)), [Some(0), Some(1), Some(2), Some(3)]);
        all.commit();
        assert_eq!(all.names().iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["c", "b", "a", "d"]);
        assert_eq!(before.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["a", "b", "c"], "readers see what they saw");
    }

    #[test]
    fn numbers_stay_over_a_checkpoint_where_a_free_one_has_a_name_that_came_back() {
        let mut all = Namespaces::default();
        assert_eq!(["a", "b"].map(|name| all.id(name, MOST)), [Some(0), Some(1)]);
        all.commit();
        all.sweep(|_| false);
        // "b" comes back under another number.
        assert_eq!(all.id("b", MOST), Some(0));
        all.commit();
        let mut again = Namespaces::default();
        again.resume(all.names().to_vec());
        assert_eq!(again.known("b"), Some(1), "of two the later is used, as by what reads the rows");
        again.sweep(|id| id == 1);
        assert_eq!((again.id("c", MOST), again.id("d", MOST)), (Some(0), Some(2)));
    }

    #[test]
    fn there_is_an_end_of_them_and_a_sweep_makes_room() {
        let mut all = Namespaces::default();
        assert!((0..MOST).all(|n| all.id(&n.to_string(), MOST).is_some()));
        assert_eq!(all.id("one more", MOST), None);
        all.commit();
        all.sweep(|id| id != 77);
        assert_eq!((all.id("one more", MOST), all.id("another", MOST)), (Some(77), None));
    }
}
