//! Templates of log lines, mined while they come in, one tree a team.
//!
//! A line's id is a hash of its skeleton ([`line`]): it depends on nothing but the line. Which skeletons are of one kind
//! ([`tree`]) depends on the set of those seen, not on their order, and is asked when ids are read, so no stored id
//! ever changes.

mod header;
mod json;
mod line;
mod mask;
mod trace;
mod tree;
mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use whyd_signals::templates::{Resolver, Template, TemplateStats, Templates, TreeId};
use whyd_signals::{Team, TemplateId};

use crate::hash::hash64;
use tree::{Shapes, Tree};

/// Trees are given as much room as if there were so many, also when there are fewer.
const FEW_TREES: usize = 16;
/// The tree of teams there is no room for.
const NO_TREE: TreeId = TreeId(u32::MAX);

/// Bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all trees. Each may take an equal part; over it what has not come again for long is forgotten, then new
    /// shapes get their id but are not kept, and both are counted. No team's lines touch another's part.
    pub bytes: usize,
    /// Teams with a tree of their own; lines of more get their id alone.
    pub trees: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, trees: 256 }
    }
}

/// The miner of all teams.
#[derive(Debug)]
pub struct Miner {
    limits: Limits,
    numbers: BTreeMap<Team, TreeId>,
    trees: Vec<(Tree, Arc<RwLock<Shapes>>)>,
    shown: Arc<Shown>,
    skeleton: Vec<u8>,
    forgotten: u64,
    refused: u64,
}

/// What readers hold: locked where a new shape comes, never for a line of a known one.
#[derive(Debug, Default)]
struct Shown(RwLock<BTreeMap<Team, Arc<RwLock<Shapes>>>>);

impl Miner {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            numbers: BTreeMap::new(),
            trees: Vec::new(),
            shown: Arc::default(),
            skeleton: Vec::new(),
            forgotten: 0,
            refused: 0,
        }
    }

    /// Takes in the shape that `skeleton` holds.
    fn learn(&mut self, tree: TreeId) {
        let limit = self.limits.bytes / self.trees.len().max(FEW_TREES);
        let Some((tree, shapes)) = self.trees.get_mut(tree.0 as usize) else {
            self.refused += 1;
            return;
        };
        let mut shapes = shapes.write().unwrap_or_else(PoisonError::into_inner);
        if tree.bytes() > limit {
            match tree.forget(limit, &mut shapes) {
                Some(forgotten) => self.forgotten += forgotten as u64,
                None => {
                    self.refused += 1;
                    return;
                }
            }
        }
        tree.add(&self.skeleton, &mut shapes);
    }
}

impl Default for Miner {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Templates for Miner {
    fn tree(&mut self, team: &Team) -> TreeId {
        if let Some(tree) = self.numbers.get(team) {
            return *tree;
        }
        if self.trees.len() >= self.limits.trees {
            return NO_TREE;
        }
        let tree = TreeId(self.trees.len() as u32);
        let shapes: Arc<RwLock<Shapes>> = Arc::default();
        self.trees.push((Tree::default(), Arc::clone(&shapes)));
        self.numbers.insert(team.clone(), tree);
        self.shown.0.write().unwrap_or_else(PoisonError::into_inner).insert(team.clone(), shapes);
        tree
    }

    fn template_of(&mut self, tree: TreeId, line: &str) -> TemplateId {
        line::skeleton(line, &mut self.skeleton);
        let id = hash64(&self.skeleton);
        let known = self.trees.get_mut(tree.0 as usize).is_some_and(|(tree, _)| tree.is_known(id));
        if !known {
            self.learn(tree);
        }
        TemplateId(id)
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::clone(&self.shown) as Arc<dyn Resolver>
    }

    fn stats(&self) -> TemplateStats {
        TemplateStats {
            trees: self.trees.len(),
            shapes: self.trees.iter().map(|(tree, _)| tree.len()).sum(),
            bytes: self.trees.iter().map(|(tree, _)| tree.bytes()).sum(),
            forgotten: self.forgotten,
            refused: self.refused,
        }
    }
}

impl Shown {
    fn shapes(&self, team: &Team) -> Option<Arc<RwLock<Shapes>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(team).map(Arc::clone)
    }
}

impl Resolver for Shown {
    fn resolve(&self, team: &Team, id: TemplateId) -> Option<Template> {
        let shapes = self.shapes(team)?;
        let shapes = shapes.read().unwrap_or_else(PoisonError::into_inner);
        let (id, text) = tree::resolve(&shapes, id.0)?;
        Some(Template { id: TemplateId(id), text: Arc::clone(text) })
    }

    fn all(&self, team: &Team) -> Vec<Template> {
        let Some(shapes) = self.shapes(team) else { return Vec::new() };
        let shapes = shapes.read().unwrap_or_else(PoisonError::into_inner);
        let own = |(id, stands): (&u64, &tree::Stands)| match stands {
            tree::Stands::Own(text) => Some(Template { id: TemplateId(*id), text: Arc::clone(text) }),
            tree::Stands::For(_) => None,
        };
        let mut all: Vec<Template> = shapes.iter().filter_map(own).collect();
        all.sort_unstable_by_key(|t| t.id);
        all
    }
}

#[cfg(test)]
mod tests;
