//! A table of per-series state with a bound on its entries; what does not fit is refused and counted.
//!
//! Where it is full, one more takes the place of the one that was silent for longest of some, if that was long enough, or of one of
//! an owner who has more than an equal share where its own has less: so nobody takes the room of all, and all of it may be used.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::{Team, Timestamp};

use crate::hash::{Fixed, hash64};

/// Places looked at for one that may be taken, for each that is refused.
const LOOKED_AT: usize = 32;

/// Who has places, where teams each have their share.
pub(crate) fn owner(team: &Team) -> u64 {
    hash64(team.as_str().as_bytes())
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slot<K, V> {
    key: K,
    owner: u64,
    touched: Timestamp,
    /// Shared with a copy of the table until it is written next.
    value: Arc<V>,
}

/// Entries by key, dense in memory, dropped when idle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slots<K, V> {
    #[serde(skip)]
    index: HashMap<K, u32, Fixed>,
    /// How many places each owner has.
    #[serde(skip)]
    held: HashMap<u64, usize, Fixed>,
    slots: Vec<Option<Slot<K, V>>>,
    free: Vec<u32>,
    #[serde(skip)]
    cap: usize,
    /// What was not heard for so long goes when there is no room.
    #[serde(skip)]
    gone: Duration,
    cursor: usize,
    taking: usize,
    pub(crate) refused: u64,
    pub(crate) evicted: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Slots<K, V> {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            index: HashMap::default(),
            held: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            cap: cap.min(u32::MAX as usize),
            gone: Duration::MAX,
            cursor: 0,
            taking: 0,
            refused: 0,
            evicted: 0,
        }
    }

    /// Whose entries are gone when they were not heard for so long, as far as there is need of their places.
    pub(crate) fn gone_after(self, gone: Duration) -> Self {
        Self { gone, ..self }
    }

    /// Goes on with what another table held, which was written and read back meanwhile. The bound stays this one's.
    pub(crate) fn resume(&mut self, held: Self) {
        let full = held.slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.as_ref()?.key, at as u32)));
        let index = full.collect();
        let mut owners: HashMap<u64, usize, Fixed> = HashMap::default();
        for slot in held.slots.iter().flatten() {
            *owners.entry(slot.owner).or_default() += 1;
        }
        *self = Self { index, held: owners, cap: self.cap, gone: self.gone, ..held };
        if self.cursor >= self.slots.len() {
            self.cursor = 0;
        }
    }

    /// The clock was ahead, and it is this time: nothing was heard later. All entries may be put right.
    pub(crate) fn set_back(&mut self, now: Timestamp, mut right: impl FnMut(&mut V)) {
        for slot in self.slots.iter_mut().flatten() {
            slot.touched = slot.touched.min(now);
            right(Arc::make_mut(&mut slot.value));
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

    /// The entry of `key`, made when there is none; `None` when the table is full. All such have one owner.
    #[cfg(test)]
    pub(crate) fn entry(&mut self, key: K, now: Timestamp, make: impl FnOnce() -> V) -> Option<&mut V> {
        self.entry_of(|| 0, key, now, make)
    }

    /// The entry of `key`, made for this owner when there is none; `None` when the table is full.
    pub(crate) fn entry_of(
        &mut self,
        owner: impl FnOnce() -> u64,
        key: K,
        now: Timestamp,
        make: impl FnOnce() -> V,
    ) -> Option<&mut V> {
        let at = match self.index.get(&key) {
            Some(at) => *at as usize,
            None => self.admit(owner(), key, now, make)?,
        };
        let slot = self.slots.get_mut(at)?.as_mut()?;
        slot.touched = slot.touched.max(now);
        Some(Arc::make_mut(&mut slot.value))
    }

    fn admit(&mut self, owner: u64, key: K, now: Timestamp, make: impl FnOnce() -> V) -> Option<usize> {
        if self.index.len() >= self.cap && !self.take(owner, now) {
            self.refused += 1;
            return None;
        }
        let slot = Some(Slot { key, owner, touched: now, value: Arc::new(make()) });
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
        *self.held.entry(owner).or_default() += 1;
        Some(at as usize)
    }

    /// Makes room for one more of this owner, where it may have it.
    fn take(&mut self, owner: u64, now: Timestamp) -> bool {
        // Where the bound fell below what is held one that goes makes no room.
        if self.index.len() > self.cap {
            return false;
        }
        let own = self.held_by(owner);
        let share = self.cap / (self.held.len() + usize::from(own == 0)).max(1);
        self.yield_one(now, (own < share).then_some(share))
    }

    /// How many this owner has.
    pub(crate) fn held_by(&self, owner: u64) -> usize {
        self.held.get(&owner).copied().unwrap_or_default()
    }

    /// All who have any.
    pub(crate) fn owners(&self) -> impl ExactSizeIterator<Item = u64> {
        self.held.keys().copied()
    }

    /// Lets one go that is gone, or else one of an owner who has more than this; of those that are gone the one that was silent
    /// for longest among some.
    pub(crate) fn yield_one(&mut self, now: Timestamp, above: Option<usize>) -> bool {
        let oldest = now.minus(self.gone);
        let (mut gone, mut over) = (None::<(Timestamp, usize)>, None);
        for _ in 0..LOOKED_AT.min(self.slots.len()) {
            let at = self.taking % self.slots.len();
            self.taking = at + 1;
            let Some(slot) = &self.slots[at] else { continue };
            if slot.touched < oldest && gone.is_none_or(|(touched, _)| slot.touched < touched) {
                gone = Some((slot.touched, at));
            }
            if over.is_none() && above.is_some_and(|share| self.held_by(slot.owner) > share) {
                over = Some(at);
            }
        }
        let Some(at) = gone.map(|(_, at)| at).or(over) else { return false };
        self.drop_at(at);
        true
    }

    /// Lets the entry of `key` go.
    pub(crate) fn remove(&mut self, key: K) {
        if let Some(at) = self.index.get(&key) {
            self.drop_at(*at as usize);
        }
    }

    fn drop_at(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at).and_then(Option::take) else { return };
        self.index.remove(&slot.key);
        if let Some(held) = self.held.get_mut(&slot.owner) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(&slot.owner);
            }
        }
        self.free.push(at as u32);
        self.evicted += 1;
    }

    /// Looks at the next `most` slots and drops those not touched for `idle`; called often, it gets round to all.
    pub(crate) fn sweep(&mut self, now: Timestamp, idle: Duration, most: usize) {
        let oldest = now.minus(idle);
        for _ in 0..most.min(self.slots.len()) {
            let at = self.cursor;
            self.cursor = (self.cursor + 1) % self.slots.len();
            let Some(slot) = &self.slots[at] else { continue };
            if slot.touched < oldest {
                self.drop_at(at);
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

    /// How many of each owner's keys are let in, one after the other.
    fn let_in(slots: &mut Slots<u32, u64>, owner: u64, keys: std::ops::Range<u32>) -> usize {
        keys.filter(|key| slots.entry_of(|| owner, *key, Timestamp(0), || owner).is_some()).count()
    }

    #[test]
    fn one_owner_may_have_all_and_of_several_each_its_share() {
        let mut slots: Slots<u32, u64> = Slots::new(90);
        assert_eq!(let_in(&mut slots, 1, 0..200), 90);
        assert_eq!(let_in(&mut slots, 2, 1000..1200), 45);
        assert_eq!(let_in(&mut slots, 3, 2000..2010), 10, "what it asks for is less than its share");
        assert_eq!((slots.len(), slots.evicted), (90, 55));
        assert!(slots.held[&1] >= 30 && slots.held[&2] >= 30, "{:?}", slots.held);
        // Who has a share takes nobody's place, and is refused in peace.
        assert_eq!(let_in(&mut slots, 1, 5000..5200), 0);
        let mut resumed: Slots<u32, u64> = Slots::new(90);
        resumed.resume(slots);
        assert_eq!(let_in(&mut resumed, 4, 3000..3200), 90 / 4);
    }

    #[test]
    fn what_is_gone_makes_room_when_there_is_none() {
        let at = |s: i64| Timestamp(s * 1_000_000_000);
        let mut slots: Slots<u32, u64> = Slots::new(40).gone_after(Duration::from_secs(600));
        for key in 0..40 {
            slots.entry(key, at(0), || 0);
        }
        for key in 0..20 {
            slots.entry(key, at(500), || 0);
        }
        assert!(slots.entry(100, at(599), || 0).is_none());
        let new = (100..200).filter(|key| slots.entry(*key, at(700), || 0).is_some()).count();
        assert_eq!((new, slots.len()), (20, 40));
        assert!((0..20).all(|key| slots.get(key).is_some()), "what goes on stays");
    }
}
