//! Which shapes a container had, and the kinds that they are of. Both are bounded; what was not there for long goes first, and is
//! remembered for a while longer as one that was there.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use whyd_signals::templates::Template;
use whyd_signals::{TemplateId, Timestamp};

use super::Resolve;
use super::forgotten::Forgotten;
use crate::detector::novelty::Fresh;
use crate::detector::vanished::{Presence, Stops};
use crate::hash::{Fixed, in_order};

/// What a table of 128 places holds.
const SHAPES: usize = 112;
const KINDS: usize = 48;
/// Room is made for so many kinds at once.
const STEP: usize = 16;
/// So many kinds that differ from a shape in one and the same word make that a variable, and the shape no new kind.
const ALIKE: usize = 2;
/// Words beside it.
const CONSTANTS: usize = 3;

/// Lines that resolve to one template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kind {
    /// What its shapes stood for when that was asked last.
    pub(super) template: u64,
    pub(super) presence: Presence,
    pub(super) stops: Stops,
    pub(super) last: Timestamp,
    /// When it was found missing, by the clock of the receipt.
    pub(super) missed: Option<Timestamp>,
    /// In its first minute.
    pub(super) fresh: Option<Fresh>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Shape {
    kind: u8,
    /// The minute of its last line.
    last: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Table {
    #[serde(serialize_with = "in_order")]
    shapes: HashMap<u64, Shape, Fixed>,
    kinds: Vec<Kind>,
    forgotten: Forgotten,
}

/// What a shape is that was not there.
pub(super) enum New {
    /// One more of a kind that was.
    Shape,
    /// Not to be held: everything that is there comes all the time.
    NoRoom,
    /// A kind that was not there, the last of [`Table::kinds`] by now.
    Kind {
        /// `None` where its text is not kept.
        template: Option<Template>,
        /// When the kind came last that is not remembered any more for it.
        forgot: Option<Timestamp>,
        /// It was there, and had to go for others.
        is_known: bool,
    },
}

impl Table {
    /// The most that one takes beside itself, in bytes.
    pub(super) const HEAP: usize = 128 * (size_of::<(u64, Shape)>() + 1) + KINDS * size_of::<Kind>() + Forgotten::HEAP;

    /// The kind of a shape that was there, and has a line in this minute.
    pub(super) fn of(&mut self, shape: u64, minute: u32) -> Option<&mut Kind> {
        let shape = self.shapes.get_mut(&shape)?;
        shape.last = minute;
        self.kinds.get_mut(shape.kind as usize)
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    #[cfg(test)]
    pub(super) fn room_of_kinds(&self) -> usize {
        self.kinds.capacity()
    }

    pub(super) fn kinds_mut(&mut self) -> impl Iterator<Item = &mut Kind> {
        self.kinds.iter_mut()
    }

    /// The newest kind is watched through its first minute.
    pub(super) fn watch_newest(&mut self, ts: Timestamp, of_all: u64) {
        if let Some(kind) = self.kinds.last_mut() {
            kind.fresh = Some(Fresh::new(ts, of_all));
        }
    }

    /// No kind is missed for what was until now.
    pub(super) fn forget_presence(&mut self) {
        self.kinds.iter_mut().for_each(|kind| kind.presence.forget());
    }

    /// The clock was ahead, and it is this time: whose first minute was then has had it.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        for kind in self.kinds.iter_mut().filter(|kind| kind.last > now) {
            (kind.last, kind.fresh) = (now, None);
            kind.missed = kind.missed.map(|since| since.min(now));
        }
    }

    /// No kind without a line in this minute is missed for what was until now.
    pub(super) fn forget_absent(&mut self, minute: u32) {
        self.kinds.iter_mut().filter(|kind| !kind.presence.was_in(minute)).for_each(|kind| kind.presence.forget());
    }

    /// Takes in a shape that is not there, with its first line.
    pub(super) fn admit(&mut self, line: (TemplateId, Timestamp, u32), resolve: &Resolve<'_>) -> New {
        let (shape, ts, minute) = line;
        if self.shapes.len() >= SHAPES && !self.make_room(minute) {
            return New::NoRoom;
        }
        let template = resolve(shape);
        let id = template.as_ref().map_or(shape.0, |t| t.id.0);
        let known = self.kinds.iter().position(|kind| kind.template == id);
        let known = known.or_else(|| {
            let texts = self.join(resolve);
            let same = self.kinds.iter().position(|kind| kind.template == id);
            same.or_else(|| alike(&template.as_ref()?.text, &texts))
        });
        if let Some(at) = known {
            self.shapes.insert(shape.0, Shape { kind: at as u8, last: minute });
            if let Some(kind) = self.kinds.get_mut(at) {
                kind.presence.observe(minute);
                kind.last = kind.last.max(ts);
                kind.missed = None;
            }
            return New::Shape;
        }
        let is_known = self.forgotten.take(id);
        let forgot = if self.kinds.len() >= KINDS { self.forget_oldest() } else { None };
        let mut presence = Presence::default();
        presence.observe(minute);
        self.shapes.insert(shape.0, Shape { kind: self.kinds.len() as u8, last: minute });
        if self.kinds.len() == self.kinds.capacity() {
            self.kinds.reserve_exact(STEP.min(KINDS.saturating_sub(self.kinds.len())));
        }
        self.kinds.push(Kind { template: id, presence, stops: Stops::default(), last: ts, missed: None, fresh: None });
        New::Kind { template, forgot, is_known }
    }

    /// Puts kinds together that stand for one by now. Gives the text of each that is left, in order.
    pub(super) fn join(&mut self, resolve: &Resolve<'_>) -> Vec<Option<Template>> {
        let mut kinds: Vec<Kind> = Vec::with_capacity(self.kinds.len());
        let mut texts = Vec::with_capacity(self.kinds.len());
        let mut moved = Vec::with_capacity(self.kinds.len());
        for mut kind in std::mem::take(&mut self.kinds) {
            let template = resolve(TemplateId(kind.template));
            kind.template = template.as_ref().map_or(kind.template, |t| t.id.0);
            match kinds.iter().position(|other| other.template == kind.template) {
                Some(at) => {
                    if let Some(other) = kinds.get_mut(at) {
                        other.presence.join(&kind.presence);
                        other.last = other.last.max(kind.last);
                        other.missed = None;
                        other.fresh = None;
                    }
                    moved.push(at as u8);
                }
                None => {
                    moved.push(kinds.len() as u8);
                    kinds.push(kind);
                    texts.push(template);
                }
            }
        }
        self.kinds = kinds;
        for shape in self.shapes.values_mut() {
            shape.kind = moved.get(shape.kind as usize).copied().unwrap_or_default();
        }
        texts
    }

    /// Lets the shape go that was not there for longest, unless all are there in this minute. Lines of it may not be looked at
    /// from then on, so that its kind is not missed for what was until now.
    fn make_room(&mut self, minute: u32) -> bool {
        let oldest = self.shapes.iter().map(|(id, shape)| (shape.last, *id)).min();
        let Some((_, id)) = oldest.filter(|(last, _)| *last < minute) else { return false };
        if let Some(kind) = self.shapes.remove(&id).and_then(|shape| self.kinds.get_mut(shape.kind as usize)) {
            kind.presence.forget();
        }
        true
    }

    /// Lets the kind go that was not there for longest; when the one came last that is not remembered any more for it.
    fn forget_oldest(&mut self) -> Option<Timestamp> {
        let (at, _) = self.kinds.iter().enumerate().min_by_key(|(_, kind)| kind.last)?;
        let gone = self.kinds.remove(at);
        self.shapes.retain(|_, shape| shape.kind as usize != at);
        self.shapes.values_mut().filter(|shape| shape.kind as usize > at).for_each(|shape| shape.kind -= 1);
        self.forgotten.note(gone.template, gone.last)
    }
}

/// The first of enough texts from which this one differs in one and the same word.
fn alike(text: &str, texts: &[Option<Template>]) -> Option<usize> {
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for (n, other) in texts.iter().enumerate() {
        let Some(place) = other.as_ref().and_then(|other| one_word(text, &other.text)) else { continue };
        match places.iter_mut().find(|(known, ..)| *known == place) {
            Some((_, first, count)) => {
                *count += 1;
                if *count >= ALIKE {
                    return Some(*first);
                }
            }
            None => places.push((place, n, 1)),
        }
    }
    None
}

/// Which word it is, where two texts differ in one alone, which is not the first.
fn one_word(a: &str, b: &str) -> Option<usize> {
    let (mut a, mut b) = (a.split(' '), b.split(' '));
    let (mut at, mut differs) = (0, None);
    loop {
        match (a.next(), b.next()) {
            (None, None) => return differs.filter(|place| *place > 0 && at > CONSTANTS),
            (Some(one), Some(other)) if one == other => {}
            (Some(_), Some(_)) if differs.is_none() => differs = Some(at),
            _ => return None,
        }
        at += 1;
    }
}
