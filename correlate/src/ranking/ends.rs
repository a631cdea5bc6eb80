//! What ended, or could not start, more often than it used to: counted, window by window.

use super::usual::Past;
use super::windowed::{Windowed, now_and_before};
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
        let Some(candidate) = of.first().map(|e| e.candidate) else { continue };
        let counted = Windowed::of(of.iter().map(|e| e.at), windows, count, u32::MAX);
        past.extend(counted.past().map(|(window, by)| (candidate, window, by)));
        let of_now = |of: &[Ended]| now_and_before(of.iter().map(|e| e.at), windows).0;
        let same = of.chunk_by(|a, b| (a.cause, a.seen_at) == (b.cause, b.seen_at));
        if let Some((most, times)) = same.filter_map(|same| Some((same.first()?, of_now(same)))).max_by_key(|s| s.1)
            && times > 0
        {
            now.push((candidate, counted.now(), Reason::Ended { cause: most.cause, times, seen_at: most.seen_at }));
        }
    }
    super::against(now, &Past::new(past), candidates, LEAST)
}
