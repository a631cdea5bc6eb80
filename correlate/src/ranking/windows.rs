//! Time, counted in windows backwards from an onset.

/// Windows of one length: 0 begins at the onset, 1 ends there, and so on into the past.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) onset: i64,
    /// Nothing at or after this is looked at.
    pub(super) until: i64,
    pub(super) length: i64,
}

impl Windows {
    /// Nothing that is more windows ago is looked at: it bounds what one onset costs.
    pub(super) const MOST: usize = 1024;

    pub(super) fn new(onset: i64, until: i64, length: i64) -> Self {
        let length = length.max(1);
        Self { onset, until: until.min(onset.saturating_add(length)), length }
    }

    /// Which window `at` is in; `None` after the first, and long before.
    pub(super) fn of(&self, at: i64) -> Option<usize> {
        if at >= self.onset {
            return (at < self.until).then_some(0);
        }
        let back = self.onset.saturating_sub(1).saturating_sub(at) / self.length;
        usize::try_from(back).ok().map(|back| back + 1).filter(|window| *window < Self::MOST)
    }

    /// When a window begins.
    pub(super) fn begin(&self, window: usize) -> i64 {
        let back = i64::try_from(window).unwrap_or(i64::MAX);
        self.onset.saturating_sub(back.saturating_mul(self.length))
    }

    /// How many there are, where nothing is older than `oldest`.
    pub(super) fn count(&self, oldest: i64) -> usize {
        self.of(oldest.min(self.onset)).map_or(Self::MOST, |window| window + 1)
    }
}
