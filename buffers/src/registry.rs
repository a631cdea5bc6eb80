//! Ids for canonical keys, with undo: what series and log streams have in common.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use whyd_signals::SeriesId;
use whyd_signals::sink::{AHEAD, RawLabels};

use crate::catalog::Catalog;
use crate::hash::{HashedState, hash};
use crate::logs::Level;

/// How many keys of one hash are told apart. Only an attack reaches it; the next key is refused.
const COLLISIONS: u64 = 16;
const PAGE: usize = 256;
/// Bytes that a cache fetches at once.
const LINE: usize = 64;
/// No id.
pub(crate) const NONE: u32 = u32::MAX;

/// What the writer alone keeps of one id.
#[derive(Clone)]
pub(crate) struct Slot {
    key: Option<Arc<[u8]>>,
    /// The newest row's time; `i64::MIN` before the first.
    pub(crate) last: i64,
    /// No row has a time between this and [`Slot::last`].
    pub(crate) before: i64,
    /// The id that followed this one last time.
    pub(crate) next: u32,
    /// The sweep before which it was last written.
    pub(crate) epoch: u32,
    /// Of what the id is about, what each row asks: beside what a row changes it is not waited for.
    pub(crate) about: About,
}

/// What each row of a series or stream asks of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    /// The number of its namespace.
    pub(crate) namespace: u32,
    /// How bad all its lines are, where that is said of it.
    pub(crate) said: Level,
    /// How bad a line is that does not say.
    pub(crate) detected: Level,
}

impl Slot {
    /// The key that the id stands for.
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }
}

/// Where one id stands, to be written beside its key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) id: u32,
    last: i64,
    next: u32,
    epoch: u32,
}

/// All ids of one kind as they stood, to be written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeldIds {
    places: Vec<Place>,
    /// In the order of the places.
    keys: Vec<Key>,
    /// How many ids were given.
    pub(crate) len: u32,
    pub(crate) epoch: u32,
}

impl HeldIds {
    /// Of places and the keys that they stand for; one without a key is left out.
    pub(crate) fn new(places: &[Place], key: impl Fn(u32) -> Option<Arc<[u8]>>, len: u32, epoch: u32) -> Self {
        let known = places.iter().filter_map(|place| Some((*place, Key(key(place.id)?))));
        let (places, keys) = known.unzip();
        Self { places, keys, len, epoch }
    }

    /// Each id with its key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<[u8]>)> {
        self.places.iter().zip(&self.keys).map(|(place, key)| (place.id, &key.0))
    }

    /// Each with what its key says, to be taken up.
    pub(crate) fn with<M>(&self, mut meta: impl FnMut(&Arc<[u8]>) -> Option<M>) -> Vec<(Place, Arc<[u8]>, M)> {
        let all = self.places.iter().zip(&self.keys);
        all.filter_map(|(place, key)| Some((*place, Arc::clone(&key.0), meta(&key.0)?))).collect()
    }
}

/// The bytes of a key, written as such and not number by number.
#[derive(Debug)]
struct Key(Arc<[u8]>);

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a key")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(Arc::from(bytes)))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// Ids by key. What is added after [`Registry::commit`] is undone by [`Registry::rollback`].
pub(crate) struct Registry<M> {
    ids: HashMap<u64, u32, HashedState>,
    slots: Vec<Box<[Slot]>>,
    len: u32,
    fresh: Vec<Arc<M>>,
    pub(crate) catalog: Catalog<M>,
    live: usize,
    key_bytes: usize,
    pub(crate) epoch: u32,
}

impl<M> Default for Registry<M> {
    fn default() -> Self {
        Self {
            ids: HashMap::default(),
            slots: Vec::new(),
            len: 0,
            fresh: Vec::new(),
            catalog: Catalog::default(),
            live: 0,
            key_bytes: 0,
            epoch: 0,
        }
    }
}

/// What an id can be about.
pub(crate) trait Meta {
    /// What each row asks of it.
    fn about(&self) -> About;
}

impl<M: Meta> Registry<M> {
    /// The state of one id.
    pub(crate) fn slot(&self, id: u32) -> Option<&Slot> {
        self.slots.get(id as usize / PAGE)?.get(id as usize % PAGE)
    }

