//! Ids for canonical keys, with undo: what series and log streams have in common.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::hash::{HashedState, hash};

/// How many keys of one hash are told apart. Only an attack reaches it; the next key is refused.
const COLLISIONS: u64 = 16;
const PAGE: usize = 256;
/// No id.
pub(crate) const NONE: u32 = u32::MAX;

/// What the writer alone keeps of one id.
#[derive(Clone)]
pub(crate) struct Slot {
    key: Option<Arc<[u8]>>,
    /// The newest row's time; `i64::MIN` before the first.
    pub(crate) last: i64,
    /// The id that followed this one last time.
    pub(crate) next: u32,
    /// The sweep before which it was last written.
    pub(crate) epoch: u32,
}

impl Slot {
    /// The key that the id stands for.
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
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

impl<M> Registry<M> {
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
        let slot = Slot { key: Some(key), last: i64::MIN, next: NONE, epoch: self.epoch };
        if id as usize / PAGE >= self.slots.len() {
            let empty = Slot { key: None, last: i64::MIN, next: NONE, epoch: 0 };
            self.slots.push(vec![empty; PAGE].into_boxed_slice());
        }
        if let Some(s) = self.slot_mut(id) {
            *s = slot;
        }
        self.len += 1;
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

    /// Takes back what was added since the last commit; those ids are given again.
    pub(crate) fn rollback(&mut self) {
        self.fresh.clear();
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
