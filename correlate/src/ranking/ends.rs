//! What ended, or could not start, more often than it used to: counted, window by window.

use super::usual::Past;
use super::windowed::{Windowed, now_and_before};
use super::windows::Windows;
use super::{Ended, Found, Reason};

/// An excess that is never worth mentioning, in standard deviations: less than that of one end where there was none.
const LEAST: f64 = 1.0;

/// What the ends say of each candidate, and when it first had one that it is to blame for in the first window, or the one before, if
/// there were more than usual; of a time in which nothing is older than `oldest`.
pub(super) fn found(
    ended: &[Ended],
    candidates: u32,
    windows: &Windows,
    oldest: i64,
) -> (Vec<Option<Found>>, Vec<Option<i64>>) {
    let mut sorted: Vec<Ended> = ended.to_vec();
    sorted.sort_unstable_by_key(|e| (e.candidate, e.cause, e.seen_at, e.at));
    let count = windows.count(oldest);
    let (mut now, mut past, mut first) = (Vec::new(), Vec::new(), vec![None; candidates as usize]);
    for of in sorted.chunk_by(|a, b| a.candidate == b.candidate) {
        let Some(candidate) = of.first().map(|e| e.candidate) else { continue };
        let counted = Windowed::of(of.iter().map(|e| e.at), windows, count, u32::MAX);
        past.extend(counted.past().map(|(window, by)| (candidate, window, by)));
        let unusual = of.iter().map(|e| e.at).filter(|at| windows.of(*at).is_some_and(|n| counted.is_new(n, LEAST)));
        unusual.for_each(|at| super::earlier(&mut first, candidate, at));
        let of_now = |of: &[Ended]| now_and_before(of.iter().map(|e| e.at), windows).0;
        let before = now_and_before(of.iter().map(|e| e.at), windows).1;
        let same = of.chunk_by(|a, b| (a.cause, a.seen_at) == (b.cause, b.seen_at));
        if let Some((most, times)) = same.filter_map(|same| Some((same.first()?, of_now(same)))).max_by_key(|s| s.1)
            && times > 0
        {
            let because = Reason::Ended { cause: most.cause, times, before, seen_at: most.seen_at };
            now.push((candidate, counted.now(), because));
        }
    }
    (super::against(now, &Past::new(past), candidates, LEAST), first)
}
