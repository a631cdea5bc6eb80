//! A table of per-series state with a bound on its entries; what does not fit is refused and counted.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;

use crate::hash::Fixed;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slot<K, V> {
    key: K,
    touched: Timestamp,
    /// Shared with a copy of the table until it is written next.
    value: Arc<V>,
}

/// Entries by key, dense in memory, dropped when idle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slots<K, V> {
    #[serde(skip)]
    index: HashMap<K, u32, Fixed>,
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<u32>,
    #[serde(skip)]
    cap: usize,
    cursor: usize,
    pub(crate) refused: u64,
    pub(crate) evicted: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Slots<K, V> {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            index: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            cap: cap.min(u32::MAX as usize),
            cursor: 0,
            refused: 0,
            evicted: 0,
        }
    }

    /// Goes on with what another table held, which was written and read back meanwhile. The bound stays this one's.
    pub(crate) fn resume(&mut self, held: Self) {
        let full = held.slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.as_ref()?.key, at as u32)));
        *self = Self { index: full.collect(), cap: self.cap, ..held };
        if self.cursor >= self.slots.len() {
            self.cursor = 0;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many places there are, empty ones among them.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }

    /// The entries at these places.
    pub(crate) fn at(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = (K, &V)> {
        let end = places.end.min(self.slots.len());
        let some = self.slots.get(places.start.min(end)..end).unwrap_or_default();
        some.iter().flatten().map(|slot| (slot.key, slot.value.as_ref()))
    }

    /// From now on so many entries at the most; those that are there stay.
    pub(crate) fn bound(&mut self, cap: usize) {
        self.cap = cap.min(u32::MAX as usize);
    }

    /// The entry of `key`, where there is one.
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        let at = *self.index.get(&key)? as usize;
        self.slots.get(at)?.as_ref().map(|slot| slot.value.as_ref())
    }

    /// The same to be written to; it is not touched.
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = *self.index.get(&key)? as usize;
        self.slots.get_mut(at)?.as_mut().map(|slot| Arc::make_mut(&mut slot.value))
    }

    /// The entry of `key`, made when there is none; `None` when the table is full.
    pub(crate) fn entry(&mut self, key: K, now: Timestamp, make: impl FnOnce() -> V) -> Option<&mut V> {
        let at = match self.index.get(&key) {
            Some(at) => *at as usize,
            None => self.admit(key, now, make)?,
        };
        let slot = self.slots.get_mut(at)?.as_mut()?;
        slot.touched = slot.touched.max(now);
        Some(Arc::make_mut(&mut slot.value))
    }

    fn admit(&mut self, key: K, now: Timestamp, make: impl FnOnce() -> V) -> Option<usize> {
        if self.index.len() >= self.cap {
            self.refused += 1;
            return None;
        }
        let slot = Some(Slot { key, touched: now, value: Arc::new(make()) });
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(key, at);
        Some(at as usize)
    }

    /// Looks at the next `most` slots and drops those not touched for `idle`; called often, it gets round to all.
    pub(crate) fn sweep(&mut self, now: Timestamp, idle: Duration, most: usize) {
        let oldest = now.minus(idle);
        for _ in 0..most.min(self.slots.len()) {
            let at = self.cursor;
            self.cursor = (self.cursor + 1) % self.slots.len();
            let Some(slot) = &self.slots[at] else { continue };
            if slot.touched < oldest {
                self.index.remove(&slot.key);
                self.slots[at] = None;
                self.free.push(at as u32);
                self.evicted += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn full_refuses_and_idle_makes_room() {
        let mut slots: Slots<u32, u64> = Slots::new(2);
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        for key in [1, 2] {
            *slots.entry(key, at(0), || 0).unwrap() += 1;
        }
        assert!(slots.entry(3, at(1), || 0).is_none());
        assert_eq!(slots.refused, 1);
        slots.entry(2, at(100), || 0);
        slots.sweep(at(110), Duration::from_secs(60), 10);
        assert_eq!((slots.len(), slots.evicted), (1, 1));
        assert!(slots.entry(3, at(111), || 7).is_some());
        assert_eq!(slots.entry(2, at(112), || 0).copied(), Some(1));
    }
}
