//! The shapes of one team's lines and how they come together.
//!
//! A shape is a skeleton that was seen. Where [`ALIKE`] shapes differ in one word alone, that word is a variable: they
//! stand for one shape, which has it as `<*>`, and which may stand for another with more of its like. Every shape goes on
//! to count for all of its places, also when it stands for another. So what has come together follows from the set of
//! shapes alone, whatever their order: the rule only ever adds, and adding is done when nothing is left to add.

use std::collections::HashMap;
use std::sync::Arc;

use super::line::places;
use super::mask::VARIABLE;
use crate::hash::{Fixed, hash64};

/// So many shapes that differ in one word alone are one. Opposites, states and levels are mostly fewer.
const ALIKE: usize = 4;
/// Constant words that a shape needs for one of them to become a variable.
const CONSTANTS: usize = 3;
/// Places of one shape that are looked at.
const PLACES: usize = 24;
/// What an entry takes beside its text: in the writer's table and in the readers'.
const SHAPE_BYTES: usize = 96;
const PLACE_BYTES: usize = 48;

/// What a shape stands for.
#[derive(Debug, Clone)]
pub(super) enum Stands {
    /// For itself.
    Own(Arc<str>),
    /// For the shape of this id.
    For(u64),
}

/// What readers see of one team's shapes.
pub(super) type Shapes = HashMap<u64, Stands, Fixed>;

/// A word of a shape that others may have another of.
#[derive(Debug)]
enum Place {
    /// The shapes that have it, too few yet.
    Few { of: [u64; ALIKE - 1], len: usize },
    /// The shape that all of them stand for.
    One(u64),
}

/// The writer's part.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// By id, the turn in which the shape came last.
    seen: HashMap<u64, u32, Fixed>,
    places: HashMap<u64, Place, Fixed>,
    turn: u32,
    bytes: usize,
    /// New shapes to be turned away before it is worth looking again for some to forget.
    patience: usize,
}

impl Tree {
    /// Whether this shape is known; it has come again.
    pub(super) fn is_known(&mut self, id: u64) -> bool {
        match self.seen.get_mut(&id) {
            Some(turn) => {
                *turn = self.turn;
                true
            }
            None => false,
        }
    }

    /// Shapes known.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Bytes held, the readers' part included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in a new shape, and those that it makes with others.
    pub(super) fn add(&mut self, skeleton: &[u8], shapes: &mut Shapes) {
        let mut fresh = vec![skeleton.to_vec()];
        while let Some(skeleton) = fresh.pop() {
            let id = hash64(&skeleton);
            if self.seen.insert(id, self.turn).is_some() {
                continue;
            }
            let text: Arc<str> = String::from_utf8_lossy(&skeleton).into();
            self.bytes += SHAPE_BYTES + text.len();
            shapes.insert(id, Stands::Own(text));
            let (found, constants) = places(&skeleton);
            if constants < CONSTANTS {
                continue;
            }
            for place in found.into_iter().take(PLACES) {
                let (before, after) = (&skeleton[..place.start], &skeleton[place.end..]);
                if let Some(merged) = self.count(id, before, after, shapes) {
                    fresh.push(merged);
                }
            }
        }
    }

    /// Counts a shape for one of its places; the shape of all that have it, where they become one now.
    fn count(&mut self, id: u64, before: &[u8], after: &[u8], shapes: &mut Shapes) -> Option<Vec<u8>> {
        let key = hash64(&[before, b"\0", after].concat());
        let bytes = &mut self.bytes;
        let place = self.places.entry(key).or_insert_with(|| {
            *bytes += PLACE_BYTES;
            Place::Few { of: [0; ALIKE - 1], len: 0 }
        });
        match place {
            Place::One(merged) => {
                self.bytes -= stand(shapes, id, *merged);
                None
            }
            Place::Few { of, len } => {
                if let Some(free) = of.get_mut(*len) {
                    *free = id;
                    *len += 1;
                    return None;
                }
                let merged = joined(before, after);
                let one = hash64(&merged);
                for id in of.iter().copied().chain([id]) {
                    self.bytes -= stand(shapes, id, one);
                }
                *place = Place::One(one);
                Some(merged)
            }
        }
    }

    /// Makes room by forgetting shapes that have not come since the last time. Gives how many; `None` where it is too
    /// early to look again.
    pub(super) fn forget(&mut self, limit: usize, shapes: &mut Shapes) -> Option<usize> {
        if self.patience > 0 {
            self.patience -= 1;
            return None;
        }
        let before = self.seen.len();
        let turn = self.turn;
        // What a shape that stays stands for stays too.
        let mut kept: Vec<u64> = self.seen.iter().filter(|(_, seen)| **seen == turn).map(|(id, _)| *id).collect();
        while let Some(id) = kept.pop() {
            if let Some(Stands::For(other)) = shapes.get(&id)
                && self.seen.get(other).is_some_and(|seen| *seen != turn)
            {
                self.seen.insert(*other, turn);
                kept.push(*other);
            }
        }
        self.seen.retain(|_, seen| *seen == turn);
        self.turn = turn.wrapping_add(1);
        self.rest(shapes);
        // The room has become less: there are more trees.
        if self.bytes > limit / 4 * 5 {
            self.seen.clear();
            self.rest(shapes);
        }
        let left = self.seen.len();
        self.patience = if self.bytes > limit / 4 * 3 { left * 4 } else { 0 };
        Some(before - left)
    }

    /// Leaves of places and of the readers' part what belongs to shapes that are left.
    fn rest(&mut self, shapes: &mut Shapes) {
        let seen = &self.seen;
        shapes.retain(|id, _| seen.contains_key(id));
        self.places.retain(|_, place| match place {
            Place::One(merged) => seen.contains_key(merged),
            Place::Few { of, len } => {
                let known = of.iter().take(*len).copied().filter(|id| seen.contains_key(id));
                let left: Vec<u64> = known.collect();
                *len = left.len();
                of.iter_mut().zip(left).for_each(|(place, id)| *place = id);
                *len > 0
            }
        });
        let texts: usize = shapes.values().map(|s| if let Stands::Own(text) = s { text.len() } else { 0 }).sum();
        self.bytes = self.seen.len() * SHAPE_BYTES + self.places.len() * PLACE_BYTES + texts;
        self.seen.shrink_to_fit();
        self.places.shrink_to_fit();
        shapes.shrink_to_fit();
    }
}

/// Lets a shape stand for another: of several always for the same. Gives the bytes of text that this frees.
fn stand(shapes: &mut Shapes, id: u64, merged: u64) -> usize {
    let Some(stands) = shapes.get_mut(&id) else { return 0 };
    match stands {
        Stands::For(other) => {
            *other = merged.min(*other);
            0
        }
        Stands::Own(text) => {
            let freed = text.len();
            *stands = Stands::For(merged);
            freed
        }
    }
}

/// What is left and right of a word with a variable between, which is one with a variable beside it.
fn joined(before: &[u8], after: &[u8]) -> Vec<u8> {
    let before = if before.ends_with(b"<*> ") { &before[..before.len() - b"<*> ".len()] } else { before };
    let after = if after.starts_with(b" <*>") { &after[b" <*>".len()..] } else { after };
    [before, VARIABLE, after].concat()
}

/// What a shape stands for in the end, and its text. Each step has a constant word less than the one before.
pub(super) fn resolve(shapes: &Shapes, id: u64) -> Option<(u64, &Arc<str>)> {
    let mut id = id;
    loop {
        match shapes.get(&id)? {
            Stands::Own(text) => return Some((id, text)),
            Stands::For(other) => id = *other,
        }
    }
}