    /// The state of one id, to change.
    pub(crate) fn slot_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.slots.get_mut(id as usize / PAGE)?.get_mut(id as usize % PAGE)
    }

    /// Whether `id` stands for `key`.
    pub(crate) fn is(&self, id: u32, key: &[u8]) -> bool {
        self.slot(id).and_then(Slot::key) == Some(key)
    }

    /// Whether `id` stands for `key`, and always will or for nothing.
    pub(crate) fn lasts(&self, id: u32, key: &[u8]) -> bool {
        id < self.catalog.len() && self.is(id, key)
    }

    /// The id of `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        let h = hash(key);
        for probe in 0..COLLISIONS {
            let id = *self.ids.get(&h.wrapping_add(probe))?;
            if self.is(id, key) {
                return Some(id);
            }
        }
        None
    }

    /// Finds the ids of these keys, [`AHEAD`] at most. The memory that each needs is waited for together: one after another
    /// a key costs three times the wait for what no cache holds, in its place in the table, its slot and its bytes.
    pub(crate) fn find_ahead(&self, keys: &[RawLabels<'_>], ids: &mut [Option<SeriesId>]) {
        let mut hashes = [0; AHEAD];
        for (hashed, key) in hashes.iter_mut().zip(keys) {
            *hashed = hash(key.0);
        }
        let mut places = [NONE; AHEAD];
        for (place, hash) in places.iter_mut().zip(&hashes).take(keys.len()) {
            *place = self.ids.get(hash).copied().unwrap_or(NONE);
        }
        let mut known: [&[u8]; AHEAD] = [&[]; AHEAD];
        for (known, id) in known.iter_mut().zip(&places) {
            *known = self.slot(*id).and_then(Slot::key).unwrap_or_default();
        }
        let lines = known.iter().flat_map(|key| key.chunks(LINE)).filter_map(<[u8]>::first);
        std::hint::black_box(lines.fold(0, |all, byte| all ^ byte));
        for (((found, key), known), id) in ids.iter_mut().zip(keys).zip(&known).zip(&places) {
            *found = (*id != NONE && key.0 == *known).then_some(SeriesId(*id));
        }
    }

    /// Gives `key` the next id; `None` when too many keys have its hash.
    pub(crate) fn insert(&mut self, key: Arc<[u8]>, meta: M) -> Option<u32> {
        let h = hash(&key);
        let place = (0..COLLISIONS).map(|p| h.wrapping_add(p)).find(|h| !self.ids.contains_key(h))?;
        let id = self.len;
        if id == NONE {
            return None;
        }
        self.ids.insert(place, id);
        self.live += 1;
        self.key_bytes += key.len();
        let (epoch, about) = (self.epoch, meta.about());
        let slot = Slot { key: Some(key), last: i64::MIN, before: i64::MIN, next: NONE, epoch, about };
        self.len += 1;
        self.make_room();
        if let Some(s) = self.slot_mut(id) {
            *s = slot;
        }
        self.fresh.push(Arc::new(meta));
        Some(id)
    }

    /// The description of an id, committed or not.
    pub(crate) fn meta(&self, id: u32) -> Option<&Arc<M>> {
        let committed = self.catalog.len();
        if id < committed { self.catalog.get(id) } else { self.fresh.get((id - committed) as usize) }
    }

    /// Keeps what was added; tells of each.
    pub(crate) fn commit(&mut self, mut each: impl FnMut(u32, &M)) {
        for meta in self.fresh.drain(..) {
            each(self.catalog.len(), &meta);
            self.catalog.push(meta);
        }
    }

    /// Whether anything was added since the last commit.
    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Takes back what was added since the last commit, and tells of each; those ids are given again.
    pub(crate) fn rollback(&mut self, mut each: impl FnMut(&M)) {
        self.fresh.drain(..).for_each(|meta| each(&meta));
        for id in self.catalog.len()..self.len {
            self.forget(id);
        }
        self.len = self.catalog.len();
        self.slots.truncate((self.len as usize).div_ceil(PAGE));
    }

    fn forget(&mut self, id: u32) {
        let Some(key) = self.slot_mut(id).and_then(|s| s.key.take()) else { return };
        self.live -= 1;
        self.key_bytes -= key.len();
        let h = hash(&key);
        for probe in 0..COLLISIONS {
            let place = h.wrapping_add(probe);
            if self.ids.get(&place) == Some(&id) {
                self.ids.remove(&place);
                return;
            }
        }
    }

    /// Forgets what was last written before sweep `oldest` and starts another sweep. Call it with nothing fresh.
    pub(crate) fn sweep(&mut self, oldest: u32) -> Vec<(u32, Arc<M>)> {
        self.epoch += 1;
        let slots = &self.slots;
        let removed = self.catalog.remove(|id| {
            slots.get(id as usize / PAGE).and_then(|p| p.get(id as usize % PAGE)).is_some_and(|s| s.epoch < oldest)
        });
        for (id, _) in &removed {
            self.forget(*id);
        }
        let full = self.len as usize / PAGE;
        for page in self.slots.iter_mut().take(full) {
            if !page.is_empty() && page.iter().all(|s| s.key.is_none()) {
                *page = Box::default();
            }
        }
        removed
    }

    /// Where each id that was committed stands, in id order.
    pub(crate) fn places(&self) -> Vec<Place> {
        let slots = self.slots.iter().enumerate().flat_map(|(n, page)| {
            let first = (n * PAGE) as u32;
            page.iter().enumerate().map(move |(at, slot)| (first + at as u32, slot))
        });
        let live = slots.filter(|(id, slot)| slot.key.is_some() && *id < self.catalog.len());
        live.map(|(id, s)| Place { id, last: s.last, next: s.next, epoch: s.epoch }).collect()
    }

    /// Takes up ids as they stood, in id order; `len` is how many were given. To be called before any is given.
    pub(crate) fn resume(&mut self, held: Vec<(Place, Arc<[u8]>, M)>, len: u32, epoch: u32) {
        self.epoch = epoch;
        for (place, key, meta) in held {
            self.len = place.id;
            self.catalog.skip_to(place.id);
            if self.insert(key, meta).is_none() {
                continue;
            }
            if let Some(slot) = self.slot_mut(place.id) {
                (slot.last, slot.before, slot.next, slot.epoch) = (place.last, place.last, place.next, place.epoch);
            }
            self.commit(|_, _| {});
        }
        self.len = self.len.max(len);
        self.catalog.skip_to(self.len);
        self.make_room();
    }

    /// Slots for all ids that were given.
    fn make_room(&mut self) {
        while self.slots.len() * PAGE < self.len as usize {
            let about = About::default();
            let empty = Slot { key: None, last: i64::MIN, before: i64::MIN, next: NONE, epoch: 0, about };
            self.slots.push(vec![empty; PAGE].into_boxed_slice());
        }
    }

    /// How many ids stand for something.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Bytes held, tables included.
    pub(crate) fn bytes(&self) -> usize {
        let each = size_of::<Slot>() + size_of::<M>() + 16 /* Arc */ + 16 /* cell */ + 16 /* key's counts */ + 24 /* table */;
        self.key_bytes + self.live * each
    }
}
