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
    pub(super) fn new(onset: i64, until: i64, length: i64) -> Self {
        let length = length.max(1);
        Self { onset, until: until.min(onset.saturating_add(length)), length }
    }

    /// Which window `at` is in; `None` after the first.
    pub(super) fn of(&self, at: i64) -> Option<u32> {
        if at >= self.until {
            None
        } else if at >= self.onset {
            Some(0)
        } else {
            let back = self.onset.saturating_sub(1).saturating_sub(at) / self.length;
            Some(u32::try_from(back).unwrap_or(u32::MAX - 1) + 1)
        }
    }
}
