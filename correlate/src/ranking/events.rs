//! Events of a kind that is new, or more frequent than it used to be: counted, kind by kind.

use super::usual::Past;
use super::windowed::{Windowed, now_and_before};
use super::windows::Windows;
use super::{Event, Found, Reason};

/// An excess that is never worth mentioning, in standard deviations: an event says less than an end does.
const LEAST: f64 = 2.0;
/// Whoever tells an event goes on telling it: more of one kind in a window say nothing more.
const MOST: u32 = 8;

/// In the order in which they are looked at.
pub(super) fn sorted(events: &[Event]) -> Vec<Event> {
    let mut sorted: Vec<Event> = events.to_vec();
    sorted.sort_unstable_by_key(|e| (e.candidate, e.kind, e.seen_at, e.at));
    sorted
}

/// What the events, [`sorted`], say of each candidate; of a time in which nothing is older than `oldest`.
pub(super) fn found(sorted: &[Event], candidates: u32, windows: &Windows, oldest: i64) -> Vec<Option<Found>> {
    let count = windows.count(oldest);
    let (mut now, mut past) = (Vec::new(), Vec::new());
    for of in sorted.chunk_by(|a, b| a.candidate == b.candidate) {
        let mut most = vec![0.0_f64; count];
        for same in of.chunk_by(|a, b| (a.kind, a.seen_at) == (b.kind, b.seen_at)) {
            let Some(Event { candidate, kind, seen_at, .. }) = same.first().copied() else { continue };
            let counted = Windowed::of(same.iter().map(|e| e.at), windows, count, MOST);
            most.iter_mut().skip(1).zip(counted.past()).for_each(|(most, (_, by))| *most = most.max(by));
            let (times, before) = now_and_before(same.iter().map(|e| e.at), windows);
            now.push((candidate, counted.now(), Reason::Event { kind, times, before, seen_at }));
        }
        let Some(candidate) = of.first().map(|e| e.candidate) else { continue };
        past.extend((0..).zip(most).skip(1).map(|(window, by)| (candidate, window, by)));
    }
    super::against(now, &Past::new(past), candidates, LEAST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::super::{Ended, Facts, Prepared};
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const ONSET: i64 = 3_000 * SECOND;

    fn event(candidate: u32, kind: u32, seconds: i64) -> Event {
        Event { at: ONSET + seconds * SECOND, candidate, seen_at: None, kind }
    }

    #[test]
    fn a_kind_that_is_new_or_more_frequent_counts_and_one_that_is_usual_does_not() {
        let usual = (-300..30).map(|n| event(0, 1, 10 * n));
        let new = (0..3).map(|n| event(1, 2, 20 * n + 5));
        let rare_before = [event(2, 3, -900)].into_iter().chain((0..2).map(|n| event(2, 3, 20 * n + 5)));
        let events = usual.chain(new).chain(rare_before).collect();
        let facts = Facts { candidates: 4, events, ..Facts::default() };
        let ranked = Prepared::of(&facts, ONSET + 300 * SECOND).at(ONSET);
        assert_eq!(ranked.iter().map(|r| r.candidate).collect::<Vec<_>>(), [1, 2, 0, 3], "{ranked:?}");
        assert_eq!(ranked[0].because, [Reason::Event { kind: 2, times: 3, before: 0, seen_at: None }]);
        assert_eq!(ranked[1].because, [Reason::Event { kind: 3, times: 2, before: 1, seen_at: None }]);
        assert_eq!(ranked[2].score, 0.0);
    }

    #[test]
    fn an_end_says_more_than_an_event() {
        let ended = vec![Ended { at: ONSET + 5 * SECOND, candidate: 1, seen_at: None, cause: 0 }];
        let facts = Facts { candidates: 2, events: vec![event(0, 1, 5)], ended, ..Facts::default() };
        assert_eq!(Prepared::of(&facts, ONSET + 300 * SECOND).at(ONSET)[0].candidate, 1);
    }
}
