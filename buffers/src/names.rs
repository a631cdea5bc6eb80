//! Strings held once, and the numbers of namespaces.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use whyd_signals::Team;

use crate::budget::Limits;
use crate::hash::FixedState;
use crate::state::Cluster;

/// How many namespaces are told apart; a series or stream of one more is refused as over the limit.
const NAMESPACES: usize = 65_536;

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

/// Numbers namespaces in order of first sight. Chunks are kept by namespace: a team is a set of namespaces, and a
/// namespace that changes its team takes its rows along.
#[derive(Default)]
pub(crate) struct Namespaces {
    names: Arc<Vec<Arc<str>>>,
    ids: HashMap<Arc<str>, u32, FixedState>,
    /// How many there were before the body that is staged.
    committed: usize,
}

impl Namespaces {
    /// The number of this namespace; `None` when there are too many.
    pub(crate) fn id(&mut self, name: &str) -> Option<u32> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if self.names.len() >= NAMESPACES {
            return None;
        }
        let id = self.names.len() as u32;
        let name: Arc<str> = Arc::from(name);
        Arc::make_mut(&mut self.names).push(Arc::clone(&name));
        self.ids.insert(name, id);
        Some(id)
    }

    /// Keeps the numbers that were given since the last commit.
    pub(crate) fn commit(&mut self) {
        self.committed = self.names.len();
    }

    /// Takes back the numbers that were given since the last commit.
    pub(crate) fn rollback(&mut self) {
        if self.names.len() > self.committed {
            for name in Arc::make_mut(&mut self.names).drain(self.committed..) {
                self.ids.remove(&name);
            }
        }
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
