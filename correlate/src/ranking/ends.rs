//! What ended, or could not start, more often than it used to: counted, window by window.

use super::usual::Past;
use super::windows::Windows;
use super::{Ended, Found, Reason};

/// An excess that is never worth mentioning, in standard deviations: less than that of one end where there was none.
const LEAST: f64 = 1.0;

/// What the ends say of each candidate; of a time in which nothing is older than `oldest`.
pub(super) fn found(ended: &[Ended], candidates: u32, windows: &Windows, oldest: i64) -> Vec<Option<Found>> {
    let mut sorted: Vec<Ended> = ended.to_vec();
    sorted.sort_unstable_by_key(|e| (e.candidate, e.cause, e.seen_at, e.at));
    let count = windows.count(oldest);
    let (mut now, mut past) = (Vec::new(), Vec::new());
    for of in sorted.chunk_by(|a, b| a.candidate == b.candidate) {
        let mut counts = vec![0_u32; count];
        for window in of.iter().filter_map(|e| windows.of(e.at)) {
            if let Some(n) = counts.get_mut(window) {
                *n += 1;
            }
        }
        let Some((new, before)) = counts.split_first() else { continue };
        let mean = f64::from(before.iter().sum::<u32>()) / before.len().max(1) as f64;
        // Of a Poisson variable, a half more for what a short past does not tell.
        let by = |n: u32| ((f64::from(n) - mean) / (mean + 0.5).sqrt()).max(0.0);
        let Some(candidate) = of.first().map(|e| e.candidate) else { continue };
        past.extend((1..).zip(before).map(|(window, n)| (candidate, window, by(*n))));
        let of_now = |of: &[Ended]| of.iter().filter(|e| windows.of(e.at) == Some(0)).count() as u32;
        let same = of.chunk_by(|a, b| (a.cause, a.seen_at) == (b.cause, b.seen_at));
        if let Some((most, times)) = same.filter_map(|same| Some((same.first()?, of_now(same)))).max_by_key(|s| s.1)
            && *new > 0
        {
            now.push((candidate, by(*new), Reason::Ended { cause: most.cause, times, seen_at: most.seen_at }));
        }
    }
    let past = Past::new(past);
    let mut found = vec![None; candidates as usize];
    for (candidate, by, because) in now {
        if let Some(place) = found.get_mut(candidate as usize) {
            *place = Some(Found { times: past.times(candidate, by, LEAST), because });
        }
    }
    found
}
