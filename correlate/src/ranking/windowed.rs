//! What is counted, window by window, against how often it was in those before.

use super::windows::Windows;

/// How many there were in each window; the first is that of the incident.
#[derive(Debug)]
pub(super) struct Windowed {
    counts: Vec<u32>,
    mean: f64,
}

impl Windowed {
    /// Of times, in `count` windows; of one window no more than `most` count.
    pub(super) fn of(times: impl Iterator<Item = i64>, windows: &Windows, count: usize, most: u32) -> Self {
        let mut counts = vec![0_u32; count];
        for window in times.filter_map(|at| windows.of(at)) {
            if let Some(n) = counts.get_mut(window) {
                *n = (*n + 1).min(most);
            }
        }
        let before = counts.get(1..).unwrap_or_default();
        let mean = before.iter().map(|n| f64::from(*n)).sum::<f64>() / before.len().max(1) as f64;
        Self { counts, mean }
    }

    /// How far the first window goes beyond the others, in standard deviations of a Poisson variable, a half more for what a
    /// short past does not tell; 0 where it does not.
    pub(super) fn now(&self) -> f64 {
        self.counts.first().map_or(0.0, |n| self.by(*n))
    }

    /// The same of each window before that has any, with its number.
    pub(super) fn past(&self) -> impl Iterator<Item = (u32, f64)> {
        (1..).zip(self.counts.iter().skip(1)).map(|(window, n)| (window, self.by(*n)))
    }

    /// Whether one of the first two windows goes so far beyond those before both.
    pub(super) fn is_new(&self, window: usize, least: f64) -> bool {
        let older = self.counts.get(2..).unwrap_or_default();
        let mean = older.iter().map(|n| f64::from(*n)).sum::<f64>() / older.len().max(1) as f64;
        let n = self.counts.get(..2).unwrap_or(&self.counts).get(window).copied();
        n.is_some_and(|n| (f64::from(n) - mean) / (mean + 0.5).sqrt() >= least)
    }

    fn by(&self, n: u32) -> f64 {
        ((f64::from(n) - self.mean) / (self.mean + 0.5).sqrt()).max(0.0)
    }
}

/// How many of these times are in the first window, and how many before.
pub(super) fn now_and_before(times: impl Iterator<Item = i64>, windows: &Windows) -> (u32, u32) {
    times.fold((0, 0), |(now, before), at| match windows.of(at) {
        Some(0) => (now + 1, before),
        Some(_) => (now, before + 1),
        None => (now, before),
    })
}
