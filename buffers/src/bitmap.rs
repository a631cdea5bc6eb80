//! Which rows of one body were not kept.

/// A set of row numbers within one body, in the order in which the decoder hands the rows over.
///
/// It is written to the log beside the body, so that replay need not judge again. A row that was refused as a
/// duplicate but won over the one before it was kept, so it is not in here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one row.
    pub fn set(&mut self, row: u64) {
        let Ok(word) = usize::try_from(row / 64) else { return };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(w) = self.words.get_mut(word) {
            *w |= 1 << (row % 64);
        }
    }

    /// Adds `count` rows from `first` on.
    pub fn set_range(&mut self, first: u64, count: u64) {
        for row in first..first.saturating_add(count) {
            self.set(row);
        }
    }

    /// Whether the row is in the set.
    pub fn get(&self, row: u64) -> bool {
        let word = usize::try_from(row / 64).ok().and_then(|w| self.words.get(w));
        word.is_some_and(|w| w >> (row % 64) & 1 == 1)
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many rows are in the set.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// As little-endian words.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// From what [`Bitmap::to_bytes`] gave; `None` when the length is not one of whole words.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then(|| Self { words: words.iter().map(|w| u64::from_le_bytes(*w)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_set_and_survives_bytes() {
        let mut b = Bitmap::new();
        b.set(3);
        b.set_range(63, 3);
        assert!(b.get(3) && b.get(63) && b.get(64) && b.get(65) && !b.get(66) && !b.get(1 << 40));
        assert_eq!(b.count(), 4);
        assert_eq!(Bitmap::from_bytes(&b.to_bytes()), Some(b));
        assert_eq!(Bitmap::from_bytes(&[1, 2]), None);
    }
}
