//! Strings held once, and the numbers of namespaces.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::hash::FixedState;

/// How many namespaces are told apart; a series or stream of one more is refused as over the limit.
const NAMESPACES: usize = 65_536;

/// Holds each distinct string once: pod, container and metric names repeat a thousandfold.
#[derive(Default)]
pub(crate) struct Names(HashSet<Arc<str>, FixedState>);

impl Names {
    /// The shared copy of this text.
    pub(crate) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.0.get(text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(text);
        self.0.insert(Arc::clone(&name));
        name
    }

    /// Forgets what nobody else holds.
    pub(crate) fn sweep(&mut self) {
        self.0.retain(|name| Arc::strong_count(name) > 1);
    }
}

/// Numbers namespaces in order of first sight. Chunks are kept by namespace: a team is a set of namespaces, and a
/// namespace that changes its team takes its rows along.
#[derive(Default)]
pub(crate) struct Namespaces {
    names: Arc<Vec<Arc<str>>>,
    ids: HashMap<Arc<str>, u32, FixedState>,
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

    /// All names, by number.
    pub(crate) fn names(&self) -> &Arc<Vec<Arc<str>>> {
        &self.names
    }
}
