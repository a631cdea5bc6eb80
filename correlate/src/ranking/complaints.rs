//! Who did not answer, by what others say: complaints that are new, or more frequent than they used to be.
//!
//! A complaint is evidence against whom it names, and of several callers more than of one that repeats itself. Where the one
//! that is named complains as much of a third, the third is to blame; and one that suddenly reaches nobody is more likely
//! cut off itself, so what it says of each counts by the number of those it complains of.

use std::collections::BTreeMap;

use super::usual::Past;
use super::windowed::{Windowed, now_and_before};
use super::windows::Windows;
use super::{Complained, Found, Reason};

/// An excess that is never worth mentioning, in standard deviations: less than that of two complaints where there was none.
const LEAST: f64 = 2.0;
/// A client tries again and again: more complaints of one about another in a window say nothing more.
const MOST: u32 = 16;
/// A complaint of the callee explains one about it that is at most so many times as conspicuous.
const ENOUGH: f64 = 3.0;
/// Chains of complaints are followed so far.
const LINKS: usize = 8;

/// Caller and callee.
type Pair = (u32, u32);

/// In the order in which they are looked at.
pub(super) fn sorted(all: &[Complained]) -> Vec<Complained> {
    let mut sorted: Vec<Complained> = all.iter().filter(|c| c.caller != c.callee).copied().collect();
    sorted.sort_unstable_by_key(|c| (c.caller, c.callee, c.what, c.at));
    sorted
}

/// What the complaints, [`sorted`], say of each candidate; of a time in which nothing is older than `oldest`.
pub(super) fn found(sorted: &[Complained], candidates: u32, windows: &Windows, oldest: i64) -> Vec<Option<Found>> {
    let count = windows.count(oldest);
    // Of each window: how far each pair goes beyond what is usual of it.
    let mut by_window: BTreeMap<u32, Vec<(Pair, f64)>> = BTreeMap::new();
    let mut said: BTreeMap<Pair, Reason> = BTreeMap::new();
    for of in sorted.chunk_by(|a, b| (a.caller, a.callee) == (b.caller, b.callee)) {
        let Some(pair) = of.first().map(|c| (c.caller, c.callee)) else { continue };
        let counted = Windowed::of(of.iter().map(|c| c.at), windows, count, MOST);
        let all = counted.past().chain([(0, counted.now())]).filter(|(_, by)| *by > 0.0);
        all.for_each(|(window, by)| by_window.entry(window).or_default().push((pair, by)));
        let (times, before) = now_and_before(of.iter().map(|c| c.at), windows);
        let same = of.chunk_by(|a, b| a.what == b.what);
        let of_now = |same: &[Complained]| now_and_before(same.iter().map(|c| c.at), windows).0;
        if let Some((what, _)) = same.filter_map(|s| Some((s.first()?.what, of_now(s)))).max_by_key(|s| s.1) {
            said.insert(pair, Reason::Unanswered { caller: pair.0, what, times, before });
        }
    }
    let mut now = Vec::new();
    // Of each callee every window counts, those without a complaint too.
    let mut callees: Vec<u32> = said.keys().map(|pair| pair.1).collect();
    callees.sort_unstable();
    callees.dedup();
    let windows_before = 1..u32::try_from(count).unwrap_or(u32::MAX);
    let quiet = |callee: u32| windows_before.clone().map(move |window| (callee, window, 0.0));
    let mut past: Vec<(u32, u32, f64)> = callees.into_iter().flat_map(quiet).collect();
    for (window, pairs) in by_window {
        for (callee, blame) in blame(&pairs) {
            if window > 0 {
                past.push((callee, window, blame.sum));
            } else if let Some(because) = said.get(&blame.most.0) {
                now.push((callee, blame.sum, *because));
            }
        }
    }
    super::against(now, &Past::new(past), candidates, LEAST)
}

/// What one candidate is blamed for in a window.
#[derive(Debug, Clone, Copy)]
struct Blame {
    sum: f64,
    /// The complaint that says it best: one about the candidate itself.
    most: (Pair, f64),
}

