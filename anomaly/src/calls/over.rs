//! Requests that have been looked at, for some time: a line that lies among theirs and comes only now was missing there.
//!
//! How late a line comes by the clock says little, since some senders wait for longer than others, and all lines of a request
//! may come late together. Each request has one place, by its number, and the newer takes it: with very many the memory is
//! short.

use serde::{Deserialize, Serialize};

/// Requests that were looked at, each with when its last line was written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Over {
    places: Vec<(u64, i64)>,
    #[serde(skip)]
    most: usize,
}

impl Over {
    /// What one takes, in bytes.
    pub(super) const BYTES: usize = size_of::<(u64, i64)>();

    /// Of so many at the most.
    pub(super) fn new(most: usize) -> Self {
        Self { places: Vec::new(), most }
    }

    /// Goes on with what was held before; of another size nothing is found again.
    pub(super) fn resume(&mut self, held: Self) {
        if held.places.len() == self.most {
            self.places = held.places;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * Self::BYTES
    }

    /// One is looked at.
    pub(super) fn note(&mut self, key: u64, last: i64) {
        if self.places.is_empty() {
            self.places = vec![(0, 0); self.most];
        }
        if let Some(place) = self.place(key).and_then(|place| self.places.get_mut(place)) {
            *place = (key, last);
        }
    }

    /// When the last line of one was written that was looked at.
    pub(super) fn last(&self, key: u64) -> Option<i64> {
        self.places.get(self.place(key)?).filter(|held| held.0 == key).map(|held| held.1)
    }

    fn place(&self, key: u64) -> Option<usize> {
        usize::try_from((key >> 7).checked_rem(self.places.len() as u64)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_takes_the_place_of_the_older() {
        let mut over = Over::new(16);
        assert_eq!(over.last(0), None);
        (1..=160).for_each(|n| over.note(n << 7, n as i64));
        let known: Vec<u64> = (1..=160).filter(|n| over.last(n << 7).is_some()).collect();
        assert_eq!((known, over.last(160 << 7), over.bytes()), ((145..=160).collect(), Some(160), 256));
        let (mut same, mut other) = (Over::new(16), Over::new(17));
        same.resume(over.clone());
        other.resume(over);
        assert_eq!((same.last(160 << 7), other.last(160 << 7)), (Some(160), None));
    }
}
