//! The seam between the buffers, which store template ids, and the anomaly crate, which mines them.
//!
//! A line's id is made of the line alone and never changes. What ids stand for grows with what was seen: lines that
//! differ in a word come to stand for one template. So ids are stored, and resolved when they are read.

use std::sync::Arc;

use crate::{Team, TemplateId};

/// The tree of one team, by the number that [`Templates::tree`] gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeId(pub u32);

/// Gives each log line the id of its template. One tree a team: templates carry words of the lines.
pub trait Templates: Send {
    /// The tree of a team, made where there is none.
    fn tree(&mut self, team: &Team) -> TreeId;
    /// The id of `line` in this tree. It does not depend on any other line.
    fn template_of(&mut self, tree: TreeId, line: &str) -> TemplateId;
    /// Where readers resolve the ids.
    fn resolver(&self) -> Arc<dyn Resolver>;
    /// Sizes and counters.
    fn stats(&self) -> TemplateStats;
}

/// What ids stand for by now. Shared with readers.
pub trait Resolver: Send + Sync {
    /// The template that a line's id belongs to in the tree of `team`; `None` where its text was not kept.
    fn resolve(&self, team: &Team, id: TemplateId) -> Option<Template>;
    /// All templates of a team, in the order of their ids.
    fn all(&self, team: &Team) -> Vec<Template>;
}

/// A template: lines whose ids resolve to one are of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Made of the text alone.
    pub id: TemplateId,
    /// Variables stand as `<*>`.
    pub text: Arc<str>,
}

/// What the trees hold and what they turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TemplateStats {
    /// Teams that have a tree.
    pub trees: usize,
    /// Shapes of lines known now, of all teams.
    pub shapes: usize,
    /// Bytes of all trees.
    pub bytes: usize,
    /// Shapes forgotten to make room, not having come again.
    pub forgotten: u64,
    /// Lines of new shapes there was no room for: they have an id, and no text.
    pub refused: u64,
}