/// Whom the complaints of one window, in the order of callers and callees, come down to.
fn blame(pairs: &[(Pair, f64)]) -> BTreeMap<u32, Blame> {
    let mut about: Vec<(Pair, f64)> = Vec::with_capacity(pairs.len());
    for of_caller in pairs.chunk_by(|a, b| a.0.0 == b.0.0) {
        about.extend(of_caller.iter().map(|(pair, by)| (*pair, by / of_caller.len() as f64)));
    }
    // Of each caller the one it complains of most.
    let mut worst: BTreeMap<u32, (Pair, f64)> = BTreeMap::new();
    for (pair, by) in &about {
        let held = worst.entry(pair.0).or_insert((*pair, *by));
        if *by > held.1 {
            *held = (*pair, *by);
        }
    }
    let mut blamed: BTreeMap<u32, Blame> = BTreeMap::new();
    for (pair, by) in &about {
        let (mut last, mut met) = ((*pair, *by), vec![pair.0, pair.1]);
        while let Some(next) = worst.get(&last.0.1)
            && next.1 * ENOUGH >= *by
            && !met.contains(&next.0.1)
            && met.len() <= LINKS
        {
            met.push(next.0.1);
            last = *next;
        }
        let blame = blamed.entry(last.0.1).or_insert(Blame { sum: 0.0, most: last });
        blame.sum += by;
        if last.1 > blame.most.1 {
            blame.most = last;
        }
    }
    blamed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::super::{Facts, Prepared, Ranked};
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const ONSET: i64 = 3_000 * SECOND;

    fn rank(complaints: Vec<Complained>) -> Vec<Ranked> {
        let facts = Facts { candidates: 6, complaints, ..Facts::default() };
        Prepared::of(&facts, ONSET + 300 * SECOND).at(ONSET)
    }

    /// `caller` complains of `callee` every ten seconds, `times` times from `second` after the onset on.
    fn complains(caller: u32, callee: u32, second: i64, times: i64) -> impl Iterator<Item = Complained> {
        (0..times).map(move |n| Complained { at: ONSET + (second + 10 * n) * SECOND, caller, callee, what: 3 })
    }

    #[test]
    fn who_does_not_answer_is_suspected_and_who_says_so_is_not() {
        let ranked = rank(complains(2, 4, 5, 12).collect());
        assert_eq!(ranked[0].candidate, 4);
        assert_eq!(ranked[0].because, [Reason::Unanswered { caller: 2, what: 3, times: 12, before: 0 }]);
        assert!(ranked[1..].iter().all(|r| r.score == 0.0), "{ranked:?}");
    }

    #[test]
    fn a_complaint_that_is_usual_is_none() {
        // All the time of one, as often as before; and for the first time of another, less often.
        let usual = complains(0, 1, -3_000, 315);
        let ranked = rank(usual.chain(complains(2, 4, 20, 4)).collect());
        assert_eq!((ranked[0].candidate, ranked[1].score), (4, 0.0), "{ranked:?}");
    }

    #[test]
    fn several_callers_say_more_than_one_that_repeats_itself() {
        let one = (0..40).flat_map(|_| complains(0, 4, 5, 10));
        let ranked = rank(one.chain((1..4).flat_map(|caller| complains(caller, 5, 5, 12))).collect());
        assert_eq!((ranked[0].candidate, ranked[1].candidate), (5, 4), "{ranked:?}");
    }

    #[test]
    fn of_a_chain_the_last_is_to_blame_and_a_ring_ends() {
        let chain = complains(0, 1, 5, 12).chain(complains(1, 2, 5, 10)).chain(complains(2, 3, 5, 8));
        let ranked = rank(chain.collect());
        assert_eq!(ranked[0].candidate, 3);
        assert_eq!(ranked[0].because, [Reason::Unanswered { caller: 2, what: 3, times: 8, before: 0 }]);
        assert!(ranked[1..].iter().all(|r| r.score == 0.0), "{ranked:?}");
        let ring = rank(complains(0, 1, 5, 12).chain(complains(1, 0, 5, 12)).collect());
        assert_eq!(ring[0].score, ring[1].score, "neither explains the other: {ring:?}");
        // One complaint explains none that many made.
        let ranked = rank(complains(0, 1, 5, 14).chain(complains(1, 2, 5, 1)).collect());
        assert_eq!(ranked[0].candidate, 1, "{ranked:?}");
    }

    #[test]
    fn who_reaches_nobody_any_more_says_little_of_each() {
        let cut_off = (1..5).flat_map(|callee| complains(0, callee, 5, 12));
        let all = rank(cut_off.chain(complains(1, 5, 5, 12)).collect());
        assert_eq!(all[0].candidate, 5);
        assert!(all[0].score > 1.5 * all[1].score, "{all:?}");
    }

    #[test]
    fn nothing_after_the_end_is_looked_at() {
        let before = rank(complains(2, 4, 5, 12).collect());
        let after = rank(complains(2, 4, 5, 12).chain(complains(3, 5, 301, 12)).collect());
        assert_eq!(before, after);
    }
}
