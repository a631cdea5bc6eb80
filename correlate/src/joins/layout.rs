//! Rows laid out by key, and of the right side by time.

/// Rows by the number of their key: those of one key lie together, in the order they came in.
pub(crate) struct Layout {
    starts: Vec<u32>,
    pub(crate) rows: Vec<u32>,
}

impl Layout {
    /// Rows without a key are left out.
    pub(crate) fn of(keys: &[u32], count: usize) -> Self {
        let mut starts = vec![0_u32; count + 1];
        for key in keys {
            if let Some(n) = starts.get_mut(*key as usize + 1) {
                *n += 1;
            }
        }
        let mut sum = 0;
        for n in &mut starts {
            sum += *n;
            *n = sum;
        }
        let mut next = starts.clone();
        let mut rows = vec![0; sum as usize];
        for (row, key) in keys.iter().enumerate() {
            if (*key as usize) < count
                && let Some(at) = next.get_mut(*key as usize)
                && let Some(place) = rows.get_mut(*at as usize)
            {
                *place = row as u32;
                *at += 1;
            }
        }
        Self { starts, rows }
    }

    /// Of so many keys without a row, whose ends are told from the first on.
    pub(crate) fn empty(count: usize) -> Self {
        Self { starts: vec![0; count + 1], rows: Vec::new() }
    }

    /// Where the rows of this key end.
    pub(crate) fn ends(&mut self, key: usize, at: u32) {
        if let Some(end) = self.starts.get_mut(key + 1) {
            *end = at;
        }
    }

    pub(crate) fn range(&self, key: usize) -> std::ops::Range<usize> {
        let at = |n: usize| self.starts.get(n).copied().unwrap_or_default() as usize;
        at(key)..at(key + 1)
    }
}

/// Right rows laid out by key and time.
pub(crate) struct Rights {
    pub(crate) layout: Layout,
    /// In the order of the layout.
    pub(crate) times: Vec<i64>,
}

impl Rights {
    /// `keys` and `times` of the rows as they were fetched.
    pub(crate) fn of(keys: &[u32], times: &[i64], count: usize) -> Self {
        let mut layout = Layout::of(keys, count);
        let time = |row: &u32| times.get(*row as usize).copied().unwrap_or_default();
        for key in 0..count {
            let range = layout.range(key);
            if let Some(rows) = layout.rows.get_mut(range)
                && !rows.is_sorted_by_key(time)
            {
                rows.sort_by_key(time);
            }
        }
        let times = layout.rows.iter().map(time).collect();
        Self { layout, times }
    }
}
