//! What is usual of a measure, so that candidates and kinds of evidence can be compared.
//!
//! A candidate whose measure often jumps is less of a suspect when it jumps, and a measure that jumps somewhere in most
//! windows says little wherever it does. So a measure is divided by what the most conspicuous candidate of a window
//! usually reaches, and by what the candidate itself reaches in its worse windows, both alike.

/// Of the windows' maxima: most windows of a quiet system are below.
const OF_ALL: f64 = 0.75;
/// Of a candidate's own windows: one that went wrong before is not excused for it.
const OF_OWN: f64 = 0.9;

/// Past measures: of each candidate, by window.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Candidate, window, measure; one row for each candidate and window.
    rows: Vec<(u32, u32, f64)>,
    /// What each candidate's worse windows reach.
    own: Vec<(u32, f64)>,
    /// What the most conspicuous candidate of a window usually reaches.
    all: f64,
}

impl Past {
    /// Of rows of candidate, window and measure, of which the highest of a candidate and window counts.
    pub(super) fn new(mut rows: Vec<(u32, u32, f64)>) -> Self {
        rows.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
        rows.dedup_by_key(|row| (row.0, row.1));
        let mut highest: Vec<(u32, f64)> = rows.iter().map(|(_, window, m)| (*window, *m)).collect();
        highest.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        highest.dedup_by_key(|row| row.0);
        let mut maxima: Vec<f64> = highest.into_iter().map(|(_, m)| m).collect();
        let mut own = Vec::new();
        for of in rows.chunk_by(|a, b| a.0 == b.0) {
            let mut measures: Vec<f64> = of.iter().map(|row| row.2).collect();
            own.extend(of.first().zip(quantile(&mut measures, OF_OWN)).map(|(row, q)| (row.0, q)));
        }
        Self { rows, own, all: quantile(&mut maxima, OF_ALL).unwrap_or(0.0) }
    }

    /// How many times what is usual `now` is, which is at least `least` for everyone.
    pub(super) fn times(&self, candidate: u32, now: f64, least: f64) -> f64 {
        let own = self.own.binary_search_by_key(&candidate, |own| own.0).ok();
        let own = own.and_then(|at| self.own.get(at)).map_or(0.0, |own| own.1);
        now / (0.5 * self.all.max(least) + 0.5 * own.max(least))
    }

    /// The measure of the window that ends at the onset.
    pub(super) fn just_before(&self, candidate: u32) -> f64 {
        let at = self.rows.binary_search_by_key(&(candidate, 1), |row| (row.0, row.1));
        at.ok().and_then(|at| self.rows.get(at)).map_or(0.0, |row| row.2)
    }
}

/// A quantile, interpolated between the two values next to it.
pub(super) fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    of_sorted(values, q)
}

/// The same of what is sorted already.
pub(super) fn of_sorted(values: &[f64], q: f64) -> Option<f64> {
    let at = q * values.len().checked_sub(1)? as f64;
    let low = *values.get(at.floor() as usize)?;
    let high = *values.get(at.ceil() as usize)?;
    Some(low + (high - low) * at.fract())
}
